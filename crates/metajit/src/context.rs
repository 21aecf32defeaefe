//! The context: the words that compiled code (or the evaluator) and the driver hand each other.
//!
//! One context per thread. A tree's entry reads its reds from `slots`; an exit writes its slots there and returns the
//! exit's number; a portal's result words go to `results`. Whoever is handed something reads it before anything else can
//! run, so nested activations share one context.

/// Exit slots that an exit may have at most; one that needs more is not compiled.
pub const MAX_SLOTS: usize = 1024;
/// Result words that a call or a portal may have at most.
pub const MAX_RESULTS: usize = 8;

/// What a compiled tree returns when the portal returned: its words are in `results`.
pub const FINISH: u64 = u64::MAX;
/// What a compiled tree returns when a callee panicked: the payload waits in the runtime.
pub const PANICKED: u64 = u64::MAX - 1;

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    /// Not 0 while a callee's panic waits to be resumed.
    pub panicked: u64,
    /// A portal's result words; a call's result words after the first.
    pub results: [u64; MAX_RESULTS],
    /// The reds at entry, the slots at an exit.
    pub slots: [u64; MAX_SLOTS],
}

impl Default for Context {
    fn default() -> Self {
        Context { panicked: 0, results: [0; MAX_RESULTS], slots: [0; MAX_SLOTS] }
    }
}
