//! Random codes do the same in the evaluator and as machine code, at both qualities.
//!
//! A code is a loop of random operations on integers, floats, objects and words that may be either, with guards,
//! bridges, calls, allocations and stores. It is run by the evaluator and by both machines, each on its own copy of the same objects,
//! and all must leave in the same way with the same words and the same objects. Addresses differ between runs, so
//! nothing is computed from them; objects are compared as graphs. The heap collects at random and checks itself.
//!
//! `METAJIT_RANDOM=seed` runs one seed and prints its code; `METAJIT_RANDOM=first..last` runs several.
#![cfg(feature = "jit")]

use metajit::backend::{Arena, Compiler, Options, Quality};
use metajit::context::{Context, FINISH, PANICKED};
use metajit::gc::{self, Config, Root, RootRange, Stress};
use metajit::ir::code::{Block, BlockId, Code, End, Exit, ExitId};
use metajit::ir::eval::Evaluator;
use metajit::ir::tree::Portal;
use metajit::ir::{Arg, ArgRange, Aux, Callee, Class, Effect, Inst, Op, OpRef};
use metajit::object::{Field, Header, Kind, Object, Shape};
use metajit::prelude::*;
use metajit::word::Type;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An odd word is a number, an even one a node.
#[jit_word]
struct Value(u64);

#[jit_object]
struct Node {
    a: i64,
    flag: bool,
    next: Maybe<Node>,
    value: Value,
    f: f64,
    items: [Value],
}
#[jit_object]
struct Refs {
    a: i64,
    items: [Node],
}
#[jit_object]
struct I8s {
    items: [i8],
}
#[jit_object]
struct U8s {
    items: [u8],
}
#[jit_object]
struct I16s {
    items: [i16],
}
#[jit_object]
struct U16s {
    a: i64,
    items: [u16],
}
#[jit_object]
struct I32s {
    items: [i32],
}
#[jit_object]
struct U32s {
    items: [u32],
}
#[jit_object]
struct Floats {
    f: f64,
    items: [f64],
}

/// Every shape but `Node`; objects of them are made by the code alone.
fn shapes() -> [&'static Shape; 8] {
    [Refs::SHAPE, I8s::SHAPE, U8s::SHAPE, I16s::SHAPE, U16s::SHAPE, I32s::SHAPE, U32s::SHAPE, Floats::SHAPE]
}

static PORTAL: Portal = Portal { name: "random", greens: 0, reds: &[], virtualizable: None };

/// Every array has at least so many items, and nodes exactly so many.
const ITEMS: u64 = 4;

/// The words that a code finishes with.
const RESULTS: usize = 4;

thread_local! {
    /// The running code's context and word of validity, for the callees.
    static CONTEXT: Cell<*mut Context> = const { Cell::new(std::ptr::null_mut()) };
    static VALID: Cell<*const AtomicU64> = const { Cell::new(std::ptr::null()) };
}

extern "C" fn mix(a: u64, b: u64) -> u64 {
    a.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b
}
extern "C" fn several(a: u64, b: u64, c: u64, out: *mut u64) -> u64 {
    // SAFETY: the context's results.
    unsafe {
        *out = a.wrapping_add(b);
        *out.add(1) = b ^ c;
    }
    a.wrapping_sub(c)
}
extern "C" fn of_float(a: u64, b: u64) -> u64 {
    let sum = f64::from_bits(a) + b as i64 as f64;
    if sum.is_nan() { 7 } else { sum.to_bits() >> 40 }
}
extern "C" fn collects(kind: u64) -> u64 {
    match kind % 4 {
        0 => gc::collect(),
        _ => gc::collect_minor(),
    }
    kind.wrapping_add(1)
}
extern "C" fn changes(node: u64, a: u64) -> u64 {
    // SAFETY: the codes pass nodes.
    let node = unsafe { Node::from_bits_unchecked(node) };
    let old = node.a();
    node.set_a(a as i64);
    node.set_value(Value::from_bits(a << 1 | 1));
    old as u64
}
extern "C" fn may_panic(a: u64) -> u64 {
    if a.is_multiple_of(5) {
        // SAFETY: the running code's context.
        unsafe { (*CONTEXT.get()).panicked = 1 };
        return 0;
    }
    a / 3
}
extern "C" fn may_invalidate(a: u64) -> u64 {
    if a.is_multiple_of(3) {
        // SAFETY: the running code's word.
        unsafe { (*VALID.get()).store(0, Ordering::Relaxed) };
    }
    a
}
extern "C" fn many(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64) -> u64 {
    [a, b, c, d, e, f, g, h].into_iter().fold(0, mix_words)
}
fn mix_words(a: u64, b: u64) -> u64 {
    mix(a, b)
}

