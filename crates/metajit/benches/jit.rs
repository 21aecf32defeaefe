//! Figures of the JIT: `cargo bench -p metajit --bench jit [-- --json FILE] [-- NAME]`.
//!
//! Programs of the example languages against the same loops in Rust, in one process, on one thread per figure, in CPU time of
//! that thread. Both sides take turns, and each figure is the median of [`ROUNDS`] rounds. What is measured is code that is
//! warm, except where the name says otherwise; ratios are of times, smaller is better.
//!
//! | name | what |
//! |---|---|
//! | `loop_branch_call` | `tla`: integer loop with a branch that goes both ways and an inlined call, against Rust |
//! | `loop_nested` | `tla`: nested loops, against Rust |
//! | `loop_float` | `calc`: Mandelbrot-shaped loop over floats, against Rust |
//! | `loop_float_boxed` | `tla`: the same where floats are objects, against Rust |
//! | `loop_virtual`, `loop_virtual_allocs` | `tla`: two objects per iteration that don't escape, against Rust without; bytes allocated per iteration, in objects of 32 bytes |
//! | `loop_array` | `cells`: sum of an array (mixed with the index, which keeps LLVM from vector code), against Rust; both check bounds |
//! | `loop_array_simd` | `cells`: the plain sum, against Rust in vector code |
//! | `loop_4way` | `tla`: unpredictable branch to one of four ways, against Rust |
//! | `loop_16way`, `loop_64way` | `tla`: unpredictable choice between so many cases by a chain of comparisons, against Rust's `match` |
//! | `recursion_fib` | `tla`: doubly recursive function, against Rust |
//! | `loop_raise` | `tla`: throws and catches in each second iteration, against itself with the JIT off |
//! | `ast_loop` | `calc`: floats and integers in a loop, against itself with the JIT off |
//! | `plain_overhead` | `tla`: instructions (callgrind) with the JIT built in and off, against built without it |
//! | `record_ns_per_op` | recording, per operation recorded |
//! | `record_long_ns_per_op` | what an operation more takes in a recording of thousands |
//! | `snapshot_ns` | making one guard's resume data while recording |
//! | `replay_ns` | one exit at depth 0, with what the interpreter does until code is entered again |
//! | `genext_trace_time` | one recording by the generated tracer, on the average, against the generic one |
//! | `genext_resume_time` | resume data of one guard, by the generated tracer against the generic one |
//! | `exit_slots_ast` | words handed over per exit of `calc`'s loops |
//! | `pause_ms` | most thread time at a stretch in recorder and driver, code made in the background, one trace as long as traces may be |
//! | `quick_us_per_op` | recording, optimizing and compiling quickly, per operation recorded, compiler warm |
//!
//! A figure that can't be made here (`plain_overhead` wants valgrind) is `null` in the JSON file.

#![allow(missing_docs)]

use metajit::driver::{Parameters, Statistics, finish_compilations, set_parameters, statistics};
use std::hint::black_box;

/// Rounds of each measurement.
const ROUNDS: usize = 7;

/// CPU time of this thread, in nanoseconds.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the place given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn timed<T>(f: impl FnOnce() -> T) -> f64 {
    let start = cpu();
    black_box(f());
    cpu() - start
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn parameters(text: &str) {
    let mut parameters = Parameters::default();
    parameters.set("sync=1").and_then(|()| parameters.set(text)).expect("known parameters");
    set_parameters(parameters);
}

/// Runs `f` on a fresh thread, with a runtime and a heap of its own; code is made at once, so that warm is warm.
fn fresh<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn_scoped(scope, || {
                parameters("");
                f()
            })
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

/// Time of `jit` over that of `native`, both warm, in turns. They must compute the same.
fn against<T: PartialEq + std::fmt::Debug>(jit: impl Fn() -> T, native: impl Fn() -> T) -> f64 {
    assert_eq!(jit(), native());
    jit();
    let rounds = (0..ROUNDS).map(|_| (timed(&jit), timed(&native)));
    let (jit, native): (Vec<f64>, Vec<f64>) = rounds.unzip();
    median(jit) / median(native)
}

