//! `cargo xtask evaluate`: how fast 2SOM's tiers are, in one report.
//!
//! **Problem.** What the papers measured of two-level compilation is to be measured here, all of it in one run, so that figures can be
//! compared with each other; on whatever machine, however loaded; for hours, and so with interruptions.
//!
//! **Approach.** A [`plan`] is a list of jobs; a job is a process of the binary `2som` in one mode, [`run`] and measured from outside
//! ([`process`]). What it gives is written down at once ([`store`]), under the build of the binary, so that a second call goes on where
//! the first was stopped. From all measurements the [`figures`] are computed and the [`sections`] of the [`report`] made. Modes run
//! side by side, so that noise is shared. Times are processor times of all threads, unless wall time is said: compiling in the
//! background costs, too.
//!
//! Large programs are put together from small ones ([`synthesis`]).
//!
//! **Output**, in the directory of `--out`: `report.html`, `report.md` with `plots/`, `figures.json`, `measurements.csv`, `measurements.jsonl`
//! (the state) and `logs/`. `rebench.conf` in the workspace has the same programs and modes for ReBench.
//!
//! **Rejected.** Timing inside the VM only: it knows nothing of its compile threads. Measuring several processes at a time: they would
//! disturb each other.

pub mod figures;
pub mod log;
pub mod plan;
pub mod plot;
pub mod process;
pub mod rebench;
pub mod report;
pub mod run;
pub mod sections;
pub mod statistics;
pub mod store;
pub mod synthesis;

use figures::Data;
use plan::{Job, Plan};
use run::Place;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use store::Store;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// How much is run.
    pub plan: Plan,
    /// Where the report goes.
    pub out: PathBuf,
    /// The binary, if it is not to be built.
    pub binary: Option<PathBuf>,
    /// Put the synthesized program together anew, and nothing else.
    pub tune: bool,
}

