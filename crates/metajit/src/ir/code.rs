//! Code: what the optimizer makes of a tree, and what the evaluator runs and the backend compiles.
//!
//! A [`Code`] is a graph of [`Block`]s in single-assignment form: a value may be used in every block that its
//! definition dominates. Block 0 is the entry; its parameters are the reds (or, if the frame is spread, the words of [`Spread`]).
//! Code with several entries chooses one there. A guard names an [`Exit`]: either a *recipe* (which values to hand over and how
//! the driver rebuilds reds, results, virtual objects and pending stores from them) or, once a bridge is attached, the block
//! where the bridge begins. No exit is taken half: all its stores are done by whoever takes it. What exits say is in pools that
//! all of a code have together ([`Details`]).

use super::inst::{Arg, ArgRange, Inst, OpRef, Spread};
use super::tree::{GuardId, Portal};
use crate::object::{Field, Shape};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut, Range};

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
    /// Goes to the block of the constant that the value equals, or elsewhere if it is none of them. No block takes anything.
    Switch {
        /// What decides.
        value: Arg,
        /// The constants, all of them different, and where they lead.
        cases: Vec<(u64, BlockId)>,
        /// Where all others lead.
        otherwise: BlockId,
    },
}

impl Block {
    /// Whether the block's end is an exit without a bridge.
    pub fn leaves(&self, code: &Code) -> bool {
        matches!(self.end, End::Exit(exit) if code.exits[exit.0 as usize].bridge.is_none())
    }
}

/// How the driver makes one word at an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// A constant.
    Const(u64),
    /// A value, which is one of the exit's slots.
    Value(OpRef),
    /// A value plus a constant (a boxed word whose payload is handed over).
    Plus(OpRef, u64),
    /// The address of the virtual object of this name, which is one of the exit's.
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

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        match (*self, *other) {
            (Place::Field(a), Place::Field(b)) => std::ptr::eq(a, b),
            (Place::Item(a, i), Place::Item(b, j)) => i == j && std::ptr::eq(a, b),
            (Place::Field(_), Place::Item(..)) | (Place::Item(..), Place::Field(_)) => false,
        }
    }
}

/// An object to build at an exit.
#[derive(Clone, Copy, Debug)]
pub struct Virtual {
    /// Its name in recipes. An exit has no two of one name.
    pub name: u32,
    /// Its shape.
    pub shape: &'static Shape,
    /// Its array's length.
    pub len: u32,
    /// What its array items are unless said otherwise.
    pub fill: Recipe,
    /// Its contents. May name virtual objects before or after it (and itself).
    pub contents: Run<(Place, Recipe)>,
}

/// A store to do at an exit, to an object that exists (or a virtual one).
#[derive(Clone, Copy, Debug)]
pub struct PendingStore {
    /// The object.
    pub object: Recipe,
    /// Where.
    pub place: Place,
    /// What.
    pub value: Recipe,
}

/// One step of what replay consumes; as [`super::tree::LogEntry`], with recipes.
#[derive(Clone, Copy, Debug)]
pub enum ResumeStep {
    /// Enter a portal call.
    Enter(&'static Portal),
    /// Begin (or go on) at this merge point.
    Merge {
        /// The portal.
        portal: &'static Portal,
        /// Its greens.
        greens: Run<u64>,
        /// Its reds.
        reds: Run<Recipe>,
    },
    /// An event's result words.
    Words(Run<Recipe>),
    /// The result words of a completed call.
    Collapsed(Run<Recipe>),
}

/// What leaving at a guard takes. Its runs are of the code's [`Details`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Exit {
    /// The guard of the tree that it belongs to (`None` at the end of a fragment that leaves).
    pub guard: Option<GuardId>,
    /// Which instance of the guard this is: 0 in the first iteration (the way in), 1 in the peeled loop, and so on.
    pub instance: u32,
    /// The bridge that takes its place, if there is one; then the rest is empty.
    pub bridge: Option<BlockId>,
    /// The values to hand over, in slot order; each keeps its own type.
    pub slots: Run<OpRef>,
    /// The objects to build.
    pub virtuals: Run<Shared<Virtual>>,
    /// The stores to do then.
    pub stores: Run<PendingStore>,
    /// What replay consumes.
    pub resume: Run<Shared<ResumeStep>>,
    /// Branches and stores to replay after the last step.
    pub ticks: u32,
}

/// A run of entries of one pool of [`Details`].
pub struct Run<T> {
    start: u32,
    len: u32,
    of: PhantomData<fn() -> T>,
}
impl<T> Clone for Run<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Run<T> {}
impl<T> Default for Run<T> {
    fn default() -> Self {
        Run { start: 0, len: 0, of: PhantomData }
    }
}
impl<T> std::fmt::Debug for Run<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.range())
    }
}

impl<T> Run<T> {
    /// How many entries it has.
    pub fn len(self) -> usize {
        self.len as usize
    }
    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
    /// Its first `len` entries.
    #[must_use]
    pub fn first(self, len: usize) -> Self {
        Run { len: self.len.min(len as u32), ..self }
    }
    /// Where it is in its pool.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// Names an entry of a pool that several exits may have.
pub struct Shared<T> {
    number: u32,
    of: PhantomData<fn() -> T>,
}
impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}
impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// What the exits of a code are made of.
///
/// Code has an exit for each guard, an exit says where every word of every frame comes from, and hardly any is ever taken: making
/// them is much of what optimizing costs. So no exit owns memory; all of a code have these pools together. And most of what
/// an exit says the one before has said, too: steps and virtual objects are in the pools once and exits name them. That
/// is possible because recipes speak of values, not of an exit's slots; it also makes it one pass over the pools to
/// replace a value everywhere.
#[derive(Clone, Debug, Default)]
pub struct Details {
    slots: Vec<OpRef>,
    virtual_names: Vec<Shared<Virtual>>,
    virtuals: Vec<Virtual>,
    contents: Vec<(Place, Recipe)>,
    stores: Vec<PendingStore>,
    step_names: Vec<Shared<ResumeStep>>,
    steps: Vec<ResumeStep>,
    recipes: Vec<Recipe>,
    words: Vec<u64>,
}

