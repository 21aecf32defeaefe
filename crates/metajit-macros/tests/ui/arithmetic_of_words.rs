use metajit::prelude::*;

#[jit_word]
struct Value(u64);

#[jit]
fn adds(a: Value, b: Value) -> Value {
    a + b
}

#[jit]
fn orders(a: Value, b: Value) -> bool {
    a < b
}

#[jit]
fn mixes(a: i64, b: u8) -> i64 {
    a + b
}

fn main() {}
