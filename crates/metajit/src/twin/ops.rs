//! Arithmetic, comparison and conversion of traced words.
//!
//! Every function computes the native value with Rust's own meaning and, unless all operands are constants, records the
//! operations that compute the same bits. Narrow integers are computed in 64 bits and brought back into canonical form.
//! Where plain Rust would panic (overflow in a debug build, division by zero, a shift too far), the twin branches on
//! the condition first, so that the trace has a guard whose replay reaches the panic.

use super::Traced;
use crate::ir::{Arg, Op};
use crate::record::Meta;
use crate::word::Word;

/// Words that can be added, subtracted and so on with Rust's operators.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no arithmetic in traced code",
    note = "operators work on integers and f64; write a `#[jit]` function for your own types"
)]
pub trait Number: Word {
    /// `a + b`, panicking on overflow if `checked`.
    fn add(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self>;
    /// `a - b`.
    fn sub(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self>;
    /// `a * b`.
    fn mul(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self>;
    /// `a / b`.
    fn div(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self>;
    /// `a % b`.
    fn rem(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self>;
    /// `-a`.
    fn neg(m: &mut Meta, a: Traced<Self>, checked: bool) -> Traced<Self>;
}

/// Words that can be ordered.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be ordered in traced code",
    note = "`<` and its kin work on integers, f64, bool and char"
)]
pub trait Ordered: Word + PartialOrd {
    /// The operation for "less".
    const LESS: Op;
    /// The operation for "less or equal".
    const LESS_EQUAL: Op;
}

/// Integers.
pub trait Integer: Number + Ordered {
    /// Width in bits.
    const BITS: u32;
    /// Whether signed.
    const SIGNED: bool;
    /// Truncates 64 bits to the type.
    fn truncate(bits: u64) -> Self;
}

macro_rules! ordered {
    ($($t:ty => $less:ident $less_equal:ident),*) => { $(impl Ordered for $t {
        const LESS: Op = Op::$less;
        const LESS_EQUAL: Op = Op::$less_equal;
    })* };
}
ordered!(i8 => Lt Le, i16 => Lt Le, i32 => Lt Le, i64 => Lt Le, isize => Lt Le,
    u8 => Ult Ule, u16 => Ult Ule, u32 => Ult Ule, u64 => Ult Ule, usize => Ult Ule,
    bool => Ult Ule, char => Ult Ule, f64 => Flt Fle);

/// The canonical form of a 64-bit result for an integer type.
pub(super) fn canonical<T: Integer>(m: &mut Meta, arg: Arg) -> Arg {
    let op = match (T::BITS, T::SIGNED) {
        (8, true) => Op::Sext8,
        (16, true) => Op::Sext16,
        (32, true) => Op::Sext32,
        (8, false) => Op::Zext8,
        (16, false) => Op::Zext16,
        (32, false) => Op::Zext32,
        _ => return arg,
    };
    m.pure(op, &[arg])
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arith {
    Add,
    Sub,
    Mul,
}

/// The wrapped result of `a op b`, as recorded.
pub(super) fn wrapping<T: Integer>(m: &mut Meta, arith: Arith, a: Traced<T>, b: Traced<T>, val: T) -> Traced<T> {
    if a.op == b.op && a.op == super::CONSTANT {
        return Traced::constant(val);
    }
    let op = match arith {
        Arith::Add => Op::Add,
        Arith::Sub => Op::Sub,
        Arith::Mul => Op::Mul,
    };
    let wide = m.pure(op, &[a.arg(), b.arg()]);
    let arg = canonical::<T>(m, wide);
    Traced::new(val, arg)
}

/// Whether `a op b` overflows `T`, as recorded.
pub(super) fn overflows<T: Integer>(
    m: &mut Meta,
    arith: Arith,
    a: Traced<T>,
    b: Traced<T>,
    overflows: bool,
) -> Traced<bool> {
    if a.op == b.op && a.op == super::CONSTANT {
        return Traced::constant(overflows);
    }
    let (x, y) = (a.arg(), b.arg());
    let arg = if T::BITS < 64 {
        let op = match arith {
            Arith::Add => Op::Add,
            Arith::Sub => Op::Sub,
            Arith::Mul => Op::Mul,
        };
        let wide = m.pure(op, &[x, y]);
        let narrow = canonical::<T>(m, wide);
        m.pure(Op::Ne, &[wide, narrow])
    } else {
        match (arith, T::SIGNED) {
            (Arith::Add, true) => m.pure(Op::AddOvf, &[x, y]),
            (Arith::Sub, true) => m.pure(Op::SubOvf, &[x, y]),
            (Arith::Mul, true) => m.pure(Op::MulOvf, &[x, y]),
            (Arith::Add, false) => {
                let sum = m.pure(Op::Add, &[x, y]);
                m.pure(Op::Ult, &[sum, x])
            }
            (Arith::Sub, false) => m.pure(Op::Ult, &[x, y]),
            (Arith::Mul, false) => m.pure(Op::UmulOvf, &[x, y]),
        }
    };
    Traced::new(overflows, arg)
}

fn operator<T: Integer>(
    m: &mut Meta,
    arith: Arith,
    a: Traced<T>,
    b: Traced<T>,
    native: (T, bool),
    checked: bool,
) -> Traced<T> {
    if checked {
        let overflow = overflows(m, arith, a, b, native.1);
        if m.fails(overflow) {
            match arith {
                Arith::Add => panic!("attempt to add with overflow"),
                Arith::Sub => panic!("attempt to subtract with overflow"),
                Arith::Mul => panic!("attempt to multiply with overflow"),
            }
        }
    }
    wrapping(m, arith, a, b, native.0)
}

macro_rules! integers {
    ($($t:ty, $signed:literal, $div:ident, $rem:ident;)*) => { $(
        impl Integer for $t {
            const BITS: u32 = <$t>::BITS;
            const SIGNED: bool = $signed;
            #[inline(always)]
            fn truncate(bits: u64) -> Self { bits as $t }
        }
        impl Number for $t {
            #[inline(never)]
            fn add(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self> {
                operator(m, Arith::Add, a, b, a.val.overflowing_add(b.val), checked)
            }
            #[inline(never)]
            fn sub(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self> {
                operator(m, Arith::Sub, a, b, a.val.overflowing_sub(b.val), checked)
            }
            #[inline(never)]
            fn mul(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, checked: bool) -> Traced<Self> {
                operator(m, Arith::Mul, a, b, a.val.overflowing_mul(b.val), checked)
            }
            #[inline(never)]
            fn div(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self> {
                if guard_division(m, a, b) {
                    m.panics();
                    return Traced::constant(a.val / b.val);
                }
                m.pure_word(Op::$div, &[a.arg(), b.arg()], a.val.checked_div(b.val).unwrap_or(0))
            }
            #[inline(never)]
            fn rem(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self> {
                if guard_division(m, a, b) {
                    m.panics();
                    return Traced::constant(a.val % b.val);
                }
                m.pure_word(Op::$rem, &[a.arg(), b.arg()], a.val.checked_rem(b.val).unwrap_or(0))
            }
            #[inline(never)]
            fn neg(m: &mut Meta, a: Traced<Self>, checked: bool) -> Traced<Self> {
                let zero = Traced::constant(0);
                let (val, overflow) = a.val.overflowing_neg();
                if checked {
                    let overflow = overflows(m, Arith::Sub, zero, a, overflow);
                    if m.fails(overflow) {
                        panic!("attempt to negate with overflow");
                    }
                }
                wrapping(m, Arith::Sub, zero, a, val)
            }
        }
    )* };
}
integers! {
    i8, true, Div, Rem; i16, true, Div, Rem; i32, true, Div, Rem; i64, true, Div, Rem; isize, true, Div, Rem;
    u8, false, Udiv, Urem; u16, false, Udiv, Urem; u32, false, Udiv, Urem; u64, false, Udiv, Urem; usize, false, Udiv, Urem;
}

/// Branches on what makes a division panic; whether it will.
pub(super) fn guard_division<T: Integer>(m: &mut Meta, a: Traced<T>, b: Traced<T>) -> bool {
    let zero = m.pure_word(Op::Eq, &[b.arg(), Arg::Const(0)], b.val.to_bits() == 0);
    if m.seldom(zero) {
        return true;
    }
    if !T::SIGNED {
        return false;
    }
    let minus_one = m.pure_word(Op::Eq, &[b.arg(), Arg::Const(u64::MAX)], b.val.to_bits() == u64::MAX);
    if !m.seldom(minus_one) {
        return false;
    }
    let least = (i64::MIN >> (64 - T::BITS)) as u64;
    let is_least = m.pure_word(Op::Eq, &[a.arg(), Arg::Const(least)], a.val.to_bits() == least);
    m.seldom(is_least)
}

impl Number for f64 {
    #[inline(never)]
    fn add(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, _: bool) -> Traced<Self> {
        m.pure_word(Op::Fadd, &[a.arg(), b.arg()], a.val + b.val)
    }
    #[inline(never)]
    fn sub(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, _: bool) -> Traced<Self> {
        m.pure_word(Op::Fsub, &[a.arg(), b.arg()], a.val - b.val)
    }
    #[inline(never)]
    fn mul(m: &mut Meta, a: Traced<Self>, b: Traced<Self>, _: bool) -> Traced<Self> {
        m.pure_word(Op::Fmul, &[a.arg(), b.arg()], a.val * b.val)
    }
    #[inline(never)]
    fn div(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self> {
        m.pure_word(Op::Fdiv, &[a.arg(), b.arg()], a.val / b.val)
    }
    #[inline(never)]
    fn rem(m: &mut Meta, a: Traced<Self>, b: Traced<Self>) -> Traced<Self> {
        super::float_methods::float_call(m, &super::float_methods::FMOD, &[a, b], a.val % b.val)
    }
    #[inline(never)]
    fn neg(m: &mut Meta, a: Traced<Self>, _: bool) -> Traced<Self> {
        m.pure_word(Op::Fneg, &[a.arg()], -a.val)
    }
}

/// Conversion with `as`.
pub trait Cast<U: Word>: Word {
    /// Converts.
    fn cast(m: &mut Meta, a: Traced<Self>) -> Traced<U>;
}

macro_rules! integer_casts {
    ($($from:ty => $($to:ty)*;)*) => { $($(
        impl Cast<$to> for $from {
            #[inline(never)]
            fn cast(m: &mut Meta, a: Traced<Self>) -> Traced<$to> {
                let val = a.val as $to;
                if a.op == super::CONSTANT { return Traced::constant(val) }
                // A canonical word of a narrower or equal range stays what it is.
                let fits = <$from>::BITS < <$to>::BITS && (!<$from as Integer>::SIGNED || <$to as Integer>::SIGNED)
                    || <$from>::BITS == <$to>::BITS && <$from as Integer>::SIGNED == <$to as Integer>::SIGNED;
                if fits { return Traced { val, op: a.op } }
                let arg = canonical::<$to>(m, a.arg());
                Traced::new(val, arg)
            }
        }
    )*)* };
    (all $($t:ty)*) => { integer_casts!(@pairs [$($t)*] [$($t)*]); };
    (@pairs [$($from:ty)*] $to:tt) => { $(integer_casts!(@one $from, $to);)* };
    (@one $from:ty, [$($to:ty)*]) => { integer_casts!($from => $($to)*;); };
}
integer_casts!(all i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

macro_rules! other_casts {
    ($($t:ty)*) => { $(
        impl Cast<$t> for bool {
            fn cast(_: &mut Meta, a: Traced<Self>) -> Traced<$t> { Traced { val: a.val as $t, op: a.op } }
        }
        impl Cast<$t> for char {
            fn cast(m: &mut Meta, a: Traced<Self>) -> Traced<$t> {
                let val = a.val as $t;
                if a.op == super::CONSTANT { return Traced::constant(val) }
                let arg = canonical::<$t>(m, a.arg());
                Traced::new(val, arg)
            }
        }
        impl Cast<f64> for $t {
            fn cast(m: &mut Meta, a: Traced<Self>) -> Traced<f64> {
                let op = if <$t as Integer>::SIGNED { Op::IntToFloat } else { Op::UintToFloat };
                m.pure_word(op, &[a.arg()], a.val as f64)
            }
        }
        impl Cast<$t> for f64 {
            fn cast(m: &mut Meta, a: Traced<Self>) -> Traced<$t> {
                let val = a.val as $t;
                // Narrow types saturate at their own bounds: clamp the 64-bit result. This branches, constant or not: ticks
                // must be the same in every mode.
                let signed = <$t as Integer>::SIGNED;
                let native = if signed { a.val as i64 as u64 } else { a.val as u64 };
                let op = if signed { Op::FloatToInt } else { Op::FloatToUint };
                let wide = m.pure_word::<u64>(op, &[a.arg()], native).arg();
                if <$t>::BITS == 64 { return Traced::new(val, wide) }
                let (low, high) = (<$t>::MIN.to_bits(), <$t>::MAX.to_bits());
                let less = if signed { Op::Lt } else { Op::Ult };
                let is = |x: u64, y: u64| if signed { (x as i64) < (y as i64) } else { x < y };
                let below = m.pure_word(less, &[wide, Arg::Const(low)], is(native, low));
                if m.seldom(below) { return Traced::constant(<$t>::MIN) }
                let above = m.pure_word(less, &[Arg::Const(high), wide], is(high, native));
                if m.seldom(above) { return Traced::constant(<$t>::MAX) }
                Traced::new(val, wide)
            }
        }
    )* };
}
other_casts!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl Cast<char> for u8 {
    fn cast(_: &mut Meta, a: Traced<Self>) -> Traced<char> {
        Traced { val: a.val as char, op: a.op }
    }
}
impl Cast<f64> for f64 {
    fn cast(_: &mut Meta, a: Traced<Self>) -> Traced<f64> {
        a
    }
}
impl Cast<bool> for bool {
    fn cast(_: &mut Meta, a: Traced<Self>) -> Traced<bool> {
        a
    }
}

/// Bitwise operators work on integers and bool.
pub trait Bits: Word {
    /// `!a`.
    fn not(m: &mut Meta, a: Traced<Self>) -> Traced<Self>;
    /// `a & b`.
    fn and(a: Self, b: Self) -> Self;
    /// `a | b`.
    fn or(a: Self, b: Self) -> Self;
    /// `a ^ b`.
    fn xor(a: Self, b: Self) -> Self;
}
macro_rules! bits {
    ($($t:ty: |$m:ident, $a:ident| $mask:expr;)*) => { $(impl Bits for $t {
        fn not($m: &mut Meta, $a: Traced<Self>) -> Traced<Self> {
            $m.pure_word(Op::Xor, &[$a.arg(), Arg::Const($mask)], !$a.val)
        }
        fn and(a: Self, b: Self) -> Self { a & b }
        fn or(a: Self, b: Self) -> Self { a | b }
        fn xor(a: Self, b: Self) -> Self { a ^ b }
    })* };
}
bits! {
    bool: |m, a| 1;
    i8: |m, a| u64::MAX; i16: |m, a| u64::MAX; i32: |m, a| u64::MAX; i64: |m, a| u64::MAX; isize: |m, a| u64::MAX;
    u8: |m, a| 0xff; u16: |m, a| 0xffff; u32: |m, a| 0xffff_ffff; u64: |m, a| u64::MAX; usize: |m, a| u64::MAX;
}

impl Meta {
    /// `a + b`.
    #[inline(always)]
    pub fn add<T: Number>(&mut self, a: Traced<T>, b: Traced<T>, checked: bool) -> Traced<T> {
        T::add(self, a, b, checked)
    }
    /// `a - b`.
    #[inline(always)]
    pub fn sub<T: Number>(&mut self, a: Traced<T>, b: Traced<T>, checked: bool) -> Traced<T> {
        T::sub(self, a, b, checked)
    }
    /// `a * b`.
    #[inline(always)]
    pub fn mul<T: Number>(&mut self, a: Traced<T>, b: Traced<T>, checked: bool) -> Traced<T> {
        T::mul(self, a, b, checked)
    }
    /// `a / b`.
    #[inline(always)]
    pub fn div<T: Number>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<T> {
        T::div(self, a, b)
    }
    /// `a % b`.
    #[inline(always)]
    pub fn rem<T: Number>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<T> {
        T::rem(self, a, b)
    }
    /// `-a`.
    #[inline(always)]
    pub fn neg<T: Number>(&mut self, a: Traced<T>, checked: bool) -> Traced<T> {
        T::neg(self, a, checked)
    }
    /// The next integer, wrapping: a step of a `for` loop.
    #[inline(never)]
    pub fn increment<T: Integer>(&mut self, a: Traced<T>) -> Traced<T> {
        let one = Traced::constant(T::truncate(1));
        wrapping(self, Arith::Add, a, one, T::truncate(a.val.to_bits().wrapping_add(1)))
    }
    /// `a & b`.
    #[inline(never)]
    pub fn bitand<T: Bits>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<T> {
        self.pure_word(Op::And, &[a.arg(), b.arg()], T::and(a.val, b.val))
    }
    /// `a | b`.
    #[inline(never)]
    pub fn bitor<T: Bits>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<T> {
        self.pure_word(Op::Or, &[a.arg(), b.arg()], T::or(a.val, b.val))
    }
    /// `a ^ b`.
    #[inline(never)]
    pub fn bitxor<T: Bits>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<T> {
        self.pure_word(Op::Xor, &[a.arg(), b.arg()], T::xor(a.val, b.val))
    }
    /// `!a`.
    #[inline(never)]
    pub fn not<T: Bits>(&mut self, a: Traced<T>) -> Traced<T> {
        T::not(self, a)
    }
    /// `a << b`, panicking if the amount is too large and `checked`.
    #[inline(never)]
    pub fn shl<T: Integer, U: Integer>(&mut self, a: Traced<T>, b: Traced<U>, checked: bool) -> Traced<T> {
        let amount = self.shift_amount::<T, U>(b, checked, "attempt to shift left with overflow");
        let native = T::truncate(a.val.to_bits() << (amount.bits & 63));
        if a.op == super::CONSTANT && amount.arg.as_const().is_some() {
            return Traced::constant(native);
        }
        let wide = self.pure(Op::Shl, &[a.arg(), amount.arg]);
        let arg = canonical::<T>(self, wide);
        Traced::new(native, arg)
    }
    /// `a >> b`.
    #[inline(never)]
    pub fn shr<T: Integer, U: Integer>(&mut self, a: Traced<T>, b: Traced<U>, checked: bool) -> Traced<T> {
        let amount = self.shift_amount::<T, U>(b, checked, "attempt to shift right with overflow");
        // The canonical word has its type's sign in all upper bits, so a 64-bit shift is right for every width.
        let (op, bits) = if T::SIGNED {
            (Op::Shr, ((a.val.to_bits() as i64) >> (amount.bits & 63)) as u64)
        } else {
            (Op::Ushr, a.val.to_bits() >> (amount.bits & 63))
        };
        let native = T::from_bits(bits);
        if a.op == super::CONSTANT && amount.arg.as_const().is_some() {
            return Traced::constant(native);
        }
        let arg = self.pure(op, &[a.arg(), amount.arg]);
        Traced::new(native, arg)
    }
    /// The shift amount as Rust takes it: in range, or masked, or a panic.
    fn shift_amount<T: Integer, U: Integer>(&mut self, b: Traced<U>, checked: bool, message: &str) -> super::Raw {
        if checked {
            let too_far = b.val.to_bits() >= u64::from(T::BITS);
            let limit = Arg::Const(u64::from(T::BITS) - 1);
            let too_far = self.pure_word(Op::Ult, &[limit, b.arg()], too_far);
            if self.fails(too_far) {
                panic!("{message}");
            }
            return b.raw();
        }
        let mask = u64::from(T::BITS - 1);
        let bits = b.val.to_bits() & mask;
        if b.op == super::CONSTANT {
            return super::Raw::constant(bits);
        }
        let arg = self.pure(Op::And, &[b.arg(), Arg::Const(mask)]);
        super::Raw { bits, arg }
    }
    /// `a == b`.
    #[inline(never)]
    pub fn eq<T: Word + PartialEq>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        let op = if T::TYPE == crate::word::Type::Float { Op::Feq } else { Op::Eq };
        self.pure_word(op, &[a.arg(), b.arg()], a.val == b.val)
    }
    /// `a != b`.
    #[inline(never)]
    pub fn ne<T: Word + PartialEq>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        let op = if T::TYPE == crate::word::Type::Float { Op::Fne } else { Op::Ne };
        self.pure_word(op, &[a.arg(), b.arg()], a.val != b.val)
    }
    /// `a < b`.
    #[inline(never)]
    pub fn lt<T: Ordered>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        self.pure_word(T::LESS, &[a.arg(), b.arg()], a.val < b.val)
    }
    /// `a <= b`.
    #[inline(never)]
    pub fn le<T: Ordered>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        self.pure_word(T::LESS_EQUAL, &[a.arg(), b.arg()], a.val <= b.val)
    }
    /// `a > b`.
    #[inline(always)]
    pub fn gt<T: Ordered>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        self.lt(b, a)
    }
    /// `a >= b`.
    #[inline(always)]
    pub fn ge<T: Ordered>(&mut self, a: Traced<T>, b: Traced<T>) -> Traced<bool> {
        self.le(b, a)
    }
    /// `a as U`.
    #[inline(always)]
    pub fn cast<T: Cast<U>, U: Word>(&mut self, a: Traced<T>) -> Traced<U> {
        T::cast(self, a)
    }
}
