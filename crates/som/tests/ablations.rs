//! Threaded code without one of its parts: parameters that are there to measure what the part brings.

#![cfg(feature = "jit")]

mod support;

use std::path::{Path, PathBuf};
use support::run;

/// Sends to an object and arithmetic that is looked into, both in a loop.
const PROGRAM: &str = "Ablated = (
    | bias |
    run = (
        | sum |
        sum := 0.
        bias := 3.
        1 to: 60 do: [ :i | sum := sum + (self twice: i) + (i max: 40) ].
        sum println
    )
    twice: x = ( x > 50 ifTrue: [ ^self bias ]. ^x + x + self bias )
    bias = ( ^self bias: 1 )
    bias: n = ( ^bias * n )
)";

fn program(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ablations-{name}"));
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    std::fs::write(directory.join("Ablated.som"), PROGRAM).expect("the class is written");
    directory
}

/// The lines of threaded code that is made of the program, and what the program prints.
fn code(name: &str, parameters: &str) -> (Vec<String>, String) {
    let jit = format!("sync=1,tier1_threshold=8,trace=1,{parameters}");
    let arguments = ["--tier", "threaded", "--jit", &jit, "Ablated"].map(str::to_owned);
    let outcome = run(&arguments, &program(name));
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let lines = outcome.err.lines().map(|line| line.trim().to_owned());
    (lines.filter(|line| line.contains(" = ")).collect(), outcome.out)
}

/// How many lines have all of these.
fn count(lines: &[String], parts: &[&str]) -> usize {
    lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

const DIRECT: &[&str] = &[" = call ", "::interpreter::interpret("];
const SENDS: &[&str] = &[" = call ", "::sends::send"];
const STUBS: &[&str] = &[" = call ", "::stub_"];
/// What calls do that note their places.
const NOTED: &[&str] = &["Universe.place"];
/// Integers are looked into: by comparing tags.
const LOOKED_INTO: &[&str] = &[" = ult "];

#[test]
fn whole_threaded_code_calls_methods_directly_and_looks_into_numbers() {
    let (lines, out) = code("whole", "");
    assert_eq!(out, "5340\n");
    assert!(count(&lines, DIRECT) >= 3 && count(&lines, LOOKED_INTO) > 0, "{lines:#?}");
    assert_eq!(count(&lines, STUBS), 0, "{lines:#?}");
    // Nothing prints the stack: the way that notes places is not the one that the code is laid out for.
    assert_eq!(count(&lines, NOTED), 0, "{lines:#?}");
}

#[test]
fn without_inline_caching_each_send_is_left_to_its_handler() {
    let (whole, out) = code("caching", "");
    let (lines, without) = code("caching", "inline_caching=0");
    assert_eq!(without, out);
    assert_eq!(count(&lines, DIRECT), 0, "{lines:#?}");
    assert!(count(&whole, DIRECT) > 0, "{whole:#?}");
    assert!(count(&lines, SENDS) >= 4, "{lines:#?}");
    assert!(count(&lines, LOOKED_INTO) > 0, "{lines:#?}");
}

#[test]
fn without_handler_optimization_stubs_are_called() {
    let (whole, out) = code("stubs", "");
    let (lines, without) = code("stubs", "handler_optimization=0");
    assert_eq!(without, out);
    assert!(count(&lines, STUBS) > 0 && count(&whole, STUBS) == 0, "{lines:#?}");
    // The flag is the last argument.
    assert!(lines.iter().filter(|line| line.contains("::stub_")).all(|line| line.ends_with(", 0)")), "{lines:#?}");
    assert_eq!(count(&lines, DIRECT), count(&whole, DIRECT), "{lines:#?}");
    assert_eq!(count(&lines, SENDS), 0, "{lines:#?}");
}

#[test]
fn without_inlining_every_handler_is_called() {
    let (whole, out) = code("inlining", "");
    let (lines, without) = code("inlining", "max_handler_ops=0");
    assert_eq!(without, out);
    assert_eq!(count(&lines, DIRECT), 0, "{lines:#?}");
    assert!(count(&lines, LOOKED_INTO) < count(&whole, LOOKED_INTO) / 10, "{lines:#?}");
    assert!(count(&lines, &[" = call ", "::add_slots("]) > 0, "{lines:#?}");
    assert!(lines.len() < whole.len() / 2, "{} lines of {}", lines.len(), whole.len());
}

#[test]
fn without_anything_the_results_are_the_same() {
    let (_, out) = code("none", "");
    for parameters in [
        "inline_caching=0,handler_optimization=0",
        "inline_caching=0,handler_optimization=0,max_handler_ops=0",
        "handler_optimization=0,max_handler_ops=0",
    ] {
        let (lines, without) = code("none", parameters);
        assert_eq!(without, out);
        assert!(count(&lines, STUBS) > 0, "{lines:#?}");
    }
}
