//! Threaded code: whole methods made into native code from the same twins that traces are recorded with.
//!
//! **Problem.** A trace is worth its compilation only where the program is hot. Everything before, and everything that is
//! never so hot, runs in the interpreter, which spends most of its time on dispatch, on decoding operands, and on an operand stack
//! in memory. Code of a whole method removes these, if making it costs little.
//!
//! **Approach.** In *shallow* mode the portal's twin is run with its greens known and its reds unknown. Nothing of
//! the program is executed: every operation that needs an unknown word becomes an instruction of a [`Code`](crate::ir::code::Code),
//! everything else is computed on the spot. So decoding and dispatch vanish, as they do in a trace. One run goes from one
//! merge point to the next.
//!
//! * A branch on an unknown word *forks*: the run goes on one way; the other way is remembered (the papers' traverse stack) and
//!   explored by running the twin again from the merge point, with the answers that it was given the first time ([`path`]).
//! * Where the ways of one iteration meet again, at the same greens, they are joined by block parameters for the words
//!   that differ. Where ways of several iterations meet, and at jumps backwards, stands a *label*: all state is in the reds and
//!   the frame's memory there. A first pass (the *survey*) finds the labels ([`mod@unit`]).
//! * Between labels the slots of the virtualizable frame are kept in registers, and stores to slots that die are never done.
//! * A function marked `#[enable_threaded_code]` is inlined, too; but what its plain form can do as well is left to it: when it
//!   decides something before it has had any effect, the way not taken calls the function itself; when it decides by an unknown
//!   word in a `match`, or grows too long, it is called from the start.
//! * Inline caches ([`crate::seen`]) are read when the code is made: each class that a send has met gets a comparison
//!   and a direct call, anything else goes through the cache.
//! * What only threaded code has to know of what a place has met ([`crate::we_are_threaded`]) is read in the same way; of a condition that
//!   may as well hold as not ([`crate::either`]) both ways are inlined.
//! * What is left (a panic, a `match` on an unknown word outside any handler) is an *exit*, as in a trace: the driver
//!   replays the twin from the last merge point and goes on in the interpreter.
//! * Method starts and loop headers are *entries*. The start counts calls, jumps backwards count iterations, and
//!   the code leaves when the count is used up: it is time for a trace.
//!
//! **Invariants.** A shallow run reads objects only if their handles are constants, and of those only fields that never
//! change and inline caches; it calls elidable functions of constants and nothing else. Ticks and log are kept as in a
//! recording, so that exits are replayed by the same machinery. A twin's native values mean nothing where the operation is not a
//! constant: whatever would panic on them asks [`Meta::fails`](crate::record::Meta::fails) or says
//! [`Meta::panics`](crate::record::Meta::panics) first.
//!
//! **Rejected.** *Stubs only* (a call per handler): slower than a lean interpreter. *A flag tested in the handler at run
//! time* (the papers' dummy flag): here nothing is executed while code is made, so the code may name the handler itself from the
//! beginning, which is what the papers' handler optimization comes to. With `handler_optimization=0` it calls the papers' stub
//! instead: the same function behind a flag, which is passed and tested at run time. *Joining everywhere*: block parameters for all slots at each merge
//! point cost more registers than the reloads they save.

mod builder;
mod path;
mod state;
mod unit;

pub(crate) use path::Shallow;
pub(crate) use unit::{COUNTED, Failure, UNFIT, Unit, make};

/// Bounds of threaded code, and what of it can be left out to see what it brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Instructions that a handler may have inlined, before it is called instead.
    pub(crate) handler_ops: usize,
    /// Merge points of one unit.
    pub(crate) merge_points: usize,
    /// Instructions of one unit.
    pub(crate) insts: usize,
    /// Whether inline caches are read when the code is made.
    pub(crate) inline_caches: bool,
    /// Whether stubs are called instead of handlers.
    pub(crate) stubs: bool,
}
