//! The compiler: syntax tree to bytecode.
//!
//! Three steps: `inlining` says which sends are control structures, `analysis` where variables live, `codegen`
//! writes the instructions. The compiler knows no heap: constants are described ([`Constant`]), and the
//! loader makes objects of them. So it can be tested on text alone.
//!
//! # When inlining fails
//!
//! `x ifTrue: [..]` is compiled to a jump, and `x` may turn out to be no Boolean. Then the message must be sent,
//! with a real block that shares the variables of the running activation, for as long as anyone keeps the block.
//! Code that is ready for this everywhere would keep its variables on the heap. Instead, a function is compiled twice: the
//! first version keeps variables in slots of its frame, and every inlined send that can fail has a number, its
//! *fallback*. When one fails, the *generic* version is compiled, in which the variables that inlined blocks share
//! with their surroundings are cells, and which has the real send at each fallback. The activation's variables move into
//! cells, and it goes on in the generic version at the number of the fallback; it never comes back. Rejected: a copy
//! of the variables for the block, copied back after the send (wrong as soon as the block outlives the send, as in a
//! parser combinator's `or: [..]`), and cells from the start (every loop variable on the heap).

pub mod analysis;
pub mod codegen;
pub mod inlining;
mod peephole;
mod structures;

pub use codegen::{Compiled, Constant, MethodContext, SlotKey, compile_generic, compile_method};
