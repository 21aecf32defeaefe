//! Methods that are calls in the trace.
//!
//! What no operation of the IR computes is a call of an elidable native function: slower than an operation, but always what
//! the standard library does.

use super::{Raw, Traced};
use crate::ir::Arg;
use crate::record::Meta;
use crate::word::{Type, Word};

/// A word as calls take it: a float is passed as its pattern.
pub(super) fn pattern<T: Word>(m: &mut Meta, word: Traced<T>) -> Raw {
    let arg: Arg = if T::TYPE == Type::Float { m.bits_of_float(word.arg()) } else { word.arg() };
    Raw { bits: word.val.to_bits(), arg }
}

/// A pure function of words, called: what no operation of the trace computes. The parameters' names are locals of type `Traced`.
macro_rules! called {
    ($m:ident, $name:expr, |$($arg:ident: $t:ty),*| -> $r:ty { $body:expr }) => {{
        fn native($($arg: $t),*) -> $r { $body }
        unsafe extern "C" fn entry($($arg: u64,)* out: *mut u64) -> u64 {
            // SAFETY: compiled code gives a place for the result words after the first, if there are any.
            unsafe { crate::driver::residual::<$r>(out, || native($(<$t as Word>::from_bits($arg)),*)) }
        }
        static CALLEE: Callee = Callee {
            name: $name,
            address: entry as *const (),
            params: [$(stringify!($arg)),*].len() as u8,
            results: <$r as Flat>::WORDS as u8,
            effect: Effect::Elidable,
            spread: None,
        };
        let words = [$($crate::twin::calls::pattern($m, $arg)),*];
        $m.elidable::<$r>(&CALLEE, &words, || native($($arg.val),*))
    }};
}
pub(super) use called;
