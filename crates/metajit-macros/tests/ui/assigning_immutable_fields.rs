use metajit::prelude::*;

#[jit_object]
struct Fixed {
    #[immutable]
    number: i64,
}

fn changes(fixed: Fixed) {
    fixed.set_number(1);
}

fn main() {}
