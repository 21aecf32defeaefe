//! The interface: what compiled code does, what mistakes are found, figures and choices.

use crate::graphs::random_graph;
use crate::{Any, List, Pair, Table, checked, clear_stack, hidden_pair, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, Event, Kind, Root, Stress};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn compiled_code_may_allocate_several_objects_at_once() {
    use metajit::rt::Object;
    on_a_thread(checked(), || {
        let inline = gc::inline_allocation(32 + 40).unwrap();
        assert_eq!(inline.bytes, 72);
        let (mut fast, mut slow) = (0, 0);
        let kept = Root::new(Maybe::none());
        let mut list = Maybe::none();
        for value in 0..20_000 {
            // What compiled code does, for a pair and a table of two items that the pair names.
            // SAFETY: the sequence that `InlineAlloc` prescribes.
            unsafe {
                let start = *inline.cursor;
                let end = start + inline.bytes as usize;
                let (pair, table) = if end <= *inline.limit {
                    *inline.cursor = end;
                    *(start as *mut u64) = u64::from(Pair::SHAPE.id());
                    *((start + 32) as *mut u64) = u64::from(Table::SHAPE.id());
                    *((start + 32 + 16) as *mut u64) = 2;
                    fast += 1;
                    (start as u64, start as u64 + 32)
                } else {
                    slow += 1;
                    let pair = gc::metajit_gc_alloc(Pair::SHAPE, 0) as u64;
                    let table = gc::metajit_gc_alloc(Table::SHAPE, 2) as u64;
                    (pair, table)
                };
                let (pair, table) = (Pair::from_bits(pair), Table::from_bits(table));
                assert_eq!((table.items_len(), table.items(1)), (2, Maybe::none()));
                assert_eq!((pair.id(), pair.left()), (0, Maybe::none()));
                pair.set_left(Maybe::from_bits(table.bits()));
                assert!(pair.is_shape() && table.is_shape());
            }
            if value % 16 == 0 {
                list = Maybe::some(List::alloc(value, list));
                kept.set(list);
            }
        }
        assert!(fast > 4 * slow && slow > 10, "{fast} fast, {slow} slow");
        assert!(gc::inline_allocation(1 << 20).is_none());
    });
}

#[test]
#[should_panic(expected = "was written without a barrier")]
fn a_write_without_barrier_is_found_when_the_heap_is_verified() {
    on_a_thread(checked(), || {
        let pair = Pair::alloc(1, Maybe::none(), Maybe::none());
        gc::collect_minor();
        let young = Pair::alloc(2, Maybe::none(), Maybe::none());
        // SAFETY: the field is there; that the barrier is missing is what the test is about.
        unsafe {
            let object = pair.bits() as *mut metajit::rt::Header;
            metajit::rt::init_word(object, 16, Any::from_bits(young.bits()));
        }
        gc::collect_minor();
        std::hint::black_box((pair, young));
    });
}

#[test]
#[should_panic(expected = "where no object is")]
fn a_handle_that_was_not_rooted_is_found_when_memory_is_poisoned() {
    on_a_thread(Config { verify: false, ..checked() }, || {
        let handles: Vec<u64> = (0..100).map(|id| hidden_pair(id).1).collect();
        clear_stack();
        gc::collect();
        for inverted in handles {
            // SAFETY: none; that is the mistake.
            let dead = unsafe { Maybe::from_bits(!inverted) };
            let pair = Pair::alloc(1, dead, Maybe::none());
            gc::collect();
            std::hint::black_box(pair);
        }
    });
}

#[test]
#[should_panic(expected = "this thread's heap can't be used any more")]
fn a_heap_half_collected_is_not_used_again() {
    on_a_thread(Config::default(), || {
        let pair = Pair::alloc(1, Maybe::none(), Maybe::none());
        let roots = gc::add_roots(Box::new(|_| panic!("a visitor's mistake")));
        assert!(std::panic::catch_unwind(gc::collect).is_err());
        drop(roots);
        std::hint::black_box(pair);
        Pair::alloc(2, Maybe::none(), Maybe::none());
    });
}

