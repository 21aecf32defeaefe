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
//! The description is a graph of [`Node`]s, so that sharing and cycles among virtual objects, and the same value in two slots,
//! are kept. Comparing it with a way's values is a product construction: one new node for each pair (node, value).
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
use super::heap::{Known, Slot};
use super::range::{NUMBERS, Range, transfer};
use super::rules::is_large;
use super::value::{HashMap, Val};
use super::virtuals::{Entry, Object, field};
use super::{GENERIC, Mark, OptError, Optimizer, Stats};
use crate::ir::code::{BlockId, End, Place};
use crate::ir::tree::FragmentId;
use crate::ir::{Arg, Op};
use crate::object::Shape;
use crate::word::Type;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Rounds until a loop must have settled.
const MAX_ROUNDS: usize = 9;
/// Rounds until ranges that still grow are given up.
const PATIENT_ROUNDS: usize = 4;
/// Known places of ordinary objects that are carried at most.
const MAX_KNOWN: usize = 256;
/// Patterns of floats that are not NaN are not above this one.
const MAX_NUMBER: u64 = NUMBERS.umax;

/// How a word is made from what is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Boxing {
    /// As it is.
    Plain,
    /// An integer, plus a constant.
    Plus(u64),
    /// The pattern of a float, plus a constant.
    Float(u64),
}

impl Boxing {
    fn offset(self) -> u64 {
        match self {
            Boxing::Plain => 0,
            Boxing::Plus(offset) | Boxing::Float(offset) => offset,
        }
    }
    /// What is known of the content of a box.
    fn content(self, boxed: &Range) -> Range {
        transfer(Op::Sub, &[*boxed, Range::exactly(self.offset())])
    }
    /// What is known of the box.
    fn around(self, content: &Range) -> Range {
        transfer(Op::Add, &[*content, Range::exactly(self.offset())])
    }
    /// What contents such boxes may have.
    fn band(self) -> Range {
        match self {
            Boxing::Plain => Range::FULL,
            Boxing::Plus(_) => Range::signed(-(1 << 50), (1 << 50) - 1),
            Boxing::Float(_) => Range::unsigned(0, MAX_NUMBER),
        }
    }
    /// Whether a word about which this is known is well seen as such a box.
    fn suits(self, boxed: &Range) -> bool {
        let content = self.content(boxed);
        match self {
            Boxing::Plain => true,
            Boxing::Plus(_) => content.smin >= -(1 << 51) && content.smax <= 1 << 51,
            Boxing::Float(_) => content.umax <= MAX_NUMBER,
        }
    }
}

/// Names a node of a header.
type NodeId = usize;

/// What the header says about a value.
#[derive(Clone, Debug)]
enum Kind {
    /// It is the same in all iterations. What was known of it, and how it was made, when the loop was entered.
    Same {
        val: Val,
        range: Range,
        boxing: Boxing,
        content: Range,
    },
    /// It is made from a parameter about which this is known.
    Param { boxing: Boxing, content: Range },
    /// A virtual object.
    Object {
        shape: &'static Shape,
        fill: NodeId,
        fields: Vec<NodeId>,
        items: Vec<NodeId>,
    },
}

impl Kind {
    /// Whether two descriptions say the same (nodes aside).
    fn agrees(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Same { val: a, .. }, Kind::Same { val: b, .. }) => a == b,
            (Kind::Object { shape: a, .. }, Kind::Object { shape: b, .. }) => std::ptr::eq(*a, *b),
            (
                Kind::Param {
                    boxing: a,
                    content: x,
                },
                Kind::Param {
                    boxing: b,
                    content: y,
                },
            ) => a == b && x == y,
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    ty: Type,
}

#[derive(Clone, Copy, Debug)]
struct CarriedSlot {
    place: Place,
    node: NodeId,
    dirty: bool,
}

/// What holds at a loop's header.
#[derive(Clone, Default, Debug)]
pub(super) struct Header {
    nodes: Vec<Node>,
    reds: Vec<NodeId>,
    /// Slots of the frame; `None` if the frame is an ordinary object.
    slots: Option<BTreeMap<u32, CarriedSlot>>,
    known: BTreeMap<(Val, u32), (Place, NodeId)>,
    valid: bool,
}

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

