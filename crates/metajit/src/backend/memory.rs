//! Objects in compiled code: fields and items, allocation, the write barrier.
//!
//! **Problem.** Most of what a trace does to memory is done to objects that it has just made. Asking the collector for each of
//! them, and telling it of each store, would cost more than the stores.
//!
//! **Approach.** Allocation moves the cursor of the thread's window ([`crate::gc::inline_allocation`]). Allocations that follow one another
//! in a block with no call between are made at once, by the first of them: one test for room, all headers, and
//! what comes later only names its part ([`group`]). The barrier of a store to a possible reference
//! tests a bit of the header, unless the object is known to be new, or noted already ([`HeapFacts`]). Both go, when
//! they must, to stubs that leave all registers alone, so the slow ways cost the fast ones no spills.
//!
//! **Invariants.** A fact about the heap holds from one point where a collection can happen (a call, an allocation)
//! to the next. Nothing between an allocation and the headers of all its objects can collect. The slow way of an allocation
//! puts its objects side by side, too, and collects before all of them if at all: so one address tells where each of them is, and all are
//! clean.
//!
//! **Rejected.** Barriers after the store, or without the object's bit: the collector scans what it is told of when it
//! collects, so the order does not matter, and the bit is in a line that the store touches anyway.

use super::compiler::CompileError;
use super::helpers::{self, Request};
use super::lower::{Branch, Held, Lowering, MEMORY, Place, clif_type, is_guard, malformed, result_offset};
use super::stubs::Stub;
use crate::gc::BARRIER_BIT;
use crate::ir::code::{Code, ExitId};
use crate::ir::{Arg, Aux, Op, OpRef};
use crate::object::{Field, Header, Kind, Shape};
use crate::word::Type;
use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I8, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};
use std::collections::{HashMap, HashSet};
use std::mem::offset_of;

/// Bytes between the header's start and the collector's word.
pub(super) const GC_OFFSET: i32 = offset_of!(Header, gc) as i32;
/// Bytes from the address of the window's cursor to that of its limit.
pub(super) const TO_LIMIT: i32 = 8;
/// Bytes allocated at once at most; a small part of what the window has when it is fresh.
pub(super) const GROUP_BYTES: usize = 1024;
/// Objects allocated at once at most: in Cranelift's code each is a live value until it is used.
const GROUP_OBJECTS: usize = 8;
/// Items that are filled by a store each; more are filled by a helper.
pub(super) const FILLED_INLINE: u64 = 16;

/// What compiled code does about objects besides reading and writing them, counted as it is made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct MemoryWork {
    /// Tests whether there is room, each for one object or several.
    pub bumps: usize,
    /// Objects made behind them.
    pub objects: usize,
    /// Objects made by a call.
    pub calls: usize,
    /// Tests of an object's barrier bit.
    pub barriers: usize,
    /// Items of new arrays that are written because they are not to be zero.
    pub filled: u64,
}

/// What is known of the heap at a point of a block.
#[derive(Debug, Default)]
pub(super) struct HeapFacts {
    /// What was done so far in all blocks.
    pub(super) work: MemoryWork,
    /// Objects whose barrier bit is not set: they are new, or noted all over.
    clean: HashSet<Arg>,
    /// Items noted.
    clean_items: HashSet<(Arg, Arg)>,
    /// Objects allocated together with an earlier one.
    allocated: HashMap<OpRef, Value>,
}

impl HeapFacts {
    /// There may have been a collection.
    pub(super) fn forget(&mut self) {
        self.clean.clear();
        self.clean_items.clear();
    }
}

/// Whether a store must be told to the collector.
pub(super) fn needs_barrier(field: &Field, value: Arg) -> bool {
    field.kind.may_hold_reference() && value.as_const() != Some(0)
}

