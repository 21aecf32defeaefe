//! The language tests and the benchmarks in so many ways that any two circumstances (tier, thresholds, forced exits, collections,
//! compiling in the background) meet in one of them. `cargo xtask matrix` runs all suites in all ways.

#![cfg(feature = "jit")]

mod support;

use metajit::testing::matrix::pairwise;
use support::suites::{Size, benchmarks, language_tests};

/// Calls `suite` with the environment of each way; `collector` is what the collector is told if it is to collect when there is no need.
fn everywhere(collector: &str, suite: impl Fn(&[(&str, &str)])) {
    for cell in pairwise() {
        let collector = if cell.collects() { collector } else { "" };
        suite(&[("METAJIT", &cell.parameters()), ("METAJIT_GC", collector)]);
    }
}

#[test]
fn the_language_tests_pass_where_any_two_circumstances_meet() {
    everywhere("stress=50,poison=1", |environment| language_tests(Size::Small, &[], environment));
}

#[test]
fn the_benchmarks_pass_where_any_two_circumstances_meet() {
    everywhere("stress=2000,poison=1", benchmarks);
}
