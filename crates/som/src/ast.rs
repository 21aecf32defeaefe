//! The syntax tree: what the parser makes and the compiler reads.
//!
//! Blocks are numbered within their method in source order; the compiler's tables about blocks are indexed by
//! these numbers, so that the tree itself stays as the parser left it and can be compiled again (see
//! `compiler`, which compiles a method a second time when an inlining assumption fails).

use crate::lexer::Pos;
use num_bigint::BigInt;
use std::rc::Rc;

/// A class file.
#[derive(Debug, Clone)]
pub struct ClassDef {
    /// The class's name.
    pub name: Rc<str>,
    /// Where the name stands.
    pub pos: Pos,
    /// The name after `=`; `nil` for a root.
    pub superclass: Option<(Rc<str>, Pos)>,
    /// The instance side.
    pub instance: Side,
    /// The class side.
    pub class: Side,
}

/// One side of a class: its own fields and methods.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Names of fields with their places.
    pub fields: Vec<(Rc<str>, Pos)>,
    /// Methods in source order.
    pub methods: Vec<Rc<MethodDef>>,
}

/// A method.
#[derive(Debug, Clone)]
pub struct MethodDef {
    /// The selector.
    pub selector: Rc<str>,
    /// Where the pattern begins.
    pub pos: Pos,
    /// Names of the arguments, without `self`.
    pub arguments: Vec<Rc<str>>,
    /// The code; `None` for a primitive.
    pub body: Option<Body>,
    /// How many blocks it has.
    pub block_count: usize,
}

/// Local variables and statements.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Names of the local variables.
    pub locals: Vec<Rc<str>>,
    /// Statements; only the last is a return.
    pub statements: Vec<Statement>,
}

/// A statement.
#[derive(Debug, Clone)]
pub enum Statement {
    /// An expression.
    Expression(Expression),
    /// `^` and an expression.
    Return(Expression, Pos),
}

/// A literal block.
#[derive(Debug, Clone)]
pub struct BlockDef {
    /// Its number within the method.
    pub id: usize,
    /// Where it begins.
    pub pos: Pos,
    /// Names of its arguments.
    pub arguments: Vec<Rc<str>>,
    /// Its code.
    pub body: Body,
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// An integer of any size.
    Integer(BigInt),
    /// A double.
    Double(f64),
    /// A string.
    String(Rc<str>),
    /// A symbol.
    Symbol(Rc<str>),
    /// An array.
    Array(Vec<Literal>),
}

/// A message send.
#[derive(Debug, Clone)]
pub struct Send {
    /// Where the selector begins.
    pub pos: Pos,
    /// The receiver; `super` is [`Expression::Super`].
    pub receiver: Expression,
    /// The selector.
    pub selector: Rc<str>,
    /// The arguments.
    pub arguments: Vec<Expression>,
}

/// An expression.
#[derive(Debug, Clone)]
pub enum Expression {
    /// A literal.
    Literal(Literal),
    /// A name, `self` included.
    Variable(Rc<str>, Pos),
    /// `super`, as a receiver (elsewhere it means `self`).
    Super(Pos),
    /// One or more variables and the value they get.
    Assignment(Vec<(Rc<str>, Pos)>, Box<Expression>),
    /// A message send.
    Send(Box<Send>),
    /// A literal block.
    Block(Rc<BlockDef>),
}
