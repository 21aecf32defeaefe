//! Random graphs against a model.

use crate::{Any, Bytes, Pair, Random, Table, Value, Values, checked, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, Root, Stress};
use std::collections::HashMap;

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
        // SAFETY: the model holds what can be reached.
        unsafe { Any::from_bits(!self.objects[&id].2) }
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
                let object = Values::alloc(id, Value::from_bits(a), id as f64, len as i64, Value::from_bits(b));
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

    fn word(&self, held: Held) -> Maybe<Any> {
        // SAFETY: the model's objects can be reached.
        unsafe { Maybe::from_bits(self.bits(held)) }
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
        let held = if form == Form::Values { self.value() } else { self.reference() };
        let bits = self.bits(held);
        let target = self.handle(id).bits();
        // SAFETY: the model knows the object's form.
        unsafe {
            match form {
                Form::Pair if index == 0 => Pair::from_bits(target).set_left(self.word(held)),
                Form::Pair => Pair::from_bits(target).set_right(self.word(held)),
                Form::Table => Table::from_bits(target).set_items(index as i64, self.word(held)),
                Form::Values if index == 0 => Values::from_bits(target).set_first(Value::from_bits(bits)),
                Form::Values => Values::from_bits(target).set_items(index as i64 - 1, Value::from_bits(bits)),
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

/// A random graph that is changed at random, compared with its model now and then and at the end.
pub(crate) fn random_graph(seed: u64, steps: usize) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
    }
    model.prune();
    model.check();
    gc::collect();
    model.check();
}

/// The seeds to run: those of the ordinary tests, or those that a campaign asks for.
fn seeds(otherwise: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("METAJIT_GC_SEED").unwrap_or(0);
    first..first + number("METAJIT_GC_GRAPHS").unwrap_or(otherwise)
}

#[test]
fn random_graphs_survive_intact() {
    on_a_thread(checked(), || {
        let seeds = seeds(300);
        let count = seeds.end - seeds.start;
        for seed in seeds {
            random_graph(seed, 400);
        }
        let statistics = gc::statistics();
        assert!(statistics.minor > count && statistics.major > count / 2);
    });
}

#[test]
fn random_graphs_survive_collections_at_every_allocation() {
    let config = Config { stress: Stress::EveryAllocation, ..checked() };
    on_a_thread(config, || {
        for seed in seeds(20) {
            random_graph(seed + 1_000_000_000, 200);
        }
    });
}

#[test]
fn random_graphs_survive_without_checks_and_with_random_collections() {
    let config = Config { stress: Stress::OneIn(7), nursery: 32 << 10, ..Config::default() };
    on_a_thread(config, || {
        for seed in seeds(50) {
            random_graph(seed + 2_000_000_000, 2_000);
        }
    });
}
