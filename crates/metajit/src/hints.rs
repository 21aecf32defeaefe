//! What an interpreter says to the tracer, with no meaning when it runs plain.

use crate::word::Word;

/// Makes a value a constant of the trace: what was seen while recording is guarded and then known. The value itself
/// otherwise.
#[inline(always)]
pub fn promote<T: Word>(value: T) -> T {
    value
}

/// Whether this is recorded for an optimized trace, where constants cost nothing. False in the plain interpreter and in threaded code.
#[inline(always)]
pub fn we_are_jitted() -> bool {
    false
}

/// Whether this is made into threaded code, or replayed from it. False in the plain interpreter and in traces. For what only
/// threaded code has to know: what a place has met, kept where [`seen`] finds it.
#[inline(always)]
pub fn we_are_threaded() -> bool {
    false
}

/// The condition itself, of which both outcomes are frequent: threaded code has both ways, where it would else call the handler that is
/// being inlined on the way where the condition does not hold.
#[inline(always)]
pub fn either(condition: bool) -> bool {
    condition
}

/// The value itself, taken from an inline cache. Threaded code may take what the cache holds when the code is made for a
/// constant, for ever: the program must be right whatever it is given of what the cache has held. So a key and what belongs to it
/// are read one after the other, and what belongs to a key never changes. The value is that of an accessor, read just before. A
/// cache that is empty says 0: test that first, and leave what is to be done then to a function that threaded code calls.
/// Of several keys that are read before the first is compared, all are tried; after the last, the handler is called.
#[inline(always)]
pub fn seen<T: Word>(value: T) -> T {
    value
}

#[cfg(feature = "jit")]
mod twins {
    use crate::record::Meta;
    use crate::twin::Traced;
    use crate::word::Word;

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum promote {}
    impl promote {
        #[doc(hidden)]
        pub fn jit_twin<T: Word>(m: &mut Meta, value: Traced<T>) -> Traced<T> {
            m.promote(value)
        }
    }

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum seen {}
    impl seen {
        #[doc(hidden)]
        pub fn jit_twin<T: Word>(m: &mut Meta, value: Traced<T>) -> Traced<T> {
            m.seen(value)
        }
    }

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum stop_requested {}
    impl stop_requested {
        #[doc(hidden)]
        pub fn jit_twin(m: &mut Meta) -> Traced<bool> {
            m.stop_requested()
        }
    }

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum either {}
    impl either {
        #[doc(hidden)]
        pub fn jit_twin(m: &mut Meta, condition: Traced<bool>) -> Traced<bool> {
            m.either(condition)
        }
    }

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum we_are_threaded {}
    impl we_are_threaded {
        #[doc(hidden)]
        pub fn jit_twin(m: &mut Meta) -> Traced<bool> {
            m.we_are_threaded()
        }
    }

    /// The twin's place.
    #[doc(hidden)]
    #[allow(non_camel_case_types)]
    #[derive(Debug)]
    pub enum we_are_jitted {}
    impl we_are_jitted {
        #[doc(hidden)]
        pub fn jit_twin(m: &mut Meta) -> Traced<bool> {
            m.we_are_jitted()
        }
    }
}
#[cfg(feature = "jit")]
#[doc(hidden)]
pub use twins::{either, promote, seen, stop_requested, we_are_jitted, we_are_threaded};
