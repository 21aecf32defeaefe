//! Threaded code: when it is made, and when it gives way to traces.
//!
//! A place that has been visited `tier1_threshold` times gets threaded code of everything that can be reached from it
//! ([`crate::shallow`]). From then on the code itself counts, with counters in the context: calls at its start, iterations at its jumps
//! backwards. When a count is used up the code is left at that merge point, and a trace is recorded from there; once it is compiled, the
//! same exit leads into it. A place without a chance of a trace gets a count that is never used up.

use super::compile::POLL_VISITS;
use super::runtime::{Compiled, Outcome, PlaceId, Runtime, thread_time, with};
use super::{Driver, Parameters};
use crate::context::COUNTERS;
use crate::ir::code::{Code, Exit};
use crate::record::{Abort, Continue};
use crate::shallow::{self, Bounds, COUNTED, Failure, UNFIT};
use std::rc::Rc;

/// The threaded code of a place.
#[derive(Debug, Default)]
pub(super) enum Threaded {
    /// Nobody asked yet.
    #[default]
    Untried,
    /// It is being made.
    Busy,
    /// There is none, and never will be.
    Never,
    /// This code, by this entry.
    Code(Rc<Compiled>, u32),
}

impl Threaded {
    pub(super) fn code(&self) -> Option<(&Rc<Compiled>, u32)> {
        match self {
            Threaded::Code(compiled, entry) => Some((compiled, *entry)),
            _ => None,
        }
    }
}

/// The counter of a place.
fn counter(place: PlaceId) -> usize {
    place % COUNTERS
}

fn set_counter(place: PlaceId, count: u32) {
    // SAFETY: the context lives as long as the thread, and no reference to it is held across a run.
    unsafe { (*super::runtime::context()).counters[counter(place)] = count.max(1) };
}

/// The counter of rounds of a loop of the place's tree. Threaded code of the place has another one.
pub(super) fn loop_counter(place: PlaceId) -> usize {
    counter(place + COUNTERS / 2)
}

/// Has so many rounds of a loop of the place's tree counted.
pub(super) fn count_loops(place: PlaceId, rounds: u32) {
    // SAFETY: as above.
    unsafe { (*super::runtime::context()).counters[loop_counter(place)] = rounds.max(1) };
}

/// Makes the threaded code that begins at a place. Whether there is some now.
pub(super) fn make(place: PlaceId, driver: &'static Driver, greens: &[u64]) -> bool {
    let bounds = with(|runtime| {
        runtime.at(place).threaded = Threaded::Busy;
        Bounds::of(&runtime.parameters)
    });
    let start = thread_time();
    // The twins run elidable functions, which may be any code: the runtime is not held meanwhile.
    let unit = shallow::make(driver, greens, bounds, &mut |greens| {
        counter(with(|runtime| runtime.place(driver, greens))) as u32
    });
    let shallow_ns = thread_time() - start;
    with(|runtime| {
        runtime.statistics.shallow_ns += shallow_ns;
        let unit = match unit {
            Ok(unit) => unit,
            Err(failure) => {
                runtime.statistics.count_abort(failure.into());
                runtime.at(place).threaded = Threaded::Never;
                return false;
            }
        };
        runtime.statistics.threaded_units += 1;
        runtime.statistics.threaded_merge_points += unit.merge_points as u64;
        runtime.statistics.threaded_ops += unit.code.blocks.iter().map(|block| block.insts.len() as u64).sum::<u64>();
        runtime.compile_threaded(place, unit, shallow_ns);
        runtime.code(place).is_some()
    })
}

/// The threaded code that would be made of a place now, with the thread's parameters: to be looked at, in tests. Its counters are
/// numbered in order.
///
/// # Errors
/// Why there is none.
pub fn threaded_code(driver: &'static Driver, greens: &[u64]) -> Result<Code, Abort> {
    let bounds = with(|runtime| Bounds::of(&runtime.parameters));
    let mut counted: Vec<Vec<u64>> = Vec::new();
    let unit = shallow::make(driver, greens, bounds, &mut |greens| {
        let known = counted.iter().position(|known| known == greens);
        known.unwrap_or_else(|| {
            counted.push(greens.to_vec());
            counted.len() - 1
        }) as u32
    });
    Ok(unit?.code)
}

impl Bounds {
    fn of(parameters: &Parameters) -> Bounds {
        Bounds {
            handler_ops: parameters.max_handler_ops as usize,
            merge_points: parameters.max_threaded_merge_points as usize,
            insts: parameters.max_threaded_ops as usize,
            inline_caches: parameters.inline_caching,
            stubs: !parameters.handler_optimization,
        }
    }
}

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Abort {
        match failure {
            Failure::TooLong => Abort::TooLong,
            Failure::Panic => Abort::Panic,
        }
    }
}

impl Runtime {
    /// Publishes threaded code: its entries become the code of their places, unless they have some of their own.
    pub(super) fn install_threaded(&mut self, place: PlaceId, compiled: Rc<Compiled>, entries: &[Vec<u64>]) {
        let driver = self.at(place).driver;
        for (entry, greens) in entries.iter().enumerate() {
            let place = self.place(driver, greens);
            let threaded = &mut self.at(place).threaded;
            if entry > 0 && !matches!(threaded, Threaded::Untried) {
                continue;
            }
            *threaded = Threaded::Code(compiled.clone(), entry as u32);
            let parameters = &self.parameters;
            let count = if entry == 0 { parameters.function_threshold } else { parameters.threshold };
            set_counter(place, if parameters.tracing { count } else { u32::MAX });
            self.publish(place);
        }
    }
}

/// Whether threaded code is left here by an exit that is its own; where that leads.
pub(super) fn leave(driver: &'static Driver, exit: &Exit, next: impl FnOnce() -> Continue) -> Option<Outcome> {
    match exit.instance {
        COUNTED => Some(counted(driver, next())),
        UNFIT => Some(Outcome::Interpret(next())),
        _ => None,
    }
}

/// A count is used up at a merge point.
fn counted(driver: &'static Driver, next: Continue) -> Outcome {
    with(|runtime| {
        let place = runtime.place(driver, &next.greens);
        if runtime.compiled(place).is_some() {
            // From now on each visit leads there.
            set_counter(place, 1);
            return Outcome::Continue(next);
        }
        runtime.poll();
        if runtime.at(place).live.is_some() {
            // Its code is being made.
            set_counter(place, POLL_VISITS);
            return Outcome::Continue(next);
        }
        if !runtime.parameters.tracing || !runtime.parameters.enabled || !runtime.can_record(place) {
            set_counter(place, u32::MAX);
            return Outcome::Continue(next);
        }
        set_counter(place, runtime.parameters.threshold);
        runtime.at(place).busy = true;
        Outcome::Record(place, next)
    })
}
