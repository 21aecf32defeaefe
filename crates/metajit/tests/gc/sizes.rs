//! Sizes and limits: long lists, large arrays, memory that is used again, and the end of memory.

use crate::{Bytes, List, Pair, Random, Table, Value, Values, checked, clear_stack, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, OutOfMemory, Root};

#[test]
fn a_list_of_a_million_survives() {
    on_a_thread(Config::default(), || {
        let mut list = Maybe::none();
        for value in 0..1_000_000 {
            list = Maybe::some(List::alloc(value, list));
        }
        gc::collect_minor();
        gc::collect();
        let mut expected = 1_000_000;
        while let Some(cell) = list.get() {
            expected -= 1;
            assert_eq!(cell.value(), expected);
            list = cell.next();
        }
        assert_eq!(expected, 0);
    });
}

#[test]
fn a_large_array_holds_references_and_is_freed() {
    let config = Config { nursery: 1 << 20, nursery_max: 1 << 20, ..checked() };
    on_a_thread(config, || {
        #[inline(never)]
        fn fill(count: i64) -> Box<Root<Table>> {
            let table = Table::alloc(1, count, Maybe::none());
            for index in 0..count {
                let pair = Pair::alloc(index, Maybe::none(), Maybe::none());
                // SAFETY: a pair begins with the fields of `Any`.
                table.set_items(index, unsafe { Maybe::from_bits(pair.bits()) });
            }
            // In a box, lest a copy of the handle stays where the root was before it moved.
            Box::new(Root::new(table))
        }
        #[inline(never)]
        fn replace(table: &Root<Table>, first: i64, count: i64) {
            for index in (first..count).step_by(97) {
                let pair = Pair::alloc(-index, Maybe::none(), Maybe::none());
                // SAFETY: as above.
                let item = unsafe { Maybe::from_bits(pair.bits()) };
                table.get().set_items(index, item);
            }
        }
        #[inline(never)]
        fn check(table: &Root<Table>, count: i64) {
            for index in 0..count {
                let id = table.get().items(index).get().unwrap().id();
                assert!(id == index || (id == -index && index % 97 < 3));
            }
        }
        let count = 100_000;
        let table = fill(count);
        gc::collect();
        for round in 0..3 {
            replace(&table, round, count);
            gc::collect_minor();
        }
        check(&table, count);
        assert!(gc::statistics().used > 4_000_000);
        drop(table);
        clear_stack();
        gc::collect();
        let used = gc::statistics().used;
        assert!(used < 100_000, "{used} bytes are still in use");
    });
}

#[test]
fn holes_that_are_too_small_do_not_make_collections_more_frequent() {
    const NURSERY: usize = 64 << 10;
    let config = Config { nursery: NURSERY, nursery_max: NURSERY, growth_min: 0, ..Config::default() };
    on_a_thread(config, || {
        // Every other object dies, and a few more: the heap has holes of 32 bytes, and far between ones of 96.
        const COUNT: i64 = 100_000;
        let kept = Root::new(Table::alloc(0, COUNT, Maybe::none()));
        for id in 0..COUNT {
            let pair = Pair::alloc(id, Maybe::none(), Maybe::none());
            // SAFETY: a pair begins with the fields of `Any`.
            kept.get().set_items(id, unsafe { Maybe::from_bits(pair.bits()) });
        }
        for id in (0..COUNT).filter(|id| id % 2 == 1 || id % 2_500 == 0) {
            kept.get().set_items(id, Maybe::none());
        }
        gc::collect();
        let before = gc::statistics();
        for id in 0..1_000 {
            let zero = Value::from_bits(0);
            std::hint::black_box(Values::alloc(id, zero, 0.5, 2, zero));
        }
        let after = gc::statistics();
        let nurseries = (after.allocated - before.allocated) / NURSERY as u64;
        let collections = after.minor + after.major - before.minor - before.major;
        assert!(collections <= 2 * nurseries + 3, "{collections} collections for {nurseries} nurseries");
    });
}

#[test]
fn new_memory_is_zero() {
    on_a_thread(checked(), || {
        let mut random = Random(99);
        for _ in 0..2_000 {
            let len = random.below(2_500) as i64;
            let bytes = Bytes::alloc(1, Maybe::none(), len, 0);
            // SAFETY: nothing writes to it meanwhile.
            assert!(unsafe { bytes.data_slice() }.iter().all(|&byte| byte == 0));
            for index in 0..len {
                bytes.set_data(index, 0xFF);
            }
        }
        let statistics = gc::statistics();
        assert!(statistics.minor > 10);
    });
}

#[test]
fn an_exhausted_heap_is_an_error_that_can_be_caught() {
    let config = Config { limit: 8 << 20, ..Config::default() };
    on_a_thread(config, || {
        for round in 0..3 {
            let outcome = std::panic::catch_unwind(|| {
                let mut list = Maybe::none();
                loop {
                    list = Maybe::some(List::alloc(0, list));
                }
            });
            let payload = outcome.unwrap_err();
            let error = payload.downcast_ref::<OutOfMemory>().unwrap();
            assert_eq!((error.requested, error.limit), (24, 8 << 20));
            assert_eq!(gc::statistics().out_of_memory, 2 * round + 1);
            // The list is garbage now.
            clear_stack();
            let table = Table::alloc(1, 100_000, Maybe::none());
            assert_eq!(table.items(99_999), Maybe::none());
            use metajit::rt::Object;
            let error = gc::try_alloc(Table::SHAPE, 10 << 20).unwrap_err();
            assert_eq!(error.requested, (10 << 20) * 8 + 24);
        }
    });
}

#[test]
fn an_absurd_length_is_out_of_memory_too() {
    use metajit::rt::Object;
    on_a_thread(Config::default(), || {
        for len in [usize::MAX, usize::MAX / 8, 1 << 60, 1 << 42] {
            assert!(gc::try_alloc(Table::SHAPE, len).is_err());
        }
        assert!(gc::try_alloc(Table::SHAPE, 10).is_ok());
    });
}
