//! How code comes and goes: in the background, late, in little memory, watched.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

mod nibbles;

use metajit::driver::{
    Event, Statistics, code_memory, explain, finish_compilations, has_code, log_to, observe, parameters, quiet_for,
    set_parameters, statistics, why_not_compiled,
};
use metajit::gc;
use metajit::prelude::*;
use nibbles::{expected, program, run};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

fn set(text: &str) {
    let mut mine = parameters();
    mine.set(text).unwrap();
    set_parameters(mine);
}

fn limit(statistics: &Statistics, name: &str) -> u64 {
    statistics.limits[Statistics::LIMITS.iter().position(|&limit| limit == name).unwrap()]
}

#[test]
fn the_interpreter_goes_on_while_code_is_made() {
    set("sync=0,threshold=3");
    let text = program(1, 10);
    // Rounds that interpreting takes less time for than compiling.
    assert_eq!(run(text, 10), expected(text, 10));
    assert_eq!(statistics().loops_recorded, 1);
    assert!(quiet_for().is_none() || statistics().compilations == 1);
    finish_compilations();
    assert_eq!(statistics().compilations, 1);
    assert!(has_code(run::jit_driver(), &[text, 0]));
    assert!(quiet_for().is_some());
    let before = statistics().entries;
    assert_eq!(run(text, 1000), expected(text, 1000));
    assert!(statistics().entries > before);
}

#[test]
fn code_is_used_soon_after_it_is_there() {
    set("sync=0");
    let text = program(2, 8);
    let start = Instant::now();
    while statistics().entries == 0 {
        assert_eq!(run(text, 2000), expected(text, 2000));
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", statistics());
    }
    assert_eq!(statistics().loops_recorded, 1);
}

