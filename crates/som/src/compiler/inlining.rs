//! Which sends are inlined: control structures whose blocks are literal.
//!
//! The language has no control structures, only messages to Booleans, blocks and integers. The compiler turns
//! them into jumps where the arguments are literal blocks of the right number of arguments, and only if the
//! library's own methods say what the jumps do ([`Assumptions`], found out when the library is loaded). What the
//! receiver is shows at run time; where it is not what was assumed, the message is sent after all (see `codegen`).

use crate::ast::{BlockDef, Expression, Send};
use std::rc::Rc;

/// The control structures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Structure {
    /// `ifTrue:`
    IfTrue,
    /// `ifFalse:`
    IfFalse,
    /// `ifTrue:ifFalse:`
    IfTrueIfFalse,
    /// `ifFalse:ifTrue:`
    IfFalseIfTrue,
    /// `ifNil:`
    IfNil,
    /// `ifNotNil:`
    IfNotNil,
    /// `ifNil:ifNotNil:`
    IfNilIfNotNil,
    /// `ifNotNil:ifNil:`
    IfNotNilIfNil,
    /// `and:`
    And,
    /// `or:`
    Or,
    /// `&&`
    AndOperator,
    /// `||`
    OrOperator,
    /// `whileTrue:`
    WhileTrue,
    /// `whileFalse:`
    WhileFalse,
    /// `to:do:`
    ToDo,
    /// `downTo:do:`
    DownToDo,
    /// `to:by:do:`
    ToByDo,
    /// `downTo:by:do:`
    DownToByDo,
    /// `timesRepeat:`
    TimesRepeat,
}

/// How many structures there are.
pub const STRUCTURES: usize = Structure::TimesRepeat as usize + 1;

/// A selector's structure, the number of arguments of its receiver's block (if the receiver must be one), and of each argument's.
const TABLE: &[(&str, Structure, bool, &[Option<usize>])] = &[
    ("ifTrue:", Structure::IfTrue, false, &[Some(0)]),
    ("ifFalse:", Structure::IfFalse, false, &[Some(0)]),
    ("ifTrue:ifFalse:", Structure::IfTrueIfFalse, false, &[Some(0), Some(0)]),
    ("ifFalse:ifTrue:", Structure::IfFalseIfTrue, false, &[Some(0), Some(0)]),
    ("ifNil:", Structure::IfNil, false, &[Some(0)]),
    ("ifNotNil:", Structure::IfNotNil, false, &[Some(0)]),
    ("ifNil:ifNotNil:", Structure::IfNilIfNotNil, false, &[Some(0), Some(0)]),
    ("ifNotNil:ifNil:", Structure::IfNotNilIfNil, false, &[Some(0), Some(0)]),
    ("and:", Structure::And, false, &[Some(0)]),
    ("or:", Structure::Or, false, &[Some(0)]),
    ("&&", Structure::AndOperator, false, &[Some(0)]),
    ("||", Structure::OrOperator, false, &[Some(0)]),
    ("whileTrue:", Structure::WhileTrue, true, &[Some(0)]),
    ("whileFalse:", Structure::WhileFalse, true, &[Some(0)]),
    ("to:do:", Structure::ToDo, false, &[None, Some(1)]),
    ("downTo:do:", Structure::DownToDo, false, &[None, Some(1)]),
    ("to:by:do:", Structure::ToByDo, false, &[None, None, Some(1)]),
    ("downTo:by:do:", Structure::DownToByDo, false, &[None, None, Some(1)]),
    ("timesRepeat:", Structure::TimesRepeat, false, &[Some(0)]),
];

/// What the loaded library is known to say.
#[derive(Clone, Debug, Default)]
pub struct Assumptions {
    /// Per [`Structure`]: the library's methods do what the inlined form does.
    pub structures: [bool; STRUCTURES],
    /// Selectors whose methods in `Integer` and `Double` do what the arithmetic instructions do.
    pub operators: Vec<&'static str>,
    /// `Array`'s `at:` and `at:put:` are the primitives.
    pub array_access: bool,
    /// `True` and `False` answer `not` as expected.
    pub negation: bool,
    /// Blocks restart by the primitive.
    pub restart: bool,
}

impl Assumptions {
    /// Nothing is known: every send is a send.
    pub fn none() -> Assumptions {
        Assumptions::default()
    }
}

/// An expression as a literal block with so many arguments.
fn literal_block(expression: &Expression, arguments: usize) -> Option<&Rc<BlockDef>> {
    match expression {
        Expression::Block(block) if block.arguments.len() == arguments => Some(block),
        _ => None,
    }
}

/// The structure that a send is, if it is to be inlined.
pub fn structure(send: &Send, assumptions: &Assumptions) -> Option<Structure> {
    if matches!(send.receiver, Expression::Super(_)) {
        return None;
    }
    let (_, structure, block_receiver, shape) = TABLE.iter().find(|(selector, ..)| **selector == *send.selector)?;
    let fits = assumptions.structures[*structure as usize]
        && shape.len() == send.arguments.len()
        && (!block_receiver || literal_block(&send.receiver, 0).is_some())
        && shape.iter().zip(&send.arguments).all(|(wanted, argument)| match wanted {
            Some(count) => literal_block(argument, *count).is_some(),
            None => true,
        });
    fits.then_some(*structure)
}

impl Structure {
    /// The selector.
    pub fn selector(self) -> &'static str {
        TABLE[self as usize].0
    }

    /// Whether a block of it runs many times.
    pub fn is_loop(self) -> bool {
        self as usize >= Structure::WhileTrue as usize
    }

    /// Whether operand `index` (0 is the receiver) is a block that is inlined.
    pub fn inlines_operand(self, index: usize) -> bool {
        match self {
            Structure::WhileTrue | Structure::WhileFalse => true,
            Structure::ToDo | Structure::DownToDo => index == 2,
            Structure::ToByDo | Structure::DownToByDo => index == 3,
            _ => index > 0,
        }
    }
}
