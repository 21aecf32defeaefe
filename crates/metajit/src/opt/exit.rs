//! Exits: what leaving at a guard takes.
//!
//! **Problem.** A guard names a snapshot: a node of the event log and a number of ticks. When it fails, replay needs the
//! reds and results of every node on the path to that node, the heap must look as if nothing had been delayed, and objects
//! that were never allocated must appear.
//!
//! **Approach.** The path is walked once per guard; every word on it is looked up in the current substitution and becomes
//! a [`Recipe`]. Virtual objects are numbered as they are met and their contents walked in turn, so cycles are fine.
//! Delayed stores to the virtualizable are listed with the values they would store. Equal values share a slot, constants
//! take none.
//!
//! **Invariants.** Building an exit emits nothing after the guard. A pure operation on a virtual object has no recipe, so it
//! is computed before the guard, which allocates the object: rare, and the exit is then built again. So is one of too many
//! objects.

use super::value::{Val, VirtualId};
use super::virtuals::Entry;
use super::{ENTRY, Optimizer};
use crate::ir::code::{Details, Exit, ExitId, PendingStore, Place, Recipe, ResumeStep, Run, Virtual};
use crate::ir::tree::{GuardId, LogEntry, LogId, Snapshot, Tree};
use crate::ir::{ArgRange, Op, OpRef};

/// The exit that a value last had a slot in, and which; exits are numbered from 1 here.
type Stamp = (u32, u32);

/// Objects that an exit builds at most: a trace that makes a long list would describe all of it at each guard. Beyond, the
/// object met first is allocated, and so what it refers to.
const MAX_VIRTUALS: usize = 96;

/// What building exits takes. It is kept from exit to exit.
#[derive(Default)]
pub(super) struct Builder {
    /// The slots of the exit being built.
    slots: Vec<OpRef>,
    /// For each value, whether it has a slot in the exit being built, and which.
    stamps: Vec<Stamp>,
    stamp: u32,
    virtuals: Vec<VirtualId>,
    /// The log node that the last exit was at, and the way to it.
    node: Option<LogId>,
    path: Vec<LogId>,
}

/// A pure operation on a virtual object was met, or one object too many.
struct Uncomputed(Val);

impl Builder {
    /// Begins an exit at a log node, of code that has so many values.
    fn begin(&mut self, tree: &Tree, node: LogId, values: usize) {
        self.slots.clear();
        self.virtuals.clear();
        self.stamp += 1;
        self.stamps.resize(values.max(self.stamps.len()), (0, 0));
        if self.node != Some(node) {
            self.node = Some(node);
            tree.path(node, &mut self.path);
        }
    }

    fn recipe(&mut self, o: &Optimizer<'_>, val: Val) -> Result<Recipe, Uncomputed> {
        Ok(match o.resolve(val) {
            Val::Const(bits) => Recipe::Const(bits),
            Val::Op(op) => {
                let (stamp, slot) = self.stamps[op.0 as usize];
                if stamp == self.stamp {
                    return Ok(Recipe::Slot(slot));
                }
                // A boxed truth whose guard has decided it.
                if let Some((Op::Add, [x, y])) = o.definition(val)
                    && let (Val::Const(x), Val::Const(y)) = (o.resolve(x), o.resolve(y))
                {
                    return Ok(Recipe::Const(x.wrapping_add(y)));
                }
                let slot = self.slots.len() as u32;
                self.slots.push(op);
                self.stamps[op.0 as usize] = (self.stamp, slot);
                Recipe::Slot(slot)
            }
            Val::Virtual(id) => {
                if !matches!(o.state.virtuals.entry(id), Entry::Object(_)) {
                    return Err(Uncomputed(Val::Virtual(id)));
                }
                let next = self.virtuals.len() as u32;
                let number = self.virtuals.iter().position(|&met| met == id);
                let number = number.map_or(next, |number| number as u32);
                if number == next {
                    if next as usize == MAX_VIRTUALS {
                        return Err(Uncomputed(Val::Virtual(self.virtuals[0])));
                    }
                    self.virtuals.push(id);
                }
                Recipe::Virtual(number)
            }
        })
    }

