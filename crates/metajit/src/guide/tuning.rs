//! 7. Parameters, statistics, logs.
//!
//! Everything that decides when to record and how much is a parameter of the thread's runtime, set from the program or from the environment
//! variable `METAJIT`, in the same words. [`Parameters`](crate::driver::Parameters) lists them all.
//!
//! ```
//! # #[cfg(feature = "jit")] {
//! use metajit::driver::{parameters, set_parameters};
//!
//! let mut mine = parameters();
//! mine.set("threshold=50,trace_eagerness=10").unwrap();
//! set_parameters(mine);
//! assert_eq!(parameters().threshold, 50);
//! # }
//! ```
//!
//! ```text
//! METAJIT=threshold=50 ./my-language program      # loops are recorded sooner
//! METAJIT=off ./my-language program               # the plain interpreter
//! METAJIT=trace=1 ./my-language program           # what was recorded, what was made of it, what was left, on standard error
//! ```
//!
//! A program with options of its own gives [`set_process_parameters`](crate::driver::set_process_parameters) what they say before it
//! runs anything: threads begin with that, and with the JIT off from the start the interpreter is as fast as without it.
//!
//! Code is made on a thread of its own while the interpreter goes on, so two runs are never quite the same. With `sync=1` it is
//! made at once, and they are: for tests that count, and for looking into something.
//!
//! [`statistics`](crate::driver::statistics) counts: recordings, bridges, aborts by reason, compilations, entries and exits.
//! What to look for:
//!
//! * **Many exits** for few entries: some guard fails often. With `trace=1` the exits are named; a bridge comes after `trace_eagerness`
//!   failures. If bridges keep coming, something that varies is being promoted: a `match` on run-time data, or a green.
//! * **Aborts**: `trace_too_long` (an unrolled loop: give it a driver of its own), `inner_loop`, `panic`.
//! * **Nothing compiled**: ask [`why_not_compiled`](crate::driver::why_not_compiled) of one place, or [`explain`](crate::driver::explain)
//!   of all that were hot: `for (place, reason) in explain("") { … }`. *Never hot*, or no place at all: `can_enter_jit!()` is missing
//!   where the program jumps back, or a green is different each time. *Given up* and
//!   `abort_invalidated`: the loop writes a quasi-immutable field that it reads ([`super::objects`]).
//! * **Compiled, but not fast**: `trace=1`. What should not be there is most often a load of an operation or operand (its field is not
//!   `#[immutable]`) or a call (the function is `#[dont_look_inside]`).
//!
//! What happens can be followed: [`observe`](crate::driver::observe) takes a hook, `METAJIT_LOG=FILE` (or
//! [`log_to`](crate::driver::log_to)) writes a line of JSON for each recording, abort, compilation, invalidation, eviction and collection, and at
//! the end one for each place with its exits. [`quiet_for`](crate::driver::quiet_for) says for how long nothing was recorded or compiled:
//! whether warm-up is over.
//!
//! What a program calls how often is counted with `profile=1` and a log: no code is made, and the lines at the end say for each place how often
//! it was called and jumped back to. What a driver says by `location = text` is what its places are called there.
//!
//! What threaded code owes to each of its parts can be measured by leaving it out: `inline_caching=0` (every send goes through its handler),
//! `handler_optimization=0` (handlers are called through a stub that tests a flag, as the papers' are at first; functions marked
//! `#[enable_threaded_code]` have one beside), `max_handler_ops=0` (every handler is called: threaded code in the strict sense).
//!
//! A program that shall be stoppable from outside (Ctrl-C, a time limit) has an interpreter that tests
//! [`stop_requested`](crate::stop_requested) at its jumps backwards; [`stopper`](crate::stopper) is what another thread or a signal
//! handler asks by.
//!
//! For whoever looks at a process from outside, `METAJIT_PERF_MAP=1` names compiled code for perf, and `METAJIT_GDB=1` for gdb, whose
//! backtraces then go through it.
//!
//! Twins make an interpreter's crate longer to compile and its code larger. For 2SOM it is 1.6 times the compiler's time and 1.7 times
//! the code (`cargo xtask twins`, release build, the interpreter's crate alone); more than 3 times and 2.5 times is held to be a mistake.
//!
//! Code memory is bounded by `code_memory`; when it is nearly full, the trees that are used least are thrown away.
//!
//! In the output of `trace=1` a `guard_value` of something that is no opcode or class, a `call` that should have been looked into, or a
//! `new` in a loop that should have been virtual is where to start. Each operation is in `docs/ir-reference.md`.
