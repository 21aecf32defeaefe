//! What a name stands for, by its case, and how its twin is called.
//!
//! A macro sees no types. Rust's naming conventions tell constants, types, variants and functions apart; where a name
//! breaks them, rustc's error says that the twin is missing.

use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
use syn::{Path, PathArguments};

/// `CONSTANT`: no lower-case letter, at least one upper-case one.
pub(crate) fn is_constant(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_uppercase()) && !name.chars().any(|c| c.is_ascii_lowercase())
}

/// `CamelCase` (or `Self`): a type or a variant.
pub(crate) fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && (!is_constant(name) || name.len() == 1)
}

const PRIMITIVES: [&str; 15] =
    ["i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize", "f32", "f64", "bool", "char", "str"];

pub(crate) fn is_primitive(name: &str) -> bool {
    PRIMITIVES.contains(&name)
}

/// The variants of `Option` and `Result`, which are their own twins.
pub(crate) fn is_std_variant(name: &str) -> bool {
    matches!(name, "Some" | "None" | "Ok" | "Err")
}

/// The twin of a method or associated function.
pub(crate) fn twin_method(name: &Ident) -> Ident {
    format_ident!("jit_twin_of_{}", name, span = name.span())
}

pub(crate) fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// The place of the user's code, for generated code: errors point there, but its names are resolved as the macro's own,
/// also where the code itself comes out of a `macro_rules!` macro.
pub(crate) fn at(spanned: &impl syn::spanned::Spanned) -> proc_macro2::Span {
    proc_macro2::Span::call_site().located_at(spanned.span())
}

/// The path without its last segment.
pub(crate) fn parent(path: &Path) -> Path {
    let mut parent = path.clone();
    parent.segments.pop();
    parent.segments.pop_punct();
    parent
}

/// How a call of the function at `path` is written in a twin: what is called, up to the argument list.
pub(crate) fn twin_function(path: &Path) -> TokenStream {
    let mut twin = path.clone();
    let count = twin.segments.len();
    let qualifier = count.checked_sub(2).map(|index| twin.segments[index].ident.to_string());
    if qualifier.is_some_and(|name| is_type(&name) || is_primitive(&name)) {
        let method = twin_method(&twin.segments[count - 1].ident);
        twin.segments[count - 1].ident = method;
        return quote::quote!(#twin);
    }
    let span = at(&twin.segments[count - 1].ident);
    let arguments = std::mem::replace(&mut twin.segments[count - 1].arguments, PathArguments::None);
    quote::quote_spanned!(span=> #twin::jit_twin #arguments)
}
