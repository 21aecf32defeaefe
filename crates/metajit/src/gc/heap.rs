//! The heap of one thread: handing out memory, and the cycle of a collection.
//!
//! **Problem.** Allocation must be a few instructions in compiled code; a collection must cost what is young and
//! alive, not what is dead, nor what is old.
//!
//! **Allocation.** The thread's [`Window`] is a piece of zeroed memory: cursor and limit. The fast path (in
//! `mod.rs`, and inline in compiled code) moves the cursor. When the window is used up, the slow path here clears some
//! more of the run of free lines it belongs to, or goes on to the next run of the block, or to the next block: one
//! with some free lines first, then a free one. An object of more than a line that does not fit the rest of a run goes
//! to a separate free block (*overflow*), so that the rest is not lost to smaller ones. Memory is cleared a few
//! kilobytes ahead of the cursor, which also brings it into the cache.
//!
//! **Collection.** Marks stick: an object that survived is old and stays marked. A minor collection marks from the
//! roots and from the old objects that the write barrier noted, stops at whatever is marked already, and then
//! looks only at the blocks that were allocated into: lines without a marked object are free again. A major collection
//! forgets all marks first. Nothing moves.
//!
//! **When.** A minor collection after each nursery of allocation. The nursery grows while much of it survives or
//! the roots are many, so that the cost per allocated byte stays bounded. A major one when the bytes in use have grown
//! by a part of what was alive after the last one; and, before an allocation is refused, at the limit.
//!
//! **Rejected.** Blocks of one object size each: no walk would be needed to find objects, but then the objects of one
//! trace could not be allocated by moving one cursor once, and neighbours in time would not be neighbours in memory. A
//! copying nursery: what the native stack names can't move, and pure operations may look at addresses.

use super::collector::{Collector, Window, after_marking, visit_roots_from};
use super::config::{Config, OutOfMemory, Stress};
use super::large::LargeSpace;
use super::mark::{Layouts, Marker};
use super::space::{BLOCK_BYTES, BLOCK_SHIFT, LARGE_BYTES, LINE_BYTES, LINE_SHIFT, LINES, Space};
use super::statistics::{Cause, Collection, Kind, Statistics};
use super::{BARRIER_BIT, WINDOW, stack, verify};
use crate::object::Header;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Bytes cleared ahead of the cursor: a part of the first-level cache.
const CLEAR_BYTES: usize = 8 << 10;
/// Runs up to this size are cleared word by word.
const SHORT_BYTES: usize = 128;
/// A block is allocated into again if so many of its lines are free: a smaller gain does not pay the visit.
const RECYCLE_LINES: usize = LINES / 32;
/// Objects beyond this size do not make the allocator skip the rest of a run.
const MEDIUM_BYTES: usize = 128;
/// Blocks with free lines are told apart by how long their runs are on average: up to one line, up to two, four and so on.
const RUN_CLASSES: usize = 6;
/// From this class on, a block is used before free ones: the runs are of 512 bytes or more. Beginning a run
/// costs as much as allocating some ten objects.
const LONG_RUNS: usize = 4;
/// How many nurseries must have become old before a major collection for lack of long runs.
const FRAGMENTED_NURSERIES: usize = 2;
/// A free block is left for the next one when so little of it is left that an object does not fit.
const ABANDON_BYTES: usize = BLOCK_BYTES / 8;
/// What freed memory is overwritten with when asked for; as a shape it is no object's.
pub(super) const POISON: u8 = 0xDB;
/// Arrays of at least so many items have writes to them noted by item; shorter ones are cheap to look at as a whole.
const NOTED_BY_ITEM: usize = 64;
/// One in so many items of an array is noted by itself before the array is noted as a whole: a note costs as much as
/// looking at a few items.
const NOTED_PART: usize = 8;
/// The bits of [`Header::gc`] that count the items noted.
const NOTED_SHIFT: u32 = 8;
/// What may be allocated beyond the limit while collection is off.
const RESERVE_BYTES: usize = 4 << 20;
/// After a major collection at the limit, at least this part of the limit must be free, or else the
/// program would do nothing but collect.
const LEAST_FREE_PART: usize = 64;

