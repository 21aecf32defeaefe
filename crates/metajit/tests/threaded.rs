//! Threaded code by itself: what the hints for it do.
#![cfg(feature = "jit")]
#![allow(missing_docs)]

use metajit::driver::{finish_compilations, parameters, set_parameters, statistics};
use metajit::prelude::*;
use std::cell::Cell;

thread_local! {
    static BY_HANDLERS: Cell<u64> = const { Cell::new(0) };
}

/// A place of a program: whether it has met even numbers.
#[jit_object]
pub struct Site {
    even: u64,
}

/// Called where a handler runs as plain Rust: by the interpreter, or by threaded code that has it not inlined.
#[dont_look_inside]
fn note_plain() {
    BY_HANDLERS.set(BY_HANDLERS.get() + 1);
}

/// Either outcome of its condition is as good as the other.
#[enable_threaded_code]
fn either_way(n: i64) -> i64 {
    if !we_are_threaded() {
        note_plain();
    }
    if either(n & 1 == 0) {
        return n * 3;
    }
    n * 5
}

/// The same without the hint.
#[enable_threaded_code]
fn one_way(n: i64) -> i64 {
    if !we_are_threaded() {
        note_plain();
    }
    if n & 1 == 0 {
        return n * 3;
    }
    n * 5
}

/// Tries even numbers first where the interpreter has met some.
#[enable_threaded_code]
fn as_met(site: Site, n: i64) -> i64 {
    if we_are_threaded() && seen(site.even()) == 1 && either(n & 1 == 0) {
        return n * 3;
    }
    note_plain();
    if n & 1 == 0 {
        if !we_are_jitted() && site.even() != 1 {
            site.set_even(1);
        }
        return n * 3;
    }
    n * 5
}

#[jit_driver(greens = [which], reds = [site, n, sum])]
fn run(which: i64, site: Site, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        let more = match which {
            0 => either_way(n),
            1 => one_way(n),
            _ => as_met(site, n),
        };
        sum = sum.wrapping_mul(7).wrapping_add(more);
        n -= 1;
        can_enter_jit!();
    }
}

const ROUNDS: i64 = 1000;

/// Handlers that a run in threaded code calls, in so many rounds and one, which the interpreter does. The result is what it should be.
fn handlers_called(which: i64) -> u64 {
    let expected = |rounds: i64| {
        (1..=rounds).rev().fold(0i64, |sum, n| sum.wrapping_mul(7).wrapping_add(if n & 1 == 0 { n * 3 } else { n * 5 }))
    };
    let mut mine = parameters();
    mine.set("sync=1,threaded=1,tracing=0,tier1_threshold=30").unwrap();
    set_parameters(mine);
    let (site, units) = (Site::alloc(0), statistics().threaded_units);
    assert_eq!(run(which, site, 200), expected(200));
    finish_compilations();
    assert_eq!(statistics().threaded_units, units + 1, "{:?}", statistics());
    BY_HANDLERS.set(0);
    assert_eq!(run(which, site, ROUNDS + 1), expected(ROUNDS + 1));
    BY_HANDLERS.get() - 1
}

#[test]
fn of_what_may_be_either_way_both_are_inlined() {
    assert_eq!(handlers_called(0), 0);
    // Without the hint, the handler is called where the condition does not hold.
    assert_eq!(handlers_called(1), ROUNDS as u64 / 2);
}

#[test]
fn threaded_code_knows_what_a_place_has_met() {
    assert_eq!(handlers_called(2), ROUNDS as u64 / 2);
}
