//! The methods of floats.

use super::calls::called;
use super::methods::choose;
use super::{CONSTANT, Flat, Traced};
use crate::ir::{Arg, Callee, Effect, Op};
use crate::record::Meta;
use crate::word::Word;

/// Calls an elidable function of floats.
pub(super) fn float_call(m: &mut Meta, callee: &'static Callee, args: &[Traced<f64>], val: f64) -> Traced<f64> {
    let words: Vec<Arg> = args.iter().map(|a| m.bits_of_float(a.arg())).collect();
    m.elidable_float(callee, &words, val)
}

macro_rules! float_functions {
    ($($name:ident $constant:ident ($($arg:ident),*) $native:expr;)*) => { $(
        extern "C" fn $name($($arg: u64),*) -> u64 {
            let native: fn($(float_functions!(@f64 $arg)),*) -> f64 = $native;
            native($(f64::from_bits($arg)),*).to_bits()
        }
        pub(super) static $constant: Callee = Callee {
            name: concat!("f64::", stringify!($name)), address: $name as *const (),
            params: [$(stringify!($arg)),*].len() as u8, results: 1, effect: Effect::Elidable, spread: None,
        };
    )* };
    (@f64 $arg:ident) => { f64 };
}
float_functions! {
    sin SIN (a) f64::sin; cos COS (a) f64::cos; tan TAN (a) f64::tan; asin ASIN (a) f64::asin; acos ACOS (a) f64::acos;
    atan ATAN (a) f64::atan; exp EXP (a) f64::exp; ln LN (a) f64::ln; log2 LOG2 (a) f64::log2; log10 LOG10 (a) f64::log10;
    cbrt CBRT (a) f64::cbrt; round ROUND (a) f64::round;
    atan2 ATAN2 (a, b) f64::atan2; powf POWF (a, b) f64::powf; hypot HYPOT (a, b) f64::hypot; fmod FMOD (a, b) |a, b| a % b;
    min MIN (a, b) f64::min; max MAX (a, b) f64::max; exp2 EXP2 (a) f64::exp2; exp_m1 EXP_M1 (a) f64::exp_m1;
    ln_1p LN_1P (a) f64::ln_1p; sinh SINH (a) f64::sinh; cosh COSH (a) f64::cosh; tanh TANH (a) f64::tanh;
    asinh ASINH (a) f64::asinh; acosh ACOSH (a) f64::acosh; atanh ATANH (a) f64::atanh; to_degrees TO_DEGREES (a) f64::to_degrees;
    to_radians TO_RADIANS (a) f64::to_radians; round_ties_even ROUND_TIES_EVEN (a) f64::round_ties_even;
    log LOG (a, b) f64::log; rem_euclid REM_EUCLID (a, b) f64::rem_euclid; div_euclid DIV_EUCLID (a, b) f64::div_euclid;
    mul_add MUL_ADD (a, b, c) f64::mul_add;
}

