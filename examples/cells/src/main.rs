//! `cells FILE`: runs a program and prints its value.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: cells FILE")?;
    let program = cells::compiler::compile(&std::fs::read_to_string(file)?)?;
    let result = cells::run(program.get());
    for line in cells::take_output() {
        println!("{line}");
    }
    match result {
        Ok(value) => println!("{value}"),
        Err(fault) => return Err(format!("{fault:?}").into()),
    }
    Ok(())
}
