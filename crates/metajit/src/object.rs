//! Objects: heap values whose layout the tracer knows.
//!
//! `#[jit_object]` turns a struct declaration into a [`Shape`] (a static table of [`Field`]s) and a one-word
//! handle. An object is an 8-byte [`Header`], one 8-byte word per scalar field in declaration order and, if
//! the struct ends in an inline array, the array's length word and then its items at their own size.
//!
//! Two handles of different shapes may name the same object when the fields of one are a prefix of the
//! other's. Therefore the optimizer tells memory apart by *offset* within an object, never by shape.

use crate::word::Word;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// The first word of every object.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// Which [`Shape`] the object has; never changes.
    pub shape: u32,
    /// Belongs to the collector.
    pub gc: AtomicU32,
}

/// Bytes of the header, and so the offset of the first field.
pub const HEADER_BYTES: u32 = 8;

/// How a field or an array item is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// One signed byte.
    I8,
    /// One unsigned byte (and `bool`).
    U8,
    /// Two bytes, signed.
    I16,
    /// Two bytes, unsigned.
    U16,
    /// Four bytes, signed.
    I32,
    /// Four bytes, unsigned (and `char`).
    U32,
    /// Eight bytes that hold no reference.
    I64,
    /// An `f64`.
    F64,
    /// A handle: null or the address of an object.
    Ref,
    /// A word of the language's own encoding, which may hold the address of an object.
    Value,
}

impl Kind {
    /// Bytes an array item of this kind takes (a scalar field always takes eight).
    pub const fn bytes(self) -> u32 {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 => 4,
            Kind::I64 | Kind::F64 | Kind::Ref | Kind::Value => 8,
        }
    }
    /// Whether the collector must look at it.
    pub const fn may_hold_reference(self) -> bool {
        matches!(self, Kind::Ref | Kind::Value)
    }
}

/// Whether and how a field changes after allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mutability {
    /// Written at any time.
    Mutable,
    /// Written at allocation only.
    Immutable,
    /// Written rarely; a write throws away the code that relied on the old value.
    QuasiImmutable,
}

/// A word type that can be stored in objects: as a scalar field (eight bytes, canonical bits) and as an array item.
///
/// # Safety
/// `KIND` must describe how `read` and `write` treat memory, and must be `Ref` or `Value` if bits can hold an object's address.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a field or an item of a `#[jit_object]`",
    label = "not a word",
    note = "use an integer of up to 64 bits, bool, char, f64, a `#[jit_word]` newtype or a `#[jit_object]` handle"
)]
pub unsafe trait Item: Word {
    /// The storage kind of an array item of this type.
    const KIND: Kind;
    /// Reads item `index` of the array that begins at `items`.
    ///
    /// # Safety
    /// The array must have more than `index` items of this type.
    #[inline(always)]
    unsafe fn read(items: *const u8, index: usize) -> Self {
        // SAFETY: the caller's contract.
        unsafe { *items.cast::<Self>().add(index) }
    }
    /// Writes item `index` of the array that begins at `items`.
    ///
    /// # Safety
    /// As [`Item::read`].
    #[inline(always)]
    unsafe fn write(items: *mut u8, index: usize, value: Self) {
        // SAFETY: the caller's contract.
        unsafe { *items.cast::<Self>().add(index) = value }
    }
}

macro_rules! items {
    ($($t:ty => $k:ident),* $(,)?) => { $(
        // SAFETY: the Rust type has exactly the size and form of its kind.
        unsafe impl Item for $t { const KIND: Kind = Kind::$k; }
    )* };
}
items!(i8 => I8, u8 => U8, bool => U8, i16 => I16, u16 => U16, i32 => I32, u32 => U32, char => U32,
       i64 => I64, u64 => I64, isize => I64, usize => I64, f64 => F64);

/// A field of a shape, or its inline array.
#[derive(Debug)]
pub struct Field {
    /// The shape it belongs to, by name.
    pub shape: &'static str,
    /// Its name in the source.
    pub name: &'static str,
    /// Bytes from the start of the object; for an array, where the items begin (the length word is just before).
    pub offset: u32,
    /// How it is stored; for an array, how an item is stored.
    pub kind: Kind,
    /// How it changes.
    pub mutability: Mutability,
    /// Whether this is the inline array.
    pub is_array: bool,
}

impl Field {
    /// The register class of a value of this field.
    pub const fn ty(&self) -> crate::word::Type {
        match self.kind {
            Kind::F64 => crate::word::Type::Float,
            _ => crate::word::Type::Int,
        }
    }
}

/// The layout of one `#[jit_object]`.
#[derive(Debug)]
pub struct Shape {
    /// Its name in the source.
    pub name: &'static str,
    /// The scalar fields, in order.
    pub fields: &'static [Field],
    /// The inline array at the end, if there is one.
    pub array: Option<&'static Field>,
    id: AtomicU32,
}

static SHAPES: OnceLock<Mutex<Vec<&'static Shape>>> = OnceLock::new();

fn shapes() -> std::sync::MutexGuard<'static, Vec<&'static Shape>> {
    SHAPES.get_or_init(Default::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Shape {
    /// A shape not yet numbered.
    pub const fn new(name: &'static str, fields: &'static [Field], array: Option<&'static Field>) -> Shape {
        Shape { name, fields, array, id: AtomicU32::new(0) }
    }

    /// The number that headers of this shape hold: never 0, given at first use, the same in all threads.
    #[inline]
    pub fn id(&'static self) -> u32 {
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 { id } else { self.number() }
    }

    #[cold]
    fn number(&'static self) -> u32 {
        let mut all = shapes();
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
        all.push(self);
        let id = all.len() as u32;
        self.id.store(id, Ordering::Relaxed);
        id
    }

    /// The shape with this number.
    pub fn by_id(id: u32) -> Option<&'static Shape> {
        shapes().get((id as usize).checked_sub(1)?).copied()
    }

    /// Bytes of an object of this shape with `len` array items (0 if it has no array), rounded up to eight.
    #[inline]
    pub fn bytes(&self, len: usize) -> usize {
        match self.array {
            None => HEADER_BYTES as usize + 8 * self.fields.len(),
            Some(array) => (array.offset as usize + len * array.kind.bytes() as usize + 7) & !7,
        }
    }
}

/// What every handle can do; implemented by `#[jit_object]`.
///
/// # Safety
/// The type is a transparent pointer to an object of `SHAPE` (or null).
pub unsafe trait Object: Word {
    /// The layout of the objects.
    const SHAPE: &'static Shape;
}
