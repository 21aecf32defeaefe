//! Whether the loaded library says what the compiler's inlined forms do.
//!
//! The library comes from the class path, so its `ifTrue:` may say anything. Before any of it is compiled, the methods that inlining
//! would bypass are compared with definitions that are known to mean the same (`known.som`), as syntax trees with variables
//! renamed. What does not compare equal is not inlined.

use crate::ast::{Body, ClassDef, Expression, Literal, MethodDef, Statement};
use crate::compiler::inlining::{Assumptions, Structure};
use crate::parser::parse_class;
use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

/// The definitions of the library's classes by name.
pub type Definitions = HashMap<Rc<str>, Rc<ClassDef>>;

const KNOWN: &str = include_str!("known.som");

/// A structure and the methods that it bypasses: class, selector, selector in `known.som`.
type Rule = (Structure, &'static [(&'static str, &'static str, &'static str)]);

const RULES: &[Rule] = &[
    (Structure::IfTrue, &[("True", "ifTrue:", "trueIfTrue:"), ("False", "ifTrue:", "falseIfTrue:")]),
    (Structure::IfFalse, &[("True", "ifFalse:", "falseIfTrue:"), ("False", "ifFalse:", "trueIfTrue:")]),
    (
        Structure::IfTrueIfFalse,
        &[
            ("True", "ifTrue:", "trueIfTrue:"),
            ("False", "ifTrue:", "falseIfTrue:"),
            ("True", "ifFalse:", "falseIfTrue:"),
            ("False", "ifFalse:", "trueIfTrue:"),
            ("True", "ifTrue:ifFalse:", "ifTrue:ifFalse:"),
            ("False", "ifTrue:ifFalse:", "ifTrue:ifFalse:"),
        ],
    ),
    (Structure::And, &[("True", "and:", "trueIfTrue:"), ("False", "and:", "=false")]),
    (Structure::Or, &[("True", "or:", "=true"), ("False", "or:", "trueIfTrue:")]),
    (
        Structure::AndOperator,
        &[("True", "and:", "trueIfTrue:"), ("False", "and:", "=false"), ("True", "&&", "&&"), ("False", "&&", "&&")],
    ),
    (
        Structure::OrOperator,
        &[("True", "or:", "=true"), ("False", "or:", "trueIfTrue:"), ("True", "||", "||"), ("False", "||", "||")],
    ),
    (Structure::IfNil, &[("Object", "ifNil:", "answersSelf:"), ("Nil", "ifNil:", "answersBlock:")]),
    (Structure::IfNotNil, &[("Object", "ifNotNil:", "answersBlock:"), ("Nil", "ifNotNil:", "answersSelf:")]),
    (
        Structure::IfNilIfNotNil,
        &[("Object", "ifNil:ifNotNil:", "answersSecond:second:"), ("Nil", "ifNil:ifNotNil:", "answersFirst:second:")],
    ),
    (
        Structure::IfNotNilIfNil,
        &[("Object", "ifNotNil:ifNil:", "answersFirst:second:"), ("Nil", "ifNotNil:ifNil:", "answersSecond:second:")],
    ),
    (Structure::WhileTrue, &[("Block1", "whileTrue:", "whileTrue:")]),
    (Structure::WhileFalse, &[("Block1", "whileFalse:", "whileFalse:"), ("Block1", "whileTrue:", "whileTrue:")]),
    (
        Structure::ToDo,
        &[("Integer", "to:do:", "to:do:"), ("Integer", "to:by:do:", "to:by:do:"), ("Double", "to:do:", "doubleTo:do:")],
    ),
    (
        Structure::DownToDo,
        &[
            ("Integer", "downTo:do:", "downTo:do:"),
            ("Integer", "downTo:by:do:", "downTo:by:do:"),
            ("Double", "downTo:do:", "doubleDownTo:do:"),
        ],
    ),
    (Structure::ToByDo, &[("Integer", "to:by:do:", "to:by:do:")]),
    (Structure::DownToByDo, &[("Integer", "downTo:by:do:", "downTo:by:do:")]),
    (
        Structure::TimesRepeat,
        &[
            ("Integer", "timesRepeat:", "timesRepeat:"),
            ("Integer", "to:do:", "to:do:"),
            ("Integer", "to:by:do:", "to:by:do:"),
        ],
    ),
];

/// An operator's selector, and what its method in `Integer` and in `Double` must be.
const OPERATORS: &[(&str, &str, &str)] = &[
    ("+", "primitive", "primitive"),
    ("-", "primitive", "primitive"),
    ("*", "primitive", "primitive"),
    ("<", "primitive", "primitive"),
    ("=", "primitive", "primitive"),
    ("<=", "<=", "<="),
    (">", ">", ">"),
    (">=", ">=", ">="),
    ("<>", "<>", "<>"),
    ("~=", "~=", ""),
    ("==", "==", ""),
];

