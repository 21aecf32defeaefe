//! What keeps objects alive besides the native stack: explicit roots, ranges of words, and visitors.
//!
//! **Problem.** Handles that foreign Rust memory holds (a symbol table, a code object's constants, an exit
//! buffer) are invisible to the stack scan.
//!
//! **Approach.** Three ways, from the dearest to the cheapest per handle: a [`Root`] for one handle; a [`RootRange`] for words
//! at a fixed place, such as the buffers that compiled code writes to; a visitor ([`add_roots`]) for a whole table that can
//! enumerate its handles. The tables here belong to the thread, and outlive the heap's own structure, so that
//! a root may be dropped while the collector or the thread's end is under way.
//!
//! **Invariant.** After a collection everything alive is old. So a minor collection looks only at the roots set
//! since the last one (`fresh`); ranges and visitors are asked every time, as nobody reports changes to them.
//!
//! Weak references and finalizers are here too, for they are the same kind of table read after marking
//! instead of before it: [`Weak`] is a slot that is cleared, and [`on_death`] a closure that is called, once a
//! collection finds the object unreachable. A finalizer gets no handle: the dead stay dead.

use super::collector::RootSink;
use crate::object::Item;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;

/// Slots addressed by number, in constant time.
#[derive(Debug)]
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    unused: Vec<u32>,
}

impl<T> Slab<T> {
    const fn new() -> Slab<T> {
        Slab { items: Vec::new(), unused: Vec::new() }
    }
    fn insert(&mut self, item: T) -> u32 {
        match self.unused.pop() {
            Some(number) => {
                self.items[number as usize] = Some(item);
                number
            }
            None => {
                self.items.push(Some(item));
                self.items.len() as u32 - 1
            }
        }
    }
    fn remove(&mut self, number: u32) {
        if self.items[number as usize].take().is_some() {
            self.unused.push(number);
        }
    }
    fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.items.get_mut(number as usize)?.as_mut()
    }
}

#[derive(Debug)]
struct Slot {
    word: u64,
    /// Whether it was set since the last collection (and so is listed as fresh).
    fresh: bool,
    /// Whether the object it named has died (of a weak reference).
    dead: bool,
}

/// Words addressed by number, those that changed since the last collection listed apart.
#[derive(Debug)]
struct Slots {
    slots: Vec<Slot>,
    unused: Vec<u32>,
    fresh: Vec<u32>,
}

impl Slots {
    const fn new() -> Slots {
        Slots { slots: Vec::new(), unused: Vec::new(), fresh: Vec::new() }
    }
    fn insert(&mut self, word: u64) -> u32 {
        let number = self.unused.pop().unwrap_or_else(|| {
            self.slots.push(Slot { word: 0, fresh: false, dead: false });
            self.slots.len() as u32 - 1
        });
        self.set(number, word);
        number
    }
    fn set(&mut self, number: u32, word: u64) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.word = word;
            slot.dead = false;
            if !std::mem::replace(&mut slot.fresh, true) {
                self.fresh.push(number);
            }
        }
    }
    fn remove(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.word = 0;
            self.unused.push(number);
        }
    }
    /// Visits all slots, or the fresh ones, none of which is fresh afterwards.
    fn drain_fresh(&mut self, all: bool, mut visit: impl FnMut(&mut Slot)) {
        if all {
            self.fresh.clear();
            for slot in &mut self.slots {
                slot.fresh = false;
                visit(slot);
            }
        } else {
            for number in self.fresh.drain(..) {
                let slot = &mut self.slots[number as usize];
                slot.fresh = false;
                visit(slot);
            }
        }
    }
}

