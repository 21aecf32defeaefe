//! The warm-up parameters, named as RPython names them where they mean the same.

use crate::record::Tracer;

/// What can be set, by API, by the environment variable `METAJIT` and by `2som --jit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Whether anything is recorded at all.
    pub enabled: bool,
    /// Back edges of a loop until it is recorded.
    pub threshold: u32,
    /// Entries of a function until it is recorded.
    pub function_threshold: u32,
    /// Failures of a guard until a bridge is recorded.
    pub trace_eagerness: u32,
    /// Recorded operations of one fragment.
    pub trace_limit: u32,
    /// Times that a loop inside a trace (not its root) may go round.
    pub max_unroll_loops: u32,
    /// Activations of one function inlined into each other.
    pub max_unroll_recursion: u32,
    /// Portal activations inlined into each other.
    pub max_inline_depth: u32,
    /// Recorded operations of one fragment after which no more calls are inlined; fewer in bridges of large trees.
    pub max_inline_ops: u32,
    /// Whether threaded code is made.
    pub threaded: bool,
    /// Whether traces are recorded.
    pub tracing: bool,
    /// Visits of a loop or a function until threaded code is made.
    pub tier1_threshold: u32,
    /// Instructions that threaded code may inline of one handler; 0 calls all: threaded code in the strict sense.
    pub max_handler_ops: u32,
    /// Merge points of one piece of threaded code.
    pub max_threaded_merge_points: u32,
    /// Instructions of one piece of threaded code.
    pub max_threaded_ops: u32,
    /// Compile threaded code quickly.
    pub threaded_quick: bool,
    /// To see what it brings: whether threaded code looks into inline caches when it is made, for direct calls. Without, each send
    /// is left to its handler.
    pub inline_caching: bool,
    /// To see what it brings: whether threaded code calls handlers themselves. Without, it calls a stub that tests a flag
    /// first, as the papers' does before it is optimized.
    pub handler_optimization: bool,
    /// Entries of a place's code, or rounds of its loop, since its last bridge until the loop is peeled; 0 peels it at once.
    pub peel_threshold: u32,
    /// Recorded operations of a tree whose loop is peeled: of a larger one, twice the code hardly runs faster.
    pub max_peel_ops: u32,
    /// Entries of a place's code, or rounds of its loop, since its last bridge until it is compiled again at full quality.
    pub upgrade_threshold: u32,
    /// Aborted recordings of one place until it is given up for good.
    pub max_aborts: u32,
    /// Invalidations of one place's trees, each before the tree was of use, until the place is given up for good.
    pub max_invalidations: u32,
    /// How much counters lose at each minor collection, in thousandths, as RPython's do. With the nursery's default size this
    /// halves them in about 35 collections.
    pub decay: u32,
    /// How much time must have been lost at exits with bridges before the tree is compiled again, in percent of what
    /// compiling is estimated to cost.
    pub compile_patience: u32,
    /// Operations of one tree's code until it gets no more bridges: Cranelift takes more than linear time beyond.
    pub max_tree_ops: u32,
    /// Operations of one tree's code until it is compiled quickly only: register allocation takes much more than linear time.
    pub max_full_ops: u32,
    /// Bridges of one tree: each grows what every later compilation of the tree costs.
    pub max_bridges: u32,
    /// Bytes of native stack that must be left for recording, or for entering code (which may leave by a replay): with less, the
    /// plain interpreter goes on alone.
    pub stack_reserve: usize,
    /// Bytes of machine code, fixed when the first is made. When they are nearly used up, the trees that are used least are thrown away.
    pub code_memory: usize,
    /// Trees that wait for their code before no other is recorded: what is not yet compiled may be out of use when it is.
    pub max_jobs: u32,
    /// Compile at once on the program's own thread, not on another while the program goes on: the same run every time.
    pub sync: bool,
    /// For tests: what was compiled is published only when it was looked for so many times. With `sync`, this is what happens
    /// when compiling takes long, the same every time.
    pub late: u32,
    /// Run optimized trees in the evaluator instead of compiling them.
    pub evaluate: bool,
    /// Skip the optimizer's stages.
    pub optimize: bool,
    /// Constants that guards of one value tell apart, one after the other, from which on they are compiled as a switch; 0 for never.
    pub switch_cases: u32,
    /// Compile quickly first.
    pub quick: bool,
    /// Make no code, but count each call and each jump backwards, to be written at the end of the log: a profile of the program.
    pub profile: bool,
    /// Print trees and code to standard error.
    pub trace: bool,
    /// Print the statistics and the places with their exits to standard error when the thread ends.
    pub report: bool,
    /// Which tracer records: the generated one, or the generic one, to compare with.
    pub tracer: Tracer,
    /// For benchmarks: each guard's resume data are made so many times more, for nothing.
    pub snapshot_repeats: u32,
    /// For tests: this guard (counted from 1) of each piece of code fails whenever it is reached. 0 for none.
    pub fail_guard: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            enabled: true,
            // As RPython's 1039: with 500, what ends soon after costs more than is won where it goes on.
            threshold: 1000,
            // Higher than RPython's 1619: most functions are inlined into the loops that call them, and code of their
            // own comes too late for them or is never entered.
            function_threshold: 4000,
            // Lower than RPython's 200: an exit replays, which takes as long as some hundred interpreted instructions.
            trace_eagerness: 15,
            trace_limit: 6000,
            max_unroll_loops: 3,
            max_unroll_recursion: 1,
            max_inline_depth: 12,
            max_inline_ops: 1500,
            // A loop that is not peeled takes some percent longer, but its bridges can be used in half the time.
            peel_threshold: 10_000,
            max_peel_ops: 12_000,
            // Well made code is hardly faster than code made quickly where objects, calls and guards are most of it; to make it
            // takes ten times as long.
            upgrade_threshold: 1_000_000,
            threaded: false,
            tracing: true,
            // A bytecode's threaded code costs what it saves in about as many times: some 12 us at 10 ns each.
            tier1_threshold: 1500,
            max_handler_ops: 60,
            max_threaded_merge_points: 1000,
            max_threaded_ops: 20_000,
            threaded_quick: true,
            inline_caching: true,
            handler_optimization: true,
            max_aborts: 4,
            max_invalidations: 20,
            decay: 20,
            // The program does not wait for the compiler, so little has to be lost before it is worth its while.
            compile_patience: 10,
            max_tree_ops: 8000,
            max_full_ops: 20_000,
            max_bridges: 200,
            stack_reserve: 512 << 10,
            code_memory: crate::backend::DEFAULT_ARENA_BYTES,
            max_jobs: 32,
            sync: false,
            late: 0,
            evaluate: false,
            optimize: true,
            switch_cases: crate::opt::SWITCH_CASES as u32,
            quick: false,
            profile: false,
            trace: false,
            report: false,
            tracer: Tracer::Generated,
            snapshot_repeats: 0,
            fail_guard: 0,
        }
    }
}

