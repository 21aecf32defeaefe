//! The optimizer: a recorded tree in, code out.
//!
//! **Problem.** A recorded trace repeats what an interpreter does: it tests types that it has just made, boxes and unboxes,
//! writes its frame and reads it back, allocates what dies at once. All of that must go, and what leaves at a guard must
//! still find the interpreter's state as it would have been.
//!
//! **Approach.** A pure function of the tree (and of which bridges are to be attached where): whenever a tree has grown it is
//! optimized again as a whole, so a bridge inherits every fact of the path that leads to it, by construction. One forward
//! pass over each fragment takes every recorded instruction through these stages, each of which but the first and the last can be
//! switched off in [`Options`]:
//!
//! 1. *substitution*: operands become what stands for them by now;
//! 2. *folding and algebra* (`fold`): named rules, tried in order (`rules`);
//! 3. *ranges and bits*: decides comparisons and overflow tests from what is known (`range`);
//! 4. *common subexpressions*: an expression computed before on this path is not computed again (`value`);
//! 5. *guard facts*: what a guard proves refines its operands, and theirs (`guard`); a guard that must hold vanishes;
//! 6. *heap*: loads are forwarded, stores to the frame delayed (`heap`);
//! 7. *virtual objects*: allocations wait until they are needed (`virtuals`); frames that are passed with a call need not be
//!    made at all (`spread`);
//! 8. *exits*: each guard left gets its recipe (`exit`).
//!
//! A loop is *peeled*: its first iteration is code of its own, which proves what the others rely on (`peel`, `header`); bounds of
//! its counters are tested once, before it (`counters`). What is left unused at the end is dropped (`dce`), and guards of one value, one
//! after the other, become a switch (`switch`).
//!
//! **Invariants.** At a guard with a bridge, the bridge's fragment is processed right there, depth first, under the opposite
//! fact; afterwards everything learned is taken back and the main path goes on. Values therefore dominate their uses: the
//! paths form a tree, and only loop headers, which take parameters, are reached from several places.
//!
//! **Rejected.** A pass per stage over the whole trace: each stage makes work for the others, and one forward pass with all of
//! them at each instruction reaches the fixpoint that repeated passes look for. A general graph optimizer: traces have no
//! joins, and that is what makes this short.

mod counters;
mod dce;
mod exit;
mod fold;
mod guard;
mod header;
mod heap;
mod nan;
mod peel;
mod range;
mod rules;
mod spread;
mod switch;
mod value;
mod virtuals;

use crate::context::MAX_SLOTS;
use crate::ir::code::{Block, BlockId, Code, End};
use crate::ir::tree::{Fragment, FragmentId, GuardId, LogEntry, LogId, Snapshot, Tree, TreeEnd};
use crate::ir::{Arg, ArgRange, Aux, Callee, Class, Effect, Inst, Op, OpRef};
use crate::object::Field;
use crate::word::Type;
use heap::{Frame, Heap};
use range::Range;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use value::{Available, Facts, Key, Val};
use virtuals::Virtuals;

/// What to do, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fold constants and apply algebraic rules.
    pub fold: bool,
    /// Use ranges and known bits.
    pub ranges: bool,
    /// Merge common subexpressions.
    pub cse: bool,
    /// Go on knowing what guards have shown.
    pub guards: bool,
    /// Forward loads of ordinary objects.
    pub heap: bool,
    /// Keep objects virtual.
    pub virtuals: bool,
    /// Keep the root's virtualizable in registers.
    pub virtualizable: bool,
    /// Peel the first iteration of a loop.
    pub peel: bool,
    /// Test the bounds of a loop's counters before the loop.
    pub counters: bool,
    /// Count each way back to the loop's beginning down in the context's counter with this number, and leave there when it is
    /// used up: it is time for better code.
    pub counter: Option<u32>,
    /// Hand over operands of boxing operations at exits instead of their results.
    pub sink: bool,
    /// Pass a virtual frame to a portal by what it holds.
    pub spread: bool,
    /// Constants that guards of one value tell apart, one after the other, from which on they become a switch; 0 for never.
    pub switch: usize,
    /// Drop what is left unused.
    pub dce: bool,
    /// Instructions that the code may have at most.
    pub max_ops: usize,
    /// Verify the code.
    pub verify: bool,
}

