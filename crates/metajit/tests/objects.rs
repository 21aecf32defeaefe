//! Objects and words as plain Rust uses them.

use metajit::prelude::*;

/// A word.
#[jit_word]
pub struct Value(u64);

/// With fields of each mutability and bytes.
#[jit_object]
pub struct Method {
    #[immutable]
    arity: i64,
    #[quasi_immutable]
    version: u32,
    code: [u8],
}

/// With a handle, a float and words.
#[jit_object]
pub struct Frame {
    #[immutable]
    method: Method,
    weight: f64,
    slots: [Value],
}

#[test]
fn fields_and_items_read_back_what_was_written() {
    let method = Method::alloc(2, 7, 3, 9);
    method.set_code(1, 200);
    method.set_version(8);
    assert_eq!((method.arity(), method.version(), method.code_len()), (2, 8, 3));
    assert_eq!((method.code(0), method.code(1), method.code(2)), (9, 200, 9));
    let frame = Frame::alloc(method, 1.5, 2, Value::from_bits(4));
    frame.set_slots(0, Value::from_bits(u64::MAX));
    frame.set_weight(-0.0);
    assert_eq!(frame.method(), method);
    assert!(frame.weight().is_sign_negative());
    assert_eq!((frame.slots(0).bits(), frame.slots(1).bits()), (u64::MAX, 4));
    assert!(frame.is_shape() && method.is_shape());
}

#[test]
#[should_panic(expected = "index out of bounds: the array has 2 items but the index is -1")]
fn a_negative_index_is_out_of_bounds() {
    Frame::alloc(Method::alloc(2, 7, 3, 9), 0.0, 2, Value::from_bits(0)).slots(-1);
}