/// Time of `run` with the JIT over its time without.
fn against_plain(run: fn(i64) -> String, n: i64) -> f64 {
    let jit = fresh(|| {
        run(n / 10);
        median((0..ROUNDS).map(|_| timed(|| run(n))).collect())
    });
    let plain = fresh(|| {
        parameters("off");
        median((0..3).map(|_| timed(|| run(n / 10))).collect()) * 10.0
    });
    jit / plain
}

struct Tla(metajit::gc::Root<tla::Program>);

impl Tla {
    fn new(text: &str) -> Tla {
        Tla(tla::assembler::assemble(text).unwrap_or_else(|mistake| panic!("{mistake}")))
    }
    fn run(&self, arguments: &[i64]) -> tla::Value {
        let arguments: Vec<tla::Value> = arguments.iter().map(|&n| tla::Value::int(n)).collect();
        tla::run(self.0.get(), &arguments).unwrap_or_else(|thrown| panic!("thrown: {thrown}"))
    }
    fn int(&self, arguments: &[i64]) -> i64 {
        self.run(arguments).as_int()
    }
}

const BRANCH_CALL: &str = "
fn main 1 3
    push 1
    store 1
again:
    load 1
    push 2
    rem
    jump_if odd
    load 0
    call step
    load 1
    add
    store 1
    jump next
odd:
    load 1
    load 0
    sub
    store 1
next:
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return
fn step 1 1
    load 0
    push 3
    mul
    push 1
    add
    return";

fn loop_branch_call() -> f64 {
    fn step(x: i64) -> i64 {
        x * 3 + 1
    }
    fn native(n: i64) -> i64 {
        let (mut i, mut sum) = (n, 1_i64);
        while i != 0 {
            if sum % 2 != 0 {
                sum -= i;
            } else {
                sum += step(i);
            }
            i -= 1;
        }
        sum
    }
    let program = Tla::new(BRANCH_CALL);
    let n = 10_000_000;
    against(|| program.int(&[n]), || native(black_box(n)))
}

const NESTED: &str = "
fn main 2 5
    push 0
    store 2
outer:
    push 0
    store 3
inner:
    load 2
    load 0
    load 3
    mul
    add
    store 2
    push 1000000
    load 2
    lt
    jump_unless small
    load 2
    push 1000000
    sub
    store 2
small:
    load 3
    push 1
    add
    dup
    store 3
    load 1
    lt
    jump_if inner
    load 0
    push 1
    sub
    dup
    store 0
    jump_if outer
    load 2
    return";

fn loop_nested() -> f64 {
    fn native(n: i64, m: i64) -> i64 {
        let (mut i, mut sum) = (n, 0_i64);
        while i != 0 {
            let mut j = 0;
            while j < m {
                sum += i * j;
                if 1_000_000 < sum {
                    sum -= 1_000_000;
                }
                j += 1;
            }
            i -= 1;
        }
        sum
    }
    let program = Tla::new(NESTED);
    let (n, m) = (100_000, 100);
    against(|| program.int(&[n, m]), || native(black_box(n), black_box(m)))
}

const MANDELBROT: &str = "
fn main 1 10                # n; 1 count, 2 k, 3 x, 4 y, 5 cx, 6 x*x, 7 y*y
    push 0
    store 1
point:
    load 0
    push 0.0001
    mul
    push 2.0
    sub
    store 5
    push 0.0
    store 3
    push 0.0
    store 4
    push 100
    store 2
again:
    load 3
    dup
    mul
    store 6
    load 4
    dup
    mul
    store 7
    push 4.0
    load 6
    load 7
    add
    lt
    jump_if outside
    load 3
    load 4
    mul
    push 2.0
    mul
    push 0.1
    add
    store 4
    load 6
    load 7
    sub
    load 5
    add
    store 3
    load 1
    push 1
    add
    store 1
    load 2
    push 1
    sub
    dup
    store 2
    jump_if again
outside:
    load 0
    push 1
    sub
    dup
    store 0
    jump_if point
    load 1
    return";

