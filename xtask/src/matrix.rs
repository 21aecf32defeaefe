//! All suites in all ways: tier, thresholds, forced exits, collections that nobody needs, compiling in the background.
//!
//! None of these changes the result of any program. The ways are those of `metajit::testing::matrix`, of which `cargo test` runs few; here
//! each suite runs in each. What has passed is written down, one line for each suite and way, so that a matrix of hours can be stopped and
//! goes on where it was; what has failed is run again the next time.
//!
//! Programs of a few lines run with a collection at *every* allocation, long ones with one at a random allocation in so many. What is
//! freed is overwritten, so that a use of it shows; some runs also check the whole heap before and after each collection. Programs that
//! fill the native stack (a million sends that have not returned) are a suite of their own: a collection looks at all of a stack, so with one
//! in 50 allocations they would take an hour each.

use crate::progress::Progress;
use crate::ways::{self, Cell};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Only runs whose names have this part.
    pub only: String,
    /// Only those ways in which any two circumstances meet.
    pub pairwise: bool,
}

/// How a suite is told of a way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// By `METAJIT`: it runs programs with the parameters that threads begin with.
    Defaults,
    /// By `METAJIT_FUZZ_MODE`: it compares with the plain interpreter.
    Mode,
    /// Not at all: it chooses the parameters by itself. Only the collector is varied.
    Nothing,
}

/// Tests that run programs.
struct Suite {
    name: &'static str,
    /// The arguments of `cargo test`.
    arguments: &'static [&'static str],
    told: Told,
    /// More parameters, for all ways.
    parameters: &'static str,
    /// What `METAJIT_GC` is where collections happen without need; a run for each.
    collectors: &'static [&'static str],
    /// How many random programs, where that is more than the tests do by themselves.
    programs: &'static str,
}

/// What most suites are.
const SUITE: Suite = Suite {
    name: "",
    arguments: &[],
    told: Told::Defaults,
    parameters: "",
    collectors: &["stress=1,poison=1"],
    programs: "",
};

const SUITES: [Suite; 11] = [
    Suite {
        name: "language",
        arguments: &["-p", "som", "--test", "language", "every_language_test"],
        collectors: &["stress=1,poison=1", "stress=50,poison=1,verify=1"],
        ..SUITE
    },
    Suite {
        name: "benchmarks",
        arguments: &["-p", "som", "--test", "language", "every_benchmark"],
        collectors: &["stress=2000,poison=1"],
        ..SUITE
    },
    Suite {
        name: "language-evaluated",
        arguments: &["-p", "som", "--test", "language", "every_language_test"],
        parameters: "evaluate=1",
        ..SUITE
    },
    Suite { name: "ablations", arguments: &["-p", "som", "--test", "ablations"], told: Told::Nothing, ..SUITE },
    // What asserts how much was compiled, and what goes through modes, has its own idea of the parameters.
    Suite {
        name: "examples",
        arguments: &[
            "-p",
            "brainfuck",
            "-p",
            "calc",
            "-p",
            "cells",
            "-p",
            "countdown",
            "-p",
            "tla",
            "--tests",
            "--",
            "--skip",
            "compiled",
            "--skip",
            "jit::",
            "--skip",
            "random_programs",
        ],
        ..SUITE
    },
    Suite {
        name: "examples-in-all-modes",
        arguments: &["-p", "brainfuck", "-p", "calc", "-p", "cells", "-p", "countdown", "-p", "tla"],
        told: Told::Nothing,
        ..SUITE
    },
    Suite { name: "subset", arguments: &["-p", "metajit", "--test", "subset"], told: Told::Nothing, ..SUITE },
    Suite {
        name: "fuzz-examples",
        arguments: &["-p", "brainfuck", "-p", "calc", "-p", "cells", "-p", "tla", "--test", "fuzz"],
        told: Told::Mode,
        collectors: &["stress=13,poison=1"],
        programs: "200",
        ..SUITE
    },
    Suite {
        name: "fuzz-som",
        arguments: &["-p", "som", "--test", "fuzz"],
        told: Told::Mode,
        collectors: &["stress=301,poison=1"],
        programs: "100",
        ..SUITE
    },
    Suite {
        name: "upstream",
        arguments: &["-p", "som", "--test", "upstream"],
        collectors: &["stress=2000,poison=1"],
        ..SUITE
    },
    // Last, since it takes longest.
    Suite {
        name: "language-large",
        arguments: &["-p", "som", "--test", "language", "large_language_tests"],
        collectors: &["stress=100000,poison=1,verify=1"],
        ..SUITE
    },
];