#[test]
fn collection_is_off_while_objects_are_rebuilt() {
    let config = Config { stress: Stress::EveryAllocation, ..checked() };
    on_a_thread(config, || {
        Pair::alloc(0, Maybe::none(), Maybe::none());
        let before = gc::statistics();
        let inverted: Vec<u64> = gc::without_collection(|| (0..1_000).map(|id| hidden_pair(id).1).collect());
        let after = gc::statistics();
        assert_eq!((before.minor, before.major), (after.minor, after.major), "a collection ran");
        // SAFETY: they can't have been freed.
        let ids = inverted.iter().map(|bits| unsafe { Pair::from_bits(!bits) }.id());
        assert!(ids.eq(0..1_000));
        Pair::alloc(0, Maybe::none(), Maybe::none());
        assert!(gc::statistics().minor + gc::statistics().major > after.minor + after.major);
    });
}

#[test]
fn events_and_figures_agree() {
    on_a_thread(checked(), || {
        let seen: Rc<RefCell<Vec<Event>>> = Rc::default();
        let log = seen.clone();
        let subscription = gc::subscribe(move |event| log.borrow_mut().push(*event));
        let count = Rc::new(std::cell::Cell::new(0));
        let counter = count.clone();
        let other = gc::subscribe(move |_| counter.set(counter.get() + 1));
        for id in 0..100_000 {
            std::hint::black_box(Pair::alloc(id, Maybe::none(), Maybe::none()));
        }
        gc::collect();
        assert_eq!(count.get(), seen.borrow().len(), "all listeners are told");
        drop(subscription);
        gc::collect();
        let statistics = gc::statistics();
        assert_eq!(statistics.allocated, 100_000 * 32);
        let seen = seen.borrow();
        assert_eq!(count.get(), seen.len() + 2, "one listener has gone, the other has not");
        drop(other);
        let ends =
            |kind| seen.iter().filter(|event| matches!(event, Event::End(end) if end.kind == kind)).count() as u64;
        assert_eq!(ends(Kind::Minor), statistics.minor);
        assert_eq!(ends(Kind::Major) + 1, statistics.major);
        assert_eq!(seen.len() as u64, 2 * (statistics.minor + statistics.major - 1));
        let allocated: usize = seen
            .iter()
            .map(|event| match event {
                Event::End(end) => end.allocated,
                _ => 0,
            })
            .sum();
        assert_eq!(allocated, 100_000 * 32);
        assert!(statistics.pause_total >= statistics.pause_minor_max);
        assert!(statistics.used < 1 << 20);
    });
}

#[test]
fn each_thread_has_a_heap_of_its_own() {
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            std::thread::spawn(move || {
                gc::configure(checked());
                random_graph(seed, 1_000);
                gc::statistics().allocated
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap() > 10_000);
    }
}

#[test]
fn the_environment_overrides_the_program() {
    let name = "interface::the_environment_overrides_the_program";
    if std::env::var_os("METAJIT_GC_CHILD").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("METAJIT_GC_CHILD", "1")
            .env("METAJIT_GC", "stress=1,verify=1,limit=64M")
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        return;
    }
    gc::configure(Config { limit: 1 << 20, poison: true, ..Config::default() });
    Pair::alloc(0, Maybe::none(), Maybe::none());
    let config = gc::configuration();
    assert_eq!(config.stress, Stress::EveryAllocation);
    assert_eq!(config.limit, 64 << 20);
    assert!(config.verify && config.poison);
    assert!(gc::statistics().minor > 0);
}

#[test]
fn identity_hashes_differ_in_their_low_and_high_bits() {
    on_a_thread(Config::default(), || {
        let hashes: Vec<u64> =
            (0..1_000).map(|id| gc::identity_hash(Pair::alloc(id, Maybe::none(), Maybe::none()).bits())).collect();
        for shift in [0, 54] {
            let mut parts: Vec<u64> = hashes.iter().map(|hash| hash >> shift & 1023).collect();
            parts.sort_unstable();
            parts.dedup();
            assert!(parts.len() > 500, "{} of 1024", parts.len());
        }
    });
}