/// Where small objects are allocated.
#[derive(Debug, Default)]
struct Run {
    /// The block's number plus one; 0 for none.
    block: usize,
    /// The run's beginning.
    start: usize,
    /// Up to here, memory is zero.
    cleared: usize,
    /// The run's end.
    end: usize,
    /// The line after the run.
    next_line: usize,
    /// Whether the block was free.
    whole: bool,
    /// Whether memory up to the end is known to be zero.
    fresh: bool,
}

/// Why no memory was handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// It is time for a collection.
    Nursery,
    /// There is no memory.
    Limit,
}

/// A place in an old object where a reference was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Noted {
    /// Anywhere in the object at this address.
    Object(usize),
    /// An item of the array of the object at this address.
    Item(usize, usize),
}

/// The heap of one thread.
pub(super) struct Heap {
    pub(super) config: Config,
    pub(super) space: Space,
    pub(super) layouts: Layouts,
    pub(super) large: LargeSpace,
    run: Run,
    overflow: Run,
    overflow_cursor: usize,
    /// Free blocks to be cleared before use, and free blocks that are zero.
    free: Vec<u32>,
    released: Vec<u32>,
    /// Blocks with some free lines, by the average length of the runs.
    recyclable: [Vec<u32>; RUN_CLASSES],
    /// The blocks allocated into since the last collection.
    pub(super) young: Vec<u32>,
    /// The number of blocks ever used; they are the first ones.
    pub(super) block_count: usize,
    /// Of these, how many are not free.
    pub(super) blocks_in_use: usize,
    pub(super) used_lines: usize,
    /// What was written to since the last collection, of old objects.
    pub(super) remembered: Vec<Noted>,
    mark_stack: Vec<usize>,
    epoch: u32,
    /// Bytes handed out since the last collection; the whole of a run that is being allocated into.
    young_bytes: usize,
    nursery: usize,
    /// Bytes in use beyond which the next collection is a major one.
    major_threshold: usize,
    major_due: bool,
    /// Bytes in use after the last major collection.
    used_at_major: usize,
    /// Whether short runs had to be used since then.
    fragmented: bool,
    limit: usize,
    random: u64,
    stress_count: u32,
    allocated_before: u64,
    pub(super) statistics: Statistics,
    /// Set while a collection is under way; stays set if a panic ends it.
    collecting: bool,
    /// How many times collection was switched off.
    without_collection: usize,
}

impl Heap {
    pub(super) fn new(config: Config) -> Result<Heap, OutOfMemory> {
        let config = config.with_environment();
        let wanted = if config.limit == 0 { physical_memory() } else { config.limit };
        let space = Space::reserve(wanted.saturating_add(RESERVE_BYTES))?;
        let mut heap = Heap {
            large: LargeSpace::new(&space),
            space,
            layouts: Layouts::default(),
            run: Run::default(),
            overflow: Run::default(),
            overflow_cursor: 0,
            free: Vec::new(),
            released: Vec::new(),
            recyclable: Default::default(),
            young: Vec::new(),
            block_count: 0,
            blocks_in_use: 0,
            used_lines: 0,
            remembered: Vec::new(),
            mark_stack: Vec::new(),
            epoch: 0,
            young_bytes: 0,
            nursery: 0,
            major_threshold: 0,
            major_due: false,
            used_at_major: 0,
            fragmented: false,
            limit: 0,
            random: 0,
            stress_count: 0,
            allocated_before: 0,
            statistics: Statistics::default(),
            collecting: false,
            without_collection: 0,
            config: Config::default(),
        };
        heap.configure(config);
        Ok(heap)
    }

    fn used(&self) -> usize {
        self.used_lines * LINE_BYTES + self.large.bytes
    }

    fn committed(&self) -> usize {
        self.blocks_in_use * BLOCK_BYTES + self.large.bytes
    }

