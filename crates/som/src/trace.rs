//! Stack traces: what a fatal error prints, and `system printStackTrace`.
//!
//! The trace of an error is gathered while the error leaves one activation after the other, so running code keeps no
//! record of itself. `printStackTrace`, which goes on afterwards, finds the code of the current activations on the
//! native stack instead; it can name methods twice, or name one that has ended just now, and knows no lines.

use crate::objects::Method;
use crate::vm::{TraceEntry, Vm, text, with_vm};

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

/// The trace that the last error left, innermost activation first.
pub fn gathered(vm: &Vm) -> String {
    let mut shown = String::new();
    let split = if vm.trace_omitted > 0 { vm.trace.len() / 2 } else { vm.trace.len() };
    for entry in &vm.trace[..split] {
        shown.push_str(&line(vm, entry));
    }
    if vm.trace_omitted > 0 {
        shown.push_str(&format!("  ... {} more ...\n", vm.trace_omitted));
    }
    for entry in &vm.trace[split..] {
        shown.push_str(&line(vm, entry));
    }
    shown
}

/// Whether the last exit came out of `error:`.
pub fn is_error(vm: &Vm) -> bool {
    vm.trace.iter().any(|entry| text(entry.method.signature()) == "error:")
}

/// The code of the current activations, innermost first.
pub fn current() -> String {
    let methods = with_vm(|vm| vm.method_addresses());
    let mut shown = String::new();
    let mut last = 0;
    for word in crate::stack::words() {
        if word != last && methods.contains(&word) {
            last = word;
            // SAFETY: the VM made a method at this address and keeps it.
            let method = unsafe { Method::from_bits(word) };
            shown.push_str(&format!("  {}\n", name(method)));
        }
    }
    shown
}
