//! Leaving compiled code: rebuild what was virtual, do what was delayed, replay, and maybe record a bridge.

use super::alive::Kept;
use super::events::{Event, ExitName};
use super::runtime::{
    Compiled, EXIT_COST, Outcome, PlaceId, Runtime, call_cell, complete, context, outcome_of, thread_time, with,
};
use super::{Driver, Validity, holds, runtime, stack, threaded};
use crate::gc;
use crate::ir::Arg;
use crate::ir::code::{Code, Details, Exit, Place, Recipe, ResumeStep, Run};
use crate::ir::tree::{FragmentId, GuardId, LogEntry, LogId, Tree};
use crate::object::{Header, Kind};
use crate::opt::LOOPED;
use crate::record::{Abort, Continue, Meta, Recorder, Replay, StepKind};
use crate::twin::Raw;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Writes a word to a place of an object.
///
/// # Safety
/// The object must be live and have the place.
pub(super) unsafe fn write(object: u64, place: Place, bits: u64) {
    let object = object as *mut Header;
    // SAFETY: the caller's contract; item indexes were in bounds when the trace stored there.
    unsafe {
        match place {
            Place::Field(field) => {
                if field.kind.may_hold_reference() {
                    gc::write_barrier(object);
                }
                *object.cast::<u8>().add(field.offset as usize).cast::<u64>() = bits;
            }
            Place::Item(field, index) => {
                if field.kind.may_hold_reference() {
                    gc::write_barrier(object);
                }
                let items = object.cast::<u8>().add(field.offset as usize);
                write_item(items, field.kind, index as usize, bits);
            }
        }
    }
}

/// Writes an item of an array by its kind.
///
/// # Safety
/// The array must have more than `index` items of this kind.
unsafe fn write_item(items: *mut u8, kind: Kind, index: usize, bits: u64) {
    // SAFETY: the caller's contract.
    unsafe {
        match kind.bytes() {
            1 => *items.add(index) = bits as u8,
            2 => *items.cast::<u16>().add(index) = bits as u16,
            4 => *items.cast::<u32>().add(index) = bits as u32,
            _ => *items.cast::<u64>().add(index) = bits,
        }
    }
}

