//! Instructions and their operands.

use super::table::Op;
use crate::object::{Field, Shape};
use crate::word::Type;
use std::fmt;

/// The number of an instruction, and of the value it makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpRef(pub u32);

impl fmt::Display for OpRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}
impl fmt::Debug for OpRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// An operand: a constant's canonical bits, or the value of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arg {
    /// A constant (for a float operand, its IEEE pattern).
    Const(u64),
    /// The value of an instruction.
    Op(OpRef),
}

impl Arg {
    /// The constant's bits, if it is one.
    pub fn as_const(self) -> Option<u64> {
        match self {
            Arg::Const(bits) => Some(bits),
            Arg::Op(_) => None,
        }
    }
}

/// A run of operands in the pool of the tree or code that the instruction is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ArgRange {
    /// Index of the first.
    pub start: u32,
    /// How many.
    pub len: u32,
}

impl ArgRange {
    /// The positions in the pool.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// What a call may do, seen from the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Effect {
    /// Same arguments, same result, nothing else: may be folded, merged and dropped.
    Elidable,
    /// Anything: reads and writes every object it can reach, may run compiled code, may panic.
    Any,
    /// Anything, too: it is a portal, whose compiled code is called directly. See [`Callee`].
    Portal,
    /// The same with the portal's frame spread. See [`Spread`].
    Spread,
}

/// Native code that traces call: `extern "C" fn(word, …) -> u64`, words as integers (a float as its pattern). A callee
/// with more than one result word takes one more argument, where it writes the words after the first. One that may
/// panic catches the panic, hands it to the runtime ([`crate::rt`]), and returns 0.
///
/// A portal is called otherwise. The first argument word is the address of a [`CellHead`](crate::context::CellHead), the others
/// are the reds. They are stored in the context's slots, and the code that the cell names is called. If it does not return
/// [`FINISH`](crate::context::FINISH), or if the stack is low (then it is not called, and the number is
/// [`NO_CODE`](crate::context::NO_CODE)), the callee's function is called with the cell and the number, and finishes the call.
/// Either way all result words are in the context's results then, the first included.
///
/// A portal's frame may also be *spread*: a callee that says how ([`Callee::spread`]) is called in trees, with the reds; code may
/// call [`Spread::callee`] in its place.
#[derive(Debug)]
pub struct Callee {
    /// Its path in the source.
    pub name: &'static str,
    /// The function.
    pub address: *const (),
    /// Number of argument words.
    pub params: u8,
    /// Number of result words.
    pub results: u8,
    /// What it may do.
    pub effect: Effect,
    /// Of a portal: how its frame may be passed otherwise than by its address.
    pub spread: Option<&'static Spread>,
}

/// How a portal's frame (its virtualizable) is handed over by what it holds. The caller gives it away: nobody but the callee knows the
/// frame afterwards, so that it need never exist.
///
/// The words are: the reds but the frame, the frame's scalar fields, its items from the first on; floats as their patterns.
#[derive(Debug)]
pub struct Spread {
    /// Which red the frame is.
    pub red: usize,
    /// Its shape.
    pub shape: &'static Shape,
    /// How long its array is.
    pub len: u32,
    /// How many of its items are passed; the others are dead.
    pub live: u32,
    /// What code calls: after the cell it takes the words, and what runs is the cell's entry for them.
    pub callee: Callee,
}

impl Spread {
    /// The types of the words, given those of the reds.
    pub fn types<'a>(&'a self, reds: &'a [Type]) -> impl Iterator<Item = Type> + 'a {
        let others = reds.iter().enumerate().filter(|(index, _)| *index != self.red).map(|(_, &ty)| ty);
        let items = self.shape.array.iter().flat_map(|array| (0..self.live).map(|_| array.ty()));
        others.chain(self.shape.fields.iter().map(Field::ty)).chain(items)
    }

    /// How many words there are.
    pub fn words(&self, reds: usize) -> usize {
        reds - 1 + self.shape.fields.len() + self.live as usize
    }
}

impl Callee {
    /// Whether it is a portal's code, called directly.
    pub fn is_portal(&self) -> bool {
        matches!(self.effect, Effect::Portal | Effect::Spread)
    }
}

// SAFETY: a description and the address of a function; nothing is written through it.
unsafe impl Sync for Callee {}
// SAFETY: as above.
unsafe impl Send for Callee {}

/// What an instruction says besides its operands.
#[derive(Clone, Copy, Debug)]
pub enum Aux {
    /// Nothing.
    None,
    /// The field that a memory operation is about.
    Field(&'static Field),
    /// The shape of a new object.
    Shape(&'static Shape),
    /// The callee and arguments of a call.
    Call(&'static Callee, ArgRange),
    /// A number: the guard (in a tree) or the exit (in code) of a guard, the word of a `result_word`, the position of a
    /// parameter, the log node of a `merge`.
    Index(u32),
}

/// One instruction. Unused operands are `Const(0)`.
#[derive(Clone, Copy, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Its fixed operands.
    pub args: [Arg; 3],
    /// The rest.
    pub aux: Aux,
}

impl Inst {
    /// The type of the value it makes, if it makes one.
    pub fn result(&self) -> Option<Type> {
        match (self.op, self.aux) {
            (Op::Load | Op::LoadItem, Aux::Field(field)) => Some(field.ty()),
            _ => self.op.info().result,
        }
    }
    /// The fixed operands in use.
    pub fn operands(&self) -> &[Arg] {
        &self.args[..self.op.info().operands.len()]
    }
    /// The field of a memory operation.
    ///
    /// # Panics
    /// If it is none.
    pub fn field(&self) -> &'static Field {
        match self.aux {
            Aux::Field(field) => field,
            _ => panic!("{:?} has no field", self.op),
        }
    }
    /// The number it carries.
    ///
    /// # Panics
    /// If it carries none.
    pub fn index(&self) -> u32 {
        match self.aux {
            Aux::Index(index) => index,
            _ => panic!("{:?} has no index", self.op),
        }
    }
}
