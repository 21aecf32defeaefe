//! The recorder: writes a fragment of a tree.
//!
//! It folds and merges just enough for promotion to work (its tables: [`super::known`]): constants, common subexpressions, outcomes of guards, and a
//! cache of what the trace itself put into objects. Everything else is the optimizer's.

use super::Stop;
use super::generic::{self, Resume};
use super::known::{LENGTH, SCALAR, Tables};
use crate::driver::{Driver, Validity};
use crate::ir::tree::{
    Fragment, FragmentId, Guard, GuardId, LogEntry, LogId, LogNode, Onward, Snapshot, Tree, TreeEnd,
};
use crate::ir::{Arg, ArgRange, Aux, Class, Inst, Op, OpRef};
use crate::object::Field;
use crate::twin::Raw;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A fast hasher for small keys made by ourselves.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct FastHasher(u64);
impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }
    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Why a recording was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Abort {
    /// The fragment grew past `trace_limit`.
    TooLong,
    /// A loop inside the trace that is not its own went round too often.
    InnerLoop,
    /// An inlined call turned out to loop; it will be called instead.
    LoopInCall,
    /// The optimizer could not make code of it.
    Optimizer,
    /// The backend could not make code of it.
    Backend,
    /// A panic passed through the interpreter.
    Panic,
    /// A quasi-immutable field that the tree relied on was written while it was recorded.
    Invalidated,
}

impl Abort {
    /// All reasons.
    pub const ALL: [Abort; 7] = [
        Abort::TooLong,
        Abort::InnerLoop,
        Abort::LoopInCall,
        Abort::Optimizer,
        Abort::Backend,
        Abort::Panic,
        Abort::Invalidated,
    ];
    /// The reason's name in logs and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Abort::TooLong => "trace_too_long",
            Abort::InnerLoop => "inner_loop",
            Abort::LoopInCall => "loop_in_call",
            Abort::Optimizer => "optimizer",
            Abort::Backend => "backend",
            Abort::Panic => "panic",
            Abort::Invalidated => "invalidated",
        }
    }
}

/// The limits of one recording.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Recorded operations in one fragment.
    pub trace_limit: usize,
    /// Recorded operations of a fragment after which no more calls are inlined.
    pub inline_ops: usize,
    /// Times a loop that is not the root may go round inside a trace.
    pub unroll: u32,
    /// Portal activations inlined into each other.
    pub inline_depth: u32,
    /// Activations of one function inlined into each other.
    pub recursion: u32,
    /// Which tracer records.
    pub tracer: Tracer,
    /// For benchmarks: each guard's resume data are made so many times more, for nothing.
    pub snapshot_repeats: u32,
}

/// Which tracer records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracer {
    /// The one that was generated from the interpreter.
    Generated,
    /// One that is not: see [`super::generic`].
    Generic,
}

/// An open portal activation.
#[derive(Clone, Debug)]
struct Activation {
    driver: &'static Driver,
    /// The node its merge points hang from; `None` for the outermost.
    base: Option<LogId>,
    /// Where its caller was when it was entered.
    start: (LogId, u32),
    /// Where it was entered: from here on in `Recorder::greens`, as many as the driver has.
    greens: usize,
    /// Whether it was open already at the guard where this bridge begins.
    inherited: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    /// What is being recorded.
    pub(crate) tree: Tree,
    pub(crate) aborted: Option<Abort>,
    /// Whether the fragment has its end.
    pub(crate) ended: bool,
    /// The entry greens of an inlined activation that looped (not to be inlined again), and whether the tree that is being
    /// extended has it inlined.
    pub(crate) looping_call: Option<(&'static Driver, Vec<u64>, bool)>,
    pub(crate) limits: Limits,
    /// Whether the constants that the tree took from quasi-immutable fields still hold.
    pub(crate) validity: Validity,
    /// What the generic tracer keeps, if it is the one.
    pub(super) generic: Option<Box<Resume>>,
    parent: Option<GuardId>,
    first: u32,
    first_guard: u32,
    pub(super) node: LogId,
    ticks: u32,
    activations: Vec<Activation>,
    /// Greens of activations and of loops.
    greens: Vec<u64>,
    loops: Vec<InnerLoop>,
    pub(super) known: Tables,
}

/// A back edge that was passed inside the trace.
#[derive(Clone, Debug)]
struct InnerLoop {
    driver: &'static Driver,
    depth: u32,
    /// Its greens begin here in `Recorder::greens`.
    greens: usize,
    /// How often it was passed.
    count: u32,
}

/// The result words of a call, which are values that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Results {
    first: OpRef,
    count: u32,
}

