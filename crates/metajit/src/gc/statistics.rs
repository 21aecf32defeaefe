//! What the collector reports: figures at any time, events as they happen.

use std::time::Duration;

/// How much of the heap a collection looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// What was allocated since the last collection; what was alive then counts as alive.
    Minor,
    /// Everything.
    Major,
}

/// Why a collection happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// As many bytes were allocated as the nursery holds.
    Nursery,
    /// The old part of the heap has grown by as much as it may.
    Growth,
    /// The limit of the heap was reached.
    Limit,
    /// The program asked for it.
    Request,
    /// The configuration asks for collections without need.
    Stress,
}

/// What happens in the heap; see [`subscribe`](super::subscribe).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// A collection begins.
    Begin {
        /// How much it looks at.
        kind: Kind,
        /// Why it happens.
        cause: Cause,
    },
    /// A collection has ended.
    End(Collection),
    /// An allocation failed.
    OutOfMemory(super::OutOfMemory),
}

/// One collection.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Collection {
    /// How much it looked at.
    pub kind: Kind,
    /// Why it happened.
    pub cause: Cause,
    /// How long the program stood still.
    pub pause: Duration,
    /// Bytes allocated since the collection before.
    pub allocated: usize,
    /// Objects found alive (a minor collection counts the young ones only).
    pub objects: usize,
    /// Their bytes.
    pub survived: usize,
    /// Words of stacks, registers, ranges and roots looked at.
    pub root_words: usize,
    /// Old objects looked at because they were written to.
    pub remembered: usize,
    /// Blocks whose young objects had to be walked to find where they begin.
    pub parsed_blocks: usize,
    /// Bytes that are in use afterwards, whole lines and pages counted.
    pub used: usize,
}

/// The figures of one thread's heap; see [`statistics`](fn@super::statistics).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Minor collections.
    pub minor: u64,
    /// Major collections.
    pub major: u64,
    /// Of the minor ones, those that the configuration asked for without need.
    pub stressed: u64,
    /// All pauses together.
    pub pause_total: Duration,
    /// The longest pause of a minor collection.
    pub pause_minor_max: Duration,
    /// The longest pause of a major collection.
    pub pause_major_max: Duration,
    /// Bytes allocated since the heap began.
    pub allocated: u64,
    /// Bytes of young objects that survived, summed over all minor collections.
    pub survived: u64,
    /// Bytes in use after the last collection, whole lines and pages counted.
    pub used: usize,
    /// Bytes of objects that were alive at the last major collection.
    pub live: usize,
    /// Bytes of blocks and pages that hold objects or are being filled.
    pub committed: usize,
    /// Bytes of free blocks kept for reuse.
    pub spare: usize,
    /// Bytes to allocate between two minor collections, as chosen now.
    pub nursery: usize,
    /// Allocations that failed.
    pub out_of_memory: u64,
    /// Old objects that the write barrier noted.
    pub barriers: u64,
}
