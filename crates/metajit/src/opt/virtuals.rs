//! Virtual objects: allocations that are not done.
//!
//! **Problem.** An interpreter allocates boxes, frames and contexts that most often die within the trace.
//!
//! **Approach.** `new` of constant length makes an entry in a table ([`Virtuals`]): its shape and what its fields and items
//! hold, which may again be virtual. Loads and stores read and write the entry. When the object *escapes* (is stored
//! into a real object, passed to a call, accessed at an unknown index) it is *forced*: the allocation and its stores are
//! emitted there, and the entry says what the object has become. Exits rebuild virtual objects from recipes, so a guard
//! does not force anything.
//!
//! A pure operation on a virtual object (a tag test of its address) is an entry too: what is known of any address often
//! decides it, and only if its value is really wanted is the object forced.
//!
//! **Invariants.** Entries are named by number; the table is cloned with the rest of the path's state at a bridge, and
//! objects are shared until one side writes. Cycles go through field contents, never through the fill of an array.

use super::Optimizer;
use super::heap::same_type;
use super::range::Range;
use super::value::{Val, VirtualId};
use crate::ir::code::Place;
use crate::ir::{Arg, Aux, Inst, Op};
use crate::object::{Field, Shape};
use crate::word::Type;
use std::rc::Rc;

/// Array items that a virtual object may have at most: a longer one is rarely dead within the trace, and each exit
/// walks the items.
const MAX_VIRTUAL_ITEMS: u64 = 1024;

/// An object that is not allocated.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Its shape.
    pub(super) shape: &'static Shape,
    /// What its items hold until written.
    pub(super) fill: Val,
    /// Its scalar fields.
    pub(super) fields: Vec<Val>,
    /// Its array's items.
    pub(super) items: Vec<Val>,
    /// It was handed over with a call, spread: whatever it is now, nobody may ask.
    pub(super) given: bool,
}

impl Object {
    fn slot(&mut self, place: Place) -> Option<&mut Val> {
        match place {
            Place::Field(field) => {
                let index = self.shape.fields.iter().position(|own| own.offset == field.offset)?;
                self.fields.get_mut(index)
            }
            Place::Item(field, index) => {
                let array = self.shape.array?;
                if array.offset != field.offset || array.kind.bytes() != field.kind.bytes() {
                    return None;
                }
                self.items.get_mut(index as usize)
            }
        }
    }
}

/// A value that is not computed, or what became of it.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// An object.
    Object(Rc<Object>),
    /// A pure operation on something virtual.
    Pure(Op, [Val; 2]),
    /// It was computed.
    Computed(Val),
}

/// The table of virtual values.
#[derive(Clone, Default, Debug)]
pub(super) struct Virtuals {
    entries: Vec<Entry>,
}

impl Virtuals {
    /// What a virtual value is.
    pub(super) fn entry(&self, id: VirtualId) -> &Entry {
        &self.entries[id.0 as usize]
    }
    /// Makes a virtual value.
    pub(super) fn add(&mut self, entry: Entry) -> Val {
        self.entries.push(entry);
        Val::Virtual(VirtualId(self.entries.len() as u32 - 1))
    }
    /// The object of this number, if it still is one.
    pub(super) fn object(&self, id: VirtualId) -> Option<&Rc<Object>> {
        match self.entry(id) {
            Entry::Object(object) => Some(object),
            _ => None,
        }
    }
    /// Says what a virtual object is.
    pub(super) fn replace(&mut self, id: VirtualId, object: Object) {
        self.entries[id.0 as usize] = Entry::Object(Rc::new(object));
    }
    /// Says that a virtual object was given away.
    pub(super) fn give(&mut self, id: VirtualId) {
        if let Some(object) = self.object_mut(id) {
            object.given = true;
        }
    }
    fn object_mut(&mut self, id: VirtualId) -> Option<&mut Object> {
        match &mut self.entries[id.0 as usize] {
            Entry::Object(object) => Some(Rc::make_mut(object)),
            _ => None,
        }
    }
}

/// What is known of the address of an object.
pub(super) fn address_range() -> Range {
    Range { umin: 8, umax: (1 << 48) - 8, ..Range::bits(7, 0) }.tightened().unwrap_or(Range::FULL)
}

