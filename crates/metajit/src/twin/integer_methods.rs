//! The less usual methods of integers: division that can't panic, shifts that can fail, rotation, powers, signs.

use super::calls::called;
use super::methods::{IntTwin, choose};
use super::ops::{Arith, guard_division, overflows, wrapping};
use super::{Cast, Flat, Integer, Traced};
use crate::ir::{Callee, Effect, Op};
use crate::record::Meta;
use crate::word::Word;

/// Less usual methods of integers.
pub trait MoreIntTwin: Integer {
    /// The unsigned type of the same width.
    type Unsigned: Word;
    /// As in the standard library.
    fn jit_twin_of_checked_div(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_rem(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_neg(self, op: u32, m: &mut Meta) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_overflowing_neg(self, op: u32, m: &mut Meta) -> (Traced<Self>, Traced<bool>);
    /// As in the standard library.
    fn jit_twin_of_checked_shl(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_checked_shr(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_div(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_rem(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_div_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_rem_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_div_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_rem_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_saturating_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_rotate_left(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_rotate_right(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_count_zeros(self, op: u32, m: &mut Meta) -> Traced<u32>;
    /// As in the standard library.
    fn jit_twin_of_leading_ones(self, op: u32, m: &mut Meta) -> Traced<u32>;
    /// As in the standard library.
    fn jit_twin_of_trailing_ones(self, op: u32, m: &mut Meta) -> Traced<u32>;
    /// As in the standard library.
    fn jit_twin_of_swap_bytes(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_reverse_bits(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_wrapping_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_checked_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_abs_diff(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self::Unsigned>;
    /// As in the standard library.
    fn jit_twin_of_clamp(self, op: u32, m: &mut Meta, min: Traced<Self>, max: Traced<Self>) -> Traced<Self>;
}

/// Branches on the divisor being -1, where it can be.
fn is_minus_one<T: Integer>(m: &mut Meta, b: Traced<T>) -> bool {
    T::SIGNED && {
        let minus_one = m.eq(b, Traced::constant(T::truncate(u64::MAX)));
        m.seldom(minus_one)
    }
}

/// Branches on a word being negative, where it can be.
fn is_negative<T: Integer>(m: &mut Meta, a: Traced<T>) -> bool {
    T::SIGNED && {
        let negative = m.lt(a, Traced::constant(T::from_bits(0)));
        m.branch(negative)
    }
}

macro_rules! more_int_twins {
    ($($t:ident $unsigned:ident $div:ident $rem:ident;)*) => { $(impl MoreIntTwin for $t {
        type Unsigned = $unsigned;
        #[inline(never)]
        fn jit_twin_of_checked_div(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>> {
            let a = Traced { val: self, op };
            (!guard_division(m, a, b)).then(|| m.pure_word(Op::$div, &[a.arg(), b.arg()], self.checked_div(b.val).unwrap_or(0)))
        }
        #[inline(never)]
        fn jit_twin_of_checked_rem(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Option<Traced<Self>> {
            let a = Traced { val: self, op };
            (!guard_division(m, a, b)).then(|| m.pure_word(Op::$rem, &[a.arg(), b.arg()], self.checked_rem(b.val).unwrap_or(0)))
        }
        #[inline(never)]
        fn jit_twin_of_checked_neg(self, op: u32, m: &mut Meta) -> Option<Traced<Self>> {
            let (negative, overflow) = self.jit_twin_of_overflowing_neg(op, m);
            if m.seldom(overflow) { None } else { Some(negative) }
        }
        #[inline(never)]
        fn jit_twin_of_overflowing_neg(self, op: u32, m: &mut Meta) -> (Traced<Self>, Traced<bool>) {
            let (a, zero) = (Traced { val: self, op }, Traced::constant(0));
            let (negative, overflow) = self.overflowing_neg();
            (wrapping(m, Arith::Sub, zero, a, negative), overflows(m, Arith::Sub, zero, a, overflow))
        }
        #[inline(never)]
        fn jit_twin_of_checked_shl(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Option<Traced<Self>> {
            let near = m.lt(by, Traced::constant(<$t>::BITS));
            m.branch(near).then(|| m.shl(Traced { val: self, op }, by, false))
        }
        #[inline(never)]
        fn jit_twin_of_checked_shr(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Option<Traced<Self>> {
            let near = m.lt(by, Traced::constant(<$t>::BITS));
            m.branch(near).then(|| m.shr(Traced { val: self, op }, by, false))
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_div(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            if is_minus_one(m, b) { self.jit_twin_of_wrapping_neg(op, m) } else { m.div(Traced { val: self, op }, b) }
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_rem(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            if is_minus_one(m, b) { Traced::constant(0) } else { m.rem(Traced { val: self, op }, b) }
        }
        #[inline(never)]
        fn jit_twin_of_div_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            let a = Traced { val: self, op };
            let (quotient, rest) = (m.div(a, b), m.rem(a, b));
            if !is_negative(m, rest) {
                return quotient;
            }
            let one = Traced::constant(1);
            if is_negative(m, b) { m.add(quotient, one, false) } else { m.sub(quotient, one, false) }
        }
        #[inline(never)]
        fn jit_twin_of_rem_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            let rest = m.rem(Traced { val: self, op }, b);
            if !is_negative(m, rest) {
                return rest;
            }
            if is_negative(m, b) { m.sub(rest, b, false) } else { m.add(rest, b, false) }
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_div_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            if is_minus_one(m, b) { self.jit_twin_of_wrapping_neg(op, m) } else { self.jit_twin_of_div_euclid(op, m, b) }
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_rem_euclid(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            if is_minus_one(m, b) { Traced::constant(0) } else { self.jit_twin_of_rem_euclid(op, m, b) }
        }
        #[inline(never)]
        fn jit_twin_of_saturating_mul(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<Self> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::saturating_mul"), |a: $t, b: $t| -> $t { a.saturating_mul(b) })
        }
        #[inline(never)]
        fn jit_twin_of_rotate_left(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Traced<Self> {
            let a = Traced { val: self, op };
            if <$t>::BITS == 64 {
                return m.pure_word(Op::Rotl, &[a.arg(), by.arg()], self.rotate_left(by.val));
            }
            called!(m, concat!(stringify!($t), "::rotate_left"), |a: $t, by: u32| -> $t { a.rotate_left(by) })
        }
        #[inline(never)]
        fn jit_twin_of_rotate_right(self, op: u32, m: &mut Meta, by: Traced<u32>) -> Traced<Self> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::rotate_right"), |a: $t, by: u32| -> $t { a.rotate_right(by) })
        }
        #[inline(never)]
        fn jit_twin_of_count_zeros(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let ones = self.jit_twin_of_count_ones(op, m);
            m.sub(Traced::constant(<$t>::BITS), ones, false)
        }
        #[inline(never)]
        fn jit_twin_of_leading_ones(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let inverse = m.not(Traced { val: self, op });
            inverse.val.jit_twin_of_leading_zeros(inverse.op, m)
        }
        #[inline(never)]
        fn jit_twin_of_trailing_ones(self, op: u32, m: &mut Meta) -> Traced<u32> {
            let inverse = m.not(Traced { val: self, op });
            inverse.val.jit_twin_of_trailing_zeros(inverse.op, m)
        }
        #[inline(never)]
        fn jit_twin_of_swap_bytes(self, op: u32, m: &mut Meta) -> Traced<Self> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::swap_bytes"), |a: $t| -> $t { a.swap_bytes() })
        }
        #[inline(never)]
        fn jit_twin_of_reverse_bits(self, op: u32, m: &mut Meta) -> Traced<Self> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::reverse_bits"), |a: $t| -> $t { a.reverse_bits() })
        }
        #[inline(never)]
        fn jit_twin_of_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Traced<Self> {
            let a = Traced { val: self, op };
            let (result, overflow) =
                called!(m, concat!(stringify!($t), "::pow"), |a: $t, power: u32| -> ($t, bool) { a.overflowing_pow(power) });
            if cfg!(debug_assertions) && m.fails(overflow) {
                panic!("attempt to multiply with overflow");
            }
            result
        }
        #[inline(never)]
        fn jit_twin_of_wrapping_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Traced<Self> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::wrapping_pow"), |a: $t, power: u32| -> $t { a.wrapping_pow(power) })
        }
        #[inline(never)]
        fn jit_twin_of_checked_pow(self, op: u32, m: &mut Meta, power: Traced<u32>) -> Option<Traced<Self>> {
            let a = Traced { val: self, op };
            called!(m, concat!(stringify!($t), "::checked_pow"), |a: $t, power: u32| -> Option<$t> { a.checked_pow(power) })
        }
        #[inline(never)]
        fn jit_twin_of_abs_diff(self, op: u32, m: &mut Meta, b: Traced<Self>) -> Traced<$unsigned> {
            let a = Traced { val: self, op };
            let less = m.lt(a, b);
            let (large, small) = if m.branch(less) { (b, a) } else { (a, b) };
            let difference = large.val.jit_twin_of_wrapping_sub(large.op, m, small);
            <$t as Cast<$unsigned>>::cast(m, difference)
        }
        #[inline(never)]
        fn jit_twin_of_clamp(self, op: u32, m: &mut Meta, min: Traced<Self>, max: Traced<Self>) -> Traced<Self> {
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
    })* };
}
more_int_twins! {
    i8 u8 Div Rem; i16 u16 Div Rem; i32 u32 Div Rem; i64 u64 Div Rem; isize usize Div Rem;
    u8 u8 Udiv Urem; u16 u16 Udiv Urem; u32 u32 Udiv Urem; u64 u64 Udiv Urem; usize usize Udiv Urem;
}

/// Methods of signed integers.
pub trait SignedTwin: MoreIntTwin {
    /// As in the standard library.
    fn jit_twin_of_wrapping_abs(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_checked_abs(self, op: u32, m: &mut Meta) -> Option<Traced<Self>>;
    /// As in the standard library.
    fn jit_twin_of_unsigned_abs(self, op: u32, m: &mut Meta) -> Traced<Self::Unsigned>;
    /// As in the standard library.
    fn jit_twin_of_signum(self, op: u32, m: &mut Meta) -> Traced<Self>;
    /// As in the standard library.
    fn jit_twin_of_is_negative(self, op: u32, m: &mut Meta) -> Traced<bool>;
    /// As in the standard library.
    fn jit_twin_of_is_positive(self, op: u32, m: &mut Meta) -> Traced<bool>;
}

macro_rules! signed_twins {
    ($($t:ident $unsigned:ident)*) => { $(impl SignedTwin for $t {
        #[inline(never)]
        fn jit_twin_of_wrapping_abs(self, op: u32, m: &mut Meta) -> Traced<Self> {
            let a = Traced { val: self, op };
            if is_negative(m, a) { self.jit_twin_of_wrapping_neg(op, m) } else { a }
        }
        #[inline(never)]
        fn jit_twin_of_checked_abs(self, op: u32, m: &mut Meta) -> Option<Traced<Self>> {
            let a = Traced { val: self, op };
            if is_negative(m, a) { self.jit_twin_of_checked_neg(op, m) } else { Some(a) }
        }
        #[inline(never)]
        fn jit_twin_of_unsigned_abs(self, op: u32, m: &mut Meta) -> Traced<$unsigned> {
            let size = self.jit_twin_of_wrapping_abs(op, m);
            <$t as Cast<$unsigned>>::cast(m, size)
        }
        #[inline(never)]
        fn jit_twin_of_signum(self, op: u32, m: &mut Meta) -> Traced<Self> {
            let a = Traced { val: self, op };
            if is_negative(m, a) {
                return Traced::constant(-1);
            }
            let positive = m.ne(a, Traced::constant(0));
            Traced::constant(<$t>::from(m.branch(positive)))
        }
        #[inline(never)]
        fn jit_twin_of_is_negative(self, op: u32, m: &mut Meta) -> Traced<bool> {
            m.lt(Traced { val: self, op }, Traced::constant(0))
        }
        #[inline(never)]
        fn jit_twin_of_is_positive(self, op: u32, m: &mut Meta) -> Traced<bool> {
            m.lt(Traced::constant(0), Traced { val: self, op })
        }
    })* };
}
signed_twins!(i8 u8 i16 u16 i32 u32 i64 u64 isize usize);

/// Methods of unsigned integers.
pub trait UnsignedTwin: Integer {
    /// As in the standard library.
    fn jit_twin_of_is_power_of_two(self, op: u32, m: &mut Meta) -> Traced<bool>;
}
macro_rules! unsigned_twins {
    ($($t:ident)*) => { $(impl UnsignedTwin for $t {
        #[inline(never)]
        fn jit_twin_of_is_power_of_two(self, op: u32, m: &mut Meta) -> Traced<bool> {
            let ones = self.jit_twin_of_count_ones(op, m);
            m.eq(ones, Traced::constant(1))
        }
    })* };
}
unsigned_twins!(u8 u16 u32 u64 usize);