thread_local! {
    /// [`Values::words`], kept from exit to exit.
    static WORDS: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

/// The values of an exit's recipes.
struct Values {
    /// For each value of the code its word, if it is one of the exit's slots; something else for others.
    words: Vec<u64>,
    /// Names and addresses.
    virtuals: Vec<(u32, u64)>,
}

impl Values {
    /// What compiled code has handed over.
    fn new(code: &Code, exit: &Exit, handed: &[u64]) -> Values {
        let mut words = WORDS.take();
        if words.len() < code.insts.len() {
            words.resize(code.insts.len(), 0);
        }
        for (&op, &word) in code.details[exit.slots].iter().zip(handed) {
            words[op.0 as usize] = word;
        }
        Values { words, virtuals: Vec::new() }
    }

    fn get(&self, recipe: Recipe) -> u64 {
        match recipe {
            Recipe::Const(bits) => bits,
            Recipe::Value(op) => self.words[op.0 as usize],
            Recipe::Plus(op, addend) => self.words[op.0 as usize].wrapping_add(addend),
            Recipe::Virtual(name) => {
                self.virtuals.iter().find(|object| object.0 == name).map_or(0, |&(_, address)| address)
            }
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        WORDS.set(std::mem::take(&mut self.words));
    }
}

/// Builds an exit's virtual objects and does its stores.
fn rebuild(details: &Details, exit: &Exit, values: &mut Values) {
    values.virtuals.reserve(exit.virtuals.len());
    for object in details.virtuals(exit) {
        values.virtuals.push((object.name, gc::alloc(object.shape, object.len as usize) as u64));
    }
    for (object, &(_, address)) in details.virtuals(exit).zip(&values.virtuals) {
        // SAFETY: the object was just made with this shape and length.
        unsafe {
            if let Some(array) = object.shape.array {
                let header = address as *mut Header;
                *header.cast::<u8>().add(array.offset as usize - 8).cast::<u64>() = u64::from(object.len);
                let fill = values.get(object.fill);
                if fill != 0 {
                    let items = header.cast::<u8>().add(array.offset as usize);
                    for index in 0..object.len as usize {
                        write_item(items, array.kind, index, fill);
                    }
                }
            }
            for &(place, recipe) in &details[object.contents] {
                write(address, place, values.get(recipe));
            }
        }
    }
    for store in &details[exit.stores] {
        // SAFETY: the trace stored there.
        unsafe { write(values.get(store.object), store.place, values.get(store.value)) };
    }
}

/// The operands that a log node's words have in the tree.
fn symbolic(tree: &Tree, node: LogId) -> &[Arg] {
    match tree.log[node.0 as usize].entry {
        LogEntry::Enter(_) => &[],
        LogEntry::Merge { reds, .. } => tree.args(reds),
        LogEntry::Words(words) => tree.args(words),
        LogEntry::Collapsed(words) => &tree.args(words)[1..],
    }
}

/// Writes down what replay is to consume; with a tree and a guard of it, the operands that recording goes on with, too.
fn fill(replay: &mut Replay, details: &Details, exit: &Exit, values: &Values, recording: Option<(&Tree, GuardId)>) {
    let path = recording.map(|(tree, guard)| {
        let mut path = Vec::new();
        tree.path(tree.guards[guard.0 as usize].snapshot.node, &mut path);
        path
    });
    replay.begin(exit.ticks);
    for (index, step) in details.steps(exit).enumerate() {
        let node = path.as_ref().map(|path| path[index]);
        let operands = match (recording, node) {
            (Some((tree, _)), Some(node)) => symbolic(tree, node),
            _ => &[],
        };
        let raw = |(position, &recipe): (usize, &Recipe)| {
            let bits = values.get(recipe);
            match operands.get(position) {
                Some(&arg @ Arg::Op(_)) => Raw { bits, arg },
                _ => Raw::constant(bits),
            }
        };
        match step {
            ResumeStep::Enter(_) => replay.push(node, StepKind::Enter, std::iter::empty()),
            ResumeStep::Merge { greens, reds, .. } => {
                let greens_first = details[greens].iter().map(|&bits| Raw::constant(bits));
                let words = greens_first.chain(details[reds].iter().enumerate().map(raw));
                replay.push(node, StepKind::Merge(greens.len() as u32), words);
            }
            ResumeStep::Words(words) => {
                replay.push(node, StepKind::Words, details[words].iter().enumerate().map(raw));
            }
            ResumeStep::Collapsed(words) => {
                let words = &details[words];
                let at = values.get(words[0]) as u32;
                replay.push(node, StepKind::Collapsed(at), words[1..].iter().enumerate().map(raw));
            }
        }
    }
}

/// How many operations are recorded for each of the code, about: calls, loads and tests that the optimizer takes out.
const OPS_RECORDED_PER_OP: usize = 3;

/// A bridge inlines calls until it has so much of what a tree may still grow by, as a fraction.
const ROOM_FOR_BRIDGES: usize = 16;

/// What events call an exit.
fn name(exit: &Exit) -> Option<ExitName> {
    exit.guard.map(|guard| ExitName { guard: guard.0, instance: exit.instance })
}

/// Whether a bridge is to be recorded from this exit now.
fn wants_bridge(runtime: &mut Runtime, place: PlaceId, exit: &Exit, validity: &Validity) -> Option<GuardId> {
    runtime.statistics.exits += 1;
    runtime.poll();
    if runtime.observers.any_hook() {
        runtime.tell(place, |place| Event::Exit { place, exit: name(exit) });
    }
    let (eagerness, patience) = (runtime.parameters.trace_eagerness, runtime.parameters.compile_patience);
    let max_bridges = runtime.parameters.max_bridges as usize;
    let guard = exit.guard.filter(|_| exit.instance != runtime::FORCED)?;
    // Another tree may have taken the place of the one that was left.
    let live = runtime.at(place).live.as_mut().filter(|live| Arc::ptr_eq(&live.validity, validity))?;
    let key = (guard, exit.instance);
    let failures = live.failures.entry(key).or_default();
    failures.ever += 1;
    if live.attached.contains_key(&key) {
        live.lost += 1;
        let lost = live.lost * EXIT_COST.as_nanos() as u64;
        let due = live.pending > 0 && !live.under_way && lost >= live.estimate() * u64::from(patience) / 100;
        runtime.statistics.exits_pending += 1;
        if due {
            runtime.compile(place);
        }
        return None;
    }
    if live.full {
        return None;
    }
    failures.lately += 1;
    if failures.lately < eagerness {
        return None;
    }
    failures.lately = 0;
    // Another instance of the guard may have its bridge already: the same one serves here.
    let bridge = live.tree.fragments.iter().position(|fragment| fragment.parent == Some(guard));
    if let Some(bridge) = bridge {
        live.attached.insert(key, FragmentId(bridge as u32));
        live.pending += 1;
        return None;
    }
    if live.tree.fragments.len() > max_bridges {
        live.full = true;
        runtime.full(place, "max_bridges");
        return None;
    }
    Some(guard)
}

/// Takes the exit with this number.
#[inline(never)]
pub(super) fn leave(place: PlaceId, driver: &'static Driver, compiled: &Compiled, number: u64) -> Outcome {
    // The upper half says which code it is of.
    let details = &compiled.code.details;
    let exit = &compiled.code.exits[number as u32 as usize];
    // SAFETY: the context lives as long as the thread, and nothing else uses it now.
    let mut values = unsafe { Values::new(&compiled.code, exit, &(*context()).slots) };
    if !(exit.virtuals.is_empty() && exit.stores.is_empty()) {
        gc::without_collection(|| rebuild(details, exit, &mut values));
    }
    let first = details.steps(exit).next();
    let reds_of = |reds: Run<Recipe>| -> Vec<u64> { details[reds].iter().map(|&recipe| values.get(recipe)).collect() };
    if let (true, Some(ResumeStep::Merge { greens, reds, .. })) = (compiled.threaded, first) {
        let next = || Continue { greens: details[greens].to_vec(), reds: reds_of(reds) };
        if let Some(outcome) = threaded::leave(driver, exit, next) {
            return outcome;
        }
    } else if let (None, 0, 1, Some(ResumeStep::Merge { greens, reds, .. })) =
        (exit.guard, exit.ticks, exit.resume.len(), first)
    {
        // The fragment ended at a merge point: there is nothing to do again.
        if exit.instance == LOOPED {
            with(|runtime| runtime.looped(place));
        }
        let cell = *compiled.links.borrow_mut().entry(number).or_insert_with(|| call_cell(driver, &details[greens]));
        let reds = reds_of(reds);
        if let Some(next) = cell.compiled()
            && next.take_reds(&reds)
        {
            return Outcome::Link(cell, next);
        }
        with(|runtime| {
            runtime.statistics.exits += 1;
            runtime.statistics.exits_at_end += 1;
        });
        return Outcome::Continue(Continue { greens: details[greens].to_vec(), reds });
    }
    let (recording, mut replay) = with(|runtime| {
        let guard = wants_bridge(runtime, place, exit, &compiled.validity);
        let guard = guard.filter(|_| stack::has_room());
        let recording = guard.and_then(|guard| {
            let mut limits = runtime.limits();
            runtime.at(place).busy = true;
            let live = runtime.at(place).live.take()?;
            // The larger the tree, the shorter its bridges, so that there is room for all that get hot.
            let most = OPS_RECORDED_PER_OP * runtime.parameters.max_tree_ops as usize;
            limits.inline_ops = limits.inline_ops.min(most.saturating_sub(live.tree.insts.len()) / ROOM_FOR_BRIDGES);
            runtime.last_change = Instant::now();
            runtime.tell(place, |place| Event::Recording { place, bridge: name(exit) });
            Some((guard, limits, live))
        });
        (recording, runtime.replays.pop().unwrap_or_default())
    });
    let Some((guard, limits, mut live)) = recording else {
        fill(&mut replay, details, exit, &values, None);
        drop(values);
        return resume(driver, replay, None, compiled.threaded).0;
    };
    let start = thread_time();
    fill(&mut replay, details, exit, &values, Some((&live.tree, guard)));
    drop(values);
    let empty = Arc::new(Tree::new(live.tree.portal, Vec::new()));
    // A job that is under way has the tree as it was.
    let tree = Arc::unwrap_or_clone(std::mem::replace(&mut live.tree, empty));
    let mut putting_back = PuttingBack { place, live: Some(live) };
    let recorder = Recorder::bridge(tree, guard, driver, limits, compiled.validity.clone());
    let (outcome, words, recorder) = resume(driver, replay, Some(recorder), false);
    let (Some(mut recorder), Some(mut live)) = (recorder, putting_back.live.take()) else {
        return outcome;
    };
    complete(&mut recorder, &outcome, &words);
    with(|runtime| {
        let (ns, bridge) = (thread_time() - start, name(exit));
        runtime.statistics.record_ns += ns;
        let stale = runtime.note_looping_call(&mut recorder);
        if recorder.ended {
            runtime.statistics.bridges_recorded += 1;
            let ops = recorder.recorded();
            runtime.statistics.ops_recorded += ops as u64;
            runtime.statistics.guards_recorded += recorder.guards_recorded() as u64;
            runtime.tell(place, |place| Event::Recorded { place, bridge, ops, ns });
            let fragment = FragmentId(recorder.tree.fragments.len() as u32 - 1);
            live.attached.insert((guard, exit.instance), fragment);
            live.pending += 1;
        } else {
            let reason = recorder.aborted.unwrap_or(Abort::TooLong);
            runtime.statistics.count_abort(reason);
            runtime.tell(place, |place| Event::Aborted { place, bridge, reason, ns });
            recorder.roll_back();
            live.aborts += 1;
            if live.aborts > 4 * runtime.parameters.max_aborts && !std::mem::replace(&mut live.full, true) {
                runtime.full(place, "max_aborts");
            }
            if stale {
                live.validity.store(0, Ordering::Relaxed);
            }
        }
        live.tree = Arc::new(recorder.tree);
        let at = runtime.at(place);
        at.busy = false;
        at.live = Some(live);
        // Written meanwhile, a quasi-immutable field has made the whole tree invalid.
        if !holds(&compiled.validity) {
            runtime.remove(place);
            if stale {
                runtime.statistics.invalidated += 1;
            } else {
                runtime.invalidated(place);
            }
        }
        runtime.publish(place);
        runtime.statistics.pause(thread_time() - start);
    });
    outcome
}

/// Throws a tree away when a panic passes through the recording of its bridge.
struct PuttingBack {
    place: PlaceId,
    live: Option<Box<super::runtime::Live>>,
}
impl Drop for PuttingBack {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            with(|runtime| {
                runtime.retire(live.compiled);
                runtime.at(self.place).busy = false;
                runtime.publish(self.place);
                runtime.aborted(self.place, Abort::Panic);
            });
        }
    }
}

/// Calls the twin at the outermost merge point of the exit.
fn resume(
    driver: &'static Driver,
    replay: Replay,
    recorder: Option<Box<Recorder>>,
    threaded: bool,
) -> (Outcome, Vec<Raw>, Option<Box<Recorder>>) {
    let (greens, reds) = replay.merge(0);
    let kept = Kept::new(replay.words());
    let mut meta = Meta::replaying(replay, recorder);
    if threaded {
        meta = meta.of_threaded_code();
    }
    let mut words = Vec::new();
    (driver.twin)(&mut meta, &greens, &reds, &mut words);
    let (outcome, recorder, replay) = meta.finish();
    drop(kept);
    with(|runtime| runtime.replays.extend(replay));
    (outcome_of(outcome, &words), words, recorder)
}
