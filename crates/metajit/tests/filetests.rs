//! Runs every `tests/filetests/**/*.trace`: text before, text after.
//!
//! The first line of a file says the command: `test parse`, or `test optimize fold heap` with arguments; `test stage heap all` shows
//! what a stage of the optimizer does. What follows is one case, or several, each after a line `=== what it shows`; lines before
//! the first such line are a prelude that every case begins with (declarations). A case is its input, possibly with `run: arguments => result` lines, and after a line
//! `--- output` the text that the command must give. Errors are output too, so that files can show them.
//!
//! `METAJIT_BLESS=1` rewrites expected outputs and results; `METAJIT_FILETEST=part` runs the files whose path has that part.
//! Lines of the input keep their numbers in the file, so that positions in messages are positions in the file.
//!
//! To add a command, add one line to [`COMMANDS`].
#![cfg(feature = "jit")]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use metajit::ir::code::Code;
use metajit::ir::parse::{Bindings, Body, parse, parse_shapes};
use metajit::ir::print::{self, Style};
use metajit::ir::{Class, Op, verify};
use metajit::opt::Options;

#[path = "filetests/compiled.rs"]
mod compiled;
#[path = "filetests/reference.rs"]
mod reference;
#[path = "filetests/runs.rs"]
mod runs;

#[path = "filetests/optimize.rs"]
mod optimize;

/// What a file may ask for: the text for the output section.
const COMMANDS: &[(&str, Command)] = &[
    ("parse", parse_command),
    ("optimize", optimize::command),
    ("stage", optimize::stage_command),
    ("verify", verify_command),
    ("eval", eval_command),
    ("compile", compiled::command),
];

/// How the line begins that parts what a stage makes from what is made without it.
const WITHOUT: &str = "--- without ";

type Command = fn(&mut Case) -> Result<String, String>;

/// One case of a file.
struct Case {
    /// The words after the command's name.
    args: Vec<String>,
    /// The input with everything else blanked out.
    text: String,
    /// The runs to try.
    runs: Vec<Run>,
}

/// A line `run: arguments => result`.
struct Run {
    /// Its line in the file, from 0.
    line: usize,
    arguments: String,
    expected: String,
    /// What the command found.
    actual: Option<String>,
}

/// Prints canonically what was parsed, which must be stable under parsing and printing again.
fn parse_command(case: &mut Case) -> Result<String, String> {
    let parsed = parse(&case.text, &Bindings::default()).map_err(|error| error.to_string())?;
    let printed = parsed.to_string();
    let again = parse(&printed, &Bindings::default())
        .map_err(|error| format!("printed text does not parse: {error}\n{printed}"))?;
    if again.to_string() != printed {
        return Err(format!("printing is not stable:\n{printed}\n{again}"));
    }
    // Other spellings of the same.
    let style = Style { own_numbers: true, ..Style::LOG };
    let own = match &parsed {
        Body::Tree(tree) => print::tree(tree, style),
        Body::Code(code) => print::code(code, style),
    };
    match parse(&own, &Bindings::default()) {
        Ok(body) if body.to_string() == printed => Ok(printed),
        Ok(body) => Err(format!("by its own numbers it is something else:\n{body}\n{own}")),
        Err(error) => Err(format!("by its own numbers it does not parse: {error}\n{own}")),
    }
}

/// The body of a case; its callees are the functions of [`runs`].
fn body(case: &Case) -> Result<Body, String> {
    parse(&case.text, &bindings()).map_err(|error| error.to_string())
}

fn bindings() -> Bindings<'static> {
    Bindings { callee: Some(&runs::callee), address: Some(&runs::address), ..Bindings::default() }
}

/// Says whether it is well formed.
fn verify_command(case: &mut Case) -> Result<String, String> {
    well_formed(&body(case)?).map_err(|error| error.to_string())?;
    Ok("well formed".to_string())
}

/// Runs code in the evaluator, once for each `run:` line.
fn eval_command(case: &mut Case) -> Result<String, String> {
    let Body::Code(code) = body(case)? else {
        return Err("only code can be run".to_string());
    };
    run_all(case, &code, &mut |context, valid| runs::evaluate(&code, context, valid))
}

/// Runs code by some engine, once for each `run:` line.
fn run_all(case: &mut Case, code: &Code, engine: runs::Engine<'_>) -> Result<String, String> {
    verify::code(code).map_err(|error| error.to_string())?;
    let shapes = parse_shapes(&case.text, &bindings()).map_err(|error| error.to_string())?;
    for run in &mut case.runs {
        run.actual = Some(runs::run(code, &shapes, &run.arguments, engine)?);
    }
    Ok(String::new())
}

