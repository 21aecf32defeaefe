//! A test kit for language authors: one program, every mode, the same result.
//!
//! **Problem.** An interpreter under a tracing JIT runs the same program in many ways: plainly, while recording, in compiled
//! code, after a guard failed, in a bridge. All of them must do the same, and which of them a test reaches is up to
//! thresholds.
//!
//! **Approach.** A *run* is a closure from nothing to whatever can be observed (result, output, heap). [`check`] calls it
//! once per [`Mode`], each time on a fresh thread and so with a fresh runtime, and compares. Random programs come from
//! [`Genes`]: a generator takes choices from a list of numbers, so any list of numbers is a program, and [`shrink`] makes a
//! failing program small by making its list of numbers small, without knowing the language. [`fuzz`] puts these together.
//!
//! A mode is a set of parameters. One of them makes the n-th guard of each piece of code fail whenever it is reached,
//! which is always allowed: the exit rebuilds the interpreter's state at the guard, and going on from there is right
//! whatever the condition. So the kit takes every exit of every trace in turn ([`Modes::forced`]). No switches are made
//! then: a switch's exits can't be forced, since all its cases have been ruled out before it leaves.
//!
//! **Rejected.** A process per run (a hundred times slower; a crash ends the test run either way, and `METAJIT_FUZZ_LOG=1`
//! names the program); shrinking the program's text (needs the language's grammar).

pub mod matrix;

#[cfg(feature = "jit")]
use crate::driver::{Parameters, Statistics, parameters, set_parameters, statistics};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// One way to run a program.
#[derive(Clone, Debug)]
pub struct Mode {
    /// What it is called in messages.
    pub name: String,
    /// The collector's configuration on its thread, as `METAJIT_GC` takes it.
    pub collector: String,
    /// The parameters of its thread.
    #[cfg(feature = "jit")]
    pub parameters: Parameters,
}

/// How long a run may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Stack of a run's thread: interpreters recurse on it.
const STACK: usize = 64 << 20;

/// The modes that a program is run in.
#[derive(Clone, Debug)]
pub struct Modes {
    modes: Vec<Mode>,
    forced: u32,
}

impl Modes {
    /// No mode but the plain interpreter.
    pub fn plain() -> Modes {
        Modes {
            modes: vec![Mode {
                name: "plain".to_owned(),
                collector: String::new(),
                #[cfg(feature = "jit")]
                parameters: of("off"),
            }],
            forced: 0,
        }
    }

    /// Every mode, with counters so low that short programs get hot: plain, evaluated, compiled in both qualities, without
    /// the optimizer, with bridges at the first failure and at the default, with functions as roots, with code that
    /// comes late, with threaded code, alone and before traces, and where any two circumstances meet. Without the `jit` feature, the plain interpreter only.
    pub fn all() -> Modes {
        Modes::plain()
            .with("evaluated", "evaluate=1,threshold=3,function_threshold=5,trace_eagerness=1,switch_cases=3")
            .with("evaluated, not optimized", "evaluate=1,optimize=0,threshold=3,function_threshold=5,trace_eagerness=2")
            .with("quick", "quick=1,threshold=3,function_threshold=5,trace_eagerness=1,switch_cases=3")
            .with("full", "upgrade_threshold=1,threshold=3,function_threshold=1000000,trace_eagerness=1,switch_cases=3")
            .with("full, not optimized", "upgrade_threshold=1,optimize=0,threshold=4,function_threshold=7,trace_eagerness=2")
            .with("functions only", "threshold=1000000,function_threshold=2,trace_eagerness=2")
            .with("few bridges", "peel_threshold=3,upgrade_threshold=20,threshold=7,function_threshold=11")
            .with("short traces", "threshold=2,function_threshold=3,trace_eagerness=1,trace_limit=60,max_unroll_loops=1,max_unroll_recursion=1,max_inline_depth=2")
            .with("generic tracer", "tracer=generic,threshold=3,function_threshold=5,trace_eagerness=1")
            .with("generic tracer, evaluated", "tracer=generic,evaluate=1,threshold=4,function_threshold=7,trace_eagerness=2")
            .with("published late", "late=3,peel_threshold=2,upgrade_threshold=5,threshold=3,function_threshold=5,trace_eagerness=1")
            .with("in the background", "sync=0,threshold=3,function_threshold=5,trace_eagerness=1")
            .with("threaded, evaluated", "evaluate=1,threaded=1,tracing=0,tier1_threshold=1")
            .with("threaded", "threaded=1,tracing=0,tier1_threshold=2")
            .with("threaded, handlers called", "threaded=1,tracing=0,tier1_threshold=1,max_handler_ops=0")
            .with("threaded, without inline caches, by stubs", "threaded=1,tracing=0,tier1_threshold=1,inline_caching=0,handler_optimization=0")
            .with("two-level", "peel_threshold=2,threaded=1,tier1_threshold=1,threshold=4,function_threshold=6,trace_eagerness=1")
            .with("two-level, late", "late=2,threaded=1,tier1_threshold=2,threshold=5,function_threshold=3,trace_eagerness=2")
            .with("default", "sync=0")
            .with_collector("collecting often", "threshold=3,function_threshold=5,trace_eagerness=1", "stress=13,poison=1")
            .with_collector("threaded, collecting often", "threaded=1,tier1_threshold=1,threshold=4,function_threshold=6,trace_eagerness=1", "stress=13,poison=1")
            .with_collector("collecting often, evaluated", "evaluate=1,threshold=3,function_threshold=5,trace_eagerness=2", "stress=13,poison=1")
            .with_matrix("stress=13,poison=1")
    }

