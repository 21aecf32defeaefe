//! How far a campaign came, in a file of the target directory: a line with a name and a count for each of its parts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The counts, and the file that has them.
#[derive(Debug)]
pub struct Progress {
    file: PathBuf,
    done: BTreeMap<String, u64>,
}

impl Progress {
    /// What the file of this name says; nothing is done if there is none.
    pub fn of(root: &Path, name: &str) -> Progress {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
        let file = target.join(name);
        let done = read(&std::fs::read_to_string(&file).unwrap_or_default());
        Progress { file, done }
    }

    /// How much of a part has been done.
    pub fn count(&self, part: &str) -> u64 {
        self.done.get(part).copied().unwrap_or(0)
    }

    /// Writes down how much of a part has been done.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn note(&mut self, part: &str, count: u64) -> Result<(), String> {
        self.done.insert(part.to_owned(), count);
        std::fs::write(&self.file, write(&self.done)).map_err(|error| format!("{}: {error}", self.file.display()))
    }

    /// Where it is written down.
    pub fn file(&self) -> &Path {
        &self.file
    }
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
}
