//! What is run: modes, programs, how often.

/// A way to run 2SOM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Its name in tables.
    pub name: &'static str,
    /// The tier, as `--tier` takes it.
    pub tier: &'static str,
    /// Parameters, as `--jit` takes them.
    pub jit: &'static str,
    /// What it is.
    pub about: &'static str,
}

const fn mode(name: &'static str, tier: &'static str, jit: &'static str, about: &'static str) -> Mode {
    Mode { name, tier, jit, about }
}

/// The plain interpreter.
pub const INTERP: Mode = mode("interp", "interp", "", "the plain interpreter");
/// Threaded code alone.
pub const THREADED: Mode = mode("threaded", "threaded", "", "threaded code alone");
/// Traces alone.
pub const TRACING: Mode = mode("tracing", "tracing", "", "traces alone");
/// Traces with thresholds three times as high as the default.
pub const TRACING_3X: Mode = mode(
    "tracing-3x",
    "tracing",
    "threshold=3000,function_threshold=12000",
    "traces alone, thresholds three times higher",
);
/// Threaded code, then traces.
pub const TWO_LEVEL: Mode = mode("two-level", "two-level", "", "threaded code first, traces of what is hot");
/// Threaded code that does not look into inline caches.
pub const NO_IC: Mode = mode("no-ic", "threaded", "inline_caching=0", "threaded code without inline caching");
/// Neither that, nor handlers themselves: stubs.
pub const NO_IC_NO_HANDLER_OPT: Mode = mode(
    "no-ic-no-handler-opt",
    "threaded",
    "inline_caching=0,handler_optimization=0",
    "threaded code without inline caching, handlers called by stubs that test a flag",
);
/// Every handler is called.
pub const NO_INLINING: Mode =
    mode("no-inlining", "threaded", "max_handler_ops=0", "threaded code in the strict sense: every handler is called");
/// Nothing but calls of stubs.
pub const BARE: Mode = mode(
    "bare",
    "threaded",
    "inline_caching=0,handler_optimization=0,max_handler_ops=0",
    "threaded code without all three: calls of stubs",
);
/// Traces by the tracer that is not generated.
pub const GENERIC: Mode = mode("generic", "tracing", "tracer=generic", "traces alone, by the generic tracer");

/// All modes.
pub const MODES: [Mode; 10] =
    [INTERP, THREADED, TRACING, TRACING_3X, TWO_LEVEL, NO_IC, NO_IC_NO_HANDLER_OPT, NO_INLINING, BARE, GENERIC];

/// The modes that warm-up is compared in.
pub const WARMUP_MODES: [Mode; 5] = [INTERP, THREADED, TRACING, TRACING_3X, TWO_LEVEL];

impl Mode {
    /// Its arguments on the command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--tier".to_owned(), self.tier.to_owned()];
        if !self.jit.is_empty() {
            arguments.extend(["--jit".to_owned(), self.jit.to_owned()]);
        }
        arguments
    }
}

/// A benchmark of `crates/som/benchmarks`, and the inner number that makes an iteration of the interpreter some ten milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Benchmark {
    /// Its class.
    pub name: &'static str,
    /// The Harness's third argument.
    pub inner: u32,
    /// Whether it is run even in a quick evaluation.
    pub quick: bool,
}

const fn benchmark(name: &'static str, inner: u32, quick: bool) -> Benchmark {
    Benchmark { name, inner, quick }
}

/// The SOM benchmarks.
pub const BENCHMARKS: [Benchmark; 28] = [
    benchmark("Bounce", 15, true),
    benchmark("BubbleSort", 30, false),
    benchmark("CD", 10, true),
    benchmark("DeltaBlue", 100, true),
    benchmark("Dispatch", 25, false),
    benchmark("Fannkuch", 1, true),
    benchmark("Fibonacci", 20, true),
    benchmark("FieldLoop", 40, false),
    benchmark("GraphSearch", 5, false),
    benchmark("IntegerLoop", 12, false),
    benchmark("Json", 1, true),
    benchmark("Knapsack", 3, false),
    benchmark("List", 15, true),
    benchmark("Loop", 60, false),
    benchmark("Mandelbrot", 100, true),
    benchmark("NBody", 1000, true),
    benchmark("PageRank", 2, true),
    benchmark("Permute", 15, true),
    benchmark("Queens", 20, true),
    benchmark("QuickSort", 15, false),
    benchmark("Recurse", 2, false),
    benchmark("Richards", 1, true),
    benchmark("Sieve", 2, true),
    benchmark("Storage", 5, true),
    benchmark("Sum", 20, false),
    benchmark("Towers", 1, true),
    benchmark("TreeSort", 10, true),
    benchmark("WhileLoop", 15, false),
];

/// How much is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The SOM benchmarks.
    pub benchmarks: Vec<Benchmark>,
    /// Iterations of one process of a benchmark; the last half of them counts as steady.
    pub iterations: u32,
    /// Processes of each benchmark in each mode.
    pub peak_rounds: u32,
    /// Orders of the synthesized program whose first iteration is measured.
    pub orders: u32,
    /// Processes of each of them in each mode.
    pub first_rounds: u32,
    /// Orders whose steady state is measured, one process each.
    pub peak_orders: u32,
    /// Iterations of one process of the synthesized program.
    pub synthesized_iterations: u32,
    /// Processes of a program that says hello, in each mode.
    pub hellos: u32,
    /// Runs of the language tests in each mode.
    pub suites: u32,
    /// How many of the language tests are run; all, unless this is a test of the evaluation itself.
    pub suite_programs: usize,
}

