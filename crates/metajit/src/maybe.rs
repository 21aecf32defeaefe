//! [`Maybe`]: a handle or none, in one word.
//!
//! A handle of a `#[jit_object]` names an object, always: its accessors look at memory without asking. Where there may be no object
//! (the end of a list, the superclass of the root class), a field, an item or a variable holds a `Maybe`, and
//! [`Maybe::get`] asks, once, where the answer is needed. In traced code that is a branch on the word, which goes when the trace
//! knows the object.
//!
//! **Rejected.** A null handle that accessors check: a test for each access in the plain interpreter, and a guard for each object
//! in a trace. `Option` of a handle: in traced code an `Option` is a structure, so that it could be neither a field nor a red variable.

use crate::object::{Item, Kind, Object};
use crate::word::{Type, Word};
use std::marker::PhantomData;

/// A handle, or none.
#[repr(transparent)]
pub struct Maybe<T: Object> {
    /// The handle's bits, or 0.
    bits: u64,
    handle: PhantomData<T>,
}

impl<T: Object> Maybe<T> {
    /// No handle.
    #[inline(always)]
    pub const fn none() -> Maybe<T> {
        Maybe { bits: 0, handle: PhantomData }
    }
    /// This handle.
    #[inline(always)]
    pub fn some(handle: T) -> Maybe<T> {
        Maybe { bits: handle.to_bits(), handle: PhantomData }
    }
    /// The handle, if there is one.
    #[inline(always)]
    pub fn get(self) -> Option<T> {
        if self.bits == 0 { None } else { Some(T::from_bits(self.bits)) }
    }
    /// Whether there is no handle.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.bits == 0
    }
    /// Whether there is a handle.
    #[inline(always)]
    pub fn is_some(self) -> bool {
        self.bits != 0
    }
    /// The object's address, or 0.
    #[inline(always)]
    pub fn bits(self) -> u64 {
        self.bits
    }
    /// The handle with these bits, or none if they are 0.
    ///
    /// # Safety
    /// The bits must be 0 or the address of a live object that begins with the fields of the handle's shape.
    #[inline(always)]
    pub unsafe fn from_bits(bits: u64) -> Maybe<T> {
        Maybe { bits, handle: PhantomData }
    }
}

impl<T: Object> Clone for Maybe<T> {
    #[inline(always)]
    fn clone(&self) -> Maybe<T> {
        *self
    }
}
impl<T: Object> Copy for Maybe<T> {}
impl<T: Object> PartialEq for Maybe<T> {
    #[inline(always)]
    fn eq(&self, other: &Maybe<T>) -> bool {
        self.bits == other.bits
    }
}
impl<T: Object> Eq for Maybe<T> {}
impl<T: Object> std::hash::Hash for Maybe<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}
impl<T: Object + std::fmt::Debug> std::fmt::Debug for Maybe<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl<T: Object> Word for Maybe<T> {
    const TYPE: Type = Type::Int;
    #[inline(always)]
    fn to_bits(self) -> u64 {
        self.bits
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Maybe<T> {
        Maybe { bits, handle: PhantomData }
    }
}

// SAFETY: a transparent word of eight bytes, 0 or an object's address.
unsafe impl<T: Object> Item for Maybe<T> {
    const KIND: Kind = Kind::Ref;
}
