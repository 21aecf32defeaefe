//! The tracer: [`Meta`], which every twin is handed, and the recorder behind it.
//!
//! **Problem.** One body of generated code (the twins) must record traces, resume the interpreter at any guard, and do so
//! again while recording a bridge.
//!
//! **Approach.** `Meta` has four modes; of the fourth, *shallow*, in which nothing runs, `crate::shallow` tells. *Live*: every
//! operation is done natively and nothing is remembered. *Record*: it
//! is done natively and also written to a [`Tree`](crate::ir::tree::Tree). *Replay*: the twin is called again from the last merge point;
//! events (loads, calls, allocations) are not done but answered from the log that an exit hands over, stores are
//! skipped, and pure operations and branches just run again. When the log is used up and the ticks since its last node
//! have passed, the mode becomes live or recording, in the middle of the twin, and the branch that failed goes the other
//! way by itself.
//!
//! **Positions.** A place in a run is a node of the event log and a number of ticks since. Ticks are counted by branches,
//! promotions, stores and entries of `#[jit]` functions, unconditionally and alike in all modes. A call that was looked
//! into and completed becomes one node (see [`crate::ir::tree`]); the ticks at its entry tell replay which call
//! the node belongs to.
//!
//! **Immutable fields are read again**, not logged: the object is there, and its field has not changed.
//!
//! **Leaving.** At a merge point in live mode, the outermost activation unwinds to the driver with its greens and reds;
//! an inner one goes on in the plain loop and hands its result to the outer twin.
//!
//! A second, *generic* tracer is selected by a parameter, to be measured against: [`generic`].
//!
//! **Rejected.** Logging every branch outcome (replay recomputes them); a jitcode and a blackhole interpreter.

mod calls;
mod generic;
mod known;
mod memory;
mod recorder;
mod replay;

pub use calls::{CallMark, Enter, FrameUse, Handler, no_result};
pub use memory::Allocation;
pub use recorder::{Abort, Limits, Recorder, Tracer};
pub(crate) use recorder::{FastMap, Results};
pub use replay::Replay;
pub(crate) use replay::StepKind;

use crate::driver::Driver;
use crate::ir::tree::TreeEnd;
use crate::ir::{Arg, Op};
use crate::shallow::Shallow;
use crate::twin::{Flat, Raw, Reader, Traced};
use crate::word::Word;

/// What a `Meta` is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Running natively.
    Live,
    /// Running and recording.
    Record,
    /// Going over what was done already.
    Replay,
    /// Nothing is run: code is made of what could be.
    Shallow,
}

/// How a run of the outermost twin ended when it did not return.
#[derive(Clone, Debug)]
pub struct Continue {
    /// The portal's greens.
    pub greens: Vec<u64>,
    /// The portal's reds.
    pub reds: Vec<u64>,
}

/// What twins are handed: see the module.
#[derive(Debug)]
pub struct Meta {
    mode: Mode,
    /// Present while recording and in a replay that records afterwards.
    recorder: Option<Box<Recorder>>,
    /// Kept after the replay's end, for its buffers.
    replay: Option<Replay>,
    /// Portal activations that this twin has inlined, the outermost not counted.
    depth: u32,
    /// The twin was just called at a merge point that needs no handling.
    fresh_merge: bool,
    /// The last jump went backwards.
    back_edge: bool,
    outcome: Option<Continue>,
    /// A buffer for a result's words.
    raws: Vec<Raw>,
    /// Present in shallow mode.
    shallow: Option<Box<Shallow>>,
    /// The run stands for threaded code: it makes it, or comes from it.
    threaded: bool,
}

impl Meta {
    /// Starts recording at a merge point.
    pub(crate) fn recording(recorder: Box<Recorder>) -> Meta {
        Meta { mode: Mode::Record, recorder: Some(recorder), ..Meta::live() }
    }

    /// Starts a replay; with a recorder it becomes a recording.
    pub(crate) fn replaying(replay: Replay, recorder: Option<Box<Recorder>>) -> Meta {
        Meta { mode: Mode::Replay, replay: Some(replay), recorder, ..Meta::live() }
    }