/// The default of [`Options::switch`]: with fewer, the chain of guards is as fast as any switch (`backend/dispatch.rs` has the figures).
pub const SWITCH_CASES: usize = 20;
/// What `switch` stands for among the names of stages: few, for texts to be short.
const SWITCH_CASES_IN_TEXT: usize = 3;

impl Default for Options {
    fn default() -> Self {
        Options {
            fold: true,
            ranges: true,
            cse: true,
            guards: true,
            heap: true,
            virtuals: true,
            virtualizable: true,
            peel: true,
            counters: true,
            counter: None,
            sink: true,
            spread: true,
            switch: SWITCH_CASES,
            dce: true,
            max_ops: 100_000,
            verify: cfg!(debug_assertions),
        }
    }
}

impl Options {
    /// Nothing is optimized: the code does what was recorded.
    pub fn none() -> Self {
        Options {
            fold: false,
            ranges: false,
            cse: false,
            guards: false,
            heap: false,
            virtuals: false,
            virtualizable: false,
            peel: false,
            counters: false,
            counter: None,
            sink: false,
            spread: false,
            switch: 0,
            dce: false,
            ..Options::default()
        }
    }
}

impl Options {
    /// The names of all stages, each the field's.
    pub const STAGES: &[&str] = &[
        "fold",
        "ranges",
        "cse",
        "guards",
        "heap",
        "virtuals",
        "virtualizable",
        "peel",
        "counters",
        "sink",
        "spread",
        "switch",
        "dce",
    ];

    /// The stages of these names and no others: from left to right, `all` names all of them, and `-heap` takes one back.
    /// `switch` makes switches of three cases already.
    ///
    /// # Errors
    /// A name that is none.
    pub fn stages<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Options, &'a str> {
        let mut options = Options::none();
        for name in names {
            if name == "all" {
                options = Options::default();
                continue;
            }
            let (stage, on) = name.strip_prefix('-').map_or((name, true), |stage| (stage, false));
            let field = match stage {
                "fold" => &mut options.fold,
                "ranges" => &mut options.ranges,
                "cse" => &mut options.cse,
                "guards" => &mut options.guards,
                "heap" => &mut options.heap,
                "virtuals" => &mut options.virtuals,
                "virtualizable" => &mut options.virtualizable,
                "peel" => &mut options.peel,
                "counters" => &mut options.counters,
                "sink" => &mut options.sink,
                "spread" => &mut options.spread,
                "dce" => &mut options.dce,
                "switch" => {
                    options.switch = if on { SWITCH_CASES_IN_TEXT } else { 0 };
                    continue;
                }
                _ => return Err(name),
            };
            *field = on;
        }
        Ok(options)
    }
}

/// Attaches every bridge of a tree to all instances of its guard.
pub fn attach_all(tree: &Tree) -> impl Fn(GuardId, u32) -> Option<FragmentId> + use<> {
    let bridges: HashMap<GuardId, FragmentId> = (0..)
        .zip(&tree.fragments)
        .filter_map(|(index, fragment)| Some((fragment.parent?, FragmentId(index))))
        .collect();
    move |guard, _| bridges.get(&guard).copied()
}

/// Why there is no code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptError {
    /// The code would have more instructions than [`Options::max_ops`].
    TooLong,
    /// An exit would have more than [`MAX_SLOTS`] slots.
    TooManySlots,
}

impl std::fmt::Display for OptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OptError::TooLong => write!(f, "the optimized code would be too long"),
            OptError::TooManySlots => write!(f, "an exit would have too many slots"),
        }
    }
}
impl std::error::Error for OptError {}

/// What was done.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Recorded instructions processed (once for each place they were put).
    pub ops_in: usize,
    /// Instructions of the code.
    pub ops_out: usize,
    /// Recorded guards processed.
    pub guards_in: usize,
    /// Guards of the code.
    pub guards_out: usize,
    /// Slots of all exits.
    pub slots: usize,
    /// Objects that began virtual.
    pub virtuals: usize,
    /// Objects that did not stay so.
    pub forced: usize,
    /// Times the loop was optimized until its header held.
    pub rounds: usize,
    /// Switches made of guards.
    pub switches: usize,
}

