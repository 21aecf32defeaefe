use metajit::prelude::*;

#[jit_driver(greens = [pc], reds = [])]
fn no_loop(pc: i64) -> i64 {
    pc
}

#[jit_driver(greens = [pc], reds = [])]
fn no_merge_point(pc: i64) -> i64 {
    loop {
        return pc;
    }
}

#[jit_driver(greens = [pc], reds = [])]
fn two_merge_points(pc: i64) -> i64 {
    loop {
        jit_merge_point!();
        if pc > 1 {
            jit_merge_point!();
        }
        return pc;
    }
}

#[jit_driver(greens = [pc], reds = [])]
fn generic<T: Word>(pc: i64) -> i64 {
    loop {
        jit_merge_point!();
        return pc;
    }
}

struct Machine;
impl Machine {
    #[jit_driver(greens = [pc], reds = [])]
    fn method(self, pc: i64) -> i64 {
        loop {
            jit_merge_point!();
            return pc;
        }
    }
}

fn main() {}
