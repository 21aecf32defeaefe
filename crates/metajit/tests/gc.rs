//! The collector, seen from outside: what is reachable survives intact, what is not is freed.
//!
//! The long form of the random test: `METAJIT_GC_GRAPHS=1000000 cargo test --release -p metajit --test gc random`.

#![allow(missing_docs)]

use metajit::gc::{self, Config, Root, Stress};
use metajit::prelude::*;
use std::collections::HashMap;

#[jit_word]
pub struct Value(u64);

/// What all objects of these tests begin with.
#[jit_object]
pub struct Any {
    #[immutable]
    id: i64,
}

#[jit_object]
pub struct Pair {
    #[immutable]
    id: i64,
    left: Any,
    right: Any,
}

#[jit_object]
pub struct Table {
    #[immutable]
    id: i64,
    items: [Any],
}

#[jit_object]
pub struct Values {
    #[immutable]
    id: i64,
    first: Value,
    weight: f64,
    items: [Value],
}

#[jit_object]
pub struct Bytes {
    #[immutable]
    id: i64,
    link: Any,
    data: [u8],
}

#[jit_object]
pub struct List {
    #[immutable]
    value: i64,
    next: List,
}

/// A small generator of random numbers: xorshift, with a multiplication.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A configuration that checks everything.
fn checked() -> Config {
    Config {
        verify: true,
        poison: true,
        nursery: 64 << 10,
        nursery_max: 64 << 10,
        growth_min: 256 << 10,
        ..Config::default()
    }
}

