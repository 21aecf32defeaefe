//! The parser: tokens to syntax tree, by recursive descent along the language's grammar.
//!
//! The grammar is small and needs one token of lookahead, except that a name followed by `:=` is assigned to.
//! Nesting is bounded by [`MAX_NESTING`], so that no text, however strange, exhausts the stack.
//! What the grammar allows and the language does not (assigning to `self`, two variables of one name in one
//! list) is refused here too; what needs to know the class (fields, superclasses) is the compiler's.

use crate::ast::{BlockDef, Body, ClassDef, Expression, Literal, MethodDef, Send, Side, Statement};
use crate::lexer::{Lexeme, Pos, SyntaxError, Token, tokenize};
use num_bigint::BigInt;
use std::rc::Rc;

/// How deep parentheses, blocks and literal arrays may nest: deeper than any program a person or a tool
/// writes, shallow enough for every recursive pass over the tree.
pub const MAX_NESTING: usize = 1000;

/// How many messages one expression may chain without parentheses: the tree of a chain is as deep as it is long.
pub const MAX_CHAIN: usize = 10_000;

type Parsed<T> = Result<T, SyntaxError>;

struct Parser {
    lexemes: Vec<Lexeme>,
    at: usize,
    nesting: usize,
    blocks: usize,
}

/// Parses a class file.
///
/// # Errors
/// At the first token that does not fit.
pub fn parse_class(source: &str) -> Parsed<ClassDef> {
    let mut parser = Parser::new(source)?;
    let class = parser.class()?;
    parser.expect_end("a class file holds one class")?;
    Ok(class)
}

/// Parses statements as an interactive shell reads them: the body of a method without its parentheses.
///
/// The value of the last statement is the value of all; variables are globals.
///
/// # Errors
/// At the first token that does not fit.
pub fn parse_statements(source: &str) -> Parsed<MethodDef> {
    let mut parser = Parser::new(source)?;
    let mut body = parser.body()?;
    parser.expect_end("a statement ends with a period")?;
    let pos = Pos { line: 1, column: 1 };
    let mut statements: Vec<Statement> =
        body.locals.drain(..).map(|name| Statement::Expression(set_global(name, pos, nil(pos)))).collect();
    let last = body.statements.len().saturating_sub(1);
    for (index, statement) in body.statements.into_iter().enumerate() {
        match statement {
            Statement::Expression(Expression::Assignment(mut targets, value)) if targets.len() == 1 => {
                let (name, pos) = targets.remove(0);
                let stored = Expression::Variable(name.clone(), pos);
                statements.push(Statement::Expression(set_global(name, pos, *value)));
                if index == last {
                    statements.push(Statement::Return(stored, pos));
                }
            }
            Statement::Expression(value) if index == last => {
                statements.push(Statement::Return(value, pos));
            }
            other => statements.push(other),
        }
    }
    body.statements = statements;
    Ok(MethodDef {
        selector: "statement".into(),
        pos,
        arguments: Vec::new(),
        body: Some(body),
        block_count: parser.blocks,
    })
}

fn nil(pos: Pos) -> Expression {
    Expression::Variable("nil".into(), pos)
}

/// `system global: #name put: value`
fn set_global(name: Rc<str>, pos: Pos, value: Expression) -> Expression {
    let system = Expression::Variable("system".into(), pos);
    let symbol = Expression::Literal(Literal::Symbol(name));
    send(pos, system, "global:put:".into(), vec![symbol, value])
}

impl Parser {
    fn new(source: &str) -> Parsed<Parser> {
        Ok(Parser { lexemes: tokenize(source)?, at: 0, nesting: 0, blocks: 0 })
    }

    fn token(&self) -> &Token {
        &self.lexemes[self.at].token
    }

    fn pos(&self) -> Pos {
        self.lexemes[self.at].pos
    }

    fn peek(&self, ahead: usize) -> &Token {
        let last = self.lexemes.len() - 1;
        &self.lexemes[(self.at + ahead).min(last)].token
    }

    fn advance(&mut self) -> Token {
        let token = self.lexemes[self.at].token.clone();
        if self.at + 1 < self.lexemes.len() {
            self.at += 1;
        }
        token
    }

    fn accept(&mut self, token: &Token) -> bool {
        let fits = self.token() == token;
        if fits {
            self.advance();
        }
        fits
    }

    fn is_operator(&self, text: &str) -> bool {
        matches!(self.token(), Token::Operator(operator) if &**operator == text)
    }

