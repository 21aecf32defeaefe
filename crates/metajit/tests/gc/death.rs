//! What dies: weak references and finalizers.

use crate::{List, Pair, Value, checked, clear_stack, on_a_thread};
use metajit::Maybe;
use metajit::gc::{self, Config, Finalizers, Root, Weak};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[test]
fn weak_references_to_dropped_objects_are_cleared() {
    #[inline(never)]
    fn make(weak: &mut Vec<Weak<Pair>>) -> Vec<Root<Pair>> {
        let mut kept = Vec::new();
        for id in 0..2_000 {
            let pair = Pair::alloc(id, Maybe::none(), Maybe::none());
            weak.push(Weak::new(pair));
            if id % 2 == 0 {
                kept.push(Root::new(pair));
            }
        }
        kept
    }
    for old in [false, true] {
        on_a_thread(checked(), move || {
            let mut weak = Vec::new();
            let mut kept = make(&mut weak);
            clear_stack();
            if old {
                // Let all of them grow old first.
                kept.extend(weak.iter().filter_map(|weak| weak.get()).map(Root::new).collect::<Vec<_>>());
                gc::collect();
                kept.truncate(1_000);
                clear_stack();
                gc::collect();
            } else {
                gc::collect_minor();
            }
            let (even, odd): (Vec<_>, Vec<_>) = weak.iter().enumerate().partition(|(index, _)| index % 2 == 0);
            assert!(even.iter().all(|(_, weak)| weak.get().is_some()));
            let dead = odd.iter().filter(|(_, weak)| weak.is_dead()).count();
            assert!(dead >= 990, "{dead} of 1000");
            assert_eq!(even[3].1.clone().get().map(Pair::id), Some(6));
        });
    }
}

#[test]
fn a_weak_value_that_names_no_object_stays() {
    on_a_thread(checked(), || {
        let number = Weak::new(Value::from_bits(41));
        gc::collect_minor();
        gc::collect();
        assert_eq!(number.get(), Some(Value::from_bits(41)));
    });
}

#[test]
fn finalizers_run_once_after_their_objects_died() {
    #[inline(never)]
    fn make(died: &Rc<RefCell<Vec<i64>>>) -> Root<Pair> {
        for id in 0..100 {
            let died = died.clone();
            let pair = Pair::alloc(id, Maybe::none(), Maybe::none());
            gc::on_death(pair, move || {
                // A finalizer may allocate.
                let list = List::alloc(id, Maybe::none());
                died.borrow_mut().push(list.value());
            });
        }
        let kept = Pair::alloc(100, Maybe::none(), Maybe::none());
        gc::on_death(kept, || panic!("this one is never called"));
        Root::new(kept)
    }
    on_a_thread(checked(), || {
        let died = Rc::default();
        let kept = make(&died);
        clear_stack();
        gc::collect_minor();
        gc::collect();
        let mut seen = died.borrow().clone();
        assert!(seen.len() >= 98, "{} of 100", seen.len());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), died.borrow().len(), "each at most once");
        assert_eq!(kept.get().id(), 100);
    });
}

#[test]
fn finalizers_wait_for_a_request_if_asked_to() {
    #[inline(never)]
    fn make(count: &Rc<Cell<usize>>) {
        for id in 0..20 {
            let count = count.clone();
            let pair = Pair::alloc(id, Maybe::none(), Maybe::none());
            gc::on_death(pair, move || count.set(count.get() + 1));
        }
    }
    let config = Config { finalizers: Finalizers::OnRequest, ..checked() };
    on_a_thread(config, || {
        let count = Rc::default();
        make(&count);
        clear_stack();
        gc::collect();
        assert_eq!(count.get(), 0);
        let run = gc::run_finalizers();
        assert!(run >= 18);
        assert_eq!(count.get(), run);
        assert_eq!(gc::run_finalizers(), 0);
    });
}
