//! Objects, as twins reach them.

use super::{Meta, Mode};
use crate::access;
use crate::ir::{Arg, Op};
use crate::maybe::Maybe;
use crate::object::{Field, Header, Item, Mutability, Object};
use crate::twin::Traced;

/// How an allocation in a twin goes on.
#[derive(Clone, Copy, Debug)]
pub enum Allocation<H> {
    /// The object is there and complete: it was made before.
    Done(Traced<H>),
    /// The object was made just now; its fields are to be recorded.
    New(Traced<H>),
}

/// Writes a quasi-immutable field for compiled code.
extern "C" fn write_quasi_immutable(object: u64, offset: u64, bits: u64) -> u64 {
    let object = object as *mut Header;
    // SAFETY: the trace names a live object with a scalar field at the offset. The write barrier is for any word that
    // may be a reference; this one may.
    unsafe {
        crate::gc::write_barrier(object);
        *object.cast::<u8>().add(offset as usize).cast::<u64>() = bits;
    }
    crate::driver::written(object, offset as u32);
    0
}

static WRITE_QUASI_IMMUTABLE: crate::ir::Callee = crate::ir::Callee {
    name: "metajit::write_quasi_immutable",
    address: write_quasi_immutable as *const (),
    params: 3,
    results: 0,
    effect: crate::ir::Effect::Any,
    spread: None,
};

fn header<H: Object>(object: Traced<H>) -> *mut Header {
    object.val.to_bits() as *mut Header
}

impl Meta {
    /// The object that a handle names. A shallow run goes ways that the program never does: what it took from an empty inline cache
    /// for a handle is none, and the way ends.
    fn named<H: Object>(&mut self, object: Traced<H>) -> *mut Header {
        if self.mode == Mode::Shallow && object.val.to_bits() == 0 {
            self.panics();
        }
        header(object)
    }

    /// Answers an event of one word from the log.
    fn replayed<T: Item>(&mut self) -> Traced<T> {
        let word = self.replay.as_mut().expect("a replay in replay mode").take_words()[0];
        Traced::new(T::from_bits(word.bits), word.arg)
    }

    /// Logs an event of one word.
    fn logged<T: Item>(&mut self, val: T, arg: Arg) -> Traced<T> {
        self.recorder.as_mut().expect("a recorder in record mode").log_words([arg]);
        Traced::new(val, arg)
    }

    /// Reads a scalar field.
    #[inline(never)]
    pub fn load<H: Object, T: Item>(&mut self, object: Traced<H>, field: &'static Field) -> Traced<T> {
        let constant = field.mutability == Mutability::Immutable;
        if self.mode == Mode::Shallow && !(constant && object.arg().as_const().is_some()) {
            return self.shallow_load(object, field, None);
        }
        if !constant && self.replays() {
            return self.replayed();
        }
        // SAFETY: a handle names a live object with this field.
        let val = T::from_bits(unsafe { access::read_word(self.named(object), field.offset) });
        if self.writes().is_none() {
            return Traced::constant(val);
        }
        if constant && object.arg().as_const().is_some() {
            return Traced::constant(val);
        }
        let arg = object.arg();
        if let (Mutability::QuasiImmutable, Arg::Const(address)) = (field.mutability, arg)
            && self.mode == Mode::Record
        {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            recorder.rely_on(address, field);
            return self.logged(val, Arg::Const(val.to_bits()));
        }
        let recorder = self.recorder.as_mut().expect("a recorder");
        let value = match recorder.known_load(arg, field, None) {
            Some(Arg::Const(_)) => Arg::Const(val.to_bits()),
            Some(known) => known,
            None => recorder.load(arg, field, None),
        };
        if constant { Traced::new(val, value) } else { self.logged(val, value) }
    }

    /// The twin of [`crate::stop_requested`]: an event, since the answer may be another each time.
    pub fn stop_requested(&mut self) -> Traced<bool> {
        if let Some(shallow) = self.makes_code() {
            return Traced::new(false, shallow.stopped());
        }
        if self.replays() {
            let word = self.replay.as_mut().expect("a replay in replay mode").take_words()[0];
            return Traced::new(word.bits != 0, word.arg);
        }
        let val = crate::stop_requested();
        if self.mode == Mode::Live {
            return Traced::constant(val);
        }
        let recorder = self.recorder.as_mut().expect("a recorder in record mode");
        let arg = recorder.stopped();
        recorder.log_words([arg]);
        Traced::new(val, arg)
    }