/// Code and what it took.
#[derive(Debug)]
pub struct Optimized {
    /// The code.
    pub code: Code,
    /// What was done.
    pub stats: Stats,
}

/// Turns a tree into code. `attach` says which bridge, if any, takes the place of a guard's exit; a guard exists once for each
/// *instance* of its fragment: 0 in the way in (the first iteration), 1 in the loop proper. A bridge's guards are of the
/// instance of the guard it hangs from.
///
/// # Errors
/// If the code gets too long or an exit too large.
///
/// # Panics
/// If it is wrong, which [`Options::verify`] looks for.
pub fn optimize(
    tree: &Tree,
    options: &Options,
    attach: &dyn Fn(GuardId, u32) -> Option<FragmentId>,
) -> Result<Optimized, OptError> {
    let mut optimizer = Optimizer::new(tree, options, attach);
    match optimizer.run() {
        // Peeling copies the loop: without, it may fit.
        Err(OptError::TooLong) if options.peel => {
            let options = Options { peel: false, ..options.clone() };
            return optimize(tree, &options, attach);
        }
        result => result?,
    }
    if optimizer.took_back.get() {
        let options = Options { spread: false, ..options.clone() };
        return optimize(tree, &options, attach);
    }
    let Optimizer { mut code, mut stats, directions, .. } = optimizer;
    for (overflow, [less, than]) in directions {
        let inst = &mut code.insts[overflow.0 as usize];
        (inst.op, inst.args) = (Op::Lt, [less, than, Arg::Const(0)]);
    }
    stats.switches = dce::clean(&mut code, options);
    if code.exits.iter().any(|exit| exit.slots.len() > MAX_SLOTS) {
        return Err(OptError::TooManySlots);
    }
    if options.verify
        && let Err(error) = crate::ir::verify::code(&code)
    {
        panic!("the optimizer made wrong code: {error}\n{code}");
    }
    stats.ops_out = code.blocks.iter().map(|block| block.insts.len()).sum();
    let guards =
        |block: &Block| block.insts.iter().filter(|&&op| code.inst(op).op.info().class == Class::Guard).count();
    stats.guards_out = code.blocks.iter().map(guards).sum();
    stats.slots = code.exits.iter().map(|exit| exit.slots.len()).sum();
    Ok(Optimized { code, stats })
}

/// What holds on the current path, besides the tables that are undone by trail.
#[derive(Clone, Default)]
struct State {
    heap: Heap,
    virtuals: Virtuals,
    /// Whether the code is known to be valid here.
    valid: bool,
}

/// The way in: the first iteration starts here, knowing nothing.
const ENTRY: BlockId = BlockId(0);
/// Where whatever returns to the root's merge point without fitting the loop's header goes.
const GENERIC: BlockId = BlockId(1);

struct Optimizer<'t> {
    tree: &'t Tree,
    options: &'t Options,
    attach: &'t dyn Fn(GuardId, u32) -> Option<FragmentId>,
    code: Code,
    stats: Stats,
    /// What stands for each recorded value.
    subst: Vec<Val>,
    facts: Facts,
    /// Which NaNs each value of the code may be, if it is a float.
    nans: Vec<nan::Nan>,
    available: Available,
    state: State,
    /// Where instructions go.
    block: BlockId,
    instance: u32,
    /// The recorded call whose result words come next, as it is available.
    last_call: Option<Val>,
    /// Rules at work on each other's results.
    depth: u32,
    /// The fragment from whose end the loop is entered: the first that goes back to the root.
    peeled: Option<FragmentId>,
    /// Overflow tests that are comparisons, and what is then less than what. They stay tests to the end, for what is known of those.
    directions: Vec<(OpRef, [Arg; 2])>,
    /// What the rehearsal has seen.
    watch: Option<counters::Watch>,
    /// Whether this round over the loop only finds out what its header may rely on.
    rehearsal: bool,
    /// What makes exits.
    exits: exit::Builder,
    /// The loop that instance 1 is in.
    looping: Option<peel::Loop>,
    /// The root's frame where its address is not known to anybody: a virtual object at the entry.
    own_frame: Option<Val>,
    /// A frame that was given away with a call was used after it.
    took_back: Cell<bool>,
}