impl Results {
    pub(crate) fn new(first: OpRef, count: u32) -> Results {
        Results { first, count }
    }

    pub(crate) fn words(self) -> impl Iterator<Item = Arg> {
        (self.first.0..self.first.0 + self.count).map(|number| Arg::Op(OpRef(number)))
    }
}

impl Recorder {
    /// Begins a tree at a merge point.
    pub(crate) fn root(
        driver: &'static Driver,
        greens: &[u64],
        reds: &[u64],
        limits: Limits,
    ) -> (Box<Recorder>, Vec<Raw>) {
        let mut tree = Tree::new(&driver.portal, greens.to_vec());
        let mut known = Tables::take();
        known.room.lend(&mut tree);
        let mut raws = Vec::with_capacity(reds.len());
        for (index, (&bits, ty)) in reds.iter().zip(driver.portal.reds).enumerate() {
            let op = match ty {
                crate::word::Type::Int => Op::Param,
                crate::word::Type::Float => Op::FParam,
            };
            tree.insts.push(Inst { op, args: [Arg::Const(0); 3], aux: Aux::Index(index as u32) });
            raws.push(Raw { bits, arg: Arg::Op(OpRef(index as u32)) });
        }
        let first = tree.insts.len() as u32;
        let mut recorder = Box::new(Recorder::new(tree, known, None, first, limits, crate::driver::new_validity()));
        recorder.open(driver, None, (LogId(0), 0), greens, false);
        recorder.push_merge(driver, greens, &raws);
        (recorder, raws)
    }

    /// Begins a bridge of a tree, at a guard. The replay opens the activations.
    pub(crate) fn bridge(
        tree: Tree,
        guard: GuardId,
        driver: &'static Driver,
        limits: Limits,
        validity: Validity,
    ) -> Box<Recorder> {
        let first = tree.insts.len() as u32;
        let snapshot = tree.guards[guard.0 as usize].snapshot;
        let mut recorder = Box::new(Recorder::new(tree, Tables::take(), Some(guard), first, limits, validity));
        recorder.node = snapshot.node;
        recorder.ticks = snapshot.ticks;
        let greens = std::mem::take(&mut recorder.tree.greens);
        recorder.open(driver, None, (LogId(0), 0), &greens, true);
        recorder.tree.greens = greens;
        recorder
    }

    fn new(
        tree: Tree,
        known: Tables,
        parent: Option<GuardId>,
        first: u32,
        limits: Limits,
        validity: Validity,
    ) -> Recorder {
        let generic = (limits.tracer == Tracer::Generic).then(Box::default);
        Recorder {
            first_guard: tree.guards.len() as u32,
            generic,
            tree,
            aborted: None,
            ended: false,
            looping_call: None,
            limits,
            validity,
            parent,
            first,
            node: LogId(0),
            ticks: 0,
            activations: Vec::with_capacity(limits.inline_depth as usize + 1),
            greens: Vec::new(),
            loops: Vec::new(),
            known,
        }
    }

    fn open(
        &mut self,
        driver: &'static Driver,
        base: Option<LogId>,
        start: (LogId, u32),
        greens: &[u64],
        inherited: bool,
    ) {
        let first = self.greens.len();
        self.greens.extend_from_slice(greens);
        self.activations.push(Activation { driver, base, start, greens: first, inherited });
    }

    fn greens_at(&self, first: usize, driver: &Driver) -> &[u64] {
        &self.greens[first..first + driver.portal.greens]
    }

