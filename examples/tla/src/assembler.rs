//! From text to code.
//!
//! ```text
//! fn main 1 2          # name, parameters, locals (the parameters among them)
//! again:
//!     load 1
//!     load 0
//!     add
//!     store 1
//!     load 0
//!     push 1
//!     sub
//!     dup
//!     store 0
//!     jump_if again
//!     load 1
//!     return
//! ```
//!
//! `try A B C` makes what is thrown between the labels A and B go on at C, with the thrown value on an otherwise empty
//! stack. The stack's height at each instruction follows from the text; where ways meet it must be the same.

use crate::{Code, Global, Globals, Numbers, Operand, Program, TABLE, Value, Values};
use metajit::gc::Root;
use std::collections::HashMap;

/// What is wrong with a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}
impl std::error::Error for Mistake {}

/// Globals that every program has.
pub const GLOBALS: i64 = 8;

struct Line<'a> {
    number: usize,
    op: usize,
    operand: &'a str,
}

struct Function<'a> {
    name: &'a str,
    params: i64,
    locals: i64,
    lines: Vec<Line<'a>>,
    labels: HashMap<&'a str, i64>,
    tries: Vec<(usize, [&'a str; 3])>,
}

fn mistake<T>(line: usize, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { line, message: message.into() })
}

/// Makes a program of its text.
///
/// # Errors
/// The first mistake.
pub fn assemble(text: &str) -> Result<Root<Program>, Mistake> {
    let mut functions: Vec<Function<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        if let ["fn", name, params, locals] = words[..] {
            let (Ok(params), Ok(locals)) = (params.parse(), locals.parse()) else {
                return mistake(number, "a function has two numbers, its parameters and its locals");
            };
            functions.push(Function {
                name,
                params,
                locals,
                lines: Vec::new(),
                labels: HashMap::new(),
                tries: Vec::new(),
            });
            continue;
        }
        let Some(function) = functions.last_mut() else {
            return mistake(number, "a program begins with `fn NAME PARAMETERS LOCALS`");
        };
        if let [label] = words[..]
            && let Some(label) = label.strip_suffix(':')
        {
            function.labels.insert(label, 2 * function.lines.len() as i64);
            continue;
        }
        if let ["try", from, to, handler] = words[..] {
            function.tries.push((number, [from, to, handler]));
            continue;
        }
        let Some(op) = TABLE.iter().position(|row| row.0 == words[0]) else {
            return mistake(number, format!("there is no operation `{}`", words[0]));
        };
        let takes = usize::from(TABLE[op].1 != Operand::None);
        if words.len() != 1 + takes {
            return mistake(number, format!("`{}` takes {takes} operands", words[0]));
        }
        function.lines.push(Line { number, op, operand: words.get(1).copied().unwrap_or_default() });
    }
    if functions.is_empty() {
        return mistake(1, "there is no function");
    }
    build(&functions)
}

