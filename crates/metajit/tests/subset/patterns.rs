//! Patterns: literals, ranges, alternatives, bindings, guards, nesting.

use crate::harness::SMALL;
use metajit::prelude::*;

const FIVE: i64 = 5;
mod limits {
    pub(super) const SEVEN: i64 = 7;
}

#[jit]
fn literals(a: i64, b: i64) -> i64 {
    match a {
        0 => 10,
        -1 => 20,
        FIVE => 30,
        limits::SEVEN => 35,
        1 | 2 => b,
        3..=4 => 40 + b,
        8.. => 50,
        ..=-3 => 60,
        _ => 70,
    }
}
#[jit]
fn bindings(a: i64, b: i64) -> i64 {
    match a {
        x @ 0..=3 => x * 10 + b,
        x @ (4 | 6) => x * 100,
        x if x < b => x - b,
        x if x == b => 1,
        mut x => {
            x += 1;
            x
        }
    }
}
#[jit]
fn guards(a: i64, b: i64) -> i64 {
    match (a, b) {
        (x, y) if x == y => 1,
        (x, _) if x < 0 => 2 - x,
        (_, y) if y > 5 && y < 9 => 3 + y,
        (0, y) => y * 7,
        (x, 1 | 2) => x * 11,
        (3..=6, y @ 3..=9) => y * 13,
        (FIVE, _) => 14,
        _ => 15,
    }
}
#[jit]
fn options(a: i64, b: i64) -> i64 {
    match maybe(a, b) {
        Some(0) => 1,
        Some(x @ 1..=3) => x * 2,
        Some(x) if x > b => x * 3,
        Some(x) => x,
        None => -1,
    }
}
#[jit]
fn maybe(a: i64, b: i64) -> Option<i64> {
    if a == b { None } else { Some(a - b) }
}
#[jit]
fn nested_options(a: i64, b: i64) -> i64 {
    let pair = (maybe(a, b), maybe(b, 3));
    match pair {
        (None, None) => 1,
        (Some(x), None) | (None, Some(x)) => x + 2,
        (Some(1), Some(y)) => y * 5,
        (Some(x), Some(y)) if x == y => 6,
        (Some(_), Some(y)) => y,
    }
}
#[jit]
fn deep(a: i64, b: i64) -> i64 {
    let value: Result<Option<(i64, bool)>, i64> = if a < 0 {
        Err(a)
    } else if b < 0 {
        Ok(None)
    } else {
        Ok(Some((a, b > 3)))
    };
    match value {
        Ok(Some((0, _))) => 1,
        Ok(Some((x, true))) => x * 2,
        Ok(Some((x, false))) if x > 4 => x * 3,
        Ok(Some((x, _))) => x * 4,
        Ok(None) => 5,
        Err(-1) => 6,
        Err(code) => code,
    }
}
#[jit]
fn booleans(a: i64, b: i64) -> i64 {
    match (a > b, a > 0) {
        (true, true) => 1,
        (true, false) => 2,
        (false, positive) => 3 + positive as i64,
    }
}
#[jit]
fn one_boolean(a: i64, b: i64) -> i64 {
    match a < b {
        true => a,
        false => b,
    }
}
#[jit]
fn characters(a: i64, b: i64) -> i64 {
    match ((a + 50) as u8 as char, b) {
        ('0'..='4', _) => 1,
        ('9' | ':', x) => x,
        (c, 2) => c as i64,
        _ => 4,
    }
}
#[jit]
fn one_character(a: i64, b: i64) -> i64 {
    match (a + 50) as u8 as char {
        '1' => 1,
        c @ '2'..='5' => c as i64,
        _ => b,
    }
}
#[jit]
fn widths(a: i64, b: i64) -> i64 {
    let first = match a as u8 {
        0 => 1,
        255 => 2,
        200..=254 => 3,
        x => x as i64,
    };
    let second = match b as i16 {
        i16::MIN..=-1 => 1,
        0 => 2,
        1..=i16::MAX => 3,
    };
    first * 10 + second
}
#[jit]
fn irrefutable(a: i64, b: i64) -> i64 {
    let (x, (y, _), z) = (a, (b, 1), a + b);
    let ((p, q), ..) = ((x, y), z);
    p * 3 + q * 5 + z * 7
}
#[jit]
fn let_else(a: i64, b: i64) -> i64 {
    let Some(x) = maybe(a, b) else {
        return 99;
    };
    let (Some(y), z) = (maybe(b, 2), x) else { return x };
    let Ok(w): Result<i64, bool> = (if z > y { Ok(z) } else { Err(true) }) else { return -5 };
    x + y + w
}
#[jit]
fn matches_macro(a: i64, b: i64) -> i64 {
    let mut result = 0;
    if matches!(a, 1 | 2 | 5..=8) {
        result += 1;
    }
    if matches!(maybe(a, b), Some(x) if x > 2) {
        result += 2;
    }
    if !matches!((a, b), (0, _) | (_, 0)) {
        result += 4;
    }
    result
}
#[jit]
fn match_as_operand(a: i64, b: i64) -> i64 {
    10 * match a {
        1 => 2,
        2 => 1,
        _ => 3,
    } + (match maybe(a, b) {
        Some(x) => x,
        None => 0,
    }) * 2
}
#[jit]
fn if_let_else(a: i64, b: i64) -> i64 {
    if let Some(x) = maybe(a, b) {
        x
    } else if let Some(y) = maybe(b, 4) {
        y * 2
    } else {
        1
    }
}
#[jit]
fn changing_scrutinee(a: i64, b: i64) -> i64 {
    let mut state = 0;
    let mut total = 0;
    for step in 0..4 {
        state = match (state, step + a) {
            (0, 2) => 1,
            (1, x) if x > b => 2,
            (s, _) => s,
        };
        total = total * 4 + state;
    }
    total
}
#[jit]
fn floats(a: i64, b: i64) -> i64 {
    match (a as f64 * 0.5, b) {
        (0.5, _) => 1,
        (1.0..=2.5, y) => y,
        (x, 3) => x as i64,
        _ => 4,
    }
}
#[jit]
fn array_free_alternatives(a: i64, b: i64) -> i64 {
    match (maybe(a, 2), b) {
        (None | Some(_), 0) => 1,
        (Some(x), 1 | 2) => x,
        (None, y) | (Some(_), y) => y * 2,
    }
}

suite! { compiled_code_agrees(SMALL) {
    0 => literals, 1 => bindings, 2 => guards, 3 => options, 4 => nested_options, 5 => deep, 6 => booleans, 7 => one_boolean,
    8 => characters, 9 => one_character, 10 => widths, 11 => irrefutable, 12 => let_else, 13 => matches_macro, 14 => match_as_operand,
    15 => if_let_else, 16 => changing_scrutinee, 17 => floats, 18 => array_free_alternatives,
} }