    fn live() -> Meta {
        Meta {
            mode: Mode::Live,
            recorder: None,
            replay: None,
            depth: 0,
            fresh_merge: true,
            back_edge: false,
            outcome: None,
            raws: Vec::new(),
            shallow: None,
            threaded: false,
        }
    }

    /// Goes through one iteration of the interpreter in shallow mode.
    pub(crate) fn shallow(mut shallow: Box<Shallow>) -> Meta {
        let raws = std::mem::take(&mut shallow.raws);
        Meta { mode: Mode::Shallow, raws, shallow: Some(shallow), threaded: true, ..Meta::live() }
    }

    /// The shallow recorder, handed back.
    pub(crate) fn into_shallow(self) -> Option<Box<Shallow>> {
        let mut shallow = self.shallow?;
        shallow.raws = self.raws;
        Some(shallow)
    }

    /// Says that the log to replay was written by threaded code.
    pub(crate) fn of_threaded_code(self) -> Meta {
        Meta { threaded: true, ..self }
    }

    /// The shallow recorder, in shallow mode.
    #[inline(always)]
    fn makes_code(&mut self) -> Option<&mut Shallow> {
        if self.mode == Mode::Shallow { self.shallow.as_deref_mut() } else { None }
    }

    /// What it hands back when the outermost twin is done.
    pub(crate) fn finish(self) -> (Option<Continue>, Option<Box<Recorder>>, Option<Replay>) {
        (self.outcome, self.recorder, self.replay)
    }

    /// The recorder, if operations are being written down (pure ones are, in a replay that records afterwards).
    #[inline(always)]
    fn writes(&mut self) -> Option<&mut Recorder> {
        if self.mode == Mode::Live { None } else { self.recorder.as_deref_mut() }
    }

    /// Whether this run stands for compiled code: the twin of [`crate::we_are_jitted`].
    pub fn we_are_jitted(&self) -> Traced<bool> {
        Traced::constant(!self.threaded)
    }

    /// The twin of [`crate::we_are_threaded`].
    pub fn we_are_threaded(&self) -> Traced<bool> {
        Traced::constant(self.threaded)
    }

    /// The twin of [`crate::either`].
    pub fn either(&mut self, condition: Traced<bool>) -> Traced<bool> {
        if let (Some(shallow), Arg::Op(op)) = (self.makes_code(), condition.arg()) {
            shallow.expect_either(op);
        }
        condition
    }

    /// Goes on natively, whatever was being recorded.
    #[cold]
    pub(crate) fn abort(&mut self, reason: Abort) {
        if let Some(recorder) = &mut self.recorder {
            recorder.aborted = Some(reason);
        }
        if self.mode == Mode::Record {
            self.mode = Mode::Live;
        }
    }

    /// Called first by everything that ticks or logs: ends the replay where its log ends. Whether it is still replaying.
    #[inline]
    fn replays(&mut self) -> bool {
        if self.mode != Mode::Replay {
            return false;
        }
        let replay = self.replay.as_ref().expect("a replay in replay mode");
        if !replay.is_over() {
            return true;
        }
        self.end_replay();
        false
    }

    #[cold]
    fn end_replay(&mut self) {
        self.mode = if self.recorder.is_some() { Mode::Record } else { Mode::Live };
    }

    /// Records a pure operation; in modes that record nothing, the result is not to be looked at.
    #[inline(never)]
    pub fn pure(&mut self, op: Op, args: &[Arg]) -> Arg {
        if let Some(shallow) = self.makes_code() {
            return shallow.pure(op, args);
        }
        match self.writes() {
            Some(recorder) => recorder.pure(op, args),
            None => Arg::Const(0),
        }
    }

