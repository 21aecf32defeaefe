//! Panics: from traced code, from calls that are not looked into, from arithmetic and from bounds.

use crate::harness::SMALL;
use metajit::prelude::*;

#[jit]
fn explicit(a: i64, b: i64) -> i64 {
    if a == 10 && b == 9 {
        panic!("no {a}, or {}", b + 1);
    }
    a + b
}
#[jit]
fn without_text(a: i64, b: i64) -> i64 {
    if a + b == 200 {
        panic!();
    }
    a * b
}
#[dont_look_inside]
fn residual(a: i64) -> i64 {
    assert!(a != 100, "a hundred is too much");
    a
}
#[jit]
fn in_calls(a: i64, b: i64) -> i64 {
    residual(a) + residual(b)
}
#[jit]
fn of_options(a: i64, b: i64) -> i64 {
    let x = if a == 5 && b == 5 { None } else { Some(a) };
    x.expect("five is no number")
}
#[jit]
fn of_unwrapped_options(a: i64, b: i64) -> i64 {
    let x = if a == 5 && b == 5 { None } else { Some(a) };
    x.unwrap()
}
#[jit]
fn of_results(a: i64, b: i64) -> i64 {
    let x = if a == 5 && b == 5 { Err(a) } else { Ok(b) };
    x.unwrap()
}
#[jit]
fn of_assertions(a: i64, b: i64) -> i64 {
    assert!(a != 7 || b != 8, "seven ate {b}");
    assert!(a != 8 || b != 7);
    a
}
#[jit]
fn of_equalities(a: i64, b: i64) -> i64 {
    assert_eq!(a == 7, a + b * 0 == 7, "the same");
    assert_ne!(a * 1000 + b, 7008);
    a
}
#[jit]
fn of_unreachable(a: i64, b: i64) -> i64 {
    match (a, b) {
        (9, 9) => unreachable!("nine and {}", b),
        _ => a,
    }
}
#[jit]
fn deep(a: i64, b: i64) -> i64 {
    explicit(explicit(a, 1) - 1, b)
}
#[jit]
fn with_effects(a: i64, b: i64) -> i64 {
    let array = crate::harness::Numbers::alloc(10, a);
    array.set_items(b, 3);
    array.items(a.max(0)) + array.items(0)
}
#[jit]
fn of_shifts(a: i64, b: i64) -> i64 {
    1 << a ^ b >> (a & 63)
}

suite! { compiled_code_agrees(SMALL) {
    0 => explicit, 1 => without_text, 2 => in_calls, 3 => of_options, 4 => of_unwrapped_options, 5 => of_results, 6 => of_assertions,
    7 => of_equalities, 8 => of_unreachable, 9 => deep, 10 => with_effects, 11 => of_shifts,
} }
