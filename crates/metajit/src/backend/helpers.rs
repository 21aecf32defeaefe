//! Native functions that compiled code calls for itself.
//!
//! They have the shape of every callee (`extern "C"`, words in, one word out). None of them panics: a panic can't cross
//! compiled frames.

use crate::context::Context;
use crate::gc;
use crate::object::{Header, Shape};

/// What `context.panicked` is when an allocation failed: no panic waits, the driver makes one. The bytes asked for
/// and the heap's limit are the second and third word of `context.results`.
pub const OUT_OF_MEMORY: u64 = 2;

/// An object to make.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Its shape.
    pub(super) shape: &'static Shape,
    /// The length of its array, or 0.
    pub(super) len: u64,
}

/// Makes the objects asked for side by side, zero but for their headers and lengths; the first one's address is the first word
/// of the context's results. When there is no memory, the word is 0 and the context says so.
///
/// # Safety
/// `context` must be the thread's; at `requests` there must be `count` of them, one at least.
pub(super) unsafe extern "C" fn new_objects(context: *mut Context, requests: *const Request, count: u64) -> u64 {
    // SAFETY: the caller's contract.
    let requests = unsafe { std::slice::from_raw_parts(requests, count as usize) };
    match gc::try_alloc_together(requests.iter().map(|request| (request.shape, request.len as usize))) {
        // SAFETY: the caller's contract.
        Ok(first) => unsafe { (*context).results[0] = first as u64 },
        // SAFETY: the caller's contract.
        Err(error) => unsafe { out_of_memory(context, error) },
    }
    0
}

/// Notes that an allocation failed.
///
/// # Safety
/// `context` must be the thread's.
unsafe fn out_of_memory(context: *mut Context, error: gc::OutOfMemory) {
    // SAFETY: the caller's contract.
    let context = unsafe { &mut *context };
    context.panicked = OUT_OF_MEMORY;
    context.results[..3].copy_from_slice(&[0, error.requested as u64, error.limit as u64]);
}

/// Makes an object with `len` items, all of them `fill`; null, and noted in the context, when there is no memory.
///
/// # Safety
/// `context` must be the thread's, and the shape a shape.
pub(super) unsafe extern "C" fn new_filled(context: *mut Context, shape: *const Shape, len: u64, fill: u64) -> u64 {
    // SAFETY: the caller's contract; shapes live for ever.
    let shape: &'static Shape = unsafe { &*shape };
    let object = match gc::try_alloc(shape, len as usize) {
        Ok(object) => object as u64,
        Err(error) => {
            // SAFETY: the caller's contract.
            unsafe { out_of_memory(context, error) };
            return 0;
        }
    };
    if let Some(array) = shape.array
        && fill != 0
    {
        let items = (object + array.offset as u64) as *mut u8;
        // SAFETY: the object has so many items.
        unsafe { fill_items(items, array.kind.bytes() as u64, len, fill) };
    }
    object
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

/// Notes `count` items, whose indexes are the bytes of `packed`, the lowest first.
///
/// # Safety
/// `object` must be live and have an array that is longer than each index.
pub(super) unsafe extern "C" fn barrier_items(object: *mut Header, packed: u64, count: u64) -> u64 {
    for i in 0..count {
        // SAFETY: the caller's contract.
        unsafe { gc::write_barrier_item(object, packed >> (8 * i) & 0xff) };
    }
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

/// Number of leading zero bits.
pub(super) extern "C" fn clz(word: u64) -> u64 {
    u64::from(word.leading_zeros())
}

/// Number of trailing zero bits.
pub(super) extern "C" fn ctz(word: u64) -> u64 {
    u64::from(word.trailing_zeros())
}

/// Number of one bits.
pub(super) extern "C" fn popcnt(word: u64) -> u64 {
    u64::from(word.count_ones())
}

/// Whether an unsigned product has more than 64 bits.
pub(super) extern "C" fn product_is_wide(a: u64, b: u64) -> u64 {
    u64::from(a.checked_mul(b).is_none())
}

/// The float nearest to an unsigned integer.
pub(super) extern "C" fn uint_to_float(word: u64) -> u64 {
    (word as f64).to_bits()
}

/// Truncated to a signed integer, saturating.
pub(super) extern "C" fn float_to_int(bits: u64) -> u64 {
    f64::from_bits(bits) as i64 as u64
}

/// Truncated to an unsigned integer, saturating.
pub(super) extern "C" fn float_to_uint(bits: u64) -> u64 {
    f64::from_bits(bits) as u64
}
