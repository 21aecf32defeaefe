use metajit::prelude::*;

#[jit_word(small)]
struct WithArguments(u64);

#[jit_word]
struct TooNarrow(u32);

#[jit_word]
struct TooWide(u64, u64);

#[jit_word]
struct Generic<T>(u64);

fn main() {}
