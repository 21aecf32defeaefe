//! The papers' own programs in threaded code: the text of the code, and the results in every tier.
//!
//! A file in `tests/threaded` is a program; comments `# run ARGUMENT => RESULT` say what it gives. After it, each line `--- NAME PARAMETERS`
//! is followed by the text of the threaded code of that function, made with these parameters. `METAJIT_BLESS=1` rewrites the texts.
#![cfg(feature = "jit")]

use metajit::testing::{Modes, check, threaded_text};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tla::{Value, assembler, interpret, run};

fn files() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/threaded");
    let entries = std::fs::read_dir(directory).expect("the directory of programs");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the directory").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a program is text");
        (path, text)
    };
    files.into_iter().map(read).collect()
}

/// The program, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find("--- ").unwrap_or(text.len()))
}

/// The code of a function of a program that is made in a moment, and the text of its threaded code.
fn threaded(program: &str, name: &str, parameters: &str) -> String {
    let mut names = program.lines().filter_map(|line| line.strip_prefix("fn ")?.split_whitespace().next());
    let index = names.position(|other| other == name).expect("a function of the program");
    let root = assembler::assemble(program).unwrap_or_else(|mistake| panic!("{mistake}"));
    let code = root.get().functions(index as i64);
    let start = [0, code.locals() as u64, code.bits()];
    threaded_text(interpret::jit_driver(), &start, parameters)
}

#[test]
fn every_program_has_its_threaded_code() {
    let bless = std::env::var_os("METAJIT_BLESS").is_some_and(|value| value == "1");
    for (path, text) in files() {
        let (program, expected) = split(&text);
        let mut found = program.to_owned();
        for title in expected.lines().filter(|line| line.starts_with("--- ")) {
            let mut words = title.split_whitespace().skip(1);
            let (name, parameters) = (words.next().expect("a name"), words.next().unwrap_or(""));
            let code = threaded(program, name, parameters);
            writeln!(found, "{title}\n{}", code.trim_end()).expect("text");
        }
        assert!(found.len() > program.len(), "{}: it asks for no threaded code", path.display());
        if bless && found != text {
            std::fs::write(&path, &found).expect("the file can be rewritten");
        }
        assert!(bless || found == text, "{}:\n{found}", path.display());
    }
}

#[test]
fn threaded_code_has_the_same_text_every_time() {
    for (_, text) in files() {
        let (program, _) = split(&text);
        let once = threaded(program, "main", "");
        let elsewhere =
            threaded(&program.replace("fn main", "fn unused 0 0\n    push nil\n    return\nfn main"), "main", "");
        assert_eq!(once, threaded(program, "main", ""));
        assert_eq!(once, elsewhere);
    }
}

#[test]
fn every_program_does_the_same_in_every_tier() {
    for (path, text) in files() {
        let (program, _) = split(&text);
        let runs: Vec<(i64, String)> = program
            .lines()
            .filter_map(|line| line.strip_prefix("# run ")?.split_once(" => "))
            .map(|(argument, result)| (argument.parse().expect("a number"), result.to_owned()))
            .collect();
        let mut compilations = 0;
        for (argument, result) in runs {
            let program = program.to_owned();
            let go = move || {
                let root = assembler::assemble(&program).unwrap_or_else(|mistake| panic!("{mistake}"));
                let (Ok(value) | Err(value)) = run(root.get(), &[Value::int(argument)]);
                let value = value.to_string();
                assert_eq!(value, result);
                value
            };
            let checked = check(&Modes::all().forced(u32::MAX), go).unwrap_or_else(|mismatch| panic!("{mismatch}"));
            assert_eq!(checked.panics, 0, "{}: {checked:?}", path.display());
            compilations += checked.compilations;
        }
        assert!(compilations > 30, "{}: {compilations} compilations", path.display());
    }
}
