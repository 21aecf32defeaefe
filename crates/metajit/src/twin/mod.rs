//! Twins: what the macros' second reading of an interpreter computes with.
//!
//! **Problem.** The tracer must run the very program that the plain interpreter runs, and know of every value which
//! operation of the trace made it.
//!
//! **Approach.** For every annotated function the macros emit a *twin* with the same control structure over
//! [`Traced`] words: the native value and the trace operation that made it. The map from a type to what its twin
//! handles is the trait [`Twin`]: words become traced words, structures (`Option`, `Result`, tuples, `#[jit_enum]`) become
//! the same structures of traced words and so vanish from the trace. Where a structure has to cross a boundary as
//! words (a call that is not looked into, a portal's result, the log), [`Flat`] takes it apart and puts it together.
//!
//! **Invariants.** In live mode every traced word is a constant. A twin has no effect on the heap but through
//! [`Meta`]. Every entry of `Meta` that can guard or log counts one tick, in every mode, before it
//! looks at whether its operands are constant.
//!
//! **Rejected.** Tracing a byte code made from the interpreter (RPython): a second semantics to keep equal to the first,
//! and types, method resolution and `?` to do over again.

mod calls;
mod char_methods;
mod flat;
mod float_methods;
mod integer_methods;
mod maybe;
mod methods;
mod ops;

pub use char_methods::{AsciiTwin, BoolTwin, CharTwin};
pub use flat::{Flat, Raw, Reader};
pub use float_methods::{FloatAssociated, FloatTwin};
pub use integer_methods::{MoreIntTwin, SignedTwin, UnsignedTwin};
pub use methods::{DefaultTwin, FailingTwin, IntTwin, NestedOptionTwin, OptionTwin, ResultTwin};
pub use ops::{Bits, Cast, Integer, Number, Ordered};

use crate::ir::{Arg, OpRef};
use crate::record::Meta;
use crate::word::Word;

/// The operation number of a constant.
pub const CONSTANT: u32 = u32::MAX;

/// A native value and the operation of the trace that made it.
#[derive(Clone, Copy)]
pub struct Traced<T> {
    /// The value, as the program sees it now.
    pub val: T,
    /// The number of the operation, or [`CONSTANT`].
    pub op: u32,
}

impl<T: Word> Traced<T> {
    /// A constant of the trace.
    #[inline(always)]
    pub fn constant(val: T) -> Self {
        Traced { val, op: CONSTANT }
    }
    /// The operand that stands for it in the trace.
    #[inline(always)]
    pub fn arg(self) -> Arg {
        if self.op == CONSTANT { Arg::Const(self.val.to_bits()) } else { Arg::Op(OpRef(self.op)) }
    }
    /// The value that `arg` stands for.
    #[inline(always)]
    pub fn new(val: T, arg: Arg) -> Self {
        match arg {
            Arg::Const(_) => Traced { val, op: CONSTANT },
            Arg::Op(op) => Traced { val, op: op.0 },
        }
    }
    /// The same word seen as another type with the same bits.
    #[inline(always)]
    pub fn retype<U: Word>(self) -> Traced<U> {
        Traced { val: U::from_bits(self.val.to_bits()), op: self.op }
    }
    /// The word without its type.
    #[inline(always)]
    pub fn raw(self) -> Raw {
        Raw { bits: self.val.to_bits(), arg: self.arg() }
    }
}