    /// Operations recorded in this fragment.
    pub(crate) fn recorded(&self) -> usize {
        self.tree.insts.len() - self.first as usize
    }

    /// Guards recorded in this fragment.
    pub(crate) fn guards_recorded(&self) -> usize {
        self.tree.guards.len() - self.first_guard as usize
    }

    fn too_long(&self) -> bool {
        self.recorded() > self.limits.trace_limit
    }

    /// Keeps what a constant operand may name alive.
    #[inline(always)]
    fn keep(&self, arg: Arg) {
        if let Arg::Const(bits) = arg {
            crate::driver::keep_constant(bits);
        }
    }

    fn push(&mut self, op: Op, args: [Arg; 3], aux: Aux) -> OpRef {
        let inst = Inst { op, args, aux };
        if self.generic.is_some() { generic::record(self, inst) } else { self.append(inst) }
    }

    /// Writes an instruction down.
    #[inline]
    pub(super) fn append(&mut self, inst: Inst) -> OpRef {
        inst.args.into_iter().for_each(|arg| self.keep(arg));
        let number = OpRef(self.tree.insts.len() as u32);
        self.tree.insts.push(inst);
        number
    }

    fn pool(&mut self, args: impl IntoIterator<Item = Arg>) -> ArgRange {
        let start = self.tree.args.len();
        self.tree.args.extend(args);
        for &arg in &self.tree.args[start..] {
            self.keep(arg);
        }
        ArgRange { start: start as u32, len: (self.tree.args.len() - start) as u32 }
    }

    fn push_node(&mut self, parent: Option<LogId>, entry: LogEntry) -> LogId {
        let node = LogId(self.tree.log.len() as u32);
        self.tree.log.push(LogNode { parent, entry });
        self.node = node;
        self.ticks = 0;
        node
    }

    pub(super) fn pure(&mut self, op: Op, args: &[Arg]) -> Arg {
        debug_assert!(matches!(op.info().class, Class::Pure | Class::ImmutableLoad));
        if self.generic.is_some() {
            return generic::pure(self, op, args);
        }
        let a = self.known.resolve(args[0]);
        let b = args.get(1).map_or(Arg::Const(0), |&b| self.known.resolve(b));
        if let (Arg::Const(x), Arg::Const(y)) = (a, b)
            && let Some(bits) = crate::ir::fold(op, &[x, y][..args.len()])
        {
            return Arg::Const(bits);
        }
        match self.known.same(&self.tree.insts, op, a, b) {
            Ok(number) => Arg::Op(number),
            Err(slot) => {
                let number = self.push(op, [a, b, Arg::Const(0)], Aux::None);
                self.known.note(&self.tree.insts, slot, number);
                Arg::Op(number)
            }
        }
    }

    /// The length of an array (`len`).
    pub(super) fn len(&mut self, object: Arg, field: &'static Field) -> Arg {
        self.header(Op::Len, object, field.offset, LENGTH, Aux::Field(field))
    }

    /// The shape in a header.
    pub(super) fn shape_of(&mut self, object: Arg) -> Arg {
        self.header(Op::ShapeOf, object, 0, SCALAR, Aux::None)
    }

    /// Whether the object's array is known to have an item at the index.
    pub(super) fn is_inside(&self, object: Arg, field: &'static Field, index: u64) -> bool {
        self.known.is_inside(object, field.offset, index)
    }

    /// The object's array was found to have an item at the index.
    pub(super) fn has_item(&mut self, object: Arg, field: &'static Field, index: u64) {
        if self.generic.is_some() {
            return;
        }
        self.known.has_item(object, field.offset, index);
    }

    fn header(&mut self, op: Op, object: Arg, offset: u32, index: u64, aux: Aux) -> Arg {
        if let Some(known) = self.known.seen_header(object, offset, index) {
            return known;
        }
        let arg = Arg::Op(self.push(op, [object, Arg::Const(0), Arg::Const(0)], aux));
        self.known.remember_header(object, offset, index, arg);
        arg
    }

