//! Allocation without end in bounded memory.
#![cfg(target_os = "linux")]

use crate::{Bytes, Pair, Random, Table, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, Root};
use std::time::{Duration, Instant};

/// Objects kept, each replaced at random.
const KEPT: u64 = 20_000;
/// Samples of resident memory before those that are compared: until then, the heap has seen its peaks.
const WARM_UP: usize = 10;
/// Samples after them.
const SAMPLES: usize = 60;

/// Resident bytes of the process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Allocates small objects, arrays and large objects for so long, keeping one in three for a while; the most resident memory seen.
fn churn(kept: &Root<Table>, random: &mut Random, time: Duration) -> usize {
    let begin = Instant::now();
    let mut most = 0;
    loop {
        for _ in 0..10_000 {
            let index = random.below(KEPT) as i64;
            let object = match random.below(100) {
                0 => Bytes::alloc(1, Maybe::none(), random.below(30_000) as i64, 1).bits(),
                1..20 => Table::alloc(1, random.below(30) as i64, Maybe::none()).bits(),
                _ => Pair::alloc(1, kept.get().items(0), Maybe::none()).bits(),
            };
            if random.below(3) == 0 {
                // SAFETY: all objects begin with the fields of `Any`.
                kept.get().set_items(index, unsafe { Maybe::from_bits(object) });
            }
        }
        kept.get().set_items(0, Maybe::none());
        most = most.max(resident());
        if begin.elapsed() >= time {
            return most;
        }
    }
}

#[test]
fn churn_keeps_resident_memory_flat() {
    // A process of its own: the other tests use memory too.
    let name = "churn::churn_keeps_resident_memory_flat";
    if std::env::var_os("METAJIT_GC_CHILD").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1", "--nocapture"])
            .env("METAJIT_GC_CHILD", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let asked = std::env::var("METAJIT_GC_CHURN_SECONDS").ok().map(|text| text.parse().unwrap());
    let seconds: f64 = asked.unwrap_or(1.0);
    let config = Config { growth_min: 4 << 20, ..Config::default() };
    on_a_thread(config, move || {
        let mut random = Random(5);
        let kept = Root::new(Table::alloc(0, KEPT as i64, Maybe::none()));
        while gc::statistics().major < 4 {
            churn(&kept, &mut random, Duration::from_millis(10));
        }
        let sample = Duration::from_secs_f64(seconds / (WARM_UP + SAMPLES) as f64);
        let mut samples = Vec::new();
        for number in 0..WARM_UP + SAMPLES {
            let most = churn(&kept, &mut random, sample);
            samples.push(most);
            if asked.is_some() {
                let statistics = gc::statistics();
                println!(
                    "sample {number}: {} KiB resident, {} MiB allocated, {} minor and {} major collections",
                    most >> 10,
                    statistics.allocated >> 20,
                    statistics.minor,
                    statistics.major
                );
            }
        }
        let (before, after) = samples.split_at(WARM_UP);
        let (before, after) = (*before.iter().max().unwrap(), *after.iter().max().unwrap());
        assert!(after <= before + before / 8 + (2 << 20), "resident memory grew from {before} to {after} bytes");
    });
}