/// Values met at a way into the header, by node.
type Met = BTreeMap<NodeId, Val>;

/// A product construction.
struct Join<'h> {
    old: &'h Header,
    new: Header,
    made: HashMap<(NodeId, Val), NodeId>,
    met: Met,
    changed: bool,
    /// Whether values of unknown type are tested rather than described.
    lenient: bool,
    round: usize,
}

impl Join<'_> {
    fn node(&mut self, o: &mut Optimizer<'_>, old: NodeId, val: Val) -> NodeId {
        let val = o.resolve(val);
        if let Some(&node) = self.made.get(&(old, val)) {
            return node;
        }
        if *self.met.entry(old).or_insert(val) != val {
            self.changed = true;
        }
        let node = self.new.nodes.len();
        self.new.nodes.push(self.old.nodes[old].clone());
        self.made.insert((old, val), node);
        let kind = self.kind(o, old, val);
        self.changed |= !kind.agrees(&self.old.nodes[old].kind);
        self.new.nodes[node].kind = kind;
        node
    }

    fn kind(&mut self, o: &mut Optimizer<'_>, old: NodeId, val: Val) -> Kind {
        let node = self.old.nodes[old].clone();
        let range = o.range(val);
        match node.kind {
            Kind::Same { val: before, .. } if before == val || o.resolve(before) == val => {
                node.kind
            }
            Kind::Same {
                val: _,
                range: before,
                boxing,
                content,
            } => {
                if self.lenient
                    && boxing != Boxing::Plain
                    && !boxing.suits(&range)
                    && range.includes(&before)
                    && !matches!(val, Val::Virtual(_))
                {
                    let content = boxing.band().join(&content);
                    return Kind::Param { boxing, content };
                }
                let natural = o.natural_boxing(val);
                let mut boxings = [boxing, natural].into_iter().filter(|boxing| {
                    node.ty == Type::Int
                        && *boxing != Boxing::Plain
                        && (*boxing == natural || boxing.suits(&range))
                });
                let chosen = boxings.find(|chosen| *chosen == boxing || chosen.suits(&before));
                match chosen {
                    Some(chosen) => {
                        let before = if chosen == boxing {
                            content
                        } else {
                            chosen.content(&before)
                        };
                        let now = o.content_range(val, chosen);
                        Kind::Param {
                            boxing: chosen,
                            content: self.widen(before.join(&now), &before),
                        }
                    }
                    None => Kind::Param {
                        boxing: Boxing::Plain,
                        content: self.widen(before.join(&range), &before),
                    },
                }
            }
            Kind::Param { boxing, content } => {
                if boxing == Boxing::Plain
                    || boxing == o.natural_boxing(val)
                    || boxing.suits(&range)
                {
                    let now = if boxing == Boxing::Plain {
                        range
                    } else {
                        o.content_range(val, boxing)
                    };
                    let unknown =
                        boxing == Boxing::Plain && range == Range::FULL && node.ty == Type::Int;
                    if content.includes(&now) || self.lenient && unknown {
                        return node.kind;
                    }
                    return Kind::Param {
                        boxing,
                        content: self.widen(content.join(&now), &content),
                    };
                }
                let boxed = boxing.around(&content);
                if self.lenient && range.includes(&boxed) && !matches!(val, Val::Virtual(_)) {
                    return node.kind;
                }
                Kind::Param {
                    boxing: Boxing::Plain,
                    content: boxed.join(&range),
                }
            }
            Kind::Object {
                shape,
                fill,
                fields,
                items,
            } => {
                if let Val::Virtual(id) = val
                    && let Some(object) = o.state.virtuals.object(id).cloned()
                    && std::ptr::eq(object.shape, shape)
                    && object.items.len() == items.len()
                {
                    return Kind::Object {
                        shape,
                        fill: self.node(o, fill, object.fill),
                        fields: fields
                            .iter()
                            .zip(&object.fields)
                            .map(|(&node, &val)| self.node(o, node, val))
                            .collect(),
                        items: items
                            .iter()
                            .zip(&object.items)
                            .map(|(&node, &val)| self.node(o, node, val))
                            .collect(),
                    };
                }
                let address = super::virtuals::address_range();
                Kind::Param {
                    boxing: Boxing::Plain,
                    content: self.widen(address.join(&range), &address),
                }
            }
        }
    }

    fn widen(&self, joined: Range, before: &Range) -> Range {
        let joined = joined.tightened().unwrap_or(joined);
        if before.includes(&joined) {
            *before
        } else {
            joined.widened(before, self.round > PATIENT_ROUNDS)
        }
    }
}

