//! From a tree to code that runs: jobs, and their publication.
//!
//! **Problem.** Optimizing and generating code takes most of the time that warm-up costs. The program should not wait for it;
//! and what it does meanwhile (a quasi-immutable field is written, another bridge is recorded) must not be undone by what
//! comes back late.
//!
//! **Approach.** A [`Job`] is a tree as it is now, shared (or threaded code before it is compiled), and everything that making code of it needs: it reads neither the
//! heap nor the runtime. With the parameter `sync` it is done at once, otherwise on the thread's own compile thread, which
//! starts with the first job. The program's thread alone publishes: it polls wherever it is in the driver anyway (exits,
//! counters that have run over, entries), and the counters of a place whose job is under way are set so that it comes by
//! often. A tree has one job at a time. Bridges recorded meanwhile wait for the next.
//!
//! **Publication** checks that the tree is still its place's tree and still valid, takes the code into the statistics, tells
//! unwinder and profilers, and sets the place's call cell. Code that it replaces stays alive while any runs.
//!
//! **Invariants.** What is published belongs to a valid tree. A tree whose bridge is being recorded is not in its place;
//! what comes back for it waits.

use super::events::Event;
use super::parameters::Parameters;
use super::runtime::{Compiled, FORCED, PlaceId, Runtime, Stage, thread_time};
use super::threaded::{self, Threaded};
use super::{Validity, holds, new_validity};
use crate::backend::{self, Arena, CompileError, Compiler, Finished, Machine, Quality, Queue, STACK};
use crate::ir::code::{Code, End};
use crate::ir::tree::{FragmentId, GuardId, Tree};
use crate::ir::{Arg, Class, Inst, Op};
use crate::opt;
use crate::record::Abort;
use crate::shallow::{UNFIT, Unit};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// After how many visits a place looks again whether its code is there: seldom enough to cost nothing, often enough that
/// code is in use within microseconds.
pub(super) const POLL_VISITS: u32 = 16;

/// Fragments of a tree beyond which it is compiled on a stack of its own: the optimizer follows bridges of bridges by recursion.
const DEEP_TREE: usize = 32;

/// Which bridge belongs to which instance of which guard.
pub(super) type Attached = BTreeMap<(GuardId, u32), FragmentId>;

/// What the program's thread knows a job by.
#[derive(Debug)]
struct Token {
    place: PlaceId,
    /// The number of the code.
    number: u32,
    validity: Validity,
    product: Product,
    submitted: Instant,
}

/// What a job makes.
#[derive(Debug)]
enum Product {
    /// Code of a tree.
    Tree {
        /// Bridges attached in the tree that the job was given.
        attached: usize,
        /// Instructions of the tree that the job was given.
        ops: usize,
        /// How well the code is made.
        stage: Stage,
    },
    /// Threaded code.
    Threaded {
        /// Its ways in.
        entries: Vec<Vec<u64>>,
        /// Merge points that it stands for.
        merge_points: usize,
        /// Thread time of running twins.
        shallow_ns: u64,
    },
}

/// What code is made of.
#[derive(Debug)]
enum Source {
    Tree { tree: Arc<Tree>, attached: Attached, optimize: opt::Options },
    Code(Box<Code>),
}

impl Source {
    /// How deep the graph of its blocks is, about: what passes over it recurse.
    fn depth(&self) -> usize {
        match self {
            Source::Tree { tree, .. } => tree.fragments.len(),
            Source::Code(code) => code.blocks.len(),
        }
    }
}

/// Everything that making code takes.
#[derive(Debug)]
struct Job {
    source: Source,
    backend: backend::Options,
    evaluate: bool,
    max_full_ops: usize,
    fail_guard: u32,
    trace: bool,
}

/// Code that was made.
#[derive(Debug)]
struct Made {
    code: Code,
    /// `None` when it is to be evaluated.
    machine: Option<Machine>,
    forced: bool,
}

/// Why no code was made.
#[derive(Debug)]
enum Refused {
    Optimizer,
    Backend(CompileError),
    /// There is no code generator at all.
    NoBackend(CompileError),
}

