//! Random trees do the same however they are optimized.
//!
//! A tree is made as a recorder would make one: instructions at random, guards with snapshots, inlined portal calls, merge
//! points that declare frame slots dead, frames that are given away with a call or came so (and are passed by what they hold).
//! Guards that fail at once are turned round until the recorded path is taken; where other inputs leave, bridges are added.
//! Then the tree is compiled with all stages off, with all on, and with random ones, and everything is run by the evaluator
//! on the same inputs. What leaves must be the same: the guard, what replay
//! is given, and every object that can be reached.
//!
//! `METAJIT_RANDOM=first..last` runs these seeds instead of the usual ones.
#![cfg(feature = "jit")]

use metajit::context::{Context, FINISH};
use metajit::gc;
use metajit::ir::code::{Code, Details, End, Exit, Place, Recipe, ResumeStep};
use metajit::ir::eval::Evaluator;
use metajit::ir::tree::{
    Fragment, FragmentId, Guard, GuardId, LogEntry, LogId, LogNode, Portal, Snapshot, Tree, TreeEnd,
};
use metajit::ir::{Arg, ArgRange, Aux, Inst, Op, OpRef};
use metajit::object::{Header, Shape};
use metajit::opt::{Options, attach_all, optimize};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use world::*;

#[path = "opt_random/world.rs"]
mod world;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    fn constant(&mut self) -> u64 {
        match self.below(8) {
            0 | 1 => self.below(4),
            2 => self.below(4).wrapping_neg(),
            3 => BOX + self.below(20),
            4 => self.one(&[BOX, TAG, DOUBLE, 1 << 50, 1 << 51, BOX.wrapping_neg(), TAG.wrapping_neg()]),
            5 => self.one(&[0xff, 0xffff, 0xffff_ffff, 1 << 63, i64::MAX as u64, 1 << 47, 7, 8, 63]),
            6 => DOUBLE.wrapping_add((self.below(100) as f64 / 4.0).to_bits()),
            _ => self.next(),
        }
    }
}

/// What a frame is to the generator.
#[derive(Clone)]
struct Activation {
    frame: Arg,
    portal: &'static Portal,
    /// The log node that the next merge point hangs from.
    base: Option<LogId>,
    /// Temporaries written since the last merge point.
    written: BTreeSet<u64>,
    live: u32,
}

/// The values at hand at a place of a trace.
#[derive(Clone)]
struct Scope {
    words: Vec<Arg>,
    bools: Vec<Arg>,
    floats: Vec<Arg>,
    pairs: Vec<Arg>,
    vectors: Vec<Arg>,
    node: LogId,
    activations: Vec<Activation>,
    /// What a chain of guards tests, which bridges of them go on with.
    chosen: Option<Arg>,
}

struct Generator {
    random: Random,
    tree: Tree,
    scope: Scope,
    fragment: FragmentId,
    /// What was at hand at each guard.
    scopes: Vec<Scope>,
    limit: u64,
}

impl Generator {
    fn new(seed: u64) -> Generator {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        let mut tree = Tree::new(&MAIN, vec![7]);
        tree.spread = random.chance(30).then_some(&ROOT_SPREAD);
        let scope = Scope {
            words: vec![],
            bools: vec![],
            floats: vec![Arg::Const(1.5f64.to_bits())],
            pairs: vec![],
            vectors: vec![],
            node: LogId(0),
            activations: vec![],
            chosen: None,
        };
        let limit = 2 + random.below(8);
        Generator { random, tree, scope, fragment: FragmentId(0), scopes: Vec::new(), limit }
    }

    fn push(&mut self, op: Op, args: &[Arg], aux: Aux) -> Arg {
        let mut fixed = [Arg::Const(0); 3];
        fixed[..args.len()].copy_from_slice(args);
        self.tree.insts.push(Inst { op, args: fixed, aux });
        Arg::Op(OpRef(self.tree.insts.len() as u32 - 1))
    }
    fn pure(&mut self, op: Op, args: &[Arg]) -> Arg {
        self.push(op, args, Aux::None)
    }
    fn run(&mut self, args: &[Arg]) -> ArgRange {
        let start = self.tree.args.len() as u32;
        self.tree.args.extend_from_slice(args);
        ArgRange { start, len: args.len() as u32 }
    }
    fn node(&mut self, parent: Option<LogId>, entry: LogEntry) -> LogId {
        self.tree.log.push(LogNode { parent, entry });
        LogId(self.tree.log.len() as u32 - 1)
    }
    fn event(&mut self, words: &[Arg]) {
        let words = self.run(words);
        let entry = if self.random.chance(80) { LogEntry::Words(words) } else { LogEntry::Collapsed(words) };
        self.scope.node = self.node(Some(self.scope.node), entry);
    }
    fn snapshot(&mut self) -> Snapshot {
        Snapshot { node: self.scope.node, ticks: self.random.below(5) as u32 }
    }
    fn guard(&mut self, op: Op, args: &[Arg]) {
        let id = self.tree.guards.len() as u32;
        let inst = self.push(op, args, Aux::Index(id));
        let Arg::Op(inst) = inst else { unreachable!() };
        let snapshot = self.snapshot();
        self.tree.guards.push(Guard { inst, snapshot, fragment: self.fragment });
        self.scopes.push(self.scope.clone());
    }
    fn merge(&mut self) {
        let index = self.scope.activations.len() - 1;
        let live = TEMPS.start as u32 + self.random.below(3) as u32;
        let root = index == 0;
        let activation = self.scope.activations[index].clone();
        let mut reds = vec![activation.frame];
        if root {
            let word = self.word();
            reds.push(if self.tree.log.is_empty() { Arg::Op(OpRef(1)) } else { word });
        }
        // What a slot at or above `live` holds is dead; above what is live, only what is written again may be read.
        let live = live
            .min((0..).find(|&slot| slot >= TEMPS.start && !activation.written.contains(&slot)).unwrap_or(6) as u32);
        let greens = if self.tree.log.is_empty() { 7 } else { self.random.below(100) };
        let (greens, reds) = (self.run(&[Arg::Const(greens)]), self.run(&reds));
        let entry = LogEntry::Merge { portal: activation.portal, greens, reds, live };
        let node = self.node(activation.base, entry);
        self.scope.node = node;
        let activation = &mut self.scope.activations[index];
        activation.live = live;
        activation.written.retain(|&slot| slot < u64::from(live));
        self.push(Op::Merge, &[], Aux::Index(node.0));
    }

