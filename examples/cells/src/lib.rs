//! Cells, a small language with pairs and arrays, compiled to bytecode and run by a stack machine.
//!
//! ```text
//! (define (sum list)
//!   (let total 0)
//!   (while (pair? list)
//!     (set total (+ total (head list)))
//!     (set list (tail list)))
//!   total)
//! (sum (pair 1 (pair 2 nil)))
//! ```
//!
//! Pairs and arrays live on the heap and can be changed, so this is the example to look at for aliases, bounds checks and
//! structures that outlive the loop which made them.

pub mod compiler;
pub mod value;

pub use value::{Array, Fault, Pair, Value};

use metajit::prelude::*;
use std::cell::RefCell;

/// A function's code.
#[jit_object]
pub struct Code {
    #[immutable]
    params: i64,
    #[immutable]
    locals: i64,
    #[immutable]
    size: i64,
    #[immutable]
    program: Program,
    /// Pairs of operation and operand.
    #[immutable]
    ops: [i64],
}

/// All functions; the last one runs the program.
#[jit_object]
pub struct Program {
    #[immutable]
    functions: [Code],
}

/// An activation: locals, then the operand stack.
#[jit_object]
pub struct Frame {
    #[immutable]
    depth: i64,
    slots: [Value],
}

/// Calls may be nested this deeply.
pub const MAX_DEPTH: i64 = 100;

/// The operations.
pub mod op {
    /// Pushes an integer.
    pub const INT: i64 = 0;
    /// Pushes nil.
    pub const NIL: i64 = 1;
    /// Pushes a local.
    pub const LOAD: i64 = 2;
    /// Pops into a local.
    pub const STORE: i64 = 3;
    /// Drops the top.
    pub const POP: i64 = 4;
    /// Goes to a place.
    pub const JUMP: i64 = 5;
    /// Goes to a place if the top is nil.
    pub const JUMP_IF_NIL: i64 = 6;
    /// Calls a function.
    pub const CALL: i64 = 7;
    /// Returns the top.
    pub const RETURN: i64 = 8;
    /// The first operation of the language itself; their names are [`crate::compiler::BUILTINS`].
    pub const BUILTIN: i64 = 9;
    /// Sum.
    pub const ADD: i64 = BUILTIN;
    /// Difference.
    pub const SUB: i64 = BUILTIN + 1;
    /// Product.
    pub const MUL: i64 = BUILTIN + 2;
    /// Quotient.
    pub const DIV: i64 = BUILTIN + 3;
    /// Remainder, never negative.
    pub const MOD: i64 = BUILTIN + 4;
    /// Whether less.
    pub const LESS: i64 = BUILTIN + 5;
    /// Whether the same word.
    pub const SAME: i64 = BUILTIN + 6;
    /// Bitwise and.
    pub const AND: i64 = BUILTIN + 7;
    /// Bitwise exclusive or.
    pub const XOR: i64 = BUILTIN + 8;
    /// Shift to the right.
    pub const SHIFT: i64 = BUILTIN + 9;
    /// Makes a pair.
    pub const PAIR: i64 = BUILTIN + 10;
    /// A pair's head.
    pub const HEAD: i64 = BUILTIN + 11;
    /// A pair's tail.
    pub const TAIL: i64 = BUILTIN + 12;
    /// Whether a pair.
    pub const IS_PAIR: i64 = BUILTIN + 13;
    /// Replaces a pair's head.
    pub const SET_HEAD: i64 = BUILTIN + 14;
    /// Replaces a pair's tail.
    pub const SET_TAIL: i64 = BUILTIN + 15;
    /// Makes an array of a length and what it is filled with.
    pub const ARRAY: i64 = BUILTIN + 16;
    /// An array's item.
    pub const GET: i64 = BUILTIN + 17;
    /// Replaces an array's item.
    pub const PUT: i64 = BUILTIN + 18;
    /// An array's length.
    pub const LENGTH: i64 = BUILTIN + 19;
    /// Appends a value to the output.
    pub const PRINT: i64 = BUILTIN + 20;
}

/// Longest array that a program may make.
const MAX_LENGTH: i64 = 1 << 20;

