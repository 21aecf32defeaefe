//! Primitives of `Class`.

use super::fail;
use crate::objects::{Layout, SArray};
use crate::universe::universe;
use crate::value::{NIL, Value};
use crate::vm::{as_class, maybe_class, new_string, string_value, text};
use metajit::prelude::*;

/// An instance of a class that does not consist of fields.
#[dont_look_inside]
pub(super) fn new_special(receiver: Value) -> Value {
    let Some(class) = as_class(receiver) else {
        return fail("only a class makes instances");
    };
    if class.layout() == Layout::Array as i64 {
        return Value::from_bits(SArray::alloc(class, 0, NIL).bits());
    }
    if class.layout() == Layout::String as i64 {
        return string_value(new_string(class, ""));
    }
    fail(format!("{} makes no instances", text(class.name())))
}

pub(super) fn run(primitive: i64, receiver: Value) -> Value {
    let Some(class) = as_class(receiver) else {
        return fail("a class was expected");
    };
    match primitive {
        super::CLASS_NAME => string_value(class.name()),
        super::CLASS_SUPERCLASS => maybe_class(class.superclass()),
        // A copy: what is done to it changes no class.
        super::CLASS_FIELDS => copy(class.field_names()),
        // The same array each time; the VM does not look into it again.
        _ => Value::from_bits(class.methods().bits()),
    }
}

fn copy(array: SArray) -> Value {
    let length = array.items_len();
    let copy = SArray::alloc(universe().array_class(), length, NIL);
    for index in 0..length {
        copy.set_items(index, array.items(index));
    }
    Value::from_bits(copy.bits())
}
