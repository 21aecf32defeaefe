//! Control that is not the next instruction: loops, fallbacks, non-local returns, errors.
//!
//! An [`Unwind`] leaves activations as the error of a `Result`. A non-local return names its home and stops there. An exit
//! (a program's own, or an error of the VM's) stops at the driver, and gathers on its way the stack trace that
//! the driver may print. An activation that is a home is marked dead as it is left, whichever way.

use super::interpret;
use super::places::{forget_places, note_place};
use super::sends::{call, call_frame, find_method, send_one, send_zero};
use crate::bytecode::{JUMP_IF_TRUE, LOOP_IF_TRUE};
use crate::objects::{Block, Cell, Frame, Home, Method, Unwind};
use crate::trace::TRACE_ENDS;
use crate::universe::{class_of, universe};
use crate::value::{self, FALSE, NIL, TRUE, Value, fits, from_integer};
use crate::vm::{TraceEntry, string, with_vm};
use metajit::prelude::*;

/// [`Unwind::kind`]: a block returns from its method.
pub const NON_LOCAL: i64 = 0;
/// The program ends; the value is its status.
pub const EXIT: i64 = 1;
/// The VM ends it, with a message and a stack trace.
pub const FATAL: i64 = 2;

/// The VM ends it because of a malformed class; the value is the whole message.
pub const MALFORMED: i64 = 3;

/// How much native stack must be left to enter an activation: enough for any primitive and for the collector.
pub const STACK_RESERVE: usize = 1 << 20;

/// The end of endless recursion.
#[dont_look_inside]
#[cold]
#[inline(never)]
pub fn stack_overflow(method: Method) -> Unwind {
    with_vm(|vm| {
        vm.trace.clear();
        vm.trace_omitted = 0;
        vm.trace.push(TraceEntry { method, pc: 0 });
    });
    Unwind::alloc(FATAL, Maybe::none(), string("the stack is too deep: is this recursion endless?"))
}

/// The end of the program for a reason that it can't handle.
#[cold]
#[inline(never)]
pub fn fatal(message: &str) -> Unwind {
    with_vm(|vm| {
        vm.trace.clear();
        vm.trace_omitted = 0;
    });
    Unwind::alloc(FATAL, Maybe::none(), string(message))
}

/// What an activation does when something leaves it other than by its own return.
#[jit]
#[inline(always)]
pub fn leave(method: Method, frame: Frame, pc: i64, unwind: Unwind) -> Result<Value, Unwind> {
    let home = if method.home_slot() != 0 && !method.is_block() { frame.slots(method.home_slot()) } else { NIL };
    pass_through(method, home, pc, unwind)
}

/// What passes through an activation whose home, if it is one, is this.
#[enable_threaded_code(called)]
#[inline(never)]
fn pass_through(method: Method, home: Value, pc: i64, unwind: Unwind) -> Result<Value, Unwind> {
    if home != NIL {
        // SAFETY: a method with this slot begins with NEW_HOME.
        let home = unsafe { Home::from_bits(home.bits()) };
        home.set_alive(false);
        if unwind.kind() == NON_LOCAL && unwind.home() == Maybe::some(home) {
            return Ok(unwind.value());
        }
    }
    if unwind.kind() != NON_LOCAL {
        note(method, pc);
    }
    Err(unwind)
}

/// Adds an activation to the stack trace.
#[dont_look_inside]
fn note(method: Method, pc: i64) {
    with_vm(|vm| {
        if vm.trace.len() < 2 * TRACE_ENDS {
            vm.trace.push(TraceEntry { method, pc });
        } else {
            vm.trace.remove(TRACE_ENDS);
            vm.trace_omitted += 1;
            vm.trace.push(TraceEntry { method, pc });
        }
    });
}

/// `^` in a block: ends the home, or sends `escapedBlock:` if it has ended.
#[enable_threaded_code(called)]
pub fn return_non_local(method: Method, frame: Frame, answer: Value, pc: i64) -> Result<Value, Unwind> {
    let block_value = frame.slots(method.home_slot());
    // SAFETY: a block's home slot holds the block, and the compiler gives a home to each block that returns.
    let home = unsafe { Home::from_bits(Block::from_bits(block_value.bits()).home().bits()) };
    if home.alive() {
        return Err(Unwind::alloc(NON_LOCAL, Maybe::some(home), answer));
    }
    let before = note_place(method, pc);
    let answer = send_one(frame.slots(0), universe().escaped_block(), block_value);
    forget_places(before);
    answer
}

