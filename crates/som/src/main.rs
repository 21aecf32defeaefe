//! The command `2som`.

use som::cli::{Command, USAGE, WRONG_USAGE, parse};
use std::io::Write;

fn main() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Running out of memory is reported as an error of the program.
        if info.payload().downcast_ref::<metajit::gc::OutOfMemory>().is_none() {
            default_hook(info);
        }
    }));
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let status = match parse(&arguments) {
        Ok(Command::Run(options)) => som::run_process(*options),
        Ok(Command::Print(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            0
        }
        Err(message) => {
            let _ = write!(std::io::stderr(), "2som: {message}\n\n{USAGE}");
            WRONG_USAGE
        }
    };
    std::process::exit(status);
}