type Visitor = Rc<dyn Fn(&mut RootVisitor<'_>)>;
type Action = Box<dyn FnOnce()>;

/// The roots of one thread.
pub(super) struct Tables {
    roots: Slots,
    ranges: Slab<(*const u64, *const u64)>,
    visitors: Slab<Visitor>,
    weak: Slots,
    finalizers: Vec<(u64, Action)>,
    /// How many of the finalizers, from the first, are for old objects.
    old_finalizers: usize,
    dead: Vec<Action>,
}

thread_local! {
    static TABLES: RefCell<Tables> = const { RefCell::new(Tables {
        roots: Slots::new(),
        ranges: Slab::new(),
        visitors: Slab::new(),
        weak: Slots::new(),
        finalizers: Vec::new(),
        old_finalizers: 0,
        dead: Vec::new(),
    }) };
}

thread_local! {
    /// Whether finalizers wait to be run.
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Changes the tables; nothing happens when the thread is ending and they are gone.
fn with_tables<R>(f: impl FnOnce(&mut Tables) -> R) -> Option<R> {
    TABLES.try_with(|tables| f(&mut tables.borrow_mut())).ok()
}

/// Keeps an object alive while foreign Rust memory holds it.
///
/// Making, changing and dropping one takes constant time. In Rust locals handles need none.
pub struct Root<T: Item> {
    value: Cell<T>,
    number: u32,
    /// Belongs to the thread's heap.
    not_send: PhantomData<*mut ()>,
}

impl<T: Item> Root<T> {
    /// Roots `handle`.
    pub fn new(handle: T) -> Root<T> {
        let number = with_tables(|tables| tables.roots.insert(handle.to_bits()));
        Root { value: Cell::new(handle), number: number.unwrap_or(u32::MAX), not_send: PhantomData }
    }
    /// The rooted handle.
    pub fn get(&self) -> T {
        self.value.get()
    }
    /// Roots another handle instead.
    pub fn set(&self, handle: T) {
        self.value.set(handle);
        with_tables(|tables| tables.roots.set(self.number, handle.to_bits()));
    }
}

impl<T: Item> Drop for Root<T> {
    fn drop(&mut self) {
        with_tables(|tables| tables.roots.remove(self.number));
    }
}

impl<T: Item> Clone for Root<T> {
    fn clone(&self) -> Root<T> {
        Root::new(self.get())
    }
}

impl<T: Item + std::fmt::Debug> std::fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Root").field(&self.get()).finish()
    }
}

/// Keeps alive whatever the words at a fixed place may name, for as long as it exists.
///
/// The words are taken as those of a stack: an address inside or at the end of an object will do. They are read at
/// each collection, so nobody need report changes.
#[derive(Debug)]
pub struct RootRange {
    number: u32,
    not_send: PhantomData<*mut ()>,
}

impl RootRange {
    /// Registers `words` words from `start`.
    ///
    /// # Safety
    /// The words must stay readable until this is dropped or set to others.
    ///
    /// # Panics
    /// If `start` is not a multiple of eight.
    pub unsafe fn new(start: *const u64, words: usize) -> RootRange {
        assert!(start.is_aligned(), "a root range begins at a whole word");
        let end = start.wrapping_add(words);
        let number = with_tables(|tables| tables.ranges.insert((start, end)));
        RootRange { number: number.unwrap_or(u32::MAX), not_send: PhantomData }
    }
    /// Registers other words instead: to grow, to shrink to what is in use, or to follow a buffer that moved.
    ///
    /// # Safety
    /// As [`RootRange::new`].
    ///
    /// # Panics
    /// As [`RootRange::new`].
    pub unsafe fn set(&self, start: *const u64, words: usize) {
        assert!(start.is_aligned(), "a root range begins at a whole word");
        with_tables(|tables| {
            if let Some(range) = tables.ranges.get_mut(self.number) {
                *range = (start, start.wrapping_add(words));
            }
        });
    }
}

impl Drop for RootRange {
    fn drop(&mut self) {
        with_tables(|tables| tables.ranges.remove(self.number));
    }
}

/// What a function given to [`add_roots`] tells its handles to.
pub struct RootVisitor<'s>(&'s mut dyn RootSink);

impl RootVisitor<'_> {
    /// Keeps alive what this handle or value names.
    #[inline]
    pub fn visit<T: Item>(&mut self, handle: T) {
        self.0.value(handle.to_bits());
    }
    /// Keeps alive what this word may name, be it an address inside an object.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.0.word(word);
    }
    /// Keeps alive what these words may name.
    pub fn words(&mut self, words: &[u64]) {
        for &word in words {
            self.0.word(word);
        }
    }
}

impl std::fmt::Debug for RootVisitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootVisitor")
    }
}

/// The registration of a function given to [`add_roots`]; dropping it ends the registration.
#[derive(Debug)]
pub struct Roots {
    number: u32,
    not_send: PhantomData<*mut ()>,
}

impl Drop for Roots {
    fn drop(&mut self) {
        // What the visitor owns may hold roots itself, so it is dropped with the tables free.
        let visitor = with_tables(|tables| {
            let taken = tables.visitors.get_mut(self.number).cloned();
            tables.visitors.remove(self.number);
            taken
        });
        drop(visitor);
    }
}

