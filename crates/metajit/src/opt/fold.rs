//! Pure operations: folding, algebra, ranges, merging.
//!
//! **Problem.** What the recorder writes down is what the interpreter's source says. Unboxing what was boxed a moment ago,
//! comparing the result of a comparison with 0, adding constants one by one: each bytecode has its own share of it.
//!
//! **Approach.** [`Optimizer::pure`] takes an operation through: canonical form (constants to the right, subtraction of a
//! constant as addition), folding, the rules of [`super::rules`] for it, decision by range, look-up of an equal expression,
//! and only then emission. A rule answers with a value that it may have built by calling back here, so what it makes is
//! simplified in turn.
//!
//! **Invariants.** A rule makes something simpler by a measure (fewer operations, a smaller constant, an earlier operand), so
//! that rules cannot chase each other; [`MAX_DEPTH`] is the belt to these braces. An operation on a virtual object is
//! not emitted but becomes virtual itself.

use super::Optimizer;
use super::range::{Range, exact_signed, transfer};
use super::rules;
use super::value::{Key, Val};
use super::virtuals::{Entry, address_range};
use crate::ir::{Arg, Aux, Class, Inst, Op, fold};

/// Rules that may build on each other's results at once; more would be two rules at odds.
const MAX_DEPTH: u32 = 16;

/// Operations that are followed back to see what is known of a value by now.
const MAX_CHAIN: u32 = 4;

/// The operand that operations with fewer than two have in its place.
pub(super) const NONE: Val = Val::Const(0);

impl Optimizer<'_> {
    /// The value of a pure operation (or of a load that never changes).
    pub(super) fn pure(&mut self, op: Op, args: [Val; 2]) -> Val {
        let args = args.map(|arg| self.resolve(arg));
        let arity = op.info().operands.len();
        let (mut op, mut args) = (op, args);
        if self.options.fold {
            if let (Some(a), Some(b)) = (args[0].as_const(), args[1].as_const())
                && let Some(bits) = fold(op, &[a, b][..arity])
            {
                return Val::Const(bits);
            }
            (op, args) = canonical(op, args);
            if let Some(val) = self.simplify(op, args) {
                return val;
            }
        }
        let mut range = if self.options.ranges { self.transferred(op, args) } else { plain_range(op) };
        if let (true, Some(bits)) = (self.options.ranges, range.single()) {
            return Val::Const(bits);
        }
        let is_virtual = |arg: &Val| matches!(arg, Val::Virtual(_));
        let lazy = args.iter().any(is_virtual) && op.info().class == Class::Pure;
        if !lazy {
            args = args.map(|arg| self.real(arg));
        }
        let key = Key { op, aux: 0, args, more: Vec::new() };
        if self.options.cse
            && let Some(known) = self.available.get(&key)
        {
            let known = self.resolve(known);
            if let Val::Op(value) = known {
                self.refine(Val::Op(value), &range);
            }
            return self.resolve(known);
        }
        let value = if lazy {
            self.state.virtuals.add(Entry::Pure(op, args))
        } else {
            let inst = Inst { op, args: [self.force(args[0]), self.force(args[1]), Arg::Const(0)], aux: Aux::None };
            if op == Op::Add && self.options.ranges && self.no_overflow(Op::AddOvf, args) {
                let (low, high) = exact_signed(op, &self.range(args[0]), &self.range(args[1]));
                let clamp = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                range = range.meet(&Range::signed(clamp(low), clamp(high))).unwrap_or(range);
            }
            let by_sign = if self.options.ranges { self.overflow_by_sign(op, args) } else { None };
            let value = self.emit(inst, range);
            self.directions.extend(by_sign.map(|less| (value, less)));
            Val::Op(value)
        };
        if self.options.cse {
            self.available.insert(key, value);
        }
        value
    }

    /// What is less than what if an operation overflows one of whose operands has a known sign: its result and the other one.
    fn overflow_by_sign(&mut self, op: Op, [x, y]: [Val; 2]) -> Option<[Arg; 2]> {
        let arithmetic = match op {
            Op::AddOvf => Op::Add,
            Op::SubOvf => Op::Sub,
            _ => return None,
        };
        let sign = |val: Val| match self.range(val) {
            range if range.smin >= 0 => Some(1),
            range if range.smax <= 0 => Some(-1),
            _ => None,
        };
        // The backend knows what to do with constants.
        let (Val::Op(first), Val::Op(second)) = (x, y) else { return None };
        let (other, grows) = match (op, sign(x), sign(y)) {
            (Op::AddOvf, _, Some(sign)) => (first, sign > 0),
            (Op::AddOvf, Some(sign), _) => (second, sign > 0),
            (_, _, Some(sign)) => (first, sign < 0),
            _ => return None,
        };
        let Val::Op(result) = self.pure(arithmetic, [x, y]) else { return None };
        let (result, other) = (Arg::Op(result), Arg::Op(other));
        Some(if grows { [result, other] } else { [other, result] })
    }

    fn simplify(&mut self, op: Op, args: [Val; 2]) -> Option<Val> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let value = rules::of(op).iter().find_map(|rule| (rule.apply)(self, op, args));
        self.depth -= 1;
        value
    }

    fn transferred(&self, op: Op, args: [Val; 2]) -> Range {
        transfer(op, &args.map(|arg| self.range(arg)))
    }

    /// Whether an overflow test of these operands is known to say no.
    fn no_overflow(&self, op: Op, args: [Val; 2]) -> bool {
        let key = Key { op, aux: 0, args, more: Vec::new() };
        self.available.get(&key).is_some_and(|value| self.resolve(value) == Val::Const(0))
    }

    /// Notes the value of an operation with one operand.
    pub(super) fn remember_pure(&mut self, op: Op, arg: Val, value: Val) {
        self.available.insert(Key { op, aux: 0, args: [arg, NONE], more: Vec::new() }, value);
    }

    /// What is known of a value. Its own facts may be older than its operand's, so a chain of operations with constants is
    /// followed anew.
    pub(super) fn range(&self, val: Val) -> Range {
        self.range_within(val, MAX_CHAIN)
    }

    /// Bits that are known to be 0.
    pub(super) fn zeros(&self, val: Val) -> u64 {
        match val {
            Val::Op(_) if !self.options.ranges => 0,
            _ => self.range(val).zeros,
        }
    }

    fn range_within(&self, val: Val, depth: u32) -> Range {
        match self.resolve(val) {
            Val::Const(bits) => Range::exactly(bits),
            Val::Op(op) => {
                let fact = self.facts.get(op);
                let inst = self.code.inst(op);
                let (Arg::Op(operand), Arg::Const(bits)) = (inst.args[0], inst.args[1]) else {
                    return fact;
                };
                if depth == 0 || inst.op.info().class != Class::Pure || !self.options.ranges {
                    return fact;
                }
                let operand = self.range_within(Val::Op(operand), depth - 1);
                let now = transfer(inst.op, &[operand, Range::exactly(bits)]);
                fact.meet(&now).unwrap_or(fact)
            }
            Val::Virtual(id) => match *self.state.virtuals.entry(id) {
                Entry::Pure(op, args) => self.transferred(op, args),
                _ => address_range(),
            },
        }
    }

    /// The pure operation that made a value, with its operands as they are by now.
    pub(super) fn definition(&self, val: Val) -> Option<(Op, [Val; 2])> {
        let (op, args) = match self.resolve(val) {
            Val::Const(_) => return None,
            Val::Op(op) => {
                let inst = self.code.inst(op);
                if inst.op.info().class != Class::Pure {
                    return None;
                }
                (inst.op, [self.plain(inst.args[0]), self.plain(inst.args[1])])
            }
            Val::Virtual(id) => match *self.state.virtuals.entry(id) {
                Entry::Pure(op, args) => (op, args),
                _ => return None,
            },
        };
        Some((op, args.map(|arg| self.resolve(arg))))
    }
}