trait FromBits {
    /// The node at an address.
    unsafe fn from_bits_unchecked(bits: u64) -> Node;
}
impl FromBits for Node {
    unsafe fn from_bits_unchecked(bits: u64) -> Node {
        // SAFETY: the caller's contract.
        unsafe { Node::from_bits(bits) }
    }
}

const fn callee(name: &'static str, address: *const (), params: u8, results: u8, effect: Effect) -> Callee {
    Callee { name, address, params, results, effect, spread: None }
}
static MIX: Callee = callee("mix", mix as *const (), 2, 1, Effect::Elidable);
static SEVERAL: Callee = callee("several", several as *const (), 3, 3, Effect::Any);
static OF_FLOAT: Callee = callee("of_float", of_float as *const (), 2, 1, Effect::Elidable);
static COLLECTS: Callee = callee("collects", collects as *const (), 1, 1, Effect::Any);
static CHANGES: Callee = callee("changes", changes as *const (), 2, 1, Effect::Any);
static MAY_PANIC: Callee = callee("may_panic", may_panic as *const (), 1, 1, Effect::Any);
static MAY_INVALIDATE: Callee = callee("may_invalidate", may_invalidate as *const (), 1, 1, Effect::Any);
static MANY: Callee = callee("many", many as *const (), 8, 1, Effect::Any);

/// What a value is, beyond its register class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Int,
    Float,
    /// An object, never null.
    Object(&'static str),
    /// A [`Value`], or 0.
    Either,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % n
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
    fn int(&mut self) -> u64 {
        match self.below(6) {
            0 => self.of(&[0, 1, 2, u64::MAX, i64::MAX as u64, i64::MIN as u64, 63, 64]),
            1 => self.below(256) as u64,
            2 => (self.below(256) as u64).wrapping_neg(),
            3 => 1 << self.below(64),
            4 => self.0 as i32 as u64,
            _ => self.0,
        }
    }
    fn float(&mut self) -> u64 {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            2.5,
            1e18,
            1e300,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            i64::MAX as f64,
            u64::MAX as f64,
        ];
        match self.below(3) {
            0 => self.of(&special).to_bits(),
            1 => (self.below(4000) as f64 / 8.0 - 250.0).to_bits(),
            _ => (self.0 as i64 as f64).to_bits(),
        }
    }
}

/// Values that may be used where a block is.
#[derive(Clone, Default)]
struct Scope(Vec<(OpRef, Sort)>);

struct Generator {
    random: Random,
    code: Code,
    scope: Scope,
    block: usize,
    /// What the loop's parameters are.
    carried: Vec<Sort>,
    /// Counts down.
    counter: OpRef,
    bridges: usize,
    /// How many more switches there may be.
    switches: usize,
}

fn sort_of(field: &Field) -> Sort {
    match field.kind {
        Kind::F64 => Sort::Float,
        Kind::Ref => Sort::Object("Node"),
        Kind::Value => Sort::Either,
        _ => Sort::Int,
    }
}

impl Generator {
    fn push(&mut self, op: Op, args: &[Arg], aux: Aux) -> OpRef {
        let mut fixed = [Arg::Const(0); 3];
        fixed[..args.len()].copy_from_slice(args);
        self.code.insts.push(Inst { op, args: fixed, aux });
        OpRef(self.code.insts.len() as u32 - 1)
    }

    fn inst(&mut self, op: Op, args: &[Arg], aux: Aux) -> OpRef {
        let op = self.push(op, args, aux);
        self.code.blocks[self.block].insts.push(op);
        op
    }

    fn plain(&mut self, op: Op, args: &[Arg]) -> Arg {
        Arg::Op(self.inst(op, args, Aux::None))
    }

    fn add(&mut self, op: OpRef, sort: Sort) {
        self.scope.0.push((op, sort));
    }

