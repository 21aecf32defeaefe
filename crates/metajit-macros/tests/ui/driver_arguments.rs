use metajit::prelude::*;

#[jit_driver(greens = [pc], reds = [], colour = 3)]
fn unknown_argument(pc: i64) -> i64 {
    loop {
        jit_merge_point!();
        return pc;
    }
}

#[jit_driver(reds = [pc])]
fn no_greens(pc: i64) -> i64 {
    loop {
        jit_merge_point!();
        return pc;
    }
}

#[jit_driver(greens = [a, b, c, d, e, f], reds = [])]
fn too_many_greens(a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> i64 {
    loop {
        jit_merge_point!();
        return a;
    }
}

#[jit_driver(greens = [pc], reds = [x], virtualizable = frame)]
fn no_such_red(pc: i64, x: i64) -> i64 {
    loop {
        jit_merge_point!();
        return pc;
    }
}

#[jit_driver(greens = [pc], reds = [x])]
fn untyped(pc: i64) -> i64 {
    let x = 1;
    loop {
        jit_merge_point!();
        return pc + x;
    }
}

#[jit_driver(greens = [pc], reds = [x], given)]
fn nothing_to_give(pc: i64, x: i64) -> i64 {
    loop {
        jit_merge_point!();
        return pc + x;
    }
}

fn main() {}
