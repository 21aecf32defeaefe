//! The twins of words and objects: what their accessors do in the tracer.

use crate::functions::{emits_twins, quiet};
use crate::names::twin_method;
use crate::objects::{ObjectField, ObjectItem};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

pub(crate) fn word(name: &Ident) -> TokenStream {
    if !emits_twins() {
        return quote!();
    }
    let quiet = quiet();
    quote! {
        #quiet
        impl #name {
            #[doc(hidden)]
            #[inline(always)]
            pub fn jit_twin_of_bits(self, op: u32, _: &mut ::metajit::rt::Meta) -> ::metajit::rt::Traced<u64> {
                ::metajit::rt::Traced { val: self.0, op }
            }
            #[doc(hidden)]
            #[inline(always)]
            pub fn jit_twin_of_from_bits(_: &mut ::metajit::rt::Meta, bits: ::metajit::rt::Traced<u64>) -> ::metajit::rt::Traced<#name> {
                ::metajit::rt::Traced { val: #name(bits.val), op: bits.op }
            }
        }
    }
}

pub(crate) fn object(object: &ObjectItem) -> TokenStream {
    if !emits_twins() {
        return quote!();
    }
    let ObjectItem { name, vis, fields, array, .. } = object;
    let quiet = quiet();
    let shape = quote!(<#name as ::metajit::rt::Object>::SHAPE);
    let this = quote!(::metajit::rt::Traced { val: self, op });
    let meta = quote!(m: &mut ::metajit::rt::Meta);
    let traced = |ty: &syn::Type| quote!(::metajit::rt::Traced<#ty>);
    let mut methods = Vec::new();
    let (mut parameters, mut values, mut initial) = (Vec::new(), Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let ObjectField { name: field_name, ty, mutability, .. } = field;
        let set = format_ident!("set_{}", field_name);
        let (get_twin, set_twin) = (twin_method(field_name), twin_method(&set));
        let word = traced(ty);
        methods.push(quote! {
            #vis fn #get_twin(self, op: u32, #meta) -> #word { m.load(#this, &#shape.fields[#index]) }
        });
        if mutability != "Immutable" {
            methods.push(quote! {
                #vis fn #set_twin(self, op: u32, #meta, value: #word) { m.store(#this, &#shape.fields[#index], value) }
            });
        }
        parameters.push(quote!(#field_name: #word));
        values.push(quote!(#field_name.val));
        initial.push(quote!(m.initialize(object, &#shape.fields[#index], #field_name);));
    }
    let (mut len, mut fill) = (quote!(::metajit::rt::Arg::Const(0)), quote!(::metajit::rt::Arg::Const(0)));
    let mut check = quote!();
    if let Some(ObjectField { name: field_name, ty, mutability, .. }) = array {
        let (set, len_name) = (format_ident!("set_{}", field_name), format_ident!("{}_len", field_name));
        let (get_twin, set_twin, len_twin) = (twin_method(field_name), twin_method(&set), twin_method(&len_name));
        let fill_name = format_ident!("{}_fill", field_name);
        let word = traced(ty);
        let field = quote!(#shape.array.expect("the array"));
        methods.push(quote! {
            #vis fn #get_twin(self, op: u32, #meta, index: ::metajit::rt::Traced<i64>) -> #word {
                m.load_item(#this, #field, index)
            }
            #vis fn #len_twin(self, op: u32, #meta) -> ::metajit::rt::Traced<i64> { m.len(#this, #field) }
        });
        // The items of an immutable array are written while the object is being built.
        let unsafety = (mutability != "Mutable").then(|| quote!(unsafe));
        methods.push(quote! {
            #vis #unsafety fn #set_twin(self, op: u32, #meta, index: ::metajit::rt::Traced<i64>, value: #word) {
                m.store_item(#this, #field, index, value)
            }
        });
        parameters.push(quote!(#len_name: ::metajit::rt::Traced<i64>));
        parameters.push(quote!(#fill_name: #word));
        values.push(quote!(#len_name.val));
        values.push(quote!(#fill_name.val));
        check = quote!(m.check_len(#len_name););
        len = quote!(#len_name.arg());
        fill = quote!(m.fill_of(#fill_name));
    }
    quote! {
        #quiet
        impl #name {
            #[doc(hidden)]
            #[inline(never)]
            #vis fn jit_twin_of_alloc(#meta #(, #parameters)*) -> ::metajit::rt::Traced<#name> {
                #check
                let fill = #fill;
                match m.allocate::<#name>(#len, fill, || #name::alloc(#(#values),*)) {
                    ::metajit::rt::Allocation::Done(object) => object,
                    ::metajit::rt::Allocation::New(object) => {
                        #(#initial)*
                        object
                    }
                }
            }
            #[doc(hidden)]
            #vis fn jit_twin_of_bits(self, op: u32, _: &mut ::metajit::rt::Meta) -> ::metajit::rt::Traced<u64> {
                #this.retype()
            }
            #[doc(hidden)]
            #vis unsafe fn jit_twin_of_from_bits(_: &mut ::metajit::rt::Meta, bits: ::metajit::rt::Traced<u64>) -> ::metajit::rt::Traced<#name> {
                bits.retype()
            }
            #[doc(hidden)]
            #vis fn jit_twin_of_is_shape(self, op: u32, #meta) -> ::metajit::rt::Traced<bool> { m.is_shape(#this) }
            #(#[doc(hidden)] #[inline(never)] #methods)*
        }
    }
}
