//! The interpreter: one annotated loop over bytecode, from which every tier is made.
//!
//! The state at the merge point is the place (`pc`, `sp`, `method`: constants of a trace) and the frame. The depth of the stack
//! is static at each place, so `sp` says nothing new, but the loop need not look it up. Sends call [`interpret`] again;
//! a trace follows them. What a handler needs beyond a few loads and tests is in the modules beside:
//! `sends` (lookup, calls, blocks), `arithmetic` (numbers that fit into values), `control` (everything that is not the next instruction).
//!
//! Errors and non-local returns travel as `Err`; every activation that one passes gets to see it in [`control::leave`].

pub mod arithmetic;
pub mod control;
pub mod places;
pub mod sends;

use crate::bytecode::*;
use crate::objects::{Cell, Context, Frame, GlobalCell, Home, Instance, Method, Unwind};
use crate::universe::{class_of, universe};
use crate::value::{self, FALSE, NIL, TRUE, UNDEFINED, Value};
use arithmetic::{
    add_slots, fast_add, fast_equal, fast_greater, fast_greater_or_equal, fast_identical, fast_less,
    fast_less_or_equal, fast_multiply, fast_not_equal, fast_subtract, multiply_slots, subtract_slots,
};
use control::{
    branch, enter_generic, init_loop, is_loop_over, leave, loop_condition, return_non_local, stack_overflow, step_loop,
};
use metajit::prelude::*;
use sends::{
    array_at, array_at_put, call_at, context_at, load_cells, lookup, make_block, send, send_after_all, super_send,
    unknown_global,
};

