//! The attributes of metajit.
//!
//! Each attribute parses its item, checks it whole, and then expands it; every mistake found is reported, at
//! the user's own span, with a sentence that says what to write instead. The expansions name everything
//! through `::metajit::rt`.

use proc_macro::TokenStream;

mod object_twins;
mod objects;

/// Makes a one-field tuple struct over `u64` a word of traced code: `#[jit_word] pub struct Value(u64);`
///
/// The type becomes `Copy` and gets `bits()` and `from_bits(u64)`, which traced code can use too.
#[proc_macro_attribute]
pub fn jit_word(args: TokenStream, item: TokenStream) -> TokenStream {
    objects::word(args.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Declares a heap object and its one-word handle.
///
/// ```text
/// #[jit_object]
/// pub struct Frame {
///     #[immutable] method: Method,
///     pc: i64,
///     slots: [Value],
/// }
/// ```
///
/// Fields are words; the last may be an inline array, written as a slice type. `#[immutable]` fields are set
/// by `alloc` only; a write to a `#[quasi_immutable]` field throws away the code that relied on its value.
#[proc_macro_attribute]
pub fn jit_object(args: TokenStream, item: TokenStream) -> TokenStream {
    objects::object(args.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

macro_rules! interim {
    ($($name:ident),*) => { $(
        /// Interim: the plain reading only.
        #[proc_macro_attribute]
        pub fn $name(_args: TokenStream, item: TokenStream) -> TokenStream {
            item
        }
    )* };
}
interim!(
    jit,
    dont_look_inside,
    elidable,
    jit_enum,
    enable_threaded_code,
    jit_driver
);