impl Plan {
    /// All of it: a day's work.
    pub fn full() -> Plan {
        Plan {
            benchmarks: BENCHMARKS.to_vec(),
            iterations: 400,
            peak_rounds: 5,
            orders: 20,
            first_rounds: 100,
            peak_orders: 20,
            synthesized_iterations: 60,
            hellos: 200,
            suites: 200,
            suite_programs: usize::MAX,
        }
    }

    /// What can be said in some five minutes.
    pub fn quick() -> Plan {
        Plan {
            benchmarks: BENCHMARKS.into_iter().filter(|benchmark| benchmark.quick).collect(),
            iterations: 40,
            peak_rounds: 1,
            first_rounds: 1,
            peak_orders: 1,
            synthesized_iterations: 16,
            suites: 2,
            ..Plan::full()
        }
    }

    /// As little as shows that every part works.
    pub fn tiny() -> Plan {
        Plan {
            benchmarks: vec![benchmark("Loop", 1, true), benchmark("Queens", 1, true)],
            iterations: 4,
            orders: 2,
            synthesized_iterations: 2,
            hellos: 2,
            suites: 1,
            suite_programs: 2,
            ..Plan::quick()
        }
    }
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The first iteration of a synthesized program.
    First,
    /// Its steady state.
    PeakSynthesized,
    /// A benchmark's steady state.
    Peak,
    /// A whole process that says hello.
    Hello,
    /// The language tests, a process for each.
    Suite,
}

impl Question {
    /// Its name in the state of the evaluation.
    pub fn name(self) -> &'static str {
        match self {
            Question::First => "first",
            Question::PeakSynthesized => "peak-synthesized",
            Question::Peak => "peak",
            Question::Hello => "hello",
            Question::Suite => "suite",
        }
    }
}

/// One process (or, of the language tests, one run of them all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is for.
    pub question: Question,
    /// In which mode.
    pub mode: Mode,
    /// The program's name.
    pub program: String,
    /// The program's arguments, its class first.
    pub arguments: Vec<String>,
    /// Which of the processes that are alike.
    pub round: u32,
}

impl Job {
    /// What it is called in the state: says all that decides what is measured, but the binary.
    pub fn id(&self) -> String {
        format!("{} {} {} #{}", self.question.name(), self.mode.name, self.arguments.join(" "), self.round)
    }
}

impl Plan {
    /// All jobs in the order in which they are run: modes side by side, so that what disturbs a run for a while disturbs all of them.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut add = |question, modes: &[Mode], program: &str, arguments: &[String], round| {
            jobs.extend(modes.iter().map(|&mode| Job {
                question,
                mode,
                program: program.to_owned(),
                arguments: arguments.to_vec(),
                round,
            }));
        };
        let synthesized = |order: u32, iterations: u32| {
            ["crates/som/benchmarks/Synthesized.som".to_owned(), order.to_string(), iterations.to_string()]
        };
        let ends = [INTERP, TWO_LEVEL];
        for round in 0..self.hellos {
            add(Question::Hello, &ends, "Hello", &["crates/som/examples/Hello.som".to_owned()], round);
        }
        for round in 0..self.first_rounds {
            for order in 1..=self.orders {
                let name = format!("order {order}");
                add(Question::First, &WARMUP_MODES, &name, &synthesized(order, 1), round);
            }
        }
        for order in 1..=self.peak_orders {
            let arguments = synthesized(order, self.synthesized_iterations);
            add(Question::PeakSynthesized, &WARMUP_MODES, &format!("order {order}"), &arguments, 0);
        }
        for round in 0..self.peak_rounds {
            for benchmark in &self.benchmarks {
                let (iterations, inner) = (self.iterations.to_string(), benchmark.inner.to_string());
                let harness = "crates/som/benchmarks/Harness.som".to_owned();
                let arguments = [harness, benchmark.name.to_owned(), iterations, inner];
                add(Question::Peak, &MODES, benchmark.name, &arguments, round);
            }
        }
        for round in 0..self.suites {
            add(Question::Suite, &ends, "language tests", &["crates/som/tests/som".to_owned()], round);
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn jobs_have_names_of_their_own() {
        for plan in [Plan::full(), Plan::quick(), Plan::tiny()] {
            let jobs = plan.jobs();
            let names: BTreeSet<String> = jobs.iter().map(Job::id).collect();
            assert_eq!(names.len(), jobs.len());
        }
    }

    #[test]
    fn the_full_plan_is_as_large_as_the_papers() {
        let jobs = Plan::full().jobs();
        let first = jobs.iter().filter(|job| job.question == Question::First && job.mode == TWO_LEVEL).count();
        assert_eq!(first, 2000);
        let hellos = jobs.iter().filter(|job| job.question == Question::Hello && job.mode == INTERP).count();
        assert_eq!(hellos, 200);
    }

    #[test]
    fn the_higher_thresholds_are_three_times_the_default() {
        let source = std::fs::read_to_string(crate::root().join("crates/metajit/src/driver/parameters.rs"))
            .expect("the parameters");
        let default = |name: &str| {
            let defaults = source.split("impl Default").nth(1).expect("defaults");
            let line = defaults
                .lines()
                .map(str::trim)
                .find_map(|line| line.strip_prefix(&format!("{name}: ")))
                .expect("a default");
            line.trim_end_matches(',').replace('_', "").parse::<u32>().expect("a number")
        };
        let expected =
            format!("threshold={},function_threshold={}", 3 * default("threshold"), 3 * default("function_threshold"));
        assert_eq!(TRACING_3X.jit, expected);
    }

    #[test]
    fn the_benchmarks_exist() {
        for benchmark in BENCHMARKS {
            let file = format!("crates/som/benchmarks/{}.som", benchmark.name);
            assert!(crate::root().join(&file).exists(), "{file}");
        }
    }
}