    /// Adds a mode with these parameters (as [`Parameters::set`] takes them). Code is compiled at once, so that runs are
    /// the same every time, unless they say `sync=0`.
    #[must_use]
    pub fn with(self, name: &str, parameters: &str) -> Modes {
        self.with_collector(name, parameters, "")
    }

    /// Adds a mode with these parameters and this configuration of the collector (as `METAJIT_GC` takes it).
    #[must_use]
    pub fn with_collector(mut self, name: &str, parameters: &str, collector: &str) -> Modes {
        #[cfg(feature = "jit")]
        self.modes.push(Mode { name: name.to_owned(), collector: collector.to_owned(), parameters: of(parameters) });
        let _ = (&mut self, name, parameters, collector);
        self
    }

    /// Adds modes in which any two of tier, thresholds, forced exits, collections and compiling in the background meet ([`matrix`]).
    /// `collector` is the configuration for those that collect when there is no need.
    #[must_use]
    pub fn with_matrix(self, collector: &str) -> Modes {
        matrix::pairwise().into_iter().fold(self, |modes, cell| {
            let collector = if cell.collects() { collector } else { "" };
            modes.with_collector(&cell.name(), &cell.parameters(), collector)
        })
    }

    /// The plain interpreter, and the mode that `METAJIT_FUZZ_MODE` describes (as `METAJIT` does), if it is set.
    fn from_environment() -> Option<Modes> {
        let parameters = std::env::var("METAJIT_FUZZ_MODE").ok()?;
        Some(Modes::plain().with("METAJIT_FUZZ_MODE", &parameters))
    }

    /// Also makes guards of the code fail always, one in each run: so many of them, or each in turn (`u32::MAX`).
    #[must_use]
    pub fn forced(mut self, limit: u32) -> Modes {
        self.forced = limit;
        self
    }
}

#[cfg(feature = "jit")]
fn of(text: &str) -> Parameters {
    let mut parameters = Parameters { sync: true, ..Parameters::default() };
    parameters.set(text).unwrap_or_else(|error| panic!("{error}"));
    parameters
}

/// Compiles at once on this thread from now on: for tests that count what is compiled.
pub fn synchronous() {
    #[cfg(feature = "jit")]
    set_parameters(Parameters { sync: true, ..parameters() });
}

