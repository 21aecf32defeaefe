//! 6. The traceable subset.
//!
//! Bodies of `#[jit]` and `#[jit_driver]` functions are written in a subset of Rust. What is outside is refused where it stands, all of a
//! function's mistakes at once, with what to write instead.
//!
//! | in the subset | not in it | instead |
//! |---|---|---|
//! | integers of up to 64 bits, `bool`, `char`, `f64` | `i128`, `f32`, strings | `f64`; text in `u8` arrays or behind calls |
//! | `#[jit_word]`, `#[jit_object]` handles | references, boxes, slices | handles; `self` by value |
//! | `Option`, `Result`, tuples, `#[jit_enum]` | arrays, `Vec`, iterators | an object with an inline array; `while` |
//! | `if`, `if let`, `let … else`, `match`, let chains | | |
//! | `loop`, `while`, `while let`, `for i in a..b`, labels | `for` over anything else | `while` |
//! | `return`, `?`, `break` with a value | `async` | |
//! | patterns: literals, constants, ranges, alternatives, bindings, guards, nesting | `ref`, slices, boxes | |
//! | operators on words, compound assignment, `as` | indexing, dereferencing | accessors; a constant table in an `#[elidable]` function |
//! | `match` and `matches!` on structures | `==` between structures (`Option`, `#[jit_enum]`) | `matches!` |
//! | calls of `#[jit]`, `#[dont_look_inside]`, `#[elidable]` functions by name | closures, function pointers, `dyn` | `match` and call each by name |
//! | methods with a dot, associated functions by path | methods by path: `Type::method(x)` | `x.method()` |
//! | generic functions over words, traits | generic `#[dont_look_inside]` | one function per type |
//! | `panic!`, `unreachable!`, `assert!`, `assert_eq!`, `debug_assert!`, `matches!` | other macros | a `#[dont_look_inside]` function |
//! | `unsafe { }` around such calls | raw pointers | a `#[dont_look_inside]` function |
//!
//! The macros tell by its case what a name is: `snake_case` functions and variables, `CamelCase` types and variants, `UPPER_CASE` constants.
//! Write `Enum::Variant`, with the enum's name.
//!
//! # Errors that rustc reports
//!
//! Types are checked in the twin, by rustc, at your code's place. Its words for what is missing:
//!
//! * *cannot find module or crate `f`* ("function `f` is not a crate or module"), or *no method named `jit_twin_of_f`*: the function has no
//!   twin. Mark it `#[jit]`, `#[dont_look_inside]` or `#[elidable]` (or, if it is the standard library's, wrap it in one that is).
//! * *this function takes … arguments*, one more than it seems to: a method called by its path. Write `x.method()`. (A field of a
//!   `#[jit_word]` in a pattern is not seen either, *struct `Traced` does not have a field*: write `bits()`.)
//! * *arguments to this method are incorrect* at `==`: the operands are structures.
//! * *cannot find value `x`* in the `loop` of a driver, although it is declared before: it lives from one iteration to the next, and is
//!   neither green nor red.
//! * *is not a word that traced code can hold*, *has no JIT twin*: the type needs an attribute, or belongs behind a call.
//! * *the name `f` is defined multiple times*: a free function's twin lives in the type namespace; a type or module of the same name
//!   in the same scope is in its way.
//!
//! # What it costs
//!
//! A twin is a second body for each looked-into function: compile time and code size about double for those. Without the `jit` feature
//! there are no twins and no counters.
