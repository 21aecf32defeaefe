//! `cargo xtask compare`: 2SOM against another SOM virtual machine, on upstream's programs.
//!
//! **Problem.** Whether 2SOM is fast is said best by another virtual machine for the same programs. Neither it nor the programs are part of this
//! project: a checkout of SOM-st/SOM and the other's command are named from outside.
//!
//! **Approach.** The fourteen AreWeFastYet programs, their inner iterations such that one iteration takes the other a tenth of a second and more.
//! *First*: whole processes that run one iteration, from start to end. *Steady*: of one process's iterations, the median of the last half; a tier
//! that compiles has more of them. All is processor time of all threads, compile threads included, each program in all modes one after the other, so
//! that noise is shared; figures are geometric means of ratios. Then the hello world and upstream's tests, as whole processes.

use crate::evaluate::process::{Finished, measure};
use crate::evaluate::run::iteration;
use crate::evaluate::statistics::{geometric_mean, median};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The other virtual machine's command.
    pub reference: Vec<String>,
    /// The checkout of SOM-st/SOM.
    pub upstream: PathBuf,
    /// Processes of each program and mode, for first iterations; the short programs get ten times as many.
    pub rounds: usize,
    /// The only program.
    pub only: Option<String>,
    /// Where the figures are to be written, too.
    pub json: Option<PathBuf>,
    /// The binary, if it is not to be built.
    pub binary: Option<PathBuf>,
}

/// Programs, the inner iterations, and how many iterations a tier that compiles gets.
const PROGRAMS: [(&str, &str, usize); 14] = [
    ("Bounce", "100", 40),
    ("CD", "100", 15),
    ("DeltaBlue", "1000", 40),
    ("Havlak", "1", 12),
    ("Json", "10", 40),
    ("List", "100", 40),
    ("Mandelbrot", "500", 15),
    ("NBody", "250000", 15),
    ("Permute", "100", 40),
    ("Queens", "100", 40),
    ("Richards", "3", 40),
    ("Sieve", "100", 40),
    ("Storage", "100", 20),
    ("Towers", "60", 40),
];

/// Iterations of what does not compile.
const PLAIN_ITERATIONS: usize = 4;

/// What is run: the other virtual machine, then 2SOM's tiers.
const MODES: [&str; 4] = ["reference", "interp", "tracing", "two-level"];
const REFERENCE: usize = 0;
const INTERP: usize = 1;
const TRACING: usize = 2;
const TWO_LEVEL: usize = 3;

/// A program's processor time in milliseconds, by mode.
type Times = [f64; MODES.len()];

impl Comparison {
    /// Reads `NAME=VALUE` arguments; the checkout's directory is `upstream`.
    ///
    /// # Errors
    /// If a name or a number is none, or if it is not said what to compare with.
    pub fn parse(args: &[String], upstream: Option<PathBuf>) -> Result<Comparison, String> {
        let mut comparison = Comparison {
            reference: Vec::new(),
            upstream: upstream.ok_or("SOM_UPSTREAM has to name a checkout of SOM-st/SOM")?,
            rounds: 3,
            only: None,
            json: None,
            binary: None,
        };
        for arg in args {
            let (name, value) = arg.split_once('=').ok_or_else(|| format!("'{arg}' is not NAME=VALUE"))?;
            match name {
                "reference" => comparison.reference = value.split_whitespace().map(str::to_owned).collect(),
                "rounds" => {
                    let rounds: usize = value.parse().map_err(|_| format!("'{value}' is no number"))?;
                    comparison.rounds = rounds.max(1);
                }
                "only" => comparison.only = Some(value.to_owned()),
                "json" => comparison.json = Some(value.into()),
                "binary" => comparison.binary = Some(value.into()),
                _ => return Err(format!("compare has no argument '{name}'")),
            }
        }
        if comparison.reference.is_empty() {
            return Err(
                "reference='COMMAND OPTIONS' has to name the other virtual machine, such as 'SOM++ -H64MB'".to_owned()
            );
        }
        Ok(comparison)
    }

