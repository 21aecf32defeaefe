//! 4. Handlers, exceptions, calls, and what is not looked into.
//!
//! # Looked into
//!
//! Factor the interpreter into as many `#[jit]` functions as you like: traces don't show it. Functions of other modules and crates are
//! called through ordinary `use`; generic functions (`fn f<T: Word>`), traits (`#[jit]` on the trait and on each `impl`) and recursion work.
//! A loop in a `#[jit]` function is unrolled into the trace, so it should be short or have a constant bound; a long one gets a driver of its
//! own.
//!
//! # Not looked into
//!
//! Everything that traced code can't say goes into functions whose body is any Rust at all:
//!
//! ```
//! use metajit::prelude::*;
//! use std::collections::HashMap;
//! use std::cell::RefCell;
//!
//! thread_local! {
//!     static GLOBALS: RefCell<HashMap<i64, i64>> = RefCell::default();
//! }
//!
//! /// A call in the trace, made each time.
//! #[dont_look_inside]
//! fn global(name: i64) -> Option<i64> {
//!     GLOBALS.with_borrow(|globals| globals.get(&name).copied())
//! }
//!
//! /// The same arguments always give the same result, and nobody notices whether it ran: called with constants, it is one.
//! #[elidable]
//! fn hash(name: i64) -> i64 {
//!     name.to_string().bytes().fold(17, |hash, byte| hash * 31 + i64::from(byte))
//! }
//!
//! #[jit]
//! fn lookup(name: i64) -> Result<i64, i64> {
//!     match global(hash(name)) {
//!         Some(value) => Ok(value),
//!         None => Err(name),
//!     }
//! }
//!
//! fn main() {
//!     GLOBALS.with_borrow_mut(|globals| globals.insert(hash(7), 42));
//!     assert_eq!(lookup(7), Ok(42));
//!     assert_eq!(lookup(8), Err(8));
//! }
//! ```
//!
//! Arguments are words; the result is a word, `()`, or an `Option`, `Result`, tuple or `#[jit_enum]` of words. In an `impl` block with `#[jit]`,
//! single methods are marked the same way.
//!
//! `#[elidable]` is a promise. It may read immutable fields and nothing else that can change; if it would allocate, the same object must do for
//! every call. When in doubt, `#[dont_look_inside]`.
//!
//! # Finding methods and fields
//!
//! What a dynamic language looks up by a class and a name costs nothing in a trace if the class is made a constant and the search is elidable:
//! one guard, and the answer is known. So a trace needs no inline cache. The plain interpreter and threaded code do, if the search is long; one
//! function can have both:
//!
//! ```
//! use metajit::prelude::*;
//!
//! /// The names of an object's fields, in order. Objects with the same fields share it.
//! #[jit_object]
//! pub struct Layout {
//!     #[immutable]
//!     names: [i64],
//! }
//!
//! #[jit_object]
//! pub struct Record {
//!     #[immutable]
//!     layout: Layout,
//!     fields: [i64],
//! }
//!
//! /// What one place of a program has found last.
//! #[jit_object]
//! pub struct Cache {
//!     layout: Maybe<Layout>,
//!     index: i64,
//! }
//!
//! /// Reads immutable fields only, so its answer is the same for ever.
//! #[elidable]
//! fn find(layout: Layout, name: i64) -> i64 {
//!     (0..layout.names_len()).find(|&index| layout.names(index) == name).unwrap_or(-1)
//! }
//!
//! #[jit]
//! fn field(record: Record, name: i64, cache: Cache) -> Option<i64> {
//!     let layout = record.layout();
//!     let index = if we_are_jitted() {
//!         find(promote(layout), name)
//!     } else {
//!         if cache.layout() != Maybe::some(layout) {
//!             cache.set_index(find(layout, name));
//!             cache.set_layout(Maybe::some(layout));
//!         }
//!         cache.index()
//!     };
//!     if index < 0 { None } else { Some(record.fields(index)) }
//! }
//!
//! fn main() {
//!     let layout = Layout::alloc(2, 17);
//!     // SAFETY: no code has seen the object yet.
//!     unsafe { layout.set_names(1, 23) };
//!     let record = Record::alloc(layout, 2, 0);
//!     record.set_fields(1, 42);
//!     let cache = Cache::alloc(Maybe::none(), 0);
//!     assert_eq!(field(record, 23, cache), Some(42));
//!     assert_eq!((field(record, 23, cache), cache.index()), (Some(42), 1));
//!     assert_eq!(field(record, 24, Cache::alloc(Maybe::none(), 0)), None);
//! }
//! ```
//!
//! Both ways must give the same. What may be redefined (methods, classes) needs something that changes with it: a `#[quasi_immutable]` version,
//! read before the search and given to it as an argument.
//!
//! # Exceptions
//!
//! Exceptions of the interpreted language are `Err`, passed on with `?`. In a trace, one that is raised and caught costs a branch or nothing.
//! Rust panics are for mistakes in the interpreter: they pass through compiled code as they should, but slowly.
//!
//! # Calls of the interpreted language
//!
//! The simplest way is to call the driver function again. The trace looks into it: short callees are inlined, frame and all; those
//! that loop or recurse deeply are called.
//!
//! ```
//! use metajit::prelude::*;
//!
//! const DOUBLE: i64 = 0; // pushes nothing: the accumulator times two, by calling the program at `operand`
//! const TWICE: i64 = 1;
//! const COUNT: i64 = 2;
//! const RETURN: i64 = 3;
//!
//! #[jit_object]
//! pub struct Program {
//!     #[immutable]
//!     words: [i64],
//! }
//!
//! #[jit_driver(greens = [pc, program], reds = [total, counter])]
//! fn run(program: Program, start: i64, total: i64, counter: i64) -> Result<i64, i64> {
//!     let pc: i64 = start;
//!     loop {
//!         jit_merge_point!();
//!         let operand = program.words(pc + 1);
//!         match program.words(pc) {
//!             DOUBLE => {
//!                 total = run(program, operand, total, 0)?;
//!                 pc += 2;
//!             }
//!             TWICE => {
//!                 if total > 1_000_000 {
//!                     return Err(total);
//!                 }
//!                 total = total * 2 % 1009;
//!                 pc += 2;
//!             }
//!             COUNT => {
//!                 counter -= 1;
//!                 if counter > 0 {
//!                     pc = operand;
//!                     can_enter_jit!();
//!                 } else {
//!                     pc += 2;
//!                 }
//!             }
//!             _ => return Ok(total),
//!         }
//!     }
//! }
//!
//! fn main() {
//!     let words = [DOUBLE, 6, COUNT, 0, RETURN, 0, TWICE, 0, RETURN, 0];
//!     let program = Program::alloc(words.len() as i64, RETURN);
//!     for (index, &word) in words.iter().enumerate() {
//!         // SAFETY: no code has seen the object yet.
//!         unsafe { program.set_words(index as i64, word) };
//!     }
//!     let expected = (0..5000).fold(1, |total, _| total * 2 % 1009);
//!     assert_eq!(run(program, 0, 1, 5000), Ok(expected));
//! }
//! ```
//!
//! Interpreted calls are Rust's calls, so endless recursion of the interpreted program ends the process unless the language stops it. Either
//! count the depth (an immutable field of the frame) and answer with an `Err`, as the examples do; or tell metajit where the stack ends, by
//! [`set_stack_limit`](crate::set_stack_limit), and what a call answers that would go beyond: `overflow = Err(Fault::Depth)` among the
//! arguments of [`jit_driver`](crate::jit_driver). An interpreter that shall recurse deeply runs on a thread with a large stack:
//!
//! ```
//! use metajit::prelude::*;
//!
//! /// Down to 0, by calls.
//! #[jit_driver(greens = [step], reds = [n], overflow = Err(n))]
//! fn down(step: i64, n: i64) -> Result<i64, i64> {
//!     loop {
//!         jit_merge_point!();
//!         if n <= 0 {
//!             return Ok(0);
//!         }
//!         return Ok(down(step, n - step)? + 1);
//!     }
//! }
//!
//! /// Address space only: memory is there once it is touched.
//! const STACK: usize = 64 << 20;
//! /// For what is no call of a driver's function: the collector, the recorder, a long `#[dont_look_inside]` function.
//! const RESERVE: usize = 1 << 20;
//!
//! fn main() {
//!     let thread = std::thread::Builder::new().stack_size(STACK).spawn(|| {
//!         let here = 0u8;
//!         metajit::set_stack_limit(&raw const here as usize - STACK + RESERVE);
//!         (down(1, 10_000), down(1, 1_000_000_000).is_err())
//!     });
//!     assert_eq!(thread.unwrap().join().unwrap(), (Ok(10_000), true));
//! }
//! ```
