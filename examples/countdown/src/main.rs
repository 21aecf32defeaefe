//! Runs the program of the README with the counter given.

use countdown::{ADD, ADD_COUNTER, COUNT_DOWN, HALT, Program, run};

fn main() {
    let counter = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000_000);
    let program = Program::new(&[ADD, 3, ADD_COUNTER, 0, COUNT_DOWN, 0, HALT, 0]);
    println!("{}", run(program, counter));
}
