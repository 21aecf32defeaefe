//! NaN: which floats are never one, and which can only be the one that arithmetic makes.
//!
//! **Problem.** In a boxed word, the patterns that NaNs leave free are something else: integers, handles. So whether a word that was
//! just made by boxing a float is one of those is a question that traces ask, again and again, and only the NaNs that nobody makes
//! say yes.
//!
//! **Approach.** Each float of the code has a [`Nan`]. It is computed when the float is, from its operands', and carried by the
//! description of a loop's header. A float that may be the default NaN has patterns up to that ([`Nan::patterns`]), and ranges do
//! the rest. Some floats are numbers for reasons that are found by looking at how they were made ([`Optimizer::never_nan`]).
//!
//! **What is relied on.** Arithmetic without a NaN among its operands makes no NaN but the default one: on x86-64 the quiet one with
//! a sign and without payload, `0xfff8 << 48`; on AArch64 and RISC-V the same without the sign. With NaNs among its operands it
//! makes one of those, made quiet (RISC-V: the default one), so from default ones it makes default ones. Rounding does the same;
//! negation and absolute value change the sign alone. On other targets nothing is relied on ([`MAKES_DEFAULT`]).
//!
//! **Rejected.** To take all floats in boxes for such: a signalling NaN that somebody wrote to memory becomes quiet, and a negative
//! one has a pattern then that is none of a float's.

use super::Optimizer;
use super::range::{DEFAULT_NANS, NUMBERS, Range};
use super::value::{Key, Val};
use crate::ir::{Arg, Inst, Op};

/// Operations that are followed back to see whether a float is never NaN.
const MAX_NUMBER_DEPTH: u32 = 4;
/// The default NaN, of some sign.
const DEFAULT: u64 = 0x7ff8 << 48;
/// Whether arithmetic is known to make the default NaN only.
const MAKES_DEFAULT: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));

/// Which NaNs a float may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Nan {
    /// None.
    Never,
    /// The one that arithmetic makes, of either sign.
    Default,
    /// Any.
    Any,
}

impl Nan {
    /// What patterns such floats have.
    pub(super) fn patterns(self) -> Range {
        match self {
            Nan::Never => NUMBERS,
            Nan::Default => DEFAULT_NANS,
            Nan::Any => Range::FULL,
        }
    }
}

impl Optimizer<'_> {
    /// Which NaNs a float may be.
    pub(super) fn nan(&self, val: Val) -> Nan {
        match val {
            _ if self.never_nan(val) => Nan::Never,
            Val::Const(bits) if bits << 1 == DEFAULT << 1 => Nan::Default,
            Val::Op(op) => self.nans[op.0 as usize],
            _ => Nan::Any,
        }
    }

    /// Which NaNs the result of an instruction may be.
    pub(super) fn nan_of(&self, inst: &Inst) -> Nan {
        let operand = |arg: Arg| {
            let val = self.resolve(self.plain(arg));
            match val {
                Val::Op(op) if self.nans[op.0 as usize] != Nan::Any => Nan::Default,
                _ => self.nan(val),
            }
        };
        match inst.op {
            Op::IntToFloat | Op::UintToFloat => Nan::Never,
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv if MAKES_DEFAULT => {
                operand(inst.args[0]).max(operand(inst.args[1])).max(Nan::Default)
            }
            Op::Fsqrt | Op::Ffloor | Op::Fceil | Op::Ftrunc if MAKES_DEFAULT => operand(inst.args[0]).max(Nan::Default),
            Op::Fneg | Op::Fabs => operand(inst.args[0]),
            _ => Nan::Any,
        }
    }

    /// Goes on knowing which NaNs a float may be.
    pub(super) fn learn_nan(&mut self, float: Val, nan: Nan) {
        if let Val::Op(op) = float {
            self.nans[op.0 as usize] = nan;
        }
        self.refine(float, &nan.patterns());
        if nan == Nan::Never {
            self.imply(Op::Feq, [float; 2], true);
            self.imply(Op::Fne, [float; 2], false);
        }
    }

    /// Whether a float is known not to be NaN.
    pub(super) fn never_nan(&self, val: Val) -> bool {
        self.is_number(val, MAX_NUMBER_DEPTH)
    }

    fn is_number(&self, val: Val, depth: u32) -> bool {
        if let Val::Const(bits) = val {
            return !f64::from_bits(bits).is_nan();
        }
        if self.known_comparison(Op::Feq, val) == Some(1) || self.known_comparison(Op::Fne, val) == Some(0) {
            return true;
        }
        let Some((op, [x, y])) = self.definition(val) else {
            return false;
        };
        if depth == 0 {
            return false;
        }
        let number = |val: Val| self.is_number(val, depth - 1);
        let constant = |val: Val| val.as_const().map(f64::from_bits).filter(|float| float.is_finite() && *float != 0.0);
        match op {
            Op::IntToFloat | Op::UintToFloat => true,
            Op::Fneg | Op::Fabs | Op::Ffloor | Op::Fceil | Op::Ftrunc => number(x),
            // Only infinities of two signs have no sum.
            Op::Fadd if number(x) && number(y) => {
                self.is_finite(x) || self.is_finite(y) || self.is_positive(x, depth) && self.is_positive(y, depth)
            }
            Op::Fsub => number(x) && number(y) && (self.is_finite(x) || self.is_finite(y)),
            // Only 0 and an infinity have no product.
            Op::Fmul if number(x) && number(y) => {
                x == y || constant(x).is_some() || constant(y).is_some() || self.is_finite(x) && self.is_finite(y)
            }
            Op::Fdiv => number(x) && constant(y).is_some(),
            Op::Fsqrt => number(x) && self.is_positive(x, depth),
            _ => false,
        }
    }

    /// The outcome of comparing a float with itself, if it is known.
    fn known_comparison(&self, op: Op, val: Val) -> Option<u64> {
        let key = Key { op, aux: 0, args: [val; 2], more: Vec::new() };
        self.resolve(self.available.get(&key)?).as_const()
    }

    fn is_finite(&self, val: Val) -> bool {
        match val {
            Val::Const(bits) => f64::from_bits(bits).is_finite(),
            _ => match self.definition(val) {
                Some((Op::IntToFloat | Op::UintToFloat, _)) => true,
                Some((Op::Fneg | Op::Fabs, [x, _])) => self.is_finite(x),
                _ => false,
            },
        }
    }

    /// Whether a number is not below 0.
    fn is_positive(&self, val: Val, depth: u32) -> bool {
        match (val, self.definition(val)) {
            (Val::Const(bits), _) => f64::from_bits(bits) >= 0.0,
            (_, Some((Op::Fabs | Op::Fsqrt | Op::UintToFloat, _))) => true,
            (_, Some((Op::Fmul, [x, y]))) if x == y => true,
            (_, Some((Op::Fadd | Op::Fmul, [x, y]))) if depth > 0 => {
                self.is_positive(x, depth - 1) && self.is_positive(y, depth - 1)
            }
            _ => false,
        }
    }
}
