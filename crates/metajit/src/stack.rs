//! How deep the native stack may get.
//!
//! An interpreter calls itself for each call of the interpreted program, so endless recursion there uses up the native
//! stack. An interpreter that wants to report that as an error of its language says where the stack ends
//! ([`set_stack_limit`]) and what a call answers that would go beyond (`overflow = answer` of
//! [`jit_driver`](crate::jit_driver)). The limit is tested before each call of a driver's function, by interpreter and
//! compiled code alike.

use std::cell::Cell;

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// Sets the lowest address that this thread's calls may use. Leave room below it for everything that
/// is not a call of a driver's function: a collection, the recorder, the compiler.
pub fn set_stack_limit(lowest: usize) {
    LIMIT.set(lowest);
    #[cfg(feature = "jit")]
    crate::driver::stack_limit_changed();
}

/// The lowest address that this thread's calls may use; 0 if nobody said.
#[cfg(feature = "jit")]
pub(crate) fn limit() -> usize {
    LIMIT.get()
}

/// Whether the stack is beyond its limit.
#[inline(always)]
pub fn stack_is_low() -> bool {
    let marker = 0u8;
    (&raw const marker as usize) < LIMIT.get()
}
