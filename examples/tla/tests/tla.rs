//! Programs of the language, with known results.

use tla::{Value, assembler, error, run, take_output};

fn go(text: &str, arguments: &[i64]) -> Result<String, String> {
    let program = assembler::assemble(text).unwrap_or_else(|mistake| panic!("{mistake}"));
    let arguments: Vec<Value> = arguments.iter().map(|&n| Value::int(n)).collect();
    match run(program.get(), &arguments) {
        Ok(value) => Ok(value.to_string()),
        Err(thrown) => Err(thrown.to_string()),
    }
}

const SUM: &str = "
fn main 1 2
    push 0
    store 1
again:
    load 1
    load 0
    add
    store 1
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return";

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

/// Throws for every second number, and catches.
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
    pop
    load 1
    push 1000
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

#[test]
fn sums() {
    assert_eq!(go(SUM, &[100_000]), Ok("5000050000".to_owned()));
}

#[test]
fn sums_grow_into_floats() {
    let text = SUM.replace("push 0\n", "push 4611686018427380000\n");
    assert_eq!(go(&text, &[10_000]), Ok("4.611686018477361e18".to_owned()));
}

#[test]
fn recursion() {
    assert_eq!(go(FIB, &[20]), Ok("6765".to_owned()));
}

#[test]
fn recursion_ends_in_an_exception() {
    let text = "
fn main 0 0
    call main
    return";
    assert_eq!(go(text, &[]), Err(error::DEPTH.to_string()));
}

#[test]
fn exceptions() {
    let even: i64 = (1..=10_000).filter(|n| n % 2 == 0).sum();
    assert_eq!(go(RAISE, &[10_000]), Ok((even + 5_000 * 1000).to_string()));
}

/// Makes two objects in each iteration that nothing else sees.
const OBJECTS: &str = "
fn main 1 3
    push 0
    store 1
again:
    push 5
    new 1
    push 0
    push 6
    new 2
    push 0
    load 0
    set
    push 1
    load 1
    set
    set
    push 0
    get
    store 2
    load 2
    push 0
    get
    load 2
    push 1
    get
    add
    store 1
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    load 1
    return";

#[test]
fn objects() {
    assert_eq!(go(OBJECTS, &[10_000]), Ok("50005000".to_owned()));
}

#[test]
fn globals_and_output() {
    let text = "
fn main 1 1
    push 3
    set_global 0
again:
    load 0
    push 5000
    eq
    jump_unless same
    push 100
    set_global 0
same:
    global 0
    set_global 1
    global 1
    global 2
    add
    set_global 2
    load 0
    push 1
    sub
    dup
    store 0
    jump_if again
    global 2
    print
    push 2.5
    return";
    assert_eq!(go(text, &[10_000]), Ok("2.5".to_owned()));
    assert_eq!(take_output(), ["515000"]);
}

#[test]
fn mistakes_are_named() {
    let mistake = |text: &str| assembler::assemble(text).err().map(|mistake| mistake.to_string());
    assert_eq!(mistake("fn main 0 0\n push 1\n jump nowhere").as_deref(), Some("line 3: there is no label `nowhere`"));
    assert_eq!(mistake("fn main 0 0\n add\n return").as_deref(), Some("line 2: there is too little on the stack"));
    assert_eq!(mistake("fn main 0 0\n push 1\n load 2\n return").as_deref(), Some("line 3: there is no such local"));
}

#[cfg(feature = "jit")]
mod jit {
    use super::*;

    /// All modes, and each guard of the code forced to fail in turn.
    fn everywhere(text: &'static str, arguments: &'static [i64]) {
        let modes = metajit::testing::Modes::all().forced(u32::MAX);
        let checked = metajit::testing::check(&modes, || (go(text, arguments), take_output()));
        let checked = checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
        assert!(checked.forced > 5 && checked.panics == 0, "{checked:?}");
    }

    /// A loop in a called function that goes round only twice when the caller's loop is recorded, and more often later.
    const GROWING: &str = "
fn main 1 2
    push 0
    store 1
again:
    load 1
    push 100
    div
    push 2
    add
    call spin
    load 1
    add
    pop
    load 1
    push 1
    add
    dup
    store 1
    load 0
    lt
    jump_if again
    load 1
    return
fn spin 1 2
    push 0
    store 1
round:
    load 1
    load 0
    add
    store 1
    load 0
    push 1
    sub
    dup
    store 0
    jump_if round
    load 1
    return";

    #[test]
    fn a_call_that_turns_out_to_loop_is_no_longer_inlined() {
        metajit::testing::synchronous();
        assert_eq!(go(GROWING, &[20_000]), Ok("20000".to_owned()));
        let statistics = metajit::driver::statistics();
        let loops_in_calls = statistics.fields().into_iter().find(|field| field.0 == "abort_loop_in_call");
        assert!(loops_in_calls.is_some_and(|field| field.1 <= 2), "{statistics:?}");
    }

    /// Runs a program until all its bridges are compiled and it leaves its code no more, which must happen.
    fn warm(text: &str, n: i64) -> metajit::driver::Statistics {
        let program = assembler::assemble(text).unwrap_or_else(|mistake| panic!("{mistake}"));
        metajit::testing::synchronous();
        let mut before = metajit::driver::statistics();
        for _ in 0..20 {
            run(program.get(), &[Value::int(n)]).unwrap_or_else(|thrown| panic!("{thrown}"));
            let after = metajit::driver::statistics();
            if after.exits - before.exits < 20 {
                return after;
            }
            before = after;
        }
        panic!("code is still left all the time: {before:?}");
    }

    #[test]
    fn sums_with_each_guard_failing() {
        everywhere(SUM, &[300]);
    }

    #[test]
    fn exceptions_with_each_guard_failing() {
        everywhere(RAISE, &[300]);
    }

    #[test]
    fn objects_with_each_guard_failing() {
        everywhere(OBJECTS, &[300]);
    }

    #[test]
    fn recursion_with_each_guard_failing() {
        everywhere(FIB, &[10]);
    }

    #[test]
    fn a_loop_becomes_one_tree() {
        metajit::testing::synchronous();
        go(SUM, &[100_000]).unwrap();
        let statistics = metajit::driver::statistics();
        assert_eq!(statistics.loops_recorded, 1, "{statistics:?}");
        assert!(statistics.exits <= 2, "{statistics:?}");
    }

    #[test]
    fn a_throw_inside_a_call_leaves_no_exit_behind() {
        let statistics = warm(RAISE, 20_000);
        assert_eq!(statistics.given_up, 0, "{statistics:?}");
    }
}
