//! Values as the optimizer sees them, and what it remembers about them.
//!
//! **Problem.** The forward pass maps each recorded value to what stands for it in the code: a constant, a value already
//! computed, or something that is not computed at all. It explores a *tree* of paths (a bridge continues with the facts
//! of its guard), so whatever it learns must be taken back when it returns to the guard.
//!
//! **Approach.** [`Val`] is the three cases. Facts about computed values ([`Facts`]) and the table of available
//! expressions ([`Available`]) are flat tables with a *trail* of what to undo: entering a bridge costs nothing, leaving it
//! costs what the bridge changed. Values that the bridge itself made need no undoing, nobody else names them.
//!
//! **Rejected.** Persistent maps (each look-up pays, and look-ups are what this does all day), and cloning the tables at
//! each bridge (quadratic in a tree of many bridges).

use super::range::Range;
use crate::ir::{Op, OpRef};
use std::hash::{BuildHasherDefault, Hasher};

/// A hash map for the small keys that are looked up all the time here; nobody chooses them to collide.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Multiplies and rotates.
#[derive(Clone, Copy, Default)]
pub(super) struct FastHasher(u64);

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }
    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// Names an entry of the table of virtual values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct VirtualId(pub(super) u32);

/// What stands for a recorded value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Val {
    /// A constant (for a float, its IEEE pattern).
    Const(u64),
    /// A value of the code.
    Op(OpRef),
    /// An object that is not allocated, or a pure operation on one that is not computed.
    Virtual(VirtualId),
}

impl Val {
    /// The constant's bits, if it is one.
    pub(super) fn as_const(self) -> Option<u64> {
        match self {
            Val::Const(bits) => Some(bits),
            _ => None,
        }
    }
}

/// What is known about each value of the code on the current path.
#[derive(Default)]
pub(super) struct Facts {
    ranges: Vec<Range>,
    trail: Vec<(OpRef, Range)>,
}

impl Facts {
    /// What is known of a value.
    pub(super) fn get(&self, op: OpRef) -> Range {
        self.ranges[op.0 as usize]
    }
    /// Adds the fact of the next value.
    pub(super) fn push(&mut self, range: Range) {
        self.ranges.push(range);
    }
    /// Changes what is known from here on.
    pub(super) fn set(&mut self, op: OpRef, range: Range) {
        let old = std::mem::replace(&mut self.ranges[op.0 as usize], range);
        self.trail.push((op, old));
    }
    /// A place to come back to.
    pub(super) fn mark(&self) -> usize {
        self.trail.len()
    }
    /// Forgets what was learned since `mark`.
    pub(super) fn undo(&mut self, mark: usize) {
        for (op, old) in self.trail.drain(mark..).rev() {
            self.ranges[op.0 as usize] = old;
        }
    }
    /// Forgets all values from the `len`th on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.ranges.truncate(len);
    }
}

/// What makes two operations the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    /// The operation.
    pub(super) op: Op,
    /// A field's offset, a callee's address, a result's number.
    pub(super) aux: usize,
    /// The operands.
    pub(super) args: [Val; 2],
    /// The arguments of a call.
    pub(super) more: Vec<Val>,
}

/// Expressions whose value is at hand on the current path.
#[derive(Default)]
pub(super) struct Available {
    table: HashMap<Key, Val>,
    trail: Vec<(Key, Option<Val>)>,
}

impl Available {
    /// The value of an expression.
    pub(super) fn get(&self, key: &Key) -> Option<Val> {
        self.table.get(key).copied()
    }
    /// Makes a value known as that of an expression.
    pub(super) fn insert(&mut self, key: Key, value: Val) {
        let old = self.table.insert(key.clone(), value);
        self.trail.push((key, old));
    }
    /// A place to come back to.
    pub(super) fn mark(&self) -> usize {
        self.trail.len()
    }
    /// Forgets what was added since `mark`.
    pub(super) fn undo(&mut self, mark: usize) {
        for (key, old) in self.trail.drain(mark..).rev() {
            match old {
                Some(value) => self.table.insert(key, value),
                None => self.table.remove(&key),
            };
        }
    }
}
