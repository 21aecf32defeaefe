//! Calls, as twins make them: looked into, residual, elidable, and of portals.

use super::{Meta, Mode, Results};
use crate::context::{MAX_RESULTS, Words};
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
    /// Run the loop's twin with the greens and reds that it was entered with, then call [`Meta::leave_loop`].
    Inline,
    /// The same with these greens and reds: it had gone on before.
    Resume(Vec<u64>, Vec<Raw>),
}

/// A function marked `#[enable_threaded_code]`, as threaded code calls it.
#[derive(Debug)]
pub struct Handler {
    /// The function.
    pub function: &'static Callee,
    /// The same behind a flag, which is the last argument: if it is set, nothing is done. So the papers' shallow tracing keeps
    /// handlers from having effects; here it is only there to be measured against.
    pub stub: Callee,
}

/// What a stub returns that does nothing: zeros.
///
/// # Safety
/// `out` must have room for the result words after the first.
pub unsafe fn no_result<R: Flat>(out: *mut u64) -> u64 {
    for index in 1..R::WORDS {
        // SAFETY: the caller's contract.
        unsafe { *out.add(index - 1) = 0 };
    }
    0
}

/// What a handler that is called does with the items of the virtualizable.
#[derive(Clone, Copy, Debug)]
pub enum FrameUse {
    /// Reads and writes.
    Any,
    /// Reads.
    Reads,
    /// Reads those from this one on.
    ReadsFrom(Arg),
}

/// A result's words.
fn words_of<R: Flat>(result: R) -> Words {
    let mut words = Words::default();
    result.flatten(&mut words);
    words
}

