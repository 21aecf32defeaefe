//! 1. A plain interpreter, and the three marks.
//!
//! Here is an interpreter as small as they get: one accumulator, one counter, and a program that is a row of numbers.
//!
//! ```
//! use metajit::prelude::*;
//!
//! /// A program: an operation and its operand, one after the other.
//! #[jit_object]
//! pub struct Program {
//!     #[immutable]
//!     words: [i64],
//! }
//!
//! const ADD: i64 = 0;
//! const ADD_COUNTER: i64 = 1;
//! const COUNT_DOWN: i64 = 2;
//! const HALT: i64 = 3;
//!
//! #[jit_driver(greens = [pc, program], reds = [counter, total])]
//! fn run(program: Program, counter: i64) -> i64 {
//!     let pc: i64 = 0;
//!     let total: i64 = 0;
//!     loop {
//!         jit_merge_point!();
//!         let operand = program.words(pc + 1);
//!         match program.words(pc) {
//!             ADD => {
//!                 total += operand;
//!                 pc += 2;
//!             }
//!             ADD_COUNTER => {
//!                 total += counter;
//!                 pc += 2;
//!             }
//!             COUNT_DOWN => {
//!                 counter -= 1;
//!                 if counter > 0 {
//!                     pc = operand;
//!                     can_enter_jit!();
//!                 } else {
//!                     pc += 2;
//!                 }
//!             }
//!             _ => return total,
//!         }
//!     }
//! }
//!
//! fn main() {
//!     let words = [ADD, 3, ADD_COUNTER, 0, COUNT_DOWN, 0, HALT, 0];
//!     let program = Program::alloc(words.len() as i64, HALT);
//!     for (index, &word) in words.iter().enumerate() {
//!         // SAFETY: no code has seen the program yet, so its immutable items may still be set.
//!         unsafe { program.set_words(index as i64, word) };
//!     }
//!     assert_eq!(run(program, 10_000), 3 * 10_000 + 10_000 * 10_001 / 2);
//!
//!     // The loop was compiled, and left once: when the counter reached 0.
//!     # #[cfg(feature = "jit")] {
//!     let statistics = metajit::driver::statistics();
//!     assert_eq!(statistics.loops_recorded, 1);
//!     assert!(statistics.exits <= 2);
//!     # }
//! }
//! ```
//!
//! Take the attributes away (and the macros, and write `let mut`), and it is a plain interpreter. What they say:
//!
//! * **`#[jit_driver(greens = [pc, program], reds = [counter, total])]`**. The function is a *prologue*, which runs once, and one
//!   `loop`, which runs for each instruction. `pc` and `program` together say where in the interpreted program we are: they
//!   are green, and constants in every trace. So `program.words(pc)` is a constant too (the words are immutable), the `match` is
//!   decided while tracing, and only `total += 3; total += counter; counter -= 1; if counter > 0` is left. What lives on from
//!   one iteration to the next besides is red. A local that is neither and lives on is an error: rustc doesn't find it in the loop.
//! * **`jit_merge_point!()`** is the first thing in the loop: here greens and reds are *all* the state there is. Traces begin here,
//!   and after a failed guard the interpreter is put together again from here.
//! * **`can_enter_jit!()`** stands where the interpreted program jumps backwards, after `pc` was set. It counts, it enters compiled code,
//!   and it goes to the merge point (nothing after it is executed). Mark backward jumps only: each mark costs a few instructions. Where the
//!   mark is forgotten nothing is refused, and no loop is ever hot.
//!
//! Greens and reds are parameters or locals with a type (`let pc: i64 = 0;`); they are assignable in the loop without `mut`. At most five
//! greens: put what belongs together into one object. The driver is a free function, never a method.
//!
//! # What is a good green?
//!
//! A place of the interpreted program, and nothing that varies while it runs there. A green with many values makes a trace for each of
//! them that becomes hot; one that is different each time (a loop counter) makes a new place each time, none of which ever does. If the
//! depth of the operand stack is the same whenever a place is reached (in most stack machines it is) make it green: then every stack access
//! has a constant index ([`super::objects`]).
