//! What an interpreter says to the tracer, with no meaning when it runs plain.

use crate::word::Word;

/// Makes a value a constant of the trace: what was seen while recording is guarded and then known. The value itself
/// otherwise.
#[inline(always)]
pub fn promote<T: Word>(value: T) -> T {
    value
}

/// Whether this runs as traced code.
#[inline(always)]
pub fn we_are_jitted() -> bool {
    false
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
pub use twins::{promote, we_are_jitted};
