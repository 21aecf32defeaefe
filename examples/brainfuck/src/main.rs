//! `brainfuck FILE`: runs a program with standard input and output.

use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: brainfuck FILE")?;
    let program = brainfuck::Program::parse(&std::fs::read_to_string(file)?)?;
    let mut input = Vec::new();
    if std::env::args().any(|arg| arg == "--input") {
        std::io::stdin().read_to_end(&mut input)?;
    }
    let run = brainfuck::run(program, &input, 30_000, i64::MAX);
    std::io::stdout().write_all(&run.output)?;
    run.end.map_err(|fault| format!("{fault:?}").into())
}
