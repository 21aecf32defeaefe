//! How much of the native stack is left.
//!
//! Twins' frames are large, and leaving code takes a replay. Who is about to run out of stack runs the plain interpreter, whose
//! depth the language's own check is made for. A language that says where its stack ends ([`crate::set_stack_limit`]) has left room
//! there; for others, the parameter `stack_reserve` is what has to be left of the thread's stack. Stacks that the program made
//! by itself are taken for endless.

use super::runtime::existing_context;
use std::cell::Cell;

/// Asks once per thread.
const UNKNOWN: usize = usize::MAX;

thread_local! {
    /// The lowest address of the stack, and the one after its highest.
    static STACK: Cell<(usize, usize)> = const { Cell::new((UNKNOWN, UNKNOWN)) };
    static RESERVE: Cell<usize> = const { Cell::new(0) };
}

fn here() -> usize {
    let local = 0u8;
    std::ptr::from_ref(std::hint::black_box(&local)) as usize
}

/// Says how many bytes are to be left (the parameter `stack_reserve`).
pub(super) fn set_reserve(bytes: usize) {
    RESERVE.set(bytes);
    publish();
}

/// The program said where its stack ends.
pub(crate) fn stack_limit_changed() {
    publish();
}

/// Tells compiled code.
fn publish() {
    if let Some(context) = existing_context() {
        // SAFETY: the context lives as long as the thread; nothing else uses it now.
        unsafe { (*context).stack_limit = limit() as u64 };
    }
}

/// The lowest address at which code is entered; 0 if any will do.
pub(super) fn limit() -> usize {
    let said = crate::stack::limit();
    if said != 0 {
        return said;
    }
    if STACK.get().0 == UNKNOWN {
        STACK.set(ask());
    }
    let (low, high) = STACK.get();
    if (low..high).contains(&here()) { low + RESERVE.get() } else { 0 }
}

/// Whether as much of the stack is left as there has to be.
pub(super) fn has_room() -> bool {
    here() >= limit()
}

#[cfg(target_os = "linux")]
fn ask() -> (usize, usize) {
    // SAFETY: the attributes are initialised by the first call, if it succeeds, and destroyed by the last.
    unsafe {
        let mut attributes = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return (0, 0);
        }
        let (mut address, mut bytes) = (std::ptr::null_mut(), 0);
        libc::pthread_attr_getstack(&attributes, &mut address, &mut bytes);
        libc::pthread_attr_destroy(&mut attributes);
        (address as usize, address as usize + bytes)
    }
}

#[cfg(not(target_os = "linux"))]
fn ask() -> (usize, usize) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::{has_room, set_reserve};

    #[test]
    fn the_stack_has_an_end() {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let room = |bytes| {
            set_reserve(bytes);
            has_room()
        };
        // The C library may give the thread a larger stack that another one has left.
        let left = thread.spawn(move || (room(64 << 10), room(1 << 30))).unwrap().join().unwrap();
        assert_eq!(left, (true, !cfg!(target_os = "linux")));
    }
}
