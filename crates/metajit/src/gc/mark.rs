//! Marking: from a word to an object, from an object to what it names.
//!
//! **Problem.** Find all that is reachable, from roots that are only *words* (native stacks) and objects whose fields
//! are known; without recursion, since a heap may hold a list of a million frames.
//!
//! **Approach.** A word is taken for a reference by three tests of increasing laxity:
//!
//! * [`Marker::reference`]: a `Kind::Ref` field. Null or exactly an object (H6); only the mark bit is looked at.
//! * [`Marker::value`]: a `Kind::Value` field. The low three bits (a tag) and the bits above 48 (a box) are dropped;
//!   what remains must be exactly where an object begins.
//! * [`Marker::root`]: a word on a stack, in a register or a root range. As a value, but also any address inside an
//!   object or just behind its end: compilers keep such addresses instead of the object's own.
//!
//! Where objects begin is known for old ones (the marks, or in a major collection what were the marks). For young
//! ones nothing is recorded when they are allocated, since that would cost each allocation; a block's young
//! objects are found by walking them from the first byte of each run (H4), the first time this collection
//! needs to know. So a collection walks only the blocks that an uncertain word points into, and a nursery
//! whose objects are all dead is never looked at.
//!
//! Reachable objects wait in an explicit stack of addresses. Between the stack and the scan of an object stands a
//! short queue of objects whose memory has been asked for (prefetched), so that the misses of several
//! objects overlap. A long array is scanned in pieces, its rest waiting on the stack.
//!
//! **Invariant.** An object is marked, exactly once, before it is put on the stack; its lines, its size and its barrier
//! bit are dealt with when it is taken off.

use super::BARRIER_BIT;
use super::collector::RootSink;
use super::large::LargeSpace;
use super::space::{BITMAP_WORDS, BLOCK_BYTES, BLOCK_SHIFT, LARGE_BYTES, LINE_SHIFT, LINES, Space};
use crate::object::{Header, Kind, Shape};
use std::sync::atomic::Ordering;

/// Items of an array that are scanned in one go.
const ITEMS_AT_ONCE: usize = 1 << 12;
/// Words of a stack that are looked at together.
const WORDS_AT_ONCE: usize = 8;
/// Set in an entry of the mark stack that is not an object but the rest of an array; the entry below is the index.
const REST: usize = 1;
/// Objects whose memory is asked for ahead of their scan: about as many misses as a core can have under way.
const AHEAD: usize = 8;

/// What the collector needs to know about a shape.
#[derive(Debug)]
pub(super) struct Layout {
    /// The object's size, or where its items begin.
    bytes: u32,
    /// Binary logarithm of an item's size.
    item_shift: u8,
    items: Items,
    /// Offsets of the fields to look at, those of values with bit 0 set.
    fields: Box<[u32]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Items {
    None,
    Plain,
    References,
    Values,
}

impl Layout {
    fn new(shape: &Shape) -> Layout {
        let items = match shape.array.map(|array| array.kind) {
            None => Items::None,
            Some(Kind::Ref) => Items::References,
            Some(Kind::Value) => Items::Values,
            Some(_) => Items::Plain,
        };
        Layout {
            bytes: match shape.array {
                None => shape.bytes(0) as u32,
                Some(array) => array.offset,
            },
            item_shift: shape.array.map_or(0, |array| array.kind.bytes().trailing_zeros() as u8),
            items,
            fields: shape
                .fields
                .iter()
                .filter(|field| field.kind.may_hold_reference())
                .map(|field| field.offset | u32::from(field.kind == Kind::Value))
                .collect(),
        }
    }

    /// The number of items of an object.
    ///
    /// # Safety
    /// `address` must be that of an object of this layout.
    #[inline(always)]
    pub(super) unsafe fn item_count(&self, address: usize) -> usize {
        // SAFETY: H5; the length word is just before the items.
        unsafe { *((address + self.bytes as usize - 8) as *const usize) }
    }

    /// The size of an object.
    ///
    /// # Safety
    /// As [`Layout::item_count`].
    #[inline(always)]
    pub(super) unsafe fn size(&self, address: usize) -> usize {
        if self.items == Items::None {
            return self.bytes as usize;
        }
        // SAFETY: the caller's contract.
        let items = unsafe { self.item_count(address) } << self.item_shift;
        (self.bytes as usize + items + 7) & !7
    }

