//! The twins of words and objects: what their accessors do in the tracer.

use crate::objects::ObjectItem;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub(crate) fn word(_name: &Ident) -> TokenStream {
    quote!()
}

pub(crate) fn object(_object: &ObjectItem) -> TokenStream {
    quote!()
}
