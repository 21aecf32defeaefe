//! What is known of memory: forwarded loads, dropped stores, and the frame that stays in registers.
//!
//! **Problem.** An interpreter reads and writes its frame and its objects at every step; most of it reads what it wrote.
//!
//! **Approach.** [`Heap`] remembers what places of real objects hold. Places are told apart by object *value* and byte
//! *offset*, never by shape, since handles of different shapes may name one object. A store forgets what other objects
//! that may be the same hold at that offset (but not in a field that never changes, nor if such a field tells the
//! objects apart); a call with any effect forgets
//! everything that can change. Two allocations
//! are different objects, and so are an allocation and any value older than it.
//!
//! The *frame* is the root's virtualizable: nothing else refers to it, so its stores are delayed. A slot is *dirty* while
//! memory lacks its value; exits store dirty slots. Handing the frame to a call writes it back and forgets it afterwards;
//! storing its address anywhere ends its special treatment for the rest of the path. A merge point says which items are
//! dead.
//!
//! **Rejected.** Alias classes by shape: unsound with handles that reinterpret. Delaying stores to ordinary objects: each
//! guard in between pays a slot for it.

use super::Optimizer;
use super::range::Range;
use super::value::Val;
use super::virtuals::{field, offset};
use crate::ir::code::{Code, Place};
use crate::ir::{Arg, Aux, Callee, Effect, Inst, Op, OpRef};
use crate::object::{Field, Kind, Mutability};
use crate::word::Type;
use std::collections::BTreeMap;

/// What a place of an ordinary object holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The place.
    pub(super) place: Place,
    /// Its content.
    pub(super) value: Val,
}

/// What a slot of the frame holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The place.
    pub(super) place: Place,
    /// Its content.
    pub(super) value: Val,
    /// Whether memory lacks it.
    pub(super) dirty: bool,
}

/// The root's virtualizable.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The object.
    pub(super) object: Val,
    /// Its known slots, by offset.
    pub(super) slots: BTreeMap<u32, Slot>,
}

/// See the module.
#[derive(Clone, Default, Debug)]
pub(super) struct Heap {
    /// What ordinary objects hold, by object and offset.
    pub(super) known: BTreeMap<(Val, u32), Known>,
    /// The frame, until its address is stored somewhere.
    pub(super) frame: Option<Frame>,
}

impl Heap {
    /// The stores that are still to do.
    pub(super) fn pending(&self) -> impl Iterator<Item = (Val, Place, Val)> + '_ {
        self.frame.iter().flat_map(|frame| {
            frame.slots.values().filter(|slot| slot.dirty).map(|slot| (frame.object, slot.place, slot.value))
        })
    }
    /// Notes what a place of an ordinary object holds.
    pub(super) fn remember(&mut self, object: Val, place: Place, value: Val) {
        self.known.insert((object, offset(place)), Known { place, value });
    }
    fn is_frame(&self, object: Val) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.object == object)
    }
    /// Forgets what code that could do anything may have changed.
    fn clobber(&mut self) {
        self.known.retain(|_, known| field(known.place).mutability == Mutability::Immutable);
    }
}

fn may_alias(code: &Code, a: Val, b: Val) -> bool {
    let fresh = |op: OpRef| code.inst(op).op == Op::New;
    match (a, b) {
        (Val::Const(a), Val::Const(b)) => a == b,
        (Val::Const(_), Val::Op(op)) | (Val::Op(op), Val::Const(_)) => !fresh(op),
        (Val::Op(a), Val::Op(b)) => {
            let (older, newer) = (a.min(b), a.max(b));
            older == newer || !fresh(newer)
        }
        _ => a == b,
    }
}

/// Whether a value's type is the one wanted (constants are of any type).
pub(super) fn same_type(has: Option<Type>, wanted: Type) -> bool {
    has.is_none_or(|has| has == wanted)
}

/// What is known of a value by how it is stored.
pub(super) fn stored_range(field: &Field) -> Range {
    match field.kind {
        Kind::Ref => Range { umax: (1 << 48) - 8, ..Range::bits(7, 0) }.tightened().unwrap_or(Range::FULL),
        Kind::U8 => Range::unsigned(0, u8::MAX.into()),
        Kind::U16 => Range::unsigned(0, u16::MAX.into()),
        Kind::U32 => Range::unsigned(0, u32::MAX.into()),
        Kind::I8 => Range::signed(i8::MIN.into(), i8::MAX.into()),
        Kind::I16 => Range::signed(i16::MIN.into(), i16::MAX.into()),
        Kind::I32 => Range::signed(i32::MIN.into(), i32::MAX.into()),
        Kind::I64 | Kind::F64 | Kind::Value => Range::FULL,
    }
}