/// What came of a job.
#[derive(Debug)]
struct Done {
    result: Result<Made, Refused>,
    optimize_ns: u64,
    backend_ns: u64,
}

/// A job that came back and is not published yet.
#[derive(Debug)]
struct Arrived {
    finished: Finished<Token, Done>,
    /// Polls to go (the parameter `late`).
    wait: u32,
}

/// What is being compiled, and by whom.
#[derive(Default)]
pub(super) struct Compilations {
    arena: Option<Result<Arc<Arena>, CompileError>>,
    queue: Option<Queue<Token, Job, Done>>,
    arrived: VecDeque<Arrived>,
}

impl Compilations {
    /// Jobs that are not published yet.
    pub(super) fn pending(&self) -> usize {
        self.queue.as_ref().map_or(0, Queue::pending) + self.arrived.len()
    }

    /// Bytes of code memory in use, and altogether.
    pub(super) fn memory(&self) -> Option<(usize, usize)> {
        let arena = self.arena.as_ref()?.as_ref().ok()?;
        Some((arena.used(), arena.capacity()))
    }

    /// The queue, of the wanted kind. A queue of the other kind first hands back what it has.
    fn queue(&mut self, background: bool, bytes: usize) -> &mut Queue<Token, Job, Done> {
        if let Some(queue) = &mut self.queue
            && queue.is_background() != background
        {
            while let Some(finished) = queue.wait() {
                self.arrived.push_back(Arrived { finished, wait: 0 });
            }
            self.queue = None;
        }
        self.queue.get_or_insert_with(|| {
            let arena = self.arena.get_or_insert_with(|| Arena::new(bytes)).clone();
            let make = move || {
                let arena = arena.clone();
                let mut compiler = None;
                move |job| if background { work(&arena, &mut compiler, job) } else { here(&arena, &mut compiler, job) }
            };
            if background { Queue::background(make) } else { Queue::synchronous(make()) }
        })
    }
}

/// Does a job for a thread that waits, whose stack may be too small for trees with many bridges.
fn here(
    arena: &Result<Arc<Arena>, CompileError>,
    compiler: &mut Option<Result<Compiler, CompileError>>,
    job: Job,
) -> Done {
    if job.source.depth() <= DEEP_TREE {
        return work(arena, compiler, job);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("metajit-compiler".into()).stack_size(STACK);
        match thread.spawn_scoped(scope, || work(arena, compiler, job)).map(|thread| thread.join()) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Done {
                result: Err(Refused::Backend(CompileError::Codegen(format!("no thread: {error}")))),
                optimize_ns: 0,
                backend_ns: 0,
            },
        }
    })
}

/// Does a job. The compiler is made when it is first needed.
fn work(
    arena: &Result<Arc<Arena>, CompileError>,
    compiler: &mut Option<Result<Compiler, CompileError>>,
    mut job: Job,
) -> Done {
    let start = thread_time();
    let code = match &mut job.source {
        Source::Tree { tree, attached, optimize } => {
            let attach = |guard, instance| attached.get(&(guard, instance)).copied();
            opt::optimize(tree, optimize, &attach).ok().map(|optimized| optimized.code)
        }
        Source::Code(code) => {
            let empty = Code::new(code.portal);
            Some(std::mem::replace(&mut **code, empty))
        }
    };
    let middle = thread_time();
    let result = match code {
        Some(code) => generate(arena, compiler, &job, code),
        None => Err(Refused::Optimizer),
    };
    if let (true, Err(Refused::Backend(error))) = (job.trace, &result) {
        eprintln!("metajit: {}: {error}", job.backend.name);
    }
    Done { result, optimize_ns: middle - start, backend_ns: thread_time() - middle }
}