    fn word(&mut self) -> Arg {
        if self.scope.words.is_empty() || self.random.chance(25) {
            Arg::Const(self.random.constant())
        } else if self.random.chance(50) {
            self.scope.words
                [self.scope.words.len() - 1 - self.random.below(self.scope.words.len().min(4) as u64) as usize]
        } else {
            let words = self.scope.words.clone();
            self.random.one(&words)
        }
    }
    fn float(&mut self) -> Arg {
        let floats = self.scope.floats.clone();
        self.random.one(&floats)
    }
    fn pair(&mut self) -> Arg {
        let pairs = self.scope.pairs.clone();
        self.random.one(&pairs)
    }
    fn any(&mut self) -> Arg {
        match self.random.below(4) {
            0 if !self.scope.pairs.is_empty() => self.pair(),
            1 if !self.scope.vectors.is_empty() => {
                let vectors = self.scope.vectors.clone();
                self.random.one(&vectors)
            }
            2 => self.float(),
            _ => self.word(),
        }
    }

    fn load_slot(&mut self, slot: u64) -> Arg {
        let frame = self.scope.activations.last().unwrap().frame;
        self.push(Op::LoadItem, &[frame, Arg::Const(slot)], Aux::Field(&SLOTS))
    }
    fn store_slot(&mut self, slot: u64, value: Arg) {
        let activation = self.scope.activations.last_mut().unwrap();
        activation.written.insert(slot);
        let frame = activation.frame;
        self.push(Op::StoreItem, &[frame, Arg::Const(slot), value], Aux::Field(&SLOTS));
    }
    /// An index below a power of two that is not known when the tree is made.
    fn unknown_index(&mut self, limit: u64) -> Arg {
        let word = self.word();
        self.pure(Op::And, &[word, Arg::Const(limit - 1)])
    }

    /// Guards that tell what a word is, one after the other; now and then something is computed between them.
    fn choose(&mut self) {
        let subject = self.scope.chosen.expect("something has been chosen");
        for _ in 0..1 + self.random.below(4) {
            let constant = Arg::Const(self.random.below(8));
            match self.random.below(5) {
                0 => self.guard(Op::GuardValue, &[subject, constant]),
                1 => self.guard(Op::GuardTrue, &[subject]),
                choice => {
                    let op = self.random.one(&[Op::Eq, Op::Ne]);
                    let test = self.pure(op, &[subject, constant]);
                    self.guard(if choice == 2 { Op::GuardTrue } else { Op::GuardFalse }, &[test]);
                }
            }
            if self.random.chance(20) {
                let args = [self.word(), self.word()];
                let val = self.pure(Op::Xor, &args);
                self.scope.words.push(val);
            }
        }
        if self.random.chance(30) {
            self.scope.chosen = None;
        }
    }

