//! The driver: when to record, what to compile, how to enter and leave compiled code.
//!
//! **Problem.** The interpreter runs; some of its loops and functions are hot. The driver finds them, has them recorded and
//! compiled, runs the code in the interpreter's place, and brings the interpreter back wherever the code leaves.
//!
//! **Approach.** A hashed table of counters, one per thread, is all that the plain interpreter touches: a back edge or a
//! function entry adds one and compares ([`hot`]), and with the JIT off from the start tests one flag ([`counting`]). Everything
//! else is out of line. A green key that gets hot is a *place*: it is recorded once ([`crate::record`]), and the tree is optimized and compiled as a whole, on another thread while the
//! interpreter goes on ([`compile`]). When an exit gets hot, a
//! bridge is recorded from it by replay. A bridge is compiled when the time lost at exits since the last compilation
//! has reached what compiling the grown tree is estimated to cost: that rule is at most twice as dear as knowing the future.
//!
//! Code is made quickly first, and well once it has been entered, or its loop has gone round, often: most trees are compiled
//! several times while bridges come, and never run as long as compiling them well takes. Nor is a loop peeled while its bridges
//! come one after the other ([`runtime::Stage`]): that halves what there is to optimize each time, and with it how long exits are
//! taken whose bridge is under way, which is most of what warming up costs. A loop counts its rounds and leaves
//! for better code where it begins. The larger a tree, the less its bridges inline, so that all that get hot find room.
//! Calls between compiled portals and the ends of fragments go straight into other code through a place's call cell ([`cell`]).
//!
//! Everything is bounded by a parameter, and what reaches a bound is counted: operations and bridges of a tree, aborts and
//! invalidations of a place, jobs under way, bytes of code ([`freeing`]). Counters forget as collections go by.
//!
//! **Invariants.** A tree that is being recorded is not in its place, so nothing else can change it; the code it had so far may
//! still run. Code calls code without a word to the driver, so code that was replaced is kept until none runs on the thread. An
//! exit's number says which code it is of, for the place may have other code by then. An exit's slots are read before anything
//! else can run, and nothing collects until replay has them: hooks run with collection off.
//!
//! **Rejected.** A counter in each green object (the implementer would have to provide room); linking each bridge separately
//! first (a second calling convention, for a gain that the rule above makes small).

mod alive;
mod cell;
mod compile;
mod depend;
mod entry;
mod events;
mod exit;
mod freeing;
mod parameters;
mod runtime;
mod spread;
mod stack;
mod statistics;
mod threaded;

pub(crate) use alive::keep_constant;
pub use cell::finish_call;
pub(crate) use cell::finish_spread;
pub(crate) use depend::{Validity, depend, holds, new_validity, written};
pub use events::{Event, ExitName, log_to, observe};
pub use parameters::{BadParameter, Parameters};
pub use runtime::{
    Entered, code_memory, enter, explain, finish_compilations, has_code, leave_to_the_system, never_inlines,
    parameters, quiet_for, residual, returned, set_parameters, set_process_parameters, statistics, why_not_compiled,
};
pub(crate) use runtime::{call_cell, cell_of_tree, stop_word};
pub(crate) use spread::portal_callee;
pub(crate) use stack::stack_limit_changed;
pub use statistics::Statistics;
pub use threaded::threaded_code;

use crate::context::Words;
use crate::ir::Callee;
use crate::ir::tree::Portal;
use crate::record::Meta;
use crate::twin::Raw;
use std::cell::Cell;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// One `#[jit_driver]`, as its macro describes it.
#[derive(Debug)]
pub struct Driver {
    /// What the optimizer knows of it.
    pub portal: Portal,
    /// The loop's twin: from greens and reds to result words, which it adds.
    pub twin: fn(&mut Meta, &[u64], &[Raw], &mut Vec<Raw>),
    /// The loop itself, entered at a merge point.
    pub plain: fn(&[u64], &[u64], &mut Words),
    /// The loop entered by a call: it may run compiled code.
    pub call: fn(&[u64], &[u64], &mut Words),
    /// The same for compiled code: [`finish_call`] is its function.
    pub entry: Callee,
    /// The same where the greens are no constants: they are passed before the reds.
    pub general: Callee,
    /// Number of result words.
    pub results: usize,
    /// Whether the virtualizable is made for the call: the caller does not look at it afterwards.
    pub given: bool,
    /// From which index on the virtualizable's items are dead at a merge point with these greens.
    pub live: fn(&[u64]) -> u32,
    /// How a place is called in logs.
    pub location: fn(&[u64]) -> String,
}