thread_local! {
    static OUTPUT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[dont_look_inside]
fn print(value: Value) {
    OUTPUT.with_borrow_mut(|output| output.push(value.to_string()));
}

/// What was printed since the last call.
pub fn take_output() -> Vec<String> {
    OUTPUT.take()
}

#[jit]
fn arithmetic(operation: i64, a: Value, b: Value) -> Result<Value, Fault> {
    match operation {
        op::SAME => return Ok(Value::truth(a == b)),
        // Sums of tagged words are sums of integers; a tag too many is taken off.
        op::ADD if a.is_int() && b.is_int() => {
            let bits = a.bits().wrapping_add(b.bits().wrapping_sub(1));
            return Ok(Value::from_bits(bits));
        }
        op::SUB if a.is_int() && b.is_int() => {
            let bits = a.bits().wrapping_sub(b.bits().wrapping_sub(1));
            return Ok(Value::from_bits(bits));
        }
        op::LESS if a.is_int() && b.is_int() => {
            return Ok(Value::truth((a.bits() as i64) < b.bits() as i64));
        }
        _ => {}
    }
    let (Some(x), Some(y)) = (a.as_int(), b.as_int()) else {
        return Err(Fault::Kind { operation });
    };
    Ok(match operation {
        op::MUL => Value::int(x.wrapping_mul(y)),
        op::DIV | op::MOD => {
            if y == 0 {
                return Err(Fault::Zero);
            }
            let quotient = x / y;
            if operation == op::DIV {
                Value::int(quotient)
            } else {
                let rest = x - quotient * y;
                Value::int(if rest < 0 { rest + y.abs() } else { rest })
            }
        }
        op::AND => Value::int(x & y),
        op::XOR => Value::int(x ^ y),
        _ => Value::int(x >> (y & 31)),
    })
}

#[jit]
fn item(operation: i64, array: Value, index: Value) -> Result<(Array, i64), Fault> {
    match (array.as_array(), index.as_int()) {
        (Some(array), Some(index)) => {
            let length = array.items_len();
            if index < 0 || index >= length {
                return Err(Fault::Index { index, length });
            }
            Ok((array, index))
        }
        _ => Err(Fault::Kind { operation }),
    }
}

#[jit]
fn unary(operation: i64, value: Value) -> Result<Value, Fault> {
    match operation {
        op::HEAD => match value.as_pair() {
            Some(pair) => Ok(pair.head()),
            None => Err(Fault::Kind { operation }),
        },
        op::TAIL => match value.as_pair() {
            Some(pair) => Ok(pair.tail()),
            None => Err(Fault::Kind { operation }),
        },
        op::IS_PAIR => Ok(Value::truth(value.is_pair())),
        op::LENGTH => match value.as_array() {
            Some(array) => Ok(Value::int(array.items_len())),
            None => Err(Fault::Kind { operation }),
        },
        _ => {
            print(value);
            Ok(value)
        }
    }
}

#[jit]
fn two(operation: i64, a: Value, b: Value) -> Result<Value, Fault> {
    match operation {
        op::PAIR => Ok(Value::pair(Pair::alloc(a, b))),
        op::SET_HEAD | op::SET_TAIL => {
            let Some(pair) = a.as_pair() else {
                return Err(Fault::Kind { operation });
            };
            if operation == op::SET_HEAD {
                pair.set_head(b);
            } else {
                pair.set_tail(b);
            }
            Ok(b)
        }
        op::ARRAY => match a.as_int() {
            Some(length) if 0 <= length && length <= MAX_LENGTH => Ok(Value::array(Array::alloc(length, b))),
            _ => Err(Fault::Kind { operation }),
        },
        op::GET => {
            let (array, index) = item(operation, a, b)?;
            Ok(array.items(index))
        }
        _ => arithmetic(operation, a, b),
    }
}

/// Runs a function in a frame that holds its arguments.
#[jit_driver(greens = [pc, sp, code], reds = [frame], virtualizable = frame, given, live = sp)]
pub fn interpret(code: Code, frame: Frame) -> Result<Value, Fault> {
    let mut pc: i64 = 0;
    let mut sp: i64 = code.locals();
    loop {
        jit_merge_point!();
        let (operation, operand) = (code.ops(pc), code.ops(pc + 1));
        pc += 2;
        match operation {
            op::INT => {
                frame.set_slots(sp, Value::int(operand));
                sp += 1;
            }
            op::NIL => {
                frame.set_slots(sp, Value::NIL);
                sp += 1;
            }
            op::LOAD => {
                frame.set_slots(sp, frame.slots(operand));
                sp += 1;
            }
            op::STORE => {
                sp -= 1;
                frame.set_slots(operand, frame.slots(sp));
            }
            op::POP => sp -= 1,
            op::JUMP => {
                // Only loops jump backwards.
                if operand < pc {
                    pc = operand;
                    can_enter_jit!();
                }
                pc = operand;
            }
            op::JUMP_IF_NIL => {
                sp -= 1;
                if frame.slots(sp) == Value::NIL {
                    pc = operand;
                }
            }
            op::CALL => {
                let callee = code.program().functions(operand);
                sp -= callee.params();
                if frame.depth() == MAX_DEPTH {
                    return Err(Fault::Depth);
                }
                let inner = Frame::alloc(frame.depth() + 1, callee.size(), Value::NIL);
                for index in 0..callee.params() {
                    inner.set_slots(index, frame.slots(sp + index));
                }
                let result = interpret(callee, inner)?;
                frame.set_slots(sp, result);
                sp += 1;
            }
            op::RETURN => return Ok(frame.slots(sp - 1)),
            op::HEAD | op::TAIL | op::IS_PAIR | op::LENGTH | op::PRINT => {
                let result = unary(operation, frame.slots(sp - 1))?;
                frame.set_slots(sp - 1, result);
            }
            op::PUT => {
                sp -= 2;
                let value = frame.slots(sp + 1);
                let (array, index) = item(operation, frame.slots(sp - 1), frame.slots(sp))?;
                array.set_items(index, value);
                frame.set_slots(sp - 1, value);
            }
            _ => {
                sp -= 1;
                let result = two(operation, frame.slots(sp - 1), frame.slots(sp))?;
                frame.set_slots(sp - 1, result);
            }
        }
    }
}

/// Runs a program.
pub fn run(program: Program) -> Result<Value, Fault> {
    let main = program.functions(program.functions_len() - 1);
    interpret(main, Frame::alloc(0, main.size(), Value::NIL))
}
