//! The runtime of one thread: cells, compiled trees, and the way in.

use super::cell::CallCell;
use super::compile::{Attached, Compilations, POLL_VISITS};
use super::events::{Event, Observers, deliver, text_field};
use super::freeing::Retired;
use super::parameters::Parameters;
use super::statistics::Statistics;
use super::threaded::{self, Threaded};
use super::{Driver, THRESHOLDS, Validity, delay_counter, entry, exit, holds, reset_counter, set_counting, stack};
use crate::backend::{Machine, OUT_OF_MEMORY};
use crate::context::{Context, FINISH, PANICKED, Returned, Words};
use crate::gc;
use crate::ir::code::Code;
use crate::ir::tree::{Fragment, GuardId, Tree};
use crate::record::{Abort, Continue, FastMap, Limits, Meta, Recorder, Replay};
use crate::twin::{Flat, Raw, Reader};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What came of [`enter`].
#[derive(Debug)]
pub enum Entered {
    /// Nothing: go on.
    No,
    /// Code ran; go on at this merge point.
    Continue(Continue),
    /// Code ran until the portal returned; [`returned`] has what.
    Return,
}

/// What the portal returned that [`enter`] says has returned. To be asked at once: what is entered next writes over it.
#[inline]
pub fn returned<R: Flat>() -> R {
    // SAFETY: the context lives as long as the thread; nothing else uses it now.
    let words = unsafe { &(&(*context()).results)[..R::WORDS] };
    R::unflatten(&mut Reader::new(words))
}

/// The portal has returned these words.
pub(super) fn return_words(words: &[u64]) -> Entered {
    // SAFETY: as above.
    unsafe { (&mut (*context()).results)[..words.len()].copy_from_slice(words) };
    Entered::Return
}

/// How a run of code ended.
pub(super) enum Outcome {
    Continue(Continue),
    Return(Words),
    /// The interpreter goes on, whatever code there may be.
    Interpret(Continue),
    /// It is time to record from here.
    Record(PlaceId, Continue),
    /// Other code goes on, whose reds are in the context's slots already.
    Link(&'static CallCell, Rc<Compiled>),
}

/// Code, as it runs.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) code: Code,
    /// The upper half of its exits' numbers.
    pub(super) number: u32,
    /// Whether it is threaded code.
    pub(super) threaded: bool,
    /// `None` when it is evaluated.
    pub(super) machine: Option<Machine>,
    pub(super) validity: Validity,
    /// Where the exits at the ends of fragments lead, once that is known.
    pub(super) links: RefCell<FastMap<u64, &'static CallCell>>,
}

/// How well the code of a tree is made. Making it better takes longer, and is for what is not soon made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Quickly, and the loop is not peeled, which halves what there is to optimize: bridges come one after the other now.
    Growing,
    /// Quickly.
    Settled,
    /// As well as it can be.
    Best,
}

/// A tree that was recorded, and what is known about how it does.
#[derive(Debug)]
pub(super) struct Live {
    /// Shared with the job that compiles it.
    pub(super) tree: Arc<Tree>,
    pub(super) validity: Validity,
    pub(super) compiled: Option<Rc<Compiled>>,
    /// Code of the tree is being made.
    pub(super) under_way: bool,
    /// How well the code is made that was last asked for, whatever came of it.
    pub(super) stage: Stage,
    pub(super) attached: Attached,
    /// How often each exit was taken.
    pub(super) failures: HashMap<(GuardId, u32), Failures>,
    /// Bridges that were attached since the last compilation.
    pub(super) pending: u32,
    /// Exits taken, since the last compilation, where a bridge is pending.
    pub(super) lost: u64,
    /// What the last compilation took, in nanoseconds, and how many recorded operations the tree had then.
    pub(super) last_cost: u64,
    pub(super) last_ops: usize,
    /// Aborted recordings of bridges.
    pub(super) aborts: u32,
    /// No bridge is recorded any more.
    pub(super) full: bool,
}

/// How often an exit was taken.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Failures {
    /// Since a bridge was last begun there.
    pub(super) lately: u32,
    pub(super) ever: u64,
}

impl Live {
    /// How well its code is to be made now: `often` says whether the code that there is has been used for as long as was to be
    /// waited, `peels_later` whether its loop, if it has one, is peeled when there are no more bridges.
    pub(super) fn next_stage(&self, often: bool, peels_later: bool) -> Stage {
        // Of a peeled loop, pending may also be what is there, for the other instance of its guard.
        let grows = self.pending > 0 && self.tree.insts.len() > self.last_ops && !self.full;
        let loops = || self.tree.fragments.iter().any(Fragment::closes);
        match self.stage {
            // Whether it grows is not known yet; loops without a bridge are the fastest.
            _ if self.compiled.is_none() => Stage::Settled,
            _ if grows && peels_later && loops() => Stage::Growing,
            Stage::Growing if self.pending > 0 => Stage::Growing,
            _ if self.pending > 0 => Stage::Settled,
            Stage::Growing if often => Stage::Settled,
            Stage::Settled if often => Stage::Best,
            stage => stage,
        }
    }

