//! The shapes, portals and callees that random trees speak of.

use metajit::context::{CellHead, Context, FINISH};
use metajit::ir::tree::Portal;
use metajit::ir::{Callee, Effect, Spread};
use metajit::object::{Field, Kind, Mutability, Shape};
use metajit::word::Type;
use std::cell::Cell;

pub(crate) const fn field(shape: &'static str, name: &'static str, offset: u32, kind: Kind) -> Field {
    Field { shape, name, offset, kind, mutability: Mutability::Mutable, is_array: false }
}

pub(crate) static PAIR_FIELDS: [Field; 5] = [
    field("Pair", "left", 8, Kind::Ref),
    field("Pair", "right", 16, Kind::Ref),
    field("Pair", "val", 24, Kind::Value),
    field("Pair", "num", 32, Kind::F64),
    Field { mutability: Mutability::Immutable, ..field("Pair", "tag", 40, Kind::I64) },
];
pub(crate) static PAIR: Shape = Shape::new("Pair", &PAIR_FIELDS, None);
pub(crate) static ITEMS: Field = Field { is_array: true, ..field("Vector", "items", 16, Kind::Value) };
pub(crate) static VECTOR: Shape = Shape::new("Vector", &[], Some(&ITEMS));
pub(crate) static FRAME_FIELDS: [Field; 2] =
    [field("Frame", "acc", 8, Kind::Value), field("Frame", "num", 16, Kind::F64)];
pub(crate) static SLOTS: Field = Field { is_array: true, ..field("Frame", "slots", 32, Kind::Value) };
pub(crate) static FRAME: Shape = Shape::new("Frame", &FRAME_FIELDS, Some(&SLOTS));

pub(crate) static MAIN: Portal =
    Portal { name: "main", greens: 1, reds: &[Type::Int, Type::Int], virtualizable: Some((0, &FRAME)) };
pub(crate) static INNER: Portal =
    Portal { name: "inner", greens: 1, reds: &[Type::Int], virtualizable: Some((0, &FRAME)) };

/// Slots of a frame: words, then pairs, then what is dead at most merge points.
pub(crate) const WORDS: std::ops::Range<u64> = 0..4;
pub(crate) const PAIRS: std::ops::Range<u64> = 4..6;
pub(crate) const TEMPS: std::ops::Range<u64> = 6..9;
pub(crate) const VECTOR_LEN: u64 = 4;
/// The offset of boxed integers.
pub(crate) const BOX: u64 = 0x000b << 48;
pub(crate) const DOUBLE: u64 = 0x000f << 48;
pub(crate) const TAG: u64 = 0x0007 << 48;

pub(crate) fn word(object: u64, offset: u32) -> *mut u64 {
    (object + u64::from(offset)) as *mut u64
}

extern "C" fn touch(pair: u64, x: u64) -> u64 {
    // SAFETY: the tree passes pairs only, and their left and right are pairs.
    unsafe {
        let old = *word(pair, 24);
        *word(pair, 24) = old.wrapping_mul(3).wrapping_add(x);
        std::ptr::swap(word(pair, 8), word(pair, 16));
        *word(*word(pair, 8), 24) ^= 1;
        old
    }
}
extern "C" fn poke(frame: u64, x: u64) -> u64 {
    // SAFETY: the tree passes frames only.
    unsafe {
        let old = *word(frame, 32 + 8);
        *word(frame, 32 + 8) = x;
        *word(frame, 8) = x ^ 5;
        old ^ *word(frame, 32 + 16)
    }
}
extern "C" fn mix(a: u64, b: u64) -> u64 {
    (a ^ b.rotate_left(7)).wrapping_mul(0x9e37_79b9)
}
extern "C" fn split(a: u64, rest: *mut u64) -> u64 {
    // SAFETY: the caller gives room for the second word.
    unsafe { *rest = a & 0xff };
    a >> 8
}
pub(crate) static TOUCH: Callee =
    Callee { name: "touch", address: touch as *const (), params: 2, results: 1, effect: Effect::Any, spread: None };
