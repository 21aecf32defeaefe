//! `#[jit_word]` and `#[jit_object]`: types whose bits and layout the tracer knows.
//!
//! A handle is a transparent pointer with safe accessors. What makes them safe: handles are made by `alloc`
//! (or by `unsafe from_bits`), so that none is null; the heap keeps every object that a native frame or another object names;
//! and array accesses check their index. What may be no handle is a `Maybe`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Fields, ItemStruct, Result, Type};

use crate::object_twins;

/// Collects mistakes, so that all of an item's are reported at once.
#[derive(Default)]
pub(crate) struct Mistakes(Option<Error>);

impl Mistakes {
    pub(crate) fn add(&mut self, spanned: impl quote::ToTokens, sentence: &str) {
        self.push(Error::new_spanned(spanned, sentence));
    }
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(first) => first.combine(error),
        }
    }
    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

pub(crate) fn word(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item: ItemStruct = syn::parse2(item)?;
    let mut mistakes = Mistakes::default();
    if !args.is_empty() {
        mistakes.add(args, "#[jit_word] takes no arguments");
    }
    let name = &item.ident;
    let one_u64 = match &item.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            matches!(&fields.unnamed[0].ty, Type::Path(path) if path.path.is_ident("u64"))
        }
        _ => false,
    };
    if !one_u64 {
        mistakes.add(&item, "a #[jit_word] is one 64-bit word: write `struct Name(u64);`");
    }
    if !item.generics.params.is_empty() {
        mistakes.add(&item.generics, "a #[jit_word] has no generic parameters: write one type per meaning");
    }
    mistakes.finish()?;
    let (vis, attrs) = (&item.vis, &item.attrs);
    let field_vis = &item.fields.iter().next().expect("checked above").vis;
    let twins = object_twins::word(name);
    Ok(quote! {
        #(#attrs)*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(transparent)]
        #vis struct #name(#field_vis u64);
        impl ::metajit::rt::Word for #name {
            const TYPE: ::metajit::rt::Type = ::metajit::rt::Type::Int;
            #[inline(always)]
            fn to_bits(self) -> u64 { self.0 }
            #[inline(always)]
            fn from_bits(bits: u64) -> Self { #name(bits) }
        }
        // SAFETY: the type is a transparent u64, stored in eight bytes; the collector tests whether it is an address.
        unsafe impl ::metajit::rt::Item for #name {
            const KIND: ::metajit::rt::Kind = ::metajit::rt::Kind::Value;
        }
        impl #name {
            /// The word itself.
            #[inline(always)]
            #vis const fn bits(self) -> u64 { self.0 }
            /// The value with these bits.
            #[inline(always)]
            #vis const fn from_bits(bits: u64) -> Self { #name(bits) }
        }
        #twins
    })
}

/// One field of a `#[jit_object]`, checked.
pub(crate) struct ObjectField {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) mutability: Ident,
    pub(crate) attrs: Vec<syn::Attribute>,
}

/// A `#[jit_object]`, checked.
pub(crate) struct ObjectItem {
    pub(crate) name: Ident,
    pub(crate) vis: syn::Visibility,
    pub(crate) fields: Vec<ObjectField>,
    pub(crate) array: Option<ObjectField>,
    attrs: Vec<syn::Attribute>,
}

