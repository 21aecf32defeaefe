//! Programs of the language, with known results.

use cells::{Fault, compiler, op, run, take_output};
use metajit::gc::{self, Config, OutOfMemory};
use metajit::testing::{Modes, check};
use std::panic::catch_unwind;

fn go(text: &str) -> Result<String, Fault> {
    let program = compiler::compile(text).unwrap_or_else(|mistake| panic!("{mistake}"));
    run(program.get()).map(|value| value.to_string())
}

const LISTS: &str = "
(define (range n) (let list nil) (while (< 0 n) (set list (pair n list)) (set n (- n 1))) list)
(define (sum list) (let total 0) (while (pair? list) (set total (+ total (head list))) (set list (tail list))) total)
(define (reverse list) (let back nil) (while list (set back (pair (head list) back)) (set list (tail list))) back)
";

#[test]
fn lists() {
    assert_eq!(go(&format!("{LISTS} (sum (range 1000))")), Ok("500500".to_owned()));
    assert_eq!(go(&format!("{LISTS} (reverse (range 4))")), Ok("(4 3 2 1)".to_owned()));
    let text = format!(
        "{LISTS} (let i 0) (let s 0) (while (< i 100) (set s (+ s (sum (reverse (range i))))) (set i (+ i 1))) s"
    );
    let expected: i64 = (0..100).map(|i| i * (i + 1) / 2).sum();
    assert_eq!(go(&text), Ok(expected.to_string()));
}

#[test]
fn a_sieve() {
    let text = "
(let n 5000) (let sieve (array n 1)) (let i 2) (let count 0)
(while (< i n)
  (if (get sieve i)
      (begin (set count (+ count 1))
             (let j (* i i))
             (while (< j n) (put sieve j nil) (set j (+ j i))))
      nil)
  (set i (+ i 1)))
count";
    assert_eq!(go(text), Ok("669".to_owned()));
}

#[test]
fn aliases() {
    let text = "
(let a (array 3 0)) (let b a) (let i 0)
(while (< i 1000)
  (put a 0 i)
  (put b (mod i 3) (+ 1 (get b 0)))
  (set i (+ i 1)))
(print a)
(get b 0)";
    assert_eq!(go(text), Ok("1000".to_owned()));
    assert_eq!(take_output(), ["[1000 998 999]"]);
}

#[test]
fn faults() {
    assert_eq!(go("(head 1)"), Err(Fault::Kind { operation: op::HEAD }));
    assert_eq!(go("(/ 1 0)"), Err(Fault::Zero));
    assert_eq!(go("(define (f n) (f n)) (f 1)"), Err(Fault::Depth));
    let text = "(let a (array 700 0)) (let i 0) (while 1 (put a i i) (set i (+ i 1)))";
    assert_eq!(go(text), Err(Fault::Index { index: 700, length: 700 }));
}

#[test]
fn an_exhausted_heap_ends_a_program_in_every_mode_and_another_heap_goes_on() {
    // Each ends with its list in hand: what nobody can see need not be allocated.
    const LIST: &str =
        "(let list nil) (let i 0) (while (< i 900000) (set list (pair i list)) (set i (+ i 1))) (head list)";
    const ARRAYS: &str =
        "(let list nil) (let i 0) (while (< i 900000) (set list (array 3000 list)) (set i (+ i 1))) (length list)";
    const CALLS: &str = "(define (longer list) (pair 1 list)) (let list nil) (let i 0)
        (while (< i 900000) (set list (longer list)) (set i (+ i 1))) (head list)";
    const LIMIT: usize = 1 << 20;
    let program = || {
        gc::configure(Config { limit: LIMIT, ..gc::configuration() });
        let ends: Vec<_> = [LIST, ARRAYS, CALLS]
            .map(|text| {
                let outcome = catch_unwind(|| go(text));
                outcome.map_err(|payload| payload.downcast_ref::<OutOfMemory>().map(|error| error.limit))
            })
            .into();
        // Roots are conservative: words left on this thread's stack may keep the last list, so the next one gets its own heap.
        let next = std::thread::spawn(|| go(&format!("{LISTS} (sum (range 1000))")));
        (ends, next.join().expect("another heap has room"))
    };
    check(&Modes::all(), program).unwrap_or_else(|difference| panic!("{difference}"));
    let (ends, after) = std::thread::spawn(program).join().expect("panics are caught");
    assert_eq!(ends, [Err(Some(LIMIT)), Err(Some(LIMIT)), Err(Some(LIMIT))]);
    assert_eq!(after, Ok("500500".to_owned()));
}

#[test]
fn mistakes_are_named() {
    let mistake = |text: &str| compiler::compile(text).err().map(|mistake| mistake.to_string());
    assert_eq!(mistake("(+ 1").as_deref(), Some("a `)` is missing"));
    assert_eq!(mistake("(+ 1 x)").as_deref(), Some("there is no variable `x`"));
    assert_eq!(mistake("(head 1 2)").as_deref(), Some("`head` takes 1 operands, not 2"));
}

#[cfg(feature = "jit")]
#[test]
fn nested_loops_are_compiled() {
    metajit::testing::synchronous();
    a_sieve();
    let statistics = metajit::driver::statistics();
    assert!(statistics.compilations >= 2, "{statistics:?}");
    assert_eq!(statistics.given_up, 0, "{statistics:?}");
}