    /// Calls `visit` with each word that may be a reference, whether it is a value, and its index if it is an item.
    ///
    /// # Safety
    /// As [`Layout::item_count`].
    pub(super) unsafe fn each_word(&self, address: usize, mut visit: impl FnMut(u64, bool, Option<usize>)) {
        for &field in &*self.fields {
            // SAFETY: H5: the object has the field.
            let word = unsafe { *((address + (field & !1) as usize) as *const u64) };
            visit(word, field & 1 != 0, None);
        }
        if matches!(self.items, Items::References | Items::Values) {
            // SAFETY: the caller's contract; H5.
            let items = unsafe {
                std::slice::from_raw_parts((address + self.bytes as usize) as *const u64, self.item_count(address))
            };
            for (index, &word) in items.iter().enumerate() {
                visit(word, self.items == Items::Values, Some(index));
            }
        }
    }
}

/// The layouts of all shapes, by number.
#[derive(Default, Debug)]
pub(super) struct Layouts(Vec<Layout>);

impl Layouts {
    /// Learns of the shapes numbered since the last time.
    pub(super) fn update(&mut self) {
        while let Some(shape) = Shape::by_id(self.0.len() as u32 + 1) {
            self.0.push(Layout::new(shape));
        }
    }

    /// The layout of the object at `address`.
    ///
    /// # Safety
    /// `address` must be readable.
    ///
    /// # Panics
    /// If no shape has the number found there: then the address names no object.
    #[inline(always)]
    pub(super) unsafe fn of(&self, address: usize) -> &Layout {
        // SAFETY: the caller's contract.
        let id = unsafe { (*(address as *const Header)).shape };
        match self.0.get((id as usize).wrapping_sub(1)) {
            Some(layout) => layout,
            None => not_an_object(address, id),
        }
    }
}

#[cold]
#[inline(never)]
fn not_an_object(address: usize, id: u32) -> ! {
    panic!(
        "a handle names address {address:#x}, where no object is (shape {id:#x}): was it kept in Rust memory \
         without a gc::Root?"
    );
}

/// Asks for the memory at `address` to be cached.
#[inline(always)]
fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; any address will do.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address as *const i8);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint; any address will do.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
}

/// The state of one collection's marking.
pub(super) struct Marker<'h> {
    pub(super) space: &'h Space,
    pub(super) layouts: &'h Layouts,
    pub(super) large: &'h mut LargeSpace,
    pub(super) stack: &'h mut Vec<usize>,
    /// Whether old objects are marked anew.
    pub(super) major: bool,
    /// The number of this collection, never 0.
    pub(super) epoch: u32,
    /// Objects scanned and their bytes.
    pub(super) objects: usize,
    pub(super) bytes: usize,
    /// Blocks whose young objects were walked.
    pub(super) parsed: usize,
}

impl<'h> Marker<'h> {
    /// Marks what a precise reference names.
    #[inline(always)]
    pub(super) fn reference(&mut self, word: u64) {
        if word == 0 {
            return;
        }
        let offset = (word as usize).wrapping_sub(self.space.base);
        if offset < self.space.small_bytes {
            if self.space.mark(offset) {
                self.stack.push(word as usize);
            }
        } else {
            self.large_reference(word);
        }
    }

    #[cold]
    #[inline(never)]
    fn large_reference(&mut self, word: u64) {
        let address = word as usize;
        let found =
            (address.wrapping_sub(self.space.base) < self.space.heap_bytes).then(|| self.large.find(address)).flatten();
        let Some(number) = found else {
            not_an_object(address, 0);
        };
        if self.large.mark(number) {
            self.stack.push(self.large.objects[number as usize].address);
        }
    }

    /// Marks what a value names, if it is a (tagged or boxed) reference.
    #[inline(always)]
    pub(super) fn value(&mut self, word: u64) {
        if let Some(offset) = self.space.offset(word) {
            self.possible_start(offset & !7);
        }
    }

    fn possible_start(&mut self, offset: usize) {
        let address = self.space.base + offset;
        if offset < self.space.small_bytes {
            if !self.space.is_marked(offset) && self.is_unmarked_start(offset) {
                self.space.mark(offset);
                self.stack.push(address);
            }
        } else if offset < self.space.heap_bytes
            && let Some(number) = self.large.find(address)
            && self.large.objects[number as usize].address == address
            && self.large.mark(number)
        {
            self.stack.push(address);
        }
    }

    /// Whether an object that is not marked begins at `offset`.
    #[inline]
    fn is_unmarked_start(&mut self, offset: usize) -> bool {
        self.find_young(offset >> BLOCK_SHIFT) && self.space.is_start(offset)
    }

    /// Makes the starts of a block's young objects known; whether the block's starts are of use.
    #[inline]
    fn find_young(&mut self, number: usize) -> bool {
        let block = self.space.block(number);
        if block.young_end == 0 {
            return self.major;
        }
        if block.parsed != self.epoch {
            block.parsed = self.epoch;
            self.parsed += 1;
            find_starts(self.space, self.layouts, number, !self.major);
        }
        true
    }