    fn step(&mut self) {
        let field = |name: &str| PAIR_FIELDS.iter().find(|field| field.name == name).unwrap();
        match self.random.below(46) {
            0..=5 => {
                let op = self.random.one(&[Op::Add, Op::Sub, Op::Add, Op::Mul, Op::And, Op::Or, Op::Xor]);
                let args = [self.word(), self.word()];
                let val = self.pure(op, &args);
                self.scope.words.push(val);
            }
            6 => {
                let op = self.random.one(&[Op::Shl, Op::Shr, Op::Ushr, Op::Rotl]);
                let args = [self.word(), Arg::Const(self.random.below(64))];
                let val = self.pure(op, &args);
                self.scope.words.push(val);
            }
            7 => {
                let op = self.random.one(&[
                    Op::Sext8,
                    Op::Sext16,
                    Op::Sext32,
                    Op::Zext8,
                    Op::Zext16,
                    Op::Zext32,
                    Op::Clz,
                    Op::Ctz,
                    Op::Popcnt,
                ]);
                let arg = self.word();
                let val = self.pure(op, &[arg]);
                self.scope.words.push(val);
            }
            8 => {
                let op = self.random.one(&[Op::Div, Op::Rem, Op::Udiv, Op::Urem]);
                let divisor = self.random.one(&[1, 2, 3, 8, 10, 1 << 20]);
                let arg = self.word();
                let val = self.pure(op, &[arg, Arg::Const(divisor)]);
                self.scope.words.push(val);
            }
            9..=12 => {
                let op = self.random.one(&[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Ult, Op::Ule]);
                let args = [self.word(), self.word()];
                let val = self.pure(op, &args);
                self.scope.bools.push(val);
                if self.random.chance(20) {
                    self.scope.words.push(val);
                }
                if self.random.chance(60) {
                    let op = self.random.one(&[Op::GuardTrue, Op::GuardFalse]);
                    self.guard(op, &[val]);
                }
            }
            13..=15 => {
                // Test and unbox, box again after some arithmetic.
                let word = self.word();
                let tag = self.pure(Op::Sub, &[word, Arg::Const(TAG)]);
                let test = self.pure(Op::Ult, &[tag, Arg::Const(1 << 51)]);
                self.guard(Op::GuardTrue, &[test]);
                let int = self.pure(Op::Sub, &[word, Arg::Const(BOX)]);
                self.scope.words.push(int);
                let other = self.word();
                let op = self.random.one(&[Op::Add, Op::Sub]);
                let sum = self.pure(op, &[int, other]);
                if self.random.chance(50) {
                    let moved = self.pure(Op::Add, &[sum, Arg::Const(1 << 50)]);
                    let test = self.pure(Op::Ult, &[moved, Arg::Const(1 << 51)]);
                    self.guard(Op::GuardTrue, &[test]);
                } else {
                    let op = if op == Op::Add { Op::AddOvf } else { Op::SubOvf };
                    let test = self.pure(op, &[int, other]);
                    self.guard(Op::GuardFalse, &[test]);
                }
                let boxed = self.pure(Op::Add, &[sum, Arg::Const(BOX)]);
                self.scope.words.extend([sum, boxed]);
            }
            16 => {
                let word = self.word();
                let test = self.pure(Op::Ule, &[Arg::Const(DOUBLE), word]);
                self.guard(Op::GuardTrue, &[test]);
                let bits = self.pure(Op::Sub, &[word, Arg::Const(DOUBLE)]);
                let float = self.pure(Op::BitsFloat, &[bits]);
                self.scope.floats.push(float);
            }
            17 | 18 => {
                let op = self.random.one(&[Op::Fadd, Op::Fsub, Op::Fmul, Op::Fneg, Op::Fabs, Op::Fsqrt]);
                let args = [self.float(), self.float()];
                let float = self.pure(op, &args[..op.info().operands.len()]);
                self.scope.floats.push(float);
                let test = self.pure(Op::Fne, &[float, float]);
                self.guard(Op::GuardFalse, &[test]);
                let bits = self.pure(Op::FloatBits, &[float]);
                let boxed = self.pure(Op::Add, &[bits, Arg::Const(DOUBLE)]);
                self.scope.words.push(boxed);
            }
            19 => {
                if self.random.chance(50) {
                    let op = self.random.one(&[Op::Flt, Op::Fle, Op::Feq, Op::Fne]);
                    let args = [self.float(), self.float()];
                    let val = self.pure(op, &args);
                    self.guard(Op::GuardTrue, &[val]);
                } else {
                    let word = self.word();
                    let op = self.random.one(&[Op::IntToFloat, Op::UintToFloat]);
                    let float = self.pure(op, &[word]);
                    self.scope.floats.push(float);
                    let int = self.pure(Op::FloatToInt, &[float]);
                    self.scope.words.push(int);
                }
            }
            20 | 21 => {
                let slot = WORDS.start + self.random.below(WORDS.end);
                let val = self.load_slot(slot);
                self.event(&[val]);
                self.scope.words.push(val);
            }
            22 | 23 => {
                let slot = 1 + self.random.below(WORDS.end - 1);
                let val = self.word();
                self.store_slot(slot, val);
            }
            24 => {
                let slot = PAIRS.start + self.random.below(2);
                if self.random.chance(50) {
                    let val = self.load_slot(slot);
                    self.event(&[val]);
                    self.scope.pairs.push(val);
                } else if !self.scope.pairs.is_empty() {
                    let val = self.pair();
                    self.store_slot(slot, val);
                }
            }
            25 => {
                // A temporary, written and read between merge points.
                let slot = TEMPS.start + self.random.below(3);
                if self.scope.activations.last().unwrap().written.contains(&slot) {
                    let val = self.load_slot(slot);
                    self.event(&[val]);
                    self.scope.words.push(val);
                } else {
                    let val = self.word();
                    self.store_slot(slot, val);
                }
            }
            26 => {
                let frame = self.scope.activations.last().unwrap().frame;
                if self.random.chance(50) {
                    let val = self.push(Op::Load, &[frame], Aux::Field(&FRAME_FIELDS[0]));
                    self.event(&[val]);
                    self.scope.words.push(val);
                } else {
                    let val = self.word();
                    self.push(Op::Store, &[frame, val], Aux::Field(&FRAME_FIELDS[0]));
                }
            }
            27 | 28 => {
                let pair = self.push(Op::New, &[Arg::Const(0), Arg::Const(0)], Aux::Shape(&PAIR));
                self.event(&[pair]);
                self.scope.pairs.push(pair);
                for name in ["left", "right"] {
                    let other = self.pair();
                    self.push(Op::Store, &[pair, other], Aux::Field(field(name)));
                }
                let tag = self.word();
                self.push(Op::Store, &[pair, tag], Aux::Field(field("tag")));
                if self.random.chance(50) {
                    let float = self.float();
                    self.push(Op::Store, &[pair, float], Aux::Field(field("num")));
                }
            }
            29 | 30 if !self.scope.pairs.is_empty() => {
                let pair = self.pair();
                let name = self.random.one(&["left", "right", "val", "num", "tag"]);
                let val = self.push(Op::Load, &[pair], Aux::Field(field(name)));
                self.event(&[val]);
                match name {
                    "left" | "right" => self.scope.pairs.push(val),
                    "num" => self.scope.floats.push(val),
                    _ => self.scope.words.push(val),
                }
            }
            31 | 32 if !self.scope.pairs.is_empty() => {
                let pair = self.pair();
                let name = self.random.one(&["left", "right", "val", "num"]);
                let val = match name {
                    "left" | "right" => self.pair(),
                    "num" => self.float(),
                    _ => self.word(),
                };
                self.push(Op::Store, &[pair, val], Aux::Field(field(name)));
            }
            33 => {
                let fill = self.random.constant();
                let vector = self.push(Op::New, &[Arg::Const(VECTOR_LEN), Arg::Const(fill)], Aux::Shape(&VECTOR));
                self.event(&[vector]);
                self.scope.vectors.push(vector);
            }
            34 if !self.scope.vectors.is_empty() => {
                let vectors = self.scope.vectors.clone();
                let vector = self.random.one(&vectors);
                let index = if self.random.chance(60) {
                    Arg::Const(self.random.below(VECTOR_LEN))
                } else {
                    self.unknown_index(VECTOR_LEN)
                };
                if self.random.chance(50) {
                    let val = self.push(Op::LoadItem, &[vector, index], Aux::Field(&ITEMS));
                    self.event(&[val]);
                    self.scope.words.push(val);
                } else {
                    let val = self.word();
                    self.push(Op::StoreItem, &[vector, index, val], Aux::Field(&ITEMS));
                }
            }
            35 => {
                let frame = self.scope.activations.last().unwrap().frame;
                if self.random.chance(70) {
                    let index = self.unknown_index(4);
                    let val = self.push(Op::LoadItem, &[frame, index], Aux::Field(&SLOTS));
                    self.event(&[val]);
                    self.scope.words.push(val);
                } else {
                    let index = self.unknown_index(2);
                    let index = self.pure(Op::Add, &[index, Arg::Const(1)]);
                    let val = self.word();
                    self.push(Op::StoreItem, &[frame, index, val], Aux::Field(&SLOTS));
                }
            }
            36 => {
                let frame = self.scope.activations.last().unwrap().frame;
                let (callee, args) = match self.random.below(5) {
                    0 if !self.scope.pairs.is_empty() => (&TOUCH, vec![self.pair(), self.word()]),
                    1 => (&POKE, vec![frame, self.word()]),
                    2 => (&SPLIT, vec![self.word()]),
                    _ => (&MIX, vec![self.word(), self.word()]),
                };
                let run = self.run(&args);
                let mut words = vec![self.push(Op::Call, &[], Aux::Call(callee, run))];
                if callee.results == 2 {
                    words.push(self.push(Op::ResultWord, &[], Aux::Index(1)));
                }
                self.event(&words);
                self.scope.words.extend(words);
                if self.random.chance(40) {
                    self.guard(Op::GuardValid, &[]);
                }
            }
            40 => {
                let stopped = self.push(Op::Stopped, &[], Aux::None);
                self.event(&[stopped]);
                self.scope.words.push(stopped);
            }
            37 => self.merge(),
            38 => {
                if self.scope.activations.len() < 3 && self.random.chance(60) {
                    self.enter();
                } else if self.scope.activations.len() > 1 {
                    self.leave();
                }
            }
            42 | 43 => {
                let index = self.unknown_index(8);
                self.scope.words.push(index);
                self.scope.chosen = Some(index);
                self.choose();
            }
            39 | 41 if !self.scope.pairs.is_empty() => self.give(),
            _ if !self.scope.pairs.is_empty() => {
                // Tests of addresses: what is known of any of them decides most.
                let (pair, other) = (self.pair(), self.pair());
                let test = match self.random.below(4) {
                    0 => self.pure(Op::Eq, &[pair, other]),
                    1 => self.pure(Op::Eq, &[pair, Arg::Const(0)]),
                    2 => {
                        let shape = self.push(Op::ShapeOf, &[pair], Aux::None);
                        self.pure(Op::Eq, &[shape, Arg::Const(PAIR.id().into())])
                    }
                    _ => {
                        let tag = self.pure(Op::Sub, &[pair, Arg::Const(TAG)]);
                        self.pure(Op::Ult, &[tag, Arg::Const(1 << 51)])
                    }
                };
                let op = self.random.one(&[Op::GuardTrue, Op::GuardFalse]);
                self.guard(op, &[test]);
            }
            _ => {}
        }
    }

