//! Compiled code does what the code says: exits, slots, results, memory and calls, at both qualities.
#![cfg(feature = "jit")]

use metajit::backend::{Arena, CompileError, Compiler, Countdown, Machine, Options, Quality, Queue};
use metajit::context::{Context, FINISH, MAX_SLOTS, PANICKED};
use metajit::ir::code::{Block, BlockId, Code, End, Exit, ExitId};
use metajit::ir::tree::Portal;
use metajit::ir::{Arg, ArgRange, Aux, Callee, Effect, Inst, Op, OpRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static PORTAL: Portal = Portal { name: "test", greens: 0, reds: &[], virtualizable: None };

/// Builds a code, block by block.
struct Builder(Code);

fn c(bits: i64) -> Arg {
    Arg::Const(bits as u64)
}

impl Builder {
    fn new() -> Builder {
        Builder(Code::new(&PORTAL))
    }

    fn push(&mut self, op: Op, args: &[Arg], aux: Aux) -> OpRef {
        let mut fixed = [Arg::Const(0); 3];
        fixed[..args.len()].copy_from_slice(args);
        self.0.insts.push(Inst { op, args: fixed, aux });
        OpRef(self.0.insts.len() as u32 - 1)
    }

    fn block(&mut self, params: &[Op]) -> Vec<Arg> {
        let params: Vec<OpRef> = (0u32..).zip(params).map(|(i, &op)| self.push(op, &[], Aux::Index(i))).collect();
        self.0.blocks.push(Block { params: params.clone(), insts: Vec::new(), end: End::Finish(Vec::new()) });
        params.into_iter().map(Arg::Op).collect()
    }

    fn inst(&mut self, op: Op, args: &[Arg], aux: Aux) -> Arg {
        let op = self.push(op, args, aux);
        self.0.blocks.last_mut().unwrap().insts.push(op);
        Arg::Op(op)
    }

    fn op(&mut self, op: Op, args: &[Arg]) -> Arg {
        self.inst(op, args, Aux::None)
    }

    fn call(&mut self, callee: &'static Callee, args: &[Arg]) -> Arg {
        let range = ArgRange { start: self.0.args.len() as u32, len: args.len() as u32 };
        self.0.args.extend(args);
        self.inst(Op::Call, &[], Aux::Call(callee, range))
    }

    fn exit(&mut self, slots: &[Arg]) -> u32 {
        let slots = slots.iter().map(|&slot| match slot {
            Arg::Op(op) => op,
            Arg::Const(_) => panic!("a slot is a value"),
        });
        let slots = self.0.details.add(slots);
        self.0.exits.push(Exit { slots, ..Exit::default() });
        self.0.exits.len() as u32 - 1
    }

    fn guard(&mut self, op: Op, args: &[Arg], slots: &[Arg]) -> u32 {
        let exit = self.exit(slots);
        self.inst(op, args, Aux::Index(exit));
        exit
    }

    fn end(&mut self, end: End) {
        self.0.blocks.last_mut().unwrap().end = end;
    }
}

fn compilers() -> Compiler {
    Compiler::new(Arena::new(1 << 20).unwrap()).unwrap()
}

fn run(machine: &Machine, reds: &[u64]) -> (u64, Box<Context>) {
    let mut context = Box::<Context>::default();
    context.slots[..reds.len()].copy_from_slice(reds);
    // SAFETY: the test's codes touch nothing but their context and objects that live for ever.
    let how = unsafe { machine.entry()(&mut *context) };
    (how, context)
}

/// Runs the code at both qualities, hands the outcomes to `check`.
fn each(code: &Code, reds: &[u64], check: impl Fn(u64, &Context)) {
    let mut compiler = compilers();
    for quality in [Quality::Quick, Quality::Full] {
        let mut machine = compiler.compile(code, &Options::new(quality)).unwrap();
        machine.announce();
        let (how, context) = run(&machine, reds);
        check(how, &context);
    }
}

#[test]
fn a_loop_sums_until_its_guard_fails() {
    let mut b = Builder::new();
    let reds = b.block(&[Op::Param, Op::Param]);
    let (i, sum) = (reds[0], reds[1]);
    let more = b.op(Op::Lt, &[i, c(10)]);
    b.guard(Op::GuardTrue, &[more], &[sum, i]);
    let next = b.op(Op::Add, &[i, c(1)]);
    let overflow = b.op(Op::AddOvf, &[sum, i]);
    let total = b.op(Op::Add, &[i, sum]);
    let second = b.guard(Op::GuardFalse, &[overflow], &[i, overflow, total]);
    b.end(End::Jump(BlockId(0), vec![next, total]));
    each(&b.0, &[0, 0], |how, context| {
        assert_eq!(how, 0);
        assert_eq!(context.slots[..2], [45, 10]);
    });
    each(&b.0, &[3, i64::MAX as u64], |how, context| {
        assert_eq!(how, second as u64);
        assert_eq!(context.slots[..3], [3, 1, i64::MAX as u64 + 3]);
    });
}

#[test]
fn a_bridge_uses_values_of_the_loop() {
    let mut b = Builder::new();
    let reds = b.block(&[Op::Param, Op::FParam]);
    let (n, x) = (reds[0], reds[1]);
    let low = b.op(Op::And, &[n, c(1)]);
    let exit = b.guard(Op::GuardTrue, &[low], &[]);
    b.end(End::Finish(vec![n, x]));
    b.0.exits[exit as usize].bridge = Some(BlockId(1));
    b.block(&[]);
    let twice = b.op(Op::Fadd, &[x, x]);
    let sum = b.op(Op::Add, &[n, low]);
    b.end(End::Finish(vec![sum, twice, c(7)]));
    each(&b.0, &[5, 1.5f64.to_bits()], |how, context| {
        assert_eq!(how, FINISH);
        assert_eq!(context.results[..2], [5, 1.5f64.to_bits()]);
    });
    each(&b.0, &[6, 1.5f64.to_bits()], |how, context| {
        assert_eq!(how, FINISH);
        assert_eq!(context.results[..3], [6, 3f64.to_bits(), 7]);
    });
}

#[test]
fn overflow_of_sums_with_constants() {
    let edges = [i64::MIN, i64::MIN + 1, -2, -1, 0, 1, 2, i64::MAX - 1, i64::MAX];
    for constant in edges {
        let mut b = Builder::new();
        let x = b.block(&[Op::Param])[0];
        let k = c(constant);
        let words = vec![
            b.op(Op::AddOvf, &[x, k]),
            b.op(Op::Add, &[k, x]),
            b.op(Op::SubOvf, &[x, k]),
            b.op(Op::Sub, &[x, k]),
            b.op(Op::SubOvf, &[k, x]),
            b.op(Op::Sub, &[k, x]),
            b.op(Op::MulOvf, &[k, x]),
            b.op(Op::Mul, &[x, k]),
        ];
        b.end(End::Finish(words));
        for x in edges {
            let flat = |(value, overflow): (i64, bool)| [overflow as u64, value as u64];
            let expected = [
                flat(x.overflowing_add(constant)),
                flat(x.overflowing_sub(constant)),
                flat(constant.overflowing_sub(x)),
                flat(x.overflowing_mul(constant)),
            ];
            each(&b.0, &[x as u64], |_, context| {
                assert_eq!(context.results, expected.concat()[..], "{x} and {constant}");
            });
        }
    }
}

extern "C" fn three_words(a: u64, b: u64, out: *mut u64) -> u64 {
    // SAFETY: compiled code passes the context's results.
    unsafe {
        *out = a * 2;
        *out.add(1) = b ^ f64::to_bits(1.0);
    }
    a + 1
}

static THREE_WORDS: Callee = Callee {
    name: "three_words",
    address: three_words as *const (),
    params: 2,
    results: 3,
    effect: Effect::Any,
    spread: None,
};

#[test]
fn calls_return_several_words() {
    let mut b = Builder::new();
    let reds = b.block(&[Op::Param, Op::FParam]);
    let first = b.call(&THREE_WORDS, &reds);
    let second = b.inst(Op::ResultWord, &[], Aux::Index(1));
    let third = b.inst(Op::ResultWord, &[], Aux::Index(2));
    b.end(End::Finish(vec![first, second, third]));
    each(&b.0, &[20, 1f64.to_bits()], |how, context| {
        assert_eq!(how, FINISH);
        assert_eq!(context.results[..3], [21, 40, 0]);
    });
}

extern "C" fn frames() -> u64 {
    std::backtrace::Backtrace::force_capture().to_string().contains("backtraces_pass_compiled_frames").into()
}

static FRAMES: Callee =
    Callee { name: "frames", address: frames as *const (), params: 0, results: 1, effect: Effect::Any, spread: None };

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn backtraces_pass_compiled_frames() {
    let mut b = Builder::new();
    b.block(&[]);
    let seen = b.call(&FRAMES, &[]);
    b.end(End::Finish(vec![seen]));
    each(&b.0, &[], |how, context| {
        assert_eq!((how, context.results[0]), (FINISH, 1));
    });
}

extern "C" fn panics(context: u64) -> u64 {
    // SAFETY: the test passes its context.
    unsafe { (*(context as *mut Context)).panicked = 1 };
    0
}

static PANICS: Callee =
    Callee { name: "panics", address: panics as *const (), params: 1, results: 1, effect: Effect::Any, spread: None };

#[test]
fn a_panic_leaves_at_once() {
    let mut b = Builder::new();
    let context = b.block(&[Op::Param])[0];
    b.call(&PANICS, &[context]);
    b.end(End::Finish(vec![]));
    let mut compiler = compilers();
    for quality in [Quality::Quick, Quality::Full] {
        let machine = compiler.compile(&b.0, &Options::new(quality)).unwrap();
        let mut context = Box::<Context>::default();
        context.slots[0] = &raw mut *context as u64;
        // SAFETY: the code touches nothing but the context.
        assert_eq!(unsafe { machine.entry()(&mut *context) }, PANICKED);
    }
}

#[test]
fn invalid_code_leaves_at_its_next_test() {
    let mut b = Builder::new();
    b.block(&[]);
    b.guard(Op::GuardValid, &[], &[]);
    b.end(End::Finish(vec![]));
    let mut compiler = compilers();
    let valid = Arc::new(AtomicU64::new(1));
    let mut options = Options::new(Quality::Full);
    options.valid = Some(valid.clone());
    let machine = compiler.compile(&b.0, &options).unwrap();
    assert_eq!(run(&machine, &[]).0, FINISH);
    valid.store(0, Ordering::Relaxed);
    assert_eq!(run(&machine, &[]).0, 0);
}

extern "C" fn note(place: u64) -> u64 {
    // SAFETY: the test passes the address of its count.
    unsafe { *(place as *mut u64) += 1 };
    0
}

#[test]
fn entries_are_counted_down_to_one_call() {
    let mut b = Builder::new();
    let red = b.block(&[Op::Param])[0];
    b.end(End::Finish(vec![red]));
    let (mut left, mut reached) = (3u64, 0u64);
    let mut options = Options::new(Quality::Quick);
    options.countdown = Some(Countdown { left: &raw mut left, reached: note, argument: &raw mut reached as u64 });
    let machine = compilers().compile(&b.0, &options).unwrap();
    for entries in 1..=5 {
        let (how, context) = run(&machine, &[entries]);
        assert_eq!((how, context.results[0]), (FINISH, entries));
        assert_eq!(reached, u64::from(entries >= 3));
    }
}

#[test]
fn exits_say_which_code_they_are_of() {
    let mut b = Builder::new();
    let red = b.block(&[Op::Param])[0];
    b.exit(&[]);
    b.guard(Op::GuardTrue, &[red], &[red]);
    b.end(End::Exit(ExitId(0)));
    let options = Options { number: 7, ..Options::new(Quality::Full) };
    let machine = compilers().compile(&b.0, &options).unwrap();
    assert_eq!(run(&machine, &[1]).0, 7 << 32);
    assert_eq!(run(&machine, &[0]).0, 7 << 32 | 1);
}

#[test]
fn an_exit_wider_than_the_context_is_refused() {
    let mut b = Builder::new();
    let red = b.block(&[Op::Param])[0];
    let exit = b.exit(&vec![red; MAX_SLOTS + 1]);
    b.end(End::Exit(ExitId(exit)));
    assert_eq!(
        compilers().compile(&b.0, &Options::new(Quality::Quick)).unwrap_err(),
        CompileError::TooManySlots(MAX_SLOTS + 1)
    );
}

#[test]
fn both_queues_hand_every_job_back_in_order() {
    let mut b = Builder::new();
    let red = b.block(&[Op::Param])[0];
    let sum = b.op(Op::Add, &[red, c(1)]);
    b.end(End::Finish(vec![sum]));
    let make = || {
        let mut compiler = compilers();
        move |code: Code| compiler.compile(&code, &Options::new(Quality::Full))
    };
    for mut queue in [Queue::synchronous(make()), Queue::background(make)] {
        for token in 0..20 {
            queue.submit(token, b.0.clone());
        }
        for token in 0..20u64 {
            let done = queue.wait().unwrap();
            assert_eq!(done.token, token);
            let (how, context) = run(&done.result.unwrap().unwrap(), &[token]);
            assert_eq!((how, context.results[0]), (FINISH, token + 1));
        }
        assert!(queue.wait().is_none() && queue.pending() == 0);
    }
}

#[test]
fn a_job_that_panics_comes_back_and_the_next_is_done() {
    let make = || |job: u32| if job == 1 { panic!("on purpose") } else { job };
    for mut queue in [Queue::synchronous(make()), Queue::background(make)] {
        (0..3).for_each(|job| queue.submit(job, job));
        let results: Vec<_> = std::iter::from_fn(|| queue.wait()).map(|done| done.result).collect();
        assert_eq!(results, [Some(0), None, Some(2)]);
    }
}
