//! `#[jit_driver]`: the interpreter function.
//!
//! The function is a prologue and one loop. The loop is split off into a function whose only parameters are the greens and
//! the reds: rustc itself then refuses any other local that crosses the merge point.

use crate::functions::{self, emits_twins, quiet};
use crate::names;
use crate::objects::Mistakes;
use crate::twin::{Portal, Writer};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Error, Expr, ItemFn, Lifetime, Macro, Pat, Result, Stmt, Token, Type, bracketed};

/// A green or a red, with its type if the attribute says it.
struct Variable {
    name: Ident,
    ty: Option<Type>,
}

impl Parse for Variable {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        let ty = if input.peek(Token![:]) {
            input.parse::<Token![:]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Variable { name, ty })
    }
}

#[derive(Default)]
struct Arguments {
    greens: Vec<Variable>,
    reds: Vec<Variable>,
    virtualizable: Option<Ident>,
    given: Option<Ident>,
    live: Option<Expr>,
    location: Option<Expr>,
    overflow: Option<Expr>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Arguments::default();
        let list = |input: ParseStream<'_>| -> Result<Vec<Variable>> {
            let content;
            bracketed!(content in input);
            Ok(content.parse_terminated(Variable::parse, Token![,])?.into_iter().collect())
        };
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if key != "given" {
                input.parse::<Token![=]>()?;
            }
            match key.to_string().as_str() {
                "given" => arguments.given = Some(key),
                "greens" => arguments.greens = list(input)?,
                "reds" => arguments.reds = list(input)?,
                "virtualizable" => arguments.virtualizable = Some(input.parse()?),
                "live" => arguments.live = Some(input.parse()?),
                "location" => arguments.location = Some(input.parse()?),
                "overflow" => arguments.overflow = Some(input.parse()?),
                _ => {
                    return Err(Error::new(
                        key.span(),
                        "a #[jit_driver] knows `greens = [..]`, `reds = [..]`, `virtualizable = red`, `given`, `live = index`, `overflow = answer` and `location = text`",
                    ));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// A variable with its type.
struct Typed {
    name: Ident,
    ty: Type,
}

fn typed(variables: Vec<Variable>, function: &ItemFn, prologue: &[Stmt], mistakes: &mut Mistakes) -> Vec<Typed> {
    let mut result = Vec::new();
    for Variable { name, ty } in variables {
        let found = ty.or_else(|| type_of(&name, function, prologue));
        match found {
            Some(ty) => result.push(Typed { name, ty }),
            None => mistakes.add(
                &name,
                "the type of this variable is needed: declare it with one before the loop (`let mut pc: i64 = 0;`), or write `name: Type` here",
            ),
        }
    }
    result
}

fn type_of(name: &Ident, function: &ItemFn, prologue: &[Stmt]) -> Option<Type> {
    for stmt in prologue.iter().rev() {
        let Stmt::Local(local) = stmt else { continue };
        if let Pat::Type(typed) = &local.pat
            && matches!(&*typed.pat, Pat::Ident(ident) if ident.ident == *name)
        {
            return Some((*typed.ty).clone());
        }
    }
    function.sig.inputs.iter().find_map(|input| match input {
        syn::FnArg::Typed(typed) if matches!(&*typed.pat, Pat::Ident(ident) if ident.ident == *name) => {
            Some((*typed.ty).clone())
        }
        _ => None,
    })
}

/// Puts something in the place of the macros that mark the loop.
struct Replace {
    back_edge: TokenStream,
    merge_points: usize,
}

impl Replace {
    fn replacement(&mut self, mac: &Macro) -> Option<TokenStream> {
        match names::last(&mac.path).as_str() {
            "jit_merge_point" => {
                self.merge_points += 1;
                Some(quote!({}))
            }
            "can_enter_jit" => Some(self.back_edge.clone()),
            _ => None,
        }
    }
}

impl VisitMut for Replace {
    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        if let Stmt::Macro(mac) = stmt
            && let Some(tokens) = self.replacement(&mac.mac)
        {
            *stmt = Stmt::Expr(Expr::Verbatim(tokens), Some(Default::default()));
            return;
        }
        syn::visit_mut::visit_stmt_mut(self, stmt);
    }
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Macro(mac) = expr
            && let Some(tokens) = self.replacement(&mac.mac)
        {
            *expr = Expr::Verbatim(tokens);
            return;
        }
        syn::visit_mut::visit_expr_mut(self, expr);
    }
}