/// Runs `f` on a thread of its own, so that nothing on the stack of a test is left from before.
fn on_a_thread<R: Send + 'static>(config: Config, f: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = std::thread::spawn(move || {
        gc::configure(config);
        f()
    });
    match thread.join() {
        Ok(result) => result,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Overwrites what calls have left behind on the stack.
#[inline(never)]
fn clear_stack() {
    let mut words = [0u64; 1 << 12];
    std::hint::black_box(&mut words);
}

// ---------------------------------------------------------------------------------------------------------------------
// Random graphs against a model

/// What a field of a model's object holds.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Held {
    Nothing,
    Number(u64),
    /// An object, and the bits a value may have besides its address.
    Object(i64, u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Pair,
    Table,
    Values,
    Bytes,
}

struct Model {
    /// By identity: the form, the fields, and the address, inverted lest it keep the object alive.
    objects: HashMap<i64, (Form, Vec<Held>, u64)>,
    roots: Vec<(Root<Any>, i64)>,
    random: Random,
    next_id: i64,
}

impl Model {
    fn new(seed: u64) -> Model {
        Model {
            objects: HashMap::new(),
            roots: Vec::new(),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            next_id: 1,
        }
    }

    /// A random object that can be reached; 0 if there is none.
    fn pick(&mut self) -> i64 {
        if self.roots.is_empty() {
            return 0;
        }
        let root = self.random.below(self.roots.len() as u64) as usize;
        let mut id = self.roots[root].1;
        for _ in 0..self.random.below(12) {
            let fields = &self.objects[&id].1;
            let index = self.random.below(fields.len() as u64 + 1) as usize;
            if let Some(Held::Object(next, _)) = fields.get(index) {
                id = *next;
            }
        }
        id
    }

    fn handle(&self, id: i64) -> Any {
        let bits = self.objects.get(&id).map_or(0, |object| !object.2);
        // SAFETY: the model holds what can be reached.
        unsafe { Any::from_bits(bits) }
    }

    fn reference(&mut self) -> Held {
        match self.pick() {
            0 => Held::Nothing,
            id => Held::Object(id, 0),
        }
    }

    fn value(&mut self) -> Held {
        match self.random.below(4) {
            0 => Held::Number(self.random.next() | 1 << 62),
            1 => Held::Number(self.random.below(1 << 20)),
            _ => match self.pick() {
                0 => Held::Nothing,
                id => {
                    let tag = self.random.below(8);
                    let box_bits = if self.random.below(2) == 0 { 0 } else { 0xFFFC };
                    Held::Object(id, tag | box_bits << 48)
                }
            },
        }
    }

    fn bits(&self, held: Held) -> u64 {
        match held {
            Held::Nothing => 0,
            Held::Number(bits) => bits,
            Held::Object(id, extra) => self.handle(id).bits() | extra,
        }
    }

    fn length(&mut self) -> usize {
        match self.random.below(40) {
            0 => self.random.below(3_000) as usize,
            1..4 => self.random.below(300) as usize,
            _ => self.random.below(8) as usize,
        }
    }

    fn allocate(&mut self) {
        let id = self.next_id;
        self.next_id += 1;
        let form = match self.random.below(8) {
            0..4 => Form::Pair,
            4 => Form::Table,
            5 | 6 => Form::Values,
            _ => Form::Bytes,
        };
        let (fields, object) = match form {
            Form::Pair => {
                let fields = vec![self.reference(), self.reference()];
                let object = Pair::alloc(id, self.word(fields[0]), self.word(fields[1]));
                (fields, object.bits())
            }
            Form::Table => {
                let fill = self.reference();
                let len = self.length();
                let object = Table::alloc(id, len as i64, self.word(fill));
                (vec![fill; len], object.bits())
            }
            Form::Values => {
                let (first, fill) = (self.value(), self.value());
                let len = self.length();
                let (a, b) = (self.bits(first), self.bits(fill));
                let object = Values::alloc(
                    id,
                    Value::from_bits(a),
                    id as f64,
                    len as i64,
                    Value::from_bits(b),
                );
                let mut fields = vec![fill; len + 1];
                fields[0] = first;
                (fields, object.bits())
            }
            Form::Bytes => {
                let link = self.reference();
                let len = self.length() * 8 + 3;
                let object = Bytes::alloc(id, self.word(link), len as i64, id as u8);
                (vec![link], object.bits())
            }
        };
        self.objects.insert(id, (form, fields, !object));
        let root = Root::new(self.handle(id));
        if self.roots.len() < 20 || self.random.below(3) == 0 {
            self.roots.push((root, id));
        } else {
            let index = self.random.below(self.roots.len() as u64) as usize;
            if self.random.below(2) == 0 {
                self.roots[index].0.set(self.handle(id));
                self.roots[index].1 = id;
            } else {
                self.roots[index] = (root, id);
            }
        }
    }

    fn word(&self, held: Held) -> Any {
        // SAFETY: the model's objects can be reached.
        unsafe { Any::from_bits(self.bits(held)) }
    }

    fn mutate(&mut self) {
        let id = self.pick();
        if id == 0 {
            return;
        }
        let (form, len) = (self.objects[&id].0, self.objects[&id].1.len());
        if len == 0 {
            return;
        }
        let index = self.random.below(len as u64) as usize;
        let held = if form == Form::Values {
            self.value()
        } else {
            self.reference()
        };
        let bits = self.bits(held);
        let target = self.handle(id).bits();
        // SAFETY: the model knows the object's form.
        unsafe {
            match form {
                Form::Pair if index == 0 => Pair::from_bits(target).set_left(self.word(held)),
                Form::Pair => Pair::from_bits(target).set_right(self.word(held)),
                Form::Table => Table::from_bits(target).set_items(index as i64, self.word(held)),
                Form::Values if index == 0 => {
                    Values::from_bits(target).set_first(Value::from_bits(bits))
                }
                Form::Values => {
                    Values::from_bits(target).set_items(index as i64 - 1, Value::from_bits(bits))
                }
                Form::Bytes => Bytes::from_bits(target).set_link(self.word(held)),
            }
        }
        if let Some(object) = self.objects.get_mut(&id) {
            object.1[index] = held;
        }
    }

    /// Forgets what can't be reached any more.
    fn prune(&mut self) {
        let mut reached = HashMap::new();
        let mut stack: Vec<i64> = self.roots.iter().map(|root| root.1).collect();
        while let Some(id) = stack.pop() {
            if let Some(object) = self.objects.remove(&id) {
                for held in &object.1 {
                    if let Held::Object(next, _) = held {
                        stack.push(*next);
                    }
                }
                reached.insert(id, object);
            }
        }
        self.objects = reached;
    }

    /// Compares all that can be reached with the heap.
    fn check(&self) {
        for (root, id) in &self.roots {
            assert_eq!(root.get(), self.handle(*id));
        }
        for (&id, (form, fields, address)) in &self.objects {
            let bits = !address;
            let expected = |index: usize| self.bits(fields[index]);
            // SAFETY: the model knows the object's form.
            unsafe {
                assert_eq!(Any::from_bits(bits).id(), id);
                match form {
                    Form::Pair => {
                        let pair = Pair::from_bits(bits);
                        assert!(pair.is_shape());
                        assert_eq!(pair.left().bits(), expected(0));
                        assert_eq!(pair.right().bits(), expected(1));
                    }
                    Form::Table => {
                        let table = Table::from_bits(bits);
                        assert!(table.is_shape());
                        assert_eq!(table.items_len() as usize, fields.len());
                        for index in 0..fields.len() {
                            assert_eq!(table.items(index as i64).bits(), expected(index));
                        }
                    }
                    Form::Values => {
                        let values = Values::from_bits(bits);
                        assert!(values.is_shape());
                        assert_eq!(values.weight(), id as f64);
                        assert_eq!(values.first().bits(), expected(0));
                        assert_eq!(values.items_len() as usize, fields.len() - 1);
                        for index in 1..fields.len() {
                            assert_eq!(values.items(index as i64 - 1).bits(), expected(index));
                        }
                    }
                    Form::Bytes => {
                        let bytes = Bytes::from_bits(bits);
                        assert!(bytes.is_shape());
                        assert_eq!(bytes.link().bits(), expected(0));
                        assert!(bytes.data_slice().iter().all(|&byte| byte == id as u8));
                    }
                }
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..50 => self.allocate(),
            50..90 => self.mutate(),
            90..96 if !self.roots.is_empty() => {
                let index = self.random.below(self.roots.len() as u64) as usize;
                self.roots.swap_remove(index);
            }
            96 => gc::collect_minor(),
            97 if self.random.below(4) == 0 => {
                gc::collect();
                self.prune();
                self.check();
            }
            98 => {
                self.prune();
                self.check();
            }
            _ => {}
        }
    }
}

fn random_graph(seed: u64, steps: usize) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
    }
    model.prune();
    model.check();
    gc::collect();
    model.check();
}

fn graphs(otherwise: u64) -> u64 {
    std::env::var("METAJIT_GC_GRAPHS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn random_graphs_survive_intact() {
    let count = graphs(300);
    on_a_thread(checked(), move || {
        for seed in 0..count {
            random_graph(seed, 400);
        }
        let statistics = gc::statistics();
        assert!(statistics.minor > count && statistics.major > count / 2);
    });
}

#[test]
fn random_graphs_survive_collections_at_every_allocation() {
    let count = graphs(20);
    let config = Config {
        stress: Stress::EveryAllocation,
        ..checked()
    };
    on_a_thread(config, move || {
        for seed in 0..count {
            random_graph(seed + 1_000_000_000, 200);
        }
    });
}

#[test]
fn random_graphs_survive_without_checks_and_with_random_collections() {
    let count = graphs(200);
    let config = Config {
        stress: Stress::OneIn(7),
        nursery: 32 << 10,
        ..Config::default()
    };
    on_a_thread(config, move || {
        for seed in 0..count {
            random_graph(seed + 2_000_000_000, 2_000);
        }
    });
}
