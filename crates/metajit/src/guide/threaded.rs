//! 8. Threaded code: the tier before traces.
//!
//! A trace is worth its making where the program is hot. What is run a few thousand times is better served by *threaded code*: native code of a
//! whole function of the interpreted program, both ways of each branch, made from the same twins before anything is recorded. Dispatch and
//! decoding are gone, as in a trace; types are still tested, and what is long is called. It counts, and gives way to traces where they are due.
//!
//! It is off by default. `METAJIT=threaded=1` switches it on for one run, and a language that gains by it says so itself, before it runs
//! anything. What there is to gain is warm-up, so measure short programs, and with `tracing=0` what it is worth alone.
//!
//! What the interpreter has to say for it is which of its functions may be *called* by such code: its **handlers**. Threaded code knows the
//! greens, and nothing of what varies. A branch on that is no trouble, both ways are there; but at a `match` on it, or a loop over it,
//! code has to leave for the interpreter, unless it is inside a function that can be called instead:
//!
//! ```
//! use metajit::prelude::*;
//!
//! #[jit_object]
//! pub struct Program {
//!     #[immutable]
//!     words: [i64],
//! }
//!
//! const MIX: i64 = 0;
//! const COUNT_DOWN: i64 = 1;
//! const HALT: i64 = 2;
//!
//! /// Decides by what varies: a handler.
//! #[enable_threaded_code]
//! fn mix(total: i64) -> i64 {
//!     match total % 3 {
//!         0 => total + 1,
//!         1 => total * 5 % 1009,
//!         _ => total / 2,
//!     }
//! }
//!
//! #[jit_driver(greens = [pc, program], reds = [counter, total])]
//! fn run(program: Program, counter: i64) -> i64 {
//!     let pc: i64 = 0;
//!     let total: i64 = 1;
//!     loop {
//!         jit_merge_point!();
//!         match program.words(pc) {
//!             MIX => {
//!                 total = mix(total);
//!                 pc += 1;
//!             }
//!             COUNT_DOWN => {
//!                 counter -= 1;
//!                 if counter > 0 {
//!                     pc = 0;
//!                     can_enter_jit!();
//!                 } else {
//!                     pc += 1;
//!                 }
//!             }
//!             _ => return total,
//!         }
//!     }
//! }
//!
//! fn main() {
//!     # #[cfg(feature = "jit")] {
//!     use metajit::driver::{Parameters, set_process_parameters};
//!     // What the environment says comes last, so that `METAJIT=threaded=0` still takes it away.
//!     let usual = Parameters { threaded: true, ..Parameters::default() };
//!     set_process_parameters(usual.with_environment());
//!     # }
//!
//!     let program = Program::alloc(3, HALT);
//!     // SAFETY: no code has seen the program yet.
//!     unsafe {
//!         program.set_words(0, MIX);
//!         program.set_words(1, COUNT_DOWN);
//!     }
//!     assert_eq!(run(program, 2000), (0..2000).fold(1, |total, _| mix(total)));
//!
//!     // Hot enough for threaded code, not yet for a trace. All three places are in it: were `mix` not marked, it would end at the first.
//!     # #[cfg(feature = "jit")] {
//!     let statistics = metajit::driver::statistics();
//!     assert_eq!((statistics.threaded_units, statistics.threaded_merge_points, statistics.loops_recorded), (1, 3, 0));
//!     # }
//! }
//! ```
//!
//! * Of a handler that is short (`max_handler_ops`) one way is inlined: up to its first effect that on which its conditions hold (of `!c` it
//!   is `c` that should hold). Every other way calls the handler. So its first conditions should be those of the usual case, two small
//!   integers for instance. Traces look into it like into any `#[jit]` function. So mark what does an instruction's work on values:
//!   arithmetic, access to fields and items, sends. Parameters are words; `when_constant`, `called`, `reads` and `reads_from` are on the page of
//!   [`enable_threaded_code`](crate::enable_threaded_code).
//! * What was said about greens and frames counts twice here. With `sp` green, a frame that is `virtualizable` and `given`, and `live = sp`
//!   ([`super::objects`]), operands are in registers between jumps; without, each is stored and loaded.
//! * It reads no cache and no field that can change when it is made, except through [`seen`](crate::seen): that is how a send becomes a
//!   comparison and a direct call. [`either`](crate::either) is for a condition both of whose outcomes are frequent.
//! * [`threaded_text`](crate::testing::threaded_text) shows what came of a function.
//!
//! [`Modes::all`](crate::testing::Modes::all) of the test kit has threaded code in it, whether a language switches it on or not.