    /// Makes a frame and gives it away with a call.
    fn give(&mut self) {
        let fill = self.word();
        let frame = self.push(Op::New, &[Arg::Const(TEMPS.end), fill], Aux::Shape(&FRAME));
        self.event(&[frame]);
        for slot in PAIRS {
            let pair = self.pair();
            self.push(Op::StoreItem, &[frame, Arg::Const(slot), pair], Aux::Field(&SLOTS));
        }
        for _ in 0..self.random.below(5) {
            let slot = self.random.one(&[0, 1, 2, 3, TEMPS.start]);
            let word = self.word();
            self.push(Op::StoreItem, &[frame, Arg::Const(slot), word], Aux::Field(&SLOTS));
        }
        if self.random.chance(40) {
            let float = self.float();
            self.push(Op::Store, &[frame, float], Aux::Field(&FRAME_FIELDS[1]));
        }
        if self.random.chance(40) {
            let word = self.word();
            self.push(Op::Store, &[frame, word], Aux::Field(&FRAME_FIELDS[0]));
        }
        if self.random.chance(20) {
            // An exit here hands the frame on.
            let (test, op) = (self.word(), self.random.one(&[Op::GuardTrue, Op::GuardFalse]));
            let test = self.pure(Op::Ult, &[test, Arg::Const(BOX)]);
            self.guard(op, &[test]);
        }
        let word = self.word();
        let run = self.run(&[Arg::Const(given_cell()), frame, word]);
        let first = self.push(Op::Call, &[], Aux::Call(&GIVEN, run));
        let second = self.push(Op::ResultWord, &[], Aux::Index(1));
        self.event(&[first, second]);
        self.scope.words.extend([first, second]);
        if self.random.chance(40) {
            self.guard(Op::GuardValid, &[]);
        }
        if self.random.chance(10) {
            // What is promised is broken where the optimizer can see it.
            let val = self.push(Op::LoadItem, &[frame, Arg::Const(1)], Aux::Field(&SLOTS));
            self.event(&[val]);
            self.scope.words.push(val);
        }
    }

