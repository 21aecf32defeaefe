//! Runs a table of functions plain and compiled, and compares.

use metajit::driver::{Driver, Parameters, has_code, set_parameters, statistics, why_not_compiled};
use metajit::gc::Root;
use metajit::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Inputs and results.
#[jit_object]
pub struct Numbers {
    items: [i64],
}

/// A table of functions, and its name.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) names: &'static [&'static str],
    /// One function on two numbers.
    pub(crate) plain: fn(i64, i64, i64) -> i64,
    /// One function on all inputs.
    pub(crate) run: fn(i64, Numbers, Numbers) -> i64,
    pub(crate) driver: fn() -> &'static Driver,
}

/// Makes a driver and a test of a list of functions.
macro_rules! suite {
    ($test:ident($inputs:expr) { $($index:literal => $function:ident,)* }) => {
        #[jit]
        fn call(which: i64, a: i64, b: i64) -> i64 {
            match which {
                $($index => $function(a, b),)*
                _ => panic!("there is no such function"),
            }
        }
        #[jit_driver(greens = [which], reds = [inputs, outputs, index])]
        fn run(which: i64, inputs: crate::harness::Numbers, outputs: crate::harness::Numbers) -> i64 {
            let index: i64 = 0;
            loop {
                jit_merge_point!();
                if index >= outputs.items_len() {
                    return index;
                }
                let (a, b) = (inputs.items(2 * index), inputs.items(2 * index + 1));
                let result = call(which, a, b);
                outputs.set_items(index, result);
                index += 1;
                can_enter_jit!();
            }
        }
        #[test]
        fn $test() {
            let numbered = [$(($index, stringify!($function))),*];
            for (position, (index, name)) in numbered.iter().enumerate() {
                assert_eq!(position as i64, *index, "{name} has the wrong number");
            }
            crate::harness::check(crate::harness::Suite {
                names: &[$(stringify!($function)),*], plain: call, run, driver: run::jit_driver,
            }, &$inputs);
        }
    };
}

/// The modes that each table is run in.
const MODES: [&str; 11] = [
    "evaluate=1,optimize=0",
    "evaluate=1",
    "optimize=0,quick=1",
    "quick=1",
    "quick=0",
    "quick=1,tracer=generic",
    "quick=1,trace_eagerness=3,threshold=7,compile_patience=100",
    // Guards that always fail: their exits, and the bridges there.
    "quick=1,fail_guard=1",
    "quick=1,fail_guard=2",
    "quick=0,fail_guard=3",
    "evaluate=1,fail_guard=5",
];

/// Bits that tell apart what is easily confused.
pub(crate) const INTERESTING: [i64; 26] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    8,
    31,
    63,
    64,
    -64,
    100,
    127,
    128,
    -128,
    -129,
    255,
    256,
    32767,
    -32769,
    65536,
    i32::MAX as i64,
    i32::MIN as i64 - 1,
    i64::MAX,
    i64::MIN,
];

/// Small numbers, for functions that count.
pub(crate) const SMALL: [i64; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -1, -2, -3, -7, 100];

/// Floats of all kinds, as bits.
pub(crate) const FLOATS: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    -2.5,
    2.0,
    3.0,
    1e-300,
    1e300,
    -1e300,
    127.9,
    128.1,
    -129.5,
    2147483648.5,
    4294967296.0,
    9.3e18,
    1.9e19,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// The bits of [`FLOATS`].
pub(crate) fn floats() -> Vec<i64> {
    FLOATS.iter().map(|float| float.to_bits() as i64).collect()
}

/// All pairs, in an order that mixes the cases, twice.
fn pairs(inputs: &[i64]) -> Vec<(i64, i64)> {
    let mut pairs: Vec<(i64, i64)> = inputs.iter().flat_map(|&a| inputs.iter().map(move |&b| (a, b))).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut shuffle = |pairs: &mut Vec<(i64, i64)>| {
        for index in (1..pairs.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            pairs.swap(index, (state >> 33) as usize % (index + 1));
        }
    };
    shuffle(&mut pairs);
    let mut again = pairs.clone();
    shuffle(&mut again);
    pairs.extend(again);
    pairs
}

/// Runs every function of a table in every mode, each mode in a thread of its own.
pub(crate) fn check(suite: Suite, inputs: &[i64]) {
    /// Threads of this name panic on purpose.
    const QUIET: &str = "subset";
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(QUIET) {
                usual(info);
            }
        }));
    });
    let pairs = pairs(inputs);
    for mode in MODES {
        let pairs = pairs.clone();
        let thread = std::thread::Builder::new().name(QUIET.to_owned()).stack_size(64 << 20);
        let outcome = thread.spawn(move || check_mode(suite, &pairs, mode)).expect("a thread").join();
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(failures)) => panic!("in mode {mode}:\n{failures}"),
            Err(payload) => panic!("in mode {mode}: {}", message(&*payload)),
        }
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// Runs one function over these inputs, and says what differs from plain Rust.
fn check_inputs(suite: Suite, which: i64, pairs: &[(i64, i64)]) -> Result<(), String> {
    let name = suite.names[which as usize];
    let outputs = Root::new(Numbers::alloc(pairs.len() as i64, 0));
    let inputs = Root::new(Numbers::alloc(2 * pairs.len() as i64, 0));
    for (index, &(a, b)) in pairs.iter().enumerate() {
        inputs.get().set_items(2 * index as i64, a);
        inputs.get().set_items(2 * index as i64 + 1, b);
    }
    let run = catch_unwind(AssertUnwindSafe(|| (suite.run)(which, inputs.get(), outputs.get())))
        .map_err(|payload| message(&*payload));
    let mut expected = Ok(pairs.len() as i64);
    for (index, &(a, b)) in pairs.iter().enumerate() {
        match catch_unwind(|| (suite.plain)(which, a, b)) {
            Ok(plain) => {
                let compiled = outputs.get().items(index as i64);
                if compiled != plain {
                    return Err(format!(
                        "{name}({a}, {b}) is {plain}, but {compiled} when compiled (input {index}; the run: {run:?})"
                    ));
                }
            }
            Err(payload) => {
                expected = Err(message(&*payload));
                break;
            }
        }
    }
    if run != expected {
        return Err(format!("{name} ended with {run:?} instead of {expected:?}"));
    }
    if run.is_ok() && !has_code((suite.driver)(), &[which as u64]) {
        let reason = why_not_compiled((suite.driver)(), &[which as u64]).unwrap_or_default();
        return Err(format!("{name} was not compiled: {reason}"));
    }
    Ok(())
}

/// Inputs that panic are run after those that don't, one in each run.
const PANICS: usize = 3;

fn check_mode(suite: Suite, pairs: &[(i64, i64)], mode: &str) -> Result<(), String> {
    let mut parameters = Parameters::default();
    parameters
        .set("sync=1,threshold=2,function_threshold=1000000,trace_eagerness=1,compile_patience=0")
        .expect("known parameters");
    parameters.set(mode).expect("known parameters");
    set_parameters(parameters);
    let mut failures = Vec::new();
    for which in 0..suite.names.len() as i64 {
        let (good, bad): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|&&(a, b)| catch_unwind(|| (suite.plain)(which, a, b)).is_ok());
        let mut outcome = check_inputs(suite, which, &good);
        for &panics in bad.iter().take(PANICS) {
            let mut inputs = good[..good.len().min(20)].to_vec();
            inputs.push(panics);
            outcome = outcome.and_then(|()| check_inputs(suite, which, &inputs));
        }
        failures.extend(outcome.err());
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("{}\n{:?}", failures.join("\n"), statistics())) }
}
