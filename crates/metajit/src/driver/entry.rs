//! The short way from the interpreter into code.
//!
//! **Problem.** Interpreted code that calls compiled code does so again and again: a primitive that runs a block, a handler that
//! threaded code calls. Finding the place, asking what code it has and keeping that alive takes longer than most such calls.
//!
//! **Approach.** The call cells of places entered lately are in a small table by their greens. A cell says what code there is, so
//! entering it is what compiled code does that calls another portal: the stack is tested, the reds go to the context, and what
//! does not end by a return goes the long way from there. Now and then an entry goes the long way from the
//! beginning, which publishes what was compiled meanwhile.
//!
//! **Invariants.** Cells live for ever and name code that is alive, or none. When the thread's runtime ends, and its code with it, the
//! table is emptied and stays so.

use super::Driver;
use super::cell::CallCell;
use super::runtime::{self, Entered};
use crate::context::{FINISH, NO_CODE, PANICKED};
use std::cell::Cell;

/// Places remembered: more than programs call by turns.
const RECENT: usize = 512;
/// One entry in so many goes the long way.
const LONG_WAY: u32 = 64;

thread_local! {
    static CELLS: [Cell<Option<&'static CallCell>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
    static ENTRIES: Cell<u32> = const { Cell::new(0) };
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

fn slot(driver: &'static Driver, greens: &[u64]) -> usize {
    (runtime::hash(driver, greens) >> 40) as usize % RECENT
}

/// A place's code was entered at its start, the long way.
pub(super) fn remember(cell: &'static CallCell) {
    if !ENDED.get() {
        CELLS.with(|cells| cells[slot(cell.driver(), cell.greens())].set(Some(cell)));
    }
}

/// The runtime ends, and all code with it.
pub(super) fn forget_all() {
    ENDED.set(true);
    CELLS.with(|cells| cells.iter().for_each(|cell| cell.set(None)));
}

/// Runs the code of these greens, if it is known to have some.
#[inline]
pub(super) fn enter(driver: &'static Driver, greens: &[u64], reds: &[u64]) -> Option<Entered> {
    let cell = CELLS.with(|cells| cells[slot(driver, greens)].get()).filter(|cell| cell.is_of(driver, greens))?;
    let entries = ENTRIES.get().wrapping_add(1);
    ENTRIES.set(entries);
    if entries.is_multiple_of(LONG_WAY) {
        return None;
    }
    let context = runtime::context();
    let here = 0u8;
    // SAFETY: the context lives as long as the thread, and no reference to it is held across a run. The cell's code is
    // alive.
    unsafe {
        if (std::ptr::from_ref(std::hint::black_box(&here)) as u64) < (*context).stack_limit {
            return None;
        }
        match cell.take_reds(reds)?(context) {
            NO_CODE => None,
            FINISH => {
                cell.count_entry();
                Some(Entered::Return)
            }
            PANICKED => runtime::resume_panic(),
            exit => {
                cell.count_entry();
                Some(runtime::follow(cell.place(), driver, runtime::code_of(exit), exit))
            }
        }
    }
}