    fn recipes(&mut self, o: &Optimizer<'_>, details: &mut Details, run: ArgRange) -> Result<Run<Recipe>, Uncomputed> {
        let mut recipes = Run::default();
        for &arg in o.tree.args(run) {
            details.append(&mut recipes, self.recipe(o, o.value(arg))?);
        }
        Ok(recipes)
    }

    fn build(&mut self, o: &Optimizer<'_>, details: &mut Details, ticks: u32) -> Result<Exit, Uncomputed> {
        let mut exit = Exit { instance: o.instance, ticks, ..Exit::default() };
        for index in 0..self.path.len() {
            let step = match o.tree.log[self.path[index].0 as usize].entry {
                LogEntry::Enter(portal) => ResumeStep::Enter(portal),
                LogEntry::Merge { portal, greens, reds, live: _ } => ResumeStep::Merge {
                    portal,
                    greens: details.add(o.tree.args(greens).iter().filter_map(|green| green.as_const())),
                    reds: {
                        o.tree.args(reds).iter().for_each(|&red| o.look_at(o.value(red)));
                        self.recipes(o, details, reds)?
                    },
                },
                LogEntry::Words(words) => ResumeStep::Words(self.recipes(o, details, words)?),
                LogEntry::Collapsed(words) => ResumeStep::Collapsed(self.recipes(o, details, words)?),
            };
            details.append(&mut exit.resume, step);
        }
        for (object, place, value) in o.state.heap.pending() {
            let store = PendingStore { object: self.recipe(o, object)?, place, value: self.recipe(o, value)? };
            details.append(&mut exit.stores, store);
        }
        while let Some(&id) = self.virtuals.get(exit.virtuals.len()) {
            let Entry::Object(object) = o.state.virtuals.entry(id) else { unreachable!("only objects are numbered") };
            let mut contents = Run::default();
            for (field, &value) in object.shape.fields.iter().zip(&object.fields) {
                if value != Val::Const(0) {
                    details.append(&mut contents, (Place::Field(field), self.recipe(o, value)?));
                }
            }
            for (index, &value) in object.items.iter().enumerate() {
                if let (Some(array), true) = (object.shape.array, value != object.fill) {
                    details.append(&mut contents, (Place::Item(array, index as u32), self.recipe(o, value)?));
                }
            }
            let fill =
                if object.items.contains(&object.fill) { self.recipe(o, object.fill)? } else { Recipe::Const(0) };
            let len = object.items.len() as u32;
            details.append(&mut exit.virtuals, Virtual { shape: object.shape, len, fill, contents });
        }
        exit.slots = details.add(self.slots.iter().copied());
        Ok(exit)
    }
}

impl Optimizer<'_> {
    /// Adds the exit of a guard (or of a fragment that leaves) as the state is now.
    pub(super) fn exit(&mut self, guard: Option<GuardId>, snapshot: Snapshot) -> ExitId {
        if self.rehearsal {
            // Nobody will take it.
            return self.exit_to(ENTRY, guard);
        }
        let (mut builder, mut details) = (std::mem::take(&mut self.exits), std::mem::take(&mut self.code.details));
        let mark = details.mark();
        let exit = loop {
            builder.begin(self.tree, snapshot.node, self.code.insts.len());
            match builder.build(self, &mut details, snapshot.ticks) {
                Ok(exit) => break exit,
                Err(Uncomputed(val)) => {
                    details.truncate(mark);
                    self.force(val);
                }
            }
        };
        (self.exits, self.code.details) = (builder, details);
        self.code.exits.push(Exit { guard, ..exit });
        ExitId(self.code.exits.len() as u32 - 1)
    }
}