    /// Records a pure operation whose native value is known.
    #[inline]
    pub fn pure_word<T: Word>(&mut self, op: Op, args: &[Arg], val: T) -> Traced<T> {
        if args.iter().all(|arg| arg.as_const().is_some()) {
            return Traced::constant(val);
        }
        if let Some(shallow) = self.makes_code() {
            let arg = shallow.pure(op, args);
            return Traced::new(val, arg);
        }
        match self.writes() {
            Some(recorder) => {
                let arg = recorder.pure(op, args);
                Traced::new(val, arg)
            }
            None => Traced::constant(val),
        }
    }

    /// A float from its pattern.
    pub(crate) fn float_of_bits(&mut self, word: Raw) -> Arg {
        match word.arg {
            Arg::Const(bits) => Arg::Const(bits),
            arg => self.pure(Op::BitsFloat, &[arg]),
        }
    }

    /// The pattern of a float.
    pub(crate) fn bits_of_float(&mut self, arg: Arg) -> Arg {
        match arg {
            Arg::Const(bits) => Arg::Const(bits),
            arg => self.pure(Op::FloatBits, &[arg]),
        }
    }

    /// Counts a tick where nothing is to be guarded: an operand is constant.
    #[inline]
    fn tick(&mut self) {
        if let Some(shallow) = self.makes_code() {
            return shallow.tick();
        }
        if self.replays() {
            self.replay_tick();
        } else if let (Mode::Record, Some(recorder)) = (self.mode, &mut self.recorder) {
            recorder.tick();
        }
    }

    /// The twin of a condition: a guard, unless the outcome is known. Threaded code is laid out for conditions that hold.
    #[inline]
    pub fn branch(&mut self, condition: Traced<bool>) -> bool {
        self.branch_expecting(condition, true)
    }

    /// The same of a condition that hardly ever holds, such as an overflow.
    #[inline]
    pub fn seldom(&mut self, condition: Traced<bool>) -> bool {
        self.branch_expecting(condition, false)
    }

    #[inline]
    fn branch_expecting(&mut self, condition: Traced<bool>, likely: bool) -> bool {
        if condition.op == crate::twin::CONSTANT {
            self.tick();
            return condition.val;
        }
        self.branch_on_unknown(condition, likely)
    }

    #[inline(never)]
    fn branch_on_unknown(&mut self, condition: Traced<bool>, likely: bool) -> bool {
        if let Some(shallow) = self.makes_code() {
            return shallow.branch(condition.arg(), likely);
        }
        if self.replays() {
            self.replay_tick();
        } else if let (Mode::Record, Some(recorder)) = (self.mode, &mut self.recorder)
            && recorder.branch(condition.arg(), condition.val)
        {
            self.abort(Abort::TooLong);
        }
        condition.val
    }

    /// The twin of a condition under which Rust panics: whether it does. Threaded code doesn't hold that way; it leaves.
    pub fn fails(&mut self, condition: Traced<bool>) -> bool {
        if let Some(shallow) = self.makes_code() {
            shallow.leaves_if(condition.arg());
            return false;
        }
        self.branch(condition)
    }

    /// Said where the twin is about to panic: threaded code leaves here.
    pub fn panics(&mut self) {
        if let Some(shallow) = self.makes_code() {
            shallow.panics();
        }
    }

    /// The twin of a condition that is any word: whether it is not 0. `likely` is what code is laid out for.
    pub fn branch_on_word(&mut self, word: Raw, likely: bool) -> bool {
        let condition = self.pure_word(Op::Ne, &[word.arg, Arg::Const(0)], word.bits != 0);
        if let Some(shallow) = self.makes_code() {
            return shallow.branch_on_tag(word.arg, condition.arg(), likely);
        }
        self.branch(condition)
    }

    /// The twin of [`crate::seen`].
    pub fn seen<T: Word>(&mut self, word: Traced<T>) -> Traced<T> {
        match (self.makes_code(), word.arg()) {
            (Some(shallow), Arg::Op(op)) => match shallow.seen(op) {
                Some(bits) => Traced::constant(T::from_bits(bits)),
                None => word,
            },
            _ => word,
        }
    }

    /// Makes a green of a call of a portal a constant of the trace.
    pub fn green<T: Word>(&mut self, word: Traced<T>) -> Traced<T> {
        if let Some(shallow) = self.makes_code() {
            shallow.tick();
            return word;
        }
        self.promote(word)
    }

