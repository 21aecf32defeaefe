//! The twins of [`Maybe`].

use super::Traced;
use crate::maybe::Maybe;
use crate::object::Object;
use crate::record::Meta;

#[doc(hidden)]
impl<T: Object> Maybe<T> {
    pub fn jit_twin_of_none(_: &mut Meta) -> Traced<Maybe<T>> {
        Traced::constant(Maybe::none())
    }
    #[inline(always)]
    pub fn jit_twin_of_some(_: &mut Meta, handle: Traced<T>) -> Traced<Maybe<T>> {
        handle.retype()
    }
    pub fn jit_twin_of_get(self, op: u32, m: &mut Meta) -> Option<Traced<T>> {
        let this = Traced { val: self, op };
        let none = m.is_none(this);
        if m.seldom(none) { None } else { Some(this.retype()) }
    }
    pub fn jit_twin_of_is_none(self, op: u32, m: &mut Meta) -> Traced<bool> {
        m.is_none(Traced { val: self, op })
    }
    pub fn jit_twin_of_is_some(self, op: u32, m: &mut Meta) -> Traced<bool> {
        let none = m.is_none(Traced { val: self, op });
        m.not(none)
    }
    #[inline(always)]
    pub fn jit_twin_of_bits(self, op: u32, _: &mut Meta) -> Traced<u64> {
        Traced { val: self, op }.retype()
    }
    /// # Safety
    /// As [`Maybe::from_bits`].
    #[inline(always)]
    pub unsafe fn jit_twin_of_from_bits(_: &mut Meta, bits: Traced<u64>) -> Traced<Maybe<T>> {
        bits.retype()
    }
}