    /// Whether `bytes` more would be within the limit.
    fn within_limit(&self, bytes: usize) -> bool {
        let limit = if self.without_collection > 0 { self.limit + RESERVE_BYTES } else { self.limit };
        self.committed().saturating_add(bytes) <= limit
    }

    /// Sets the cursor, and the limit that the fast path sees.
    fn publish(&self, cursor: usize) {
        WINDOW.with(|window| {
            window.cursor.set(cursor);
            window.limit.set(if self.config.stress == Stress::None { self.run.cleared } else { 0 });
        });
    }

    /// Refuses to go on with a heap that is half collected.
    fn check_whole(&self) {
        assert!(!self.collecting, "a panic ended a collection: this thread's heap can't be used any more");
    }

    fn stress_says_collect(&mut self) -> bool {
        match self.config.stress {
            Stress::None => false,
            Stress::EveryAllocation => true,
            Stress::OneIn(n) => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                self.random.is_multiple_of(u64::from(n.max(1)))
            }
        }
    }

    /// Zeroed memory, if there is some.
    fn take(&mut self, bytes: usize, may_collect: bool) -> Result<usize, Stop> {
        if bytes > LARGE_BYTES {
            return self.take_large(bytes, may_collect);
        }
        loop {
            let cursor = WINDOW.with(|window| window.cursor.get());
            let end = cursor + bytes;
            if end <= self.run.cleared {
                self.publish(end);
                return Ok(cursor);
            }
            if end <= self.run.end {
                clear(&mut self.run, end);
                continue;
            }
            let left = self.run.end - cursor;
            let worth_keeping = if self.run.whole { ABANDON_BYTES } else { MEDIUM_BYTES };
            if bytes > MEDIUM_BYTES && left > worth_keeping {
                return self.take_overflow(bytes, may_collect);
            }
            self.next_run(cursor, bytes, may_collect)?;
        }
    }

    fn take_overflow(&mut self, bytes: usize, may_collect: bool) -> Result<usize, Stop> {
        loop {
            let cursor = self.overflow_cursor;
            let end = cursor + bytes;
            if end <= self.overflow.cleared {
                self.overflow_cursor = end;
                return Ok(cursor);
            }
            if end <= self.overflow.end {
                clear(&mut self.overflow, end);
                continue;
            }
            self.check_nursery(may_collect)?;
            let (number, fresh) = self.free_block()?;
            if self.overflow.block != 0 {
                let closed = std::mem::take(&mut self.overflow);
                self.close(&closed, cursor);
                self.space.block(closed.block - 1).young_end = BLOCK_BYTES as u32;
            }
            self.overflow = self.open(number, 0, LINES, fresh, true);
            self.overflow_cursor = self.overflow.start;
        }
    }

    fn take_large(&mut self, bytes: usize, may_collect: bool) -> Result<usize, Stop> {
        let footprint = self.large.footprint(bytes);
        if self.young_bytes != 0 && self.young_bytes.saturating_add(footprint) > self.nursery {
            self.check_nursery_of(may_collect, footprint)?;
        }
        if !self.within_limit(footprint) {
            return Err(Stop::Limit);
        }
        let address = self.large.allocate(bytes).ok_or(Stop::Limit)?;
        self.young_bytes += footprint;
        self.statistics.allocated += bytes as u64;
        Ok(address)
    }

    fn check_nursery(&self, may_collect: bool) -> Result<(), Stop> {
        self.check_nursery_of(may_collect, 0)
    }

    fn check_nursery_of(&self, may_collect: bool, more: usize) -> Result<(), Stop> {
        if may_collect && self.young_bytes.saturating_add(more) >= self.nursery { Err(Stop::Nursery) } else { Ok(()) }
    }

    /// Leaves the current run and begins the next, for an object of so many bytes; it need not fit.
    fn next_run(&mut self, cursor: usize, bytes: usize, may_collect: bool) -> Result<(), Stop> {
        self.check_nursery(may_collect)?;
        if self.run.block != 0 {
            let number = self.run.block - 1;
            if let Some((begin, end)) = self.space.block(number).free_run(self.run.next_line) {
                let old = std::mem::take(&mut self.run);
                self.close(&old, cursor);
                self.run = self.open(number, begin, end, false, false);
                self.publish(self.run.start);
                return Ok(());
            }
        }
        let (number, fresh, whole) = self.next_block(bytes)?;
        if self.run.block != 0 {
            let old = std::mem::take(&mut self.run);
            self.close(&old, cursor);
            self.space.block(old.block - 1).young_end = BLOCK_BYTES as u32;
        }
        let (begin, end) = self.space.block(number).free_run(0).unwrap_or((0, 0));
        self.run = self.open(number, begin, end, fresh, whole);
        self.publish(self.run.start);
        Ok(())
    }

    /// A block to allocate an object of so many bytes into, whether it is zero, and whether it is free.
    fn next_block(&mut self, bytes: usize) -> Result<(usize, bool, bool), Stop> {
        let (short, long) = self.recyclable.split_at_mut(LONG_RUNS);
        if let Some(number) = long.iter_mut().rev().find_map(Vec::pop) {
            return Ok((number as usize, false, false));
        }
        // Up to the size at which the next major collection is due anyway, memory is cheaper than time.
        let mut number = None;
        if self.blocks_in_use * BLOCK_BYTES + self.large.bytes >= self.major_threshold {
            // Runs that are too short on average are looked at for nothing, all of them, before a free block is.
            let least = (bytes >> LINE_SHIFT).max(1).ilog2() as usize;
            number = short.iter_mut().skip(least).rev().find_map(Vec::pop);
            self.fragmented = true;
        }
        if number.is_none() {
            match self.free_block() {
                Ok((number, fresh)) => return Ok((number, fresh, true)),
                Err(stop) => {
                    let short = &mut self.recyclable[..LONG_RUNS];
                    number = short.iter_mut().rev().find_map(Vec::pop);
                    if number.is_none() {
                        return Err(stop);
                    }
                }
            }
        }
        Ok((number.unwrap_or(0) as usize, false, false))
    }

    fn open(&mut self, number: usize, begin: usize, end: usize, fresh: bool, whole: bool) -> Run {
        if whole || self.space.block(number).young_end == 0 {
            self.young.push(number as u32);
            // From now on it counts as young, wherever the cursor is.
            self.space.block(number).young_end = 1;
        }
        let base = self.space.block_address(number);
        let run = Run {
            block: number + 1,
            start: base + (begin << LINE_SHIFT),
            cleared: base + (begin << LINE_SHIFT),
            end: base + (end << LINE_SHIFT),
            next_line: end,
            whole,
            fresh,
        };
        self.young_bytes += run.end - run.start;
        run
    }

    /// Sees to it that a run that is left ends as a walk expects (H4).
    fn close(&mut self, run: &Run, cursor: usize) {
        self.statistics.allocated += (cursor - run.start) as u64;
        // What is left of a run has not been used: a heap full of holes that are too small must not look like a full nursery.
        self.young_bytes -= run.end - cursor;
        if cursor == run.cleared && cursor < run.end {
            // SAFETY: H2; the memory is free.
            unsafe { *(cursor as *mut u64) = 0 };
        }
    }

    /// A block without objects; whether it is zero.
    fn free_block(&mut self) -> Result<(usize, bool), Stop> {
        if !self.within_limit(BLOCK_BYTES) {
            return Err(Stop::Limit);
        }
        let (number, fresh) = if let Some(number) = self.free.pop() {
            (number as usize, false)
        } else if let Some(number) = self.released.pop() {
            (number as usize, true)
        } else if self.block_count << BLOCK_SHIFT < self.space.small_bytes {
            self.block_count += 1;
            (self.block_count - 1, true)
        } else {
            return Err(Stop::Limit);
        };
        self.blocks_in_use += 1;
        Ok((number, fresh))
    }

    /// Ends allocation into the current runs, so that H4 holds for all young blocks.
    pub(super) fn flush(&mut self) {
        let cursor = WINDOW.with(|window| window.cursor.get());
        let (run, overflow) = (std::mem::take(&mut self.run), std::mem::take(&mut self.overflow));
        for (run, cursor) in [(run, cursor), (overflow, self.overflow_cursor)] {
            if run.block != 0 {
                self.close(&run, cursor);
                let block = self.space.block(run.block - 1);
                block.young_end = (cursor - self.space.block_address(run.block - 1)).max(1) as u32;
            }
        }
        self.overflow_cursor = 0;
        self.publish(0);
    }

    fn cycle(&mut self, kind: Kind, cause: Cause, stack_low: usize) -> Collection {
        let begin = Instant::now();
        let major = kind == Kind::Major;
        self.flush();
        self.collecting = true;
        self.layouts.update();
        self.epoch = self.epoch.wrapping_add(1).max(1);
        if self.config.verify {
            verify::before(self, self.epoch);
            self.epoch = self.epoch.wrapping_add(1).max(1);
        }
        let remembered = std::mem::take(&mut self.remembered);
        if major {
            self.space.begin_major(self.block_count);
            self.large.begin_major();
        }
        let mut marker = Marker {
            space: &self.space,
            layouts: &self.layouts,
            large: &mut self.large,
            stack: &mut self.mark_stack,
            major,
            epoch: self.epoch,
            objects: 0,
            bytes: 0,
            parsed: 0,
        };
        if !major {
            for &noted in &remembered {
                // SAFETY: the barrier notes objects that are old, and those are marked.
                unsafe {
                    match noted {
                        Noted::Object(address) => marker.rescan(address),
                        Noted::Item(address, index) => marker.rescan_item(address, index),
                    }
                }
            }
            marker.drain();
        }
        let root_words = visit_roots_from(stack_low, major, &mut marker);
        marker.drain();
        after_marking(major, &mut |word| marker.survives(word));
        let (objects, survived, parsed_blocks) = (marker.objects, marker.bytes, marker.parsed);
        self.mark_stack.shrink_to(1 << 16);
        let poison = self.config.poison.then_some(POISON);
        self.large.sweep(major, &self.space, poison);
        if major {
            self.sweep_all();
        } else {
            self.sweep_young();
        }
        self.young_bytes = 0;
        if self.config.verify {
            verify::after(self);
        }
        self.collecting = false;
        let statistics = &mut self.statistics;
        let allocated = (statistics.allocated - self.allocated_before) as usize;
        self.allocated_before = statistics.allocated;
        let pause = begin.elapsed();
        statistics.pause_total += pause;
        if major {
            statistics.major += 1;
            statistics.live = survived;
            statistics.pause_major_max = statistics.pause_major_max.max(pause);
        } else {
            statistics.minor += 1;
            statistics.stressed += u64::from(cause == Cause::Stress);
            statistics.survived += survived as u64;
            statistics.pause_minor_max = statistics.pause_minor_max.max(pause);
        }
        let used = self.used();
        self.statistics.used = used;
        let part = (used as f64 * self.config.growth) as usize;
        if major {
            let growth = part.max(self.config.growth_min);
            self.major_threshold = used.saturating_add(growth);
            self.release_spare(growth + 2 * self.nursery);
            (self.used_at_major, self.fragmented) = (used, false);
        }
        // Old garbage that makes runs short is worth a major collection before memory asks for one.
        let old = used.saturating_sub(self.used_at_major);
        self.major_due =
            used > self.major_threshold || (self.fragmented && old > part.max(FRAGMENTED_NURSERIES * self.nursery));
        self.tune_nursery(kind, survived, root_words);
        Collection {
            kind,
            cause,
            pause,
            allocated,
            objects,
            survived,
            root_words,
            remembered: remembered.len(),
            parsed_blocks,
            used,
        }
    }

    /// Makes the nursery as large as the cost of a minor collection asks for.
    fn tune_nursery(&mut self, kind: Kind, survived: usize, root_words: usize) {
        if kind == Kind::Major {
            return;
        }
        // A word of a stack costs about as much as two bytes of survivors. A collection that scans a huge stack is
        // long anyway, so then the nursery may be as large as the stack.
        let cost = survived + root_words * 2;
        let most = self.config.nursery_max.max((root_words * 8).min(self.limit / 8));
        if cost > self.nursery / 4 {
            self.nursery = (self.nursery * 2).min(most);
        } else if cost < self.nursery / 32 {
            self.nursery /= 2;
        }
        self.nursery = self.nursery.max(self.config.nursery).max(BLOCK_BYTES);
    }

    /// Puts a swept block where it belongs.
    fn classify(&mut self, number: usize) {
        let used = self.space.block(number).used as usize;
        self.used_lines += used;
        if used == 0 {
            self.free.push(number as u32);
            self.blocks_in_use -= 1;
        } else if LINES - used >= RECYCLE_LINES {
            let average = (LINES - used) / self.space.block(number).runs as usize;
            let class = (average.ilog2() as usize).min(RUN_CLASSES - 1);
            self.recyclable[class].push(number as u32);
        }
        if self.config.poison {
            self.poison(number);
        }
    }

    fn sweep_young(&mut self) {
        let mut young = std::mem::take(&mut self.young);
        // The block used first is taken first again: the order of memory is kept.
        for &number in young.iter().rev() {
            let number = number as usize;
            let block = self.space.block(number);
            self.used_lines -= block.used as usize;
            block.take_marked(false);
            self.classify(number);
        }
        young.clear();
        self.young = young;
    }

    fn sweep_all(&mut self) {
        self.young.clear();
        self.free.clear();
        self.recyclable.iter_mut().for_each(Vec::clear);
        self.used_lines = 0;
        let mut zero = vec![false; self.block_count];
        for &number in &self.released {
            zero[number as usize] = true;
        }
        self.blocks_in_use = self.block_count - self.released.len();
        for number in (0..self.block_count).rev() {
            if zero[number] {
                continue;
            }
            self.space.block(number).take_marked(true);
            self.classify(number);
        }
    }

    /// Gives free blocks beyond `keep` bytes back to the system.
    fn release_spare(&mut self, keep: usize) {
        let keep = keep >> BLOCK_SHIFT;
        if self.free.len() <= keep {
            return;
        }
        // The free blocks were listed from the last to the first.
        let mut spare: Vec<u32> = self.free.drain(..self.free.len() - keep).collect();
        spare.sort_unstable();
        for group in spare.chunk_by(|a, b| a + 1 == *b) {
            let address = self.space.block_address(group[0] as usize);
            let list = if self.space.release(address, group.len() << BLOCK_SHIFT) {
                &mut self.released
            } else {
                &mut self.free
            };
            list.extend(group.iter().rev());
        }
    }

    /// Overwrites the free lines of a block.
    fn poison(&self, number: usize) {
        let block = self.space.block(number);
        let base = self.space.block_address(number);
        let mut line = 0;
        while let Some((begin, end)) = block.free_run(line) {
            let bytes = (end - begin) << LINE_SHIFT;
            // SAFETY: H2; free lines hold nothing.
            unsafe { ((base + (begin << LINE_SHIFT)) as *mut u8).write_bytes(POISON, bytes) };
            line = end;
        }
    }
}