macro_rules! float_twins {
    (ops { $($op_twin:ident $native:ident $op:ident;)* } calls1 { $($call_twin:ident $call:ident $callee:ident;)* }
     calls2 { $($call2_twin:ident $call2:ident $callee2:ident;)* }) => {
        /// Methods of floats.
        pub trait FloatTwin: Sized {
            $(/// As in the standard library.
            fn $op_twin(self, op: u32, m: &mut Meta) -> Traced<f64>;)*
            $(/// As in the standard library.
            fn $call_twin(self, op: u32, m: &mut Meta) -> Traced<f64>;)*
            $(/// As in the standard library.
            fn $call2_twin(self, op: u32, m: &mut Meta, b: Traced<f64>) -> Traced<f64>;)*
            /// As in the standard library.
            fn jit_twin_of_to_bits(self, op: u32, m: &mut Meta) -> Traced<u64>;
            /// As in the standard library.
            fn jit_twin_of_is_nan(self, op: u32, m: &mut Meta) -> Traced<bool>;
            /// As in the standard library.
            fn jit_twin_of_is_infinite(self, op: u32, m: &mut Meta) -> Traced<bool>;
            /// As in the standard library.
            fn jit_twin_of_is_finite(self, op: u32, m: &mut Meta) -> Traced<bool>;
            /// As in the standard library.
            fn jit_twin_of_is_sign_negative(self, op: u32, m: &mut Meta) -> Traced<bool>;
            /// As in the standard library.
            fn jit_twin_of_is_sign_positive(self, op: u32, m: &mut Meta) -> Traced<bool>;
            /// As in the standard library.
            fn jit_twin_of_recip(self, op: u32, m: &mut Meta) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_fract(self, op: u32, m: &mut Meta) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_signum(self, op: u32, m: &mut Meta) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_copysign(self, op: u32, m: &mut Meta, sign: Traced<f64>) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_clamp(self, op: u32, m: &mut Meta, min: Traced<f64>, max: Traced<f64>) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_powi(self, op: u32, m: &mut Meta, power: Traced<i32>) -> Traced<f64>;
            /// As in the standard library.
            fn jit_twin_of_mul_add(self, op: u32, m: &mut Meta, factor: Traced<f64>, term: Traced<f64>) -> Traced<f64>;
        }
        impl FloatTwin for f64 {
            $(#[inline(never)] fn $op_twin(self, op: u32, m: &mut Meta) -> Traced<f64> {
                m.pure_word(Op::$op, &[Traced { val: self, op }.arg()], self.$native())
            })*
            $(#[inline(never)] fn $call_twin(self, op: u32, m: &mut Meta) -> Traced<f64> {
                float_call(m, &$callee, &[Traced { val: self, op }], self.$call())
            })*
            $(#[inline(never)] fn $call2_twin(self, op: u32, m: &mut Meta, b: Traced<f64>) -> Traced<f64> {
                float_call(m, &$callee2, &[Traced { val: self, op }, b], self.$call2(b.val))
            })*
            #[inline(never)]
            fn jit_twin_of_to_bits(self, op: u32, m: &mut Meta) -> Traced<u64> {
                m.pure_word(Op::FloatBits, &[Traced { val: self, op }.arg()], self.to_bits())
            }
            #[inline(never)]
            fn jit_twin_of_is_nan(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let a = Traced { val: self, op }.arg();
                m.pure_word(Op::Fne, &[a, a], self.is_nan())
            }
            #[inline(never)]
            fn jit_twin_of_is_infinite(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let size = self.jit_twin_of_abs(op, m);
                m.eq(size, Traced::constant(f64::INFINITY))
            }
            #[inline(never)]
            fn jit_twin_of_is_finite(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let size = self.jit_twin_of_abs(op, m);
                m.lt(size, Traced::constant(f64::INFINITY))
            }
            #[inline(never)]
            fn jit_twin_of_is_sign_negative(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let bits = self.jit_twin_of_to_bits(op, m);
                m.pure_word(Op::Lt, &[bits.arg(), Arg::Const(0)], self.is_sign_negative())
            }
            #[inline(never)]
            fn jit_twin_of_is_sign_positive(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let negative = self.jit_twin_of_is_sign_negative(op, m);
                m.not(negative)
            }
            #[inline(never)]
            fn jit_twin_of_recip(self, op: u32, m: &mut Meta) -> Traced<f64> {
                m.div(Traced::constant(1.0), Traced { val: self, op })
            }
            #[inline(never)]
            fn jit_twin_of_fract(self, op: u32, m: &mut Meta) -> Traced<f64> {
                let whole = self.jit_twin_of_trunc(op, m);
                m.sub(Traced { val: self, op }, whole, false)
            }
            #[inline(never)]
            fn jit_twin_of_signum(self, op: u32, m: &mut Meta) -> Traced<f64> {
                let this = Traced { val: self, op };
                let nan = self.jit_twin_of_is_nan(op, m);
                if m.branch(nan) { this } else { 1.0.jit_twin_of_copysign(CONSTANT, m, this) }
            }
            #[inline(never)]
            fn jit_twin_of_copysign(self, op: u32, m: &mut Meta, sign: Traced<f64>) -> Traced<f64> {
                const SIGN: u64 = 1 << 63;
                let (size, sign) = (self.jit_twin_of_to_bits(op, m), sign.val.jit_twin_of_to_bits(sign.op, m));
                let size = m.bitand(size, Traced::constant(!SIGN));
                let sign = m.bitand(sign, Traced::constant(SIGN));
                let bits = m.bitor(size, sign);
                f64::jit_twin_of_from_bits(m, bits)
            }
            #[inline(never)]
            fn jit_twin_of_clamp(self, op: u32, m: &mut Meta, min: Traced<f64>, max: Traced<f64>) -> Traced<f64> {
                let ordered = m.le(min, max);
                if !m.branch(ordered) {
                    m.panics();
                    return Traced::constant(self.clamp(min.val, max.val));
                }
                let this = Traced { val: self, op };
                let below = m.lt(this, min);
                let this = choose(m, below, min, this);
                let above = m.lt(max, this);
                choose(m, above, max, this)
            }
            #[inline(never)]
            fn jit_twin_of_powi(self, op: u32, m: &mut Meta, power: Traced<i32>) -> Traced<f64> {
                let this = Traced { val: self, op };
                called!(m, "f64::powi", |this: f64, power: i32| -> f64 { this.powi(power) })
            }
            #[inline(never)]
            fn jit_twin_of_mul_add(self, op: u32, m: &mut Meta, factor: Traced<f64>, term: Traced<f64>) -> Traced<f64> {
                float_call(m, &MUL_ADD, &[Traced { val: self, op }, factor, term], self.mul_add(factor.val, term.val))
            }
        }
    };
}
float_twins! {
    ops {
        jit_twin_of_abs abs Fabs; jit_twin_of_sqrt sqrt Fsqrt; jit_twin_of_floor floor Ffloor; jit_twin_of_ceil ceil Fceil;
        jit_twin_of_trunc trunc Ftrunc;
    }
    calls1 {
        jit_twin_of_sin sin SIN; jit_twin_of_cos cos COS; jit_twin_of_tan tan TAN; jit_twin_of_asin asin ASIN;
        jit_twin_of_acos acos ACOS; jit_twin_of_atan atan ATAN; jit_twin_of_exp exp EXP; jit_twin_of_ln ln LN;
        jit_twin_of_log2 log2 LOG2; jit_twin_of_log10 log10 LOG10; jit_twin_of_cbrt cbrt CBRT; jit_twin_of_round round ROUND;
        jit_twin_of_exp2 exp2 EXP2; jit_twin_of_exp_m1 exp_m1 EXP_M1; jit_twin_of_ln_1p ln_1p LN_1P; jit_twin_of_sinh sinh SINH;
        jit_twin_of_cosh cosh COSH; jit_twin_of_tanh tanh TANH; jit_twin_of_asinh asinh ASINH; jit_twin_of_acosh acosh ACOSH;
        jit_twin_of_atanh atanh ATANH; jit_twin_of_to_degrees to_degrees TO_DEGREES; jit_twin_of_to_radians to_radians TO_RADIANS;
        jit_twin_of_round_ties_even round_ties_even ROUND_TIES_EVEN;
    }
    calls2 {
        jit_twin_of_atan2 atan2 ATAN2; jit_twin_of_powf powf POWF; jit_twin_of_hypot hypot HYPOT; jit_twin_of_min min MIN;
        jit_twin_of_max max MAX; jit_twin_of_log log LOG; jit_twin_of_rem_euclid rem_euclid REM_EUCLID;
        jit_twin_of_div_euclid div_euclid DIV_EUCLID;
    }
}

/// Associated functions of floats.
pub trait FloatAssociated {
    /// As in the standard library.
    fn jit_twin_of_from_bits(m: &mut Meta, bits: Traced<u64>) -> Traced<f64>;
}
impl FloatAssociated for f64 {
    #[inline(never)]
    fn jit_twin_of_from_bits(m: &mut Meta, bits: Traced<u64>) -> Traced<f64> {
        m.pure_word(Op::BitsFloat, &[bits.arg()], f64::from_bits(bits.val))
    }
}