    /// Measures, and prints a table and the figures.
    ///
    /// # Errors
    /// If something can't be built, run or written, or if a program goes wrong.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let binary = self.binary.clone().map_or_else(|| crate::evaluate::build(root), Ok)?;
        let commands = Commands { comparison: self, binary: &binary };
        println!("milliseconds of processor time: {}", MODES.join(" | "));
        let (mut firsts, mut steadies, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (name, inner, iterations) in PROGRAMS {
            if self.only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let first = self.first(&commands, name, inner)?;
            let steady = self.steady(&commands, name, inner, iterations)?;
            println!("{name:<11} first {}   steady {}", row(&first), row(&steady));
            firsts.push(first);
            steadies.push(steady);
            names.push(name);
        }
        if names.is_empty() {
            return Err(format!("there is no program '{}'", self.only.as_deref().unwrap_or_default()));
        }
        let mut figures = Map::new();
        let mut tell = |name: &str, value: f64| {
            println!("{name:<18} {value:8.3}");
            figures.insert(name.to_owned(), Value::from(value));
        };
        tell("interp_steady", ratio(&steadies, INTERP, REFERENCE));
        tell("tracing_steady", ratio(&steadies, TRACING, REFERENCE));
        tell("two_level_steady", ratio(&steadies, TWO_LEVEL, REFERENCE));
        tell("interp_first", ratio(&firsts, INTERP, REFERENCE));
        tell("tracing_first", ratio(&firsts, TRACING, REFERENCE));
        tell("two_level_first", ratio(&firsts, TWO_LEVEL, REFERENCE));
        if let Some((name, worst)) = worst(&names, &steadies) {
            tell("worst_tracing", worst);
            println!("({name})");
        }
        if self.only.is_none() {
            let hello = self.hello(root, &commands)?;
            tell("hello_ms", hello.of_2som.0);
            tell("hello_reference_ms", hello.of_reference.0);
            tell("hello_mib", hello.of_2som.1);
            let tests = self.tests(&commands)?;
            tell("testsuite_ms", tests.of_2som.0);
            tell("testsuite", tests.of_2som.0 / tests.of_reference.0);
        }
        match &self.json {
            Some(file) => {
                let text = serde_json::to_string_pretty(&figures).unwrap_or_default() + "\n";
                std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
            }
            None => Ok(()),
        }
    }

    fn first(&self, commands: &Commands<'_>, name: &str, inner: &str) -> Result<Times, String> {
        let mut samples: [Vec<f64>; MODES.len()] = Default::default();
        for _ in 0..self.rounds {
            for (mode, samples) in samples.iter_mut().enumerate() {
                let finished = ended_well(&mut commands.harness(mode, name, 1, inner))?;
                samples.push(millis(&finished));
            }
        }
        Ok(samples.map(|samples| median(&samples)))
    }

    fn steady(&self, commands: &Commands<'_>, name: &str, inner: &str, iterations: usize) -> Result<Times, String> {
        let mut times = Times::default();
        for (mode, time) in times.iter_mut().enumerate() {
            let count = if mode == REFERENCE || mode == INTERP { PLAIN_ITERATIONS } else { iterations };
            let finished = ended_well(&mut commands.harness(mode, name, count, inner))?;
            *time = steady(&finished).ok_or_else(|| format!("{name} does not print its iterations' times"))?;
        }
        Ok(times)
    }

    /// The hello world.
    fn hello(&self, root: &Path, commands: &Commands<'_>) -> Result<Pair, String> {
        let file = root.join("crates/som/examples/Hello.som");
        self.pair(commands, |command, reference| {
            if reference {
                command.arg("-cp").arg(self.upstream.join("Smalltalk"));
            }
            command.arg(&file);
        })
    }

    /// Upstream's tests.
    fn tests(&self, commands: &Commands<'_>) -> Result<Pair, String> {
        self.pair(commands, |command, _| {
            command.current_dir(&self.upstream).args(["-cp", "Smalltalk:TestSuite", "TestHarness"]);
        })
    }

    /// Whole processes of 2SOM in its default mode and of the other.
    fn pair(&self, commands: &Commands<'_>, arguments: impl Fn(&mut Command, bool)) -> Result<Pair, String> {
        let (mut ours, mut theirs, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..10 * self.rounds {
            let mut command = commands.of_2som();
            arguments(&mut command, false);
            let finished = ended_well(&mut command)?;
            ours.push(millis(&finished));
            memory.push(finished.peak_kb as f64 / 1024.0);
            let mut command = commands.of_reference();
            arguments(&mut command, true);
            theirs.push(millis(&ended_well(&mut command)?));
        }
        Ok(Pair { of_2som: (median(&ours), median(&memory)), of_reference: (median(&theirs), 0.0) })
    }
}

/// Milliseconds and MiB of whole processes.
struct Pair {
    of_2som: (f64, f64),
    of_reference: (f64, f64),
}

/// How programs are started.
struct Commands<'a> {
    comparison: &'a Comparison,
    binary: &'a Path,
}

