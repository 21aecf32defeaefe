use metajit::prelude::*;

fn plain(a: i64) -> i64 {
    a
}

#[jit_word]
struct Value(u64);

impl Value {
    fn plain(self) -> i64 {
        self.bits() as i64
    }
}

#[jit]
fn calls_plain_function(a: i64) -> i64 {
    plain(a)
}

#[jit]
fn calls_plain_method(a: Value) -> i64 {
    a.plain()
}

#[jit]
fn calls_unknown_method_of_numbers(a: i64) -> i64 {
    a.isqrt()
}

fn main() {}
