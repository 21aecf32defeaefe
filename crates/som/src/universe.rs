//! What compiled code may rely on: the core classes, the selectors that the VM itself sends, the system object.
//!
//! Nearly all of it is immutable once the library is loaded, and [`universe`] always gives the same object on a thread, so that in
//! traced code a test for the class `Integer` compares with a constant.

use crate::objects::{Class, Place, SString};
use crate::value::Value;
use metajit::prelude::*;
use std::cell::Cell;

/// The core of a VM.
#[jit_object]
pub struct Universe {
    #[immutable]
    integer_class: Class,
    #[immutable]
    double_class: Class,
    #[immutable]
    nil_class: Class,
    #[immutable]
    true_class: Class,
    #[immutable]
    false_class: Class,
    #[immutable]
    array_class: Class,
    #[immutable]
    string_class: Class,
    #[immutable]
    symbol_class: Class,
    #[immutable]
    method_class: Class,
    #[immutable]
    primitive_class: Class,
    #[immutable]
    class_class: Class,
    #[immutable]
    metaclass_class: Class,
    #[immutable]
    block_class: Class,
    #[immutable]
    block1_class: Class,
    #[immutable]
    block2_class: Class,
    #[immutable]
    block3_class: Class,
    #[immutable]
    system: Value,
    #[immutable]
    does_not_understand: SString,
    #[immutable]
    escaped_block: SString,
    #[immutable]
    unknown_global: SString,
    #[immutable]
    error: SString,
    #[immutable]
    add: SString,
    #[immutable]
    subtract: SString,
    #[immutable]
    less_or_equal: SString,
    #[immutable]
    greater_or_equal: SString,
    #[immutable]
    if_false: SString,
    #[immutable]
    negate: SString,
    /// Some class besides `Object` and `Nil` has its own `ifNil:` or the like.
    #[quasi_immutable]
    nil_tests_overridden: bool,
    /// Some class besides `Object` and `Integer` has its own `==`.
    #[quasi_immutable]
    identity_overridden: bool,
    /// No code may print a stack trace, so that calls need not note their places. (Threaded code tests it, and is laid out for
    /// conditions that hold.)
    #[quasi_immutable]
    forgets_places: bool,
    /// The place noted last.
    place: Maybe<Place>,
}

thread_local! {
    static UNIVERSE: Cell<u64> = const { Cell::new(0) };
}

/// The universe of this thread's VM.
#[elidable]
#[inline(always)]
pub fn universe() -> Universe {
    // SAFETY: the cell holds what `set_universe` put there, which the VM roots.
    unsafe { Universe::from_bits(UNIVERSE.get()) }
}

/// Makes a universe this thread's; the caller roots it.
pub fn set_universe(universe: Universe) {
    UNIVERSE.set(universe.bits());
}

/// The class of a value.
#[enable_threaded_code]
#[inline(always)]
pub fn class_of(value: Value) -> Class {
    if value.is_object() { value.as_object().class() } else { class_of_immediate(value) }
}

#[jit]
fn class_of_immediate(value: Value) -> Class {
    if value.is_integer() {
        universe().integer_class()
    } else if value.is_double() {
        universe().double_class()
    } else if value.bits() == 0 {
        universe().nil_class()
    } else if value.bits() == 4 {
        universe().true_class()
    } else {
        universe().false_class()
    }
}
