//! The figures that the evaluation is about, from what was measured.

use super::plan::{
    INTERP, Job, Mode, NO_IC, NO_IC_NO_HANDLER_OPT, NO_INLINING, Question, THREADED, TRACING, TWO_LEVEL,
};
use super::statistics::{geometric_mean, median};
use super::store::{Measurement, Store};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The jobs of a plan with what they gave.
#[derive(Debug)]
pub struct Data<'a> {
    /// The jobs.
    pub jobs: &'a [Job],
    /// Their measurements.
    pub store: &'a Store,
}

/// What is taken of a measurement.
pub type Taken = fn(&Measurement) -> Option<f64>;

/// Wall time of the first iteration.
pub const FIRST_WALL: Taken = |measurement| Some(measurement.first()?.0);
/// Processor time until the end of the first iteration.
pub const FIRST_CPU: Taken = |measurement| Some(measurement.first()?.1);
/// Wall time of an iteration in the last half.
pub const STEADY_WALL: Taken = |measurement| Some(measurement.steady()?.0);
/// Processor time of the same.
pub const STEADY_CPU: Taken = |measurement| Some(measurement.steady()?.1);
/// Processor time of the process.
pub const TOTAL_CPU: Taken = |measurement| Some(measurement.total_cpu);
/// Wall time of the process.
pub const TOTAL_WALL: Taken = |measurement| Some(measurement.total_wall);

impl<'a> Data<'a> {
    /// What went right.
    pub fn measured(&self, question: Question, mode: Mode) -> impl Iterator<Item = (&'a Job, &'a Measurement)> {
        let store = self.store;
        self.jobs
            .iter()
            .filter(move |job| job.question == question && job.mode == mode)
            .filter_map(move |job| Some((job, store.get(&job.id())?)))
            .filter(|(_, measurement)| measurement.failure.is_none())
    }

    /// What went wrong.
    pub fn failures(&self) -> Vec<(&'a Job, &'a str)> {
        let store = self.store;
        let failure = |job: &'a Job| Some((job, store.get(&job.id())?.failure.as_deref()?));
        self.jobs.iter().filter_map(failure).collect()
    }

    /// Samples by program, in the order of the jobs.
    pub fn samples(&self, question: Question, mode: Mode, value: Taken) -> BTreeMap<&'a str, Vec<f64>> {
        let mut samples: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (job, measurement) in self.measured(question, mode) {
            if let Some(sample) = value(measurement) {
                samples.entry(&job.program).or_default().push(sample);
            }
        }
        samples
    }

    /// Each program's median in one mode by its median in another.
    pub fn ratios(&self, question: Question, mode: Mode, base: Mode, value: Taken) -> BTreeMap<&'a str, f64> {
        let mut base = self.samples(question, base, value);
        let samples = self.samples(question, mode, value);
        samples
            .into_iter()
            .filter_map(|(program, samples)| {
                let ratio = median(&samples) / median(&base.remove(program)?);
                (ratio.is_finite() && ratio > 0.0).then_some((program, ratio))
            })
            .collect()
    }

    /// The geometric mean of these, if there are any.
    pub fn ratio(&self, question: Question, mode: Mode, base: Mode, value: Taken) -> Option<f64> {
        let ratios: Vec<f64> = self.ratios(question, mode, base, value).into_values().collect();
        (!ratios.is_empty()).then(|| geometric_mean(&ratios))
    }

    /// A figure of all measurements of a mode, summed up.
    pub fn sum(&self, questions: &[Question], mode: Mode, name: &str) -> f64 {
        let of = |&question: &Question| {
            self.measured(question, mode).map(|(_, measurement)| measurement.figure(name)).sum::<f64>()
        };
        questions.iter().map(of).sum()
    }
}

/// A figure of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name, in `figures.json` too.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What it was in the ECOOP paper.
    pub paper: Option<f64>,
    /// What it must not exceed.
    pub floor: Option<f64>,
    /// What it is to become.
    pub aim: Option<f64>,
    /// What it is; nothing if it could not be measured.
    pub value: Option<f64>,
}

/// All figures. Smaller is better.
pub fn figures(data: &Data<'_>) -> Vec<Figure> {
    let steady = |mode, base| data.ratio(Question::Peak, mode, base, STEADY_CPU);
    let first = |value| data.ratio(Question::First, TWO_LEVEL, TRACING, value);
    let peaks = [Question::Peak, Question::PeakSynthesized];
    let warm_ns = data.sum(&peaks, THREADED, "tier1_warm_ns");
    let warm_merge_points = data.sum(&peaks, THREADED, "tier1_warm_merge_points");
    let us_per_bytecode = (warm_merge_points > 0.0).then(|| warm_ns / 1000.0 / warm_merge_points);
    let short = |question| data.ratio(question, TWO_LEVEL, INTERP, TOTAL_CPU);
    let short_runs = short(Question::Hello).zip(short(Question::Suite)).map(|(hello, suite)| f64::max(hello, suite));
    let figure = |name, what, [paper, floor, aim]: [f64; 3], value| {
        // Where the table has nothing, this has 0.
        let given = |figure: f64| (figure > 0.0).then_some(figure);
        Figure { name, what, paper: given(paper), floor: given(floor), aim: given(aim), value }
    };
    vec![
        figure(
            "threaded_peak",
            "threaded code / interpreter, steady state, SOM benchmarks, CPU",
            [0.91, 0.50, 0.25],
            steady(THREADED, INTERP),
        ),
        figure("no_ic", "threaded code without inline caching / with all", [1.10, 0.0, 0.0], steady(NO_IC, THREADED)),
        figure(
            "no_ic_no_handler_opt",
            "threaded code without inline caching, with stubs / with all",
            [1.155, 0.0, 0.0],
            steady(NO_IC_NO_HANDLER_OPT, THREADED),
        ),
        figure(
            "no_inlining",
            "threaded code that calls every handler / with all",
            [0.0, 0.0, 0.0],
            steady(NO_INLINING, THREADED),
        ),
        figure(
            "warmup_wall",
            "two-level / tracing, first iteration of synthesized programs, wall time",
            [0.87, 0.85, 0.60],
            first(FIRST_WALL),
        ),
        figure(
            "warmup_cpu",
            "the same in CPU time, from the process's start, compile threads included",
            [0.0, 0.95, 0.75],
            first(FIRST_CPU),
        ),
        figure(
            "two_level_peak",
            "two-level / tracing, steady state, SOM benchmarks, CPU",
            [1.07, 1.03, 1.00],
            steady(TWO_LEVEL, TRACING),
        ),
        figure(
            "threaded_us_per_bytecode",
            "shallow trace and compilation of threaded code per merge point in microseconds, without the first pieces of a process",
            [0.0, 12.0, 4.0],
            us_per_bytecode,
        ),
        figure(
            "short_runs",
            "two-level / interpreter, whole processes, CPU: hello world or language tests, whichever is worse",
            [0.0, 1.05, 1.00],
            short_runs,
        ),
    ]
}

/// The figures as an object.
pub fn to_json(figures: &[Figure]) -> String {
    let object: Map<String, Value> =
        figures.iter().map(|figure| (figure.name.to_owned(), Value::from(figure.value))).collect();
    serde_json::to_string_pretty(&Value::Object(object)).unwrap_or_default() + "\n"
}