/// Whether output that is IR parses, is printed canonically and is well formed.
fn check_output(output: &str) -> Result<(), String> {
    if let Some((on, off)) = output.split_once(WITHOUT) {
        // Of the second part, the first line says which stage.
        check_output(on)?;
        return check_output(off.split_once('\n').map_or("", |(_, off)| off));
    }
    let is_body = |line: &str| line.starts_with("tree ") || line.starts_with("code ");
    if !output.lines().any(is_body) {
        return Ok(());
    }
    let body = parse(output, &bindings()).map_err(|e| format!("the output does not parse: {e}"))?;
    if body.to_string().trim() != output.trim() {
        return Err(format!("the output prints differently:\n{body}"));
    }
    well_formed(&body).map_err(|error| format!("the output is malformed: {error}"))
}

fn well_formed(body: &Body) -> Result<(), verify::VerifyError> {
    match body {
        Body::Tree(tree) => verify::tree(tree),
        Body::Code(code) => verify::code(code),
    }
}

/// A file as lines, cut into its cases.
struct File {
    lines: Vec<String>,
    /// The first line of the prelude, the first line after it.
    prelude: (usize, usize),
    /// Input from, output marker or end, end.
    cases: Vec<(usize, usize, usize)>,
}

fn split(text: &str) -> File {
    let lines: Vec<String> = text.lines().map(str::to_string).collect();
    let is_title = |line: &String| line.starts_with("=== ");
    let first = lines.iter().position(is_title);
    let mut starts: Vec<usize> = (0..lines.len()).filter(|&i| is_title(&lines[i])).collect();
    if first.is_none() {
        starts.push(0);
    }
    let mut cases = Vec::new();
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(lines.len());
        let marker = (start..end).find(|&i| lines[i] == "--- output");
        cases.push((start + 1, marker.unwrap_or(end), end));
    }
    File { prelude: (1, first.unwrap_or(1)), lines, cases }
}

fn case(file: &File, input: (usize, usize), args: &[&str]) -> Case {
    let mut text = String::new();
    let mut runs = Vec::new();
    for (number, line) in file.lines[..input.1].iter().enumerate() {
        let within = |range: (usize, usize)| range.0 <= number && number < range.1;
        if !within(file.prelude) && !within(input) {
            text.push('\n');
            continue;
        }
        match line.strip_prefix("run:") {
            None => text.push_str(line),
            Some(run) => {
                let (arguments, expected) = run.split_once("=>").unwrap_or((run, ""));
                runs.push(Run {
                    line: number,
                    arguments: arguments.trim().to_string(),
                    expected: expected.trim().to_string(),
                    actual: None,
                });
            }
        }
        text.push('\n');
    }
    Case { args: args.iter().map(ToString::to_string).collect(), text, runs }
}

/// Runs a file; its text with what the cases give, and what differs.
fn run_file(path: &Path, text: &str) -> (String, String) {
    let file = split(text);
    let mut failures = String::new();
    let mut words = file.lines.first().map_or("", String::as_str).split_whitespace();
    let known = |name| COMMANDS.iter().find(|(known, _)| Some(*known) == name);
    let (Some("test"), Some((name, command))) = (words.next(), known(words.next())) else {
        let names: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(failures, "{}:1: the first line must be `test` and one of {names:?}", path.display());
        return (text.to_string(), failures);
    };
    let args: Vec<&str> = words.collect();
    let mut blessed: Vec<String> = file.lines[..file.cases[0].0].to_vec();
    for (index, &(start, marker, end)) in file.cases.iter().enumerate() {
        if index > 0 {
            blessed.push(file.lines[start - 1].clone());
        }
        let mut case = case(&file, (start, marker), &args);
        let output = match command(&mut case) {
            Ok(output) => output,
            Err(error) => format!("error: {error}"),
        };
        if *name != "parse"
            && let Err(error) = check_output(&output)
        {
            let _ = writeln!(failures, "{}:{start}: {error}\n{output}", path.display());
        }
        let mut input = file.lines[start..marker].to_vec();
        for run in &case.runs {
            let actual = run.actual.as_deref().unwrap_or("not run");
            if actual != run.expected {
                let _ = writeln!(
                    failures,
                    "{}:{}: run: {}\n  expected {}\n  found    {actual}",
                    path.display(),
                    run.line + 1,
                    run.arguments,
                    run.expected
                );
            }
            if run.line >= start {
                input[run.line - start] = format!("run: {} => {actual}", run.arguments);
            }
        }
        let expected = file.lines[(marker + 1).min(end)..end].join("\n");
        if expected.trim() != output.trim() {
            let _ = writeln!(
                failures,
                "{}:{start}: the output differs (- expected, + found)\n{}",
                path.display(),
                difference(expected.trim(), output.trim())
            );
        }
        while input.last().is_some_and(|line| line.trim().is_empty()) {
            input.pop();
        }
        blessed.append(&mut input);
        if !output.trim().is_empty() {
            blessed.push("--- output".to_string());
            blessed.extend(output.trim_end().lines().map(str::to_string));
        }
        if index + 1 < file.cases.len() {
            blessed.push(String::new());
        }
    }
    (blessed.join("\n") + "\n", failures)
}

