//! Runs a job: a process of 2SOM, or one for each of the language tests.

use super::log;
use super::plan::{Job, Question};
use super::process::{Finished, measure};
use super::store::Measurement;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where and with what jobs are run.
#[derive(Clone, Debug)]
pub struct Place {
    /// The binary, `2som`.
    pub binary: PathBuf,
    /// The workspace.
    pub root: PathBuf,
    /// Where the report is written.
    pub out: PathBuf,
    /// How many of the language tests are run.
    pub suite_programs: usize,
}

impl Place {
    /// The log that is kept of a job.
    pub fn kept_log(&self, job: &Job) -> PathBuf {
        self.out.join("logs").join(format!("{}-{}.jsonl", job.program.replace(' ', "-"), job.mode.name))
    }
}

/// Runs a job. A program that goes wrong is a measurement, too.
///
/// # Errors
/// If it can't be run.
pub fn run(place: &Place, job: &Job) -> Result<Measurement, String> {
    match job.question {
        Question::Suite => suite(place, job),
        Question::Hello => {
            let mut measurement = of(&measure(command(place, job).args(&job.arguments))?);
            if job.round == 0 {
                // Apart, so that the measured processes have nothing to print but the greeting.
                let told = of(&measure(command(place, job).arg("--stats=json").args(&job.arguments))?);
                measurement.failure =
                    measurement.failure.or(told.failure.clone()).or_else(|| compiles_something(&told));
            }
            Ok(measurement)
        }
        Question::First => {
            let mut command = command(place, job);
            command.args(["--stats=json"]).args(&job.arguments);
            Ok(of(&measure(&mut command)?))
        }
        Question::Peak | Question::PeakSynthesized => {
            let log = match job.question {
                Question::PeakSynthesized => place.kept_log(job),
                _ => place.out.join("log.jsonl"),
            };
            if let Some(directory) = log.parent() {
                std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            }
            let mut command = command(place, job);
            command.args(["--stats=json", "--jit-log"]).arg(&log).args(&job.arguments);
            let mut measurement = of(&measure(&mut command)?);
            measurement.figures.extend(log::figures(&std::fs::read_to_string(&log).unwrap_or_default()));
            Ok(measurement)
        }
    }
}

/// The binary in the job's mode: what of the command comes before the program.
fn command(place: &Place, job: &Job) -> Command {
    let mut command = Command::new(&place.binary);
    command.current_dir(&place.root).args(job.mode.arguments()).args(["-cp", "crates/som/benchmarks"]);
    command.env_remove("METAJIT").env_remove("METAJIT_GC").env_remove("METAJIT_LOG");
    command
}

/// What a process gave.
fn of(finished: &Finished) -> Measurement {
    let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    let mut measurement = Measurement {
        total_wall: micros(finished.wall),
        total_cpu: micros(finished.cpu),
        peak_kb: finished.peak_kb as f64,
        ..Measurement::default()
    };
    for line in &finished.lines {
        if let Some(time) = iteration(&line.text) {
            measurement.iterations.push(time);
            measurement.ends.push(micros(line.wall));
            measurement.cpu.push(micros(line.cpu));
        }
    }
    let figures = finished.err.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    if let Some(Value::Object(figures)) = figures {
        measurement.figures =
            figures.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
    }
    if finished.status != Some(0) {
        let mut last = finished.lines.iter().map(|line| line.text.as_str()).chain(finished.err.lines());
        let last = last.rfind(|line| !line.starts_with('{')).unwrap_or_default();
        measurement.failure = Some(format!("status {:?}: {last}", finished.status));
    }
    measurement
}

/// What the JIT compiler counts when it makes code, or begins to.
const MADE: [&str; 3] = ["jit_compilations", "jit_threaded_units", "jit_loops_recorded"];

/// What is wrong with a program that is too short for any of its code to be compiled, if something was.
fn compiles_something(measurement: &Measurement) -> Option<String> {
    let count = |name: &&str| measurement.figures.get(*name).copied();
    match MADE.iter().map(count).sum::<Option<f64>>() {
        None => Some("the binary does not say what was compiled".to_owned()),
        Some(0.0) => None,
        Some(_) => {
            let counts: Vec<String> =
                MADE.iter().map(|name| format!("{name} is {}", count(name).unwrap_or(0.0))).collect();
            Some(format!("nothing may be compiled in so short a run, but {}", counts.join(", ")))
        }
    }
}

/// The microseconds of an iteration, if the line is about one: `Name: iterations=1 runtime: 123us`, as ReBench reads it.
pub fn iteration(line: &str) -> Option<f64> {
    line.split_once(": iterations=1 runtime: ")?.1.strip_suffix("us")?.parse().ok()
}

/// The programs of a directory whose first comment says what they are to do.
fn programs(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let is_test = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let comment = text.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
        comment.lines().any(|line| line.trim() == "VM:")
    };
    let mut programs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_test).collect();
    programs.sort();
    Ok(programs)
}

fn suite(place: &Place, job: &Job) -> Result<Measurement, String> {
    let directory = place.root.join(job.arguments.concat());
    let mut all = Measurement::default();
    for program in programs(&directory)?.iter().take(place.suite_programs) {
        let mut command = Command::new(&place.binary);
        command.current_dir(&directory).args(job.mode.arguments()).arg(program);
        let finished = measure(&mut command)?;
        let one = of(&finished);
        all.total_wall += one.total_wall;
        all.total_cpu += one.total_cpu;
        all.peak_kb = all.peak_kb.max(one.peak_kb);
        // Many of them are to fail, but not like this.
        if matches!(finished.status, None | Some(101)) {
            all.failure = Some(format!("{}: status {:?}", program.display(), finished.status));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_are_recognized() {
        assert_eq!(iteration("Queens: iterations=1 runtime: 1234us"), Some(1234.0));
        assert_eq!(iteration("Queens: iterations=20 average: 5us total: 100us"), None);
        assert_eq!(iteration("hello"), None);
    }

    #[test]
    fn a_short_run_that_compiles_is_wrong() {
        let of = |counts: &[f64]| {
            let figures = MADE.iter().zip(counts).map(|(name, &count)| ((*name).to_owned(), count)).collect();
            compiles_something(&Measurement { figures, ..Measurement::default() })
        };
        assert_eq!(of(&[0.0, 0.0, 0.0]), None);
        assert!(of(&[1.0, 1.0, 0.0]).is_some_and(|text| text.contains("jit_threaded_units is 1")));
        assert!(of(&[0.0]).is_some());
    }

    #[test]
    fn the_language_tests_are_found() {
        let programs = programs(&crate::root().join("crates/som/tests/som")).expect("the directory");
        assert!(programs.len() > 100, "{}", programs.len());
    }
}
