//! What keeps objects alive that only traces, code and replays know of.
//!
//! Native frames and registers, those of compiled code included, are scanned by the collector. Left are constants of trees
//! (kept for as long as the thread's runtime lives) and the words of a log while it is replayed, which live in ordinary
//! Rust memory.

use crate::gc::{self, Root, Roots};
use crate::object::{Item, Kind};
use crate::record::FastMap;
use crate::word::{Type, Word};
use std::cell::{Cell, RefCell};

/// A word of unknown meaning.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
struct Anything(u64);

impl Word for Anything {
    const TYPE: Type = Type::Int;
    fn to_bits(self) -> u64 {
        self.0
    }
    fn from_bits(bits: u64) -> Self {
        Anything(bits)
    }
}
// SAFETY: a transparent u64 in eight bytes; the collector tests whether it is an address.
unsafe impl Item for Anything {
    const KIND: Kind = Kind::Value;
}

/// The least word that can be an object's address; what is less is never worth a root.
const LEAST_ADDRESS: u64 = 1 << 16;
/// One more than the greatest.
const ADDRESS_END: u64 = 1 << 48;

/// Constants that were kept lately, by some of their bits: most are named again and again.
const RECENT: usize = 256;

thread_local! {
    static KEPT_LATELY: [Cell<u64>; RECENT] = const { [const { Cell::new(0) }; RECENT] };
    static CONSTANTS: RefCell<FastMap<u64, Root<Anything>>> = RefCell::new(FastMap::default());
    static REPLAYED: RefCell<Replayed> = const { RefCell::new(Replayed { words: Vec::new(), registration: None }) };
}

struct Replayed {
    words: Vec<u64>,
    registration: Option<Roots>,
}

/// Keeps what a constant may name alive for good.
#[inline(always)]
pub(crate) fn keep_constant(bits: u64) {
    if (LEAST_ADDRESS..ADDRESS_END).contains(&bits) {
        keep_address(bits);
    }
}

fn keep_address(bits: u64) {
    let known = KEPT_LATELY.with(|lately| lately[(bits >> 4) as usize % RECENT].replace(bits) == bits);
    if known {
        return;
    }
    CONSTANTS.with_borrow_mut(|constants| {
        constants.entry(bits).or_insert_with(|| Root::new(Anything(bits)));
    });
}

/// Keeps words alive until it is dropped. Guards are dropped in the reverse order of their making.
pub(super) struct Kept(usize);

impl Kept {
    pub(super) fn new(words: impl IntoIterator<Item = u64>) -> Kept {
        REPLAYED.with_borrow_mut(|replayed| {
            let start = replayed.words.len();
            replayed.words.extend(words);
            if replayed.registration.is_none() {
                replayed.registration = Some(gc::add_roots(Box::new(|visitor| {
                    REPLAYED.with_borrow(|replayed| visitor.words(&replayed.words));
                })));
            }
            Kept(start)
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        REPLAYED.with_borrow_mut(|replayed| replayed.words.truncate(self.0));
    }
}
