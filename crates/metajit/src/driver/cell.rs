//! Call cells: how compiled code finds the compiled code of a portal that it calls.
//!
//! Every place has one, at an address that stays: traces name it as a constant. It begins with what compiled code reads: the
//! code to call ([`CellHead`]). Whatever is not a call of code that returns comes to [`finish_call`].
//!
//! Code that was made quickly counts its entries down; the count, too, is in the cell.

use super::Driver;
use super::runtime::{Compiled, PlaceId, called_often, carry, code_of, context, finish_portal, return_words};
use super::spread::{take, whole_reds};
use crate::backend::Countdown;
use crate::context::{CellHead, Entry, NO_CODE, PANICKED, Words, no_code};
use crate::ir::{Callee, Spread};
use std::cell::Cell;
use std::rc::Rc;

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct CallCell {
    head: CellHead,
    /// How the portal's frame is spread, once that is decided.
    spread: Cell<Option<&'static Callee>>,
    /// Whether the code that the head is about takes it so.
    spreads: Cell<bool>,
    driver: &'static Driver,
    greens: Box<[u64]>,
    place: PlaceId,
    /// The code that the head is about; it is alive.
    code: Cell<Option<*const Compiled>>,
    /// How often the driver has entered code of the place.
    entries: Cell<u64>,
    /// Entries of code made quickly until better code is made.
    left: Cell<u64>,
    /// Whether there have been as many.
    often: Cell<bool>,
}

impl CallCell {
    /// A cell without code, for a place. It lives for ever.
    pub(super) fn leak(driver: &'static Driver, greens: &[u64], place: PlaceId) -> &'static CallCell {
        Box::leak(Box::new(CallCell {
            head: CellHead::default(),
            spread: Cell::new(None),
            spreads: Cell::new(false),
            driver,
            greens: greens.into(),
            place,
            code: Cell::new(None),
            entries: Cell::new(0),
            left: Cell::new(u64::MAX),
            often: Cell::new(false),
        }))
    }

    /// The word that names the cell in traces.
    pub(crate) fn bits(&'static self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    /// Whether code made quickly was entered so often that the place deserves better code.
    pub(super) fn is_often_called(&self) -> bool {
        self.often.get()
    }

    /// The place deserves better code than what is made quickly.
    pub(super) fn note_often(&self) {
        self.often.set(true);
    }

    /// What code made quickly is to count.
    pub(super) fn countdown(&'static self) -> Countdown {
        Countdown { left: self.left.as_ptr(), reached, argument: self.bits() }
    }

    /// Code is made quickly: nothing is deserved before so many entries.
    pub(super) fn begin_anew(&self, entries: u32) {
        self.often.set(false);
        self.left.set(u64::from(entries.max(1)));
    }

    /// Waits for so many entries of code made quickly, unless it is waiting for fewer.
    pub(super) fn wait_for(&self, entries: u32) {
        self.left.set(self.left.get().min(u64::from(entries.max(1))));
    }

    /// The callee that stands for a call of the place.
    pub(crate) fn callee(&self) -> &'static Callee {
        self.spread.get().unwrap_or(&self.driver.entry)
    }

    /// Decides how the portal's frame is spread, for ever.
    pub(super) fn spread(&self, spread: Spread) {
        let spread = Box::leak(Box::new(spread));
        self.spread.set(Some(Box::leak(Box::new(Callee { spread: Some(spread), ..self.driver.entry }))));
    }

    /// Says what code there is; whoever gives some keeps it alive until it says something else.
    pub(super) fn publish(&self, code: Option<&Rc<Compiled>>) {
        let entry = code.and_then(|code| code.machine.as_ref()).map_or(no_code as _, |machine| machine.entry());
        let spread = code.is_some_and(|code| code.code.spread.is_some());
        self.spreads.set(spread);
        self.head.entry.set(if spread { no_code } else { entry });
        self.head.spread.set(if spread { entry } else { no_code });
        self.code.set(code.filter(|code| code.machine.is_some()).map(Rc::as_ptr));
    }

    /// Whose cell it is.
    pub(super) fn place(&self) -> PlaceId {
        self.place
    }

    /// The driver of its place.
    pub(super) fn driver(&self) -> &'static Driver {
        self.driver
    }

