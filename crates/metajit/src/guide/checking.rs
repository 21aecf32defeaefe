//! 9. The test kit.
//!
//! A tracing JIT has many ways to run one program: plain, while recording, in compiled code with and without the optimizer, after each
//! guard's failure. [`metajit::testing`](crate::testing) runs a program in all of them and compares.
//!
//! ```
//! # #[cfg(feature = "jit")] {
//! use metajit::testing::{Modes, check};
//!
//! # fn run_program(text: &str) -> usize { text.len() }
//! // `run_program` is your language's entry: it makes what it needs, runs the program, and returns what can be compared.
//! check(&Modes::all().forced(4), || run_program("print 1 + 2")).unwrap();
//! # }
//! ```
//!
//! [`threaded_text`](crate::testing::threaded_text) gives the threaded code of a function as text, to be compared with a file;
//! `examples/tla/tests/threaded.rs` shows how.
//!
//! [`fuzz`](crate::testing::fuzz) makes random programs from choices, checks each, and shrinks the first that fails to the smallest one. A
//! language gives it two functions: one that makes a program of choices, and one that runs a program and returns all that can be seen of it.
//!
//! ```
//! # use metajit::prelude::*;
//! # #[jit_object]
//! # pub struct Program {
//! #     #[immutable]
//! #     words: [i64],
//! # }
//! # #[jit_driver(greens = [pc, program], reds = [counter, total])]
//! # fn run(program: Program, counter: i64) -> Result<i64, i64> {
//! #     let pc: i64 = 0;
//! #     let total: i64 = 0;
//! #     loop {
//! #         jit_merge_point!();
//! #         let operand = program.words(pc + 1);
//! #         match program.words(pc) {
//! #             0 => { total = total.wrapping_add(operand); pc += 2; }
//! #             1 => {
//! #                 if operand == 0 { return Err(total); }
//! #                 total %= operand;
//! #                 pc += 2;
//! #             }
//! #             _ => {
//! #                 counter -= 1;
//! #                 if counter == 0 { return Ok(total); }
//! #                 pc = 0;
//! #                 can_enter_jit!();
//! #             }
//! #         }
//! #     }
//! # }
//! use metajit::testing::{Fuzz, Genes, fuzz};
//!
//! /// A program: lines `add N` and `rem N`, run over and over. Choice 0 is the simplest.
//! fn make(genes: &mut Genes<'_>) -> String {
//!     let mut text = String::new();
//!     while !genes.is_empty() {
//!         let operation = genes.pick(&["add", "rem"]);
//!         let operand = genes.below(10);
//!         text.push_str(&format!("{operation} {operand}\n"));
//!     }
//!     text
//! }
//!
//! /// The language's entry: here, rounds of the program, a hundred of them, and a remainder by 0 is an error of the language.
//! fn go(text: &str) -> Result<i64, i64> {
//!     let lines: Vec<&str> = text.lines().collect();
//!     let program = Program::alloc(2 * lines.len() as i64 + 2, 2);
//!     for (index, line) in lines.iter().enumerate() {
//!         let (operation, operand) = (i64::from(line.starts_with("rem")), line[4..].parse().unwrap());
//!         // SAFETY: no code has seen the program yet.
//!         unsafe {
//!             program.set_words(2 * index as i64, operation);
//!             program.set_words(2 * index as i64 + 1, operand);
//!         }
//!     }
//!     run(program, 100)
//! }
//!
//! // In a language's crate this is a `#[test]`.
//! fn main() {
//!     let mut campaign = Fuzz::new("my language", 1, 3);
//!     campaign.genes = 20;
//!     fuzz(&campaign, make, go);
//! }
//! ```
//!
//! Three things make a generator useful. Its programs end soon, so it bounds how often its loops run. They get hot, and counters are low here: a
//! hundred rounds are enough. And what goes wrong in them is a result, not a panic, and does not go wrong in the first line of most of them.
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make more and others. The tests of `examples/` have generators for whole languages.