    fn params(&mut self, sorts: &[Sort]) -> Vec<OpRef> {
        (0u32..)
            .zip(sorts)
            .map(|(i, &sort)| {
                let op = match sort {
                    Sort::Float => Op::FParam,
                    _ => Op::Param,
                };
                let op = self.push(op, &[], Aux::Index(i));
                self.add(op, sort);
                op
            })
            .collect()
    }

    fn new_block(&mut self, params: Vec<OpRef>) {
        self.block = self.code.blocks.len();
        self.code.blocks.push(Block { params, insts: Vec::new(), end: End::Finish(Vec::new()) });
    }

    /// A value of this sort, rather a recent one.
    fn value(&mut self, sort: Sort) -> Option<Arg> {
        let of_sort: Vec<OpRef> = self.scope.0.iter().filter(|v| v.1 == sort).map(|v| v.0).collect();
        let recent = &of_sort[of_sort.len().saturating_sub(6)..];
        let from = if self.random.one_in(3) { &of_sort[..] } else { recent };
        (!from.is_empty()).then(|| Arg::Op(self.random.of(from)))
    }

    fn int(&mut self) -> Arg {
        match self.value(Sort::Int) {
            Some(value) if !self.random.one_in(4) => value,
            _ => Arg::Const(self.random.int()),
        }
    }

    fn float(&mut self) -> Arg {
        match self.value(Sort::Float) {
            Some(value) if !self.random.one_in(5) => value,
            _ => Arg::Const(self.random.float()),
        }
    }

    /// A word that may be a number or a node.
    fn either(&mut self) -> Arg {
        match self.random.below(3) {
            0 => self.value(Sort::Either).unwrap_or(Arg::Const(9)),
            1 => self.value(Sort::Object("Node")).unwrap_or(Arg::Const(5)),
            _ => {
                let a = self.int();
                let twice = self.plain(Op::Shl, &[a, Arg::Const(1)]);
                self.plain(Op::Or, &[twice, Arg::Const(1)])
            }
        }
    }

    fn of(&mut self, sort: Sort) -> Arg {
        match sort {
            Sort::Int => self.int(),
            Sort::Float => self.float(),
            Sort::Either => self.either(),
            Sort::Object(_) => self.value(sort).expect("a node is always there"),
        }
    }

    fn exit(&mut self) -> u32 {
        let mut slots: Vec<OpRef> = Vec::new();
        // Most exits hand over what the one before did, and something more.
        if let Some(last) = self.code.exits.last()
            && !self.random.one_in(4)
        {
            let known = |op: &OpRef| self.scope.0.iter().any(|v| v.0 == *op);
            slots.extend(self.code.details[last.slots].iter().take_while(|op| known(op)));
        }
        for _ in 0..self.random.below(5) {
            let of = self.scope.0.len();
            let i = of - 1 - self.random.below(of.min(10));
            slots.push(self.scope.0[i].0);
        }
        let slots = self.code.details.add(slots);
        self.code.exits.push(Exit { slots, ..Exit::default() });
        self.code.exits.len() as u32 - 1
    }

    fn guard(&mut self, op: Op, args: &[Arg]) {
        let exit = self.exit();
        self.inst(op, args, Aux::Index(exit));
        if self.bridges > 0 && self.random.one_in(5) {
            self.bridges -= 1;
            let id = BlockId(self.code.blocks.len() as u32);
            self.code.exits[exit as usize] = Exit { bridge: Some(id), ..Exit::default() };
            let (block, scope) = (self.block, self.scope.clone());
            self.new_block(Vec::new());
            let ops = self.random.below(15);
            self.body(ops);
            self.end();
            (self.block, self.scope) = (block, scope);
        }
    }

