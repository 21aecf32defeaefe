//! Primitives of `Method` and `Primitive`, and the checks before a method is called reflectively.
//!
//! A method may only run on an instance of its class: its code loads fields without asking.

use super::fail;
use crate::objects::{Class, Method, SArray};
use crate::universe::{class_of, universe};
use crate::value::{NIL, Value};
use crate::vm::{as_array, as_class, as_method, as_symbol, maybe_class, string, string_value, text};
use metajit::prelude::*;

pub(super) fn run(primitive: i64, receiver: Value) -> Value {
    let Some(method) = as_method(receiver) else {
        return fail("a method was expected");
    };
    match primitive {
        super::METHOD_SIGNATURE | super::PRIMITIVE_SIGNATURE => string_value(method.signature()),
        _ => maybe_class(method.holder()),
    }
}

fn inherits(class: Class, ancestor: Class) -> bool {
    let mut at = Maybe::some(class);
    while let Some(class) = at.get() {
        if class == ancestor {
            return true;
        }
        at = class.superclass();
    }
    false
}

/// An array without elements.
#[dont_look_inside]
pub(super) fn no_arguments() -> Value {
    Value::from_bits(SArray::alloc(universe().array_class(), 0, NIL).bits())
}

/// What keeps a `perform:` from being done, or nil.
#[dont_look_inside]
pub(super) fn check_perform(
    receiver: Value,
    selector: Value,
    arguments: Value,
    superclass: Value,
    in_superclass: bool,
) -> Value {
    if as_symbol(selector).is_none() {
        return string("perform: needs a Symbol");
    }
    if as_array(arguments).is_none() {
        return string("the arguments of perform: must be in an Array");
    }
    if !in_superclass {
        return NIL;
    }
    match as_class(superclass) {
        Some(class) if inherits(class_of(receiver), class) => NIL,
        Some(class) => string(&format!("{} is no superclass of the receiver's class", text(class.name()))),
        None => string("perform:inSuperclass: needs a class"),
    }
}

/// What keeps a method from being called on a receiver, or nil.
#[dont_look_inside]
pub(super) fn check_invoke(callee: Value, receiver: Value, arguments: Value) -> Value {
    let Some(method) = as_method(callee) else {
        return string("only methods can be invoked");
    };
    if as_array(arguments).is_none() {
        return string("the arguments of a method must be in an Array");
    }
    let Some(holder) = method.holder().get() else {
        return string("a method of no class can't run on any receiver");
    };
    if method.is_block() || !inherits(class_of(receiver), holder) {
        return string(&format!("a method of {} can't run on this receiver", text(holder.name())));
    }
    NIL
}

/// Says that there are not as many arguments as a method takes.
#[dont_look_inside]
pub(super) fn wrong_count(callee: Method, arguments: SArray) -> Value {
    string(&format!(
        "{} takes {} arguments, not {}",
        text(callee.signature()),
        callee.arguments(),
        arguments.items_len()
    ))
}
