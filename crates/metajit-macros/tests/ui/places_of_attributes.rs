use metajit::prelude::*;

#[jit]
struct Nothing;

#[elidable]
mod inside {}

#[dont_look_inside]
fn generic<T: Word>(a: T) -> T {
    a
}

fn main() {}