    /// Makes a word a constant of the trace.
    #[inline]
    pub fn promote<T: Word>(&mut self, word: Traced<T>) -> Traced<T> {
        if word.op == crate::twin::CONSTANT {
            self.tick();
            return word;
        }
        let arg = if T::TYPE == crate::word::Type::Float && self.mode != Mode::Live {
            self.bits_of_float(word.arg())
        } else {
            word.arg()
        };
        self.promote_unknown(arg, word.val.to_bits());
        Traced::constant(word.val)
    }

    #[inline(never)]
    fn promote_unknown(&mut self, arg: Arg, bits: u64) {
        if let Some(shallow) = self.makes_code() {
            return shallow.promote(arg);
        }
        if self.replays() {
            self.replay_tick();
        } else if let (Mode::Record, Some(recorder)) = (self.mode, &mut self.recorder)
            && recorder.promote(arg, bits)
        {
            self.abort(Abort::TooLong);
        }
    }

    /// Whether the twin was just called at a merge point, whose greens are constants already.
    #[inline(always)]
    pub fn at_fresh_merge(&self) -> bool {
        self.fresh_merge
    }

    /// The twin of a structure's tag: whether it is this one. Only tags that come from a call have to be branched on.
    pub fn tag_is(&mut self, tag: Raw, wanted: u64, from_call: bool) -> bool {
        if !from_call {
            return tag.bits == wanted;
        }
        let same = self.pure_word(Op::Eq, &[tag.arg, Arg::Const(wanted)], tag.bits == wanted);
        self.branch(same)
    }

    fn replay_tick(&mut self) {
        self.replay.as_mut().expect("a replay in replay mode").tick();
    }

    /// The twin of a jump backwards.
    pub fn back_edge(&mut self) {
        self.back_edge = true;
    }

    /// The twin of a merge point. If it answers something, the twin of the loop returns that.
    #[inline(never)]
    pub fn merge_point<R: Flat>(&mut self, driver: &'static Driver, greens: &[u64], reds: &[Raw]) -> Option<R::Twin> {
        let back_edge = std::mem::take(&mut self.back_edge);
        if std::mem::take(&mut self.fresh_merge) {
            return None;
        }
        if let Some(shallow) = self.makes_code() {
            shallow.arrive(greens, reds, back_edge);
            let zeros = [Raw::constant(0); crate::context::MAX_RESULTS];
            return Some(R::unflatten_twin(self, &mut Reader::new(&zeros), false));
        }
        if self.replays() {
            unreachable!("a merge point was passed in a replay: the log of {} is out of step", driver.portal.name);
        }
        if self.mode == Mode::Record {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            match recorder.merge_point(driver, self.depth, greens, reds, back_edge) {
                Ok(()) => return None,
                Err(Stop::End(end)) => {
                    recorder.end(end);
                    self.mode = Mode::Live;
                }
                Err(Stop::Abort(reason)) => self.abort(reason),
            }
        }
        let reds: Vec<u64> = reds.iter().map(|red| red.bits).collect();
        if self.depth == 0 {
            self.outcome = Some(Continue { greens: greens.to_vec(), reds });
            let zeros = [Raw::constant(0); crate::context::MAX_RESULTS];
            return Some(R::unflatten_twin(self, &mut Reader::new(&zeros), false));
        }
        let mut words = crate::context::Words::default();
        (driver.plain)(greens, &reds, &mut words);
        Some(self.constants::<R>(&words))
    }

    /// A structure of constants.
    fn constants<R: Flat>(&mut self, words: &[u64]) -> R::Twin {
        let words: Vec<Raw> = words.iter().map(|&bits| Raw::constant(bits)).collect();
        R::unflatten_twin(self, &mut Reader::new(&words), false)
    }
}

/// Why a merge point stops a recording.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The fragment is complete.
    End(TreeEnd),
    /// It is given up.
    Abort(Abort),
}