/// The same computation as [`MANDELBROT`]'s.
fn mandelbrot_in_calc(n: i64) -> String {
    format!(
        "let n = {n}; let count = 0;
         while 0 < n {{
             let cx = n * 0.0001 - 2.0; let x = 0.0; let y = 0.0; let k = 100;
             while 0 < k {{
                 let xx = x * x; let yy = y * y;
                 if 4.0 < xx + yy {{ k = 0 }} else {{
                     y = x * y * 2.0 + 0.1;
                     x = xx - yy + cx;
                     count = count + 1;
                     k = k - 1
                 }}
             }}
             n = n - 1
         }}
         count"
    )
}

fn loop_float(boxed: bool) -> f64 {
    fn native(n: i64) -> i64 {
        let (mut i, mut count) = (n, 0);
        while i != 0 {
            let cx = i as f64 * 0.0001 - 2.0;
            let (mut x, mut y) = (0.0, 0.0);
            let mut k = 100;
            while k != 0 {
                let (xx, yy) = (x * x, y * y);
                if 4.0 < xx + yy {
                    break;
                }
                y = x * y * 2.0 + 0.1;
                x = xx - yy + cx;
                count += 1;
                k -= 1;
            }
            i -= 1;
        }
        count
    }
    let n = 40_000;
    if boxed {
        let program = Tla::new(MANDELBROT);
        return against(|| program.int(&[n]), || native(black_box(n)));
    }
    let program = calc::parser::parse(&mandelbrot_in_calc(n)).unwrap_or_else(|mistake| panic!("{mistake}"));
    let run = || calc::run(program.get()).map_or(0, calc::Value::as_int);
    against(run, || native(black_box(n)))
}

const OBJECTS: &str = "
fn main 1 4
    push 0
    store 1
again:
    push 1
    new 1
    push 0
    push 2
    new 1
    push 0
    load 1
    load 0
    add
    set
    set
    push 0
    get
    push 0
    get
    store 1
    push 1000000
    load 1
    lt
    jump_unless small
    load 1
    push 1000000
    sub
    store 1
small:
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return";

fn loop_virtual() -> (f64, f64) {
    fn native(n: i64) -> i64 {
        let (mut i, mut sum) = (n, 0_i64);
        while i != 0 {
            sum += i;
            if 1_000_000 < sum {
                sum -= 1_000_000;
            }
            i -= 1;
        }
        sum
    }
    let program = Tla::new(OBJECTS);
    let n = 10_000_000;
    // A sum of numbers above the bound never falls below it again: the branch is taken both ways only for small ones.
    let ratio = against(
        || (0..10).map(|_| program.int(&[n / 10])).sum::<i64>(),
        || (0..10).map(|_| native(black_box(n / 10))).sum::<i64>(),
    );
    let before = metajit::gc::statistics().allocated;
    program.int(&[n]);
    let bytes = metajit::gc::statistics().allocated - before;
    // The call itself makes a frame and what the interpreter made until code was entered.
    (ratio, bytes.saturating_sub(1024) as f64 / 32.0 / n as f64)
}

/// The plain sum, which LLVM makes vector code of, or one that mixes the index in, which it does not.
fn loop_array(mixed: bool) -> f64 {
    let (text, native): (String, fn(i64) -> i64) = if mixed {
        fn native(times: i64) -> i64 {
            sum(times, |sum, item, i| (sum ^ i) + item)
        }
        (array_program("(+ (xor sum i) (get a i))"), native)
    } else {
        fn native(times: i64) -> i64 {
            sum(times, |sum, item, _| sum + item)
        }
        (array_program("(+ sum (get a i))"), native)
    };
    fn sum(times: i64, step: impl Fn(i64, i64, i64) -> i64) -> i64 {
        let mut a = vec![0_i64; 10_000];
        for i in 0..10_000 {
            a[i as usize] = (i * 7919) % 1000;
        }
        let (a, n) = (black_box(a), black_box(10_000));
        let (mut sum, mut left) = (0, times);
        while 0 < left {
            let mut i = 0;
            while i < n {
                sum = step(sum, a[i], i as i64);
                i += 1;
            }
            left -= 1;
        }
        sum
    }
    let program = cells::compiler::compile(&text).unwrap_or_else(|mistake| panic!("{mistake}"));
    against(
        || cells::run(program.get()).ok().and_then(cells::Value::as_int).expect("an integer"),
        || native(black_box(1000)),
    )
}

