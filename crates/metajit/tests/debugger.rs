//! A debugger finds its way through compiled code: gdb, run on this test, stops in something that a compiled loop calls, and sees the
//! loop and all that called it. (What the debugger is given is tested in `backend/debugger.rs`, gdb or no gdb.)

#![cfg(all(feature = "jit", target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs)]

use metajit::driver::{parameters, set_parameters, statistics};
use metajit::prelude::*;
use std::process::Command;

/// Says to the test itself that it is the program to look at, with these parameters.
const INSIDE: &str = "METAJIT_TEST_DEBUGGED";

/// Where the debugger stops.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn metajit_test_stop_here(i: i64) {
    std::hint::black_box(i);
}

#[dont_look_inside]
fn call_outside(i: i64) -> i64 {
    if i == 1 {
        metajit_test_stop_here(i);
    }
    i % 3
}

#[jit_driver(greens = [step], reds = [i, sum, a, b, c])]
fn count(step: i64, i: i64) -> i64 {
    let sum: i64 = 0;
    // More that lives across the call, in registers that callees save.
    let a: i64 = 1;
    let b: i64 = 2;
    let c: i64 = 3;
    loop {
        jit_merge_point!();
        if i <= 0 {
            return sum.wrapping_add(a).wrapping_add(b) ^ c;
        }
        sum = sum.wrapping_add(call_outside(i)) ^ step;
        a = a.wrapping_mul(3) ^ b;
        b = b.wrapping_add(c);
        c = c.wrapping_sub(sum);
        i -= 1;
        can_enter_jit!();
    }
}

/// In a debugger: a loop that is compiled long before it calls what the debugger waits for.
#[inline(never)]
fn debugged(text: &str) {
    let mut mine = parameters();
    mine.set(text).unwrap();
    set_parameters(mine);
    std::hint::black_box(count(7, 100_000));
    assert!(statistics().entries > 0);
}

#[test]
fn gdb_sees_through_compiled_code() {
    if let Ok(text) = std::env::var(INSIDE) {
        return debugged(&text);
    }
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("there is no gdb: what it would be given is tested elsewhere");
        return;
    }
    for (text, quality) in [
        ("sync=1,threshold=20,upgrade_threshold=4000000000", "Quick"),
        ("sync=1,threshold=20,upgrade_threshold=30", "Full"),
    ] {
        let output = Command::new("gdb")
            .args(["--batch", "-nx", "-ex", "set breakpoint pending on", "-ex", "break metajit_test_stop_here"])
            .args(["-ex", "run", "-ex", "backtrace", "-ex", "kill", "--args"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "gdb_sees_through_compiled_code", "--test-threads=1", "--nocapture"])
            .env("METAJIT_GDB", "1")
            .env(INSIDE, text)
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if said.contains("ptrace: Operation not permitted") {
            eprintln!("nothing may be debugged here: {said}");
            return;
        }
        let frames: Vec<&str> = said.lines().filter(|line| line.starts_with('#')).collect();
        let find = |name: &str| {
            frames.iter().position(|frame| frame.contains(name)).unwrap_or_else(|| panic!("no {name} in {said}"))
        };
        // From the callee through the compiled loop to the function that started it.
        let way = [find("metajit_test_stop_here"), find(&format!("metajit:{quality}:count(7)")), find("debugged (")];
        assert!(way.is_sorted(), "{said}");
    }
}