impl Optimizer<'_> {
    /// The place that a memory operation is about, unless its index is unknown.
    fn place(&self, inst: &Inst, index: Val) -> Option<Place> {
        let field = inst.field();
        match inst.op {
            Op::Load | Op::Store => Some(Place::Field(field)),
            _ => match index {
                Val::Const(index) => u32::try_from(index).ok().map(|index| Place::Item(field, index)),
                _ => None,
            },
        }
    }

    /// Forgets what a store to `object` at `offset` may have changed (at or behind it, if the index is unknown).
    fn invalidate(&mut self, object: Val, at: u32, open: bool) {
        let never_changes = |known: &Known| field(known.place).mutability == Mutability::Immutable;
        let known = &self.state.heap.known;
        // What tells the object from others: constants that never change, such as its class.
        let marks: Vec<(u32, u64)> = known
            .range((object, 0)..=(object, u32::MAX))
            .filter(|(_, known)| never_changes(known))
            .filter_map(|(&(_, offset), known)| Some((offset, self.resolve(known.value).as_const()?)))
            .collect();
        let differs = |other: Val| {
            marks.iter().any(|&(offset, bits)| {
                known.get(&(other, offset)).is_some_and(|known| {
                    let is = self.resolve(known.value).as_const();
                    never_changes(known) && is.is_some_and(|is| is != bits)
                })
            })
        };
        let changed: Vec<(Val, u32)> = known
            .iter()
            .filter(|&(&(other, offset), known)| {
                (if open { offset >= at } else { offset == at })
                    && (other == object
                        || !never_changes(known) && may_alias(&self.code, object, other) && !differs(other))
            })
            .map(|(&key, _)| key)
            .collect();
        for key in changed {
            self.state.heap.known.remove(&key);
        }
    }

    /// `load` and `load_item`.
    pub(super) fn load(&mut self, inst: &Inst) -> Val {
        let object = self.value(inst.args[0]);
        let index = self.value(inst.args[1]);
        let ty = inst.field().ty();
        let place = self.place(inst, index);
        if let Some(place) = place
            && let Some(value) = self.load_virtual(object, place, ty)
        {
            return value;
        }
        let object = self.real(object);
        match place {
            Some(place) => {
                if let Some(value) = self.forwarded(object, place) {
                    let value = self.resolve(value);
                    return self.retype(value, ty);
                }
                let value = self.emit_load(inst, object, index);
                match &mut self.state.heap.frame {
                    Some(frame) if frame.object == object => {
                        frame.slots.insert(offset(place), Slot { place, value, dirty: false });
                    }
                    _ if self.options.heap => self.state.heap.remember(object, place, value),
                    _ => {}
                }
                value
            }
            None => {
                if self.state.heap.is_frame(object) {
                    self.flush_frame();
                }
                self.emit_load(inst, object, index)
            }
        }
    }

    fn forwarded(&self, object: Val, place: Place) -> Option<Val> {
        match &self.state.heap.frame {
            Some(frame) if frame.object == object => frame.slots.get(&offset(place)).map(|slot| slot.value),
            _ if self.options.heap => {
                let known = self.state.heap.known.get(&(object, offset(place)))?;
                (field(known.place).kind.bytes() == field(place).kind.bytes() || matches!(place, Place::Field(_)))
                    .then_some(known.value)
            }
            _ => None,
        }
    }

    fn emit_load(&mut self, inst: &Inst, object: Val, index: Val) -> Val {
        let args = match inst.op {
            Op::Load => [self.force(object), Arg::Const(0), Arg::Const(0)],
            _ => [self.force(object), self.force(index), Arg::Const(0)],
        };
        Val::Op(self.emit(Inst { op: inst.op, args, aux: inst.aux }, stored_range(inst.field())))
    }

    /// Loads a place of a real object, now.
    pub(super) fn load_place(&mut self, object: Val, place: Place) -> Val {
        let (op, index) = match place {
            Place::Field(_) => (Op::Load, 0),
            Place::Item(_, index) => (Op::LoadItem, index),
        };
        let inst = Inst { op, args: [Arg::Const(0); 3], aux: Aux::Field(field(place)) };
        self.emit_load(&inst, object, Val::Const(index.into()))
    }

    /// `store` and `store_item`.
    pub(super) fn store(&mut self, inst: &Inst) {
        let object = self.value(inst.args[0]);
        let (index, value) = match inst.op {
            Op::Store => (Val::Const(0), self.value(inst.args[1])),
            _ => (self.value(inst.args[1]), self.value(inst.args[2])),
        };
        let place = self.place(inst, index);
        if inst.field().mutability == Mutability::QuasiImmutable {
            self.state.valid = false;
        }
        if let Some(place) = place
            && self.store_virtual(object, place, value)
        {
            return;
        }
        let object = self.real(object);
        let Some(place) = place else {
            if self.state.heap.is_frame(object) {
                self.flush_frame();
            }
            let args = [self.force(object), self.force(index), self.force(value)];
            self.emit(Inst { op: inst.op, args, aux: inst.aux }, Range::FULL);
            self.stored(object, value);
            match &mut self.state.heap.frame {
                Some(frame) if frame.object == object => {
                    frame.slots.retain(|_, slot| matches!(slot.place, Place::Field(_)));
                }
                _ => self.invalidate(object, inst.field().offset, true),
            }
            return;
        };
        match &mut self.state.heap.frame {
            Some(frame) if frame.object == object => {
                frame.slots.insert(offset(place), Slot { place, value, dirty: true });
            }
            _ => {
                if self.forwarded(object, place) == Some(value) {
                    return;
                }
                self.emit_store(object, place, value);
                self.invalidate(object, offset(place), false);
                if self.options.heap {
                    let value = self.resolve(value);
                    self.state.heap.remember(object, place, value);
                }
            }
        }
    }

    /// Emits the store of a value to a place of a real object.
    pub(super) fn emit_store(&mut self, object: Val, place: Place, value: Val) {
        let (object_arg, value_arg) = (self.force(object), self.force(value));
        let inst = match place {
            Place::Field(field) => {
                Inst { op: Op::Store, args: [object_arg, value_arg, Arg::Const(0)], aux: Aux::Field(field) }
            }
            Place::Item(field, index) => Inst {
                op: Op::StoreItem,
                args: [object_arg, Arg::Const(index.into()), value_arg],
                aux: Aux::Field(field),
            },
        };
        self.emit(inst, Range::FULL);
        self.stored(object, value);
    }

    /// After a value was stored into a real object: if it is the frame's address, the frame becomes an ordinary object.
    fn stored(&mut self, object: Val, value: Val) {
        let value = self.resolve(value);
        if self.state.heap.is_frame(value) && self.state.heap.frame.as_ref().is_some_and(|frame| frame.object != object)
        {
            self.flush_frame();
            self.state.heap.frame = None;
        }
    }

    /// Does the delayed stores to the frame.
    pub(super) fn flush_frame(&mut self) {
        let pending: Vec<_> = self.state.heap.pending().collect();
        for (object, place, value) in pending {
            self.emit_store(object, place, value);
            let value = self.resolve(value);
            if let Some(slot) = self.state.heap.frame.as_mut().and_then(|frame| frame.slots.get_mut(&offset(place))) {
                slot.value = value;
                slot.dirty = false;
            }
        }
    }

    /// Items of an activation's virtualizable from `live` on are dead.
    pub(super) fn drop_dead_items(&mut self, object: Val, live: u32) {
        match (object, &mut self.state.heap.frame) {
            (Val::Virtual(id), _) => self.drop_virtual_items(id, live),
            (_, Some(frame)) if frame.object == object => {
                frame.slots.retain(|_, slot| !matches!(slot.place, Place::Item(_, index) if index >= live));
            }
            _ => {}
        }
    }

    /// `call`: its first result word.
    pub(super) fn call(&mut self, callee: &'static Callee, args: &[Val]) -> Val {
        let elidable = callee.effect == Effect::Elidable;
        if elidable && self.options.cse {
            let vals = args
                .iter()
                .map(|&arg| {
                    self.force(arg);
                    self.resolve(arg)
                })
                .collect();
            if let Some(value) = self.available_call(callee, vals) {
                return value;
            }
        }
        if !elidable && args.iter().any(|&arg| self.state.heap.is_frame(arg)) {
            self.flush_frame();
        }
        let spread = callee.spread.and_then(|spread| Some((&spread.callee, self.spread_call(spread, args)?)));
        let (callee, args) = match &spread {
            Some((callee, args)) => (*callee, &args[..]),
            None => (callee, args),
        };
        let args: Vec<Arg> = args.iter().map(|&arg| self.force(arg)).collect();
        let passes_frame = args.iter().any(|arg| matches!(arg, Arg::Op(op) if self.state.heap.is_frame(Val::Op(*op))));
        let call = self.emit_call(callee, &args);
        if !elidable {
            self.state.heap.clobber();
            self.state.valid = false;
            if let Some(frame) = &mut self.state.heap.frame
                && passes_frame
            {
                frame.slots.retain(|_, slot| field(slot.place).mutability == Mutability::Immutable);
            }
        }
        call
    }
}
