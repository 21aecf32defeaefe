//! Functions whose frames are given away with the call, in every mode, each guard of their code forced to fail in turn.

#![cfg(feature = "jit")]
#![allow(missing_docs)]

use metajit::prelude::*;
use metajit::testing::{Modes, check};

/// A function's frame: fields of either kind, items, and how many calls are around it.
#[jit_object]
pub struct Frame {
    #[immutable]
    depth: i64,
    weight: f64,
    slots: [i64],
}

/// Something that escapes.
#[jit_object]
pub struct Cell {
    value: i64,
    next: Maybe<Cell>,
}

#[dont_look_inside]
fn sum(frame: Frame) -> i64 {
    (0..frame.slots_len()).map(|index| frame.slots(index)).sum::<i64>() + frame.depth()
}

#[dont_look_inside]
fn change(frame: Frame) {
    frame.set_slots(1, frame.slots(1) + 1000);
    frame.set_weight(frame.weight() * 2.0);
}

#[dont_look_inside]
fn collect() {
    metajit::gc::collect();
}

/// Calls function `which` with two arguments in a frame of so many slots.
#[jit]
fn call(which: i64, from: Frame, length: i64, first: i64, second: i64) -> Result<i64, i64> {
    if from.depth() >= 40 {
        return Err(-from.depth());
    }
    let frame = Frame::alloc(from.depth() + 1, 0.5, length, 7);
    frame.set_slots(0, first);
    frame.set_slots(1, second);
    invoke(which, first, frame)
}

/// Doubly recursive.
#[jit]
fn fibonacci(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    if n < 2 {
        return Ok(n + frame.slots(2) - 7);
    }
    frame.set_slots(2, call(0, frame, 5, n - 1, 0)?);
    frame.set_slots(3, call(0, frame, 4, n - 2, 0)?);
    Ok(frame.slots(2) + frame.slots(3))
}

/// Frames of one length and now and then of another.
#[jit]
fn lengths(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    if n == 0 {
        return Ok(frame.slots_len());
    }
    let length = if n % 5 == 0 { 6 } else { 4 };
    let rest = call(1, frame, length, n - 1, n)?;
    Ok(rest * 3 + frame.slots(1) + frame.slots(frame.slots_len() - 1))
}

/// The frame is seen by what is not looked into.
#[jit]
fn escapes(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    frame.set_slots(3, n * 2);
    if n == 0 {
        return Ok(sum(frame));
    }
    let below = call(2, frame, 4, n - 1, n)?;
    change(frame);
    if n % 3 == 0 {
        frame.set_slots(2, below);
        return Ok(sum(frame) + frame.weight() as i64);
    }
    Ok(below + frame.slots(1) + frame.slots(3))
}

/// Fails at the bottom, and catches on the way.
#[jit]
fn fails(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    if n == 0 {
        return Err(frame.slots(1));
    }
    match call(3, frame, 4, n - 1, n + frame.slots(1)) {
        Ok(value) => Ok(value + 1),
        Err(value) if n % 4 == 0 => Ok(value * 2 + frame.depth()),
        Err(value) => Err(value + 1),
    }
}

/// Objects in slots and results, and collections while they are nowhere else.
#[jit]
fn allocates(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    let cell = Cell::alloc(n, Maybe::none());
    if n % 8 == 7 {
        collect();
    }
    if n <= 0 {
        return Ok(cell.value());
    }
    let outer = Cell::alloc(n * 2, Maybe::some(cell));
    let left = call(4, frame, 4, n - 2, 0)?;
    let right = call(4, frame, 4, n - 3, left)?;
    let inner = match outer.next().get() {
        Some(inner) => inner.value(),
        None => -1,
    };
    Ok(left + right + outer.value() + inner)
}

