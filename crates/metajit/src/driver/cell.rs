//! Call cells: how compiled code finds the compiled code of a portal that it calls.
//!
//! Every place has one, at an address that stays: traces name it as a constant. It says whether there is code now, so a call
//! costs a load and a test. Whoever runs code through a cell holds a reference to it meanwhile.

use super::Driver;
use super::runtime::{Compiled, PlaceId, called_often, carry, context, finish_call};
use crate::backend::Entry;
use crate::context::{FINISH, MAX_RESULTS, PANICKED};
use std::cell::Cell;
use std::rc::Rc;

/// See the module.
#[derive(Debug)]
pub struct CallCell {
    driver: &'static Driver,
    greens: Box<[u64]>,
    place: PlaceId,
    code: Cell<Option<(Entry, *const Compiled)>>,
    /// How often the place was entered.
    calls: Cell<u32>,
    /// At how many calls the runtime looks after the place: better code is made, or published.
    often: Cell<u32>,
}

impl CallCell {
    /// A cell without code, for a place. It lives for ever.
    pub(super) fn leak(driver: &'static Driver, greens: &[u64], place: PlaceId, often: u32) -> &'static CallCell {
        Box::leak(Box::new(CallCell {
            driver,
            greens: greens.into(),
            place,
            code: Cell::new(None),
            calls: Cell::new(0),
            often: Cell::new(often),
        }))
    }

    /// The word that names the cell in traces.
    pub(crate) fn bits(&'static self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    /// The cell that a trace named.
    ///
    /// # Safety
    /// The bits come from [`CallCell::bits`], on this thread.
    pub unsafe fn from_bits(bits: u64) -> &'static CallCell {
        // SAFETY: the caller's contract; cells live for ever.
        unsafe { &*(bits as *const CallCell) }
    }

    /// The greens of the place.
    pub fn greens(&self) -> &[u64] {
        &self.greens
    }

    /// How often the place was entered.
    pub(super) fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// Counts an entry; whether it is the one at which the runtime looks after the place.
    #[inline]
    pub(super) fn count(&self) -> bool {
        let calls = self.calls.get().saturating_add(1);
        self.calls.set(calls);
        calls == self.often.get()
    }

    /// Says what code there is, and at how many calls to look after the place; whoever gives some keeps it alive until it says something else.
    pub(super) fn publish(&self, code: Option<&Rc<Compiled>>, often: u32) {
        self.often.set(often);
        self.code.set(code.and_then(|code| Some((code.machine.as_ref()?.entry(), Rc::as_ptr(code)))));
    }

    /// Whose cell it is.
    pub(super) fn place(&self) -> PlaceId {
        self.place
    }

    /// The code that there is.
    #[inline]
    pub(super) fn compiled(&self) -> Option<Rc<Compiled>> {
        let (_, compiled) = self.code.get()?;
        // SAFETY: the cell's code is alive, and stays so while a reference to it is held.
        Some(unsafe {
            Rc::increment_strong_count(compiled);
            Rc::from_raw(compiled)
        })
    }

    /// Calls the portal, if there is compiled code for it: the first result word, the others at `out`.
    ///
    /// # Safety
    /// `out` must have room for the result words after the first; the reds must be the portal's.
    #[inline]
    pub unsafe fn call<const R: usize>(&self, reds: [u64; R], results: usize, out: *mut u64) -> Option<u64> {
        self.code.get()?;
        if self.count() {
            called_often(self.place);
        }
        let (entry, _) = self.code.get()?;
        let compiled = self.compiled()?;
        let context = context();
        // SAFETY: the context lives as long as the thread; nothing else uses it now.
        let code = unsafe {
            for (index, red) in reds.into_iter().enumerate() {
                (*context).slots[index] = red;
            }
            entry(context)
        };
        let mut words = [0; MAX_RESULTS];
        match code {
            // SAFETY: as above.
            FINISH => words = unsafe { (*context).results },
            // The caller is compiled code, too: it finds the flag set, and leaves.
            PANICKED => return Some(0),
            exit => {
                let place = self.place;
                let finish = || finish_call(place, self.driver, compiled, exit);
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(finish)) {
                    Ok(finished) => words[..finished.len()].copy_from_slice(&finished),
                    Err(payload) => {
                        carry(payload);
                        return Some(0);
                    }
                }
            }
        }
        for (index, &word) in words.iter().enumerate().take(results).skip(1) {
            // SAFETY: the caller's contract.
            unsafe { *out.add(index - 1) = word };
        }
        Some(words[0])
    }
}
