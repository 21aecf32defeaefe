//! The address space of one heap: blocks, lines, bitmaps.
//!
//! **Problem.** The collector needs, from any machine word, to tell in a few instructions whether it names an
//! object and which; and an empty heap must cost next to nothing.
//!
//! **Approach.** One reservation (`mmap` without reserve; pages come when touched) holds, one after the other:
//!
//! ```text
//! base
//! | small space: blocks of 32 KiB | large space: pages | marks | starts | block table | page table |
//! ```
//!
//! Everything about an object is found from its distance to `base`: `offset / 32 KiB` is its block,
//! `offset / 8` its bit in the bitmaps. `marks` has a bit for each object that survived the last collection (so it
//! is also the map of where old objects begin); `starts` is scratch memory of a collection, and says where
//! objects begin that have no mark (yet). The tables lie beside the blocks rather than inside them: a header in
//! each block would put all of them into the same few cache sets.
//!
//! **Invariants** (the numbered contract that SAFETY lines in this directory name):
//!
//! * **H1** Offsets below `small_bytes` have a block, a mark bit and a start bit inside the reservation.
//! * **H2** All of the reservation is readable and writable for as long as the [`Space`] lives, and only
//!   this heap's thread touches it.
//! * **H3** A mark bit is set exactly at the header of an object that survived the last collection (during a
//!   collection: of one found reachable). Outside a collection, a block that is free has no mark bit.
//! * **H4** What has been handed out since the last collection lies in the unmarked lines of the blocks listed
//!   as young, below `young_end`. Each maximal run of such lines holds objects back to back, beginning at the
//!   run's first byte, and after the last of them a zero word, unless the run is full.
//! * **H5** The header of every object names a numbered shape, and the length word of an object with an array
//!   has been written, before a collection can run.
//! * **H6** A precise reference (`Kind::Ref`) in a reachable object is null or the address of an object that
//!   the collector has not freed. The makers of handles promise this.

use super::config::OutOfMemory;

/// Bytes of a block. Large enough that a block of small objects pays for its table entry and that taking a
/// new block is rare; small enough that a nursery of a megabyte has many.
pub(super) const BLOCK_BYTES: usize = 1 << BLOCK_SHIFT;
pub(super) const BLOCK_SHIFT: u32 = 15;
/// Bytes of a line, the unit in which a block is reused: about one object. With lines of 64 bytes a heap whose objects
/// die at random takes a quarter more memory, with lines of 128 bytes half more; nothing gets faster.
pub(super) const LINE_BYTES: usize = 1 << LINE_SHIFT;
pub(super) const LINE_SHIFT: u32 = 5;
/// Lines in a block.
pub(super) const LINES: usize = BLOCK_BYTES / LINE_BYTES;
/// Words of a set of lines.
pub(super) const LINE_WORDS: usize = LINES / 64;
/// Words of each bitmap that belong to one block.
pub(super) const BITMAP_WORDS: usize = BLOCK_BYTES / 8 / 64;
/// Objects beyond this many bytes have pages of their own: a quarter of a block bounds what a block's end wastes.
pub(super) const LARGE_BYTES: usize = BLOCK_BYTES / 4;
/// The address bits of a word: what is above may be the tag of a boxed value.
pub(super) const ADDRESS_MASK: u64 = (1 << 48) - 1;

/// What the heap knows about a block. All zero for a block never used.
#[repr(C, align(64))]
pub(super) struct Block {
    /// The lines of the objects that this collection marked.
    pub(super) marked: [u64; LINE_WORDS],
    /// The lines that objects which survived the last collection lie in.
    pub(super) lines: [u64; LINE_WORDS],
    /// Up to where (in bytes) the free lines have been handed out since the last collection; 0 if none.
    pub(super) young_end: u32,
    /// The last collection for which the young objects' starts were found.
    pub(super) parsed: u32,
    /// How many lines are taken.
    pub(super) used: u32,
    /// How many runs of free lines there are.
    pub(super) runs: u32,
}

impl Block {
    /// The first maximal run of free lines at or after line `from`: its first line and the line after its last.
    #[inline]
    pub(super) fn free_run(&self, from: usize) -> Option<(usize, usize)> {
        let begin = next_bit(&self.lines, from, false)?;
        let end = next_bit(&self.lines, begin, true).unwrap_or(LINES);
        Some((begin, end))
    }