/// A loop around calls, in a function that is called.
#[jit]
fn repeats(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    if n == 0 {
        return Ok(1);
    }
    frame.set_slots(3, 0);
    frame.set_slots(2, 4);
    while frame.slots(2) > 0 {
        frame.set_slots(3, frame.slots(3) + call(6, frame, 4, frame.slots(2), n)?);
        frame.set_slots(2, frame.slots(2) - 1);
    }
    Ok(frame.slots(3) + call(5, frame, 4, n - 1, 0)?)
}

/// One calls another, which calls the first.
#[jit]
fn alternates(frame: Frame) -> Result<i64, i64> {
    let n = frame.slots(0);
    if n <= 0 { Ok(frame.slots(1)) } else { call(if n % 2 == 0 { 6 } else { 0 }, frame, 4, n - 1, n) }
}

#[jit]
fn body(which: i64, first: i64, frame: Frame) -> Result<i64, i64> {
    // A red besides the frame.
    if first != frame.slots(0) {
        return Err(-1000);
    }
    match which {
        0 => fibonacci(frame),
        1 => lengths(frame),
        2 => escapes(frame),
        3 => fails(frame),
        4 => allocates(frame),
        5 => repeats(frame),
        _ => alternates(frame),
    }
}

#[jit_driver(greens = [which], reds = [first, frame], virtualizable = frame, given)]
fn invoke(which: i64, first: i64, frame: Frame) -> Result<i64, i64> {
    loop {
        jit_merge_point!();
        return body(which, first, frame);
    }
}

fn run(which: i64, arguments: std::ops::Range<i64>) -> Vec<Result<i64, i64>> {
    let outside = Frame::alloc(0, 0.0, 4, 0);
    arguments.map(|n| call(which, outside, 4, n, n * 10)).collect()
}

fn everywhere(which: i64, arguments: std::ops::Range<i64>) {
    let modes = Modes::all().forced(u32::MAX);
    let checked = check(&modes, move || run(which, arguments.clone()));
    let checked = checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(checked.compilations > 10 && checked.forced > 3 && checked.panics == 0, "{checked:?}");
}

#[test]
fn frames_in_a_double_recursion() {
    everywhere(0, 0..13);
}

#[test]
fn frames_of_several_lengths() {
    everywhere(1, 0..35);
}

#[test]
fn frames_that_others_see() {
    everywhere(2, 0..30);
}

#[test]
fn failures_pass_through_calls() {
    everywhere(3, 0..45);
}

#[test]
fn frames_hold_what_is_alive() {
    everywhere(4, 0..16);
}

#[test]
fn frames_of_functions_that_loop() {
    everywhere(5, 0..20);
}

#[test]
fn functions_call_each_other() {
    everywhere(6, 0..14);
}

/// A driver whose frames are not given away: callers look at them afterwards.
mod kept {
    use super::*;

    #[jit_driver(greens = [which], reds = [frame], virtualizable = frame)]
    fn invoke(which: i64, frame: Frame) -> i64 {
        loop {
            jit_merge_point!();
            return body(which, frame);
        }
    }

    #[jit]
    fn body(which: i64, frame: Frame) -> i64 {
        let n = frame.slots(0);
        if n > 0 {
            let inner = Frame::alloc(frame.depth() + 1, 1.5, 2, 0);
            inner.set_slots(0, n - 1);
            let result = invoke(which, inner);
            frame.set_slots(1, result + inner.slots(1));
        }
        frame.slots(1) + n
    }

    #[test]
    fn a_frame_that_is_not_given_away_can_be_looked_at() {
        let modes = Modes::all().forced(u32::MAX);
        let run = || {
            let all = (0..40).map(|n| {
                let frame = Frame::alloc(0, 0.0, 2, 0);
                frame.set_slots(0, n % 20);
                let result = invoke(0, frame);
                (result, frame.slots(1))
            });
            all.collect::<Vec<_>>()
        };
        let checked = check(&modes, run).unwrap_or_else(|mismatch| panic!("{mismatch}"));
        assert!(checked.compilations > 10 && checked.forced > 2, "{checked:?}");
    }
}
