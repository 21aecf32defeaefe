//! Guards: which are needed, and what they prove.
//!
//! **Problem.** Most guards of a trace follow from others. Those that stay split the path: the bridge continues with one
//! outcome, the main path with the other.
//!
//! **Approach.** A guard whose condition is known to hold vanishes; one known to fail ends the path in its exit (or goes on
//! with its bridge). Any other is emitted, the bridge is processed under the opposite fact, and then the main path
//! goes on under the fact. [`Optimizer::refine`] writes a fact down and carries it *backwards*: what is known of a
//! sum says something of its operands, the outcome of a comparison bounds both sides, and an overflow test that says no
//! bounds the sum. The outcomes of the other comparisons of the same operands follow too.
//!
//! **Invariants.** Facts only get stronger along a path; each change is on the trail, so leaving a bridge takes it back.
//!
//! **Rejected.** *Strengthening*: an earlier guard takes over the condition of a later one that implies it. What it was made for (a
//! reference is not null, then its object is of this class) does not occur: handles are never null, and a class is loaded behind the
//! guard of the tag, which must stand before the load. Of two bounds of one number, the earlier guard's exit would have the
//! interpreter do again all that lies between them, and a bridge of the later one would have to begin there.

use super::fold::NONE;
use super::range::{NUMBERS, Range, back_to_first, exact_signed};
use super::value::{Key, Val};
use super::{OptError, Optimizer};
use crate::ir::code::{BlockId, End, Exit, ExitId};
use crate::ir::tree::GuardId;
use crate::ir::{Arg, Aux, Inst, Op};

/// Definitions that a fact is carried back through at most: deeper ones add nothing and cost time.
const MAX_BACKWARDS: u32 = 8;

/// A condition that a guard tests.
#[derive(Clone, Copy)]
pub(super) enum Fact {
    /// Not 0.
    NotZero(Val),
    /// 0.
    Zero(Val),
    /// A constant.
    Equal(Val, u64),
    /// Not that constant.
    Different(Val, u64),
    /// The code is valid.
    Valid,
    /// It is not.
    Invalid,
}

impl Fact {
    fn opposite(self) -> Fact {
        match self {
            Fact::NotZero(val) => Fact::Zero(val),
            Fact::Zero(val) => Fact::NotZero(val),
            Fact::Equal(val, bits) => Fact::Different(val, bits),
            Fact::Different(val, bits) => Fact::Equal(val, bits),
            Fact::Valid => Fact::Invalid,
            Fact::Invalid => Fact::Valid,
        }
    }
}