fn generate(
    arena: &Result<Arc<Arena>, CompileError>,
    compiler: &mut Option<Result<Compiler, CompileError>>,
    job: &Job,
    mut code: Code,
) -> Result<Made, Refused> {
    let forced = job.fail_guard > 0 && force_guard(&mut code, job.fail_guard);
    if job.trace {
        eprintln!("metajit: code of {}:\n{code}", job.backend.name);
    }
    if job.evaluate {
        return Ok(Made { code, machine: None, forced });
    }
    let compiler = compiler.get_or_insert_with(|| arena.clone().and_then(Compiler::new));
    let compiler = compiler.as_mut().map_err(|error| Refused::NoBackend(error.clone()))?;
    let mut options = job.backend.clone();
    if code.insts.len() > job.max_full_ops {
        options.quality = Quality::Quick;
    }
    let machine = compiler.compile(&code, &options).map_err(Refused::Backend)?;
    Ok(Made { code, machine: Some(machine), forced })
}

/// Makes the n-th guard fail always, of those that leave the code by it: others go to a bridge (in threaded code, to the other way
/// of a branch), count, or say that the code does not hold here. Its exit never gets a bridge: a bridge may rely on the condition
/// not having held.
fn force_guard(code: &mut Code, number: u32) -> bool {
    let leaves = |inst: &Inst| {
        let exit = || &code.exits[inst.index() as usize];
        let is_guard = inst.op.info().class == Class::Guard && !matches!(inst.op, Op::GuardValid | Op::GuardCount);
        is_guard && exit().bridge.is_none() && exit().instance != UNFIT
    };
    let insts = code.blocks.iter().flat_map(|block| &block.insts).copied();
    let guard = insts.filter(|&inst| leaves(code.inst(inst))).nth(number as usize - 1);
    let Some(guard) = guard else { return false };
    let inst = &mut code.insts[guard.0 as usize];
    let exit = inst.index() as usize;
    (inst.op, inst.args[0]) = (Op::GuardTrue, Arg::Const(0));
    code.exits[exit].instance = FORCED;
    true
}

/// Rounds of a loop between two looks whether better code is there: some hundred microseconds.
const ROUNDS_TO_WAIT: u32 = 1000;

impl Runtime {
    /// Has the tree of a place optimized and compiled as a whole. Nothing, while it is under way.
    pub(super) fn compile(&mut self, place: PlaceId) {
        self.after_fork();
        self.make_room(place);
        let name = self.location(place);
        let number = self.new_number();
        let Parameters { quick, peel_threshold, max_peel_ops, .. } = self.parameters;
        let at = self.at(place);
        let cell = at.cell;
        let Some(live) = &mut at.live else { return };
        if std::mem::replace(&mut live.under_way, true) {
            return;
        }
        let peels = live.tree.insts.len() <= max_peel_ops as usize;
        let stage = live.next_stage(cell.is_often_called(), peels && peel_threshold > 0 && !quick);
        if (live.stage, stage) == (Stage::Growing, Stage::Settled) {
            live.attach_to_both_instances();
        }
        let (tree, attached, validity) = (live.tree.clone(), live.attached.clone(), live.validity.clone());
        let product = Product::Tree { attached: attached.len(), ops: tree.insts.len(), stage };
        let token = Token { place, number, validity: validity.clone(), product, submitted: Instant::now() };
        let parameters = &self.parameters;
        let quality = if stage == Stage::Best && !parameters.quick { Quality::Full } else { Quality::Quick };
        let countdown = (stage != Stage::Best && !parameters.quick).then(|| cell.countdown());
        let valid = Some(validity);
        let mut optimize = if parameters.optimize {
            // What is in a switch can't be forced: it leaves when its cases have been ruled out.
            let switch = if parameters.fail_guard > 0 { 0 } else { parameters.switch_cases as usize };
            opt::Options { switch, ..opt::Options::default() }
        } else {
            opt::Options::none()
        };
        optimize.peel &= peels && stage != Stage::Growing;
        if countdown.is_some() {
            optimize.counter = Some(threaded::loop_counter(place) as u32);
        }
        let backend = backend::Options { valid, name, number, countdown, ..backend::Options::new(quality) };
        self.submit(token, Source::Tree { tree, attached, optimize }, backend);
    }