    /// A guard that mostly holds.
    fn random_guard(&mut self) {
        let a = self.int();
        match self.random.below(7) {
            0 => {
                let low = self.plain(Op::And, &[a, Arg::Const(7)]);
                let value = self.random.below(8) as u64;
                let differs = self.plain(Op::Ne, &[low, Arg::Const(value)]);
                self.guard(Op::GuardTrue, &[differs]);
            }
            1 => {
                let x = self.float();
                let y = self.float();
                let op = self.random.of(&[Op::Feq, Op::Flt]);
                let holds = self.plain(op, &[x, y]);
                self.guard(Op::GuardFalse, &[holds]);
            }
            2 => {
                let b = self.int();
                let op = self.random.of(&[Op::AddOvf, Op::SubOvf, Op::MulOvf, Op::UmulOvf]);
                let overflow = self.plain(op, &[a, b]);
                self.guard(Op::GuardFalse, &[overflow]);
                let arithmetic = match op {
                    Op::AddOvf => Op::Add,
                    Op::SubOvf => Op::Sub,
                    _ => Op::Mul,
                };
                let result = self.inst(arithmetic, &[b, a], Aux::None);
                self.add(result, Sort::Int);
                let result = self.inst(arithmetic, &[a, b], Aux::None);
                self.add(result, Sort::Int);
            }
            3 => {
                let low = self.plain(Op::Ushr, &[a, Arg::Const(61)]);
                let value = self.random.below(8) as u64;
                let equal = self.plain(Op::Eq, &[low, Arg::Const(value)]);
                self.guard(Op::GuardValue, &[equal, Arg::Const(0)]);
            }
            4 => self.guard(Op::GuardValid, &[]),
            5 => {
                let stopped = self.inst(Op::Stopped, &[], Aux::None);
                self.add(stopped, Sort::Int);
                self.guard(Op::GuardFalse, &[Arg::Op(stopped)]);
            }
            _ => {
                let b = self.int();
                let op = self.random.of(&[Op::Lt, Op::Ult, Op::Le, Op::Ule]);
                let less = self.plain(op, &[a, b]);
                let op = self.random.of(&[Op::GuardTrue, Op::GuardFalse]);
                self.guard(op, &[less]);
            }
        }
    }

    fn pure(&mut self) {
        let op = self.random.of(Op::ALL);
        let info = op.info();
        if info.class != Class::Pure || op == Op::ResultWord {
            return;
        }
        let mut args: Vec<Arg> = info
            .operands
            .iter()
            .map(|ty| match ty {
                Type::Int => self.int(),
                Type::Float => self.float(),
            })
            .collect();
        match op {
            Op::Div | Op::Rem | Op::Udiv | Op::Urem => {
                args[1] = if self.random.one_in(2) {
                    Arg::Const(2 + self.random.below(1000) as u64)
                } else {
                    let low = self.plain(Op::And, &[args[1], Arg::Const(0xff)]);
                    self.plain(Op::Or, &[low, Arg::Const(1)])
                };
            }
            // The bits of a NaN are not the same in all engines.
            Op::FloatBits => {
                let bits = self.plain(op, &[args[0]]);
                let ordered = self.plain(Op::Feq, &[args[0], args[0]]);
                let mask = self.plain(Op::Sub, &[Arg::Const(0), ordered]);
                let bits = self.inst(Op::And, &[bits, mask], Aux::None);
                self.add(bits, Sort::Int);
                return;
            }
            _ => {}
        }
        let result = self.inst(op, &args, Aux::None);
        let sort = match info.result {
            Some(Type::Float) => Sort::Float,
            _ => Sort::Int,
        };
        self.add(result, sort);
    }

    fn object(&mut self) -> (Arg, &'static Shape) {
        if self.random.one_in(2) {
            let shape = self.random.of(&shapes());
            if let Some(object) = self.value(Sort::Object(shape.name)) {
                return (object, shape);
            }
        }
        (self.of(Sort::Object("Node")), Node::SHAPE)
    }

    fn loaded(&mut self, op: OpRef, field: &Field) {
        if field.kind == Kind::Ref {
            self.guard(Op::GuardTrue, &[Arg::Op(op)]);
        }
        self.add(op, sort_of(field));
    }

    fn memory(&mut self) {
        let (object, shape) = self.object();
        let array = shape.array.expect("every shape has an array");
        let store = self.random.one_in(2);
        if !shape.fields.is_empty() && self.random.one_in(2) {
            let field = &shape.fields[self.random.below(shape.fields.len())];
            if store {
                let mut value = self.of(sort_of(field));
                if field.kind == Kind::U8 {
                    value = self.plain(Op::Ne, &[value, Arg::Const(0)]);
                }
                self.inst(Op::Store, &[object, value], Aux::Field(field));
            } else {
                let op = self.inst(Op::Load, &[object], Aux::Field(field));
                self.loaded(op, field);
            }
            return;
        }
        let index = match self.random.below(3) {
            0 => Arg::Const(self.random.below(ITEMS as usize) as u64),
            1 => {
                let a = self.int();
                self.plain(Op::And, &[a, Arg::Const(ITEMS - 1)])
            }
            _ => {
                let len = self.inst(Op::Len, &[object], Aux::Field(array));
                self.add(len, Sort::Int);
                let a = self.int();
                self.plain(Op::Urem, &[a, Arg::Op(len)])
            }
        };
        if store {
            let value = self.of(sort_of(array));
            self.inst(Op::StoreItem, &[object, index, value], Aux::Field(array));
        } else {
            let op = self.inst(Op::LoadItem, &[object, index], Aux::Field(array));
            self.loaded(op, array);
        }
    }

