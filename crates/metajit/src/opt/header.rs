//! What holds at a loop's header, and how that is weakened until it holds on all ways.
//!
//! **Problem.** See [`super::peel`]: the values that come round a loop must be described so that what matters about them (their
//! type, their bounds, that they are boxes or objects that nobody has seen) is kept, and so that a description that
//! proved too hopeful gets weaker in few steps.
//!
//! **Approach.** A [`Header`] is a graph of [`Node`]s: one for each red, carried slot and known place of memory, and for what
//! virtual objects among them hold, recursively. A node says of a value that it is the same in all iterations, or that it
//! is made from a parameter of which something is known, or that it is a virtual object with such contents. Sharing and
//! cycles are in the graph. Comparing the description with the values of one way is a product construction ([`Join`]):
//! one new node for each pair of node and value, whose kind is what both allow.
//!
//! **Invariants.** A virtual object has an identity, which a description must not split or duplicate: on no way may one object
//! stand for two nodes that say "object", nor may such an object be reachable from one that is forced
//! ([`Optimizer::give_up_forced`]). Ranges only grow, by landmarks, and after some rounds all the way.

use super::Optimizer;
use super::fold::NONE;
use super::nan::Nan;
use super::range::{NUMBERS, Range, transfer};
use super::rules::is_large;
use super::value::{HashMap, Val};
use super::virtuals::{Entry, address_range, field};
use crate::ir::Op;
use crate::ir::code::Place;
use crate::object::Shape;
use crate::word::Type;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds until ranges that still grow are given up.
const PATIENT_ROUNDS: usize = 4;
/// Known places of ordinary objects that are carried at most.
const MAX_KNOWN: usize = 256;
/// Patterns of floats that are not NaN are not above this one.
const MAX_NUMBER: u64 = NUMBERS.umax;

/// How a word is made from what is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Boxing {
    /// As it is.
    Plain,
    /// An integer, plus a constant.
    Plus(u64),
    /// The pattern of a float, plus a constant.
    Float(u64),
}

impl Boxing {
    /// The constant.
    pub(super) fn offset(self) -> u64 {
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
    pub(super) fn around(self, content: &Range) -> Range {
        transfer(Op::Add, &[*content, Range::exactly(self.offset())])
    }
    /// Whether what is carried is a float, for a value of this type.
    pub(super) fn is_float(self, ty: Type) -> bool {
        ty == Type::Float || matches!(self, Boxing::Float(_))
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
pub(super) type NodeId = usize;

/// What the header says about a value.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// It is the same in all iterations. What was known of it, and how it was made, when the loop was entered.
    Same { val: Val, range: Range, boxing: Boxing, content: Range },
    /// It is made from a parameter about which this is known.
    Param { boxing: Boxing, content: Range },
    /// A virtual object.
    Object { shape: &'static Shape, fill: NodeId, fields: Vec<NodeId>, items: Vec<NodeId> },
}

impl Kind {
    /// Whether two descriptions say the same (nodes aside).
    fn agrees(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Same { val: a, .. }, Kind::Same { val: b, .. }) => a == b,
            (Kind::Object { shape: a, .. }, Kind::Object { shape: b, .. }) => std::ptr::eq(*a, *b),
            (Kind::Param { boxing: a, content: x }, Kind::Param { boxing: b, content: y }) => a == b && x == y,
            _ => false,
        }
    }
}

/// What is said about one value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What.
    pub(super) kind: Kind,
    /// Its register class.
    pub(super) ty: Type,
    /// Which NaNs the parameter may be, if it is a float.
    pub(super) nan: Nan,
}

/// A slot of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct CarriedSlot {
    /// Which.
    pub(super) place: Place,
    /// What it holds.
    pub(super) node: NodeId,
    /// Whether memory may lack that.
    pub(super) dirty: bool,
}

/// What holds at a loop's header.
#[derive(Clone, Default, Debug)]
pub(super) struct Header {
    /// The graph.
    pub(super) nodes: Vec<Node>,
    /// The nodes of the reds.
    pub(super) reds: Vec<NodeId>,
    /// Slots of the frame; `None` if the frame is an ordinary object.
    pub(super) slots: Option<BTreeMap<u32, CarriedSlot>>,
    /// Known places of ordinary objects.
    pub(super) known: BTreeMap<(Val, u32), (Place, NodeId)>,
    /// Whether the code is known to be valid.
    pub(super) valid: bool,
}

