use metajit::prelude::*;

#[jit_object(large)]
struct WithArguments {
    field: i64,
}

#[jit_object]
struct Generic<T> {
    field: T,
}

#[jit_object]
struct Contradiction {
    #[immutable]
    #[quasi_immutable]
    field: i64,
}

#[jit_object]
struct ArrayFirst {
    items: [i64],
    field: i64,
}

#[jit_object]
struct QuasiItems {
    #[quasi_immutable]
    items: [i64],
}

#[jit_object]
struct NoWords {
    name: &'static str,
    pair: (i64, i64),
    four: [i64; 4],
}

#[jit_object]
struct NoNames(i64);

fn main() {}
