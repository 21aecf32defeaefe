//! `tla FILE ARGUMENT...`: runs a program with integer arguments.

use tla::{Value, assembler, run, take_output};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: tla FILE ARGUMENT...")?;
    let program = assembler::assemble(&std::fs::read_to_string(file)?)?;
    let numbers: Vec<Value> = arguments.map(|text| text.parse().map(Value::int)).collect::<Result<_, _>>()?;
    let result = run(program.get(), &numbers);
    for line in take_output() {
        println!("{line}");
    }
    match result {
        Ok(value) => println!("{value}"),
        Err(thrown) => return Err(format!("uncaught: {thrown}").into()),
    }
    Ok(())
}