/// A place of the forward pass to come back to.
struct Mark {
    state: State,
    facts: usize,
    available: usize,
    block: BlockId,
}

impl<'t> Optimizer<'t> {
    fn new(tree: &'t Tree, options: &'t Options, attach: &'t dyn Fn(GuardId, u32) -> Option<FragmentId>) -> Self {
        let code = Code { spread: tree.spread, ..Code::new(tree.portal) };
        let peeled = tree.fragments.iter().position(Fragment::closes).filter(|_| options.peel);
        let peeled = peeled.map(|index| FragmentId(index as u32));
        Optimizer {
            tree,
            options,
            attach,
            code,
            stats: Stats::default(),
            subst: vec![Val::Const(0); tree.insts.len()],
            facts: Facts::default(),
            nans: Vec::new(),
            available: Available::default(),
            state: State::default(),
            block: ENTRY,
            instance: 0,
            last_call: None,
            depth: 0,
            peeled,
            directions: Vec::new(),
            watch: None,
            rehearsal: false,
            exits: exit::Builder::default(),
            looping: None,
            own_frame: None,
            took_back: Cell::new(false),
        }
    }

    fn run(&mut self) -> Result<(), OptError> {
        self.block = self.new_block();
        let generic = self.new_block();
        debug_assert_eq!(generic, GENERIC);
        let reds = match self.tree.spread {
            None => self.params(self.tree.portal.reds).into_iter().map(Arg::Op).collect(),
            Some(spread) => match self.spread_entry(spread) {
                Some(reds) => reds,
                None => return self.fragment(FragmentId(0)),
            },
        };
        self.end(End::Jump(GENERIC, reds));
        self.block = GENERIC;
        let reds = self.params(self.tree.portal.reds);
        for (index, &red) in reds.iter().enumerate() {
            self.subst[index] = Val::Op(red);
        }
        if let (Some((index, _)), true) = (self.tree.portal.virtualizable, self.options.virtualizable) {
            self.state.heap.frame = Some(Frame { object: Val::Op(reds[index]), slots: BTreeMap::new() });
        }
        self.fragment(FragmentId(0))
    }

    /// Makes an empty block.
    fn new_block(&mut self) -> BlockId {
        self.code.blocks.push(Block { params: Vec::new(), insts: Vec::new(), end: End::Finish(Vec::new()) });
        BlockId(self.code.blocks.len() as u32 - 1)
    }

    fn end(&mut self, end: End) {
        self.code.blocks[self.block.0 as usize].end = end;
    }

    fn params(&mut self, types: &[Type]) -> Vec<OpRef> {
        types.iter().map(|&ty| self.param(ty, Range::FULL)).collect()
    }

    /// Adds a parameter to the current block.
    fn param(&mut self, ty: Type, range: Range) -> OpRef {
        let index = self.code.blocks[self.block.0 as usize].params.len() as u32;
        let op = match ty {
            Type::Int => Op::Param,
            Type::Float => Op::FParam,
        };
        self.code.insts.push(Inst { op, args: [Arg::Const(0); 3], aux: Aux::Index(index) });
        self.facts.push(range);
        self.nans.push(nan::Nan::Any);
        let param = OpRef(self.code.insts.len() as u32 - 1);
        self.code.blocks[self.block.0 as usize].params.push(param);
        param
    }

    /// Adds an instruction to the current block.
    fn emit(&mut self, inst: Inst, range: Range) -> OpRef {
        let nan = self.nan_of(&inst);
        self.code.insts.push(inst);
        self.facts.push(if nan == nan::Nan::Any { range } else { range.meet(&nan.patterns()).unwrap_or(range) });
        self.nans.push(nan);
        let op = OpRef(self.code.insts.len() as u32 - 1);
        self.code.blocks[self.block.0 as usize].insts.push(op);
        op
    }

    /// What a value is by now: what a virtual one has become, the constant that a guard has shown it to be.
    fn resolve(&self, mut val: Val) -> Val {
        while let Val::Virtual(id) = val
            && let virtuals::Entry::Computed(computed) = self.state.virtuals.entry(id)
        {
            val = *computed;
        }
        if let Val::Op(op) = val
            && let Some(bits) = self.facts.get(op).single()
        {
            return Val::Const(bits);
        }
        val
    }

