//! What the world does to the JIT: no memory for code, little stack, forks; and programs of extreme shapes. All of it falls back
//! to the interpreter or to worse code, and computes what the interpreter computes.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

mod nibbles;

use metajit::driver::{
    Statistics, code_memory, finish_compilations, parameters, set_parameters, statistics, why_not_compiled,
};
use metajit::prelude::*;
use nibbles::{expected, program, run};

fn set(text: &str) {
    let mut mine = parameters();
    mine.set(text).unwrap();
    set_parameters(mine);
}

/// Runs `f` on a thread with a stack of so many bytes.
fn with_stack<T: Send + 'static>(bytes: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(bytes).spawn(f).unwrap().join().unwrap()
}

#[test]
fn recordings_may_be_aborted_at_every_point() {
    let mut aborted = 0;
    for limit in 0..120 {
        aborted += with_stack(8 << 20, move || {
            set(&format!("sync=1,threshold=2,trace_eagerness=1,max_aborts=1000000,trace_limit={limit}"));
            for seed in [1, 7, 20, 33] {
                let text = program(seed, 15);
                assert_eq!(run(text, 300), expected(text, 300), "{text:x} with traces of {limit}");
            }
            statistics().aborts.iter().sum::<u64>()
        });
    }
    assert!(aborted > 1000, "{aborted}");
}

#[test]
fn without_executable_memory_the_interpreter_runs() {
    for sync in ["sync=1", "sync=0"] {
        with_stack(8 << 20, move || {
            // More than there is address space.
            set("threshold=3,code_memory=9223372036854775807");
            set(sync);
            for seed in 0..20 {
                let text = program(seed, 12);
                assert_eq!(run(text, 500), expected(text, 500));
                finish_compilations();
            }
            assert!(!parameters().enabled);
            assert_eq!((statistics().compilations, statistics().entries), (0, 0));
        });
    }
}

/// One iteration is a trace of `steps` times three operations, or five with a guard in each step.
#[jit_driver(greens = [steps, guarded], reds = [n, sum])]
fn long(steps: i64, guarded: bool, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        let mut at: i64 = 0;
        while at < steps {
            sum = (sum ^ n).wrapping_mul(3).wrapping_add(at);
            if guarded && sum < -9_000_000_000_000_000_000 {
                sum = 5;
            }
            at += 1;
        }
        n -= 1;
        can_enter_jit!();
    }
}

#[test]
fn a_trace_may_have_a_hundred_thousand_operations() {
    let expected = |steps: i64, n: i64| {
        (1..=n).rev().fold(0i64, |sum, n| (0..steps).fold(sum, |sum, at| (sum ^ n).wrapping_mul(3).wrapping_add(at)))
    };
    for steps in [2_500, 34_000] {
        with_stack(8 << 20, move || {
            set("sync=0,threshold=2,trace_limit=200000");
            assert_eq!(long(steps, false, 5), expected(steps, 5));
            assert_eq!(statistics().loops_recorded, 1);
            assert!(statistics().ops_recorded == 0 || statistics().ops_recorded > steps as u64 * 2);
            finish_compilations();
            assert_eq!(long(steps, false, 7), expected(steps, 7));
            let did = statistics();
            assert!(did.ops_recorded > steps as u64 * 2, "{did:?}");
            // The optimizer has a bound, too; beyond it, the place says so.
            let refused = did.fields().into_iter().find(|(name, _)| name == "abort_optimizer").unwrap().1;
            assert_eq!((did.compilations, refused), if steps < 10_000 { (1, 0) } else { (0, 1) }, "{did:?}");
            let reason = why_not_compiled(long::jit_driver(), &[steps as u64, 0]);
            assert_eq!(reason.is_none(), steps < 10_000, "{reason:?}");
        });
    }
}

#[test]
fn what_an_operation_takes_does_not_grow_with_the_trace() {
    // Of recorder, optimizer and quick compiler, in nanoseconds; the least of several, since others run beside.
    let per_operation = |steps: i64| {
        (0..3).fold([f64::INFINITY; 3], |least, _| {
            let did = with_stack(64 << 20, move || {
                set("sync=1,threshold=2,trace_limit=200000,max_tree_ops=1000000,upgrade_threshold=4000000000");
                long(steps, true, 5);
                statistics()
            });
            assert_eq!((did.loops_recorded, did.compilations), (1, 1), "{did:?}");
            assert!(did.ops_recorded >= steps as u64 * 49 / 10, "{did:?}");
            let times = [did.record_ns, did.optimize_ns, did.backend_ns];
            std::array::from_fn(|i| least[i].min(times[i] as f64 / did.ops_recorded as f64))
        })
    };
    let (short, long) = (per_operation(2_000), per_operation(20_000));
    let total = |times: [f64; 3]| times.iter().sum::<f64>();
    assert!(total(long) < total(short) * 2.0, "{long:?} for an operation of a long trace, {short:?} of a short one");
    // New memory is dearer than memory that was used before, so that the recorder alone takes three times as long; what is
    // done again for each operation before would be ten times.
    for (short, long) in short.into_iter().zip(long) {
        assert!(long < short * 8.0, "{long} ns for an operation of a long trace, {short} of a short one");
    }
}

/// Each value of `n % kinds` is promoted: a bridge for each, from one guard. (`xtask soak` lets it have a thousand.)
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

