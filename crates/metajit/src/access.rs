//! Access to an object's memory: what the accessors that `#[jit_object]` generates are made of.
//!
//! Scalar fields hold canonical bits in eight bytes; array items hold their Rust type at its own size. Writes
//! of anything that may be a reference go through the collector's write barrier, except while the object is new.

use crate::gc;
use crate::object::{Header, Item, Shape};

/// Reads the scalar at `offset`.
///
/// # Safety
/// `object` must be live and have a scalar field (or a length word) at `offset`.
#[inline(always)]
pub unsafe fn read_word(object: *mut Header, offset: u32) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { *object.cast::<u8>().add(offset as usize).cast::<u64>() }
}

/// Writes the scalar at `offset` of an object that nothing else has seen yet.
///
/// # Safety
/// As [`read_word`].
#[inline(always)]
pub unsafe fn init_word<T: Item>(object: *mut Header, offset: u32, value: T) {
    // SAFETY: the caller's contract.
    unsafe { *object.cast::<u8>().add(offset as usize).cast::<u64>() = value.to_bits() }
}

/// Writes the scalar at `offset`.
///
/// # Safety
/// As [`read_word`].
#[inline(always)]
pub unsafe fn write_word<T: Item>(object: *mut Header, offset: u32, value: T) {
    // SAFETY: the caller's contract.
    unsafe {
        if T::KIND.may_hold_reference() {
            gc::write_barrier(object);
        }
        init_word(object, offset, value);
    }
}

/// Writes a quasi-immutable scalar: the code that relied on its value is thrown away.
///
/// # Safety
/// As [`read_word`].
#[inline]
pub unsafe fn write_quasi_immutable<T: Item>(object: *mut Header, offset: u32, value: T) {
    // SAFETY: the caller's contract.
    unsafe { write_word(object, offset, value) };
    #[cfg(feature = "jit")]
    crate::driver::written(object, offset);
}

/// The length an allocation asks for, as a count of items.
///
/// # Panics
/// If it is negative.
#[inline(always)]
pub fn checked_len(len: i64) -> usize {
    if len < 0 {
        negative_length(len);
    }
    len as usize
}

#[cold]
#[inline(never)]
fn negative_length(len: i64) -> ! {
    panic!("an array can't have {len} items");
}

/// Fills the items of a new object.
///
/// # Safety
/// The object must have an array of `len` items at `offset`.
#[inline(always)]
pub unsafe fn init_items<T: Item>(object: *mut Header, offset: u32, len: usize, fill: T) {
    // SAFETY: the caller's contract; the length word is just before the items.
    unsafe {
        let items = object.cast::<u8>().add(offset as usize);
        *items.cast::<u64>().sub(1) = len as u64;
        if fill.to_bits() != 0 {
            for index in 0..len {
                T::write(items, index, fill);
            }
        }
    }
}

/// Reads item `index`.
///
/// # Safety
/// The object must have an array of `T` at `offset`.
///
/// # Panics
/// If the index is out of bounds.
#[inline(always)]
pub unsafe fn read_item<T: Item>(object: *mut Header, offset: u32, index: i64) -> T {
    // SAFETY: the caller's contract; the index is checked.
    unsafe {
        let len = read_word(object, offset - 8);
        if index as u64 >= len {
            index_out_of_bounds(index, len);
        }
        T::read(object.cast::<u8>().add(offset as usize), index as usize)
    }
}

/// Writes item `index`.
///
/// # Safety
/// The object must have an array of `T` at `offset`.
///
/// # Panics
/// If the index is out of bounds.
#[inline(always)]
pub unsafe fn write_item<T: Item>(object: *mut Header, offset: u32, index: i64, value: T) {
    // SAFETY: the caller's contract; the index is checked.
    unsafe {
        let len = read_word(object, offset - 8);
        if index as u64 >= len {
            index_out_of_bounds(index, len);
        }
        if T::KIND.may_hold_reference() {
            gc::write_barrier_item(object, index as u64);
        }
        T::write(object.cast::<u8>().add(offset as usize), index as usize, value);
    }
}

/// The items as a slice.
///
/// # Safety
/// The object must have an array of `T` at `offset`, stay alive, and not be written meanwhile.
#[inline(always)]
pub unsafe fn items_slice<'a, T: Item>(object: *mut Header, offset: u32) -> &'a [T] {
    // SAFETY: the caller's contract.
    unsafe {
        let items = object.cast::<u8>().add(offset as usize);
        std::slice::from_raw_parts(items.cast::<T>(), read_word(object, offset - 8) as usize)
    }
}

/// Whether the object's header names this shape.
///
/// # Safety
/// `object` must be live.
#[inline(always)]
pub unsafe fn has_shape(object: *mut Header, shape: &'static Shape) -> bool {
    // SAFETY: the caller's contract.
    unsafe { (*object).shape == shape.id() }
}

#[cold]
#[inline(never)]
fn index_out_of_bounds(index: i64, len: u64) -> ! {
    panic!("index out of bounds: the array has {len} items but the index is {index}");
}
