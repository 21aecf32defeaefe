//! Calls: looked into or not, pure or not, failing, recursive, across modules.

use crate::harness::SMALL;
use metajit::prelude::*;
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<i64> = const { Cell::new(0) };
}

#[dont_look_inside]
fn residual(a: i64, b: i64) -> i64 {
    let texts = [a.to_string(), b.to_string()];
    texts.concat().len() as i64 * 10 + a
}
#[dont_look_inside]
fn counted(a: i64) -> i64 {
    CALLS.with(|calls| calls.set(calls.get() + a));
    CALLS.with(Cell::get)
}
#[dont_look_inside]
fn reset() {
    CALLS.with(|calls| calls.set(0));
}
#[elidable]
fn cube(a: i64) -> i64 {
    a.pow(3)
}
#[elidable]
fn half(a: f64) -> f64 {
    a / 2.0
}
#[dont_look_inside]
fn parts(a: i64, b: bool) -> (i64, f64, bool) {
    (a + 1, a as f64 + 0.5, !b)
}
#[dont_look_inside]
fn may_fail(a: i64) -> Result<u8, i32> {
    u8::try_from(a).map_err(|_| a as i32 - 1)
}
#[dont_look_inside]
fn may_be_nothing(a: i64) -> Option<char> {
    char::from_digit(a.unsigned_abs() as u32, 10)
}
#[dont_look_inside]
fn narrow(a: i8, b: u16, c: bool, d: char) -> i32 {
    i32::from(a) * 3 + i32::from(b) + i32::from(c) + d as i32
}
/// # Safety
/// Any number is fine.
#[dont_look_inside]
unsafe fn needs_care(a: i64) -> i64 {
    a ^ 0x55
}

#[jit]
fn calls(a: i64, b: i64) -> i64 {
    residual(a, b) - residual(b, 3) * 2
}
#[jit]
fn effects(a: i64, b: i64) -> i64 {
    reset();
    let x = counted(a);
    let y = counted(b);
    let z = if y > 4 { counted(1) } else { 0 };
    x * 100 + y * 10 + z + counted(0)
}
#[jit]
fn pure(a: i64, b: i64) -> i64 {
    let x = cube(a) + cube(a) + cube(2);
    let _unused = cube(b);
    if b > 2 { x } else { cube(b) - x }
}
#[jit]
fn float_calls(a: i64, b: i64) -> i64 {
    let x = half(a as f64);
    let y = half(x + b as f64);
    (y * 8.0) as i64
}
#[jit]
fn tuples(a: i64, b: i64) -> i64 {
    let (x, y, z) = parts(a, b > 0);
    if z { x } else { (y * 2.0) as i64 }
}
#[jit]
fn passes_on(a: i64, b: i64) -> Result<i64, i32> {
    let x = may_fail(a)?;
    let y = may_fail(b)?;
    Ok(i64::from(x) * 300 + i64::from(y))
}
#[jit]
fn failures(a: i64, b: i64) -> i64 {
    match passes_on(a, b) {
        Ok(x) => x,
        Err(-2) => 7,
        Err(code) => code as i64,
    }
}
#[jit]
fn nothing(a: i64, b: i64) -> i64 {
    match (may_be_nothing(a), may_be_nothing(b)) {
        (Some('3'), _) => 1,
        (Some(c), Some(d)) => c as i64 * 3 + d as i64,
        (Some(_), None) => 2,
        (None, _) => 3,
    }
}
#[jit]
fn narrow_arguments(a: i64, b: i64) -> i64 {
    narrow(a as i8, b as u16, a < b, (65 + (b as u8)) as char) as i64
}
#[jit]
fn careful(a: i64, b: i64) -> i64 {
    // SAFETY: as the function says.
    let x = unsafe { needs_care(a) };
    // SAFETY: as the function says.
    x + unsafe { needs_care(b) }
}

#[jit]
fn factorial(n: i64) -> i64 {
    if n <= 1 { 1 } else { n * factorial(n - 1) }
}
#[jit]
fn even(n: i64) -> bool {
    n == 0 || odd(n - 1)
}
#[jit]
fn odd(n: i64) -> bool {
    n != 0 && even(n - 1)
}
#[jit]
fn recursion(a: i64, b: i64) -> i64 {
    factorial(a & 7) + even(b & 7) as i64
}

mod elsewhere {
    use metajit::prelude::*;
    #[jit]
    pub(super) fn added(a: i64, b: i64) -> i64 {
        a + inner::shifted(b)
    }
    pub(super) mod inner {
        use metajit::prelude::*;
        #[jit]
        pub(in super::super) fn shifted(a: i64) -> i64 {
            super::super::factorial(a & 3) << 2
        }
    }
}
use elsewhere::{added, inner};
#[jit]
fn modules(a: i64, b: i64) -> i64 {
    added(a, b)
        + elsewhere::added(b, a) * 3
        + inner::shifted(a)
        + self::elsewhere::inner::shifted(b)
        + crate::calls::factorial(b & 3)
}

#[jit]
fn promotion(a: i64, b: i64) -> i64 {
    let x = promote(a & 3);
    let y = if x == 2 { cube(x) } else { x };
    y + promote(b > 2) as i64
}
#[jit]
fn jitted(a: i64, b: i64) -> i64 {
    let one = if we_are_jitted() { 1 } else { 1 };
    a + b * one
}
#[jit]
fn many_arguments(a: i64, b: i64, c: bool, d: f64, e: u8, f: i32) -> i64 {
    if c { a * 2 + b } else { d as i64 + e as i64 * f as i64 }
}
#[jit]
fn passing(a: i64, b: i64) -> i64 {
    many_arguments(b, a, a > b, a as f64, b as u8, -3) + many_arguments(1, 2, b == 3, 0.5, 7, a as i32)
}
#[jit]
fn mutable_parameters(mut a: i64, mut b: i64) -> i64 {
    a += 1;
    while b > 0 {
        a += b;
        b -= 2;
    }
    a
}

suite! { compiled_code_agrees(SMALL) {
    0 => calls, 1 => effects, 2 => pure, 3 => float_calls, 4 => tuples, 5 => failures, 6 => nothing, 7 => narrow_arguments, 8 => careful,
    9 => recursion, 10 => modules, 11 => promotion, 12 => jitted, 13 => passing, 14 => mutable_parameters,
} }