    fn accept_operator(&mut self, text: &str) -> bool {
        let fits = self.is_operator(text);
        if fits {
            self.advance();
        }
        fits
    }

    fn error<T>(&self, pos: Pos, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { pos, message: message.into() })
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        self.error(self.pos(), format!("expected {expected}, found {}", self.token().describe()))
    }

    fn expect(&mut self, token: &Token, expected: &str) -> Parsed<()> {
        if self.accept(token) { Ok(()) } else { self.unexpected(expected) }
    }

    fn expect_end(&mut self, reason: &str) -> Parsed<()> {
        if *self.token() == Token::End {
            Ok(())
        } else {
            self.error(self.pos(), format!("unexpected {}: {reason}", self.token().describe()))
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return self.error(self.pos(), format!("this is nested more than {MAX_NESTING} deep"));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn identifier(&mut self, expected: &str) -> Parsed<Rc<str>> {
        match self.token() {
            Token::Identifier(name) => {
                let name = name.clone();
                self.advance();
                Ok(name)
            }
            _ => self.unexpected(expected),
        }
    }

    fn class(&mut self) -> Parsed<ClassDef> {
        let pos = self.pos();
        let name = self.identifier("the name of the class")?;
        if !self.accept_operator("=") {
            return self.unexpected("'='");
        }
        let superclass_pos = self.pos();
        let superclass = match self.token() {
            Token::Identifier(name) => {
                let name = name.clone();
                self.advance();
                Some((name, superclass_pos))
            }
            _ => None,
        };
        self.expect(&Token::OpenParen, "'('")?;
        let instance = self.side()?;
        let class = if self.accept(&Token::Separator) { self.side()? } else { Side::default() };
        self.expect(&Token::CloseParen, "a method, '----' or ')'")?;
        Ok(ClassDef { name, pos, superclass, instance, class })
    }

    fn side(&mut self) -> Parsed<Side> {
        let mut side = Side::default();
        if self.accept_operator("|") {
            while let Token::Identifier(_) = self.token() {
                let pos = self.pos();
                let name = self.identifier("a field")?;
                if is_reserved(&name) {
                    return self.error(pos, format!("a field can't be named '{name}'"));
                }
                if side.fields.iter().any(|(other, _)| *other == name) {
                    return self.error(pos, format!("there is a field '{name}' already"));
                }
                side.fields.push((name, pos));
            }
            if !self.accept_operator("|") {
                return self.unexpected("a field or '|'");
            }
        } else {
            self.accept_operator("||");
        }
        while !matches!(self.token(), Token::Separator | Token::CloseParen | Token::End) {
            let method = self.method()?;
            side.methods.push(Rc::new(method));
        }
        Ok(side)
    }

    fn method(&mut self) -> Parsed<MethodDef> {
        self.blocks = 0;
        let pos = self.pos();
        let mut arguments = Vec::new();
        let selector: Rc<str> = match self.advance() {
            Token::Identifier(name) => name,
            Token::Operator(name) => {
                self.argument(&mut arguments)?;
                name
            }
            Token::Keyword(first) => {
                let mut selector = first.to_string();
                self.argument(&mut arguments)?;
                while let Token::Keyword(more) = self.token() {
                    selector.push_str(more);
                    self.advance();
                    self.argument(&mut arguments)?;
                }
                selector.into()
            }
            other => {
                return self.error(pos, format!("expected a method, found {}", other.describe()));
            }
        };
        if !self.accept_operator("=") {
            return self.unexpected("'=' after the pattern of a method");
        }
        let body = match self.token() {
            Token::Identifier(name) if &**name == "primitive" => {
                self.advance();
                None
            }
            Token::OpenParen => {
                self.advance();
                let body = self.body()?;
                self.expect(&Token::CloseParen, "an operator, '.' or ')'")?;
                Some(body)
            }
            _ => return self.unexpected("'(' or 'primitive'"),
        };
        Ok(MethodDef { selector, pos, arguments, body, block_count: self.blocks })
    }

    fn argument(&mut self, names: &mut Vec<Rc<str>>) -> Parsed<()> {
        let pos = self.pos();
        let name = self.identifier("the name of an argument")?;
        self.declare(names, name, pos)
    }

    fn declare(&mut self, names: &mut Vec<Rc<str>>, name: Rc<str>, pos: Pos) -> Parsed<()> {
        if is_reserved(&name) {
            return self.error(pos, format!("a variable can't be named '{name}'"));
        }
        if names.contains(&name) {
            return self.error(pos, format!("there is a variable '{name}' already"));
        }
        names.push(name);
        Ok(())
    }

    fn body(&mut self) -> Parsed<Body> {
        let mut body = Body::default();
        if self.accept_operator("|") {
            while let Token::Identifier(_) = self.token() {
                let pos = self.pos();
                let name = self.identifier("a variable")?;
                self.declare(&mut body.locals, name, pos)?;
            }
            if !self.accept_operator("|") {
                return self.unexpected("a variable or '|'");
            }
        } else {
            self.accept_operator("||");
        }
        loop {
            match self.token() {
                Token::CloseParen | Token::CloseBracket | Token::End => return Ok(body),
                Token::Caret => {
                    let pos = self.pos();
                    self.advance();
                    let value = self.expression()?;
                    self.accept(&Token::Period);
                    body.statements.push(Statement::Return(value, pos));
                    return Ok(body);
                }
                _ => {
                    let value = self.expression()?;
                    body.statements.push(Statement::Expression(value));
                    if !self.accept(&Token::Period) {
                        return Ok(body);
                    }
                }
            }
        }
    }

    fn expression(&mut self) -> Parsed<Expression> {
        self.nested(|p| {
            let mut targets = Vec::new();
            while let (Token::Identifier(name), Token::Assign) = (p.token(), p.peek(1)) {
                let (name, pos) = (name.clone(), p.pos());
                if is_reserved(&name) {
                    return p.error(pos, format!("'{name}' can't be assigned to"));
                }
                p.advance();
                p.advance();
                targets.push((name, pos));
            }
            let value = p.evaluation()?;
            Ok(if targets.is_empty() { value } else { Expression::Assignment(targets, Box::new(value)) })
        })
    }

    fn evaluation(&mut self) -> Parsed<Expression> {
        let receiver = self.primary()?;
        let receiver = self.unary_messages(receiver)?;
        let receiver = self.binary_messages(receiver)?;
        let pos = self.pos();
        let Token::Keyword(_) = self.token() else {
            return Ok(receiver);
        };
        let mut selector = String::new();
        let mut arguments = Vec::new();
        while let Token::Keyword(part) = self.token() {
            selector.push_str(part);
            self.advance();
            let argument = self.nested(Parser::formula)?;
            arguments.push(argument);
        }
        Ok(send(pos, receiver, selector.into(), arguments))
    }

    fn formula(&mut self) -> Parsed<Expression> {
        let operand = self.operand()?;
        self.binary_messages(operand)
    }

    fn operand(&mut self) -> Parsed<Expression> {
        let primary = self.primary()?;
        self.unary_messages(primary)
    }

    fn unary_messages(&mut self, mut receiver: Expression) -> Parsed<Expression> {
        let mut chain = 0;
        while let Token::Identifier(name) = self.token() {
            let (name, pos) = (name.clone(), self.pos());
            chain += 1;
            self.check_chain(chain)?;
            self.advance();
            receiver = send(pos, receiver, name, Vec::new());
        }
        Ok(receiver)
    }

    fn binary_messages(&mut self, mut receiver: Expression) -> Parsed<Expression> {
        let mut chain = 0;
        while let Token::Operator(name) = self.token() {
            let (name, pos) = (name.clone(), self.pos());
            chain += 1;
            self.check_chain(chain)?;
            self.advance();
            let argument = self.operand()?;
            receiver = send(pos, receiver, name, vec![argument]);
        }
        Ok(receiver)
    }

    fn check_chain(&self, length: usize) -> Parsed<()> {
        if length <= MAX_CHAIN {
            return Ok(());
        }
        self.error(self.pos(), format!("this expression chains more than {MAX_CHAIN} messages"))
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let pos = self.pos();
        match self.token().clone() {
            Token::Identifier(name) => {
                self.advance();
                Ok(if &*name == "super" { Expression::Super(pos) } else { Expression::Variable(name, pos) })
            }
            Token::OpenParen => {
                self.advance();
                let inner = self.expression()?;
                self.expect(&Token::CloseParen, "an operator or ')'")?;
                Ok(inner)
            }
            Token::OpenBracket => self.nested(Parser::block),
            Token::Operator(minus) if &*minus == "-" => self.literal().map(Expression::Literal),
            Token::Pound | Token::Integer(_) | Token::Double(_) | Token::String(_) => {
                self.literal().map(Expression::Literal)
            }
            _ => self.unexpected("an expression"),
        }
    }

    fn block(&mut self) -> Parsed<Expression> {
        let pos = self.pos();
        let id = self.blocks;
        self.blocks += 1;
        self.expect(&Token::OpenBracket, "'['")?;
        let mut arguments = Vec::new();
        while self.accept(&Token::Colon) {
            self.argument(&mut arguments)?;
        }
        let mut empty_locals = false;
        if !arguments.is_empty() && *self.token() != Token::CloseBracket {
            if self.accept_operator("||") {
                // The end of the arguments and the beginning of the variables, written without a gap.
                empty_locals = true;
            } else if !self.accept_operator("|") {
                return self.unexpected("':' and an argument, or '|'");
            }
        }
        let body = if empty_locals { self.body_after_bar()? } else { self.body()? };
        for name in &body.locals {
            if arguments.contains(name) {
                return self.error(pos, format!("there is an argument '{name}' already"));
            }
        }
        self.expect(&Token::CloseBracket, "an operator, '.' or ']'")?;
        Ok(Expression::Block(Rc::new(BlockDef { id, pos, arguments, body })))
    }

    /// A body whose first `|` has been read already as half of `||`.
    fn body_after_bar(&mut self) -> Parsed<Body> {
        let mut locals = Vec::new();
        if let Token::Identifier(_) = self.token() {
            let begin = self.at;
            while let Token::Identifier(_) = self.token() {
                let pos = self.pos();
                let name = self.identifier("a variable")?;
                self.declare(&mut locals, name, pos)?;
            }
            if !self.accept_operator("|") {
                // `[:a || a]`: the second bar began an empty list that is not closed.
                self.at = begin;
                locals.clear();
            }
        }
        let mut body = self.body()?;
        locals.append(&mut body.locals);
        body.locals = locals;
        Ok(body)
    }

    fn literal(&mut self) -> Parsed<Literal> {
        match self.advance() {
            Token::Operator(minus) if &*minus == "-" => match self.advance() {
                Token::Integer(text) => Ok(Literal::Integer(-integer(&text))),
                Token::Double(text) => Ok(Literal::Double(-double(&text))),
                _ => {
                    self.at -= 1;
                    self.unexpected("a number after '-'")
                }
            },
            Token::Integer(text) => Ok(Literal::Integer(integer(&text))),
            Token::Double(text) => Ok(Literal::Double(double(&text))),
            Token::String(text) => Ok(Literal::String(text)),
            Token::Pound => match self.token() {
                Token::OpenParen => self.nested(Parser::literal_array),
                _ => self.symbol(),
            },
            _ => {
                self.at -= 1;
                self.unexpected("a literal")
            }
        }
    }

    fn literal_array(&mut self) -> Parsed<Literal> {
        self.expect(&Token::OpenParen, "'('")?;
        let mut elements = Vec::new();
        loop {
            match self.token() {
                Token::CloseParen => {
                    self.advance();
                    return Ok(Literal::Array(elements));
                }
                Token::Pound | Token::Integer(_) | Token::Double(_) | Token::String(_) => {
                    elements.push(self.literal()?);
                }
                Token::Operator(minus) if &**minus == "-" => elements.push(self.literal()?),
                _ => return self.unexpected("a literal or ')'"),
            }
        }
    }

    fn symbol(&mut self) -> Parsed<Literal> {
        match self.token().clone() {
            Token::Identifier(text) | Token::String(text) | Token::Operator(text) => {
                self.advance();
                Ok(Literal::Symbol(text))
            }
            Token::Keyword(text) => {
                self.advance();
                let mut selector = text.to_string();
                while let Lexeme { token: Token::Keyword(more), adjacent: true, .. } = &self.lexemes[self.at] {
                    selector.push_str(more);
                    self.advance();
                }
                Ok(Literal::Symbol(selector.into()))
            }
            _ => self.unexpected("the name of a symbol or '(' after '#'"),
        }
    }
}

fn send(pos: Pos, receiver: Expression, selector: Rc<str>, arguments: Vec<Expression>) -> Expression {
    Expression::Send(Box::new(Send { pos, receiver, selector, arguments }))
}

fn integer(digits: &str) -> BigInt {
    digits.parse().unwrap_or_default()
}

fn double(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn is_reserved(name: &str) -> bool {
    name == "self" || name == "super"
}
