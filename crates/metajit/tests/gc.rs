//! The collector, seen from outside: what is reachable survives intact, what is not is freed.
//!
//! The long form of the random test: `METAJIT_GC_GRAPHS=1000000 cargo test --release -p metajit --test gc random`.

#![allow(missing_docs)]

use metajit::gc::{
    self, Collector, Config, Event, Finalizers, Kind, OutOfMemory, Root, RootRange, RootSink, Stress, Weak, Window,
};
use metajit::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

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
    std::env::var("METAJIT_GC_GRAPHS").ok().and_then(|count| count.parse().ok()).unwrap_or(otherwise)
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
    let config = Config { stress: Stress::EveryAllocation, ..checked() };
    on_a_thread(config, move || {
        for seed in 0..count {
            random_graph(seed + 1_000_000_000, 200);
        }
    });
}

#[test]
fn random_graphs_survive_without_checks_and_with_random_collections() {
    let count = graphs(50);
    let config = Config { stress: Stress::OneIn(7), nursery: 32 << 10, ..Config::default() };
    on_a_thread(config, move || {
        for seed in 0..count {
            random_graph(seed + 2_000_000_000, 2_000);
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// What keeps objects alive

/// A pair that only the returned weak handle and the inverted address know.
#[inline(never)]
fn hidden_pair(id: i64) -> (Weak<Pair>, u64) {
    let pair = Pair::alloc(id, Any::null(), Any::null());
    (Weak::new(pair), !pair.bits())
}

/// Fills the lines around, so that an object's neighbours are not ones that the test looks at.
#[inline(never)]
fn neighbours() {
    for id in 0..10 {
        std::hint::black_box(Pair::alloc(-id, Any::null(), Any::null()));
    }
}

#[test]
fn a_word_that_names_any_part_of_an_object_keeps_it_alive() {
    on_a_thread(checked(), || {
        const PAIR_BYTES: u64 = 32;
        // Start, tags, inside, last byte, one past the end, boxed.
        let ways = [0, 1, 7, 8, 17, PAIR_BYTES - 1, PAIR_BYTES, 0xFFFC << 48];
        for major in [false, true] {
            let mut words = vec![0u64; ways.len()];
            // SAFETY: the words live longer than the range.
            let range = unsafe { RootRange::new(words.as_ptr(), words.len()) };
            let mut kept = Vec::new();
            for (word, way) in words.iter_mut().zip(ways) {
                neighbours();
                let (weak, inverted) = hidden_pair(way as i64);
                *word = !inverted + way;
                kept.push(weak);
            }
            clear_stack();
            let collect = || {
                if major { gc::collect() } else { gc::collect_minor() }
            };
            collect();
            collect();
            for (weak, way) in kept.iter().zip(ways) {
                assert_eq!(weak.get().map(Pair::id), Some(way as i64), "way {way}");
            }
            drop(range);
            clear_stack();
            gc::collect();
            let alive = kept.iter().filter(|weak| !weak.is_dead()).count();
            assert!(alive <= 2, "{alive} of {} are still alive", ways.len());
        }
    });
}

#[test]
fn a_word_that_names_any_part_of_a_large_object_keeps_it_alive() {
    on_a_thread(checked(), || {
        /// A table that only a weak handle and a word know.
        #[inline(never)]
        fn hidden(way: u64) -> (Weak<Table>, Box<u64>) {
            let table = Table::alloc(5, 10_000, Any::null());
            (Weak::new(table), Box::new(table.bits() + way))
        }
        for way in [0, 3, 24, 50_000, 80_023, 80_024] {
            let (weak, word) = hidden(way);
            // SAFETY: the word lives longer than the range.
            let range = unsafe { RootRange::new(&*word, 1) };
            clear_stack();
            gc::collect_minor();
            gc::collect();
            assert!(!weak.is_dead(), "way {way}");
            drop(range);
            clear_stack();
            gc::collect();
            assert!(weak.is_dead(), "way {way}");
        }
        assert!(gc::statistics().committed < 1 << 20);
    });
}

#[test]
fn handles_in_locals_survive_collections_at_any_depth_of_the_stack() {
    fn nest(depth: i64) -> i64 {
        let here = Pair::alloc(depth, Any::null(), Any::null());
        if depth == 0 {
            gc::collect_minor();
            gc::collect();
            return here.id();
        }
        let sum = nest(depth - 1);
        sum + here.id()
    }
    let config = Config { stress: Stress::OneIn(500), ..checked() };
    let thread = std::thread::Builder::new()
        .stack_size(4 << 30)
        .spawn(move || {
            gc::configure(config);
            nest(10_000)
        })
        .unwrap();
    assert_eq!(thread.join().unwrap(), 10_000 * 10_001 / 2);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn both_stacks_are_scanned_after_a_switch() {
    /// Calls `f` on the stack that ends at `base`, telling the collector.
    fn on_another_stack(base: *mut u8, mut f: &mut dyn FnMut()) {
        struct Switch<'f, 'g> {
            base: *mut u8,
            suspended: *mut u8,
            f: &'f mut &'g mut dyn FnMut(),
        }
        extern "C" fn run(switch: *mut Switch<'_, '_>) {
            // SAFETY: called below with such a pointer, on the new stack.
            unsafe {
                let switch = &mut *switch;
                gc::on_stack(switch.base, switch.suspended, || (switch.f)());
            }
        }
        let mut switch = Switch { base, suspended: std::ptr::null_mut(), f: &mut f };
        let pointer = &raw mut switch;
        // SAFETY: `base` is the aligned end of a mapped stack; the preserved registers are pushed before the switch.
        unsafe {
            std::arch::asm!(
                "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                "mov [rdi + {suspended}], rsp",
                "mov r12, rsp",
                "mov rsp, rsi",
                "call {run}",
                "mov rsp, r12",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                suspended = const std::mem::offset_of!(Switch<'_, '_>, suspended),
                run = sym run,
                inout("rdi") pointer => _,
                inout("rsi") base => _,
                clobber_abi("C"),
            );
        }
    }
    on_a_thread(checked(), || {
        let mut memory = vec![0u64; 64 << 10];
        let base = memory.as_mut_ptr_range().end;
        let outer = Pair::alloc(1, Any::null(), Any::null());
        let mut seen = 0;
        on_another_stack(((base as usize) & !15) as *mut u8, &mut || {
            let inner = Pair::alloc(2, Any::null(), Any::null());
            for _ in 0..10_000 {
                std::hint::black_box(Pair::alloc(3, Any::null(), Any::null()));
            }
            gc::collect();
            seen = inner.id();
        });
        gc::collect();
        assert_eq!((outer.id(), seen), (1, 2));
        drop(memory);
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_handle_in_a_preserved_register_survives() {
    /// Collects while an object's only address is in the register; whether the object survived.
    macro_rules! survives_in {
        ($register:literal) => {{
            #[inline(never)]
            fn collect_with(inverted: u64) {
                extern "C" fn collect() {
                    clear_stack();
                    gc::collect_minor();
                    gc::collect();
                }
                // SAFETY: the register is saved and restored, and the stack is aligned as at any call.
                unsafe {
                    std::arch::asm!(
                        concat!("push ", $register),
                        "sub rsp, 8",
                        "not rdi",
                        concat!("mov ", $register, ", rdi"),
                        "xor edi, edi",
                        "call {collect}",
                        "add rsp, 8",
                        concat!("pop ", $register),
                        collect = sym collect,
                        inout("rdi") inverted => _,
                        clobber_abi("C"),
                    );
                }
            }
            let (weak, inverted) = hidden_pair(7);
            clear_stack();
            collect_with(inverted);
            assert!(!weak.is_dead(), $register);
            clear_stack();
            gc::collect();
            assert!(weak.is_dead(), $register);
        }};
    }
    on_a_thread(checked(), || {
        survives_in!("rbx");
        survives_in!("rbp");
        survives_in!("r12");
        survives_in!("r13");
        survives_in!("r14");
        survives_in!("r15");
    });
}

#[test]
fn roots_keep_alive_what_rust_memory_holds() {
    on_a_thread(checked(), || {
        let roots: Vec<Root<List>> = (0..1_000).map(|value| Root::new(List::alloc(value, List::null()))).collect();
        for round in 0..5 {
            gc::collect_minor();
            for (value, root) in roots.iter().enumerate() {
                assert_eq!(root.get().value(), value as i64 + round);
                root.set(List::alloc(value as i64 + round + 1, List::null()));
            }
        }
        gc::collect();
        for (value, root) in roots.iter().enumerate() {
            assert_eq!(root.get().value(), value as i64 + 5);
        }
        let copies = roots.clone();
        drop(roots);
        gc::collect();
        assert_eq!(copies[999].get().value(), 1_004);
    });
}

#[test]
fn a_visitor_names_the_handles_of_a_table() {
    on_a_thread(checked(), || {
        let table: Rc<RefCell<HashMap<i64, List>>> = Rc::default();
        let visited = table.clone();
        let roots = gc::add_roots(Box::new(move |visitor| {
            for &list in visited.borrow().values() {
                visitor.visit(list);
            }
        }));
        for value in 0..1_000 {
            let list = List::alloc(value, List::null());
            table.borrow_mut().insert(value, list);
        }
        gc::collect_minor();
        gc::collect();
        for (&value, list) in &*table.borrow() {
            assert_eq!(list.value(), value);
        }
        let weak: Vec<_> = table.borrow().values().map(|&list| Weak::new(list)).collect();
        drop(roots);
        assert_eq!(Rc::strong_count(&table), 1, "the visitor is gone");
        clear_stack();
        gc::collect();
        let dead = weak.iter().filter(|weak| weak.is_dead()).count();
        assert!(dead >= 990, "{dead} of 1000");
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Death

#[test]
fn weak_references_to_dropped_objects_are_cleared() {
    #[inline(never)]
    fn make(weak: &mut Vec<Weak<Pair>>) -> Vec<Root<Pair>> {
        let mut kept = Vec::new();
        for id in 0..2_000 {
            let pair = Pair::alloc(id, Any::null(), Any::null());
            weak.push(Weak::new(pair));
            if id % 2 == 0 {
                kept.push(Root::new(pair));
            }
        }
        kept
    }
    for old in [false, true] {
        on_a_thread(checked(), move || {
            let mut weak = Vec::new();
            let mut kept = make(&mut weak);
            clear_stack();
            if old {
                // Let all of them grow old first.
                kept.extend(weak.iter().filter_map(|weak| weak.get()).map(Root::new).collect::<Vec<_>>());
                gc::collect();
                kept.truncate(1_000);
                clear_stack();
                gc::collect();
            } else {
                gc::collect_minor();
            }
            let (even, odd): (Vec<_>, Vec<_>) = weak.iter().enumerate().partition(|(index, _)| index % 2 == 0);
            assert!(even.iter().all(|(_, weak)| weak.get().is_some()));
            let dead = odd.iter().filter(|(_, weak)| weak.is_dead()).count();
            assert!(dead >= 990, "{dead} of 1000");
            assert_eq!(even[3].1.clone().get().map(Pair::id), Some(6));
        });
    }
}

#[test]
fn a_weak_value_that_names_no_object_stays() {
    on_a_thread(checked(), || {
        let number = Weak::new(Value::from_bits(41));
        gc::collect_minor();
        gc::collect();
        assert_eq!(number.get(), Some(Value::from_bits(41)));
    });
}

#[test]
fn finalizers_run_once_after_their_objects_died() {
    #[inline(never)]
    fn make(died: &Rc<RefCell<Vec<i64>>>) -> Root<Pair> {
        for id in 0..100 {
            let died = died.clone();
            let pair = Pair::alloc(id, Any::null(), Any::null());
            gc::on_death(pair, move || {
                // A finalizer may allocate.
                let list = List::alloc(id, List::null());
                died.borrow_mut().push(list.value());
            });
        }
        let kept = Pair::alloc(100, Any::null(), Any::null());
        gc::on_death(kept, || panic!("this one is never called"));
        Root::new(kept)
    }
    on_a_thread(checked(), || {
        let died = Rc::default();
        let kept = make(&died);
        clear_stack();
        gc::collect_minor();
        gc::collect();
        let mut seen = died.borrow().clone();
        assert!(seen.len() >= 98, "{} of 100", seen.len());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), died.borrow().len(), "each at most once");
        assert_eq!(kept.get().id(), 100);
    });
}

#[test]
fn finalizers_wait_for_a_request_if_asked_to() {
    #[inline(never)]
    fn make(count: &Rc<Cell<usize>>) {
        for id in 0..20 {
            let count = count.clone();
            let pair = Pair::alloc(id, Any::null(), Any::null());
            gc::on_death(pair, move || count.set(count.get() + 1));
        }
    }
    let config = Config { finalizers: Finalizers::OnRequest, ..checked() };
    on_a_thread(config, || {
        let count = Rc::default();
        make(&count);
        clear_stack();
        gc::collect();
        assert_eq!(count.get(), 0);
        let run = gc::run_finalizers();
        assert!(run >= 18);
        assert_eq!(count.get(), run);
        assert_eq!(gc::run_finalizers(), 0);
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Sizes and limits

#[test]
fn a_list_of_a_million_survives() {
    on_a_thread(Config::default(), || {
        let mut list = List::null();
        for value in 0..1_000_000 {
            list = List::alloc(value, list);
        }
        gc::collect_minor();
        gc::collect();
        let mut expected = 1_000_000;
        while !list.is_null() {
            expected -= 1;
            assert_eq!(list.value(), expected);
            list = list.next();
        }
        assert_eq!(expected, 0);
    });
}

#[test]
fn a_large_array_holds_references_and_is_freed() {
    let config = Config { nursery: 1 << 20, nursery_max: 1 << 20, ..checked() };
    on_a_thread(config, || {
        #[inline(never)]
        fn fill(count: i64) -> Box<Root<Table>> {
            let table = Table::alloc(1, count, Any::null());
            for index in 0..count {
                let pair = Pair::alloc(index, Any::null(), Any::null());
                // SAFETY: a pair begins with the fields of `Any`.
                table.set_items(index, unsafe { Any::from_bits(pair.bits()) });
            }
            // In a box, lest a copy of the handle stays where the root was before it moved.
            Box::new(Root::new(table))
        }
        #[inline(never)]
        fn replace(table: &Root<Table>, first: i64, count: i64) {
            for index in (first..count).step_by(97) {
                let pair = Pair::alloc(-index, Any::null(), Any::null());
                // SAFETY: as above.
                let item = unsafe { Any::from_bits(pair.bits()) };
                table.get().set_items(index, item);
            }
        }
        #[inline(never)]
        fn check(table: &Root<Table>, count: i64) {
            for index in 0..count {
                let id = table.get().items(index).id();
                assert!(id == index || (id == -index && index % 97 < 3));
            }
        }
        let count = 100_000;
        let table = fill(count);
        gc::collect();
        for round in 0..3 {
            replace(&table, round, count);
            gc::collect_minor();
        }
        check(&table, count);
        assert!(gc::statistics().used > 4_000_000);
        drop(table);
        clear_stack();
        gc::collect();
        let used = gc::statistics().used;
        assert!(used < 100_000, "{used} bytes are still in use");
    });
}

#[test]
fn new_memory_is_zero() {
    on_a_thread(checked(), || {
        let mut random = Random(99);
        for _ in 0..2_000 {
            let len = random.below(2_500) as i64;
            let bytes = Bytes::alloc(1, Any::null(), len, 0);
            // SAFETY: nothing writes to it meanwhile.
            assert!(unsafe { bytes.data_slice() }.iter().all(|&byte| byte == 0));
            for index in 0..len {
                bytes.set_data(index, 0xFF);
            }
        }
        let statistics = gc::statistics();
        assert!(statistics.minor > 10);
    });
}

#[test]
fn an_exhausted_heap_is_an_error_that_can_be_caught() {
    let config = Config { limit: 8 << 20, ..Config::default() };
    on_a_thread(config, || {
        for round in 0..3 {
            let outcome = std::panic::catch_unwind(|| {
                let mut list = List::null();
                loop {
                    list = List::alloc(0, list);
                }
            });
            let payload = outcome.unwrap_err();
            let error = payload.downcast_ref::<OutOfMemory>().unwrap();
            assert_eq!((error.requested, error.limit), (24, 8 << 20));
            assert_eq!(gc::statistics().out_of_memory, 2 * round + 1);
            // The list is garbage now.
            clear_stack();
            let table = Table::alloc(1, 100_000, Any::null());
            assert_eq!(table.items(99_999), Any::null());
            use metajit::rt::Object;
            let error = gc::try_alloc(Table::SHAPE, 10 << 20).unwrap_err();
            assert_eq!(error.requested, (10 << 20) * 8 + 24);
        }
    });
}

#[test]
fn an_absurd_length_is_out_of_memory_too() {
    use metajit::rt::Object;
    on_a_thread(Config::default(), || {
        for len in [usize::MAX, usize::MAX / 8, 1 << 60, 1 << 42] {
            assert!(gc::try_alloc(Table::SHAPE, len).is_err());
        }
        assert!(gc::try_alloc(Table::SHAPE, 10).is_ok());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn churn_keeps_resident_memory_flat() {
    fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }
    // A process of its own: the other tests use memory too.
    let name = "churn_keeps_resident_memory_flat";
    if std::env::var_os("METAJIT_GC_CHILD").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env("METAJIT_GC_CHILD", "1")
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        return;
    }
    let seconds =
        std::env::var("METAJIT_GC_CHURN_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(1.0);
    let config = Config { growth_min: 4 << 20, ..Config::default() };
    on_a_thread(config, move || {
        let mut random = Random(5);
        let kept = Root::new(Table::alloc(0, 20_000, Any::null()));
        let mut churn = |seconds: f64| {
            let begin = std::time::Instant::now();
            while begin.elapsed().as_secs_f64() < seconds {
                for _ in 0..10_000 {
                    let index = random.below(20_000) as i64;
                    let object = match random.below(100) {
                        0 => Bytes::alloc(1, Any::null(), random.below(30_000) as i64, 1).bits(),
                        1..20 => Table::alloc(1, random.below(30) as i64, Any::null()).bits(),
                        _ => Pair::alloc(1, kept.get().items(0), Any::null()).bits(),
                    };
                    if random.below(3) == 0 {
                        // SAFETY: all objects begin with the fields of `Any`.
                        kept.get().set_items(index, unsafe { Any::from_bits(object) });
                    }
                }
                kept.get().set_items(0, Any::null());
            }
        };
        while gc::statistics().major < 4 {
            churn(0.01);
        }
        let before = resident();
        churn(seconds);
        let after = resident();
        assert!(after < before + before / 4 + (8 << 20), "resident memory grew from {before} to {after} bytes");
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// The interface

#[test]
fn compiled_code_may_allocate_several_objects_at_once() {
    use metajit::rt::Object;
    on_a_thread(checked(), || {
        let inline = gc::inline_allocation(32 + 40).unwrap();
        assert_eq!(inline.bytes, 72);
        let (mut fast, mut slow) = (0, 0);
        let kept = Root::new(List::null());
        let mut list = List::null();
        for value in 0..20_000 {
            // What compiled code does, for a pair and a table of two items that the pair names.
            // SAFETY: the sequence that `InlineAlloc` prescribes.
            unsafe {
                let start = *inline.cursor;
                let end = start + inline.bytes as usize;
                let (pair, table) = if end <= *inline.limit {
                    *inline.cursor = end;
                    *(start as *mut u64) = u64::from(Pair::SHAPE.id());
                    *((start + 32) as *mut u64) = u64::from(Table::SHAPE.id());
                    *((start + 32 + 16) as *mut u64) = 2;
                    fast += 1;
                    (start as u64, start as u64 + 32)
                } else {
                    slow += 1;
                    let pair = gc::metajit_gc_alloc(Pair::SHAPE, 0) as u64;
                    let table = gc::metajit_gc_alloc(Table::SHAPE, 2) as u64;
                    (pair, table)
                };
                let (pair, table) = (Pair::from_bits(pair), Table::from_bits(table));
                assert_eq!((table.items_len(), table.items(1)), (2, Any::null()));
                assert_eq!((pair.id(), pair.left()), (0, Any::null()));
                pair.set_left(Any::from_bits(table.bits()));
                assert!(pair.is_shape() && table.is_shape());
            }
            if value % 16 == 0 {
                list = List::alloc(value, list);
                kept.set(list);
            }
        }
        assert!(fast > 4 * slow && slow > 10, "{fast} fast, {slow} slow");
        assert!(gc::inline_allocation(1 << 20).is_none());
    });
}

#[test]
#[should_panic(expected = "was written without a barrier")]
fn a_write_without_barrier_is_found_when_the_heap_is_verified() {
    on_a_thread(checked(), || {
        let pair = Pair::alloc(1, Any::null(), Any::null());
        gc::collect_minor();
        let young = Pair::alloc(2, Any::null(), Any::null());
        // SAFETY: the field is there; that the barrier is missing is what the test is about.
        unsafe {
            let object = pair.bits() as *mut metajit::rt::Header;
            metajit::rt::init_word(object, 16, Any::from_bits(young.bits()));
        }
        gc::collect_minor();
        std::hint::black_box((pair, young));
    });
}

#[test]
#[should_panic(expected = "where no object is")]
fn a_handle_that_was_not_rooted_is_found_when_memory_is_poisoned() {
    on_a_thread(Config { verify: false, ..checked() }, || {
        let handles: Vec<u64> = (0..100).map(|id| hidden_pair(id).1).collect();
        clear_stack();
        gc::collect();
        for inverted in handles {
            // SAFETY: none; that is the mistake.
            let dead = unsafe { Any::from_bits(!inverted) };
            let pair = Pair::alloc(1, dead, Any::null());
            gc::collect();
            std::hint::black_box(pair);
        }
    });
}

#[test]
#[should_panic(expected = "this thread's heap can't be used any more")]
fn a_heap_half_collected_is_not_used_again() {
    on_a_thread(Config::default(), || {
        let pair = Pair::alloc(1, Any::null(), Any::null());
        let roots = gc::add_roots(Box::new(|_| panic!("a visitor's mistake")));
        assert!(std::panic::catch_unwind(gc::collect).is_err());
        drop(roots);
        std::hint::black_box(pair);
        Pair::alloc(2, Any::null(), Any::null());
    });
}

#[test]
fn collection_is_off_while_objects_are_rebuilt() {
    let config = Config { stress: Stress::EveryAllocation, ..checked() };
    on_a_thread(config, || {
        Pair::alloc(0, Any::null(), Any::null());
        let before = gc::statistics();
        let inverted: Vec<u64> = gc::without_collection(|| (0..1_000).map(|id| hidden_pair(id).1).collect());
        let after = gc::statistics();
        assert_eq!((before.minor, before.major), (after.minor, after.major), "a collection ran");
        // SAFETY: they can't have been freed.
        let ids = inverted.iter().map(|bits| unsafe { Pair::from_bits(!bits) }.id());
        assert!(ids.eq(0..1_000));
        Pair::alloc(0, Any::null(), Any::null());
        assert!(gc::statistics().minor + gc::statistics().major > after.minor + after.major);
    });
}

#[test]
fn events_and_figures_agree() {
    on_a_thread(checked(), || {
        let seen: Rc<RefCell<Vec<Event>>> = Rc::default();
        let log = seen.clone();
        gc::on_event(Some(Box::new(move |event| log.borrow_mut().push(*event))));
        for id in 0..100_000 {
            std::hint::black_box(Pair::alloc(id, Any::null(), Any::null()));
        }
        gc::collect();
        gc::on_event(None);
        gc::collect();
        let statistics = gc::statistics();
        assert_eq!(statistics.allocated, 100_000 * 32);
        let seen = seen.borrow();
        let ends =
            |kind| seen.iter().filter(|event| matches!(event, Event::End(end) if end.kind == kind)).count() as u64;
        assert_eq!(ends(Kind::Minor), statistics.minor);
        assert_eq!(ends(Kind::Major) + 1, statistics.major);
        assert_eq!(seen.len() as u64, 2 * (statistics.minor + statistics.major - 1));
        let allocated: usize = seen
            .iter()
            .map(|event| match event {
                Event::End(end) => end.allocated,
                _ => 0,
            })
            .sum();
        assert_eq!(allocated, 100_000 * 32);
        assert!(statistics.pause_total >= statistics.pause_minor_max);
        assert!(statistics.used < 1 << 20);
    });
}

#[test]
fn each_thread_has_a_heap_of_its_own() {
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            std::thread::spawn(move || {
                gc::configure(checked());
                random_graph(seed, 1_000);
                gc::statistics().allocated
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap() > 10_000);
    }
}

#[test]
fn the_environment_overrides_the_program() {
    let name = "the_environment_overrides_the_program";
    if std::env::var_os("METAJIT_GC_CHILD").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("METAJIT_GC_CHILD", "1")
            .env("METAJIT_GC", "stress=1,verify=1,limit=64M")
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        return;
    }
    gc::configure(Config { limit: 1 << 20, poison: true, ..Config::default() });
    Pair::alloc(0, Any::null(), Any::null());
    let config = gc::configuration();
    assert_eq!(config.stress, Stress::EveryAllocation);
    assert_eq!(config.limit, 64 << 20);
    assert!(config.verify && config.poison);
    assert!(gc::statistics().minor > 0);
}

#[test]
fn identity_hashes_differ_in_their_low_and_high_bits() {
    on_a_thread(Config::default(), || {
        let hashes: Vec<u64> =
            (0..1_000).map(|id| gc::identity_hash(Pair::alloc(id, Any::null(), Any::null()).bits())).collect();
        for shift in [0, 54] {
            let mut parts: Vec<u64> = hashes.iter().map(|hash| hash >> shift & 1023).collect();
            parts.sort_unstable();
            parts.dedup();
            assert!(parts.len() > 500, "{} of 1024", parts.len());
        }
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Other collectors

/// Memory that is given back when the thread ends, and not before.
struct Arena {
    chunks: Vec<Box<[u64]>>,
    dropped: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Collector for Arena {
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory> {
        let mut chunk = vec![0u64; (bytes / 8).max(1 << 13)].into_boxed_slice();
        let range = chunk.as_mut_ptr_range();
        self.chunks.push(chunk);
        // SAFETY: new memory that only the window knows.
        unsafe { window.set(range.start as usize + bytes, range.end as usize) };
        Ok(range.start as usize)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.dropped.fetch_add(self.chunks.len(), std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn an_arena_may_take_the_collectors_place() {
    let dropped = std::sync::Arc::default();
    let arena = Arena { chunks: Vec::new(), dropped: std::sync::Arc::clone(&dropped) };
    std::thread::spawn(move || {
        gc::install(arena);
        let mut list = List::null();
        for value in 0..50_000 {
            list = List::alloc(value, list);
        }
        let table = Table::alloc(1, 100_000, Any::null());
        assert_eq!(table.items(99_999), Any::null());
        gc::collect();
        let mut expected = 50_000;
        while !list.is_null() {
            expected -= 1;
            assert_eq!(list.value(), expected);
            list = list.next();
        }
        assert_eq!(gc::statistics().major, 0);
    })
    .join()
    .unwrap();
    let dropped = dropped.load(std::sync::atomic::Ordering::Relaxed);
    assert!((19..30).contains(&dropped), "{dropped} chunks");
}

/// The simplest collector: each object is a box, found by its address; all of them are marked each time.
#[derive(Default)]
struct Boxes {
    /// By address: the memory, and whether it is marked.
    objects: std::collections::BTreeMap<usize, (Box<[u64]>, bool)>,
    since: usize,
    off: usize,
    major: u64,
}

impl RootSink for Boxes {
    fn value(&mut self, word: u64) {
        self.word(word);
    }
    fn word(&mut self, word: u64) {
        let address = (word & 0xFFFF_FFFF_FFFF) as usize;
        let mut waiting: Vec<usize> = Vec::new();
        let mark = |objects: &mut Self, address: usize, waiting: &mut Vec<usize>| {
            // A word may name the end of one object and the start of another.
            for (&start, (memory, marked)) in objects.objects.range_mut(..=address).rev().take(2) {
                if address <= start + memory.len() * 8 && !std::mem::replace(marked, true) {
                    waiting.push(start);
                }
            }
        };
        mark(self, address, &mut waiting);
        while let Some(address) = waiting.pop() {
            let words = self.objects[&address].0.clone();
            // All its words, as if nothing were known of its shape.
            for &word in words.iter() {
                mark(self, (word & 0xFFFF_FFFF_FFFF) as usize, &mut waiting);
            }
        }
    }
}

impl Collector for Boxes {
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory> {
        self.since += 1;
        if self.since > 500 {
            self.collect(Kind::Major, gc::Cause::Nursery, window);
        }
        let memory = vec![0u64; bytes / 8].into_boxed_slice();
        let address = memory.as_ptr() as usize;
        self.objects.insert(address, (memory, false));
        Ok(address)
    }
    fn collect(&mut self, _: Kind, _: gc::Cause, _: &Window) {
        if self.off > 0 {
            return;
        }
        self.since = 0;
        self.major += 1;
        for (_, marked) in self.objects.values_mut() {
            *marked = false;
        }
        gc::visit_roots(true, self);
        gc::after_marking(true, &mut |word| self.objects.get(&(word as usize)).is_none_or(|(_, marked)| *marked));
        self.objects.retain(|_, (_, marked)| *marked);
    }
    fn suspend(&mut self, off: bool) {
        self.off = if off { self.off + 1 } else { self.off - 1 };
    }
    fn statistics(&self) -> gc::Statistics {
        let mut statistics = gc::Statistics::default();
        statistics.major = self.major;
        statistics.used = self.objects.len();
        statistics
    }
}

#[test]
fn another_collector_may_take_the_built_in_ones_place() {
    std::thread::spawn(|| {
        gc::install(Boxes::default());
        random_graph(4_000_000_000, 3_000);
        let mut weak = Vec::new();
        for id in 0..100 {
            weak.push(hidden_pair(id).0);
        }
        clear_stack();
        gc::collect();
        let dead = weak.iter().filter(|weak| weak.is_dead()).count();
        assert!(dead > 95);
        let statistics = gc::statistics();
        assert!(statistics.major > 3 && statistics.used < 1_000);
    })
    .join()
    .unwrap();
}
