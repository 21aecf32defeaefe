//! Values: the low three bits say what a word is.

use metajit::prelude::*;

/// A value: an integer (lowest bit 1), the address of a pair plus 2, the address of an array plus 4, or nil (0).
#[jit_word]
pub struct Value(u64);

/// Two values.
#[jit_object]
pub struct Pair {
    head: Value,
    tail: Value,
}

/// A row of values.
#[jit_object]
pub struct Array {
    items: [Value],
}

const PAIR: u64 = 2;
const ARRAY: u64 = 4;
const TAG: u64 = 7;

/// Why a program stopped.
#[jit_enum]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A value of the wrong kind, as an operand of this operation.
    Kind {
        /// The operation.
        operation: i64,
    },
    /// An index out of bounds.
    Index {
        /// The index.
        index: i64,
        /// The array's length.
        length: i64,
    },
    /// Division by zero.
    Zero,
    /// Calls nested too deeply.
    Depth,
}

impl Value {
    /// The empty list, and what is false.
    pub const NIL: Value = Value::from_bits(0);
}

#[jit]
impl Value {
    /// An integer of 63 bits: larger ones wrap around.
    pub fn int(n: i64) -> Value {
        Value::from_bits((n as u64) << 1 | 1)
    }

    /// A truth value.
    pub fn truth(b: bool) -> Value {
        if b { Value::int(1) } else { Value::NIL }
    }

    /// A pair.
    pub fn pair(pair: Pair) -> Value {
        Value::from_bits(pair.bits() + PAIR)
    }

    /// An array.
    pub fn array(array: Array) -> Value {
        Value::from_bits(array.bits() + ARRAY)
    }

    /// Whether it is an integer.
    pub fn is_int(self) -> bool {
        self.bits() & 1 != 0
    }

    /// Whether it is a pair.
    pub fn is_pair(self) -> bool {
        self.bits() & TAG == PAIR
    }

    /// The integer that it is.
    pub fn as_int(self) -> Option<i64> {
        if self.is_int() { Some((self.bits() as i64) >> 1) } else { None }
    }

    /// The pair that it is.
    pub fn as_pair(self) -> Option<Pair> {
        if self.is_pair() {
            // SAFETY: the tag says that this is a pair's address.
            Some(unsafe { Pair::from_bits(self.bits() - PAIR) })
        } else {
            None
        }
    }

    /// The array that it is.
    pub fn as_array(self) -> Option<Array> {
        if self.bits() & TAG == ARRAY {
            // SAFETY: the tag says that this is an array's address.
            Some(unsafe { Array::from_bits(self.bits() - ARRAY) })
        } else {
            None
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        show(*self, 6, f)
    }
}

/// Structures may be cyclic: what is deeper or further along than this is left out.
fn show(value: Value, depth: u32, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    if let Some(n) = value.as_int() {
        return write!(f, "{n}");
    }
    if value == Value::NIL {
        return write!(f, "nil");
    }
    if depth == 0 {
        return write!(f, "..");
    }
    if let Some(array) = value.as_array() {
        write!(f, "[")?;
        for index in 0..array.items_len().min(40) {
            if index > 0 {
                write!(f, " ")?;
            }
            show(array.items(index), depth - 1, f)?;
        }
        return write!(f, "]");
    }
    write!(f, "(")?;
    let mut rest = value;
    for count in 0.. {
        let Some(pair) = rest.as_pair() else { break };
        if count == 20 {
            write!(f, " ..")?;
            break;
        }
        if count > 0 {
            write!(f, " ")?;
        }
        show(pair.head(), depth - 1, f)?;
        rest = pair.tail();
    }
    if rest != Value::NIL && !rest.is_pair() {
        write!(f, " . ")?;
        show(rest, depth - 1, f)?;
    }
    write!(f, ")")
}