fn array_program(step: &str) -> String {
    format!(
        "
(define (total a times)
  (let sum 0) (let n (length a))
  (while (< 0 times)
    (let i 0)
    (while (< i n) (set sum {step}) (set i (+ i 1)))
    (set times (- times 1)))
  sum)
(let a (array 10000 0)) (let i 0)
(while (< i 10000) (put a i (mod (* i 7919) 1000)) (set i (+ i 1)))
(total a 1000)"
    )
}

const FOUR_WAYS: &str = "
fn main 1 4                 # n; 1 x, 2 sum
    push 1
    store 1
    push 0
    store 2
again:
    load 1
    push 1103515245
    mul
    push 12345
    add
    push 2147483648
    rem
    dup
    store 1
    push 1073741824
    lt
    jump_if low
    load 1
    push 1610612736
    lt
    jump_if third
    load 2
    push 7
    add
    store 2
    jump next
third:
    load 2
    push 3
    mul
    push 1000003
    rem
    store 2
    jump next
low:
    load 1
    push 536870912
    lt
    jump_if first
    load 2
    push 1
    sub
    store 2
    jump next
first:
    load 2
    load 0
    add
    push 1000003
    rem
    store 2
next:
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 2
    return";

fn loop_4way() -> f64 {
    fn native(n: i64) -> i64 {
        let (mut i, mut x, mut sum) = (n, 1_i64, 0_i64);
        while i != 0 {
            x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
            if x < 1_073_741_824 {
                if x < 536_870_912 {
                    sum = (sum + i) % 1_000_003;
                } else {
                    sum -= 1;
                }
            } else if x < 1_610_612_736 {
                sum = sum * 3 % 1_000_003;
            } else {
                sum += 7;
            }
            i -= 1;
        }
        sum
    }
    let program = Tla::new(FOUR_WAYS);
    let n = 5_000_000;
    against(|| program.int(&[n]), || native(black_box(n)))
}

/// What case `K` of a choice does.
fn case<const K: i64>(sum: i64, i: i64) -> i64 {
    match K % 3 {
        0 => (sum + i * (K + 1)) % 1_000_003,
        1 => sum * (K + 2) % 1_000_003,
        _ => sum - K,
    }
}

/// A choice between `ways` cases by comparing with one after the other.
fn many_ways(ways: i64) -> String {
    let tests: String = (0..ways).map(|k| format!("load 3\npush {k}\neq\njump_if case{k}\n")).collect();
    let cases = (0..ways).map(|k| {
        let work = match k % 3 {
            0 => format!("load 2\nload 0\npush {}\nmul\nadd\npush 1000003\nrem", k + 1),
            1 => format!("load 2\npush {}\nmul\npush 1000003\nrem", k + 2),
            _ => format!("load 2\npush {k}\nsub"),
        };
        format!("case{k}:\n{work}\nstore 2\njump next\n")
    });
    let cases: String = cases.collect();
    format!(
        "fn main 1 4\npush 1\nstore 1\npush 0\nstore 2\n\
         again:\nload 1\npush 16807\nmul\npush 2147483647\nrem\ndup\nstore 1\npush {ways}\nrem\nstore 3\n\
         {tests}{cases}\
         next:\nload 0\npush 1\nsub\ndup\nstore 0\njump_if again\nload 2\nreturn"
    )
}

