//! Leaving compiled code: rebuild what was virtual, do what was delayed, replay, and maybe record a bridge.

use super::alive::Kept;
use super::runtime::{
    Compiled, EXIT_COST, Outcome, PlaceId, Runtime, complete, context, outcome_of, thread_time,
    with,
};
use super::{Driver, Validity, holds};
use crate::gc;
use crate::ir::Arg;
use crate::ir::code::{Exit, Place, Recipe, ResumeStep};
use crate::ir::tree::{FragmentId, GuardId, LogEntry, LogId, Tree};
use crate::object::{Header, Kind};
use crate::record::{Abort, Meta, Recorder, Replay, Step};
use crate::twin::Raw;
use std::sync::Arc;

/// Writes a word to a place of an object.
///
/// # Safety
/// The object must be live and have the place.
unsafe fn write(object: u64, place: Place, bits: u64) {
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

/// The values of an exit's recipes.
struct Values<'a> {
    slots: &'a [u64],
    virtuals: Vec<u64>,
}

impl Values<'_> {
    fn get(&self, recipe: Recipe) -> u64 {
        match recipe {
            Recipe::Const(bits) => bits,
            Recipe::Slot(slot) => self.slots[slot as usize],
            Recipe::SlotPlus(slot, addend) => self.slots[slot as usize].wrapping_add(addend),
            Recipe::Virtual(number) => self.virtuals[number as usize],
        }
    }
    fn all(&self, recipes: &[Recipe]) -> Vec<u64> {
        recipes.iter().map(|&recipe| self.get(recipe)).collect()
    }
}

/// Builds an exit's virtual objects and does its stores.
fn rebuild<'a>(exit: &Exit, slots: &'a [u64]) -> Values<'a> {
    let mut values = Values {
        slots,
        virtuals: Vec::with_capacity(exit.virtuals.len()),
    };
    for object in &exit.virtuals {
        values
            .virtuals
            .push(gc::alloc(object.shape, object.len as usize) as u64);
    }
    for (object, &address) in exit.virtuals.iter().zip(&values.virtuals) {
        // SAFETY: the object was just made with this shape and length.
        unsafe {
            if let Some(array) = object.shape.array {
                let header = address as *mut Header;
                *header
                    .cast::<u8>()
                    .add(array.offset as usize - 8)
                    .cast::<u64>() = u64::from(object.len);
                let fill = values.get(object.fill);
                if fill != 0 {
                    let items = header.cast::<u8>().add(array.offset as usize);
                    for index in 0..object.len as usize {
                        write_item(items, array.kind, index, fill);
                    }
                }
            }
            for &(place, recipe) in &object.contents {
                write(address, place, values.get(recipe));
            }
        }
    }
    for store in &exit.stores {
        // SAFETY: the trace stored there.
        unsafe {
            write(
                values.get(store.object),
                store.place,
                values.get(store.value),
            )
        };
    }
    values
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

fn steps(
    exit: &Exit,
    values: &Values<'_>,
    recording: Option<(&Tree, GuardId)>,
) -> Vec<(Option<LogId>, Step)> {
    let path =
        recording.map(|(tree, guard)| tree.path(tree.guards[guard.0 as usize].snapshot.node));
    let mut steps = Vec::with_capacity(exit.resume.len());
    for (index, step) in exit.resume.iter().enumerate() {
        let node = path.as_ref().map(|path| path[index]);
        let raws = |words: Vec<u64>| -> Vec<Raw> {
            match (recording, node) {
                (Some((tree, _)), Some(node)) => words
                    .iter()
                    .zip(symbolic(tree, node))
                    .map(|(&bits, &arg)| {
                        if arg.as_const().is_some() {
                            Raw::constant(bits)
                        } else {
                            Raw { bits, arg }
                        }
                    })
                    .collect(),
                _ => words.into_iter().map(Raw::constant).collect(),
            }
        };
        let step = match step {
            ResumeStep::Enter(_) => Step::Enter,
            ResumeStep::Merge { greens, reds, .. } => Step::Merge {
                greens: greens.clone(),
                reds: raws(values.all(reds)),
            },
            ResumeStep::Words(words) => Step::Words(raws(values.all(words))),
            ResumeStep::Collapsed(words) => {
                let at = values.get(words[0]) as u32;
                Step::Collapsed(at, raws(values.all(&words[1..])))
            }
        };
        steps.push((node, step));
    }
    steps
}

