//! Other collectors in the place of the built-in one.

use crate::graphs::random_graph;
use crate::{List, Table, clear_stack, hidden_pair};
use metajit::Maybe;
use metajit::gc::{self, Collector, Kind, OutOfMemory, RootSink, Window};
use metajit::rt::Object;

/// Memory that is given back when the thread ends, and not before.
struct Arena {
    chunks: Vec<Box<[u64]>>,
    dropped: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Collector for Arena {
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory> {
        let mut chunk = vec![0u64; (bytes / 8).max(1 << 13)].into_boxed_slice();
        let range = chunk.as_mut_ptr_range();
        self.chunks.push(chunk);
        // SAFETY: new memory that only the window knows.
        unsafe { window.set(range.start as usize + bytes, range.end as usize) };
        Ok(range.start as usize)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.dropped.fetch_add(self.chunks.len(), std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn an_arena_may_take_the_collectors_place() {
    let dropped = std::sync::Arc::default();
    let arena = Arena { chunks: Vec::new(), dropped: std::sync::Arc::clone(&dropped) };
    std::thread::spawn(move || {
        gc::install(arena);
        let mut list = Maybe::none();
        for value in 0..50_000 {
            list = Maybe::some(List::alloc(value, list));
        }
        let table = Table::alloc(1, 100_000, Maybe::none());
        assert_eq!(table.items(99_999), Maybe::none());
        gc::collect();
        let mut expected = 50_000;
        while let Some(cell) = list.get() {
            expected -= 1;
            assert_eq!(cell.value(), expected);
            list = cell.next();
        }
        assert_eq!(gc::statistics().major, 0);
    })
    .join()
    .unwrap();
    let dropped = dropped.load(std::sync::atomic::Ordering::Relaxed);
    assert!((19..30).contains(&dropped), "{dropped} chunks");
}

/// The simplest collector: each object is a box, found by its address; all of them are marked each time.
#[derive(Default)]
struct Boxes {
    /// By address: the memory, and whether it is marked.
    objects: std::collections::BTreeMap<usize, (Box<[u64]>, bool)>,
    since: usize,
    off: usize,
    major: u64,
}

impl RootSink for Boxes {
    fn value(&mut self, word: u64) {
        self.word(word);
    }
    fn word(&mut self, word: u64) {
        let address = (word & 0xFFFF_FFFF_FFFF) as usize;
        let mut waiting: Vec<usize> = Vec::new();
        let mark = |objects: &mut Self, address: usize, waiting: &mut Vec<usize>| {
            // A word may name the end of one object and the start of another.
            for (&start, (memory, marked)) in objects.objects.range_mut(..=address).rev().take(2) {
                if address <= start + memory.len() * 8 && !std::mem::replace(marked, true) {
                    waiting.push(start);
                }
            }
        };
        mark(self, address, &mut waiting);
        while let Some(address) = waiting.pop() {
            let words = self.objects[&address].0.clone();
            // All its words, as if nothing were known of its shape.
            for &word in words.iter() {
                mark(self, (word & 0xFFFF_FFFF_FFFF) as usize, &mut waiting);
            }
        }
    }
}

impl Collector for Boxes {
    fn allocate(&mut self, bytes: usize, window: &Window) -> Result<usize, OutOfMemory> {
        self.since += 1;
        if self.since > 500 {
            self.collect(Kind::Major, gc::Cause::Nursery, window);
        }
        let memory = vec![0u64; bytes / 8].into_boxed_slice();
        let address = memory.as_ptr() as usize;
        self.objects.insert(address, (memory, false));
        Ok(address)
    }
    fn collect(&mut self, _: Kind, _: gc::Cause, _: &Window) {
        if self.off > 0 {
            return;
        }
        self.since = 0;
        self.major += 1;
        for (_, marked) in self.objects.values_mut() {
            *marked = false;
        }
        gc::visit_roots(true, self);
        gc::after_marking(true, &mut |word| self.objects.get(&(word as usize)).is_none_or(|(_, marked)| *marked));
        self.objects.retain(|_, (_, marked)| *marked);
    }
    fn suspend(&mut self, off: bool) {
        self.off = if off { self.off + 1 } else { self.off - 1 };
    }
    fn statistics(&self) -> gc::Statistics {
        let mut statistics = gc::Statistics::default();
        statistics.major = self.major;
        statistics.used = self.objects.len();
        statistics
    }
}

#[test]
fn another_collector_may_take_the_built_in_ones_place() {
    std::thread::spawn(|| {
        gc::install(Boxes::default());
        random_graph(4_000_000_000, 3_000);
        let mut weak = Vec::new();
        for id in 0..100 {
            weak.push(hidden_pair(id).0);
        }
        clear_stack();
        gc::collect();
        let dead = weak.iter().filter(|weak| weak.is_dead()).count();
        assert!(dead > 95);
        let statistics = gc::statistics();
        assert!(statistics.major > 3 && statistics.used < 1_000);
    })
    .join()
    .unwrap();
}

/// Hands out memory from one chunk, says that the first object died as soon as it has allocated a second one, and looks at what it
/// has handed out whenever finalizers are about to run.
struct Walker {
    memory: Box<[u64]>,
    used: usize,
    walks: std::rc::Rc<std::cell::Cell<usize>>,
}

impl Collector for Walker {
    fn allocate(&mut self, bytes: usize, _: &Window) -> Result<usize, OutOfMemory> {
        let address = self.memory[self.used..].as_ptr() as usize;
        self.used += bytes / 8;
        if self.used > bytes / 8 {
            gc::after_marking(true, &mut |_| false);
        }
        Ok(address)
    }
    fn suspend(&mut self, off: bool) {
        if off {
            self.walks.set(self.walks.get() + 1);
            let lists = self.memory[..self.used].chunks_exact(3);
            assert!(lists.into_iter().all(|list| list[0] == u64::from(List::SHAPE.id())), "memory without a header");
        }
    }
}

#[test]
fn what_has_been_handed_out_is_an_object_when_finalizers_run() {
    std::thread::spawn(|| {
        let walks = std::rc::Rc::default();
        let memory = vec![0u64; 300].into_boxed_slice();
        gc::install(Walker { memory, used: 0, walks: std::rc::Rc::clone(&walks) });
        gc::on_death(List::alloc(1, Maybe::none()), || {
            List::alloc(2, Maybe::none());
        });
        List::alloc(3, Maybe::none());
        assert_eq!(walks.get(), 1);
    })
    .join()
    .unwrap();
}
