//! Giving code back: what nobody runs any more, and what is used least when room is needed.
//!
//! **Problem.** Code is replaced (a tree has grown), made invalid, or simply no longer used, while activations of it may be
//! on the native stack, called from anywhere.
//!
//! **Approach.** Code that is no place's any more is *retired*. From time to time, when enough of it has gathered, the stack is
//! looked through word by word for addresses inside it; what no word points into is dropped. (A number that happens to look
//! like such an address keeps a piece of code a little longer.) An activation of compiled code is on the stack by
//! its return address whenever the driver runs.
//!
//! When code memory is nearly full, the trees that the driver entered least since the last time are thrown away, until half of
//! it is free. They are recorded again if they get hot again. (Calls from code to code are not counted: a function that is called
//! from nowhere else may be thrown away too early, which costs making its code again.)
//!
//! **Rejected.** Counting activations: a reference taken and given back at every call between portals.

use super::events::Event;
use super::runtime::{Compiled, PlaceId, Runtime};
use crate::gc;
use std::ops::Range;
use std::rc::Rc;

/// Retired code is looked after when it takes so many bytes: the scan's cost is spread over some fifty pieces.
const SWEEP_BYTES: usize = 256 << 10;
/// Or so many pieces, for evaluated code has no bytes.
const SWEEP_PIECES: usize = 64;
/// Code memory is nearly full when less than one part in so many is free.
const RESERVE: usize = 8;

/// How much code is no place's any more, and still there.
#[derive(Default)]
pub(super) struct Retired {
    bytes: usize,
    pieces: usize,
}

/// Bytes of a piece's machine code, as the arena counts them.
fn bytes(compiled: &Compiled) -> usize {
    compiled.machine.as_ref().map_or(0, |machine| machine.range().len())
}

impl Runtime {
    /// Takes note of code that was replaced.
    pub(super) fn retire(&mut self, compiled: Option<Rc<Compiled>>) {
        if let Some(compiled) = compiled {
            self.retired.bytes += bytes(&compiled);
            self.retired.pieces += 1;
        }
    }

    /// Drops code that is no place's and that nobody runs, if there is so much that it is worth a look.
    pub(super) fn sweep(&mut self) {
        if self.retired.bytes >= SWEEP_BYTES || self.retired.pieces >= SWEEP_PIECES {
            self.sweep_now();
        }
    }

    fn sweep_now(&mut self) {
        // Evaluated code has no addresses: whoever runs code from the driver holds a reference.
        let retired = self.codes.iter().filter(|(_, code)| Rc::strong_count(code) == 1);
        let mut pieces: Vec<(Range<usize>, u32, bool)> = retired
            .map(|(&number, code)| {
                let range = code.machine.as_ref().map_or(0..0, |machine| machine.range());
                (range, number, false)
            })
            .collect();
        pieces.sort_unstable_by_key(|(range, number, _)| (range.start, *number));
        if !pieces.is_empty() {
            gc::visit_stack(&mut |word| {
                let after = pieces.partition_point(|(range, ..)| range.start <= word);
                if let Some((range, _, runs)) = after.checked_sub(1).map(|index| &mut pieces[index]) {
                    *runs |= range.contains(&word);
                }
            });
        }
        self.retired = Retired::default();
        for (range, number, runs) in pieces {
            if runs {
                self.retired.bytes += range.len();
                self.retired.pieces += 1;
            } else {
                self.statistics.code_bytes_freed += range.len() as u64;
                self.codes.remove(&number);
            }
        }
    }

    /// Makes room for code, if little is left. Not by throwing away the tree of `except`.
    pub(super) fn make_room(&mut self, except: PlaceId) {
        self.sweep();
        if let Some((used, capacity)) = self.compilations.memory()
            && capacity - used < capacity / RESERVE
        {
            self.evict(except);
        }
    }

    /// Throws away the trees that are used least, until half of the code memory is free or no other is left. How many.
    #[cold]
    pub(super) fn evict(&mut self, except: PlaceId) -> usize {
        self.sweep_now();
        let Some((used, capacity)) = self.compilations.memory() else { return 0 };
        let mut trees: Vec<(u64, PlaceId, usize)> = Vec::new();
        for (number, place) in self.places.iter_mut().enumerate() {
            let entries = place.cell.entries();
            let since = entries - std::mem::replace(&mut place.entries_before, entries);
            let compiled = place.live.as_ref().and_then(|live| live.compiled.as_ref());
            if let Some(compiled) = compiled.filter(|_| number != except && !place.busy) {
                trees.push((since, number, bytes(compiled)));
            }
        }
        trees.sort_unstable();
        let (mut to_free, mut evicted) = (used.saturating_sub(capacity / 2), 0);
        for (_, place, bytes) in trees {
            if to_free == 0 {
                break;
            }
            to_free = to_free.saturating_sub(bytes);
            evicted += 1;
            self.statistics.evicted += 1;
            self.remove(place);
            self.tell(place, |place| Event::Evicted { place, bytes });
        }
        self.sweep_now();
        evicted
    }
}
