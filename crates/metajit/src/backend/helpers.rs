//! Native functions that compiled code calls for itself.
//!
//! They have the shape of every callee (`extern "C"`, words in, one word out). None of them panics: a panic can't cross
//! compiled frames.

use crate::context::Context;
use crate::gc;
use crate::object::{Header, Shape};

/// What `context.panicked` is when an allocation failed: no panic waits, the driver makes one. The bytes asked for
/// and the heap's limit are in `context.results`.
pub const OUT_OF_MEMORY: u64 = 2;

/// Makes an object, zero but for its header and length; null, and noted in the context, when there is no memory. The
/// address is also the first word of the context's results, for those who get no result.
///
/// # Safety
/// `context` must be the thread's, and the shape a shape.
pub(super) unsafe extern "C" fn new_object(
    context: *mut Context,
    shape: *const Shape,
    len: u64,
) -> u64 {
    // SAFETY: the caller's contract; shapes live for ever.
    let allocated = gc::try_alloc(unsafe { &*shape }, len as usize);
    // SAFETY: the caller's contract.
    let context = unsafe { &mut *context };
    match allocated {
        Ok(object) => context.results[0] = object as u64,
        Err(error) => {
            context.panicked = OUT_OF_MEMORY;
            context.results[..3].copy_from_slice(&[0, error.requested as u64, error.limit as u64]);
        }
    }
    context.results[0]
}

/// As [`new_object`], all array items being `fill`.
///
/// # Safety
/// As [`new_object`].
pub(super) unsafe extern "C" fn new_filled(
    context: *mut Context,
    shape: *const Shape,
    len: u64,
    fill: u64,
) -> u64 {
    // SAFETY: the caller's contract.
    unsafe {
        let object = new_object(context, shape, len);
        if let Some(array) = (*shape).array
            && object != 0
            && fill != 0
        {
            let items = (object + array.offset as u64) as *mut u8;
            fill_items(items, array.kind.bytes() as u64, len, fill);
        }
        object
    }
}

/// Writes `len` items of `size` bytes.
///
/// # Safety
/// There must be room for so many items, at an address that is a multiple of their size.
pub(super) unsafe extern "C" fn fill_items(items: *mut u8, size: u64, len: u64, fill: u64) -> u64 {
    let len = len as usize;
    // SAFETY: the caller's contract.
    unsafe {
        match size {
            1 => items.write_bytes(fill as u8, len),
            2 => std::slice::from_raw_parts_mut(items.cast::<u16>(), len).fill(fill as u16),
            4 => std::slice::from_raw_parts_mut(items.cast::<u32>(), len).fill(fill as u32),
            _ => std::slice::from_raw_parts_mut(items.cast::<u64>(), len).fill(fill),
        }
    }
    0
}

/// [`gc::metajit_gc_barrier`] with a result, as every callee has one.
///
/// # Safety
/// As there.
pub(super) unsafe extern "C" fn barrier(object: *mut Header) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { gc::metajit_gc_barrier(object) };
    0
}

/// [`gc::metajit_gc_barrier_item`] with a result, as every callee has one.
///
/// # Safety
/// As there.
pub(super) unsafe extern "C" fn barrier_item(object: *mut Header, index: u64) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { gc::metajit_gc_barrier_item(object, index) };
    0
}

/// Rounds down, where the machine has no instruction for it.
pub(super) extern "C" fn floor(bits: u64) -> u64 {
    f64::from_bits(bits).floor().to_bits()
}

/// Rounds up, where the machine has no instruction for it.
pub(super) extern "C" fn ceil(bits: u64) -> u64 {
    f64::from_bits(bits).ceil().to_bits()
}

/// Rounds towards zero, where the machine has no instruction for it.
pub(super) extern "C" fn trunc(bits: u64) -> u64 {
    f64::from_bits(bits).trunc().to_bits()
}
