use metajit::prelude::*;

#[jit]
#[enable_threaded_code(sometimes)]
fn unknown(a: i64) -> i64 {
    a
}

#[jit]
#[enable_threaded_code(when_constant = b)]
fn no_parameter(a: i64) -> i64 {
    a
}

fn main() {}