/// What there is a pool of in [`Details`].
pub trait Pooled: Sized {
    /// The pool.
    fn pool(details: &Details) -> &Vec<Self>;
    /// The pool, to change it.
    fn pool_mut(details: &mut Details) -> &mut Vec<Self>;
}

macro_rules! pooled {
    ($($ty:ty: $pool:ident;)*) => {$(
        impl Pooled for $ty {
            fn pool(details: &Details) -> &Vec<Self> {
                &details.$pool
            }
            fn pool_mut(details: &mut Details) -> &mut Vec<Self> {
                &mut details.$pool
            }
        }
    )*
        /// How long the pools of a code's [`Details`] were.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct DetailsMark {$($pool: usize),*}

        impl Details {
            /// How long the pools are, to come back to.
            pub fn mark(&self) -> DetailsMark {
                DetailsMark {$($pool: self.$pool.len()),*}
            }
            /// Takes out what was put in since.
            pub fn truncate(&mut self, mark: DetailsMark) {
                $(self.$pool.truncate(mark.$pool);)*
            }
        }
    };
}
pooled! {
    OpRef: slots;
    Shared<Virtual>: virtual_names;
    Virtual: virtuals;
    (Place, Recipe): contents;
    PendingStore: stores;
    Shared<ResumeStep>: step_names;
    ResumeStep: steps;
    Recipe: recipes;
    u64: words;
}

impl Details {
    /// Puts a run into its pool.
    pub fn add<T: Pooled>(&mut self, entries: impl IntoIterator<Item = T>) -> Run<T> {
        let pool = T::pool_mut(self);
        let start = pool.len();
        pool.extend(entries);
        Run { start: start as u32, len: (pool.len() - start) as u32, of: PhantomData }
    }
    /// Adds an entry to a run: an empty one, or the last of its pool.
    pub fn append<T: Pooled>(&mut self, run: &mut Run<T>, entry: T) {
        let pool = T::pool_mut(self);
        if run.is_empty() {
            run.start = pool.len() as u32;
        }
        debug_assert_eq!(run.range().end, pool.len(), "another run was put behind this one");
        pool.push(entry);
        run.len += 1;
    }
    /// Puts an entry into its pool that exits will name.
    pub fn share<T: Pooled>(&mut self, entry: T) -> Shared<T> {
        let pool = T::pool_mut(self);
        pool.push(entry);
        Shared { number: pool.len() as u32 - 1, of: PhantomData }
    }
    /// The objects that an exit builds.
    pub fn virtuals(&self, exit: &Exit) -> impl Iterator<Item = &Virtual> + Clone {
        self[exit.virtuals].iter().map(|&name| &self[name])
    }
    /// The steps of an exit.
    pub fn steps(&self, exit: &Exit) -> impl Iterator<Item = ResumeStep> + Clone + use<'_> {
        self[exit.resume].iter().map(|&name| self[name])
    }
    /// Calls `f` with each recipe of each exit.
    pub fn for_each_recipe(&mut self, mut f: impl FnMut(&mut Recipe)) {
        self.recipes.iter_mut().for_each(&mut f);
        self.contents.iter_mut().for_each(|(_, recipe)| f(recipe));
        self.virtuals.iter_mut().for_each(|object| f(&mut object.fill));
        for PendingStore { object, value, .. } in &mut self.stores {
            f(object);
            f(value);
        }
    }
}

impl<T: Pooled> Index<Shared<T>> for Details {
    type Output = T;
    fn index(&self, shared: Shared<T>) -> &T {
        &T::pool(self)[shared.number as usize]
    }
}

impl<T: Pooled> Index<Run<T>> for Details {
    type Output = [T];
    fn index(&self, run: Run<T>) -> &[T] {
        &T::pool(self)[run.range()]
    }
}
impl<T: Pooled> IndexMut<Run<T>> for Details {
    fn index_mut(&mut self, run: Run<T>) -> &mut [T] {
        &mut T::pool_mut(self)[run.range()]
    }
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
    /// What they are made of.
    pub details: Details,
}

impl Code {
    /// Code without a block yet.
    pub fn new(portal: &'static Portal) -> Self {
        Code {
            portal,
            spread: None,
            insts: Vec::new(),
            args: Vec::new(),
            blocks: Vec::new(),
            exits: Vec::new(),
            details: Details::default(),
        }
    }
    /// The operands of a run.
    pub fn args(&self, range: ArgRange) -> &[Arg] {
        &self.args[range.range()]
    }
    /// The values that an exit hands over.
    pub fn slots(&self, exit: ExitId) -> &[OpRef] {
        &self.details[self.exits[exit.0 as usize].slots]
    }
    /// The instruction of a value.
    pub fn inst(&self, op: OpRef) -> &Inst {
        &self.insts[op.0 as usize]
    }
}
