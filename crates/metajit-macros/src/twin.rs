//! Bodies: from Rust's expressions to the twin's.
//!
//! The twin has the same control structure over traced words. An operand is evaluated into a temporary before it is used,
//! because the tracer can be borrowed by one operation at a time. Everything outside the subset is a mistake at the
//! user's span, with what to write instead; what the macro can't see (types) rustc checks in the twin.

use crate::names::{self, at};
use crate::objects::Mistakes;
use crate::patterns::{self, Translated};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{BinOp, Block, Expr, ExprMatch, Lit, Local, Macro, Pat, Path, RangeLimits, Stmt, Type, UnOp};

/// What merge points and back edges turn into.
#[derive(Clone, Default)]
pub(crate) struct Portal {
    pub(crate) merge_point: TokenStream,
    pub(crate) back_edge: TokenStream,
}

/// Writes the twin of one function.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) mistakes: Mistakes,
    /// The type that `Self` stands for.
    pub(crate) self_type: Option<Type>,
    /// The type parameters of the function.
    pub(crate) type_params: Vec<Ident>,
    /// Set inside a driver's loop.
    pub(crate) portal: Option<Portal>,
    aliases: Vec<(Path, Ident)>,
    names: usize,
}

impl Writer {
    /// A writer of a type's methods.
    pub(crate) fn of_type(ty: Type) -> Writer {
        Writer { self_type: Some(ty), ..Writer::default() }
    }

