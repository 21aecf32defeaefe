use metajit::prelude::*;

#[jit_enum(small)]
#[derive(Clone, Copy)]
enum WithArguments {
    One,
}

#[jit_enum]
#[derive(Clone, Copy)]
enum Generic<T> {
    One(T),
}

#[jit_enum]
#[derive(Clone, Copy)]
union Overlaid {
    integer: i64,
    float: f64,
}

fn main() {}
