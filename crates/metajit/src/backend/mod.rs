//! The backend: optimized code to machine code, and the memory that machine code lives in.
//!
//! **Problem.** A [`Code`](crate::ir::code::Code) shall run on the processor: soon (it is compiled while the program
//! waits, or on another thread while it doesn't), fast, and without ever having memory that can be written and executed
//! at the same time. Cranelift makes good instructions, but not quickly; its interface changes with every release.
//!
//! **Approach.** Cranelift is named in this module alone. [`Compiler`] turns one code into one [`Machine`], at one of two
//! qualities: with Cranelift ([`lower`]), or, on x86-64 and when it has to be quick, directly (`direct`). [`Arena`] owns the
//! executable memory, mapped twice; [`Queue`] does the work on a thread of its own, or at once for those who want runs to be the same every time.
//!
//! **Invariants.** A machine's memory stays valid and unchanged until the machine is dropped, whoever drops it makes sure that no
//! activation is inside. Compiling reads nothing but the code; what the rest of the process is to know of a machine
//! (names for profilers, frames for unwinders) is said by [`Machine::announce`], on the thread that will run it.
//!
//! **Rejected.** `cranelift-jit`: a page and a system call per function, and nothing is ever freed.

mod arena;
mod calls;
mod compiler;
mod debugger;
#[cfg(target_arch = "x86_64")]
mod direct;
mod dispatch;
mod exits;
mod helpers;
mod lower;
mod memory;
mod queue;
mod stubs;
mod symbols;
mod unwind;

pub use arena::{Arena, DEFAULT_ARENA_BYTES};
pub use compiler::{CompileError, Compiler, Countdown, Machine, Options, Quality, Stats, Window};
pub use helpers::OUT_OF_MEMORY;
pub use memory::MemoryWork;
pub use queue::{Finished, Queue, STACK};
