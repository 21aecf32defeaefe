//! Stack traces are the same in every tier.

mod support;

use std::path::{Path, PathBuf};
use support::{Outcome, run};

/// Tiers, each with the usual warm-up and with hardly any, compiling in the background and at once.
const MODES: [&[&str]; 13] = [
    &[],
    &["--jit", "sync=1"],
    &["--tier", "tracing"],
    &["--tier", "tracing", "--jit", "sync=1"],
    &["--tier", "tracing", "--jit", "threshold=1,function_threshold=1,trace_eagerness=1"],
    &["--tier", "tracing", "--jit", "sync=1,threshold=1,function_threshold=1,trace_eagerness=1"],
    &["--tier", "threaded"],
    &["--tier", "threaded", "--jit", "sync=1"],
    &["--tier", "threaded", "--jit", "tier1_threshold=1"],
    &["--tier", "threaded", "--jit", "sync=1,tier1_threshold=1"],
    &["--jit", "tier1_threshold=1,threshold=1,function_threshold=1,trace_eagerness=1"],
    &["--jit", "sync=1,tier1_threshold=1,threshold=1,function_threshold=1,trace_eagerness=1"],
    &["--tier", "tracing", "--jit", "evaluate=1,sync=1,threshold=2,function_threshold=3,trace_eagerness=1"],
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/som/traces")
}

fn run_class(options: &[&str], class: &str) -> Outcome {
    let arguments: Vec<String> = options.iter().copied().chain([class]).map(str::to_owned).collect();
    run(&arguments, &directory())
}

/// Runs a class in the plain interpreter, and sees that all modes do the same.
fn run_everywhere(class: &str) -> Outcome {
    let plain = run_class(&["--tier", "interp"], class);
    for mode in MODES {
        let outcome = run_class(mode, class);
        assert_eq!((&outcome.status, &outcome.out, &outcome.err), (&plain.status, &plain.out, &plain.err), "{mode:?}");
    }
    plain
}

#[test]
fn printing_the_stack_prints_the_same_everywhere() {
    let expected = std::fs::read_to_string(directory().join("Traces.expected")).expect("a readable file");
    let outcome = run_everywhere("Traces");
    assert_eq!((outcome.status, outcome.out), (Some(0), expected));
}

#[test]
fn printing_the_stack_prints_what_an_error_prints() {
    let outcome = run_everywhere("Same");
    let place =
        |line: &str| line.trim_start().starts_with("Same>>") || line.trim_start().starts_with("block in Same>>");
    let (Some(printed), Some(failed)) = (outcome.out.lines().next(), outcome.err.lines().nth(1)) else {
        panic!("{outcome:?}")
    };
    assert!(place(printed) && place(failed), "{outcome:?}");
    // The error has one activation more, of `error:` itself.
    assert_eq!(printed.replace(":6)", ":5)"), failed.replace(":6)", ":5)"));
    let last = |text: &str| {
        text.lines().filter(|line| line.starts_with("  ")).rev().take(20).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(last(&outcome.out), last(&outcome.err));
    assert!(outcome.out.contains("  ... 53 more ...\n") && outcome.err.contains("  ... 54 more ...\n"), "{outcome:?}");
}

#[test]
fn a_trace_says_that_activations_are_missing_which_ran_before_any_could_be_printed() {
    let outcome = run_everywhere("Late");
    assert_eq!(
        outcome.out,
        "  LateHelper>>#show (./LateHelper.som:4)\n  Late>>#inner: (./Late.som:5)\n  ... and others, of which nothing was kept ...\n\
         again\n  LateHelper>>#show (./LateHelper.som:4)\n  block in Late>>#run (./Late.som:12)\n  \
         Array>>#do: (core-lib/Array.som:17)\n  Late>>#run (./Late.som:12)\n  ... and others, of which nothing was kept ...\n"
    );
}

#[test]
fn the_stack_is_printed_whoever_asks() {
    let outcome = run_everywhere("Unnamed");
    assert_eq!(
        outcome.out,
        "  ... and others, of which nothing was kept ...\n  Unnamed>>#call: (./Unnamed.som:11)\n  \
         block in Unnamed>>#run (./Unnamed.som:7)\n  ... and others, of which nothing was kept ...\n"
    );
}

#[test]
fn deep_recursion_runs_and_endless_ends_where_places_are_kept() {
    for mode in [&["--tier", "interp"], MODES[0], MODES[8]] {
        let outcome = run_class(mode, "Endless");
        assert_eq!(outcome.status, Some(1), "{mode:?}: {outcome:?}");
        assert!(outcome.err.starts_with("error: the stack is too deep"), "{mode:?}: {outcome:?}");
        assert!(outcome.out.starts_with("100000\n") && outcome.out.ends_with("at the end\n"), "{mode:?}: {outcome:?}");
    }
}