impl Commands<'_> {
    fn of_2som(&self) -> Command {
        let mut command = Command::new(self.binary);
        command.env_remove("METAJIT").env_remove("METAJIT_GC").env_remove("METAJIT_LOG");
        command
    }

    fn of_reference(&self) -> Command {
        let mut command = Command::new(&self.comparison.reference[0]);
        command.args(&self.comparison.reference[1..]);
        command
    }

    /// A program under the usual harness.
    fn harness(&self, mode: usize, name: &str, iterations: usize, inner: &str) -> Command {
        let mut command = if mode == REFERENCE {
            self.of_reference()
        } else {
            let mut command = self.of_2som();
            command.args(["--tier", MODES[mode]]);
            command
        };
        let programs = self.comparison.upstream.join("Examples/AreWeFastYet");
        let mut path: Vec<PathBuf> =
            ["CD", "DeltaBlue", "Havlak", "Json", "NBody", "Richards", "Core"].map(|part| programs.join(part)).to_vec();
        path.push(self.comparison.upstream.join("Smalltalk"));
        let path: Vec<String> = path.iter().map(|part| part.display().to_string()).collect();
        command.arg("-cp").arg(path.join(":")).arg(programs.join("Harness.som"));
        command.args([name, &iterations.to_string(), inner]);
        command
    }
}

/// Runs a command that is to succeed.
fn ended_well(command: &mut Command) -> Result<Finished, String> {
    let finished = measure(command)?;
    if finished.status == Some(0) {
        return Ok(finished);
    }
    let last = finished.lines.last().map(|line| line.text.clone()).unwrap_or_default();
    Err(format!("{command:?}: status {:?}: {last} {}", finished.status, finished.err.trim_end()))
}

fn millis(finished: &Finished) -> f64 {
    finished.cpu.as_secs_f64() * 1e3
}

/// The median of the last half of the iterations, in milliseconds of processor time: each from the line that tells of the one before
/// it, since what is printed besides stands right before that line.
fn steady(finished: &Finished) -> Option<f64> {
    let mut before = finished.lines.first()?.cpu;
    let mut times = Vec::new();
    for line in finished.lines.iter().filter(|line| iteration(&line.text).is_some()) {
        times.push((line.cpu - before).as_secs_f64() * 1e3);
        before = line.cpu;
    }
    (!times.is_empty()).then(|| median(&times[times.len() / 2..]))
}

/// The geometric mean of the ratios of two modes.
fn ratio(times: &[Times], mode: usize, base: usize) -> f64 {
    let ratios: Vec<f64> = times.iter().map(|times| times[mode] / times[base]).collect();
    geometric_mean(&ratios)
}

/// The program that tracing helps least.
fn worst<'a>(names: &[&'a str], steadies: &[Times]) -> Option<(&'a str, f64)> {
    let ratios = names.iter().zip(steadies).map(|(&name, times)| (name, times[TRACING] / times[INTERP]));
    ratios.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn row(times: &Times) -> String {
    times.map(|time| format!("{time:8.1}")).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::process::Line;
    use std::time::Duration;

    fn parse(args: &[&str]) -> Result<Comparison, String> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        Comparison::parse(&args, Some("/upstream".into()))
    }

    #[test]
    fn arguments_are_checked() {
        let comparison = parse(&["reference=other -H64MB", "rounds=5", "only=Json"]).expect("good arguments");
        assert_eq!(comparison.reference, ["other", "-H64MB"]);
        assert_eq!((comparison.rounds, comparison.only.as_deref()), (5, Some("Json")));
        assert!(parse(&["reference=other", "rounds=some"]).is_err_and(|error| error.contains("'some' is no number")));
        assert!(parse(&["reference=other", "quick"]).is_err_and(|error| error.contains("'quick' is not NAME=VALUE")));
        assert!(parse(&[]).is_err_and(|error| error.contains("reference=")));
        assert!(Comparison::parse(&[], None).is_err_and(|error| error.contains("SOM_UPSTREAM")));
    }

    #[test]
    fn the_steady_state_is_the_median_of_the_last_half() {
        let line = |text: &str, millis| Line {
            text: text.to_owned(),
            wall: Duration::ZERO,
            cpu: Duration::from_millis(millis),
        };
        let iteration = "Json: iterations=1 runtime: 5us";
        let lines = vec![
            line("Starting", 10),
            line("collections: 0", 99),
            line(iteration, 100),
            line(iteration, 150),
            line("collections: 0", 179),
            line(iteration, 180),
        ];
        let finished = Finished {
            status: Some(0),
            lines,
            err: String::new(),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_kb: 0,
        };
        // 90, 50 and 30: the last half is 50 and 30.
        assert_eq!(steady(&finished), Some(40.0));
    }

    #[test]
    fn ratios_are_of_modes_and_the_worst_program_is_named() {
        let times = [[100.0, 50.0, 10.0, 5.0], [100.0, 200.0, 90.0, 20.0]];
        assert!((ratio(&times, INTERP, REFERENCE) - 1.0).abs() < 1e-9);
        assert_eq!(worst(&["A", "B"], &times), Some(("B", 0.45)));
    }
}
