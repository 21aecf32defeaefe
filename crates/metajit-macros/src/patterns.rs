//! Patterns of traced code.
//!
//! A `match` on a word looks at its native value (the word is promoted), so literals, ranges and constants at the top of a
//! pattern stay as they are, and names bound there are lifted again. Inside a structure the words are still traced: there a
//! literal becomes a fresh name and a condition in the arm's guard.

use crate::names::{self, at};
use crate::twin::Writer;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Expr, Lit, Pat, RangeLimits};

/// What a pattern turned into.
#[derive(Default)]
pub(crate) struct Translated {
    /// Conditions to test after matching.
    pub(crate) conditions: Vec<TokenStream>,
    /// Names it binds, as they are declared.
    pub(crate) names: Vec<(Option<syn::Token![mut]>, Ident)>,
}

impl Translated {
    /// Statements that lift the bound names.
    pub(crate) fn lift(&self) -> TokenStream {
        let mutable = self.names.iter().map(|(mutable, _)| mutable);
        let names = self.names.iter().map(|(_, name)| name).collect::<Vec<_>>();
        quote!(#(let #mutable #names = ::metajit::rt::Retrace::retrace(#names);)*)
    }
}

impl Writer {
    /// A pattern; `top` while nothing around it is structural.
    pub(crate) fn pattern(&mut self, pat: &Pat, top: bool, into: &mut Translated) -> TokenStream {
        match pat {
            Pat::Wild(_) | Pat::Rest(_) => quote!(#pat),
            Pat::Paren(inner) => {
                let inner = self.pattern(&inner.pat, top, into);
                quote!((#inner))
            }
            Pat::Ident(ident) if names::is_constant(&ident.ident.to_string()) => self.word_pattern(pat, top, into),
            Pat::Ident(ident) if ident.ident == "None" => quote!(#pat),
            Pat::Ident(ident) => {
                if ident.by_ref.is_some() {
                    self.mistakes.add(pat, "`ref` has no meaning for words: bind by value");
                }
                if names::is_type(&ident.ident.to_string()) {
                    self.mistakes.add(pat, "write the enum's name before the variant: `Enum::Variant`");
                }
                into.names.push((ident.mutability, ident.ident.clone()));
                match &ident.subpat {
                    None => quote!(#pat),
                    Some((_, sub)) if top => {
                        let (mutability, name) = (&ident.mutability, &ident.ident);
                        let sub = self.pattern(sub, top, into);
                        quote!(#mutability #name @ #sub)
                    }
                    Some((_, sub)) => {
                        let name = ident.ident.clone();
                        let condition = self.condition_of(sub, &name);
                        into.conditions.push(condition);
                        quote!(#name)
                    }
                }
            }
            Pat::Lit(_) | Pat::Range(_) | Pat::Const(_) => self.word_pattern(pat, top, into),
            Pat::Path(path) if names::is_constant(&names::last(&path.path)) => self.word_pattern(pat, top, into),
            Pat::Path(path) => self.variant(&path.path),
            Pat::Or(or) => {
                if !top && or.cases.iter().any(is_word_pattern) {
                    return self.word_pattern(pat, top, into);
                }
                let mut cases = Vec::new();
                for (index, case) in or.cases.iter().enumerate() {
                    let mut inner = Translated::default();
                    cases.push(self.pattern(case, top, &mut inner));
                    if !inner.conditions.is_empty() {
                        self.mistakes.add(case, "a literal inside one alternative of a pattern can't be traced: write an arm for each alternative");
                    }
                    if index == 0 {
                        into.names.append(&mut inner.names);
                    }
                }
                quote!(#(#cases)|*)
            }
            Pat::Tuple(tuple) => {
                let elems: Vec<_> = tuple.elems.iter().map(|elem| self.pattern(elem, false, into)).collect();
                quote_spanned!(at(&pat)=> (#(#elems,)*))
            }
            Pat::TupleStruct(tuple) => {
                let elems: Vec<_> = tuple.elems.iter().map(|elem| self.pattern(elem, false, into)).collect();
                if tuple.path.segments.len() == 1 && !names::is_std_variant(&names::last(&tuple.path)) {
                    let alias = self.alias(&tuple.path);
                    let index = (0..elems.len()).map(syn::Index::from);
                    return quote_spanned!(at(&pat)=> #alias { #(#index: #elems),* });
                }
                let variant = self.variant(&tuple.path);
                quote_spanned!(at(&pat)=> #variant(#(#elems),*))
            }
            Pat::Struct(structure) => {
                let variant = self.variant(&structure.path);
                let fields: Vec<_> = structure
                    .fields
                    .iter()
                    .map(|field| {
                        let member = &field.member;
                        let pat = self.pattern(&field.pat, false, into);
                        quote!(#member: #pat)
                    })
                    .collect();
                let rest = structure.rest.as_ref().map(|_| quote!(..));
                quote_spanned!(at(&pat)=> #variant { #(#fields,)* #rest })
            }
            Pat::Type(typed) => {
                let inner = self.pattern(&typed.pat, top, into);
                let ty = self.twin_type(&typed.ty);
                quote!(#inner: #ty)
            }
            Pat::Reference(_) => {
                self.mistakes.add(pat, "there are no references in traced code: match the word itself");
                quote!(_)
            }
            _ => {
                self.mistakes
                    .add(pat, "this pattern can't be traced: use names, literals, ranges, tuples and variants");
                quote!(_)
            }
        }
    }

    /// A pattern that only words match.
    fn word_pattern(&mut self, pat: &Pat, top: bool, into: &mut Translated) -> TokenStream {
        if top {
            return quote!(#pat);
        }
        let name = format_ident!("__part{}", self.fresh(), span = Span::mixed_site());
        let condition = self.condition_of(pat, &name);
        into.conditions.push(condition);
        quote!(#name)
    }

    /// The condition that the traced word `name` matches `pat`.
    fn condition_of(&mut self, pat: &Pat, name: &Ident) -> TokenStream {
        let constant = |tokens: TokenStream| quote!(::metajit::rt::Traced::constant(#tokens));
        match pat {
            Pat::Lit(lit) => match &lit.lit {
                Lit::Bool(value) if value.value => quote!(__m.branch(#name)),
                Lit::Bool(_) => quote!(!__m.branch(#name)),
                _ => {
                    let value = constant(quote!(#lit));
                    quote!({ let __test = __m.eq(#name, #value); __m.branch(__test) })
                }
            },
            Pat::Ident(_) | Pat::Path(_) | Pat::Const(_) => {
                let value = constant(quote!(#pat));
                quote!({ let __test = __m.eq(#name, #value); __m.branch(__test) })
            }
            Pat::Paren(inner) => self.condition_of(&inner.pat, name),
            Pat::Or(or) => {
                let cases: Vec<_> = or.cases.iter().map(|case| self.condition_of(case, name)).collect();
                quote!((#(#cases)||*))
            }
            Pat::Range(range) => {
                let mut tests = Vec::new();
                let bound = |expr: &Expr| constant(quote!(#expr));
                if let Some(start) = &range.start {
                    let start = bound(start);
                    tests.push(quote!({ let __test = __m.le(#start, #name); __m.branch(__test) }));
                }
                if let Some(end) = &range.end {
                    let end = bound(end);
                    let op = match range.limits {
                        RangeLimits::HalfOpen(_) => quote!(lt),
                        RangeLimits::Closed(_) => quote!(le),
                    };
                    tests.push(quote!({ let __test = __m.#op(#name, #end); __m.branch(__test) }));
                }
                quote!((#(#tests)&&*))
            }
            _ => {
                self.mistakes.add(pat, "this pattern can't be traced here: use literals, ranges and constants");
                quote!(true)
            }
        }
    }

    /// A pattern where conditions have no place.
    pub(crate) fn plain_pattern(&mut self, pat: &Pat) -> (TokenStream, Translated) {
        let mut translated = Translated::default();
        let tokens = self.pattern(pat, false, &mut translated);
        if !translated.conditions.is_empty() {
            self.mistakes.add(pat, "a literal inside this pattern can't be traced here: use `match`");
        }
        (tokens, translated)
    }
}

fn is_word_pattern(pat: &Pat) -> bool {
    match pat {
        Pat::Lit(_) | Pat::Range(_) | Pat::Const(_) => true,
        Pat::Ident(ident) => names::is_constant(&ident.ident.to_string()),
        Pat::Path(path) => names::is_constant(&names::last(&path.path)),
        Pat::Paren(inner) => is_word_pattern(&inner.pat),
        _ => false,
    }
}

/// Whether a pattern at the top of an arm becomes one with conditions: a word is tested inside a structure.
pub(crate) fn has_conditions(pat: &Pat) -> bool {
    fn inside(pat: &Pat) -> bool {
        is_word_pattern(pat)
            || match pat {
                Pat::Ident(ident) => ident.subpat.as_ref().is_some_and(|(_, sub)| inside(sub)),
                Pat::Or(or) => or.cases.iter().any(inside),
                _ => has_conditions(pat),
            }
    }
    match pat {
        Pat::Tuple(tuple) => tuple.elems.iter().any(inside),
        Pat::TupleStruct(tuple) => tuple.elems.iter().any(inside),
        Pat::Struct(structure) => structure.fields.iter().any(|field| inside(&field.pat)),
        Pat::Paren(inner) => has_conditions(&inner.pat),
        Pat::Ident(ident) => ident.subpat.as_ref().is_some_and(|(_, sub)| has_conditions(sub)),
        _ => false,
    }
}
