//! Functions: `#[jit]`, `#[dont_look_inside]` and `#[elidable]` on functions, `impl` blocks and traits.
//!
//! A free function's twin lives in the type namespace under the function's own name (`enum f {} impl f { fn jit_twin }`), so
//! that one `use` brings both. A method's twin is a method beside it, which takes the receiver's operation and the tracer
//! after `self`.

use crate::names;
use crate::objects::Mistakes;
use crate::twin::Writer;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Block, FnArg, ImplItem, ImplItemFn, Item, ItemFn, ItemImpl, ItemTrait, Pat, Result, ReturnType,
    Signature, TraitItem, Type,
};

/// How a function is traced.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Tracing {
    /// Looked into.
    Inside,
    /// Looked into; threaded code may call it.
    Handler(Handling),
    /// Called, with any effect.
    Residual,
    /// Called, pure.
    Elidable,
}

/// What `#[enable_threaded_code]` says.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Handling {
    inlining: Inlining,
    frame: FrameUse,
}

/// What a handler that is called does with the items of the virtualizable.
#[derive(Clone, PartialEq, Eq, Default)]
enum FrameUse {
    /// Reads and writes.
    #[default]
    Any,
    /// Reads.
    Reads,
    /// Reads those from this one on.
    ReadsFrom(Ident),
}

/// When threaded code looks into a handler.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) enum Inlining {
    /// Where it is short.
    #[default]
    Budget,
    /// Where this parameter is a constant, too.
    WhenConstant(Ident),
    /// Nowhere.
    Never,
}

/// The lints that twins are exempt from: they repeat the user's code, whose own lints have spoken.
pub(crate) fn quiet() -> TokenStream {
    quote!(#[allow(
        unused, unreachable_code, unreachable_patterns, unreachable_pub, non_shorthand_field_patterns, non_snake_case, non_camel_case_types, private_interfaces,
        missing_docs, missing_debug_implementations, clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks
    )])
}

/// A parameter of a traced function.
pub(crate) struct Parameter {
    pub(crate) mutability: Option<syn::Token![mut]>,
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

pub(crate) fn parameters(sig: &Signature, mistakes: &mut Mistakes) -> (bool, Vec<Parameter>) {
    let (mut receiver, mut parameters) = (false, Vec::new());
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(own) => {
                receiver = true;
                if own.reference.is_some() {
                    mistakes.add(own, "traced values are words: take `self` by value");
                }
            }
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(ident) if ident.subpat.is_none() && ident.by_ref.is_none() => parameters.push(Parameter {
                    mutability: ident.mutability,
                    name: ident.ident.clone(),
                    ty: (*typed.ty).clone(),
                }),
                Pat::Wild(wild) => parameters.push(Parameter {
                    mutability: None,
                    name: format_ident!("_unused{}", parameters.len(), span = wild.span()),
                    ty: (*typed.ty).clone(),
                }),
                other => {
                    mistakes.add(other, "a parameter of a traced function is a plain name: take it apart in the body")
                }
            },
        }
    }
    (receiver, parameters)
}

pub(crate) fn result_type(sig: &Signature, mistakes: &mut Mistakes) -> Type {
    match &sig.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => {
            if matches!(**ty, Type::Never(_)) {
                mistakes.add(ty, "a traced function returns: write panic! where it is called");
            }
            (**ty).clone()
        }
    }
}

fn check_signature(sig: &Signature, mistakes: &mut Mistakes) {
    if let Some(token) = &sig.asyncness {
        mistakes.add(token, "an async function can't be traced: write an ordinary one");
    }
    if let Some(token) = &sig.variadic {
        mistakes.add(token, "a variadic function can't be traced: fix the number of parameters");
    }
    for param in &sig.generics.params {
        if let syn::GenericParam::Lifetime(lifetime) = param {
            mistakes.add(lifetime, "there are no references in traced code, so no lifetimes: pass words by value");
        }
    }
}

/// The twin function: signature and body, to be placed as `name` where it belongs.
struct TwinParts {
    generics: syn::Generics,
    receiver: bool,
    inputs: Vec<TokenStream>,
    output: TokenStream,
    body: TokenStream,
}