impl Collector for Heap {
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory> {
        self.check_whole();
        if self.without_collection == 0 && self.stress_says_collect() {
            let every = self.config.stress_major;
            self.stress_count = self.stress_count.wrapping_add(1);
            let major = every != 0 && self.stress_count.is_multiple_of(every);
            self.collect(if major { Kind::Major } else { Kind::Minor }, Cause::Stress, window);
        }
        match self.take(bytes, self.without_collection == 0) {
            Ok(address) => return Ok(address),
            Err(Stop::Nursery) => {
                if self.major_due {
                    self.collect(Kind::Major, Cause::Growth, window);
                } else {
                    self.collect(Kind::Minor, Cause::Nursery, window);
                }
                if let Ok(address) = self.take(bytes, false) {
                    return Ok(address);
                }
            }
            Err(Stop::Limit) => {}
        }
        if self.without_collection == 0 {
            self.collect(Kind::Major, Cause::Limit, window);
            if self.within_limit((self.limit / LEAST_FREE_PART).max(BLOCK_BYTES))
                && let Ok(address) = self.take(bytes, false)
            {
                return Ok(address);
            }
        }
        self.statistics.out_of_memory += 1;
        let error = OutOfMemory { requested: bytes, limit: self.limit };
        super::event(&super::Event::OutOfMemory(error));
        Err(error)
    }