    /// Several stores to one node in a row, as when a frame is written back.
    fn write_back(&mut self) {
        let node = self.of(Sort::Object("Node"));
        let array = Node::SHAPE.array.expect("a node has items");
        let stores: Vec<(Arg, Arg)> = (0..2 + self.random.below(3))
            .map(|_| (Arg::Const(self.random.below(ITEMS as usize) as u64), self.either()))
            .collect();
        for (index, value) in stores {
            self.inst(Op::StoreItem, &[node, index, value], Aux::Field(array));
        }
    }

    fn allocate(&mut self) {
        let shape = if self.random.one_in(2) { Node::SHAPE } else { self.random.of(&shapes()) };
        let array = shape.array.expect("every shape has an array");
        let len = match self.random.below(6) {
            _ if shape.name == "Node" => Arg::Const(ITEMS),
            0 => Arg::Const(ITEMS + self.random.below(40) as u64),
            1 => Arg::Const(2000 + self.random.below(5000) as u64),
            2 => {
                let a = self.int();
                let low = self.plain(Op::And, &[a, Arg::Const(63)]);
                self.plain(Op::Add, &[low, Arg::Const(ITEMS)])
            }
            _ => Arg::Const(ITEMS),
        };
        let fill = match sort_of(array) {
            _ if self.random.one_in(2) => Arg::Const(0),
            Sort::Float => Arg::Const(self.random.float()),
            sort => self.of(sort),
        };
        let op = self.inst(Op::New, &[len, fill], Aux::Shape(shape));
        self.add(op, Sort::Object(shape.name));
        if shape.name == "Node" && self.random.one_in(2) {
            let next = self.of(Sort::Object("Node"));
            let field = &shape.fields[2];
            self.inst(Op::Store, &[Arg::Op(op), next], Aux::Field(field));
        }
    }

    fn call(&mut self) {
        let callee =
            self.random.of(&[&MIX, &SEVERAL, &OF_FLOAT, &COLLECTS, &CHANGES, &MAY_PANIC, &MAY_INVALIDATE, &MANY]);
        let mut args: Vec<Arg> = (0..callee.params).map(|_| self.int()).collect();
        match callee.name {
            "of_float" => args[0] = self.float(),
            "changes" => args[0] = self.of(Sort::Object("Node")),
            _ => {}
        }
        let range = ArgRange { start: self.code.args.len() as u32, len: args.len() as u32 };
        self.code.args.extend(args);
        let first = self.inst(Op::Call, &[], Aux::Call(callee, range));
        self.add(first, Sort::Int);
        for word in 1..callee.results {
            let op = self.inst(Op::ResultWord, &[], Aux::Index(word.into()));
            self.add(op, Sort::Int);
        }
    }

    /// Finds out what a word is that may be a number or a node.
    fn unpack(&mut self) {
        let Some(word) = self.value(Sort::Either) else {
            return;
        };
        let number = self.plain(Op::And, &[word, Arg::Const(1)]);
        if self.random.one_in(2) {
            self.guard(Op::GuardTrue, &[number]);
            let payload = self.inst(Op::Shr, &[word, Arg::Const(1)], Aux::None);
            self.add(payload, Sort::Int);
        } else {
            self.guard(Op::GuardFalse, &[number]);
            self.guard(Op::GuardTrue, &[word]);
            let Arg::Op(word) = word else { return };
            self.add(word, Sort::Object("Node"));
        }
    }