/// What a library is known to say.
pub fn assumptions(definitions: &Definitions) -> Assumptions {
    let Ok(known) = parse_class(KNOWN) else {
        return Assumptions::none();
    };
    let checker = Checker { definitions, known: &known };
    let mut assumptions = Assumptions::none();
    for (structure, methods) in RULES {
        assumptions.structures[*structure as usize] =
            methods.iter().all(|(class, selector, expected)| checker.is(class, selector, expected));
    }
    let sound = OPERATORS.iter().all(|(selector, integer, _)| {
        *integer != "primitive"
            || (checker.is("Integer", selector, "primitive") && checker.is("Double", selector, "primitive"))
    });
    for (selector, integer, double) in OPERATORS {
        let needs_not = matches!(*selector, "<>" | "~=" | ">" | ">=");
        if sound
            && (!needs_not || checker.negation())
            && checker.is("Integer", selector, integer)
            && (double.is_empty() || checker.is("Double", selector, double))
            && (*selector != "=" || checker.is("Symbol", "=", "primitive"))
            && (*selector != "==" || checker.is("Object", "==", "primitive"))
        {
            assumptions.operators.push(selector);
        }
    }
    assumptions.negation = checker.negation();
    assumptions.array_access = checker.is("Array", "at:", "primitive") && checker.is("Array", "at:put:", "primitive");
    assumptions.restart = checker.is("Block1", "restart", "primitive");
    assumptions
}

struct Checker<'a> {
    definitions: &'a Definitions,
    known: &'a ClassDef,
}

impl Checker<'_> {
    fn negation(&self) -> bool {
        self.is("True", "not", "=false") && self.is("False", "not", "=true")
    }

    /// Whether instances of a class understand a selector as expected: `primitive`, `=` and a constant, or a selector in `known.som`.
    fn is(&self, class: &str, selector: &str, expected: &str) -> bool {
        let Some(method) = self.lookup(class, selector) else {
            return false;
        };
        if expected == "primitive" {
            return method.body.is_none();
        }
        if let Some(constant) = expected.strip_prefix('=')
            && matches!(constant, "true" | "false")
        {
            return matches!(
                method.body.as_ref().map(|body| body.statements.as_slice()),
                Some([Statement::Return(Expression::Variable(name, _), _)]) if &**name == constant
            );
        }
        let text = canonical(method);
        self.known.instance.methods.iter().any(|known| &*known.selector == expected && canonical(known) == text)
    }

    fn lookup(&self, class: &str, selector: &str) -> Option<&MethodDef> {
        let mut at = self.definitions.get(class)?;
        // No chain is longer than there are classes, cycles aside.
        for _ in 0..=self.definitions.len() {
            // The last definition of a selector counts.
            if let Some(method) = at.instance.methods.iter().rev().find(|method| &*method.selector == selector) {
                return Some(method);
            }
            let name = match &at.superclass {
                Some((name, _)) => name.clone(),
                None if &*at.name == "Object" => return None,
                None => "Object".into(),
            };
            at = self.definitions.get(&name)?;
        }
        None
    }
}

/// A method's body as text, with variables numbered in the order of their declaration.
fn canonical(method: &MethodDef) -> String {
    let mut names: Vec<Rc<str>> = method.arguments.clone();
    let mut text = String::new();
    match &method.body {
        Some(body) => print_body(body, &mut names, &mut text),
        None => text.push_str("primitive"),
    }
    text
}

fn print_body(body: &Body, names: &mut Vec<Rc<str>>, text: &mut String) {
    names.extend(body.locals.iter().cloned());
    let _ = write!(text, "|{}|", body.locals.len());
    for statement in &body.statements {
        match statement {
            Statement::Expression(value) => print(value, names, text),
            Statement::Return(value, _) => {
                text.push('^');
                print(value, names, text);
            }
        }
        text.push('.');
    }
    names.truncate(names.len() - body.locals.len());
}

fn print_name(name: &Rc<str>, names: &[Rc<str>], text: &mut String) {
    match names.iter().rposition(|other| other == name) {
        Some(number) => {
            let _ = write!(text, "%{number}");
        }
        None => text.push_str(name),
    }
}

fn print(expression: &Expression, names: &mut Vec<Rc<str>>, text: &mut String) {
    match expression {
        Expression::Literal(Literal::Integer(integer)) => {
            let _ = write!(text, "{integer}");
        }
        Expression::Literal(other) => {
            let _ = write!(text, "{other:?}");
        }
        Expression::Variable(name, _) => print_name(name, names, text),
        Expression::Super(_) => text.push_str("super"),
        Expression::Assignment(targets, value) => {
            for (name, _) in targets {
                print_name(name, names, text);
                text.push_str(":=");
            }
            print(value, names, text);
        }
        Expression::Send(send) => {
            text.push('(');
            print(&send.receiver, names, text);
            let _ = write!(text, " {}", send.selector);
            for argument in &send.arguments {
                text.push(' ');
                print(argument, names, text);
            }
            text.push(')');
        }
        Expression::Block(block) => {
            let _ = write!(text, "[{} ", block.arguments.len());
            names.extend(block.arguments.iter().cloned());
            print_body(&block.body, names, text);
            names.truncate(names.len() - block.arguments.len());
            text.push(']');
        }
    }
}