fn twin_of(tracing: Tracing, sig: &Signature, block: Option<&Block>, writer: &mut Writer) -> TwinParts {
    check_signature(sig, &mut writer.mistakes);
    writer.type_params = sig.generics.type_params().map(|param| param.ident.clone()).collect();
    let (receiver, parameters) = parameters(sig, &mut writer.mistakes);
    let result = result_type(sig, &mut writer.mistakes);
    let output = writer.twin_type(&result);
    let inputs: Vec<_> = parameters
        .iter()
        .map(|parameter| {
            let Parameter { mutability, name, ty } = parameter;
            let ty = writer.twin_type(ty);
            quote!(#mutability #name: #ty)
        })
        .collect();
    let body = match (tracing, block) {
        (Tracing::Inside, Some(block)) => inside(writer, receiver, &result, &output, block),
        (Tracing::Inside | Tracing::Handler(_), None) => quote!(),
        (Tracing::Handler(handling), Some(block)) => {
            let handler = Handler { sig, receiver, parameters: &parameters, handling };
            handler.inside(writer, &result, &output, block)
        }
        (tracing, _) => residual(&tracing, sig, receiver, &parameters, &result, writer),
    };
    TwinParts { generics: sig.generics.clone(), receiver, inputs, output, body }
}

fn inside(writer: &mut Writer, receiver: bool, result: &Type, output: &TokenStream, block: &Block) -> TokenStream {
    let result_type = writer.without_self(result);
    let enter = quote!(__m.enter_call::<#result_type>());
    body(writer, receiver, result, output, block, &enter, &quote!(leave_call))
}

/// The body of a twin that is looked into, between what begins the call and what ends it.
fn body(
    writer: &mut Writer,
    receiver: bool,
    result: &Type,
    output: &TokenStream,
    block: &Block,
    enter: &TokenStream,
    leave: &TokenStream,
) -> TokenStream {
    let statements = writer.block(block);
    let aliases = writer.alias_items();
    let result = writer.without_self(result);
    let this = receiver.then(
        || quote!(let self_ = <<Self as ::metajit::rt::Twin>::Twin as ::metajit::rt::Joined<_, _>>::join(self, __op);),
    );
    quote! {
        #aliases
        let __call = match #enter {
            ::core::result::Result::Ok(call) => call,
            ::core::result::Result::Err(result) => return result,
        };
        #this
        let __result: #output = (|__m: &mut ::metajit::rt::Meta| -> #output #statements)(__m);
        __m.#leave::<#result>(__call, __result)
    }
}

/// A handler: looked into, but for threaded code there is a native function beside.
struct Handler<'a> {
    sig: &'a Signature,
    receiver: bool,
    parameters: &'a [Parameter],
    handling: Handling,
}