/// Values met at a way into the header, by node.
pub(super) type Met = BTreeMap<NodeId, Val>;

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
        let nan = match kind {
            Kind::Param { boxing, .. } if boxing.is_float(self.old.nodes[old].ty) => {
                let content = o.unboxed(val, boxing);
                self.old.nodes[old].nan.max(o.nan(content))
            }
            _ => self.old.nodes[old].nan,
        };
        self.changed |= !kind.agrees(&self.old.nodes[old].kind);
        self.changed |= nan != self.old.nodes[old].nan;
        self.new.nodes[node].kind = kind;
        self.new.nodes[node].nan = nan;
        node
    }

    fn kind(&mut self, o: &mut Optimizer<'_>, old: NodeId, val: Val) -> Kind {
        let node = self.old.nodes[old].clone();
        let range = o.range(val);
        match node.kind {
            Kind::Same { val: before, .. } if before == val || o.resolve(before) == val => node.kind,
            Kind::Same { val: _, range: before, boxing, content } => {
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
                    node.ty == Type::Int && *boxing != Boxing::Plain && (*boxing == natural || boxing.suits(&range))
                });
                let chosen = boxings.find(|chosen| *chosen == boxing || chosen.suits(&before));
                match chosen {
                    Some(chosen) => {
                        let before = if chosen == boxing { content } else { chosen.content(&before) };
                        let now = o.content_range(val, chosen);
                        Kind::Param { boxing: chosen, content: self.widen(before.join(&now), &before) }
                    }
                    None => Kind::Param { boxing: Boxing::Plain, content: self.widen(before.join(&range), &before) },
                }
            }
            Kind::Param { boxing, content } => {
                if boxing == Boxing::Plain || boxing == o.natural_boxing(val) || boxing.suits(&range) {
                    let now = if boxing == Boxing::Plain { range } else { o.content_range(val, boxing) };
                    // Only a description that is worth a test is kept against what is not known.
                    let unknown =
                        boxing == Boxing::Plain && range == Range::FULL && node.ty == Type::Int && !content.is_vague();
                    if content.includes(&now) || self.lenient && unknown {
                        return node.kind;
                    }
                    return Kind::Param { boxing, content: self.widen(content.join(&now), &content) };
                }
                let boxed = boxing.around(&content);
                if self.lenient && range.includes(&boxed) && !matches!(val, Val::Virtual(_)) {
                    return node.kind;
                }
                Kind::Param { boxing: Boxing::Plain, content: boxed.join(&range) }
            }
            Kind::Object { shape, fill, fields, items } => {
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
                        items: items.iter().zip(&object.items).map(|(&node, &val)| self.node(o, node, val)).collect(),
                    };
                }
                let address = address_range();
                Kind::Param { boxing: Boxing::Plain, content: self.widen(address.join(&range), &address) }
            }
        }
    }

    fn widen(&self, joined: Range, before: &Range) -> Range {
        let joined = joined.tightened().unwrap_or(joined);
        if before.includes(&joined) { *before } else { joined.widened(before, self.round > PATIENT_ROUNDS) }
    }
}