fn build(functions: &[Function<'_>]) -> Result<Root<Program>, Mistake> {
    // SAFETY: each is replaced below; nothing looks at a program before it is whole.
    let (no_global, no_code) = unsafe { (Global::from_bits(0), Code::from_bits(0)) };
    let globals = Globals::alloc(GLOBALS, no_global);
    let program = Program::alloc(globals, functions.len() as i64, no_code);
    let root = Root::new(program);
    for index in 0..GLOBALS {
        let global = Global::alloc(Value::int(0));
        // SAFETY: no code has run yet.
        unsafe { globals.set_at(index, global) };
    }
    for (index, function) in functions.iter().enumerate() {
        let code = translate(functions, function, program)?;
        // SAFETY: no code has run yet.
        unsafe { program.set_functions(index as i64, code) };
    }
    Ok(root)
}

fn constant(text: &str) -> Option<Value> {
    if text == "nil" {
        return Some(Value::NIL);
    }
    if let Ok(n) = text.parse::<i64>() {
        return Some(Value::number(n));
    }
    text.parse().ok().map(Value::float)
}

fn translate(functions: &[Function<'_>], function: &Function<'_>, program: Program) -> Result<Code, Mistake> {
    let label = |line: usize, name: &str| match function.labels.get(name) {
        Some(&place) => Ok(place),
        None => mistake(line, format!("there is no label `{name}`")),
    };
    let constants = Values::alloc(function.lines.len() as i64, Value::NIL);
    let mut ops = Vec::new();
    for (index, line) in function.lines.iter().enumerate() {
        let operand = match TABLE[line.op].1 {
            Operand::None => 0,
            Operand::Number => match line.operand.parse() {
                Ok(number) => number,
                Err(_) => return mistake(line.number, "the operand is a number"),
            },
            Operand::Constant => {
                let Some(value) = constant(line.operand) else {
                    return mistake(line.number, "a constant is a number or nil");
                };
                // SAFETY: no code has run yet.
                unsafe { constants.set_at(index as i64, value) };
                index as i64
            }
            Operand::Label => label(line.number, line.operand)?,
            Operand::Function => match functions.iter().position(|other| other.name == line.operand) {
                Some(position) => position as i64,
                None => {
                    return mistake(line.number, format!("there is no function `{}`", line.operand));
                }
            },
        };
        ops.push((line.op as i64, operand));
    }
    let mut handlers = vec![-1; ops.len()];
    for &(number, [from, to, handler]) in &function.tries {
        let (from, to, handler) = (label(number, from)?, label(number, to)?, label(number, handler)?);
        for place in from / 2..to / 2 {
            let at = &mut handlers[place as usize];
            // The first that is written is the innermost.
            if *at < 0 {
                *at = handler;
            }
        }
    }
    let height = heights(functions, function, &ops, &handlers)?;
    let code = Code::alloc(
        function.params,
        function.locals,
        function.locals + height,
        program,
        constants,
        numbers(&handlers),
        2 * ops.len() as i64,
        0,
    );
    for (index, (op, operand)) in ops.into_iter().enumerate() {
        // SAFETY: no code has run yet.
        unsafe {
            code.set_ops(2 * index as i64, op);
            code.set_ops(2 * index as i64 + 1, operand);
        }
    }
    Ok(code)
}

fn numbers(from: &[i64]) -> Numbers {
    let numbers = Numbers::alloc(from.len() as i64, 0);
    for (index, &number) in from.iter().enumerate() {
        // SAFETY: nothing has seen the row yet.
        unsafe { numbers.set_at(index as i64, number) };
    }
    numbers
}

/// Follows every way through the code; the greatest height of the operand stack.
fn heights(
    functions: &[Function<'_>],
    function: &Function<'_>,
    ops: &[(i64, i64)],
    handlers: &[i64],
) -> Result<i64, Mistake> {
    let mut known: Vec<Option<i64>> = vec![None; ops.len()];
    let mut todo = vec![(0, 0)];
    let mut greatest = 1;
    while let Some((place, height)) = todo.pop() {
        let Some(line) = function.lines.get(place) else {
            let last = function.lines.last().map_or(0, |line| line.number);
            return mistake(last, "the function has no return at its end");
        };
        if let Some(before) = known[place] {
            if before != height {
                return mistake(line.number, format!("the stack is {before} high on one way and {height} on another"));
            }
            continue;
        }
        known[place] = Some(height);
        let (op, operand) = ops[place];
        let (_, kind, mut pops, pushes) = TABLE[op as usize];
        if kind == Operand::Function {
            pops = functions[operand as usize].params;
        }
        if matches!(op, crate::op::LOAD | crate::op::STORE) && !(0..function.locals).contains(&operand) {
            return mistake(line.number, "there is no such local");
        }
        if matches!(op, crate::op::GLOBAL | crate::op::SET_GLOBAL) && !(0..GLOBALS).contains(&operand) {
            return mistake(line.number, "there is no such global");
        }
        let after = height - pops + pushes;
        if height < pops {
            return mistake(line.number, "there is too little on the stack");
        }
        greatest = greatest.max(after).max(height);
        if handlers[place] >= 0 {
            todo.push((handlers[place] as usize / 2, 1));
        }
        if kind == Operand::Label {
            todo.push((operand as usize / 2, after));
        }
        if !matches!(op, crate::op::JUMP | crate::op::RETURN | crate::op::THROW) {
            todo.push((place + 1, after));
        }
    }
    Ok(greatest)
}