impl Evaluation {
    /// Reads the arguments.
    ///
    /// # Errors
    /// If one is unknown or lacks its value.
    pub fn parse(args: &[String], root: &Path) -> Result<Evaluation, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let mut evaluation =
            Evaluation { plan: Plan::full(), out: target.join("evaluation"), binary: None, tune: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut path = || args.next().map(PathBuf::from).ok_or_else(|| format!("{arg} needs a path"));
            match arg.as_str() {
                "--quick" => evaluation.plan = Plan::quick(),
                "--tiny" => evaluation.plan = Plan::tiny(),
                "--out" => evaluation.out = path()?,
                "--binary" => evaluation.binary = Some(path()?),
                "--tune" => evaluation.tune = true,
                _ => return Err(format!("evaluate has no argument '{arg}'")),
            }
        }
        Ok(evaluation)
    }

    /// Runs what has not been run yet, and writes the report.
    ///
    /// # Errors
    /// If something can't be built, run or written, or if a program went wrong.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let binary = match &self.binary {
            Some(binary) => std::path::absolute(binary).map_err(|error| format!("{}: {error}", binary.display()))?,
            None => build(root)?,
        };
        let out = std::path::absolute(&self.out).map_err(|error| format!("{}: {error}", self.out.display()))?;
        std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        if self.tune {
            synthesis::tune(&binary, root, &out)?;
            return put(&root.join(rebench::FILE), &rebench::configuration());
        }
        let mut store = Store::open(&out, &binary)?;
        let load_before = load();
        let place = Place { binary, root: root.to_owned(), out: out.clone(), suite_programs: self.plan.suite_programs };
        let jobs = self.plan.jobs();
        run_all(&place, &jobs, &mut store)?;
        let arguments = [synthesis::FILE, "1", "1"].map(str::to_owned);
        let counts = synthesis::profile(&place.binary, root, &out.join("profile.jsonl"), &arguments)?;

        let data = Data { jobs: &jobs, store: &store };
        let figures = figures::figures(&data);
        let circumstances = [
            format!("Binary {}, commit {}; {}.", store.build, commit(root), machine()),
            format!("Load average when this run began: {load_before}; when it ended: {}.", load()),
            format!(
                "{} processes, {}.",
                jobs.len(),
                if self.plan == Plan::full() { "the full plan" } else { "a shortened plan" }
            ),
        ];
        let sections = [
            sections::summary(&data, &figures, &circumstances),
            sections::workload(&counts, &data),
            sections::warmup(&data),
            sections::peak(&data),
            sections::threaded(&data),
            sections::tracer(&data),
            sections::tiers(&data),
            sections::curve(&data, &place),
            sections::short(&data),
        ];
        report::write(&out, "2SOM: an evaluation", &sections)?;
        put(&out.join("figures.json"), &figures::to_json(&figures))?;
        put(&out.join("measurements.csv"), &csv(&jobs, &store))?;
        println!("{}", figures::to_json(&figures).trim_end());
        println!("{}", out.join("report.html").display());
        match data.failures().len() {
            0 => Ok(()),
            count => Err(format!("{count} processes went wrong: see the report")),
        }
    }
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Builds the binary.
pub(crate) fn build(root: &Path) -> Result<PathBuf, String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "-p", "som"]).current_dir(root);
    let status = cargo.status().map_err(|error| format!("{cargo:?}: {error}"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    if status.success() { Ok(target.join("release/2som")) } else { Err(format!("{cargo:?}: {status}")) }
}

/// Runs the jobs that are not in the store, and says how far it is.
fn run_all(place: &Place, jobs: &[Job], store: &mut Store) -> Result<(), String> {
    let to_do: Vec<&Job> = jobs.iter().filter(|job| store.get(&job.id()).is_none()).collect();
    println!("{} processes, {} of them measured before", jobs.len(), jobs.len() - to_do.len());
    let start = Instant::now();
    let mut told = start;
    for (done, job) in to_do.iter().enumerate() {
        let measurement = run::run(place, job)?;
        if let Some(failure) = &measurement.failure {
            println!("{}: {failure}", job.id());
        }
        store.note(&job.id(), measurement)?;
        // A line a second is enough.
        if told.elapsed().as_secs() >= 1 || done + 1 == to_do.len() {
            told = Instant::now();
            let seconds = start.elapsed().as_secs_f64();
            // Jobs are of different sizes, so this is said roughly.
            let left = seconds / (done + 1) as f64 * (to_do.len() - done - 1) as f64;
            println!("{}/{} in {seconds:.0} s, about {left:.0} s left: {}", done + 1, to_do.len(), job.id());
        }
    }
    Ok(())
}

/// All measurements, a row for each.
fn csv(jobs: &[Job], store: &Store) -> String {
    let mut text = String::from(
        "question,program,mode,round,failed,first_wall_us,first_cpu_us,steady_wall_us,steady_cpu_us,total_wall_us,total_cpu_us,peak_kb\n",
    );
    for job in jobs {
        let Some(measurement) = store.get(&job.id()) else { continue };
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.0}"));
        let (first, steady) = (measurement.first(), measurement.steady());
        let cells = [
            first.map(|first| first.0),
            first.map(|first| first.1),
            steady.map(|steady| steady.0),
            steady.map(|steady| steady.1),
            Some(measurement.total_wall),
            Some(measurement.total_cpu),
            Some(measurement.peak_kb),
        ];
        let _ = writeln!(
            text,
            "{},{},{},{},{},{}",
            job.question.name(),
            job.program,
            job.mode.name,
            job.round,
            u8::from(measurement.failure.is_some()),
            cells.map(cell).join(",")
        );
    }
    text
}

fn first_line(path: &str, prefix: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(prefix)).map(|rest| rest.trim_matches([':', ' ', '\t']).to_owned())
}

fn load() -> String {
    first_line("/proc/loadavg", "").unwrap_or_else(|| "unknown".to_owned())
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = first_line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    format!("{cores} cores of {name}")
}

fn commit(root: &Path) -> String {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root).output();
    git.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let args = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            Evaluation::parse(&args, Path::new("w"))
        };
        let quick = args(&["--quick", "--out", "there"]).expect("good arguments");
        assert_eq!((quick.plan, quick.out, quick.tune), (Plan::quick(), PathBuf::from("there"), false));
        assert!(args(&["--out"]).is_err() && args(&["--fast"]).is_err());
    }
}