    /// Has threaded code compiled.
    pub(super) fn compile_threaded(&mut self, place: PlaceId, unit: Unit, shallow_ns: u64) {
        let Unit { code, entries, merge_points } = unit;
        let quality = if self.parameters.threaded_quick { Quality::Quick } else { Quality::Full };
        let (name, number) = (self.location(place), self.new_number());
        let backend = backend::Options { name, number, ..backend::Options::new(quality) };
        let token = Token {
            place,
            number,
            validity: new_validity(),
            product: Product::Threaded { entries, merge_points, shallow_ns },
            submitted: Instant::now(),
        };
        self.submit(token, Source::Code(Box::new(code)), backend);
    }

    fn submit(&mut self, token: Token, source: Source, backend: backend::Options) {
        let parameters = &self.parameters;
        let job = Job {
            source,
            backend,
            evaluate: parameters.evaluate,
            max_full_ops: parameters.max_full_ops as usize,
            fail_guard: parameters.fail_guard,
            trace: parameters.trace,
        };
        let (place, sync) = (token.place, parameters.sync);
        self.compilations.queue(!sync, parameters.code_memory).submit(token, job);
        self.publish(place);
        if sync {
            self.arrive();
        }
    }

    /// In a forked child, goes on with a compile thread and an arena of its own. What the parent's thread was making is lost;
    /// the parent's code, of which there may be activations, stays as it is.
    fn after_fork(&mut self) {
        if !matches!(&self.compilations.arena, Some(Ok(arena)) if !arena.is_ours()) {
            return;
        }
        // Not dropped: the thread that holds the other ends may have been in the middle of anything.
        std::mem::forget(std::mem::take(&mut self.compilations));
        for place in &mut self.places {
            if let Some(live) = &mut place.live {
                live.under_way = false;
            }
        }
    }

    /// Publishes what has been compiled meanwhile.
    #[inline]
    pub(super) fn poll(&mut self) {
        if self.compilations.pending() > 0 {
            self.arrive();
        }
    }

    /// Waits for every job, and publishes.
    pub(super) fn finish_compilations(&mut self) {
        while let Some(finished) = self.compilations.queue.as_mut().and_then(Queue::wait) {
            self.compilations.arrived.push_back(Arrived { finished, wait: 0 });
        }
        self.compilations.arrived.iter_mut().for_each(|arrived| arrived.wait = 0);
        self.publish_arrived();
    }

    #[cold]
    fn arrive(&mut self) {
        self.compilations.arrived.iter_mut().for_each(|arrived| arrived.wait = arrived.wait.saturating_sub(1));
        while let Some(finished) = self.compilations.queue.as_mut().and_then(Queue::poll) {
            self.compilations.arrived.push_back(Arrived { finished, wait: self.parameters.late });
        }
        if !self.compilations.arrived.is_empty() {
            let start = thread_time();
            self.publish_arrived();
            self.statistics.pause(thread_time() - start);
        }
    }

    fn publish_arrived(&mut self) {
        let mut waiting = VecDeque::new();
        while let Some(arrived) = self.compilations.arrived.pop_front() {
            let at = self.at(arrived.finished.token.place);
            let out = at.busy && at.live.is_none();
            if arrived.wait > 0 || out {
                waiting.push_back(arrived);
            } else {
                self.publish_finished(arrived.finished);
            }
        }
        // Publishing may have compiled at once what is better made now.
        waiting.append(&mut self.compilations.arrived);
        self.compilations.arrived = waiting;
    }

