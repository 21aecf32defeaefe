//! Native functions that compiled code calls for itself.
//!
//! They have the shape of every callee (`extern "C"`, words in, one word out). None of them panics: a panic can't cross
//! compiled frames.

use crate::object::{Kind, Shape};

/// Makes an object with `len` items, all of them with the bits `fill`.
///
/// # Safety
/// The shape must live for ever.
pub(super) unsafe extern "C" fn new_object(shape: *const Shape, len: u64, fill: u64) -> u64 {
    // SAFETY: the caller's contract.
    let shape: &'static Shape = unsafe { &*shape };
    let object = crate::gc::alloc(shape, len as usize);
    if let Some(array) = shape.array {
        // SAFETY: the object was just made with a length word before the items and `len` items.
        unsafe {
            let items = object.cast::<u8>().add(array.offset as usize);
            items.cast::<u64>().sub(1).write(len);
            fill_items(items, array.kind, len as usize, fill);
        }
    }
    object as u64
}

/// Writes `len` items.
///
/// # Safety
/// There must be room for so many items of the kind.
unsafe fn fill_items(items: *mut u8, kind: Kind, len: usize, fill: u64) {
    if fill == 0 {
        return;
    }
    // SAFETY: the caller's contract; items are aligned to their size.
    unsafe {
        match kind.bytes() {
            1 => items.write_bytes(fill as u8, len),
            2 => std::slice::from_raw_parts_mut(items.cast::<u16>(), len).fill(fill as u16),
            4 => std::slice::from_raw_parts_mut(items.cast::<u32>(), len).fill(fill as u32),
            _ => std::slice::from_raw_parts_mut(items.cast::<u64>(), len).fill(fill),
        }
    }
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
