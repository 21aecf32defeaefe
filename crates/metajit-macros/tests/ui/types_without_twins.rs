use metajit::prelude::*;

#[derive(Clone, Copy)]
struct Point {
    x: i64,
}

#[jit]
fn takes_a_struct(point: Point) -> i64 {
    1
}

#[jit]
fn returns_text(a: i64) -> String {
    text(a)
}

#[dont_look_inside]
fn takes_text(text: String) -> i64 {
    text.len() as i64
}

#[jit]
fn wide(a: i128) -> i64 {
    a as i64
}

fn main() {}
