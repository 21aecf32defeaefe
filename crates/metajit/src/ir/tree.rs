//! Trees: what was recorded, before optimization.
//!
//! A tree grows from one merge point (its *root*: a driver and its greens). Its first fragment is the loop or function as
//! first recorded; every other fragment is a *bridge*, recorded from a guard that failed. Fragments share one numbering
//! of instructions, so a bridge's operands name the values of the fragments on the path to its guard directly.
//!
//! **The event log.** Resuming replays the interpreter from its last merge point, feeding it the results of everything
//! that it had already done. What was done is a persistent list: each [`LogNode`] has a parent, and a snapshot is one node
//! plus the number of ticks (branches and stores) since. A completed `#[jit]` call that logged something is *collapsed*:
//! the list continues from where the call began, with one node that holds its result words. A portal activation is an
//! `Enter` node followed by a `Merge` node whose parent it is; a new merge point of the same activation takes the place of
//! the old one. So the path from the first node to a snapshot's is exactly what replay consumes, outer activations first.
//!
//! **Merge marks.** `merge` instructions stand in the stream where a merge point was passed, naming the `Merge` node: from
//! there on the array items of that activation's virtualizable at or above `live` are dead.

use super::inst::{Arg, ArgRange, Callee, Inst, OpRef, Spread};
use crate::object::Shape;

/// Names a guard of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct GuardId(pub u32);
/// Names a node of a tree's event log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LogId(pub u32);
/// Names a fragment of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FragmentId(pub u32);

/// What a portal looks like to the optimizer.
#[derive(Debug)]
pub struct Portal {
    /// The driver's function, by name.
    pub name: &'static str,
    /// Number of green words.
    pub greens: usize,
    /// Register classes of the reds.
    pub reds: &'static [crate::word::Type],
    /// Which red is a virtualizable, and its shape. No other object that the trace reaches refers to it.
    pub virtualizable: Option<(usize, &'static Shape)>,
}

/// A node of the event log.
#[derive(Clone, Copy, Debug)]
pub struct LogNode {
    /// What came before.
    pub parent: Option<LogId>,
    /// What happened.
    pub entry: LogEntry,
}

/// What happened in one step of the event log.
#[derive(Clone, Copy, Debug)]
pub enum LogEntry {
    /// A portal call was entered that had not returned at the snapshots below.
    Enter(&'static Portal),
    /// The activation's last merge point.
    Merge {
        /// The portal.
        portal: &'static Portal,
        /// Its greens (constants).
        greens: ArgRange,
        /// Its reds.
        reds: ArgRange,
        /// Array items of the virtualizable from here on are dead.
        live: u32,
    },
    /// An event's result words.
    Words(ArgRange),
    /// The result words of a completed call that was looked into.
    Collapsed(ArgRange),
}

/// Where resuming gets to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The last event.
    pub node: LogId,
    /// Branches and stores since.
    pub ticks: u32,
}

/// A guard as recorded.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Its instruction.
    pub inst: OpRef,
    /// Where it resumes.
    pub snapshot: Snapshot,
    /// The fragment it is in.
    pub fragment: FragmentId,
}

/// How a fragment ends.
#[derive(Clone, Copy, Debug)]
pub enum TreeEnd {
    /// Back at the tree's root merge point, with these reds. `node` is that `Merge` node (parent `None`).
    Close {
        /// The merge point's node.
        node: LogId,
    },
    /// The portal returned these words.
    Finish(ArgRange),
    /// Leaves to the interpreter (or another tree) at this snapshot, which is a merge point or follows one. If it is a merge point whose
    /// place has code: how that is called.
    Leave(Snapshot, Option<Onward>),
}

/// How another place's code is called with the reds of a merge point: it returns what the activation returns.
#[derive(Clone, Copy, Debug)]
pub struct Onward {
    /// The portal.
    pub callee: &'static Callee,
    /// Its call cell.
    pub cell: u64,
}

/// A straight run of recorded instructions.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// The guard it starts from; `None` for the first.
    pub parent: Option<GuardId>,
    /// Its first instruction and the one after its last. The root's reds may stand before those of the first fragment.
    pub insts: (u32, u32),
    /// How it ends.
    pub end: TreeEnd,
}

impl Fragment {
    /// Whether it goes back to the root's merge point.
    pub fn closes(&self) -> bool {
        matches!(self.end, TreeEnd::Close { .. })
    }
}

/// A recorded tree. Instructions 0.. are the root's reds, as `param`/`fparam`; node 0 of the log is the root's `Merge`.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The portal it is about.
    pub portal: &'static Portal,
    /// The root's greens.
    pub greens: Vec<u64>,
    /// How the root's frame is passed to its code, if not by address.
    pub spread: Option<&'static Spread>,
    /// All instructions, by number.
    pub insts: Vec<Inst>,
    /// The pool of operand runs.
    pub args: Vec<Arg>,
    /// All guards.
    pub guards: Vec<Guard>,
    /// The event log.
    pub log: Vec<LogNode>,
    /// The fragments, parents before children.
    pub fragments: Vec<Fragment>,
}

impl Tree {
    /// Whether it goes back to its root.
    pub fn loops(&self) -> bool {
        self.fragments.iter().any(Fragment::closes)
    }

    /// A tree with nothing in it yet.
    pub fn new(portal: &'static Portal, greens: Vec<u64>) -> Tree {
        Tree {
            portal,
            greens,
            spread: None,
            insts: Vec::new(),
            args: Vec::new(),
            guards: Vec::new(),
            log: Vec::new(),
            fragments: Vec::new(),
        }
    }
    /// The operands of a run.
    pub fn args(&self, range: ArgRange) -> &[Arg] {
        &self.args[range.range()]
    }
    /// Fills `path` with the log nodes from the first to `node`.
    pub fn path(&self, node: LogId, path: &mut Vec<LogId>) {
        path.clear();
        path.push(node);
        let mut at = node;
        while let Some(parent) = self.log[at.0 as usize].parent {
            path.push(parent);
            at = parent;
        }
        path.reverse();
    }
}
