//! From text to bytecode, by way of lists of lists.

use crate::{Code, Program, op};
use metajit::gc::Root;
use std::collections::HashMap;

/// The language's own operations and how many operands they take, in the order of their numbers.
pub const BUILTINS: [(&str, i64); 21] = [
    ("+", 2),
    ("-", 2),
    ("*", 2),
    ("/", 2),
    ("mod", 2),
    ("<", 2),
    ("=", 2),
    ("and", 2),
    ("xor", 2),
    ("shift", 2),
    ("pair", 2),
    ("head", 1),
    ("tail", 1),
    ("pair?", 1),
    ("set-head", 2),
    ("set-tail", 2),
    ("array", 2),
    ("get", 2),
    ("put", 3),
    ("length", 1),
    ("print", 1),
];

/// What is wrong with a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake(pub String);

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Mistake {}

fn mistake<T>(message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake(message.into()))
}

#[derive(Clone, Debug)]
enum Form<'a> {
    Word(&'a str),
    List(Vec<Form<'a>>),
}

fn read(text: &str) -> Result<Vec<Form<'_>>, Mistake> {
    let mut open: Vec<Vec<Form<'_>>> = vec![Vec::new()];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '(' | ')' => 1,
            ';' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_whitespace() => c.len_utf8(),
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ';')).unwrap_or(rest.len()),
        };
        match first {
            '(' => open.push(Vec::new()),
            ')' => match (open.pop(), open.last_mut()) {
                (Some(list), Some(outer)) => outer.push(Form::List(list)),
                _ => return mistake("there is a `)` too many"),
            },
            c if c.is_whitespace() || c == ';' => {}
            _ => {
                if let Some(list) = open.last_mut() {
                    list.push(Form::Word(&rest[..len]));
                }
            }
        }
        rest = &rest[len..];
    }
    match (open.pop(), open.is_empty()) {
        (Some(forms), true) => Ok(forms),
        _ => mistake("a `)` is missing"),
    }
}

struct Function<'a> {
    /// Number and parameters of the functions defined so far.
    known: &'a HashMap<&'a str, (i64, i64)>,
    locals: Vec<&'a str>,
    ops: Vec<(i64, i64)>,
    height: i64,
    greatest: i64,
}

impl<'a> Function<'a> {
    fn emit(&mut self, op: i64, operand: i64, height: i64) {
        self.ops.push((op, operand));
        self.height += height;
        self.greatest = self.greatest.max(self.height);
    }
    fn here(&self) -> i64 {
        2 * self.ops.len() as i64
    }
    fn local(&self, name: &str) -> Result<i64, Mistake> {
        match self.locals.iter().position(|&local| local == name) {
            Some(index) => Ok(index as i64),
            None => mistake(format!("there is no variable `{name}`")),
        }
    }