    /// A branch. Whether the fragment has become too long.
    pub(super) fn branch(&mut self, condition: Arg, taken: bool) -> bool {
        if let Arg::Op(number) = self.known.resolve(condition) {
            let op = if taken { Op::GuardTrue } else { Op::GuardFalse };
            self.guard(op, [condition, Arg::Const(0), Arg::Const(0)]);
            self.settle(number, taken as u64);
        }
        self.ticks += 1;
        self.too_long()
    }

    /// A promotion. Whether the fragment has become too long.
    pub(super) fn promote(&mut self, word: Arg, bits: u64) -> bool {
        if let Arg::Op(number) = self.known.resolve(word) {
            self.guard(Op::GuardValue, [word, Arg::Const(bits), Arg::Const(0)]);
            self.settle(number, bits);
        }
        self.ticks += 1;
        self.too_long()
    }

    fn guard(&mut self, op: Op, args: [Arg; 3]) {
        let guard = GuardId(self.tree.guards.len() as u32);
        let inst = self.push(op, args, Aux::Index(guard.0));
        for _ in 0..self.limits.snapshot_repeats {
            self.snapshot(inst);
            std::hint::black_box(&self.tree.guards);
            self.tree.guards.pop();
            self.generic.iter_mut().for_each(|resume| resume.take_back());
        }
        self.snapshot(inst);
    }

    /// Makes a guard's resume data.
    fn snapshot(&mut self, inst: OpRef) {
        let snapshot = Snapshot { node: self.node, ticks: self.ticks };
        let fragment = FragmentId(self.tree.fragments.len() as u32);
        self.tree.guards.push(Guard { inst, snapshot, fragment });
        if self.generic.is_some() {
            generic::copy(self);
        }
    }

    /// Notes what a value is from here on; the generic tracer does not.
    fn settle(&mut self, number: OpRef, bits: u64) {
        if self.generic.is_none() {
            self.known.is_constant(number, bits);
        }
    }

