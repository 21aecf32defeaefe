//! The project's own programs: each is run, and compared with what it should do.

use super::{assert_none_failed, expectation, run_in, som_files};
use std::path::Path;

/// Which language tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    /// Those that fill the stack or the heap, so that each collection takes long.
    Large,
}

/// Runs each language test with these options in this environment, and compares with what its heading comment expects.
pub(crate) fn language_tests(size: Size, options: &[&str], environment: &[(&str, &str)]) {
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
        let outcome = run_in(&arguments, &root, environment);
        if !expectation.is_met_by(&outcome) {
            failures.push(format!("{name} {options:?} {environment:?}: {outcome:?}"));
        }
    }
    assert_none_failed(&failures, count);
}

/// Runs each benchmark once in this environment; it verifies its result itself.
pub(crate) fn benchmarks(environment: &[(&str, &str)]) {
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
        let outcome = run_in(&arguments, &root, environment);
        if outcome.status != Some(0) {
            failures.push(format!("{name} {environment:?}: {outcome:?}"));
        }
    }
    assert_none_failed(&failures, count);
}