    /// Ends the block by a choice between others; goes on in one of them.
    fn switch(&mut self) {
        let ways = if self.random.one_in(3) { 3 + self.random.below(50) } else { 1 + self.random.below(5) };
        let (mask, factor) = (63, if self.random.one_in(2) { 1 } else { self.random.int() | 1 });
        let a = self.int();
        let low = self.plain(Op::And, &[a, Arg::Const(mask)]);
        let value = self.plain(Op::Mul, &[low, Arg::Const(factor)]);
        let (block, first) = (self.block, self.code.blocks.len());
        let others = 1 + self.random.below(3);
        let scope = self.scope.clone();
        for other in 0..=others {
            self.scope = scope.clone();
            self.new_block(Vec::new());
            if other < others {
                if self.random.one_in(2) {
                    let ops = self.random.below(6);
                    self.straight(ops);
                    self.end();
                } else {
                    let exit = self.exit();
                    self.code.blocks[self.block].end = End::Exit(ExitId(exit));
                }
            }
        }
        let mut target = || BlockId((first + self.random.below(others + 1)) as u32);
        let cases: Vec<_> = (0..ways as u64).map(|way| (way.wrapping_mul(factor), target())).collect();
        let otherwise = BlockId((first + others) as u32);
        self.code.blocks[block].end = End::Switch { value, cases, otherwise };
    }

    /// Instructions that are no guards with bridges and no switches.
    fn straight(&mut self, ops: usize) {
        let (bridges, switches) = (std::mem::take(&mut self.bridges), std::mem::take(&mut self.switches));
        self.body(ops);
        (self.bridges, self.switches) = (bridges, switches);
    }

    fn body(&mut self, ops: usize) {
        for _ in 0..ops {
            if self.switches > 0 && self.random.one_in(12) {
                self.switches -= 1;
                self.switch();
            }
            match self.random.below(20) {
                0..8 => self.pure(),
                8..12 => self.memory(),
                12..15 => self.random_guard(),
                15..17 => self.allocate(),
                17 => self.call(),
                18 => self.write_back(),
                _ => self.unpack(),
            }
        }
    }

    /// Ends the current block: mostly around the loop.
    fn end(&mut self) {
        let end = match self.random.below(8) {
            0 => {
                let words = (0..RESULTS).map(|_| self.int()).collect();
                End::Finish(words)
            }
            1 => End::Exit(ExitId(self.exit())),
            _ => {
                let counter = Arg::Op(self.counter);
                let less = self.plain(Op::Sub, &[counter, Arg::Const(1)]);
                let mut args = vec![less];
                for sort in self.carried.clone().into_iter().skip(1) {
                    args.push(self.of(sort));
                }
                End::Jump(BlockId(1), args)
            }
        };
        self.code.blocks[self.block].end = end;
    }
}

fn generate(seed: u64) -> Code {
    let node = Sort::Object("Node");
    let carried = vec![Sort::Int, Sort::Int, Sort::Int, Sort::Int, Sort::Float, Sort::Float, node, node, Sort::Either];
    let mut generator = Generator {
        random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        code: Code::new(&PORTAL),
        scope: Scope::default(),
        block: 0,
        carried: carried.clone(),
        counter: OpRef(0),
        bridges: 0,
        switches: 0,
    };
    let entry = generator.params(&carried);
    generator.new_block(entry.clone());
    generator.code.blocks[0].end = End::Jump(BlockId(1), entry.into_iter().map(Arg::Op).collect());
    generator.scope = Scope::default();
    let params = generator.params(&carried);
    generator.counter = params[0];
    generator.new_block(params);
    let more = generator.plain(Op::Lt, &[Arg::Const(0), Arg::Op(generator.counter)]);
    generator.guard(Op::GuardTrue, &[more]);
    // Only from here on: the loop must end.
    generator.bridges = 4;
    generator.switches = 3;
    let ops = 5 + generator.random.below(60);
    generator.body(ops);
    generator.end();
    generator.code
}

/// What a run began with.
struct Input {
    words: [u64; 4],
    floats: [u64; 2],
    numbers: Vec<u64>,
}

/// Two nodes that name each other, and the words for the entry.
fn objects(input: &Input) -> [Root<Node>; 2] {
    let number = |i: usize| Value::from_bits(input.numbers[i] << 1 | 1);
    let make = |i: usize| {
        let float = f64::from_bits(input.floats[i]);
        let a = input.numbers[i] as i64;
        let node = Node::alloc(a, i == 0, Maybe::none(), number(i), float, ITEMS as i64, number(2));
        Root::new(node)
    };
    let nodes = [make(0), make(1)];
    nodes[0].get().set_next(Maybe::some(nodes[1].get()));
    nodes[0].get().set_items(1, Value::from_bits(nodes[0].get().bits()));
    nodes
}