#[test]
fn a_guard_that_has_many_bridges_gets_no_more() {
    let expected = |kinds: i64, n: i64| {
        (1..=n).rev().fold(0i64, |sum, n| sum.wrapping_mul(5).wrapping_add((n % kinds) * (n % kinds)))
    };
    // The stack is smaller than what the optimizer takes for so many bridges of bridges.
    with_stack(1 << 20, move || {
        set("sync=1,threshold=2,trace_eagerness=1,compile_patience=0");
        assert_eq!(promotes(1100, 20_000), expected(1100, 20_000));
        let did = statistics();
        let limit = did.fields().into_iter().find(|(name, _)| name == "limit_max_bridges").unwrap().1;
        assert_eq!((did.bridges_recorded, limit, did.given_up), (200, 1, 0), "{did:?}");
    });
}

#[dont_look_inside]
fn stack_is_short(limit: i64) -> bool {
    let local = 0u8;
    (std::ptr::from_ref(std::hint::black_box(&local)) as i64) < limit
}

/// Recurses until the language's own limit is reached.
#[jit_driver(greens = [kind], reds = [depth, limit])]
fn recurse(kind: i64, depth: i64, limit: i64) -> i64 {
    loop {
        jit_merge_point!();
        if stack_is_short(limit) {
            return depth;
        }
        if kind == 1 && depth & 7 == 3 {
            depth += 1;
        }
        return recurse(kind, depth + 1, limit);
    }
}

#[test]
fn little_stack_is_left_to_the_interpreter() {
    for kind in [0, 1] {
        // No other thread of this process has so large a stack, which this one might be given.
        const STACK: usize = 24 << 20;
        let did: Statistics = with_stack(STACK, move || {
            set("sync=1,threshold=3,function_threshold=3,trace_eagerness=1");
            let local = 0u8;
            // Far less than a recording needs, enough for the interpreter.
            let limit = std::ptr::from_ref(std::hint::black_box(&local)) as i64 - STACK as i64 + (128 << 10);
            for _ in 0..30 {
                assert!(recurse(kind, 0, limit) > 100);
            }
            statistics()
        });
        assert!(did.entries > 0, "{did:?}");
        assert!(did.fields().iter().any(|(name, count)| name == "limit_stack_reserve" && *count > 0), "{did:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_forked_child_goes_on_and_compiles_by_itself() {
    for sync in ["sync=1", "sync=0"] {
        with_stack(8 << 20, move || {
            set("threshold=3,trace_eagerness=2,code_memory=262144");
            set(sync);
            let old = program(1, 12);
            assert_eq!(run(old, 3000), expected(old, 3000));
            finish_compilations();
            // A job may be under way at the fork.
            let other = program(2, 16);
            run(other, 8);
            // SAFETY: the child runs on with this thread alone, and leaves by `_exit`.
            let child = unsafe { libc::fork() };
            let go_on = |seeds: std::ops::Range<u64>| {
                seeds.into_iter().all(|seed| {
                    let text = program(seed, 14);
                    run(text, 400) == expected(text, 400) && run(old, 400) == expected(old, 400)
                })
            };
            if child == 0 {
                let before = statistics().compilations;
                let right = go_on(1000..1100) && run(other, 900) == expected(other, 900);
                finish_compilations();
                let compiled = statistics().compilations > before;
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(if right && compiled { 0 } else { 1 + i32::from(right) }) };
            }
            // Meanwhile the parent replaces much of what it had.
            assert!(go_on(2000..2200));
            let (used, most) = code_memory();
            assert!(used <= most);
            let mut status = 0;
            // SAFETY: waits for the child made above.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{sync}: {status:x}");
        });
    }
}

#[jit_driver(greens = [step], reds = [left, sum])]
fn count_down(step: i64, left: i64) -> i64 {
    let mut left: i64 = left;
    let mut sum: i64 = 0;
    loop {
        jit_merge_point!();
        if left <= 0 {
            return sum;
        }
        sum = sum.wrapping_add(step) ^ left;
        left -= 1;
        can_enter_jit!();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_ends_a_compiled_loop() {
    with_stack(8 << 20, || {
        let mut ends = [0; 2];
        // SAFETY: writes two descriptors to the place given.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: the child runs on with this thread alone, and leaves by `_exit` or by the signal.
        let child = unsafe { libc::fork() };
        if child == 0 {
            set("sync=1,threshold=3");
            count_down(2, 1000);
            let ready = why_not_compiled(count_down::jit_driver(), &[2]).is_none();
            // SAFETY: what the signal does by default is what is tested; the byte is a local.
            unsafe {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                if !ready || libc::write(ends[1], (&raw const ready).cast(), 1) != 1 {
                    libc::_exit(1);
                }
            }
            // Years of it.
            count_down(2, i64::MAX);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(2) };
        }
        let mut byte = 0_u8;
        let mut status = 0;
        // SAFETY: the other end is the child's; the byte and the status are locals; the child is ours, and not waited for yet.
        unsafe {
            libc::close(ends[1]);
            assert_eq!(libc::read(ends[0], (&raw mut byte).cast(), 1), 1, "the child has no code");
            libc::close(ends[0]);
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert_eq!(libc::kill(child, libc::SIGINT), 0);
        }
        let start = std::time::Instant::now();
        loop {
            // SAFETY: the child is ours; the status is a local.
            let done = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
            if done == child {
                break;
            }
            if start.elapsed().as_secs() >= 10 {
                // SAFETY: the child is ours and was not waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the loop goes on");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGINT, "{status:x}");
    });
}
