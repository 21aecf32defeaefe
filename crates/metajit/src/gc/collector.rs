//! The seam between objects and the memory they live in.
//!
//! **Problem.** Some languages want another memory: an arena that is dropped whole after a request, a collector of
//! their own, a library's.
//!
//! **Approach.** The fast path of allocation and the test of the barrier bit are the same for all: a window of zeroed memory, and a bit
//! in each header. What is behind them is a [`Collector`], chosen per thread by [`install`](super::install) before the first object. The
//! built-in heap is one; nothing outside this directory knows which it is. A collector finds its roots with
//! [`visit_roots`], the references in objects through [`Shape::by_id`](crate::object::Shape::by_id), and tells weak
//! references and finalizers what died with [`after_marking`].
//!
//! **Invariant.** A collector may leave an object's barrier bit clear for ever; then no writes are reported.

use super::statistics::{Cause, Kind, Statistics};
use super::{Config, OutOfMemory, roots, stack};
use crate::object::Header;
use std::cell::Cell;

/// The memory that a thread allocates from without a call: zero from the cursor up to the limit.
#[derive(Debug)]
#[repr(C)]
pub struct Window {
    pub(super) cursor: Cell<usize>,
    pub(super) limit: Cell<usize>,
}

impl Window {
    pub(super) const fn new() -> Window {
        Window { cursor: Cell::new(0), limit: Cell::new(0) }
    }
    pub(super) fn close(&self) {
        self.cursor.set(0);
        self.limit.set(0);
    }
    /// Where the next object goes.
    #[inline(always)]
    pub fn cursor(&self) -> usize {
        self.cursor.get()
    }
    /// Opens the window on other memory, or with equal addresses on none.
    ///
    /// # Safety
    /// From the cursor up to the limit, memory must be writable, zero and used by nobody else.
    #[inline(always)]
    pub unsafe fn set(&self, cursor: usize, limit: usize) {
        self.cursor.set(cursor);
        self.limit.set(limit);
    }
}

/// What supplies a thread with memory for objects, and may take it back.
///
/// The heap is in use while one of these functions runs: they must not allocate objects.
pub trait Collector {
    /// Memory for an object of so many bytes (a multiple of eight) that did not fit into the window: zero, and a multiple of
    /// eight. Compiled code may make several small objects of it, side by side as in the window. May collect first; may
    /// open the window on more memory.
    ///
    /// # Errors
    /// If there is none.
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory>;

    /// A reference is about to be written to an object (to this item of its array) whose barrier bit is set.
    ///
    /// # Safety
    /// `object` must be live.
    unsafe fn note_write(&mut self, object: *mut Header, item: Option<usize>) {
        let _ = (object, item);
    }

    /// Frees what can't be reached.
    fn collect(&mut self, kind: Kind, cause: Cause, window: &Window) {
        let _ = (kind, cause, window);
    }

    /// Switches collection off or on again; may be nested.
    fn suspend(&mut self, off: bool) {
        let _ = off;
    }

    /// Takes over what it can of a configuration.
    fn configure(&mut self, config: Config) {
        let _ = config;
    }

    /// The configuration in use.
    fn configuration(&self) -> Config {
        Config::default()
    }

    /// The figures to report.
    fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}

/// What takes roots.
pub trait RootSink {
    /// A handle, or a value, whose object is to be kept alive.
    fn value(&mut self, word: u64);
    /// A word that may be anything: any address in an object or at its end keeps that object alive.
    fn word(&mut self, word: u64);
    /// Several such words.
    ///
    /// # Safety
    /// The words from one address up to the other must be readable.
    unsafe fn words(&mut self, from: *const u64, to: *const u64) {
        let mut at = from;
        while at < to {
            // SAFETY: the caller's contract. Volatile, as other code may think the memory its own.
            let word = unsafe { at.read_volatile() };
            self.word(word);
            // SAFETY: still within the range.
            at = unsafe { at.add(1) };
        }
    }
}

/// Gives a collector all roots of this thread: stacks, registers, ranges, visitors and explicit roots; of the last
/// only those set since the last time, if not all are wanted. How many words there were.
pub fn visit_roots(all: bool, sink: &mut dyn RootSink) -> usize {
    stack::with_registers(|low| visit_roots_from(low, all, sink))
}

/// As [`visit_roots`], from a stack pointer with the registers saved above it.
pub(super) fn visit_roots_from(low: usize, all: bool, sink: &mut dyn RootSink) -> usize {
    let mut words = roots::visit(all, sink);
    for (low, high) in stack::parts(low) {
        words += (high - low) / 8;
        // SAFETY: the part of a stack that is in use.
        unsafe { sink.words(low as *const u64, high as *const u64) };
    }
    words
}

/// Clears weak references and readies finalizers, given what says of a word whether the object it names survives (true
/// if it names none). With `all` not set, only those made since the last time are asked about.
pub fn after_marking(all: bool, survives: &mut dyn FnMut(u64) -> bool) {
    roots::after_marking(all, survives);
}
