//! The guide: how to annotate an interpreter, from scratch.
//!
//! Read it in order; each chapter's code is complete and runs as a test.
//!
//! 1. [`interpreter`]: a plain interpreter, and the three marks that make it traceable.
//! 2. [`values`]: words, tagged values, and when to `match`.
//! 3. [`objects`]: heap objects, immutable and quasi-immutable fields, the frame.
//! 4. [`calls`]: handlers, exceptions, calls of the interpreted language, what is not looked into.
//! 5. [`memory`]: the collector, and what Rust's own heap has to say to it.
//! 6. [`subset`]: what traced code can say, and what to write instead of the rest.
//! 7. [`tuning`]: parameters, statistics, logs, and why something was not compiled.
//! 8. [`threaded`]: threaded code, the tier before traces.
//! 9. [`checking`]: the test kit.
//!
//! # A project of your own
//!
//! A language is an ordinary crate that depends on metajit. Its `Cargo.toml` needs no more than this (and Rust 1.95 or newer):
//!
//! ```toml
//! [package]
//! name = "my-language"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [features]
//! default = ["jit"]
//! jit = ["metajit/jit"]
//!
//! [dependencies]
//! metajit = { path = "../metajit/crates/metajit", default-features = false }
//!
//! # The code generator is a dependency, and so is metajit. Optimized, they take longer to build once, and tests of debug builds a fraction of
//! # the time.
//! [profile.dev.package."*"]
//! opt-level = 2
//! ```
//!
//! With `--no-default-features` the same source is the plain interpreter alone. [`driver`](crate::driver) is not there then: what names it
//! (a command line that prints statistics) stands behind `#[cfg(feature = "jit")]`. The attributes need no such condition.
//!
//! Build with `--release` before you measure anything, and compare with `METAJIT=off`: a debug build says nothing about either.
//!
//! The examples of the repository are such crates: copy one, and put the lines above in place of those that say `workspace`.
//!
//! # The idea in one page
//!
//! An interpreter spends most of its time finding out what to do: it loads an instruction, takes it apart, jumps to its handler,
//! tests the types of its operands, unboxes them, boxes the result. A *meta-tracing* JIT removes that without knowing the
//! language. It watches the interpreter itself while the interpreter runs one iteration of a hot loop of the interpreted
//! program, and writes down what it did: a *trace*. In the trace there is no dispatch, because the instructions were
//! always the same, and no type test is done twice. The trace is optimized, compiled and run in the interpreter's place. Where
//! the program takes another way than it took when watched, a *guard* in the trace fails and the interpreter goes on.
//!
//! For that the JIT must know three things, and the attributes say them:
//!
//! * where the interpreter's loop is, and what of its state says *where in the interpreted program* it is (the **greens**),
//!   apart from all other state (the **reds**): `#[jit_driver]`;
//! * what belongs to the interpreter and is to be looked into: `#[jit]`, and what is to be called: `#[dont_look_inside]`,
//!   `#[elidable]`;
//! * how values and objects look: `#[jit_word]`, `#[jit_object]`, `#[jit_enum]`.
//!
//! From an annotated function the macro makes a second one, its *twin*, which does the same and can write it down. So traced code
//! is limited to what the macro understands ([`subset`]), and everything it doesn't is an error where it stands.

pub mod calls;
pub mod checking;
pub mod interpreter;
pub mod memory;
pub mod objects;
pub mod subset;
pub mod threaded;
pub mod tuning;
pub mod values;