macro_rules! choice {
    ($name:ident, $ways:literal, $($k:literal)*) => {
        fn $name() -> f64 {
            fn native(n: i64) -> i64 {
                let (mut i, mut x, mut sum) = (n, 1_i64, 0_i64);
                while i != 0 {
                    x = x * 16_807 % 2_147_483_647;
                    sum = match x % $ways {
                        $($k => case::<$k>(sum, i),)*
                        _ => sum,
                    };
                    i -= 1;
                }
                sum
            }
            let program = Tla::new(&many_ways($ways));
            // All cases get their bridges.
            program.int(&[1_000_000]);
            let n = 5_000_000;
            against(|| program.int(&[n]), || native(black_box(n)))
        }
    };
}
choice!(loop_16way, 16, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
choice!(loop_64way, 64,
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);

const FIB: &str = "
fn main 1 1
    load 0
    call fib
    return
fn fib 1 1
    load 0
    push 2
    lt
    jump_if small
    load 0
    push 1
    sub
    call fib
    load 0
    push 2
    sub
    call fib
    add
    return
small:
    load 0
    return";

fn recursion_fib() -> f64 {
    fn native(n: i64) -> i64 {
        if n < 2 {
            return n;
        }
        native(n - 1) + native(n - 2)
    }
    let program = Tla::new(FIB);
    let n = 27;
    against(|| program.int(&[n]), || native(black_box(n)))
}

const RAISE: &str = "
fn main 1 2
    push 0
    store 1
again:
from:
    load 0
    call check
    load 1
    add
    store 1
to:
    jump next
handler:
    load 1
    add
    store 1
next:
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return
    try from to handler
fn check 1 1
    load 0
    push 2
    rem
    jump_if odd
    load 0
    return
odd:
    push 7
    throw";

fn loop_raise() -> f64 {
    against_plain(|n| Tla::new(RAISE).int(&[n]).to_string(), 5_000_000)
}

fn ast(n: i64) -> String {
    format!(
        "let i = 0; let s = 0; let x = 1.0;
         while i < {n} {{
             x = x * 0.999 + i;
             if i % 3 == 0 {{ s = s + i }} else {{ s = s - 1 }}
             i = i + 1
         }}
         x + s"
    )
}

fn run_ast(n: i64) -> String {
    let program = calc::parser::parse(&ast(n)).unwrap_or_else(|mistake| panic!("{mistake}"));
    calc::run(program.get()).map_or_else(|error| format!("{error:?}"), |value| value.to_string())
}

/// What a fresh thread's runtime did for all the programs, in a warm compiler.
fn work(text: &str) -> Statistics {
    let text = text.to_owned();
    fresh(move || {
        parameters(&text);
        // Twice: what is compiled on another thread, if the text says so, meets its bridges when it is there.
        let twice = |run: &dyn Fn()| {
            run();
            finish_compilations();
            run();
        };
        // Warms the compiler.
        twice(&|| assert!(Tla::new(NESTED).int(&[2000, 10]) != 0));
        let mut before = statistics();
        for (text, n) in
            [(BRANCH_CALL, 20_000), (MANDELBROT, 2_000), (OBJECTS, 20_000), (FOUR_WAYS, 20_000), (RAISE, 20_000)]
        {
            let program = Tla::new(text);
            twice(&|| _ = black_box(program.run(&[n])));
        }
        let program = calc::parser::parse(&ast(20_000)).unwrap_or_else(|mistake| panic!("{mistake}"));
        twice(&|| _ = black_box(calc::run(program.get())));
        let after = statistics();
        before.record_ns = after.record_ns - before.record_ns;
        before.optimize_ns = after.optimize_ns - before.optimize_ns;
        before.backend_ns = after.backend_ns - before.backend_ns;
        before.ops_recorded = after.ops_recorded - before.ops_recorded;
        before.guards_recorded = after.guards_recorded - before.guards_recorded;
        before.loops_recorded = after.loops_recorded - before.loops_recorded;
        before.bridges_recorded = after.bridges_recorded - before.bridges_recorded;
        before.pause_max_ns = after.pause_max_ns;
        before
    })
}

fn record_ns_per_op() -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let work = work("");
        work.record_ns as f64 / work.ops_recorded as f64
    });
    median(rounds.collect())
}

/// A loop whose body is so many times the same.
fn long_loop(times: usize) -> String {
    let body = "load 1\npush 3\nmul\nload 0\nadd\npush 1000003\nrem\nstore 1\n".repeat(times);
    format!(
        "fn main 1 4\npush 1\nstore 1\nagain:\n{body}load 0\npush 1\nsub\ndup\nstore 0\njump_if again\nload 1\nreturn"
    )
}

