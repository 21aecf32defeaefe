//! Known programs do what they should, and their loops run as compiled code.

use brainfuck::{Fault, Program, Run, Unbalanced, run};

const HELLO: &str =
    "++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++.";

/// Prints the squares up to 10000.
const SQUARES: &str = "++++[>+++++<-]>[<+++++>-]+<+[>[>+>+<<-]++>>[<<+>>-]>>>[-]++>[-]+>>>+[[-]++++++>>>]<<<[[<++++++++<++>>-]+<.<[>----<-]<]<<[>>>>>[>>>[-]+++++++++<[>-<-]+++++++++>[-[<->-]+[<<<]]<[>+<-]>]<<-]<<-]";

fn go(source: &str, input: &[u8]) -> Run {
    run(Program::parse(source).unwrap(), input, 300, 10_000_000)
}

#[test]
fn it_greets() {
    assert_eq!(go(HELLO, b"").output, b"Hello World!\n");
}

#[test]
fn it_counts_squares() {
    let expected: String = (0..=100).map(|n| format!("{}\n", n * n)).collect();
    assert_eq!(String::from_utf8(go(SQUARES, b"").output).unwrap(), expected);
}

#[test]
fn it_echoes() {
    assert_eq!(go(",[.,]", b"abc").output, b"abc");
}

#[test]
fn it_stops_at_the_ends_of_the_tape_and_out_of_fuel() {
    assert_eq!(go("+[<+]", b"").end, Err(Fault::OffTape(-1)));
    assert_eq!(go("+[>+]", b"").end, Err(Fault::OffTape(300)));
    assert_eq!(go("+[]", b"").end, Err(Fault::OutOfFuel));
}

#[test]
fn brackets_must_match() {
    assert_eq!(Program::parse("+]").unwrap_err(), Unbalanced { offset: 1 });
    assert_eq!(Program::parse("[[]").unwrap_err(), Unbalanced { offset: 0 });
}

#[cfg(feature = "jit")]
#[test]
fn hot_loops_are_compiled() {
    metajit::testing::synchronous();
    go(SQUARES, b"");
    let statistics = metajit::driver::statistics();
    assert!(statistics.compilations >= 3, "{statistics:?}");
    assert_eq!(statistics.given_up, 0, "{statistics:?}");
}
