//! Calc, a calculator language with variables, loops and functions, interpreted by walking its syntax tree.
//!
//! There is no bytecode and no program counter. What tells one place of a program from another is the node: the loop node
//! is the green of [`run_loop`], and the function is the green of [`invoke`]. Everything else is recursive [`eval`], which the
//! JIT looks into: nodes are constants of a trace, so the walk over the tree leaves nothing behind.

pub mod parser;
pub mod value;

pub use value::{Error, Value};

use metajit::prelude::*;

/// A node of the syntax tree.
#[jit_object]
pub struct Node {
    #[immutable]
    kind: i64,
    /// A variable's slot, or the operator's number.
    #[immutable]
    number: i64,
    #[immutable]
    constant: Value,
    #[immutable]
    function: Maybe<Function>,
    #[immutable]
    children: [Node],
}

/// A function. Its body comes after it (it may call itself) and can be replaced: that throws away code that inlined it.
#[jit_object]
pub struct Function {
    #[immutable]
    params: i64,
    #[quasi_immutable]
    locals: i64,
    #[quasi_immutable]
    body: Node,
}

/// The variables of one activation.
#[jit_object]
pub struct Scope {
    /// Calls around this one.
    #[immutable]
    depth: i64,
    variables: [Value],
}

/// Calls may be nested this deeply.
pub const MAX_DEPTH: i64 = 60;

/// What nodes there are.
pub mod kind {
    /// A number.
    pub const CONSTANT: i64 = 0;
    /// A variable's value.
    pub const VARIABLE: i64 = 1;
    /// Sets a variable; its value is the new one.
    pub const ASSIGN: i64 = 2;
    /// An operator with two operands.
    pub const BINARY: i64 = 3;
    /// The operand with the other sign.
    pub const NEGATE: i64 = 4;
    /// A condition and two ways.
    pub const IF: i64 = 5;
    /// One node after the other; the value is the last one's.
    pub const BLOCK: i64 = 6;
    /// A condition and a body; the value is 0.
    pub const WHILE: i64 = 7;
    /// A function and its arguments.
    pub const CALL: i64 = 8;
    /// A function of the language itself.
    pub const BUILTIN: i64 = 9;
}

/// The operators, in the order of [`parser::OPERATORS`].
mod operator {
    pub(crate) const LESS: i64 = 0;
    pub(crate) const LESS_EQUAL: i64 = 1;
    pub(crate) const EQUAL: i64 = 2;
    pub(crate) const ADD: i64 = 3;
    pub(crate) const SUB: i64 = 4;
    pub(crate) const MUL: i64 = 5;
    pub(crate) const DIV: i64 = 6;
}

/// The functions of the language, in the order of [`parser::BUILTINS`].
mod builtin {
    pub(crate) const SQRT: i64 = 0;
    pub(crate) const FLOOR: i64 = 1;
    pub(crate) const INT: i64 = 2;
    pub(crate) const ABS: i64 = 3;
    pub(crate) const SIN: i64 = 4;
}

#[jit]
fn binary(operator: i64, a: Value, b: Value) -> Result<Value, Error> {
    match operator {
        operator::LESS => Ok(Value::truth(a.less(b))),
        operator::LESS_EQUAL => Ok(Value::truth(a.less_equal(b))),
        operator::EQUAL => Ok(Value::truth(a.equals(b))),
        operator::ADD => Ok(a.add(b)),
        operator::SUB => Ok(a.sub(b)),
        operator::MUL => Ok(a.mul(b)),
        operator::DIV => a.div(b),
        _ => a.rem(b),
    }
}

#[elidable]
fn sine(x: f64) -> f64 {
    x.sin()
}

#[jit]
fn built_in(number: i64, x: Value) -> Result<Value, Error> {
    match number {
        builtin::SQRT => Ok(Value::float(x.as_float().sqrt())),
        builtin::FLOOR => Ok(Value::float(x.as_float().floor())),
        builtin::INT => Ok(Value::int(x.as_float() as i64)),
        builtin::ABS => {
            if x.is_int() {
                Ok(Value::int(x.as_int().abs()))
            } else {
                Ok(Value::float(x.as_float().abs()))
            }
        }
        builtin::SIN => Ok(Value::float(sine(x.as_float()))),
        _ => Err(Error::Failed(x.as_float() as i64)),
    }
}

/// The value of a node.
#[jit]
pub fn eval(node: Node, scope: Scope) -> Result<Value, Error> {
    let value = match node.kind() {
        kind::CONSTANT => node.constant(),
        kind::VARIABLE => scope.variables(node.number()),
        kind::ASSIGN => {
            let value = eval(node.children(0), scope)?;
            scope.set_variables(node.number(), value);
            value
        }
        kind::BINARY => {
            let a = eval(node.children(0), scope)?;
            let b = eval(node.children(1), scope)?;
            binary(node.number(), a, b)?
        }
        kind::NEGATE => Value::ZERO.sub(eval(node.children(0), scope)?),
        kind::IF => {
            if eval(node.children(0), scope)?.is_true() {
                eval(node.children(1), scope)?
            } else {
                eval(node.children(2), scope)?
            }
        }
        kind::BLOCK => {
            let mut value = Value::ZERO;
            for index in 0..node.children_len() {
                value = eval(node.children(index), scope)?;
            }
            value
        }
        kind::WHILE => run_loop(node, scope)?,
        kind::CALL => {
            let Some(function) = node.function().get() else {
                panic!("a call names its function");
            };
            let depth = scope.depth() + 1;
            if depth > MAX_DEPTH {
                return Err(Error::TooDeep);
            }
            let inner = Scope::alloc(depth, function.locals(), Value::ZERO);
            for index in 0..function.params() {
                inner.set_variables(index, eval(node.children(index), scope)?);
            }
            invoke(function, inner)?
        }
        _ => built_in(node.number(), eval(node.children(0), scope)?)?,
    };
    Ok(value)
}

/// Runs a loop node.
#[jit_driver(greens = [node], reds = [scope], virtualizable = scope, location = format!("loop at {}", node.number()))]
fn run_loop(node: Node, scope: Scope) -> Result<Value, Error> {
    loop {
        jit_merge_point!();
        if !eval(node.children(0), scope)?.is_true() {
            return Ok(Value::ZERO);
        }
        eval(node.children(1), scope)?;
        can_enter_jit!();
    }
}

/// Runs a function's body. Its merge point makes hot functions places of their own, and bounds how far recursion is inlined.
#[jit_driver(greens = [function], reds = [scope], virtualizable = scope, given)]
fn invoke(function: Function, scope: Scope) -> Result<Value, Error> {
    loop {
        jit_merge_point!();
        return eval(function.body(), scope);
    }
}

/// Runs a program.
pub fn run(main: Function) -> Result<Value, Error> {
    invoke(main, Scope::alloc(0, main.locals(), Value::ZERO))
}
