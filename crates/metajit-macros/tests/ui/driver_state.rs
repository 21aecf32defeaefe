use metajit::prelude::*;

#[jit_driver(greens = [pc], reds = [total])]
fn forgets_a_variable(pc: i64, total: i64) -> i64 {
    let mut step: i64 = 1;
    loop {
        jit_merge_point!();
        total += step;
        step += 1;
        if total > 10 {
            return total;
        }
        can_enter_jit!();
    }
}

fn main() {}
