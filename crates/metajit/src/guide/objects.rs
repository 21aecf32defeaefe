//! 3. Heap objects, immutable fields, and the frame.
//!
//! `#[jit_object]` declares the layout of a heap object and a handle of the same name: one word, `Copy`, with an accessor for each field.
//! Fields are words; the last may be an inline array, whose length is chosen when the object is made.
//!
//! ```
//! use metajit::prelude::*;
//!
//! #[jit_object]
//! pub struct Function {
//!     #[immutable]
//!     arity: i64,
//!     calls: i64,
//!     #[immutable]
//!     callees: [Function],
//! }
//!
//! fn main() {
//!     // The fields in order, then the array's length and what each of its items is at first.
//!     // SAFETY: this handle names no object. It is replaced below, before anything looks at the array.
//!     let none = unsafe { Function::from_bits(0) };
//!     let function = Function::alloc(2, 0, 1, none);
//!     // SAFETY: no code has seen the object, so what is immutable may still be set. It calls itself.
//!     unsafe { function.set_callees(0, function) };
//!
//!     function.set_calls(function.calls() + 1);
//!     assert_eq!((function.arity(), function.calls()), (2, 1));
//!     assert_eq!((function.callees_len(), function.callees(0).calls()), (1, 1));
//! }
//! ```
//!
//! For a field `name` there are `name()` and `set_name(value)`, for an array `name(index)`, `set_name(index, value)` and `name_len()`, whose
//! numbers are `i64`; an index out of bounds panics. Setters of what is immutable are `unsafe`, and for objects that nobody has seen. An
//! array that shall grow is an object of its own, which a field of another names: replace it by a larger one.
//!
//! What you say about a field decides what compiled code can do:
//!
//! * `#[immutable]`: set by `alloc`, never again. If the handle is a constant of the trace, so is the field: put what describes the
//!   interpreted program (code, constants, classes' layouts) into immutable fields.
//! * `#[quasi_immutable]`: seldom written. Compiled code takes the value for a constant, and a write throws away the code that did:
//!   globals, method tables' versions.
//! * nothing: an ordinary field. Reads and writes that the trace sees through are forwarded; an object that nothing but the trace
//!   has seen is never allocated (it is *virtual*).
//!
//! A quasi-immutable field that a loop writes each time is worse than an ordinary one: the loop is given up. A variable of which nobody
//! knows beforehand whether it will vary is two fields, and a third one that tells:
//!
//! ```
//! use metajit::prelude::*;
//!
//! #[jit_object]
//! pub struct Global {
//!     /// The value, until it is written again.
//!     #[quasi_immutable]
//!     constant: i64,
//!     #[quasi_immutable]
//!     varies: bool,
//!     /// The value from then on.
//!     variable: i64,
//! }
//!
//! #[jit]
//! impl Global {
//!     fn get(self) -> i64 {
//!         if self.varies() { self.variable() } else { self.constant() }
//!     }
//!     fn set(self, value: i64) {
//!         self.set_variable(value);
//!         if !self.varies() {
//!             self.set_varies(true);
//!         }
//!     }
//! }
//!
//! fn main() {
//!     let global = Global::alloc(3, false, 0);
//!     assert_eq!(global.get(), 3);
//!     global.set(4);
//!     assert_eq!(global.get(), 4);
//! }
//! ```
//!
//! # The frame
//!
//! The locals and the operand stack of an interpreted function are an object too. Named as `virtualizable`, it lives in registers while
//! compiled code runs, and is written back only where the interpreter has to go on. Nothing else in the program may
//! refer to it: what closures capture belongs in objects of their own.
//!
//! A frame that is made for one call, and that the caller does not look at after it, is *given*: say so. Compiled code then calls with what
//! the frame holds, and there is no frame unless an exit or something that is not looked into needs it.
//!
//! ```
//! use metajit::prelude::*;
//!
//! #[jit_object]
//! pub struct Code {
//!     #[immutable]
//!     locals: i64,
//!     #[immutable]
//!     size: i64,
//!     #[immutable]
//!     words: [i64],
//! }
//!
//! #[jit_object]
//! pub struct Frame {
//!     slots: [i64],
//! }
//!
//! const PUSH: i64 = 0;
//! const LOAD: i64 = 1;
//! const STORE: i64 = 2;
//! const ADD: i64 = 3;
//! const JUMP_IF_LESS: i64 = 4;
//! const RETURN: i64 = 5;
//!
//! #[jit_driver(greens = [pc, sp, code], reds = [frame], virtualizable = frame, given, live = sp)]
//! fn interpret(code: Code, frame: Frame) -> i64 {
//!     let pc: i64 = 0;
//!     let sp: i64 = code.locals();
//!     loop {
//!         jit_merge_point!();
//!         let operand = code.words(pc + 1);
//!         match code.words(pc) {
//!             PUSH => {
//!                 frame.set_slots(sp, operand);
//!                 sp += 1;
//!                 pc += 2;
//!             }
//!             LOAD => {
//!                 frame.set_slots(sp, frame.slots(operand));
//!                 sp += 1;
//!                 pc += 2;
//!             }
//!             STORE => {
//!                 sp -= 1;
//!                 frame.set_slots(operand, frame.slots(sp));
//!                 pc += 2;
//!             }
//!             ADD => {
//!                 sp -= 1;
//!                 let sum = frame.slots(sp - 1).wrapping_add(frame.slots(sp));
//!                 frame.set_slots(sp - 1, sum);
//!                 pc += 2;
//!             }
//!             JUMP_IF_LESS => {
//!                 sp -= 2;
//!                 if frame.slots(sp) < frame.slots(sp + 1) {
//!                     let backwards = operand <= pc;
//!                     pc = operand;
//!                     if backwards {
//!                         can_enter_jit!();
//!                     }
//!                 } else {
//!                     pc += 2;
//!                 }
//!             }
//!             _ => return frame.slots(sp - 1),
//!         }
//!     }
//! }
//!
//! fn main() {
//!     // sum = 0; i = 0; do { sum += i; i += 1 } while i < 1000; return sum
//!     let words = [
//!         LOAD, 0, LOAD, 1, ADD, 0, STORE, 0,
//!         LOAD, 1, PUSH, 1, ADD, 0, STORE, 1,
//!         LOAD, 1, PUSH, 1000, JUMP_IF_LESS, 0,
//!         LOAD, 0, RETURN, 0,
//!     ];
//!     let code = Code::alloc(2, 4, words.len() as i64, RETURN);
//!     for (index, &word) in words.iter().enumerate() {
//!         // SAFETY: no code has seen the object yet.
//!         unsafe { code.set_words(index as i64, word) };
//!     }
//!     let frame = Frame::alloc(code.size(), 0);
//!     assert_eq!(interpret(code, frame), 999 * 1000 / 2);
//! }
//! ```
//!
//! `sp` is green because at each `pc` it is always the same. `live = sp` says that the array's items from `sp` on are dead at the merge point:
//! they hold what was popped, and no exit has to write them back.
//!
//! # Handles of several shapes
//!
//! Objects that begin with the same fields can be looked at through a handle that has only those: `unsafe { Common::from_bits(x.bits()) }`.
//! `handle.is_shape()` asks whether the object was really allocated with the handle's own shape.
//!
//! # No object
//!
//! A handle names an object, always. Where there may be none, write `Maybe<Name>`: it is a word like a handle, made by
//! `Maybe::some(handle)` and `Maybe::none()`, and `get()` makes it an `Option`.
