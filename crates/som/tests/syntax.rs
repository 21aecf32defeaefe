//! Malformed sources: a located error each time, and never a crash.

#[path = "support/compiling.rs"]
mod compiling;

use compiling::compile;

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
