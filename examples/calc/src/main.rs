//! `calc FILE`: runs a program and prints its value.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: calc FILE")?;
    let program = calc::parser::parse(&std::fs::read_to_string(file)?)?;
    match calc::run(program.get()) {
        Ok(value) => println!("{value}"),
        Err(error) => return Err(format!("{error:?}").into()),
    }
    Ok(())
}
