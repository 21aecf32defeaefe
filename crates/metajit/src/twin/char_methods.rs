//! The methods of `char`, of bytes as characters, and of `bool`.

use super::calls::called;
use super::{Flat, Traced};
use crate::ir::{Arg, Callee, Effect, Op};
use crate::record::Meta;
use crate::word::Word;

macro_rules! character_methods {
    ($trait:ident for $t:ident: tests { $($test_twin:ident $test:ident;)* } maps { $($map_twin:ident $map:ident;)* }) => {
        impl $trait for $t {
            #[inline(never)]
            fn jit_twin_of_is_ascii_digit(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let offset = m.pure(Op::Sub, &[Traced { val: self, op }.arg(), Arg::Const(u64::from(b'0'))]);
                m.pure_word(Op::Ult, &[offset, Arg::Const(10)], self.is_ascii_digit())
            }
            $(#[inline(never)]
            fn $test_twin(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let this = Traced { val: self, op };
                called!(m, concat!(stringify!($t), "::", stringify!($test)), |this: $t| -> bool { this.$test() })
            })*
            $(#[inline(never)]
            fn $map_twin(self, op: u32, m: &mut Meta) -> Traced<Self> {
                let this = Traced { val: self, op };
                called!(m, concat!(stringify!($t), "::", stringify!($map)), |this: $t| -> $t { this.$map() })
            })*
        }
    };
}
macro_rules! ascii_methods {
    ($($test_twin:ident $test:ident;)*) => {
        /// What `char` and `u8` know about ASCII.
        pub trait AsciiTwin: Sized {
            /// As in the standard library.
            fn jit_twin_of_is_ascii_digit(self, op: u32, m: &mut Meta) -> Traced<bool>;
            $(/// As in the standard library.
            fn $test_twin(self, op: u32, m: &mut Meta) -> Traced<bool>;)*
            /// As in the standard library.
            fn jit_twin_of_to_ascii_uppercase(self, op: u32, m: &mut Meta) -> Traced<Self>;
            /// As in the standard library.
            fn jit_twin_of_to_ascii_lowercase(self, op: u32, m: &mut Meta) -> Traced<Self>;
        }
        character_methods!(AsciiTwin for char: tests { $($test_twin $test;)* } maps {
            jit_twin_of_to_ascii_uppercase to_ascii_uppercase; jit_twin_of_to_ascii_lowercase to_ascii_lowercase;
        });
        character_methods!(AsciiTwin for u8: tests { $($test_twin $test;)* } maps {
            jit_twin_of_to_ascii_uppercase to_ascii_uppercase; jit_twin_of_to_ascii_lowercase to_ascii_lowercase;
        });
    };
}
ascii_methods! {
    jit_twin_of_is_ascii_alphabetic is_ascii_alphabetic;
    jit_twin_of_is_ascii_uppercase is_ascii_uppercase;
    jit_twin_of_is_ascii_lowercase is_ascii_lowercase;
    jit_twin_of_is_ascii_alphanumeric is_ascii_alphanumeric;
    jit_twin_of_is_ascii_whitespace is_ascii_whitespace;
    jit_twin_of_is_ascii_punctuation is_ascii_punctuation;
    jit_twin_of_is_ascii_graphic is_ascii_graphic;
    jit_twin_of_is_ascii_hexdigit is_ascii_hexdigit;
    jit_twin_of_is_ascii_control is_ascii_control;
    jit_twin_of_is_ascii is_ascii;
}

macro_rules! unicode_methods {
    ($($test_twin:ident $test:ident;)*) => {
        /// Methods of `char`.
        pub trait CharTwin: Sized {
            $(/// As in the standard library.
            fn $test_twin(self, op: u32, m: &mut Meta) -> Traced<bool>;)*
            /// As in the standard library.
            fn jit_twin_of_len_utf8(self, op: u32, m: &mut Meta) -> Traced<usize>;
            /// As in the standard library.
            fn jit_twin_of_to_digit(self, op: u32, m: &mut Meta, radix: Traced<u32>) -> Option<Traced<u32>>;
            /// As in the standard library.
            fn jit_twin_of_from_u32(m: &mut Meta, number: Traced<u32>) -> Option<Traced<char>>;
            /// As in the standard library.
            fn jit_twin_of_from_digit(m: &mut Meta, digit: Traced<u32>, radix: Traced<u32>) -> Option<Traced<char>>;
        }
        impl CharTwin for char {
            $(#[inline(never)]
            fn $test_twin(self, op: u32, m: &mut Meta) -> Traced<bool> {
                let this = Traced { val: self, op };
                called!(m, concat!("char::", stringify!($test)), |this: char| -> bool { this.$test() })
            })*
            #[inline(never)]
            fn jit_twin_of_len_utf8(self, op: u32, m: &mut Meta) -> Traced<usize> {
                let this = Traced { val: self, op };
                called!(m, "char::len_utf8", |this: char| -> usize { this.len_utf8() })
            }
            #[inline(never)]
            fn jit_twin_of_to_digit(self, op: u32, m: &mut Meta, radix: Traced<u32>) -> Option<Traced<u32>> {
                let this = Traced { val: self, op };
                called!(m, "char::to_digit", |this: char, radix: u32| -> Option<u32> { this.to_digit(radix) })
            }
            #[inline(never)]
            fn jit_twin_of_from_u32(m: &mut Meta, number: Traced<u32>) -> Option<Traced<char>> {
                called!(m, "char::from_u32", |number: u32| -> Option<char> { char::from_u32(number) })
            }
            #[inline(never)]
            fn jit_twin_of_from_digit(m: &mut Meta, digit: Traced<u32>, radix: Traced<u32>) -> Option<Traced<char>> {
                called!(m, "char::from_digit", |digit: u32, radix: u32| -> Option<char> { char::from_digit(digit, radix) })
            }
        }
    };
}
unicode_methods! {
    jit_twin_of_is_alphabetic is_alphabetic;
    jit_twin_of_is_numeric is_numeric;
    jit_twin_of_is_alphanumeric is_alphanumeric;
    jit_twin_of_is_whitespace is_whitespace;
    jit_twin_of_is_control is_control;
    jit_twin_of_is_uppercase is_uppercase;
    jit_twin_of_is_lowercase is_lowercase;
}

/// Methods of `bool`.
pub trait BoolTwin: Sized {
    /// As in the standard library.
    fn jit_twin_of_then_some<T>(self, op: u32, m: &mut Meta, value: T) -> Option<T>;
}
impl BoolTwin for bool {
    fn jit_twin_of_then_some<T>(self, op: u32, m: &mut Meta, value: T) -> Option<T> {
        m.branch(Traced { val: self, op }).then_some(value)
    }
}