    /// Counts a tick that is neither a branch nor a promotion.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
    }

    /// Where the recording is.
    pub(super) fn position(&self) -> (LogId, u32) {
        (self.node, self.ticks)
    }

    /// Logs an event's result words.
    pub(super) fn log_words(&mut self, words: impl IntoIterator<Item = Arg>) {
        let range = self.pool(words);
        self.push_node(Some(self.node), LogEntry::Words(range));
    }

    /// Logs the result of a call that was entered at `start`.
    pub(super) fn collapse(&mut self, start: (LogId, u32), words: &[Raw]) {
        let at = Arg::Const(u64::from(start.1));
        let range = self.pool(std::iter::once(at).chain(words.iter().map(|word| word.arg)));
        self.push_node(Some(start.0), LogEntry::Collapsed(range));
    }

    // ---- memory

    pub(super) fn known_load(&self, object: Arg, field: &'static Field, index: Option<u64>) -> Option<Arg> {
        self.known.seen(object, field, index.unwrap_or(SCALAR))
    }

    pub(super) fn load(&mut self, object: Arg, field: &'static Field, index: Option<Arg>) -> Arg {
        let op = if index.is_some() { Op::LoadItem } else { Op::Load };
        let args = [object, index.unwrap_or(Arg::Const(0)), Arg::Const(0)];
        let arg = Arg::Op(self.push(op, args, Aux::Field(field)));
        if let Some(index) = index.map_or(Some(SCALAR), Arg::as_const) {
            self.known.remember(object, field, index, arg);
        }
        arg
    }

    /// Whether the thread has been asked to stop.
    pub(super) fn stopped(&mut self) -> Arg {
        Arg::Op(self.push(Op::Stopped, [Arg::Const(0); 3], Aux::None))
    }

    pub(super) fn store(&mut self, object: Arg, field: &'static Field, index: Option<Arg>, value: Arg) {
        let (op, args) = match index {
            None => (Op::Store, [object, value, Arg::Const(0)]),
            Some(index) => (Op::StoreItem, [object, index, value]),
        };
        self.push(op, args, Aux::Field(field));
        let index = index.map_or(Some(SCALAR), Arg::as_const);
        if self.generic.is_none() {
            self.known.forget(object, field, index);
        }
        // A narrow item keeps only the low bits of what was stored: it is loaded again.
        if let Some(index) = index.filter(|&index| index == SCALAR || field.kind.bytes() == 8) {
            self.known.remember(object, field, index, value);
        }
    }

    pub(super) fn allocate(&mut self, shape: &'static crate::object::Shape, len: Arg, fill: Arg) -> Arg {
        let number = self.push(Op::New, [len, fill, Arg::Const(0)], Aux::Shape(shape));
        let object = Arg::Op(number);
        self.known.is_fresh(number);
        self.known.remember_header(object, 0, SCALAR, Arg::Const(u64::from(shape.id())));
        if let Some(array) = shape.array {
            self.known.remember_header(object, array.offset, LENGTH, len);
        }
        object
    }

    /// Records a call; its result words are the values from the one that is answered on.
    pub(super) fn call(&mut self, callee: &'static crate::ir::Callee, args: impl Iterator<Item = Arg>) -> Results {
        let start = self.tree.args.len() as u32;
        for arg in args {
            let arg = self.integer(arg);
            self.keep(arg);
            self.tree.args.push(arg);
        }
        let range = ArgRange { start, len: self.tree.args.len() as u32 - start };
        let first = self.push(Op::Call, [Arg::Const(0); 3], Aux::Call(callee, range));
        for word in 1..u32::from(callee.results) {
            self.push(Op::ResultWord, [Arg::Const(0); 3], Aux::Index(word));
        }
        if callee.effect != crate::ir::Effect::Elidable && self.generic.is_none() {
            self.known.forget_all();
        }
        Results { first, count: callee.results.into() }
    }

    /// An operand as an integer word: floats as their pattern.
    fn integer(&mut self, arg: Arg) -> Arg {
        match arg {
            Arg::Op(op) if self.tree.insts[op.0 as usize].result() == Some(crate::word::Type::Float) => {
                self.pure(Op::FloatBits, &[arg])
            }
            _ => arg,
        }
    }

    // ---- portals and merge points

    /// Whether a portal call should be inlined here.
    pub(super) fn inlines(&self, driver: &'static Driver, greens: &[u64]) -> bool {
        if self.activations.len() as u32 > self.limits.inline_depth || self.recorded() > self.limits.inline_ops {
            return false;
        }
        let same =
            |open: &&Activation| std::ptr::eq(open.driver, driver) && self.greens_at(open.greens, driver) == greens;
        (self.activations.iter().filter(same).count() as u32) < self.limits.recursion
    }

    /// Opens an inlined activation and records its first merge point.
    pub(super) fn enter(&mut self, driver: &'static Driver, greens: &[u64], reds: &[Raw]) {
        let start = self.position();
        if self.generic.is_some() {
            generic::enter(self);
        }
        let base = self.push_node(Some(self.node), LogEntry::Enter(&driver.portal));
        self.open(driver, Some(base), start, greens, false);
        self.push_merge(driver, greens, reds);
    }

    /// Opens an activation again that was open at the guard where a bridge begins.
    pub(super) fn reenter(&mut self, driver: &'static Driver, base: LogId, ticks: u32, greens: &[u64]) {
        let caller = self.tree.log[base.0 as usize].parent.unwrap_or(LogId(0));
        // The first merge point after the call says where it was entered; `greens` are those of the latest.
        let greens = match self.tree.log.get(base.0 as usize + 1).map(|node| node.entry) {
            Some(LogEntry::Merge { greens, .. }) => {
                let greens = self.tree.args(greens).iter();
                greens.filter_map(|green| green.as_const()).collect()
            }
            _ => greens.to_vec(),
        };
        self.open(driver, Some(base), (caller, ticks), &greens, true);
        if self.generic.is_some() {
            generic::enter(self);
        }
    }

    /// Closes the innermost activation, which returned these words.
    pub(super) fn leave(&mut self, words: &[Raw]) {
        self.generic.iter_mut().for_each(|resume| resume.leave());
        if let Some(activation) = self.activations.pop() {
            self.collapse(activation.start, words);
        }
    }

    fn push_merge(&mut self, driver: &'static Driver, greens: &[u64], reds: &[Raw]) -> LogId {
        let live = (driver.live)(greens);
        let parent = self.activations.last().and_then(|open| open.base);
        if let (1, Some(resume)) = (self.activations.len(), &mut self.generic) {
            let virtualizable = driver.portal.virtualizable.map(|(index, _)| reds[index].arg);
            resume.at_merge(virtualizable, live);
        }
        let greens = self.pool(greens.iter().map(|&bits| Arg::Const(bits)));
        let reds = self.pool(reds.iter().map(|red| red.arg));
        let node = self.push_node(parent, LogEntry::Merge { portal: &driver.portal, greens, reds, live });
        self.push(Op::Merge, [Arg::Const(0); 3], Aux::Index(node.0));
        node
    }

    pub(super) fn merge_point(
        &mut self,
        driver: &'static Driver,
        depth: u32,
        greens: &[u64],
        reds: &[Raw],
        back_edge: bool,
    ) -> Result<(), Stop> {
        let node = self.push_merge(driver, greens, reds);
        if depth == 0 && greens == self.tree.greens && std::ptr::eq(&raw const driver.portal, self.tree.portal) {
            return Err(Stop::End(TreeEnd::Close { node }));
        }
        if back_edge {
            if depth == 0
                && let Some(cell) = crate::driver::cell_of_tree(driver, greens)
            {
                let onward = Onward { callee: cell.callee(), cell: cell.bits() };
                return Err(Stop::End(TreeEnd::Leave(Snapshot { node, ticks: 0 }, Some(onward))));
            }
            let count = self.passed(driver, depth, greens);
            if count > self.limits.unroll {
                if depth > 0 {
                    self.looping_call = self
                        .activations
                        .last()
                        .map(|open| (open.driver, self.greens_at(open.greens, open.driver).to_vec(), open.inherited));
                    return Err(Stop::Abort(Abort::LoopInCall));
                }
                return Err(Stop::Abort(Abort::InnerLoop));
            }
        }
        if self.too_long() { Err(Stop::Abort(Abort::TooLong)) } else { Ok(()) }
    }

    /// How often this back edge was passed, with this time.
    fn passed(&mut self, driver: &'static Driver, depth: u32, greens: &[u64]) -> u32 {
        let same = |edge: &InnerLoop| {
            edge.depth == depth
                && std::ptr::eq(edge.driver, driver)
                && self.greens[edge.greens..edge.greens + greens.len()] == *greens
        };
        if let Some(index) = self.loops.iter().position(same) {
            self.loops[index].count += 1;
            return self.loops[index].count;
        }
        self.loops.push(InnerLoop { driver, depth, greens: self.greens.len(), count: 1 });
        self.greens.extend_from_slice(greens);
        1
    }

    /// The portal returned these words.
    pub(crate) fn finish(&mut self, words: &[Raw]) {
        let words: Vec<Arg> = words.iter().map(|word| self.integer(word.arg)).collect();
        let range = self.pool(words);
        self.end(TreeEnd::Finish(range));
    }

    /// Takes a quasi-immutable field of a constant object for a constant.
    pub(super) fn rely_on(&mut self, object: u64, field: &'static Field) {
        self.guard(Op::GuardValid, [Arg::Const(0); 3]);
        crate::driver::depend(object, field.offset, &self.validity);
    }

    /// Completes the fragment.
    pub(crate) fn end(&mut self, end: TreeEnd) {
        let insts = (self.first, self.tree.insts.len() as u32);
        self.tree.fragments.push(Fragment { parent: self.parent, insts, end });
        debug_assert!(self.generic.as_ref().is_none_or(|resume| resume.is_whole()));
        if self.parent.is_none() {
            self.known.room.take_back(&mut self.tree);
        }
        self.ended = true;
    }

    /// Takes back what an aborted recording wrote.
    pub(crate) fn roll_back(&mut self) {
        if !self.ended {
            self.tree.insts.truncate(self.first as usize);
            let first = OpRef(self.first);
            self.tree.guards.retain(|guard| guard.inst < first);
        }
    }
}