    /// What stands for a recorded operand.
    fn value(&self, arg: Arg) -> Val {
        match arg {
            Arg::Const(bits) => Val::Const(bits),
            Arg::Op(op) => self.resolve(self.subst[op.0 as usize]),
        }
    }

    fn values(&self, run: ArgRange) -> Vec<Val> {
        self.tree.args(run).iter().map(|&arg| self.value(arg)).collect()
    }

    fn force_all(&mut self, vals: &[Val]) -> Vec<Arg> {
        vals.iter().map(|&val| self.force(val)).collect()
    }

    /// A value that is not virtual.
    fn real(&mut self, val: Val) -> Val {
        match self.force(val) {
            Arg::Const(bits) => Val::Const(bits),
            Arg::Op(op) => Val::Op(op),
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            state: self.state.clone(),
            facts: self.facts.mark(),
            available: self.available.mark(),
            block: self.block,
        }
    }

    fn back_to(&mut self, mark: Mark) {
        self.facts.undo(mark.facts);
        self.available.undo(mark.available);
        self.state = mark.state;
        self.block = mark.block;
    }

    /// Processes a fragment, in the current block and state.
    fn fragment(&mut self, id: FragmentId) -> Result<(), OptError> {
        let fragment = self.tree.fragments[id.0 as usize];
        for number in fragment.insts.0..fragment.insts.1 {
            if self.code.insts.len() > self.options.max_ops {
                return Err(OptError::TooLong);
            }
            self.stats.ops_in += 1;
            let inst = self.tree.insts[number as usize];
            if inst.op.info().class == Class::Guard {
                self.stats.guards_in += 1;
                if !self.guard(&inst)? {
                    return Ok(());
                }
            } else if let Some(val) = self.instruction(&inst) {
                self.subst[number as usize] = val;
            }
        }
        match fragment.end {
            TreeEnd::Close { node } => self.close(node, id),
            TreeEnd::Finish(words) => {
                // Who gave the frame away does not look at it any more.
                if self.tree.spread.is_none() {
                    self.flush_frame();
                }
                let words = self.values(words);
                let words = self.force_all(&words);
                self.end(End::Finish(words));
                Ok(())
            }
            TreeEnd::Leave(snapshot, onward) => {
                if let Some(onward) = onward.filter(|onward| self.goes_on(onward)) {
                    self.go_on(snapshot.node, &onward);
                    return Ok(());
                }
                let exit = self.exit(None, snapshot);
                self.end(End::Exit(exit));
                Ok(())
            }
        }
    }

    /// Processes an instruction that is no guard; its value, if it makes one.
    fn instruction(&mut self, inst: &Inst) -> Option<Val> {
        match (inst.op, inst.aux) {
            (Op::Param | Op::FParam, _) => None,
            (Op::Load | Op::LoadItem, _) => Some(self.load(inst)),
            (Op::Store | Op::StoreItem, _) => {
                self.store(inst);
                None
            }
            (Op::New, Aux::Shape(shape)) => {
                Some(self.new_object(shape, self.value(inst.args[0]), self.value(inst.args[1])))
            }
            (Op::Call, Aux::Call(callee, args)) => {
                let args = self.values(args);
                let call = self.call(callee, &args);
                self.last_call = Some(call);
                Some(call)
            }
            (Op::ResultWord, _) => Some(self.result_word(inst.index())),
            (Op::Merge, Aux::Index(node)) => {
                self.merge_mark(LogId(node));
                None
            }
            // As often as it was recorded: the answer may be another each time.
            (Op::Stopped, _) => Some(Val::Op(self.emit(*inst, range::transfer(Op::Stopped, &[Range::FULL; 2])))),
            (Op::Len, Aux::Field(field)) => Some(self.length(self.value(inst.args[0]), field)),
            _ => Some(self.pure(inst.op, [self.value(inst.args[0]), self.value(inst.args[1])])),
        }
    }

