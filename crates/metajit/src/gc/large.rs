//! Large objects: each has pages of its own.
//!
//! **Problem.** An object of many kilobytes would waste the ends of blocks, and clearing its memory ahead of need
//! would be dear.
//!
//! **Approach.** The large space is an array of pages. Free runs of pages are kept by address (to join neighbours)
//! and by length (to take the smallest that fits); beyond the frontier nothing was ever used. A table with a number
//! per page finds the object that an address lies in, so that interior addresses cost no search. Memory is
//! handed out zeroed: small runs are cleared when reused, long runs are given back to the system when they become
//! free, which clears them too and keeps resident memory flat.
//!
//! **Rejected.** `malloc` for large objects: addresses would no longer be tested by one subtraction.

use super::space::Space;
use std::collections::{BTreeMap, BTreeSet};

/// Free runs at least this long go back to the system at once: clearing them would cost as much as new pages do.
const RELEASE_BYTES: usize = 256 << 10;

/// A large object.
#[derive(Debug)]
pub(super) struct Large {
    /// Its address; 0 if this entry is free.
    pub(super) address: usize,
    /// Its size.
    pub(super) bytes: usize,
    /// Whether it survived the last collection or was found reachable by this one.
    pub(super) marked: bool,
}

/// The large space of a heap.
#[derive(Debug)]
pub(super) struct LargeSpace {
    base: usize,
    page_bytes: usize,
    page_count: usize,
    table: *mut u32,
    /// The objects; entries may be free.
    pub(super) objects: Vec<Large>,
    unused: Vec<u32>,
    /// Those allocated since the last collection.
    pub(super) young: Vec<u32>,
    frontier: usize,
    free: BTreeMap<usize, FreeRun>,
    by_length: BTreeSet<(usize, usize)>,
    /// Bytes of pages that hold objects.
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct FreeRun {
    length: usize,
    dirty: bool,
}

impl LargeSpace {
    pub(super) fn new(space: &Space) -> LargeSpace {
        LargeSpace {
            base: space.base + space.small_bytes,
            page_bytes: space.page_bytes,
            page_count: (space.heap_bytes - space.small_bytes) / space.page_bytes,
            table: space.pages,
            objects: Vec::new(),
            unused: Vec::new(),
            young: Vec::new(),
            frontier: 0,
            free: BTreeMap::new(),
            by_length: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Bytes of the pages that an object of this size takes.
    pub(super) fn footprint(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.page_bytes).saturating_mul(self.page_bytes)
    }

    /// Zeroed memory for an object.
    pub(super) fn allocate(&mut self, bytes: usize) -> Option<usize> {
        let pages = bytes.div_ceil(self.page_bytes);
        let (first, dirty) = match self.by_length.range((pages, 0)..).next().copied() {
            Some((length, first)) => {
                let run = self.remove_run(first, length);
                if length > pages {
                    self.insert_run(first + pages, FreeRun { length: length - pages, dirty: run.dirty });
                }
                (first, run.dirty)
            }
            None => {
                let first = self.frontier;
                if pages > self.page_count - first {
                    return None;
                }
                self.frontier += pages;
                (first, false)
            }
        };
        let address = self.base + first * self.page_bytes;
        if dirty {
            // SAFETY: H2; the pages are free.
            unsafe { (address as *mut u8).write_bytes(0, pages * self.page_bytes) };
        }
        let object = Large { address, bytes, marked: false };
        let number = match self.unused.pop() {
            Some(number) => {
                self.objects[number as usize] = object;
                number
            }
            None => {
                self.objects.push(object);
                self.objects.len() as u32 - 1
            }
        };
        self.set_table(first, pages, number + 1);
        self.young.push(number);
        self.bytes += pages * self.page_bytes;
        Some(address)
    }

    /// The object that this address is in the pages of.
    #[inline]
    pub(super) fn find(&self, address: usize) -> Option<u32> {
        let page = (address - self.base) / self.page_bytes;
        if page >= self.frontier {
            return None;
        }
        // SAFETY: H2; the table has an entry for each page.
        unsafe { *self.table.add(page) }.checked_sub(1)
    }

    /// Marks an object; whether it was not marked before.
    #[inline]
    pub(super) fn mark(&mut self, number: u32) -> bool {
        !std::mem::replace(&mut self.objects[number as usize].marked, true)
    }

    /// Forgets the marks.
    pub(super) fn begin_major(&mut self) {
        for object in &mut self.objects {
            object.marked = false;
        }
    }

    /// Frees the young objects that are not marked, or all such objects.
    pub(super) fn sweep(&mut self, major: bool, space: &Space, poison: Option<u8>) {
        if major {
            for number in 0..self.objects.len() {
                if self.objects[number].address != 0 && !self.objects[number].marked {
                    self.free_object(number, space, poison);
                }
            }
            self.young.clear();
        } else {
            for number in std::mem::take(&mut self.young) {
                if !self.objects[number as usize].marked {
                    self.free_object(number as usize, space, poison);
                }
            }
        }
    }

    fn free_object(&mut self, number: usize, space: &Space, poison: Option<u8>) {
        let Large { address, bytes, .. } = self.objects[number];
        self.objects[number].address = 0;
        self.unused.push(number as u32);
        let length = bytes.div_ceil(self.page_bytes);
        let first = (address - self.base) / self.page_bytes;
        self.set_table(first, length, 0);
        self.bytes -= length * self.page_bytes;
        let mut run = (first, FreeRun { length, dirty: true });
        if let Some((&before, &neighbour)) = self.free.range(..first).next_back()
            && before + neighbour.length == first
        {
            self.remove_run(before, neighbour.length);
            run.0 = before;
            run.1.length += neighbour.length;
        }
        if let Some(&neighbour) = self.free.get(&(first + length)) {
            self.remove_run(first + length, neighbour.length);
            run.1.length += neighbour.length;
        }
        let (begin, all) = (self.base + run.0 * self.page_bytes, run.1.length * self.page_bytes);
        if let Some(byte) = poison {
            // SAFETY: H2; the pages are free.
            unsafe { (address as *mut u8).write_bytes(byte, bytes) };
        } else if all >= RELEASE_BYTES && space.release(begin, all) {
            run.1.dirty = false;
        }
        self.insert_run(run.0, run.1);
    }

    fn insert_run(&mut self, first: usize, run: FreeRun) {
        self.free.insert(first, run);
        self.by_length.insert((run.length, first));
    }

    fn remove_run(&mut self, first: usize, length: usize) -> FreeRun {
        self.by_length.remove(&(length, first));
        self.free.remove(&first).unwrap_or(FreeRun { length, dirty: true })
    }

    fn set_table(&self, first: usize, pages: usize, value: u32) {
        for page in first..first + pages {
            // SAFETY: H2; the table has an entry for each page.
            unsafe { *self.table.add(page) = value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_pages_are_joined_reused_and_zero() {
        let space = Space::reserve(16 << 20).unwrap();
        let mut large = LargeSpace::new(&space);
        let objects: Vec<usize> = (0..4).map(|_| large.allocate(20_000).unwrap()).collect();
        for &address in &objects {
            // SAFETY: just allocated.
            unsafe { (address as *mut u8).write_bytes(0xAB, 20_000) };
        }
        assert_eq!(large.find(objects[2] + 19_999), large.find(objects[2]));
        assert_ne!(large.find(objects[1]), large.find(objects[2]));
        let kept = large.find(objects[3]).unwrap();
        large.mark(kept);
        large.sweep(false, &space, None);
        assert_eq!(large.find(objects[0]), None);
        assert_eq!(large.free.len(), 1, "neighbours are joined");
        let again = large.allocate(50_000).unwrap();
        assert_eq!(again, objects[0]);
        // SAFETY: just allocated.
        let bytes = unsafe { std::slice::from_raw_parts(again as *const u8, 50_000) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        assert!(large.allocate(33 << 20).is_none());
    }
}
