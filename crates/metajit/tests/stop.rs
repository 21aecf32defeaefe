//! Programs that never end are stopped from outside: by another thread, and by a signal that comes in the middle of compiled code.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

use metajit::driver::{parameters, set_parameters, statistics};
use metajit::prelude::*;
use metajit::{Stopper, stopper};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Counts until it is stopped: how far it got, and a sum that tells whether each iteration was done once.
#[jit_driver(greens = [step], reds = [i, sum])]
fn count(step: i64, i: i64) -> Result<i64, (i64, i64)> {
    let sum: i64 = 0;
    loop {
        jit_merge_point!();
        if i < 0 {
            return Ok(sum);
        }
        if stop_requested() {
            return Err((i, sum));
        }
        sum = sum.wrapping_add(i) ^ step;
        if sum % 4 == 3 {
            sum = sum.wrapping_add(1);
        }
        i += 1;
        can_enter_jit!();
    }
}

fn counted(step: i64, end: i64) -> i64 {
    (0..end).fold(0_i64, |sum, i| {
        let sum = sum.wrapping_add(i) ^ step;
        if sum % 4 == 3 { sum.wrapping_add(1) } else { sum }
    })
}

/// Runs the program on a thread of its own until `stop` has stopped it.
fn run_until(text: &'static str, stop: impl FnOnce(Stopper, std::thread::JoinHandle<()>)) {
    let (tell, told) = channel();
    let thread = std::thread::spawn(move || {
        let mut mine = parameters();
        mine.set(text).unwrap();
        set_parameters(mine);
        assert!(!stop_requested());
        tell.send(stopper()).unwrap();
        let Err((i, sum)) = count(5, 0) else { panic!("it was not stopped") };
        assert_eq!(sum, counted(5, i), "{text}: stopped at {i}");
        assert!(i > 1000 && statistics().entries > 0, "{text}: {i} {:?}", statistics());
        // Asked once, it stops every time, until that is withdrawn.
        assert_eq!(count(5, 3), Err((3, 0)));
        stopper().withdraw();
        assert!(!stop_requested());
    });
    let stopper = told.recv().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    stop(stopper, thread);
}

const MODES: [&str; 8] = [
    "threshold=10",
    "threshold=10,sync=1,quick=1,upgrade_threshold=4000000000",
    "threshold=10,sync=1,upgrade_threshold=20",
    "threshold=10,sync=1,optimize=0",
    "threshold=10,sync=1,evaluate=1",
    "threshold=10,sync=1,tracer=generic",
    "threaded=1,tracing=0,tier1_threshold=10,sync=1",
    "threaded=1,tier1_threshold=10,threshold=1000",
];

#[test]
fn another_thread_stops_a_compiled_loop() {
    for text in MODES {
        run_until(text, |stopper, thread| {
            stopper.request();
            thread.join().unwrap();
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_handler_stops_a_compiled_loop() {
    use std::os::unix::thread::JoinHandleExt;

    static STOPPER: OnceLock<Stopper> = OnceLock::new();
    extern "C" fn handle(_: libc::c_int) {
        STOPPER.get().unwrap().request();
    }
    run_until("threshold=10,sync=1", |stopper, thread| {
        STOPPER.set(stopper).unwrap();
        let handler: extern "C" fn(libc::c_int) = handle;
        // SAFETY: the handler does nothing but store to a word; the thread has not been joined.
        unsafe {
            libc::signal(libc::SIGUSR1, handler as libc::sighandler_t);
            assert_eq!(libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1), 0);
        }
        thread.join().unwrap();
    });
}