/// The constant indexes, each less than 256 and at most eight of them, at which references are stored into the
/// array of `object` before the next point where there can be a collection, or guard (it may be the one that makes
/// sure that there is such an item), by the instructions of a block from the current one on. The current one's is the first.
/// `is_made` tells of an allocation whether it was done with an earlier one.
pub(super) fn items_stored(code: &Code, rest: &[OpRef], object: Arg, is_made: impl Fn(OpRef) -> bool) -> Vec<u64> {
    let mut indexes = Vec::new();
    for &op in rest {
        let inst = code.inst(op);
        match inst.op {
            Op::Call => break,
            op if is_guard(op) => break,
            Op::New if !is_made(op) => break,
            Op::StoreItem if inst.args[0] == object && needs_barrier(inst.field(), inst.args[2]) => {
                if let Some(index) = inst.args[1].as_const()
                    && index <= u8::MAX as u64
                    && !indexes.contains(&index)
                {
                    indexes.push(index);
                }
            }
            _ => {}
        }
        if indexes.len() == 8 {
            break;
        }
    }
    indexes
}

/// An object that can be allocated inline.
pub(super) struct Part {
    pub(super) op: OpRef,
    pub(super) request: Request,
    /// How far it is from the first of its group.
    pub(super) offset: usize,
}

/// What is allocated at once: of the instructions of a block from a `new` on, that one and those that can be allocated with it; and their
/// bytes. Empty if not even the first can.
pub(super) fn group(code: &Code, rest: &[OpRef]) -> (Vec<Part>, usize) {
    let mut parts = Vec::new();
    let mut bytes = 0;
    for &op in rest {
        let inst = code.inst(op);
        match inst.op {
            Op::New => {
                let (Aux::Shape(shape), Some(len)) = (inst.aux, inst.args[0].as_const()) else {
                    break;
                };
                if len as usize > GROUP_BYTES || bytes + shape.bytes(len as usize) > GROUP_BYTES {
                    break;
                }
                parts.push(Part { op, request: Request { shape, len }, offset: bytes });
                bytes += shape.bytes(len as usize);
                if parts.len() == GROUP_OBJECTS {
                    break;
                }
            }
            Op::Call => break,
            // Whoever takes the bridge would have allocated for nothing, and often.
            op if is_guard(op) && code.exits[ExitId(inst.index()).0 as usize].bridge.is_some() => break,
            _ => {}
        }
    }
    (parts, bytes)
}

