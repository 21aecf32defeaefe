//! Values: every SOM object as one word.
//!
//! A value is an integer of 51 bits, a double, one of the three singletons, or the address of an object. The
//! encoding is linear, so that boxing and unboxing are one addition and every test is one comparison:
//!
//! | bits | value |
//! |---|---|
//! | 0, 2, 4 | `nil`, `false`, `true` |
//! | 6 | no value: a global that nobody has set |
//! | 8 .. 2^48 | the address of an object |
//! | 0x0007 << 48 .. 0x000F << 48 | the integer `bits - (0x000B << 48)` |
//! | 0x000F << 48 and above | the double whose bits are `bits - (0x000F << 48)` |
//!
//! `nil` is zero so that fresh memory is full of it. The singletons are no objects, so that a test of a
//! condition compares with a constant and loads nothing. Integers beyond 51 bits are objects of their own
//! (`numbers`), but of the same class: the language does not see the difference. NaN has one encoding, so that
//! equal bits are equal values in every tier.

use crate::objects::Obj;
use metajit::prelude::*;

/// Any SOM object.
#[jit_word]
pub struct Value(u64);

/// `nil`, and the content of fresh memory.
pub const NIL: Value = Value::from_bits(0);
/// `false`.
pub const FALSE: Value = Value::from_bits(2);
/// `true`.
pub const TRUE: Value = Value::from_bits(4);
/// No value; never seen by the language.
pub const UNDEFINED: Value = Value::from_bits(6);

const FIRST_ADDRESS: u64 = 8;
const ADDRESS_END: u64 = 1 << 48;
const INTEGER_BEGIN: u64 = 0x0007 << 48;
const INTEGER_ZERO: u64 = 0x000B << 48;
const DOUBLE_ZERO: u64 = 0x000F << 48;
const INTEGER_RANGE: u64 = 1 << 51;
const INTEGER_HALF: i64 = 1 << 50;
const CANONICAL_NAN: u64 = 0x7FF8 << 48;

/// Whether an integer fits into a value.
#[jit]
#[inline(always)]
pub fn fits(integer: i64) -> bool {
    (integer.wrapping_add(INTEGER_HALF) as u64) < INTEGER_RANGE
}

/// The value of an integer that [`fits`].
#[jit]
#[inline(always)]
pub fn from_integer(integer: i64) -> Value {
    Value::from_bits((integer as u64).wrapping_add(INTEGER_ZERO))
}

/// The value of a double.
#[jit]
#[inline(always)]
// Only a NaN differs from itself; this is a comparison in traced code too.
#[allow(clippy::eq_op)]
pub fn from_double(double: f64) -> Value {
    let bits = if double == double { double.to_bits() } else { CANONICAL_NAN };
    Value::from_bits(bits.wrapping_add(DOUBLE_ZERO))
}

/// The value of a truth.
#[jit]
#[inline(always)]
pub fn from_bool(truth: bool) -> Value {
    Value::from_bits(((truth as u64) << 1).wrapping_add(2))
}

/// The value that names an object.
#[jit]
#[inline(always)]
pub fn from_object(object: Obj) -> Value {
    Value::from_bits(object.bits())
}

#[jit]
impl Value {
    /// Whether this is an integer of 51 bits.
    #[inline(always)]
    pub fn is_integer(self) -> bool {
        self.bits().wrapping_sub(INTEGER_BEGIN) < INTEGER_RANGE
    }

    /// The integer, if it is one.
    #[inline(always)]
    pub fn as_integer(self) -> i64 {
        self.bits().wrapping_sub(INTEGER_ZERO) as i64
    }

    /// Whether this is a double.
    #[inline(always)]
    pub fn is_double(self) -> bool {
        self.bits() >= DOUBLE_ZERO
    }

    /// The double, if it is one.
    #[inline(always)]
    pub fn as_double(self) -> f64 {
        f64::from_bits(self.bits().wrapping_sub(DOUBLE_ZERO))
    }

    /// Whether this is an object on the heap.
    #[inline(always)]
    pub fn is_object(self) -> bool {
        self.bits().wrapping_sub(FIRST_ADDRESS) < ADDRESS_END - FIRST_ADDRESS
    }

    /// The object, if it is one.
    #[inline(always)]
    pub fn as_object(self) -> Obj {
        // SAFETY: the language's invariant: a value in the range of addresses names a live object.
        unsafe { Obj::from_bits(self.bits()) }
    }

    /// Whether this is `nil`.
    #[inline(always)]
    pub fn is_nil(self) -> bool {
        self.bits() == 0
    }

    /// Whether this is `true` or `false`.
    #[inline(always)]
    pub fn is_boolean(self) -> bool {
        self.bits() == 2 || self.bits() == 4
    }
}
