//! Primitives of `String` and `Symbol`. Characters are Unicode code points.

use super::fail;
use crate::objects::SString;
use crate::universe::{class_of, universe};
use crate::value::{Value, from_bool, from_integer};
use crate::vm::{Vm, as_string, new_string_of, string, string_value, text, with_vm};
use metajit::prelude::*;

/// Why something can't be done with what is no string.
#[dont_look_inside]
#[cold]
pub(super) fn no_string(receiver: Value) -> Value {
    fail(format!("a String was expected, not an instance of {}", text(class_of(receiver).name())))
}

fn bytes<'a>(string: SString) -> &'a [u8] {
    // SAFETY: bytes never change after allocation, and callers hold the string.
    unsafe { string.bytes_slice() }
}

/// Whether two strings of equal length and hash are equal.
#[elidable]
pub(crate) fn same_bytes(left: SString, right: SString) -> bool {
    bytes(left) == bytes(right)
}

pub(super) fn run(primitive: i64, receiver: Value, first: Value, second: Value) -> Value {
    let Some(this) = as_string(receiver) else {
        return no_string(receiver);
    };
    match primitive {
        super::STRING_CONCATENATE => match as_string(first) {
            Some(other) => string_value(new_string_of(
                universe().string_class(),
                this.length() + other.length(),
                bytes(this),
                bytes(other),
            )),
            None => no_string(first),
        },
        super::STRING_AS_SYMBOL => {
            let text = text(this);
            if text == crate::trace::PRINT_STACK_TRACE {
                with_vm(Vm::keep_places);
            }
            string_value(with_vm(|vm| vm.symbol(&text)))
        }
        super::STRING_HASH => from_integer(this.hash()),
        super::STRING_IS_WHITE_SPACE => from_bool(all(this, char::is_whitespace)),
        super::STRING_IS_LETTERS => from_bool(all(this, char::is_alphabetic)),
        super::STRING_IS_DIGITS => from_bool(all(this, |c| c.is_ascii_digit())),
        super::STRING_EQUAL => from_bool(as_string(first).is_some_and(|other| bytes(this) == bytes(other))),
        super::STRING_SUBSTRING => substring(this, first, second),
        _ => string(&text(this)),
    }
}

fn all(string: SString, holds: impl Fn(char) -> bool) -> bool {
    let text = text(string);
    !text.is_empty() && text.chars().all(holds)
}

/// The characters from one position to another, both included.
fn substring(this: SString, from: Value, to: Value) -> Value {
    if !from.is_integer() || !to.is_integer() {
        return fail("the positions in a string must be Integers");
    }
    let (from, to) = (from.as_integer(), to.as_integer());
    if from < 1 || to > this.length() || from > to.saturating_add(1) {
        return fail(format!("there is no substring from {from} to {to} in a string of length {}", this.length()));
    }
    let (from, to) = (from as usize - 1, to.max(0) as usize);
    let bytes = bytes(this);
    if this.length() == bytes.len() as i64 {
        let part = &bytes[from..to];
        return string_value(match part {
            [byte] if *byte < 128 => with_vm(|vm| vm.character(*byte)),
            _ => new_string_of(universe().string_class(), part.len() as i64, part, &[]),
        });
    }
    let part: String = text(this).chars().skip(from).take(to - from).collect();
    string(&part)
}
