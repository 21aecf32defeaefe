//! Words: the values that traced code computes with.
//!
//! Everything an annotated interpreter keeps in its locals, passes to its handlers and stores in its
//! objects is one machine word of 64 bits, or a structure of such words that vanishes when traced. [`Word`]
//! is the bridge between a Rust type and its bits; the bits are canonical (one value, one pattern): narrow
//! integers are sign- or zero-extended to 64 bits by their own signedness, `bool` is 0 or 1, `f64` is its
//! IEEE pattern. A canonical form lets the trace compare, merge and fold words without knowing their types.

/// How a word is held in registers: integer (everything but floats) or float.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Type {
    /// A 64-bit integer register.
    Int,
    /// A 64-bit floating-point register.
    Float,
}

/// A `Copy` type of one machine word that traced code can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a word that traced code can hold",
    label = "not a traceable word",
    note = "use an integer of up to 64 bits, bool, char, f64, a `#[jit_word]` newtype or a `#[jit_object]` handle"
)]
pub trait Word: Copy + 'static {
    /// The register class of the word.
    const TYPE: Type;
    /// The canonical bits of the value.
    fn to_bits(self) -> u64;
    /// The value of canonical bits.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! integer_words {
    ($($t:ty),*) => { $(impl Word for $t {
        const TYPE: Type = Type::Int;
        #[inline(always)]
        fn to_bits(self) -> u64 { self as i64 as u64 }
        #[inline(always)]
        fn from_bits(bits: u64) -> Self { bits as $t }
    })* };
}
integer_words!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl Word for bool {
    const TYPE: Type = Type::Int;
    #[inline(always)]
    fn to_bits(self) -> u64 {
        self as u64
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        bits & 1 != 0
    }
}

impl Word for char {
    const TYPE: Type = Type::Int;
    #[inline(always)]
    fn to_bits(self) -> u64 {
        self as u64
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        char::from_u32(bits as u32).unwrap_or('\0')
    }
}

impl Word for f64 {
    const TYPE: Type = Type::Float;
    #[inline(always)]
    fn to_bits(self) -> u64 {
        f64::to_bits(self)
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }
}