impl Optimizer<'_> {
    /// The description by which everything stays as it is now.
    pub(super) fn optimistic_header(&mut self, reds: &[Val]) -> Header {
        let mut header = Header { valid: self.state.valid, ..Header::default() };
        let mut nodes = HashMap::default();
        for (&red, &ty) in reds.iter().zip(self.tree.portal.reds) {
            let node = self.describe(&mut header, &mut nodes, red, ty);
            header.reds.push(node);
        }
        let heap = self.state.heap.clone();
        if let Some(frame) = &heap.frame {
            let mut slots = BTreeMap::new();
            for (&offset, slot) in &frame.slots {
                let node = self.describe(&mut header, &mut nodes, slot.value, field(slot.place).ty());
                slots.insert(offset, CarriedSlot { place: slot.place, node, dirty: slot.dirty });
            }
            header.slots = Some(slots);
        }
        for (&key, known) in heap.known.iter().take(MAX_KNOWN) {
            let node = self.describe(&mut header, &mut nodes, known.value, field(known.place).ty());
            header.known.insert(key, (known.place, node));
        }
        header
    }

    fn describe(
        &mut self,
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
        let boxing = if ty == Type::Int { self.natural_boxing(val) } else { Boxing::Plain };
        let content = if boxing == Boxing::Plain { range } else { self.content_range(val, boxing) };
        let nan = if boxing.is_float(ty) {
            let content = self.unboxed(val, boxing);
            self.nan(content)
        } else {
            Nan::Any
        };
        let node = header.nodes.len();
        header.nodes.push(Node { kind: Kind::Same { val, range, boxing, content }, ty, nan });
        nodes.insert((val, ty), node);
        if let Val::Virtual(id) = val
            && matches!(self.state.virtuals.entry(id), Entry::Pure(..))
        {
            // It has no recipe, so it is computed before the loop.
            header.nodes[node].kind = Kind::Param { boxing: Boxing::Plain, content: range };
        }
        if let Val::Virtual(id) = val
            && let Some(object) = self.state.virtuals.object(id).cloned()
        {
            self.look_at(val);
            let item_type = object.shape.array.map_or(Type::Int, |array| array.ty());
            let fields = object.shape.fields.iter().zip(&object.fields);
            let fields = fields.map(|(field, &val)| self.describe(header, nodes, val, field.ty())).collect();
            let fill = self.describe(header, nodes, object.fill, item_type);
            let items = object.items.iter().map(|&val| self.describe(header, nodes, val, item_type)).collect();
            header.nodes[node].kind = Kind::Object { shape: object.shape, fill, fields, items };
        }
        node
    }

    /// How a word was made, if it was by boxing: by adding a constant in whose upper bits the encoding is.
    pub(super) fn natural_boxing(&self, val: Val) -> Boxing {
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
    pub(super) fn unboxed(&mut self, val: Val, boxing: Boxing) -> Val {
        if boxing == Boxing::Plain {
            return val;
        }
        let content = self.pure(Op::Sub, [val, Val::Const(boxing.offset())]);
        match boxing {
            Boxing::Float(_) => self.pure(Op::BitsFloat, [content, NONE]),
            _ => content,
        }
    }

    pub(super) fn boxed(&mut self, content: Val, boxing: Boxing) -> Val {
        let word = match boxing {
            Boxing::Plain => return content,
            Boxing::Float(_) => self.pure(Op::FloatBits, [content, NONE]),
            Boxing::Plus(_) => content,
        };
        self.pure(Op::Add, [word, Val::Const(boxing.offset())])
    }

    /// What is known of the content of a boxed word.
    pub(super) fn content_range(&self, val: Val, boxing: Boxing) -> Range {
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

    /// Makes parameters of virtual objects that can't be carried as their contents: one object that would be carried as two
    /// would be two objects afterwards. And what becomes a parameter is allocated, with all virtual objects that can be
    /// reached from it, so none of those can be carried either.
    pub(super) fn give_up_forced(&self, nodes: &mut [Node], met: &[(NodeId, Val)]) -> bool {
        let address = Kind::Param { boxing: Boxing::Plain, content: address_range() };
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

    pub(super) fn join(&mut self, old: &Header, reds: &[Val], lenient: bool, round: usize) -> (Header, Met, bool) {
        let mut join = Join {
            old,
            new: Header { valid: old.valid && self.state.valid, ..Header::default() },
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
            let is_frame = |red: &Val| frame.as_ref().is_some_and(|frame| frame.object == self.resolve(*red));
            let index = self.tree.portal.virtualizable.map(|(index, _)| index);
            if let Some(frame) = frame.as_ref().filter(|_| index.is_some_and(|index| is_frame(&reds[index]))) {
                let mut carried = BTreeMap::new();
                for (&offset, slot) in slots {
                    let Some(now) = frame.slots.get(&offset) else {
                        continue;
                    };
                    let node = join.node(self, slot.node, now.value);
                    join.changed |= now.dirty && !slot.dirty;
                    carried.insert(offset, CarriedSlot { node, dirty: slot.dirty || now.dirty, ..*slot });
                }
                for (&offset, slot) in frame.slots.iter().filter(|(_, slot)| slot.dirty) {
                    // A slot that only this way has written: it will be loaded before the loop.
                    carried.entry(offset).or_insert_with(|| {
                        join.changed = true;
                        let ty = field(slot.place).ty();
                        let range = Range::FULL;
                        let kind = Kind::Param { boxing: Boxing::Plain, content: range };
                        join.new.nodes.push(Node { kind, ty, nan: Nan::Any });
                        CarriedSlot { place: slot.place, node: join.new.nodes.len() - 1, dirty: true }
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
        let pairs: Vec<(NodeId, Val)> = join.made.iter().map(|(&(_, val), &node)| (node, val)).collect();
        join.changed |= self.give_up_forced(&mut join.new.nodes, &pairs);
        (join.new, join.met, join.changed)
    }
}
