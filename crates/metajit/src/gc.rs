//! The heap. A first form: objects are never freed.

use crate::object::{Header, Shape};
use std::sync::atomic::AtomicU32;

/// Allocates an object whose fields are all zero bits.
#[inline]
pub fn alloc(shape: &'static Shape, len: usize) -> *mut Header {
    let words = shape.bytes(len) / 8;
    let memory = Box::leak(vec![0u64; words].into_boxed_slice())
        .as_mut_ptr()
        .cast::<Header>();
    // SAFETY: the memory was just allocated and has room for a header.
    unsafe {
        memory.write(Header {
            shape: shape.id(),
            gc: AtomicU32::new(0),
        })
    };
    memory
}

/// Notes that a reference may be about to be written into `object`.
///
/// # Safety
/// `object` must be live.
#[inline(always)]
pub unsafe fn write_barrier(_object: *mut Header) {}

/// Keeps an object alive while foreign Rust memory holds it.
#[derive(Debug)]
pub struct Root<T: crate::object::Item>(std::cell::Cell<T>);

impl<T: crate::object::Item> Root<T> {
    /// Roots `handle`.
    pub fn new(handle: T) -> Root<T> {
        Root(std::cell::Cell::new(handle))
    }
    /// The rooted handle.
    pub fn get(&self) -> T {
        self.0.get()
    }
    /// Roots another handle instead.
    pub fn set(&self, handle: T) {
        self.0.set(handle);
    }
}

/// Frees what nothing reaches.
pub fn collect() {}