fn check_object(args: &TokenStream, item: ItemStruct) -> Result<ObjectItem> {
    let mut mistakes = Mistakes::default();
    if !args.is_empty() {
        mistakes.add(args, "#[jit_object] takes no arguments");
    }
    if !item.generics.params.is_empty() {
        mistakes.add(&item.generics, "a #[jit_object] has no generic parameters: write one struct per layout");
    }
    let (mut fields, mut array) = (Vec::new(), None);
    let count = item.fields.len();
    match &item.fields {
        Fields::Named(named) => {
            for (position, field) in named.named.iter().enumerate() {
                let mut mutability = None;
                let mut attrs = Vec::new();
                for attr in &field.attrs {
                    let kind = if attr.path().is_ident("immutable") {
                        "Immutable"
                    } else if attr.path().is_ident("quasi_immutable") {
                        "QuasiImmutable"
                    } else {
                        attrs.push(attr.clone());
                        continue;
                    };
                    if mutability.replace(kind).is_some() {
                        mistakes.add(attr, "a field is #[immutable] or #[quasi_immutable], not both: keep one");
                    }
                }
                let checked = ObjectField {
                    name: field.ident.clone().expect("a named field"),
                    ty: field.ty.clone(),
                    mutability: Ident::new(mutability.unwrap_or("Mutable"), field.span()),
                    attrs,
                };
                match &field.ty {
                    Type::Slice(slice) => {
                        if position + 1 != count {
                            mistakes.add(&field.ty, "the inline array must be the last field: move it to the end");
                        }
                        if mutability == Some("QuasiImmutable") {
                            mistakes.add(
                                field,
                                "array items can't be #[quasi_immutable]: keep the array in an object of its own, named by a quasi-immutable field",
                            );
                        }
                        array = Some(ObjectField { ty: (*slice.elem).clone(), ..checked });
                    }
                    Type::Reference(_) | Type::Ptr(_) | Type::Array(_) | Type::Tuple(_) | Type::BareFn(_) => mistakes.add(
                        &field.ty,
                        "a field of a #[jit_object] is a word: an integer, bool, char, f64, a #[jit_word] or a handle (an array is written `[T]`, last)",
                    ),
                    _ => fields.push(checked),
                }
            }
        }
        other => mistakes.add(
            if other.is_empty() { quote!(#item) } else { quote!(#other) },
            "a #[jit_object] has named fields: write `struct Name { field: Type }`",
        ),
    }
    mistakes.finish()?;
    Ok(ObjectItem { name: item.ident, vis: item.vis, fields, array, attrs: item.attrs })
}

pub(crate) fn object(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let object = check_object(&args, syn::parse2(item)?)?;
    let plain = plain_object(&object);
    let twins = object_twins::object(&object);
    Ok(quote! { #plain #twins })
}

fn plain_object(object: &ObjectItem) -> TokenStream {
    let ObjectItem { name, vis, fields, array, attrs } = object;
    let shape_name = name.to_string();
    let mut descriptions = Vec::new();
    let mut methods = Vec::new();
    let mut initial = Vec::new();
    let mut parameters = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let ObjectField { name: field_name, ty, mutability, attrs } = field;
        let text = field_name.to_string();
        let offset = 8 + 8 * index as u32;
        let set = format_ident!("set_{}", field_name);
        descriptions.push(quote_spanned! {ty.span()=> ::metajit::rt::Field {
            shape: #shape_name, name: #text, offset: #offset, kind: <#ty as ::metajit::rt::Item>::KIND,
            mutability: ::metajit::rt::Mutability::#mutability, is_array: false,
        } });
        methods.push(quote! {
            #(#attrs)*
            #[doc = concat!("Reads the field `", #text, "`.")]
            #[inline(always)]
            #vis fn #field_name(self) -> #ty {
                // SAFETY: a handle names a live object of this layout.
                unsafe { <#ty as ::metajit::rt::Word>::from_bits(::metajit::rt::read_word(self.0, #offset)) }
            }
        });
        if mutability == "Mutable" {
            methods.push(quote! {
                #[doc = concat!("Writes the field `", #text, "`.")]
                #[inline(always)]
                #vis fn #set(self, value: #ty) {
                    // SAFETY: a handle names a live object of this layout.
                    unsafe { ::metajit::rt::write_word::<#ty>(self.0, #offset, value) }
                }
            });
        } else if mutability == "QuasiImmutable" {
            methods.push(quote! {
                #[doc = concat!("Writes the field `", #text, "`, throwing away the code that relied on its old value.")]
                #[inline(always)]
                #vis fn #set(self, value: #ty) {
                    // SAFETY: a handle names a live object of this layout.
                    unsafe { ::metajit::rt::write_quasi_immutable::<#ty>(self.0, #offset, value) }
                }
            });
        }
        parameters.push(quote!(#field_name: #ty));
        initial.push(quote! {
            // SAFETY: the object was just allocated with this layout.
            unsafe { ::metajit::rt::init_word::<#ty>(object, #offset, #field_name) };
        });
    }
    let mut array_static = quote!(None);
    let mut length = quote!(0usize);
    let mut fill = quote!();
    if let Some(ObjectField { name: field_name, ty, mutability, attrs }) = array {
        let text = field_name.to_string();
        let offset = 8 + 8 * fields.len() as u32 + 8;
        let (set, len, slice) = (
            format_ident!("set_{}", field_name),
            format_ident!("{}_len", field_name),
            format_ident!("{}_slice", field_name),
        );
        let fill_name = format_ident!("{}_fill", field_name);
        array_static = quote_spanned! {ty.span()=> Some(const { &::metajit::rt::Field {
            shape: #shape_name, name: #text, offset: #offset, kind: <#ty as ::metajit::rt::Item>::KIND,
            mutability: ::metajit::rt::Mutability::#mutability, is_array: true,
        } }) };
        parameters.push(quote!(#len: i64));
        parameters.push(quote!(#fill_name: #ty));
        length = quote!(::metajit::rt::checked_len(#len));
        fill = quote! {
            // SAFETY: the object was just allocated with this layout and room for that many items.
            unsafe { ::metajit::rt::init_items::<#ty>(object, #offset, #len as usize, #fill_name) };
        };
        methods.push(quote! {
            #(#attrs)*
            #[doc = concat!("Reads an item of `", #text, "`.\n\n# Panics\nIf the index is out of bounds.")]
            #[inline(always)]
            #vis fn #field_name(self, index: i64) -> #ty {
                // SAFETY: a handle names a live object of this layout.
                unsafe { ::metajit::rt::read_item::<#ty>(self.0, #offset, index) }
            }
            #[doc = concat!("The number of items in `", #text, "`.")]
            #[inline(always)]
            #vis fn #len(self) -> i64 {
                // SAFETY: a handle names a live object of this layout.
                unsafe { ::metajit::rt::read_word(self.0, #offset - 8) as i64 }
            }
            /// The items, as plain Rust sees them.
            ///
            /// # Safety
            /// No item may be written while the slice is alive, and the object must stay reachable.
            #[inline]
            #vis unsafe fn #slice<'a>(self) -> &'a [#ty] {
                // SAFETY: the layout, and the caller's contract.
                unsafe { ::metajit::rt::items_slice::<#ty>(self.0, #offset) }
            }
        });
        if mutability == "Mutable" {
            methods.push(quote! {
                #[doc = concat!("Writes an item of `", #text, "`.\n\n# Panics\nIf the index is out of bounds.")]
                #[inline(always)]
                #vis fn #set(self, index: i64, value: #ty) {
                    // SAFETY: a handle names a live object of this layout.
                    unsafe { ::metajit::rt::write_item::<#ty>(self.0, #offset, index, value) }
                }
            });
        } else {
            methods.push(quote! {
                #[doc = concat!("Writes an item of `", #text, "` while the object is being built.\n\n# Safety\nNo item may be written once traced code can see the object.")]
                #[inline(always)]
                #vis unsafe fn #set(self, index: i64, value: #ty) {
                    // SAFETY: a handle names a live object of this layout.
                    unsafe { ::metajit::rt::write_item::<#ty>(self.0, #offset, index, value) }
                }
            });
        }
    }
    quote! {
        #(#attrs)*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        #vis struct #name(*mut ::metajit::rt::Header);
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(f, concat!(#shape_name, "({:p})"), self.0)
            }
        }
        impl ::metajit::rt::Word for #name {
            const TYPE: ::metajit::rt::Type = ::metajit::rt::Type::Int;
            #[inline(always)]
            fn to_bits(self) -> u64 { self.0 as u64 }
            #[inline(always)]
            fn from_bits(bits: u64) -> Self { #name(bits as *mut ::metajit::rt::Header) }
        }
        // SAFETY: a transparent pointer, eight bytes, null or an object's address.
        unsafe impl ::metajit::rt::Item for #name {
            const KIND: ::metajit::rt::Kind = ::metajit::rt::Kind::Ref;
        }
        // SAFETY: `alloc` makes objects of this shape.
        unsafe impl ::metajit::rt::Object for #name {
            const SHAPE: &'static ::metajit::rt::Shape = {
                static SHAPE: ::metajit::rt::Shape = ::metajit::rt::Shape::new(
                    #shape_name, const { &[#(#descriptions),*] }, #array_static);
                &SHAPE
            };
        }
        #[allow(dead_code, clippy::too_many_arguments)]
        impl #name {
            /// Allocates an object: the fields in order, then the array's length and the value its items begin with.
            #[inline]
            #vis fn alloc(#(#parameters),*) -> #name {
                let object = ::metajit::rt::alloc(<#name as ::metajit::rt::Object>::SHAPE, #length);
                #(#initial)*
                #fill
                #name(object)
            }
            /// The object's address.
            #[inline(always)]
            #vis fn bits(self) -> u64 { self.0 as u64 }
            /// The handle with these bits.
            ///
            /// # Safety
            /// The bits must be the address of a live object that begins with the fields of this shape. They may be 0 if the handle is
            /// replaced before anybody could use it: in an array or a field that is about to be filled.
            #[inline(always)]
            #vis unsafe fn from_bits(bits: u64) -> #name { #name(bits as *mut ::metajit::rt::Header) }
            /// Whether the object was allocated with this very shape (and not one that begins alike).
            #[inline(always)]
            #vis fn is_shape(self) -> bool {
                // SAFETY: a handle names a live object.
                unsafe { ::metajit::rt::has_shape(self.0, <#name as ::metajit::rt::Object>::SHAPE) }
            }
            #(#methods)*
        }
    }
}