    /// Marks what a word of unknown meaning may name.
    #[inline(always)]
    pub(super) fn root(&mut self, word: u64) {
        if let Some(offset) = self.space.offset(word) {
            self.possible_interior(offset);
            if offset & 7 == 0 && offset != 0 {
                // It may be the end of the object before.
                self.possible_interior(offset - 1);
            }
        }
    }

    fn possible_interior(&mut self, offset: usize) {
        if offset < self.space.small_bytes {
            let with_starts = self.find_young(offset >> BLOCK_SHIFT);
            if !self.major && !with_starts {
                return; // All that lives in the block is old.
            }
            let Some(start) = self.space.start_at_or_before(offset, with_starts) else {
                return;
            };
            let address = self.space.base + start;
            // SAFETY: H3, H4: an object begins there.
            let size = unsafe { self.layouts.of(address).size(address) };
            if offset < start + size && self.space.mark(start) {
                self.stack.push(address);
            }
        } else if offset < self.space.heap_bytes
            && let Some(number) = self.large.find(self.space.base + offset)
        {
            let object = &self.large.objects[number as usize];
            let address = object.address;
            if self.space.base + offset < address + object.bytes && self.large.mark(number) {
                self.stack.push(address);
            }
        }
    }

    /// Whether what the word names, if anything, is (now) marked. True for a word that names no object.
    pub(super) fn survives(&mut self, word: u64) -> bool {
        let Some(offset) = self.space.offset(word) else {
            return true;
        };
        let offset = offset & !7;
        if offset < self.space.small_bytes {
            self.space.is_marked(offset) || !self.is_unmarked_start(offset)
        } else if offset < self.space.heap_bytes {
            let address = self.space.base + offset;
            match self.large.find(address) {
                Some(number) => {
                    let object = &self.large.objects[number as usize];
                    object.marked || object.address != address
                }
                None => true,
            }
        } else {
            true
        }
    }

    /// Scans an old object again that was written to.
    ///
    /// # Safety
    /// `address` must be that of a marked object.
    pub(super) unsafe fn rescan(&mut self, address: usize) {
        let layouts: &'h Layouts = self.layouts;
        // SAFETY: the caller's contract.
        unsafe {
            (*(address as *const Header)).gc.store(BARRIER_BIT, Ordering::Relaxed);
            self.scan_fields(address, layouts.of(address));
        }
    }

    /// Looks again at an item of an old array that was written to.
    ///
    /// # Safety
    /// `address` must be that of a marked object with an array of references or values longer than `index`.
    pub(super) unsafe fn rescan_item(&mut self, address: usize, index: usize) {
        let layouts: &'h Layouts = self.layouts;
        // SAFETY: the caller's contract.
        let (layout, word) = unsafe {
            (*(address as *const Header)).gc.store(BARRIER_BIT, Ordering::Relaxed);
            let layout = layouts.of(address);
            let item = address + layout.bytes as usize + 8 * index;
            (layout, *(item as *const u64))
        };
        if layout.items == Items::References {
            self.reference(word);
        } else {
            self.value(word);
        }
    }

    /// Marks all that is reachable from what has been marked.
    pub(super) fn drain(&mut self) {
        let mut ahead = [0usize; AHEAD];
        let mut at = 0;
        let mut waiting = 0;
        loop {
            let next = match self.stack.pop() {
                Some(entry) if entry & REST != 0 => {
                    let index = self.stack.pop().unwrap_or(usize::MAX);
                    // SAFETY: the rest of an array of a marked object.
                    unsafe { self.scan_items(entry & !REST, index) };
                    continue;
                }
                Some(address) => {
                    prefetch(address);
                    let offset = address - self.space.base;
                    prefetch(self.space.marked_lines_address(offset));
                    waiting += 1;
                    address
                }
                None if waiting == 0 => return,
                None => 0,
            };
            let address = std::mem::replace(&mut ahead[at], next);
            at = (at + 1) % AHEAD;
            if address != 0 {
                waiting -= 1;
                // SAFETY: what is on the stack are the addresses of marked objects.
                unsafe { self.scan(address) };
            }
        }
    }

    /// Deals with a newly marked object.
    ///
    /// # Safety
    /// `address` must be that of an object.
    #[inline(always)]
    unsafe fn scan(&mut self, address: usize) {
        let offset = address - self.space.base;
        let layouts: &'h Layouts = self.layouts;
        // SAFETY: the caller's contract.
        let (layout, size) = unsafe {
            let layout = layouts.of(address);
            let gc = &(*(address as *const Header)).gc;
            if gc.load(Ordering::Relaxed) != BARRIER_BIT {
                gc.store(BARRIER_BIT, Ordering::Relaxed);
            }
            (layout, layout.size(address))
        };
        self.objects += 1;
        self.bytes += size;
        if offset < self.space.small_bytes {
            debug_assert!(size <= LARGE_BYTES);
            let first = offset >> LINE_SHIFT;
            let last = (offset + size - 1) >> LINE_SHIFT;
            let block = self.space.block(offset >> BLOCK_SHIFT);
            block.mark_lines(first % LINES, last % LINES);
        }
        // SAFETY: the caller's contract.
        unsafe { self.scan_fields(address, layout) };
    }

