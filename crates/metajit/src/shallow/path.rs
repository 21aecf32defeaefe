//! One way through one iteration: what [`Meta`](crate::record::Meta) asks in shallow mode.
//!
//! Running the twin again must come to the same place: every answer that depends on what is known is written down (the
//! *script*) and given again, and while the script lasts nothing is emitted and nothing is learned. The state that a run goes on
//! with afterwards is the one that was kept at the fork.

use super::Bounds;
use super::builder::{Builder, Room};
use super::state::{Held, Open, SCALAR, State, Step};
use crate::driver::Driver;
use crate::ir::code::{BlockId, Code, End, Exit, ExitId, PendingStore, Place, Recipe, ResumeStep};
use crate::ir::tree::LogId;
use crate::ir::{Arg, Aux, Callee, Effect, Op, OpRef};
use crate::object::{Field, Header, Mutability, Shape};
use crate::record::{FastMap, FrameUse, Handler, Results};
use crate::twin::Raw;
use crate::word::Type;
use std::cell::RefCell;

/// How much greater an index is looked for that is known to be inside.
const NEAR: u64 = 8;
/// Branches on unknown words in one run: more are a loop.
const MOST_FORKS: usize = 40;
/// Words of the frame that memory does not have yet: each exit has to store them.
const MOST_DIRTY: usize = 10;
/// Words of the frame in registers: more than any machine has.
const MOST_HELD: usize = 32;

/// States and scripts that are kept to be used again: as many as there are ways and chains at a time.
const MOST_SPARE: usize = 64;

/// Ways through one iteration; the rest of them are exits.
const MOST_WAYS: usize = 48;

thread_local! {
    /// Handlers that could not be inlined: they are called.
    static CALLED: RefCell<FastMap<usize, ()>> = RefCell::new(FastMap::default());
    /// What the last unit has left.
    static SPARE: RefCell<Spare> = RefCell::default();
}

fn is_called(callee: &'static Callee) -> bool {
    CALLED.with_borrow(|called| called.contains_key(&(std::ptr::from_ref(callee) as usize)))
}

/// What unwinds a twin whose way is at its end.
struct Left;

/// An answer that depends on what was known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Branch(bool),
    Word(Arg),
    Results(Results),
    Seen(Option<u64>),
    /// Where a call began.
    Call(LogId, u32),
    /// The handler is looked into.
    Inlined,
    /// It is called.
    Called,
}

/// A way not gone yet.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) script: Vec<Answer>,
    pub(super) state: Box<State>,
    pub(super) block: BlockId,
    /// Instructions when it was left for later.
    pub(super) insts: usize,
}

/// See [`Shallow::spare`]; and where the last unit was built.
#[derive(Debug, Default)]
pub(super) struct Spare {
    #[expect(clippy::vec_box, reason = "they are handed around, and large")]
    states: Vec<Box<State>>,
    scripts: Vec<Vec<Answer>>,
    greens: Vec<Vec<u64>>,
    reds: Vec<Vec<Arg>>,
    room: Option<Room>,
}

impl Spare {
    /// A copy of a state.
    pub(super) fn state(&mut self, of: &State) -> Box<State> {
        let mut state = self.states.pop().unwrap_or_default();
        state.copy_from(of);
        state
    }

    /// A state where nothing is known.
    pub(super) fn empty_state(&mut self) -> Box<State> {
        let mut state = self.states.pop().unwrap_or_default();
        state.forget();
        state
    }

    fn script(&mut self, of: &[Answer]) -> Vec<Answer> {
        let mut script = self.scripts.pop().unwrap_or_default();
        script.clear();
        script.extend_from_slice(of);
        script
    }

    pub(super) fn give_back(&mut self, state: Box<State>) {
        if self.states.len() < MOST_SPARE {
            self.states.push(state);
        }
    }

    pub(super) fn greens(&mut self, of: &[u64]) -> Vec<u64> {
        let mut greens = self.greens.pop().unwrap_or_default();
        greens.clear();
        greens.extend_from_slice(of);
        greens
    }

    fn reds(&mut self, of: impl Iterator<Item = Arg>) -> Vec<Arg> {
        let mut reds = self.reds.pop().unwrap_or_default();
        reds.clear();
        reds.extend(of);
        reds
    }

    pub(super) fn give_back_greens(&mut self, greens: Vec<u64>) {
        if self.greens.len() < MOST_SPARE {
            self.greens.push(greens);
        }
    }