/// A suite in a way.
struct Run {
    name: String,
    suite: &'static Suite,
    environment: Vec<(&'static str, String)>,
}

fn runs(cells: &[Cell]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for suite in &SUITES {
        for cell in cells {
            let collectors = if cell.collects() { suite.collectors } else { &[""] };
            for collector in collectors {
                let mut parts = vec![suite.name.to_owned()];
                parts.extend((suite.told != Told::Nothing).then(|| cell.name()));
                parts.extend((!collector.is_empty()).then(|| (*collector).to_owned()));
                let name = parts.join(":");
                if runs.iter().any(|run| run.name == name) {
                    continue;
                }
                let mut environment = vec![("METAJIT_GC", (*collector).to_owned())];
                let mut parameters = cell.parameters();
                if !suite.parameters.is_empty() {
                    parameters = format!("{parameters},{}", suite.parameters);
                }
                match suite.told {
                    Told::Defaults => environment.push(("METAJIT", parameters)),
                    Told::Mode => environment.push(("METAJIT_FUZZ_MODE", parameters)),
                    Told::Nothing => {}
                }
                if !suite.programs.is_empty() {
                    environment.push(("METAJIT_FUZZ_PROGRAMS", suite.programs.to_owned()));
                }
                runs.push(Run { name, suite, environment });
            }
        }
    }
    runs
}

impl Matrix {
    /// Reads `NAME=VALUE` arguments.
    ///
    /// # Errors
    /// If there is no such argument.
    pub fn parse(args: &[String]) -> Result<Matrix, String> {
        let mut matrix = Matrix::default();
        for arg in args {
            match arg.split_once('=') {
                Some(("only", part)) => part.clone_into(&mut matrix.only),
                Some(("ways", "all")) => matrix.pairwise = false,
                Some(("ways", "pairwise")) => matrix.pairwise = true,
                _ => return Err(format!("matrix has no argument '{arg}'")),
            }
        }
        Ok(matrix)
    }

    /// Runs all that has not passed yet.
    ///
    /// # Errors
    /// If a suite fails or can't be run, or the progress can't be written down.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let mut progress = Progress::of(root, "matrix-progress.txt");
        let mut runs = runs(&if self.pairwise { ways::pairwise() } else { ways::all() });
        runs.retain(|run| run.name.contains(&self.only));
        if std::env::var_os("SOM_UPSTREAM").is_none() && runs.iter().any(|run| run.suite.name == "upstream") {
            println!("skipped: upstream's suites; set SOM_UPSTREAM to a checkout of SOM-st/SOM");
            runs.retain(|run| run.suite.name != "upstream");
        }
        if runs.is_empty() {
            return Err(format!("no run has '{}' in its name", self.only));
        }
        let passed = runs.iter().filter(|run| progress.count(&run.name) > 0).count();
        println!("{passed} of {} runs passed before, says {}", runs.len(), progress.file().display());
        let mut failed = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            if progress.count(&run.name) > 0 {
                continue;
            }
            let start = Instant::now();
            let output = run.command(root).output().map_err(|error| format!("{}: {error}", run.name))?;
            let outcome = if output.status.success() { "passed" } else { "FAILED" };
            let (number, all, seconds) = (number + 1, runs.len(), start.elapsed().as_secs_f64());
            println!("{number} of {all}: {} {outcome} in {seconds:.1} s", run.name);
            if output.status.success() {
                progress.note(&run.name, 1)?;
            } else {
                let text = [output.stdout, output.stderr].concat();
                println!("{:?}\n{}", run.command(root), String::from_utf8_lossy(&text));
                failed.push(run.name.clone());
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("{} runs failed:\n{}", failed.len(), failed.join("\n"))) }
    }
}

impl Run {
    fn command(&self, root: &Path) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--release", "--quiet"]).args(self.suite.arguments);
        cargo.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(root);
        cargo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn arguments_are_checked() {
        let matrix = Matrix::parse(&["only=language".to_owned(), "ways=pairwise".to_owned()]);
        assert_eq!(matrix, Ok(Matrix { only: "language".to_owned(), pairwise: true }));
        assert!(Matrix::parse(&["ways=some".to_owned()]).is_err());
        assert!(Matrix::parse(&["language".to_owned()]).is_err());
    }

    #[test]
    fn each_run_has_a_name_that_fits_on_a_line_of_the_progress() {
        let runs = runs(&ways::all());
        let names: BTreeSet<&str> = runs.iter().map(|run| &*run.name).collect();
        assert_eq!(names.len(), runs.len());
        assert!(names.iter().all(|name| !name.contains(char::is_whitespace)));
    }

    #[test]
    fn every_suite_runs_with_and_without_a_busy_collector() {
        let runs = runs(&ways::pairwise());
        for suite in &SUITES {
            let of = |stressed: bool| {
                runs.iter().any(|run| run.suite.name == suite.name && run.name.contains("stress=") == stressed)
            };
            assert!(of(true) && of(false), "{}", suite.name);
        }
    }
}