/// Where a comparison and the jump after it lead: to the jump's target, or past it.
#[jit]
#[inline(always)]
pub fn branch(jump: u64, truth: bool, pc: i64) -> i64 {
    let operation = jump & 0xFF;
    let jumps_if_true = operation == JUMP_IF_TRUE || operation == LOOP_IF_TRUE;
    if truth == jumps_if_true { (jump >> 32) as i64 } else { pc + 2 }
}

/// Whether a loop goes on whose condition is no Boolean: what the library's `whileTrue:` does with it.
#[enable_threaded_code(called)]
#[inline(never)]
pub fn loop_condition(condition: Value, negated: bool, method: Method, pc: i64) -> Result<bool, Unwind> {
    let before = note_place(method, pc);
    let goes_on = goes_on(condition, negated);
    forget_places(before);
    goes_on
}

#[enable_threaded_code(called)]
fn goes_on(condition: Value, negated: bool) -> Result<bool, Unwind> {
    let mut condition = condition;
    if negated {
        condition = send_zero(condition, universe().negate())?;
    }
    if condition == TRUE {
        return Ok(true);
    }
    if condition == FALSE {
        return Ok(false);
    }
    // The library sends `ifFalse:` with a block that returns from the loop.
    let home = Home::alloc(true);
    let block = loop_exit_block(home);
    let result = send_one(condition, universe().if_false(), block);
    home.set_alive(false);
    match result {
        Ok(_) => Ok(true),
        Err(unwind) => {
            if unwind.kind() == NON_LOCAL && unwind.home() == Maybe::some(home) {
                Ok(false)
            } else {
                Err(unwind)
            }
        }
    }
}

/// A block `[ ^nil ]` with this home.
#[dont_look_inside]
fn loop_exit_block(home: Home) -> Value {
    let method = with_vm(crate::vm::Vm::loop_exit);
    // SAFETY: no cell is of this kind, as there are none.
    let no_cell = unsafe { Cell::from_bits(0) };
    let home = Maybe::some(home);
    let block = Block::alloc(universe().block1_class(), method, NIL, Maybe::none(), home, 0, no_cell);
    Value::from_bits(block.bits())
}

/// Puts the operands of a counting loop from the stack into its slots; whether it is a loop over numbers at all.
#[enable_threaded_code]
#[inline(always)]
pub fn init_loop(frame: Frame, kind: u64, slot: i64, operands: i64) -> bool {
    let receiver = frame.slots(operands);
    if !receiver.is_integer() {
        let class = class_of(receiver);
        let is_number = class == universe().integer_class() || (kind < 2 && class == universe().double_class());
        if !is_number {
            return false;
        }
    }
    if kind == 4 {
        frame.set_slots(slot, from_integer(1));
        frame.set_slots(slot + 1, receiver);
        frame.set_slots(slot + 2, from_integer(1));
    } else {
        frame.set_slots(slot, receiver);
        frame.set_slots(slot + 1, frame.slots(operands + 1));
        if kind >= 2 {
            frame.set_slots(slot + 2, frame.slots(operands + 2));
        } else {
            frame.set_slots(slot + 2, from_integer(1));
        }
    }
    frame.set_slots(slot + 3, receiver);
    true
}

/// Whether a counting loop is over.
#[enable_threaded_code]
#[inline(always)]
pub fn is_loop_over(frame: Frame, slot: i64, down: bool, method: Method, pc: i64) -> Result<bool, Unwind> {
    let counter = frame.slots(slot);
    let limit = frame.slots(slot + 1);
    if counter.is_integer() && limit.is_integer() {
        return Ok(if down { counter.bits() < limit.bits() } else { counter.bits() > limit.bits() });
    }
    is_loop_over_slow(counter, limit, down, method, pc)
}

