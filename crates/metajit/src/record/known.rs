//! What a recording knows of the values it has named: the recorder's tables.
//!
//! **Problem.** A recording is short (some hundred operations) and comes between two long runs of other code, so that what it
//! touches is cold: a line of a cache that is missed costs as much as five operations recorded. General hash maps that are
//! made, grown and freed for each recording cost more than everything else together.
//!
//! **Approach.** Tables of plain words that are made once per thread and handed from one recording to the next. Nothing is
//! cleared: an entry says in which *epoch* it was written, and a new recording is a new epoch. What is known of a value is
//! found by its number; operations are merged through a table of numbers, whose keys are the operations themselves; what
//! was seen of memory hangs in chains from a table of heads.
//!
//! **Invariants.** An entry of another epoch is as good as none. Epochs are counted in 32 bits: when they run out, the tables
//! are made anew.

use crate::ir::tree::{Guard, LogNode, Tree};
use crate::ir::{Arg, Inst, Op, OpRef};
use crate::object::{Field, Mutability};
use std::cell::Cell;

/// The index that stands for a scalar field.
pub(super) const SCALAR: u64 = u64::MAX;
/// The index that stands for an array's length.
pub(super) const LENGTH: u64 = u64::MAX - 1;

/// Slots that the tables begin with; powers of two. Enough for most recordings, and few enough to stay in the cache.
const SLOTS: usize = 256;
/// The end of a chain.
const NONE: u32 = u32::MAX;

/// What is known of one value.
#[derive(Clone, Copy, Debug, Default)]
struct Fact {
    bits: u64,
    epoch: u32,
    /// Whether `bits` says what it is.
    constant: bool,
    /// Whether it is an object that the trace made.
    fresh: bool,
    /// The array at this offset of the object has at least `inside` items.
    array: u32,
    inside: u32,
}

/// Something seen in memory.
#[derive(Clone, Copy, Debug)]
struct Seen {
    object: Arg,
    value: Arg,
    index: u64,
    offset: u32,
    /// Whether it still holds.
    holds: bool,
    /// The next one in the chain.
    next: u32,
}

/// The head of a chain, or the number of an operation, if the epoch is now.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    epoch: u32,
    number: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    epoch: u32,
    facts: Vec<Fact>,
    merged: Vec<Slot>,
    merged_count: usize,
    /// Fields that never change, and fields that do.
    immutable: Memory<true>,
    mutable: Memory<false>,
    /// Room for a new tree.
    pub(super) room: Room,
}

/// Operations that the room for a new tree begins with: most recordings have fewer, and growing costs them as much as a third of
/// what they take.
const ROOM: usize = 256;

/// What a tree is written to while it is recorded: it is copied when it is complete, and its length is known.
#[derive(Debug, Default)]
pub(super) struct Room {
    insts: Vec<Inst>,
    args: Vec<Arg>,
    log: Vec<LogNode>,
    guards: Vec<Guard>,
}

/// Exchanges a full vector for a copy of just the size.
fn fit<T: Clone>(full: &mut Vec<T>) -> Vec<T> {
    let copy = full.as_slice().to_vec();
    let mut full = std::mem::replace(full, copy);
    full.clear();
    full
}

impl Room {
    fn new() -> Room {
        Room {
            insts: Vec::with_capacity(ROOM),
            args: Vec::with_capacity(ROOM),
            log: Vec::with_capacity(ROOM),
            guards: Vec::with_capacity(ROOM / 4),
        }
    }

    /// Moves into an empty tree.
    pub(super) fn lend(&mut self, tree: &mut Tree) {
        let Room { insts, args, log, guards } = std::mem::take(self);
        (tree.insts, tree.args, tree.log, tree.guards) = (insts, args, log, guards);
    }

    /// Moves out again; the tree is as large as it has to be.
    pub(super) fn take_back(&mut self, tree: &mut Tree) {
        *self = Room {
            insts: fit(&mut tree.insts),
            args: fit(&mut tree.args),
            log: fit(&mut tree.log),
            guards: fit(&mut tree.guards),
        };
    }
}

thread_local! {
    /// The tables of the last recording that ended.
    static SPARE: Cell<Option<Box<Known>>> = const { Cell::new(None) };
}

/// Tables in use: handed back when they are dropped.
#[derive(Debug)]
pub(super) struct Tables(Option<Box<Known>>);

impl Tables {
    /// Tables that know nothing.
    pub(super) fn take() -> Tables {
        let mut known = SPARE.take().unwrap_or_else(|| Box::new(Known::new()));
        known.begin();
        Tables(Some(known))
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        SPARE.set(self.0.take());
    }
}

impl std::ops::Deref for Tables {
    type Target = Known;
    #[inline(always)]
    fn deref(&self) -> &Known {
        self.0.as_deref().expect("tables in use")
    }
}

