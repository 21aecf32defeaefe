//! The attributes of metajit.
//!
//! Each attribute parses its item, checks it whole, and then expands it; every mistake found is reported, at
//! the user's own span, with a sentence that says what to write instead. The expansions name everything
//! through `::metajit::rt`.

use proc_macro::TokenStream;

mod driver;
mod enums;
mod functions;
mod names;
mod object_twins;
mod objects;
mod patterns;
mod twin;

/// Makes a one-field tuple struct over `u64` a word of traced code.
///
/// The type becomes `Copy` and gets `bits()` and `from_bits(u64)`, which traced code can use too. In an object, such a word may
/// hold the address of another: without its lowest three bits and those above the lowest 48, it is the address or it names none.
///
/// ```
/// use metajit::prelude::*;
///
/// /// An even word is an integer.
/// #[jit_word]
/// pub struct Value(u64);
///
/// #[jit]
/// fn small(number: i64) -> Value {
///     Value::from_bits((number as u64) << 1)
/// }
///
/// fn main() {
///     assert_eq!(small(21).bits(), 42);
/// }
/// ```
#[proc_macro_attribute]
pub fn jit_word(args: TokenStream, item: TokenStream) -> TokenStream {
    objects::word(args.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Declares a heap object and its one-word handle.
///
/// Fields are words; the last may be an inline array, written as a slice type. `#[immutable]` fields are set
/// by `alloc` only; a write to a `#[quasi_immutable]` field throws away the code that relied on its value.
///
/// ```
/// use metajit::prelude::*;
///
/// #[jit_object]
/// pub struct Method {
///     #[immutable]
///     arity: i64,
/// }
///
/// #[jit_object]
/// pub struct Frame {
///     #[immutable]
///     method: Method,
///     depth: i64,
///     slots: [i64],
/// }
///
/// fn main() {
///     // The fields in order, then the array's length and what its items begin with.
///     let frame = Frame::alloc(Method::alloc(2), 1, 4, 0);
///     frame.set_depth(frame.depth() + 1);
///     frame.set_slots(3, 7);
///     assert_eq!((frame.method().arity(), frame.depth(), frame.slots(3), frame.slots_len()), (2, 2, 7, 4));
///     assert!(frame.is_shape());
/// }
/// ```
#[proc_macro_attribute]
pub fn jit_object(args: TokenStream, item: TokenStream) -> TokenStream {
    objects::object(args.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(result: syn::Result<proc_macro2::TokenStream>, item: TokenStream) -> TokenStream {
    match result {
        Ok(tokens) => tokens.into(),
        Err(error) => {
            // The item stays, so that its absence adds no errors of its own.
            let mut tokens: TokenStream = error.into_compile_error().into();
            tokens.extend(item);
            tokens
        }
    }
}

/// Has a function, an `impl` block or a trait traced into.
///
/// The body must be in the traceable subset; what is not is an error at its place. In an `impl`, single methods may be
/// marked `#[dont_look_inside]` or `#[elidable]`.
///
/// ```
/// use metajit::prelude::*;
///
/// #[jit]
/// fn sum_to(n: i64) -> Option<i64> {
///     let mut sum: i64 = 0;
///     for i in 1..=n {
///         sum = sum.checked_add(i)?;
///     }
///     Some(sum)
/// }
///
/// #[jit]
/// trait Area: Copy {
///     fn area(self) -> i64;
///     fn doubled(self) -> i64 {
///         2 * self.area()
///     }
/// }
///
/// #[jit_object]
/// struct Square {
///     side: i64,
/// }
///
/// #[jit]
/// impl Area for Square {
///     fn area(self) -> i64 {
///         self.side() * self.side()
///     }
/// }
///
/// fn main() {
///     assert_eq!(sum_to(10), Some(55));
///     assert_eq!(Square::alloc(3).doubled(), 18);
/// }
/// ```
#[proc_macro_attribute]
pub fn jit(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(functions::item(functions::Tracing::Inside, args.into(), item.clone().into()), TokenStream::new())
}

/// Has a function called from traces, not looked into: its body is any Rust at all.
///
/// Parameters are words; the result is a word or a structure of words. A `Result` carries exceptions: traces branch on it.
///
/// ```
/// use metajit::prelude::*;
///
/// #[dont_look_inside]
/// fn print(number: i64) -> Result<(), i64> {
///     if number < 0 {
///         return Err(number);
///     }
///     println!("{number}");
///     Ok(())
/// }
///
/// #[jit]
/// fn print_both(a: i64, b: i64) -> Result<(), i64> {
///     print(a)?;
///     print(b)
/// }
///
/// fn main() {
///     assert_eq!(print_both(1, -2), Err(-2));
/// }
/// ```
#[proc_macro_attribute]
pub fn dont_look_inside(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(functions::item(functions::Tracing::Residual, args.into(), item.clone().into()), item)
}

/// As `dont_look_inside`, for functions with no effect whose result depends on their arguments alone: calls may be folded,
/// merged and dropped.
///
/// ```
/// use metajit::prelude::*;
///
/// #[elidable]
/// fn digits(number: i64) -> i64 {
///     number.to_string().len() as i64
/// }
///
/// #[jit]
/// fn wider(a: i64, b: i64) -> bool {
///     digits(a) > digits(b)
/// }
///
/// fn main() {
///     assert!(wider(100, 99));
/// }
/// ```
#[proc_macro_attribute]
pub fn elidable(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(functions::item(functions::Tracing::Elidable, args.into(), item.clone().into()), item)
}

/// Marks a handler: a function of the interpreter that threaded code may call instead of inlining it. Traced like `#[jit]`.
///
/// Threaded code inlines what is short, and calls the rest: a function that decides by a value that it can't know, or
/// that has grown long. Without the attribute it would have to leave there. With `when_constant = parameter` the function is called
/// wherever that parameter is no constant, with `called` everywhere. The parameters are words.
///
/// A handler that is given the virtualizable frame may read and write all of it, so threaded code, which keeps the frame's items in
/// registers, brings them back to memory first and reads them again afterwards. `reads` promises that the function writes no item,
/// `reads_from = parameter` that it does not read those before the one with that number, either.
///
/// ```
/// use metajit::prelude::*;
///
/// #[enable_threaded_code]
/// fn collatz(n: i64) -> i64 {
///     let mut steps = 0;
///     let mut n = n;
///     while n > 1 {
///         n = if n & 1 == 0 { n / 2 } else { 3 * n + 1 };
///         steps += 1;
///     }
///     steps
/// }
///
/// fn main() {
///     assert_eq!(collatz(6), 8);
/// }
/// ```
#[proc_macro_attribute]
pub fn enable_threaded_code(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        functions::item(functions::Tracing::Handler(functions::Handling::default()), args.into(), item.clone().into()),
        TokenStream::new(),
    )
}

/// Makes a `Copy` enum or struct of words structural: it can be a local, a parameter and a result of traced functions.
///
/// Write it above `#[derive(..)]`. Such a value is never stored in the heap, and costs nothing in a trace.
///
/// ```
/// use metajit::prelude::*;
///
/// #[jit_enum]
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Outcome {
///     Value(i64),
///     Jump { to: i64, backwards: bool },
/// }
///
/// #[jit]
/// fn branch(pc: i64, by: i64) -> Outcome {
///     if by == 0 { Outcome::Value(pc) } else { Outcome::Jump { to: pc + by, backwards: by < 0 } }
/// }
///
/// fn main() {
///     assert_eq!(branch(10, -4), Outcome::Jump { to: 6, backwards: true });
/// }
/// ```
#[proc_macro_attribute]
pub fn jit_enum(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(enums::item(args.into(), item.clone().into()), item)
}

/// Makes a function the interpreter that is traced: `#[jit_driver(greens = [pc, method], reds = [frame])]`.
///
/// The function, a free one, is a prologue and one `loop` that begins with `jit_merge_point!()`; `can_enter_jit!()` marks where it jumps
/// backwards, and goes to the merge point. `greens` tell one place of the interpreted program from another and are
/// constants of a trace, `reds` are everything else that lives from one iteration to the next; each is a local with a
/// type, or `name: Type`. `virtualizable = red` names a red whose fields compiled code keeps in registers: nothing else in
/// the program may refer to that object. With `given`, the object is the call's alone: whoever calls the driver has made it for the
/// call, and does not look at it afterwards; compiled code then passes what it holds, and most often never makes it. `live = index`, an expression of the greens, says from where on its array is
/// dead at the merge point. `overflow = answer` is what a call answers, instead of being made, when the native stack is
/// beyond the limit that was set for it (`metajit::set_stack_limit`). `location = text`, of the greens too, names places in
/// logs.
///
/// ```
/// use metajit::prelude::*;
///
/// #[jit_object]
/// struct Counter {
///     count: i64,
/// }
///
/// #[jit_driver(greens = [step], reds = [counter], location = format!("by {step}"))]
/// fn count(step: i64, counter: Counter) -> i64 {
///     loop {
///         jit_merge_point!();
///         if counter.count() >= 100_000 {
///             return counter.count();
///         }
///         counter.set_count(counter.count() + step);
///         can_enter_jit!();
///     }
/// }
///
/// fn main() {
///     assert_eq!(count(3, Counter::alloc(0)), 100_002);
/// }
/// ```
///
/// The guide, `metajit::guide`, explains it step by step.
#[proc_macro_attribute]
pub fn jit_driver(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(driver::item(args.into(), item.clone().into()), TokenStream::new())
}
