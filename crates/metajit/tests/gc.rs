//! The collector, seen from outside: what is reachable survives intact, what is not is freed.
//!
//! The long forms of the random test and of the churn: `cargo xtask heap`.

#![allow(missing_docs)]

use metajit::gc::{self, Config, Weak};
use metajit::prelude::*;

#[path = "gc/churn.rs"]
mod churn;
#[path = "gc/collectors.rs"]
mod collectors;
#[path = "gc/death.rs"]
mod death;
#[path = "gc/graphs.rs"]
mod graphs;
#[path = "gc/interface.rs"]
mod interface;
#[path = "gc/roots.rs"]
mod roots;
#[path = "gc/sizes.rs"]
mod sizes;

#[jit_word]
pub struct Value(u64);

/// What all objects of these tests begin with.
#[jit_object]
pub struct Any {
    #[immutable]
    id: i64,
}

#[jit_object]
pub struct Pair {
    #[immutable]
    id: i64,
    left: Maybe<Any>,
    right: Maybe<Any>,
}

#[jit_object]
pub struct Table {
    #[immutable]
    id: i64,
    items: [Maybe<Any>],
}

#[jit_object]
pub struct Values {
    #[immutable]
    id: i64,
    first: Value,
    weight: f64,
    items: [Value],
}

#[jit_object]
pub struct Bytes {
    #[immutable]
    id: i64,
    link: Maybe<Any>,
    data: [u8],
}

#[jit_object]
pub struct List {
    #[immutable]
    value: i64,
    next: Maybe<List>,
}

/// A small generator of random numbers: xorshift, with a multiplication.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A configuration that checks everything.
fn checked() -> Config {
    Config {
        verify: true,
        poison: true,
        nursery: 64 << 10,
        nursery_max: 64 << 10,
        growth_min: 256 << 10,
        ..Config::default()
    }
}

/// Runs `f` on a thread of its own, so that nothing on the stack of a test is left from before.
fn on_a_thread<R: Send + 'static>(config: Config, f: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = std::thread::spawn(move || {
        gc::configure(config);
        f()
    });
    match thread.join() {
        Ok(result) => result,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Overwrites what calls have left behind on the stack.
#[inline(never)]
fn clear_stack() {
    let mut words = [0u64; 1 << 12];
    std::hint::black_box(&mut words);
}

/// A pair that only the returned weak handle and the inverted address know.
#[inline(never)]
fn hidden_pair(id: i64) -> (Weak<Pair>, u64) {
    let pair = Pair::alloc(id, Maybe::none(), Maybe::none());
    (Weak::new(pair), !pair.bits())
}
