//! Long fuzzing campaigns, in pieces.
//!
//! Each language in `examples/`, and 2SOM, has a test `fuzz` that runs a few random programs in every mode; 2SOM's test `mutants`
//! compiles mutated sources. This runs the same tests again
//! and again with other seeds and writes down how far it came, so that a campaign of hours can be stopped and goes on where it
//! was. A failing piece stops the campaign; its output names the seed and shows the smallest program found.

use crate::progress::Progress;
use std::path::Path;
use std::process::Command;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Programs for each language, if not as many as each has by itself.
    pub programs: Option<u64>,
    /// Programs in one run of the test, if not as many as each has by itself.
    pub chunk: Option<u64>,
    /// The only language.
    pub only: Option<String>,
}

/// A test that can be made longer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    package: String,
    test: &'static str,
    programs: u64,
    chunk: u64,
}

impl Campaign {
    /// Reads `NAME=VALUE` arguments.
    ///
    /// # Errors
    /// If a name or a number is none.
    pub fn parse(args: &[String]) -> Result<Campaign, String> {
        let mut campaign = Campaign { programs: None, chunk: None, only: None };
        for arg in args {
            let (name, value) = arg.split_once('=').ok_or_else(|| format!("'{arg}' is not NAME=VALUE"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is no number"));
            match name {
                "programs" => campaign.programs = Some(number()?),
                "chunk" => campaign.chunk = Some(number()?.max(1)),
                "only" => campaign.only = Some(value.to_owned()),
                _ => return Err(format!("fuzz has no argument '{name}'")),
            }
        }
        Ok(campaign)
    }

    /// Runs it, or what is left of it.
    ///
    /// # Errors
    /// If a test fails or can't be run, or the progress can't be written down.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let mut progress = Progress::of(root, "fuzz-progress.txt");
        for target in targets(root)? {
            if self.only.as_ref().is_some_and(|only| *only != target.name) {
                continue;
            }
            let Target { name, package, test, .. } = &target;
            let (programs, size) = (self.programs.unwrap_or(target.programs), self.chunk.unwrap_or(target.chunk));
            let mut count = progress.count(name);
            while count < programs {
                let chunk = size.min(programs - count);
                println!("{name}: programs {count} to {} of {programs}", count + chunk);
                let mut cargo = Command::new("cargo");
                cargo.args(["test", "--release", "--quiet", "-p", package, "--test", test, "--", "--nocapture"]);
                // The first thousand seeds are those of the ordinary tests.
                cargo.env("METAJIT_FUZZ_SEED", (1000 + count).to_string());
                cargo.env("METAJIT_FUZZ_PROGRAMS", chunk.to_string());
                let status = cargo.current_dir(root).status().map_err(|error| format!("{cargo:?}: {error}"))?;
                if !status.success() {
                    return Err(format!("{name} failed; what was run before is in {}", progress.file().display()));
                }
                count += chunk;
                progress.note(name, count)?;
            }
        }
        Ok(())
    }
}

/// The examples that have a fuzz test, and what 2SOM has.
fn targets(root: &Path) -> Result<Vec<Target>, String> {
    let entries = std::fs::read_dir(root.join("examples")).map_err(|error| format!("examples: {error}"))?;
    let mut targets: Vec<Target> = entries
        .flatten()
        .filter(|entry| entry.path().join("tests/fuzz.rs").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|name| Target { package: name.clone(), name, test: "fuzz", programs: 100_000, chunk: 500 })
        .collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    let som = |name: &str, test, programs, chunk| Target {
        name: name.to_owned(),
        package: "som".to_owned(),
        test,
        programs,
        chunk,
    };
    targets.push(som("som", "fuzz", 50_000, 500));
    targets.push(som("som-mutants", "mutants", 1_000_000, 20_000));
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let campaign = Campaign::parse(&["programs=7".to_owned(), "only=tla".to_owned()]);
        assert_eq!(campaign, Ok(Campaign { programs: Some(7), chunk: None, only: Some("tla".to_owned()) }));
        assert!(Campaign::parse(&["chunk=many".to_owned()]).is_err());
        assert!(Campaign::parse(&["seed=1".to_owned()]).is_err());
    }
}
