//! Floats, bool and char.

use crate::harness::floats;
use metajit::prelude::*;

/// One pattern for all NaN: which one an operation makes is not specified.
#[jit]
fn bits(float: f64) -> i64 {
    if float.is_nan() { 7 } else { float.to_bits() as i64 }
}
#[jit]
fn float(bits: i64) -> f64 {
    f64::from_bits(bits as u64)
}

macro_rules! binary {
    ($($name:ident: |$x:ident, $y:ident| $body:expr;)*) => { $(
        #[jit]
        fn $name(a: i64, b: i64) -> i64 {
            let ($x, $y) = (float(a), float(b));
            bits($body)
        }
    )* };
}
binary! {
    sum: |x, y| x + y;
    difference: |x, y| x - y;
    product: |x, y| x * y;
    quotient: |x, y| x / y;
    remainder: |x, y| x % y;
    negation: |x, y| -x + y;
    absolute: |x, y| x.abs() - y.abs();
    root: |x, y| x.sqrt() * y;
    floor: |x, y| x.floor() + y;
    ceil: |x, y| x.ceil() + y;
    trunc: |x, y| x.trunc() + y;
    round: |x, y| x.round() + y;
    fract: |x, y| x.fract() + y;
    signum: |x, y| x.signum() + y;
    minimum: |x, y| if x == y { x } else { x.min(y) };
    maximum: |x, y| if x == y { x } else { x.max(y) };
    clamped: |x, y| x.clamp(-2.0, 3.0) + y;
    with_sign: |x, y| x.copysign(y);
    fused: |x, y| x.mul_add(y, 1.5);
    power: |x, y| x.powf(y);
    whole_power: |x, y| x.powi(3) + y.powi(-2);
    hypotenuse: |x, y| x.hypot(y);
    sines: |x, y| x.sin() + y.cos();
    tangents: |x, y| x.tan() + y.atan();
    arcs: |x, y| x.asin() + y.acos();
    angle: |x, y| x.atan2(y);
    exponentials: |x, y| x.exp() + y.exp2();
    logarithms: |x, y| x.ln() + y.log2() + y.log10();
    hyperbolic: |x, y| x.sinh() + y.cosh() + x.tanh();
    cube_root: |x, y| x.cbrt() - y;
    reciprocal: |x, y| x.recip() + y;
    degrees: |x, y| x.to_degrees() + y.to_radians();
    constants: |x, y| if x > f64::MAX / 2.0 { f64::INFINITY } else if y < f64::MIN_POSITIVE { f64::EPSILON } else { std::f64::consts::PI };
}

#[jit]
fn comparisons(a: i64, b: i64) -> i64 {
    let (x, y) = (float(a), float(b));
    (x < y) as i64
        + 2 * (x <= y) as i64
        + 4 * (x > y) as i64
        + 8 * (x >= y) as i64
        + 16 * (x == y) as i64
        + 32 * (x != y) as i64
}
#[jit]
fn branches(a: i64, b: i64) -> i64 {
    let (x, y) = (float(a), float(b));
    if x < y {
        1
    } else if x > y {
        2
    } else if x == y {
        3
    } else if !(x <= 0.0) {
        4
    } else {
        5
    }
}
#[jit]
fn kinds(a: i64, b: i64) -> i64 {
    let (x, y) = (float(a), float(b));
    x.is_nan() as i64
        + 2 * x.is_infinite() as i64
        + 4 * x.is_finite() as i64
        + 8 * y.is_sign_negative() as i64
        + 16 * y.is_sign_positive() as i64
}
#[jit]
fn compound(a: i64, b: i64) -> i64 {
    let mut x = float(a);
    let y = float(b);
    x += y;
    x *= 2.0;
    x -= 1.0;
    x /= y;
    bits(x)
}
macro_rules! to_integer {
    ($($name:ident: $t:ident;)*) => { $(
        #[jit]
        fn $name(a: i64, b: i64) -> i64 {
            let x = float(a) as $t;
            let y = (float(b) * 0.5) as $t;
            (x as i64) ^ (y as i64).wrapping_mul(3)
        }
    )* };
}
to_integer! { to_i8: i8; to_u8: u8; to_i16: i16; to_u16: u16; to_i32: i32; to_u32: u32; to_i64: i64; to_u64: u64; to_usize: usize; to_isize: isize; }

#[jit]
fn truth(a: i64, b: i64) -> i64 {
    let (x, y) = (float(a) > 0.0, float(b) > 0.0);
    let both = x & y;
    let either = x | y;
    let mut one = x ^ y;
    one &= !both;
    if both && !one || either { (both as i64) + 2 * (one == either) as i64 } else { 4 + (x < y) as i64 }
}
#[jit]
fn lazy(a: i64, b: i64) -> i64 {
    let mut evaluated = 0;
    let both = {
        evaluated += 1;
        float(a) > 0.0
    } && {
        evaluated += 10;
        float(b) > 0.0
    };
    let either = {
        evaluated += 100;
        float(a) < 1.0
    } || {
        evaluated += 1000;
        float(b) < 1.0
    };
    evaluated * 4 + both as i64 * 2 + either as i64
}
#[jit]
fn constant_folding(a: i64, b: i64) -> i64 {
    let x = (2.5 as i8) as i64 + (300.7 as u8) as i64 + (-1.0 as u16) as i64;
    let half = 0.5 * 4.0;
    x + bits(half + float(a)) + b
}
#[jit]
fn letters(a: i64, b: i64) -> i64 {
    let (x, y) = ((a >> 52) as u8 as char, (b >> 52) as u8 as char);
    let mut result = 0;
    if x.is_ascii_digit() {
        result += 1
    }
    if x.is_ascii_alphabetic() {
        result += 2
    }
    if x.is_ascii_uppercase() {
        result += 4
    }
    if x.is_ascii_lowercase() {
        result += 8
    }
    if x.is_ascii_alphanumeric() {
        result += 16
    }
    if x.is_ascii_whitespace() {
        result += 32
    }
    if x.is_ascii() {
        result += 64
    }
    if matches!(y, 'a'..='z' | '_') {
        result += 128
    }
    result + y.to_ascii_uppercase() as i64 * 1000 + y.to_ascii_lowercase() as i64 * 100_000
}

suite! { compiled_code_agrees(floats()) {
    0 => sum, 1 => difference, 2 => product, 3 => quotient, 4 => remainder, 5 => negation, 6 => absolute, 7 => root, 8 => floor,
    9 => ceil, 10 => trunc, 11 => round, 12 => fract, 13 => signum, 14 => minimum, 15 => maximum, 16 => clamped, 17 => with_sign,
    18 => fused, 19 => power, 20 => whole_power, 21 => hypotenuse, 22 => sines, 23 => tangents, 24 => arcs, 25 => angle,
    26 => exponentials, 27 => logarithms, 28 => hyperbolic, 29 => cube_root, 30 => reciprocal, 31 => degrees, 32 => constants,
    33 => comparisons, 34 => branches, 35 => kinds, 36 => compound, 37 => to_i8, 38 => to_u8, 39 => to_i16, 40 => to_u16,
    41 => to_i32, 42 => to_u32, 43 => to_i64, 44 => to_u64, 45 => to_usize, 46 => to_isize, 47 => truth, 48 => lazy,
    49 => constant_folding, 50 => letters,
} }
