//! Loops: the first iteration is peeled off, and the rest runs with what it proved.
//!
//! **Problem.** Most of what one iteration computes and tests holds for the next as well: types, invariant loads, the boxes
//! around numbers. A loop optimized by itself knows nothing at its header.
//!
//! **Approach.** The recorded loop is optimized twice in a row. *Instance 0* of the fragment knows nothing; the state at its
//! end is what *instance 1*, the loop proper, begins with. The header's description ([`Header`]) is found by an optimistic
//! fixpoint: first everything that is carried (the reds, the known slots of the frame and other known memory, virtual
//! objects and what they hold) is taken to be the same in every iteration. The body is optimized, with all its bridges; at
//! each way back the values are compared with the description, and what does not agree is weakened in the next round:
//!
//! * a value that changes becomes a block parameter, with the facts that hold on all ways;
//! * a *boxed* value is carried without its box: `x + K` (an integer in a NaN-boxed word) as `x`, `float_bits(f) + K` as a
//!   float, and boxed again where wanted, which is mostly nowhere;
//! * virtual objects of one shape are carried as their contents; those that meet anything else are forced;
//! * known memory that some way forgets is dropped.
//!
//! How that is described and compared is the business of [`super::header`].
//!
//! The first round is a rehearsal that builds no exits, for it is lost in all loops that count something.
//!
//! A way back from a *bridge* whose value is of unknown type where the header wants a known one is not allowed to spoil
//! the header: the bridge tests the value before it jumps. What fails that test, whatever comes back in instance 0, and a
//! loop that does not settle within [`MAX_ROUNDS`] goes to the generic entry, with everything in memory.
//!
//! **Invariants.** The header is dominated by the first iteration (bridges of instance 0 don't jump to it), so what the
//! description does not mention need not be passed: values of instance 0, expressions over them and facts about them
//! stay at hand in the loop. Invariant code leaves the loop by being found there.
//!
//! **Sources.** Loop peeling as in LuaJIT and RPython's unroll pass; there the type of a loop is fixed by its first
//! iteration, and later bridges that disagree get a loop of their own.

use super::fold::NONE;
use super::guard::Fact;
use super::header::{Boxing, CarriedSlot, Header, Kind, Met, NodeId};
use super::heap::{Known, Slot};
use super::range::Range;
use super::value::Val;
use super::virtuals::{Entry, Object};
use super::{GENERIC, Mark, OptError, Optimizer, Stats};
use crate::ir::code::{BlockId, DetailsMark, End};
use crate::ir::tree::FragmentId;
use crate::ir::{Arg, Op};
use crate::word::Type;
use std::rc::Rc;

/// Rounds until a loop must have settled.
const MAX_ROUNDS: usize = 9;

/// A loop being optimized.
pub(super) struct Loop {
    block: BlockId,
    /// What this round relies on.
    header: Header,
    /// What the next one may rely on.
    next: Header,
    changed: bool,
    round: usize,
}

/// Where a loop starts over: the end of the first iteration.
struct Start {
    mark: Mark,
    insts: usize,
    args: usize,
    blocks: usize,
    exits: usize,
    details: DetailsMark,
    block_insts: usize,
    stats: Stats,
}

