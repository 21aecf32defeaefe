use metajit::prelude::*;

#[jit]
fn pair((a, b): (i64, i64)) -> i64 {
    a + b
}

#[jit]
fn never(a: i64) -> ! {
    panic!("{a}")
}

#[jit]
async fn later(a: i64) -> i64 {
    a
}

#[jit]
fn borrowed<'a>(a: i64) -> i64 {
    a
}

#[jit]
fn reference(a: &i64) -> i64 {
    a
}

#[jit]
fn pointer(a: i64) -> *const u8 {
    a
}

#[jit]
fn closure(f: impl Fn(i64) -> i64) -> i64 {
    f(1)
}

#[jit]
fn u8(a: i64) -> i64 {
    a
}

#[jit(always)]
fn with_arguments(a: i64) -> i64 {
    a
}

#[jit]
unsafe extern "C" fn variadic(a: i64, _: ...) -> i64 {
    a
}

fn main() {}