    /// The forms one after the other; the value is the last one's.
    fn body(&mut self, forms: &[Form<'a>]) -> Result<(), Mistake> {
        for (index, form) in forms.iter().enumerate() {
            if index > 0 {
                self.emit(op::POP, 0, -1);
            }
            self.form(form)?;
        }
        if forms.is_empty() {
            self.emit(op::NIL, 0, 1);
        }
        Ok(())
    }

    /// Code that leaves a form's value on the stack.
    fn form(&mut self, form: &Form<'a>) -> Result<(), Mistake> {
        let list = match form {
            Form::Word("nil") => {
                self.emit(op::NIL, 0, 1);
                return Ok(());
            }
            Form::Word(word) => {
                match word.parse() {
                    Ok(n) => self.emit(op::INT, n, 1),
                    Err(_) => {
                        let local = self.local(word)?;
                        self.emit(op::LOAD, local, 1);
                    }
                }
                return Ok(());
            }
            Form::List(list) => list,
        };
        match &list[..] {
            [Form::Word(which @ ("let" | "set")), Form::Word(name), value] => {
                self.form(value)?;
                if *which == "let" && !self.locals.contains(name) {
                    self.locals.push(name);
                }
                let local = self.local(name)?;
                self.emit(op::STORE, local, -1);
                self.emit(op::LOAD, local, 1);
            }
            [Form::Word("begin"), forms @ ..] => self.body(forms)?,
            [Form::Word("if"), condition, then, otherwise] => {
                self.form(condition)?;
                let jump = self.ops.len();
                self.emit(op::JUMP_IF_NIL, 0, -1);
                self.form(then)?;
                let end = self.ops.len();
                self.emit(op::JUMP, 0, -1);
                self.ops[jump].1 = self.here();
                self.form(otherwise)?;
                self.ops[end].1 = self.here();
            }
            [Form::Word("while"), condition, forms @ ..] => {
                let start = self.here();
                self.form(condition)?;
                let jump = self.ops.len();
                self.emit(op::JUMP_IF_NIL, 0, -1);
                self.body(forms)?;
                self.emit(op::POP, 0, -1);
                self.emit(op::JUMP, start, 0);
                self.ops[jump].1 = self.here();
                self.emit(op::NIL, 0, 1);
            }
            [Form::Word(name), operands @ ..] => {
                for operand in operands {
                    self.form(operand)?;
                }
                let count = operands.len() as i64;
                let (op, operand, takes) = match (self.known.get(name), BUILTINS.iter().position(|row| row.0 == *name))
                {
                    (Some(&(number, params)), _) => (op::CALL, number, params),
                    (None, Some(index)) => (op::BUILTIN + index as i64, 0, BUILTINS[index].1),
                    _ => return mistake(format!("there is no function `{name}`")),
                };
                if takes != count {
                    return mistake(format!("`{name}` takes {takes} operands, not {count}"));
                }
                self.emit(op, operand, 1 - count);
            }
            _ => return mistake("a form begins with a name"),
        }
        Ok(())
    }
}

/// Makes a program of its text: definitions, and what is to be done.
///
/// # Errors
/// The first mistake.
pub fn compile(text: &str) -> Result<Root<Program>, Mistake> {
    let forms = read(text)?;
    let mut known = HashMap::new();
    let mut bodies: Vec<(Vec<&str>, &[Form<'_>])> = Vec::new();
    let mut main = Vec::new();
    for form in &forms {
        match form {
            Form::List(list) => match &list[..] {
                [Form::Word("define"), Form::List(head), body @ ..] => {
                    let mut names = Vec::new();
                    for word in head {
                        let Form::Word(name) = word else {
                            return mistake("a definition begins with names");
                        };
                        names.push(*name);
                    }
                    if names.is_empty() {
                        return mistake("a definition begins with names");
                    }
                    let name = names.remove(0);
                    known.insert(name, (bodies.len() as i64, names.len() as i64));
                    bodies.push((names, body));
                }
                _ => main.push(form.clone()),
            },
            Form::Word(_) => main.push(form.clone()),
        }
    }
    bodies.push((Vec::new(), &main));
    // SAFETY: each is replaced below; nothing looks at a program before it is whole.
    let to_come = unsafe { Code::from_bits(0) };
    let program = Root::new(Program::alloc(bodies.len() as i64, to_come));
    for (index, (params, body)) in bodies.iter().enumerate() {
        let mut function = Function { known: &known, locals: params.clone(), ops: Vec::new(), height: 0, greatest: 1 };
        function.body(body)?;
        function.emit(op::RETURN, 0, -1);
        let locals = function.locals.len() as i64;
        let code = Code::alloc(
            params.len() as i64,
            locals,
            locals + function.greatest,
            program.get(),
            2 * function.ops.len() as i64,
            0,
        );
        // SAFETY: no code has run yet.
        unsafe {
            for (place, (op, operand)) in function.ops.into_iter().enumerate() {
                code.set_ops(2 * place as i64, op);
                code.set_ops(2 * place as i64 + 1, operand);
            }
            program.get().set_functions(index as i64, code);
        }
    }
    Ok(program)
}