/// Size of the table of counters.
const COUNTERS: usize = 1 << 12;

thread_local! {
    static TABLE: [Cell<u32>; COUNTERS] = const { [const { Cell::new(0) }; COUNTERS] };
    static THRESHOLDS: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// Whether threads count visits: [`UNKNOWN`], or what is known of those that have read their parameters.
static COUNTING: AtomicU8 = AtomicU8::new(UNKNOWN);
/// No thread has read its parameters.
const UNKNOWN: u8 = 0;
/// Threads begin with the JIT switched off, and none has been told otherwise by the program.
const NONE: u8 = 1;
/// Some thread counts, or did.
const SOME: u8 = 2;

/// Whether visits are counted: with the JIT off, this one test is all that it costs the interpreter. It is the same for all
/// threads, because the address of a variable of the thread's would be computed at each entry of an interpreter.
#[inline(always)]
pub fn counting() -> bool {
    COUNTING.load(Relaxed) != NONE
}

/// A thread's parameters say whether it counts.
fn set_counting(counts: bool) {
    if counts {
        COUNTING.store(SOME, Relaxed);
    } else {
        _ = COUNTING.compare_exchange(UNKNOWN, NONE, Relaxed, Relaxed);
    }
}

fn slot<const G: usize>(greens: &[u64; G], function: bool) -> usize {
    let mut hash = function as u64;
    for &green in greens {
        hash = (hash ^ green).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    (hash >> 7) as usize % COUNTERS
}

/// Counts a visit of a back edge (or of a function's entry); whether it is time for [`enter`].
#[inline(always)]
pub fn hot<const G: usize>(greens: &[u64; G], function: bool) -> bool {
    visit(slot(greens, function), function)
}

/// Out of line, or interpreters would compute the addresses of the thread's variables whenever they are entered.
#[inline(never)]
fn visit(index: usize, function: bool) -> bool {
    let count = TABLE.with(|table| {
        let count = table[index].get().wrapping_add(1);
        table[index].set(count);
        count
    });
    let (back_edge, entry) = THRESHOLDS.get();
    count >= if function { entry } else { back_edge }
}

fn slot_of(greens: &[u64], function: bool) -> Option<usize> {
    Some(match *greens {
        [] => slot::<0>(&[], function),
        [a] => slot(&[a], function),
        [a, b] => slot(&[a, b], function),
        [a, b, c] => slot(&[a, b, c], function),
        [a, b, c, d] => slot(&[a, b, c, d], function),
        [a, b, c, d, e] => slot(&[a, b, c, d, e], function),
        _ => return None,
    })
}

fn reset_counter(greens: &[u64], function: bool) {
    if let Some(index) = slot_of(greens, function) {
        TABLE.with(|table| table[index].set(0));
    }
}

/// Multiplies all counters.
fn scale_counters(by: f64) {
    TABLE.with(|table| table.iter().for_each(|count| count.set((f64::from(count.get()) * by) as u32)));
}

/// Sets a counter so that so many visits more make it run over again.
fn delay_counter(greens: &[u64], function: bool, visits: u32) {
    let (back_edge, entry) = THRESHOLDS.get();
    if let Some(index) = slot_of(greens, function) {
        let threshold = if function { entry } else { back_edge };
        TABLE.with(|table| table[index].set(threshold.saturating_sub(visits)));
    }
}

/// Whether a place was visited less often than the thresholds say.
fn is_early(greens: &[u64], function: bool) -> bool {
    let (back_edge, entry) = THRESHOLDS.get();
    let count = slot_of(greens, function).map_or(u32::MAX, |index| TABLE.with(|table| table[index].get()));
    count < if function { entry } else { back_edge }
}