/// What is known of a result without looking at ranges.
fn plain_range(op: Op) -> Range {
    if is_comparison(op) { Range::BOOL } else { Range::FULL }
}

/// Whether the result is 0 or 1.
pub(super) fn is_comparison(op: Op) -> bool {
    use Op::{AddOvf, Eq, Feq, Fle, Flt, Fne, Le, Lt, MulOvf, Ne, SubOvf, Ule, Ult, UmulOvf};
    matches!(op, AddOvf | SubOvf | MulOvf | UmulOvf | Eq | Ne | Lt | Le | Ult | Ule | Feq | Fne | Flt | Fle)
}

/// Constants go right, then what was computed later; subtracting a constant is adding its negative.
pub(super) fn canonical(op: Op, args: [Val; 2]) -> (Op, [Val; 2]) {
    let [a, b] = args;
    match (op, b) {
        (Op::Sub, Val::Const(c)) => (Op::Add, [a, Val::Const(c.wrapping_neg())]),
        (Op::SubOvf, Val::Const(c)) if c != 1 << 63 => (Op::AddOvf, [a, Val::Const(c.wrapping_neg())]),
        (Op::Add | Op::Mul | Op::And | Op::Or | Op::Xor | Op::Eq | Op::Ne, _)
        | (Op::AddOvf | Op::MulOvf | Op::UmulOvf | Op::Feq | Op::Fne, _)
            if a.as_const().is_some() || b.as_const().is_none() && a > b =>
        {
            (op, [b, a])
        }
        _ => (op, args),
    }
}
