//! Objects: as in [`memory`](crate::backend::memory).

use super::Emitter;
use super::assembler::{Alu, CONTEXT, Cc, Mem, Operand, RDI, RDX, RSI, Reg, SCRATCH, Section, at};
use super::registers::{Place, Source};
use crate::backend::compiler::CompileError;
use crate::backend::helpers::{self, Request};
use crate::backend::lower::{LEN_BYTES, SHAPE_OFFSET, malformed, result_offset};
use crate::backend::memory::{FILLED_INLINE, GC_OFFSET, MemoryWork, TO_LIMIT, group, items_stored, needs_barrier};
use crate::backend::stubs::Stub;
use crate::gc::BARRIER_BIT;
use crate::ir::{Arg, Aux, OpRef};
use crate::object::{Field, Kind, Shape};

/// Registers that a stub is given words in, and that hold something of their own meanwhile.
const STUB_ARGUMENTS: [Reg; 3] = [RDI, RSI, RDX];

/// What is known of the heap at a point of a block.
#[derive(Debug, Default)]
pub(super) struct HeapFacts<'a> {
    /// What was done so far in all blocks.
    pub(super) work: MemoryWork,
    /// The instructions of the block from the current one on.
    pub(super) rest: &'a [OpRef],
    /// Objects whose barrier bit is not set: they are new, or noted all over.
    clean: Vec<Arg>,
    /// Items noted.
    clean_items: Vec<(Arg, Arg)>,
}

impl HeapFacts<'_> {
    /// There may have been a collection.
    pub(super) fn forget(&mut self) {
        self.clean.clear();
        self.clean_items.clear();
    }
}

