//! What keeps objects alive.

use crate::{List, Pair, Table, checked, clear_stack, hidden_pair, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, Root, RootRange, Stress, Weak};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Fills the lines around, so that an object's neighbours are not ones that the test looks at.
#[inline(never)]
fn neighbours() {
    for id in 0..10 {
        std::hint::black_box(Pair::alloc(-id, Maybe::none(), Maybe::none()));
    }
}

#[test]
fn a_word_that_names_any_part_of_an_object_keeps_it_alive() {
    on_a_thread(checked(), || {
        const PAIR_BYTES: u64 = 32;
        // Start, tags, inside, last byte, one past the end, boxed.
        let ways = [0, 1, 7, 8, 17, PAIR_BYTES - 1, PAIR_BYTES, 0xFFFC << 48];
        for major in [false, true] {
            let mut words = vec![0u64; ways.len()];
            // SAFETY: the words live longer than the range.
            let range = unsafe { RootRange::new(words.as_ptr(), words.len()) };
            let mut kept = Vec::new();
            for (word, way) in words.iter_mut().zip(ways) {
                neighbours();
                let (weak, inverted) = hidden_pair(way as i64);
                *word = !inverted + way;
                kept.push(weak);
            }
            clear_stack();
            let collect = || {
                if major { gc::collect() } else { gc::collect_minor() }
            };
            collect();
            collect();
            for (weak, way) in kept.iter().zip(ways) {
                assert_eq!(weak.get().map(Pair::id), Some(way as i64), "way {way}");
            }
            drop(range);
            clear_stack();
            gc::collect();
            let alive = kept.iter().filter(|weak| !weak.is_dead()).count();
            assert!(alive <= 2, "{alive} of {} are still alive", ways.len());
        }
    });
}

#[test]
fn a_word_that_names_any_part_of_a_large_object_keeps_it_alive() {
    on_a_thread(checked(), || {
        /// A table that only a weak handle and a word know.
        #[inline(never)]
        fn hidden(way: u64) -> (Weak<Table>, Box<u64>) {
            let table = Table::alloc(5, 10_000, Maybe::none());
            (Weak::new(table), Box::new(table.bits() + way))
        }
        for way in [0, 3, 24, 50_000, 80_023, 80_024] {
            let (weak, word) = hidden(way);
            // SAFETY: the word lives longer than the range.
            let range = unsafe { RootRange::new(&*word, 1) };
            clear_stack();
            gc::collect_minor();
            gc::collect();
            assert!(!weak.is_dead(), "way {way}");
            drop(range);
            clear_stack();
            gc::collect();
            assert!(weak.is_dead(), "way {way}");
        }
        assert!(gc::statistics().committed < 1 << 20);
    });
}