#[enable_threaded_code(called)]
#[inline(never)]
fn is_loop_over_slow(counter: Value, limit: Value, down: bool, method: Method, pc: i64) -> Result<bool, Unwind> {
    let before = note_place(method, pc);
    let is_over = is_over(counter, limit, down);
    forget_places(before);
    is_over
}

#[enable_threaded_code(called)]
fn is_over(counter: Value, limit: Value, down: bool) -> Result<bool, Unwind> {
    let selector = if down { universe().greater_or_equal() } else { universe().less_or_equal() };
    let condition = send_one(counter, selector, limit)?;
    if condition == TRUE {
        return Ok(false);
    }
    if condition == FALSE {
        return Ok(true);
    }
    let truth = goes_on(condition, false)?;
    Ok(!truth)
}

/// Steps a counting loop; whether it is over.
#[enable_threaded_code]
#[inline(always)]
pub fn step_loop(frame: Frame, slot: i64, down: bool, method: Method, pc: i64) -> Result<bool, Unwind> {
    let counter = frame.slots(slot);
    let step = frame.slots(slot + 2);
    if counter.is_integer() && step.is_integer() {
        let next = if down {
            counter.as_integer().wrapping_sub(step.as_integer())
        } else {
            counter.as_integer().wrapping_add(step.as_integer())
        };
        if fits(next) {
            frame.set_slots(slot, from_integer(next));
            return is_loop_over(frame, slot, down, method, pc);
        }
    }
    let selector = if down { universe().subtract() } else { universe().add() };
    let before = note_place(method, pc);
    let next = send_one(counter, selector, step);
    forget_places(before);
    frame.set_slots(slot, next?);
    is_loop_over(frame, slot, down, method, pc)
}

/// Goes on in the generic version of a function, where its fallback sends the message; the activation's answer.
#[dont_look_inside]
#[cold]
#[inline(never)]
pub fn enter_generic(method: Method, frame: Frame, sp: i64, fallback: i64) -> Result<Value, Unwind> {
    let migration = match with_vm(|vm| vm.migration(method, fallback)) {
        Ok(migration) => migration,
        Err(message) => return Err(fatal(&message)),
    };
    let target = migration.method;
    let after = Frame::alloc(target.frame_size(), NIL);
    for (from, to, into_cell) in &migration.moves {
        let content = frame.slots(*from as i64);
        let content = if *into_cell { Value::from_bits(Cell::alloc(content).bits()) } else { content };
        after.set_slots(*to as i64, content);
    }
    if let Some(slot) = migration.new_home {
        after.set_slots(slot as i64, Value::from_bits(Home::alloc(true).bits()));
    }
    let depth = migration.depth as i64;
    for index in 0..depth {
        let content = frame.slots(sp - depth + index);
        after.set_slots(target.stack_begin() + index, content);
    }
    interpret(target, after)
}

/// Runs a method on a receiver and arguments from outside.
pub fn run(method: Method, receiver: Value, arguments: &[Value]) -> Result<Value, Unwind> {
    let frame = Frame::alloc(arguments.len() as i64 + 1, NIL);
    frame.set_slots(0, receiver);
    for (index, argument) in arguments.iter().enumerate() {
        frame.set_slots(index as i64 + 1, *argument);
    }
    call(method, frame, 0, arguments.len() as i64)
}

/// Sends a message from outside.
pub fn send_message(receiver: Value, selector: &str, arguments: &[Value]) -> Result<Value, Unwind> {
    let selector = with_vm(|vm| vm.symbol(selector));
    let frame = Frame::alloc(arguments.len() as i64 + 1, NIL);
    frame.set_slots(0, receiver);
    for (index, argument) in arguments.iter().enumerate() {
        frame.set_slots(index as i64 + 1, *argument);
    }
    call_frame(find_method(class_of(receiver), selector), frame, arguments.len() as i64)
}

/// The status of an exit.
pub fn status(unwind: Unwind) -> i64 {
    if unwind.kind() == EXIT && unwind.value().is_integer() { unwind.value().as_integer() } else { 1 }
}

/// The value of a truth, for callers outside traced code.
pub fn truth(truth: bool) -> Value {
    value::from_bool(truth)
}
