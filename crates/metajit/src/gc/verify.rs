//! Checks of the whole heap, before and after a collection, that share no code with marking but the layouts.
//!
//! Before: no old object names a young one unless the write barrier noted it; this is how a write without a
//! barrier is found. After: whatever a live object names is live, headers, barrier bits, lines and counters agree.

use super::heap::{Heap, Noted};
use super::mark::find_starts;
use super::space::{BLOCK_SHIFT, LINE_SHIFT, LINE_WORDS, LINES};
use super::{BARRIER_BIT, POISON};
use crate::object::{Header, Shape};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// What lies at an address.
#[derive(PartialEq, Eq, Debug)]
enum Place {
    /// An object that is marked.
    Marked,
    /// An object that is not.
    Unmarked,
    /// No object begins there.
    Nothing,
}

fn place(heap: &Heap, address: usize, epoch: Option<u32>) -> Place {
    let Some(offset) = heap.space.offset(address as u64) else {
        return Place::Nothing;
    };
    if offset < heap.space.small_bytes {
        let block = heap.space.block(offset >> BLOCK_SHIFT);
        if !offset.is_multiple_of(8) {
            Place::Nothing
        } else if heap.space.is_marked(offset) {
            Place::Marked
        } else if epoch == Some(block.parsed) && heap.space.is_start(offset) {
            Place::Unmarked
        } else {
            Place::Nothing
        }
    } else {
        match heap.large.find(address) {
            Some(number) if heap.large.objects[number as usize].address == address => {
                if heap.large.objects[number as usize].marked { Place::Marked } else { Place::Unmarked }
            }
            _ => Place::Nothing,
        }
    }
}

/// The addresses of all marked objects.
fn marked_objects(heap: &Heap) -> Vec<usize> {
    let mut found = Vec::new();
    for number in 0..heap.block_count {
        let base = heap.space.block_address(number);
        for (index, &word) in heap.space.block_marks(number).iter().enumerate() {
            let mut word = word;
            while word != 0 {
                found.push(base + (index * 64 + word.trailing_zeros() as usize) * 8);
                word &= word - 1;
            }
        }
    }
    let large = heap.large.objects.iter();
    found.extend(large.filter(|object| object.address != 0 && object.marked).map(|object| object.address));
    found
}

fn describe(address: usize) -> String {
    // SAFETY: called for objects only.
    let id = unsafe { (*(address as *const Header)).shape };
    let name = Shape::by_id(id).map_or("an unknown shape", |shape| shape.name);
    format!("{name} at {address:#x}")
}

fn barrier_bit(address: usize) -> u32 {
    // SAFETY: called for objects only.
    unsafe { (*(address as *const Header)).gc.load(Ordering::Relaxed) }
}

/// Checks, before a collection, that all writes of references to old objects went through the barrier.
pub(super) fn before(heap: &mut Heap, epoch: u32) {
    for &number in &heap.young {
        find_starts(&heap.space, &heap.layouts, number as usize, true);
        heap.space.block(number as usize).parsed = epoch;
    }
    let remembered: HashSet<Noted> = heap.remembered.iter().copied().collect();
    for address in marked_objects(heap) {
        let noted = remembered.contains(&Noted::Object(address));
        assert_eq!(
            barrier_bit(address) & BARRIER_BIT != 0,
            !noted,
            "the barrier bit of {} disagrees with the remembered objects",
            describe(address)
        );
        if noted {
            continue;
        }
        let check = |word: u64, is_value: bool, item: Option<usize>| {
            if item.is_some_and(|index| remembered.contains(&Noted::Item(address, index))) {
                return;
            }
            if is_value {
                if let Some(offset) = heap.space.offset(word) {
                    let target = heap.space.base + (offset & !7);
                    assert_ne!(
                        place(heap, target, Some(epoch)),
                        Place::Unmarked,
                        "{} names the young object {target:#x} and was written without a barrier",
                        describe(address)
                    );
                }
            } else if word != 0 {
                let found = place(heap, word as usize, Some(epoch));
                assert_eq!(
                    found,
                    Place::Marked,
                    "{} names {word:#x} and was written without a barrier, or with a dead handle",
                    describe(address)
                );
            }
        };
        // SAFETY: H3, H5: a marked object.
        unsafe { heap.layouts.of(address).each_word(address, check) };
    }
}

/// Checks a collection's result.
pub(super) fn after(heap: &Heap) {
    let mut lines = vec![[0u64; LINE_WORDS]; heap.block_count];
    for address in marked_objects(heap) {
        assert_eq!(barrier_bit(address), BARRIER_BIT, "{} survived and has no barrier bit", describe(address));
        // SAFETY: H3: a marked object.
        let size = unsafe {
            let layout = heap.layouts.of(address);
            layout.each_word(address, |word, is_value, _| {
                if !is_value && word != 0 {
                    assert_eq!(
                        place(heap, word as usize, None),
                        Place::Marked,
                        "{} survived and names {word:#x}, which did not",
                        describe(address)
                    );
                }
            });
            layout.size(address)
        };
        let offset = address - heap.space.base;
        if offset < heap.space.small_bytes {
            for line in offset >> LINE_SHIFT..=(offset + size - 1) >> LINE_SHIFT {
                lines[line / LINES][line % LINES / 64] |= 1 << (line % 64);
            }
        }
    }
    let mut used = 0;
    let mut in_use = 0;
    for (number, lines) in lines.iter().enumerate() {
        let block = heap.space.block(number);
        assert_eq!(block.lines, *lines, "the lines of block {number}");
        assert_eq!(block.marked, [0; LINE_WORDS], "the marked lines of block {number}");
        let count: u32 = lines.iter().map(|word| word.count_ones()).sum();
        assert_eq!(block.used, count, "the count of lines of block {number}");
        used += count as usize;
        in_use += usize::from(count != 0);
    }
    assert_eq!(used, heap.used_lines, "the lines in use");
    assert_eq!(in_use, heap.blocks_in_use, "the blocks in use");
    assert!(Shape::by_id(u32::from_le_bytes([POISON; 4])).is_none());
}