/// A parameter that can't be set as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter(pub String);

impl std::fmt::Display for BadParameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for BadParameter {}

impl Parameters {
    /// These, changed by what the environment variable `METAJIT` says. What makes no sense there is reported to standard error.
    #[must_use]
    pub fn with_environment(mut self) -> Parameters {
        if let Ok(text) = std::env::var("METAJIT")
            && let Err(error) = self.set(&text)
        {
            eprintln!("metajit: METAJIT: {error}");
        }
        self
    }

    /// Whether interpreters have to count visits.
    pub(super) fn counts(&self) -> bool {
        self.enabled || self.profile
    }

    /// The names that [`Parameters::set`] takes.
    pub const NAMES: &'static [&'static str] = &[
        "off",
        "threshold",
        "function_threshold",
        "trace_eagerness",
        "trace_limit",
        "max_unroll_loops",
        "max_unroll_recursion",
        "max_inline_depth",
        "max_inline_ops",
        "threaded",
        "tracing",
        "tier1_threshold",
        "max_handler_ops",
        "max_threaded_merge_points",
        "max_threaded_ops",
        "threaded_quick",
        "inline_caching",
        "handler_optimization",
        "peel_threshold",
        "max_peel_ops",
        "upgrade_threshold",
        "max_aborts",
        "compile_patience",
        "max_tree_ops",
        "max_full_ops",
        "max_bridges",
        "stack_reserve",
        "max_invalidations",
        "decay",
        "code_memory",
        "max_jobs",
        "sync",
        "late",
        "evaluate",
        "optimize",
        "switch_cases",
        "quick",
        "profile",
        "trace",
        "report",
        "tracer",
        "snapshot_repeats",
        "fail_guard",
    ];

    /// Sets parameters from text: `NAME=VALUE,NAME=VALUE`, or `off`.
    ///
    /// ```
    /// let mut parameters = metajit::driver::Parameters::default();
    /// parameters.set("threshold=10,trace_eagerness=2").unwrap();
    /// assert_eq!((parameters.threshold, parameters.trace_eagerness), (10, 2));
    /// assert!(parameters.set("treshold=1").is_err());
    /// ```
    ///
    /// # Errors
    /// If a name is unknown or a value no number; the parameters before it are set.
    pub fn set(&mut self, text: &str) -> Result<(), BadParameter> {
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, "1"));
            if name == "tracer" {
                self.tracer = match value {
                    "generated" => Tracer::Generated,
                    "generic" => Tracer::Generic,
                    _ => return Err(BadParameter(format!("the tracer is generated or generic, not '{value}'"))),
                };
                continue;
            }
            let number: u64 = value
                .parse()
                .map_err(|_| BadParameter(format!("the parameter {name} takes a number, not '{value}'")))?;
            let small = u32::try_from(number).unwrap_or(u32::MAX);
            let truth = || match number {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(BadParameter(format!("the parameter {name} is 0 or 1, not '{value}'"))),
            };
            match name {
                "off" => self.enabled = !truth()?,
                "threshold" => self.threshold = small.max(1),
                "function_threshold" => self.function_threshold = small.max(1),
                "trace_eagerness" => self.trace_eagerness = small.max(1),
                "trace_limit" => self.trace_limit = small,
                "max_unroll_loops" => self.max_unroll_loops = small,
                "max_unroll_recursion" => self.max_unroll_recursion = small,
                "max_inline_depth" => self.max_inline_depth = small,
                "threaded" => self.threaded = truth()?,
                "tracing" => self.tracing = truth()?,
                "tier1_threshold" => self.tier1_threshold = small.max(1),
                "max_handler_ops" => self.max_handler_ops = small,
                "max_threaded_merge_points" => self.max_threaded_merge_points = small,
                "max_threaded_ops" => self.max_threaded_ops = small,
                "threaded_quick" => self.threaded_quick = truth()?,
                "inline_caching" => self.inline_caching = truth()?,
                "handler_optimization" => self.handler_optimization = truth()?,
                "peel_threshold" => self.peel_threshold = small,
                "max_peel_ops" => self.max_peel_ops = small,
                "upgrade_threshold" => self.upgrade_threshold = small,
                "max_inline_ops" => self.max_inline_ops = small,
                "max_aborts" => self.max_aborts = small,
                "compile_patience" => self.compile_patience = small,
                "max_tree_ops" => self.max_tree_ops = small,
                "max_full_ops" => self.max_full_ops = small,
                "stack_reserve" => self.stack_reserve = number as usize,
                "max_bridges" => self.max_bridges = small,
                "max_invalidations" => self.max_invalidations = small,
                "decay" => self.decay = small,
                "code_memory" => self.code_memory = number as usize,
                "max_jobs" => self.max_jobs = small.max(1),
                "sync" => self.sync = truth()?,
                "late" => self.late = small,
                "evaluate" => self.evaluate = truth()?,
                "optimize" => self.optimize = truth()?,
                "switch_cases" => self.switch_cases = small,
                "quick" => self.quick = truth()?,
                "profile" => self.profile = truth()?,
                "trace" => self.trace = truth()?,
                "report" => self.report = truth()?,
                "snapshot_repeats" => self.snapshot_repeats = small,
                "fail_guard" => self.fail_guard = small,
                _ => {
                    return Err(BadParameter(format!(
                        "there is no parameter '{name}'; there are {}",
                        Self::NAMES.join(", ")
                    )));
                }
            }
        }
        Ok(())
    }
}
