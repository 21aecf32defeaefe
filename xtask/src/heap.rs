//! Long campaigns of the collector's tests, in pieces.
//!
//! `crates/metajit/tests/gc/` has tests of random heap graphs against a model, and one of allocation without end; they take about a second
//! as part of `cargo test`. This runs a million graphs and an hour of churn. How far the graphs came is written down, so that they go
//! on where they were stopped; the churn is one run, since what it shows is that one heap stays as large as it is.

use crate::progress::Progress;
use std::path::Path;
use std::process::Command;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Random graphs in all, of each kind.
    pub graphs: u64,
    /// Graphs in one run of a test.
    pub chunk: u64,
    /// Seconds of churn.
    pub churn: u64,
}

/// The tests of random graphs: verified and poisoned; the same with a collection at every allocation; bare, with a collection at one
/// allocation in seven.
const GRAPHS: [&str; 3] = [
    "graphs::random_graphs_survive_intact",
    "graphs::random_graphs_survive_collections_at_every_allocation",
    "graphs::random_graphs_survive_without_checks_and_with_random_collections",
];
const CHURN: &str = "churn::churn_keeps_resident_memory_flat";

impl Campaign {
    /// Reads `NAME=VALUE` arguments.
    ///
    /// # Errors
    /// If a name or a number is none.
    pub fn parse(args: &[String]) -> Result<Campaign, String> {
        let mut campaign = Campaign { graphs: 1_000_000, chunk: 20_000, churn: 3600 };
        for arg in args {
            let (name, value) = arg.split_once('=').ok_or_else(|| format!("'{arg}' is not NAME=VALUE"))?;
            let number = value.parse::<u64>().map_err(|_| format!("'{value}' is no number"))?;
            match name {
                "graphs" => campaign.graphs = number,
                "chunk" => campaign.chunk = number.max(1),
                "churn" => campaign.churn = number,
                _ => return Err(format!("heap has no argument '{name}'")),
            }
        }
        Ok(campaign)
    }

    /// Runs it, or what is left of it.
    ///
    /// # Errors
    /// If a test fails or can't be run, or the progress can't be written down.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let mut progress = Progress::of(root, "heap-progress.txt");
        for test in GRAPHS {
            let mut count = progress.count(test);
            while count < self.graphs {
                let chunk = self.chunk.min(self.graphs - count);
                println!("{test}: graphs {count} to {} of {}", count + chunk, self.graphs);
                run(root, test, &[("METAJIT_GC_SEED", count), ("METAJIT_GC_GRAPHS", chunk)])?;
                count += chunk;
                progress.note(test, count)?;
            }
        }
        if progress.count(CHURN) < self.churn {
            println!("{CHURN}: {} seconds", self.churn);
            run(root, CHURN, &[("METAJIT_GC_CHURN_SECONDS", self.churn)])?;
            progress.note(CHURN, self.churn)?;
        }
        Ok(())
    }
}

fn run(root: &Path, test: &str, environment: &[(&str, u64)]) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--release", "--quiet", "-p", "metajit", "--test", "gc", "--", "--exact", test, "--nocapture"]);
    cargo.envs(environment.iter().map(|&(name, value)| (name, value.to_string())));
    let status = cargo.current_dir(root).status().map_err(|error| format!("{cargo:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{test} failed, with {environment:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let campaign = Campaign::parse(&["graphs=7".to_owned(), "churn=0".to_owned()]);
        assert_eq!(campaign, Ok(Campaign { graphs: 7, chunk: 20_000, churn: 0 }));
        assert!(Campaign::parse(&["chunk=many".to_owned()]).is_err());
        assert!(Campaign::parse(&["seed=1".to_owned()]).is_err());
    }

    #[test]
    fn the_tests_that_it_runs_exist() {
        let tests = crate::root().join("crates/metajit/tests/gc");
        for test in GRAPHS.into_iter().chain([CHURN]) {
            let (module, function) = test.split_once("::").expect("a path");
            let text = std::fs::read_to_string(tests.join(module).with_extension("rs")).expect("the module");
            assert!(text.contains(&format!("#[test]\nfn {function}()")), "{test}");
        }
    }
}
