//! The interactive shell: reads statements, runs them, prints their value.
//!
//! A statement that is not finished goes on in the next line. The last value is the global `it`, and variables
//! that a statement declares or assigns to are globals, so the next one still has them.

use crate::interpreter::control::{EXIT, run as run_method, send_message};
use crate::machine::report;
use crate::trace::is_error;
use crate::universe::universe;
use crate::value::NIL;
use crate::vm::{string, with_vm};
use rustyline::error::ReadlineError;
use std::io::{BufRead, IsTerminal};

/// Where lines come from: a terminal, with editing and history, or anything else.
enum Input {
    Terminal(Box<rustyline::DefaultEditor>),
    Stream(std::io::Lines<std::io::StdinLock<'static>>),
}

impl Input {
    fn new() -> Input {
        if std::io::stdin().is_terminal()
            && let Ok(editor) = rustyline::DefaultEditor::new()
        {
            return Input::Terminal(Box::new(editor));
        }
        Input::Stream(std::io::stdin().lock().lines())
    }

    /// The next line; none at the end of the input. An interrupt gives up what was typed so far.
    fn line(&mut self, text: &mut String) -> Option<String> {
        match self {
            Input::Terminal(editor) => loop {
                let prompt = if text.is_empty() { "som> " } else { "...> " };
                match editor.readline(prompt) {
                    Ok(line) => return Some(line),
                    Err(ReadlineError::Interrupted) => text.clear(),
                    Err(_) => return None,
                }
            },
            Input::Stream(lines) => lines.next()?.ok(),
        }
    }

    fn remember(&mut self, text: &str) {
        if let Input::Terminal(editor) = self {
            // A history without this entry is no reason to stop.
            let _ = editor.add_history_entry(text.trim_end());
        }
    }
}

/// Runs the shell to the end of its input; the exit status.
pub fn run() -> i32 {
    with_vm(crate::vm::Vm::program_is_loaded);
    let mut input = Input::new();
    let mut text = String::new();
    while let Some(line) = input.line(&mut text) {
        text.push_str(&line);
        text.push('\n');
        if text.trim().is_empty() {
            text.clear();
            continue;
        }
        // An empty line ends a statement that seems unfinished.
        if is_unfinished(&text) && !line.is_empty() {
            continue;
        }
        input.remember(&text);
        let status = evaluate(&text);
        with_vm(|vm| vm.output.flush());
        if let Some(status) = status {
            return status;
        }
        text.clear();
    }
    0
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
    with_vm(|vm| vm.places_are_missing = false);
    let result = run_method(method, NIL, &[]).and_then(|value| {
        with_vm(|vm| vm.global("it")).set_value(value);
        let shown = send_message(value, "asString", &[])?;
        send_message(universe().system(), "printString:", &[shown])?;
        send_message(universe().system(), "printString:", &[string("\n")])
    });
    match result {
        Ok(_) => None,
        Err(unwind) => {
            // An error ends the statement, not the shell; `system exit:` ends both.
            let ends = unwind.kind() == EXIT && !with_vm(|vm| is_error(vm));
            let status = report(unwind);
            ends.then_some(status)
        }
    }
}
