//! Quasi-immutable fields: which trees took a field's value for a constant, and what happens when it is written.
//!
//! A trace that reads such a field of a constant object has the value as a constant, and tests a word that says whether all
//! such values still hold (`guard_valid`) wherever other code may have run in between. A write sets the word of every tree
//! that depends on the field, and throws those trees away; an activation that is inside finds out at its next test.

use super::runtime;
use crate::object::Header;
use crate::record::FastMap;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether a tree's constants still hold: 1, or 0 once it is invalid. Compiled code reads it.
pub(crate) type Validity = Arc<AtomicU64>;

thread_local! {
    static DEPENDENTS: RefCell<FastMap<(u64, u32), Vec<Validity>>> = RefCell::new(FastMap::default());
}

/// Whether any tree of any thread took a field for a constant: of the thread's own variables, interpreters would compute the address
/// at each entry.
static ANY: AtomicBool = AtomicBool::new(false);

pub(crate) fn new_validity() -> Validity {
    Arc::new(AtomicU64::new(1))
}

pub(crate) fn holds(validity: &Validity) -> bool {
    validity.load(Ordering::Relaxed) != 0
}

/// Notes that a tree takes the field for a constant.
pub(crate) fn depend(object: u64, offset: u32, validity: &Validity) {
    super::keep_constant(object);
    ANY.store(true, Ordering::Relaxed);
    DEPENDENTS.with_borrow_mut(|dependents| {
        let trees = dependents.entry((object, offset)).or_default();
        trees.retain(|tree| Arc::strong_count(tree) > 1);
        if !trees.iter().any(|tree| Arc::ptr_eq(tree, validity)) {
            trees.push(validity.clone());
        }
    });
}

/// Called after a quasi-immutable field was written.
#[inline]
pub(crate) fn written(object: *mut Header, offset: u32) {
    if ANY.load(Ordering::Relaxed) {
        invalidate(object as u64, offset);
    }
}

#[cold]
fn invalidate(object: u64, offset: u32) {
    let trees = DEPENDENTS.with_borrow_mut(|dependents| dependents.remove(&(object, offset)));
    let Some(trees) = trees else { return };
    for tree in &trees {
        tree.store(0, Ordering::Relaxed);
    }
    runtime::drop_invalid();
}
