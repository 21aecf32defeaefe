//! `calc FILE [--statistics]`: runs a program and prints its value, and what the JIT did.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: calc FILE")?;
    let program = calc::parser::parse(&std::fs::read_to_string(file)?)?;
    let result = calc::run(program.get());
    #[cfg(feature = "jit")]
    if std::env::args().any(|argument| argument == "--statistics") {
        for (name, count) in metajit::driver::statistics().fields() {
            eprintln!("{name:>24} {count}");
        }
    }
    match result {
        Ok(value) => println!("{value}"),
        Err(error) => return Err(format!("{error:?}").into()),
    }
    Ok(())
}