impl Optimizer<'_> {
    /// Processes a guard of the tree; `false` if the path ends here.
    pub(super) fn guard(&mut self, inst: &Inst) -> Result<bool, OptError> {
        let id = GuardId(inst.index());
        let subject = self.value(inst.args[0]);
        let fact = match inst.op {
            Op::GuardTrue => Fact::NotZero(subject),
            Op::GuardFalse => Fact::Zero(subject),
            Op::GuardValue => Fact::Equal(subject, self.value(inst.args[1]).as_const().unwrap_or(0)),
            _ => Fact::Valid,
        };
        let bridge = (self.attach)(id, self.instance);
        let snapshot = self.tree.guards[id.0 as usize].snapshot;
        match self.holds(fact) {
            Some(true) => return Ok(true),
            Some(false) => {
                match bridge {
                    Some(bridge) => self.fragment(bridge)?,
                    None => {
                        let exit = self.exit(Some(id), snapshot);
                        self.end(End::Exit(exit));
                    }
                }
                return Ok(false);
            }
            None => self.watch_guard(fact),
        }
        // What the guard tests is computed before the exit is built, so that both see the same.
        if matches!(subject, Val::Virtual(_)) {
            self.force(subject);
            return self.guard(inst);
        }
        match bridge {
            Some(bridge) => {
                let block = self.new_block();
                let exit = self.exit_to(block, Some(id));
                self.emit_guard(fact, exit);
                let mark = self.mark();
                self.block = block;
                self.learn(fact.opposite());
                self.fragment(bridge)?;
                self.back_to(mark);
            }
            None => {
                let exit = self.exit(Some(id), snapshot);
                self.emit_guard(fact, exit);
            }
        }
        self.learn(fact);
        Ok(true)
    }

    /// Adds an exit that goes on in a block.
    pub(super) fn exit_to(&mut self, block: BlockId, guard: Option<GuardId>) -> ExitId {
        self.code.exits.push(Exit { guard, instance: self.instance, bridge: Some(block), ..Exit::default() });
        ExitId(self.code.exits.len() as u32 - 1)
    }

    /// A condition that says the same of what was compared with a constant.
    fn direct(&self, fact: Fact) -> Fact {
        let (val, holds) = match fact {
            Fact::NotZero(val) => (val, true),
            Fact::Zero(val) => (val, false),
            _ => return fact,
        };
        match self.definition(val) {
            Some((Op::Eq, [x, Val::Const(0)])) if holds => Fact::Zero(x),
            Some((Op::Eq, [x, Val::Const(0)])) => Fact::NotZero(x),
            Some((Op::Eq, [x, Val::Const(bits)])) if holds => Fact::Equal(x, bits),
            Some((Op::Ne, [x, Val::Const(0)])) if holds => Fact::NotZero(x),
            Some((Op::Ne, [x, Val::Const(0)])) => Fact::Zero(x),
            Some((Op::Ne, [x, Val::Const(bits)])) if !holds => Fact::Equal(x, bits),
            _ => fact,
        }
    }

    /// Emits the guard of a condition. A test for 0 takes the shape that is cheapest to compile.
    pub(super) fn emit_guard(&mut self, fact: Fact, exit: ExitId) {
        let fact = if self.options.fold { self.direct(fact) } else { fact };
        let (op, subject, other) = match fact {
            Fact::NotZero(val) => (Op::GuardTrue, val, NONE),
            Fact::Zero(val) => (Op::GuardFalse, val, NONE),
            Fact::Equal(val, 0) => (Op::GuardFalse, val, NONE),
            Fact::Equal(val, bits) => (Op::GuardValue, val, Val::Const(bits)),
            Fact::Different(val, _) => (Op::GuardTrue, val, NONE),
            Fact::Valid | Fact::Invalid => (Op::GuardValid, NONE, NONE),
        };
        let args = [self.force(subject), self.force(other), Arg::Const(0)];
        self.emit(Inst { op, args, aux: Aux::Index(exit.0) }, Range::FULL);
    }

    /// Whether a condition is known to hold, or not to.
    pub(super) fn holds(&self, fact: Fact) -> Option<bool> {
        let outside = |val: Val, bits: u64| self.options.ranges && !self.range(val).contains(bits);
        match fact {
            Fact::NotZero(Val::Const(bits)) => Some(bits != 0),
            Fact::NotZero(val) => outside(val, 0).then_some(true),
            Fact::Equal(Val::Const(is), bits) => Some(is == bits),
            Fact::Equal(val, bits) => outside(val, bits).then_some(false),
            Fact::Zero(_) | Fact::Different(..) => self.holds(fact.opposite()).map(|holds| !holds),
            Fact::Valid => self.state.valid.then_some(true),
            Fact::Invalid => None,
        }
    }

    /// Goes on under a condition.
    pub(super) fn learn(&mut self, fact: Fact) {
        if !self.options.guards {
            return;
        }
        match fact {
            Fact::Zero(val) => self.refine(val, &Range::exactly(0)),
            Fact::Equal(val, bits) => self.refine(val, &Range::exactly(bits)),
            Fact::NotZero(val) => self.exclude(val, 0),
            Fact::Different(val, bits) => self.exclude(val, bits),
            Fact::Valid => self.state.valid = true,
            Fact::Invalid => {}
        }
    }

    /// Adds a fact about a value, and what follows for the values it was made from.
    pub(super) fn refine(&mut self, val: Val, range: &Range) {
        self.refine_within(val, range, 0);
    }

    fn refine_within(&mut self, val: Val, range: &Range, depth: u32) {
        let Val::Op(op) = self.resolve(val) else {
            return;
        };
        let before = self.facts.get(op);
        let Some(now) = before.meet(range) else {
            return;
        };
        // The frame is told from other objects by its value: that must not become a constant.
        let is_frame = self.state.heap.frame.as_ref().is_some_and(|frame| frame.object == Val::Op(op));
        if now == before || is_frame {
            return;
        }
        let definition = self.definition(val);
        self.facts.set(op, now);
        if depth < MAX_BACKWARDS
            && self.options.ranges
            && let Some((op, args)) = definition
        {
            self.carry_back(op, args, &now, depth + 1);
        }
    }

    fn exclude(&mut self, val: Val, bits: u64) {
        self.exclude_within(val, bits, 0);
    }

    fn exclude_within(&mut self, val: Val, bits: u64, depth: u32) {
        let mut range = self.range(val);
        if range == Range::BOOL {
            self.refine_within(val, &Range::exactly(bits ^ 1), depth);
            return;
        }
        range.umin += u64::from(range.umin == bits);
        range.umax -= u64::from(range.umax == bits);
        range.smin += i64::from(range.smin == bits as i64);
        range.smax -= i64::from(range.smax == bits as i64);
        self.refine_within(val, &range, depth);
    }

    /// What a fact about the result of an operation says about its operands.
    fn carry_back(&mut self, op: Op, [x, y]: [Val; 2], result: &Range, depth: u32) {
        let outcome = result.single().filter(|&bits| bits <= 1).map(|bits| bits == 1);
        match (op, outcome) {
            (Op::Eq | Op::Ne, Some(holds)) => {
                let (a, b) = (self.range(x), self.range(y));
                if holds == (op == Op::Eq) {
                    self.refine_within(x, &b, depth);
                    self.refine_within(y, &a, depth);
                } else if let Some(bits) = b.single() {
                    self.exclude_within(x, bits, depth);
                }
                self.imply(if op == Op::Eq { Op::Ne } else { Op::Eq }, [x, y], !holds);
            }
            (Op::Lt | Op::Le, Some(true)) => self.ordered(x, y, op == Op::Lt, depth),
            (Op::Lt | Op::Le, Some(false)) => self.ordered(y, x, op == Op::Le, depth),
            (Op::Ult | Op::Ule, Some(true)) => self.ordered_unsigned(x, y, op == Op::Ult, depth),
            (Op::Ult | Op::Ule, Some(false)) => self.ordered_unsigned(y, x, op == Op::Ule, depth),
            (Op::Feq | Op::Flt | Op::Fle, Some(true)) | (Op::Fne, Some(false)) => {
                for number in [x, y] {
                    self.refine_within(number, &NUMBERS, depth);
                    self.imply(Op::Feq, [number; 2], true);
                    self.imply(Op::Fne, [number; 2], false);
                }
            }
            (Op::AddOvf, Some(false)) => self.added(x, y, depth),
            (Op::SubOvf, Some(false)) => {
                let (low, high) = exact_signed(Op::Sub, &self.range(x), &self.range(y));
                self.bounded(Op::Sub, [x, y], low, high, depth);
            }
            (Op::MulOvf, Some(false)) => {
                let (low, high) = exact_signed(Op::Mul, &self.range(x), &self.range(y));
                self.bounded(Op::Mul, [x, y], low, high, depth);
            }
            _ => {
                let (a, b) = (self.range(x), self.range(y));
                self.refine_within(x, &back_to_first(op, result, &b), depth);
                match op {
                    Op::Add | Op::And | Op::Or | Op::Xor => {
                        self.refine_within(y, &back_to_first(op, result, &a), depth);
                    }
                    Op::Sub => self.refine_within(y, &super::range::transfer(Op::Sub, &[a, *result]), depth),
                    _ => {}
                }
            }
        }
    }

    /// x < y (strict) or x <= y, signed.
    fn ordered(&mut self, x: Val, y: Val, strict: bool, depth: u32) {
        let (a, b) = (self.range(x), self.range(y));
        let step = i64::from(strict);
        self.refine_within(x, &Range::signed(i64::MIN, b.smax.saturating_sub(step)), depth);
        self.refine_within(y, &Range::signed(a.smin.saturating_add(step), i64::MAX), depth);
        self.implied_order([Op::Lt, Op::Le], x, y, strict);
    }

    fn ordered_unsigned(&mut self, x: Val, y: Val, strict: bool, depth: u32) {
        let (a, b) = (self.range(x), self.range(y));
        let step = u64::from(strict);
        self.refine_within(x, &Range::unsigned(0, b.umax.saturating_sub(step)), depth);
        self.refine_within(y, &Range::unsigned(a.umin.saturating_add(step), u64::MAX), depth);
        self.implied_order([Op::Ult, Op::Ule], x, y, strict);
    }

    fn implied_order(&mut self, [less, less_or_equal]: [Op; 2], x: Val, y: Val, strict: bool) {
        self.imply(less_or_equal, [x, y], true);
        self.imply(less, [y, x], false);
        if strict {
            self.imply(less, [x, y], true);
            self.imply(less_or_equal, [y, x], false);
            self.imply(Op::Eq, [x, y], false);
            self.imply(Op::Ne, [x, y], true);
        }
    }

    /// Makes the outcome of a comparison known.
    pub(super) fn imply(&mut self, op: Op, args: [Val; 2], holds: bool) {
        if !self.options.cse || args.iter().any(|arg| arg.as_const().is_some()) {
            return;
        }
        let (op, args) = super::fold::canonical(op, args.map(|arg| self.resolve(arg)));
        let key = Key { op, aux: 0, args, more: Vec::new() };
        self.available.insert(key, Val::Const(holds.into()));
    }

    /// x + y did not overflow.
    fn added(&mut self, x: Val, y: Val, depth: u32) {
        let (a, b) = (self.range(x), self.range(y));
        let within = |other: &Range| {
            Range::signed(i64::MIN.saturating_sub(other.smax.min(0)), i64::MAX.saturating_sub(other.smin.max(0)))
        };
        self.refine_within(x, &within(&b), depth);
        self.refine_within(y, &within(&a), depth);
        let (low, high) = exact_signed(Op::Add, &self.range(x), &self.range(y));
        self.bounded(Op::Add, [x, y], low, high, depth);
    }

    /// The exact result of an operation, if it was computed already, is within these bounds.
    fn bounded(&mut self, op: Op, args: [Val; 2], low: i128, high: i128, depth: u32) {
        let key = Key { op, aux: 0, args: args.map(|arg| self.resolve(arg)), more: Vec::new() };
        if let Some(result) = self.available.get(&key) {
            let clamp = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
            self.refine_within(result, &Range::signed(clamp(low), clamp(high)), depth);
        }
    }
}
