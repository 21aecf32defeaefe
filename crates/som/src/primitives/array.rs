//! Primitives of `Array`.

use super::fail;
use crate::objects::{Layout, SArray};
use crate::universe::class_of;
use crate::value::{NIL, Value};
use crate::vm::{as_array, as_class, text};
use metajit::prelude::*;

/// The most elements an array may have: more would not fit into any memory.
const MAX_LENGTH: i64 = 1 << 32;

/// Why an element can't be accessed.
#[dont_look_inside]
#[cold]
pub(super) fn bad_index(receiver: Value, index: Value) -> Value {
    let Some(array) = as_array(receiver) else {
        return no_array(receiver);
    };
    match crate::numbers::print(index) {
        Ok(shown) => {
            let length = array.items_len();
            fail(format!("index {shown} is not within an array of length {length}"))
        }
        Err(_) => fail(format!("an index must be an Integer, not an instance of {}", text(class_of(index).name()))),
    }
}

/// Why something can't be done with what is no array.
#[dont_look_inside]
#[cold]
pub(super) fn no_array(receiver: Value) -> Value {
    fail(format!("an Array was expected, not an instance of {}", text(class_of(receiver).name())))
}

/// A new array, of the class that is asked.
pub(super) fn new(receiver: Value, length: Value) -> Value {
    let class = match as_class(receiver) {
        Some(class) if class.layout() == Layout::Array as i64 => class,
        _ => return fail("only an Array class makes arrays"),
    };
    if !length.is_integer() {
        return fail("the length of an array must be an Integer");
    }
    let length = length.as_integer();
    if !(0..=MAX_LENGTH).contains(&length) {
        return fail(format!("an array can't have {length} elements"));
    }
    Value::from_bits(SArray::alloc(class, length, NIL).bits())
}