impl std::ops::DerefMut for Tables {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Known {
        self.0.as_deref_mut().expect("tables in use")
    }
}

fn mix(a: u64, b: u64) -> u64 {
    (a.rotate_left(29) ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn bits_of(arg: Arg) -> u64 {
    match arg {
        Arg::Const(bits) => !bits,
        Arg::Op(op) => u64::from(op.0),
    }
}

fn slot_of(op: Op, a: Arg, b: Arg, slots: usize) -> usize {
    (mix(mix(op as u64, bits_of(a)), bits_of(b)) >> 40) as usize & (slots - 1)
}

impl Known {
    fn new() -> Known {
        Known { room: Room::new(), facts: vec![Fact::default(); SLOTS], ..Known::default() }
    }

    /// Forgets everything.
    fn begin(&mut self) {
        if self.epoch >= u32::MAX - 1 {
            *self = Known::new();
        }
        self.epoch += 1;
        self.merged_count = 0;
        if self.merged.is_empty() {
            self.merged.resize(SLOTS, Slot::default());
        }
        self.immutable.clear();
        self.mutable.clear();
    }

    fn fact(&self, op: OpRef) -> Option<&Fact> {
        self.facts.get(op.0 as usize).filter(|fact| fact.epoch == self.epoch)
    }

    fn fact_mut(&mut self, op: OpRef) -> &mut Fact {
        let index = op.0 as usize;
        if index >= self.facts.len() {
            self.facts.resize((index + 1).max(SLOTS).next_power_of_two(), Fact::default());
        }
        let fact = &mut self.facts[index];
        if fact.epoch != self.epoch {
            *fact = Fact { epoch: self.epoch, ..Fact::default() };
        }
        fact
    }

    /// The operand itself, or the constant that it is known to be.
    #[inline]
    pub(super) fn resolve(&self, arg: Arg) -> Arg {
        match arg {
            Arg::Op(op) => match self.fact(op) {
                Some(fact) if fact.constant => Arg::Const(fact.bits),
                _ => arg,
            },
            Arg::Const(_) => arg,
        }
    }

    /// From here on the value is this constant.
    pub(super) fn is_constant(&mut self, op: OpRef, bits: u64) {
        let fact = self.fact_mut(op);
        (fact.bits, fact.constant) = (bits, true);
    }

    /// The value is an object that the trace made.
    pub(super) fn is_fresh(&mut self, op: OpRef) {
        self.fact_mut(op).fresh = true;
    }

    /// Whether the array at the offset of the object is known to have an item at the index.
    #[inline]
    pub(super) fn is_inside(&self, object: Arg, offset: u32, index: u64) -> bool {
        match object {
            Arg::Op(op) => self.fact(op).is_some_and(|fact| fact.array == offset && index < u64::from(fact.inside)),
            Arg::Const(_) => false,
        }
    }

    /// The array at the offset of the object has an item at the index.
    pub(super) fn has_item(&mut self, object: Arg, offset: u32, index: u64) {
        if let (Arg::Op(op), Ok(items)) = (object, u32::try_from(index + 1)) {
            let fact = self.fact_mut(op);
            if fact.array != offset || fact.inside < items {
                (fact.array, fact.inside) = (offset, items);
            }
        }
    }

    /// Whether two operands name different objects for sure: one was made after the other was there.
    fn distinct(&self, a: Arg, b: Arg) -> bool {
        let newer = |new: Arg, other: Arg| match (new, other) {
            (Arg::Op(new), Arg::Op(other)) => other < new && self.fact(new).is_some_and(|fact| fact.fresh),
            (Arg::Op(new), Arg::Const(_)) => self.fact(new).is_some_and(|fact| fact.fresh),
            _ => false,
        };
        newer(a, b) || newer(b, a)
    }

    // ---- pure operations

    /// The operation that computed the same before; or the slot where it is to be noted, for [`Known::note`].
    #[inline]
    pub(super) fn same(&self, insts: &[Inst], op: Op, a: Arg, b: Arg) -> Result<OpRef, usize> {
        let mut slot = slot_of(op, a, b, self.merged.len());
        loop {
            let entry = self.merged[slot];
            if entry.epoch != self.epoch {
                return Err(slot);
            }
            let inst = &insts[entry.number as usize];
            if inst.op == op && inst.args[0] == a && inst.args[1] == b {
                return Ok(OpRef(entry.number));
            }
            slot = (slot + 1) & (self.merged.len() - 1);
        }
    }

    /// Notes an operation in the slot that [`Known::same`] gave for it.
    #[inline]
    pub(super) fn note(&mut self, insts: &[Inst], slot: usize, op: OpRef) {
        self.merged[slot] = Slot { epoch: self.epoch, number: op.0 };
        self.merged_count += 1;
        if self.merged_count * 2 > self.merged.len() {
            self.grow_merged(insts);
        }
    }

    #[cold]
    fn grow_merged(&mut self, insts: &[Inst]) {
        let size = self.merged.len() * 2;
        let old = std::mem::replace(&mut self.merged, vec![Slot::default(); size]);
        for entry in old.iter().filter(|entry| entry.epoch == self.epoch) {
            let inst = &insts[entry.number as usize];
            if let Err(slot) = self.same(insts, inst.op, inst.args[0], inst.args[1]) {
                self.merged[slot] = *entry;
            }
        }
    }

    // ---- memory

    /// What the field (an array's item, if there is an index) of the object was seen to hold.
    pub(super) fn seen(&self, object: Arg, field: &Field, index: u64) -> Option<Arg> {
        let found = match field.mutability {
            Mutability::Immutable => self.immutable.find(object, field.offset, index),
            _ => self.mutable.find(object, field.offset, index),
        };
        found.map(|value| self.resolve(value))
    }

    /// The field holds this value.
    pub(super) fn remember(&mut self, object: Arg, field: &Field, index: u64, value: Arg) {
        match field.mutability {
            Mutability::Immutable => self.immutable.add(object, field.offset, index, value),
            _ => self.mutable.add(object, field.offset, index, value),
        }
    }

    /// What never changes of an object and is no field: its shape (offset 0) and an array's length.
    pub(super) fn seen_header(&self, object: Arg, offset: u32, index: u64) -> Option<Arg> {
        self.immutable.find(object, offset, index).map(|value| self.resolve(value))
    }

    /// See [`Known::seen_header`].
    pub(super) fn remember_header(&mut self, object: Arg, offset: u32, index: u64, value: Arg) {
        self.immutable.add(object, offset, index, value);
    }

    /// The field of this object was written: what was seen of any object that may be the same is forgotten. Without an index
    /// any item may have been.
    pub(super) fn forget(&mut self, object: Arg, field: &Field, index: Option<u64>) {
        let mut memory = std::mem::take(&mut self.mutable);
        match index {
            Some(index) => {
                let slot = memory.slot(object, field.offset, index);
                let (mut before, mut at) = (NONE, memory.head(object, field.offset, index));
                while let Some(&seen) = memory.seen.get(at as usize) {
                    let place = seen.offset == field.offset && seen.index == index;
                    let holds = seen.holds && (!place || (seen.object != object && self.distinct(seen.object, object)));
                    // What no longer holds leaves the chain, or the chain of a place that is written often grows for ever.
                    match (holds, memory.seen.get_mut(before as usize)) {
                        (true, _) => before = at,
                        (false, Some(before)) => before.next = seen.next,
                        (false, None) => memory.heads[slot].number = seen.next,
                    }
                    at = seen.next;
                }
            }
            None => memory.seen.iter_mut().for_each(|seen| seen.holds &= seen.offset != field.offset),
        }
        self.mutable = memory;
    }

    /// Anything may have been written.
    pub(super) fn forget_all(&mut self) {
        self.mutable.clear();
    }
}

/// What was seen of memory: chains, the newest first, by offset and index, and by object too unless a write to one object has to
/// find what is known of the others.
#[derive(Debug, Default)]
struct Memory<const BY_OBJECT: bool> {
    epoch: u32,
    heads: Vec<Slot>,
    seen: Vec<Seen>,
}

impl<const BY_OBJECT: bool> Memory<BY_OBJECT> {
    fn clear(&mut self) {
        if self.epoch >= u32::MAX - 1 {
            *self = Memory::default();
        }
        self.epoch += 1;
        self.seen.clear();
        if self.heads.is_empty() {
            self.heads.resize(SLOTS, Slot::default());
            self.seen.reserve(SLOTS);
        }
    }

    fn slot(&self, object: Arg, offset: u32, index: u64) -> usize {
        let object = if BY_OBJECT { bits_of(object) } else { 0 };
        (mix(mix(u64::from(offset), index), object) >> 40) as usize & (self.heads.len() - 1)
    }

    fn head(&self, object: Arg, offset: u32, index: u64) -> u32 {
        let head = self.heads[self.slot(object, offset, index)];
        if head.epoch == self.epoch { head.number } else { NONE }
    }

    fn find(&self, object: Arg, offset: u32, index: u64) -> Option<Arg> {
        let mut at = self.head(object, offset, index);
        while let Some(seen) = self.seen.get(at as usize) {
            if seen.holds && seen.object == object && seen.offset == offset && seen.index == index {
                return Some(seen.value);
            }
            at = seen.next;
        }
        None
    }

    fn add(&mut self, object: Arg, offset: u32, index: u64, value: Arg) {
        let slot = self.slot(object, offset, index);
        let next = self.head(object, offset, index);
        self.heads[slot] = Slot { epoch: self.epoch, number: self.seen.len() as u32 };
        self.seen.push(Seen { object, value, index, offset, holds: true, next });
    }
}
