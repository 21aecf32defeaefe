//! Primitives of `Integer` and `Double`.
//!
//! What fits into values is computed in traced code; the rest is `numbers`.

use super::{answer, fail, run_two};
use crate::numbers;
use crate::value::{Value, fits, from_bool, from_double, from_integer};
use crate::vm::{as_string, string, text, with_vm};
use metajit::prelude::*;

/// Operations of integers.
#[enable_threaded_code]
pub(super) fn integer_operation(primitive: i64, receiver: Value, argument: Value) -> Value {
    if receiver.is_integer() && argument.is_integer() {
        let left = receiver.as_integer();
        let right = argument.as_integer();
        match primitive {
            super::INTEGER_DIVIDE if right != 0 => {
                let quotient = left / right;
                if fits(quotient) {
                    return from_integer(quotient);
                }
            }
            super::INTEGER_DOUBLE_DIVIDE => {
                return from_double(left as f64 / right as f64);
            }
            super::INTEGER_MODULO if right != 0 => {
                let remainder = left % right;
                if remainder != 0 && (remainder ^ right) < 0 {
                    return from_integer(remainder + right);
                }
                return from_integer(remainder);
            }
            super::INTEGER_REMAINDER if right != 0 => return from_integer(left % right),
            super::INTEGER_AND => return from_integer(left & right),
            super::INTEGER_XOR => return from_integer(left ^ right),
            super::INTEGER_SHIFT_LEFT if (right as u64) < 51 => {
                let shifted = left << right;
                if shifted >> right == left && fits(shifted) {
                    return from_integer(shifted);
                }
            }
            super::INTEGER_SHIFT_RIGHT if left >= 0 && (right as u64) < 64 => {
                return from_integer(left >> right);
            }
            _ => {}
        }
    }
    run_two(primitive, receiver, argument)
}

/// Operations of doubles.
#[enable_threaded_code]
pub(super) fn double_operation(primitive: i64, receiver: Value, argument: Value) -> Value {
    if receiver.is_double() {
        let left = receiver.as_double();
        if primitive == super::DOUBLE_DIVIDE {
            if argument.is_double() {
                return from_double(left / argument.as_double());
            }
            if argument.is_integer() {
                return from_double(left / argument.as_integer() as f64);
            }
        } else if primitive == super::DOUBLE_SQRT {
            return from_double(left.sqrt());
        } else if primitive == super::DOUBLE_AS_INTEGER && left.abs() < 1.0e15 {
            return from_integer(left as i64);
        }
    } else if receiver.is_integer() && primitive == super::INTEGER_AS_DOUBLE {
        return from_double(receiver.as_integer() as f64);
    }
    run_two(primitive, receiver, argument)
}

pub(super) fn run(primitive: i64, receiver: Value, argument: Value) -> Value {
    match primitive {
        super::INTEGER_ADD | super::DOUBLE_ADD => answer(numbers::add(receiver, argument)),
        super::INTEGER_SUBTRACT | super::DOUBLE_SUBTRACT => answer(numbers::subtract(receiver, argument)),
        super::INTEGER_MULTIPLY | super::DOUBLE_MULTIPLY => answer(numbers::multiply(receiver, argument)),
        super::INTEGER_DIVIDE => answer(numbers::divide(receiver, argument)),
        super::INTEGER_DOUBLE_DIVIDE | super::DOUBLE_DIVIDE => answer(numbers::double_divide(receiver, argument)),
        super::INTEGER_MODULO | super::DOUBLE_MODULO => answer(numbers::modulo(receiver, argument)),
        super::INTEGER_REMAINDER => answer(numbers::remainder(receiver, argument)),
        super::INTEGER_AND => answer(numbers::bit_and(receiver, argument)),
        super::INTEGER_XOR => answer(numbers::bit_xor(receiver, argument)),
        super::INTEGER_SHIFT_LEFT => answer(numbers::shift_left(receiver, argument)),
        super::INTEGER_SHIFT_RIGHT => answer(numbers::shift_right(receiver, argument)),
        super::INTEGER_SQRT => answer(numbers::integer_sqrt(receiver)),
        super::INTEGER_AT_RANDOM => at_random(receiver),
        super::INTEGER_EQUAL | super::DOUBLE_EQUAL => from_bool(numbers::equal(receiver, argument)),
        super::INTEGER_LESS | super::DOUBLE_LESS => answer(numbers::less(receiver, argument).map(from_bool)),
        super::INTEGER_AS_STRING | super::DOUBLE_AS_STRING => {
            answer(numbers::print(receiver).map(|shown| string(&shown)))
        }
        super::INTEGER_AS_SIGNED => answer(numbers::low_bits(receiver).map(|low| from_integer(i64::from(low as i32)))),
        super::INTEGER_AS_UNSIGNED => answer(numbers::low_bits(receiver).map(|low| from_integer(i64::from(low)))),
        super::INTEGER_AS_DOUBLE => answer(numbers::to_double(receiver).map(from_double)),
        super::INTEGER_FROM_STRING => match as_string(argument) {
            Some(digits) => answer(numbers::parse_integer(&text(digits))),
            None => fail("fromString: needs a String"),
        },
        super::DOUBLE_SQRT => double(receiver, f64::sqrt),
        super::DOUBLE_COS => double(receiver, f64::cos),
        super::DOUBLE_SIN => double(receiver, f64::sin),
        super::DOUBLE_ROUND => answer(numbers::to_double(receiver).and_then(|d| numbers::truncate(d.round()))),
        super::DOUBLE_AS_INTEGER => answer(numbers::to_double(receiver).and_then(numbers::truncate)),
        super::DOUBLE_INFINITY => from_double(f64::INFINITY),
        _ => match as_string(argument) {
            Some(digits) => from_double(numbers::parse_double(&text(digits))),
            None => fail("fromString: needs a String"),
        },
    }
}

fn double(receiver: Value, function: impl Fn(f64) -> f64) -> Value {
    answer(numbers::to_double(receiver).map(|d| from_double(function(d))))
}

/// A random integer from 0 up to, and without, the receiver.
fn at_random(receiver: Value) -> Value {
    if !receiver.is_integer() || receiver.as_integer() <= 0 {
        return fail("atRandom needs a positive Integer");
    }
    let random = with_vm(|vm| {
        vm.random ^= vm.random << 13;
        vm.random ^= vm.random >> 7;
        vm.random ^= vm.random << 17;
        vm.random >> 11
    });
    from_integer((random % receiver.as_integer() as u64) as i64)
}