#[test]
fn handles_in_locals_survive_collections_at_any_depth_of_the_stack() {
    fn nest(depth: i64) -> i64 {
        let here = Pair::alloc(depth, Maybe::none(), Maybe::none());
        if depth == 0 {
            gc::collect_minor();
            gc::collect();
            return here.id();
        }
        let sum = nest(depth - 1);
        sum + here.id()
    }
    let config = Config { stress: Stress::OneIn(500), ..checked() };
    let thread = std::thread::Builder::new()
        .stack_size(4 << 30)
        .spawn(move || {
            gc::configure(config);
            nest(10_000)
        })
        .unwrap();
    assert_eq!(thread.join().unwrap(), 10_000 * 10_001 / 2);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn both_stacks_are_scanned_after_a_switch() {
    /// Calls `f` on the stack that ends at `base`, telling the collector.
    fn on_another_stack(base: *mut u8, mut f: &mut dyn FnMut()) {
        struct Switch<'f, 'g> {
            base: *mut u8,
            suspended: *mut u8,
            f: &'f mut &'g mut dyn FnMut(),
        }
        extern "C" fn run(switch: *mut Switch<'_, '_>) {
            // SAFETY: called below with such a pointer, on the new stack.
            unsafe {
                let switch = &mut *switch;
                gc::on_stack(switch.base, switch.suspended, || (switch.f)());
            }
        }
        let mut switch = Switch { base, suspended: std::ptr::null_mut(), f: &mut f };
        let pointer = &raw mut switch;
        // SAFETY: `base` is the aligned end of a mapped stack; the preserved registers are pushed before the switch.
        unsafe {
            std::arch::asm!(
                "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                "mov [rdi + {suspended}], rsp",
                "mov r12, rsp",
                "mov rsp, rsi",
                "call {run}",
                "mov rsp, r12",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                suspended = const std::mem::offset_of!(Switch<'_, '_>, suspended),
                run = sym run,
                inout("rdi") pointer => _,
                inout("rsi") base => _,
                clobber_abi("C"),
            );
        }
    }
    on_a_thread(checked(), || {
        let mut memory = vec![0u64; 64 << 10];
        let base = memory.as_mut_ptr_range().end;
        let outer = Pair::alloc(1, Maybe::none(), Maybe::none());
        let mut seen = 0;
        on_another_stack(((base as usize) & !15) as *mut u8, &mut || {
            let inner = Pair::alloc(2, Maybe::none(), Maybe::none());
            for _ in 0..10_000 {
                std::hint::black_box(Pair::alloc(3, Maybe::none(), Maybe::none()));
            }
            gc::collect();
            seen = inner.id();
        });
        gc::collect();
        assert_eq!((outer.id(), seen), (1, 2));
        drop(memory);
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_handle_in_a_preserved_register_survives() {
    /// Collects while an object's only address is in the register; whether the object survived.
    macro_rules! survives_in {
        ($register:literal) => {{
            #[inline(never)]
            fn collect_with(inverted: u64) {
                extern "C" fn collect() {
                    clear_stack();
                    gc::collect_minor();
                    gc::collect();
                }
                // SAFETY: the register is saved and restored, and the stack is aligned as at any call.
                unsafe {
                    std::arch::asm!(
                        concat!("push ", $register),
                        "sub rsp, 8",
                        "not rdi",
                        concat!("mov ", $register, ", rdi"),
                        "xor edi, edi",
                        "call {collect}",
                        "add rsp, 8",
                        concat!("pop ", $register),
                        collect = sym collect,
                        inout("rdi") inverted => _,
                        clobber_abi("C"),
                    );
                }
            }
            let (weak, inverted) = hidden_pair(7);
            clear_stack();
            collect_with(inverted);
            assert!(!weak.is_dead(), $register);
            clear_stack();
            gc::collect();
            assert!(weak.is_dead(), $register);
        }};
    }
    on_a_thread(checked(), || {
        survives_in!("rbx");
        survives_in!("rbp");
        survives_in!("r12");
        survives_in!("r13");
        survives_in!("r14");
        survives_in!("r15");
    });
}

#[test]
fn roots_keep_alive_what_rust_memory_holds() {
    on_a_thread(checked(), || {
        let roots: Vec<Root<List>> = (0..1_000).map(|value| Root::new(List::alloc(value, Maybe::none()))).collect();
        for round in 0..5 {
            gc::collect_minor();
            for (value, root) in roots.iter().enumerate() {
                assert_eq!(root.get().value(), value as i64 + round);
                root.set(List::alloc(value as i64 + round + 1, Maybe::none()));
            }
        }
        gc::collect();
        for (value, root) in roots.iter().enumerate() {
            assert_eq!(root.get().value(), value as i64 + 5);
        }
        let copies = roots.clone();
        drop(roots);
        gc::collect();
        assert_eq!(copies[999].get().value(), 1_004);
    });
}

#[test]
fn a_visitor_names_the_handles_of_a_table() {
    on_a_thread(checked(), || {
        let table: Rc<RefCell<HashMap<i64, List>>> = Rc::default();
        let visited = table.clone();
        let roots = gc::add_roots(Box::new(move |visitor| {
            for &list in visited.borrow().values() {
                visitor.visit(list);
            }
        }));
        for value in 0..1_000 {
            let list = List::alloc(value, Maybe::none());
            table.borrow_mut().insert(value, list);
        }
        gc::collect_minor();
        gc::collect();
        for (&value, list) in &*table.borrow() {
            assert_eq!(list.value(), value);
        }
        let weak: Vec<_> = table.borrow().values().map(|&list| Weak::new(list)).collect();
        drop(roots);
        assert_eq!(Rc::strong_count(&table), 1, "the visitor is gone");
        clear_stack();
        gc::collect();
        let dead = weak.iter().filter(|weak| weak.is_dead()).count();
        assert!(dead >= 990, "{dead} of 1000");
    });
}
