//! A whole VM, from its options to its exit status.
//!
//! Each VM runs on a thread of its own with a large stack, so a program that embeds two has two.

use crate::cli::WRONG_USAGE;
use crate::interpreter::control::{EXIT, MALFORMED, send_message, status};
use crate::objects::{SArray, Unwind};
use crate::output::Output;
use crate::stack::{on_large_stack, use_stack};
use crate::stats::{Form, render};
use crate::trace::{gathered, is_error};
use crate::universe::universe;
use crate::value::{NIL, Value};
use crate::vm::{Vm, as_string, install, string, text, uninstall, with_vm};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// How to run a VM.
pub struct Options {
    /// Directories to search for classes, before the embedded library.
    pub class_path: Vec<PathBuf>,
    /// What the program gets: its class's name, then its own arguments. Without any, a shell is run.
    pub arguments: Vec<String>,
    /// Whether code is printed to standard error as it is loaded.
    pub disassemble: bool,
    /// The most bytes of objects; 0 is no limit.
    pub heap_limit: usize,
    /// Parameters that make the tier which was asked for; none for both tiers.
    pub tier: &'static str,
    /// Parameters of the JIT compiler: `NAME=VALUE,...`, or `off`.
    pub jit: String,
    /// Where the JIT compiler writes what it does, if anywhere: JSON lines.
    pub jit_log: Option<PathBuf>,
    /// How figures are printed to standard error after the run, if at all.
    pub stats: Option<Form>,
    /// Standard output of the program.
    pub out: Box<dyn Write + Send>,
    /// Standard error of the program.
    pub err: Box<dyn Write + Send>,
    /// Whether each line is written at once.
    pub line_by_line: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("class_path", &self.class_path)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            class_path: Vec::new(),
            arguments: Vec::new(),
            disassemble: false,
            heap_limit: 0,
            tier: "",
            jit: String::new(),
            jit_log: None,
            stats: None,
            out: Box::new(std::io::stdout()),
            err: Box::new(std::io::stderr()),
            line_by_line: std::io::stdout().is_terminal(),
        }
    }
}

/// Runs a VM to the end of its program; its exit status.
pub fn run(options: Options) -> i32 {
    let run = move || {
        let jit = jit::of_new_thread(&options);
        let status = run_here(options, jit);
        drop(uninstall());
        status
    };
    match on_large_stack(run) {
        Ok(Ok(status)) => status,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: no stack for the VM: {error}");
            1
        }
    }
}

/// Runs a VM on the calling thread, with so many bytes of its stack; its exit status.
///
/// The collector and the JIT compiler are the thread's own, with the parameters that it has set; those in the options are
/// set on top. A thread runs one VM in its life.
pub fn run_on_this_thread(options: Options, stack: usize) -> i32 {
    use_stack(stack);
    let jit = jit::of_this_thread(&options);
    let status = run_here(options, jit);
    drop(uninstall());
    status
}

/// Runs a VM to the end of its program and ends the process with its status, or as soon as nobody reads its output any more.
///
/// Nothing is freed, since the system does that at once.
pub fn run_process(mut options: Options) -> ! {
    options.out = Box::new(UntilUnread(options.out));
    let jit = jit::of_process(&options);
    let status = on_large_stack(move || end_process(run_here(options, jit)));
    match status {
        Ok(_) => std::process::exit(101),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: no stack for the VM: {error}");
            std::process::exit(1)
        }
    }
}

fn end_process(status: i32) -> ! {
    #[cfg(feature = "jit")]
    metajit::driver::leave_to_the_system();
    std::process::exit(status)
}

/// The exit status of a program whose output nobody reads any more: what shells show for the signal that ends others then.
const UNREAD: i32 = 128 + 13;

/// Ends the process when the reader of its output has gone away (`| head`).
struct UntilUnread(Box<dyn Write + Send>);

impl UntilUnread {
    fn check<T>(result: std::io::Result<T>) -> std::io::Result<T> {
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => end_process(UNREAD),
            result => result,
        }
    }
}

impl Write for UntilUnread {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        UntilUnread::check(self.0.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        UntilUnread::check(self.0.flush())
    }
}