/// How a run ended.
struct Outcome {
    how: u64,
    /// What the words name must live until it is compared.
    _roots: RootRange,
    words: Box<[Cell<u64>]>,
    nodes: [Root<Node>; 2],
}

fn run(code: &Code, input: &Input, run: impl FnOnce(*mut Context, &AtomicU64) -> u64) -> Outcome {
    let valid = AtomicU64::new(1);
    run_valid(code, input, &valid, run)
}

fn run_valid(
    code: &Code,
    input: &Input,
    valid: &AtomicU64,
    run: impl FnOnce(*mut Context, &AtomicU64) -> u64,
) -> Outcome {
    let nodes = objects(input);
    let mut context = Box::<Context>::default();
    context.slots[..4].copy_from_slice(&input.words);
    context.slots[4..6].copy_from_slice(&input.floats);
    context.slots[6] = nodes[0].get().bits();
    context.slots[7] = nodes[1].get().bits();
    context.slots[8] = nodes[1].get().bits();
    CONTEXT.set(&mut *context);
    VALID.set(valid);
    let how = run(&mut *context, valid);
    let words = match how {
        FINISH => &context.results[..RESULTS],
        PANICKED => &[],
        exit => &context.slots[..code.exits[exit as usize].slots.len()],
    };
    let words: Box<[Cell<u64>]> = words.iter().copied().map(Cell::new).collect();
    // SAFETY: the words live as long as the range, at the same place.
    let roots = unsafe { RootRange::new(words.as_ptr().cast(), words.len()) };
    Outcome { how, _roots: roots, words, nodes }
}

/// Whether two words of two runs mean the same, objects being compared as graphs.
struct Comparison(HashMap<u64, u64>);

impl Comparison {
    fn number(&self, a: u64, b: u64) -> bool {
        a == b
    }
    fn float(&self, a: u64, b: u64) -> bool {
        a == b || f64::from_bits(a).is_nan() && f64::from_bits(b).is_nan()
    }
    fn word(&mut self, kind: Kind, a: u64, b: u64) -> bool {
        match kind {
            Kind::F64 => self.float(a, b),
            Kind::Ref => self.object(a, b),
            Kind::Value if a & 1 == 0 && b & 1 == 0 => self.object(a, b),
            _ => self.number(a, b),
        }
    }
    fn object(&mut self, a: u64, b: u64) -> bool {
        if a == 0 || b == 0 {
            return a == b;
        }
        if let Some(&other) = self.0.get(&a) {
            return other == b;
        }
        self.0.insert(a, b);
        let shape = |at: u64| {
            // SAFETY: an object's address.
            let id = unsafe { (*(at as *const Header)).shape };
            Shape::by_id(id).expect("an object")
        };
        if !std::ptr::eq(shape(a), shape(b)) {
            return false;
        }
        let shape = shape(a);
        let read = |at: u64, offset: u32| {
            // SAFETY: a scalar field or the length of the array of an object of the shape.
            unsafe { *((at + u64::from(offset)) as *const u64) }
        };
        for field in shape.fields {
            if !self.word(field.kind, read(a, field.offset), read(b, field.offset)) {
                return false;
            }
        }
        let array = shape.array.expect("every shape has an array");
        let len = read(a, array.offset - 8);
        if len != read(b, array.offset - 8) {
            return false;
        }
        let item = |at: u64, i: usize| {
            let items = (at + u64::from(array.offset)) as *const u8;
            // SAFETY: the index is in bounds.
            unsafe { metajit::ir::eval::load_item(items, array.kind, i) }
        };
        (0..len as usize).all(|i| self.word(array.kind, item(a, i), item(b, i)))
    }
}

fn same(code: &Code, sorts: &HashMap<OpRef, Sort>, a: &Outcome, b: &Outcome) -> Result<(), String> {
    if a.how != b.how {
        return Err(format!("left by {:x} and by {:x}", a.how, b.how));
    }
    let mut comparison = Comparison(HashMap::new());
    for (i, (x, y)) in a.words.iter().zip(&b.words).enumerate() {
        let (x, y) = (x.get(), y.get());
        let sort = match a.how {
            FINISH => Sort::Int,
            exit => sorts[&code.slots(ExitId(exit as u32))[i]],
        };
        let equal = match sort {
            Sort::Int => comparison.number(x, y),
            Sort::Float => comparison.float(x, y),
            Sort::Object(_) => comparison.object(x, y),
            Sort::Either => comparison.word(Kind::Value, x, y),
        };
        if !equal {
            return Err(format!("exit {:x}, word {i}: {x:x} and {y:x}", a.how));
        }
    }
    for (x, y) in a.nodes.iter().zip(&b.nodes) {
        if !comparison.object(x.get().bits(), y.get().bits()) {
            return Err(format!("left by {:x} with different objects", a.how));
        }
    }
    Ok(())
}

