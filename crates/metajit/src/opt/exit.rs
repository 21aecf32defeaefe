//! Exits: what leaving at a guard takes.
//!
//! **Problem.** A guard names a snapshot: a node of the event log and a number of ticks. When it fails, replay needs the
//! reds and results of every node on the path to that node, the heap must look as if nothing had been delayed, and objects
//! that were never allocated must appear.
//!
//! **Approach.** The path is walked once per guard; every word on it is looked up in the current substitution and becomes
//! a [`Recipe`]. Virtual objects are collected as they are met and their contents walked in turn, so cycles are fine.
//! Delayed stores to the virtualizable are listed with the values they would store. Each value takes one slot, constants
//! take none. A step or an object of which nothing new is to be said is the exit's before.
//!
//! **Invariants.** Building an exit emits nothing after the guard. A pure operation on a virtual object has no recipe, so it
//! is computed before the guard, which allocates the object: rare, and the exit is then built again. So is one of too many
//! objects.

use super::value::{Val, VirtualId};
use super::virtuals::Entry;
use super::{ENTRY, Optimizer};
use crate::ir::code::{Details, Exit, ExitId, PendingStore, Place, Recipe, ResumeStep, Run, Shared, Virtual};
use crate::ir::tree::{GuardId, LogEntry, LogId, Snapshot, Tree};
use crate::ir::{ArgRange, Op, OpRef};

/// Objects that an exit builds at most: a trace that makes a long list would describe all of it at each guard. Beyond, the
/// object met first is allocated, and so what it refers to.
const MAX_VIRTUALS: usize = 96;

/// What building exits takes. It is kept from exit to exit.
#[derive(Default)]
pub(super) struct Builder {
    /// The slots of the exit being built.
    slots: Vec<OpRef>,
    /// For each value, the last exit that it has a slot in; exits are numbered from 1 here.
    stamps: Vec<u32>,
    stamp: u32,
    virtuals: Vec<VirtualId>,
    /// The log node that the last exit was at, and the way to it.
    node: Option<LogId>,
    path: Vec<LogId>,
    recipes: Vec<Recipe>,
    contents: Vec<(Place, Recipe)>,
    /// What exits last said of each log node and each virtual object.
    steps: Vec<Option<Shared<ResumeStep>>>,
    objects: Vec<Option<Shared<Virtual>>>,
}

/// A pure operation on a virtual object was met, or one object too many.
struct Uncomputed(Val);

impl Builder {
    /// Begins an exit at a log node, of code that has so many values.
    fn begin(&mut self, tree: &Tree, node: LogId, values: usize) {
        self.slots.clear();
        self.virtuals.clear();
        self.stamp += 1;
        self.stamps.resize(values.max(self.stamps.len()), 0);
        self.steps.resize(tree.log.len(), None);
        if self.node != Some(node) {
            self.node = Some(node);
            tree.path(node, &mut self.path);
        }
    }

    fn recipe(&mut self, o: &Optimizer<'_>, val: Val) -> Result<Recipe, Uncomputed> {
        Ok(match o.resolve(val) {
            Val::Const(bits) => Recipe::Const(bits),
            Val::Op(op) => {
                if self.stamps[op.0 as usize] == self.stamp {
                    return Ok(Recipe::Value(op));
                }
                // A boxed truth whose guard has decided it.
                if let Some((Op::Add, [x, y])) = o.definition(val)
                    && let (Val::Const(x), Val::Const(y)) = (o.resolve(x), o.resolve(y))
                {
                    return Ok(Recipe::Const(x.wrapping_add(y)));
                }
                self.slots.push(op);
                self.stamps[op.0 as usize] = self.stamp;
                Recipe::Value(op)
            }
            Val::Virtual(id) => {
                if !matches!(o.state.virtuals.entry(id), Entry::Object(_)) {
                    return Err(Uncomputed(Val::Virtual(id)));
                }
                if !self.virtuals.contains(&id) {
                    if self.virtuals.len() == MAX_VIRTUALS {
                        return Err(Uncomputed(Val::Virtual(self.virtuals[0])));
                    }
                    self.virtuals.push(id);
                }
                Recipe::Virtual(id.0)
            }
        })
    }

    /// Looks up a run of words.
    fn look_up(&mut self, o: &Optimizer<'_>, run: ArgRange) -> Result<(), Uncomputed> {
        self.recipes.clear();
        for &arg in o.tree.args(run) {
            let recipe = self.recipe(o, o.value(arg))?;
            self.recipes.push(recipe);
        }
        Ok(())
    }

