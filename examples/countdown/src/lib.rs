//! The smallest interpreter that metajit can speed up: a program is a row of instructions over one accumulator and one
//! counter.

use metajit::prelude::*;

/// A program: one instruction and its operand after the other.
#[jit_object]
pub struct Program {
    #[immutable]
    words: [i64],
}

/// Adds the operand to the accumulator.
pub const ADD: i64 = 0;
/// Adds the counter to the accumulator.
pub const ADD_COUNTER: i64 = 1;
/// Takes one from the counter and, unless it has become 0, goes to the operand's place.
pub const COUNT_DOWN: i64 = 2;
/// Ends the program with the accumulator.
pub const HALT: i64 = 3;

impl Program {
    /// A program of these instructions.
    pub fn new(words: &[i64]) -> Program {
        let program = Program::alloc(words.len() as i64, HALT);
        for (index, &word) in words.iter().enumerate() {
            // SAFETY: nothing has seen the program yet.
            unsafe { program.set_words(index as i64, word) };
        }
        program
    }
}

/// Runs a program whose counter starts at `counter`.
#[jit_driver(greens = [pc, program], reds = [counter, total])]
pub fn run(program: Program, counter: i64) -> i64 {
    let pc: i64 = 0;
    let total: i64 = 0;
    loop {
        jit_merge_point!();
        let operand = program.words(pc + 1);
        match program.words(pc) {
            ADD => {
                total = total.wrapping_add(operand);
                pc += 2;
            }
            ADD_COUNTER => {
                total = total.wrapping_add(counter);
                pc += 2;
            }
            COUNT_DOWN => {
                counter -= 1;
                if counter > 0 {
                    pc = operand;
                    can_enter_jit!();
                } else {
                    pc += 2;
                }
            }
            _ => return total,
        }
    }
}