    unsafe fn note_write(&mut self, object: *mut Header, item: Option<usize>) {
        let address = object as usize;
        self.statistics.barriers += 1;
        // SAFETY: the caller's contract; an old object's layout is known.
        let (gc, len) = unsafe {
            let len = match item {
                Some(_) => self.layouts.of(address).item_count(address),
                None => 0,
            };
            (&(*object).gc, len)
        };
        let noted = gc.load(Ordering::Relaxed) >> NOTED_SHIFT;
        match item {
            Some(index)
                if len >= NOTED_BY_ITEM && (noted as usize) < len / NOTED_PART && noted < u32::MAX >> NOTED_SHIFT =>
            {
                gc.store((noted + 1) << NOTED_SHIFT | BARRIER_BIT, Ordering::Relaxed);
                self.remembered.push(Noted::Item(address, index));
            }
            _ => {
                gc.store(0, Ordering::Relaxed);
                self.remembered.push(Noted::Object(address));
            }
        }
    }

    fn collect(&mut self, kind: Kind, cause: Cause, _: &Window) {
        self.check_whole();
        if self.without_collection > 0 {
            return;
        }
        super::event(&super::Event::Begin { kind, cause });
        let report = stack::with_registers(|low| self.cycle(kind, cause, low));
        if self.config.log {
            eprintln!("metajit gc: {report:?}");
        }
        super::event(&super::Event::End(report));
    }

