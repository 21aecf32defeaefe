//! The native stack of the thread: where it begins, and the registers that belong to it.
//!
//! **Problem.** Handles live in Rust locals and in compiled code's registers. They are found by looking at every word
//! between the stack pointer and the stack's base, after the registers that functions must preserve
//! have been written to the stack. Registers that calls may overwrite need no look: whoever needs their contents
//! after the call that led here has saved them in its frame.
//!
//! **Invariant.** Only the part of a stack that is in use is read: a stack of several gigabytes of reserved address space costs
//! nothing until it is used.
//!
//! Programs that switch stacks by themselves say so with [`on_stack`].

use std::cell::{Cell, RefCell};

thread_local! {
    static BASE: Cell<usize> = const { Cell::new(0) };
    static SUSPENDED: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// The registers a function must preserve: six on x86-64; x19 to x29 and d8 to d15 on AArch64.
#[cfg(target_arch = "x86_64")]
const PRESERVED: usize = 6;
#[cfg(target_arch = "aarch64")]
const PRESERVED: usize = 20;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the collector knows the registers of x86-64 and AArch64 only");

/// Calls `then` with the lowest address of the stack in use, the preserved registers being above it.
#[inline(never)]
pub(super) fn with_registers<R>(then: impl FnOnce(usize) -> R) -> R {
    let mut registers = [0usize; PRESERVED];
    let to = registers.as_mut_ptr();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: writes six words to an array of six.
    unsafe {
        std::arch::asm!(
            "mov [{0}], rbx", "mov [{0} + 8], rbp", "mov [{0} + 16], r12",
            "mov [{0} + 24], r13", "mov [{0} + 32], r14", "mov [{0} + 40], r15",
            in(reg) to, options(nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: writes twenty words to an array of twenty.
    unsafe {
        std::arch::asm!(
            "stp x19, x20, [{0}]", "stp x21, x22, [{0}, #16]", "stp x23, x24, [{0}, #32]",
            "stp x25, x26, [{0}, #48]", "stp x27, x28, [{0}, #64]", "stp x29, x30, [{0}, #80]",
            "stp d8, d9, [{0}, #96]", "stp d10, d11, [{0}, #112]",
            "stp d12, d13, [{0}, #128]", "stp d14, d15, [{0}, #144]",
            in(reg) to, options(nostack, preserves_flags)
        );
    }
    let result = then(to as usize);
    std::hint::black_box(&mut registers);
    result
}

/// The parts of the thread's stacks that are in use, given the lowest address of the current one.
///
/// # Panics
/// If that address is on no stack known.
pub(super) fn parts(low: usize) -> Vec<(usize, usize)> {
    let base = base();
    assert!(low < base, "the thread runs on a stack that the collector does not know: see gc::on_stack");
    let mut parts = SUSPENDED.with_borrow(Clone::clone);
    parts.push((low, base));
    parts
}

fn base() -> usize {
    let known = BASE.get();
    if known != 0 {
        return known;
    }
    let base = system_base();
    BASE.set(base);
    base
}

#[cfg(target_os = "linux")]
fn system_base() -> usize {
    // SAFETY: the attributes are initialised by the first call and destroyed by the last.
    unsafe {
        let mut attributes = std::mem::zeroed();
        let failed = libc::pthread_getattr_np(libc::pthread_self(), &mut attributes);
        assert_eq!(failed, 0, "the system doesn't say where this thread's stack is");
        let (mut address, mut bytes) = (std::ptr::null_mut(), 0);
        libc::pthread_attr_getstack(&attributes, &mut address, &mut bytes);
        libc::pthread_attr_destroy(&mut attributes);
        address as usize + bytes
    }
}

#[cfg(target_os = "macos")]
fn system_base() -> usize {
    // SAFETY: asks about the current thread.
    unsafe { libc::pthread_get_stackaddr_np(libc::pthread_self()) as usize }
}

/// Runs `f`, telling the collector that this thread now runs on another stack, which begins (has its highest
/// address) at `base`, and that the stack it ran on before is in use from `suspended` upwards.
///
/// # Safety
/// The call must be made on the new stack; both addresses must be multiples of eight; `suspended` must not be above
/// the old stack's pointer (with the preserved registers saved) at the switch; and both stacks must stay mapped
/// while `f` runs.
pub unsafe fn on_stack<R>(base: *const u8, suspended: *const u8, f: impl FnOnce() -> R) -> R {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            BASE.set(self.0);
            SUSPENDED.with_borrow_mut(|parts| parts.pop());
        }
    }
    let old = self::base();
    SUSPENDED.with_borrow_mut(|parts| parts.push((suspended as usize, old)));
    BASE.set(base as usize);
    let _restore = Restore(old);
    f()
}