/// Whether a bridge is to be recorded from this exit now.
fn wants_bridge(
    runtime: &mut Runtime,
    place: PlaceId,
    exit: &Exit,
    validity: &Validity,
) -> Option<GuardId> {
    runtime.statistics.exits += 1;
    let (eagerness, patience) = (
        runtime.parameters.trace_eagerness,
        runtime.parameters.compile_patience,
    );
    let guard = exit.guard?;
    // Another tree may have taken the place of the one that was left.
    let live = runtime
        .at(place)
        .live
        .as_mut()
        .filter(|live| Arc::ptr_eq(&live.validity, validity))?;
    let key = (guard, exit.instance);
    if live.attached.contains_key(&key) {
        live.lost += 1;
        let lost = live.lost * EXIT_COST.as_nanos() as u64;
        if live.pending > 0 && lost >= live.estimate() * u64::from(patience) / 100 {
            runtime.compile(place);
        }
        return None;
    }
    if live.full {
        return None;
    }
    let failures = live.failures.entry(key).or_insert(0);
    *failures += 1;
    if *failures < eagerness {
        return None;
    }
    *failures = 0;
    // Another instance of the guard may have its bridge already: the same one serves here.
    let bridge = live
        .tree
        .fragments
        .iter()
        .position(|fragment| fragment.parent == Some(guard));
    if let Some(bridge) = bridge {
        live.attached.insert(key, FragmentId(bridge as u32));
        live.pending += 1;
        return None;
    }
    Some(guard)
}

/// Takes the exit with this number.
#[inline(never)]
pub(super) fn leave(
    place: PlaceId,
    driver: &'static Driver,
    compiled: &Compiled,
    number: u64,
) -> Outcome {
    let exit = &compiled.code.exits[number as usize];
    // SAFETY: the context lives as long as the thread, and nothing else uses it now.
    let slots: Vec<u64> = unsafe { (&(*context()).slots)[..exit.slots.len()].to_vec() };
    let values = gc::without_collection(|| rebuild(exit, &slots));
    let recording = with(|runtime| {
        let guard = wants_bridge(runtime, place, exit, &compiled.validity)?;
        let limits = runtime.limits();
        runtime.at(place).busy = true;
        let live = runtime.at(place).live.take()?;
        Some((guard, limits, live))
    });
    let Some((guard, limits, mut live)) = recording else {
        let (outcome, ..) = resume(driver, steps(exit, &values, None), exit.ticks, None);
        return outcome;
    };
    let start = thread_time();
    let steps = steps(exit, &values, Some((&live.tree, guard)));
    let empty = Tree::new(live.tree.portal, Vec::new());
    let tree = std::mem::replace(&mut live.tree, empty);
    let mut putting_back = PuttingBack {
        place,
        live: Some(live),
    };
    let recorder = Recorder::bridge(tree, guard, driver, limits, compiled.validity.clone());
    let (outcome, words, recorder) = resume(driver, steps, exit.ticks, Some(recorder));
    let (Some(mut recorder), Some(mut live)) = (recorder, putting_back.live.take()) else {
        return outcome;
    };
    complete(&mut recorder, &outcome, &words);
    with(|runtime| {
        runtime.statistics.record_ns += thread_time() - start;
        runtime.note_looping_call(&mut recorder);
        if recorder.ended {
            runtime.statistics.bridges_recorded += 1;
            runtime.statistics.ops_recorded += recorder.recorded() as u64;
            let fragment = FragmentId(recorder.tree.fragments.len() as u32 - 1);
            live.attached.insert((guard, exit.instance), fragment);
            live.pending += 1;
        } else {
            runtime
                .statistics
                .count_abort(recorder.aborted.unwrap_or(Abort::TooLong));
            recorder.roll_back();
            live.aborts += 1;
            live.full |= live.aborts > 4 * runtime.parameters.max_aborts;
        }
        live.tree = recorder.tree;
        let place = runtime.at(place);
        // Written meanwhile, a quasi-immutable field has made the whole tree invalid.
        place.live = holds(&live.validity).then_some(live);
        place.busy = false;
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
        if self.live.take().is_some() {
            with(|runtime| {
                runtime.at(self.place).busy = false;
                runtime.aborted(self.place, Abort::Panic);
            });
        }
    }
}

/// Calls the twin at the outermost merge point of the exit.
fn resume(
    driver: &'static Driver,
    steps: Vec<(Option<LogId>, Step)>,
    ticks: u32,
    recorder: Option<Box<Recorder>>,
) -> (Outcome, Vec<Raw>, Option<Box<Recorder>>) {
    let Some((_, Step::Merge { greens, reds })) = steps.first().cloned() else {
        unreachable!("an exit begins at a merge point");
    };
    let kept = Kept::new(
        steps
            .iter()
            .flat_map(|(_, step)| match step {
                Step::Enter => &[],
                Step::Merge { reds: words, .. }
                | Step::Words(words)
                | Step::Collapsed(_, words) => &words[..],
            })
            .map(|word| word.bits),
    );
    let mut meta = Meta::replaying(Replay::new(steps, ticks), recorder);
    let words = (driver.twin)(&mut meta, &greens, &reds);
    let (outcome, recorder, _) = meta.finish();
    drop(kept);
    (outcome_of(outcome, &words), words, recorder)
}
