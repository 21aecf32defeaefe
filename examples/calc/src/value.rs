//! Values: a float or an integer in one word, told apart by the upper bits.

use metajit::prelude::*;

/// A float is its IEEE pattern plus [`FLOATS`]; an integer of up to 47 bits is itself plus [`INTEGERS`].
#[jit_word]
pub struct Value(u64);

const FLOATS: u64 = 0x0002 << 48;
const INTEGERS: u64 = 0xfffe << 48;
/// The least word that is an integer.
const LEAST_INTEGER: u64 = 0xfffc << 48;
/// Integers go from minus this to just below it.
const LIMIT: i64 = 1 << 46;

/// What can go wrong.
#[jit_enum]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// An integer was divided by zero.
    DivisionByZero,
    /// Calls were nested too deeply.
    TooDeep,
    /// The program said `fail(code)`.
    Failed(i64),
}

impl Value {
    /// The integer 0.
    pub const ZERO: Value = Value::from_bits(INTEGERS);
}

#[jit]
impl Value {
    /// A float. The NaNs that arithmetic makes have patterns up to `0xfff8 << 48`, which leaves room for the integers; and
    /// programs can't tell one NaN from another, so there is no need to make them all the same.
    pub fn float(x: f64) -> Value {
        Value::from_bits(x.to_bits().wrapping_add(FLOATS))
    }

    /// An integer, or a float if it is too large.
    pub fn int(n: i64) -> Value {
        if -LIMIT <= n && n < LIMIT {
            Value::from_bits(INTEGERS.wrapping_add(n as u64))
        } else {
            Value::float(n as f64)
        }
    }

    /// Truth values are integers.
    pub fn truth(b: bool) -> Value {
        Value::int(b as i64)
    }

    /// Whether it is an integer.
    pub fn is_int(self) -> bool {
        self.bits() >= LEAST_INTEGER
    }

    /// The integer that it is.
    pub fn as_int(self) -> i64 {
        self.bits().wrapping_sub(INTEGERS) as i64
    }

    /// The float that it is or converts to.
    pub fn as_float(self) -> f64 {
        if self.is_int() { self.as_int() as f64 } else { f64::from_bits(self.bits().wrapping_sub(FLOATS)) }
    }

    /// What it counts for in a condition.
    pub fn is_true(self) -> bool {
        if self.is_int() { self.as_int() != 0 } else { self.as_float() != 0.0 }
    }

    /// Sum.
    pub fn add(self, other: Value) -> Value {
        if self.is_int() && other.is_int() {
            Value::int(self.as_int() + other.as_int())
        } else {
            Value::float(self.as_float() + other.as_float())
        }
    }

    /// Difference.
    pub fn sub(self, other: Value) -> Value {
        if self.is_int() && other.is_int() {
            Value::int(self.as_int() - other.as_int())
        } else {
            Value::float(self.as_float() - other.as_float())
        }
    }

    /// Product.
    pub fn mul(self, other: Value) -> Value {
        if self.is_int() && other.is_int() {
            match self.as_int().checked_mul(other.as_int()) {
                Some(product) => Value::int(product),
                None => Value::float(self.as_float() * other.as_float()),
            }
        } else {
            Value::float(self.as_float() * other.as_float())
        }
    }

    /// Quotient: truncated for integers.
    pub fn div(self, other: Value) -> Result<Value, Error> {
        if self.is_int() && other.is_int() {
            let divisor = other.as_int();
            if divisor == 0 {
                return Err(Error::DivisionByZero);
            }
            return Ok(Value::int(self.as_int() / divisor));
        }
        Ok(Value::float(self.as_float() / other.as_float()))
    }

    /// Remainder, with the dividend's sign.
    pub fn rem(self, other: Value) -> Result<Value, Error> {
        if self.is_int() && other.is_int() {
            let divisor = other.as_int();
            if divisor == 0 {
                return Err(Error::DivisionByZero);
            }
            return Ok(Value::int(self.as_int() % divisor));
        }
        Ok(Value::float(self.as_float() % other.as_float()))
    }

    /// Whether it is less.
    pub fn less(self, other: Value) -> bool {
        if self.is_int() && other.is_int() {
            self.as_int() < other.as_int()
        } else {
            self.as_float() < other.as_float()
        }
    }

    /// Whether it is less or equal.
    pub fn less_equal(self, other: Value) -> bool {
        if self.is_int() && other.is_int() {
            self.as_int() <= other.as_int()
        } else {
            self.as_float() <= other.as_float()
        }
    }

    /// Whether it is the same number.
    pub fn equals(self, other: Value) -> bool {
        if self.is_int() && other.is_int() {
            self.as_int() == other.as_int()
        } else {
            self.as_float() == other.as_float()
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_int() { write!(f, "{}", self.as_int()) } else { write!(f, "{:?}", self.as_float()) }
    }
}