    /// What left a loop that was not peeled leaves both instances of it.
    pub(super) fn attach_to_both_instances(&mut self) {
        let attached: Vec<_> = self.attached.iter().map(|(&(guard, _), &bridge)| (guard, bridge)).collect();
        for (guard, bridge) in attached {
            self.attached.entry((guard, 1)).or_insert(bridge);
        }
    }

    /// What compiling the tree is estimated to cost, in nanoseconds: what it cost last, and as much again for what was added
    /// as for what was there.
    pub(super) fn estimate(&self) -> u64 {
        self.last_cost / (self.last_ops.max(1) as u64) * self.tree.insts.len() as u64
    }
}

/// A place: a driver and its greens.
pub(super) struct Place {
    pub(super) driver: &'static Driver,
    pub(super) greens: Vec<u64>,
    /// What it is called, noted as soon as somebody may ask when the program's heap is gone: [`Runtime::name_places`].
    name: Option<Box<str>>,
    /// With the parameter `profile`: calls of it, and jumps back to it.
    visited: [u64; 2],
    pub(super) live: Option<Box<Live>>,
    pub(super) threaded: Threaded,
    /// Whether it has been entered by a call: a function begins here.
    called: bool,
    /// Calls of [`enter`] since threaded code turned out not to be possible.
    visits: u32,
    pub(super) busy: bool,
    aborts: u32,
    given_up: Option<Abort>,
    never_inline: bool,
    /// Trees of the place that were made invalid before they had been of use.
    invalidations: u32,
    /// How often the driver had entered its code when it was last asked whether the place is in use.
    pub(super) entries_before: u64,
    pub(super) cell: &'static CallCell,
}

impl Place {
    fn why_not_compiled(&self) -> Option<String> {
        if self.live.as_ref().is_some_and(|live| live.compiled.is_some()) {
            return None;
        }
        Some(match self.given_up {
            Some(Abort::Invalidated) if self.invalidations > 0 => {
                format!("it was given up: its code was invalidated {} times", self.invalidations)
            }
            Some(Abort::Invalidated) => format!(
                "it was given up: each of {} recordings changed a quasi-immutable field that it had relied on",
                self.aborts
            ),
            Some(reason) => format!("it was given up after {} aborted recordings: {}", self.aborts, reason.name()),
            None if self.busy => "it is being recorded".to_owned(),
            None if self.live.is_some() => "it is being compiled".to_owned(),
            None if self.invalidations > 0 => format!("its code was invalidated {} times", self.invalidations),
            None if self.aborts > 0 => format!("{} recordings were aborted", self.aborts),
            None => "it was not hot for long enough".to_owned(),
        })
    }
}

/// Places that are found without looking into the index.
const RECENT: usize = 512;

/// Index of a place.
pub(super) type PlaceId = usize;

pub(super) struct Runtime {
    pub(super) parameters: Parameters,
    pub(super) statistics: Statistics,
    pub(super) places: Vec<Place>,
    /// All code that may be running, by its number.
    pub(super) codes: FastMap<u32, Rc<Compiled>>,
    /// The number of the next code.
    next_number: u32,
    /// Places by the hash of driver and greens.
    index: FastMap<u64, Vec<PlaceId>>,
    /// Places found lately, by some bits of the hash.
    recent: Box<[Cell<PlaceId>; RECENT]>,
    /// Replays not in use, for their buffers.
    pub(super) replays: Vec<Replay>,
    pub(super) compilations: Compilations,
    pub(super) panic: Option<Box<dyn Any + Send>>,
    pub(super) observers: Observers,
    pub(super) retired: Retired,
    /// Collections when the counters were last decayed.
    decayed_at: u64,
    /// When something was last recorded or published.
    pub(super) last_change: Instant,
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    static CONTEXT: Cell<*mut Context> = const { Cell::new(std::ptr::null_mut()) };
}

