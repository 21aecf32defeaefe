//! All suites under a collector that runs when there is no need, in each tier.
//!
//! What a collection changes (memory is used again, the barrier bit is set, a finalizer runs) must change no result, wherever it happens.
//! Programs of a few lines run with a collection at *every* allocation, long ones with one at a random allocation in so many. What is
//! freed is overwritten, so that a use of it shows; some runs also check the whole heap before and after each collection. Programs that
//! fill the native stack (a million sends that have not returned) are a suite of their own: a collection looks at all of a stack, so with one
//! in 50 allocations they would take an hour each.
//!
//! The tiers of 2SOM are chosen by `METAJIT`, which its binary reads; the other suites run every mode by themselves.

use crate::progress::Progress;
use std::path::Path;
use std::process::Command;

/// A suite: what it is called, the arguments of `cargo test`, what `METAJIT_GC` is, and whether it is run once per tier.
struct Suite {
    name: &'static str,
    arguments: &'static [&'static str],
    collector: &'static str,
    tiers: bool,
}

const SUITES: [Suite; 6] = [
    Suite {
        name: "2SOM's language tests, every allocation",
        arguments: &["-p", "som", "--test", "language", "every_language_test"],
        collector: "stress=1,poison=1",
        tiers: true,
    },
    Suite {
        name: "2SOM's language tests, one allocation in 50, verified",
        arguments: &["-p", "som", "--test", "language", "every_language_test"],
        collector: "stress=50,poison=1,verify=1",
        tiers: true,
    },
    Suite {
        name: "2SOM's large language tests, one allocation in 100,000, verified",
        arguments: &["-p", "som", "--test", "language", "large_language_tests"],
        collector: "stress=100000,poison=1,verify=1",
        tiers: true,
    },
    Suite {
        name: "2SOM's benchmarks, one allocation in 2000",
        arguments: &["-p", "som", "--test", "language", "every_benchmark"],
        collector: "stress=2000,poison=1",
        tiers: true,
    },
    Suite {
        name: "the example languages, every allocation",
        arguments: &["-p", "brainfuck", "-p", "calc", "-p", "cells", "-p", "countdown", "-p", "tla"],
        collector: "stress=1,poison=1",
        tiers: false,
    },
    Suite {
        name: "the traceable subset, every allocation",
        arguments: &["-p", "metajit", "--test", "subset"],
        collector: "stress=1,poison=1",
        tiers: false,
    },
];

/// What `METAJIT` is: the plain interpreter; the defaults; code for nearly everything, by traces, by threaded code and by both; the traces' run
/// by the evaluator.
const TIERS: [&str; 6] = [
    "off",
    "",
    "sync=1,threaded=0,threshold=3,function_threshold=5,trace_eagerness=1",
    "sync=1,threaded=1,tracing=0,tier1_threshold=1",
    "sync=1,threaded=1,tier1_threshold=1,threshold=3,function_threshold=4,trace_eagerness=1",
    "sync=1,threaded=0,evaluate=1,threshold=3,function_threshold=5,trace_eagerness=1",
];

/// Runs all suites that have not passed yet.
///
/// # Errors
/// If a suite fails or can't be run, or the progress can't be written down.
pub fn run(root: &Path) -> Result<(), String> {
    let mut progress = Progress::of(root, "stress-progress.txt");
    let mut failed = Vec::new();
    for (number, suite) in SUITES.iter().enumerate() {
        let tiers = if suite.tiers { &TIERS[..] } else { &[""][..] };
        for (tier, parameters) in tiers.iter().enumerate() {
            let part = format!("suite-{number}-tier-{tier}");
            if progress.count(&part) > 0 {
                continue;
            }
            println!("{} (METAJIT_GC={} METAJIT={parameters})", suite.name, suite.collector);
            let mut cargo = Command::new("cargo");
            cargo.args(["test", "--release", "--quiet"]).args(suite.arguments).env("METAJIT_GC", suite.collector);
            if !parameters.is_empty() {
                cargo.env("METAJIT", parameters);
            }
            let status = cargo.current_dir(root).status().map_err(|error| format!("{cargo:?}: {error}"))?;
            if status.success() {
                progress.note(&part, 1)?;
            } else {
                failed.push(format!("{}, METAJIT={parameters}", suite.name));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed:\n{}", failed.join("\n"))) }
}
