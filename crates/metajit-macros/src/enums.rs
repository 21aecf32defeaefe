//! `#[jit_enum]`: the implementer's own structures of words, which vanish from traces.

use crate::functions::{emits_twins, quiet};
use crate::objects::Mistakes;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Fields, Result};

/// One variant (or the struct itself).
struct Shape<'a> {
    name: Option<&'a Ident>,
    fields: &'a Fields,
}

impl Shape<'_> {
    fn types(&self) -> Vec<&syn::Type> {
        self.fields.iter().map(|field| &field.ty).collect()
    }
    fn members(&self) -> Vec<syn::Member> {
        self.fields.members().collect()
    }
    fn bindings(&self) -> Vec<Ident> {
        (0..self.fields.len()).map(|index| format_ident!("__f{}", index)).collect()
    }
    fn path(&self, of: &Ident) -> TokenStream {
        match self.name {
            Some(variant) => quote!(#of::#variant),
            None => quote!(#of),
        }
    }
    fn words(&self) -> TokenStream {
        let types = self.types();
        quote!(0 #(+ <#types as ::metajit::rt::Flat>::WORDS)*)
    }
}

pub(crate) fn item(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let parsed: DeriveInput = syn::parse2(item.clone())?;
    let mut mistakes = Mistakes::default();
    if !args.is_empty() {
        mistakes.add(&args, "#[jit_enum] takes no arguments");
    }
    if !parsed.generics.params.is_empty() {
        mistakes.add(&parsed.generics, "a #[jit_enum] has no generic parameters: write one type per use");
    }
    let shapes: Vec<Shape<'_>> = match &parsed.data {
        Data::Enum(data) => {
            data.variants.iter().map(|variant| Shape { name: Some(&variant.ident), fields: &variant.fields }).collect()
        }
        Data::Struct(data) => vec![Shape { name: None, fields: &data.fields }],
        Data::Union(_) => {
            mistakes.add(&parsed.ident, "a union can't be traced: write an enum");
            Vec::new()
        }
    };
    mistakes.finish()?;
    if !emits_twins() {
        return Ok(item);
    }
    let twins = twins(&parsed, &shapes);
    let debug = derives_debug(&parsed).then(|| debug(&parsed, &shapes));
    Ok(quote!(#item #twins #debug))
}

/// Whether the item derives `Debug` below this attribute.
fn derives_debug(parsed: &DeriveInput) -> bool {
    let mut found = false;
    for attr in parsed.attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
        let _ = attr.parse_nested_meta(|meta| {
            found |= crate::names::last(&meta.path) == "Debug";
            Ok(())
        });
    }
    found
}

/// `Debug` for the twin, as the original derives it: for what `unwrap` says when it panics.
fn debug(parsed: &DeriveInput, shapes: &[Shape<'_>]) -> TokenStream {
    let twin = format_ident!("JitTwinOf{}", parsed.ident);
    let arms = shapes.iter().map(|shape| {
        let (path, members, bindings) = (shape.path(&twin), shape.members(), shape.bindings());
        let text = shape.name.unwrap_or(&parsed.ident).to_string();
        let (begin, fields): (_, Vec<_>) = match shape.fields {
            Fields::Named(fields) => {
                let names = fields.named.iter().map(|field| field.ident.as_ref().map(Ident::to_string));
                (
                    quote!(debug_struct),
                    names.zip(&bindings).map(|(name, binding)| quote!(.field(#name, #binding))).collect(),
                )
            }
            _ => (quote!(debug_tuple), bindings.iter().map(|binding| quote!(.field(#binding))).collect()),
        };
        quote!(#path { #(#members: #bindings),* } => f.#begin(#text) #(#fields)* .finish(),)
    });
    quote! {
        impl ::core::fmt::Debug for #twin {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self { #(#arms)* }
            }
        }
    }
}

fn twins(parsed: &DeriveInput, shapes: &[Shape<'_>]) -> TokenStream {
    let (name, vis) = (&parsed.ident, &parsed.vis);
    let twin = format_ident!("JitTwinOf{}", name);
    let is_enum = matches!(parsed.data, Data::Enum(_));
    let quiet = quiet();
    let bodies: Vec<_> = shapes
        .iter()
        .map(|shape| {
            let types = shape.types();
            let own = shape.name;
            let vis = (!is_enum).then(|| quote!(pub));
            match shape.fields {
                Fields::Named(fields) => {
                    let names = fields.named.iter().map(|field| &field.ident);
                    quote!(#own { #(#vis #names: <#types as ::metajit::rt::Twin>::Twin),* })
                }
                Fields::Unnamed(_) => {
                    quote!(#own (#(#vis <#types as ::metajit::rt::Twin>::Twin),*))
                }
                Fields::Unit => quote!(#own),
            }
        })
        .collect();
    let declaration = if is_enum {
        quote!(#vis enum #twin { #(#bodies),* })
    } else {
        let body = &bodies[0];
        let end = matches!(shapes[0].fields, Fields::Named(_)).then(|| quote!()).unwrap_or(quote!(;));
        quote!(#vis struct #twin #body #end)
    };
    let largest = shapes
        .iter()
        .map(Shape::words)
        .fold(quote!(0usize), |so_far, words| quote!({ let (a, b) = (#so_far, #words); if a > b { a } else { b } }));
    let tag_words = usize::from(is_enum);
    let arm = |shape: &Shape<'_>,
               index: usize,
               of: &Ident,
               method: &TokenStream,
               pass: &TokenStream,
               tag: &TokenStream,
               zero: &TokenStream| {
        let (path, members, bindings, types, words) =
            (shape.path(of), shape.members(), shape.bindings(), shape.types(), shape.words());
        let index = index as u64;
        let tag = is_enum.then(|| quote!(out.push(#tag(#index));));
        let _ = pass;
        quote! {
            #path { #(#members: #bindings),* } => {
                #tag
                #(<#types as ::metajit::rt::Flat>::#method(#bindings, out);)*
                for _ in (#words)..LARGEST { out.push(#zero); }
            }
        }
    };
    let flatten: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| {
            arm(shape, index, name, &quote!(flatten), &quote!(), &quote!(::core::convert::identity), &quote!(0))
        })
        .collect();
    let flatten_twin: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| {
            arm(
                shape,
                index,
                &twin,
                &quote!(flatten_twin),
                &quote!(),
                &quote!(::metajit::rt::Raw::constant),
                &quote!(::metajit::rt::Raw::constant(0)),
            )
        })
        .collect();
    let read = |shape: &Shape<'_>, of: &Ident, read: &dyn Fn(&syn::Type) -> TokenStream| {
        let (path, members, types, words) = (shape.path(of), shape.members(), shape.types(), shape.words());
        let bindings = shape.bindings();
        let reads: Vec<_> = types.iter().map(|ty| read(ty)).collect();
        quote!({
            #(let #bindings = #reads;)*
            for _ in (#words)..LARGEST { words.next(); }
            #path { #(#members: #bindings),* }
        })
    };
    let plain = |ty: &syn::Type| quote!(<#ty as ::metajit::rt::Flat>::unflatten(words));
    let traced = |ty: &syn::Type| quote!(<#ty as ::metajit::rt::Flat>::unflatten_twin(m, words, from_call));
    let last = shapes.len().saturating_sub(1);
    let (mut unflatten, mut unflatten_twin) = (quote!(), quote!());
    for (index, shape) in shapes.iter().enumerate() {
        let (value, twin_value) = (read(shape, name, &plain), read(shape, &twin, &traced));
        let tag = index as u64;
        if index < last {
            unflatten.extend(quote!(if tag == #tag #value else));
            unflatten_twin.extend(quote!(if m.tag_is(tag, #tag, from_call) #twin_value else));
        } else {
            unflatten.extend(value);
            unflatten_twin.extend(twin_value);
        }
    }
    let read_tag = is_enum.then(|| quote!(let tag = words.next();));
    quote! {
        #quiet
        #[doc(hidden)]
        #[derive(Clone, Copy)]
        #declaration
        #quiet
        const _: () = {
            const LARGEST: usize = #largest;
            impl ::metajit::rt::Twin for #name {
                type Twin = #twin;
            }
            impl ::metajit::rt::Scrutinee for #twin {
                type Out = Self;
                #[inline(always)]
                fn scrutinee(self, _: &mut ::metajit::rt::Meta) -> Self { self }
            }
            impl ::metajit::rt::Retrace for #twin {
                type Out = Self;
                #[inline(always)]
                fn retrace(self) -> Self { self }
            }
            impl ::metajit::rt::Flat for #name {
                const WORDS: usize = #tag_words + LARGEST;
                #[inline]
                fn flatten(self, out: &mut impl ::metajit::rt::Sink) {
                    use ::metajit::rt::Sink as _;
                    match self { #(#flatten)* }
                }
                #[inline]
                fn unflatten(words: &mut ::metajit::rt::Reader<'_, u64>) -> Self {
                    #read_tag
                    #unflatten
                }
                fn flatten_twin(twin: &#twin, out: &mut ::std::vec::Vec<::metajit::rt::Raw>) {
                    match twin { #(#flatten_twin)* }
                }
                fn unflatten_twin(
                    m: &mut ::metajit::rt::Meta,
                    words: &mut ::metajit::rt::Reader<'_, ::metajit::rt::Raw>,
                    from_call: bool,
                ) -> #twin {
                    #read_tag
                    #unflatten_twin
                }
            }
        };
    }
}