pub(crate) static POKE: Callee =
    Callee { name: "poke", address: poke as *const (), params: 2, results: 1, effect: Effect::Any, spread: None };
pub(crate) static MIX: Callee =
    Callee { name: "mix", address: mix as *const (), params: 2, results: 1, effect: Effect::Elidable, spread: None };
pub(crate) static SPLIT: Callee = Callee {
    name: "split",
    address: split as *const (),
    params: 1,
    results: 2,
    effect: Effect::Elidable,
    spread: None,
};

/// What the portal of [`GIVEN`] answers: no word that it returns is an address, for those differ from run to run.
///
/// # Safety
/// The slots are those of a frame, as [`Generator::give`] makes it.
pub(crate) unsafe fn given(context: *mut Context, x: u64, acc: u64, num: u64, slots: &[u64]) -> u64 {
    let mut sum = mix(mix(x, acc), num);
    for slot in WORDS {
        sum = mix(sum, slots[slot as usize]);
    }
    for slot in PAIRS {
        let pair = slots[slot as usize];
        // SAFETY: these slots hold pairs; the context is valid.
        unsafe { *word(pair, 24) = (*word(pair, 24)).wrapping_add(sum) };
    }
    // SAFETY: as above.
    unsafe { (&mut (*context).results)[..2].copy_from_slice(&[sum, sum >> 3]) };
    FINISH
}
/// The portal's code, given the frame's address.
pub(crate) unsafe extern "C" fn given_whole(context: *mut Context) -> u64 {
    // SAFETY: the caller stored the reds, and the first is a frame's address.
    unsafe {
        let [frame, x] = [(*context).slots[0], (*context).slots[1]];
        let slots = std::slice::from_raw_parts(word(frame, SLOTS.offset), GIVEN_SPREAD.live as usize);
        given(context, x, *word(frame, 8), *word(frame, 16), slots)
    }
}
/// The portal's code, given what the frame holds.
pub(crate) unsafe extern "C" fn given_spread(context: *mut Context) -> u64 {
    // SAFETY: the caller stored the words: another red, two fields, and items.
    unsafe {
        let [x, acc, num] = [(*context).slots[0], (*context).slots[1], (*context).slots[2]];
        let slots = (&(*context).slots)[3..3 + GIVEN_SPREAD.live as usize].to_vec();
        given(context, x, acc, num, &slots)
    }
}
extern "C" fn given_otherwise() {
    unreachable!("there is code, and the stack is not low");
}
pub(crate) static GIVEN: Callee = Callee {
    name: "given",
    address: given_otherwise as *const (),
    params: 3,
    results: 2,
    effect: Effect::Portal,
    spread: Some(&GIVEN_SPREAD),
};
pub(crate) static GIVEN_SPREAD: Spread =
    Spread { callee: Callee { name: "given::spread", ..ROOT_SPREAD.callee }, ..ROOT_SPREAD };
/// How the root's frame is passed, where it is spread: at its merge point, temporaries are dead.
pub(crate) static ROOT_SPREAD: Spread = Spread {
    red: 0,
    shape: &FRAME,
    len: TEMPS.end as u32,
    live: TEMPS.start as u32,
    callee: Callee {
        name: "main::spread",
        address: given_otherwise as *const (),
        params: 2 + 2 + TEMPS.start as u8,
        results: 2,
        effect: Effect::Spread,
        spread: None,
    },
};

/// The call cell of [`GIVEN`].
pub(crate) fn given_cell() -> u64 {
    struct Shared(CellHead);
    // SAFETY: it is only read.
    unsafe impl Sync for Shared {}
    static CELL: Shared = Shared(CellHead { entry: Cell::new(given_whole), spread: Cell::new(given_spread) });
    (&raw const CELL.0) as u64
}