    fn enter(&mut self) {
        let fill = self.word();
        let frame = self.push(Op::New, &[Arg::Const(TEMPS.end), fill], Aux::Shape(&FRAME));
        self.event(&[frame]);
        let base = self.node(Some(self.scope.node), LogEntry::Enter(&INNER));
        self.scope.activations.push(Activation {
            frame,
            portal: &INNER,
            base: Some(base),
            written: BTreeSet::new(),
            live: TEMPS.start as u32,
        });
        self.merge();
        for slot in PAIRS {
            let pair = self.pair();
            self.store_slot(slot, pair);
        }
    }

    fn leave(&mut self) {
        let left = self.scope.activations.pop().unwrap();
        // The log goes on where the call began, with its results.
        let Some(base) = left.base else { unreachable!("the root is not left") };
        self.scope.node = self.tree.log[base.0 as usize].parent.unwrap();
        let word = self.word();
        let words = self.run(&[word]);
        self.scope.node = self.node(Some(self.scope.node), LogEntry::Collapsed(words));
    }

    fn first(&mut self, length: u64) {
        let frame = self.push(Op::Param, &[], Aux::Index(0));
        let other = self.push(Op::Param, &[], Aux::Index(1));
        self.scope.words.push(other);
        self.scope.activations.push(Activation {
            frame,
            portal: &MAIN,
            base: None,
            written: BTreeSet::new(),
            live: TEMPS.start as u32,
        });
        self.merge();
        let pair = self.load_slot(PAIRS.start);
        self.scope.pairs.push(pair);
        self.event(&[pair]);
        // The loop's counter.
        let counter = self.load_slot(0);
        self.event(&[counter]);
        let test = self.pure(Op::Sub, &[counter, Arg::Const(TAG)]);
        let test = self.pure(Op::Ult, &[test, Arg::Const(1 << 51)]);
        self.guard(Op::GuardTrue, &[test]);
        let int = self.pure(Op::Sub, &[counter, Arg::Const(BOX)]);
        let limit = self.limit;
        let test = self.pure(Op::Lt, &[int, Arg::Const(limit)]);
        self.guard(Op::GuardTrue, &[test]);
        let next = self.pure(Op::Add, &[int, Arg::Const(1)]);
        let next = self.pure(Op::Add, &[next, Arg::Const(BOX)]);
        self.store_slot(0, next);
        self.body(0, length);
    }