impl Handler<'_> {
    fn inside(&self, writer: &mut Writer, result: &Type, output: &TokenStream, block: &Block) -> TokenStream {
        let Native { wrapper, arguments, .. } =
            native(self.sig, self.receiver, self.parameters, result, writer, &quote!(Any));
        let stub = self.stub(result, writer);
        let frame_use = match &self.handling.frame {
            FrameUse::Any => quote!(Any),
            FrameUse::Reads => quote!(Reads),
            FrameUse::ReadsFrom(name) => {
                self.named(name, writer);
                quote!(ReadsFrom(#name.arg()))
            }
        };
        let inside = match &self.handling.inlining {
            Inlining::Budget => quote!(true),
            Inlining::Never => quote!(false),
            Inlining::WhenConstant(name) => {
                self.named(name, writer);
                quote!(#name.arg().as_const().is_some())
            }
        };
        let result_type = writer.without_self(result);
        let enter = quote! { {
            #wrapper
            #stub
            let __use = ::metajit::rt::FrameUse::#frame_use;
            __m.enter_handler::<#result_type>(&__HANDLER, &[#(::metajit::rt::Traced::raw(#arguments)),*], #inside, __use)
        } };
        body(writer, self.receiver, result, output, block, &enter, &quote!(leave_handler))
    }

    /// The papers' stub of the function (for measurements), and both together.
    fn stub(&self, result: &Type, writer: &mut Writer) -> TokenStream {
        let result = writer.without_self(result);
        let words: Vec<_> = (0..self.parameters.len() + usize::from(self.receiver))
            .map(|index| format_ident!("__a{}", index))
            .collect();
        let name = self.sig.ident.to_string();
        quote! {
            unsafe extern "C" fn __stub(#(#words: u64,)* __dummy: u64, __out: *mut u64) -> u64 {
                if __dummy != 0 {
                    // SAFETY: as for the function itself.
                    return unsafe { ::metajit::rt::no_result::<#result>(__out) };
                }
                // SAFETY: as for the function itself.
                unsafe { __native(#(#words,)* __out) }
            }
            static __HANDLER: ::metajit::rt::Handler = ::metajit::rt::Handler {
                function: &__CALLEE,
                stub: ::metajit::rt::Callee {
                    name: ::core::concat!(::core::module_path!(), "::stub_", #name),
                    address: __stub as *const (),
                    params: __CALLEE.params + 1,
                    results: __CALLEE.results,
                    effect: ::metajit::rt::Effect::Any,
                    spread: ::core::option::Option::None,
                },
            };
        }
    }

    /// Refuses a name that is no parameter's.
    fn named(&self, name: &Ident, writer: &mut Writer) {
        if !self.parameters.iter().any(|parameter| parameter.name == *name) {
            writer.mistakes.add(name, "an argument of #[enable_threaded_code] names a parameter of the function");
        }
    }
}

/// A function as compiled code calls it.
struct Native {
    /// The function and its description, `__CALLEE`.
    wrapper: TokenStream,
    /// The twin's arguments, the receiver first.
    arguments: Vec<TokenStream>,
    /// Names for their native values.
    locals: Vec<Ident>,
    /// A call with these values.
    direct: TokenStream,
}

fn native(
    sig: &Signature,
    receiver: bool,
    parameters: &[Parameter],
    result: &Type,
    writer: &mut Writer,
    effect: &TokenStream,
) -> Native {
    if let Some(param) = sig.generics.params.iter().find(|param| !matches!(param, syn::GenericParam::Lifetime(_))) {
        writer.mistakes.add(
            param,
            "a function that compiled code calls needs one address, so it has no generic parameters: write one function per type",
        );
    }
    let result = writer.without_self(result);
    let mut types: Vec<Type> = Vec::new();
    let mut arguments: Vec<TokenStream> = Vec::new();
    if receiver {
        types.push(writer.self_type.clone().unwrap_or_else(|| syn::parse_quote!(Self)));
        arguments.push(quote!(::metajit::rt::Traced { val: self, op: __op }));
    }
    for parameter in parameters {
        types.push(writer.without_self(&parameter.ty));
        let name = &parameter.name;
        arguments.push(quote!(#name));
    }
    let count = types.len() as u8;
    let bits: Vec<_> = (0..types.len()).map(|index| format_ident!("__a{}", index)).collect();
    let locals: Vec<_> = (0..types.len()).map(|index| format_ident!("__v{}", index)).collect();
    let name = &sig.ident;
    let text = name.to_string();
    let plain = match &writer.self_type {
        Some(ty) => quote!(<#ty>::#name),
        None => quote!(super_function),
    };
    let unsafety = sig.unsafety.map(|token| quote_spanned!(token.span=> unsafe));
    let call = |args: TokenStream| match &unsafety {
        Some(unsafety) => quote!(#unsafety { #plain(#args) }),
        None => quote!(#plain(#args)),
    };
    let from_words = call(quote!(#(<#types as ::metajit::rt::Word>::from_bits(#bits)),*));
    let direct = call(quote!(#(#locals),*));
    let import = writer.self_type.is_none().then(|| quote!(use #name as super_function;));
    let wrapper = quote! {
        #import
        unsafe extern "C" fn __native(#(#bits: u64,)* __out: *mut u64) -> u64 {
            // SAFETY: compiled code gives a place for the result words after the first, if there are any.
            unsafe { ::metajit::rt::residual::<#result>(__out, || #from_words) }
        }
        static __CALLEE: ::metajit::rt::Callee = ::metajit::rt::Callee {
            name: ::core::concat!(::core::module_path!(), "::", #text),
            address: __native as *const (),
            params: #count,
            results: <#result as ::metajit::rt::Flat>::WORDS as u8,
            effect: ::metajit::rt::Effect::#effect,
            spread: ::core::option::Option::None,
        };
    };
    Native { wrapper, arguments, locals, direct }
}

/// The twin of a call that is not looked into, with its native wrapper.
fn residual(
    tracing: &Tracing,
    sig: &Signature,
    receiver: bool,
    parameters: &[Parameter],
    result: &Type,
    writer: &mut Writer,
) -> TokenStream {
    let (method, effect) = match tracing {
        Tracing::Elidable => (quote!(elidable), quote!(Elidable)),
        _ => (quote!(call), quote!(Any)),
    };
    let Native { wrapper, arguments, locals, direct } = native(sig, receiver, parameters, result, writer, &effect);
    let result = writer.without_self(result);
    quote! {
        #wrapper
        #(let #locals = #arguments;)*
        let __words = [#(::metajit::rt::Traced::raw(#locals)),*];
        #(let #locals = #locals.val;)*
        __m.#method::<#result>(&__CALLEE, &__words, || #direct)
    }
}

/// `#[jit]`, `#[dont_look_inside]` or `#[elidable]` on an item.
pub(crate) fn item(tracing: Tracing, args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    let tracing = match tracing {
        Tracing::Handler(_) => Tracing::Handler(handling(args, &mut mistakes)),
        other => {
            if !args.is_empty() {
                mistakes.add(&args, "this attribute takes no arguments");
            }
            other
        }
    };
    let parsed: Item = syn::parse2(item)?;
    let tokens = match parsed {
        Item::Fn(function) => free_function(tracing, function, &mut mistakes),
        Item::Impl(block) if tracing == Tracing::Inside => implementation(block, &mut mistakes),
        Item::Trait(declaration) if tracing == Tracing::Inside => trait_declaration(declaration, &mut mistakes),
        other => {
            mistakes.add(
                &other,
                if tracing == Tracing::Inside {
                    "#[jit] goes on functions, `impl` blocks and traits"
                } else {
                    "this attribute goes on functions (inside an `impl`, mark the `impl` with #[jit] too)"
                },
            );
            quote!(#other)
        }
    };
    mistakes.finish()?;
    Ok(tokens)
}

/// The arguments of `#[enable_threaded_code]`.
fn handling(args: TokenStream, mistakes: &mut Mistakes) -> Handling {
    let parse = |input: syn::parse::ParseStream<'_>| {
        let mut handling = Handling::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            let name: Option<Ident> = if input.peek(syn::Token![=]) {
                input.parse::<syn::Token![=]>()?;
                Some(input.parse()?)
            } else {
                None
            };
            match (key.to_string().as_str(), name) {
                ("called", None) => handling.inlining = Inlining::Never,
                ("when_constant", Some(name)) => handling.inlining = Inlining::WhenConstant(name),
                ("reads", None) => handling.frame = FrameUse::Reads,
                ("reads_from", Some(name)) => handling.frame = FrameUse::ReadsFrom(name),
                _ => return Err(syn::Error::new(key.span(), "unknown")),
            }
            input.parse::<Option<syn::Token![,]>>()?;
        }
        Ok(handling)
    };
    syn::parse::Parser::parse2(parse, args.clone()).unwrap_or_else(|_| {
        mistakes.add(
            &args,
            "#[enable_threaded_code] knows `called` (never inlined), `when_constant = parameter` (called where that is no constant), `reads` (the frame's items are not written) and `reads_from = parameter` (nor are those before it read)",
        );
        Handling::default()
    })
}

pub(crate) fn emits_twins() -> bool {
    cfg!(feature = "jit")
}

fn free_function(tracing: Tracing, function: ItemFn, mistakes: &mut Mistakes) -> TokenStream {
    let name = &function.sig.ident;
    if function.sig.inputs.iter().any(|input| matches!(input, FnArg::Receiver(_))) {
        mistakes.add(&function.sig, "mark the `impl` block with #[jit]: a method's attribute is read there");
    }
    if names::is_primitive(&name.to_string()) {
        mistakes.add(name, "a traced function can't have the name of a primitive type: rename it");
    }
    let mut writer = Writer::default();
    let twin = twin_of(tracing, &function.sig, Some(&function.block), &mut writer);
    absorb(mistakes, writer);
    if !emits_twins() {
        return quote!(#function);
    }
    let vis = &function.vis;
    let companion = companion(vis, name, &twin);
    quote!(#function #companion)
}

fn companion(vis: &syn::Visibility, name: &Ident, twin: &TwinParts) -> TokenStream {
    let TwinParts { generics, inputs, output, body, .. } = twin;
    let quiet = quiet();
    let (params, _, bounds) = generics.split_for_impl();
    quote! {
        #quiet
        #[doc(hidden)]
        #vis enum #name {}
        #quiet
        impl #name {
            #[doc(hidden)]
            #[inline(never)]
            pub fn jit_twin #params (__m: &mut ::metajit::rt::Meta #(, #inputs)*) -> #output #bounds { #body }
        }
    }
}

fn absorb(mistakes: &mut Mistakes, writer: Writer) {
    if let Err(error) = writer.mistakes.finish() {
        mistakes.push(error);
    }
}

/// The tracing that a method's own attribute asks for; the attribute is taken off.
fn method_tracing(attrs: &mut Vec<Attribute>, mistakes: &mut Mistakes) -> Tracing {
    let mut tracing = Tracing::Inside;
    attrs.retain(|attr| {
        let Some(segment) = attr.path().segments.last() else {
            return true;
        };
        match segment.ident.to_string().as_str() {
            "dont_look_inside" => tracing = Tracing::Residual,
            "elidable" => tracing = Tracing::Elidable,
            "jit" => {}
            "enable_threaded_code" => {
                let args = match &attr.meta {
                    syn::Meta::List(list) => list.tokens.clone(),
                    _ => TokenStream::new(),
                };
                tracing = Tracing::Handler(handling(args, mistakes));
            }
            _ => return true,
        }
        false
    });
    tracing
}

fn method_twin(vis: &TokenStream, name: &Ident, twin: &TwinParts, declared_only: bool) -> TokenStream {
    let TwinParts { generics, receiver, inputs, output, body } = twin;
    let twin_name = names::twin_method(name);
    let (params, _, bounds) = generics.split_for_impl();
    let quiet = quiet();
    let this =
        receiver.then(|| quote!(self, __op: <<Self as ::metajit::rt::Twin>::Twin as ::metajit::rt::Receiver>::Op,));
    let body = if declared_only { quote!(;) } else { quote!({ #body }) };
    quote! {
        #quiet
        #[doc(hidden)]
        #[inline(never)]
        #vis fn #twin_name #params (#this __m: &mut ::metajit::rt::Meta #(, #inputs)*) -> #output #bounds #body
    }
}

fn implementation(mut block: ItemImpl, mistakes: &mut Mistakes) -> TokenStream {
    if let Some(lifetime) = block.generics.lifetimes().next() {
        mistakes.add(lifetime, "there are no references in traced code, so no lifetimes");
    }
    let of_trait = block.trait_.is_some();
    let mut twins = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(ImplItemFn { attrs, vis, sig, block: body, .. }) = item else {
            continue;
        };
        let tracing = method_tracing(attrs, mistakes);
        let mut writer = Writer::of_type((*block.self_ty).clone());
        let twin = twin_of(tracing, sig, Some(body), &mut writer);
        absorb(mistakes, writer);
        let vis = if of_trait { quote!() } else { quote!(#vis) };
        twins.push(method_twin(&vis, &sig.ident, &twin, false));
    }
    if !emits_twins() {
        return quote!(#block);
    }
    if of_trait {
        for twin in twins {
            block.items.push(ImplItem::Verbatim(twin));
        }
        return quote!(#block);
    }
    let (params, _, bounds) = block.generics.split_for_impl();
    let self_type = &block.self_ty;
    quote! {
        #block
        impl #params #self_type #bounds { #(#twins)* }
    }
}

fn trait_declaration(mut declaration: ItemTrait, mistakes: &mut Mistakes) -> TokenStream {
    let mut twins = Vec::new();
    for item in &mut declaration.items {
        let TraitItem::Fn(function) = item else {
            continue;
        };
        let tracing = method_tracing(&mut function.attrs, mistakes);
        if matches!(tracing, Tracing::Residual | Tracing::Elidable) && function.default.is_some() {
            mistakes.add(&function.sig, "a provided method has no single address: leave it to the implementations");
        }
        let mut writer = Writer::default();
        let twin = twin_of(Tracing::Inside, &function.sig, function.default.as_ref(), &mut writer);
        absorb(mistakes, writer);
        twins.push(method_twin(&quote!(), &function.sig.ident, &twin, function.default.is_none()));
    }
    if emits_twins() {
        declaration.supertraits.push(syn::parse_quote!(::metajit::rt::Word));
        for twin in twins {
            declaration.items.push(TraitItem::Verbatim(twin));
        }
    }
    quote!(#declaration)
}