/// A result's words of which only threaded code will know what they are.
fn unknown(results: Results) -> [Raw; MAX_RESULTS] {
    let mut words = [Raw::constant(0); MAX_RESULTS];
    words.iter_mut().zip(results.words()).for_each(|(word, arg)| *word = Raw { bits: 0, arg });
    words
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
        if let Some(shallow) = self.makes_code() {
            return Ok(CallMark(Some(shallow.enter_call())));
        }
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
        if let (CallMark(Some(start)), Some(shallow)) = (mark, self.makes_code()) {
            if shallow.logged_since(start) {
                let mut words = std::mem::take(&mut self.raws);
                words.clear();
                R::flatten_twin(&result, &mut words);
                if let Some(shallow) = self.makes_code() {
                    shallow.collapse(start, &words);
                }
                self.raws = words;
            }
            return result;
        }
        if let (CallMark(Some(start)), Mode::Record) = (mark, self.mode) {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            if recorder.position().0 != start.0 {
                self.raws.clear();
                R::flatten_twin(&result, &mut self.raws);
                recorder.collapse(start, &self.raws);
            }
        }
        result
    }

    /// Begins a call of a handler: in threaded code it may become a call, unless the condition says that it is looked into.
    #[inline(never)]
    pub fn enter_handler<R: Flat>(
        &mut self,
        handler: &'static Handler,
        args: &[Raw],
        look_inside: bool,
        frame: FrameUse,
    ) -> Result<CallMark, R::Twin> {
        let Some(shallow) = self.makes_code() else {
            return self.enter_call::<R>();
        };
        if let Some(mark) = shallow.enter_handler(handler.function, look_inside) {
            return Ok(CallMark(Some(mark)));
        }
        let words = unknown(shallow.call_handler(handler, args, frame));
        shallow.set_silent(true);
        let result = R::unflatten_twin(self, &mut Reader::new(&words), true);
        if let Some(shallow) = self.makes_code() {
            shallow.set_silent(false);
        }
        Err(result)
    }

    /// Ends a call of a handler that was looked into.
    pub fn leave_handler<R: Flat>(&mut self, mark: CallMark, result: R::Twin) -> R::Twin {
        if let Some(shallow) = self.makes_code() {
            shallow.leave_handler();
        }
        self.leave_call::<R>(mark, result)
    }

    /// A call that threaded code makes, and its result.
    fn shallow_call<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw]) -> R::Twin {
        let shallow = self.makes_code().expect("a shallow recorder in shallow mode");
        let words = unknown(shallow.call(callee, args));
        R::unflatten_twin(self, &mut Reader::new(&words), true)
    }

    fn replayed_words<R: Flat>(&mut self, from_call: bool) -> R::Twin {
        let replay = self.replay.as_mut().expect("a replay in replay mode");
        let words = copied(replay.take_words());
        R::unflatten_twin(self, &mut Reader::new(&words), from_call)
    }

    /// A call that is not looked into.
    #[inline(never)]
    pub fn call<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], native: impl FnOnce() -> R) -> R::Twin {
        if self.mode == Mode::Shallow {
            return self.shallow_call::<R>(callee, args);
        }
        if self.replays() {
            return self.replayed_words::<R>(true);
        }
        let words = words_of(native());
        self.called::<R>(callee, args, words)
    }

    /// Records a call that was just made natively, and hands out its result.
    fn called<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], words: Words) -> R::Twin {
        if self.mode != Mode::Record {
            return self.constants_of_call::<R>(words);
        }
        let recorder = self.recorder.as_mut().expect("a recorder in record mode");
        let results = recorder.call(callee, args.iter().map(|word| word.arg));
        recorder.log_words(results.words());
        let mut raws = [Raw::constant(0); MAX_RESULTS];
        for (raw, (&bits, arg)) in raws.iter_mut().zip(words.iter().zip(results.words())) {
            *raw = Raw { bits, arg };
        }
        R::unflatten_twin(self, &mut Reader::new(&raws), true)
    }

    fn constants_of_call<R: Flat>(&mut self, words: Words) -> R::Twin {
        let mut raws = [Raw::constant(0); MAX_RESULTS];
        raws.iter_mut().zip(words.iter()).for_each(|(raw, &bits)| *raw = Raw::constant(bits));
        R::unflatten_twin(self, &mut Reader::new(&raws), true)
    }

    /// A call of a pure function that is not looked into: folds if all arguments are constants.
    #[inline(never)]
    pub fn elidable<R: Flat>(&mut self, callee: &'static Callee, args: &[Raw], native: impl FnOnce() -> R) -> R::Twin {
        if self.mode == Mode::Shallow && args.iter().any(|arg| arg.arg.as_const().is_none()) {
            return self.shallow_call::<R>(callee, args);
        }
        if self.replays() {
            return self.replayed_words::<R>(true);
        }
        let words = words_of(native());
        if let Some(shallow) = self.makes_code() {
            shallow.log_constants(&words);
            return self.constants_of_call::<R>(words);
        }
        if self.mode == Mode::Record && args.iter().all(|arg| arg.arg.as_const().is_some()) {
            let constants = words.iter().map(|&bits| Arg::Const(bits));
            self.recorder.as_mut().expect("a recorder in record mode").log_words(constants);
            return self.constants_of_call::<R>(words);
        }
        self.called::<R>(callee, args, words)
    }

    /// A pure function of floats, given their patterns, that needs no log: it is run again.
    pub(crate) fn elidable_float(&mut self, callee: &'static Callee, args: &[Arg], val: f64) -> Traced<f64> {
        if args.iter().all(|arg| arg.as_const().is_some()) {
            return Traced::constant(val);
        }
        if let Some(shallow) = self.makes_code() {
            let word = shallow.call_pure(callee, args);
            let arg = shallow.pure(crate::ir::Op::BitsFloat, &[word]);
            return Traced::new(val, arg);
        }
        let Some(recorder) = self.writes() else {
            return Traced::constant(val);
        };
        let results = recorder.call(callee, args.iter().copied());
        let arg = results.words().next().map_or(Arg::Const(0), |word| recorder.pure(crate::ir::Op::BitsFloat, &[word]));
        Traced::new(val, arg)
    }

    /// A portal call, after its prologue: greens are constants, except in threaded code.
    #[inline(never)]
    pub fn enter_loop<R: Flat>(&mut self, driver: &'static Driver, greens: &[Raw], reds: &[Raw]) -> Enter<R::Twin> {
        if self.mode == Mode::Shallow {
            let constants: Option<Vec<u64>> = greens.iter().map(|green| green.arg.as_const()).collect();
            let (callee, first) = match constants {
                Some(greens) => {
                    let cell = Raw::constant(crate::driver::call_cell(driver, &greens).bits());
                    (&driver.entry, vec![cell])
                }
                None => (&driver.general, greens.to_vec()),
            };
            let args: Vec<Raw> = first.into_iter().chain(reds.iter().copied()).collect();
            return Enter::Done(self.shallow_call::<R>(callee, &args));
        }
        let greens: Vec<u64> = greens.iter().map(|green| green.bits).collect();
        let greens = &greens[..];
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
            return Enter::Resume(entered.greens, entered.reds);
        }
        if self.mode == Mode::Record {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            if recorder.inlines(driver, greens) && !crate::driver::never_inlines(driver, greens) {
                recorder.enter(driver, greens, reds);
                self.depth += 1;
                self.fresh_merge = true;
                return Enter::Inline;
            }
        }
        let values: Vec<u64> = reds.iter().map(|red| red.bits).collect();
        let named = (self.mode == Mode::Record).then(|| crate::driver::portal_callee(driver, greens, &values));
        let mut words = Words::default();
        (driver.call)(greens, &values, &mut words);
        let Some((cell, callee)) = named else {
            return Enter::Done(self.constants_of_call::<R>(words));
        };
        let args: Vec<Raw> = std::iter::once(Raw::constant(cell.bits())).chain(reds.iter().copied()).collect();
        Enter::Done(self.called::<R>(callee, &args, words))
    }

    /// The loop's twin of an inlined portal call returned.
    #[inline(never)]
    pub fn leave_loop<R: Flat>(&mut self, result: R::Twin) -> R::Twin {
        self.depth -= 1;
        if self.mode == Mode::Record {
            self.raws.clear();
            R::flatten_twin(&result, &mut self.raws);
            self.recorder.as_mut().expect("a recorder in record mode").leave(&self.raws);
        }
        result
    }
}
