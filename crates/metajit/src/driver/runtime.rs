//! The runtime of one thread: cells, compiled trees, and the way in.

use super::cell::CallCell;
use super::compile::{Attached, Compilations};
use super::parameters::Parameters;
use super::statistics::Statistics;
use super::{Driver, THRESHOLDS, Validity, delay_counter, exit, holds, reset_counter};
use crate::backend::{Machine, OUT_OF_MEMORY};
use crate::context::{Context, FINISH, PANICKED};
use crate::gc;
use crate::ir::code::Code;
use crate::ir::tree::{GuardId, Tree};
use crate::record::{Abort, Continue, FastMap, Limits, Meta, Recorder, Replay};
use crate::twin::{Flat, Raw};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What came of [`enter`].
#[derive(Debug)]
pub enum Entered {
    /// Nothing: go on.
    No,
    /// Code ran; go on at this merge point.
    Continue(Continue),
    /// Code ran until the portal returned these words.
    Return(Vec<u64>),
}

/// How a run of code ended.
pub(super) enum Outcome {
    Continue(Continue),
    Return(Vec<u64>),
    /// Other code goes on, whose reds are in the context's slots already.
    Link(&'static CallCell, Rc<Compiled>),
}

/// Code, as it runs.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) code: Code,
    /// The upper half of its exits' numbers.
    pub(super) number: u32,
    /// `None` when it is evaluated.
    pub(super) machine: Option<Machine>,
    pub(super) validity: Validity,
    /// Where the exits at the ends of fragments lead, once that is known.
    pub(super) links: RefCell<FastMap<u64, &'static CallCell>>,
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
    pub(super) attached: Attached,
    /// How often each exit was taken.
    pub(super) failures: HashMap<(GuardId, u32), u32>,
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

impl Live {
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
    pub(super) live: Option<Box<Live>>,
    pub(super) busy: bool,
    aborts: u32,
    given_up: Option<Abort>,
    never_inline: bool,
    pub(super) cell: &'static CallCell,
}

impl Place {
    /// Nothing is recorded here any more.
    pub(super) fn give_up(&mut self, reason: Abort) {
        self.given_up = Some(reason);
    }
}

/// Index of a place.
pub(super) type PlaceId = usize;

pub(super) struct Runtime {
    pub(super) parameters: Parameters,
    pub(super) statistics: Statistics,
    places: Vec<Place>,
    /// All code that may be running, by its number.
    codes: FastMap<u32, Rc<Compiled>>,
    /// The number of the next code.
    next_number: u32,
    /// Places by the hash of driver and greens.
    index: FastMap<u64, Vec<PlaceId>>,
    /// Replays not in use, for their buffers.
    pub(super) replays: Vec<Replay>,
    pub(super) compilations: Compilations,
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    static CONTEXT: Cell<*mut Context> = const { Cell::new(std::ptr::null_mut()) };
    /// Activations of compiled code that Rust code entered.
    static RUNNING: Cell<u32> = const { Cell::new(0) };
    /// Whether some code was replaced since code was last freed.
    static REPLACED: Cell<bool> = const { Cell::new(false) };
}

fn hash(driver: &'static Driver, greens: &[u64]) -> u64 {
    greens.iter().fold(std::ptr::from_ref(driver) as u64, |hash, &green| {
        (hash ^ green).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Runs `f` on the thread's runtime. `f` must not run the interpreter.
pub(super) fn with<R>(f: impl FnOnce(&mut Runtime) -> R) -> R {
    RUNTIME.with(|runtime| {
        let mut runtime = runtime.borrow_mut();
        f(runtime.get_or_insert_with(Runtime::new))
    })
}

/// The thread's context. It stays where it is for ever.
#[inline]
pub(super) fn context() -> *mut Context {
    let context = CONTEXT.get();
    if context.is_null() { new_context() } else { context }
}

#[cold]
fn new_context() -> *mut Context {
    let context = Box::new(Context { stack_limit: crate::stack::limit() as u64, ..Context::default() });
    let context = Box::into_raw(context);
    CONTEXT.set(context);
    context
}

/// Tells compiled code of a new limit of the stack.
pub(crate) fn stack_limit_changed(limit: usize) {
    let context = CONTEXT.get();
    if !context.is_null() {
        // SAFETY: the context lives as long as the thread; nothing else uses it now.
        unsafe { (*context).stack_limit = limit as u64 };
    }
}

/// The code that an exit's number is of. It was running, so it is alive.
pub(super) fn code_of(number: u64) -> Rc<Compiled> {
    with(|runtime| runtime.codes[&((number >> 32) as u32)].clone())
}

/// Code may have lost its last owner: it is to be freed as soon as none runs.
pub(super) fn code_was_replaced() {
    REPLACED.set(true);
}

/// Frees code that nobody owns any more. None must be running.
#[cold]
fn free_replaced() {
    REPLACED.set(false);
    let dead: Vec<Rc<Compiled>> = with(|runtime| {
        let dead = runtime.codes.iter().filter(|(_, code)| Rc::strong_count(code) == 1);
        let numbers: Vec<u32> = dead.map(|(&number, _)| number).collect();
        numbers.iter().filter_map(|number| runtime.codes.remove(number)).collect()
    });
    drop(dead);
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

/// Sets the thread's parameters, which hold from now on; what is compiled stays.
pub fn set_parameters(parameters: Parameters) {
    with(|runtime| {
        runtime.parameters = parameters;
        runtime.publish_thresholds();
    });
}

/// What the thread's runtime has done so far.
pub fn statistics() -> Statistics {
    with(|runtime| runtime.statistics.clone())
}

/// Why the place has no compiled code; `None` if it has.
pub fn why_not_compiled(driver: &'static Driver, greens: &[u64]) -> Option<String> {
    with(|runtime| {
        let Some(place) = runtime.find(driver, greens) else {
            return Some("it was never hot".to_owned());
        };
        let place = &runtime.places[place];
        if place.live.as_ref().is_some_and(|live| live.compiled.is_some()) {
            return None;
        }
        Some(match place.given_up {
            Some(reason) => format!("it was given up after {} aborted recordings: {}", place.aborts, reason.name()),
            None if place.busy => "it is being recorded".to_owned(),
            None if place.live.is_some() => "it is being compiled".to_owned(),
            None if place.aborts > 0 => format!("{} recordings were aborted", place.aborts),
            None => "it was not hot for long enough".to_owned(),
        })
    })
}

/// Waits until everything that is being compiled is there, and publishes it: for measurements and tests.
pub fn finish_compilations() {
    with(Runtime::finish_compilations);
}

/// Whether the place has code that can be entered.
pub fn has_code(driver: &'static Driver, greens: &[u64]) -> bool {
    with(|runtime| {
        runtime
            .find(driver, greens)
            .is_some_and(|place| runtime.places[place].live.as_ref().is_some_and(|live| live.compiled.is_some()))
    })
}

/// Whether calls of this place are never inlined.
pub fn never_inlines(driver: &'static Driver, greens: &[u64]) -> bool {
    with(|runtime| runtime.find(driver, greens).is_some_and(|place| runtime.places[place].never_inline))
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.parameters.report {
            eprint!("{}", self.report());
        }
    }
}

impl Runtime {
    /// The statistics, and every place with how it does.
    fn report(&self) -> String {
        let mut text = String::new();
        for (name, count) in self.statistics.fields() {
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
            failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for ((guard, instance), count) in failures.iter().take(3) {
                text.push_str(&format!("metajit:    g{}#{instance} failed {count} times\n", guard.0));
            }
        }
        text
    }

    fn new() -> Runtime {
        let mut parameters = Parameters::default();
        if let Ok(text) = std::env::var("METAJIT")
            && let Err(error) = parameters.set(&text)
        {
            eprintln!("metajit: METAJIT: {error}");
        }
        let runtime = Runtime {
            parameters,
            statistics: Statistics::default(),
            places: Vec::new(),
            codes: FastMap::default(),
            next_number: 0,
            index: FastMap::default(),
            replays: Vec::new(),
            compilations: Compilations::default(),
            panic: None,
        };
        runtime.publish_thresholds();
        runtime
    }

    pub(super) fn publish_thresholds(&self) {
        let parameters = &self.parameters;
        THRESHOLDS.set(if parameters.enabled {
            (parameters.threshold, parameters.function_threshold)
        } else {
            (u32::MAX, u32::MAX)
        });
    }

    pub(super) fn find(&self, driver: &'static Driver, greens: &[u64]) -> Option<PlaceId> {
        let places = self.index.get(&hash(driver, greens))?;
        let same = |place: &&PlaceId| {
            let place = &self.places[**place];
            std::ptr::eq(place.driver, driver) && place.greens == greens
        };
        places.iter().find(same).copied()
    }

    fn place(&mut self, driver: &'static Driver, greens: &[u64]) -> PlaceId {
        if let Some(place) = self.find(driver, greens) {
            return place;
        }
        greens.iter().for_each(|&green| super::keep_constant(green));
        let place = self.places.len();
        self.places.push(Place {
            driver,
            greens: greens.to_vec(),
            live: None,
            busy: false,
            aborts: 0,
            given_up: None,
            never_inline: false,
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

    /// An aborted recording: counts it, and gives the place up when it has been too many.
    pub(super) fn aborted(&mut self, place: PlaceId, reason: Abort) {
        self.statistics.count_abort(reason);
        let max = self.parameters.max_aborts;
        let place = &mut self.places[place];
        place.aborts += 1;
        if place.aborts >= max && place.given_up.is_none() {
            place.given_up = Some(reason);
            self.statistics.given_up += 1;
        }
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
        (place.driver.location)(&place.greens)
    }
}

/// Throws away the trees whose constants don't hold any more.
pub(super) fn drop_invalid() {
    with(|runtime| {
        for place in &mut runtime.places {
            if place.live.as_ref().is_some_and(|live| !holds(&live.validity)) {
                place.cell.publish(None);
                code_was_replaced();
                place.live = None;
                runtime.statistics.invalidated += 1;
                reset_counter(&place.greens, false);
                reset_counter(&place.greens, true);
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
    enum Todo {
        Nothing,
        Record(PlaceId),
        Run(PlaceId),
    }
    let todo = with(|runtime| {
        // Thresholds start at 0, so that the first visit of a thread comes here and reads the parameters.
        if !runtime.parameters.enabled || super::is_early(greens, function) {
            return Todo::Nothing;
        }
        runtime.poll();
        let place = runtime.place(driver, greens);
        if runtime.compiled(place).is_some() {
            return Todo::Run(place);
        }
        if let Some(visits) = runtime.awaits(place) {
            delay_counter(greens, function, visits);
            return Todo::Nothing;
        }
        let at = &mut runtime.places[place];
        if at.busy || at.given_up.is_some() {
            reset_counter(greens, function);
            return Todo::Nothing;
        }
        at.busy = true;
        Todo::Record(place)
    });
    match todo {
        Todo::Nothing => Entered::No,
        Todo::Run(place) => run(place, reds),
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
    let limits = with(|runtime| {
        runtime.statistics.loops_recorded += 1;
        runtime.limits()
    });
    let start = thread_time();
    let (recorder, raws) = Recorder::root(driver, greens, reds, limits);
    let mut meta = Meta::recording(recorder);
    let words = (driver.twin)(&mut meta, greens, &raws);
    let (outcome, recorder, _) = meta.finish();
    let outcome = outcome_of(outcome, &words);
    with(|runtime| runtime.statistics.record_ns += thread_time() - start);
    if let Some(mut recorder) = recorder {
        complete(&mut recorder, &outcome, &words);
        with(|runtime| {
            runtime.note_looping_call(&mut recorder);
            if !recorder.ended {
                reset_counter(greens, function);
                return runtime.aborted(place, recorder.aborted.unwrap_or(Abort::TooLong));
            }
            if !holds(&recorder.validity) {
                reset_counter(greens, function);
                return runtime.aborted(place, Abort::Invalidated);
            }
            runtime.statistics.ops_recorded += recorder.recorded() as u64;
            runtime.statistics.guards_recorded += recorder.guards_recorded() as u64;
            runtime.places[place].live = Some(Box::new(Live {
                tree: Arc::new(recorder.tree),
                validity: recorder.validity,
                compiled: None,
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
        Outcome::Return(words) => Entered::Return(words),
        Outcome::Link(cell, compiled) => {
            let code = compiled.execute();
            follow(cell.place(), driver, compiled, code)
        }
        Outcome::Continue(next) => {
            let place = with(|runtime| {
                let place = runtime.find(driver, &next.greens)?;
                runtime.compiled(place).map(|_| place)
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
        runtime.statistics.entries += 1;
        (runtime.compiled(place), runtime.places[place].driver)
    });
    let Some(compiled) = compiled else {
        let greens = with(|runtime| runtime.places[place].greens.clone());
        return Entered::Continue(Continue { greens, reds: reds.to_vec() });
    };
    // SAFETY: the context lives as long as the thread; nothing else uses it now.
    unsafe { (&mut (*context()).slots)[..reds.len()].copy_from_slice(reds) };
    let code = compiled.execute();
    follow(place, driver, compiled, code)
}

/// Goes on from where code was left: in other code, or until the interpreter has to.
fn follow(mut place: PlaceId, driver: &'static Driver, mut compiled: Rc<Compiled>, mut code: u64) -> Entered {
    let context = context();
    loop {
        match code {
            FINISH => {
                // SAFETY: the context lives as long as the thread, and no reference to it is held across a run.
                let words = unsafe { (&(*context).results)[..driver.results].to_vec() };
                return Entered::Return(words);
            }
            PANICKED => resume_panic(),
            exit => match exit::leave(place, driver, &compiled, exit) {
                Outcome::Return(words) => return Entered::Return(words),
                Outcome::Link(cell, next) => (place, compiled) = (cell.place(), next),
                Outcome::Continue(next) => {
                    let other = with(|runtime| {
                        let place = runtime.find(driver, &next.greens)?;
                        Some((place, runtime.compiled(place)?))
                    });
                    let Some(other) = other else { return Entered::Continue(next) };
                    (place, compiled) = other;
                    // SAFETY: as above.
                    unsafe { (&mut (*context).slots)[..next.reds.len()].copy_from_slice(&next.reds) };
                }
            },
        }
        code = compiled.execute();
    }
}

/// Resumes the panic that a callee of compiled code raised.
fn resume_panic() -> ! {
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
    fn execute(&self) -> u64 {
        let running = RUNNING.get();
        if running == 0 && REPLACED.get() {
            free_replaced();
        }
        let Some(machine) = &self.machine else {
            // SAFETY: as below.
            return unsafe { crate::ir::eval::run(&self.code, context(), &self.validity) };
        };
        RUNNING.set(running + 1);
        // SAFETY: the context lives as long as the thread; the code reaches it only through this pointer, and no reference to
        // it is held across a run. The code is kept alive by whoever holds `self`.
        let number = unsafe { (machine.entry())(context()) };
        RUNNING.set(running);
        number
    }
}

/// A place was called so often that it is time to look after it.
#[cold]
pub(super) fn called_often(place: PlaceId) {
    with(|runtime| runtime.look_after(place));
}

/// Finishes a portal call whose code was left by an exit: its result words.
pub(super) fn finish_portal(place: PlaceId, driver: &'static Driver, compiled: Rc<Compiled>, exit: u64) -> Vec<u64> {
    let mut words = Vec::with_capacity(driver.results);
    match follow(place, driver, compiled, exit) {
        Entered::Return(done) => words = done,
        Entered::Continue(next) => (driver.plain)(&next.greens, &next.reds, &mut words),
        Entered::No => {}
    }
    words
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
pub unsafe fn residual<R: Flat>(out: *mut u64, native: impl FnOnce() -> R) -> u64 {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(native));
    match result {
        Ok(result) => {
            let mut words = Vec::with_capacity(R::WORDS);
            result.flatten(&mut words);
            for (index, &word) in words.iter().enumerate().skip(1) {
                // SAFETY: the caller's contract.
                unsafe { *out.add(index - 1) = word };
            }
            words.first().copied().unwrap_or(0)
        }
        Err(payload) => {
            carry(payload);
            0
        }
    }
}

/// How long one exit takes, with the interpretation that follows: for the rule about pending bridges.
pub(super) const EXIT_COST: Duration = Duration::from_nanos(1500);