    pub(super) fn give_back_reds(&mut self, reds: Vec<Arg>) {
        if self.reds.len() < MOST_SPARE {
            self.reds.push(reds);
        }
    }

    pub(super) fn give_back_script(&mut self, script: Vec<Answer>) {
        if script.capacity() > 0 && self.scripts.len() < MOST_SPARE {
            self.scripts.push(script);
        }
    }
}

/// Where a way got to.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) greens: Vec<u64>,
    pub(super) reds: Vec<Arg>,
    pub(super) back_edge: bool,
    /// Before the merge point.
    pub(super) state: Box<State>,
    pub(super) block: BlockId,
}

/// The recorder of threaded code.
#[derive(Debug)]
pub(crate) struct Shallow {
    pub(super) driver: &'static Driver,
    pub(super) bounds: Bounds,
    pub(super) builder: Builder,
    pub(super) script: Vec<Answer>,
    /// Answers given in this run.
    pub(super) given: usize,
    pub(super) state: Box<State>,
    pub(super) block: BlockId,
    pub(super) ways: Vec<Way>,
    pub(super) ways_seen: usize,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) arrived: bool,
    /// A handler is to be called from now on: the iteration has to be gone through anew.
    pub(super) restart: bool,
    /// Items that the frame must have.
    pub(super) frame_items: u64,
    /// Forks of this run.
    pub(super) forks: usize,
    /// The iteration is one that no code can be made of.
    pub(super) hopeless: bool,
    /// What inline caches held, in the order in which it was read.
    pub(super) keys: Vec<u64>,
    /// The last condition of which both outcomes are frequent.
    either: Option<OpRef>,
    /// States and scripts that are not used any more: making them anew is most of what a way costs.
    pub(super) spare: Spare,
    /// Only where ways lead is wanted.
    pub(super) surveys: bool,
    /// Handlers are looked into even so.
    pub(super) surveys_handlers: bool,
    silent: bool,
    /// The runs' buffer for a result's words.
    pub(crate) raws: Vec<Raw>,
    /// A buffer for a call's arguments.
    words: Vec<Arg>,
    /// A buffer for an exit's slots.
    slots: Vec<OpRef>,
}