#[test]
fn threaded_code_does_not_ask_again_for_a_trace_that_is_being_made() {
    for late in [1, 5, 40] {
        std::thread::spawn(move || {
            set(&format!(
                "sync=1,threaded=1,tier1_threshold=1,threshold=3,function_threshold=3,trace_eagerness=1,late={late}"
            ));
            for seed in 0..30 {
                let text = program(seed, 12);
                assert_eq!(run(text, 900), expected(text, 900), "{text:x}");
            }
            let statistics = statistics();
            assert!(statistics.threaded_units >= 30 && statistics.loops_recorded >= 30, "{statistics:?}");
            let places = explain("").len() as u64;
            assert!(statistics.loops_recorded <= places, "{places} places, {statistics:?}");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn what_is_published_late_is_recorded_once() {
    for late in [1, 2, 5, 40] {
        std::thread::spawn(move || {
            set(&format!("sync=1,threshold=2,trace_eagerness=1,late={late}"));
            for seed in 0..30 {
                let text = program(seed, 12);
                assert_eq!(run(text, 900), expected(text, 900), "{text:x}");
            }
            let statistics = statistics();
            assert!(statistics.compilations >= 30 && statistics.bridges_recorded > 10, "{statistics:?}");
            let places = explain("").len() as u64;
            assert!(statistics.loops_recorded <= places, "{places} places, {statistics:?}");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_thread_may_end_while_its_code_is_made() {
    for seed in 0..20 {
        std::thread::spawn(move || {
            set("sync=0,threshold=2");
            assert_eq!(run(program(seed, 16), 4), expected(program(seed, 16), 4));
        })
        .join()
        .unwrap();
    }
}

#[test]
fn code_memory_is_bounded() {
    for mode in ["sync=1", "sync=0", "sync=1,late=3"] {
        std::thread::spawn(move || {
            set("threshold=3,trace_eagerness=2,code_memory=65536");
            set(mode);
            for seed in 0..400 {
                // The last program comes back again and again, so it is worth its memory.
                for text in [program(seed, 14), program(u64::MAX, 9)] {
                    assert_eq!(run(text, 60), expected(text, 60), "{text:x}");
                }
                finish_compilations();
                let (used, most) = code_memory();
                assert!(used <= most && most == 65536, "{used} of {most}");
            }
            let statistics = statistics();
            assert!(statistics.evicted > 100 && statistics.given_up == 0, "{mode}: {statistics:?}");
            assert!(statistics.code_bytes_freed > 65536, "{mode}: {statistics:?}");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn memory_that_is_too_small_for_anything_leaves_the_interpreter() {
    set("sync=1,threshold=3,code_memory=1");
    for seed in 0..5 {
        let text = program(seed, 16);
        assert_eq!(run(text, 5000), expected(text, 5000));
    }
}

/// A list of two.
#[jit_object]
struct Link {
    #[immutable]
    number: i64,
    next: Maybe<Link>,
}

/// Makes a list in each round, and looks at it only where the way is left.
#[jit_driver(greens = [modulus], reds = [n, sum])]
fn lists(modulus: i64, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        let second = Link::alloc(n + 1, Maybe::none());
        let first = Link::alloc(n, Maybe::some(second));
        if n % modulus == 0 {
            let next = match first.next().get() {
                Some(next) => next.number(),
                None => -1,
            };
            sum += first.number() * 1000 + next;
        }
        n -= 1;
        can_enter_jit!();
    }
}

#[test]
fn hooks_may_collect_while_an_exit_is_taken() {
    gc::configure(gc::Config { poison: true, ..gc::Config::default() });
    set("sync=1,threshold=3,trace_eagerness=1000000");
    observe(|event| {
        if matches!(event, Event::Exit { .. }) {
            gc::collect();
            // What was freed is used again.
            (0..100).for_each(|_| _ = Link::alloc(-7, Maybe::none()));
        }
    });
    let expected = (1..=1000).filter(|n| n % 7 == 0).map(|n| n * 1000 + n + 1).sum::<i64>();
    assert_eq!(lists(7, 1000), expected);
    assert!(statistics().exits > 100, "{:?}", statistics());
}

#[test]
fn hooks_see_what_happens_and_may_ask() {
    set("sync=1,threshold=3,trace_eagerness=2");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let notes = seen.clone();
    observe(move |event| {
        // The runtime can be asked from here.
        let compilations = statistics().compilations;
        notes.borrow_mut().push((event.clone(), compilations));
    });
    let text = program(7, 12);
    run(text, 3000);
    let seen = seen.borrow();
    let count = |wanted: fn(&Event) -> bool| seen.iter().filter(|(event, _)| wanted(event)).count() as u64;
    let statistics = statistics();
    assert_eq!(count(|event| matches!(event, Event::Compiled { .. })), statistics.compilations);
    assert_eq!(count(|event| matches!(event, Event::Recorded { bridge: Some(_), .. })), statistics.bridges_recorded);
    assert_eq!(count(|event| matches!(event, Event::Exit { .. })), statistics.exits);
    assert!(statistics.bridges_recorded > 0);
    assert!(matches!(seen[0].0, Event::Recording { bridge: None, .. }), "{:?}", seen[0]);
    let Event::Compiled { bytes, ops, place, .. } =
        &seen.iter().find(|(event, _)| matches!(event, Event::Compiled { .. })).unwrap().0
    else {
        unreachable!()
    };
    assert!(*bytes > 0 && *ops > 0 && place.contains("run"), "{place}");
}

#[test]
fn a_loop_that_never_ends_is_left_for_better_code() {
    for late in [0, 3] {
        std::thread::spawn(move || {
            set(&format!("sync=1,late={late},threshold=3,upgrade_threshold=100"));
            let made = Rc::new(RefCell::new(Vec::new()));
            let notes = made.clone();
            observe(move |event| {
                if let Event::Compiled { quality, .. } = event {
                    notes.borrow_mut().push(*quality);
                }
            });
            let text = program(7, 12);
            // One call: nobody enters the loop again but by leaving it.
            assert_eq!(run(text, 20_000), expected(text, 20_000));
            let made = made.borrow();
            // When a bridge is compiled depends on how long compiling took, so quick code may come once more at the end.
            assert!(made.first() == Some(&"quick") && made.contains(&"full"), "{made:?}");
        })
        .join()
        .unwrap();
    }
}

/// A loop that goes different ways.
#[jit_driver(greens = [step], reds = [n, sum])]
fn zigzag(step: i64, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        if n & 1 == 0 {
            sum = sum.wrapping_add(step);
        } else {
            sum = sum.wrapping_mul(3) ^ n;
        }
        if n & 4 == 0 {
            sum = sum.wrapping_sub(n);
        }
        n -= 1;
        can_enter_jit!();
    }
}

/// What was compiled of it, in order: quality, fragments and operations.
fn compilations(parameters: &'static str) -> Vec<(&'static str, usize, usize)> {
    set("off");
    let expected = zigzag(5, 20_000);
    std::thread::spawn(move || {
        set(&format!("sync=1,threshold=3,trace_eagerness=2,compile_patience=0,{parameters}"));
        let made = Rc::new(RefCell::new(Vec::new()));
        let notes = made.clone();
        observe(move |event| {
            if let Event::Compiled { quality, fragments, ops, .. } = event {
                notes.borrow_mut().push((*quality, *fragments, *ops));
            }
        });
        assert_eq!(zigzag(5, 20_000), expected);
        made.take()
    })
    .join()
    .unwrap()
}

#[test]
fn a_loop_is_peeled_when_there_are_no_more_bridges() {
    let made = compilations("peel_threshold=100,upgrade_threshold=1000");
    let [.., grown, peeled, best] = made[..] else { panic!("{made:?}") };
    assert!(grown.1 > 1 && grown.1 == peeled.1 && peeled.1 == best.1, "the same tree: {made:?}");
    assert_eq!((grown.0, peeled.0, best.0), ("quick", "quick", "full"), "{made:?}");
    assert!(peeled.2 > grown.2 * 3 / 2, "a round more: {made:?}");

    let at_once = compilations("peel_threshold=0,upgrade_threshold=1000");
    let largest = at_once.iter().filter(|made| made.0 == "quick").map(|made| made.2).max();
    assert!(largest > Some(grown.2 * 3 / 2), "{at_once:?}");

    let never = compilations("peel_threshold=100,upgrade_threshold=1000,max_peel_ops=1");
    assert!(never.iter().all(|made| made.0 == "full" || made.2 <= grown.2), "{never:?}");
}

#[test]
fn code_that_is_too_large_for_better_code_is_not_made_again_and_again() {
    for late in [0, 3] {
        std::thread::spawn(move || {
            set(&format!("sync=1,late={late},threshold=3,upgrade_threshold=10,max_full_ops=1"));
            let text = program(7, 12);
            for _ in 0..20 {
                assert_eq!(run(text, 2000), expected(text, 2000));
            }
            let statistics = statistics();
            // Bridges in batches, and better code once asked for; that it is not there asked for more without end.
            assert!(statistics.compilations < 30, "{statistics:?}");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn the_log_is_lines_of_objects() {
    let path = std::env::temp_dir().join(format!("metajit-log-{}.jsonl", std::process::id()));
    let (log, text) = (path.clone(), program(7, 12));
    std::thread::spawn(move || {
        set("sync=1,threshold=3,trace_eagerness=2");
        log_to(&log).unwrap();
        run(text, 3000);
        Setting::alloc(1);
        metajit::gc::collect();
    })
    .join()
    .unwrap();
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(lines.lines().all(|line| line.starts_with("{\"at_us\":") && line.ends_with('}')), "{lines}");
    for name in ["recording", "recorded", "compiled", "collection", "place", "statistics"] {
        assert!(lines.contains(&format!("\"event\":\"{name}\"")), "{name} in {lines}");
    }
    assert!(lines.contains("\"exits\":{\"g"), "{lines}");
    let collection = lines.lines().find(|line| line.contains("\"cause\":\"request\"")).unwrap_or_default();
    for name in ["\"kind\":\"major\"", "pause_ns", "allocated", "survived", "used"] {
        assert!(collection.contains(name), "{name} in {lines}");
    }
}

#[test]
fn a_tree_has_so_many_bridges_and_no_more() {
    set("sync=1,threshold=3,trace_eagerness=1,max_bridges=1");
    let text = program(7, 14);
    assert_eq!(run(text, 5000), expected(text, 5000));
    let statistics = statistics();
    assert_eq!(limit(&statistics, "max_bridges"), 1, "{statistics:?}");
    assert_eq!(statistics.bridges_recorded, 1, "{statistics:?}");
}

#[jit_object]
pub struct Setting {
    #[quasi_immutable]
    step: i64,
}

#[jit_driver(greens = [setting], reds = [n, sum])]
fn steps(setting: Setting, n: i64) -> i64 {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if n <= 0 {
            return sum;
        }
        sum = sum.wrapping_add(setting.step());
        n -= 1;
        can_enter_jit!();
    }
}

#[test]
fn a_place_that_is_always_invalidated_is_given_up() {
    set("sync=1,threshold=3,max_invalidations=5");
    let setting = Setting::alloc(1);
    for step in 1..20 {
        setting.set_step(step);
        assert_eq!(steps(setting, 100), 100 * step);
    }
    let counted = statistics();
    assert_eq!((counted.invalidated, counted.given_up), (5, 1), "{counted:?}");
    assert_eq!(limit(&counted, "max_invalidations"), 1);
    let reason = why_not_compiled(steps::jit_driver(), &[setting.to_bits()]).unwrap();
    assert_eq!(reason, "it was given up: its code was invalidated 5 times");
}

#[jit_driver(greens = [setting], reds = [n])]
fn counts_in_a_setting(setting: Setting, n: i64) -> i64 {
    loop {
        jit_merge_point!();
        if n <= 0 {
            return setting.step();
        }
        setting.set_step(setting.step().wrapping_add(1));
        n -= 1;
        can_enter_jit!();
    }
}

#[test]
fn a_place_that_changes_what_it_relies_on_is_given_up_and_says_so() {
    set("sync=1,threshold=3,max_aborts=2");
    let setting = Setting::alloc(1);
    assert_eq!(counts_in_a_setting(setting, 1000), 1001);
    let reason = why_not_compiled(counts_in_a_setting::jit_driver(), &[setting.to_bits()]).unwrap();
    let text = "it was given up: each of 2 recordings changed a quasi-immutable field that it had relied on";
    assert_eq!(reason, text, "{:?}", statistics());
}

#[test]
fn code_that_was_of_use_may_be_invalidated_again() {
    set("sync=1,threshold=3,max_invalidations=2");
    let setting = Setting::alloc(1);
    for step in 1..6 {
        setting.set_step(step);
        (0..1100).for_each(|_| assert_eq!(steps(setting, 4), 4 * step));
    }
    assert_eq!(statistics().given_up, 0, "{:?}", statistics());
}

#[test]
fn what_gets_hot_in_a_long_time_is_not_hot() {
    set("sync=1,threshold=50,decay=200");
    let text = program(3, 6);
    // Without an object there is nothing to collect.
    let _object = Setting::alloc(1);
    for _ in 0..30 {
        // Ten visits, then a collection, which takes a fifth of what was counted.
        run(text, 10);
        metajit::gc::collect_minor();
    }
    assert_eq!((statistics().loops_recorded, statistics().decays > 0), (0, true), "{:?}", statistics());
    run(text, 200);
    assert_eq!(statistics().loops_recorded, 1, "{:?}", statistics());
}

#[test]
fn collections_for_stress_are_no_time() {
    std::thread::spawn(|| {
        set("sync=1,threshold=50,decay=200");
        metajit::gc::configure(metajit::gc::Config {
            stress: metajit::gc::Stress::EveryAllocation,
            ..metajit::gc::Config::default()
        });
        let text = program(3, 6);
        for _ in 0..30 {
            run(text, 10);
            Setting::alloc(1);
        }
        assert!(metajit::gc::statistics().minor > 20);
        assert_eq!(statistics().loops_recorded, 1, "{:?}", statistics());
    })
    .join()
    .unwrap();
}

#[test]
fn a_profile_counts_calls_and_jumps_and_makes_no_code() {
    let directory = std::env::temp_dir().join(format!("metajit-profile-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("log.jsonl");
    let log = file.clone();
    std::thread::spawn(move || {
        set("profile=1,threaded=1,threshold=2,function_threshold=2,tier1_threshold=1");
        log_to(&log).unwrap();
        let text = program(3, 8);
        for _ in 0..7 {
            assert_eq!(run(text, 40), expected(text, 40));
        }
        let statistics = statistics();
        assert_eq!((statistics.loops_recorded, statistics.threaded_units, statistics.entries), (0, 0, 0));
    })
    .join()
    .unwrap();
    let log = std::fs::read_to_string(&file).unwrap();
    let counts: Vec<&str> = log.lines().filter_map(|line| line.split("\"entries\":0,").nth(1)).collect();
    // The program jumps back 39 times in each of its runs, all to one place.
    assert!(counts.contains(&"\"calls\":7,\"jumps\":273}"), "{log}");
    std::fs::remove_dir_all(&directory).unwrap();
}