    /// Makes the marked lines taken, besides the lines that are, or instead of them.
    pub(super) fn take_marked(&mut self, instead: bool) {
        self.young_end = 0;
        if self.marked != [0; LINE_WORDS] {
            (self.used, self.runs) = (0, 0);
            let mut before_is_free = 0;
            for (line, marked) in self.lines.iter_mut().zip(&mut self.marked) {
                let kept = if instead { 0 } else { *line };
                *line = kept | std::mem::take(marked);
                self.used += line.count_ones();
                let free = !*line;
                self.runs += (free & !(free << 1 | before_is_free)).count_ones();
                before_is_free = free >> 63;
            }
        } else if instead && self.used != 0 {
            self.lines = [0; LINE_WORDS];
            (self.used, self.runs) = (0, 1);
        }
    }

    /// Adds to the marked lines those from `first` to `last`.
    #[inline(always)]
    pub(super) fn mark_lines(&mut self, first: usize, last: usize) {
        let (first_word, last_word) = (first / 64, last / 64);
        let low = !0u64 << (first % 64);
        let high = !0u64 >> (63 - last % 64);
        if first_word == last_word {
            self.marked[first_word] |= low & high;
        } else {
            self.marked[first_word] |= low;
            for word in &mut self.marked[first_word + 1..last_word] {
                *word = !0;
            }
            self.marked[last_word] |= high;
        }
    }
}

/// The first bit at or after `from` that has this value.
fn next_bit(words: &[u64; LINE_WORDS], from: usize, value: bool) -> Option<usize> {
    if from >= LINES {
        return None;
    }
    let flip = if value { 0 } else { !0 };
    let mut index = from / 64;
    let mut word = (words[index] ^ flip) & (!0 << (from % 64));
    loop {
        if word != 0 {
            return Some(index * 64 + word.trailing_zeros() as usize);
        }
        index += 1;
        word = *words.get(index)? ^ flip;
    }
}

/// The reservation and where its parts begin.
#[derive(Debug)]
pub(super) struct Space {
    /// Address of the small space.
    pub(super) base: usize,
    /// Bytes the small space can have.
    pub(super) small_bytes: usize,
    /// Bytes of the small and the large space: an address is the heap's if its offset is less.
    pub(super) heap_bytes: usize,
    /// Bytes of a page of the large space.
    pub(super) page_bytes: usize,
    marks: *mut u64,
    starts: *mut u64,
    blocks: *mut Block,
    /// For each page of the large space, the number of the object in it, plus one.
    pub(super) pages: *mut u32,
    mapping: (usize, usize),
}

const fn round_up(value: usize, unit: usize) -> usize {
    value.div_ceil(unit) * unit
}

/// The least capacity worth starting with when the system refuses more.
const LEAST_CAPACITY: usize = 16 << 20;

impl Space {
    /// Reserves address space for a heap of `capacity` bytes, or as much as the system gives.
    pub(super) fn reserve(mut capacity: usize) -> Result<Space, OutOfMemory> {
        // SAFETY: asks for a number.
        let system_page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let page_bytes = system_page.max(4096);
        loop {
            let small = round_up(capacity, BLOCK_BYTES.max(page_bytes));
            // Twice as much, as free pages between large objects may be of the wrong length.
            let large = 2 * small;
            let bitmap = round_up(small / 64, page_bytes);
            let table = round_up(small / BLOCK_BYTES * std::mem::size_of::<Block>(), page_bytes);
            let pages = round_up(large / page_bytes * 4, page_bytes);
            let total = small + large + 2 * bitmap + table + pages + BLOCK_BYTES;
            // SAFETY: a new anonymous mapping, at an address the system chooses.
            let memory = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    total,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            if memory == libc::MAP_FAILED {
                if capacity / 2 < LEAST_CAPACITY {
                    return Err(OutOfMemory { requested: total, limit: capacity });
                }
                capacity /= 2;
                continue;
            }
            let base = round_up(memory as usize, BLOCK_BYTES);
            let marks = base + small + large;
            let starts = marks + bitmap;
            let blocks = starts + bitmap;
            return Ok(Space {
                base,
                small_bytes: small,
                heap_bytes: small + large,
                page_bytes,
                marks: marks as *mut u64,
                starts: starts as *mut u64,
                blocks: blocks as *mut Block,
                pages: (blocks + table) as *mut u32,
                mapping: (memory as usize, total),
            });
        }
    }

