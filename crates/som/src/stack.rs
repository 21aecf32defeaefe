//! The VM's own native stack.
//!
//! SOM programs recurse deeply, and a send is a call of Rust code. So a VM runs on a thread with a stack that is large in
//! address space and small in memory: pages are there once they are touched. Before the end is reached,
//! the interpreter ends the program with a stack trace.

use crate::interpreter::control::STACK_RESERVE;
use metajit::set_stack_limit;

/// Address space for the stack of a VM: enough for a million nested sends, each of which takes a few hundred bytes.
pub const STACK_BYTES: usize = 1 << 30;

#[inline(never)]
fn here() -> usize {
    let marker = 0u8;
    &raw const marker as usize
}

/// Lets a VM use so many bytes of this thread's stack from here on.
pub fn use_stack(bytes: usize) {
    set_stack_limit(here() - bytes + STACK_RESERVE);
}

/// Runs `f` on a thread with a stack for a VM.
///
/// # Errors
/// If the system gives no such stack.
pub fn on_large_stack<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> std::io::Result<std::thread::Result<R>> {
    let thread = std::thread::Builder::new().name("som".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        use_stack(STACK_BYTES);
        f()
    })?;
    Ok(thread.join())
}
