//! Values: small integers in the word itself, everything else on the heap.

use metajit::prelude::*;

/// A value: an odd word is a 63-bit integer, 0 is nil, any other word is the address of an object.
#[jit_word]
pub struct Value(u64);

/// A boxed float.
#[jit_object]
pub struct Float {
    #[immutable]
    value: f64,
}

/// An object of a class, with fields.
#[jit_object]
pub struct Instance {
    #[immutable]
    class: i64,
    fields: [Value],
}

/// A variable that is seldom written: code takes its value for a constant, and is thrown away if it changes.
#[jit_object]
pub struct Global {
    #[quasi_immutable]
    value: Value,
}

/// What the machine itself throws.
pub mod error {
    /// Operands of the wrong kind.
    pub const KIND: i64 = -1;
    /// Division by zero.
    pub const ZERO: i64 = -2;
    /// No such field.
    pub const FIELD: i64 = -3;
    /// Calls nested too deeply.
    pub const DEPTH: i64 = -4;
    /// A power with a negative exponent.
    pub const POWER: i64 = -5;
}

impl Value {
    /// The value that is no object.
    pub const NIL: Value = Value::from_bits(0);
    /// Both truth values are integers.
    pub const FALSE: Value = Value::from_bits(1);
    /// Both truth values are integers.
    pub const TRUE: Value = Value::from_bits(3);
}

#[jit]
impl Value {
    /// A small integer.
    pub fn int(n: i64) -> Value {
        Value::from_bits(((n << 1) | 1) as u64)
    }

    /// An integer if it is small, a float otherwise.
    pub fn number(n: i64) -> Value {
        if (n << 1) >> 1 == n { Value::int(n) } else { Value::float(n as f64) }
    }

    /// A boxed float.
    pub fn float(x: f64) -> Value {
        Value::from_bits(Float::alloc(x).bits())
    }

    /// A truth value.
    pub fn truth(b: bool) -> Value {
        if b { Value::TRUE } else { Value::FALSE }
    }

    /// Whether it is a small integer.
    pub fn is_int(self) -> bool {
        self.bits() & 1 == 1
    }

    /// The small integer that it is.
    pub fn as_int(self) -> i64 {
        (self.bits() as i64) >> 1
    }

    /// A small integer's word without its tag: twice the integer.
    fn untagged(self) -> i64 {
        (self.bits() as i64).wrapping_sub(1)
    }

    /// What it counts for in a condition.
    pub fn is_true(self) -> bool {
        self != Value::FALSE && self != Value::NIL
    }

    fn is_object(self) -> bool {
        self.bits() & 1 == 0 && self != Value::NIL
    }

    /// The object that it is, if it is one with fields.
    pub fn as_instance(self) -> Option<Instance> {
        if self.is_object() {
            // SAFETY: an even word that is not nil is an object's address.
            let instance = unsafe { Instance::from_bits(self.bits()) };
            if instance.is_shape() {
                return Some(instance);
            }
        }
        None
    }

    /// The float that it is or converts to.
    pub fn as_float(self) -> Option<f64> {
        if self.is_int() {
            return Some(self.as_int() as f64);
        }
        if self.is_object() {
            // SAFETY: an even word that is not nil is an object's address.
            let float = unsafe { Float::from_bits(self.bits()) };
            if float.is_shape() {
                return Some(float.value());
            }
        }
        None
    }

    fn floats(self, other: Value) -> Result<(f64, f64), Value> {
        let a = self.as_float().ok_or(Value::int(error::KIND))?;
        let b = other.as_float().ok_or(Value::int(error::KIND))?;
        Ok((a, b))
    }

    /// Sum. The tagged words are added as they are, without one of the tags; overflow gives a float.
    pub fn add(self, other: Value) -> Result<Value, Value> {
        if self.is_int() && other.is_int() {
            let bits = (self.bits() as i64).checked_add(other.untagged());
            return Ok(match bits {
                Some(bits) => Value::from_bits(bits as u64),
                None => Value::float(self.as_int() as f64 + other.as_int() as f64),
            });
        }
        let (a, b) = self.floats(other)?;
        Ok(Value::float(a + b))
    }

    /// Difference.
    pub fn sub(self, other: Value) -> Result<Value, Value> {
        if self.is_int() && other.is_int() {
            let bits = (self.bits() as i64).checked_sub(other.untagged());
            return Ok(match bits {
                Some(bits) => Value::from_bits(bits as u64),
                None => Value::float(self.as_int() as f64 - other.as_int() as f64),
            });
        }
        let (a, b) = self.floats(other)?;
        Ok(Value::float(a - b))
    }

    /// Product.
    pub fn mul(self, other: Value) -> Result<Value, Value> {
        if self.is_int() && other.is_int() {
            let bits = self.as_int().checked_mul(other.untagged());
            return Ok(match bits {
                Some(bits) => Value::from_bits((bits | 1) as u64),
                None => Value::float(self.as_int() as f64 * other.as_int() as f64),
            });
        }
        let (a, b) = self.floats(other)?;
        Ok(Value::float(a * b))
    }

    /// Quotient: truncated for integers.
    pub fn div(self, other: Value) -> Result<Value, Value> {
        if self.is_int() && other.is_int() {
            if other.as_int() == 0 {
                return Err(Value::int(error::ZERO));
            }
            return Ok(Value::number(self.as_int() / other.as_int()));
        }
        let (a, b) = self.floats(other)?;
        Ok(Value::float(a / b))
    }

    /// Remainder, with the dividend's sign.
    pub fn rem(self, other: Value) -> Result<Value, Value> {
        if self.is_int() && other.is_int() {
            if other.as_int() == 0 {
                return Err(Value::int(error::ZERO));
            }
            return Ok(Value::int(self.as_int() % other.as_int()));
        }
        let (a, b) = self.floats(other)?;
        Ok(Value::float(a % b))
    }

    /// Whether it is less.
    pub fn less(self, other: Value) -> Result<bool, Value> {
        if self.is_int() && other.is_int() {
            return Ok((self.bits() as i64) < other.bits() as i64);
        }
        let (a, b) = self.floats(other)?;
        Ok(a < b)
    }

    /// Numbers by value, objects by identity.
    pub fn equals(self, other: Value) -> bool {
        if self == other && self.is_int() {
            return true;
        }
        match (self.as_float(), other.as_float()) {
            (Some(a), Some(b)) => a == b,
            _ => self == other,
        }
    }

    /// Integer power, by code that is not looked into and that can fail.
    #[dont_look_inside]
    pub fn power(self, exponent: Value) -> Result<Value, Value> {
        if !self.is_int() || !exponent.is_int() {
            return Err(Value::int(error::KIND));
        }
        let exponent = u32::try_from(exponent.as_int()).map_err(|_| Value::int(error::POWER))?;
        Ok(Value::int(self.as_int().wrapping_pow(exponent)))
    }

    /// A number that looks random, by code that is not looked into and always answers the same.
    #[elidable]
    pub fn scramble(self) -> Value {
        if !self.is_int() {
            return Value::NIL;
        }
        let n = (self.as_int() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Value::int(((n ^ (n >> 29)) & 0xffff) as i64)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (*self, self.as_instance()) {
            (Value::NIL, _) => write!(f, "nil"),
            (_, Some(instance)) => write!(f, "object of class {}", instance.class()),
            _ if self.is_int() => write!(f, "{}", self.as_int()),
            _ => write!(f, "{:?}", self.as_float().unwrap_or(f64::NAN)),
        }
    }
}
