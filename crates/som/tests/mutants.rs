//! Mutated sources: they compile, or there is a located error; never a crash, never a hang.
//!
//! The sources are the core library, the language tests, the benchmarks and the examples. `METAJIT_FUZZ_PROGRAMS` and
//! `METAJIT_FUZZ_SEED` make it longer and different.

#[path = "support/compiling.rs"]
mod compiling;

use compiling::compile;
use metajit::testing::Random;
use std::path::Path;
use std::time::{Duration, Instant};

/// What gets into sources.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "|",
    "^",
    ".",
    ":",
    ":=",
    "#",
    "#(",
    "'",
    "\"",
    "----",
    "-",
    "--",
    "1",
    "1.5",
    "a",
    "self",
    "super",
    "a:",
    "nil",
    "true",
    "primitive",
    "=",
    "ifTrue: [",
    "whileTrue: [",
    "to: 3 do: [:i |",
    "[ :a :b | ",
    "and: [",
    "\\",
    "\0",
    "é",
    "||",
    "'\\q'",
    "#'",
    "99999999999999999999999999",
    "1.",
    ".5",
    "-8",
    "\r\n",
    "\t",
    "#+",
    "~",
    "_",
    "@",
];

/// No mutant may take longer: a hundred times what the slowest takes in a debug build.
const PATIENCE: Duration = Duration::from_secs(30);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The sources that are mutated.
fn sources() -> Vec<Vec<char>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<Vec<char>> =
        som::core_lib::CLASSES.iter().map(|(_, source)| source.chars().collect()).collect();
    for directory in ["tests/som", "benchmarks", "examples"] {
        let entries = std::fs::read_dir(root.join(directory)).expect("a directory of sources");
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "som")) {
            sources.push(std::fs::read_to_string(file).expect("a readable source").chars().collect());
        }
    }
    sources
}

/// Changes a source in a few places.
fn mutate(source: &[char], others: &[Vec<char>], random: &mut Random) -> String {
    let mut below = |limit: usize| (random.next() % limit.max(1) as u64) as usize;
    let mut mutant = source.to_vec();
    for _ in 0..=below(4) {
        if mutant.is_empty() {
            break;
        }
        let at = below(mutant.len());
        match below(8) {
            0 => {
                mutant.remove(at);
            }
            1 => mutant.truncate(at),
            2 => {
                let other = below(mutant.len());
                mutant.swap(at, other);
            }
            3 => {
                let end = (at + 1 + below(40)).min(mutant.len());
                mutant.drain(at..end);
            }
            4 => {
                let end = (at + 1 + below(60)).min(mutant.len());
                let piece = mutant[at..end].to_vec();
                let to = below(mutant.len());
                mutant.splice(to..to, piece);
            }
            5 => {
                let other = &others[below(others.len())];
                let from = below(other.len());
                let end = (from + 1 + below(80)).min(other.len());
                mutant.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let piece = PIECES[below(PIECES.len())];
                mutant.splice(at..at, piece.chars());
            }
        }
    }
    mutant.into_iter().collect()
}

#[test]
fn mutated_sources_compile_or_have_a_located_error() {
    let (seed, count) = (number("METAJIT_FUZZ_SEED", 1), number("METAJIT_FUZZ_PROGRAMS", 3000));
    let sources = sources();
    let (mut errors, mut slowest) = (0, Duration::ZERO);
    for number in seed..seed + count {
        let mut random = Random::new(number);
        let original = &sources[(random.next() % sources.len() as u64) as usize];
        let source = mutate(original, &sources, &mut random);
        let start = Instant::now();
        // A panic ends the test; its message comes with the seed.
        let told = Told(number);
        if let Err(error) = compile(&source) {
            errors += 1;
            let lines = source.lines().count() + 1;
            assert!(
                (1..=lines).contains(&(error.pos.line as usize)) && error.pos.column > 0,
                "seed {number}: {error:?}"
            );
            assert!(error.render("T.som", &source).starts_with(&format!("T.som:{}:", error.pos.line)), "seed {number}");
        }
        drop(told);
        let taken = start.elapsed();
        slowest = slowest.max(taken);
        assert!(taken < PATIENCE, "seed {number} takes {taken:?}");
    }
    println!("{count} mutants from seed {seed}: {errors} errors, the slowest took {slowest:?}");
    assert!(errors * 3 > count, "mutation finds errors");
}

/// Names the seed if the compiler panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} fails", self.0);
        }
    }
}