    pub(crate) fn fresh(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    /// Replaces `Self` by the type it stands for.
    pub(crate) fn without_self(&self, ty: &Type) -> Type {
        struct Replace<'a>(&'a Type);
        impl VisitMut for Replace<'_> {
            fn visit_type_mut(&mut self, ty: &mut Type) {
                if matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident("Self")) {
                    *ty = self.0.clone();
                }
                syn::visit_mut::visit_type_mut(self, ty);
            }
        }
        let mut ty = ty.clone();
        if let Some(self_type) = &self.self_type {
            Replace(self_type).visit_type_mut(&mut ty);
        }
        ty
    }

    pub(crate) fn twin_type(&mut self, ty: &Type) -> TokenStream {
        if let Type::Reference(_)
        | Type::Ptr(_)
        | Type::Slice(_)
        | Type::Array(_)
        | Type::BareFn(_)
        | Type::ImplTrait(_)
        | Type::TraitObject(_) = ty
        {
            self.mistakes.add(
                ty,
                "traced code handles words by value: use a word type here, and look up what it stands for inside a #[dont_look_inside] function",
            );
        }
        let ty = self.without_self(ty);
        if mentions(&ty, &self.type_params) {
            return self.generic_twin_type(&ty);
        }
        quote_spanned!(at(&ty)=> <#ty as ::metajit::rt::Twin>::Twin)
    }

    /// The twin type of a type that names type parameters, written out as far as the macro sees it: rustc can't infer a
    /// parameter from a projection.
    fn generic_twin_type(&self, ty: &Type) -> TokenStream {
        let span = at(ty);
        match ty {
            Type::Tuple(tuple) => {
                let elems = tuple.elems.iter().map(|elem| self.generic_twin_type(elem));
                quote_spanned!(span=> (#(#elems,)*))
            }
            Type::Paren(inner) => self.generic_twin_type(&inner.elem),
            Type::Group(inner) => self.generic_twin_type(&inner.elem),
            Type::Path(path) if path.qself.is_none() => {
                let path = &path.path;
                if path.get_ident().is_some_and(|name| self.type_params.contains(name)) {
                    return quote_spanned!(span=> ::metajit::rt::Traced<#ty>);
                }
                let arguments: Vec<&Type> = match path.segments.last().map(|segment| &segment.arguments) {
                    Some(syn::PathArguments::AngleBracketed(list)) => list
                        .args
                        .iter()
                        .filter_map(|arg| match arg {
                            syn::GenericArgument::Type(ty) => Some(ty),
                            _ => None,
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                let arguments: Vec<_> = arguments.iter().map(|ty| self.generic_twin_type(ty)).collect();
                match (names::last(path).as_str(), &arguments[..]) {
                    ("Option", [some]) => quote_spanned!(span=> ::core::option::Option<#some>),
                    ("Result", [ok, err]) => {
                        quote_spanned!(span=> ::core::result::Result<#ok, #err>)
                    }
                    _ => quote_spanned!(span=> <#ty as ::metajit::rt::Twin>::Twin),
                }
            }
            _ => quote_spanned!(span=> <#ty as ::metajit::rt::Twin>::Twin),
        }
    }

    /// A local name for the twin of the type at `path`.
    pub(crate) fn alias(&mut self, path: &Path) -> Ident {
        let path = match &self.self_type {
            Some(Type::Path(self_type)) if path.is_ident("Self") => self_type.path.clone(),
            _ => path.clone(),
        };
        if let Some((_, alias)) = self.aliases.iter().find(|(known, _)| *known == path) {
            return alias.clone();
        }
        let alias = format_ident!("__Twin{}", self.aliases.len(), span = Span::mixed_site());
        self.aliases.push((path, alias.clone()));
        alias
    }

    /// What a twin's body begins with: the traits of the twin methods, and all aliases in use.
    pub(crate) fn alias_items(&self) -> TokenStream {
        let items = self
            .aliases
            .iter()
            .map(|(path, alias)| quote_spanned!(at(&path)=> type #alias = <#path as ::metajit::rt::Twin>::Twin;));
        quote! {
            use ::metajit::rt::{
                AsciiTwin as _, BoolTwin as _, CharTwin as _, DefaultTwin as _, FailingTwin as _, FloatAssociated as _,
                FloatTwin as _, IntTwin as _, MoreIntTwin as _, NestedOptionTwin as _, OptionTwin as _, ResultTwin as _,
                SignedTwin as _, UnsignedTwin as _,
            };
            #(#items)*
        }
    }

    /// A variant, or a struct, in a pattern or an expression.
    pub(crate) fn variant(&mut self, path: &Path) -> TokenStream {
        let last = names::last(path);
        if names::is_std_variant(&last) {
            return quote!(#path);
        }
        if path.segments.len() == 1 {
            let alias = self.alias(path);
            return quote!(#alias);
        }
        let alias = self.alias(&names::parent(path));
        let variant = &path.segments[path.segments.len() - 1].ident;
        quote_spanned!(at(&path)=> #alias::#variant)
    }

    pub(crate) fn block(&mut self, block: &Block) -> TokenStream {
        let stmts: Vec<_> = block.stmts.iter().map(|stmt| self.stmt(stmt)).collect();
        quote_spanned!(at(&block)=> { #(#stmts)* })
    }

    /// A block that begins by lifting names that a pattern bound.
    fn block_with(&mut self, lift: &TokenStream, block: &Block) -> TokenStream {
        let stmts: Vec<_> = block.stmts.iter().map(|stmt| self.stmt(stmt)).collect();
        quote_spanned!(at(&block)=> { #lift #(#stmts)* })
    }

    pub(crate) fn stmt(&mut self, stmt: &Stmt) -> TokenStream {
        match stmt {
            Stmt::Local(local) => self.local(local),
            Stmt::Expr(expr, semi) => {
                let expr = self.expr(expr);
                quote!(#expr #semi)
            }
            Stmt::Macro(mac) => {
                let semi = &mac.semi_token;
                let mac = self.mac(&mac.mac);
                quote!(#mac #semi)
            }
            Stmt::Item(syn::Item::Const(item)) => quote!(#item),
            Stmt::Item(item) => {
                self.mistakes.add(item, "an item inside a traced function has no twin: move it out of the function");
                quote!()
            }
        }
    }

    fn local(&mut self, local: &Local) -> TokenStream {
        let span = at(&local);
        let (pat, translated) = match &local.pat {
            Pat::Type(typed) if mentions_infer(&typed.ty) => self.plain_pattern(&typed.pat),
            pat => self.plain_pattern(pat),
        };
        let Some(init) = &local.init else {
            return quote_spanned!(span=> let #pat;);
        };
        let value = self.expr(&init.expr);
        let _ = translated;
        match &init.diverge {
            None => quote_spanned!(span=> let #pat = #value;),
            Some((_, diverge)) => {
                let diverge = self.expr(diverge);
                quote_spanned!(span=> let #pat = ({ let __s = #value; ::metajit::rt::Scrutinee::scrutinee(__s, __m) }) else #diverge;)
            }
        }
    }

    /// Evaluates operands into temporaries, then builds.
    fn hoist(&mut self, span: Span, operands: &[&Expr], build: impl FnOnce(&[Ident]) -> TokenStream) -> TokenStream {
        let names: Vec<Ident> = operands
            .iter()
            .map(|operand| {
                let number = self.fresh();
                format_ident!("__t{}", number, span = Span::mixed_site().located_at(operand.span()))
            })
            .collect();
        let values: Vec<_> = operands.iter().map(|operand| self.expr(operand)).collect();
        let body = build(&names);
        quote_spanned!(span=> { #(let #names = #values;)* #body })
    }

    /// A condition, as a native `bool`.
    fn condition(&mut self, expr: &Expr, lift: &mut TokenStream) -> TokenStream {
        let span = at(&expr);
        match expr {
            Expr::Let(binding) => {
                let (pat, translated) = self.plain_pattern(&binding.pat);
                let value = self.expr(&binding.expr);
                lift.extend(translated.lift());
                quote_spanned!(span=> let #pat = { let __s = #value; ::metajit::rt::Scrutinee::scrutinee(__s, __m) })
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
                let (left, right) = (self.condition(&binary.left, lift), self.condition(&binary.right, lift));
                quote_spanned!(span=> #left && #right)
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::Or(_)) => {
                let (left, right) = (self.condition(&binary.left, lift), self.condition(&binary.right, lift));
                quote_spanned!(span=> (#left || #right))
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let inner = self.condition(&unary.expr, lift);
                quote_spanned!(span=> !(#inner))
            }
            Expr::Paren(inner) => {
                let inner = self.condition(&inner.expr, lift);
                quote_spanned!(span=> (#inner))
            }
            _ => {
                let value = self.expr(expr);
                quote_spanned!(span=> { let __c = #value; __m.branch(__c) })
            }
        }
    }

    fn mac(&mut self, mac: &Macro) -> TokenStream {
        let span = at(&mac);
        match names::last(&mac.path).as_str() {
            "panic" | "unreachable" => self.panicking(mac),
            name @ ("assert" | "debug_assert") => {
                let Some(args) = self.arguments(mac) else {
                    return quote!();
                };
                let Some((first, rest)) = args.split_first() else {
                    return quote!();
                };
                let text = format!("assertion failed: {}", quote!(#first));
                let text = if rest.is_empty() { quote!(#text) } else { self.message(rest) };
                let mut lift = quote!();
                let condition = self.condition(first, &mut lift);
                let test = quote_spanned!(span=> if !(#condition) { __m.panics(); ::core::panic!(#text) });
                if name == "assert" { test } else { quote!(if ::core::cfg!(debug_assertions) { #test }) }
            }
            name @ ("assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne") => {
                let Some(args) = self.arguments(mac) else {
                    return quote!();
                };
                let [left, right, rest @ ..] = &args[..] else {
                    return quote!();
                };
                let (method, assertion) = if name.ends_with("eq") {
                    (quote!(eq), quote!(::core::assert_eq))
                } else {
                    (quote!(ne), quote!(::core::assert_ne))
                };
                let text = self.message(rest);
                let test = self.hoist(span, &[left, right], |names| {
                    let (a, b) = (&names[0], &names[1]);
                    // Where it fails, the assertion itself says so.
                    quote_spanned!(span=> let __c = __m.#method(#a, #b); if !__m.branch(__c) { __m.panics(); #assertion!(#a.val, #b.val, #text) })
                });
                if name.starts_with("debug") { quote!(if ::core::cfg!(debug_assertions) { #test }) } else { test }
            }
            "matches" => self.matches(mac),
            "jit_merge_point" => match &self.portal {
                Some(portal) => portal.merge_point.clone(),
                None => {
                    self.mistakes
                        .add(mac, "jit_merge_point! belongs at the start of the loop of a #[jit_driver] function");
                    quote!()
                }
            },
            "can_enter_jit" => match &self.portal {
                Some(portal) => portal.back_edge.clone(),
                None => {
                    self.mistakes.add(
                        mac,
                        "can_enter_jit! belongs in the loop of a #[jit_driver] function, where it jumps backwards",
                    );
                    quote!()
                }
            },
            _ => {
                self.mistakes.add(
                    &mac.path,
                    "this macro has no twin (panic!, unreachable!, matches! and the assertions have): move the code to a #[dont_look_inside] function",
                );
                quote!()
            }
        }
    }

    /// `matches!(word, pattern if guard)`: a `match` with two arms.
    fn matches(&mut self, mac: &Macro) -> TokenStream {
        let parse = |input: syn::parse::ParseStream<'_>| {
            let value: Expr = input.parse()?;
            input.parse::<syn::Token![,]>()?;
            let pat = Pat::parse_multi_with_leading_vert(input)?;
            let guard = if input.peek(syn::Token![if]) {
                input.parse::<syn::Token![if]>()?;
                Some(input.parse::<Expr>()?)
            } else {
                None
            };
            input.parse::<Option<syn::Token![,]>>()?;
            Ok((value, pat, guard))
        };
        match parse.parse2(mac.tokens.clone()) {
            Ok((value, pat, guard)) => {
                let guard = guard.map(|guard| quote!(if #guard));
                let matching = syn::parse_quote_spanned!(mac.span()=> match #value { #pat #guard => true, _ => false });
                self.expr(&Expr::Match(matching))
            }
            Err(error) => {
                self.mistakes.push(error);
                quote!(::core::unreachable!())
            }
        }
    }

    fn arguments(&mut self, mac: &Macro) -> Option<Vec<Expr>> {
        let parser = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        match parser.parse2(mac.tokens.clone()) {
            Ok(args) => Some(args.into_iter().collect()),
            Err(error) => {
                self.mistakes.push(error);
                None
            }
        }
    }

    fn panicking(&mut self, mac: &Macro) -> TokenStream {
        if mac.tokens.is_empty() {
            return quote!({ __m.panics(); #mac });
        }
        let Some(args) = self.arguments(mac) else {
            return quote!();
        };
        let path = &mac.path;
        let text = self.message(&args);
        quote_spanned!(at(mac)=> { __m.panics(); #path!(#text) })
    }

    /// A format string and its arguments.
    fn message(&mut self, args: &[Expr]) -> TokenStream {
        let Some((first, rest)) = args.split_first() else {
            return quote!();
        };
        let rest: Vec<_> = rest.iter().map(|arg| self.expr(arg)).collect();
        quote!(#first #(, #rest)*)
    }

    fn binary_method(op: &BinOp) -> Option<(&'static str, bool, bool)> {
        // Name, whether it takes the flag for overflow checks, whether it assigns.
        Some(match op {
            BinOp::Add(_) => ("add", true, false),
            BinOp::Sub(_) => ("sub", true, false),
            BinOp::Mul(_) => ("mul", true, false),
            BinOp::Div(_) => ("div", false, false),
            BinOp::Rem(_) => ("rem", false, false),
            BinOp::BitAnd(_) => ("bitand", false, false),
            BinOp::BitOr(_) => ("bitor", false, false),
            BinOp::BitXor(_) => ("bitxor", false, false),
            BinOp::Shl(_) => ("shl", true, false),
            BinOp::Shr(_) => ("shr", true, false),
            BinOp::Eq(_) => ("eq", false, false),
            BinOp::Ne(_) => ("ne", false, false),
            BinOp::Lt(_) => ("lt", false, false),
            BinOp::Le(_) => ("le", false, false),
            BinOp::Gt(_) => ("gt", false, false),
            BinOp::Ge(_) => ("ge", false, false),
            BinOp::AddAssign(_) => ("add", true, true),
            BinOp::SubAssign(_) => ("sub", true, true),
            BinOp::MulAssign(_) => ("mul", true, true),
            BinOp::DivAssign(_) => ("div", false, true),
            BinOp::RemAssign(_) => ("rem", false, true),
            BinOp::BitAndAssign(_) => ("bitand", false, true),
            BinOp::BitOrAssign(_) => ("bitor", false, true),
            BinOp::BitXorAssign(_) => ("bitxor", false, true),
            BinOp::ShlAssign(_) => ("shl", true, true),
            BinOp::ShrAssign(_) => ("shr", true, true),
            _ => return None,
        })
    }

    fn path(&mut self, expr: &Expr, path: &syn::ExprPath) -> TokenStream {
        let last = names::last(&path.path);
        if path.path.is_ident("self") {
            return quote_spanned!(at(&expr)=> self_);
        }
        if last == "None" {
            return quote!(#path);
        }
        if path.qself.is_some() || names::is_constant(&last) {
            return quote_spanned!(at(&expr)=> ::metajit::rt::Traced::constant(#path));
        }
        if names::is_type(&last) {
            if path.path.segments.len() == 1 {
                self.mistakes.add(expr, "write the enum's name before the variant: `Enum::Variant`");
                return quote!(::core::unreachable!());
            }
            return self.variant(&path.path);
        }
        if path.path.segments.len() > 1 {
            self.mistakes.add(expr, "only constants can be named by a path here: a constant is written in upper case");
            return quote!(::core::unreachable!());
        }
        quote!(#path)
    }

    fn call(&mut self, expr: &Expr, call: &syn::ExprCall) -> TokenStream {
        let span = at(&expr);
        let Expr::Path(function) = &*call.func else {
            self.mistakes.add(
                &call.func,
                "only named functions can be called in traced code: choose with `match` and call each by name",
            );
            return quote!(::core::unreachable!());
        };
        let path = &function.path;
        let last = names::last(path);
        let args: Vec<&Expr> = call.args.iter().collect();
        if names::is_type(&last) {
            let values: Vec<_> = args.iter().map(|arg| self.expr(arg)).collect();
            if path.segments.len() == 1 && !names::is_std_variant(&last) {
                let alias = self.alias(path);
                let index = (0..values.len()).map(syn::Index::from);
                return quote_spanned!(span=> #alias { #(#index: #values),* });
            }
            let variant = self.variant(path);
            return quote_spanned!(span=> #variant(#(#values),*));
        }
        let qualifier = path.segments.len().checked_sub(2).map(|index| path.segments[index].ident.to_string());
        if let (Some(primitive), "from") = (qualifier.as_deref().filter(|name| names::is_primitive(name)), &last[..]) {
            let ty = Ident::new(primitive, at(path));
            return self.hoist(span, &args, |names| quote_spanned!(span=> __m.cast::<_, #ty>(#(#names),*)));
        }
        let twin = match &function.qself {
            None => names::twin_function(path),
            Some(_) => {
                let mut twin = function.clone();
                if let Some(segment) = twin.path.segments.last_mut() {
                    segment.ident = names::twin_method(&segment.ident);
                }
                quote!(#twin)
            }
        };
        self.hoist(span, &args, |names| quote_spanned!(span=> #twin(__m #(, #names)*)))
    }

    fn method_call(&mut self, expr: &Expr, call: &syn::ExprMethodCall) -> TokenStream {
        let span = at(&expr);
        let mut operands: Vec<&Expr> = vec![&call.receiver];
        // The only text that a method takes is what a panic says.
        let text = (call.method == "expect" || call.method == "expect_err")
            .then(|| call.args.iter().map(|text| quote!(, #text)).collect::<TokenStream>());
        if text.is_none() {
            operands.extend(&call.args);
        }
        let method = names::twin_method(&call.method);
        let turbofish = &call.turbofish;
        self.hoist(span, &operands, |names| {
            let (receiver, args) = (&names[0], &names[1..]);
            quote_spanned! { at(&call.method)=>
                let (__val, __op) = ::metajit::rt::Receiver::split(#receiver);
                __val.#method #turbofish (__op, __m #(, #args)* #text)
            }
        })
    }

    fn matching(&mut self, expr: &Expr, matching: &ExprMatch) -> TokenStream {
        let scrutinee = self.expr(&matching.expr);
        let mut conditional = false;
        let arms: Vec<_> = matching
            .arms
            .iter()
            .flat_map(|arm| {
                // Alternatives that become conditions need an arm each.
                let cases: Vec<&Pat> = match &arm.pat {
                    Pat::Or(or) if or.cases.iter().any(patterns::has_conditions) => or.cases.iter().collect(),
                    pat => vec![pat],
                };
                cases.into_iter().map(move |pat| (arm, pat))
            })
            .map(|(arm, pat)| {
                let mut translated = Translated::default();
                let pat = self.pattern(pat, true, &mut translated);
                let lift = translated.lift();
                let mut conditions = translated.conditions.clone();
                conditional |= !conditions.is_empty();
                if let Some((_, guard)) = &arm.guard {
                    let mut inner = quote!();
                    let guard = self.condition(guard, &mut inner);
                    conditions.push(guard);
                }
                let guard = (!conditions.is_empty()).then(|| quote!(if { #lift #((#conditions))&&* }));
                let body = self.expr(&arm.body);
                quote_spanned!(at(&arm)=> #pat #guard => { #lift #body })
            })
            .collect();
        let otherwise =
            conditional.then(|| quote!(_ => { __m.panics(); ::core::unreachable!("a pattern of a traced match") }));
        quote_spanned! { at(&expr)=>
            match { let __s = #scrutinee; ::metajit::rt::Scrutinee::scrutinee(__s, __m) } { #(#arms)* #otherwise }
        }
    }

    fn for_loop(&mut self, expr: &Expr, each: &syn::ExprForLoop) -> TokenStream {
        let span = at(&expr);
        let mut range_expr = &*each.expr;
        while let Expr::Paren(inner) = range_expr {
            range_expr = &inner.expr;
        }
        let Expr::Range(range) = range_expr else {
            self.mistakes
                .add(&each.expr, "`for` in traced code goes over a range of integers, `a..b`: use `while` otherwise");
            return quote!(());
        };
        let (Some(start), Some(end)) = (&range.start, &range.end) else {
            self.mistakes.add(range, "`for` in traced code needs both ends of the range: use `loop` otherwise");
            return quote!(());
        };
        let (start, end) = (self.expr(start), self.expr(end));
        let (pat, _) = self.plain_pattern(&each.pat);
        let body = self.block(&each.body);
        let label = &each.label;
        let number = self.fresh();
        let name = |text: &str| format_ident!("__{}{}", text, number, span = Span::mixed_site());
        let (next, last, done) = (name("next"), name("last"), name("done"));
        match range.limits {
            RangeLimits::HalfOpen(_) => quote_spanned! {span=> {
                let mut #next = #start;
                let #last = #end;
                #label while { let __c = __m.lt(#next, #last); __m.branch(__c) } {
                    let #pat = #next;
                    #next = __m.increment(#next);
                    #body
                }
            } },
            RangeLimits::Closed(_) => quote_spanned! {span=> {
                let mut #next = #start;
                let #last = #end;
                let mut #done = { let __c = __m.lt(#last, #next); __m.branch(__c) };
                #label while !#done {
                    let #pat = #next;
                    if { let __c = __m.eq(#next, #last); __m.branch(__c) } {
                        #done = true;
                    } else {
                        #next = __m.increment(#next);
                    }
                    #body
                }
            } },
        }
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> TokenStream {
        let span = at(&expr);
        match expr {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Int(_) | Lit::Bool(_) | Lit::Float(_) | Lit::Char(_) | Lit::Byte(_) => {
                    quote_spanned!(span=> ::metajit::rt::Traced::constant(#lit))
                }
                _ => {
                    self.mistakes.add(expr, "strings can't be traced: move the code to a #[dont_look_inside] function");
                    quote!(::core::unreachable!())
                }
            },
            Expr::Path(path) => self.path(expr, path),
            Expr::Paren(inner) => {
                let inner = self.expr(&inner.expr);
                quote_spanned!(span=> (#inner))
            }
            Expr::Group(inner) => self.expr(&inner.expr),
            Expr::Block(block) => {
                let label = &block.label;
                let body = self.block(&block.block);
                quote_spanned!(span=> #label #body)
            }
            Expr::Unsafe(block) => {
                let body = self.block(&block.block);
                quote_spanned!(span=> unsafe #body)
            }
            Expr::Binary(binary) => {
                if let BinOp::And(_) | BinOp::Or(_) = binary.op {
                    let mut lift = quote!();
                    let left = self.condition(&binary.left, &mut lift);
                    let right = self.expr(&binary.right);
                    return if matches!(binary.op, BinOp::And(_)) {
                        quote_spanned!(span=> if #left { #right } else { ::metajit::rt::Traced::constant(false) })
                    } else {
                        quote_spanned!(span=> if #left { ::metajit::rt::Traced::constant(true) } else { #right })
                    };
                }
                let Some((method, flag, assigns)) = Self::binary_method(&binary.op) else {
                    self.mistakes.add(expr, "this operator can't be traced");
                    return quote!(());
                };
                let method = Ident::new(method, at(&binary.op));
                let flag = flag.then(|| quote!(, ::core::cfg!(debug_assertions)));
                if assigns {
                    let target = self.place(&binary.left);
                    let value = self.hoist(span, &[&binary.right], |names| {
                        let value = &names[0];
                        quote_spanned!(span=> __m.#method(#target, #value #flag))
                    });
                    return quote_spanned!(span=> #target = #value);
                }
                self.hoist(span, &[&binary.left, &binary.right], |names| {
                    let (a, b) = (&names[0], &names[1]);
                    quote_spanned!(span=> __m.#method(#a, #b #flag))
                })
            }
            Expr::Unary(unary) => match unary.op {
                UnOp::Not(_) => self.hoist(span, &[&unary.expr], |names| {
                    let value = &names[0];
                    quote_spanned!(span=> __m.not(#value))
                }),
                UnOp::Neg(_) if matches!(&*unary.expr, Expr::Lit(_)) => {
                    quote_spanned!(span=> ::metajit::rt::Traced::constant(#unary))
                }
                UnOp::Neg(_) => self.hoist(span, &[&unary.expr], |names| {
                    let value = &names[0];
                    quote_spanned!(span=> __m.neg(#value, ::core::cfg!(debug_assertions)))
                }),
                _ => {
                    self.mistakes.add(
                        expr,
                        "there is nothing to dereference in traced code: use the accessors of a #[jit_object]",
                    );
                    quote!(::core::unreachable!())
                }
            },
            Expr::If(conditional) => {
                let mut lift = quote!();
                let condition = self.condition(&conditional.cond, &mut lift);
                let then = self.block_with(&lift, &conditional.then_branch);
                let otherwise = conditional.else_branch.as_ref().map(|(_, otherwise)| {
                    let otherwise = self.expr(otherwise);
                    quote!(else #otherwise)
                });
                quote_spanned!(span=> if #condition #then #otherwise)
            }
            Expr::While(loops) => {
                let label = &loops.label;
                let mut lift = quote!();
                let condition = self.condition(&loops.cond, &mut lift);
                let body = self.block_with(&lift, &loops.body);
                quote_spanned!(span=> #label while #condition #body)
            }
            Expr::Loop(loops) => {
                let label = &loops.label;
                let body = self.block(&loops.body);
                quote_spanned!(span=> #label loop #body)
            }
            Expr::ForLoop(each) => self.for_loop(expr, each),
            Expr::Break(exit) => {
                let label = &exit.label;
                let value = exit.expr.as_ref().map(|value| self.expr(value));
                quote_spanned!(span=> break #label #value)
            }
            Expr::Continue(_) => quote!(#expr),
            Expr::Return(exit) => {
                let value = exit.expr.as_ref().map(|value| self.expr(value));
                quote_spanned!(span=> return #value)
            }
            Expr::Try(inner) => {
                let inner = self.expr(&inner.expr);
                quote_spanned!(span=> #inner?)
            }
            Expr::Tuple(tuple) => {
                let elems: Vec<_> = tuple.elems.iter().map(|elem| self.expr(elem)).collect();
                quote_spanned!(span=> (#(#elems,)*))
            }
            Expr::Assign(assign) => {
                if matches!(&*assign.left, Expr::Infer(_)) {
                    let value = self.expr(&assign.right);
                    return quote_spanned!(span=> _ = #value);
                }
                let target = self.place(&assign.left);
                let value = self.expr(&assign.right);
                quote_spanned!(span=> #target = #value)
            }
            Expr::Field(field) => {
                let base = self.expr(&field.base);
                let member = &field.member;
                quote_spanned!(span=> #base.#member)
            }
            // The number of a variant is a constant.
            Expr::Cast(cast) if is_variant(&cast.expr) => {
                quote_spanned!(span=> ::metajit::rt::Traced::constant(#expr))
            }
            Expr::Cast(cast) => {
                let ty = &cast.ty;
                self.hoist(span, &[&cast.expr], |names| {
                    let value = &names[0];
                    quote_spanned!(span=> __m.cast::<_, #ty>(#value))
                })
            }
            Expr::Match(matching) => self.matching(expr, matching),
            Expr::Call(call) => self.call(expr, call),
            Expr::MethodCall(call) => self.method_call(expr, call),
            Expr::Struct(structure) => {
                if let Some(rest) = &structure.rest {
                    self.mistakes.add(rest, "`..` can't be traced: name every field");
                }
                let variant = self.variant(&structure.path);
                let fields: Vec<_> = structure
                    .fields
                    .iter()
                    .map(|field| {
                        let member = &field.member;
                        let value = self.expr(&field.expr);
                        quote!(#member: #value)
                    })
                    .collect();
                quote_spanned!(span=> #variant { #(#fields),* })
            }
            Expr::Macro(mac) => self.mac(&mac.mac),
            _ => {
                self.mistakes.add(expr, refusal(expr));
                quote!(::core::unreachable!())
            }
        }
    }

    /// What can be assigned to: a local or a field of a structural local.
    fn place(&mut self, expr: &Expr) -> TokenStream {
        match expr {
            Expr::Path(path) if path.path.get_ident().is_some() => quote!(#path),
            Expr::Field(field) => {
                let base = self.place(&field.base);
                let member = &field.member;
                quote_spanned!(at(&expr)=> #base.#member)
            }
            Expr::Tuple(tuple) => {
                let elems: Vec<_> = tuple.elems.iter().map(|elem| self.place(elem)).collect();
                quote_spanned!(at(&expr)=> (#(#elems,)*))
            }
            _ => {
                self.mistakes.add(expr, "only locals can be assigned to in traced code: objects have setters");
                quote!(_)
            }
        }
    }
}

/// What to write instead of an expression outside the subset.
fn refusal(expr: &Expr) -> &'static str {
    match expr {
        Expr::Index(_) => "indexing can't be traced: use the array accessors of a #[jit_object]",
        Expr::Reference(_) => "there are no references in traced code: words are passed by value",
        Expr::RawAddr(_) => "there are no addresses in traced code: use a #[dont_look_inside] function",
        Expr::Closure(_) => "closures can't be traced: write a #[jit] function",
        Expr::Array(_) | Expr::Repeat(_) => {
            "arrays can't be traced: keep the items in a #[jit_object] with an inline array"
        }
        Expr::Range(_) => "a range can only be gone over by `for`: compare with `<` instead",
        Expr::Async(_) | Expr::Await(_) => "async code can't be traced: move it to a #[dont_look_inside] function",
        Expr::Let(_) => "`let` is a condition only in `if` and `while`",
        _ => "this form can't be traced: move it to a #[dont_look_inside] function",
    }
}

fn mentions(ty: &Type, names: &[Ident]) -> bool {
    struct Finder<'n>(&'n [Ident], bool);
    impl<'a> Visit<'a> for Finder<'_> {
        fn visit_ident(&mut self, name: &'a Ident) {
            self.1 |= self.0.contains(name);
        }
    }
    let mut finder = Finder(names, false);
    finder.visit_type(ty);
    finder.1
}

fn mentions_infer(ty: &Type) -> bool {
    struct Finder(bool);
    impl<'a> Visit<'a> for Finder {
        fn visit_type_infer(&mut self, _: &'a syn::TypeInfer) {
            self.0 = true;
        }
    }
    let mut finder = Finder(false);
    finder.visit_type(ty);
    finder.0
}

/// A path to a variant of an enum.
fn is_variant(expr: &Expr) -> bool {
    match expr {
        Expr::Path(path) => path.path.segments.len() > 1 && names::is_type(&names::last(&path.path)),
        Expr::Paren(inner) => is_variant(&inner.expr),
        _ => false,
    }
}
