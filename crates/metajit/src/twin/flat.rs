//! Structures as words.
//!
//! A structural value crosses a call boundary as a fixed number of words: an enumeration is a tag and room for its
//! largest variant. Taking the words apart again in a twin is a branch on the tag, which is a guard when the tag comes
//! from a call and nothing when it is known.

use super::{Traced, Twin};
use crate::context::Sink;
use crate::ir::Arg;
use crate::record::Meta;
use crate::word::{Type, Word};

/// A traced word without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The canonical bits now.
    pub bits: u64,
    /// What made it.
    pub arg: Arg,
}

impl Raw {
    /// A constant word.
    pub fn constant(bits: u64) -> Raw {
        Raw { bits, arg: Arg::Const(bits) }
    }
}

/// Reads words one after the other.
#[derive(Debug)]
pub struct Reader<'a, W> {
    words: &'a [W],
}

impl<'a, W: Copy> Reader<'a, W> {
    /// A reader of these words.
    #[inline]
    pub fn new(words: &'a [W]) -> Self {
        Reader { words }
    }
    /// The next word.
    ///
    /// # Panics
    /// If there is none: the number of words is part of the type.
    #[inline]
    pub fn next(&mut self) -> W {
        let (first, rest) = self.words.split_first().expect("as many words as the type has");
        self.words = rest;
        *first
    }
    #[inline]
    fn skip(&mut self, count: usize) {
        self.words = &self.words[count..];
    }
}