    /// Generates a fragment from its `start`th instruction on.
    fn body(&mut self, start: usize, length: u64) {
        for _ in 0..length {
            self.step();
        }
        let end = match self.random.below(10) {
            0 => {
                let args = [self.any(), self.word()];
                TreeEnd::Finish(self.run(&args))
            }
            1 => TreeEnd::Leave(self.snapshot(), None),
            _ => {
                while self.scope.activations.len() > 1 {
                    self.leave();
                }
                let reds = [
                    self.scope.activations[0].frame,
                    if self.random.chance(50) { Arg::Op(OpRef(1)) } else { self.word() },
                ];
                let (greens, reds) = (self.run(&[Arg::Const(7)]), self.run(&reds));
                let entry = LogEntry::Merge { portal: &MAIN, greens, reds, live: TEMPS.start as u32 };
                let node = self.node(None, entry);
                TreeEnd::Close { node }
            }
        };
        self.tree.fragments.push(Fragment { parent: None, insts: (start as u32, self.tree.insts.len() as u32), end });
    }

    fn bridge(&mut self, from: GuardId, length: u64) {
        self.scope = self.scopes[from.0 as usize].clone();
        self.fragment = FragmentId(self.tree.fragments.len() as u32);
        let start = self.tree.insts.len();
        if self.scope.chosen.is_some() && self.random.chance(70) {
            self.choose();
        }
        self.body(start, length);
        self.tree.fragments[self.fragment.0 as usize].parent = Some(from);
    }

    /// Turns a guard round.
    fn turn(&mut self, guard: GuardId) {
        let inst = self.tree.guards[guard.0 as usize].inst;
        let inst = &mut self.tree.insts[inst.0 as usize];
        if let (Op::GuardValue, Arg::Const(bits)) = (inst.op, inst.args[1]) {
            inst.args[1] = Arg::Const((bits + 1) % 8);
        }
        inst.op = match inst.op {
            Op::GuardTrue => Op::GuardFalse,
            Op::GuardFalse => Op::GuardTrue,
            op => op,
        };
    }
}

/// What a run comes to.
struct Outcome {
    text: String,
    left: Option<GuardId>,
}

struct Dump {
    objects: BTreeSet<u64>,
    numbers: HashMap<u64, usize>,
    queue: Vec<u64>,
}

impl Dump {
    fn word(&mut self, bits: u64) -> String {
        if !self.objects.contains(&bits) {
            return format!("{bits:x}");
        }
        let next = self.numbers.len();
        let number = *self.numbers.entry(bits).or_insert(next);
        if number == next {
            self.queue.push(bits);
        }
        format!("#{number}")
    }
}

fn input(seed: u64) -> (u64, Vec<u64>) {
    let mut random = Random(seed.wrapping_mul(0x2545_f491) | 1);
    random.next();
    let frame = gc::alloc(&FRAME, TEMPS.end as usize) as u64;
    let pairs: Vec<u64> = (0..3).map(|_| gc::alloc(&PAIR, 0) as u64).collect();
    // SAFETY: the objects were just made with these shapes.
    unsafe {
        *word(frame, 24) = TEMPS.end;
        *word(frame, 8) = random.constant();
        for slot in 0..TEMPS.end {
            *word(frame, 32 + 8 * slot as u32) = match slot {
                0 => BOX,
                4 | 5 => random.one(&pairs),
                _ => random.constant(),
            };
        }
        for &pair in &pairs {
            *word(pair, 8) = random.one(&pairs);
            *word(pair, 16) = random.one(&pairs);
            *word(pair, 24) = random.constant();
            *word(pair, 32) = (random.below(100) as f64 / 8.0).to_bits();
            *word(pair, 40) = random.constant();
        }
    }
    let mut objects = vec![frame];
    objects.extend(pairs);
    (random.constant(), objects)
}