    /// # Safety
    /// `address` must be that of an object of this layout.
    #[inline(always)]
    unsafe fn scan_fields(&mut self, address: usize, layout: &Layout) {
        for &field in &*layout.fields {
            // SAFETY: H5: the object has the field.
            let word = unsafe { *((address + (field & !1) as usize) as *const u64) };
            if field & 1 == 0 {
                self.reference(word);
            } else {
                self.value(word);
            }
        }
        if matches!(layout.items, Items::References | Items::Values) {
            // SAFETY: the caller's contract.
            unsafe { self.scan_items(address, 0) };
        }
    }

    /// Scans the items of an array from `index`.
    ///
    /// # Safety
    /// `address` must be that of an object with an array of references or values.
    unsafe fn scan_items(&mut self, address: usize, index: usize) {
        let layouts: &'h Layouts = self.layouts;
        // SAFETY: the caller's contract; H5.
        let (layout, items) = unsafe {
            let layout = layouts.of(address);
            let items =
                std::slice::from_raw_parts((address + layout.bytes as usize) as *const u64, layout.item_count(address));
            (layout, items)
        };
        let rest = items.get(index..).unwrap_or_default();
        let now = if rest.len() > ITEMS_AT_ONCE {
            self.stack.push(index + ITEMS_AT_ONCE);
            self.stack.push(address | REST);
            &rest[..ITEMS_AT_ONCE]
        } else {
            rest
        };
        if layout.items == Items::References {
            for &word in now {
                self.reference(word);
            }
        } else {
            for &word in now {
                self.value(word);
            }
        }
    }
}

impl RootSink for Marker<'_> {
    fn value(&mut self, word: u64) {
        Marker::value(self, word);
    }
    fn word(&mut self, word: u64) {
        self.root(word);
    }
    unsafe fn words(&mut self, from: *const u64, to: *const u64) {
        // Most words of a stack are nowhere near the heap: several are dismissed by one branch.
        let mut at = from;
        while (to as usize).wrapping_sub(at as usize) >= 8 * WORDS_AT_ONCE && at < to {
            let mut near = false;
            let words: [u64; WORDS_AT_ONCE] = std::array::from_fn(|index| {
                // SAFETY: the caller's contract. Volatile, as other code may think the memory its own.
                let word = unsafe { at.add(index).read_volatile() };
                near |= self.space.offset(word).is_some();
                word
            });
            if near {
                for word in words {
                    self.root(word);
                }
            }
            at = at.wrapping_add(WORDS_AT_ONCE);
        }
        while at < to {
            // SAFETY: as above.
            self.root(unsafe { at.read_volatile() });
            at = at.wrapping_add(1);
        }
    }
}

/// Sets the start bits of a block's young objects; `clear` says whether others are set that mean nothing.
pub(super) fn find_starts(space: &Space, layouts: &Layouts, number: usize, clear: bool) {
    if clear {
        *space.block_starts(number) = [0; BITMAP_WORDS];
    }
    let block = space.block(number);
    let base = space.block_address(number);
    let young_end = base + (block.young_end as usize).min(BLOCK_BYTES);
    let mut line = 0;
    while let Some((begin, end)) = block.free_run(line) {
        let end = (base + (end << LINE_SHIFT)).min(young_end);
        let mut address = base + (begin << LINE_SHIFT);
        // Neighbours are often alike. With the size of the last shape at hand, where the next object begins does not wait for
        // the header of this one.
        let (mut shape, mut size) = (0, 0);
        let (mut index, mut starts) = ((address - space.base) >> 9, 0u64);
        while address < end {
            // SAFETY: H4: here begins an object or is a zero word.
            unsafe {
                let id = (*(address as *const Header)).shape;
                let offset = address - space.base;
                if id != shape || id == 0 {
                    if id == 0 {
                        break;
                    }
                    let layout = layouts.of(address);
                    size = layout.size(address);
                    shape = if layout.items == Items::None { id } else { 0 };
                }
                if offset >> 9 != index {
                    space.set_starts(index, starts);
                    (index, starts) = (offset >> 9, 0);
                }
                starts |= 1 << (offset >> 3 & 63);
            }
            address += size;
        }
        space.set_starts(index, starts);
        line = (end - base).div_ceil(1 << LINE_SHIFT);
        if end == young_end {
            break;
        }
    }
}
