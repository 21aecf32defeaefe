//! What interpreters do to the JIT: panic inside calls, run other programs inside calls, write what was taken for constant.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

use metajit::prelude::*;
use metajit::testing::{Modes, check};
use std::panic::catch_unwind;

#[jit_object]
pub struct Setting {
    #[quasi_immutable]
    step: i64,
}

/// What the loop calls: any Rust at all.
#[dont_look_inside]
fn outside(kind: i64, i: i64, setting: Setting) -> i64 {
    match kind {
        PANICS if i % 50 == 17 => panic!("at {i}"),
        // Runs another loop inside this call, which gets hot by itself.
        REENTERS => run(PLAIN, i % 40, Setting::alloc(2)).unwrap_or(0),
        // Throws away the code that is calling it.
        WRITES if i % 64 == 9 => {
            setting.set_step(setting.step() % 5 + 1);
            i
        }
        FAILS if i % 7 == 3 => -1,
        _ => i,
    }
}

const PLAIN: i64 = 0;
const PANICS: i64 = 1;
const REENTERS: i64 = 2;
const WRITES: i64 = 3;
const FAILS: i64 = 4;

#[jit_driver(greens = [kind], reds = [i, total, setting])]
fn run(kind: i64, i: i64, setting: Setting) -> Result<i64, i64> {
    let mut total: i64 = 0;
    loop {
        jit_merge_point!();
        if i <= 0 {
            return Ok(total);
        }
        let part = outside(kind, i, setting);
        if part < 0 {
            if total > 40_000 {
                return Err(total);
            }
            total += 1;
        }
        total = total.wrapping_add(part * setting.step());
        i -= 1;
        can_enter_jit!();
    }
}

/// Native stack that endless recursion gets; much less than a test's thread has.
const STACK_BYTES: usize = 1 << 18;

#[jit_driver(greens = [kind], reds = [n, depth, setting], overflow = Err(depth))]
fn descend(kind: i64, n: i64, depth: i64, setting: Setting) -> Result<i64, i64> {
    loop {
        jit_merge_point!();
        if n == 0 {
            return Ok(depth);
        }
        // What the calls inside return decides where this activation leaves its code, long after it was entered.
        let below = descend(kind, n - 1, depth + 1, setting)?;
        if kind == WRITES && below % 7 == 1 {
            setting.set_step(setting.step() % 5 + 1);
        }
        if below % 5 == 4 {
            return Ok(below * 3 % 1000 + setting.step());
        }
        if (below ^ n) % 4 == 2 {
            return Ok(below + n);
        }
        return Ok(below + setting.step());
    }
}

#[test]
fn activations_leave_code_that_was_replaced_meanwhile() {
    for kind in [PLAIN, WRITES] {
        let checked = check(&Modes::all(), move || {
            let setting = Setting::alloc(3);
            (0..80).map(|n| descend(kind, n, 0, setting)).collect::<Vec<_>>()
        });
        let checked = checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
        assert!(checked.compilations > 0 && checked.panics == 0, "{checked:?}");
    }
}

#[test]
fn endless_recursion_ends_with_the_answer_for_it() {
    let checked = check(&Modes::all(), || {
        let here = 0u8;
        metajit::set_stack_limit(&raw const here as usize - STACK_BYTES);
        // How deep it gets depends on who runs it (where each activation leaves code by an exit, some 4 KB deep), but everyone gets there.
        let depths = [(); 3].map(|()| descend(PLAIN, -1, 0, Setting::alloc(3)));
        depths.iter().all(|depth| matches!(depth, Err(30..))).then_some(()).ok_or(depths)
    });
    let checked = checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(checked.compilations > 0 && checked.panics == 0, "{checked:?}");
}

fn everywhere(kind: i64) {
    let modes = Modes::all().forced(u32::MAX);
    let checked = check(&modes, move || {
        let setting = Setting::alloc(3);
        let results: Vec<String> = [1, 5, 49, 400, 700, 60, 500]
            .iter()
            .map(|&n| match catch_unwind(|| run(kind, n, setting)) {
                Ok(result) => format!("{result:?} {}", setting.step()),
                Err(payload) => format!("panicked {:?}", payload.downcast_ref::<String>()),
            })
            .collect();
        results
    });
    let checked = checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(checked.compilations > 0 && checked.panics == 0, "{checked:?}");
}

#[test]
fn a_panic_in_a_call_goes_through_compiled_code() {
    everywhere(PANICS);
}

#[test]
fn a_call_may_run_other_programs() {
    everywhere(REENTERS);
}

#[test]
fn a_call_may_invalidate_its_caller() {
    everywhere(WRITES);
}

#[test]
fn a_call_may_fail() {
    everywhere(FAILS);
}