/// From a type to what twins handle in its place.
#[diagnostic::on_unimplemented(
    message = "type `{Self}` has no JIT twin",
    label = "cannot appear in traced code",
    note = "use words (integers, bool, char, f64, `#[jit_word]` newtypes, `#[jit_object]` handles), `Option`, `Result` or tuples of them, or put `#[jit_enum]` on your type; anything else belongs behind `#[dont_look_inside]`"
)]
pub trait Twin {
    /// The twin type.
    type Twin;
}
impl<T: Word> Twin for T {
    type Twin = Traced<T>;
}
impl Twin for () {
    type Twin = ();
}
impl<A: Twin> Twin for Option<A> {
    type Twin = Option<A::Twin>;
}
impl<A: Twin, B: Twin> Twin for Result<A, B> {
    type Twin = Result<A::Twin, B::Twin>;
}
macro_rules! tuples {
    ($(($($t:ident),*))*) => { $(
        impl<$($t: Twin),*> Twin for ($($t,)*) { type Twin = ($($t::Twin,)*); }
        impl<$($t),*> Scrutinee for ($($t,)*) {
            type Out = Self;
            #[inline(always)]
            fn scrutinee(self, _: &mut Meta) -> Self { self }
        }
        impl<$($t),*> Retrace for ($($t,)*) {
            type Out = Self;
            #[inline(always)]
            fn retrace(self) -> Self { self }
        }
    )* };
}
tuples!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F));

/// What a `match` looks at: a traced word becomes a constant (a guard on its value), a structure stays as it is.
pub trait Scrutinee {
    /// What the patterns are matched against.
    type Out;
    /// Prepares the scrutinee.
    fn scrutinee(self, m: &mut Meta) -> Self::Out;
}
impl<T: Word> Scrutinee for Traced<T> {
    type Out = T;
    #[inline(always)]
    fn scrutinee(self, m: &mut Meta) -> T {
        m.promote(self).val
    }
}
impl<T> Scrutinee for Option<T> {
    type Out = Self;
    #[inline(always)]
    fn scrutinee(self, _: &mut Meta) -> Self {
        self
    }
}
impl<T, E> Scrutinee for Result<T, E> {
    type Out = Self;
    #[inline(always)]
    fn scrutinee(self, _: &mut Meta) -> Self {
        self
    }
}

/// What a name bound by a pattern becomes: words matched natively are constants, everything else stays.
pub trait Retrace {
    /// The traced form.
    type Out;
    /// Lifts it.
    fn retrace(self) -> Self::Out;
}
impl<T: Word> Retrace for T {
    type Out = Traced<T>;
    #[inline(always)]
    fn retrace(self) -> Traced<T> {
        Traced::constant(self)
    }
}
impl<T> Retrace for Traced<T> {
    type Out = Self;
    #[inline(always)]
    fn retrace(self) -> Self {
        self
    }
}
impl<T> Retrace for Option<T> {
    type Out = Self;
    #[inline(always)]
    fn retrace(self) -> Self {
        self
    }
}
impl<T, E> Retrace for Result<T, E> {
    type Out = Self;
    #[inline(always)]
    fn retrace(self) -> Self {
        self
    }
}
impl Retrace for () {
    type Out = ();
    #[inline(always)]
    fn retrace(self) {}
}

/// A receiver of a method call: where its twin's methods are found, and the operation to give them.
pub trait Receiver {
    /// The type that has the methods.
    type Val;
    /// What they take besides.
    type Op;
    /// Takes it apart.
    fn split(self) -> (Self::Val, Self::Op);
}
impl<T> Receiver for Traced<T> {
    type Val = T;
    type Op = u32;
    #[inline(always)]
    fn split(self) -> (T, u32) {
        (self.val, self.op)
    }
}
impl<T> Receiver for Option<T> {
    type Val = Self;
    type Op = ();
    #[inline(always)]
    fn split(self) -> (Self, ()) {
        (self, ())
    }
}
impl<T, E> Receiver for Result<T, E> {
    type Val = Self;
    type Op = ();
    #[inline(always)]
    fn split(self) -> (Self, ()) {
        (self, ())
    }
}

/// The other way round: a receiver from its parts.
pub trait Joined<V, O> {
    /// Puts it together.
    fn join(val: V, op: O) -> Self;
}
impl<T> Joined<T, u32> for Traced<T> {
    #[inline(always)]
    fn join(val: T, op: u32) -> Self {
        Traced { val, op }
    }
}

/// As the value itself: what a panic says is the same in every mode.
impl<T: std::fmt::Display> std::fmt::Display for Traced<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.val.fmt(f)
    }
}
impl<T: std::fmt::Debug> std::fmt::Debug for Traced<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.val.fmt(f)
    }
}
