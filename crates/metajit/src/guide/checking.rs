//! 8. The test kit.
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
//! [`fuzz`](crate::testing::fuzz) makes random programs from choices, checks each, and shrinks the first that fails to the smallest one. The
//! tests of `examples/` show how: what a generator needs is a bound on the program's running time, and errors that are results.