    /// The offset of what a word may name, if it lies in the heap or just after its end.
    #[inline(always)]
    pub(super) fn offset(&self, word: u64) -> Option<usize> {
        let offset = ((word & ADDRESS_MASK) as usize).wrapping_sub(self.base);
        (offset <= self.heap_bytes).then_some(offset)
    }

    /// The block with this number.
    ///
    /// The reference must not be kept while another to the same block is made: all uses are within one statement
    /// or function of this directory.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) fn block(&self, number: usize) -> &mut Block {
        debug_assert!(number < self.small_bytes >> BLOCK_SHIFT);
        // SAFETY: H1, H2.
        unsafe { &mut *self.blocks.add(number) }
    }

    /// Where the marked lines of the object at `offset` are noted.
    #[inline(always)]
    pub(super) fn marked_lines_address(&self, offset: usize) -> usize {
        let block = (self.blocks as usize).wrapping_add((offset >> BLOCK_SHIFT) * std::mem::size_of::<Block>());
        block.wrapping_add((offset & (BLOCK_BYTES - 1)) >> (LINE_SHIFT + 6) << 3)
    }

    /// Where a block begins.
    #[inline(always)]
    pub(super) fn block_address(&self, number: usize) -> usize {
        self.base + (number << BLOCK_SHIFT)
    }

    /// Whether the object at `offset` is marked.
    #[inline(always)]
    pub(super) fn is_marked(&self, offset: usize) -> bool {
        debug_assert!(offset < self.small_bytes);
        // SAFETY: H1, H2.
        unsafe { *self.marks.add(offset >> 9) & (1 << (offset >> 3 & 63)) != 0 }
    }

    /// Marks the object at `offset`; whether it was not marked before.
    #[inline(always)]
    pub(super) fn mark(&self, offset: usize) -> bool {
        debug_assert!(offset < self.small_bytes);
        let bit = 1 << (offset >> 3 & 63);
        // SAFETY: H1, H2.
        unsafe {
            let word = self.marks.add(offset >> 9);
            let old = *word;
            if old & bit != 0 {
                return false;
            }
            *word = old | bit;
        }
        true
    }

    /// Whether `starts` says that an object begins at `offset`.
    #[inline(always)]
    pub(super) fn is_start(&self, offset: usize) -> bool {
        debug_assert!(offset < self.small_bytes);
        // SAFETY: H1, H2.
        unsafe { *self.starts.add(offset >> 9) & (1 << (offset >> 3 & 63)) != 0 }
    }

    /// Notes that objects begin where a word of the starts, named by its index, has these bits.
    #[inline(always)]
    pub(super) fn set_starts(&self, index: usize, bits: u64) {
        debug_assert!(index << 9 < self.small_bytes || bits == 0);
        if bits != 0 {
            // SAFETY: H1, H2.
            unsafe { *self.starts.add(index) |= bits };
        }
    }

    /// A block's words of the marks.
    pub(super) fn block_marks(&self, number: usize) -> [u64; BITMAP_WORDS] {
        // SAFETY: H1, H2.
        unsafe { *self.marks.add(number * BITMAP_WORDS).cast() }
    }

    /// A block's words of the starts.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn block_starts(&self, number: usize) -> &mut [u64; BITMAP_WORDS] {
        // SAFETY: H1, H2; no two such references are alive at once.
        unsafe { &mut *self.starts.add(number * BITMAP_WORDS).cast() }
    }

    /// The offset of the last object that begins at or before `offset` in its block and not more than a small
    /// object's size before it; `with_starts` says whether the starts of the block are valid.
    pub(super) fn start_at_or_before(&self, offset: usize, with_starts: bool) -> Option<usize> {
        const REACH: usize = LARGE_BYTES / 8 / 64 + 1;
        let bit = offset >> 3;
        let first = (offset >> BLOCK_SHIFT) * BITMAP_WORDS;
        let mut index = bit / 64;
        let lowest = first.max(index.saturating_sub(REACH));
        let mut keep = !0u64 >> (63 - bit % 64);
        loop {
            // SAFETY: H1, H2: the words belong to the block.
            let mut word = unsafe { *self.marks.add(index) };
            if with_starts {
                // SAFETY: as above.
                word |= unsafe { *self.starts.add(index) };
            }
            word &= keep;
            if word != 0 {
                return Some((index * 64 + 63 - word.leading_zeros() as usize) << 3);
            }
            if index == lowest {
                return None;
            }
            index -= 1;
            keep = !0;
        }
    }

    /// Makes the marks the starts, and has no marks, for the first `blocks` blocks.
    pub(super) fn begin_major(&mut self, blocks: usize) {
        std::mem::swap(&mut self.marks, &mut self.starts);
        // SAFETY: H1, H2.
        unsafe { self.marks.write_bytes(0, blocks * BITMAP_WORDS) };
    }

    /// Gives pages of the heap back to the system; they read as zero afterwards. Whether that worked.
    pub(super) fn release(&self, address: usize, bytes: usize) -> bool {
        debug_assert!(address >= self.base && address + bytes <= self.base + self.heap_bytes);
        if !address.is_multiple_of(self.page_bytes) || !bytes.is_multiple_of(self.page_bytes) {
            return false;
        }
        #[cfg(target_os = "linux")]
        // SAFETY: H2; the range is free, so nothing reads what is dropped.
        let done = unsafe { libc::madvise(address as *mut _, bytes, libc::MADV_DONTNEED) == 0 };
        #[cfg(not(target_os = "linux"))]
        // SAFETY: H2; the range is free; a new mapping takes the place of the old one.
        let done = unsafe {
            libc::mmap(
                address as *mut _,
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE | libc::MAP_FIXED,
                -1,
                0,
            ) != libc::MAP_FAILED
        };
        done
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: the mapping is this space's own, and nothing uses it any more.
        unsafe { libc::munmap(self.mapping.0 as *mut _, self.mapping.1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty_block() -> Block {
        Block { lines: [0; LINE_WORDS], marked: [0; LINE_WORDS], young_end: 0, parsed: 0, used: 0, runs: 0 }
    }

    #[test]
    fn runs_of_free_lines_are_found_in_order() {
        let mut block = empty_block();
        assert_eq!(block.free_run(0), Some((0, LINES)));
        block.mark_lines(0, 2);
        block.mark_lines(60, 200);
        block.mark_lines(LINES - 1, LINES - 1);
        block.take_marked(false);
        assert_eq!(block.free_run(0), Some((3, 60)));
        assert_eq!(block.free_run(5), Some((5, 60)));
        assert_eq!(block.free_run(60), Some((201, LINES - 1)));
        assert_eq!(block.free_run(LINES - 1), None);
        assert_eq!((block.used, block.runs), (3 + 141 + 1, 2));
        block.mark_lines(3, 3);
        block.take_marked(false);
        assert_eq!((block.used, block.free_run(0)), (146, Some((4, 60))));
        block.mark_lines(7, 7);
        block.take_marked(true);
        assert_eq!((block.used, block.free_run(0)), (1, Some((0, 7))));
        block.take_marked(true);
        assert_eq!((block.used, block.free_run(0)), (0, Some((0, LINES))));
    }

    #[test]
    fn the_nearest_start_is_found_but_not_beyond_a_small_objects_reach() {
        let space = Space::reserve(1 << 20).unwrap();
        let block = 3 << BLOCK_SHIFT;
        space.mark(block + 8);
        space.set_starts((block + 512) >> 9, 1);
        assert_eq!(space.start_at_or_before(block + 8, true), Some(block + 8));
        assert_eq!(space.start_at_or_before(block + 7, true), None);
        assert_eq!(space.start_at_or_before(block + 600, true), Some(block + 512));
        assert_eq!(space.start_at_or_before(block + 600, false), Some(block + 8));
        assert_eq!(space.start_at_or_before(block + 3 * LARGE_BYTES, true), None);
        assert_eq!(space.start_at_or_before(block - 8, true), None);
    }
}
