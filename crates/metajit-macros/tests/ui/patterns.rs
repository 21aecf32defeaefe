use metajit::prelude::*;

#[jit_enum]
#[derive(Clone, Copy)]
enum Kind {
    Small(i64),
    Large,
}
use Kind::{Large, Small};

#[jit]
fn patterns(a: i64, kind: Kind) -> i64 {
    match a {
        ref x if a > 1 => 1,
        &3 => 2,
        [..] => 3,
        _ => 4,
    }
}

#[jit]
fn variants(kind: Kind) -> i64 {
    match kind {
        Large => 1,
        _ => 2,
    }
}

#[jit]
fn construction(a: i64) -> Kind {
    if a > 1 { Large } else { Kind::Small(a) }
}

#[jit]
fn alternatives(a: Option<Option<i64>>) -> i64 {
    match a {
        Some(None | Some(3)) => 1,
        _ => 2,
    }
}

#[jit]
fn literal_in_let(a: Option<i64>) -> i64 {
    if let Some(3) = a { 1 } else { 2 }
}

#[jit]
fn wildcard_among_literals(a: Option<i64>) -> i64 {
    match a {
        Some(3 | _) => 1,
        _ => 2,
    }
}

#[jit_enum]
#[derive(Clone, Copy)]
struct Point {
    x: i64,
    y: i64,
}

#[jit]
fn rest(point: Point) -> Point {
    Point { x: 1, ..point }
}

fn main() {}
