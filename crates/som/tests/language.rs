//! The project's own language tests, and its benchmarks for one iteration.

mod support;

use support::suites::{Size, benchmarks, language_tests};

const THREADED: [&str; 4] = ["--tier", "threaded", "--jit", "tier1_threshold=1"];
const BOTH_TIERS: [&str; 4] =
    ["--tier", "two-level", "--jit", "tier1_threshold=1,threshold=3,function_threshold=4,trace_eagerness=1"];

#[test]
fn every_language_test_does_what_its_heading_says() {
    language_tests(Size::Small, &[], &[]);
}

#[test]
fn and_in_threaded_code_of_every_method() {
    language_tests(Size::Small, &THREADED, &[]);
}

#[test]
fn and_when_both_tiers_compile_as_soon_as_they_can() {
    language_tests(Size::Small, &BOTH_TIERS, &[]);
}

#[test]
fn large_language_tests_do_what_their_headings_say() {
    language_tests(Size::Large, &[], &[]);
}

#[test]
fn and_large_ones_in_threaded_code_of_every_method() {
    language_tests(Size::Large, &THREADED, &[]);
}

#[test]
fn and_large_ones_when_both_tiers_compile_as_soon_as_they_can() {
    language_tests(Size::Large, &BOTH_TIERS, &[]);
}

// In a debug build, the evaluator's frames are too large for a million of them.
#[test]
#[cfg(all(feature = "jit", not(debug_assertions)))]
fn deep_recursion_runs_in_the_evaluator_too() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/som/large");
    let options = ["--tier", "threaded", "--jit", "evaluate=1", "DeepRecursion"];
    let outcome = support::run(&options.map(str::to_owned), &directory);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.ends_with("true\n100000\n"), "{outcome:?}");
}

#[test]
fn every_benchmark_verifies_its_result() {
    benchmarks(&[]);
}
