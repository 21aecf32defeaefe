//! How far a campaign came, in a file of the target directory: what it ran, then a line with a name and a count for each of its parts.
//!
//! What passed with other sources has not passed with these, so a campaign begins anew when they have changed: the crates, the examples and
//! what they depend on, committed or not. Neither the chores nor the documents are part of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a campaign runs.
const SOURCES: [&str; 3] = ["crates", "examples", "Cargo.lock"];

/// What stands before the sources' name in the file.
const HEAD: &str = "sources ";

/// The counts, and the file that has them.
#[derive(Debug)]
pub struct Progress {
    file: PathBuf,
    sources: String,
    done: BTreeMap<String, u64>,
}

impl Progress {
    /// What the file of this name says; nothing is done if there is none, or if it is about other sources.
    pub fn of(root: &Path, name: &str) -> Progress {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
        let file = target.join(name);
        let sources = sources(root);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let (of, done) = read(&text);
        if of == sources {
            return Progress { file, sources, done };
        }
        if !done.is_empty() {
            println!("{}: the sources have changed since, so this begins anew", file.display());
        }
        Progress { file, sources, done: BTreeMap::new() }
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
        let text = write(&self.sources, &self.done);
        std::fs::write(&self.file, text).map_err(|error| format!("{}: {error}", self.file.display()))
    }

    /// Where it is written down.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// A name for the sources as they are; the same for all of them where there is no git.
fn sources(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).args(SOURCES).current_dir(root).output();
        output.map_or_else(|_| Vec::new(), |output| output.stdout)
    };
    let mut hasher = DefaultHasher::new();
    (git(&["ls-tree", "HEAD", "--"]), git(&["diff", "HEAD", "--"])).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn read(text: &str) -> (&str, BTreeMap<String, u64>) {
    let (sources, lines) = match text.split_once('\n') {
        Some((head, lines)) => (head.strip_prefix(HEAD).unwrap_or_default(), lines),
        None => ("", ""),
    };
    let done = lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect();
    (sources, done)
}

fn write(sources: &str, done: &BTreeMap<String, u64>) -> String {
    let lines: String = done.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
    format!("{HEAD}{sources}\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_back() {
        let done = BTreeMap::from([("calc".to_owned(), 10), ("tla".to_owned(), 2500)]);
        assert_eq!(read(&write("a1", &done)), ("a1", done));
        assert_eq!(read(""), ("", BTreeMap::new()));
    }

    #[test]
    fn other_sources_begin_anew() {
        let directory = std::env::temp_dir().join(format!("metajit-progress-{}", std::process::id()));
        let git = |args: &[&str]| {
            let identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"];
            let status = Command::new("git").args(identity).args(args).current_dir(&directory).output();
            assert!(status.is_ok_and(|output| output.status.success()), "git {args:?}");
        };
        let put = |file: &str, text: &str| std::fs::write(directory.join(file), text).expect("a file");
        std::fs::create_dir_all(directory.join("crates")).expect("a directory");
        put("Cargo.lock", "1");
        put("crates/lib.rs", "1");
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "first"]);
        let first = sources(&directory);
        put("README", "not of them");
        assert_eq!(sources(&directory), first);
        put("crates/lib.rs", "2");
        let changed = sources(&directory);
        assert_ne!(changed, first);
        put("crates/lib.rs", "1");
        assert_eq!(sources(&directory), first);
        let _ = std::fs::remove_dir_all(&directory);
    }
}