    /// Writes a scalar field.
    #[inline(never)]
    pub fn store<H: Object, T: Item>(&mut self, object: Traced<H>, field: &'static Field, value: Traced<T>) {
        if self.mode == Mode::Shallow {
            return self.shallow_store(object, field, value);
        }
        if self.replays() {
            return self.replay_tick();
        }
        // SAFETY: a handle names a live object with this field.
        unsafe {
            if field.mutability == Mutability::QuasiImmutable {
                access::write_quasi_immutable(header(object), field.offset, value.val);
            } else {
                access::write_word(header(object), field.offset, value.val);
            }
        }
        if self.mode == Mode::Record {
            let quasi = field.mutability == Mutability::QuasiImmutable;
            let word = if quasi && T::TYPE == crate::word::Type::Float {
                self.bits_of_float(value.arg())
            } else {
                value.arg()
            };
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            if quasi {
                let args = [object.arg(), Arg::Const(u64::from(field.offset)), word];
                recorder.call(&WRITE_QUASI_IMMUTABLE, args.into_iter());
            } else {
                recorder.store(object.arg(), field, None, word);
            }
            recorder.tick();
        }
    }

    /// The length of the array.
    #[inline(never)]
    pub fn len<H: Object>(&mut self, object: Traced<H>, field: &'static Field) -> Traced<i64> {
        if let (Some(shallow), arg @ Arg::Op(_)) = (self.makes_code(), object.arg()) {
            return Traced { val: 0, op: shallow.len(arg, field).0 };
        }
        // SAFETY: a handle names a live object with this array.
        let val = unsafe { access::read_word(self.named(object), field.offset - 8) } as i64;
        match (self.writes(), object.arg()) {
            (Some(recorder), arg @ Arg::Op(_)) => {
                let arg = recorder.len(arg, field);
                Traced::new(val, arg)
            }
            _ => Traced::constant(val),
        }
    }

    /// Branches on the bounds check; whether the index is in bounds.
    fn in_bounds<H: Object>(&mut self, object: Traced<H>, field: &'static Field, index: Traced<i64>) -> bool {
        if let (Some(shallow), Some(index)) = (self.makes_code(), index.arg().as_const())
            && shallow.has_item(object.arg(), index)
        {
            return true;
        }
        let place = (object.arg(), index.arg());
        if let (Arg::Const(_), Arg::Const(_)) = place {
            // SAFETY: a handle names a live object with this array.
            let len = unsafe { access::read_word(self.named(object), field.offset - 8) };
            if index.val as u64 >= len {
                self.panics();
            }
            self.tick();
            return (index.val as u64) < len;
        }
        let recording = !self.replays() && self.mode == Mode::Record;
        if let (true, (object, Arg::Const(index)), Some(recorder)) = (recording, place, &mut self.recorder)
            && recorder.is_inside(object, field, index)
        {
            recorder.tick();
            return true;
        }
        let len = self.len(object, field);
        let inside = (index.val as u64) < len.val as u64;
        let condition = self.pure_word(Op::Ult, &[index.arg(), len.arg()], inside);
        if let Some(shallow) = self.makes_code() {
            shallow.leaves_unless(condition.arg());
            return true;
        }
        let inside = self.branch(condition);
        if let (true, true, (object, Arg::Const(index)), Some(recorder)) =
            (recording, inside, place, &mut self.recorder)
        {
            recorder.has_item(object, field, index);
        }
        inside
    }

    /// Reads an item of the array.
    #[inline(never)]
    pub fn load_item<H: Object, T: Item>(
        &mut self,
        object: Traced<H>,
        field: &'static Field,
        index: Traced<i64>,
    ) -> Traced<T> {
        if !self.in_bounds(object, field, index) {
            // SAFETY: a handle names a live object with this array; this panics.
            return Traced::constant(unsafe { access::read_item(self.named(object), field.offset, index.val) });
        }
        let constant = field.mutability == Mutability::Immutable;
        if self.mode == Mode::Shallow {
            let known = constant && object.arg().as_const().is_some() && index.arg().as_const().is_some();
            if !known {
                return self.shallow_load(object, field, Some(index.arg()));
            }
        }
        if !constant && self.replays() {
            return self.replayed();
        }
        // SAFETY: a handle names a live object with this array.
        let val: T = unsafe { access::read_item(header(object), field.offset, index.val) };
        let (arg, index) = (object.arg(), index.arg());
        let Some(recorder) = self.writes() else {
            return Traced::constant(val);
        };
        if constant && arg.as_const().is_some() && index.as_const().is_some() {
            return Traced::constant(val);
        }
        let known = index.as_const().and_then(|index| recorder.known_load(arg, field, Some(index)));
        let value = match known {
            Some(Arg::Const(_)) => Arg::Const(val.to_bits()),
            Some(known) => known,
            None => recorder.load(arg, field, Some(index)),
        };
        if constant { Traced::new(val, value) } else { self.logged(val, value) }
    }