/// What an operation more takes in a long recording, when the tracer is warm from those before.
fn record_long_ns_per_op() -> f64 {
    let record = |times: usize| {
        fresh(move || {
            parameters("");
            Tla::new(&long_loop(64)).run(&[3_000]);
            let before = statistics();
            Tla::new(&long_loop(times)).run(&[3_000]);
            let after = statistics();
            ((after.record_ns - before.record_ns) as f64, (after.ops_recorded - before.ops_recorded) as f64)
        })
    };
    let rounds = (0..ROUNDS).map(|_| {
        let ((short, few), (long, many)) = (record(4), record(64));
        (long - short) / (many - few)
    });
    median(rounds.collect())
}

/// Time that the tracer takes for one recording, on the average.
fn trace_ns(tracer: &str) -> f64 {
    let work = work(&format!("tracer={tracer}"));
    work.record_ns as f64 / (work.loops_recorded + work.bridges_recorded) as f64
}

fn genext_trace_time() -> f64 {
    let rounds = (0..ROUNDS).map(|_| (trace_ns("generated"), trace_ns("generic")));
    let (generated, generic): (Vec<f64>, Vec<f64>) = rounds.unzip();
    median(generated) / median(generic)
}

/// How often resume data are made more than once to be timed: enough that the rest of recording is little.
const SNAPSHOTS: u32 = 500;

/// Time that the tracer takes for one guard's resume data, in nanoseconds.
fn snapshot_ns(tracer: &str) -> f64 {
    let per_guard = |repeats: u32| {
        let work = work(&format!("tracer={tracer},snapshot_repeats={repeats}"));
        work.record_ns as f64 / work.guards_recorded as f64
    };
    let rounds = (0..ROUNDS).map(|_| (per_guard(SNAPSHOTS) - per_guard(0)) / f64::from(SNAPSHOTS));
    median(rounds.collect())
}

fn quick_us_per_op() -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let work = work("quick=1");
        let ns = work.record_ns + work.optimize_ns + work.backend_ns;
        ns as f64 / work.ops_recorded as f64 / 1000.0
    });
    median(rounds.collect())
}

/// The longest that the programs had to wait for the JIT at a stretch, with code made in the background.
fn pause_ms() -> f64 {
    // A loop that is longer than the default limit lets traces be: it is recorded up to the limit, in vain.
    let body = "    load 1\n    load 0\n    add\n    store 1\n".repeat(LONG);
    let text = format!(
        "fn main 1 3\n    push 0\n    store 1\nagain:\n{body}    load 0\n    push 1\n    sub\n    dup\n    store 0\n    jump_if again\n    load 1\n    return"
    );
    let long = |text: &str| {
        let text = text.to_owned();
        fresh(move || {
            parameters("sync=0");
            Tla::new(&text).run(&[2000]);
            let did = statistics();
            assert!(did.aborts[0] > 0, "no trace was too long: {did:?}");
            did.pause_max_ns
        })
    };
    let rounds = (0..ROUNDS).map(|_| work("sync=0").pause_max_ns.max(long(&text)) as f64 / 1e6);
    median(rounds.collect())
}

/// Additions in a loop whose trace would have more operations than the default limit.
const LONG: usize = 2000;

/// A loop whose last branch goes the other way every fourth time.
const LEAVES: &str = "
fn main 1 3
    push 0
    store 1
again:
    load 0
    push 1
    sub
    store 0
    load 0
    push 4
    rem
    jump_unless leave
    load 0
    jump_if again
leave:
    load 0
    jump_if again
    load 1
    return";

fn replay_ns() -> f64 {
    fresh(|| {
        parameters("trace_eagerness=4000000000");
        let program = Tla::new(LEAVES);
        program.run(&[10_000]);
        let rounds = (0..ROUNDS).map(|_| {
            let before = statistics().exits;
            let time = timed(|| program.run(&[1_000_000]));
            time / (statistics().exits - before).max(1) as f64
        });
        median(rounds.collect())
    })
}