    fn publish_finished(&mut self, finished: Finished<Token, Done>) {
        let Finished { token, result } = finished;
        let done = result.unwrap_or_else(|| Done {
            result: Err(Refused::Backend(CompileError::Codegen("panicked".into()))),
            optimize_ns: 0,
            backend_ns: 0,
        });
        let place = token.place;
        let (attached, ops, stage) = match token.product {
            Product::Tree { attached, ops, stage } => (attached, ops, stage),
            Product::Threaded { entries, merge_points, shallow_ns } => {
                self.statistics.threaded_backend_ns += done.backend_ns;
                match done.result {
                    Ok(made) => {
                        let compiled = self.installed(made, token.number, &token.validity, true);
                        self.tell(place, |place| Event::Threaded {
                            place,
                            quality: quality_of(&compiled),
                            entries: entries.len(),
                            merge_points,
                            ops: compiled.code.blocks.iter().map(|block| block.insts.len()).sum(),
                            exits: compiled.code.exits.len(),
                            bytes: compiled.machine.as_ref().map_or(0, |machine| machine.stats().bytes),
                            shallow_ns,
                            backend_ns: done.backend_ns,
                            waited_ns: token.submitted.elapsed().as_nanos() as u64,
                        });
                        self.install_threaded(place, compiled, &entries);
                    }
                    Err(refused) => {
                        self.at(place).threaded = Threaded::Never;
                        self.refused(place, &refused);
                    }
                }
                return;
            }
        };
        self.statistics.optimize_ns += done.optimize_ns;
        self.statistics.backend_ns += done.backend_ns;
        let max_ops = self.parameters.max_tree_ops as usize;
        let Done { result, optimize_ns, backend_ns } = done;
        // The tree may have been thrown away meanwhile, and another may have taken its place.
        let Some(live) = self.at(place).live.as_mut().filter(|live| Arc::ptr_eq(&live.validity, &token.validity))
        else {
            return;
        };
        live.under_way = false;
        live.stage = stage;
        match result {
            Ok(made) if holds(&token.validity) => {
                live.pending = (live.attached.len() - attached) as u32;
                live.lost = 0;
                live.last_cost = optimize_ns + backend_ns;
                live.last_ops = ops;
                let too_large = made.code.insts.len() > max_ops && !std::mem::replace(&mut live.full, true);
                let fragments = live.tree.fragments.len();
                let compiled = self.installed(made, token.number, &token.validity, false);
                self.tell(place, |place| Event::Compiled {
                    place,
                    quality: quality_of(&compiled),
                    fragments,
                    recorded: ops,
                    ops: compiled.code.blocks.iter().map(|block| block.insts.len()).sum(),
                    exits: compiled.code.exits.len(),
                    bytes: compiled.machine.as_ref().map_or(0, |machine| machine.stats().bytes),
                    optimize_ns,
                    backend_ns,
                    waited_ns: token.submitted.elapsed().as_nanos() as u64,
                });
                // It has to show anew that it is worth more.
                let patience = match stage {
                    Stage::Growing => self.parameters.peel_threshold,
                    Stage::Settled => self.parameters.upgrade_threshold,
                    Stage::Best => u32::MAX,
                };
                self.at(place).cell.begin_anew(patience);
                threaded::count_loops(place, patience);
                let replaced = match &mut self.at(place).live {
                    Some(live) => live.compiled.replace(compiled),
                    None => None,
                };
                self.retire(replaced);
                if too_large {
                    self.full(place, "max_tree_ops");
                }
            }
            Ok(_) => {}
            Err(Refused::Backend(CompileError::ArenaFull(_))) if self.evict(place) > 0 => return self.compile(place),
            Err(refused) => self.refused(place, &refused),
        }
        self.last_change = Instant::now();
        self.publish(place);
    }

    /// New code, as it runs.
    fn installed(&mut self, made: Made, number: u32, validity: &Validity, threaded: bool) -> Rc<Compiled> {
        let Made { code, mut machine, forced } = made;
        self.statistics.guards_forced += u64::from(forced);
        self.statistics.compilations += 1;
        self.statistics.ops_compiled += code.insts.len() as u64;
        self.statistics.guards_compiled += code.exits.len() as u64;
        let switches = code.blocks.iter().filter(|block| matches!(block.end, End::Switch { .. }));
        self.statistics.switches_compiled += switches.count() as u64;
        self.statistics.slots_compiled += code.exits.iter().map(|exit| exit.slots.len() as u64).sum::<u64>();
        if let Some(machine) = &mut machine {
            machine.announce();
            self.statistics.code_bytes += machine.stats().bytes as u64;
        }
        let validity = validity.clone();
        let compiled = Rc::new(Compiled { code, number, threaded, machine, validity, links: RefCell::default() });
        self.keep_while_running(&compiled);
        compiled
    }