/// The text of the threaded code that is made of a place with these parameters: the same in every process. `driver` is what
/// `jit_driver()` of the interpreter's function says, and `greens` are the words of the merge point.
///
/// # Panics
/// If there is no code, if it is malformed, or if its text does not parse or prints differently when it has been parsed.
#[cfg(feature = "jit")]
pub fn threaded_text(driver: &'static crate::driver::Driver, greens: &[u64], parameters: &str) -> String {
    use crate::ir::{parse, print, verify};
    let before = crate::driver::parameters();
    set_parameters(of(parameters));
    let code = crate::driver::threaded_code(driver, greens);
    set_parameters(before);
    let code = code.unwrap_or_else(|abort| panic!("no threaded code: {}", abort.name()));
    let text = print::code(&code, print::Style::LOG);
    if let Err(error) = verify::code(&code) {
        panic!("{error}\n{text}");
    }
    match parse::parse(&text, &parse::Bindings::default()) {
        Ok(body) => assert_eq!(body.to_string(), text, "the text prints differently when it has been parsed"),
        Err(error) => panic!("{error}\n{text}"),
    }
    text
}

/// What came of one run.
#[derive(Clone, PartialEq, Debug)]
pub enum Ran<T> {
    /// It returned.
    Returned(T),
    /// It panicked with this message.
    Panicked(String),
    /// It was not over after [`PATIENCE`].
    Hung,
}

/// Runs a program in one mode, on a thread of its own.
pub fn run_in<T: Send + 'static>(mode: &Mode, run: impl FnOnce() -> T + Send + 'static) -> (Ran<T>, Report) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mode = mode.clone();
    let work = move || {
        if !mode.collector.is_empty() {
            let mut config = crate::gc::configuration();
            if let Err(error) = config.apply(&mode.collector) {
                panic!("{error}");
            }
            crate::gc::configure(config);
        }
        #[cfg(feature = "jit")]
        set_parameters(mode.parameters);
        let ran = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(value) => Ran::Returned(value),
            Err(payload) => Ran::Panicked(
                payload
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
            ),
        };
        let report = Report {
            #[cfg(feature = "jit")]
            statistics: statistics(),
        };
        // The receiver is gone if it lost patience.
        let _ = sender.send((ran, report));
    };
    let thread = std::thread::Builder::new().name("run".to_owned()).stack_size(STACK).spawn(work).expect("a thread");
    match receiver.recv_timeout(PATIENCE) {
        Ok(result) => {
            let _ = thread.join();
            result
        }
        Err(_) => (Ran::Hung, Report::default()),
    }
}

/// What the runtime of a run's thread has to say about it.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// Its counters.
    #[cfg(feature = "jit")]
    pub statistics: Statistics,
}

/// Two modes that disagree.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The mode that differs from the plain one.
    pub mode: String,
    /// What the plain mode did.
    pub plain: String,
    /// What the other did.
    pub other: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mismatch { mode, plain, other } = self;
        write!(f, "mode '{mode}' differs\n  plain: {plain}\n  other: {other}")
    }
}

/// What a check saw.
#[derive(Clone, Default, Debug)]
pub struct Checked {
    /// Runs made.
    pub runs: u64,
    /// Of them, runs with a guard forced to fail.
    pub forced: u64,
    /// Runs that panicked (in the same way as the plain one).
    pub panics: u64,
    /// Bridges recorded in all of them.
    pub bridges: u64,
    /// Compilations in all of them.
    pub compilations: u64,
    /// Exits taken in all of them.
    pub exits: u64,
}

impl Checked {
    #[cfg_attr(not(feature = "jit"), allow(unused_variables))]
    fn count(&mut self, report: &Report) {
        self.runs += 1;
        #[cfg(feature = "jit")]
        {
            self.bridges += report.statistics.bridges_recorded;
            self.compilations += report.statistics.compilations;
            self.exits += report.statistics.exits;
        }
    }
    fn add(&mut self, other: &Checked) {
        self.runs += other.runs;
        self.forced += other.forced;
        self.panics += other.panics;
        self.bridges += other.bridges;
        self.compilations += other.compilations;
        self.exits += other.exits;
    }
}