/// The items of the portal's virtualizable.
pub(super) fn frame_array(driver: &'static Driver) -> Option<&'static Field> {
    driver.portal.virtualizable.and_then(|(_, shape)| shape.array)
}

impl Shallow {
    pub(super) fn new(driver: &'static Driver, bounds: Bounds) -> Shallow {
        let mut spare = SPARE.take();
        Shallow {
            driver,
            bounds,
            builder: Builder::new(&driver.portal, spare.room.take()),
            script: Vec::new(),
            given: 0,
            state: Box::default(),
            block: BlockId(0),
            ways: Vec::new(),
            ways_seen: 0,
            arrivals: Vec::new(),
            arrived: false,
            restart: false,
            frame_items: 0,
            forks: 0,
            hopeless: false,
            keys: Vec::new(),
            either: None,
            spare,
            surveys: false,
            surveys_handlers: false,
            silent: false,
            raws: Vec::new(),
            words: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// The code, when all of it is made.
    pub(super) fn into_code(self) -> Code {
        let (code, room) = self.builder.into_code();
        SPARE.set(Spare { room: Some(room), ..self.spare });
        code
    }

    /// Goes on with a state, in a block.
    pub(super) fn go_on_in(&mut self, state: Box<State>, block: BlockId) {
        let before = std::mem::replace(&mut self.state, state);
        self.spare.give_back(before);
        self.block = block;
    }

    /// Whether this run is still where another one was before it.
    fn goes_over(&self) -> bool {
        self.given < self.script.len()
    }

    fn given_again(&mut self) -> Option<Answer> {
        let answer = self.script.get(self.given).copied()?;
        self.given += 1;
        Some(answer)
    }

    fn give(&mut self, answer: Answer) {
        self.script.push(answer);
        self.given += 1;
    }

    fn word_again(&mut self) -> Option<Arg> {
        match self.given_again()? {
            Answer::Word(arg) => Some(arg),
            other => panic!("a twin did not do again what it did: a word was expected, not {other:?}"),
        }
    }

    fn emit(&mut self, op: Op, args: [Arg; 3], aux: Aux) -> OpRef {
        let result = self.builder.emit(self.block, op, args, aux);
        if let Some(open) = self.state.calls.last()
            && self.builder.code.insts.len() - open.insts > self.bounds.handler_ops
        {
            self.refuse();
        }
        result
    }

    /// What is emitted now can't be taken back by calling an open handler instead.
    fn effect(&mut self) {
        self.state.calls.iter_mut().for_each(|open| open.pure = false);
    }

    /// The virtualizable frame.
    fn frame(&self) -> Option<Arg> {
        let (position, _) = self.driver.portal.virtualizable?;
        self.state.reds.get(position).copied()
    }

    fn is_frame(&self, object: Arg) -> bool {
        matches!(object, Arg::Op(_)) && self.frame() == Some(object)
    }

    // ---- ways and their ends

    /// Counts a tick.
    pub(crate) fn tick(&mut self) {
        if !self.goes_over() && !self.silent {
            self.state.ticks += 1;
        }
    }

    /// Whether branches are ones that a replay does not see.
    pub(crate) fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// This way ends here: the interpreter goes on.
    fn leave(&mut self) -> ! {
        if !self.goes_over() {
            let exit = self.exit(0);
            self.builder.end(self.block, End::Exit(exit));
        }
        std::panic::resume_unwind(Box::new(Left))
    }

    /// Whether a panic is the end of a way.
    pub(super) fn is_left(payload: &(dyn std::any::Any + Send)) -> bool {
        payload.is::<Left>()
    }

    /// Something that code can't be made of: the innermost handler is called instead, if there is one.
    pub(crate) fn refuse(&mut self) {
        if let Some(open) = self.outermost_pure() {
            // What was emitted for it so far is swept away.
            let slow = self.call_instead(open);
            self.builder.end(self.block, End::Jump(slow, Vec::new()));
            std::panic::resume_unwind(Box::new(Left));
        }
        let Some(callee) = self.state.calls.last().map(|open| open.callee) else {
            if self.surveys && !self.surveys_handlers {
                // What a handler returns decides where the interpreter goes on.
                (self.surveys_handlers, self.restart) = (true, true);
                std::panic::resume_unwind(Box::new(Left));
            }
            self.leave()
        };
        CALLED.with_borrow_mut(|called| called.insert(std::ptr::from_ref(callee) as usize, ()));
        self.restart = true;
        std::panic::resume_unwind(Box::new(Left))
    }

    /// The outermost of the handlers that have had no effect yet: it can still be called instead, whatever is in it.
    fn outermost_pure(&self) -> Option<usize> {
        self.state.calls.iter().position(|open| open.pure)
    }

    /// The twin is about to panic.
    pub(crate) fn panics(&mut self) {
        self.leave()
    }

    /// A branch: forks, unless it is known. `likely` is the way that the code is laid out for.
    pub(crate) fn branch(&mut self, condition: Arg, likely: bool) -> bool {
        let Arg::Op(op) = condition else {
            self.tick();
            return condition != Arg::Const(0);
        };
        if let Some(answer) = self.given_again() {
            return match answer {
                Answer::Branch(truth) => truth,
                other => panic!("a twin did not do again what it did: a branch was expected, not {other:?}"),
            };
        }
        let truth = match self.state.truth(op) {
            Some(truth) => truth,
            None => {
                self.fork(condition, op, likely);
                self.state.know(op, likely);
                likely
            }
        };
        self.give(Answer::Branch(truth));
        self.tick();
        truth
    }

    /// A branch on the tag of what a call returned.
    pub(crate) fn branch_on_tag(&mut self, tag: Arg, condition: Arg, likely: bool) -> bool {
        self.builder.tag(tag);
        self.branch(condition, likely)
    }

    fn fork(&mut self, condition: Arg, op: OpRef, likely: bool) {
        self.forks += 1;
        if self.forks > MOST_FORKS {
            self.give_up();
        }
        // A class that an inline cache has not met last may be the one it met before.
        let either = self.either.take() == Some(op);
        let both = either || self.is_key_before_last(op);
        if let (true, Some(open)) = (either, self.outermost_pure()) {
            // Both ways may come to call it, by the same code.
            self.call_instead(open);
        }
        let exit = match self.outermost_pure().filter(|_| !both) {
            Some(open) => {
                let slow = self.call_instead(open);
                self.builder.bridge(slow)
            }
            None if self.ways_seen >= MOST_WAYS => self.exit(0),
            None => {
                self.ways_seen += 1;
                let block = self.builder.block();
                let mut state = self.spare.state(&self.state);
                state.know(op, !likely);
                if !self.silent {
                    state.ticks += 1;
                }
                let mut script = self.spare.script(&self.script);
                script.push(Answer::Branch(!likely));
                let insts = self.builder.code.insts.len();
                self.ways.push(Way { script, state, block, insts });
                self.builder.bridge(block)
            }
        };
        let guard = if likely { Op::GuardTrue } else { Op::GuardFalse };
        self.builder.emit(self.block, guard, [condition, Arg::Const(0), Arg::Const(0)], Aux::Index(exit.0));
    }

    /// Both outcomes of a condition are frequent.
    pub(crate) fn expect_either(&mut self, condition: OpRef) {
        self.either = Some(condition);
    }

    /// Whether a condition compares with a key of an inline cache, and another key was read after it.
    fn is_key_before_last(&self, condition: OpRef) -> bool {
        let inst = self.builder.code.inst(condition);
        let is_key = |key: u64| inst.op == Op::Eq && inst.args[..2].contains(&Arg::Const(key));
        self.keys.split_last().is_some_and(|(_, before)| before.iter().any(|&key| is_key(key)))
    }

    /// The way that calls an open handler.
    fn call_instead(&mut self, position: usize) -> BlockId {
        let open = self.state.calls[position];
        if let Some(block) = open.slow {
            return block;
        }
        let block = self.builder.block();
        self.state.calls[position].slow = Some(block);
        if !self.surveys {
            self.ways_seen += 1;
            let mut state = self.spare.state(&self.state);
            state.go_back_to(open.mark);
            let mut script = self.spare.script(&self.script[..open.answers]);
            script.push(Answer::Called);
            let insts = self.builder.code.insts.len();
            self.ways.push(Way { script, state, block, insts });
        }
        block
    }

    /// The iteration can't be made into code: it is left to the interpreter, or the innermost handler to its plain form.
    fn give_up(&mut self) {
        if self.state.calls.is_empty() {
            self.hopeless = true;
            self.restart = true;
            std::panic::resume_unwind(Box::new(Left));
        }
        self.refuse();
    }

    /// A test that the interpreter panics on: the code leaves there.
    pub(crate) fn leaves_if(&mut self, condition: Arg) {
        self.test(condition, false);
    }

    /// The same, if the condition does not hold.
    pub(crate) fn leaves_unless(&mut self, condition: Arg) {
        self.test(condition, true);
    }

    fn test(&mut self, condition: Arg, goes_on: bool) {
        if self.goes_over() {
            return;
        }
        let known = match condition {
            Arg::Const(bits) => Some(bits != 0),
            Arg::Op(op) => self.state.truth(op).or_else(|| self.is_inside(op).then_some(true)),
        };
        match (known, condition) {
            (Some(truth), _) if truth != goes_on => self.leave(),
            (None, Arg::Op(op)) => {
                let exit = self.exit(0);
                let guard = if goes_on { Op::GuardTrue } else { Op::GuardFalse };
                self.builder.emit(self.block, guard, [condition, Arg::Const(0), Arg::Const(0)], Aux::Index(exit.0));
                self.state.know(op, goes_on);
            }
            _ => {}
        }
        self.tick();
    }

    /// Whether a bounds check says no more than what the interpreter has tested itself.
    fn is_inside(&self, condition: OpRef) -> bool {
        let inst = self.builder.code.inst(condition);
        let [index, len, _] = inst.args;
        if inst.op != Op::Ult {
            return false;
        }
        let holds = |op: Op, a: Arg, b: Arg| {
            self.state.merged(op, a, b).is_some_and(|test| self.state.truth(test) == Some(true))
        };
        match index {
            Arg::Op(_) => holds(Op::Lt, index, len) && holds(Op::Le, Arg::Const(0), index),
            // What was known to be inside before, at a greater index.
            Arg::Const(index) => (index + 1..index + NEAR).any(|other| holds(Op::Ult, Arg::Const(other), len)),
        }
    }

    /// A promotion: only constants can be.
    pub(crate) fn promote(&mut self, word: Arg) {
        match word {
            Arg::Const(_) => self.tick(),
            Arg::Op(_) => self.refuse(),
        }
    }

    /// The run came to the next merge point.
    pub(crate) fn arrive(&mut self, greens: &[u64], reds: &[Raw], back_edge: bool) {
        self.arrived = true;
        if let (Some((position, _)), Some(frame)) = (self.driver.portal.virtualizable, self.frame())
            && reds[position].arg != frame
        {
            self.flush();
            self.state.held.clear();
        }
        let arrival = Arrival {
            greens: self.spare.greens(greens),
            reds: self.spare.reds(reds.iter().map(|red| red.arg)),
            back_edge,
            state: std::mem::replace(&mut self.state, self.spare.empty_state()),
            block: self.block,
        };
        self.arrivals.push(arrival);
    }

    /// The portal returned.
    pub(super) fn finish(&mut self, words: &[Raw]) {
        let words: Vec<Arg> = words.iter().map(|word| self.integer(word.arg)).collect();
        // A frame that was not given away may be looked at by the caller.
        if !self.driver.given {
            self.flush();
        }
        self.builder.pool(words.iter().copied());
        self.builder.end(self.block, End::Finish(words));
    }

    // ---- operations

    pub(crate) fn pure(&mut self, op: Op, args: &[Arg]) -> Arg {
        if let Some(word) = self.word_again() {
            return word;
        }
        let (a, b) = (args[0], args.get(1).copied().unwrap_or(Arg::Const(0)));
        let number = match self.state.merged(op, a, b) {
            Some(number) => number,
            None => {
                let number = self.emit(op, [a, b, Arg::Const(0)], Aux::None);
                self.state.merge(op, a, b, number);
                number
            }
        };
        self.give(Answer::Word(Arg::Op(number)));
        Arg::Op(number)
    }

    /// An operand as an integer word: floats as their pattern.
    fn integer(&mut self, arg: Arg) -> Arg {
        match self.builder.ty(arg) {
            Type::Float => {
                Arg::Op(self.builder.emit(self.block, Op::FloatBits, [arg, Arg::Const(0), Arg::Const(0)], Aux::None))
            }
            Type::Int => arg,
        }
    }

    pub(crate) fn len(&mut self, object: Arg, field: &'static Field) -> OpRef {
        let offset = Arg::Const(u64::from(field.offset));
        match self.word_again() {
            Some(Arg::Op(number)) => number,
            _ => {
                let number = match self.state.merged(Op::Len, object, offset) {
                    Some(number) => number,
                    None => {
                        let number = self.emit(Op::Len, [object, Arg::Const(0), Arg::Const(0)], Aux::Field(field));
                        self.state.merge(Op::Len, object, offset, number);
                        number
                    }
                };
                self.give(Answer::Word(Arg::Op(number)));
                number
            }
        }
    }

    /// Whether an object is known to have this item: a new one of known length, or the frame, since the entries see to that.
    pub(crate) fn has_item(&mut self, object: Arg, index: u64) -> bool {
        let is_frame_item = self.is_frame_item(object, index);
        if !is_frame_item && !self.is_new_item(object, index) {
            return false;
        }
        // Asked again, the question has the same answer, and it ticks.
        if !self.goes_over() {
            if is_frame_item {
                self.frame_items = self.frame_items.max(index + 1);
            }
            self.tick();
        }
        true
    }

    fn is_new_item(&self, object: Arg, index: u64) -> bool {
        let Arg::Op(op) = object else { return false };
        let inst = self.builder.code.inst(op);
        inst.op == Op::New && inst.args[0].as_const().is_some_and(|len| index < len)
    }

    fn is_frame_item(&self, object: Arg, index: u64) -> bool {
        self.is_frame(object) && index < u64::from(u16::MAX)
    }

    pub(crate) fn load(&mut self, object: Arg, field: &'static Field, index: Option<Arg>) -> Arg {
        if let Some(word) = self.word_again() {
            return word;
        }
        let place = index.map_or(Some(SCALAR), Arg::as_const);
        let value = match (self.is_frame(object), place) {
            (true, Some(place)) => match self.state.held(field, place) {
                Some(value) => value,
                None => {
                    let value = self.read(object, field, index);
                    self.state.hold(field, place, value, false);
                    value
                }
            },
            (true, None) => {
                self.flush();
                self.read(object, field, index)
            }
            (false, _) if field.mutability == Mutability::Immutable => {
                let key = (if index.is_some() { Op::LoadItem } else { Op::Load }, object);
                let second = index.unwrap_or(Arg::Const(u64::from(field.offset)));
                match self.state.merged(key.0, key.1, second) {
                    Some(number) => Arg::Op(number),
                    None => {
                        let value = self.read(object, field, index);
                        if let Arg::Op(number) = value {
                            self.state.merge(key.0, key.1, second, number);
                        }
                        value
                    }
                }
            }
            _ => self.read(object, field, index),
        };
        if field.mutability != Mutability::Immutable {
            self.log([value]);
        }
        self.give(Answer::Word(value));
        value
    }

    /// Whether the thread has been asked to stop.
    pub(crate) fn stopped(&mut self) -> Arg {
        if let Some(word) = self.word_again() {
            return word;
        }
        let value = Arg::Op(self.emit(Op::Stopped, [Arg::Const(0); 3], Aux::None));
        self.log([value]);
        self.give(Answer::Word(value));
        value
    }

    fn read(&mut self, object: Arg, field: &'static Field, index: Option<Arg>) -> Arg {
        let op = if index.is_some() { Op::LoadItem } else { Op::Load };
        Arg::Op(self.emit(op, [object, index.unwrap_or(Arg::Const(0)), Arg::Const(0)], Aux::Field(field)))
    }

    /// What an inline cache holds now, if the word was just loaded from one.
    pub(crate) fn seen(&mut self, op: OpRef) -> Option<u64> {
        if let Some(answer) = self.given_again() {
            return match answer {
                Answer::Seen(bits) => {
                    self.note_key(bits);
                    bits
                }
                other => panic!("a twin did not do again what it did: a cache was expected, not {other:?}"),
            };
        }
        // Without inline caches, all of them are as if empty.
        let bits = self.peek(op).map(|bits| if self.bounds.inline_caches { bits } else { 0 });
        if let (Some(bits), Some(Step::Words(_))) = (bits, self.state.log.last()) {
            let words = self.builder.pool([Arg::Const(bits)]);
            if let Some(last) = self.state.log.last_mut() {
                *last = Step::Words(words);
            }
        }
        self.note_key(bits);
        self.give(Answer::Seen(bits));
        bits
    }

    fn note_key(&mut self, bits: Option<u64>) {
        if let Some(key) = bits.filter(|&key| key != 0 && self.keys.last() != Some(&key)) {
            self.keys.push(key);
        }
    }

    /// The word that a load of a constant object would load now.
    fn peek(&self, op: OpRef) -> Option<u64> {
        let inst = self.builder.code.inst(op);
        let (object, index) = (inst.args[0].as_const()?, inst.args[1].as_const()?);
        let Aux::Field(field) = inst.aux else { return None };
        let object = object as *mut Header;
        // SAFETY: the object is a constant of the interpreter, so it is live and has the field; the twin has checked
        // that the index is in bounds.
        unsafe {
            match inst.op {
                Op::Load => Some(crate::access::read_word(object, field.offset)),
                Op::LoadItem => {
                    let items = object.cast::<u8>().add(field.offset as usize);
                    Some(crate::ir::eval::load_item(items, field.kind, index as usize))
                }
                _ => None,
            }
        }
    }

    pub(crate) fn store(&mut self, object: Arg, field: &'static Field, index: Option<Arg>, value: Arg) {
        if self.goes_over() {
            return;
        }
        self.effect();
        if self.is_frame(object) {
            match index.map_or(Some(SCALAR), Arg::as_const) {
                // A narrow item keeps only the low bits of what is stored: memory knows which.
                Some(place) if field.kind.bytes() == 8 => return self.keep(field, place, value),
                _ => {
                    self.flush();
                    self.state.held.clear();
                }
            }
        }
        let (op, args) = match index {
            None => (Op::Store, [object, value, Arg::Const(0)]),
            Some(index) => (Op::StoreItem, [object, index, value]),
        };
        self.emit(op, args, Aux::Field(field));
    }

    pub(crate) fn allocate(&mut self, shape: &'static Shape, len: Arg, fill: Arg) -> OpRef {
        if let Some(Arg::Op(object)) = self.word_again() {
            return object;
        }
        self.effect();
        let object = self.emit(Op::New, [len, fill, Arg::Const(0)], Aux::Shape(shape));
        self.log([Arg::Op(object)]);
        self.give(Answer::Word(Arg::Op(object)));
        object
    }

    /// Keeps a stored word in a register, unless there are too many already.
    fn keep(&mut self, field: &'static Field, index: u64, value: Arg) {
        self.state.hold(field, index, value, true);
        if self.state.held.iter().filter(|held| held.dirty).count() > MOST_DIRTY {
            self.flush();
        }
        if self.state.held.len() > MOST_HELD {
            self.state.held.retain(|held| held.dirty);
        }
    }

    /// A word of the frame, from memory.
    pub(super) fn reload(&mut self, field: &'static Field, index: u64) -> Arg {
        let frame = self.frame().expect("a frame with words in registers");
        let (op, second) = if index == SCALAR { (Op::Load, Arg::Const(0)) } else { (Op::LoadItem, Arg::Const(index)) };
        Arg::Op(self.builder.emit(self.block, op, [frame, second, Arg::Const(0)], Aux::Field(field)))
    }

    /// Writes what the frame's memory does not have yet.
    pub(super) fn flush(&mut self) {
        self.flush_from(0);
    }

    /// The same, from an item on.
    fn flush_from(&mut self, first: u64) {
        let Some(frame) = self.frame() else { return };
        let wanted = |held: &Held| held.dirty && held.index >= first;
        let mut dirty: Vec<Held> = self.state.held.iter().copied().filter(wanted).collect();
        dirty.sort_unstable_by_key(|held| held.index);
        for held in dirty {
            let (op, args) = if held.index == SCALAR {
                (Op::Store, [frame, held.value, Arg::Const(0)])
            } else {
                (Op::StoreItem, [frame, Arg::Const(held.index), held.value])
            };
            self.builder.emit(self.block, op, args, Aux::Field(held.field));
        }
        self.state.held.iter_mut().filter(|held| held.index >= first).for_each(|held| held.dirty = false);
    }

    // ---- calls

    /// Where a call that is looked into began.
    pub(crate) fn enter_call(&mut self) -> (LogId, u32) {
        match self.given_again() {
            Some(Answer::Call(node, ticks)) => return (node, ticks),
            Some(other) => panic!("a twin did not do again what it did: a call was expected, not {other:?}"),
            None => {}
        }
        let (node, ticks) = (LogId(self.state.log.len() as u32), self.state.ticks);
        self.give(Answer::Call(node, ticks));
        self.tick();
        (node, ticks)
    }

    pub(crate) fn logged_since(&self, start: (LogId, u32)) -> bool {
        !self.goes_over() && self.state.log.len() as u32 != start.0.0
    }

    /// Logs the result of a call that was entered at `start`.
    pub(crate) fn collapse(&mut self, start: (LogId, u32), words: &[Raw]) {
        let words = self.builder.pool(words.iter().map(|word| word.arg));
        self.state.log.truncate(start.0.0 as usize);
        self.state.log.push(Step::Collapsed(start.1, words));
        self.state.ticks = 0;
    }

    /// Begins a handler: where, if it is looked into.
    pub(crate) fn enter_handler(&mut self, callee: &'static Callee, look_inside: bool) -> Option<(LogId, u32)> {
        let answers = self.given;
        let answer = match self.given_again() {
            Some(answer) => answer,
            None => {
                // Where the interpreter goes on after a handler hardly ever depends on how it was done.
                let looks = look_inside && (!self.surveys || self.surveys_handlers);
                let inlined = looks && self.bounds.handler_ops > 0 && !is_called(callee);
                let answer = if inlined { Answer::Inlined } else { Answer::Called };
                if inlined {
                    let (mark, insts) = (self.state.mark(), self.builder.code.insts.len());
                    self.state.calls.push(Open { callee, answers, mark, pure: true, slow: None, insts });
                }
                self.give(answer);
                answer
            }
        };
        match answer {
            Answer::Inlined => Some(self.enter_call()),
            Answer::Called => None,
            other => panic!("a twin did not do again what it did: a handler was expected, not {other:?}"),
        }
    }

    /// A handler that was looked into returned.
    pub(crate) fn leave_handler(&mut self) {
        if !self.goes_over() {
            self.state.calls.pop();
        }
    }

    /// Calls a handler: its result words.
    pub(crate) fn call_handler(&mut self, handler: &'static Handler, args: &[Raw], frame: FrameUse) -> Results {
        let ticks = self.state.ticks;
        let flagged: Vec<Raw>;
        let (callee, args) = if self.bounds.stubs {
            flagged = args.iter().copied().chain([Raw::constant(0)]).collect();
            (&handler.stub, &flagged[..])
        } else {
            (handler.function, args)
        };
        self.call_and(callee, args, frame, |this, results| {
            let words = this.builder.pool(results.words());
            this.state.log.push(Step::Collapsed(ticks, words));
            this.state.ticks = 0;
        })
    }

    /// A call that is not looked into: its result words.
    pub(crate) fn call(&mut self, callee: &'static Callee, args: &[Raw]) -> Results {
        self.call_and(callee, args, FrameUse::Any, |this, results| this.log(results.words()))
    }

    fn call_and(
        &mut self,
        callee: &'static Callee,
        args: &[Raw],
        frame: FrameUse,
        log: impl FnOnce(&mut Self, Results),
    ) -> Results {
        match self.given_again() {
            Some(Answer::Results(results)) => return results,
            Some(other) => panic!("a twin did not do again what it did: a call was expected, not {other:?}"),
            None => {}
        }
        let results = self.call_using(callee, args.iter().map(|arg| arg.arg), frame);
        log(self, results);
        self.give(Answer::Results(results));
        results
    }

    /// A pure call that replay makes again: its only result word.
    pub(crate) fn call_pure(&mut self, callee: &'static Callee, args: &[Arg]) -> Arg {
        if let Some(word) = self.word_again() {
            return word;
        }
        let results = self.call_using(callee, args.iter().copied(), FrameUse::Any);
        let word = results.words().next().expect("a pure function has a result");
        self.give(Answer::Word(word));
        word
    }

    /// A call without result words that the log knows of.
    pub(crate) fn call_unlogged(&mut self, callee: &'static Callee, args: &[Arg]) {
        if !self.goes_over() {
            self.call_using(callee, args.iter().copied(), FrameUse::Any);
        }
    }

    fn call_using(
        &mut self,
        callee: &'static Callee,
        args: impl Iterator<Item = Arg> + Clone,
        frame: FrameUse,
    ) -> Results {
        let takes_frame = args.clone().any(|arg| self.is_frame(arg));
        if takes_frame {
            self.flush_from(match frame {
                FrameUse::ReadsFrom(Arg::Const(first)) => first,
                _ => 0,
            });
        }
        if callee.effect != Effect::Elidable {
            self.effect();
        }
        let mut words = std::mem::take(&mut self.words);
        words.clear();
        words.extend(args.map(|arg| self.integer(arg)));
        let range = self.builder.pool(words.iter().copied());
        self.words = words;
        // The result words stand directly behind the call, so the bound is looked at afterwards.
        let call = self.builder.emit(self.block, Op::Call, [Arg::Const(0); 3], Aux::Call(callee, range));
        for word in 1..u32::from(callee.results) {
            self.builder.emit(self.block, Op::ResultWord, [Arg::Const(0); 3], Aux::Index(word));
        }
        if takes_frame && matches!(frame, FrameUse::Any) {
            self.state.held.clear();
        }
        Results::new(call, u32::from(callee.results))
    }

    fn log(&mut self, words: impl IntoIterator<Item = Arg>) {
        let range = self.builder.pool(words);
        self.state.log.push(Step::Words(range));
        self.state.ticks = 0;
    }

    /// Logs the words of an event that was done when the code was made.
    pub(crate) fn log_constants(&mut self, words: &[u64]) {
        if !self.goes_over() {
            self.log(words.iter().map(|&bits| Arg::Const(bits)));
        }
    }

    // ---- exits

    /// An exit that takes the interpreter to where this way is.
    pub(super) fn exit(&mut self, instance: u32) -> ExitId {
        if self.surveys {
            // The code is thrown away.
            return self.builder.bridge(self.block);
        }
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        let mut recipe = |arg: Arg| match arg {
            Arg::Const(bits) => Recipe::Const(bits),
            Arg::Op(op) => {
                if !slots.contains(&op) {
                    slots.push(op);
                }
                Recipe::Value(op)
            }
        };
        let mut exit = Exit { instance, ticks: self.state.ticks, ..Exit::default() };
        let Code { args, details, .. } = &mut self.builder.code;
        let greens = details.add(self.state.greens.iter().copied());
        let reds = details.add(self.state.reds.iter().map(|&red| recipe(red)));
        let merge = details.share(ResumeStep::Merge { portal: &self.driver.portal, greens, reds });
        details.append(&mut exit.resume, merge);
        for step in &self.state.log {
            let step = match *step {
                Step::Words(words) => {
                    ResumeStep::Words(details.add(args[words.range()].iter().map(|&word| recipe(word))))
                }
                Step::Collapsed(ticks, words) => {
                    let words = args[words.range()].iter().map(|&word| recipe(word));
                    let ticks = std::iter::once(Recipe::Const(u64::from(ticks)));
                    ResumeStep::Collapsed(details.add(ticks.chain(words)))
                }
            };
            let step = details.share(step);
            details.append(&mut exit.resume, step);
        }
        if let Some((position, _)) = self.driver.portal.virtualizable {
            for held in self.state.held.iter().filter(|held| held.dirty) {
                let place = if held.index == SCALAR {
                    Place::Field(held.field)
                } else {
                    Place::Item(held.field, held.index as u32)
                };
                let object = recipe(self.state.reds[position]);
                details.append(&mut exit.stores, PendingStore { object, place, value: recipe(held.value) });
            }
        }
        exit.slots = details.add(slots.iter().copied());
        self.slots = slots;
        self.builder.exit(exit)
    }
}