    /// Writes an item of the array.
    #[inline(never)]
    pub fn store_item<H: Object, T: Item>(
        &mut self,
        object: Traced<H>,
        field: &'static Field,
        index: Traced<i64>,
        value: Traced<T>,
    ) {
        if !self.in_bounds(object, field, index) {
            // SAFETY: a handle names a live object with this array; this panics.
            return unsafe { access::write_item(header(object), field.offset, index.val, value.val) };
        }
        if let Some(shallow) = self.makes_code() {
            shallow.store(object.arg(), field, Some(index.arg()), value.arg());
            return shallow.tick();
        }
        if self.replays() {
            return self.replay_tick();
        }
        // SAFETY: a handle names a live object with this array.
        unsafe { access::write_item(header(object), field.offset, index.val, value.val) };
        if self.mode == Mode::Record {
            let recorder = self.recorder.as_mut().expect("a recorder in record mode");
            recorder.store(object.arg(), field, Some(index.arg()), value.arg());
            recorder.tick();
        }
    }

    /// Branches on the length of a new array being one: panics as the allocation does otherwise.
    #[inline(never)]
    pub fn check_len(&mut self, len: Traced<i64>) {
        let negative = self.lt(len, Traced::constant(0));
        if self.fails(negative) {
            crate::access::checked_len(len.val);
        }
    }

    /// Makes an object: `native` makes it for real, fields and all.
    #[inline(never)]
    pub fn allocate<H: Object + Item>(&mut self, len: Arg, fill: Arg, native: impl FnOnce() -> H) -> Allocation<H> {
        if let Some(shallow) = self.makes_code() {
            let object = shallow.allocate(H::SHAPE, len, fill);
            return Allocation::New(Traced { val: H::from_bits(0), op: object.0 });
        }
        if self.replays() {
            return Allocation::Done(self.replayed());
        }
        let val = native();
        if self.mode == Mode::Live {
            return Allocation::Done(Traced::constant(val));
        }
        let recorder = self.recorder.as_mut().expect("a recorder in record mode");
        let arg = recorder.allocate(H::SHAPE, len, fill);
        Allocation::New(self.logged(val, arg))
    }

    /// Records what a field of a new object begins with.
    pub fn initialize<H: Object, T: Item>(&mut self, object: Traced<H>, field: &'static Field, value: Traced<T>) {
        if let Some(shallow) = self.makes_code() {
            return shallow.store(object.arg(), field, None, value.arg());
        }
        let recorder = self.recorder.as_mut().expect("a recorder in record mode");
        recorder.store(object.arg(), field, None, value.arg());
    }

    /// Reads a field or an item in threaded code.
    fn shallow_load<H: Object, T: Item>(
        &mut self,
        object: Traced<H>,
        field: &'static Field,
        index: Option<Arg>,
    ) -> Traced<T> {
        let shallow = self.makes_code().expect("a shallow recorder in shallow mode");
        match shallow.load(object.arg(), field, index) {
            Arg::Const(bits) => Traced::constant(T::from_bits(bits)),
            arg => Traced::new(T::from_bits(0), arg),
        }
    }

    /// Writes a field in threaded code.
    fn shallow_store<H: Object, T: Item>(&mut self, object: Traced<H>, field: &'static Field, value: Traced<T>) {
        let quasi = field.mutability == Mutability::QuasiImmutable;
        let word =
            if quasi && T::TYPE == crate::word::Type::Float { self.bits_of_float(value.arg()) } else { value.arg() };
        let shallow = self.makes_code().expect("a shallow recorder in shallow mode");
        if quasi {
            let offset = Arg::Const(u64::from(field.offset));
            shallow.call_unlogged(&WRITE_QUASI_IMMUTABLE, &[object.arg(), offset, word]);
        } else {
            shallow.store(object.arg(), field, None, word);
        }
        shallow.tick();
    }

    /// What the items of a new array begin with, as an integer word.
    pub fn fill_of<T: Item>(&mut self, fill: Traced<T>) -> Arg {
        if T::TYPE == crate::word::Type::Float { self.bits_of_float(fill.arg()) } else { fill.arg() }
    }

    /// Whether there is no handle.
    #[inline(never)]
    pub fn is_none<H: Object>(&mut self, object: Traced<Maybe<H>>) -> Traced<bool> {
        self.pure_word(Op::Eq, &[object.arg(), Arg::Const(0)], object.val.is_none())
    }

    /// Whether the object has the handle's own shape.
    #[inline(never)]
    pub fn is_shape<H: Object>(&mut self, object: Traced<H>) -> Traced<bool> {
        if let (Some(shallow), arg @ Arg::Op(_)) = (self.makes_code(), object.arg()) {
            let shape = shallow.pure(Op::ShapeOf, &[arg]);
            return self.pure_word(Op::Eq, &[shape, Arg::Const(u64::from(H::SHAPE.id()))], false);
        }
        // SAFETY: a handle names a live object.
        let val = unsafe { access::has_shape(self.named(object), H::SHAPE) };
        match (self.writes(), object.arg()) {
            (Some(recorder), arg @ Arg::Op(_)) => {
                let shape = recorder.shape_of(arg);
                self.pure_word(Op::Eq, &[shape, Arg::Const(u64::from(H::SHAPE.id()))], val)
            }
            _ => Traced::constant(val),
        }
    }
}
