//! TLA, a tiny object language: a stack machine over tagged values, with functions and exceptions.
//!
//! It has what makes real languages slow to interpret (dynamic types, boxing, a frame in memory, calls through a recursive
//! interpreter, exceptions) and nothing else. [`assembler`] reads programs; [`interpret`] runs them, and is all
//! that the JIT needs to know.

pub mod assembler;
pub mod value;

pub use value::{Float, Global, Instance, Value, error};

use metajit::prelude::*;
use std::cell::RefCell;

/// A function's code.
#[jit_object]
pub struct Code {
    /// How many arguments it takes; they are its first locals.
    #[immutable]
    params: i64,
    /// How many locals it has.
    #[immutable]
    locals: i64,
    /// Locals and operand stack together.
    #[immutable]
    size: i64,
    #[immutable]
    program: Program,
    #[immutable]
    constants: Values,
    /// For each instruction the place to go on at when it throws, or -1.
    #[immutable]
    handlers: Numbers,
    /// Pairs of operation and operand.
    #[immutable]
    ops: [i64],
}

/// A row of values.
#[jit_object]
pub struct Values {
    #[immutable]
    at: [Value],
}

/// A row of numbers.
#[jit_object]
pub struct Numbers {
    #[immutable]
    at: [i64],
}

/// A row of globals.
#[jit_object]
pub struct Globals {
    #[immutable]
    at: [Global],
}

/// All functions; `main` is the first.
#[jit_object]
pub struct Program {
    #[immutable]
    globals: Globals,
    #[immutable]
    functions: [Code],
}

/// An activation: locals, then the operand stack.
#[jit_object]
pub struct Frame {
    /// Calls around this one.
    #[immutable]
    depth: i64,
    slots: [Value],
}

/// Calls may be nested this deeply.
pub const MAX_DEPTH: i64 = 150;

