//! Makes hot loops and abandons them, for so many seconds: `soak SECONDS SEED`. Each result is compared with that of an
//! evaluation by other means, and code memory must stay under its bound. `cargo xtask soak` runs it for longer.

#[path = "../tests/nibbles/mod.rs"]
mod nibbles;

use metajit::driver::{code_memory, parameters, set_parameters, statistics};
use metajit::prelude::*;
use metajit::testing::Random;
use nibbles::{expected, program, run};
use std::time::{Duration, Instant};

/// Code memory that holds some hundred of the loops.
const CODE_MEMORY: usize = 1 << 20;
/// How many of the last programs may come back.
const RECENT: u64 = 500;

/// Each value of `n % kinds` is promoted: a bridge for each, from one guard.
#[jit_driver(greens = [kinds], reds = [n, sum])]
fn promotes(kinds: i64, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        let kind = promote(n % kinds);
        sum = sum.wrapping_mul(5).wrapping_add(kind * kind);
        n -= 1;
        can_enter_jit!();
    }
}

/// A tree with a thousand bridges from one guard, which the default bounds would not let grow so large.
fn a_thousand_bridges() {
    let (kinds, n) = (1100, 40_000);
    let mut mine = parameters();
    (mine.threshold, mine.trace_eagerness, mine.compile_patience) = (2, 1, 0);
    (mine.max_bridges, mine.max_tree_ops, mine.quick, mine.sync) = (2000, 1_000_000, true, true);
    set_parameters(mine);
    let expected = (1..=n).rev().fold(0i64, |sum, n| sum.wrapping_mul(5).wrapping_add((n % kinds) * (n % kinds)));
    assert_eq!(promotes(kinds, n), expected);
    assert!(statistics().bridges_recorded >= 1000, "{:?}", statistics());
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(seconds)), Some(Ok(seed)), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: soak SECONDS SEED");
        std::process::exit(2);
    };
    std::thread::spawn(a_thousand_bridges).join().expect("a right result");
    let mut mine = parameters();
    mine.code_memory = CODE_MEMORY;
    mine.threshold = 20;
    mine.trace_eagerness = 10;
    set_parameters(mine);
    let mut random = Random::new(seed);
    let (start, base) = (Instant::now(), seed << 32);
    let (mut programs, mut runs, mut most) = (0u64, 0u64, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        // Most runs are of a new program; some come back to one that may have been thrown away meanwhile.
        let back = programs > 0 && random.next().is_multiple_of(4);
        let number = if back { programs - 1 - random.next() % programs.min(RECENT) } else { programs };
        let text = program(base + number, 3 + (number % 14) as u32);
        let rounds = 1 + (random.next() % 4000) as i64;
        assert_eq!(run(text, rounds), expected(text, rounds), "program {text:x}, {rounds} rounds");
        programs += u64::from(!back);
        runs += 1;
        let (used, bound) = code_memory();
        assert!(used <= bound && bound == CODE_MEMORY, "{used} of {bound} bytes of code");
        most = most.max(used);
    }
    let did = statistics();
    assert!(seconds < 10 || did.evicted > 0, "code memory never filled up: {did:?}");
    println!(
        "{programs} programs, {runs} runs, {} loops and {} bridges recorded, {} compilations, {} trees evicted, {} bytes of code freed, at most {most} of {CODE_MEMORY} bytes in use",
        did.loops_recorded, did.bridges_recorded, did.compilations, did.evicted, did.code_bytes_freed,
    );
}