/// Runs a VM on this thread; `jit` is what came of setting the JIT compiler's parameters.
fn run_here(options: Options, jit: Result<(), String>) -> i32 {
    if options.heap_limit > 0 {
        metajit::gc::configure(metajit::gc::Config { limit: options.heap_limit, ..metajit::gc::Config::default() });
    }
    let jit = jit.and_then(|()| log_jit(options.jit_log.as_deref()));
    let stats = options.stats;
    let mut vm = Vm::new(Output::new(options.out, options.err, options.line_by_line));
    vm.class_path = options.class_path;
    vm.disassemble = options.disassemble;
    install(vm);
    let arguments = options.arguments;
    let result = std::panic::catch_unwind(|| {
        if let Err(message) = jit {
            with_vm(|vm| vm.output.print_error(format!("2som: {message}\n").as_bytes()));
            return WRONG_USAGE;
        }
        if let Err(message) = with_vm(Vm::bootstrap) {
            with_vm(|vm| vm.output.print_error(message.as_bytes()));
            return 1;
        }
        if arguments.is_empty() { crate::repl::run() } else { run_program(&arguments) }
    });
    let mut status = match result {
        Ok(status) => status,
        Err(panic) => match panic.downcast_ref::<metajit::gc::OutOfMemory>() {
            Some(error) => {
                let message = format!("error: {error}\n");
                with_vm(|vm| vm.output.print_error(message.as_bytes()));
                1
            }
            None => {
                with_vm(|vm| vm.output.flush());
                std::panic::resume_unwind(panic)
            }
        },
    };
    with_vm(|vm| {
        vm.output.flush();
        if let Some(error) = vm.output.failure() {
            let message = format!("error: the output can't be written: {error}\n");
            vm.output.print_error(message.as_bytes());
            status = status.max(1);
        }
        if let Some(form) = stats {
            let shown = render(vm, form);
            vm.output.print_error(shown.as_bytes());
        }
    });
    status
}

/// The parameters of the JIT compiler: whose they are depends on how a VM is started.
#[cfg(feature = "jit")]
mod jit {
    use super::Options;
    use metajit::driver::{Parameters, parameters, set_parameters, set_process_parameters};

    /// Both tiers, but for what `METAJIT` says. Where what is hot for long gets traces, threaded code is for what has shown more than that
    /// its own would pay: of the methods that get as far as 1,500 visits most get no further, and with that threshold a program of a
    /// few milliseconds takes a fifth longer than interpreted.
    fn usual() -> Parameters {
        Parameters { threaded: true, tier1_threshold: 10_000, ..Parameters::default() }.with_environment()
    }

    fn with_options(mut parameters: Parameters, options: &Options) -> Result<Parameters, String> {
        parameters.set(options.tier).map_err(|error| error.to_string())?;
        parameters.set(&options.jit).map_err(|error| error.to_string())?;
        Ok(parameters)
    }

    pub(super) fn of_process(options: &Options) -> Result<(), String> {
        with_options(usual(), options).map(set_process_parameters)
    }

    pub(super) fn of_new_thread(options: &Options) -> Result<(), String> {
        with_options(usual(), options).map(set_parameters)
    }

    pub(super) fn of_this_thread(options: &Options) -> Result<(), String> {
        with_options(parameters(), options).map(set_parameters)
    }
}

#[cfg(not(feature = "jit"))]
mod jit {
    use super::Options;

    pub(super) fn nothing(_: &Options) -> Result<(), String> {
        Ok(())
    }
    pub(super) use {nothing as of_new_thread, nothing as of_process, nothing as of_this_thread};
}

#[cfg(feature = "jit")]
fn log_jit(path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    metajit::driver::log_to(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(not(feature = "jit"))]
fn log_jit(path: Option<&Path>) -> Result<(), String> {
    path.map_or(Ok(()), |_| Err("--jit-log needs the JIT compiler, which this build is without".to_owned()))
}

fn run_program(arguments: &[String]) -> i32 {
    if let Some(message) = with_vm(|vm| vm.missing_program(&arguments[0])) {
        with_vm(|vm| vm.output.print_error(message.as_bytes()));
        return 1;
    }
    let array = SArray::alloc(universe().array_class(), arguments.len() as i64, NIL);
    for (index, argument) in arguments.iter().enumerate() {
        array.set_items(index as i64, string(argument));
    }
    let array = Value::from_bits(array.bits());
    match send_message(universe().system(), "initialize:", &[array]) {
        Ok(_) => 0,
        Err(unwind) => report(unwind),
    }
}

/// Says why a program ended; its status.
pub fn report(unwind: Unwind) -> i32 {
    let status = (status(unwind) & 0xFF) as i32;
    with_vm(|vm| {
        if unwind.kind() == EXIT {
            if status != 0 && is_error(vm) {
                let shown = gathered(vm);
                vm.output.print_error(shown.as_bytes());
            }
            return;
        }
        let message = as_string(unwind.value()).map(text).unwrap_or_default();
        let shown = if unwind.kind() == MALFORMED { message } else { format!("error: {message}\n{}", gathered(vm)) };
        vm.output.print_error(shown.as_bytes());
    });
    status
}
