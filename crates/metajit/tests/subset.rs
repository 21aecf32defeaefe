//! The traceable subset, form by form: what is compiled must compute what plain Rust computes.
//!
//! Each test is a table of small `#[jit]` functions of two numbers. A driver runs each of them over many inputs, in a loop that gets
//! compiled at once and whose guards get bridges at once, in several modes; the results must be those of calling the
//! function as plain Rust. What panics must panic with the same message, at the same input.
#![cfg(feature = "jit")]
#![allow(clippy::all, reason = "the forms are the point, also the ones that could be shorter")]

#[macro_use]
#[path = "subset/harness.rs"]
mod harness;

#[path = "subset/calls.rs"]
mod calls;
#[path = "subset/control.rs"]
mod control;
#[path = "subset/floats.rs"]
mod floats;
#[path = "subset/integers.rs"]
mod integers;
#[path = "subset/memory.rs"]
mod memory;
#[path = "subset/panics.rs"]
mod panics;
#[path = "subset/patterns.rs"]
mod patterns;
#[path = "subset/structures.rs"]
mod structures;
