//! The project's own language tests, and its benchmarks for one iteration.

mod support;

use std::path::Path;
use support::{assert_none_failed, expectation, run, som_files};

/// Which language tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    /// Those that fill the stack or the heap, so that each collection takes long.
    Large,
}

/// Runs each test with these options, and compares with what its heading comment expects.
fn run_all(size: Size, options: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/som");
    let large = root.join("large");
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in som_files(&root) {
        if file.starts_with(&large) != (size == Size::Large) {
            continue;
        }
        let source = std::fs::read_to_string(&file).expect("a readable test");
        let Some(expectation) = expectation(&source) else {
            continue;
        };
        count += 1;
        let name = file.display().to_string();
        let arguments: Vec<String> = options.iter().copied().chain([&*name]).map(str::to_owned).collect();
        let outcome = run(&arguments, &root);
        if !expectation.is_met_by(&outcome) {
            failures.push(format!("{name} {options:?}: {outcome:?}"));
        }
    }
    assert_none_failed(&failures, count);
}

const THREADED: [&str; 4] = ["--tier", "threaded", "--jit", "tier1_threshold=1"];
const BOTH_TIERS: [&str; 4] =
    ["--tier", "two-level", "--jit", "tier1_threshold=1,threshold=3,function_threshold=4,trace_eagerness=1"];

#[test]
fn every_language_test_does_what_its_heading_says() {
    run_all(Size::Small, &[]);
}

#[test]
fn and_in_threaded_code_of_every_method() {
    run_all(Size::Small, &THREADED);
}

#[test]
fn and_when_both_tiers_compile_as_soon_as_they_can() {
    run_all(Size::Small, &BOTH_TIERS);
}

#[test]
fn large_language_tests_do_what_their_headings_say() {
    run_all(Size::Large, &[]);
}

#[test]
fn and_large_ones_in_threaded_code_of_every_method() {
    run_all(Size::Large, &THREADED);
}

#[test]
fn and_large_ones_when_both_tiers_compile_as_soon_as_they_can() {
    run_all(Size::Large, &BOTH_TIERS);
}

// In a debug build, the evaluator's frames are too large for a million of them.
#[test]
#[cfg(all(feature = "jit", not(debug_assertions)))]
fn deep_recursion_runs_in_the_evaluator_too() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/som/large");
    let options = ["--tier", "threaded", "--jit", "evaluate=1", "DeepRecursion"];
    let outcome = run(&options.map(str::to_owned), &directory);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.ends_with("true\n100000\n"), "{outcome:?}");
}

#[test]
fn every_benchmark_verifies_its_result() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks");
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in som_files(&root) {
        let source = std::fs::read_to_string(&file).expect("a readable benchmark");
        // Benchmarks are the subclasses of Workload; other files help them.
        let is_abstract = source.contains("self subclassResponsibility");
        if is_abstract || !source.contains("= Workload (") {
            continue;
        }
        count += 1;
        let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let arguments = ["Harness", name, "1", "1"].map(str::to_owned);
        let outcome = run(&arguments, &root);
        if outcome.status != Some(0) {
            failures.push(format!("{name}: {outcome:?}"));
        }
    }
    assert_none_failed(&failures, count);
}