    /// The greens of its place.
    pub(super) fn greens(&self) -> &[u64] {
        &self.greens
    }

    /// Whether it is the cell of this place.
    #[inline]
    pub(super) fn is_of(&self, driver: &'static Driver, greens: &[u64]) -> bool {
        // There are few: comparing them as memory takes a call.
        std::ptr::eq(self.driver, driver) && self.greens.iter().eq(greens)
    }

    /// Puts what the code that there is takes for these reds into the context's slots: the code's function; `None` if it can't be
    /// entered with them.
    #[inline]
    pub(super) fn take_reds(&self, reds: &[u64]) -> Option<Entry> {
        let spread = if self.spreads.get() { self.callee().spread } else { None };
        let entry = if spread.is_some() { &self.head.spread } else { &self.head.entry };
        take(spread, reds).then(|| entry.get())
    }

    /// How often the driver has entered code of the place.
    pub(super) fn entries(&self) -> u64 {
        self.entries.get()
    }

    /// The driver enters code of the place.
    #[inline]
    pub(super) fn count_entry(&self) {
        self.entries.set(self.entries.get() + 1);
    }

    /// The code that there is.
    #[inline]
    pub(super) fn compiled(&self) -> Option<Rc<Compiled>> {
        let compiled = self.code.get()?;
        // SAFETY: the cell's code is alive, and stays so while a reference to it is held.
        Some(unsafe {
            Rc::increment_strong_count(compiled);
            Rc::from_raw(compiled)
        })
    }
}

/// Called by code made quickly when it has been entered often.
extern "C" fn reached(cell: u64) -> u64 {
    // SAFETY: the countdown names its cell.
    let cell = unsafe { &*(cell as *const CallCell) };
    cell.left.set(u64::MAX);
    called_often(cell.place);
    0
}

/// Finishes a call of a portal that compiled code began: `number` is what the portal's code returned instead of `FINISH`.
/// The result words go to the context. This is the function of each portal's [`Callee`].
///
/// # Safety
/// `cell` is the address of a call cell of this thread. The context has what goes with the number: the reds if there is no
/// code, an exit's slots.
pub unsafe extern "C" fn finish_call(cell: u64, number: u64) -> u64 {
    // SAFETY: the caller's contract; cells live for ever.
    let cell = unsafe { &*(cell as *const CallCell) };
    // SAFETY: the context lives as long as the thread; nothing else uses it now.
    finish(cell, number, || unsafe { (&(*context()).slots)[..cell.driver.portal.reds.len()].to_vec() });
    0
}

/// The same for a call with the frame spread.
///
/// # Safety
/// As for [`finish_call`]; if there is no code, the context has the words that the frame was spread to.
pub(crate) unsafe extern "C" fn finish_spread(cell: u64, number: u64) -> u64 {
    // SAFETY: the caller's contract; cells live for ever.
    let cell = unsafe { &*(cell as *const CallCell) };
    finish(cell, number, || match cell.callee().spread {
        Some(spread) => whole_reds(spread, cell.driver.portal.reds.len()),
        None => unreachable!("only calls of cells that say how spread the frame"),
    });
    0
}

fn finish(cell: &'static CallCell, number: u64, reds: impl FnOnce() -> Vec<u64>) {
    if number == PANICKED {
        // The caller is compiled code, too: it finds the flag set, and leaves.
        return;
    }
    let finish = || match number {
        NO_CODE => call(cell, &reds()),
        number => finish_portal(cell.place, cell.driver, code_of(number), number),
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(finish)) {
        Ok(()) => {}
        Err(payload) => carry(payload),
    }
}

/// Calls a portal: if its code takes the frame in another way than the caller passed it, that code; else by the driver. The result words
/// go to the context.
fn call(cell: &CallCell, reds: &[u64]) {
    let marker = 0u8;
    // SAFETY: the context lives as long as the thread.
    let has_room = (&raw const marker as u64) >= unsafe { (*context()).stack_limit };
    if has_room && let Some(compiled) = cell.compiled().filter(|compiled| compiled.take_reds(reds)) {
        let number = compiled.execute(0);
        return finish_portal(cell.place, cell.driver, compiled, number);
    }
    let mut words = Words::default();
    (cell.driver.call)(&cell.greens, reds, &mut words);
    return_words(&words);
}
