//! From text to syntax trees.
//!
//! ```text
//! fn hypotenuse(a, b) { sqrt(a * a + b * b) }
//! let sum = 0.0;
//! let i = 0;
//! while i < 10 { sum = sum + hypotenuse(i, 1); i = i + 1 }
//! sum
//! ```
//!
//! Semicolons separate; a variable belongs to the function (or to the program outside all functions) that first assigns it.

use crate::{Function, Node, Value, kind};
use metajit::Maybe;
use metajit::gc::Root;
use std::collections::HashMap;

/// The operators, from loosest to tightest binding, and how tightly.
pub const OPERATORS: [(&str, u32); 8] =
    [("<", 1), ("<=", 1), ("==", 1), ("+", 2), ("-", 2), ("*", 3), ("/", 3), ("%", 3)];

/// The functions of the language.
pub const BUILTINS: [&str; 6] = ["sqrt", "floor", "int", "abs", "sin", "fail"];

/// What is wrong with a program, and where (in bytes).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where.
    pub offset: usize,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.message)
    }
}
impl std::error::Error for Mistake {}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, &'a str)>,
    next: usize,
    functions: HashMap<&'a str, Root<Function>>,
    variables: Vec<&'a str>,
    /// Keeps alive what is not yet in the tree.
    nodes: Vec<Root<Node>>,
}

/// Parses a program: a function that runs it.
///
/// # Errors
/// The first mistake.
pub fn parse(text: &str) -> Result<Root<Function>, Mistake> {
    let mut parser = Parser {
        text,
        tokens: tokens(text),
        next: 0,
        functions: HashMap::new(),
        variables: Vec::new(),
        nodes: Vec::new(),
    };
    let main = Root::new(Function::alloc(0, 0, to_come()));
    let body = parser.statements(true)?;
    main.get().set_body(body);
    main.get().set_locals(parser.variables.len() as i64);
    Ok(main)
}

/// Stands for a node until there is one.
fn to_come() -> Node {
    // SAFETY: whoever asks replaces it before the program runs.
    unsafe { Node::from_bits(0) }
}

fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |test: fn(char) -> bool| rest.find(|c| !test(c)).unwrap_or(rest.len());
        let len = if first.is_whitespace() {
            first.len_utf8()
        } else if first.is_ascii_digit() {
            let digits = word(|c| c.is_ascii_alphanumeric() || c == '.');
            // An exponent may have a sign.
            match rest[digits..].chars().next() {
                Some('+' | '-') if rest[..digits].ends_with('e') => {
                    let more = &rest[digits + 1..];
                    digits + 1 + more.find(|c: char| !c.is_ascii_digit()).unwrap_or(more.len())
                }
                _ => digits,
            }
        } else if first.is_alphabetic() || first == '_' {
            word(|c| c.is_alphanumeric() || c == '_')
        } else if rest.starts_with("<=") || rest.starts_with("==") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push((text.len() - rest.len(), &rest[..len]));
        }
        rest = &rest[len..];
    }
    tokens
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.tokens.get(self.next).map_or("", |token| token.1)
    }
    fn offset(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |token| token.0)
    }
    fn take(&mut self) -> &'a str {
        let token = self.peek();
        self.next += 1;
        token
    }
    fn mistake<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake { offset: self.offset(), message: message.into() })
    }
    fn accept(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.next += usize::from(found);
        found
    }
    fn expect(&mut self, token: &str) -> Result<(), Mistake> {
        if self.accept(token) {
            return Ok(());
        }
        self.mistake(format!("`{token}` was expected, not `{}`", self.peek()))
    }
    fn name(&mut self) -> Result<&'a str, Mistake> {
        if self.peek().starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Ok(self.take());
        }
        self.mistake("a name was expected")
    }

    fn node(&mut self, kind: i64, number: i64, children: &[Node]) -> Node {
        self.full_node(kind, number, Value::ZERO, Maybe::none(), children)
    }
    fn full_node(
        &mut self,
        kind: i64,
        number: i64,
        constant: Value,
        function: Maybe<Function>,
        children: &[Node],
    ) -> Node {
        let node = Node::alloc(kind, number, constant, function, children.len() as i64, to_come());
        for (index, &child) in children.iter().enumerate() {
            // SAFETY: nothing has seen the node yet.
            unsafe { node.set_children(index as i64, child) };
        }
        self.nodes.push(Root::new(node));
        node
    }

    fn slot(&mut self, name: &'a str) -> i64 {
        let known = self.variables.iter().position(|&variable| variable == name);
        known.unwrap_or_else(|| {
            self.variables.push(name);
            self.variables.len() - 1
        }) as i64
    }

    fn statements(&mut self, outermost: bool) -> Result<Node, Mistake> {
        let mut items = Vec::new();
        loop {
            while self.accept(";") {}
            match self.peek() {
                "" if outermost => break,
                "}" if !outermost => break,
                "fn" if outermost => self.function()?,
                _ => {
                    let ends_with_block = matches!(self.peek(), "while" | "if");
                    items.push(self.statement()?);
                    if !ends_with_block && !matches!(self.peek(), "}" | "") {
                        self.expect(";")?;
                    }
                }
            }
        }
        Ok(self.node(kind::BLOCK, 0, &items))
    }

    fn block(&mut self) -> Result<Node, Mistake> {
        self.expect("{")?;
        let block = self.statements(false)?;
        self.expect("}")?;
        Ok(block)
    }

    fn function(&mut self) -> Result<(), Mistake> {
        self.expect("fn")?;
        let name = self.name()?;
        let outer = std::mem::take(&mut self.variables);
        self.expect("(")?;
        while !self.accept(")") {
            let parameter = self.name()?;
            self.slot(parameter);
            if self.peek() != ")" {
                self.expect(",")?;
            }
        }
        let function = Root::new(Function::alloc(self.variables.len() as i64, 0, to_come()));
        let handle = function.get();
        self.functions.insert(name, function);
        let body = self.block()?;
        handle.set_body(body);
        handle.set_locals(self.variables.len() as i64);
        self.variables = outer;
        Ok(())
    }

    fn statement(&mut self) -> Result<Node, Mistake> {
        let offset = self.offset();
        if self.accept("while") {
            let condition = self.expression(0)?;
            let body = self.block()?;
            return Ok(self.node(kind::WHILE, offset as i64, &[condition, body]));
        }
        let declares = self.accept("let");
        let after = self.tokens.get(self.next + 1).map_or("", |token| token.1);
        if declares || after == "=" {
            let name = self.name()?;
            self.expect("=")?;
            let value = self.expression(0)?;
            let slot = self.slot(name);
            return Ok(self.node(kind::ASSIGN, slot, &[value]));
        }
        self.expression(0)
    }

    fn expression(&mut self, tightness: u32) -> Result<Node, Mistake> {
        let mut left = self.operand()?;
        while let Some(number) = OPERATORS.iter().position(|row| row.0 == self.peek()) {
            let binds = OPERATORS[number].1;
            if binds <= tightness {
                break;
            }
            self.next += 1;
            let right = self.expression(binds)?;
            left = self.node(kind::BINARY, number as i64, &[left, right]);
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, Mistake> {
        if self.accept("(") {
            let inner = self.expression(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.accept("-") {
            let operand = self.operand()?;
            return Ok(self.node(kind::NEGATE, 0, &[operand]));
        }
        if self.accept("if") {
            let condition = self.expression(0)?;
            let then = self.block()?;
            let otherwise = if !self.accept("else") {
                self.node(kind::BLOCK, 0, &[])
            } else if self.peek() == "if" {
                self.operand()?
            } else {
                self.block()?
            };
            return Ok(self.node(kind::IF, 0, &[condition, then, otherwise]));
        }
        if self.peek().starts_with(|c: char| c.is_ascii_digit()) {
            let text = self.peek();
            let value = match (text.parse().map(Value::int), text.parse().map(Value::float)) {
                (Ok(value), _) | (_, Ok(value)) => value,
                _ => return self.mistake(format!("`{text}` is no number")),
            };
            self.next += 1;
            return Ok(self.full_node(kind::CONSTANT, 0, value, Maybe::none(), &[]));
        }
        let name = self.name()?;
        if self.peek() != "(" {
            let slot = self.slot(name);
            return Ok(self.node(kind::VARIABLE, slot, &[]));
        }
        self.call(name)
    }

    fn call(&mut self, name: &str) -> Result<Node, Mistake> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.accept(")") {
            arguments.push(self.expression(0)?);
            if self.peek() != ")" {
                self.expect(",")?;
            }
        }
        if let Some(function) = self.functions.get(name).map(|function| function.get()) {
            if arguments.len() as i64 != function.params() {
                return self.mistake(format!("`{name}` takes {} arguments", function.params()));
            }
            return Ok(self.full_node(kind::CALL, 0, Value::ZERO, Maybe::some(function), &arguments));
        }
        match BUILTINS.iter().position(|&builtin| builtin == name) {
            Some(number) if arguments.len() == 1 => Ok(self.node(kind::BUILTIN, number as i64, &arguments)),
            Some(_) => self.mistake(format!("`{name}` takes one argument")),
            None => self.mistake(format!("there is no function `{name}`")),
        }
    }
}
