//! What is known on one way through the code.

use crate::ir::code::BlockId;
use crate::ir::{Arg, ArgRange, Callee, Op, OpRef};
use crate::object::Field;

/// A word of the frame that is in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) field: &'static Field,
    /// The item, or [`SCALAR`].
    pub(super) index: u64,
    pub(super) value: Arg,
    /// The frame's memory does not have it yet.
    pub(super) dirty: bool,
}

/// The index that stands for a scalar field.
pub(super) const SCALAR: u64 = u64::MAX;

/// How far back a common subexpression is looked for: values kept longer cost more registers than they save.
const REMEMBERED: usize = 24;

/// An entry of the event log; see [`crate::ir::tree`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Words(ArgRange),
    Collapsed(u32, ArgRange),
}

/// Lengths of the parts of a [`State`] that only grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    merged: usize,
    known: usize,
    held: usize,
    log: usize,
    ticks: u32,
    calls: usize,
}

/// A handler that is being inlined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) callee: &'static Callee,
    /// Answers given before it was entered.
    pub(super) answers: usize,
    pub(super) mark: Mark,
    /// It has had no effect yet, so it can be begun again.
    pub(super) pure: bool,
    /// Where it is called instead.
    pub(super) slow: Option<BlockId>,
    /// Instructions when it was entered.
    pub(super) insts: usize,
}

/// See the module.
#[derive(Default, Debug)]
pub(super) struct State {
    /// The last merge point.
    pub(super) greens: Vec<u64>,
    pub(super) reds: Vec<Arg>,
    /// Results of pure operations.
    merged: Vec<(Op, Arg, Arg, OpRef)>,
    /// Truths of conditions.
    known: Vec<(OpRef, bool)>,
    pub(super) held: Vec<Held>,
    pub(super) log: Vec<Step>,
    pub(super) ticks: u32,
    pub(super) calls: Vec<Open>,
}

impl State {
    pub(super) fn merged(&self, op: Op, a: Arg, b: Arg) -> Option<OpRef> {
        let recent = self.merged.iter().rev().take(REMEMBERED);
        recent.into_iter().find(|entry| (entry.0, entry.1, entry.2) == (op, a, b)).map(|entry| entry.3)
    }

    pub(super) fn merge(&mut self, op: Op, a: Arg, b: Arg, result: OpRef) {
        self.merged.push((op, a, b, result));
    }

    pub(super) fn truth(&self, condition: OpRef) -> Option<bool> {
        self.known.iter().rev().find(|known| known.0 == condition).map(|known| known.1)
    }

    pub(super) fn know(&mut self, condition: OpRef, truth: bool) {
        self.known.push((condition, truth));
    }

    pub(super) fn held(&self, field: &Field, index: u64) -> Option<Arg> {
        self.held.iter().find(|held| (held.field.offset, held.index) == (field.offset, index)).map(|held| held.value)
    }

    /// Takes a word of the frame into a register.
    pub(super) fn hold(&mut self, field: &'static Field, index: u64, value: Arg, dirty: bool) {
        let known = self.held.iter_mut().find(|held| (held.field.offset, held.index) == (field.offset, index));
        match known {
            Some(held) => (held.value, held.dirty) = (value, dirty),
            None => self.held.push(Held { field, index, value, dirty }),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            merged: self.merged.len(),
            known: self.known.len(),
            held: self.held.len(),
            log: self.log.len(),
            ticks: self.ticks,
            calls: self.calls.len(),
        }
    }

    /// Becomes the same as another one, in the memory that it has.
    pub(super) fn copy_from(&mut self, other: &State) {
        self.greens.clone_from(&other.greens);
        self.reds.clone_from(&other.reds);
        self.merged.clone_from(&other.merged);
        self.known.clone_from(&other.known);
        self.held.clone_from(&other.held);
        self.log.clone_from(&other.log);
        self.ticks = other.ticks;
        self.calls.clone_from(&other.calls);
    }

    /// Becomes one where nothing is known, in the memory that it has.
    pub(super) fn forget(&mut self) {
        self.greens.clear();
        self.reds.clear();
        self.merged.clear();
        self.known.clear();
        self.held.clear();
        self.log.clear();
        self.calls.clear();
        self.ticks = 0;
    }

    /// Becomes as it was at a mark, since when there have been no effects.
    pub(super) fn go_back_to(&mut self, mark: Mark) {
        self.merged.truncate(mark.merged);
        self.known.truncate(mark.known);
        self.held.truncate(mark.held);
        self.log.truncate(mark.log);
        self.calls.truncate(mark.calls);
        self.ticks = mark.ticks;
    }

    /// Goes on at a merge point. Items of the frame from `live` on are dead.
    pub(super) fn pass(&mut self, greens: &[u64], reds: impl Iterator<Item = Arg>, live: u32) {
        self.greens.clear();
        self.greens.extend_from_slice(greens);
        self.reds.clear();
        self.reds.extend(reds);
        self.log.clear();
        self.calls.clear();
        self.ticks = 0;
        self.held.retain(|held| held.index == SCALAR || held.index < u64::from(live));
        // What is too far back to be found need not be carried along.
        if self.merged.len() > 4 * REMEMBERED {
            self.merged.drain(..3 * REMEMBERED);
        }
    }

    /// Keeps what is also known in another state: both grew from the same one.
    pub(super) fn keep_common(&mut self, other: &State) {
        let common = self.merged.iter().zip(&other.merged).take_while(|(a, b)| a == b).count();
        self.merged.truncate(common);
        let common = self.known.iter().zip(&other.known).take_while(|(a, b)| a == b).count();
        self.known.truncate(common);
    }
}
