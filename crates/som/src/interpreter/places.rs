//! Where activations are: kept on a list for `printStackTrace`, if it may be asked for (see [`crate::trace`]).
//!
//! An instruction that sends a message notes its place before, and forgets it after, however it was answered. That is done by ordinary
//! code of the interpreter, so all tiers do it alike.

use super::sends::call;
use crate::objects::{Frame, Method, Place, Unwind};
use crate::universe::universe;
use crate::value::Value;
use metajit::prelude::*;

/// Notes an instruction, if places are kept; what was noted before.
#[jit]
#[inline(always)]
pub fn note_place(method: Method, at: i64) -> Maybe<Place> {
    let before = universe().place();
    if universe().forgets_places() {
        return before;
    }
    universe().set_place(Maybe::some(Place::alloc(before, method, at)));
    before
}

/// Forgets what was noted since.
#[jit]
#[inline(always)]
pub fn forget_places(before: Maybe<Place>) {
    universe().set_place(before);
}

/// [`call`] on behalf of the send at a site, whose place is noted.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(never)]
pub fn call_noted(
    callee: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    method: Method,
    site: i64,
) -> Result<Value, Unwind> {
    let before = note_place(method, !site);
    let answer = call(callee, frame, base, arguments);
    forget_places(before);
    answer
}
