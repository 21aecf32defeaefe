//! Long fuzzing campaigns, in pieces.
//!
//! Each language in `examples/` has a test `fuzz` that runs a few random programs in every mode. This runs the same test again
//! and again with other seeds and writes down how far it came, so that a campaign of hours can be stopped and goes on where it
//! was. A failing piece stops the campaign; its output names the seed and shows the smallest program found.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Programs for each language.
    pub programs: u64,
    /// Programs in one run of the test.
    pub chunk: u64,
    /// The only language.
    pub only: Option<String>,
}

/// The file, in the target directory, that says how many programs of each language have been run.
const PROGRESS: &str = "fuzz-progress.txt";

impl Campaign {
    /// Reads `NAME=VALUE` arguments.
    ///
    /// # Errors
    /// If a name or a number is none.
    pub fn parse(args: &[String]) -> Result<Campaign, String> {
        let mut campaign = Campaign { programs: 100_000, chunk: 500, only: None };
        for arg in args {
            let (name, value) = arg.split_once('=').ok_or_else(|| format!("'{arg}' is not NAME=VALUE"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is no number"));
            match name {
                "programs" => campaign.programs = number()?,
                "chunk" => campaign.chunk = number()?.max(1),
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
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
        let file = target.join(PROGRESS);
        let mut done = read(&std::fs::read_to_string(&file).unwrap_or_default());
        for language in languages(root)? {
            if self.only.as_ref().is_some_and(|only| *only != language) {
                continue;
            }
            let mut count = done.get(&language).copied().unwrap_or(0);
            while count < self.programs {
                let chunk = self.chunk.min(self.programs - count);
                println!("{language}: programs {count} to {} of {}", count + chunk, self.programs);
                let mut cargo = Command::new("cargo");
                cargo.args(["test", "--release", "--quiet", "-p", &language, "--test", "fuzz", "--", "--nocapture"]);
                // The first thousand seeds are those of the ordinary tests.
                cargo.env("METAJIT_FUZZ_SEED", (1000 + count).to_string());
                cargo.env("METAJIT_FUZZ_PROGRAMS", chunk.to_string());
                let status = cargo.current_dir(root).status().map_err(|error| format!("{cargo:?}: {error}"))?;
                if !status.success() {
                    return Err(format!("{language} failed; what was run before is in {}", file.display()));
                }
                count += chunk;
                done.insert(language.clone(), count);
                std::fs::write(&file, write(&done)).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(())
    }
}

/// The examples that have a fuzz test.
fn languages(root: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(root.join("examples")).map_err(|error| format!("examples: {error}"))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("tests/fuzz.rs").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn read(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

fn write(done: &BTreeMap<String, u64>) -> String {
    done.iter().map(|(name, count)| format!("{name} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back() {
        let done = BTreeMap::from([("calc".to_owned(), 10), ("tla".to_owned(), 2500)]);
        assert_eq!(read(&write(&done)), done);
    }

    #[test]
    fn arguments_are_checked() {
        let campaign = Campaign::parse(&["programs=7".to_owned(), "only=tla".to_owned()]);
        assert_eq!(campaign, Ok(Campaign { programs: 7, chunk: 500, only: Some("tla".to_owned()) }));
        assert!(Campaign::parse(&["chunk=many".to_owned()]).is_err());
        assert!(Campaign::parse(&["seed=1".to_owned()]).is_err());
    }
}
