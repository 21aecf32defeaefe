//! The program computes the same with and without code.

use countdown::{ADD, ADD_COUNTER, COUNT_DOWN, HALT, Program, run};

fn program() -> Program {
    Program::new(&[ADD, 3, ADD_COUNTER, 0, COUNT_DOWN, 0, HALT, 0])
}

#[test]
fn it_adds_up() {
    let expected = (1..=1_000_000i64).sum::<i64>() + 3_000_000;
    assert_eq!(run(program(), 1_000_000), expected);
    assert_eq!(run(program(), 1), 4);
}

#[cfg(feature = "jit")]
#[test]
fn its_loop_is_compiled_once() {
    metajit::testing::synchronous();
    run(program(), 100_000);
    let statistics = metajit::driver::statistics();
    assert_eq!(statistics.loops_recorded, 1, "{statistics:?}");
    assert!(statistics.compilations >= 1 && statistics.exits <= 2, "{statistics:?}");
}