/// Runs code; `None` if it is (or seems) endless.
fn evaluate(generator: &Generator, code: &Code, seed: u64, fuel: u64) -> Option<Outcome> {
    gc::without_collection(|| {
        let (red, mut objects) = input(seed);
        let valid = AtomicU64::new(1);
        let mut context = Box::new(Context::default());
        if code.spread.is_some() {
            let frame = objects.remove(0);
            context.slots[0] = red;
            // SAFETY: the frame was just made: two fields, the array's length, and items.
            unsafe {
                for (slot, offset) in [(1, 8), (2, 16)] {
                    context.slots[slot] = *word(frame, offset);
                }
                for slot in 0..TEMPS.start as u32 {
                    context.slots[3 + slot as usize] = *word(frame, SLOTS.offset + 8 * slot);
                }
            }
        } else {
            context.slots[0] = objects[0];
            context.slots[1] = red;
        }
        let mut evaluator = Evaluator::new(code, &valid);
        evaluator.fuel = fuel;
        evaluator.made = Some(Vec::new());
        // SAFETY: the context is valid, and the callees are those above.
        let result = catch_unwind(AssertUnwindSafe(|| unsafe { evaluator.run(&raw mut *context) }));
        let result = match result {
            Ok(result) => result,
            Err(payload) => {
                let message = payload.downcast_ref::<String>().cloned();
                let message = message.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
                let message = message.unwrap_or_default();
                if message.contains("out of fuel") {
                    return None;
                }
                return Some(Outcome { text: format!("fault: {message}"), left: None });
            }
        };
        objects.extend(evaluator.made.take().unwrap_or_default());
        let mut text = String::new();
        let mut left = None;
        // Which temporaries of which frame are not dead.
        let mut live: HashMap<u64, BTreeSet<u64>> = HashMap::new();
        let mut roots = Vec::new();
        if result == FINISH {
            text.push_str("finish");
            roots.extend(&context.results[..2]);
        } else {
            let exit = &code.exits[result as usize];
            left = exit.guard;
            // SAFETY: the recipes speak of objects that exist.
            let frames = unsafe { resume(&code.details, exit, &context.slots, &mut objects, &mut roots, &mut text) };
            if let Some(guard) = exit.guard {
                let activations = &generator.scopes[guard.0 as usize].activations;
                for (frame, activation) in frames.iter().zip(activations) {
                    let slots = TEMPS.start..u64::from(activation.live);
                    live.insert(*frame, slots.chain(activation.written.clone()).collect());
                }
            }
            let _ = write!(text, " {:?} ticks {}", exit.guard, exit.ticks);
        }
        roots.push(objects[0]);
        let mut dump = Dump { objects: objects.iter().copied().collect(), numbers: HashMap::new(), queue: Vec::new() };
        for root in roots {
            let root = dump.word(root);
            let _ = write!(text, " {root}");
        }
        let mut index = 0;
        while let Some(&object) = dump.queue.get(index) {
            index += 1;
            // SAFETY: only objects are in the queue.
            unsafe {
                let shape = Shape::by_id((*(object as *const Header)).shape).unwrap();
                let _ = write!(text, "\n  {}", shape.name);
                for field in shape.fields {
                    let bits = dump.word(*word(object, field.offset));
                    let _ = write!(text, " {}={bits}", field.name);
                }
                if let Some(array) = shape.array {
                    for slot in 0..*word(object, array.offset - 8) {
                        let bits = *word(object, array.offset + 8 * slot as u32);
                        let dead = std::ptr::eq(shape, &raw const FRAME)
                            && !live.get(&object).is_some_and(|live| live.contains(&slot))
                            && slot >= TEMPS.start;
                        let bits = if dead { "dead".to_string() } else { dump.word(bits) };
                        let _ = write!(text, " {bits}");
                    }
                }
            }
        }
        Some(Outcome { text, left })
    })
}

/// Does what the driver does at an exit, short of replaying; the frames of the activations, outer ones first.
///
/// # Safety
/// The exit's slots were just written.
unsafe fn resume(
    details: &Details,
    exit: &Exit,
    slots: &[u64],
    objects: &mut Vec<u64>,
    roots: &mut Vec<u64>,
    text: &mut String,
) -> Vec<u64> {
    let mut frames = Vec::new();
    let built: Vec<u64> =
        details.virtuals(exit).map(|object| gc::alloc(object.shape, object.len as usize) as u64).collect();
    let slot = |op: OpRef| {
        slots[details[exit.slots].iter().position(|&slot| slot == op).expect("recipes speak of the exit's slots")]
    };
    let number = |name: u32| {
        details.virtuals(exit).position(|object| object.name == name).expect("recipes speak of the exit's objects")
    };
    objects.extend(&built);
    let value = |recipe: &Recipe| match *recipe {
        Recipe::Const(bits) => bits,
        Recipe::Value(op) => slot(op),
        Recipe::Plus(op, plus) => slot(op).wrapping_add(plus),
        Recipe::Virtual(name) => built[number(name)],
    };
    let store = |object: u64, place: &Place, bits: u64| {
        let offset = match place {
            Place::Field(field) => field.offset,
            Place::Item(field, index) => field.offset + 8 * index,
        };
        // SAFETY: the place is in the object, and every item here takes eight bytes.
        unsafe { *word(object, offset) = bits };
    };
    for (object, &address) in details.virtuals(exit).zip(&built) {
        if let Some(array) = object.shape.array {
            // SAFETY: the object has an array of so many items.
            unsafe { *word(address, array.offset - 8) = object.len.into() };
            for index in 0..object.len {
                store(address, &Place::Item(array, index), value(&object.fill));
            }
        }
        for (place, recipe) in &details[object.contents] {
            store(address, place, value(recipe));
        }
    }
    for pending in &details[exit.stores] {
        store(value(&pending.object), &pending.place, value(&pending.value));
    }
    for step in details.steps(exit) {
        let recipes = match step {
            ResumeStep::Enter(portal) => {
                text.push_str(portal.name);
                continue;
            }
            ResumeStep::Merge { portal, greens, reds } => {
                let _ = write!(text, "merge {} {:?} ", portal.name, &details[greens]);
                frames.push(value(&details[reds][0]));
                reds
            }
            ResumeStep::Words(words) => {
                text.push_str("words ");
                words
            }
            ResumeStep::Collapsed(words) => {
                text.push_str("collapsed ");
                words
            }
        };
        roots.extend(details[recipes].iter().map(value));
    }
    frames
}

