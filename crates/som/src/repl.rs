//! The interactive shell: reads statements, runs them, prints their value.
//!
//! A statement that is not finished goes on in the next line. The last value is the global `it`.

use crate::interpreter::control::{EXIT, run as run_method, send_message, status};
use crate::machine::report;
use crate::universe::universe;
use crate::value::NIL;
use crate::vm::{string, with_vm};
use std::io::{BufRead, IsTerminal};

/// Runs the shell to the end of its input; the exit status.
pub fn run() -> i32 {
    let input = std::io::stdin();
    let interactive = input.is_terminal();
    let mut text = String::new();
    let mut lines = input.lock().lines();
    loop {
        if interactive {
            let prompt: &[u8] = if text.is_empty() { b"som> " } else { b"...> " };
            with_vm(|vm| {
                vm.output.print(prompt);
                vm.output.flush();
            });
        }
        let Some(Ok(line)) = lines.next() else {
            return 0;
        };
        text.push_str(&line);
        text.push('\n');
        if text.trim().is_empty() {
            text.clear();
            continue;
        }
        if is_unfinished(&text) && !line.is_empty() {
            continue;
        }
        if let Some(status) = evaluate(&text) {
            return status;
        }
        text.clear();
    }
}

/// Whether brackets or strings are open at the end.
fn is_unfinished(text: &str) -> bool {
    match crate::lexer::tokenize(text) {
        Ok(lexemes) => {
            use crate::lexer::Token;
            let depth: i64 = lexemes
                .iter()
                .map(|lexeme| match lexeme.token {
                    Token::OpenParen | Token::OpenBracket => 1,
                    Token::CloseParen | Token::CloseBracket => -1,
                    _ => 0,
                })
                .sum();
            depth > 0
        }
        Err(error) => error.message.contains("does not end"),
    }
}

/// Runs statements; the status if they ended the program.
fn evaluate(text: &str) -> Option<i32> {
    let method = match with_vm(|vm| vm.compile_shell(text)) {
        Ok(method) => method,
        Err(message) => {
            with_vm(|vm| vm.output.print_error(message.as_bytes()));
            return None;
        }
    };
    let result = run_method(method, NIL, &[]).and_then(|value| {
        with_vm(|vm| vm.global("it")).set_value(value);
        let shown = send_message(value, "asString", &[])?;
        send_message(universe().system(), "printString:", &[shown])?;
        send_message(universe().system(), "printString:", &[string("\n")])
    });
    match result {
        Ok(_) => None,
        // An error ends the statement, not the shell.
        Err(unwind) if unwind.kind() == EXIT && status(unwind) == 0 => Some(0),
        Err(unwind) => {
            report(unwind);
            None
        }
    }
}
