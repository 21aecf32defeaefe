//! The heap: objects without rooting, collected on the thread that allocates.
//!
//! **Problem.** An interpreter written in Rust, and the machine code made from it, keep handles wherever they like: in locals, in
//! registers, in Rust's own stack frames. Nobody writes rooting code, objects may not move, allocation should cost
//! a handful of instructions, and short-lived objects should cost next to nothing to free.
//!
//! **Approach.** A mark-region heap in the family of Immix, one for each thread:
//!
//! * Memory is divided into blocks of 32 KiB and lines of 32 bytes. Objects are allocated by moving a cursor through runs of
//!   free lines; whatever size they have, one cursor serves (so that compiled code merges the allocations of a
//!   trace into one). Objects beyond 8 KiB have pages of their own (`large`).
//! * Roots on native stacks and in registers are found conservatively (`stack`), references inside objects by their shapes
//!   (`mark`). Because roots may be false, nothing moves; because nothing moves, an address is an identity.
//! * Marks stick: an object that survived one collection is old, and a minor collection takes it as alive. A
//!   write barrier notes old objects that are written to, each once per collection ([`write_barrier`]): the bit it
//!   tests is set exactly in old objects not yet noted, so that new objects never take the slow path. Of long arrays the
//!   items written to are noted one by one, until they are many ([`write_barrier_item`]).
//! * A minor collection costs what is young and alive, plus the roots, plus a few words per block allocated into. Dead
//!   objects are never looked at, unless an uncertain word points into their block.
//!
//! What objects need of memory is a window to allocate from and a bit to test; who is behind them is a [`Collector`], so
//! that an arena or another collector may take the place of the one here ([`install`]).
//!
//! `space` owns the layout of the address space and states the invariants H1 to H6 that all `unsafe` in this directory rests on.
//! `heap` hands out memory and runs collections; `roots` holds explicit roots, weak references and finalizers; `verify` checks
//! the heap under [`Config::verify`]; `config` reads `METAJIT_GC`.
//!
//! **For users.** Handles on the native stack of the thread are safe. Handles in other Rust memory (a `Vec`, a `HashMap`, a `static`, a
//! thread-local) need a [`Root`], a visitor ([`add_roots`]), or a place in an object. The heap dies with its
//! thread: handles must not be used by destructors of thread-locals.
//!
//! **For compiled code.** [`inline_allocation`] and [`write_barrier`] say what to emit.
//!
//! **Rejected.** *Blocks of one size each*: finds objects by division instead of by walking, but needs a cursor per size. *Reference
//! counts*: every copy of a handle in a local would count. *A bit per object set at allocation* (to know where objects begin): costs
//! every allocation what only a few collections need. *Precise stack maps*: Rust has none. *Lines of 128 bytes*, as
//! Immix has them: where 256 MiB of small trees are replaced at random, resident memory was 2.7 times what lived,
//! with lines of 64 bytes 2.1 times, with lines of 32 bytes 1.7 times, at the same speed (before the growth factor was
//! lowered; `cargo bench -p metajit --bench gc -- --only heap_overhead`, two shared x86-64 cores). *Noting whole
//! arrays only*: minor pauses of a heap of 1 GiB whose tables of 1,024 are written at random fell from 31 ms to 4 ms (`--only 1g`).
//!
//! **Measured against `mmtk`.** Both were built as spikes for the same benchmarks (`benches/gc.rs`; mmtk 0.32 with StickyImmix, nothing
//! moving, valid-object bits, every word of the stack looked up and pinned, one worker, link-time optimization; two shared x86-64 cores
//! at a load of about ten, so compare orders of magnitude, not percents):
//!
//! | | here | `mmtk` |
//! |---|---|---|
//! | start to first object, CPU | 8 µs | 930 to 1,150 µs |
//! | object of 32 bytes, dropped | 1.8 ns | 14.5 ns (nursery of 1 MiB: 11.9 ns) |
//! | the same, one in sixteen kept for a while | 10 ns | 19 ns with 256 MiB of heap, 34 ns with 64 MiB |
//! | node of trees of depth 16 | 17 ns | 17 ns with 256 MiB, 22 ns with 64 MiB |
//! | write into a table of a million | 100 ns | 71 ns with 256 MiB; with 64 MiB out of memory |
//! | memory for 256 MiB live, replaced at random | 1.5 times that | with a heap of 512 MiB out of memory, of 640 MiB not done after 200 s, of 768 MiB 3.1 times that |
//! | longest pause of these, wall | 0.2 to 0.9 s, major; 3 to 6 ms, minor | 6 s |
//! | 1 GiB live, random writes | 1.4 times the time outside the collector | with 1.5 GiB out of memory, with 2 GiB not done after 300 s |
//! | code | 2,600 lines | 300 lines of binding, a library of 52,000, 106 crates |
//! | build | 4 s of ours | 75 s (CPU) |
//!
//! What decides is not in the table only: there is one instance of mmtk in a process and its collector runs on threads of its own,
//! while here each thread has a heap (two virtual machines in one process share nothing); an allocation writes a bit for each object,
//! which compiled code would have to do too; and without moving, which handles on native stacks forbid for most of what is young, its
//! heap falls apart into lines of 256 bytes, where the one here has lines of 32.
//!
//! **Open.** Major collections stop the
//! thread for as long as marking takes (about 17 ns per live object, a quarter of a second for 1 GiB of small ones); marking could be done
//! in steps, or by several threads. Native stacks are scanned whole at each minor collection, although frames that did not run since
//! the last one can only name old objects; the nursery grows with the stack instead, which bounds the cost per
//! allocated byte but not the pause. An object allocated by a trace loses its right to writes without barrier
//! at the next call that may collect; an age of one collection would keep it a little longer. A nursery full of objects whose fields are
//! *values* is walked whole to find where objects begin; that costs less than a nanosecond per object.

