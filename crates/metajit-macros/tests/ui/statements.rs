use metajit::prelude::*;

#[jit]
fn inner_items(a: i64) -> i64 {
    fn helper(a: i64) -> i64 {
        a
    }
    helper(a)
}

#[jit]
fn macros(a: i64) -> i64 {
    println!("{a}");
    let list = vec![a];
    a
}

#[jit]
fn loops(a: i64) -> i64 {
    for i in [1, 2, 3] {}
    for i in 0.. {}
    for i in (0..a).rev() {}
    a
}

#[jit]
fn assignments(a: i64) -> i64 {
    object().field = a;
    a
}

#[jit]
fn markers(a: i64) -> i64 {
    jit_merge_point!();
    can_enter_jit!();
    a
}

fn main() {}