impl Lowering<'_> {
    pub(super) fn load(&mut self, field: &Field, object: Arg) -> Held {
        let object = self.word(object);
        let ty = clif_type(Some(field.ty()));
        let value = self.at.ins().load(ty, MEMORY, object, field.offset as i32);
        match field.ty() {
            Type::Float => Held::Float(value),
            Type::Int => Held::Word(value),
        }
    }

    pub(super) fn store(&mut self, field: &Field, object: Arg, value: Arg) {
        if needs_barrier(field, value) {
            self.barrier(object);
        }
        let value = match field.ty() {
            Type::Float => self.float(value),
            Type::Int => self.word(value),
        };
        let object = self.word(object);
        let offset = field.offset as i32;
        self.at.ins().store(MEMORY, value, object, offset);
    }

    /// The address from which an item's offset counts, and that offset.
    fn item_address(&mut self, field: &Field, object: Arg, index: Arg) -> (Value, i32) {
        let size = field.kind.bytes();
        let object = self.word(object);
        if let Some(index) = index.as_const()
            && let Some(offset) = index
                .checked_mul(size as u64)
                .and_then(|bytes| bytes.checked_add(field.offset as u64))
                .and_then(|offset| i32::try_from(offset).ok())
        {
            return (object, offset);
        }
        let index = self.word(index);
        let scaled = match size.trailing_zeros() {
            0 => index,
            shift => self.at.ins().ishl_imm_u(index, shift as i64),
        };
        (self.at.ins().iadd(object, scaled), field.offset as i32)
    }

    pub(super) fn load_item(&mut self, field: &Field, object: Arg, index: Arg) -> Held {
        let (address, offset) = self.item_address(field, object, index);
        let ins = self.at.ins();
        Held::Word(match field.kind {
            Kind::I8 => ins.sload8(I64, MEMORY, address, offset),
            Kind::U8 => ins.uload8(I64, MEMORY, address, offset),
            Kind::I16 => ins.sload16(I64, MEMORY, address, offset),
            Kind::U16 => ins.uload16(I64, MEMORY, address, offset),
            Kind::I32 => ins.sload32(MEMORY, address, offset),
            Kind::U32 => ins.uload32(MEMORY, address, offset),
            Kind::F64 => return Held::Float(ins.load(F64, MEMORY, address, offset)),
            Kind::I64 | Kind::Ref | Kind::Value => ins.load(I64, MEMORY, address, offset),
        })
    }

    pub(super) fn store_item(&mut self, field: &Field, object: Arg, index: Arg, item: Arg) {
        let value = match (field.kind, self.as_bool(item)) {
            (Kind::F64, _) => self.float(item),
            (Kind::U8, Some(value)) => value,
            _ => self.word(item),
        };
        let is_byte = self.at.func.dfg.value_type(value) == I8;
        if needs_barrier(field, item) {
            self.item_barrier(object, index);
        }
        let (address, offset) = self.item_address(field, object, index);
        let ins = self.at.ins();
        match field.kind.bytes() {
            1 if is_byte => ins.store(MEMORY, value, address, offset),
            1 => ins.istore8(MEMORY, value, address, offset),
            2 => ins.istore16(MEMORY, value, address, offset),
            4 => ins.istore32(MEMORY, value, address, offset),
            _ => ins.store(MEMORY, value, address, offset),
        };
    }

    /// Tells the collector that a field of the object is written to.
    fn barrier(&mut self, object: Arg) {
        if self.heap.clean.insert(object) {
            self.barrier_stub(Stub::Barrier, object, &[]);
        }
    }

    /// Tells the collector that an item of the object's array is written to.
    fn item_barrier(&mut self, object: Arg, index: Arg) {
        if self.heap.clean.contains(&object) || !self.heap.clean_items.insert((object, index)) {
            return;
        }
        if index.as_const().is_none_or(|index| index > u8::MAX as u64) {
            let index = self.word(index);
            self.barrier_stub(Stub::BarrierItem, object, &[index]);
            return;
        }
        // Frames are written back item by item: one test for all that is known to come.
        let indexes = items_stored(self.code, self.rest, object, |op| self.heap.allocated.contains_key(&op));
        let mut packed = 0;
        for (i, &index) in indexes.iter().enumerate() {
            packed |= index << (8 * i);
            self.heap.clean_items.insert((object, Arg::Const(index)));
        }
        let packed = self.word_const(packed);
        let count = self.word_const(indexes.len() as u64);
        self.barrier_stub(Stub::BarrierItems, object, &[packed, count]);
    }

    fn barrier_stub(&mut self, stub: Stub, object: Arg, more: &[Value]) {
        self.heap.work.barriers += 1;
        let object = self.word(object);
        let word = self.at.ins().uload32(MEMORY, object, GC_OFFSET);
        let bit = self.at.ins().band_imm_u(word, BARRIER_BIT as i64);
        let slow = self.at.func.dfg.make_block();
        self.branch(bit, Branch::OnZero, slow, Place::Near);
        let next = self.at.func.dfg.make_block();
        self.at.ins().jump(next, &[]);
        self.cold_block(slow);
        let args: Vec<Value> = [object].into_iter().chain(more.iter().copied()).collect();
        self.call_stub(stub, &args);
        self.at.ins().jump(next, &[]);
        self.at.insert_block(next);
    }

    fn cold_block(&mut self, block: cranelift_codegen::ir::Block) {
        self.at.insert_block(block);
        self.at.func.layout.set_cold(block);
    }

    /// Makes the object of the `new` instruction `op`.
    pub(super) fn new_object(&mut self, op: OpRef) -> Result<Value, CompileError> {
        let inst = *self.code.inst(op);
        let Aux::Shape(shape) = inst.aux else {
            return Err(malformed(op, "makes no shape"));
        };
        let [len, fill, _] = inst.args;
        let object = match self.heap.allocated.remove(&op) {
            Some(object) => object,
            None => match self.new_group() {
                Some(object) => object,
                None => return Ok(self.new_by_call(shape, len, fill)),
            },
        };
        if let (Some(array), Some(len)) = (shape.array, len.as_const())
            && fill.as_const() != Some(0)
        {
            self.fill(array, object, len, fill);
        }
        Ok(object)
    }

    /// Allocates the current object and those after it that can be allocated with it.
    fn new_group(&mut self) -> Option<Value> {
        let window = self.options.window?;
        let (parts, bytes) = group(self.code, self.rest);
        if parts.is_empty() {
            return None;
        }
        self.heap.work.bumps += 1;
        self.heap.work.objects += parts.len();
        let cursor_at = self.word_const(window.cursor as u64);
        // The limit is the next word; an address of its own would be one more long instruction.
        let cursor = self.at.ins().load(I64, MEMORY, cursor_at, 0);
        let limit = self.at.ins().load(I64, MEMORY, cursor_at, TO_LIMIT);
        let end = self.at.ins().iadd_imm_u(cursor, bytes as i64);
        let full = self.at.ins().icmp(IntCC::UnsignedGreaterThan, end, limit);
        let slow = self.at.func.dfg.make_block();
        self.branch(full, Branch::OnZero, slow, Place::Near);

        let next = self.at.func.dfg.make_block();
        self.at.ins().store(MEMORY, end, cursor_at, 0);
        for part in &parts {
            let offset = part.offset as i32;
            // The header is the shape's number, the collector's half being 0.
            let header = self.word_const(part.request.shape.id() as u64);
            self.at.ins().store(MEMORY, header, cursor, offset);
            if let Some(array) = part.request.shape.array {
                let len = self.word_const(part.request.len);
                self.at.ins().store(MEMORY, len, cursor, offset + array.offset as i32 - 8);
            }
        }
        let objects = self.part_addresses(&parts, cursor);
        self.at.ins().jump(next, &objects);

        self.cold_block(slow);
        let requests: Box<[Request]> = parts.iter().map(|part| part.request).collect();
        let at = self.word_const(requests.as_ptr() as u64);
        let count = self.word_const(parts.len() as u64);
        self.requests.push(requests);
        self.call_stub(Stub::New, &[self.context, at, count]);
        let made = self.at.ins().load(I64, MEMORY, self.context, result_offset(0));
        self.leave_as_panicked(made, Branch::OnNotZero);
        if let Some(block) = self.at.current_block() {
            self.at.func.layout.set_cold(block);
        }
        let objects = self.part_addresses(&parts, made);
        self.at.ins().jump(next, &objects);

        self.at.insert_block(next);
        self.heap.forget();
        let mut first = None;
        for part in &parts {
            let object = self.at.func.dfg.append_block_param(next, I64);
            self.heap.clean.insert(Arg::Op(part.op));
            match first {
                None => first = Some(object),
                Some(_) => {
                    self.heap.allocated.insert(part.op, object);
                }
            }
        }
        first
    }

    /// Where the objects of a group are, given the first. They are handed on as parameters of a block: a sum could be computed again from
    /// the first's address behind a call, and no word of the stack would name the object during the call.
    fn part_addresses(&mut self, parts: &[Part], first: Value) -> Vec<BlockArg> {
        let mut address = |offset: usize| match offset {
            0 => first,
            offset => self.at.ins().iadd_imm_u(first, offset as i64),
        };
        parts.iter().map(|part| BlockArg::Value(address(part.offset))).collect()
    }

    /// Fills the array of a new object, which is zero.
    fn fill(&mut self, array: &Field, object: Value, len: u64, fill: Arg) {
        self.heap.work.filled += len;
        let (word, offset) = (self.word(fill), array.offset as i32);
        if len > FILLED_INLINE {
            let items = self.at.ins().iadd_imm_u(object, offset as i64);
            let size = self.word_const(array.kind.bytes() as u64);
            let len = self.word_const(len);
            let address = helpers::fill_items as *const () as u64;
            self.call_address(address, &[items, size, len, word]);
            return;
        }
        for i in 0..len as i32 {
            let ins = self.at.ins();
            let offset = offset + i * array.kind.bytes() as i32;
            match array.kind.bytes() {
                1 => ins.istore8(MEMORY, word, object, offset),
                2 => ins.istore16(MEMORY, word, object, offset),
                4 => ins.istore32(MEMORY, word, object, offset),
                _ => ins.store(MEMORY, word, object, offset),
            };
        }
    }

    /// Allocates what can't be allocated inline.
    fn new_by_call(&mut self, shape: &'static Shape, len: Arg, fill: Arg) -> Value {
        self.heap.work.calls += 1;
        let shape = self.word_const(std::ptr::from_ref(shape) as u64);
        let (len, fill) = (self.word(len), self.word(fill));
        let address = helpers::new_filled as *const () as u64;
        let object = self.call_address(address, &[self.context, shape, len, fill]);
        self.leave_as_panicked(object, Branch::OnNotZero);
        self.heap.forget();
        object
    }
}