fn compile(tree: &Tree, options: &Options) -> Code {
    compile_some(tree, options, &attach_all(tree))
}

fn compile_some(tree: &Tree, options: &Options, attach: &dyn Fn(GuardId, u32) -> Option<FragmentId>) -> Code {
    let options = Options { verify: true, ..options.clone() };
    optimize(tree, &options, attach).expect("short trees can be optimized").code
}

const INPUTS: u64 = 6;

/// Turns guards of the newest fragment until the first input takes the path that was recorded.
fn settle(generator: &mut Generator) {
    for _ in 0..60 {
        let code = compile(&generator.tree, &Options::none());
        let newest = FragmentId(generator.tree.fragments.len() as u32 - 1);
        let leaves = (0..INPUTS).filter_map(|input| evaluate(generator, &code, input, 3_000)?.left);
        let unlucky: Vec<GuardId> =
            leaves.filter(|guard| guard.0 > 1 && generator.tree.guards[guard.0 as usize].fragment == newest).collect();
        let Some(&guard) = unlucky.first() else {
            return;
        };
        if unlucky.len() < 2 && generator.random.chance(50) {
            return;
        }
        generator.turn(guard);
    }
}

fn random_options(random: &mut Random) -> Options {
    let mut options = Options::default();
    for stage in [
        &mut options.fold,
        &mut options.ranges,
        &mut options.cse,
        &mut options.guards,
        &mut options.heap,
        &mut options.virtuals,
        &mut options.virtualizable,
        &mut options.peel,
        &mut options.counters,
        &mut options.sink,
        &mut options.spread,
        &mut options.dce,
    ] {
        *stage = random.chance(70);
    }
    options.switch = random.below(5) as usize;
    options
}

/// How many switches were made.
fn try_seed(seed: u64) -> usize {
    let mut generator = Generator::new(seed);
    let length = 10 + generator.random.below(50);
    generator.first(length);
    settle(&mut generator);
    for _ in 0..generator.random.below(5) {
        let code = compile(&generator.tree, &Options::none());
        let leaves: Vec<GuardId> =
            (0..INPUTS).filter_map(|input| evaluate(&generator, &code, input, 3_000)?.left).collect();
        let has_bridge =
            |guard: GuardId| generator.tree.fragments.iter().any(|fragment| fragment.parent == Some(guard));
        let leaves: Vec<GuardId> = leaves.into_iter().filter(|&guard| !has_bridge(guard) && guard.0 != 1).collect();
        if leaves.is_empty() {
            break;
        }
        let from = generator.random.one(&leaves);
        if generator.tree.insts[generator.tree.guards[from.0 as usize].inst.0 as usize].op == Op::GuardValid {
            continue;
        }
        let length = 3 + generator.random.below(25);
        generator.bridge(from, length);
        settle(&mut generator);
    }
    let reference = compile(&generator.tree, &Options::none());
    let mut variants = vec![Options { switch: 2, ..Options::default() }];
    variants.extend((0..3).map(|_| random_options(&mut generator.random)));
    let expected: Vec<Option<Outcome>> =
        (0..INPUTS).map(|input| evaluate(&generator, &reference, input, 3_000)).collect();
    // In the last variants, not all bridges are attached everywhere.
    let all = attach_all(&generator.tree);
    let masks = [u64::MAX, u64::MAX, u64::MAX, u64::MAX, seed, !seed];
    variants.extend([Options::default(), Options { switch: 3, ..Options::default() }]);
    let mut switches = 0;
    for (options, mask) in variants.iter().zip(masks) {
        let attach = |guard: GuardId, instance: u32| {
            all(guard, instance).filter(|bridge| mask >> ((bridge.0 * 2 + instance) % 64) & 1 == 1)
        };
        let code = compile_some(&generator.tree, options, &attach);
        switches += code.blocks.iter().filter(|block| matches!(block.end, End::Switch { .. })).count();
        for (input, expected) in (0..INPUTS).zip(&expected) {
            let Some(expected) = expected else { continue };
            let found = evaluate(&generator, &code, input, 30_000);
            if found.as_ref().is_some_and(|found| found.left.is_some_and(|guard| all(guard, 0).is_some())) {
                continue;
            }
            let found = found.map_or("endless".to_string(), |outcome| outcome.text);
            assert!(
                found == expected.text,
                "seed {seed}, input {input}, {options:?}\n{}\n{code}\nexpected {}\nfound    {found}",
                generator.tree,
                expected.text,
            );
        }
    }
    switches
}

#[test]
fn random_trees_do_the_same_however_optimized() {
    let seeds = std::env::var("METAJIT_RANDOM").ok();
    let seeds = seeds.as_deref().and_then(|text| {
        let (first, last) = text.split_once("..")?;
        Some(first.parse().ok()?..last.parse().ok()?)
    });
    let seeds = seeds.unwrap_or(1..80);
    let few = seeds.end - seeds.start < 79;
    let switches: usize = seeds.map(try_seed).sum();
    assert!(few || switches > 10, "{switches} switches were made of chains");
}