pub(crate) fn item(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments: Arguments = syn::parse2(args)?;
    let function: ItemFn = syn::parse2(item)?;
    let mut mistakes = Mistakes::default();
    let (receiver, parameters) = functions::parameters(&function.sig, &mut mistakes);
    if receiver {
        mistakes.add(&function.sig, "a #[jit_driver] is a free function: take the receiver as an ordinary parameter");
    }
    if !function.sig.generics.params.is_empty() {
        mistakes.add(&function.sig.generics, "a #[jit_driver] has no generic parameters");
    }
    let result = functions::result_type(&function.sig, &mut mistakes);
    let mut prologue = function.block.stmts.clone();
    let main = match prologue.pop() {
        Some(Stmt::Expr(Expr::Loop(main), _)) => main,
        other => {
            mistakes.add(
                other.map_or_else(|| quote!(#function), |stmt| quote!(#stmt)),
                "a #[jit_driver] function ends with its `loop`: what comes before runs once, what is in it runs for each instruction",
            );
            mistakes.finish()?;
            unreachable!("a mistake was added")
        }
    };
    let first_is_merge_point = matches!(main.body.stmts.first(),
        Some(Stmt::Macro(mac)) if names::last(&mac.mac.path) == "jit_merge_point");
    if !first_is_merge_point {
        mistakes.add(main.loop_token, "the loop of a #[jit_driver] begins with `jit_merge_point!();`");
    }
    if arguments.greens.is_empty() {
        mistakes.push(Error::new(
            function.sig.ident.span(),
            "a #[jit_driver] needs `greens = [..]`, what tells one place of the program from another, and `reds = [..]`, everything else",
        ));
    }
    if arguments.greens.len() > 5 {
        mistakes.add(
            &arguments.greens[5].name,
            "a driver has at most five greens: put constants that go together into one object",
        );
    }
    let greens = typed(arguments.greens, &function, &prologue, &mut mistakes);
    let reds = typed(arguments.reds, &function, &prologue, &mut mistakes);
    let virtualizable = arguments.virtualizable.and_then(|name| {
        let position = reds.iter().position(|red| red.name == name);
        if position.is_none() {
            mistakes.add(&name, "the virtualizable is one of the reds");
        }
        position
    });
    if let (Some(given), None) = (&arguments.given, virtualizable) {
        mistakes.add(given, "what is given away is the virtualizable: name it with `virtualizable = red`");
    }
    let label =
        main.label.as_ref().map_or_else(|| Lifetime::new("'jit_loop", Span::mixed_site()), |label| label.name.clone());
    let label = Lifetime { ident: label.ident, apostrophe: label.apostrophe };
    let sketch = Sketch {
        greens,
        reds,
        label,
        result,
        virtualizable,
        given: arguments.given.is_some(),
        live: arguments.live,
        location: arguments.location,
        overflow: arguments.overflow,
    };
    let plain = sketch.plain(&function, &prologue, &main, &mut mistakes);
    let mut writer = Writer::default();
    let twins = sketch.twins(&function, &parameters, &prologue, &main, &mut writer);
    if let Err(error) = writer.mistakes.finish() {
        mistakes.push(error);
    }
    mistakes.finish()?;
    Ok(if emits_twins() { quote!(#plain #twins) } else { plain })
}

struct Sketch {
    greens: Vec<Typed>,
    reds: Vec<Typed>,
    label: Lifetime,
    result: Type,
    virtualizable: Option<usize>,
    given: bool,
    live: Option<Expr>,
    location: Option<Expr>,
    overflow: Option<Expr>,
}

impl Sketch {
    fn all(&self) -> impl Iterator<Item = &Typed> {
        self.greens.iter().chain(&self.reds)
    }
    fn loop_name(&self, function: &ItemFn) -> Ident {
        format_ident!("jit_loop_of_{}", function.sig.ident)
    }
    /// The loop entered by a call: counted, and compiled code is run if there is any.
    fn call_name(&self, function: &ItemFn) -> Ident {
        format_ident!("jit_call_of_{}", function.sig.ident)
    }
    fn driver_name(&self, function: &ItemFn) -> Ident {
        format_ident!("JIT_DRIVER_OF_{}", function.sig.ident.to_string().to_uppercase())
    }

    fn plain(
        &self,
        function: &ItemFn,
        prologue: &[Stmt],
        main: &syn::ExprLoop,
        mistakes: &mut Mistakes,
    ) -> TokenStream {
        let (loop_name, driver) = (self.loop_name(function), self.driver_name(function));
        let call_name = self.call_name(function);
        let enter_name = format_ident!("jit_enter_of_{}", function.sig.ident);
        let again_name = format_ident!("jit_again_of_{}", function.sig.ident);
        let (names, types): (Vec<_>, Vec<_>) = self.all().map(|variable| (&variable.name, &variable.ty)).unzip();
        let (greens, reds): (Vec<_>, Vec<_>) =
            (self.greens.iter().map(|green| &green.name).collect(), self.reds.iter().map(|red| &red.name).collect());
        let (result, label) = (&self.result, &self.label);
        let bits = |names: &[&Ident]| quote!([#(::metajit::rt::Word::to_bits(#names)),*]);
        let (green_bits, red_bits) = (bits(&greens), bits(&reds));
        let enter = |entry: bool| quote!(::metajit::rt::enter(&#driver, &#green_bits, &#red_bits, #entry));
        let (at_green, at_red) = (0..greens.len(), 0..reds.len());
        let next = quote! {
            #(let #greens = ::metajit::rt::Word::from_bits(__next.greens[#at_green]);)*
            #(let #reds = ::metajit::rt::Word::from_bits(__next.reds[#at_red]);)*
        };
        let done = quote!(::metajit::rt::returned::<#result>());
        let if_hot = |entry: bool, then: TokenStream| match emits_twins() {
            true => quote!(if ::metajit::rt::counting() && ::metajit::rt::hot(&#green_bits, #entry) { #then }),
            false => quote!(),
        };
        // A loop around the loop for what comes rarely: in the inner one, the compiler sees that a jump backwards changes
        // nothing else.
        let outer = Lifetime::new("'jit_again", Span::mixed_site());
        let back_edge = if_hot(
            false,
            quote! {
                match #again_name(#(#names),*) {
                    ::core::ops::ControlFlow::Break(__result) => return __result,
                    ::core::ops::ControlFlow::Continue(::core::option::Option::None) => continue #label,
                    ::core::ops::ControlFlow::Continue(::core::option::Option::Some(__next)) => {
                        (#(#names,)*) = __next;
                        continue #outer;
                    }
                }
            },
        );
        let mut replace = Replace { back_edge: quote!({ #back_edge continue #label; }), merge_points: 0 };
        let mut body = main.body.clone();
        replace.visit_block_mut(&mut body);
        if replace.merge_points > 1 {
            mistakes.add(main.loop_token, "a #[jit_driver] has one merge point, at the start of its loop");
        }
        let at_entry = if_hot(true, quote!(return #enter_name(#(#names),*);));
        let enter_function = emits_twins().then(|| {
            let (enter, again) = (enter(true), enter(false));
            // Functions of their own: what they need room for, the interpreter does not.
            quote! {
                #[doc(hidden)]
                #[allow(clippy::too_many_arguments)]
                #[cold]
                #[inline(never)]
                fn #enter_name(#(#names: #types),*) -> #result {
                    match #enter {
                        ::metajit::rt::Entered::No => #loop_name(#(#names),*),
                        ::metajit::rt::Entered::Continue(__next) => {
                            #next
                            #loop_name(#(#names),*)
                        }
                        ::metajit::rt::Entered::Return => #done,
                    }
                }
                #[doc(hidden)]
                #[allow(clippy::too_many_arguments, clippy::type_complexity)]
                #[cold]
                #[inline(never)]
                fn #again_name(
                    #(#names: #types),*
                ) -> ::core::ops::ControlFlow<#result, ::core::option::Option<(#(#types,)*)>> {
                    match #again {
                        ::metajit::rt::Entered::No => ::core::ops::ControlFlow::Continue(::core::option::Option::None),
                        ::metajit::rt::Entered::Continue(__next) => {
                            #next
                            ::core::ops::ControlFlow::Continue(::core::option::Option::Some((#(#names,)*)))
                        }
                        ::metajit::rt::Entered::Return => ::core::ops::ControlFlow::Break(#done),
                    }
                }
            }
        });
        let overflow = self.overflow.as_ref().map(|answer| {
            quote! {
                if ::metajit::rt::stack_is_low() {
                    return #answer;
                }
            }
        });
        let main = match emits_twins() {
            true => quote!(#outer: loop { return #label: loop #body; }),
            false => quote!(#label: loop #body),
        };
        let (attrs, vis, sig) = (&function.attrs, &function.vis, &function.sig);
        quote! {
            #(#attrs)*
            #[allow(unused_mut)]
            #vis #sig {
                #(#prologue)*
                #call_name(#(#names),*)
            }
            #[doc(hidden)]
            #[allow(unused_mut, unused_assignments, clippy::too_many_arguments)]
            #[inline(always)]
            fn #call_name(#(#names: #types),*) -> #result {
                #overflow
                #at_entry
                #loop_name(#(#names),*)
            }
            #enter_function
            #[doc(hidden)]
            #[allow(unused_mut, unreachable_code, unused_assignments, unused_labels, clippy::needless_continue, clippy::needless_return, clippy::never_loop, clippy::too_many_arguments)]
            fn #loop_name(#(mut #names: #types),*) -> #result {
                #main
            }
        }
    }

    fn twins(
        &self,
        function: &ItemFn,
        parameters: &[functions::Parameter],
        prologue: &[Stmt],
        main: &syn::ExprLoop,
        writer: &mut Writer,
    ) -> TokenStream {
        let name = &function.sig.ident;
        let (loop_name, driver) = (self.loop_name(function), self.driver_name(function));
        let call_name = self.call_name(function);
        let loop_twin = format_ident!("jit_loop_twin_of_{}", name);
        let (names, types): (Vec<_>, Vec<_>) = self.all().map(|variable| (&variable.name, &variable.ty)).unzip();
        let greens: Vec<_> = self.greens.iter().map(|green| &green.name).collect();
        let green_types: Vec<_> = self.greens.iter().map(|green| &green.ty).collect();
        let reds: Vec<_> = self.reds.iter().map(|red| &red.name).collect();
        let red_types: Vec<_> = self.reds.iter().map(|red| &red.ty).collect();
        let (result, label) = (&self.result, &self.label);
        let promote = quote!(#(#greens = __m.promote(#greens);)*);
        let green_bits = quote!(&[#(::metajit::rt::Word::to_bits(#greens.val)),*]);
        let red_words = quote!(&[#(#reds.raw()),*]);
        let merge_point = quote! { {
            if !__m.at_fresh_merge() { #promote }
            if let ::core::option::Option::Some(__result) = __m.merge_point::<#result>(&#driver, #green_bits, #red_words) {
                return __result;
            }
        } };
        writer.portal = Some(Portal { merge_point, back_edge: quote!({ __m.back_edge(); continue #label; }) });
        let body = writer.block(&main.body);
        writer.portal = None;
        let output = writer.twin_type(result);
        let inputs: Vec<_> = parameters
            .iter()
            .map(|functions::Parameter { name, ty, .. }| {
                let ty = writer.twin_type(ty);
                quote!(mut #name: #ty)
            })
            .collect();
        let prologue: Vec<_> = prologue.iter().map(|stmt| writer.stmt(stmt)).collect();
        let aliases = writer.alias_items();
        let quiet = quiet();
        let vis = &function.vis;
        let text = name.to_string();
        let (green_count, red_count) = (greens.len(), reds.len());
        let (green_index, red_index) = (0..green_count, 0..red_count);
        let unpack = quote! {
            #(let #greens = ::metajit::rt::Traced::constant(<#green_types as ::metajit::rt::Word>::from_bits(__greens[#green_index]));)*
            #(let #reds = ::metajit::rt::Traced::new(<#red_types as ::metajit::rt::Word>::from_bits(__reds[#red_index].bits), __reds[#red_index].arg);)*
        };
        let (green_index, red_index) = (0..green_count, 0..red_count);
        let virtualizable = match self.virtualizable {
            None => quote!(::core::option::Option::None),
            Some(position) => {
                let ty = red_types[position];
                quote_spanned!(ty.span()=> ::core::option::Option::Some((#position, <#ty as ::metajit::rt::Object>::SHAPE)))
            }
        };
        let of_greens = |expr: &TokenStream| {
            let index = 0..green_count;
            quote! {
                #(let #greens: #green_types = ::metajit::rt::Word::from_bits(__greens[#index]);)*
                #expr
            }
        };
        let given = self.given;
        let live = self.live.as_ref().map_or(quote!(u32::MAX), |live| quote!((#live) as u32));
        let live = of_greens(&live);
        let format = format!("{text}({})", vec!["{:?}"; green_count].join(", "));
        let location = self.location.as_ref().map_or(
            quote!(::std::format!(#format #(, #greens)*)),
            |location| quote!(::std::string::String::from(#location)),
        );
        let location = of_greens(&location);
        let bits: Vec<_> = (0..green_count + red_count).map(|index| format_ident!("__a{}", index)).collect();
        let (params, general_params) = (red_count as u8 + 1, (green_count + red_count) as u8);
        let (green_index2, red_index2) = (0..green_count, 0..red_count);
        quote! {
            #quiet
            #[doc(hidden)]
            #vis enum #name {}
            #quiet
            impl #name {
                #[doc(hidden)]
                #[inline(never)]
                pub fn jit_twin(__m: &mut ::metajit::rt::Meta #(, #inputs)*) -> #output {
                    #aliases
                    #(#prologue)*
                    #(let #greens = __m.green(#greens);)*
                    match __m.enter_loop::<#result>(&#driver, &[#(#greens.raw()),*], #red_words) {
                        ::metajit::rt::Enter::Done(__result) => __result,
                        ::metajit::rt::Enter::Inline => {
                            let __result = #loop_twin(__m #(, #names)*);
                            __m.leave_loop::<#result>(__result)
                        }
                        ::metajit::rt::Enter::Resume(__greens, __reds) => {
                            #unpack
                            let __result = #loop_twin(__m #(, #names)*);
                            __m.leave_loop::<#result>(__result)
                        }
                    }
                }
                /// The driver itself, for statistics and explanations.
                #[doc(hidden)]
                pub fn jit_driver() -> &'static ::metajit::rt::Driver { &#driver }
            }
            #quiet
            #[inline(never)]
            fn #loop_twin(__m: &mut ::metajit::rt::Meta #(, mut #names: ::metajit::rt::Traced<#types>)*) -> #output {
                #aliases
                #label: loop #body
            }
            #quiet
            static #driver: ::metajit::rt::Driver = {
                fn twin(
                    __m: &mut ::metajit::rt::Meta,
                    __greens: &[u64],
                    __reds: &[::metajit::rt::Raw],
                    __words: &mut ::std::vec::Vec<::metajit::rt::Raw>,
                ) {
                    #unpack
                    let __result = #loop_twin(__m #(, #names)*);
                    <#result as ::metajit::rt::Flat>::flatten_twin(&__result, __words);
                }
                fn plain(__greens: &[u64], __reds: &[u64], __out: &mut ::metajit::rt::Words) {
                    let __result = #loop_name(
                        #(<#green_types as ::metajit::rt::Word>::from_bits(__greens[#green_index]),)*
                        #(<#red_types as ::metajit::rt::Word>::from_bits(__reds[#red_index]),)*
                    );
                    ::metajit::rt::Flat::flatten(__result, __out);
                }
                fn call(__greens: &[u64], __reds: &[u64], __out: &mut ::metajit::rt::Words) {
                    let __result = #call_name(
                        #(<#green_types as ::metajit::rt::Word>::from_bits(__greens[#green_index2]),)*
                        #(<#red_types as ::metajit::rt::Word>::from_bits(__reds[#red_index2]),)*
                    );
                    ::metajit::rt::Flat::flatten(__result, __out);
                }
                unsafe extern "C" fn general(#(#bits: u64,)* __out: *mut u64) -> u64 {
                    // SAFETY: compiled code gives the greens, the reds, and a place for the result words after the first.
                    unsafe {
                        ::metajit::rt::residual::<#result>(__out, || #call_name(#(<#types as ::metajit::rt::Word>::from_bits(#bits)),*))
                    }
                }
                fn live(__greens: &[u64]) -> u32 { #live }
                fn location(__greens: &[u64]) -> ::std::string::String { #location }
                const RESULTS: usize = <#result as ::metajit::rt::Flat>::WORDS;
                ::metajit::rt::Driver {
                    portal: ::metajit::rt::Portal {
                        name: #text,
                        greens: #green_count,
                        reds: &[#(<#red_types as ::metajit::rt::Word>::TYPE),*],
                        virtualizable: #virtualizable,
                    },
                    twin,
                    plain,
                    call,
                    entry: ::metajit::rt::Callee {
                        name: ::core::concat!(::core::module_path!(), "::", #text),
                        address: ::metajit::rt::finish_call as *const (),
                        params: #params,
                        results: RESULTS as u8,
                        effect: ::metajit::rt::Effect::Portal,
                        spread: ::core::option::Option::None,
                    },
                    general: ::metajit::rt::Callee {
                        name: ::core::concat!(::core::module_path!(), "::", #text, "::general"),
                        address: general as *const (),
                        params: #general_params,
                        results: RESULTS as u8,
                        effect: ::metajit::rt::Effect::Any,
                        spread: ::core::option::Option::None,
                    },
                    results: RESULTS,
                    given: #given,
                    live,
                    location,
                }
            };
        }
    }
}
