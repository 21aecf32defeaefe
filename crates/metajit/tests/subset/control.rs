//! Control: loops, labels, early returns, blocks, shadowing.

use crate::harness::SMALL;
use metajit::prelude::*;

#[jit]
fn while_loop(a: i64, b: i64) -> i64 {
    let (mut index, mut total) = (0, b);
    while index < a {
        total = total.wrapping_mul(3).wrapping_add(index);
        index += 1;
        if index == 12 {
            break;
        }
    }
    total
}
#[jit]
fn while_let(a: i64, b: i64) -> i64 {
    let (mut rest, mut steps) = (a & 15, 0);
    while let Some(next) = less_by(rest, 1 + (b & 3)) {
        rest = next;
        steps += 1;
    }
    steps * 100 + rest
}
#[jit]
fn less_by(a: i64, b: i64) -> Option<i64> {
    if a >= b { Some(a - b) } else { None }
}
#[jit]
fn while_let_and(a: i64, b: i64) -> i64 {
    let (mut rest, mut steps) = (a & 15, 0);
    while let Some(next) = less_by(rest, 1)
        && next > (b & 3)
    {
        rest = next;
        steps += 1;
    }
    steps * 100 + rest
}
#[jit]
fn for_range(a: i64, b: i64) -> i64 {
    let mut total = 0;
    for i in a..b.min(a + 12) {
        if i == 3 {
            continue;
        }
        if i == 8 {
            break;
        }
        total += i * i + 1;
    }
    total
}
#[jit]
fn for_inclusive(a: i64, b: i64) -> i64 {
    let mut total = 1i32;
    for i in a as i8..=(b.min(10) as i8) {
        total = total.wrapping_mul(31).wrapping_add(i as i32);
    }
    total as i64
}
#[jit]
fn for_to_the_end_of_a_type(a: i64, b: i64) -> i64 {
    let mut total = b;
    for i in (250 + (a & 5)) as u8..=255 {
        total = total * 2 + i as i64;
    }
    total
}
#[jit]
fn for_ignoring(a: i64, b: i64) -> i64 {
    let mut total = b;
    for _ in 0..(a & 7) {
        total += 2;
    }
    total
}
#[jit]
fn nested_loops(a: i64, b: i64) -> i64 {
    let mut total = 0;
    'rows: for row in 0..(a & 3) {
        for column in 0..(b & 7) {
            if column == 3 && row == 1 {
                continue 'rows;
            }
            if column * row == 4 {
                break 'rows;
            }
            total += 10 * row + column;
        }
        total += 1000;
    }
    total
}
#[jit]
fn loop_with_value(a: i64, b: i64) -> i64 {
    let mut guess = b & 7;
    let found = loop {
        if guess * guess > (a & 31) {
            break guess;
        }
        guess += 1;
    };
    found * 2
}
#[jit]
fn labelled_value(a: i64, b: i64) -> i64 {
    let mut outer = 0;
    'search: loop {
        outer += 1;
        let mut inner = 0;
        loop {
            inner += 1;
            if inner * outer > (a & 15) {
                break 'search inner * 100 + outer;
            }
            if inner > (b & 3) {
                break;
            }
        }
    }
}
#[jit]
fn labelled_block(a: i64, b: i64) -> i64 {
    let found = 'found: {
        if a > 5 {
            break 'found a;
        }
        if b > 5 {
            break 'found b;
        }
        -1
    };
    found + 1
}
#[jit]
fn early_returns(a: i64, b: i64) -> i64 {
    if a == 3 {
        return 33;
    }
    for i in 0..5 {
        if i == b {
            return i + 1000;
        }
    }
    let value = if b < 0 { return a } else { b };
    value - a
}
#[jit]
fn shadowing(a: i64, b: i64) -> i64 {
    let x = a;
    let y = {
        let x = x + b;
        let x = x * 2;
        x - 1
    };
    let x = y + x;
    x
}
#[jit]
fn late_initialisation(a: i64, b: i64) -> i64 {
    let small: bool;
    let result;
    if a < b {
        small = true;
        result = b - a;
    } else {
        small = false;
        result = a;
    }
    if small { result } else { -result }
}
#[jit]
fn order_of_evaluation(a: i64, b: i64) -> i64 {
    let mut x = a;
    let first = x
        + {
            x += b;
            x
        } * 10
        + {
            x -= 1;
            x
        } * 100;
    x += {
        x = 2;
        b
    };
    first + x
}
#[jit]
fn swapping(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    for _ in 0..3 {
        (x, y) = (y, x + 1);
    }
    _ = x;
    x * 1000 + y
}
#[jit]
fn chained_conditions(a: i64, b: i64) -> i64 {
    if a > 0 && (b > 0 || a == 5) && !(a == b) {
        1
    } else if !(a < 0 || b < 0) {
        2
    } else if a < 0 && b < 0 && a < b {
        3
    } else {
        4
    }
}
#[jit]
fn let_chains(a: i64, b: i64) -> i64 {
    if let Some(x) = less_by(a, b)
        && x > 2
        && let Some(y) = less_by(x, 3)
    {
        x * 10 + y
    } else {
        -1
    }
}
#[jit]
fn collatz(a: i64, b: i64) -> i64 {
    let (mut n, mut steps) = ((a & 15) + 1, b & 1);
    while n != 1 {
        n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}
#[jit]
fn constants_inside(a: i64, b: i64) -> i64 {
    const LIMIT: i64 = 4;
    if a > LIMIT { b } else { LIMIT * 2 }
}
#[jit]
fn unit_values(a: i64, b: i64) -> i64 {
    let mut x = a;
    let unit = nothing(b);
    if b > 3 {
        x += 1;
    };
    let () = unit;
    x
}
#[jit]
fn nothing(_: i64) {}
#[jit]
fn gcd(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a.abs(), b.abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x
}
#[jit]
fn unreachable_ends(a: i64, b: i64) -> i64 {
    if a >= b {
        a
    } else if a < b {
        b
    } else {
        unreachable!("numbers are ordered")
    }
}
#[jit]
fn assertions(a: i64, b: i64) -> i64 {
    assert!(a < 1000, "too large: {a}");
    assert!(b < 1000);
    assert_eq!(a, a);
    assert_ne!(a, a + 1);
    debug_assert!(b > -1000);
    debug_assert_eq!(b, b, "equal");
    a ^ b
}

suite! { compiled_code_agrees(SMALL) {
    0 => while_loop, 1 => while_let, 2 => while_let_and, 3 => for_range, 4 => for_inclusive, 5 => for_to_the_end_of_a_type,
    6 => for_ignoring, 7 => nested_loops, 8 => loop_with_value, 9 => labelled_value, 10 => labelled_block, 11 => early_returns,
    12 => shadowing, 13 => late_initialisation, 14 => order_of_evaluation, 15 => swapping, 16 => chained_conditions,
    17 => let_chains, 18 => collatz, 19 => constants_inside, 20 => unit_values, 21 => gcd, 22 => unreachable_ends, 23 => assertions,
} }