fn exit_slots_ast() -> f64 {
    fresh(|| {
        run_ast(100_000);
        let statistics = statistics();
        statistics.slots_compiled as f64 / statistics.guards_compiled.max(1) as f64
    })
}

/// Instructions (callgrind) that `tla` takes for a loop with the JIT off, built with it and without.
fn plain_overhead() -> Option<f64> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let target = std::env::temp_dir().join("metajit-plain-overhead");
    std::fs::create_dir_all(&target).ok()?;
    let file = target.join("loop.tla");
    std::fs::write(&file, BRANCH_CALL).ok()?;
    let instructions = |jit: bool| -> Option<f64> {
        let target = target.join(if jit { "jit" } else { "plain" });
        let mut build = std::process::Command::new("cargo");
        build.current_dir(root).args(["build", "--quiet", "--release", "-p", "tla"]);
        if !jit {
            build.arg("--no-default-features");
        }
        build.env("CARGO_TARGET_DIR", &target);
        if !build.status().ok()?.success() {
            return None;
        }
        let count = |n: &str| -> Option<f64> {
            let output = std::process::Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(target.join("release/tla"))
                .arg(&file)
                .arg(n)
                .env("METAJIT", "off")
                .output()
                .ok()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = text.lines().find(|line| line.contains("Collected :"))?;
            line.split_whitespace().last()?.parse().ok()
        };
        Some(count("200000")? - count("100000")?)
    };
    Some(instructions(true)? / instructions(false)?)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().position(|argument| argument == "--json").and_then(|at| arguments.get(at + 1));
    let only = arguments.iter().find(|argument| !argument.starts_with("--") && Some(*argument) != json);
    let mut figures: Vec<(&str, Option<f64>)> = Vec::new();
    let mut figure = |name: &'static str, make: &dyn Fn() -> Option<f64>| {
        if only.is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        let value = make();
        match value {
            Some(value) => println!("{name:<22} {value:>10.3}"),
            None => println!("{name:<22} {:>10}", "-"),
        }
        figures.push((name, value));
    };
    figure("loop_branch_call", &|| Some(fresh(loop_branch_call)));
    figure("loop_nested", &|| Some(fresh(loop_nested)));
    figure("loop_float", &|| Some(fresh(|| loop_float(false))));
    figure("loop_float_boxed", &|| Some(fresh(|| loop_float(true))));
    figure("loop_virtual", &|| Some(fresh(loop_virtual).0));
    figure("loop_virtual_allocs", &|| Some(fresh(loop_virtual).1));
    figure("loop_array", &|| Some(fresh(|| loop_array(true))));
    figure("loop_array_simd", &|| Some(fresh(|| loop_array(false))));
    figure("loop_4way", &|| Some(fresh(loop_4way)));
    figure("loop_16way", &|| Some(fresh(loop_16way)));
    figure("loop_64way", &|| Some(fresh(loop_64way)));
    figure("recursion_fib", &|| Some(fresh(recursion_fib)));
    figure("loop_raise", &|| Some(loop_raise()));
    figure("ast_loop", &|| Some(against_plain(run_ast, 5_000_000)));
    figure("record_ns_per_op", &|| Some(record_ns_per_op()));
    figure("record_long_ns_per_op", &|| Some(record_long_ns_per_op()));
    figure("snapshot_ns", &|| Some(snapshot_ns("generated")));
    figure("genext_trace_time", &|| Some(genext_trace_time()));
    figure("genext_resume_time", &|| Some(snapshot_ns("generated") / snapshot_ns("generic")));
    figure("replay_ns", &|| Some(replay_ns()));
    figure("exit_slots_ast", &|| Some(exit_slots_ast()));
    figure("quick_us_per_op", &|| Some(quick_us_per_op()));
    figure("pause_ms", &|| Some(pause_ms()));
    figure("plain_overhead", &plain_overhead);
    if let Some(file) = json {
        let lines: Vec<String> = figures
            .iter()
            .map(|(name, value)| match value {
                Some(value) if value.is_finite() => format!("  \"{name}\": {value:.4}"),
                _ => format!("  \"{name}\": null"),
            })
            .collect();
        std::fs::write(file, format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("the file can be written");
    }
}