/// A type whose values can be written as a fixed number of words.
pub trait Flat: Twin + Sized {
    /// How many.
    const WORDS: usize;
    /// Writes the words.
    fn flatten(self, out: &mut impl Sink);
    /// Reads the words.
    fn unflatten(words: &mut Reader<'_, u64>) -> Self;
    /// Writes the twin's words.
    fn flatten_twin(twin: &Self::Twin, out: &mut Vec<Raw>);
    /// Reads the twin's words. Where they come from a call (`from_call`) a float is still an integer's pattern and a tag
    /// has to be branched on; otherwise tags are known, and nothing ticks.
    fn unflatten_twin(m: &mut Meta, words: &mut Reader<'_, Raw>, from_call: bool) -> Self::Twin;
}

impl<T: Word> Flat for T {
    const WORDS: usize = 1;
    #[inline]
    fn flatten(self, out: &mut impl Sink) {
        out.push(self.to_bits());
    }
    #[inline]
    fn unflatten(words: &mut Reader<'_, u64>) -> Self {
        T::from_bits(words.next())
    }
    #[inline]
    fn flatten_twin(twin: &Traced<T>, out: &mut Vec<Raw>) {
        out.push(twin.raw());
    }
    #[inline]
    fn unflatten_twin(m: &mut Meta, words: &mut Reader<'_, Raw>, from_call: bool) -> Traced<T> {
        let word = words.next();
        let arg = if from_call && T::TYPE == Type::Float { m.float_of_bits(word) } else { word.arg };
        Traced::new(T::from_bits(word.bits), arg)
    }
}

impl Flat for () {
    const WORDS: usize = 0;
    #[inline]
    fn flatten(self, _: &mut impl Sink) {}
    #[inline]
    fn unflatten(_: &mut Reader<'_, u64>) {}
    fn flatten_twin(_: &(), _: &mut Vec<Raw>) {}
    fn unflatten_twin(_: &mut Meta, _: &mut Reader<'_, Raw>, _: bool) {}
}

fn tag_is_set(m: &mut Meta, tag: Raw, from_call: bool, likely: bool) -> bool {
    if from_call { m.branch_on_word(tag, likely) } else { tag.bits != 0 }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

#[inline]
fn pad(out: &mut impl Sink, count: usize) {
    (0..count).for_each(|_| out.push(0));
}

fn pad_twin(out: &mut Vec<Raw>, count: usize) {
    out.extend((0..count).map(|_| Raw::constant(0)));
}

impl<A: Flat, B: Flat> Flat for Result<A, B> {
    const WORDS: usize = 1 + max(A::WORDS, B::WORDS);
    #[inline]
    fn flatten(self, out: &mut impl Sink) {
        let used = match self {
            Ok(a) => {
                out.push(0);
                a.flatten(out);
                A::WORDS
            }
            Err(b) => {
                out.push(1);
                b.flatten(out);
                B::WORDS
            }
        };
        pad(out, Self::WORDS - 1 - used);
    }
    #[inline]
    fn unflatten(words: &mut Reader<'_, u64>) -> Self {
        let (result, used) = match words.next() {
            0 => (Ok(A::unflatten(words)), A::WORDS),
            _ => (Err(B::unflatten(words)), B::WORDS),
        };
        words.skip(Self::WORDS - 1 - used);
        result
    }
    fn flatten_twin(twin: &Self::Twin, out: &mut Vec<Raw>) {
        let used = match twin {
            Ok(a) => {
                out.push(Raw::constant(0));
                A::flatten_twin(a, out);
                A::WORDS
            }
            Err(b) => {
                out.push(Raw::constant(1));
                B::flatten_twin(b, out);
                B::WORDS
            }
        };
        pad_twin(out, Self::WORDS - 1 - used);
    }
    fn unflatten_twin(m: &mut Meta, words: &mut Reader<'_, Raw>, from_call: bool) -> Self::Twin {
        let tag = words.next();
        let (result, used) = if tag_is_set(m, tag, from_call, false) {
            (Err(B::unflatten_twin(m, words, from_call)), B::WORDS)
        } else {
            (Ok(A::unflatten_twin(m, words, from_call)), A::WORDS)
        };
        words.skip(Self::WORDS - 1 - used);
        result
    }
}

impl<A: Flat> Flat for Option<A> {
    const WORDS: usize = 1 + A::WORDS;
    #[inline]
    fn flatten(self, out: &mut impl Sink) {
        match self {
            Some(a) => {
                out.push(1);
                a.flatten(out);
            }
            None => pad(out, Self::WORDS),
        }
    }
    #[inline]
    fn unflatten(words: &mut Reader<'_, u64>) -> Self {
        if words.next() != 0 {
            Some(A::unflatten(words))
        } else {
            words.skip(A::WORDS);
            None
        }
    }
    fn flatten_twin(twin: &Self::Twin, out: &mut Vec<Raw>) {
        match twin {
            Some(a) => {
                out.push(Raw::constant(1));
                A::flatten_twin(a, out);
            }
            None => pad_twin(out, Self::WORDS),
        }
    }
    fn unflatten_twin(m: &mut Meta, words: &mut Reader<'_, Raw>, from_call: bool) -> Self::Twin {
        let tag = words.next();
        if tag_is_set(m, tag, from_call, true) {
            Some(A::unflatten_twin(m, words, from_call))
        } else {
            words.skip(A::WORDS);
            None
        }
    }
}

macro_rules! tuples {
    ($(($($t:ident $v:ident),*))*) => { $(
        impl<$($t: Flat),*> Flat for ($($t,)*) {
            const WORDS: usize = 0 $(+ $t::WORDS)*;
            #[inline]
            fn flatten(self, out: &mut impl Sink) {
                let ($($v,)*) = self;
                $($v.flatten(out);)*
            }
            #[inline]
            fn unflatten(words: &mut Reader<'_, u64>) -> Self {
                ($($t::unflatten(words),)*)
            }
            fn flatten_twin(twin: &Self::Twin, out: &mut Vec<Raw>) {
                let ($($v,)*) = twin;
                $($t::flatten_twin($v, out);)*
            }
            fn unflatten_twin(m: &mut Meta, words: &mut Reader<'_, Raw>, from_call: bool) -> Self::Twin {
                $(let $v = $t::unflatten_twin(m, words, from_call);)*
                ($($v,)*)
            }
        }
    )* };
}
tuples!((A a)(A a, B b)(A a, B b, C c)(A a, B b, C c, D d)(A a, B b, C c, D d, E e)
        (A a, B b, C c, D d, E e, F f));