pub(super) fn hash(driver: &'static Driver, greens: &[u64]) -> u64 {
    greens.iter().fold(std::ptr::from_ref(driver) as u64, |hash, &green| {
        (hash ^ green).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Runs `f` on the thread's runtime. `f` must not run the interpreter.
pub(super) fn with<R>(f: impl FnOnce(&mut Runtime) -> R) -> R {
    let (result, events) = RUNTIME.with(|runtime| {
        let mut runtime = runtime.borrow_mut();
        let runtime = runtime.get_or_insert_with(Runtime::new);
        (f(runtime), runtime.observers.waits())
    });
    if events {
        deliver();
    }
    result
}

/// The thread's context. It stays where it is for ever.
#[inline]
pub(super) fn context() -> *mut Context {
    let context = CONTEXT.get();
    if context.is_null() { new_context() } else { context }
}

#[cold]
fn new_context() -> *mut Context {
    let context = Box::new(Context { stack_limit: stack::limit() as u64, ..Context::default() });
    let context = Box::into_raw(context);
    CONTEXT.set(context);
    context
}

/// The thread's context, if there is one already.
pub(super) fn existing_context() -> Option<*mut Context> {
    let context = CONTEXT.get();
    (!context.is_null()).then_some(context)
}

/// The word by which the thread is asked to stop.
pub(crate) fn stop_word() -> &'static AtomicU64 {
    // SAFETY: the context lives for ever; the word is only ever read and written atomically.
    unsafe { &(*context()).stop }
}

/// The code that an exit's number is of. It was running, so it is alive.
pub(super) fn code_of(number: u64) -> Rc<Compiled> {
    with(|runtime| runtime.codes[&((number >> 32) as u32)].clone())
}

/// The call cell of a place.
pub(crate) fn call_cell(driver: &'static Driver, greens: &[u64]) -> &'static CallCell {
    with(|runtime| {
        let place = runtime.place(driver, greens);
        runtime.places[place].cell
    })
}

/// Processor time of this thread, in nanoseconds.
pub(super) fn thread_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a valid timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The thread's parameters.
pub fn parameters() -> Parameters {
    with(|runtime| runtime.parameters.clone())
}

/// What threads begin with in place of the defaults and the environment, if the program has said so.
static PROCESS: RwLock<Option<Parameters>> = RwLock::new(None);

/// Sets what the process's threads begin with, in place of the defaults and of what `METAJIT` says ([`Parameters::with_environment`] adds
/// that). For programs with options of their own, before they run anything: a thread that has begun keeps its parameters. If the JIT is
/// switched off so, interpreters hardly notice that it is there.
pub fn set_process_parameters(parameters: Parameters) {
    set_counting(parameters.counts());
    *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = Some(parameters);
}

/// Sets the thread's parameters, which hold from now on; what is compiled stays.
pub fn set_parameters(parameters: Parameters) {
    with(|runtime| {
        runtime.parameters = parameters;
        runtime.publish_thresholds();
        runtime.name_places();
    });
}

/// What the thread's runtime has done so far.
pub fn statistics() -> Statistics {
    with(|runtime| runtime.statistics())
}

/// Why the place has no compiled code; `None` if it has.
///
/// ```
/// # #[cfg(feature = "jit")] {
/// use metajit::prelude::*;
///
/// #[jit_driver(greens = [step], reds = [n, sum])]
/// fn add(step: i64, n: i64) -> i64 {
///     let sum: i64 = 0;
///     loop {
///         jit_merge_point!();
///         if n <= 0 {
///             return sum;
///         }
///         sum = sum.wrapping_add(step);
///         n -= 1;
///         can_enter_jit!();
///     }
/// }
///
/// add(2, 100_000);
/// metajit::driver::finish_compilations();
/// assert_eq!(metajit::driver::why_not_compiled(add::jit_driver(), &[2]), None);
/// let reason = metajit::driver::why_not_compiled(add::jit_driver(), &[3]);
/// assert_eq!(reason.as_deref(), Some("it was never hot"));
/// # }
/// ```
pub fn why_not_compiled(driver: &'static Driver, greens: &[u64]) -> Option<String> {
    with(|runtime| match runtime.find(driver, greens) {
        Some(place) => runtime.places[place].why_not_compiled(),
        None => Some("it was never hot".to_owned()),
    })
}

/// For every place whose name in logs has `part` in it: the name, and why it has no compiled code (`None` if it has).
pub fn explain(part: &str) -> Vec<(String, Option<String>)> {
    with(|runtime| {
        let named = (0..runtime.places.len()).map(|place| (runtime.location(place), place));
        named
            .filter(|(name, _)| name.contains(part))
            .map(|(name, place)| (name, runtime.places[place].why_not_compiled()))
            .collect()
    })
}

/// Bytes of machine code that are in use by this thread's runtime, and how many there may be.
pub fn code_memory() -> (usize, usize) {
    with(|runtime| runtime.compilations.memory().unwrap_or((0, runtime.parameters.code_memory)))
}

/// Waits until everything that is being compiled is there, and publishes it: for measurements and tests.
pub fn finish_compilations() {
    with(Runtime::finish_compilations);
}

/// For how long nothing has been recorded or published; `None` while something is being compiled. Warm-up is over when that
/// is long compared to an iteration of what is measured.
///
/// ```
/// # use std::time::Duration;
/// // ... run the program's main loop, until:
/// let warm = metajit::driver::quiet_for().is_some_and(|quiet| quiet > Duration::ZERO);
/// assert!(warm);
/// ```
pub fn quiet_for() -> Option<Duration> {
    with(|runtime| {
        runtime.poll();
        (runtime.compilations.pending() == 0).then(|| runtime.last_change.elapsed())
    })
}

/// Whether the place has code that can be entered.
pub fn has_code(driver: &'static Driver, greens: &[u64]) -> bool {
    with(|runtime| {
        runtime
            .find(driver, greens)
            .is_some_and(|place| runtime.places[place].live.as_ref().is_some_and(|live| live.compiled.is_some()))
    })
}

/// The call cell of a place that has been recorded: it has code, or will have some.
pub(crate) fn cell_of_tree(driver: &'static Driver, greens: &[u64]) -> Option<&'static CallCell> {
    with(|runtime| {
        let place = &runtime.places[runtime.find(driver, greens)?];
        place.live.as_ref().map(|_| place.cell)
    })
}

/// Whether calls of this place are never inlined.
pub fn never_inlines(driver: &'static Driver, greens: &[u64]) -> bool {
    with(|runtime| runtime.find(driver, greens).is_some_and(|place| runtime.places[place].never_inline))
}

impl Drop for Runtime {
    fn drop(&mut self) {
        super::entry::forget_all();
        self.last_words();
    }
}

/// Ends what this thread's JIT compiler writes (the log, the report) without freeing its memory: for a thread that is about to end
/// the process, which frees all of it at once. A thread that just ends needs no such call.
pub fn leave_to_the_system() {
    if let Some(runtime) = RUNTIME.take() {
        ManuallyDrop::new(runtime).last_words();
    }
}

impl Runtime {
    /// All that was counted.
    fn statistics(&self) -> Statistics {
        Statistics { entries: self.places.iter().map(|place| place.cell.entries()).sum(), ..self.statistics.clone() }
    }

    /// The statistics, and every place with how it does.
    fn report(&self) -> String {
        let mut text = String::new();
        for (name, count) in self.statistics().fields() {
            text.push_str(&format!("metajit: {name} {count}\n"));
        }
        for (number, place) in self.places.iter().enumerate() {
            let state = match (&place.live, place.given_up) {
                (Some(live), _) => format!(
                    "{} fragments, {} recorded ops, {} bridges pending{}",
                    live.tree.fragments.len(),
                    live.tree.insts.len(),
                    live.pending,
                    if live.full { ", full" } else { "" }
                ),
                (None, Some(reason)) => format!("given up: {}", reason.name()),
                (None, None) => format!("{} aborts, never inlined: {}", place.aborts, place.never_inline),
            };
            text.push_str(&format!("metajit: {}: {state}\n", self.location(number)));
            let Some(live) = &place.live else { continue };
            let mut failures: Vec<_> = live.failures.iter().collect();
            failures.sort_by_key(|(_, failures)| std::cmp::Reverse(failures.ever));
            for ((guard, instance), failures) in failures.iter().take(3) {
                text.push_str(&format!("metajit:    g{}#{instance} failed {} times\n", guard.0, failures.ever));
            }
        }
        text
    }

    /// Writes what is written at the end.
    fn last_words(&mut self) {
        self.conclude();
        if self.parameters.report {
            eprint!("{}", self.report());
        }
    }

    /// Ends the log, if there is one.
    fn conclude(&mut self) {
        if !self.observers.logs() {
            return;
        }
        for number in 0..self.places.len() {
            let place = &self.places[number];
            let mut fields = text_field("place", &self.location(number));
            fields.push_str(&format!(",\"entries\":{}", place.cell.entries()));
            if self.parameters.profile {
                let [jumps, calls] = place.visited;
                fields.push_str(&format!(",\"calls\":{calls},\"jumps\":{jumps}"));
            }
            if let Some(live) = &place.live {
                let mut exits: Vec<_> = live.failures.iter().collect();
                exits.sort_by_key(|(exit, failures)| (std::cmp::Reverse(failures.ever), **exit));
                let exits: Vec<String> = exits
                    .iter()
                    .map(|((guard, instance), failures)| format!("\"g{}#{instance}\":{}", guard.0, failures.ever))
                    .collect();
                fields.push_str(&format!(",\"pending\":{},\"exits\":{{{}}}", live.pending, exits.join(",")));
            }
            self.observers.conclude("place", &fields);
        }
        let counters: String =
            self.statistics().fields().iter().map(|(name, count)| format!(",\"{name}\":{count}")).collect();
        self.observers.conclude("statistics", &counters);
    }

    /// Notes something that happened to a place, if anybody wants to know.
    pub(super) fn tell(&mut self, place: PlaceId, event: impl FnOnce(String) -> Event) {
        if self.observers.any() {
            let name = self.location(place);
            self.observers.push(event(name));
        }
    }

    /// A limit was reached, because of which a tree gets no more bridges.
    pub(super) fn full(&mut self, place: PlaceId, parameter: &'static str) {
        self.statistics.count_limit(parameter);
        self.tell(place, |place| Event::Limit { place, parameter });
    }

    fn new() -> Runtime {
        let process = PROCESS.read().unwrap_or_else(PoisonError::into_inner).clone();
        let parameters = process.unwrap_or_else(|| Parameters::default().with_environment());
        let runtime = Runtime {
            parameters,
            statistics: Statistics::default(),
            places: Vec::new(),
            codes: FastMap::default(),
            next_number: 0,
            index: FastMap::default(),
            recent: Box::new([const { Cell::new(PlaceId::MAX) }; RECENT]),
            replays: Vec::new(),
            compilations: Compilations::default(),
            panic: None,
            observers: Observers::from_environment(),
            retired: Retired::default(),
            decayed_at: 0,
            last_change: Instant::now(),
        };
        runtime.publish_thresholds();
        runtime
    }

    pub(super) fn publish_thresholds(&self) {
        let parameters = &self.parameters;
        stack::set_reserve(parameters.stack_reserve);
        set_counting(parameters.counts());
        THRESHOLDS.set(if parameters.profile {
            (1, 1)
        } else if parameters.enabled && parameters.threaded {
            (parameters.tier1_threshold, parameters.tier1_threshold)
        } else if parameters.enabled {
            (parameters.threshold, parameters.function_threshold)
        } else {
            (u32::MAX, u32::MAX)
        });
    }

    pub(super) fn find(&self, driver: &'static Driver, greens: &[u64]) -> Option<PlaceId> {
        let hash = hash(driver, greens);
        let recent = &self.recent[(hash >> 40) as usize % RECENT];
        let same = |place: PlaceId| {
            let at = self.places.get(place)?;
            (std::ptr::eq(at.driver, driver) && at.greens == greens).then_some(place)
        };
        if let Some(place) = same(recent.get()) {
            return Some(place);
        }
        let place = self.index.get(&hash)?.iter().copied().find_map(same)?;
        recent.set(place);
        Some(place)
    }

    pub(super) fn place(&mut self, driver: &'static Driver, greens: &[u64]) -> PlaceId {
        if let Some(place) = self.find(driver, greens) {
            return place;
        }
        greens.iter().for_each(|&green| super::keep_constant(green));
        let place = self.places.len();
        self.places.push(Place {
            driver,
            greens: greens.to_vec(),
            name: self.needs_names().then(|| (driver.location)(greens).into()),
            visited: [0; 2],
            live: None,
            threaded: Threaded::default(),
            called: false,
            visits: 0,
            busy: false,
            aborts: 0,
            given_up: None,
            never_inline: false,
            invalidations: 0,
            entries_before: 0,
            cell: CallCell::leak(driver, greens, place),
        });
        self.index.entry(hash(driver, greens)).or_default().push(place);
        place
    }

    pub(super) fn at(&mut self, place: PlaceId) -> &mut Place {
        &mut self.places[place]
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            trace_limit: self.parameters.trace_limit as usize,
            unroll: self.parameters.max_unroll_loops,
            inline_depth: self.parameters.max_inline_depth,
            inline_ops: self.parameters.max_inline_ops as usize,
            recursion: self.parameters.max_unroll_recursion,
            tracer: self.parameters.tracer,
            snapshot_repeats: self.parameters.snapshot_repeats,
        }
    }

    /// A number that no code has.
    pub(super) fn new_number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    /// Keeps code while it may be running.
    pub(super) fn keep_while_running(&mut self, compiled: &Rc<Compiled>) {
        self.codes.insert(compiled.number, compiled.clone());
    }

    /// The compiled code of a place.
    pub(super) fn compiled(&self, place: PlaceId) -> Option<Rc<Compiled>> {
        self.places[place].live.as_ref()?.compiled.clone()
    }

    /// The code of a place, of whichever tier, and its entry.
    pub(super) fn code(&self, place: PlaceId) -> Option<(Rc<Compiled>, u32)> {
        let threaded = || self.places[place].threaded.code().map(|(compiled, entry)| (compiled.clone(), entry));
        self.compiled(place).map(|compiled| (compiled, 0)).or_else(threaded)
    }

    /// Whether a recording may begin at a place.
    pub(super) fn can_record(&self, place: PlaceId) -> bool {
        !self.places[place].busy && self.places[place].given_up.is_none()
    }

    /// An aborted recording: counts it, and gives the place up when it has been too many.
    pub(super) fn aborted(&mut self, place: PlaceId, reason: Abort) {
        self.statistics.count_abort(reason);
        let max = self.parameters.max_aborts;
        let at = &mut self.places[place];
        at.aborts += 1;
        if at.aborts >= max {
            self.give_up(place, reason);
        }
    }

    /// Nothing is recorded at this place any more.
    pub(super) fn give_up(&mut self, place: PlaceId, reason: Abort) {
        let at = &mut self.places[place];
        if at.given_up.is_none() {
            at.given_up = Some(reason);
            self.statistics.given_up += 1;
            self.tell(place, |place| Event::GivenUp { place, reason });
        }
    }

    /// Takes a place's tree away: `None` if it had none.
    pub(super) fn remove(&mut self, place: PlaceId) -> Option<Box<Live>> {
        let mut live = self.places[place].live.take()?;
        self.retire(live.compiled.take());
        self.publish(place);
        let greens = &self.places[place].greens;
        reset_counter(greens, false);
        reset_counter(greens, true);
        Some(live)
    }

    /// A place's tree relied on what has changed. A place where that happens again and again is given up.
    pub(super) fn invalidated(&mut self, place: PlaceId) {
        self.statistics.invalidated += 1;
        self.tell(place, |place| Event::Invalidated { place });
        let max = self.parameters.max_invalidations;
        let at = &mut self.places[place];
        let used = at.cell.entries() - std::mem::replace(&mut at.entries_before, at.cell.entries());
        at.invalidations = if used >= USEFUL_ENTRIES { 0 } else { at.invalidations + 1 };
        if at.invalidations >= max {
            self.statistics.count_limit("max_invalidations");
            self.give_up(place, Abort::Invalidated);
        }
    }

    /// Makes counters forget: what got hot in a long time is not hot. Time is told by collections, so that runs that
    /// are to be the same are the same; those made for stress don't count, or else nothing would be compiled under stress. Done only when
    /// something is about to be recorded, for all collections since.
    fn decay(&mut self) {
        let statistics = gc::statistics();
        let collections = statistics.minor - statistics.stressed;
        let since = collections - std::mem::replace(&mut self.decayed_at, collections);
        let decay = self.parameters.decay.min(1000);
        if since == 0 || decay == 0 {
            return;
        }
        self.statistics.decays += 1;
        super::scale_counters((1.0 - f64::from(decay) / 1000.0).powi(since.min(10_000) as i32));
    }

    /// A callee that loops is not inlined again. Whether the tree that was being extended has it inlined: it can't be
    /// completed then, and has to be recorded anew with a call in its place.
    pub(super) fn note_looping_call(&mut self, recorder: &mut Recorder) -> bool {
        let Some((driver, greens, inherited)) = recorder.looping_call.take() else {
            return false;
        };
        let place = self.place(driver, &greens);
        let before = std::mem::replace(&mut self.places[place].never_inline, true);
        inherited && !before
    }

    pub(super) fn location(&self, place: PlaceId) -> String {
        let place = &self.places[place];
        place.name.as_ref().map_or_else(|| (place.driver.location)(&place.greens), |name| name.to_string())
    }

    /// Whether places are named when the thread ends.
    fn needs_names(&self) -> bool {
        self.observers.logs() || self.parameters.report
    }

    /// Notes the names of places if they will be asked for when the thread ends: what a driver's `location` looks at need not be
    /// there any more.
    pub(super) fn name_places(&mut self) {
        if self.needs_names() {
            self.places.iter_mut().filter(|place| place.name.is_none()).for_each(|place| {
                place.name = Some((place.driver.location)(&place.greens).into());
            });
        }
    }
}

/// Throws away the trees whose constants don't hold any more.
pub(super) fn drop_invalid() {
    with(|runtime| {
        for place in 0..runtime.places.len() {
            if runtime.places[place].live.as_ref().is_some_and(|live| !holds(&live.validity)) {
                runtime.remove(place);
                runtime.invalidated(place);
            }
        }
    });
}

/// The instance that an exit of a guard which fails always is said to be of.
pub(super) const FORCED: u32 = u32::MAX;

/// Called when [`super::hot`] says so: records, or runs the code that there is.
#[cold]
#[inline(never)]
pub fn enter(driver: &'static Driver, greens: &[u64], reds: &[u64], function: bool) -> Entered {
    if let Some(entered) = entry::enter(driver, greens, reds) {
        return entered;
    }
    enum Todo {
        Nothing,
        Record(PlaceId),
        Thread(PlaceId),
        Run(PlaceId),
    }
    let todo = with(|runtime| {
        // Thresholds start at 0, so that the first visit of a thread comes here and reads the parameters.
        if runtime.parameters.profile {
            let place = runtime.place(driver, greens);
            runtime.places[place].visited[usize::from(function)] += 1;
            reset_counter(greens, function);
            return Todo::Nothing;
        }
        if !runtime.parameters.enabled || super::is_early(greens, function) {
            return Todo::Nothing;
        }
        runtime.poll();
        if !stack::has_room() {
            runtime.statistics.count_limit("stack_reserve");
            return Todo::Nothing;
        }
        let place = runtime.place(driver, greens);
        runtime.places[place].called |= function;
        if runtime.code(place).is_some() {
            return Todo::Run(place);
        }
        if let Some(visits) = runtime.awaits(place) {
            delay_counter(greens, function, visits);
            return Todo::Nothing;
        }
        let can_record = runtime.can_record(place) && runtime.parameters.tracing;
        let at = &mut runtime.places[place];
        if runtime.parameters.threaded {
            if matches!(at.threaded, Threaded::Untried) {
                return Todo::Thread(place);
            }
            // Each visit of this kind stands for as many as make threaded code.
            at.visits += 1;
            let threshold = if function { runtime.parameters.function_threshold } else { runtime.parameters.threshold };
            if u64::from(at.visits) * u64::from(runtime.parameters.tier1_threshold) < u64::from(threshold) {
                reset_counter(greens, function);
                return Todo::Nothing;
            }
        }
        if !can_record {
            reset_counter(greens, function);
            return Todo::Nothing;
        }
        if runtime.compilations.pending() >= runtime.parameters.max_jobs as usize {
            runtime.statistics.count_limit("max_jobs");
            delay_counter(greens, function, POLL_VISITS);
            return Todo::Nothing;
        }
        let at = &mut runtime.places[place];
        at.busy = true;
        runtime.decay();
        if super::is_early(greens, function) {
            runtime.places[place].busy = false;
            return Todo::Nothing;
        }
        Todo::Record(place)
    });
    match todo {
        Todo::Nothing => Entered::No,
        Todo::Run(place) => run(place, reds),
        Todo::Thread(place) if threaded::make(place, driver, greens) => run(place, reds),
        Todo::Thread(_) => Entered::No,
        Todo::Record(place) => record(place, driver, greens, reds, function),
    }
}

/// Makes a place usable again when a panic passes through its recording.
struct Recording(PlaceId);
impl Drop for Recording {
    fn drop(&mut self) {
        with(|runtime| {
            runtime.places[self.0].busy = false;
            if std::thread::panicking() {
                runtime.aborted(self.0, Abort::Panic);
            }
        });
    }
}

fn record(place: PlaceId, driver: &'static Driver, greens: &[u64], reds: &[u64], function: bool) -> Entered {
    let guard = Recording(place);
    let (limits, spread) = with(|runtime| {
        runtime.statistics.loops_recorded += 1;
        if function || runtime.at(place).called {
            runtime.decide(place, reds, true);
        }
        let spread = runtime.spread_of(place, reds);
        runtime.last_change = Instant::now();
        runtime.tell(place, |place| Event::Recording { place, bridge: None });
        (runtime.limits(), spread)
    });
    let start = thread_time();
    let (mut recorder, raws) = Recorder::root(driver, greens, reds, limits);
    recorder.tree.spread = spread;
    let mut meta = Meta::recording(recorder);
    let mut words = Vec::new();
    (driver.twin)(&mut meta, greens, &raws, &mut words);
    let (outcome, recorder, _) = meta.finish();
    let outcome = outcome_of(outcome, &words);
    let ns = thread_time() - start;
    with(|runtime| runtime.statistics.record_ns += ns);
    let ending = thread_time();
    if let Some(mut recorder) = recorder {
        complete(&mut recorder, &outcome, &words);
        with(|runtime| {
            runtime.note_looping_call(&mut recorder);
            let valid = holds(&recorder.validity);
            if !recorder.ended || !valid {
                reset_counter(greens, function);
                let why = if recorder.ended { Abort::Invalidated } else { recorder.aborted.unwrap_or(Abort::TooLong) };
                runtime.tell(place, |place| Event::Aborted { place, bridge: None, reason: why, ns });
                return runtime.aborted(place, why);
            }
            let ops = recorder.recorded();
            runtime.tell(place, |place| Event::Recorded { place, bridge: None, ops, ns });
            runtime.statistics.ops_recorded += recorder.recorded() as u64;
            runtime.statistics.guards_recorded += recorder.guards_recorded() as u64;
            runtime.places[place].live = Some(Box::new(Live {
                tree: Arc::new(recorder.tree),
                validity: recorder.validity,
                compiled: None,
                stage: Stage::Settled,
                under_way: false,
                attached: Attached::new(),
                failures: HashMap::new(),
                pending: 0,
                lost: 0,
                last_cost: 0,
                last_ops: 0,
                aborts: 0,
                full: false,
            }));
            runtime.compile(place);
            runtime.statistics.pause(ns + thread_time() - ending);
        });
    }
    drop(guard);
    go_on(driver, outcome)
}

/// A recording whose outermost twin returned has its end there.
pub(super) fn complete(recorder: &mut Recorder, outcome: &Outcome, words: &[Raw]) {
    if matches!(outcome, Outcome::Return(_)) && recorder.aborted.is_none() && !recorder.ended {
        recorder.finish(words);
    }
}

pub(super) fn outcome_of(outcome: Option<Continue>, words: &[Raw]) -> Outcome {
    match outcome {
        Some(go_on) => Outcome::Continue(go_on),
        None => Outcome::Return(words.iter().map(|word| word.bits).collect()),
    }
}

/// After code was left: straight into other code, if there is any where the interpreter would go on.
fn go_on(driver: &'static Driver, outcome: Outcome) -> Entered {
    match outcome {
        Outcome::Return(words) => return_words(&words),
        Outcome::Link(cell, compiled) => {
            let code = compiled.execute(0);
            follow(cell.place(), driver, compiled, code)
        }
        Outcome::Interpret(next) => Entered::Continue(next),
        Outcome::Record(place, next) => record(place, driver, &next.greens, &next.reds, false),
        Outcome::Continue(next) => {
            let place = with(|runtime| {
                let place = runtime.find(driver, &next.greens)?;
                runtime.code(place).map(|_| place)
            });
            match place {
                Some(place) => run(place, &next.reds),
                None => Entered::Continue(next),
            }
        }
    }
}

/// Runs the code of a place until the interpreter has to go on.
fn run(place: PlaceId, reds: &[u64]) -> Entered {
    let (compiled, driver) = with(|runtime| {
        let cell = runtime.places[place].cell;
        cell.count_entry();
        let code = runtime.code(place);
        if code.as_ref().is_some_and(|&(_, entry)| entry == 0) {
            entry::remember(cell);
        }
        (code, runtime.places[place].driver)
    });
    let Some((compiled, entry)) = compiled else {
        let greens = with(|runtime| runtime.places[place].greens.clone());
        return Entered::Continue(Continue { greens, reds: reds.to_vec() });
    };
    if !compiled.take_reds(reds) {
        let greens = with(|runtime| runtime.places[place].greens.clone());
        return Entered::Continue(Continue { greens, reds: reds.to_vec() });
    }
    let code = compiled.execute(entry);
    follow(place, driver, compiled, code)
}

/// Goes on from where code was left: in other code, or until the interpreter has to.
pub(super) fn follow(
    mut place: PlaceId,
    driver: &'static Driver,
    mut compiled: Rc<Compiled>,
    mut code: u64,
) -> Entered {
    loop {
        let mut entry = 0;
        match code {
            FINISH => return Entered::Return,
            PANICKED => resume_panic(),
            exit => match exit::leave(place, driver, &compiled, exit) {
                Outcome::Return(words) => return return_words(&words),
                Outcome::Interpret(next) => return Entered::Continue(next),
                Outcome::Record(place, next) => return record(place, driver, &next.greens, &next.reds, false),
                Outcome::Link(cell, next) => (place, compiled) = (cell.place(), next),
                Outcome::Continue(next) => {
                    let other = with(|runtime| {
                        let place = runtime.find(driver, &next.greens)?;
                        Some((place, runtime.code(place)?))
                    });
                    let Some(other) = other else { return Entered::Continue(next) };
                    (place, (compiled, entry)) = other;
                    if !compiled.take_reds(&next.reds) {
                        return Entered::Continue(next);
                    }
                }
            },
        }
        code = compiled.execute(entry);
    }
}

/// Resumes the panic that a callee of compiled code raised.
pub(super) fn resume_panic() -> ! {
    // SAFETY: the context lives as long as the thread, and no reference to it is held across a run.
    let (panicked, results) = unsafe {
        let context = context();
        (std::mem::take(&mut (*context).panicked), (*context).results)
    };
    if panicked == OUT_OF_MEMORY {
        std::panic::panic_any(gc::OutOfMemory { requested: results[1] as usize, limit: results[2] as usize });
    }
    let payload = with(|runtime| runtime.panic.take());
    std::panic::resume_unwind(payload.unwrap_or_else(|| Box::new("a callee panicked")));
}

impl Compiled {
    /// Runs it once: the reds are in the context's slots.
    pub(super) fn execute(&self, entry: u32) -> u64 {
        // SAFETY: the context lives as long as the thread; the code reaches it only through this pointer, and no reference to
        // it is held across a run. The code is kept alive by whoever holds `self`.
        unsafe {
            (*context()).entry = u64::from(entry);
            match &self.machine {
                Some(machine) => (machine.entry())(context()),
                None => crate::ir::eval::run(&self.code, context(), &self.validity),
            }
        }
    }
}

/// A place was called so often that it is time to look after it.
#[cold]
pub(super) fn called_often(place: PlaceId) {
    with(|runtime| runtime.look_after(place));
}

/// Finishes a portal call whose code was left by an exit: its result words go to the context.
pub(super) fn finish_portal(place: PlaceId, driver: &'static Driver, compiled: Rc<Compiled>, exit: u64) {
    if let Entered::Continue(next) = follow(place, driver, compiled, exit) {
        let mut words = Words::default();
        (driver.plain)(&next.greens, &next.reds, &mut words);
        return_words(&words);
    }
}

/// Keeps a panic for whoever leaves compiled code next.
pub(super) fn carry(payload: Box<dyn Any + Send>) {
    with(|runtime| runtime.panic = Some(payload));
    // SAFETY: the context lives as long as the thread.
    unsafe { (*context()).panicked = 1 };
}

/// Runs a residual callee for compiled code: catches a panic, and writes the result words.
///
/// # Safety
/// `out` must have room for the result words after the first.
#[inline]
pub unsafe fn residual<R: Flat>(out: *mut u64, native: impl FnOnce() -> R) -> u64 {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(native));
    match result {
        Ok(result) => {
            // SAFETY: the caller's contract.
            let mut words = unsafe { Returned::to(out) };
            result.flatten(&mut words);
            words.first()
        }
        Err(payload) => {
            carry(payload);
            0
        }
    }
}

/// Entries of a tree that make up for having recorded and compiled it, when it turns out not to last.
const USEFUL_ENTRIES: u64 = 1000;

/// How long one exit takes, with the interpretation that follows: for the rule about pending bridges.
pub(super) const EXIT_COST: Duration = Duration::from_nanos(1500);
