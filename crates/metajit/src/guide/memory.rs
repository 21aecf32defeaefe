//! 5. The collector.
//!
//! Objects live in a heap of the thread; its collector is there without your doing anything. Handles in Rust's locals, arguments and
//! registers keep their objects alive as they are: the native stack is scanned, and objects never move. So there is nothing to
//! root in an interpreter's own code, traced or not.
//!
//! What the collector can't see is Rust's own heap: a handle in a `Vec`, a `HashMap`, a `Box` or a `static`. Wrap it in a
//! [`Root`](crate::gc::Root), or keep such tables in heap objects.
//!
//! ```
//! use metajit::gc::{self, Root};
//! use metajit::prelude::*;
//!
//! #[jit_object]
//! pub struct Name {
//!     hash: i64,
//!     text: [u8],
//! }
//!
//! fn main() {
//!     let mut table: Vec<Root<Name>> = Vec::new();
//!     for number in 0..100 {
//!         let name = Name::alloc(number, 3, b'x');
//!         table.push(Root::new(name));
//!     }
//!     gc::collect();
//!     assert_eq!(table[7].get().hash(), 7);
//!     assert_eq!(table[7].get().text(2), b'x');
//! }
//! ```
//!
//! In an object, a field's type says what it is to the collector: a handle or a `Maybe` names an object, a number names none, and a
//! `#[jit_word]` is looked at as it is encoded. Its lowest three bits (a tag) and those above the lowest 48 (a box) are dropped, and if an object
//! begins at the address that is left, it lives. So keep tags in these bits, addresses whole (neither shifted nor compressed), and
//! never `handle.bits()` in a `u64` field: nothing keeps that object alive.
//!
//! Objects don't move, so an address is an identity: `handle.bits()` serves as hash and comparison. Limits, stress modes and
//! finalizers: [`gc::configure`](crate::gc::configure). Another collector can be put in the built-in one's place with
//! [`gc::install`](crate::gc::install).