    /// The step of a log node: the one that an exit before had, if it says the same.
    fn step(
        &mut self,
        o: &Optimizer<'_>,
        details: &mut Details,
        node: LogId,
    ) -> Result<Shared<ResumeStep>, Uncomputed> {
        let entry = o.tree.log[node.0 as usize].entry;
        match entry {
            LogEntry::Enter(_) => self.recipes.clear(),
            LogEntry::Merge { reds, .. } => {
                o.tree.args(reds).iter().for_each(|&red| o.look_at(o.value(red)));
                self.look_up(o, reds)?;
            }
            LogEntry::Words(words) | LogEntry::Collapsed(words) => self.look_up(o, words)?,
        }
        if let Some(step) = self.steps[node.0 as usize] {
            let said = match details[step] {
                ResumeStep::Enter(_) => Run::default(),
                ResumeStep::Merge { reds, .. } => reds,
                ResumeStep::Words(words) | ResumeStep::Collapsed(words) => words,
            };
            if details[said] == *self.recipes {
                return Ok(step);
            }
        }
        let recipes = details.add(self.recipes.iter().copied());
        let step = match entry {
            LogEntry::Enter(portal) => ResumeStep::Enter(portal),
            LogEntry::Merge { portal, greens, .. } => {
                let greens = o.tree.args(greens).iter().filter_map(|green| green.as_const());
                ResumeStep::Merge { portal, greens: details.add(greens), reds: recipes }
            }
            LogEntry::Words(_) => ResumeStep::Words(recipes),
            LogEntry::Collapsed(_) => ResumeStep::Collapsed(recipes),
        };
        let step = details.share(step);
        self.steps[node.0 as usize] = Some(step);
        Ok(step)
    }

    /// A virtual object: as an exit before described it, if that says the same.
    fn object(
        &mut self,
        o: &Optimizer<'_>,
        details: &mut Details,
        id: VirtualId,
    ) -> Result<Shared<Virtual>, Uncomputed> {
        let Entry::Object(object) = o.state.virtuals.entry(id) else { unreachable!("only objects are numbered") };
        self.contents.clear();
        for (field, &value) in object.shape.fields.iter().zip(&object.fields) {
            if value != Val::Const(0) {
                let recipe = self.recipe(o, value)?;
                self.contents.push((Place::Field(field), recipe));
            }
        }
        for (index, &value) in object.items.iter().enumerate() {
            if let (Some(array), true) = (object.shape.array, value != object.fill) {
                let recipe = self.recipe(o, value)?;
                self.contents.push((Place::Item(array, index as u32), recipe));
            }
        }
        let fill = if object.items.contains(&object.fill) { self.recipe(o, object.fill)? } else { Recipe::Const(0) };
        let len = object.items.len() as u32;
        let index = id.0 as usize;
        if index >= self.objects.len() {
            self.objects.resize(index + 1, None);
        }
        if let Some(said) = self.objects[index] {
            let was = details[said];
            if std::ptr::eq(was.shape, object.shape)
                && (was.len, was.fill) == (len, fill)
                && details[was.contents] == *self.contents
            {
                return Ok(said);
            }
        }
        let contents = details.add(self.contents.iter().copied());
        let object = details.share(Virtual { name: id.0, shape: object.shape, len, fill, contents });
        self.objects[index] = Some(object);
        Ok(object)
    }

    fn build(&mut self, o: &Optimizer<'_>, details: &mut Details, ticks: u32) -> Result<Exit, Uncomputed> {
        let mut exit = Exit { instance: o.instance, ticks, ..Exit::default() };
        for index in 0..self.path.len() {
            let step = self.step(o, details, self.path[index])?;
            details.append(&mut exit.resume, step);
        }
        for (object, place, value) in o.state.heap.pending() {
            let store = PendingStore { object: self.recipe(o, object)?, place, value: self.recipe(o, value)? };
            details.append(&mut exit.stores, store);
        }
        while let Some(&id) = self.virtuals.get(exit.virtuals.len()) {
            let object = self.object(o, details, id)?;
            details.append(&mut exit.virtuals, object);
        }
        exit.slots = details.add(self.slots.iter().copied());
        Ok(exit)
    }

    /// Forgets what exits said before: it is taken out of the code.
    pub(super) fn forget(&mut self) {
        self.steps.clear();
        self.objects.clear();
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
                    builder.forget();
                    self.force(val);
                }
            }
        };
        (self.exits, self.code.details) = (builder, details);
        self.code.exits.push(Exit { guard, ..exit });
        ExitId(self.code.exits.len() as u32 - 1)
    }
}