/// Where a loop starts over: the end of the first iteration.
struct Start {
    mark: Mark,
    insts: usize,
    args: usize,
    blocks: usize,
    exits: usize,
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
        for round in 0..MAX_ROUNDS {
            let start = self.start();
            self.load_carried(header.as_ref());
            let mut header_now = match header.take() {
                Some(header) => header,
                None => self.optimistic_header(reds),
            };
            let met = self.meet_start(&mut header_now, reds);
            let block = self.new_block();
            self.enter(&header_now, &met, block);
            self.looping = Some(Loop {
                block,
                next: header_now.clone(),
                header: header_now,
                changed: false,
                round,
            });
            self.instance = 1;
            let result = self.fragment(FragmentId(0));
            self.instance = 0;
            let Some(done) = self.looping.take() else {
                unreachable!("a loop stays one")
            };
            result?;
            self.stats.rounds = round + 1;
            if !done.changed {
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
            block_insts: self.code.blocks[self.block.0 as usize].insts.len(),
            stats: self.stats,
        }
    }

    fn start_over(&mut self, start: Start) {
        self.stats = Stats {
            rounds: self.stats.rounds,
            ..start.stats
        };
        self.back_to(start.mark);
        self.code.insts.truncate(start.insts);
        self.facts.truncate(start.insts);
        self.code.args.truncate(start.args);
        self.code.blocks.truncate(start.blocks);
        self.code.exits.truncate(start.exits);
        self.code.blocks[self.block.0 as usize]
            .insts
            .truncate(start.block_insts);
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
                    frame.slots.insert(
                        offset,
                        Slot {
                            place: carried.place,
                            value,
                            dirty: false,
                        },
                    );
                }
            }
        }
    }

    /// The description by which everything stays as it is now.
    fn optimistic_header(&mut self, reds: &[Val]) -> Header {
        let mut header = Header {
            valid: self.state.valid,
            ..Header::default()
        };
        let mut nodes = HashMap::default();
        for (&red, &ty) in reds.iter().zip(self.tree.portal.reds) {
            let node = self.describe(&mut header, &mut nodes, red, ty);
            header.reds.push(node);
        }
        let heap = self.state.heap.clone();
        if let Some(frame) = &heap.frame {
            let mut slots = BTreeMap::new();
            for (&offset, slot) in &frame.slots {
                let node =
                    self.describe(&mut header, &mut nodes, slot.value, field(slot.place).ty());
                slots.insert(
                    offset,
                    CarriedSlot {
                        place: slot.place,
                        node,
                        dirty: slot.dirty,
                    },
                );
            }
            header.slots = Some(slots);
        }
        for (&key, known) in heap.known.iter().take(MAX_KNOWN) {
            let node = self.describe(
                &mut header,
                &mut nodes,
                known.value,
                field(known.place).ty(),
            );
            header.known.insert(key, (known.place, node));
        }
        header
    }

    fn describe(
        &self,
        header: &mut Header,
        nodes: &mut HashMap<(Val, Type), NodeId>,
        val: Val,
        ty: Type,
    ) -> NodeId {
        let val = self.resolve(val);
        if let Some(&node) = nodes.get(&(val, ty)) {
            return node;
        }
        let range = self.range(val);
        let boxing = if ty == Type::Int {
            self.natural_boxing(val)
        } else {
            Boxing::Plain
        };
        let content = if boxing == Boxing::Plain {
            range
        } else {
            self.content_range(val, boxing)
        };
        let node = header.nodes.len();
        header.nodes.push(Node {
            kind: Kind::Same {
                val,
                range,
                boxing,
                content,
            },
            ty,
        });
        nodes.insert((val, ty), node);
        if let Val::Virtual(id) = val
            && matches!(self.state.virtuals.entry(id), Entry::Pure(..))
        {
            // It has no recipe, so it is computed before the loop.
            header.nodes[node].kind = Kind::Param {
                boxing: Boxing::Plain,
                content: range,
            };
        }
        if let Val::Virtual(id) = val
            && let Some(object) = self.state.virtuals.object(id)
        {
            let item_type = object.shape.array.map_or(Type::Int, |array| array.ty());
            let fields = object.shape.fields.iter().zip(&object.fields);
            let fields = fields
                .map(|(field, &val)| self.describe(header, nodes, val, field.ty()))
                .collect();
            let fill = self.describe(header, nodes, object.fill, item_type);
            let items = object
                .items
                .iter()
                .map(|&val| self.describe(header, nodes, val, item_type))
                .collect();
            header.nodes[node].kind = Kind::Object {
                shape: object.shape,
                fill,
                fields,
                items,
            };
        }
        node
    }

    /// How a word was made, if it was by boxing: by adding a constant in whose upper bits the encoding is.
    fn natural_boxing(&self, val: Val) -> Boxing {
        let Some((Op::Add, [content, Val::Const(offset)])) = self.definition(val) else {
            return Boxing::Plain;
        };
        let encoding = offset.wrapping_add(1 << 47) >> 48 << 48;
        if !is_large(offset) || encoding == 0 || matches!(content, Val::Virtual(_)) {
            return Boxing::Plain;
        }
        match self.definition(content) {
            Some((Op::FloatBits, _)) if offset == encoding => Boxing::Float(offset),
            _ => Boxing::Plus(encoding),
        }
    }

    /// The content of a boxed word: a float for [`Boxing::Float`].
    fn unboxed(&mut self, val: Val, boxing: Boxing) -> Val {
        if boxing == Boxing::Plain {
            return val;
        }
        let content = self.pure(Op::Sub, [val, Val::Const(boxing.offset())]);
        match boxing {
            Boxing::Float(_) => self.pure(Op::BitsFloat, [content, NONE]),
            _ => content,
        }
    }

    fn boxed(&mut self, content: Val, boxing: Boxing) -> Val {
        let word = match boxing {
            Boxing::Plain => return content,
            Boxing::Float(_) => self.pure(Op::FloatBits, [content, NONE]),
            Boxing::Plus(_) => content,
        };
        self.pure(Op::Add, [word, Val::Const(boxing.offset())])
    }

    /// What is known of the content of a boxed word.
    fn content_range(&self, val: Val, boxing: Boxing) -> Range {
        let range = boxing.content(&self.range(val));
        match self.definition(val) {
            Some((Op::Add, [content, Val::Const(offset)])) => {
                let rest = offset.wrapping_sub(boxing.offset());
                let direct = transfer(Op::Add, &[self.range(content), Range::exactly(rest)]);
                range.meet(&direct).unwrap_or(range)
            }
            _ => range,
        }
    }

    /// Values at a way into the header, by place: each is called with its node.
    fn carried(
        &mut self,
        header: &Header,
        reds: &[Val],
        mut each: impl FnMut(&mut Self, NodeId, Val),
    ) {
        for (&node, &red) in header.reds.iter().zip(reds) {
            each(self, node, red);
        }
        for (offset, slot) in header.slots.iter().flatten() {
            let value = self
                .state
                .heap
                .frame
                .as_ref()
                .and_then(|frame| frame.slots.get(offset));
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
        self.carried(header, reds, |o, node, val| {
            o.meet_values(header, &mut met, node, val)
        });
        let pairs: Vec<(NodeId, Val)> = met.iter().map(|(&node, &val)| (node, val)).collect();
        self.give_up_forced(&mut header.nodes, &pairs);
        met
    }

    /// Makes parameters of virtual objects that can't be carried as their contents: one object that would be carried as two
    /// would be two objects afterwards. And what becomes a parameter is allocated, with all virtual objects that can be
    /// reached from it, so none of those can be carried either.
    fn give_up_forced(&self, nodes: &mut [Node], met: &[(NodeId, Val)]) -> bool {
        let address = Kind::Param {
            boxing: Boxing::Plain,
            content: super::virtuals::address_range(),
        };
        let mut gave_up = false;
        let mut carried_as: BTreeMap<Val, NodeId> = BTreeMap::new();
        for &(node, val) in met {
            if !matches!(nodes[node].kind, Kind::Object { .. }) {
                continue;
            }
            let other = *carried_as.entry(self.resolve(val)).or_insert(node);
            if other != node {
                nodes[node].kind = address.clone();
                nodes[other].kind = address.clone();
                gave_up = true;
            }
        }
        let mut forced = BTreeSet::new();
        let mut work: Vec<Val> = met
            .iter()
            .filter(|(node, _)| matches!(nodes[*node].kind, Kind::Param { .. }))
            .map(|&(_, val)| val)
            .collect();
        while let Some(val) = work.pop() {
            let Val::Virtual(id) = self.resolve(val) else {
                continue;
            };
            if !forced.insert(id) {
                continue;
            }
            match self.state.virtuals.entry(id) {
                Entry::Object(object) => {
                    work.push(object.fill);
                    work.extend(object.fields.iter().chain(&object.items));
                }
                Entry::Pure(_, args) => work.extend(args),
                Entry::Computed(val) => work.push(*val),
            }
        }
        for &(node, val) in met {
            let forced = matches!(self.resolve(val), Val::Virtual(id) if forced.contains(&id));
            if forced && matches!(nodes[node].kind, Kind::Object { .. }) {
                nodes[node].kind = address.clone();
                gave_up = true;
            }
        }
        gave_up
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
            let slot = |carried: &CarriedSlot| Slot {
                place: carried.place,
                value: vals[carried.node],
                dirty: carried.dirty,
            };
            frame.slots = slots
                .iter()
                .map(|(&offset, carried)| (offset, slot(carried)))
                .collect();
        }
        let known = header.known.iter();
        self.state.heap.known = known
            .map(|(&key, &(place, node))| {
                (
                    key,
                    Known {
                        place,
                        value: vals[node],
                    },
                )
            })
            .collect();
        self.state.valid = header.valid;
    }

    /// Notes the value of a node and, within virtual objects, of the nodes below.
    fn meet_values(&mut self, header: &Header, met: &mut Met, node: NodeId, val: Val) {
        let val = self.resolve(val);
        if met.insert(node, val).is_some() {
            return;
        }
        if let (
            Kind::Object {
                fill,
                fields,
                items,
                ..
            },
            Val::Virtual(id),
        ) = (&header.nodes[node].kind, val)
            && let Some(object) = self.state.virtuals.object(id).cloned()
        {
            let below = fields
                .iter()
                .zip(&object.fields)
                .chain(items.iter().zip(&object.items));
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
                    let ty = if matches!(boxing, Boxing::Float(_)) {
                        Type::Float
                    } else {
                        node.ty
                    };
                    let param = Val::Op(self.param(ty, *content));
                    let val = self.boxed(param, *boxing);
                    self.refine(val, &boxing.around(content));
                    val
                }
                Kind::Object { shape, .. } => {
                    self.state.virtuals.add(Entry::Object(Rc::new(Object {
                        shape,
                        fill: NONE,
                        fields: Vec::new(),
                        items: Vec::new(),
                    })))
                }
            });
        }
        for (index, node) in header.nodes.iter().enumerate() {
            if let (
                Kind::Object {
                    shape,
                    fill,
                    fields,
                    items,
                },
                Val::Virtual(id),
            ) = (&node.kind, vals[index])
            {
                let contents = |nodes: &[NodeId]| nodes.iter().map(|&node| vals[node]).collect();
                let object = Object {
                    shape,
                    fill: vals[*fill],
                    fields: contents(fields),
                    items: contents(items),
                };
                self.state.virtuals.replace(id, object);
            }
        }
        vals
    }

    /// A way back to the header, from this fragment.
    pub(super) fn way_back(&mut self, reds: &[Val], from: FragmentId) {
        let Some(mut lp) = self.looping.take() else {
            unreachable!("instance 1 is in a loop")
        };
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

    fn join(
        &mut self,
        old: &Header,
        reds: &[Val],
        lenient: bool,
        round: usize,
    ) -> (Header, Met, bool) {
        let mut join = Join {
            old,
            new: Header {
                valid: old.valid && self.state.valid,
                ..Header::default()
            },
            made: HashMap::default(),
            met: Met::new(),
            changed: old.valid && !self.state.valid,
            lenient,
            round,
        };
        for (&node, &red) in old.reds.iter().zip(reds) {
            let node = join.node(self, node, red);
            join.new.reds.push(node);
        }
        let frame = self.state.heap.frame.clone();
        if let Some(slots) = &old.slots {
            let is_frame = |red: &Val| {
                frame
                    .as_ref()
                    .is_some_and(|frame| frame.object == self.resolve(*red))
            };
            let index = self.tree.portal.virtualizable.map(|(index, _)| index);
            if let Some(frame) = frame
                .as_ref()
                .filter(|_| index.is_some_and(|index| is_frame(&reds[index])))
            {
                let mut carried = BTreeMap::new();
                for (&offset, slot) in slots {
                    let Some(now) = frame.slots.get(&offset) else {
                        continue;
                    };
                    let node = join.node(self, slot.node, now.value);
                    join.changed |= now.dirty && !slot.dirty;
                    carried.insert(
                        offset,
                        CarriedSlot {
                            node,
                            dirty: slot.dirty || now.dirty,
                            ..*slot
                        },
                    );
                }
                for (&offset, slot) in frame.slots.iter().filter(|(_, slot)| slot.dirty) {
                    // A slot that only this way has written: it will be loaded before the loop.
                    carried.entry(offset).or_insert_with(|| {
                        join.changed = true;
                        let ty = field(slot.place).ty();
                        let range = Range::FULL;
                        let kind = Kind::Param {
                            boxing: Boxing::Plain,
                            content: range,
                        };
                        join.new.nodes.push(Node { kind, ty });
                        CarriedSlot {
                            place: slot.place,
                            node: join.new.nodes.len() - 1,
                            dirty: true,
                        }
                    });
                }
                join.new.slots = Some(carried);
            } else {
                join.changed = true;
            }
        }
        for (&key, &(place, node)) in &old.known {
            match self.state.heap.known.get(&key).map(|known| known.value) {
                Some(value) => {
                    let node = join.node(self, node, value);
                    join.new.known.insert(key, (place, node));
                }
                None => join.changed = true,
            }
        }
        let pairs: Vec<(NodeId, Val)> = join
            .made
            .iter()
            .map(|(&(_, val), &node)| (node, val))
            .collect();
        join.changed |= self.give_up_forced(&mut join.new.nodes, &pairs);
        (join.new, join.met, join.changed)
    }

    /// Jumps to the header; values of unknown type are tested first.
    fn conform(&mut self, lp: &Loop, met: &Met, reds: &[Val]) {
        let mut fallback = None;
        for (id, node) in lp.header.nodes.iter().enumerate() {
            let (Kind::Param { boxing, content }, Some(&val)) = (&node.kind, met.get(&id)) else {
                continue;
            };
            if content.includes(&self.content_range(val, *boxing)) || matches!(val, Val::Virtual(_))
            {
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
    fn fallback(&mut self, reds: &[Val]) -> BlockId {
        let mark = self.mark();
        let block = self.new_block();
        self.block = block;
        self.leave_to_generic(reds);
        self.back_to(mark);
        block
    }

    /// Emits the tests that show a value to be in a range; `false` if it can't be.
    fn test(&mut self, val: Val, range: &Range, otherwise: BlockId) -> bool {
        let (low, span) = if range.smin > i64::MIN || range.smax < i64::MAX {
            (
                range.smin as u64,
                (range.smax as u64).wrapping_sub(range.smin as u64),
            )
        } else {
            (range.umin, range.umax - range.umin)
        };
        if span < u64::MAX {
            let moved = self.pure(Op::Sub, [val, Val::Const(low)]);
            let inside = self.pure(Op::Ule, [moved, Val::Const(span)]);
            if !self.require(Fact::NotZero(inside), otherwise) {
                return false;
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