impl Optimizer<'_> {
    /// `new`: a virtual object if its length is constant.
    pub(super) fn new_object(&mut self, shape: &'static Shape, len: Val, fill: Val) -> Val {
        match len {
            Val::Const(len) if self.options.virtuals && len <= MAX_VIRTUAL_ITEMS => {
                self.stats.virtuals += 1;
                self.state.virtuals.add(Entry::Object(Rc::new(Object {
                    shape,
                    fill,
                    fields: vec![Val::Const(0); shape.fields.len()],
                    items: vec![fill; len as usize],
                    given: false,
                })))
            }
            _ => {
                let new = self.emit_new(shape, len, fill);
                for field in shape.fields {
                    self.state.heap.remember(new, Place::Field(field), Val::Const(0));
                }
                new
            }
        }
    }

    fn emit_new(&mut self, shape: &'static Shape, len: Val, fill: Val) -> Val {
        let (len_arg, fill_arg) = (self.force(len), self.force(fill));
        let args = [len_arg, fill_arg, Arg::Const(0)];
        let new = self.emit(Inst { op: Op::New, args, aux: Aux::Shape(shape) }, address_range());
        let new = Val::Op(new);
        self.remember_pure(Op::ShapeOf, new, Val::Const(shape.id().into()));
        if shape.array.is_some() {
            self.remember_pure(Op::Len, new, len);
        }
        new
    }

    /// What a virtual object holds at a place; `None` if it is not (or no longer) virtual, or has no such place.
    pub(super) fn load_virtual(&mut self, object: Val, place: Place, ty: Type) -> Option<Val> {
        let Val::Virtual(id) = object else {
            return None;
        };
        self.look_at(object);
        let value = *self.state.virtuals.object_mut(id)?.slot(place)?;
        let value = self.resolve(value);
        Some(self.retype(value, ty))
    }

    /// Writes to a virtual object; `false` if it is none.
    pub(super) fn store_virtual(&mut self, object: Val, place: Place, value: Val) -> bool {
        let Val::Virtual(id) = object else {
            return false;
        };
        self.look_at(object);
        let slot = self.state.virtuals.object_mut(id).and_then(|object| object.slot(place));
        slot.map(|slot| *slot = value).is_some()
    }

    /// Items of a virtual object from `live` on are dead.
    pub(super) fn drop_virtual_items(&mut self, id: VirtualId, live: u32) {
        if let Some(object) = self.state.virtuals.object_mut(id) {
            let fill = object.fill;
            object.items.iter_mut().skip(live as usize).for_each(|item| *item = fill);
        }
    }

    /// The operand for a value: computes what is virtual.
    pub(super) fn force(&mut self, val: Val) -> Arg {
        match self.resolve(val) {
            Val::Const(bits) => Arg::Const(bits),
            Val::Op(op) => Arg::Op(op),
            Val::Virtual(id) => match self.state.virtuals.entry(id).clone() {
                Entry::Computed(val) => self.force(val),
                Entry::Pure(op, args) => {
                    for arg in args {
                        self.force(arg);
                    }
                    let args = args.map(|arg| self.resolve(arg));
                    let val = self.pure(op, args);
                    self.state.virtuals.entries[id.0 as usize] = Entry::Computed(val);
                    self.force(val)
                }
                Entry::Object(object) => self.force_object(id, &object),
            },
        }
    }

    fn force_object(&mut self, id: VirtualId, object: &Object) -> Arg {
        self.stats.forced += 1;
        self.look_at(Val::Virtual(id));
        let new = self.emit_new(object.shape, Val::Const(object.items.len() as u64), object.fill);
        self.state.virtuals.entries[id.0 as usize] = Entry::Computed(new);
        let own = self.own_frame == Some(Val::Virtual(id));
        if own {
            self.begin_own_frame(new);
        }
        for (field, &value) in object.shape.fields.iter().zip(&object.fields) {
            if value != Val::Const(0) {
                self.store_fresh(new, Place::Field(field), value);
            } else {
                self.state.heap.remember(new, Place::Field(field), value);
            }
        }
        if let Some(array) = object.shape.array {
            for (index, &value) in object.items.iter().enumerate() {
                let place = Place::Item(array, index as u32);
                if value != object.fill {
                    self.store_fresh(new, place, value);
                } else {
                    self.state.heap.remember(new, place, value);
                }
            }
        }
        if own {
            self.own_frame_is(new);
        }
        self.force(new)
    }

    fn store_fresh(&mut self, new: Val, place: Place, value: Val) {
        self.emit_store(new, place, value);
        let value = self.resolve(value);
        self.state.heap.remember(new, place, value);
    }

    /// A value as a word of this type: what one handle stores as a float another may load as its pattern.
    pub(super) fn retype(&mut self, value: Val, ty: Type) -> Val {
        if same_type(self.type_of(value), ty) {
            return value;
        }
        let op = match ty {
            Type::Float => Op::BitsFloat,
            Type::Int => Op::FloatBits,
        };
        self.pure(op, [value, Val::Const(0)])
    }

    /// The type of a value; `None` for a constant, which is of any.
    pub(super) fn type_of(&self, value: Val) -> Option<Type> {
        match value {
            Val::Const(_) => None,
            Val::Op(op) => self.code.inst(op).result(),
            Val::Virtual(id) => match self.state.virtuals.entry(id) {
                Entry::Object(_) => Some(Type::Int),
                Entry::Pure(op, _) => op.info().result,
                Entry::Computed(val) => self.type_of(*val),
            },
        }
    }
}

/// The byte offset of a place.
pub(super) fn offset(place: Place) -> u32 {
    match place {
        Place::Field(field) => field.offset,
        Place::Item(field, index) => field.offset + index * field.kind.bytes(),
    }
}

/// The field of a place.
pub(super) fn field(place: Place) -> &'static Field {
    match place {
        Place::Field(field) | Place::Item(field, _) => field,
    }
}
