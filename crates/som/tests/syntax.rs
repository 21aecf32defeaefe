//! Malformed sources: a located error each time, and never a crash.

use som::compiler::inlining::Assumptions;
use som::compiler::{MethodContext, compile_generic, compile_method};
use som::lexer::SyntaxError;
use som::parser::parse_class;
use std::rc::Rc;

/// Parses and compiles a class, all versions of its methods.
fn compile(source: &str) -> Result<(), SyntaxError> {
    let class = parse_class(source)?;
    for side in [&class.instance, &class.class] {
        let assumptions = Assumptions {
            structures: [true; som::compiler::inlining::STRUCTURES],
            operators: vec!["+", "-", "*", "<", "<=", ">", ">=", "=", "<>", "~=", "=="],
            array_access: true,
            negation: true,
            restart: true,
        };
        let context = MethodContext {
            fields: side.fields.iter().map(|(name, _)| name.clone()).collect(),
            class_side: false,
            assumptions: Rc::new(assumptions),
        };
        for method in side.methods.iter().filter(|method| method.body.is_some()) {
            compile_method(method, &context)?;
            for scope in 0..=method.block_count {
                compile_generic(method, &context, scope)?;
            }
        }
    }
    Ok(())
}

fn message(source: &str) -> String {
    match compile(source) {
        Ok(()) => "no error".to_owned(),
        Err(error) => error.render("T.som", source).trim_end().to_owned(),
    }
}

#[test]
fn errors_name_file_line_and_column() {
    let cases = [
        ("T = ( run = ( ^ ) )", "T.som:1:17: error: expected an expression, found ')'"),
        ("T = (\n  run = ( 'a\\q' )\n)", "T.som:2:13: error: '\\q' is no escape sequence"),
        ("T = ( run = ( x := 3 ) )", "T.som:1:15: error: there is no variable or field 'x'"),
        ("T = ( run = ( self := 3 ) )", "T.som:1:15: error: 'self' can't be assigned to"),
        ("T = ( run = ( super := 3 ) )", "T.som:1:15: error: 'super' can't be assigned to"),
        ("T = ( m: a m: a = ( ) )", "T.som:1:15: error: there is a variable 'a' already"),
        ("T = ( | a a | )", "T.som:1:11: error: there is a field 'a' already"),
        ("T = ( run = ( 'open ) )", "T.som:1:15: error: this string does not end"),
        ("\"open", "T.som:1:1: error: this comment does not end"),
        ("T = ( run = ( #(1 x) ) )", "T.som:1:19: error: expected a literal or ')', found 'x'"),
        ("T = ( run = ( ? ) )", "T.som:1:15: error: the character '?' can't stand"),
        ("T = ( ) U = ( )", "T.som:1:9: error: unexpected 'U'"),
        ("", "T.som:1:1: error: expected the name of the class"),
    ];
    for (source, expected) in cases {
        let shown = message(source);
        assert!(shown.starts_with(expected), "{source:?} gives\n{shown}\nnot\n{expected}");
    }
}

#[test]
fn the_caret_stands_below_the_column() {
    let shown = message("T = (\n\trun = ( ^ )\n)");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[1].find("^ )").map(|at| at + 2), lines[2].find('^'));
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("(", ")"), ("[", "]"), ("#(", ")")] {
        let source = format!("T = ( run = ( {}1{} ) )", open.repeat(100_000), close.repeat(100_000));
        assert!(message(&source).contains("nested more than"), "{open}");
    }
    let chain = format!("T = ( run = ( 1{} ) )", " foo".repeat(100_000));
    assert!(message(&chain).contains("chains more than"));
}

/// A generator of numbers that is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn mutated_sources_give_errors_or_compile() {
    const PIECES: &[&str] = &[
        "(",
        ")",
        "[",
        "]",
        "|",
        "^",
        ".",
        ":",
        ":=",
        "#",
        "#(",
        "'",
        "\"",
        "----",
        "-",
        "1",
        "1.5",
        "a",
        "self",
        "super",
        "a:",
        "primitive",
        "=",
        "ifTrue: [",
        "whileTrue: [",
        "to: 3 do: [:i |",
        "\\",
        "\0",
        "é",
        "||",
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut errors = 0;
    for (_, original) in som::core_lib::CLASSES {
        let chars: Vec<char> = original.chars().collect();
        for _ in 0..40 {
            let mut mutant = chars.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                match random.below(4) {
                    0 => {
                        mutant.remove(at);
                    }
                    1 => mutant.truncate(at.max(1)),
                    2 => mutant.swap(at, 0),
                    _ => {
                        let piece = PIECES[random.below(PIECES.len())];
                        mutant.splice(at..at, piece.chars());
                    }
                }
            }
            let source: String = mutant.into_iter().collect();
            if let Err(error) = compile(&source) {
                errors += 1;
                assert!(error.pos.line > 0 && error.pos.column > 0);
                assert!(!error.render("T.som", &source).is_empty());
            }
        }
    }
    assert!(errors > 100, "mutation finds errors");
}