/// The lines of both texts, those of one only marked.
fn difference(expected: &str, found: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    // The length of the longest common subsequence of the rests from each pair of lines.
    let mut common = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            let _ = writeln!(text, "  {}", a[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            let _ = writeln!(text, "- {}", a[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "+ {}", b[j]);
            j += 1;
        }
    }
    text
}

fn trace_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("the directory of filetests");
    for entry in entries {
        let path = entry.expect("an entry of the directory").path();
        if path.is_dir() {
            trace_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "trace") {
            files.push(path);
        }
    }
}

#[test]
fn every_filetest_gives_its_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let mut files = Vec::new();
    trace_files(&root, &mut files);
    files.sort();
    let bless = std::env::var_os("METAJIT_BLESS").is_some_and(|value| value == "1");
    let filter = std::env::var("METAJIT_FILETEST").unwrap_or_default();
    let mut failures = String::new();
    for path in files {
        let shown = path.strip_prefix(&root).expect("a file below the root");
        if !shown.to_string_lossy().contains(&filter) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a filetest is text");
        let (blessed, failed) = run_file(shown, &text);
        if bless && blessed != text {
            std::fs::write(&path, blessed).expect("a filetest can be rewritten");
        }
        failures.push_str(&failed);
    }
    assert!(bless || failures.is_empty(), "\n{failures}");
}

/// The evaluator's tests run every operation.
#[test]
fn every_operation_has_an_eval_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests/eval");
    let mut files = Vec::new();
    trace_files(&root, &mut files);
    let mut seen = HashSet::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a filetest is text");
        let file = split(&text);
        for &(start, marker, _) in &file.cases {
            let case = case(&file, (start, marker), &[]);
            assert!(!case.runs.is_empty(), "{}:{start}: never run", path.display());
            if let Ok(Body::Code(code)) = body(&case) {
                seen.extend(code.insts.iter().map(|inst| inst.op));
            }
        }
    }
    let missing: Vec<&str> = Op::ALL
        .iter()
        .filter(|op| op.info().class != Class::Mark && !seen.contains(*op))
        .map(|op| op.info().name)
        .collect();
    assert!(missing.is_empty(), "no eval case for {missing:?}");
}

/// Every stage of the optimizer has cases that it changes, cases that it leaves as they are, and can be switched off.
#[test]
fn every_stage_has_cases_on_and_off() {
    // The fields that are not the same if nothing is to be done are the stages.
    let fields = |options: &Options| -> Vec<(String, String)> {
        let text = format!("{options:?}");
        let fields = text.trim_start_matches("Options {").trim_end_matches('}').split(',');
        fields.filter_map(|field| field.split_once(':')).map(|(a, b)| (a.trim().into(), b.trim().into())).collect()
    };
    let (on, off) = (fields(&Options::default()), fields(&Options::none()));
    let stages: Vec<&str> = on.iter().zip(&off).filter(|(on, off)| on != off).map(|(on, _)| &*on.0).collect();
    let mut named = Options::STAGES.to_vec();
    named.sort_unstable();
    let mut sorted = stages.clone();
    sorted.sort_unstable();
    assert_eq!(named, sorted, "each stage has a name");
    for stage in &stages {
        let without = Options::stages(["all", &format!("-{stage}")]).expect("a stage's name");
        let off: Vec<String> =
            fields(&without).iter().zip(&on).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect();
        assert_eq!(off, [*stage], "it alone is switched off");
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests/opt");
    let mut files = Vec::new();
    trace_files(&root, &mut files);
    let (mut fires, mut holds_back) = (HashSet::new(), HashSet::new());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a filetest is text");
        let words: Vec<&str> = text.lines().next().unwrap_or("").split_whitespace().collect();
        let ["test", "stage", stage, ..] = words[..] else { continue };
        let same = format!("{WITHOUT}{stage}: the same");
        for line in text.lines().filter(|line| line.starts_with(WITHOUT)) {
            if line == same { &mut holds_back } else { &mut fires }.insert(stage.to_string());
        }
    }
    for stage in stages {
        assert!(fires.contains(stage), "no case that {stage} changes");
        assert!(holds_back.contains(stage), "no case that {stage} leaves as it is");
    }
}

#[test]
fn a_name_that_is_no_stage_is_refused() {
    for names in [&["all", "-heaps"][..], &["fold", "folds"], &["-all"], &["--heap"]] {
        assert_eq!(Options::stages(names.iter().copied()).err(), Some(names[names.len() - 1]));
    }
}
