//! Stopping a program from outside: another thread or a signal handler asks, and the interpreter finds out at its next test.
//!
//! A compiled loop that makes no calls looks at nothing that others may write. An interpreter that is to be stoppable
//! tests [`stop_requested`] where it jumps backwards and calls, and does there what its language wants: returns an error,
//! throws an exception. In compiled code the test is a load and a branch; it is never merged with another, nor moved out of a loop.
//!
//! ```
//! use metajit::prelude::*;
//!
//! #[jit_driver(greens = [step], reds = [n])]
//! fn endless(step: i64, n: i64) -> Option<i64> {
//!     loop {
//!         jit_merge_point!();
//!         if stop_requested() {
//!             return None;
//!         }
//!         n = n.wrapping_add(step);
//!         can_enter_jit!();
//!     }
//! }
//!
//! let stopper = metajit::stopper();
//! std::thread::spawn(move || stopper.request());
//! assert_eq!(endless(1, 0), None);
//! metajit::stopper().withdraw();
//! ```

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static WORD: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

fn word() -> &'static AtomicU64 {
    WORD.get().unwrap_or_else(new_word)
}

/// Words live for ever, since somebody may ask a thread that has ended.
#[cold]
fn new_word() -> &'static AtomicU64 {
    #[cfg(feature = "jit")]
    let word = crate::driver::stop_word();
    #[cfg(not(feature = "jit"))]
    let word: &'static AtomicU64 = Box::leak(Box::default());
    WORD.set(Some(word));
    word
}

/// Asks one thread to stop: see [`stopper`].
#[derive(Clone, Copy, Debug)]
pub struct Stopper(&'static AtomicU64);

impl Stopper {
    /// From now on [`stop_requested`] is true on that thread. May be called by any thread and by signal handlers.
    pub fn request(&self) {
        self.0.store(1, Ordering::SeqCst);
    }
    /// It is false again.
    pub fn withdraw(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// What stops the thread that calls this.
pub fn stopper() -> Stopper {
    Stopper(word())
}

/// Whether this thread has been asked to stop.
#[inline]
pub fn stop_requested() -> bool {
    word().load(Ordering::Relaxed) != 0
}