impl Optimizer<'_> {
    /// Optimizes the loop that the tree is, from the end of a first iteration, where the reds are these.
    pub(super) fn peel(&mut self, reds: &[Val]) -> Result<(), OptError> {
        // If the first iteration ended in a bridge, the path that it hangs from goes on with its own values.
        let subst = self.subst.clone();
        let result = self.settle(reds);
        self.subst = subst;
        result
    }

    fn settle(&mut self, reds: &[Val]) -> Result<(), OptError> {
        let mut header: Option<Header> = None;
        let mut counters = Vec::new();
        for round in 0..MAX_ROUNDS {
            let start = self.start();
            self.load_carried(header.as_ref());
            let mut header_now = match header.take() {
                Some(header) => header,
                None => self.optimistic_header(reds),
            };
            self.bound_counters(&counters, reds);
            let met = self.meet_start(&mut header_now, reds);
            match round {
                0 if self.options.counters => self.watch = Some(self.watch(&header_now, &met)),
                1 => self.start_bounded(&mut header_now, &met, &counters),
                _ => {}
            }
            let block = self.new_block();
            self.enter(&header_now, &met, block);
            self.looping = Some(Loop { block, next: header_now.clone(), header: header_now, changed: false, round });
            self.instance = 1;
            self.rehearsal = round == 0;
            let result = self.fragment(FragmentId(0));
            self.instance = 0;
            let rehearsal = std::mem::take(&mut self.rehearsal);
            let Some(done) = self.looping.take() else { unreachable!("a loop stays one") };
            result?;
            self.stats.rounds = round + 1;
            if let Some(watch) = self.watch.take() {
                counters = self.counters(&done.header, &watch);
            }
            if !done.changed && !rehearsal {
                return Ok(());
            }
            header = Some(done.next);
            self.start_over(start);
        }
        self.leave_to_generic(reds);
        Ok(())
    }

    fn start(&self) -> Start {
        Start {
            mark: self.mark(),
            insts: self.code.insts.len(),
            args: self.code.args.len(),
            blocks: self.code.blocks.len(),
            exits: self.code.exits.len(),
            details: self.code.details.mark(),
            block_insts: self.code.blocks[self.block.0 as usize].insts.len(),
            stats: self.stats,
        }
    }

    fn start_over(&mut self, start: Start) {
        self.stats = Stats { rounds: self.stats.rounds, ..start.stats };
        self.back_to(start.mark);
        self.code.insts.truncate(start.insts);
        self.directions.retain(|(overflow, _)| (overflow.0 as usize) < start.insts);
        self.facts.truncate(start.insts);
        self.nans.truncate(start.insts);
        self.code.args.truncate(start.args);
        self.code.blocks.truncate(start.blocks);
        self.code.exits.truncate(start.exits);
        self.code.details.truncate(start.details);
        self.exits.forget();
        self.code.blocks[self.block.0 as usize].insts.truncate(start.block_insts);
    }

    /// Everything in memory, and back to where nothing is known.
    pub(super) fn leave_to_generic(&mut self, reds: &[Val]) {
        self.flush_frame();
        let reds = self.force_all(reds);
        self.end(End::Jump(GENERIC, reds));
    }

    /// Loads the slots of the frame that the header carries and that are not known here; gives the frame up if the header
    /// has none.
    fn load_carried(&mut self, header: Option<&Header>) {
        let Some(header) = header else { return };
        let Some(slots) = &header.slots else {
            self.flush_frame();
            self.state.heap.frame = None;
            return;
        };
        for (&offset, carried) in slots {
            let Some(frame) = &self.state.heap.frame else {
                return;
            };
            if !frame.slots.contains_key(&offset) {
                let value = self.load_place(frame.object, carried.place);
                if let Some(frame) = &mut self.state.heap.frame {
                    frame.slots.insert(offset, Slot { place: carried.place, value, dirty: false });
                }
            }
        }
    }

    /// Values at a way into the header, by place: each is called with its node.
    fn carried(&mut self, header: &Header, reds: &[Val], mut each: impl FnMut(&mut Self, NodeId, Val)) {
        for (&node, &red) in header.reds.iter().zip(reds) {
            each(self, node, red);
        }
        for (offset, slot) in header.slots.iter().flatten() {
            let value = self.state.heap.frame.as_ref().and_then(|frame| frame.slots.get(offset));
            if let Some(value) = value.map(|slot| slot.value) {
                each(self, slot.node, value);
            }
        }
        for (key, &(_, node)) in &header.known {
            if let Some(value) = self.state.heap.known.get(key).map(|known| known.value) {
                each(self, node, value);
            }
        }
    }

    /// The values at the loop's entry, by node. What can't stay virtual on the way in is made a parameter.
    fn meet_start(&mut self, header: &mut Header, reds: &[Val]) -> Met {
        let mut met = Met::new();
        self.carried(header, reds, |o, node, val| o.meet_values(header, &mut met, node, val));
        let pairs: Vec<(NodeId, Val)> = met.iter().map(|(&node, &val)| (node, val)).collect();
        self.give_up_forced(&mut header.nodes, &pairs);
        met
    }

    /// Jumps to the header from where its description holds, and goes on behind it.
    fn enter(&mut self, header: &Header, met: &Met, block: BlockId) {
        let args = self.arguments(header, met);
        self.end(End::Jump(block, args));
        self.block = block;
        let vals = self.header_values(header);
        for (index, &node) in header.reds.iter().enumerate() {
            self.subst[index] = vals[node];
        }
        if let (Some(frame), Some(slots)) = (&mut self.state.heap.frame, &header.slots) {
            let slot =
                |carried: &CarriedSlot| Slot { place: carried.place, value: vals[carried.node], dirty: carried.dirty };
            frame.slots = slots.iter().map(|(&offset, carried)| (offset, slot(carried))).collect();
        }
        let known = header.known.iter();
        self.state.heap.known = known.map(|(&key, &(place, node))| (key, Known { place, value: vals[node] })).collect();
        self.state.valid = header.valid;
    }

    /// Notes the value of a node and, within virtual objects, of the nodes below.
    fn meet_values(&mut self, header: &Header, met: &mut Met, node: NodeId, val: Val) {
        let val = self.resolve(val);
        if met.insert(node, val).is_some() {
            return;
        }
        if let (Kind::Object { fill, fields, items, .. }, Val::Virtual(id)) = (&header.nodes[node].kind, val)
            && let Some(object) = self.state.virtuals.object(id).cloned()
        {
            let below = fields.iter().zip(&object.fields).chain(items.iter().zip(&object.items));
            for (&node, &val) in below.chain([(fill, &object.fill)]) {
                self.meet_values(header, met, node, val);
            }
        }
    }

    /// The jump's arguments: one for each parameter node, in order.
    fn arguments(&mut self, header: &Header, met: &Met) -> Vec<Arg> {
        let mut args = Vec::new();
        for (node, described) in header.nodes.iter().enumerate() {
            if let Kind::Param { boxing, .. } = described.kind {
                let val = met.get(&node).copied().unwrap_or(NONE);
                let content = self.unboxed(val, boxing);
                args.push(self.force(content));
            }
        }
        args
    }

    /// Makes the header's parameters and, from them, the value of each node.
    fn header_values(&mut self, header: &Header) -> Vec<Val> {
        let mut vals = Vec::new();
        for node in &header.nodes {
            vals.push(match &node.kind {
                Kind::Same { val, .. } => *val,
                Kind::Param { boxing, content } => {
                    let ty = if matches!(boxing, Boxing::Float(_)) { Type::Float } else { node.ty };
                    let param = Val::Op(self.param(ty, *content));
                    if ty == Type::Float {
                        self.learn_nan(param, node.nan);
                    }
                    let val = self.boxed(param, *boxing);
                    self.refine(val, &boxing.around(content));
                    val
                }
                Kind::Object { shape, .. } => self.state.virtuals.add(Entry::Object(Rc::new(Object {
                    shape,
                    fill: NONE,
                    fields: Vec::new(),
                    items: Vec::new(),
                    given: false,
                }))),
            });
        }
        for (index, node) in header.nodes.iter().enumerate() {
            if let (Kind::Object { shape, fill, fields, items }, Val::Virtual(id)) = (&node.kind, vals[index]) {
                let contents = |nodes: &[NodeId]| nodes.iter().map(|&node| vals[node]).collect();
                let object =
                    Object { shape, fill: vals[*fill], fields: contents(fields), items: contents(items), given: false };
                self.state.virtuals.replace(id, object);
            }
        }
        vals
    }

    /// A way back to the header, from this fragment.
    pub(super) fn way_back(&mut self, reds: &[Val], from: FragmentId) {
        let Some(mut lp) = self.looping.take() else { unreachable!("instance 1 is in a loop") };
        if self.watch.is_some() && Some(from) == self.peeled {
            let mut met = Met::new();
            self.carried(&lp.header, reds, |o, node, val| o.meet_values(&lp.header, &mut met, node, val));
            self.watch_end(&met);
        }
        self.load_carried(Some(&lp.next));
        let lenient = Some(from) != self.peeled;
        let (next, met, changed) = self.join(&lp.next, reds, lenient, lp.round);
        if changed {
            lp.changed = true;
            lp.next = next;
        }
        if lp.changed {
            // This round is lost; the others will tell more.
            self.end(End::Finish(Vec::new()));
        } else {
            self.conform(&lp, &met, reds);
        }
        self.looping = Some(lp);
    }

    /// Jumps to the header; values of unknown type are tested first.
    fn conform(&mut self, lp: &Loop, met: &Met, reds: &[Val]) {
        let mut fallback = None;
        for (id, node) in lp.header.nodes.iter().enumerate() {
            let (Kind::Param { boxing, content }, Some(&val)) = (&node.kind, met.get(&id)) else {
                continue;
            };
            if content.includes(&self.content_range(val, *boxing)) || matches!(val, Val::Virtual(_)) {
                continue;
            }
            let block = *fallback.get_or_insert_with(|| self.fallback(reds));
            let word = self.pure(Op::Sub, [val, Val::Const(boxing.offset())]);
            if !self.test(word, content, block) {
                return self.leave_to_generic(reds);
            }
        }
        let args = self.arguments(&lp.header, met);
        self.end(End::Jump(lp.block, args));
    }

    /// A block that leaves to the generic entry with the state as it is here.
    pub(super) fn fallback(&mut self, reds: &[Val]) -> BlockId {
        let mark = self.mark();
        let block = self.new_block();
        self.block = block;
        self.leave_to_generic(reds);
        self.back_to(mark);
        block
    }

    /// Emits the tests that show a value to be in a range; `false` if it can't be.
    pub(super) fn test(&mut self, val: Val, range: &Range, otherwise: BlockId) -> bool {
        let signed = (range.smin as u64, (range.smax as u64).wrapping_sub(range.smin as u64));
        let unsigned = (range.umin, range.umax - range.umin);
        for (low, span) in [signed, unsigned] {
            let known = self.range(val);
            let narrower = if (low, span) == signed {
                known.smin < range.smin || known.smax > range.smax
            } else {
                known.umin < range.umin || known.umax > range.umax
            };
            if narrower {
                let moved = self.pure(Op::Sub, [val, Val::Const(low)]);
                let inside = self.pure(Op::Ule, [moved, Val::Const(span)]);
                if !self.require(Fact::NotZero(inside), otherwise) {
                    return false;
                }
            }
        }
        let known = self.range(val);
        let bits = (range.zeros & !known.zeros) | (range.ones & !known.ones);
        if bits != 0 {
            let masked = self.pure(Op::And, [val, Val::Const(bits)]);
            let equal = self.pure(Op::Eq, [masked, Val::Const(range.ones & bits)]);
            if !self.require(Fact::NotZero(equal), otherwise) {
                return false;
            }
        }
        true
    }

    fn require(&mut self, fact: Fact, otherwise: BlockId) -> bool {
        if let Some(holds) = self.holds(fact) {
            return holds;
        }
        let exit = self.exit_to(otherwise, None);
        self.emit_guard(fact, exit);
        self.learn(fact);
        true
    }
}
