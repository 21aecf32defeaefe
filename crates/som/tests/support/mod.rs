//! What the suites share: running the binary, and comparing with what a heading comment expects.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub(crate) mod suites;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may run: many times what any takes, in a debug build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What a program did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; none if a signal ended it.
    pub(crate) status: Option<i32>,
    /// Its standard output.
    pub(crate) out: String,
    /// Its standard error.
    pub(crate) err: String,
}

/// Runs the binary.
pub(crate) fn run(arguments: &[String], directory: &Path) -> Outcome {
    run_with_input(arguments, directory, "")
}

/// Runs the binary with this on its standard input.
pub(crate) fn run_with_input(arguments: &[String], directory: &Path, input: &str) -> Outcome {
    run_command(&mut command(arguments, directory), input)
}

/// Runs the binary with these variables in its environment, too.
pub(crate) fn run_in(arguments: &[String], directory: &Path, environment: &[(&str, &str)]) -> Outcome {
    run_command(command(arguments, directory).envs(environment.iter().copied()), "")
}

fn command(arguments: &[String], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_2som"));
    command.args(arguments).current_dir(directory);
    command
}

fn run_command(command: &mut Command, input: &str) -> Outcome {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    if let Some(mut stdin) = child.stdin.take() {
        // A program that reads nothing may have closed it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(child.stdout.take().map(|s| Box::new(s) as _));
    let err = read(child.stderr.take().map(|s| Box::new(s) as _));
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().expect("the binary can be waited for") {
            Some(status) => break status.code(),
            None if begin.elapsed() > PATIENCE => {
                let _ = child.kill();
                break child.wait().ok().and_then(|status| status.code());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    Outcome { status, out: out.join().unwrap_or_default(), err: err.join().unwrap_or_default() }
}

/// What a heading comment says.
#[derive(Debug, Default)]
pub(crate) struct Expectation {
    /// `success`, `error`, or a number.
    pub(crate) status: Option<String>,
    /// Lines of standard output.
    pub(crate) out: Option<Vec<String>>,
    /// Lines of standard error.
    pub(crate) err: Option<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Reads the first comment of a file.
pub(crate) fn expectation(source: &str) -> Option<Expectation> {
    let comment = source.trim_start().strip_prefix('"')?.split('"').next()?;
    let mut lines = comment.lines().map(str::trim);
    lines.by_ref().find(|line| !line.is_empty()).filter(|line| *line == "VM:")?;
    let mut expectation = Expectation::default();
    let mut section = None;
    for line in lines {
        if let Some(status) = line.strip_prefix("status:") {
            expectation.status = Some(status.trim().to_owned());
            section = None;
        } else if let Some(rest) = line.strip_prefix("stdout:") {
            expectation.out = Some(Vec::new());
            section = Some((Stream::Out, rest));
        } else if let Some(rest) = line.strip_prefix("stderr:") {
            expectation.err = Some(Vec::new());
            section = Some((Stream::Err, rest));
        } else if let Some((_, text)) = &mut section {
            *text = line;
        }
        let (lines, text) = match section {
            Some((Stream::Out, text)) => (&mut expectation.out, text),
            Some((Stream::Err, text)) => (&mut expectation.err, text),
            None => continue,
        };
        lines.get_or_insert_default().push(text.trim().to_owned());
    }
    Some(expectation)
}

/// Whether a line is as expected; `...` in a line stands for any text.
fn line_fits(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split("...");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = actual.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Whether output is as expected; a line `...` stands for any lines. Empty lines at both ends do not count.
pub(crate) fn fits(expected: &[String], actual: &str) -> bool {
    fn matches(expected: &[String], actual: &[&str]) -> bool {
        match expected.split_first() {
            None => actual.is_empty(),
            Some((first, rest)) if first == "..." => {
                (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..]))
            }
            Some((first, rest)) => {
                actual.split_first().is_some_and(|(line, more)| line_fits(first, line) && matches(rest, more))
            }
        }
    }
    let trimmed: Vec<&str> = actual.lines().map(str::trim).collect();
    let begin = trimmed.iter().position(|line| !line.is_empty()).unwrap_or(trimmed.len());
    let end = trimmed.iter().rposition(|line| !line.is_empty()).map_or(begin, |last| last + 1);
    let wanted_begin = expected.iter().position(|l| !l.is_empty()).unwrap_or(expected.len());
    let wanted_end = expected.iter().rposition(|l| !l.is_empty()).map_or(wanted_begin, |l| l + 1);
    matches(&expected[wanted_begin..wanted_end], &trimmed[begin..end])
}

impl Expectation {
    /// Whether a program did what is expected.
    pub(crate) fn is_met_by(&self, outcome: &Outcome) -> bool {
        let status = match (self.status.as_deref(), outcome.status) {
            (_, None | Some(101)) => false,
            (None | Some("success"), Some(status)) => status == 0,
            (Some("error"), Some(status)) => status != 0,
            (Some(number), Some(status)) => number == status.to_string(),
        };
        status
            && self.out.as_ref().is_none_or(|lines| fits(lines, &outcome.out))
            && self.err.as_ref().is_none_or(|lines| fits(lines, &outcome.err))
    }
}

/// The `.som` files below a directory, in order.
pub(crate) fn som_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "som") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The checkout of upstream's SOM, if there is one; says so if not.
pub(crate) fn upstream() -> Option<PathBuf> {
    match std::env::var_os("SOM_UPSTREAM") {
        Some(path) => Some(PathBuf::from(path)),
        None => {
            println!("skipped: set SOM_UPSTREAM to a checkout of SOM-st/SOM to run upstream's suite");
            None
        }
    }
}

/// Fails with a list of what failed.
pub(crate) fn assert_none_failed(failures: &[String], count: usize) {
    assert!(count > 0, "no test was found");
    assert!(failures.is_empty(), "{} of {count} failed:\n{}", failures.len(), failures.join("\n"));
}
