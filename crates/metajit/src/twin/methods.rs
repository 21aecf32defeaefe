//! The methods of integers, floats, `Option` and `Result` that traced code may call.

use super::ops::{Arith, canonical, overflows, wrapping};
use super::{CONSTANT, Integer, Traced};
use crate::ir::{Arg, Callee, Effect, Op};
use crate::record::Meta;
use crate::word::Word;

/// Methods of integers.
pub trait IntTwin: Integer {
    /// The wrapping, checked and other arithmetic of the standard library; see each method's plain namesake.
    fn jit_twin_of_wrapping_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_neg(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_checked_add(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_sub(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_mul(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_overflowing_add(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_overflowing_sub(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_overflowing_mul(
        self,
        op: u32,
        m: &mut Meta,
        b: Traced<Self>,
    ) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_saturating_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_saturating_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_shl(self, op: u32, m: &mut Meta, b: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_shr(self, op: u32, m: &mut Meta, b: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_min(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_max(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_abs(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_count_ones(self, op: u32, m: &mut Meta) -> Traced<u32>;
    /// As in the standard library.
    fn jit_twin_of_leading_zeros(self, op: u32, m: &mut Meta) -> Traced<u32>;
    /// As in the standard library.
    fn jit_twin_of_trailing_zeros(self, op: u32, m: &mut Meta) -> Traced<u32>;
}

fn checked<T: Integer>(
    m: &mut Meta,
    arith: Arith,
    a: Traced<T>,
    b: Traced<T>,
    native: (T, bool),
) -> Option<Traced<T>> {
    let overflow = overflows(m, arith, a, b, native.1);
    if m.branch(overflow) {
        None
    } else {
        Some(wrapping(m, arith, a, b, native.0))
    }
}

fn overflowing<T: Integer>(
    m: &mut Meta,
    arith: Arith,
    a: Traced<T>,
    b: Traced<T>,
    native: (T, bool),
) -> (Traced<T>, Traced<bool>) {
    let overflow = overflows(m, arith, a, b, native.1);
    (wrapping(m, arith, a, b, native.0), overflow)
}

/// Left if `left`, else right: a branch, which the trace follows one way.
fn choose<T: Word>(m: &mut Meta, left: Traced<bool>, a: Traced<T>, b: Traced<T>) -> Traced<T> {
    if m.branch(left) { a } else { b }
}

macro_rules! int_twins {
    ($($t:ty)*) => { $(impl IntTwin for $t {
        #[inline(never)]
        fn jit_twin_of_wrapping_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            wrapping(m, Arith::Add, Traced { val: self, op }, b, self.wrapping_add(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            wrapping(m, Arith::Sub, Traced { val: self, op }, b, self.wrapping_sub(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            wrapping(m, Arith::Mul, Traced { val: self, op }, b, self.wrapping_mul(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_neg(self, op: u32, m: &mut Meta) -> Traced<Self> {
            wrapping(m, Arith::Sub, Traced::constant(0), Traced { val: self, op }, self.wrapping_neg())
        }
        #[inline(never)]
        fn jit_twin_of_checked_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>> {
            checked(m, Arith::Add, Traced { val: self, op }, b, self.overflowing_add(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_checked_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>> {
            checked(m, Arith::Sub, Traced { val: self, op }, b, self.overflowing_sub(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_checked_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>> {
            checked(m, Arith::Mul, Traced { val: self, op }, b, self.overflowing_mul(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_overflowing_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>) {
            overflowing(m, Arith::Add, Traced { val: self, op }, b, self.overflowing_add(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_overflowing_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>) {
            overflowing(m, Arith::Sub, Traced { val: self, op }, b, self.overflowing_sub(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_overflowing_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>) {
            overflowing(m, Arith::Mul, Traced { val: self, op }, b, self.overflowing_mul(b.val))
        }
        #[inline(never)]
        fn jit_twin_of_saturating_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            checked(m, Arith::Add, Traced { val: self, op }, b, self.overflowing_add(b.val))
                .unwrap_or_else(|| saturated(m, b, self.saturating_add(b.val), <$t>::MIN, <$t>::MAX))
        }
        #[inline(never)]
        fn jit_twin_of_saturating_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            checked(m, Arith::Sub, Traced { val: self, op }, b, self.overflowing_sub(b.val))
                .unwrap_or_else(|| saturated(m, b, self.saturating_sub(b.val), <$t>::MAX, <$t>::MIN))
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_shl(self, op: u32, m: &mut Meta, b: Traced<u32>) -> Traced<Self> {
            m.shl(Traced { val: self, op }, b, false)
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_shr(self, op: u32, m: &mut Meta, b: Traced<u32>) -> Traced<Self> {
            m.shr(Traced { val: self, op }, b, false)
        }
        #[inline(never)]
        fn jit_twin_of_min(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            let a = Traced { val: self, op };
            let less = m.lt(a, b);
            choose(m, less, a, b)
        }
        #[inline(never)]
        fn jit_twin_of_max(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            let a = Traced { val: self, op };
            let less = m.lt(a, b);
            choose(m, less, b, a)
        }
        #[inline(never)]
        fn jit_twin_of_abs(self, op: u32, m: &mut Meta) -> Traced<Self> {
            let a = Traced { val: self, op };
            let negative = m.lt(a, Traced::constant(0));
            if m.branch(negative) { <$t as super::Number>::neg(m, a, cfg!(debug_assertions)) } else { a }
        }
        #[inline(never)]
        fn jit_twin_of_count_ones(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let bits = zero_extended(m, Traced { val: self, op });
            m.pure_word(Op::Popcnt, &[bits], self.count_ones())
        }
        #[inline(never)]
        fn jit_twin_of_leading_zeros(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let bits = zero_extended(m, Traced { val: self, op });
            let wide = m.pure_word::<u32>(Op::Clz, &[bits], self.leading_zeros() + (64 - <$t>::BITS));
            wrapping(m, Arith::Sub, wide, Traced::constant(64 - <$t>::BITS), self.leading_zeros())
        }
        #[inline(never)]
        fn jit_twin_of_trailing_zeros(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let a = Traced { val: self, op };
            let arg = if <$t>::BITS == 64 { a.arg() } else { m.pure(Op::Or, &[a.arg(), Arg::Const(1 << (<$t>::BITS & 63))]) };
            m.pure_word(Op::Ctz, &[arg], self.trailing_zeros())
        }
    })* };
}
int_twins!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

/// The bound that a saturating operation stops at: which one depends on the second operand's sign.
fn saturated<T: Integer>(
    m: &mut Meta,
    b: Traced<T>,
    native: T,
    if_negative: T,
    otherwise: T,
) -> Traced<T> {
    debug_assert!(native == if_negative || native == otherwise);
    let zero = T::from_bits(0);
    let negative = m.lt(b, Traced::constant(zero));
    if m.branch(negative) {
        Traced::constant(if_negative)
    } else {
        Traced::constant(otherwise)
    }
}

fn zero_extended<T: Integer>(m: &mut Meta, a: Traced<T>) -> Arg {
    if a.op == CONSTANT {
        let mask = u64::MAX >> (64 - T::BITS);
        return Arg::Const(a.val.to_bits() & mask);
    }
    match (T::BITS, T::SIGNED) {
        (8, true) => canonical::<u8>(m, a.arg()),
        (16, true) => canonical::<u16>(m, a.arg()),
        (32, true) => canonical::<u32>(m, a.arg()),
        _ => a.arg(),
    }
}

/// Calls an elidable function of floats.
pub(super) fn float_call(
    m: &mut Meta,
    callee: &'static Callee,
    args: &[Traced<f64>],
    val: f64,
) -> Traced<f64> {
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
            params: [$(stringify!($arg)),*].len() as u8, results: 1, effect: Effect::Elidable,
        };
    )* };
    (@f64 $arg:ident) => { f64 };
}
float_functions! {
    sin SIN (a) f64::sin; cos COS (a) f64::cos; tan TAN (a) f64::tan; asin ASIN (a) f64::asin; acos ACOS (a) f64::acos;
    atan ATAN (a) f64::atan; exp EXP (a) f64::exp; ln LN (a) f64::ln; log2 LOG2 (a) f64::log2; log10 LOG10 (a) f64::log10;
    cbrt CBRT (a) f64::cbrt; round ROUND (a) f64::round;
    atan2 ATAN2 (a, b) f64::atan2; powf POWF (a, b) f64::powf; hypot HYPOT (a, b) f64::hypot; fmod FMOD (a, b) |a, b| a % b;
    min MIN (a, b) f64::min; max MAX (a, b) f64::max;
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
    }
    calls2 {
        jit_twin_of_atan2 atan2 ATAN2; jit_twin_of_powf powf POWF; jit_twin_of_hypot hypot HYPOT; jit_twin_of_min min MIN;
        jit_twin_of_max max MAX;
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

/// Methods of `char`.
pub trait CharTwin: Sized {
    /// As in the standard library.
    fn jit_twin_of_is_ascii_digit(self, op: u32, m: &mut Meta) -> Traced<bool>;
}
impl CharTwin for char {
    #[inline(never)]
    fn jit_twin_of_is_ascii_digit(self, op: u32, m: &mut Meta) -> Traced<bool> {
        let offset = m.pure(
            Op::Sub,
            &[Traced { val: self, op }.arg(), Arg::Const('0' as u64)],
        );
        m.pure_word(Op::Ult, &[offset, Arg::Const(10)], self.is_ascii_digit())
    }
}

/// Methods of `Option`.
pub trait OptionTwin<T>: Sized {
    /// As in the standard library.
    fn jit_twin_of_is_some(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_is_none(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_unwrap(self, op: (), m: &mut Meta) -> T;
    /// As in the standard library.
    fn jit_twin_of_unwrap_or(self, op: (), m: &mut Meta, other: T) -> T;
    /// As in the standard library.
    fn jit_twin_of_ok_or<E>(self, op: (), m: &mut Meta, error: E) -> Result<T, E>;
}
impl<T> OptionTwin<T> for Option<T> {
    fn jit_twin_of_is_some(self, _: (), _: &mut Meta) -> Traced<bool> {
        Traced::constant(self.is_some())
    }
    fn jit_twin_of_is_none(self, _: (), _: &mut Meta) -> Traced<bool> {
        Traced::constant(self.is_none())
    }
    fn jit_twin_of_unwrap(self, _: (), _: &mut Meta) -> T {
        self.unwrap()
    }
    fn jit_twin_of_unwrap_or(self, _: (), _: &mut Meta, other: T) -> T {
        self.unwrap_or(other)
    }
    fn jit_twin_of_ok_or<E>(self, _: (), _: &mut Meta, error: E) -> Result<T, E> {
        self.ok_or(error)
    }
}

/// Methods of `Result`.
pub trait ResultTwin<T, E>: Sized {
    /// As in the standard library.
    fn jit_twin_of_is_ok(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_is_err(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_ok(self, op: (), m: &mut Meta) -> Option<T>;
    /// As in the standard library.
    fn jit_twin_of_err(self, op: (), m: &mut Meta) -> Option<E>;
    /// As in the standard library.
    fn jit_twin_of_unwrap_or(self, op: (), m: &mut Meta, other: T) -> T;
}
impl<T, E> ResultTwin<T, E> for Result<T, E> {
    fn jit_twin_of_is_ok(self, _: (), _: &mut Meta) -> Traced<bool> {
        Traced::constant(self.is_ok())
    }
    fn jit_twin_of_is_err(self, _: (), _: &mut Meta) -> Traced<bool> {
        Traced::constant(self.is_err())
    }
    fn jit_twin_of_ok(self, _: (), _: &mut Meta) -> Option<T> {
        self.ok()
    }
    fn jit_twin_of_err(self, _: (), _: &mut Meta) -> Option<E> {
        self.err()
    }
    fn jit_twin_of_unwrap_or(self, _: (), _: &mut Meta, other: T) -> T {
        self.unwrap_or(other)
    }
}
