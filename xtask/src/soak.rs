//! The soak: hot loops, made and abandoned for minutes or hours, in pieces.
//!
//! The program is `crates/metajit/examples/soak.rs`, which checks results and the bound of code memory by itself. This runs it
//! with other seeds again and again and writes down how long it has run, so that a long soak can be stopped and goes on where it
//! was.

use crate::progress::Progress;
use std::path::Path;
use std::process::Command;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soak {
    /// Seconds altogether.
    pub seconds: u64,
    /// Seconds of one process.
    pub chunk: u64,
}

/// The file that says how many seconds have been run, and its only line.
const PROGRESS: &str = "soak-progress.txt";
const PART: &str = "seconds";

impl Soak {
    /// Reads `NAME=VALUE` arguments.
    ///
    /// # Errors
    /// If a name or a number is none.
    pub fn parse(args: &[String]) -> Result<Soak, String> {
        let mut soak = Soak { seconds: 600, chunk: 60 };
        for arg in args {
            let (name, value) = arg.split_once('=').ok_or_else(|| format!("'{arg}' is not NAME=VALUE"))?;
            let number = value.parse::<u64>().map_err(|_| format!("'{value}' is no number"))?;
            match name {
                "minutes" => soak.seconds = number * 60,
                "chunk" => soak.chunk = number.max(1),
                _ => return Err(format!("soak has no argument '{name}'")),
            }
        }
        Ok(soak)
    }

    /// Runs it, or what is left of it.
    ///
    /// # Errors
    /// If a piece fails or can't be run, or the progress can't be written down.
    pub fn run(&self, root: &Path) -> Result<(), String> {
        let mut progress = Progress::of(root, PROGRESS);
        let mut done = progress.count(PART);
        while done < self.seconds {
            let chunk = self.chunk.min(self.seconds - done);
            println!("seconds {done} to {} of {}", done + chunk, self.seconds);
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--release", "--quiet", "-p", "metajit", "--example", "soak", "--"]);
            cargo.args([chunk.to_string(), done.to_string()]);
            let status = cargo.current_dir(root).status().map_err(|error| format!("{cargo:?}: {error}"))?;
            if !status.success() {
                return Err(format!("the piece failed: {cargo:?}"));
            }
            done += chunk;
            progress.note(PART, done)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let soak = Soak::parse(&["minutes=2".to_owned(), "chunk=7".to_owned()]);
        assert_eq!(soak, Ok(Soak { seconds: 120, chunk: 7 }));
        assert!(Soak::parse(&["minutes=many".to_owned()]).is_err());
        assert!(Soak::parse(&["hours=1".to_owned()]).is_err());
    }
}