mod collector;
mod config;
mod heap;
mod large;
mod mark;
mod roots;
mod space;
mod stack;
mod statistics;
mod verify;

pub use collector::{Collector, RootSink, Window, after_marking, visit_roots};
pub use config::{Config, Finalizers, OutOfMemory, Stress};
pub use roots::{Root, RootRange, RootVisitor, Roots, Weak, add_roots, on_death, run_finalizers};
pub use stack::on_stack;
pub use statistics::{Cause, Collection, Event, Kind, Statistics};

use crate::object::{Header, Shape};
use heap::{Heap, POISON};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The bit of [`Header::gc`] that is set when a write of a reference must be reported.
pub const BARRIER_BIT: u32 = 1;

thread_local! {
    /// Needs no destructor and no initialisation, so that its address is a constant of the thread.
    static WINDOW: Window = const { Window::new() };
    /// The thread's collector; none before the first allocation and when the thread is ending.
    static HEAP: Cell<Option<NonNull<RefCell<dyn Collector>>>> = const { Cell::new(None) };
    /// Owns the collector.
    static OWNER: RefCell<Option<Owner>> = const { RefCell::new(None) };
    static LISTENERS: RefCell<Vec<(u64, Rc<Listener>)>> = const { RefCell::new(Vec::new()) };
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

/// What [`subscribe`] is given, with the numbers that tell listeners apart.
type Listener = dyn Fn(&Event);

/// While it exists, a function is told of this thread's events; see [`subscribe`].
#[derive(Debug)]
#[must_use = "nothing is told any more when this is dropped"]
pub struct Subscription {
    number: u64,
    /// Belongs to the thread.
    not_send: PhantomData<*mut ()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // When the thread is ending, the listeners may be gone already. What a listener owns is dropped with the list free.
        let taken = LISTENERS.try_with(|listeners| {
            let mut listeners = listeners.borrow_mut();
            let at = listeners.iter().position(|listener| listener.0 == self.number)?;
            Some(listeners.remove(at))
        });
        drop(taken);
    }
}

/// Frees the heap when the thread ends.
struct Owner(NonNull<RefCell<dyn Collector>>);

