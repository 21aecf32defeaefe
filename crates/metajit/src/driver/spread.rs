//! Frames that are handed over by what they hold: the driver's side.
//!
//! **Problem.** Compiled code passes a frame's contents to a portal that takes them ([`Spread`]). But whoever comes from the
//! interpreter has a frame in memory, and where there is no code for the contents, the interpreter wants one.
//!
//! **Approach.** A place's call cell decides once, before there is a tree, how long the frames are and how many of their items are
//! alive at its merge point; all code of the place made from then on follows ([`Runtime::decide`]). The driver takes a frame apart
//! before it enters such code ([`Compiled::take_reds`]), and puts one together when a call finds none ([`whole_reds`]).
//!
//! **Invariants.** Between taking words from or to the context and using them, nothing is allocated. A frame of another length does not
//! enter code that relies on its length.

use super::cell::CallCell;
use super::runtime::{Compiled, PlaceId, Runtime, context};
use super::{Driver, exit};
use crate::gc;
use crate::ir::code::Place;
use crate::ir::{Callee, Spread};

/// Words that a frame may be spread to at most, the other reds among them: more is passed by address. Each is stored and loaded for each
/// call, so that a frame of many is cheaper to allocate.
pub(super) const MAX_WORDS: usize = 24;

/// The length of an object's array; 0 if it has none.
///
/// # Safety
/// `object` is the address of an object of the shape.
unsafe fn length(object: u64, spread: &Spread) -> u64 {
    // SAFETY: the caller's contract; the length stands before the items.
    spread.shape.array.map_or(0, |array| unsafe { *((object + u64::from(array.offset) - 8) as *const u64) })
}

impl Runtime {
    /// The callee that stands for a call of a place with these reds. The first call, or entry as a function, decides how the place's
    /// frame is spread, unless there is code already that takes it by address.
    pub(super) fn decide(&mut self, place: PlaceId, reds: &[u64], records: bool) -> &'static Callee {
        let at = self.at(place);
        let undecided = at.cell.callee().spread.is_none() && at.live.is_none() && (records || !at.busy);
        if let (true, true, Some((red, shape))) = (undecided, at.driver.given, at.driver.portal.virtualizable)
            && shape.array.is_none_or(|array| array.kind.bytes() == 8)
        {
            let cell = at.cell;
            let portal = &at.driver.entry;
            let mut spread = Spread {
                red,
                shape,
                len: 0,
                live: 0,
                callee: Callee {
                    effect: crate::ir::Effect::Spread,
                    address: super::finish_spread as *const (),
                    ..*portal
                },
            };
            // SAFETY: the red is the address of an object of this shape.
            let len = unsafe { length(reds[red], &spread) };
            spread.len = u32::try_from(len).unwrap_or(u32::MAX);
            spread.live = (at.driver.live)(&at.greens).min(spread.len);
            let words = spread.words(reds.len());
            if words <= MAX_WORDS && u64::from(spread.len) == len {
                spread.callee.params = words as u8 + 1;
                cell.spread(spread);
            }
        }
        self.at(place).cell.callee()
    }

    /// How the frame is spread in code of a place, recorded with these reds.
    pub(super) fn spread_of(&mut self, place: PlaceId, reds: &[u64]) -> Option<&'static Spread> {
        let spread = self.at(place).cell.callee().spread?;
        // SAFETY: the red is the address of an object of this shape.
        let len = unsafe { length(reds[spread.red], spread) };
        (len == u64::from(spread.len)).then_some(spread)
    }
}

/// The callee that a trace names for a call of a portal, and the place's cell.
pub(crate) fn portal_callee(
    driver: &'static Driver,
    greens: &[u64],
    reds: &[u64],
) -> (&'static CallCell, &'static Callee) {
    super::runtime::with(|runtime| {
        let place = runtime.place(driver, greens);
        let callee = runtime.decide(place, reds, false);
        (runtime.at(place).cell, callee)
    })
}

impl Compiled {
    /// Puts what the code takes for these reds into the context's slots; `false` if it can't be entered with them.
    pub(super) fn take_reds(&self, reds: &[u64]) -> bool {
        take(self.code.spread, reds)
    }
}

/// The same for code that takes the frame so.
#[inline]
pub(super) fn take(spread: Option<&Spread>, reds: &[u64]) -> bool {
    // SAFETY: the context lives as long as the thread; nothing else uses it now.
    let slots = unsafe { &mut (*context()).slots };
    let Some(spread) = spread else {
        slots[..reds.len()].copy_from_slice(reds);
        return true;
    };
    let frame = reds[spread.red];
    // SAFETY: the red is the address of an object of this shape.
    if unsafe { length(frame, spread) } != u64::from(spread.len) {
        return false;
    }
    let others = reds.iter().enumerate().filter(|(red, _)| *red != spread.red).map(|(_, &red)| red);
    let fields = spread.shape.fields.iter().map(|field| field.offset);
    let items = spread.shape.array.into_iter();
    let items = items.flat_map(|array| (0..spread.live).map(|index| array.offset + 8 * index));
    // SAFETY: these are offsets of fields and items of the object.
    let contents = fields.chain(items).map(|offset| unsafe { *((frame + u64::from(offset)) as *const u64) });
    for (slot, word) in slots.iter_mut().zip(others.chain(contents)) {
        *slot = word;
    }
    true
}

/// The reds of a portal that was called with its frame spread: the words are in the context's slots.
pub(super) fn whole_reds(spread: &Spread, reds: usize) -> Vec<u64> {
    let mut words = [0; MAX_WORDS];
    let count = spread.words(reds);
    // SAFETY: the context lives as long as the thread; nothing else uses it now.
    words[..count].copy_from_slice(unsafe { &(&(*context()).slots)[..count] });
    let (others, contents) = words[..count].split_at(reds - 1);
    let (fields, items) = contents.split_at(spread.shape.fields.len());
    let frame = gc::without_collection(|| gc::alloc(spread.shape, spread.len as usize) as u64);
    // SAFETY: the object was just made with this shape and length.
    unsafe {
        if let Some(array) = spread.shape.array {
            *((frame + u64::from(array.offset) - 8) as *mut u64) = u64::from(spread.len);
            for (index, &item) in items.iter().enumerate() {
                exit::write(frame, Place::Item(array, index as u32), item);
            }
        }
        for (field, &value) in spread.shape.fields.iter().zip(fields) {
            exit::write(frame, Place::Field(field), value);
        }
    }
    let mut reds = others.to_vec();
    reds.insert(spread.red, frame);
    reds
}
