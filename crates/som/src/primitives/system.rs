//! Primitives of `System`: globals, classes, output, time.

use super::fail;
use crate::interpreter::control;
use crate::objects::Unwind;
use crate::value::{FALSE, NIL, TRUE, UNDEFINED, Value, from_bool, from_integer};
use crate::vm::{Vm, as_string, as_symbol, class_value, string, text, with_vm};
use metajit::prelude::*;

/// The end of the program with a status, if it is an integer.
#[dont_look_inside]
pub(super) fn exit(status: Value) -> Maybe<Unwind> {
    if !status.is_integer() {
        fail("the exit status must be an Integer");
        return Maybe::none();
    }
    with_vm(|vm| {
        vm.trace.clear();
        vm.trace_omitted = 0;
    });
    Maybe::some(Unwind::alloc(control::EXIT, Maybe::none(), status))
}

pub(super) fn run(primitive: i64, receiver: Value, first: Value, second: Value) -> Value {
    match primitive {
        super::GLOBAL => match as_symbol(first) {
            Some(name) => with_vm(|vm| vm.global_value(name).unwrap_or(NIL)),
            None => fail("the name of a global must be a Symbol"),
        },
        super::GLOBAL_PUT => match as_symbol(first) {
            Some(name) => {
                with_vm(|vm| vm.global_of(name)).set_value(second);
                receiver
            }
            None => fail("the name of a global must be a Symbol"),
        },
        super::HAS_GLOBAL => match as_symbol(first) {
            Some(name) => from_bool(with_vm(|vm| vm.global_value(name)).is_some()),
            None => fail("the name of a global must be a Symbol"),
        },
        super::LOAD_FILE => match as_string(first) {
            Some(path) => match std::fs::read(text(path)) {
                Ok(bytes) => string(&String::from_utf8_lossy(&bytes)),
                Err(_) => NIL,
            },
            None => fail("the name of a file must be a String"),
        },
        super::PRINT_STRING => match as_string(first) {
            Some(shown) => {
                // SAFETY: bytes never change, and the string is held by the caller.
                with_vm(|vm| vm.output.print(unsafe { shown.bytes_slice() }));
                receiver
            }
            None => fail("only a String can be printed"),
        },
        super::PRINT_NEWLINE => {
            with_vm(|vm| vm.output.print(b"\n"));
            receiver
        }
        super::ERROR_PRINT | super::ERROR_PRINT_LINE => match as_string(first) {
            Some(shown) => {
                let mut shown = text(shown);
                if primitive == super::ERROR_PRINT_LINE {
                    shown.push('\n');
                }
                with_vm(|vm| vm.output.print_error(shown.as_bytes()));
                receiver
            }
            None => fail("only a String can be printed"),
        },
        super::PRINT_STACK_TRACE => {
            let shown = crate::trace::current();
            with_vm(|vm| vm.output.print(shown.as_bytes()));
            receiver
        }
        super::TIME => from_integer(with_vm(|vm| vm.start.elapsed().as_millis()) as i64),
        super::TICKS => from_integer(with_vm(|vm| vm.start.elapsed().as_micros()) as i64),
        super::FULL_GC => {
            metajit::gc::collect();
            TRUE
        }
        _ => FALSE,
    }
}

/// Loads a class: its value, nil if there is none, or [`UNDEFINED`] if it failed.
#[dont_look_inside]
pub(super) fn load(name: Value) -> Value {
    let Some(name) = as_symbol(name) else {
        return fail("the name of a class must be a Symbol");
    };
    let class = with_vm(|vm| vm.load_class(&text(name)));
    with_vm(Vm::program_is_loaded);
    match class {
        Ok(Some(class)) => class_value(class),
        Ok(None) => NIL,
        Err(message) => {
            with_vm(|vm| vm.load_error = Some(message));
            UNDEFINED
        }
    }
}

/// The end of the program because a class was malformed, if one was: there is nothing sensible to go on with.
#[dont_look_inside]
pub(super) fn load_error() -> Maybe<Unwind> {
    match with_vm(|vm| vm.load_error.take()) {
        Some(message) => {
            with_vm(|vm| {
                vm.trace.clear();
                vm.trace_omitted = 0;
            });
            Maybe::some(Unwind::alloc(control::MALFORMED, Maybe::none(), string(&message)))
        }
        None => Maybe::none(),
    }
}