macro_rules! operations {
    ($($(#[doc = $meaning:literal])* $name:ident $text:literal $operand:ident $pops:literal $pushes:literal;)*) => {
        /// The operations.
        pub mod op {
            $($(#[doc = $meaning])* pub const $name: i64 = super::Numbered::$name as i64;)*
        }
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        enum Numbered { $($name),* }
        /// Each operation's name in text, what its operand is, and how many values it pops and pushes.
        const TABLE: &[(&str, Operand, i64, i64)] = &[$(($text, Operand::$operand, $pops, $pushes)),*];
    };
}

/// What an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operand {
    None,
    Number,
    Constant,
    Label,
    Function,
}

operations! {
    /// Pushes a constant.
    PUSH "push" Constant 0 1;
    /// Drops the top.
    POP "pop" None 1 0;
    /// Pushes the top again.
    DUP "dup" None 1 2;
    /// Pushes a local.
    LOAD "load" Number 0 1;
    /// Pops into a local.
    STORE "store" Number 1 0;
    /// Sum.
    ADD "add" None 2 1;
    /// Difference.
    SUB "sub" None 2 1;
    /// Product.
    MUL "mul" None 2 1;
    /// Quotient.
    DIV "div" None 2 1;
    /// Remainder.
    REM "rem" None 2 1;
    /// Power.
    POW "pow" None 2 1;
    /// Whether less.
    LT "lt" None 2 1;
    /// Whether equal.
    EQ "eq" None 2 1;
    /// Goes to a place.
    JUMP "jump" Label 0 0;
    /// Goes to a place if the top is true.
    JUMP_IF "jump_if" Label 1 0;
    /// Goes to a place unless the top is true.
    JUMP_UNLESS "jump_unless" Label 1 0;
    /// Calls a function (which pops its arguments).
    CALL "call" Function 0 1;
    /// Returns the top.
    RETURN "return" None 1 0;
    /// Throws the top.
    THROW "throw" None 1 0;
    /// Makes an object with so many fields, of the class on top.
    NEW "new" Number 1 1;
    /// Reads a field: the top is its number, below is the object.
    GET "get" None 2 1;
    /// Writes a field: the top is the value, below the field's number, below the object, which stays.
    SET "set" None 3 1;
    /// Pushes a global.
    GLOBAL "global" Number 0 1;
    /// Pops into a global.
    SET_GLOBAL "set_global" Number 1 0;
    /// Appends the top to the output.
    PRINT "print" None 1 0;
    /// A pseudo-random function of the top.
    SCRAMBLE "scramble" None 1 1;
}

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

// A handler has a second caller, its stub; without being told, rustc would call it from the loop, too.
#[enable_threaded_code]
#[inline(always)]
fn binary(operation: i64, a: Value, b: Value) -> Result<Value, Value> {
    match operation {
        op::ADD => a.add(b),
        op::SUB => a.sub(b),
        op::MUL => a.mul(b),
        op::DIV => a.div(b),
        op::REM => a.rem(b),
        op::LT => Ok(Value::truth(a.less(b)?)),
        op::EQ => Ok(Value::truth(a.equals(b))),
        _ => a.power(b),
    }
}

/// The field's number, if the object has it.
#[jit]
fn field(object: Value, number: Value) -> Result<(Instance, i64), Value> {
    let Some(instance) = object.as_instance() else {
        return Err(Value::int(error::KIND));
    };
    let index = number.as_int();
    if !number.is_int() || index < 0 || index >= instance.fields_len() {
        return Err(Value::int(error::FIELD));
    }
    Ok((instance, index))
}

/// Calls a function with the arguments that are in `from` at `at` and after.
#[jit]
fn call(callee: Code, from: Frame, at: i64) -> Result<Value, Value> {
    // It is never near where it would wrap; said so, a debug build has the same code.
    let depth = from.depth().wrapping_add(1);
    if depth > MAX_DEPTH {
        return Err(Value::int(error::DEPTH));
    }
    let frame = Frame::alloc(depth, callee.size(), Value::NIL);
    for index in 0..callee.params() {
        frame.set_slots(index, from.slots(at + index));
    }
    interpret(callee, frame)
}

/// Runs a function in a frame that holds its arguments: its result, or what it throws.
///
/// The operand stack's height is known at each place of the code, so `sp` is a green: in compiled code, the stack is
/// registers.
#[jit_driver(greens = [pc, sp, code], reds = [frame], virtualizable = frame, given, live = sp)]
pub fn interpret(code: Code, frame: Frame) -> Result<Value, Value> {
    let mut pc: i64 = 0;
    let mut sp: i64 = code.locals();
    loop {
        jit_merge_point!();
        let here = pc;
        let (operation, operand) = (code.ops(pc), code.ops(pc + 1));
        pc += 2;
        // What is thrown, if anything is.
        let thrown: Option<Value> = match operation {
            op::PUSH => {
                frame.set_slots(sp, code.constants().at(operand));
                sp += 1;
                None
            }
            op::POP => {
                sp -= 1;
                None
            }
            op::DUP => {
                frame.set_slots(sp, frame.slots(sp - 1));
                sp += 1;
                None
            }
            op::LOAD => {
                frame.set_slots(sp, frame.slots(operand));
                sp += 1;
                None
            }
            op::STORE => {
                sp -= 1;
                frame.set_slots(operand, frame.slots(sp));
                None
            }
            op::ADD | op::SUB | op::MUL | op::DIV | op::REM | op::POW | op::LT | op::EQ => {
                sp -= 1;
                match binary(operation, frame.slots(sp - 1), frame.slots(sp)) {
                    Ok(value) => {
                        frame.set_slots(sp - 1, value);
                        None
                    }
                    Err(thrown) => Some(thrown),
                }
            }
            op::JUMP => {
                pc = operand;
                if pc < here {
                    can_enter_jit!();
                }
                None
            }
            op::JUMP_IF | op::JUMP_UNLESS => {
                sp -= 1;
                if frame.slots(sp).is_true() == (operation == op::JUMP_IF) {
                    pc = operand;
                    if pc < here {
                        can_enter_jit!();
                    }
                }
                None
            }
            op::CALL => {
                let callee = code.program().functions(operand);
                sp -= callee.params();
                match call(callee, frame, sp) {
                    Ok(value) => {
                        frame.set_slots(sp, value);
                        sp += 1;
                        None
                    }
                    Err(thrown) => Some(thrown),
                }
            }
            op::RETURN => return Ok(frame.slots(sp - 1)),
            op::THROW => Some(frame.slots(sp - 1)),
            op::NEW => {
                let class = frame.slots(sp - 1);
                let instance = Instance::alloc(class.as_int(), operand, Value::NIL);
                frame.set_slots(sp - 1, Value::from_bits(instance.bits()));
                None
            }
            op::GET => {
                sp -= 1;
                match field(frame.slots(sp - 1), frame.slots(sp)) {
                    Ok((instance, index)) => {
                        frame.set_slots(sp - 1, instance.fields(index));
                        None
                    }
                    Err(thrown) => Some(thrown),
                }
            }
            op::SET => {
                sp -= 2;
                match field(frame.slots(sp - 1), frame.slots(sp)) {
                    Ok((instance, index)) => {
                        instance.set_fields(index, frame.slots(sp + 1));
                        None
                    }
                    Err(thrown) => Some(thrown),
                }
            }
            op::GLOBAL => {
                frame.set_slots(sp, code.program().globals().at(operand).value());
                sp += 1;
                None
            }
            op::SET_GLOBAL => {
                sp -= 1;
                code.program().globals().at(operand).set_value(frame.slots(sp));
                None
            }
            op::PRINT => {
                sp -= 1;
                print(frame.slots(sp));
                None
            }
            op::SCRAMBLE => {
                frame.set_slots(sp - 1, frame.slots(sp - 1).scramble());
                None
            }
            _ => panic!("no such operation"),
        };
        if let Some(thrown) = thrown {
            pc = code.handlers().at(here / 2);
            if pc < 0 {
                return Err(thrown);
            }
            sp = code.locals();
            frame.set_slots(sp, thrown);
            sp += 1;
        }
    }
}

/// Runs a program's `main` with these arguments.
pub fn run(program: Program, arguments: &[Value]) -> Result<Value, Value> {
    let main = program.functions(0);
    let frame = Frame::alloc(0, main.size(), Value::NIL);
    for (index, &argument) in arguments.iter().enumerate() {
        frame.set_slots(index as i64, argument);
    }
    interpret(main, frame)
}
