//! Calls, as twins make them: looked into, residual, elidable, and of portals.

use super::{Meta, Mode};
use crate::context::MAX_RESULTS;
use crate::driver::Driver;
use crate::ir::tree::LogId;
use crate::ir::{Arg, Callee};
use crate::twin::{Flat, Raw, Reader, Traced};

/// Where a call that is looked into began.
#[derive(Clone, Copy, Debug)]
pub struct CallMark(Option<(LogId, u32)>);

/// How a portal call in a twin goes on.
#[derive(Debug)]
pub enum Enter<T> {
    /// It is over, with this result.
    Done(T),
    /// Run the loop's twin with these greens and reds, then call [`Meta::leave_loop`].
    Run(Vec<u64>, Vec<Raw>),
}

/// A result's words, out of the way of the tracer.
fn copied(words: &[Raw]) -> [Raw; MAX_RESULTS] {
    let mut copy = [Raw::constant(0); MAX_RESULTS];
    copy[..words.len()].copy_from_slice(words);
    copy
}

impl Meta {
    /// Begins a call that is looked into, or answers it if it was completed before.
    #[inline(never)]
    pub fn enter_call<R: Flat>(&mut self) -> Result<CallMark, R::Twin> {
        if self.replays() {
            let replay = self.replay.as_mut().expect("a replay in replay mode");
            if let Some(words) = replay.take_collapsed() {
                let words = copied(words);
                return Err(R::unflatten_twin(self, &mut Reader::new(&words), false));
            }
            let start = replay.position();
            replay.tick();
            return Ok(CallMark(start));
        }
        if self.mode == Mode::Record {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            let start = recorder.position();
            recorder.tick();
            return Ok(CallMark(Some(start)));
        }
        Ok(CallMark(None))
    }

    /// Ends a call that was looked into: what it logged becomes its result.
    #[inline(never)]
    pub fn leave_call<R: Flat>(&mut self, mark: CallMark, result: R::Twin) -> R::Twin {
        if let (CallMark(Some(start)), Mode::Record) = (mark, self.mode) {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            if recorder.position().0 != start.0 {
                let mut words = Vec::with_capacity(R::WORDS);
                R::flatten_twin(&result, &mut words);
                recorder.collapse(start, &words);
            }
        }
        result
    }

    fn replayed_words<R: Flat>(&mut self, from_call: bool) -> R::Twin {
        let replay = self.replay.as_mut().expect("a replay in replay mode");
        let words = copied(replay.take_words());
        R::unflatten_twin(self, &mut Reader::new(&words), from_call)
    }

    /// A call that is not looked into.
    #[inline(never)]
    pub fn call<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], native: impl FnOnce() -> R) -> R::Twin {
        if self.replays() {
            return self.replayed_words::<R>(true);
        }
        let mut words = Vec::with_capacity(R::WORDS);
        native().flatten(&mut words);
        self.called::<R>(callee, args, &words)
    }

    /// Records a call that was just made natively, and hands out its result.
    fn called<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], words: &[u64]) -> R::Twin {
        if self.mode != Mode::Record {
            return self.constants_of_call::<R>(words);
        }
        let recorder = self.recorder.as_mut().expect("a recorder in record mode");
        let args: Vec<Arg> = args.iter().map(|word| word.arg).collect();
        let results = recorder.call(callee, &args);
        recorder.log_words(&results);
        let words: Vec<Raw> = words.iter().zip(&results).map(|(&bits, &arg)| Raw { bits, arg }).collect();
        R::unflatten_twin(self, &mut Reader::new(&words), true)
    }

    fn constants_of_call<R: Flat>(&mut self, words: &[u64]) -> R::Twin {
        let words: Vec<Raw> = words.iter().map(|&bits| Raw::constant(bits)).collect();
        R::unflatten_twin(self, &mut Reader::new(&words), true)
    }

    /// A call of a pure function that is not looked into: folds if all arguments are constants.
    #[inline(never)]
    pub fn elidable<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], native: impl FnOnce() -> R) -> R::Twin {
        if self.replays() {
            return self.replayed_words::<R>(true);
        }
        let mut words = Vec::with_capacity(R::WORDS);
        native().flatten(&mut words);
        if self.mode == Mode::Record && args.iter().all(|arg| arg.arg.as_const().is_some()) {
            let constants: Vec<Arg> = words.iter().map(|&bits| Arg::Const(bits)).collect();
            self.recorder.as_mut().expect("a recorder in record mode").log_words(&constants);
            return self.constants_of_call::<R>(&words);
        }
        self.called::<R>(callee, args, &words)
    }

    /// A pure function of floats, given their patterns, that needs no log: it is run again.
    pub(crate) fn elidable_float(&mut self, callee: &'static Callee, args: &[Arg], val: f64) -> Traced<f64> {
        if args.iter().all(|arg| arg.as_const().is_some()) {
            return Traced::constant(val);
        }
        let Some(recorder) = self.writes() else {
            return Traced::constant(val);
        };
        let words = recorder.call(callee, args);
        let arg = recorder.pure(crate::ir::Op::BitsFloat, &words);
        Traced::new(val, arg)
    }

    /// A portal call, after its prologue: greens are constants.
    #[inline(never)]
    pub fn enter_loop<R: Flat>(&mut self, driver: &'static Driver, greens: &[u64], reds: &[Raw]) -> Enter<R::Twin> {
        if self.replays() {
            let replay = self.replay.as_mut().expect("a replay in replay mode");
            if let Some(words) = replay.take_collapsed() {
                let words = copied(words);
                return Enter::Done(R::unflatten_twin(self, &mut Reader::new(&words), false));
            }
            if replay.next_is_words() {
                return Enter::Done(self.replayed_words::<R>(true));
            }
            let entered = replay.take_enter();
            if let (Some(recorder), Some(base)) = (&mut self.recorder, entered.base) {
                recorder.reenter(driver, base, entered.ticks, &entered.greens);
            }
            self.depth += 1;
            self.fresh_merge = true;
            return Enter::Run(entered.greens, entered.reds);
        }
        if self.mode == Mode::Record {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            if recorder.inlines(driver, greens) && !crate::driver::never_inlines(driver, greens) {
                recorder.enter(driver, greens, reds);
                self.depth += 1;
                self.fresh_merge = true;
                return Enter::Run(greens.to_vec(), reds.to_vec());
            }
        }
        let values: Vec<u64> = reds.iter().map(|red| red.bits).collect();
        let mut words = Vec::with_capacity(R::WORDS);
        (driver.call)(greens, &values, &mut words);
        if self.mode != Mode::Record {
            return Enter::Done(self.constants_of_call::<R>(&words));
        }
        let cell = Raw::constant(crate::driver::call_cell(driver, greens).bits());
        let args: Vec<Raw> = std::iter::once(cell).chain(reds.iter().copied()).collect();
        Enter::Done(self.called::<R>(&driver.entry, &args, &words))
    }

    /// The loop's twin of an inlined portal call returned.
    #[inline(never)]
    pub fn leave_loop<R: Flat>(&mut self, result: R::Twin) -> R::Twin {
        self.depth -= 1;
        if self.mode == Mode::Record {
            let mut words = Vec::with_capacity(R::WORDS);
            R::flatten_twin(&result, &mut words);
            self.recorder.as_mut().expect("a recorder in record mode").leave(&words);
        }
        result
    }
}
