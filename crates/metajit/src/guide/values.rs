//! 2. Words, tagged values, and when to `match`.
//!
//! Traced code computes with *words*: integers of up to 64 bits, `bool`, `char`, `f64`, and your own one-word types. A dynamic language's
//! value is one:
//!
//! ```
//! use metajit::prelude::*;
//!
//! /// A value: an odd word is a 63-bit integer; 0 is nil; any other word is the address of an object.
//! #[jit_word]
//! pub struct Value(u64);
//!
//! impl Value {
//!     pub const NIL: Value = Value::from_bits(0);
//! }
//!
//! #[jit]
//! impl Value {
//!     pub fn small(number: i64) -> Value {
//!         Value::from_bits(((number << 1) | 1) as u64)
//!     }
//!     pub fn is_small(self) -> bool {
//!         self.bits() & 1 != 0
//!     }
//!     /// The sum, if both are small and it is.
//!     pub fn plus(self, other: Value) -> Option<Value> {
//!         if !(self.is_small() && other.is_small()) {
//!             return None;
//!         }
//!         // Take one tag away: the other stays in the sum.
//!         let sum = (self.bits() as i64).checked_add((other.bits() - 1) as i64)?;
//!         Some(Value::from_bits(sum as u64))
//!     }
//! }
//!
//! fn main() {
//!     assert_eq!(Value::small(2).plus(Value::small(-5)), Some(Value::small(-3)));
//!     assert_eq!(Value::small(i64::MAX >> 1).plus(Value::small(1)), None);
//!     assert_eq!(Value::NIL.plus(Value::small(1)), None);
//! }
//! ```
//!
//! `#[jit_word]` gives the type `Copy`, equality, `Hash`, `Debug`, `bits()` and `from_bits()`. `#[jit]` on the `impl` block has its methods *looked into*:
//! traces contain what they do, not calls. Note `self` by value: there are no references in traced code.
//!
//! `Option`, `Result` and tuples of words are *structural*: they exist while tracing, and vanish from the trace, which contains only the
//! branch that decided between `Some` and `None`. Your own enums and structs of words can be so too:
//!
//! ```
//! use metajit::prelude::*;
//!
//! /// Why a handler could not go on.
//! #[jit_enum]
//! #[derive(Clone, Copy, PartialEq, Debug)]
//! pub enum Failure {
//!     Overflow,
//!     WrongKind { operand: i64 },
//! }
//!
//! #[jit]
//! fn half(a: i64) -> Result<i64, Failure> {
//!     if a % 2 != 0 {
//!         return Err(Failure::WrongKind { operand: a });
//!     }
//!     Ok(a / 2)
//! }
//!
//! #[jit]
//! fn quarter(a: i64) -> Result<i64, Failure> {
//!     half(half(a)?)
//! }
//!
//! fn main() {
//!     assert_eq!(quarter(8), Ok(2));
//!     assert_eq!(quarter(6), Err(Failure::WrongKind { operand: 3 }));
//! }
//! ```
//!
//! # `if` or `match`?
//!
//! An `if` on a word becomes a guard on its condition: "greater than 3". A `match` on a word **promotes** it: the word becomes a constant of
//! the trace, with a guard that it is exactly this one. That is what dispatch wants: an opcode comes from greens and immutable
//! fields, is constant already, and costs nothing. On a value that varies while the program runs, each of its values gets a trace of its
//! own: use a chain of `if`.
//!
//! [`promote`](crate::promote) does the same without a `match`: for what is nearly always the same, such as an object's class, when much
//! depends on knowing it.
//!
//! # Arithmetic
//!
//! Operators mean what they mean in Rust: `+` panics on overflow in debug builds and wraps in release builds. The methods (`wrapping_add`,
//! `checked_mul`, `overflowing_sub`, `saturating_add`, `rotate_left`, `leading_zeros`, `sqrt`, `floor`, `powi`, `is_nan`, …) mean what the
//! standard library says. `checked_*` is the way to find overflow: one operation and one branch.