    /// No code could be made. What there is, if any, goes on; it gets no more bridges.
    fn refused(&mut self, place: PlaceId, refused: &Refused) {
        let (reason, message) = match refused {
            Refused::Optimizer => (Abort::Optimizer, "it can't make code of this tree".to_owned()),
            Refused::Backend(error) | Refused::NoBackend(error) => (Abort::Backend, error.to_string()),
        };
        self.statistics.count_abort(reason);
        self.tell(place, |place| Event::Refused { place, reason, message });
        if let Some(live) = &mut self.at(place).live {
            live.full = true;
            live.pending = 0;
            if live.compiled.is_none() {
                self.remove(place);
                self.give_up(place, reason);
            }
        }
        if let Refused::NoBackend(error) = refused {
            self.switch_off(error);
        }
    }

    fn switch_off(&mut self, error: &CompileError) {
        if self.parameters.enabled {
            eprintln!("metajit: warning: no JIT: {error}");
            self.parameters.enabled = false;
            self.publish_thresholds();
        }
    }

    /// A loop in code made quickly has gone round as often as was waited for, and stands at its beginning: better code is
    /// made, if it is not under way, and run as soon as it is there.
    pub(super) fn looped(&mut self, place: PlaceId) {
        // If other code has been published by this, its rounds are counted already.
        threaded::count_loops(place, u32::MAX);
        self.deserves_better(place);
        if self.awaits(place).is_some() {
            threaded::count_loops(place, ROUNDS_TO_WAIT);
        }
    }

    /// The code of a place has been used for as long as was to be waited: it deserves better, unless it was other code that was
    /// waited for.
    fn deserves_better(&mut self, place: PlaceId) {
        let waited = self.awaits(place).is_some();
        self.poll();
        if !waited {
            self.at(place).cell.note_often();
            self.upgrade(place);
        }
    }

    /// Makes better code of a place whose code was made quickly, unless it is as good as it can be: trees of more than `max_full_ops` are
    /// always compiled quickly, and for some there is no better code.
    pub(super) fn upgrade(&mut self, place: PlaceId) {
        let quick = |compiled: &Rc<Compiled>| {
            compiled.machine.as_ref().is_some_and(|machine| machine.quality() == Quality::Quick)
        };
        let best = self.at(place).live.as_ref().is_some_and(|live| live.stage == Stage::Best);
        if !self.parameters.quick && !best && self.compiled(place).as_ref().is_some_and(quick) {
            self.compile(place);
        }
    }

    /// Tells the place's call cell what code there is. To be called whenever that changes.
    pub(super) fn publish(&mut self, place: PlaceId) {
        let place = self.at(place);
        // A call enters threaded code at its start only.
        let threaded = || place.threaded.code().filter(|&(_, entry)| entry == 0).map(|(compiled, _)| compiled);
        place.cell.publish(place.live.as_ref().and_then(|live| live.compiled.as_ref()).or_else(threaded));
    }

    /// After how many visits a place that has no code yet shall be visited again, if code of it is being made.
    pub(super) fn awaits(&mut self, place: PlaceId) -> Option<u32> {
        let at = self.at(place);
        let under_way = at.live.as_ref().is_some_and(|live| live.under_way) || matches!(at.threaded, Threaded::Busy);
        under_way.then_some(POLL_VISITS)
    }

    /// Code made quickly was entered as often as was waited for: publishes what there is, or has better code made.
    pub(super) fn look_after(&mut self, place: PlaceId) {
        self.deserves_better(place);
        if let Some(visits) = self.awaits(place) {
            self.at(place).cell.wait_for(visits);
        }
    }
}

/// What a piece of code is called by its quality.
fn quality_of(compiled: &Compiled) -> &'static str {
    match compiled.machine.as_ref().map(Machine::quality) {
        Some(Quality::Quick) => "quick",
        Some(Quality::Full) => "full",
        None => "evaluated",
    }
}