impl Emitter<'_> {
    pub(super) fn load_field(&mut self, op: OpRef, field: &Field, object: Arg) {
        let object = self.word(object);
        let reg = self.define(op);
        self.asm.load(reg, at(object, field.offset as i32));
    }

    pub(super) fn store_field(&mut self, field: &Field, object: Arg, value: Arg) {
        let base = self.word(object);
        if needs_barrier(field, value) && !self.heap.clean.contains(&object) {
            self.heap.clean.push(object);
            self.barrier(Stub::Barrier, base, &[]);
        }
        self.store_word(at(base, field.offset as i32), value);
    }

    /// A word's bits are the same in whichever register they are.
    fn store_word(&mut self, to: Mem, value: Arg) {
        if let Arg::Const(bits) = value
            && let Ok(small) = i32::try_from(bits as i64)
        {
            return self.asm.store_imm(to, small);
        }
        let reg = match value {
            Arg::Op(op) if self.is_float(op) => self.float(value),
            _ => self.word(value),
        };
        self.asm.store(to, reg);
    }

    /// The address of an item.
    fn item(&mut self, field: &Field, base: Reg, index: Arg) -> Mem {
        let size = field.kind.bytes();
        if let Arg::Const(index) = index
            && let Some(offset) = index
                .checked_mul(size as u64)
                .and_then(|bytes| bytes.checked_add(field.offset as u64))
                .and_then(|offset| i32::try_from(offset).ok())
        {
            return at(base, offset);
        }
        let index = self.word(index);
        Mem { base, index: Some((index, size as u8)), offset: field.offset as i32 }
    }

    pub(super) fn load_item(&mut self, op: OpRef, field: &Field, object: Arg, index: Arg) {
        let base = self.word(object);
        let from = self.item(field, base, index);
        let reg = self.define(op);
        let signed = matches!(field.kind, Kind::I8 | Kind::I16 | Kind::I32);
        match field.kind.bytes() {
            8 => self.asm.load(reg, from),
            bytes => self.asm.load_part(bytes, signed, reg, Operand::Mem(from)),
        }
    }

    pub(super) fn store_item(&mut self, field: &Field, object: Arg, index: Arg, item: Arg) {
        let base = self.word(object);
        if needs_barrier(field, item) {
            self.item_barrier(base, object, index);
        }
        let to = self.item(field, base, index);
        match field.kind.bytes() {
            8 => self.store_word(to, item),
            bytes => {
                let reg = self.word(item);
                self.asm.store_part(bytes, to, reg);
            }
        }
    }

    /// Tells the collector that an item of the object's array is written to.
    fn item_barrier(&mut self, base: Reg, object: Arg, index: Arg) {
        if self.heap.clean.contains(&object) || self.heap.clean_items.contains(&(object, index)) {
            return;
        }
        self.heap.clean_items.push((object, index));
        if index.as_const().is_none_or(|index| index > u8::MAX as u64) {
            let index = self.word(index);
            return self.barrier(Stub::BarrierItem, base, &[Source::Place(Place::Reg(index))]);
        }
        let indexes = items_stored(self.code, self.heap.rest, object, |op| self.live.parts.contains_key(&op));
        let mut packed = 0;
        for (i, &index) in indexes.iter().enumerate() {
            packed |= index << (8 * i);
            self.heap.clean_items.push((object, Arg::Const(index)));
        }
        self.barrier(Stub::BarrierItems, base, &[Source::Const(packed), Source::Const(indexes.len() as u64)]);
    }

    fn barrier(&mut self, stub: Stub, object: Reg, more: &[Source]) {
        self.heap.work.barriers += 1;
        let (slow, done) = (self.asm.label(), self.asm.label());
        self.asm.test_half(at(object, GC_OFFSET), BARRIER_BIT);
        self.asm.jump_if(Cc::Ne, slow);
        self.asm.bind(done);
        let section = std::mem::replace(&mut self.asm.section, Section::Slow);
        self.asm.bind(slow);
        let words: Vec<Source> =
            std::iter::once(Source::Place(Place::Reg(object))).chain(more.iter().copied()).collect();
        self.call_stub(stub, &words);
        self.asm.jump(done);
        self.asm.section = section;
    }

    /// Calls a stub, which leaves all registers alone.
    fn call_stub(&mut self, stub: Stub, words: &[Source]) {
        for reg in STUB_ARGUMENTS {
            self.asm.push(reg);
        }
        // The stack stays aligned.
        self.asm.push(RDX);
        let moves = STUB_ARGUMENTS.iter().zip(words).map(|(&reg, &word)| (Place::Reg(reg), word)).collect();
        self.transfer_all(moves);
        self.asm.constant(SCRATCH, self.stubs.address(stub));
        self.asm.call(Operand::Reg(SCRATCH));
        self.asm.pop(RDX);
        for reg in STUB_ARGUMENTS.into_iter().rev() {
            self.asm.pop(reg);
        }
    }

    /// Makes the object of the `new` instruction `op`.
    pub(super) fn new_object(&mut self, op: OpRef) -> Result<(), CompileError> {
        let inst = *self.code.inst(op);
        let Aux::Shape(shape) = inst.aux else {
            return Err(malformed(op, "makes no shape"));
        };
        let [len, fill, _] = inst.args;
        if let Some(&(first, offset)) = self.live.parts.get(&op) {
            let first = self.word(Arg::Op(first));
            let object = self.define(op);
            self.asm.address(object, at(first, offset as i32));
        } else if !self.new_group(op) {
            self.new_by_call(op, shape, len, fill);
            return Ok(());
        }
        if let (Some(array), Some(len)) = (shape.array, len.as_const())
            && fill.as_const() != Some(0)
        {
            self.fill(op, array, len, fill);
        }
        Ok(())
    }

    /// Allocates the object of the current instruction and those after it that can be allocated with it; whether that
    /// is possible.
    fn new_group(&mut self, op: OpRef) -> bool {
        let (parts, bytes) = group(self.code, self.heap.rest);
        let (Some(window), false) = (self.options.window, parts.is_empty()) else {
            return false;
        };
        self.heap.work.bumps += 1;
        self.heap.work.objects += parts.len();
        let first = self.define(op);
        let end = self.temporary();
        let (slow, done) = (self.asm.label(), self.asm.label());
        self.asm.constant(SCRATCH, window.cursor as u64);
        self.asm.load(first, at(SCRATCH, 0));
        self.asm.address(end, at(first, bytes as i32));
        self.asm.alu(Alu::Cmp, Operand::Reg(end), Operand::Mem(at(SCRATCH, TO_LIMIT)));
        self.asm.jump_if(Cc::A, slow);
        self.asm.store(at(SCRATCH, 0), end);
        for part in &parts {
            let (shape, offset) = (part.request.shape, part.offset as i32);
            // The header is the shape's number, the collector's half being 0.
            self.transfer(Place::Frame(first, offset), Source::Const(u64::from(shape.id())));
            if let Some(array) = shape.array {
                self.asm.store_imm(at(first, offset + array.offset as i32 - LEN_BYTES), part.request.len as i32);
            }
        }
        self.asm.bind(done);

        let section = std::mem::replace(&mut self.asm.section, Section::Slow);
        self.asm.bind(slow);
        let requests: Box<[Request]> = parts.iter().map(|part| part.request).collect();
        let words = [
            Source::Place(Place::Reg(CONTEXT)),
            Source::Const(requests.as_ptr() as u64),
            Source::Const(parts.len() as u64),
        ];
        self.requests.push(requests);
        self.call_stub(Stub::New, &words);
        self.asm.load(first, at(CONTEXT, result_offset(0)));
        self.asm.test(Operand::Reg(first), Operand::Reg(first));
        let panicked = self.panicked();
        self.asm.jump_if(Cc::E, panicked);
        self.asm.jump(done);
        self.asm.section = section;

        self.heap.forget();
        self.heap.clean.extend(parts.iter().map(|part| Arg::Op(part.op)));
        true
    }

    /// Fills the array of a new object, which is zero.
    fn fill(&mut self, op: OpRef, array: &Field, len: u64, fill: Arg) {
        self.heap.work.filled += len;
        let object = self.word(Arg::Op(op));
        let (offset, size) = (array.offset as i32, array.kind.bytes());
        if len > FILLED_INLINE {
            let items = self.temporary();
            self.asm.address(items, at(object, offset));
            let words =
                [Source::Place(Place::Reg(items)), Source::Const(size as u64), Source::Const(len), self.source(fill)];
            // It collects nothing.
            let known = (std::mem::take(&mut self.heap.clean), std::mem::take(&mut self.heap.clean_items));
            self.call_native(helpers::fill_items as *const () as u64, &words);
            (self.heap.clean, self.heap.clean_items) = known;
            return;
        }
        let word = self.word(fill);
        for i in 0..len as i32 {
            self.asm.store_part(size, at(object, offset + i * size as i32), word);
        }
    }

    /// Allocates what can't be allocated inline.
    fn new_by_call(&mut self, op: OpRef, shape: &'static Shape, len: Arg, fill: Arg) {
        self.heap.work.calls += 1;
        let words = [
            Source::Place(Place::Reg(CONTEXT)),
            Source::Const(std::ptr::from_ref(shape) as u64),
            self.source(len),
            self.source(fill),
        ];
        self.call_native(helpers::new_filled as *const () as u64, &words);
        self.asm.test(Operand::Reg(super::RAX), Operand::Reg(super::RAX));
        let panicked = self.panicked();
        self.asm.jump_if(Cc::E, panicked);
        self.take_result(op);
    }

    pub(super) fn length(&mut self, op: OpRef, field: &Field, object: Arg) {
        let object = self.word(object);
        let reg = self.define(op);
        self.asm.load(reg, at(object, field.offset as i32 - LEN_BYTES));
    }

    pub(super) fn shape_of(&mut self, op: OpRef, object: Arg) {
        let object = self.word(object);
        let reg = self.define(op);
        self.asm.load_part(4, false, reg, Operand::Mem(at(object, SHAPE_OFFSET)));
    }
}
