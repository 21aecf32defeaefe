//! The usual methods of integers, and those of `Option` and `Result`, that traced code may call.

use super::ops::{Arith, canonical, overflows, wrapping};
use super::{CONSTANT, Integer, Traced};
use crate::ir::{Arg, Op};
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
    fn jit_twin_of_checked_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_overflowing_add(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_overflowing_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_overflowing_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> (Traced<Self>, Traced<bool>);
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

fn checked<T: Integer>(m: &mut Meta, arith: Arith, a: Traced<T>, b: Traced<T>, native: (T, bool)) -> Option<Traced<T>> {
    let overflow = overflows(m, arith, a, b, native.1);
    if m.seldom(overflow) { None } else { Some(wrapping(m, arith, a, b, native.0)) }
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
pub(super) fn choose<T: Word>(m: &mut Meta, left: Traced<bool>, a: Traced<T>, b: Traced<T>) -> Traced<T> {
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
                .unwrap_or_else(|| saturated(m, b, <$t>::MIN, <$t>::MAX))
        }
        #[inline(never)]
        fn jit_twin_of_saturating_sub(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            checked(m, Arith::Sub, Traced { val: self, op }, b, self.overflowing_sub(b.val))
                .unwrap_or_else(|| saturated(m, b, <$t>::MAX, <$t>::MIN))
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
fn saturated<T: Integer>(m: &mut Meta, b: Traced<T>, if_negative: T, otherwise: T) -> Traced<T> {
    let zero = T::from_bits(0);
    let negative = m.lt(b, Traced::constant(zero));
    if m.branch(negative) { Traced::constant(if_negative) } else { Traced::constant(otherwise) }
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

/// Methods of `Option`.
pub trait OptionTwin<T>: Sized {
    /// As in the standard library.
    fn jit_twin_of_is_some(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_is_none(self, op: (), m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_unwrap(self, op: (), m: &mut Meta) -> T;
    /// As in the standard library.
    fn jit_twin_of_expect(self, op: (), m: &mut Meta, text: &str) -> T;
    /// As in the standard library.
    fn jit_twin_of_unwrap_or(self, op: (), m: &mut Meta, other: T) -> T;
    /// As in the standard library.
    fn jit_twin_of_and<U>(self, op: (), m: &mut Meta, other: Option<U>) -> Option<U>;
    /// As in the standard library.
    fn jit_twin_of_or(self, op: (), m: &mut Meta, other: Self) -> Self;
    /// As in the standard library.
    fn jit_twin_of_xor(self, op: (), m: &mut Meta, other: Self) -> Self;
    /// As in the standard library.
    fn jit_twin_of_zip<U>(self, op: (), m: &mut Meta, other: Option<U>) -> Option<(T, U)>;
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
    #[track_caller]
    fn jit_twin_of_unwrap(self, _: (), m: &mut Meta) -> T {
        if self.is_none() {
            m.panics();
        }
        self.unwrap()
    }
    #[track_caller]
    fn jit_twin_of_expect(self, _: (), m: &mut Meta, text: &str) -> T {
        if self.is_none() {
            m.panics();
        }
        self.expect(text)
    }
    fn jit_twin_of_and<U>(self, _: (), _: &mut Meta, other: Option<U>) -> Option<U> {
        self.and(other)
    }
    fn jit_twin_of_or(self, _: (), _: &mut Meta, other: Self) -> Self {
        self.or(other)
    }
    fn jit_twin_of_xor(self, _: (), _: &mut Meta, other: Self) -> Self {
        self.xor(other)
    }
    fn jit_twin_of_zip<U>(self, _: (), _: &mut Meta, other: Option<U>) -> Option<(T, U)> {
        self.zip(other)
    }
    fn jit_twin_of_unwrap_or(self, _: (), _: &mut Meta, other: T) -> T {
        self.unwrap_or(other)
    }
    fn jit_twin_of_ok_or<E>(self, _: (), _: &mut Meta, error: E) -> Result<T, E> {
        self.ok_or(error)
    }
}

/// Methods of `Option` and `Result` of words.
pub trait DefaultTwin<T>: Sized {
    /// As in the standard library.
    fn jit_twin_of_unwrap_or_default(self, op: (), m: &mut Meta) -> Traced<T>;
}
impl<T: Word + Default> DefaultTwin<T> for Option<Traced<T>> {
    fn jit_twin_of_unwrap_or_default(self, _: (), _: &mut Meta) -> Traced<T> {
        self.unwrap_or_else(|| Traced::constant(T::default()))
    }
}
impl<T: Word + Default, E> DefaultTwin<T> for Result<Traced<T>, E> {
    fn jit_twin_of_unwrap_or_default(self, _: (), _: &mut Meta) -> Traced<T> {
        self.unwrap_or_else(|_| Traced::constant(T::default()))
    }
}

/// Methods of an `Option` in an `Option`.
pub trait NestedOptionTwin<T>: Sized {
    /// As in the standard library.
    fn jit_twin_of_flatten(self, op: (), m: &mut Meta) -> Option<T>;
}
impl<T> NestedOptionTwin<T> for Option<Option<T>> {
    fn jit_twin_of_flatten(self, _: (), _: &mut Meta) -> Option<T> {
        self.flatten()
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
    fn jit_twin_of_and<U>(self, op: (), m: &mut Meta, other: Result<U, E>) -> Result<U, E>;
    /// As in the standard library.
    fn jit_twin_of_or<F>(self, op: (), m: &mut Meta, other: Result<T, F>) -> Result<T, F>;
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
    fn jit_twin_of_and<U>(self, _: (), _: &mut Meta, other: Result<U, E>) -> Result<U, E> {
        self.and(other)
    }
    fn jit_twin_of_or<F>(self, _: (), _: &mut Meta, other: Result<T, F>) -> Result<T, F> {
        self.or(other)
    }
    fn jit_twin_of_unwrap_or(self, _: (), _: &mut Meta, other: T) -> T {
        self.unwrap_or(other)
    }
}

/// Methods of `Result` that panic, and say what was in it.
pub trait FailingTwin<T, E>: Sized {
    /// As in the standard library.
    fn jit_twin_of_unwrap(self, op: (), m: &mut Meta) -> T;
    /// As in the standard library.
    fn jit_twin_of_expect(self, op: (), m: &mut Meta, text: &str) -> T;
    /// As in the standard library.
    fn jit_twin_of_unwrap_err(self, op: (), m: &mut Meta) -> E;
}
impl<T: std::fmt::Debug, E: std::fmt::Debug> FailingTwin<T, E> for Result<T, E> {
    #[track_caller]
    fn jit_twin_of_unwrap(self, _: (), m: &mut Meta) -> T {
        if self.is_err() {
            m.panics();
        }
        self.unwrap()
    }
    #[track_caller]
    fn jit_twin_of_expect(self, _: (), m: &mut Meta, text: &str) -> T {
        if self.is_err() {
            m.panics();
        }
        self.expect(text)
    }
    #[track_caller]
    fn jit_twin_of_unwrap_err(self, _: (), m: &mut Meta) -> E {
        if self.is_ok() {
            m.panics();
        }
        self.unwrap_err()
    }
}
