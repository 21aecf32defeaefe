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
#[proc_macro_attribute]
pub fn jit(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        functions::item(functions::Tracing::Inside, args.into(), item.clone().into()),
        TokenStream::new(),
    )
}

/// Has a function called from traces, not looked into: its body is any Rust at all.
///
/// Parameters are words; the result is a word or a structure of words. A `Result` carries exceptions: traces branch on it.
#[proc_macro_attribute]
pub fn dont_look_inside(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        functions::item(
            functions::Tracing::Residual,
            args.into(),
            item.clone().into(),
        ),
        item,
    )
}

/// As `dont_look_inside`, for functions with no effect whose result depends on their arguments alone: calls may be folded,
/// merged and dropped.
#[proc_macro_attribute]
pub fn elidable(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        functions::item(
            functions::Tracing::Elidable,
            args.into(),
            item.clone().into(),
        ),
        item,
    )
}

/// Marks a handler: a function of the interpreter that tier-1 code may call instead of inlining it. Traced like `#[jit]`.
#[proc_macro_attribute]
pub fn enable_threaded_code(args: TokenStream, item: TokenStream) -> TokenStream {
    jit(args, item)
}

/// Makes a `Copy` enum or struct of words structural: it can be a local, a parameter and a result of traced functions.
#[proc_macro_attribute]
pub fn jit_enum(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(enums::item(args.into(), item.clone().into()), item)
}

/// Makes a function the interpreter that is traced: `#[jit_driver(greens = [pc, method], reds = [frame])]`.
///
/// The function is a prologue and one `loop` that begins with `jit_merge_point!()`; `can_enter_jit!()` marks where it jumps
/// backwards, and goes to the merge point. `greens` tell one place of the interpreted program from another and are
/// constants of a trace, `reds` are everything else that lives from one iteration to the next; each is a local with a
/// type, or `name: Type`. `virtualizable = red` names a red whose fields compiled code keeps in registers: nothing else in
/// the program may refer to that object. `live = index`, an expression of the greens, says from where on its array is
/// dead at the merge point. `check = answer` is asked before each call that is really made (one that a trace follows is not): an
/// `Option` of the result, `Some` if the call is to answer that at once; it is the place to find the native stack low. `location = text`, of the greens too, names places in logs.
#[proc_macro_attribute]
pub fn jit_driver(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(
        driver::item(args.into(), item.clone().into()),
        TokenStream::new(),
    )
}
