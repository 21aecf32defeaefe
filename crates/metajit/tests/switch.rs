//! Choices between many cases, hot in one loop: chains of guards, and the switches that become of them.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

use metajit::driver::{parameters, set_parameters, statistics};
use metajit::prelude::*;
use metajit::testing::{Modes, check};

/// What case `k` does.
#[jit]
fn case(k: i64, sum: i64, n: i64) -> i64 {
    match k % 3 {
        0 => sum.wrapping_add(n * k),
        1 => sum.wrapping_mul(k + 2),
        _ => sum - k,
    }
}

macro_rules! choices {
    ($($k:literal)*) => {
        /// Cases in a row, and one for all others. The value is promoted: guards in each other's bridges.
        #[jit_driver(greens = [ways], reds = [n, x, sum])]
        fn in_a_row(ways: i64, n: i64) -> i64 {
            let x: i64 = 1;
            let sum: i64 = 0;
            loop {
                jit_merge_point!();
                if n <= 0 {
                    return sum;
                }
                x = x * 16_807 % 2_147_483_647;
                match x % ways {
                    $($k => sum = case($k, sum, n),)*
                    _ => sum ^= n,
                }
                n -= 1;
                can_enter_jit!();
            }
        }

        /// Cases far apart, compared with one after the other.
        #[jit_driver(greens = [ways], reds = [n, x, sum])]
        fn far_apart(ways: i64, n: i64) -> i64 {
            let x: i64 = 1;
            let sum: i64 = 0;
            loop {
                jit_merge_point!();
                if n <= 0 {
                    return sum;
                }
                x = x * 16_807 % 2_147_483_647;
                let way = (x % ways - 20) * 0x1_0001_0001;
                let mut done = false;
                $(if !done && way == ($k - 20) * 0x1_0001_0001 {
                    sum = case($k, sum, n);
                    done = true;
                })*
                if !done {
                    sum ^= n;
                }
                n -= 1;
                can_enter_jit!();
            }
        }
    };
}
choices!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);

/// All that are compared: each choice, with fewer ways than cases, as many, and more.
fn all() -> Vec<i64> {
    let runs = |choose: fn(i64, i64) -> i64| [5, 40, 43].map(|ways| choose(ways, 3000));
    runs(in_a_row).into_iter().chain(runs(far_apart)).collect()
}

#[test]
fn forty_cases_are_chosen_between_in_every_mode() {
    let modes = Modes::all()
        .with("switches of two, quick", "quick=1,threshold=3,trace_eagerness=1,switch_cases=2")
        .with("switches of two", "upgrade_threshold=1,threshold=3,trace_eagerness=1,switch_cases=2")
        .with("no switches", "upgrade_threshold=1,threshold=3,trace_eagerness=1,switch_cases=0")
        .forced(40);
    check(&modes, all).unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

/// Switches of the code that `run` makes with these parameters.
fn switches(text: &str, run: impl FnOnce()) -> u64 {
    let mut mine = parameters();
    mine.set("sync=1,threshold=3,trace_eagerness=1").and_then(|()| mine.set(text)).unwrap();
    set_parameters(mine);
    let before = statistics().switches_compiled;
    run();
    statistics().switches_compiled - before
}

#[test]
fn many_cases_become_switches() {
    assert!(switches("", || _ = in_a_row(40, 3000)) > 0);
    assert!(switches("", || _ = far_apart(40, 3000)) > 0);
}

#[test]
fn few_cases_become_switches_if_asked() {
    assert_eq!(switches("", || _ = in_a_row(5, 3000)), 0);
    assert!(switches("switch_cases=3", || _ = in_a_row(6, 3000)) > 0);
    assert_eq!(switches("switch_cases=0", || _ = in_a_row(40, 3000)), 0);
}