/// Runs a program in all modes and compares with the first.
///
/// # Errors
/// The first mode that differs.
pub fn check<T: PartialEq + Debug + Send + 'static>(
    modes: &Modes,
    run: impl Fn() -> T + Clone + Send + 'static,
) -> Result<Checked, Mismatch> {
    let mut checked = Checked::default();
    let mut plain = None;
    let mut one = |mode: &Mode| -> Result<Report, Mismatch> {
        let (ran, report) = run_in(mode, run.clone());
        checked.count(&report);
        checked.panics += u64::from(matches!(ran, Ran::Panicked(_)));
        let expected = plain.get_or_insert_with(|| ran.clone_text());
        if *expected == ran.clone_text() {
            return Ok(report);
        }
        Err(Mismatch { mode: mode.name.clone(), plain: expected.clone(), other: ran.clone_text() })
    };
    #[cfg(feature = "jit")]
    let mut guards = 0;
    for mode in &modes.modes {
        let _report = one(mode)?;
        #[cfg(feature = "jit")]
        {
            let Statistics { guards_compiled, compilations, .. } = _report.statistics;
            guards = guards.max(guards_compiled / compilations.max(1));
        }
    }
    #[allow(unused_mut)]
    let mut forced = 0;
    #[cfg(feature = "jit")]
    for number in guards_to_force(modes.forced, guards) {
        let (eagerness, quality) = if number % 2 == 0 { (1, "quick=1,") } else { (60, "upgrade_threshold=1,") };
        let text = format!("{quality}threshold=3,function_threshold=6,trace_eagerness={eagerness},fail_guard={number}");
        let mode =
            Mode { name: format!("guard {number} fails ({text})"), collector: String::new(), parameters: of(&text) };
        let report = one(&mode)?;
        if report.statistics.guards_forced > 0 {
            forced += 1;
        } else if modes.forced == u32::MAX {
            break;
        }
    }
    checked.forced = forced;
    Ok(checked)
}

/// Which guards are made to fail: all, if there may be so many; otherwise some, spread over as many as pieces of code seem
/// to have.
#[cfg(feature = "jit")]
fn guards_to_force(limit: u32, guards: u64) -> impl Iterator<Item = u32> {
    let stride = if limit == u32::MAX { 1 } else { (guards as u32 / limit.max(1)).max(1) };
    (0..limit).map(move |number| 1 + number * stride + (number + guards as u32) % stride)
}

impl<T: Debug> Ran<T> {
    /// The run as text, which is what runs are compared by: NaNs are equal to themselves then.
    fn clone_text(&self) -> String {
        format!("{self:?}")
    }
}

/// A small random number generator: the same numbers everywhere and always.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that starts from this number.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The choices that make up a random program. When they are used up, every further choice is the first.
#[derive(Clone, Debug)]
pub struct Genes<'a> {
    genes: &'a [u32],
    used: usize,
}

impl<'a> Genes<'a> {
    /// Choices from this list.
    pub fn new(genes: &'a [u32]) -> Genes<'a> {
        Genes { genes, used: 0 }
    }
    /// A list of random choices.
    pub fn random(seed: u64, count: usize) -> Vec<u32> {
        let mut random = Random::new(seed);
        (0..count).map(|_| (random.next() >> 32) as u32).collect()
    }
    /// A number below `bound`; 0 when the choices are used up. Make 0 the simplest choice.
    pub fn below(&mut self, bound: u32) -> u32 {
        let gene = self.genes.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        // Scaled rather than reduced, so that a smaller gene is a smaller choice.
        ((u64::from(gene) * u64::from(bound)) >> 32) as u32
    }
    /// Whether, once in `out_of` times.
    pub fn once_in(&mut self, out_of: u32) -> bool {
        self.below(out_of) + 1 == out_of
    }
    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }
    /// Whether all choices are used up.
    pub fn is_empty(&self) -> bool {
        self.used >= self.genes.len()
    }
    /// How many choices were made.
    pub fn used(&self) -> usize {
        self.used
    }
}

/// Makes a failing list of choices smaller, while `fails` says that it still fails.
pub fn shrink(genes: &[u32], mut tries: u32, mut fails: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let mut best = genes.to_vec();
    let mut attempt = |best: &mut Vec<u32>, candidate: Vec<u32>| {
        if tries == 0 || candidate == *best {
            return false;
        }
        tries -= 1;
        let better = fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.clone();
        // Leave out runs of choices, long ones first.
        let mut size = best.len().next_power_of_two();
        while size > 0 {
            let mut start = 0;
            while start < best.len() {
                let mut candidate = best.clone();
                candidate.drain(start..(start + size).min(best.len()));
                if !attempt(&mut best, candidate) {
                    start += size;
                }
            }
            size /= 2;
        }
        // Make single choices simpler.
        for index in 0..best.len() {
            for smaller in [0, best.get(index).copied().unwrap_or(0) / 2] {
                if index < best.len() && best[index] != smaller {
                    let mut candidate = best.clone();
                    candidate[index] = smaller;
                    attempt(&mut best, candidate);
                }
            }
        }
        if best == before {
            return best;
        }
    }
}

