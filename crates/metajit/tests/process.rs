//! What a process says that its threads begin with. One test only, since it is about all of a process.
#![cfg(feature = "jit")]

use metajit::driver::{
    Parameters, finish_compilations, parameters, set_parameters, set_process_parameters, statistics,
};
use metajit::prelude::*;

#[jit_driver(greens = [step], reds = [n, sum])]
fn count(step: i64, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        sum = sum.wrapping_add(step);
        n -= 1;
        can_enter_jit!();
    }
}

/// What a thread of its own compiles.
fn compilations(prepare: fn()) -> u64 {
    let thread = std::thread::spawn(move || {
        prepare();
        for _ in 0..2 {
            assert_eq!(count(3, 20_000), 60_000);
            finish_compilations();
        }
        statistics().compilations
    });
    thread.join().expect("the thread does not panic")
}

#[test]
fn threads_begin_with_what_the_process_says_and_may_change_it() {
    let on = || set_parameters(Parameters { enabled: true, ..parameters() });
    let off = || set_parameters(Parameters { enabled: false, ..parameters() });
    set_process_parameters(Parameters { enabled: false, ..Parameters::default() });
    assert_eq!(compilations(|| {}), 0);
    assert!(compilations(on) > 0);
    assert_eq!(compilations(|| {}), 0, "what a thread says is no other's business");
    set_process_parameters(Parameters::default());
    assert!(compilations(|| {}) > 0);
    assert_eq!(compilations(off), 0);
    assert!(compilations(|| {}) > 0, "what a thread says is no other's business");
}
