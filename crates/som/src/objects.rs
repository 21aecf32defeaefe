//! The heap objects: what the language sees, and what only the interpreter sees.
//!
//! Every object of the language begins with its class, so that a value that names an object answers its class
//! through [`Obj`] whatever its shape. A class decides the shape of its instances ([`Layout`]), so that in
//! traced code a test of the class is a test of the shape.
//!
//! Two kinds of objects are tied into knots (a metaclass is an instance of `Metaclass`, whose class is an
//! instance of `Metaclass`; a symbol has the class `Symbol`, whose name is a symbol). Fields that never change once a
//! class is loaded are immutable in [`Class`]; the loader ties the knots through [`ClassSetup`], the same
//! layout with every field writable, before any code of the class runs.

use crate::value::Value;
use metajit::prelude::*;

/// What all objects of the language begin with.
#[jit_object]
pub struct Obj {
    #[immutable]
    class: Class,
}

/// An object with fields.
#[jit_object]
pub struct Instance {
    #[immutable]
    class: Class,
    fields: [Value],
}

/// An array.
#[jit_object]
pub struct SArray {
    #[immutable]
    class: Class,
    items: [Value],
}

/// A string or a symbol: UTF-8. Symbols are unique, so that they are equal when they are the same object.
#[jit_object]
pub struct SString {
    #[immutable]
    class: Class,
    #[immutable]
    hash: i64,
    /// Length in characters; equal to the length in bytes when all are ASCII.
    #[immutable]
    length: i64,
    #[immutable]
    bytes: [u8],
}

/// An integer that does not fit into a value: sign and magnitude, least digit first.
#[jit_object]
pub struct BigInteger {
    #[immutable]
    class: Class,
    #[immutable]
    negative: bool,
    #[immutable]
    digits: [u64],
}

/// A block: a block's code and what it closes over.
#[jit_object]
pub struct Block {
    #[immutable]
    class: Class,
    #[immutable]
    method: Method,
    /// `self` of the home method.
    #[immutable]
    receiver: Value,
    /// The innermost context around the block.
    #[immutable]
    context: Maybe<Context>,
    /// The home method's activation; none if the block never returns from it.
    #[immutable]
    home: Maybe<Home>,
    /// Cells of the enclosing activation's variables; only for blocks made when inlining failed.
    #[immutable]
    cells: [Cell],
}

/// A class or a metaclass. Its fields are the class-side fields.
#[jit_object]
pub struct Class {
    #[immutable]
    class: Class,
    #[immutable]
    name: SString,
    #[immutable]
    superclass: Maybe<Class>,
    /// How many fields an instance has.
    #[immutable]
    instance_fields: i64,
    /// The [`Layout`] of its instances, as a number.
    #[immutable]
    layout: i64,
    /// Its own methods in source order.
    #[immutable]
    methods: SArray,
    /// The names of the fields of an instance, inherited ones first.
    #[immutable]
    field_names: SArray,
    fields: [Value],
}

/// A class while the loader builds it: the layout of [`Class`].
#[jit_object]
pub struct ClassSetup {
    class: Class,
    name: SString,
    superclass: Maybe<Class>,
    instance_fields: i64,
    layout: i64,
    methods: SArray,
    field_names: SArray,
}

/// Shapes of instances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
pub enum Layout {
    /// [`Instance`].
    Fields = 0,
    /// [`SArray`].
    Array = 1,
    /// [`SString`].
    String = 2,
    /// [`Class`].
    Class = 3,
    /// Values without an object, and objects that only the VM makes.
    Special = 4,
}

/// A method, a primitive, or the code of a block.
#[jit_object]
pub struct Method {
    #[immutable]
    class: Class,
    #[immutable]
    signature: SString,
    #[immutable]
    holder: Maybe<Class>,
    /// What to do when it is called: a number of `bytecode::kind` or of a primitive.
    #[immutable]
    kind: i64,
    /// The field of an accessor.
    #[immutable]
    field: i64,
    /// Arguments without `self`.
    #[immutable]
    arguments: i64,
    /// Slots of a frame.
    #[immutable]
    frame_size: i64,
    /// Where execution begins, and the depth of the stack there.
    #[immutable]
    entry_pc: i64,
    #[immutable]
    entry_sp: i64,
    /// Where the operand stack begins.
    #[immutable]
    stack_begin: i64,
    /// Where execution goes on after `restart`.
    #[immutable]
    body_begin: i64,
    /// The slot of the [`Home`] in a method, of the [`Block`] in a block; 0 if there is none.
    #[immutable]
    home_slot: i64,
    #[immutable]
    is_block: bool,
    /// Number of the debug information.
    #[immutable]
    debug: i64,
    #[immutable]
    literals: Literals,
    #[immutable]
    caches: Caches,
    /// In code compiled after an inlining assumption failed: where each fallback begins.
    #[immutable]
    fallbacks: Maybe<Caches>,
    #[immutable]
    code: [u64],
}

/// The constants of a method.
#[jit_object]
pub struct Literals {
    #[immutable]
    items: [Value],
}

/// The inline caches of a method: class and method, twice per site. Plain words: classes and methods live as
/// long as the VM.
#[jit_object]
pub struct Caches {
    entries: [u64],
}

/// Captured variables of a scope.
#[jit_object]
pub struct Context {
    #[immutable]
    outer: Maybe<Context>,
    variables: [Value],
}

/// A variable that moved out of its slot; see `compiler`.
#[jit_object]
pub struct Cell {
    content: Value,
}

/// Marks an activation that blocks may return from.
#[jit_object]
pub struct Home {
    alive: bool,
}

/// What leaves activations other than by a return: see `unwind`.
#[jit_object]
pub struct Unwind {
    #[immutable]
    kind: i64,
    /// Where a non-local return ends.
    #[immutable]
    home: Maybe<Home>,
    #[immutable]
    value: Value,
}

/// A global variable.
#[jit_object]
pub struct GlobalCell {
    #[immutable]
    name: SString,
    #[quasi_immutable]
    value: Value,
}

/// Where an activation has sent a message that is not answered yet: kept for stack traces, see `trace`.
#[jit_object]
pub struct Place {
    /// The same of the activation that called this one.
    #[immutable]
    outer: Maybe<Place>,
    #[immutable]
    method: Method,
    /// The instruction, or the complement of its site.
    #[immutable]
    at: i64,
}

/// The activation of a method: `self`, arguments, variables, operand stack.
#[jit_object]
pub struct Frame {
    slots: [Value],
}