    /// The length of an object's array. An object has one array, so the object alone is the key.
    fn length(&mut self, object: Val, field: &'static Field) -> Val {
        let known = match object {
            Val::Virtual(id) => self.state.virtuals.object(id).map(|object| Val::Const(object.items.len() as u64)),
            _ => None,
        };
        let key = Key { op: Op::Len, aux: 0, args: [object, fold::NONE], more: Vec::new() };
        let available = if self.options.cse { self.available.get(&key) } else { None };
        if let Some(known) = known.or(available) {
            return self.resolve(known);
        }
        let inst =
            Inst { op: Op::Len, args: [self.force(object), Arg::Const(0), Arg::Const(0)], aux: Aux::Field(field) };
        let value = Val::Op(self.emit(inst, range::transfer(Op::Len, &[Range::FULL; 2])));
        if self.options.cse {
            self.available.insert(key, value);
        }
        value
    }

    fn merge_mark(&mut self, node: LogId) {
        if let LogEntry::Merge { portal, reds, live, .. } = self.tree.log[node.0 as usize].entry
            && let Some((index, _)) = portal.virtualizable
        {
            let object = self.value(self.tree.args(reds)[index]);
            self.drop_dead_items(object, live);
        }
    }

    fn emit_call(&mut self, callee: &'static Callee, args: &[Arg]) -> Val {
        let start = self.code.args.len() as u32;
        self.code.args.extend_from_slice(args);
        let run = ArgRange { start, len: args.len() as u32 };
        let inst = Inst { op: Op::Call, args: [Arg::Const(0); 3], aux: Aux::Call(callee, run) };
        let call = Val::Op(self.emit(inst, Range::FULL));
        if callee.effect == Effect::Elidable && self.options.cse {
            let more = args.iter().map(|&arg| self.plain(arg)).collect();
            self.available.insert(call_key(callee, more), call);
        }
        call
    }

    fn plain(&self, arg: Arg) -> Val {
        match arg {
            Arg::Const(bits) => Val::Const(bits),
            Arg::Op(op) => Val::Op(op),
        }
    }

    fn available_call(&self, callee: &'static Callee, args: Vec<Val>) -> Option<Val> {
        self.available.get(&call_key(callee, args))
    }

    /// A further result of the last call: of an earlier call, if the last one was merged with it.
    fn result_word(&mut self, word: u32) -> Val {
        let call = self.last_call.unwrap_or(Val::Const(0));
        let key = Key { op: Op::ResultWord, aux: word as usize, args: [call, Val::Const(0)], more: Vec::new() };
        if let Some(known) = self.available.get(&key) {
            return known;
        }
        let inst = Inst { op: Op::ResultWord, args: [Arg::Const(0); 3], aux: Aux::Index(word) };
        let value = Val::Op(self.emit(inst, Range::FULL));
        self.available.insert(key, value);
        value
    }

    /// Goes back to the root's merge point at the end of a fragment.
    fn close(&mut self, node: LogId, from: FragmentId) -> Result<(), OptError> {
        self.merge_mark(node);
        let LogEntry::Merge { reds, .. } = self.tree.log[node.0 as usize].entry else {
            unreachable!("a fragment closes at a merge point");
        };
        let reds = self.values(reds);
        reds.iter().for_each(|&red| self.look_at(red));
        match self.instance {
            0 if self.peeled == Some(from) => self.peel(&reds),
            0 => {
                self.count_down(node);
                self.leave_to_generic(&reds);
                Ok(())
            }
            _ => {
                self.count_down(node);
                self.way_back(&reds, from);
                Ok(())
            }
        }
    }

    /// Counts a way back, if that is wanted.
    fn count_down(&mut self, node: LogId) {
        if let Some(counter) = self.options.counter {
            let exit = self.exit(None, Snapshot { node, ticks: 0 });
            self.code.exits[exit.0 as usize].instance = LOOPED;
            let args = [Arg::Const(u64::from(counter)), Arg::Const(0), Arg::Const(0)];
            self.emit(Inst { op: Op::GuardCount, args, aux: Aux::Index(exit.0) }, Range::FULL);
        }
    }
}

/// The instance of an exit that says: the loop has gone round as often as was to be counted.
pub const LOOPED: u32 = u32::MAX - 3;

fn call_key(callee: &'static Callee, more: Vec<Val>) -> Key {
    Key { op: Op::Call, aux: std::ptr::from_ref(callee) as usize, args: [Val::Const(0); 2], more }
}
