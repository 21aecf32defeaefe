//! Stack traces: what a fatal error prints, and `system printStackTrace`.
//!
//! **Problem.** A stack trace names activations with their lines, and must be the same in every tier: where activations are inlined,
//! frames are not made, and places are nowhere but in machine code. Running code should pay nothing for it.
//!
//! **Approach.** The trace of an error is gathered while the error leaves one activation after the other. `printStackTrace`, which
//! goes on afterwards, needs a record beforehand: a list of places on the heap ([`crate::interpreter::places`]), kept by the interpreter's own code,
//! so every tier has the same one. It is kept only in programs that can ask for it: from the beginning, and on after the program's
//! class was loaded if some code names `printStackTrace`, as selector or symbol. That is a quasi-immutable field, which compiled
//! code takes for a constant; the plain interpreter tests it once per call.
//!
//! **Limits.** Code that is loaded late can be the first to name it. Activations that run by then have noted nothing, and one
//! line at the end of the trace says so. A program that names it pays an object per call that is not optimized away.
//!
//! **Rejected.** *Looking for methods on the native stack*: it finds some twice, some that have ended, and none that are inlined.
//! *A map from return addresses of compiled code to places, and a record in each interpreted frame*: exact, and free for compiled
//! code, but it goes through recorder, optimizer and both backends, and depends on the platform's unwinder, for a message that few programs print.
//! *Gathering as for an error, in a copy of the process*: the threads that compile are not copied.

use crate::bytecode::{self, op};
use crate::objects::Method;
use crate::universe::universe;
use crate::vm::{TraceEntry, Vm, text, with_vm};

/// The selector of the primitive.
pub const PRINT_STACK_TRACE: &str = "printStackTrace";

/// How many activations a stack trace shows at each end.
pub const TRACE_ENDS: usize = 20;

/// How a function is named: `Class>>#selector`.
fn name(method: Method) -> String {
    let place = if method.is_block() { "block in " } else { "" };
    let class = method.holder().get().map_or_else(|| "?".to_owned(), |holder| text(holder.name()));
    format!("{place}{class}>>#{}", text(method.signature()))
}

/// How a place in a function is called in the JIT compiler's logs: `Class>>#selector@12`.
pub fn place(method: Method, pc: i64) -> String {
    format!("{}@{pc}", name(method))
}

fn line(vm: &Vm, entry: &TraceEntry) -> String {
    let file = vm.source(entry.method).map_or("?", |source| &source.file);
    format!("  {} ({file}:{})\n", name(entry.method), vm.line(entry.method, entry.pc))
}

/// The lines of a trace, innermost activation first; so many are missing in the middle.
fn lines(vm: &Vm, entries: &[TraceEntry], omitted: u64) -> String {
    let mut shown = String::new();
    let split = if omitted > 0 { entries.len() / 2 } else { entries.len() };
    shown.extend(entries[..split].iter().map(|entry| line(vm, entry)));
    if omitted > 0 {
        shown.push_str(&format!("  ... {omitted} more ...\n"));
    }
    shown.extend(entries[split..].iter().map(|entry| line(vm, entry)));
    shown
}

/// The trace that the last error left, innermost activation first.
pub fn gathered(vm: &Vm) -> String {
    lines(vm, &vm.trace, vm.trace_omitted)
}

/// Whether the last exit came out of `error:`.
pub fn is_error(vm: &Vm) -> bool {
    vm.trace.iter().any(|entry| text(entry.method.signature()) == "error:")
}

/// The places noted in the current activations, innermost first.
pub fn current() -> String {
    with_vm(|vm| {
        vm.keep_places();
        let (mut entries, mut at) = (Vec::new(), universe().place());
        while let Some(place) = at.get() {
            entries.push(TraceEntry { method: place.method(), pc: instruction(place.method(), place.at()) });
            at = place.outer();
        }
        let omitted = entries.len().saturating_sub(2 * TRACE_ENDS);
        if omitted > 0 {
            entries.drain(TRACE_ENDS..TRACE_ENDS + omitted);
        }
        let mut shown = lines(vm, &entries, omitted as u64);
        if vm.places_are_missing {
            shown.push_str("  ... and others, of which nothing was kept ...\n");
        }
        shown
    })
}

/// The instruction that a place names by itself, or by the complement of its site.
fn instruction(method: Method, at: i64) -> i64 {
    if at >= 0 {
        return at;
    }
    let is_it = |pc: &i64| {
        let word = method.code(*pc);
        bytecode::has_site(op(word)) && (word >> 16) & 0xFFFF == !at as u64
    };
    (0..method.code_len()).find(is_it).unwrap_or(0)
}