impl Drop for Owner {
    fn drop(&mut self) {
        WINDOW.with(Window::close);
        HEAP.set(None);
        // SAFETY: made from a box; the cell just cleared was the only other that knew it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Runs `f` on the thread's collector, if there is one.
#[inline]
fn with_existing_heap<R>(f: impl FnOnce(&mut dyn Collector) -> R) -> Option<R> {
    let heap = HEAP.get()?;
    // SAFETY: it lives until the cell says otherwise, and no reference is kept.
    match unsafe { heap.as_ref() }.try_borrow_mut() {
        Ok(mut heap) => Some(f(&mut *heap)),
        Err(_) => panic!("the heap is being collected: a visitor or listener can't use it"),
    }
}

/// Runs `f` on the thread's collector, which is made now if there is none.
#[inline]
fn with_heap<R>(f: impl FnOnce(&mut dyn Collector) -> R) -> Result<R, OutOfMemory> {
    if HEAP.get().is_none() {
        make_heap()?;
    }
    with_existing_heap(f).ok_or(OutOfMemory { requested: 0, limit: 0 })
}

#[cold]
fn make_heap() -> Result<(), OutOfMemory> {
    let heap = Heap::new(CONFIG.take().unwrap_or_default())?;
    own(Box::new(RefCell::new(heap)));
    Ok(())
}

fn own(heap: Box<RefCell<dyn Collector>>) {
    let heap = NonNull::from(Box::leak(heap));
    let owned = OWNER.try_with(|owner| *owner.borrow_mut() = Some(Owner(heap)));
    assert!(owned.is_ok(), "the thread is ending: its heap is gone");
    HEAP.set(Some(heap));
}

/// Puts another collector in the place of the built-in heap, for this thread.
///
/// # Panics
/// If the thread has allocated already.
pub fn install(collector: impl Collector + 'static) {
    assert!(HEAP.get().is_none(), "a collector must be installed before the thread's first allocation");
    own(Box::new(RefCell::new(collector)));
}

/// Tells the listeners, in the order in which they subscribed.
fn event(event: &Event) {
    // A listener may subscribe others or end subscriptions.
    for (_, listener) in LISTENERS.with_borrow(Clone::clone) {
        listener(event);
    }
}

/// Allocates an object whose fields are all zero bits (but for the length of its array).
///
/// # Panics
/// With an [`OutOfMemory`] as payload if the heap's limit leaves no room, even after a collection.
#[inline]
pub fn alloc(shape: &'static Shape, len: usize) -> *mut Header {
    match try_alloc(shape, len) {
        Ok(object) => object,
        Err(error) => out_of_memory(error),
    }
}

#[cold]
#[inline(never)]
fn out_of_memory(error: OutOfMemory) -> ! {
    std::panic::panic_any(error)
}

/// The most items of an array for which the size is computed without a test for overflow.
const LENGTH_MAX: usize = 1 << 40;

/// As [`alloc`], without the panic.
///
/// # Errors
/// If the heap's limit leaves no room, even after a collection.
#[inline]
pub fn try_alloc(shape: &'static Shape, len: usize) -> Result<*mut Header, OutOfMemory> {
    let bytes = match shape.array {
        Some(_) if len > LENGTH_MAX => usize::MAX,
        _ => shape.bytes(len),
    };
    let taken = WINDOW.with(|window| {
        let address = window.cursor.get();
        let end = address.wrapping_add(bytes);
        if end <= window.limit.get() && bytes <= space::LARGE_BYTES {
            window.cursor.set(end);
            Some(address)
        } else {
            None
        }
    });
    match taken {
        Some(address) => {
            // SAFETY: the memory is the object's, and as large as one of the shape with so many items.
            unsafe { write_header(address, shape, len) };
            Ok(address as *mut Header)
        }
        None => alloc_slow(shape, len, bytes),
    }
}

/// Makes memory an object.
///
/// # Safety
/// The memory must be zero, used by nobody, and large enough.
#[inline(always)]
unsafe fn write_header(address: usize, shape: &'static Shape, len: usize) {
    // SAFETY: the caller's contract: there is room for a header and the array's length.
    unsafe {
        (address as *mut Header).write(Header { shape: shape.id(), gc: AtomicU32::new(0) });
        if let Some(array) = shape.array {
            *((address + array.offset as usize - 8) as *mut u64) = len as u64;
        }
    }
}

#[cold]
#[inline(never)]
fn alloc_slow(shape: &'static Shape, len: usize, bytes: usize) -> Result<*mut Header, OutOfMemory> {
    let address = WINDOW.with(|window| with_heap(|heap| heap.allocate(bytes, window)))??;
    // SAFETY: the collector has just handed it out. Before finalizers run, as they may allocate: no memory may
    // be without a header when somebody walks the heap.
    unsafe { write_header(address, shape, len) };
    after_collection();
    Ok(address as *mut Header)
}

/// Makes objects side by side, as compiled code does it that makes several at once: the first one's address; the others follow in
/// order, each after the bytes of the one before. There must be one at least, and all together may have as many bytes as one
/// [`inline_allocation`] is asked about.
///
/// # Errors
/// As [`try_alloc`].
#[cfg(feature = "jit")]
pub(crate) fn try_alloc_together(
    objects: impl Iterator<Item = (&'static Shape, usize)> + Clone,
) -> Result<*mut Header, OutOfMemory> {
    let bytes = objects.clone().map(|(shape, len)| shape.bytes(len)).sum();
    let first = WINDOW.with(|window| with_heap(|heap| heap.allocate(bytes, window)))??;
    let mut address = first;
    for (shape, len) in objects {
        // SAFETY: the collector has just handed out memory for all of them; see `alloc_slow`.
        unsafe { write_header(address, shape, len) };
        address += shape.bytes(len);
    }
    after_collection();
    Ok(first as *mut Header)
}

/// Runs the finalizers if some wait.
fn after_collection() {
    if roots::finalizers_wait()
        && with_existing_heap(|heap| heap.configuration().finalizers == Finalizers::AtCollection) == Some(true)
    {
        run_finalizers();
    }
}

/// Allocation for compiled code when there is no room for the inline sequence: as [`try_alloc`], but null on failure.
///
/// # Safety
/// `shape` must be a shape's address.
pub unsafe extern "C" fn metajit_gc_alloc(shape: *const Shape, len: u64) -> *mut Header {
    // SAFETY: the caller's contract; shapes live for ever.
    let shape = unsafe { &*shape };
    try_alloc(shape, len as usize).unwrap_or(std::ptr::null_mut())
}

/// Notes that a reference may be about to be written into `object`.
///
/// Compiled code does the same inline, before or after the write, but without a possible collection between the two:
///
/// ```text
/// test dword [object + 4], BARRIER_BIT
/// if not zero: call metajit_gc_barrier(object)        ; for an item: metajit_gc_barrier_item(object, index)
/// ```
///
/// No barrier is needed for a word that names no object (a number, a constant that is rooted for ever), nor for an
/// object allocated since the last point where a collection could run: allocation, or a call that may allocate. After such a
/// point the object may be old.
///
/// # Safety
/// `object` must be live.
#[inline(always)]
pub unsafe fn write_barrier(object: *mut Header) {
    // SAFETY: the caller's contract.
    unsafe {
        if (*object).gc.load(Ordering::Relaxed) & BARRIER_BIT != 0 {
            metajit_gc_barrier(object);
        }
    }
}

/// Notes that a reference may be about to be written to an item of the array of `object`.
///
/// Better than [`write_barrier`] for long arrays, of which only the items written to are looked at again.
///
/// # Safety
/// `object` must be live and have more than `index` items.
#[inline(always)]
pub unsafe fn write_barrier_item(object: *mut Header, index: u64) {
    // SAFETY: the caller's contract.
    unsafe {
        if (*object).gc.load(Ordering::Relaxed) & BARRIER_BIT != 0 {
            metajit_gc_barrier_item(object, index);
        }
    }
}

/// Notes an old object that is written to. For compiled code, to be called when the object's barrier bit is set.
///
/// # Safety
/// `object` must be live and its [`BARRIER_BIT`] set.
#[cold]
pub unsafe extern "C" fn metajit_gc_barrier(object: *mut Header) {
    // SAFETY: the caller's contract; the bit is set in old objects only.
    with_existing_heap(|heap| unsafe { heap.note_write(object, None) });
}

/// As [`metajit_gc_barrier`], for a write to an item of an array. The bit may stay set.
///
/// # Safety
/// As [`metajit_gc_barrier`]; the array must have more than `index` items.
#[cold]
pub unsafe extern "C" fn metajit_gc_barrier_item(object: *mut Header, index: u64) {
    // SAFETY: the caller's contract; the bit is set in old objects only.
    with_existing_heap(|heap| unsafe { heap.note_write(object, Some(index as usize)) });
}

/// What compiled code needs to allocate without a call; the addresses are constants of the thread.
///
/// ```text
/// object = load [cursor]
/// end    = object + bytes            ; all of the objects to be allocated at once
/// if end > load [limit]: call metajit_gc_alloc(shape, len) for each object; null: out of memory
/// store [cursor], end
/// store [object], shape id as u64    ; the whole header: the collector's half is 0
/// store [object + array.offset - 8], len   ; if the shape has an array
/// ```
///
/// The rest of the memory is zero. The headers and lengths of all objects allocated at once must be written before
/// anything that may collect.
#[derive(Clone, Copy, Debug)]
pub struct InlineAlloc {
    /// Where the next object goes.
    pub cursor: *mut usize,
    /// What no object's end may exceed: the word after the cursor. Must be loaded each time.
    pub limit: *mut usize,
    /// The sum of the objects' sizes, a multiple of eight.
    pub bytes: u32,
}

/// How to allocate `bytes` bytes of objects inline on this thread; none if they are too many.
pub fn inline_allocation(bytes: usize) -> Option<InlineAlloc> {
    if bytes > space::LARGE_BYTES {
        return None;
    }
    WINDOW.with(|window| {
        Some(InlineAlloc {
            cursor: window.cursor.as_ptr(),
            limit: window.limit.as_ptr(),
            bytes: (bytes as u32 + 7) & !7,
        })
    })
}

/// Frees all that nothing reaches.
pub fn collect() {
    request(Kind::Major);
}

/// Frees what was allocated since the last collection and nothing reaches.
pub fn collect_minor() {
    request(Kind::Minor);
}

fn request(kind: Kind) {
    WINDOW.with(|window| {
        with_existing_heap(|heap| heap.collect(kind, Cause::Request, window));
    });
    after_collection();
}

/// Runs `f` with collection off: what it allocates needs no roots until it returns.
///
/// The heap may exceed its limit by a reserve of some megabytes meanwhile.
pub fn without_collection<R>(f: impl FnOnce() -> R) -> R {
    struct On;
    impl Drop for On {
        fn drop(&mut self) {
            with_existing_heap(|heap| heap.suspend(false));
        }
    }
    if let Err(error) = with_heap(|heap| heap.suspend(true)) {
        out_of_memory(error);
    }
    let _on = On;
    f()
}

/// Chooses this thread's configuration; the environment variable `METAJIT_GC` overrides it.
///
/// A heap reserves address space by its first limit; a limit set after the first allocation can't exceed that.
pub fn configure(config: Config) {
    let mut config = Some(config);
    with_existing_heap(|heap| {
        if let Some(config) = config.take() {
            heap.configure(config.with_environment());
        }
    });
    if config.is_some() {
        CONFIG.set(config);
    }
}

/// This thread's configuration.
pub fn configuration() -> Config {
    with_existing_heap(|heap| heap.configuration())
        .unwrap_or_else(|| CONFIG.with_borrow(Clone::clone).unwrap_or_default().with_environment())
}

/// Calls `visit` with every word of this thread's stacks, and of the registers that functions must preserve.
#[cfg(feature = "jit")]
pub(crate) fn visit_stack(visit: &mut dyn FnMut(usize)) {
    stack::with_registers(|low| {
        for (from, to) in stack::parts(low) {
            for address in (from..to).step_by(size_of::<usize>()) {
                // SAFETY: the stack between its pointer and its base is mapped; the words are looked at only.
                visit(unsafe { std::ptr::read_volatile(address as *const usize) });
            }
        }
    });
}

/// This thread's figures.
pub fn statistics() -> Statistics {
    with_existing_heap(|heap| heap.statistics()).unwrap_or_default()
}

/// Calls `listener` at each event of this thread's heap, until what is returned is dropped. It must not use the heap.
pub fn subscribe(listener: impl Fn(&Event) + 'static) -> Subscription {
    let number = LISTENERS.with_borrow_mut(|listeners| {
        let number = listeners.last().map_or(0, |last| last.0 + 1);
        listeners.push((number, Rc::new(listener)));
        number
    });
    Subscription { number, not_send: PhantomData }
}

/// A hash of an object's identity, from its handle's bits: objects do not move. Well mixed in all bits.
#[inline]
pub const fn identity_hash(bits: u64) -> u64 {
    let mixed = (bits ^ (bits >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}
