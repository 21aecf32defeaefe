//! The trace IR: one instruction set for what the recorder writes and what the optimizer makes of it.
//!
//! **Problem.** A recorded trace and the code compiled from it are looked at by six parties (recorder, optimizer, verifier,
//! evaluator, printer and parser, backend). They must agree on what an operation means.
//!
//! **Approach.** [`Op`] is defined by one table ([`table`]): name, operand and result types, effect class, meaning. Every
//! value is a 64-bit word or an `f64`; narrower integers are kept in canonical form by explicit extension operations.
//! Overflow is asked for by an operation of its own beside the wrapping one, so that every operation has one result.
//! Two containers hold instructions: a [`tree::Tree`] is what was *recorded* (linear fragments joined at guards, with the
//! event log that resuming replays), a [`code::Code`] is what will be *run* (blocks with parameters, exits with recipes).
//! Both have one text form ([`mod@print`], [`parse`]), a verifier ([`verify`]), and one meaning ([`fold()`], [`eval`]).
//!
//! **Invariants.** Single assignment. A guard in a tree names its snapshot, a guard in code its exit. Division has a divisor
//! that is neither zero nor (signed) -1 by minimum, array indexes are in bounds: the recorder
//! guards them first.
//!
//! **Rejected.** Results with two values (value and overflow flag) as in machine-like IRs: they complicate every pass to
//! save the backend one lookup. Typed pointers: layouts are data ([`crate::object::Field`]), and memory is told apart by
//! offset.

// What there is.
mod inst;
mod table;

// What holds it: recorded, to be run.
pub mod tree;

pub mod code;

// Its text.
mod declare;
mod lex;
pub mod parse;
mod parse_code;
mod parse_header;
pub mod print;

// Whether it is well formed, and what it means.
pub mod verify;

mod fold;

pub mod eval;

pub use fold::fold;
pub use inst::{Arg, ArgRange, Aux, Callee, Effect, Inst, OpRef, Spread};
pub use table::{Class, Op, OpInfo};