    fn suspend(&mut self, off: bool) {
        if off {
            self.without_collection += 1;
        } else {
            self.without_collection -= 1;
        }
    }

    fn configure(&mut self, config: Config) {
        let capacity = self.space.small_bytes - RESERVE_BYTES;
        self.limit = if config.limit == 0 { capacity } else { config.limit.min(capacity) };
        self.nursery = config.nursery.max(BLOCK_BYTES);
        self.random = config.seed | 1;
        self.major_threshold = self.major_threshold.max(config.growth_min.max(config.nursery));
        self.config = config;
        self.publish(WINDOW.with(|window| window.cursor.get()));
    }

    fn configuration(&self) -> Config {
        self.config.clone()
    }

    fn statistics(&self) -> Statistics {
        let cursor = WINDOW.with(|window| window.cursor.get());
        let mut statistics = self.statistics;
        if self.run.block != 0 {
            statistics.allocated += (cursor - self.run.start) as u64;
        }
        if self.overflow.block != 0 {
            statistics.allocated += (self.overflow_cursor - self.overflow.start) as u64;
        }
        statistics.committed = self.committed();
        statistics.spare = self.free.len() * BLOCK_BYTES;
        statistics.nursery = self.nursery;
        statistics
    }
}

/// Makes more of a run zero, at least up to `end`.
fn clear(run: &mut Run, end: usize) {
    let to = if run.fresh { run.end } else { run.end.min(end.max(run.cleared + CLEAR_BYTES)) };
    if !run.fresh {
        let bytes = to - run.cleared;
        // SAFETY: H2; nothing lies in the run beyond the cursor. A call would cost more than clearing a short run.
        unsafe {
            if bytes <= SHORT_BYTES {
                for word in 0..bytes / 8 {
                    (run.cleared as *mut u64).add(word).write_volatile(0);
                }
            } else {
                (run.cleared as *mut u8).write_bytes(0, bytes);
            }
        }
    }
    run.cleared = to;
}

/// Bytes of memory the machine has.
fn physical_memory() -> usize {
    // SAFETY: asks for numbers.
    let (pages, bytes) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    (pages.max(0) as usize).saturating_mul(bytes.max(0) as usize).clamp(64 << 20, 1 << 40)
}