/// What [`fuzz`] is to do.
#[derive(Clone, Debug)]
pub struct Fuzz {
    /// Names the language in messages.
    pub name: &'static str,
    /// The first program's seed.
    pub seed: u64,
    /// How many programs.
    pub programs: u64,
    /// The choices that a program is made from.
    pub genes: usize,
    /// The modes.
    pub modes: Modes,
}

impl Fuzz {
    /// A campaign in all modes. The environment variables `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` take the place of
    /// the count and the seed given here.
    pub fn new(name: &'static str, seed: u64, programs: u64) -> Fuzz {
        let number = |variable: &str| std::env::var(variable).ok()?.parse().ok();
        Fuzz {
            name,
            seed: number("METAJIT_FUZZ_SEED").unwrap_or(seed),
            programs: number("METAJIT_FUZZ_PROGRAMS").unwrap_or(programs),
            genes: 150,
            modes: Modes::all().forced(4),
        }
    }
}

/// Runs random programs in all modes, or in the one that `METAJIT_FUZZ_MODE` describes. `make` turns choices into a program's text, and `run` runs such a text.
///
/// # Panics
/// With the smallest program found, if modes differ.
pub fn fuzz<T: PartialEq + Debug + Send + 'static>(
    campaign: &Fuzz,
    make: impl Fn(&mut Genes<'_>) -> String,
    run: impl Fn(&str) -> T + Copy + Send + 'static,
) -> Checked {
    let log = std::env::var_os("METAJIT_FUZZ_LOG").is_some();
    let modes = Modes::from_environment().unwrap_or_else(|| campaign.modes.clone());
    let mut total = Checked::default();
    let test = |genes: &[u32]| {
        let program = make(&mut Genes::new(genes));
        check(&modes, move || run(&program))
    };
    for number in 0..campaign.programs {
        let seed = campaign.seed.wrapping_add(number);
        if log {
            eprintln!("{}: seed {seed}", campaign.name);
        }
        let size = campaign.genes / 4 + (seed % 4) as usize * campaign.genes / 4;
        let genes = Genes::random(seed, size);
        match test(&genes) {
            Ok(checked) => {
                assert!(
                    checked.panics == 0,
                    "{}, seed {seed}: the program panics in every mode, so it tests nothing:\n{}",
                    campaign.name,
                    make(&mut Genes::new(&genes))
                );
                total.add(&checked);
            }
            Err(first) => {
                eprintln!("{}: seed {seed} fails, shrinking: {first}", campaign.name);
                let hook = std::panic::take_hook();
                std::panic::set_hook(Box::new(|_| {}));
                let least = shrink(&genes, 2000, |genes| test(genes).is_err());
                std::panic::set_hook(hook);
                let mismatch = test(&least).err().unwrap_or(first);
                let program = make(&mut Genes::new(&least));
                panic!("{}, seed {seed}: {mismatch}\nprogram:\n{program}\nchoices: {least:?}", campaign.name);
            }
        }
    }
    eprintln!("{}: {} programs from seed {}: {total:?}", campaign.name, campaign.programs, campaign.seed);
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_list_is_made_small() {
        let genes = Genes::random(1, 100);
        let fails = |genes: &[u32]| genes.iter().filter(|&&gene| gene > 1 << 20).count() >= 3;
        let least = shrink(&genes, 10_000, fails);
        assert_eq!(least.len(), 3, "{least:?}");
        assert!(least.iter().all(|&gene| gene <= 1 << 22), "{least:?}");
    }

    #[test]
    fn choices_that_are_used_up_are_the_first() {
        let mut genes = Genes::new(&[u32::MAX]);
        assert_eq!((genes.below(10), genes.below(10)), (9, 0));
    }

    #[test]
    fn a_panic_is_a_result() {
        let checked = check(&Modes::plain(), || panic!("as always"));
        assert_eq!(checked.map(|checked| checked.runs).map_err(|error| error.other), Ok(1));
    }
}