/// Runs an activation to its end.
#[jit_driver(
    greens = [pc, sp, method],
    reds = [frame],
    virtualizable = frame,
    given,
    live = sp,
    location = crate::trace::place(method, pc),
    overflow = Err(stack_overflow(method))
)]
pub fn interpret(method: Method, frame: Frame) -> Result<Value, Unwind> {
    let mut pc: i64 = method.entry_pc();
    let mut sp: i64 = method.entry_sp();
    loop {
        jit_merge_point!();
        let word = method.code(pc);
        let b = ((word >> 16) & 0xFFFF) as i64;
        let c = (word >> 32) as i64;
        match word & 0xFF {
            PUSH_LOCAL => {
                frame.set_slots(sp, frame.slots(b));
                sp += 1;
                pc += 1;
            }
            PUSH_CONST => {
                frame.set_slots(sp, method.literals().items(c));
                sp += 1;
                pc += 1;
            }
            PUSH_INT => {
                frame.set_slots(sp, value::from_integer(c as i32 as i64));
                sp += 1;
                pc += 1;
            }
            PUSH_SPECIAL => {
                frame.set_slots(sp, Value::from_bits(c as u64));
                sp += 1;
                pc += 1;
            }
            PUSH_FIELD => {
                // SAFETY: the code of a class with fields runs on its instances only.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp, object.fields(b));
                sp += 1;
                pc += 1;
            }
            PUSH_CLASS_FIELD => {
                // SAFETY: the code of a metaclass runs on classes only.
                let class = unsafe { crate::objects::Class::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp, class.fields(b));
                sp += 1;
                pc += 1;
            }
            PUSH_CONTEXT => {
                let context = context_at(frame, b, ((word >> 8) & 0xFF) as i64);
                frame.set_slots(sp, context.variables(c));
                sp += 1;
                pc += 1;
            }
            PUSH_CELL => {
                // SAFETY: the compiler lets this slot hold a cell only.
                let cell = unsafe { Cell::from_bits(frame.slots(b).bits()) };
                frame.set_slots(sp, cell.content());
                sp += 1;
                pc += 1;
            }
            PUSH_GLOBAL => {
                // SAFETY: the compiler lets this literal be a global only.
                let cell = unsafe { GlobalCell::from_bits(method.literals().items(c).bits()) };
                let content = cell.value();
                if content == UNDEFINED {
                    match unknown_global(frame.slots(0), cell, method, pc) {
                        Ok(answer) => frame.set_slots(sp, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                } else {
                    frame.set_slots(sp, content);
                }
                sp += 1;
                pc += 1;
            }
            PUSH_BLOCK => {
                let home = (word >> 8) & 0xFF != 0;
                let block = make_block(method, frame, method.literals().items(c), b, home, sp, 0);
                frame.set_slots(sp, block);
                sp += 1;
                pc += 1;
            }
            PUSH_BLOCK_CELLS => {
                let home = (word >> 8) & 0xFF != 0;
                let cells = c >> 16;
                let code = method.literals().items(c & 0xFFFF);
                let block = make_block(method, frame, code, b, home, sp - cells, cells);
                frame.set_slots(sp - cells, block);
                sp = sp - cells + 1;
                pc += 1;
            }
            POP => {
                sp -= 1;
                pc += 1;
            }
            DUP => {
                frame.set_slots(sp, frame.slots(sp - 1));
                sp += 1;
                pc += 1;
            }
            STORE_LOCAL => {
                frame.set_slots(b, frame.slots(sp - 1));
                sp -= 1;
                pc += 1;
            }
            STORE_FIELD => {
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                object.set_fields(b, frame.slots(sp - 1));
                sp -= 1;
                pc += 1;
            }
            STORE_CLASS_FIELD => {
                // SAFETY: as for PUSH_CLASS_FIELD.
                let class = unsafe { crate::objects::Class::from_bits(frame.slots(0).bits()) };
                class.set_fields(b, frame.slots(sp - 1));
                sp -= 1;
                pc += 1;
            }
            STORE_CONTEXT => {
                let context = context_at(frame, b, ((word >> 8) & 0xFF) as i64);
                context.set_variables(c, frame.slots(sp - 1));
                sp -= 1;
                pc += 1;
            }
            STORE_CELL => {
                // SAFETY: as for PUSH_CELL.
                let cell = unsafe { Cell::from_bits(frame.slots(b).bits()) };
                cell.set_content(frame.slots(sp - 1));
                sp -= 1;
                pc += 1;
            }
            NIL_LOCAL => {
                frame.set_slots(b, NIL);
                pc += 1;
            }
            NEW_CELL => {
                let cell = Cell::alloc(NIL);
                frame.set_slots(b, Value::from_bits(cell.bits()));
                pc += 1;
            }
            BOX_LOCAL => {
                let cell = Cell::alloc(frame.slots(b));
                frame.set_slots(b, Value::from_bits(cell.bits()));
                pc += 1;
            }
            LOAD_CELLS => {
                load_cells(method, frame, b);
                pc += 1;
            }
            NEW_CONTEXT => {
                let outer = if c >> 16 == 0 {
                    Maybe::none()
                } else {
                    // SAFETY: the compiler lets a slot named here hold a context or nil, which is 0.
                    unsafe { Maybe::from_bits(frame.slots(c >> 16).bits()) }
                };
                let context = Context::alloc(outer, c & 0xFFFF, NIL);
                frame.set_slots(b, Value::from_bits(context.bits()));
                pc += 1;
            }
            NEW_HOME => {
                let home = Home::alloc(true);
                frame.set_slots(b, Value::from_bits(home.bits()));
                pc += 1;
            }
            SEND => {
                let arguments = ((word >> 8) & 0xFF) as i64;
                let base = sp - arguments - 1;
                match send(method, frame, base, arguments, b, c) {
                    Ok(answer) => frame.set_slots(base, answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp = base + 1;
                pc += 1;
            }
            SUPER_SEND => {
                let arguments = ((word >> 8) & 0xFF) as i64;
                let base = sp - arguments - 1;
                match super_send(method, frame, base, arguments, b, c) {
                    Ok(answer) => frame.set_slots(base, answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp = base + 1;
                pc += 1;
            }
            SEND_RESTART => {
                let callee = lookup(class_of(frame.slots(sp - 1)), method, b, c);
                if callee.kind() == crate::primitives::RESTART {
                    sp = method.stack_begin();
                    pc = method.body_begin();
                    can_enter_jit!();
                } else {
                    match call_at(callee, frame, sp - 1, 0, method, b) {
                        Ok(answer) => frame.set_slots(sp - 1, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    pc += 1;
                }
            }
            RETURN => return Ok(frame.slots(sp - 1)),
            RETURN_SELF => return Ok(frame.slots(0)),
            RETURN_HOME => {
                // SAFETY: a method with this instruction begins with NEW_HOME.
                unsafe { Home::from_bits(frame.slots(method.home_slot()).bits()) }.set_alive(false);
                return Ok(frame.slots(sp - 1));
            }
            RETURN_SELF_HOME => {
                // SAFETY: as for RETURN_HOME.
                unsafe { Home::from_bits(frame.slots(method.home_slot()).bits()) }.set_alive(false);
                return Ok(frame.slots(0));
            }
            RETURN_NON_LOCAL => match return_non_local(method, frame, frame.slots(sp - 1), pc) {
                Ok(answer) => return Ok(answer),
                Err(unwind) => return leave(method, frame, pc, unwind),
            },
            JUMP => pc = c,
            JUMP_BACK => {
                pc = c;
                can_enter_jit!();
            }
            JUMP_IF_FALSE => {
                let condition = frame.slots(sp - 1);
                if condition == FALSE {
                    sp -= 1;
                    pc = c;
                } else if condition == TRUE {
                    sp -= 1;
                    pc += 1;
                } else {
                    match method.fallbacks().get() {
                        Some(fallbacks) => pc = fallbacks.entries(b) as i64,
                        None => return enter_generic(method, frame, sp, b),
                    }
                }
            }
            JUMP_IF_TRUE => {
                let condition = frame.slots(sp - 1);
                if condition == TRUE {
                    sp -= 1;
                    pc = c;
                } else if condition == FALSE {
                    sp -= 1;
                    pc += 1;
                } else {
                    match method.fallbacks().get() {
                        Some(fallbacks) => pc = fallbacks.entries(b) as i64,
                        None => return enter_generic(method, frame, sp, b),
                    }
                }
            }
            LOOP_IF_TRUE => {
                let condition = frame.slots(sp - 1);
                sp -= 1;
                if condition == TRUE {
                    pc = c;
                    can_enter_jit!();
                } else if condition == FALSE {
                    pc += 1;
                } else {
                    match loop_condition(condition, false, method, pc) {
                        Ok(true) => pc = c,
                        Ok(false) => pc += 1,
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                }
            }
            LOOP_IF_FALSE => {
                let condition = frame.slots(sp - 1);
                sp -= 1;
                if condition == FALSE {
                    pc = c;
                    can_enter_jit!();
                } else if condition == TRUE {
                    pc += 1;
                } else {
                    match loop_condition(condition, true, method, pc) {
                        Ok(true) => pc = c,
                        Ok(false) => pc += 1,
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                }
            }
            JUMP_IF_NIL | JUMP_IF_NOT_NIL | KEEP_IF_NIL | KEEP_IF_NOT_NIL => {
                if universe().nil_tests_overridden() {
                    match method.fallbacks().get() {
                        Some(fallbacks) => pc = fallbacks.entries(b) as i64,
                        None => return enter_generic(method, frame, sp, b),
                    }
                } else {
                    let operation = word & 0xFF;
                    let jumps_if_nil = operation == JUMP_IF_NIL || operation == KEEP_IF_NIL;
                    let keeps = operation == KEEP_IF_NIL || operation == KEEP_IF_NOT_NIL;
                    if frame.slots(sp - 1).is_nil() == jumps_if_nil {
                        pc = c;
                        if !keeps {
                            sp -= 1;
                        }
                    } else {
                        pc += 1;
                        sp -= 1;
                    }
                }
            }
            FOR_INIT => {
                let kind = (word >> 8) & 0xFF;
                let operands = if kind == 4 {
                    1
                } else if kind >= 2 {
                    3
                } else {
                    2
                };
                if init_loop(frame, kind, b, sp - operands) {
                    sp -= operands;
                    pc += 1;
                } else {
                    match method.fallbacks().get() {
                        Some(fallbacks) => pc = fallbacks.entries(c) as i64,
                        None => return enter_generic(method, frame, sp, c),
                    }
                }
            }
            FOR_TEST => match is_loop_over(frame, b, (word >> 8) & 0xFF != 0, method, pc) {
                Ok(true) => pc = c,
                Ok(false) => pc += 1,
                Err(unwind) => return leave(method, frame, pc, unwind),
            },
            FOR_NEXT => match step_loop(frame, b, (word >> 8) & 0xFF != 0, method, pc) {
                Ok(true) => pc += 1,
                Ok(false) => {
                    pc = c;
                    can_enter_jit!();
                }
                Err(unwind) => return leave(method, frame, pc, unwind),
            },
            ADD => {
                match add_slots(method, frame, sp - 2, b, c & 0xFFFF) {
                    Ok(answer) => frame.set_slots(sp - 2, answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp -= 1;
                pc += 1;
            }
            SUB => {
                match subtract_slots(method, frame, sp - 2, b, c & 0xFFFF) {
                    Ok(answer) => frame.set_slots(sp - 2, answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp -= 1;
                pc += 1;
            }
            MUL => {
                match multiply_slots(method, frame, sp - 2, b, c & 0xFFFF) {
                    Ok(answer) => frame.set_slots(sp - 2, answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp -= 1;
                pc += 1;
            }
            LT => {
                match fast_less(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            LE => {
                match fast_less_or_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            GT => {
                match fast_greater(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            GE => {
                match fast_greater_or_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            EQ => {
                match fast_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            NE => {
                match fast_not_equal(frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            IDENTICAL => {
                match fast_identical(frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(truth) => frame.set_slots(sp - 2, value::from_bool(truth)),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            ADD_INT => {
                let immediate = value::from_integer((c >> 16) as i16 as i64);
                match fast_add(method, b, frame.slots(sp - 1), immediate) {
                    Some(sum) => frame.set_slots(sp - 1, sum),
                    None => {
                        frame.set_slots(sp, immediate);
                        match send_after_all(method, frame, sp - 1, 1, b, c & 0xFFFF) {
                            Ok(answer) => frame.set_slots(sp - 1, answer),
                            Err(unwind) => return leave(method, frame, pc, unwind),
                        }
                    }
                }
                pc += 1;
            }
            SUB_INT => {
                let immediate = value::from_integer((c >> 16) as i16 as i64);
                match fast_subtract(method, b, frame.slots(sp - 1), immediate) {
                    Some(difference) => frame.set_slots(sp - 1, difference),
                    None => {
                        frame.set_slots(sp, immediate);
                        match send_after_all(method, frame, sp - 1, 1, b, c & 0xFFFF) {
                            Ok(answer) => frame.set_slots(sp - 1, answer),
                            Err(unwind) => return leave(method, frame, pc, unwind),
                        }
                    }
                }
                pc += 1;
            }
            LT_JUMP => match fast_less(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            LE_JUMP => match fast_less_or_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            GT_JUMP => match fast_greater(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            GE_JUMP => match fast_greater_or_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            EQ_JUMP => match fast_equal(method, b, frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            NE_JUMP => match fast_not_equal(frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            IDENTICAL_JUMP => match fast_identical(frame.slots(sp - 2), frame.slots(sp - 1)) {
                Some(truth) => {
                    sp -= 2;
                    let target = branch(method.code(pc + 1), truth, pc);
                    let is_back = target < pc;
                    pc = target;
                    if is_back {
                        can_enter_jit!();
                    }
                }
                None => {
                    match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 1;
                    pc += 1;
                }
            },
            AT => {
                match array_at(frame.slots(sp - 2), frame.slots(sp - 1)) {
                    Some(element) => frame.set_slots(sp - 2, element),
                    None => match send_after_all(method, frame, sp - 2, 1, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 2, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    },
                }
                sp -= 1;
                pc += 1;
            }
            AT_PUT => {
                if !array_at_put(frame.slots(sp - 3), frame.slots(sp - 2), frame.slots(sp - 1)) {
                    match send_after_all(method, frame, sp - 3, 2, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 3, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                }
                sp -= 2;
                pc += 1;
            }
            NOT => {
                let truth = frame.slots(sp - 1);
                if truth == TRUE {
                    frame.set_slots(sp - 1, FALSE);
                } else if truth == FALSE {
                    frame.set_slots(sp - 1, TRUE);
                } else {
                    match send_after_all(method, frame, sp - 1, 0, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 1, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                }
                pc += 1;
            }
            LOCAL_LOCAL => {
                let next = method.code(pc + 1);
                frame.set_slots(sp, frame.slots(b));
                frame.set_slots(sp + 1, frame.slots(((next >> 16) & 0xFFFF) as i64));
                sp += 2;
                pc += 2;
            }
            FIELD_LOCAL => {
                let next = method.code(pc + 1);
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp, object.fields(b));
                frame.set_slots(sp + 1, frame.slots(((next >> 16) & 0xFFFF) as i64));
                sp += 2;
                pc += 2;
            }
            FIELD_FIELD => {
                let next = method.code(pc + 1);
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp, object.fields(b));
                frame.set_slots(sp + 1, object.fields(((next >> 16) & 0xFFFF) as i64));
                sp += 2;
                pc += 2;
            }
            LOCAL_FIELD => {
                let next = method.code(pc + 1);
                frame.set_slots(sp, frame.slots(b));
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp + 1, object.fields(((next >> 16) & 0xFFFF) as i64));
                sp += 2;
                pc += 2;
            }
            STORE_LOCAL_LOCAL => {
                let next = method.code(pc + 1);
                frame.set_slots(b, frame.slots(sp - 1));
                frame.set_slots(sp - 1, frame.slots(((next >> 16) & 0xFFFF) as i64));
                pc += 2;
            }
            POP_LOCAL => {
                let next = method.code(pc + 1);
                frame.set_slots(sp - 1, frame.slots(((next >> 16) & 0xFFFF) as i64));
                pc += 2;
            }
            LOCAL_AT => {
                let index = frame.slots(b);
                match array_at(frame.slots(sp - 1), index) {
                    Some(element) => {
                        frame.set_slots(sp - 1, element);
                        pc += 2;
                    }
                    None => {
                        frame.set_slots(sp, index);
                        sp += 1;
                        pc += 1;
                    }
                }
            }
            LOCAL_ADD => {
                let site = ((method.code(pc + 1) >> 16) & 0xFFFF) as i64;
                let operand = frame.slots(b);
                match fast_add(method, site, frame.slots(sp - 1), operand) {
                    Some(result) => {
                        frame.set_slots(sp - 1, result);
                        pc += 2;
                    }
                    None => {
                        frame.set_slots(sp, operand);
                        sp += 1;
                        pc += 1;
                    }
                }
            }
            LOCAL_SUB => {
                let site = ((method.code(pc + 1) >> 16) & 0xFFFF) as i64;
                let operand = frame.slots(b);
                match fast_subtract(method, site, frame.slots(sp - 1), operand) {
                    Some(result) => {
                        frame.set_slots(sp - 1, result);
                        pc += 2;
                    }
                    None => {
                        frame.set_slots(sp, operand);
                        sp += 1;
                        pc += 1;
                    }
                }
            }
            LOCAL_MUL => {
                let site = ((method.code(pc + 1) >> 16) & 0xFFFF) as i64;
                let operand = frame.slots(b);
                match fast_multiply(method, site, frame.slots(sp - 1), operand) {
                    Some(result) => {
                        frame.set_slots(sp - 1, result);
                        pc += 2;
                    }
                    None => {
                        frame.set_slots(sp, operand);
                        sp += 1;
                        pc += 1;
                    }
                }
            }
            AT_PUT_POP => {
                if array_at_put(frame.slots(sp - 3), frame.slots(sp - 2), frame.slots(sp - 1)) {
                    pc += 2;
                    sp -= 3;
                } else {
                    match send_after_all(method, frame, sp - 3, 2, b, c & 0xFFFF) {
                        Ok(answer) => frame.set_slots(sp - 3, answer),
                        Err(unwind) => return leave(method, frame, pc, unwind),
                    }
                    sp -= 2;
                    pc += 1;
                }
            }
            POP_RETURN_SELF => return Ok(frame.slots(0)),
            STORE_FIELD_RETURN_SELF => {
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                object.set_fields(b, frame.slots(sp - 1));
                return Ok(frame.slots(0));
            }
            LOCAL_SEND => {
                let next = method.code(pc + 1);
                frame.set_slots(sp, frame.slots(b));
                let arguments = ((next >> 8) & 0xFF) as i64;
                let base = sp - arguments;
                let site = ((next >> 16) & 0xFFFF) as i64;
                match send(method, frame, base, arguments, site, (next >> 32) as i64) {
                    Ok(answer) => frame.set_slots(base, answer),
                    Err(unwind) => return leave(method, frame, pc + 1, unwind),
                }
                sp = base + 1;
                pc += 2;
            }
            FIELD_SEND => {
                let next = method.code(pc + 1);
                // SAFETY: as for PUSH_FIELD.
                let object = unsafe { Instance::from_bits(frame.slots(0).bits()) };
                frame.set_slots(sp, object.fields(b));
                let arguments = ((next >> 8) & 0xFF) as i64;
                let base = sp - arguments;
                let site = ((next >> 16) & 0xFFFF) as i64;
                match send(method, frame, base, arguments, site, (next >> 32) as i64) {
                    Ok(answer) => frame.set_slots(base, answer),
                    Err(unwind) => return leave(method, frame, pc + 1, unwind),
                }
                sp = base + 1;
                pc += 2;
            }
            SEND_POP => {
                let arguments = ((word >> 8) & 0xFF) as i64;
                let base = sp - arguments - 1;
                match send(method, frame, base, arguments, b, c) {
                    Ok(_) => {}
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
                sp = base;
                pc += 2;
            }
            SEND_RETURN => {
                let arguments = ((word >> 8) & 0xFF) as i64;
                let base = sp - arguments - 1;
                match send(method, frame, base, arguments, b, c) {
                    Ok(answer) => return Ok(answer),
                    Err(unwind) => return leave(method, frame, pc, unwind),
                }
            }
            _ => unreachable!(),
        }
    }
}
