//! The context: the words that compiled code (or the evaluator) and the driver hand each other.
//!
//! One context per thread. A tree's entry reads its reds from `slots`; an exit writes its slots there and returns the
//! exit's number; a portal's result words go to `results`. Whoever is handed something reads it before anything else can
//! run, so nested activations share one context.
//!
//! What else compiled code and driver share is here, too: the head of a call cell ([`CellHead`]), through which one portal's
//! code calls another's.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;

/// Exit slots that an exit may have at most; one that needs more is not compiled.
pub const MAX_SLOTS: usize = 1024;
/// Result words that a call or a portal may have at most.
pub const MAX_RESULTS: usize = 8;

/// What takes the words of a result, one after the other.
pub trait Sink {
    /// One more word.
    fn push(&mut self, word: u64);
}

/// Result words on their way to compiled code: it takes the first by value, the others from memory.
#[derive(Debug)]
pub(crate) struct Returned {
    first: u64,
    others: *mut u64,
    len: usize,
}

impl Returned {
    /// None yet.
    ///
    /// # Safety
    /// There must be room at `others` for all words after the first, for as long as this takes any.
    #[inline]
    pub(crate) unsafe fn to(others: *mut u64) -> Returned {
        Returned { first: 0, others, len: 0 }
    }

    /// The first word; 0 if there is none.
    #[inline]
    pub(crate) fn first(self) -> u64 {
        self.first
    }
}

impl Sink for Returned {
    #[inline]
    fn push(&mut self, word: u64) {
        match self.len {
            0 => self.first = word,
            // SAFETY: the contract of `to`.
            others => unsafe { *self.others.add(others - 1) = word },
        }
        self.len += 1;
    }
}

/// Words that a call or a portal returns, by value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    words: [u64; MAX_RESULTS + 1],
    len: usize,
}

impl Sink for Words {
    /// # Panics
    /// If there are more than a result may have.
    #[inline]
    fn push(&mut self, word: u64) {
        self.words[self.len] = word;
        self.len += 1;
    }
}

impl std::ops::Deref for Words {
    type Target = [u64];
    #[inline]
    fn deref(&self) -> &[u64] {
        &self.words[..self.len]
    }
}

impl FromIterator<u64> for Words {
    fn from_iter<I: IntoIterator<Item = u64>>(words: I) -> Words {
        let mut all = Words::default();
        words.into_iter().for_each(|word| all.push(word));
        all
    }
}

/// Counters of a context; places share them where there are more.
pub const COUNTERS: usize = 4096;

/// What a compiled tree returns when the portal returned: its words are in `results`.
pub const FINISH: u64 = u64::MAX;
/// What a compiled tree returns when a callee panicked: the payload waits in the runtime.
pub const PANICKED: u64 = u64::MAX - 1;
/// What is returned in the place of a compiled tree when there is none: the reds are still in `slots`.
pub const NO_CODE: u64 = u64::MAX - 2;

/// Compiled code, as called. It reads the reds from `slots`, and returns an exit's number, [`FINISH`] or [`PANICKED`].
pub type Entry = unsafe extern "C" fn(context: *mut Context) -> u64;

/// What stands for compiled code in a call cell that has none.
///
/// # Safety
/// None is needed; it is of the type [`Entry`].
pub unsafe extern "C" fn no_code(_: *mut Context) -> u64 {
    NO_CODE
}

/// What compiled code reads of a portal's call cell: the cell begins with it.
#[repr(C)]
#[derive(Debug)]
pub struct CellHead {
    /// The portal's code; [`no_code`] if there is none.
    pub entry: Cell<Entry>,
    /// The same, to be called with what the portal's frame holds in the place of its address.
    pub spread: Cell<Entry>,
}

impl Default for CellHead {
    fn default() -> Self {
        CellHead { entry: Cell::new(no_code), spread: Cell::new(no_code) }
    }
}

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    /// Not 0 while a callee's panic waits to be resumed.
    pub panicked: u64,
    /// Portals are not called directly when the stack is below this address.
    pub stack_limit: u64,
    /// What `stopped` reads: whether the thread has been asked to stop.
    pub stop: AtomicU64,
    /// Which entry code with several is to take; it goes back to 0 as the code is entered.
    pub entry: u64,
    /// A portal's result words; a call's result words after the first.
    pub results: [u64; MAX_RESULTS],
    /// The reds at entry, the slots at an exit.
    pub slots: [u64; MAX_SLOTS],
    /// What `guard_count` counts down.
    pub counters: [u32; COUNTERS],
}

impl Default for Context {
    fn default() -> Self {
        Context {
            panicked: 0,
            stack_limit: 0,
            stop: AtomicU64::new(0),
            entry: 0,
            results: [0; MAX_RESULTS],
            slots: [0; MAX_SLOTS],
            counters: [u32::MAX; COUNTERS],
        }
    }
}
