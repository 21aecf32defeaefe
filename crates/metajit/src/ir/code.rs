//! Code: what the optimizer makes of a tree, and what the evaluator runs and the backend compiles.
//!
//! A [`Code`] is a graph of [`Block`]s in single-assignment form: a value may be used in every block that its
//! definition dominates. Block 0 is the entry; its parameters are the reds (or, if the frame is spread, the words of [`Spread`]). Code with several entries chooses one there. A guard names an [`Exit`]: either a
//! *recipe* (which values to hand over and how the driver rebuilds reds, results, virtual objects and pending stores from
//! them) or, once a bridge is attached, the block where the bridge begins. No exit is taken half: all its stores are
//! done by whoever takes it.

use super::inst::{Arg, ArgRange, Inst, OpRef, Spread};
use super::tree::{GuardId, Portal};
use crate::object::{Field, Shape};

/// Names a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BlockId(pub u32);
/// Names an exit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ExitId(pub u32);

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its parameters (`param` or `fparam` instructions).
    pub params: Vec<OpRef>,
    /// Its instructions in order.
    pub insts: Vec<OpRef>,
    /// How it ends.
    pub end: End,
}

/// How a block ends.
#[derive(Clone, Debug)]
pub enum End {
    /// Goes to a block, giving its parameters.
    Jump(BlockId, Vec<Arg>),
    /// The portal returns these words.
    Finish(Vec<Arg>),
    /// Leaves through an exit.
    Exit(ExitId),
    /// Goes to the block that the context's `entry` chooses, which takes what this block took. Ends the first block only.
    Enter(Vec<BlockId>),
}

/// How the driver makes one word at an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// A constant.
    Const(u64),
    /// The exit's slot with this number.
    Slot(u32),
    /// A slot plus a constant (a boxed word whose payload is in the slot).
    SlotPlus(u32, u64),
    /// The address of the exit's virtual object with this number.
    Virtual(u32),
}

/// Where in an object.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// A scalar field.
    Field(&'static Field),
    /// An item of the array.
    Item(&'static Field, u32),
}

/// An object to build at an exit.
#[derive(Clone, Debug)]
pub struct Virtual {
    /// Its shape.
    pub shape: &'static Shape,
    /// Its array's length.
    pub len: u32,
    /// What its array items are unless said otherwise.
    pub fill: Recipe,
    /// Its contents. May name virtual objects before or after it (and itself).
    pub contents: Vec<(Place, Recipe)>,
}

/// A store to do at an exit, to an object that exists (or a virtual one).
#[derive(Clone, Debug)]
pub struct PendingStore {
    /// The object.
    pub object: Recipe,
    /// Where.
    pub place: Place,
    /// What.
    pub value: Recipe,
}

/// One step of what replay consumes; as [`super::tree::LogEntry`], with recipes.
#[derive(Clone, Debug)]
pub enum ResumeStep {
    /// Enter a portal call.
    Enter(&'static Portal),
    /// Begin (or go on) at this merge point.
    Merge {
        /// The portal.
        portal: &'static Portal,
        /// Its greens.
        greens: Vec<u64>,
        /// Its reds.
        reds: Vec<Recipe>,
    },
    /// An event's result words.
    Words(Vec<Recipe>),
    /// The result words of a completed call.
    Collapsed(Vec<Recipe>),
}

/// What leaving at a guard takes.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The guard of the tree that it belongs to (`None` at the end of a fragment that leaves).
    pub guard: Option<GuardId>,
    /// Which instance of the guard this is: 0 in the first iteration (the way in), 1 in the peeled loop, and so on.
    pub instance: u32,
    /// The bridge that takes its place, if there is one; then the rest is empty.
    pub bridge: Option<BlockId>,
    /// The values to hand over, in slot order; each keeps its own type.
    pub slots: Vec<OpRef>,
    /// The objects to build.
    pub virtuals: Vec<Virtual>,
    /// The stores to do then.
    pub stores: Vec<PendingStore>,
    /// What replay consumes.
    pub resume: Vec<ResumeStep>,
    /// Branches and stores to replay after the last step.
    pub ticks: u32,
}

/// Optimized code of a tree.
#[derive(Clone, Debug)]
pub struct Code {
    /// The portal it is about.
    pub portal: &'static Portal,
    /// How the portal's frame is passed to it, if not by address: the parameters of the first block are those words then.
    pub spread: Option<&'static Spread>,
    /// All instructions, by number.
    pub insts: Vec<Inst>,
    /// The pool of operand runs.
    pub args: Vec<Arg>,
    /// The blocks; 0 is the entry.
    pub blocks: Vec<Block>,
    /// The exits.
    pub exits: Vec<Exit>,
}

impl Code {
    /// The operands of a run.
    pub fn args(&self, range: ArgRange) -> &[Arg] {
        &self.args[range.range()]
    }
    /// The instruction of a value.
    pub fn inst(&self, op: OpRef) -> &Inst {
        &self.insts[op.0 as usize]
    }
}