/// Registers a function that is called at each collection and names the handles that some Rust memory holds.
///
/// The function must not allocate objects.
#[must_use = "the registration ends when this is dropped"]
pub fn add_roots(visitor: Box<dyn Fn(&mut RootVisitor<'_>)>) -> Roots {
    let number = with_tables(|tables| tables.visitors.insert(visitor.into()));
    Roots { number: number.unwrap_or(u32::MAX), not_send: PhantomData }
}

/// A handle that does not keep its object alive.
///
/// It is cleared by the first collection that finds the object unreachable. A minor collection does not look
/// for old objects that died; a major one ([`collect`](super::collect)) finds all, but for those that a word of some stack happens to name.
#[derive(Debug)]
pub struct Weak<T: Item> {
    number: u32,
    kind: PhantomData<(*mut (), T)>,
}

impl<T: Item> Weak<T> {
    /// A weak handle on what `handle` names. A value that names no object is kept as it is.
    pub fn new(handle: T) -> Weak<T> {
        let number = with_tables(|tables| tables.weak.insert(handle.to_bits()));
        Weak { number: number.unwrap_or(u32::MAX), kind: PhantomData }
    }
    /// The handle, unless its object is dead.
    pub fn get(&self) -> Option<T> {
        with_tables(|tables| {
            let slot = tables.weak.slots.get(self.number as usize)?;
            (!slot.dead).then(|| T::from_bits(slot.word))
        })
        .flatten()
    }
    /// Whether the object is dead.
    pub fn is_dead(&self) -> bool {
        self.get().is_none()
    }
}

impl<T: Item> Drop for Weak<T> {
    fn drop(&mut self) {
        with_tables(|tables| tables.weak.remove(self.number));
    }
}

impl<T: Item> Clone for Weak<T> {
    fn clone(&self) -> Weak<T> {
        let number = with_tables(|tables| {
            let &Slot { word, dead, .. } = tables.weak.slots.get(self.number as usize)?;
            let number = tables.weak.insert(word);
            tables.weak.slots[number as usize].dead = dead;
            Some(number)
        });
        Weak { number: number.flatten().unwrap_or(u32::MAX), kind: PhantomData }
    }
}

/// Calls `action` once what `handle` names has died.
///
/// When is up to [`Config::finalizers`](super::Config): at the end of a collection, or on request. What has not died when the thread ends is not
/// finalized. The action may allocate; the collector does not run meanwhile. A panic in it is reported and stops there.
pub fn on_death<T: Item>(handle: T, action: impl FnOnce() + 'static) {
    with_tables(|tables| {
        tables.finalizers.push((handle.to_bits(), Box::new(action)));
    });
}

/// Runs the finalizers of the objects found dead; how many there were.
pub fn run_finalizers() -> usize {
    let dead = with_tables(|tables| std::mem::take(&mut tables.dead)).unwrap_or_default();
    WAITING.set(false);
    let count = dead.len();
    super::without_collection(|| {
        for action in dead {
            // The action owns what it captures, so nothing half-done is seen after a panic.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
            if outcome.is_err() {
                eprintln!("metajit: a finalizer panicked");
            }
        }
    });
    count
}

/// Whether finalizers wait to be run.
#[inline]
pub(super) fn finalizers_wait() -> bool {
    WAITING.get()
}

/// Shows the roots in the tables, all or those that may name young objects; how many words, but for the visitors'.
pub(super) fn visit(all: bool, sink: &mut dyn RootSink) -> usize {
    let mut words = 0;
    let visitors = with_tables(|tables| {
        tables.roots.drain_fresh(all, |slot| {
            sink.value(slot.word);
            words += 1;
        });
        for &(from, to) in tables.ranges.items.iter().flatten() {
            // SAFETY: the promise made when the range was registered.
            unsafe { sink.words(from, to) };
            words += (to as usize - from as usize) / 8;
        }
        tables.visitors.items.iter().flatten().cloned().collect::<Vec<_>>()
    });
    for visitor in visitors.into_iter().flatten() {
        visitor(&mut RootVisitor(sink));
    }
    words
}

/// Clears the weak references to what did not survive, and finds the finalizers to run.
pub(super) fn after_marking(all: bool, survives: &mut dyn FnMut(u64) -> bool) {
    with_tables(|tables| {
        tables.weak.drain_fresh(all, |slot| {
            slot.dead = slot.dead || !survives(slot.word);
        });
        let mut index = if all { 0 } else { tables.old_finalizers };
        while index < tables.finalizers.len() {
            if survives(tables.finalizers[index].0) {
                index += 1;
            } else {
                let (_, action) = tables.finalizers.swap_remove(index);
                tables.dead.push(action);
            }
        }
        tables.old_finalizers = tables.finalizers.len();
        WAITING.set(!tables.dead.is_empty());
    });
}