/// What each value is, computed again from the code: an integer unless it says otherwise.
fn sorts(code: &Code) -> HashMap<OpRef, Sort> {
    let mut sorts = HashMap::new();
    for (i, inst) in (0u32..).zip(&code.insts) {
        let sort = match (inst.op, inst.aux) {
            (Op::Param, Aux::Index(6 | 7)) => Sort::Object("Node"),
            (Op::Param, Aux::Index(8)) => Sort::Either,
            (Op::Load | Op::LoadItem, Aux::Field(field)) => sort_of(field),
            (Op::New, Aux::Shape(shape)) => Sort::Object(shape.name),
            _ if inst.result() == Some(Type::Float) => Sort::Float,
            _ => Sort::Int,
        };
        sorts.insert(OpRef(i), sort);
    }
    sorts
}

fn try_seed(seed: u64, compiler: &mut Compiler) -> Result<u64, String> {
    let code = generate(seed);
    if std::env::var("METAJIT_RANDOM").is_ok_and(|seed| !seed.contains("..")) {
        println!("{}", metajit::ir::print::code(&code, Default::default()));
    }
    let sorts = sorts(&code);
    let valid = [1, 1].map(|word| Arc::new(AtomicU64::new(word)));
    let mut random = Random(seed | 1);
    let machines = [Quality::Quick, Quality::Full].map(|quality| {
        let mut options = Options::new(quality);
        options.valid = Some(valid[quality as usize].clone());
        compiler.compile(&code, &options)
    });
    let mut ways = 0;
    for _ in 0..3 {
        let input = Input {
            words: [random.below(9) as u64, random.int(), random.int(), random.int()],
            floats: [random.float(), random.float()],
            numbers: (0..3).map(|_| random.int()).collect(),
        };
        let expected = run(&code, &input, |context, valid| {
            // SAFETY: the context is valid, and the callees are as declared.
            unsafe {
                let mut evaluator = Evaluator::new(&code, valid);
                evaluator.fuel = 100_000;
                evaluator.run(context)
            }
        });
        ways = ways.max(expected.how);
        for (machine, valid) in machines.iter().zip(&valid) {
            let machine = machine.as_ref().map_err(ToString::to_string)?;
            valid.store(1, Ordering::Relaxed);
            let actual = run_valid(&code, &input, valid, |context, _| {
                // SAFETY: the context holds the reds, and the objects are rooted.
                unsafe { machine.entry()(context) }
            });
            same(&code, &sorts, &expected, &actual).map_err(|error| format!("{:?}: {error}", machine.quality()))?;
        }
    }
    Ok(ways)
}

/// Names the seed when something panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("METAJIT_RANDOM={}", self.0);
        }
    }
}

#[test]
fn random_codes_run_as_evaluated() {
    gc::configure(Config { stress: Stress::OneIn(60), verify: true, poison: true, ..Config::default() });
    let arena = Arena::new(4 << 20).expect("executable memory");
    let mut compiler = Compiler::new(arena.clone()).expect("a compiler");
    let seeds = match std::env::var("METAJIT_RANDOM") {
        Ok(seed) => {
            let number = |text: &str| text.parse::<u64>().expect("a seed");
            match seed.split_once("..") {
                Some((first, last)) => number(first)..number(last),
                None => number(&seed)..number(&seed) + 1,
            }
        }
        Err(_) => {
            let count = std::env::var("METAJIT_RANDOM_COUNT").map(|n| n.parse().expect("a number"));
            0..count.unwrap_or(400)
        }
    };
    for seed in seeds {
        let _named = Named(seed);
        if let Err(error) = try_seed(seed, &mut compiler) {
            panic!("seed {seed}: {error}");
        }
    }
    drop(compiler);
    assert_eq!(arena.used(), 0);
}
