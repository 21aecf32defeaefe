//! What the report says, question by question.

use super::figures::{Data, FIRST_CPU, FIRST_WALL, Figure, STEADY_CPU, STEADY_WALL, TOTAL_CPU, TOTAL_WALL, Taken};
use super::log::{Mark, marks};
use super::plan::{
    BARE, GENERIC, INTERP, MODES, Mode, NO_IC, NO_IC_NO_HANDLER_OPT, NO_INLINING, Question, THREADED, TRACING,
    TRACING_3X, TWO_LEVEL, WARMUP_MODES,
};
use super::plot;
use super::report::{Block, Section};
use super::run::Place;
use super::statistics::{Wilcoxon, geometric_mean, mean, median, variance, wilcoxon};
use super::synthesis;

fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

fn head(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// The figures and what they are measured against, and what went wrong.
pub fn summary(data: &Data<'_>, figures: &[Figure], circumstances: &[String]) -> Section {
    let mut blocks: Vec<Block> = circumstances.iter().cloned().map(Block::Text).collect();
    let failures = data.failures();
    if !failures.is_empty() {
        blocks.push(text(format!("{} processes went wrong; they are left out of everything below.", failures.len())));
        let rows = failures.iter().map(|(job, failure)| vec![job.id(), (*failure).to_owned()]);
        blocks.push(Block::Table(head(&["process", "what was wrong"]), rows.collect()));
    }
    let rows = figures.iter().map(|figure| {
        let met = match (figure.value, figure.floor) {
            (Some(value), Some(floor)) if value <= floor => "met",
            (Some(_), Some(_)) => "missed",
            _ => "",
        };
        let cells = [figure.value, figure.paper, figure.floor, figure.aim].map(number);
        let mut row = vec![figure.name.to_owned()];
        row.extend(cells);
        row.extend([met.to_owned(), figure.what.to_owned()]);
        row
    });
    blocks.push(Block::Table(head(&["figure", "here", "paper", "floor", "aim", "floor is", "what"]), rows.collect()));
    blocks.push(text("Ratios of times; smaller is better. Geometric means over programs of medians over processes."));
    let modes = MODES.iter().map(|mode| vec![mode.name.to_owned(), mode.arguments().join(" "), mode.about.to_owned()]);
    blocks.push(Block::Table(head(&["mode", "2som", "what"]), modes.collect()));
    Section { title: "Figures".to_owned(), blocks }
}

/// The synthesized program: whether it is like a large one.
pub fn workload(counts: &synthesis::Counts, data: &Data<'_>) -> Section {
    let calls = synthesis::ranked(counts);
    let line = synthesis::line(&calls);
    let points = synthesis::points(&calls);
    let traces = data.sum(&[Question::First], TRACING, "jit_loops_recorded")
        + data.sum(&[Question::First], TRACING, "jit_bridges_recorded");
    let recorded = data.sum(&[Question::First], TRACING, "jit_ops_recorded");
    let title = format!("calls of {} functions by rank; R² = {:.4}", calls.len(), line.r2);
    let plot = plot::scatter(&title, ("log10 of rank", "log10 of calls"), &points, (line.intercept, line.slope));
    let rows = [
        ("functions called", calls.len().to_string()),
        ("calls", calls.iter().sum::<u64>().to_string()),
        ("R² of log(calls) against log(rank)", format!("{:.4}", line.r2)),
        ("slope", format!("{:.2}", line.slope)),
        ("operations recorded per trace, first iteration, tracing", format!("{:.0}", recorded / traces.max(1.0))),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
    Section {
        title: "Workload: the synthesized program".to_owned(),
        blocks: vec![
            text(
                "Twenty parts in one process, counted by the plain interpreter. Large programs have R² near 0.98; the parts' numbers \
                 were chosen so that this one has, too (cargo xtask evaluate --tune).",
            ),
            Block::Table(head(&["of one iteration", ""]), rows),
            Block::Plot("workload", plot),
        ],
    }
}

/// All samples of a mode by those of another that were taken side by side.
fn paired(data: &Data<'_>, question: Question, mode: Mode, base: Mode, value: Taken) -> (Vec<f64>, Vec<f64>) {
    let samples = |mode: Mode| {
        let key = |(job, measurement): (&super::plan::Job, &super::store::Measurement)| {
            Some(((job.arguments.clone(), job.round), value(measurement)?))
        };
        data.measured(question, mode).filter_map(key).collect::<std::collections::BTreeMap<_, _>>()
    };
    let base = samples(base);
    samples(mode).into_iter().filter_map(|(key, sample)| Some((sample, *base.get(&key)?))).unzip()
}

/// Q1: warm-up.
pub fn warmup(data: &Data<'_>) -> Section {
    let mut blocks = vec![text(
        "The first iteration of the synthesized program, a process for each, in its orders. Wall time is that of the iteration by the \
         program's own clock; CPU time is that of all threads from the process's start to the iteration's end. \
         In milliseconds; the last column is the geometric mean over orders, by tracing.",
    )];
    for (name, value) in [("wall", FIRST_WALL), ("CPU", FIRST_CPU)] {
        let rows = WARMUP_MODES.iter().map(|&mode| {
            let samples: Vec<f64> =
                data.measured(Question::First, mode).filter_map(|(_, m)| value(m)).map(|us| us / 1000.0).collect();
            let cells = [mean(&samples), median(&samples), variance(&samples)].map(|v| format!("{v:.2}"));
            let mut row = vec![mode.name.to_owned(), samples.len().to_string()];
            row.extend(cells);
            row.push(number(data.ratio(Question::First, mode, TRACING, value)));
            row
        });
        let columns = [name, "processes", "mean", "median", "variance", "by tracing"];
        blocks.push(Block::Table(head(&columns), rows.collect()));
    }
    let bars = |value| {
        WARMUP_MODES.map(|mode| {
            let (samples, base) = paired(data, Question::First, mode, TRACING, value);
            let ratios: Vec<f64> = samples.iter().zip(&base).map(|(a, b)| a / b).collect();
            (!ratios.is_empty()).then(|| (geometric_mean(&ratios), variance(&ratios).sqrt()))
        })
    };
    let groups: Vec<String> = WARMUP_MODES.iter().map(|mode| mode.name.to_owned()).collect();
    let series = [("wall", bars(FIRST_WALL).to_vec()), ("CPU", bars(FIRST_CPU).to_vec())];
    blocks.push(Block::Plot("warmup", plot::bars("first iteration, by tracing", "ratio", &groups, &series)));
    blocks.push(text(
        "Wilcoxon's signed-rank test of wall time, process by process in the same order of parts: the probability of so great a \
         difference if there is none; < or > says whether the mode on the left is faster or slower.",
    ));
    let rows = WARMUP_MODES.iter().map(|&left| {
        let cell = |top: &Mode| {
            let (a, b) = paired(data, Question::First, left, *top, FIRST_WALL);
            let Wilcoxon { pairs, p, .. } = wilcoxon(&a, &b);
            let faster = if median(&a) < median(&b) { "<" } else { ">" };
            if left == *top || pairs == 0 { "-".to_owned() } else { format!("{faster} {p:.2e}") }
        };
        std::iter::once(left.name.to_owned()).chain(WARMUP_MODES.iter().map(cell)).collect()
    });
    let names = WARMUP_MODES.iter().map(|mode| mode.name.to_owned());
    blocks.push(Block::Table(std::iter::once("p".to_owned()).chain(names).collect(), rows.collect()));
    let rows = WARMUP_MODES[1..].iter().map(|&mode| {
        let processes = data.measured(Question::First, mode).count().max(1) as f64;
        let each = |name: &str| data.sum(&[Question::First], mode, name) / processes;
        let (threaded, traced) = (each("jit_threaded_ops"), each("jit_ops_recorded"));
        let share = 100.0 * threaded / (threaded + traced).max(1.0);
        let traces = each("jit_loops_recorded") + each("jit_bridges_recorded");
        let cells = [traces, traced, each("jit_threaded_units"), threaded].map(|value| format!("{value:.0}"));
        let mut row = vec![mode.name.to_owned()];
        row.extend(cells);
        row.push(format!("{share:.0} %"));
        row
    });
    let columns = ["a process", "traces", "their operations", "threaded units", "their operations", "threaded share"];
    blocks.push(Block::Table(head(&columns), rows.collect()));
    Section { title: "Q1: warm-up".to_owned(), blocks }
}

/// A table and a plot of modes by a base, program by program.
fn normalised(
    data: &Data<'_>,
    question: Question,
    modes: &[Mode],
    base: Mode,
    value: Taken,
    (name, title): (&'static str, &str),
) -> Vec<Block> {
    let columns: Vec<_> = modes.iter().map(|&mode| data.ratios(question, mode, base, value)).collect();
    let mut programs: Vec<&str> = columns.iter().flat_map(|column| column.keys().copied()).collect();
    programs.sort_unstable();
    programs.dedup();
    let mut rows: Vec<Vec<String>> = programs
        .iter()
        .map(|&program| {
            let cells = columns.iter().map(|column| number(column.get(program).copied()));
            std::iter::once(program.to_owned()).chain(cells).collect()
        })
        .collect();
    let means: Vec<Option<f64>> = modes.iter().map(|&mode| data.ratio(question, mode, base, value)).collect();
    rows.push(std::iter::once("geometric mean".to_owned()).chain(means.iter().map(|&mean| number(mean))).collect());
    let header = std::iter::once(format!("by {}", base.name)).chain(modes.iter().map(|mode| mode.name.to_owned()));
    let groups: Vec<String> =
        programs.iter().map(|&program| program.to_owned()).chain(["geometric mean".to_owned()]).collect();
    let series: Vec<(&str, Vec<plot::Bar>)> = modes
        .iter()
        .zip(&columns)
        .zip(&means)
        .map(|((mode, column), &mean)| {
            let bars = programs.iter().map(|&program| column.get(program).copied()).chain([mean]);
            (mode.name, bars.map(|value| value.map(|value| (value, 0.0))).collect())
        })
        .collect();
    let svg = plot::bars(title, "ratio", &groups, &series);
    vec![Block::Table(header.collect(), rows), Block::Plot(name, svg)]
}

/// Q2: peak performance.
pub fn peak(data: &Data<'_>) -> Section {
    let modes = [INTERP, THREADED, TRACING, TRACING_3X, TWO_LEVEL];
    let mut blocks = vec![text(
        "One iteration in the last half of a process's iterations, CPU time of all threads, by tracing. First the SOM benchmarks, then \
         the synthesized program; below, the geometric means of wall time.",
    )];
    let titles = ("peak", "steady state of the SOM benchmarks, CPU, by tracing");
    blocks.extend(normalised(data, Question::Peak, &modes[2..], TRACING, STEADY_CPU, titles));
    let titles = ("peak-synthesized", "steady state of the synthesized program, CPU, by tracing");
    blocks.extend(normalised(data, Question::PeakSynthesized, &modes, TRACING, STEADY_CPU, titles));
    let row = |name: &str, question| {
        let cells = modes.iter().map(|&mode| number(data.ratio(question, mode, TRACING, STEADY_WALL)));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let rows = vec![row("SOM benchmarks", Question::Peak), row("synthesized program", Question::PeakSynthesized)];
    let names = modes.iter().map(|mode| mode.name.to_owned());
    blocks.push(Block::Table(std::iter::once("wall time, by tracing".to_owned()).chain(names).collect(), rows));
    Section { title: "Q2: peak performance".to_owned(), blocks }
}

/// Q3: threaded code and what each part of it brings.
pub fn threaded(data: &Data<'_>) -> Section {
    let modes = [THREADED, NO_IC, NO_IC_NO_HANDLER_OPT, NO_INLINING, BARE];
    let mut blocks = vec![text(
        "Steady state of the SOM benchmarks in CPU time, by the plain interpreter: threaded code, and the same without one or all of its \
         parts. The papers' threaded code is nearest to the last: calls of handlers only.",
    )];
    let titles = ("threaded", "threaded code, CPU, by the interpreter");
    blocks.extend(normalised(data, Question::Peak, &modes, INTERP, STEADY_CPU, titles));
    let rows = modes[1..]
        .iter()
        .map(|&mode| vec![mode.name.to_owned(), number(data.ratio(Question::Peak, mode, THREADED, STEADY_CPU))]);
    blocks.push(Block::Table(head(&["without", "by threaded code with all"]), rows.collect()));
    Section { title: "Q3: threaded code and its ablations".to_owned(), blocks }
}

/// The generated tracer against the generic one.
pub fn tracer(data: &Data<'_>) -> Section {
    let questions = [Question::Peak];
    let per_op = |mode| {
        let ops = data.sum(&questions, mode, "jit_ops_recorded");
        (ops > 0.0).then(|| data.sum(&questions, mode, "jit_record_ns") / ops)
    };
    let steady = data.ratio(Question::Peak, GENERIC, TRACING, STEADY_CPU);
    let total = data.ratio(Question::Peak, GENERIC, TRACING, TOTAL_CPU);
    let rows = vec![
        vec!["generated".to_owned(), number(per_op(TRACING)), number(Some(1.0)), number(Some(1.0))],
        vec!["generic".to_owned(), number(per_op(GENERIC)), number(total), number(steady)],
    ];
    let columns = ["tracer", "ns of recording per operation", "whole processes, CPU", "steady state, CPU"];
    Section {
        title: "The tracer: generated against generic".to_owned(),
        blocks: vec![
            text(
                "The generic tracer dispatches each operation through a table, records everything and makes full resume data at each \
                 guard. Recording includes running what is recorded.",
            ),
            Block::Table(head(&columns), rows),
        ],
    }
}

/// What code costs, by tier.
pub fn tiers(data: &Data<'_>) -> Section {
    let questions = [Question::Peak, Question::PeakSynthesized];
    let rows = [THREADED, TRACING, TRACING_3X, TWO_LEVEL].map(|mode| {
        let sum = |name: &str| data.sum(&questions, mode, name);
        let processes = questions.iter().map(|&q| data.measured(q, mode).count()).sum::<usize>().max(1) as f64;
        let per = |a: &str, b: &str| if sum(b) > 0.0 { format!("{:.1}", sum(a) / sum(b)) } else { "-".to_owned() };
        let peak = questions.iter().flat_map(|&q| data.measured(q, mode)).map(|(_, m)| m.peak_kb).collect::<Vec<_>>();
        vec![
            mode.name.to_owned(),
            format!("{:.1}", sum("tier1_bytes") / 1024.0 / processes),
            format!("{:.2}", sum("tier1_ns") / 1e6 / processes),
            per("tier1_bytes", "tier1_merge_points"),
            per("tier1_ops", "tier1_merge_points"),
            format!("{:.1}", sum("tier2_bytes") / 1024.0 / processes),
            format!("{:.2}", sum("tier2_ns") / 1e6 / processes),
            format!("{:.1}", median(&peak) / 1024.0),
        ]
    });
    let columns = [
        "a process",
        "tier 1: KiB",
        "ms",
        "bytes per merge point",
        "operations per merge point",
        "tier 2: KiB",
        "ms",
        "memory: MiB",
    ];
    let interp: Vec<f64> =
        questions.iter().flat_map(|&q| data.measured(q, INTERP)).map(|(_, m)| m.peak_kb / 1024.0).collect();
    Section {
        title: "Code size, compile time, memory".to_owned(),
        blocks: vec![
            text(format!(
                "Means over the processes of Q2. Tier 1: shallow runs and backend; tier 2: recording (with what is run meanwhile), \
                 optimizer and backend, whatever thread they ran on. Memory is the median of the most that a process had resident; \
                 of the plain interpreter {:.1} MiB.",
                median(&interp)
            )),
            Block::Table(head(&columns), rows.to_vec()),
        ],
    }
}

/// Iteration times over time.
pub fn curve(data: &Data<'_>, place: &Place) -> Section {
    let mut curves = Vec::new();
    let mut rows = Vec::new();
    for mode in WARMUP_MODES {
        let Some((job, measurement)) = data.measured(Question::PeakSynthesized, mode).next() else { continue };
        let points = measurement.ends.iter().zip(&measurement.iterations).map(|(end, time)| (end / 1e6, time / 1e3));
        let log = std::fs::read_to_string(place.kept_log(job)).unwrap_or_default();
        let marks: Vec<Mark> = marks(&log);
        for (index, time) in measurement.iterations.iter().enumerate() {
            let before = if index == 0 { 0.0 } else { measurement.ends[index - 1] };
            let during = |tier: u8| {
                let inside = |mark: &&Mark| mark.tier == tier && (before..measurement.ends[index]).contains(&mark.at);
                marks.iter().filter(inside).count().to_string()
            };
            if index < 8 {
                let time = format!("{:.1}", time / 1e3);
                rows.push(vec![mode.name.to_owned(), (index + 1).to_string(), time, during(1), during(2)]);
            }
        }
        let marks = if mode == TWO_LEVEL { marks } else { Vec::new() };
        curves.push((mode.name, points.collect(), marks.iter().map(|mark| (mark.at / 1e6, mark.tier)).collect()));
    }
    let svg = plot::curves("iterations of the synthesized program", ("seconds", "ms of an iteration"), &curves);
    let columns = ["mode", "iteration", "ms, wall", "threaded code published", "traces published"];
    Section {
        title: "Warm-up over time".to_owned(),
        blocks: vec![
            text(
                "Each point is an iteration, when it was over and how long it took (wall time). The ticks below are code that was \
                 published in two-level mode: threaded code at the bottom, traces above.",
            ),
            Block::Plot("curve", svg),
            Block::Table(head(&columns), rows),
        ],
    }
}

/// Short processes.
pub fn short(data: &Data<'_>) -> Section {
    let rows = [("hello world", Question::Hello), ("language tests", Question::Suite)].map(|(name, question)| {
        let ms = |mode, value: Taken| {
            let samples: Vec<f64> =
                data.measured(question, mode).filter_map(|(_, measurement)| value(measurement)).collect();
            format!("{:.2}", median(&samples) / 1000.0)
        };
        let runs = data.measured(question, TWO_LEVEL).count();
        vec![
            name.to_owned(),
            runs.to_string(),
            ms(INTERP, TOTAL_CPU),
            ms(TWO_LEVEL, TOTAL_CPU),
            number(data.ratio(question, TWO_LEVEL, INTERP, TOTAL_CPU)),
            ms(INTERP, TOTAL_WALL),
            ms(TWO_LEVEL, TOTAL_WALL),
            number(data.ratio(question, TWO_LEVEL, INTERP, TOTAL_WALL)),
        ]
    });
    let columns =
        ["whole processes", "runs", "CPU ms: interp", "two-level", "ratio", "wall ms: interp", "two-level", "ratio"];
    Section { title: "Short runs".to_owned(), blocks: vec![Block::Table(head(&columns), rows.to_vec())] }
}
