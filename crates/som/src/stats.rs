//! Figures about a run, for `--stats`.

use crate::vm::Vm;
use std::fmt::Write;

/// How figures are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A name and a number on each line.
    Text,
    /// One JSON object.
    Json,
}

/// All figures of this thread with their names.
fn figures(vm: &Vm) -> Vec<(String, u64)> {
    let gc = metajit::gc::statistics();
    let mut figures: Vec<(String, u64)> = [
        ("run_us", vm.start.elapsed().as_micros() as u64),
        ("functions_compiled", vm.sources.len() as u64),
        ("generic_functions", vm.migrations.len() as u64),
        ("gc_minor", gc.minor),
        ("gc_major", gc.major),
        ("gc_pause_us", gc.pause_total.as_micros() as u64),
        ("heap_allocated", gc.allocated),
        ("heap_used", gc.used as u64),
        ("heap_committed", gc.committed as u64),
    ]
    .map(|(name, figure)| (name.to_owned(), figure))
    .into();
    jit_figures(&mut figures);
    figures
}

#[cfg(feature = "jit")]
fn jit_figures(figures: &mut Vec<(String, u64)>) {
    let jit = metajit::driver::statistics().fields();
    figures.extend(jit.into_iter().map(|(name, figure)| (format!("jit_{name}"), figure)));
}

#[cfg(not(feature = "jit"))]
fn jit_figures(_figures: &mut Vec<(String, u64)>) {}

/// The figures as text.
pub fn render(vm: &Vm, form: Form) -> String {
    let mut text = String::new();
    let figures = figures(vm);
    match form {
        Form::Text => {
            for (name, figure) in figures {
                let _ = writeln!(text, "{name:<24} {figure:>16}");
            }
        }
        Form::Json => {
            let fields: Vec<String> = figures.iter().map(|(name, figure)| format!("\"{name}\":{figure}")).collect();
            let _ = writeln!(text, "{{{}}}", fields.join(","));
        }
    }
    text
}
