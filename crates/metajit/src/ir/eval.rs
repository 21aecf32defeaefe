//! The evaluator: runs code on real memory without making machine code of it.
//!
//! **Problem.** When a compiled program goes wrong, is it the optimizer or the backend? And the optimizer was there, with
//! tests that run what it makes, before the backend was.
//!
//! **Approach.** An interpreter of [`Code`] with exactly the contract of compiled code (see [`crate::context`]): reds come
//! from the context's slots, an exit writes its slots there and returns its number, `finish` writes the result words and
//! returns [`FINISH`], a callee that panicked makes it return [`PANICKED`]. Objects, callees and the write barrier are the
//! real ones, so whoever can run compiled code can run this instead.
//!
//! **Invariants.** The evaluator trusts nothing: it panics, naming the instruction, where compiled code would read wild
//! memory or have no meaning (an operand not computed, a null or foreign object, an index out of bounds, a division by
//! zero). That makes it the checker of whoever made the code.
//!
//! **Rejected.** Evaluating recorded trees as well: what resumes at a guard of a tree is the replay of its log, which needs
//! the interpreter. The optimizer with all stages off makes code of any tree.

use super::code::{Block, BlockId, Code, End, ExitId};
use super::fold::fold;
use super::inst::{Arg, Aux, Callee, Effect, Inst, OpRef};
use super::print::{code_line, word_literal};
use super::table::{Class, Op};
use crate::context::{CellHead, Context, FINISH, MAX_RESULTS, MAX_SLOTS, NO_CODE, PANICKED};
use crate::gc::{self, RootRange};
use crate::object::{Field, HEADER_BYTES, Header, Kind, Shape};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Argument words that a callee may take, besides the pointer to its further result words.
pub const MAX_ARGUMENTS: usize = 12;

/// Runs code; the result is an exit's number, [`FINISH`] or [`PANICKED`].
///
/// # Safety
/// `context` is valid for reads and writes and no reference to it is used meanwhile; it holds the words that the entry's
/// parameters stand for. The callees are functions of the declared form.
///
/// # Panics
/// If the code does something that has no meaning.
pub unsafe fn run(code: &Code, context: *mut Context, valid: &AtomicU64) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { on_heap(code, valid).run(context) }
}

/// What takes room on the native stack leaves less for the interpreted program's recursion.
#[inline(never)]
fn on_heap<'a>(code: &'a Code, valid: &'a AtomicU64) -> Box<Evaluator<'a>> {
    Box::new(Evaluator::new(code, valid))
}

/// A run with more to say about it.
#[derive(Debug)]
pub struct Evaluator<'a> {
    code: &'a Code,
    valid: &'a AtomicU64,
    /// Keeps alive what the values name; before them, to be dropped first.
    _roots: RootRange,
    /// In cells, because the collector reads them at any call.
    values: Box<[Cell<u64>]>,
    computed: Vec<bool>,
    /// Whether the last call was of a portal, which leaves its first result word in the context, too.
    called_portal: bool,
    /// The instructions that may still be run before the evaluator panics, lest a test run for ever.
    pub fuel: u64,
    /// The addresses of the objects made, in order, if that is wanted.
    pub made: Option<Vec<u64>>,
}

/// Where a block goes.
enum Next {
    Block(BlockId),
    Return(u64),
}

impl<'a> Evaluator<'a> {
    /// An evaluator of this code. `valid` is what `guard_valid` tests.
    pub fn new(code: &'a Code, valid: &'a AtomicU64) -> Evaluator<'a> {
        let values: Box<[Cell<u64>]> = vec![Cell::new(0); code.insts.len()].into();
        // SAFETY: the words live until the evaluator is dropped, at the same place.
        let roots = unsafe { RootRange::new(values.as_ptr().cast(), values.len()) };
        Evaluator {
            code,
            valid,
            _roots: roots,
            values,
            computed: vec![false; code.insts.len()],
            called_portal: false,
            fuel: u64::MAX,
            made: None,
        }
    }

    /// Runs the code, as [`run`].
    ///
    /// # Safety
    /// As [`run`].
    ///
    /// # Panics
    /// As [`run`].
    pub unsafe fn run(&mut self, context: *mut Context) -> u64 {
        let code = self.code;
        let params = &code.blocks[0].params;
        assert!(params.len() <= MAX_SLOTS, "the entry has {} parameters", params.len());
        for (index, &param) in params.iter().enumerate() {
            // SAFETY: the caller's contract; the index is in bounds.
            let bits = unsafe { (*context).slots[index] };
            self.set(param, bits);
        }
        let mut block = BlockId(0);
        loop {
            // SAFETY: the caller's contract.
            match unsafe { self.block(block, context) } {
                Next::Block(next) => block = next,
                Next::Return(result) => return result,
            }
        }
    }

    fn set(&mut self, op: OpRef, bits: u64) {
        self.values[op.0 as usize].set(bits);
        self.computed[op.0 as usize] = true;
    }

    fn fault(&self, op: OpRef, message: &str) -> ! {
        panic!("evaluating `{}`: {message}", code_line(self.code, op));
    }

    fn arg(&self, arg: Arg) -> u64 {
        match arg {
            Arg::Const(bits) => bits,
            Arg::Op(op) => {
                if !self.computed.get(op.0 as usize).is_some_and(|&computed| computed) {
                    self.fault(op, "used before it is computed");
                }
                self.values[op.0 as usize].get()
            }
        }
    }

    fn args(&self, args: &[Arg]) -> Vec<u64> {
        args.iter().map(|&arg| self.arg(arg)).collect()
    }

    /// Runs a block.
    ///
    /// What is no call is done out of line: the interpreted program's recursion goes through here, and has as deep a native stack as
    /// compiled code has.
    ///
    /// # Safety
    /// As [`run`].
    unsafe fn block(&mut self, block: BlockId, context: *mut Context) -> Next {
        let code = self.code;
        let block = &code.blocks[block.0 as usize];
        for &op in &block.insts {
            self.fuel -= 1;
            assert!(self.fuel > 0, "evaluating: out of fuel");
            let inst = code.inst(op);
            match inst.op.info().class {
                Class::Guard => {
                    // SAFETY: the caller's contract.
                    if !unsafe { self.holds(inst, context) } {
                        // SAFETY: the caller's contract.
                        return unsafe { self.exit(ExitId(inst.index()), context) };
                    }
                }
                Class::Call => {
                    let Aux::Call(callee, args) = inst.aux else {
                        self.fault(op, "has no callee");
                    };
                    self.called_portal = callee.is_portal();
                    // SAFETY: the caller's contract.
                    let result = unsafe { self.call(op, callee, self.args(code.args(args)), context) };
                    // SAFETY: the caller's contract.
                    if unsafe { (*context).panicked } != 0 {
                        return Next::Return(PANICKED);
                    }
                    self.set(op, result);
                }
                // SAFETY: the caller's contract.
                _ => unsafe { self.compute(op, inst, context) },
            }
        }
        // SAFETY: the caller's contract.
        unsafe { self.end(block, context) }
    }

    /// Does what is neither a guard nor a call.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(never)]
    unsafe fn compute(&mut self, op: OpRef, inst: &Inst, context: *mut Context) {
        match inst.op.info().class {
            _ if inst.op == Op::Stopped => {
                // SAFETY: the caller's contract.
                let stop = unsafe { (*context).stop.load(Ordering::Relaxed) };
                self.set(op, stop);
            }
            _ if inst.op == Op::ResultWord => {
                let word = inst.index() as usize;
                let index = if self.called_portal { word } else { word.wrapping_sub(1) };
                if word == 0 || index >= MAX_RESULTS {
                    self.fault(op, "names no further result word");
                }
                // SAFETY: the caller's contract; the index is in bounds.
                let bits = unsafe { (*context).results[index] };
                self.set(op, bits);
            }
            Class::Pure => {
                let args = self.args(inst.operands());
                match fold(inst.op, &args) {
                    Some(bits) => self.set(op, bits),
                    None => {
                        let args: Vec<String> = args.into_iter().map(word_literal).collect();
                        self.fault(op, &format!("undefined on {}", args.join(" and ")))
                    }
                }
            }
            Class::Load | Class::ImmutableLoad | Class::Store | Class::Alloc => {
                if let Some(bits) = self.memory(op, inst) {
                    self.set(op, bits);
                }
            }
            Class::Input | Class::Mark | Class::Guard | Class::Call => self.fault(op, "can't stand here"),
        }
    }

    /// Leaves a block.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(never)]
    unsafe fn end(&mut self, block: &Block, context: *mut Context) -> Next {
        let code = self.code;
        match &block.end {
            End::Jump(to, args) => {
                // All at once: a parameter may be among the arguments.
                let args = self.args(args);
                let params = &code.blocks[to.0 as usize].params;
                assert_eq!(args.len(), params.len(), "evaluating: wrong number of arguments for {to}");
                for (&param, bits) in params.iter().zip(args) {
                    self.set(param, bits);
                }
                Next::Block(*to)
            }
            End::Finish(words) => {
                let words = self.args(words);
                assert!(words.len() <= MAX_RESULTS, "evaluating: too many result words");
                // SAFETY: the caller's contract.
                let results = unsafe { &mut (*context).results };
                results[..words.len()].copy_from_slice(&words);
                Next::Return(FINISH)
            }
            // SAFETY: the caller's contract.
            End::Exit(exit) => unsafe { self.exit(*exit, context) },
            End::Switch { value, cases, otherwise } => {
                let value = self.arg(*value);
                let case = cases.iter().find(|(bits, _)| *bits == value);
                Next::Block(case.map_or(*otherwise, |(_, to)| *to))
            }
            End::Enter(entries) => {
                // SAFETY: the caller's contract.
                let entry = unsafe { std::mem::take(&mut (*context).entry) } as usize;
                let values: Vec<u64> = block.params.iter().map(|&param| self.arg(Arg::Op(param))).collect();
                let to = entries[entry];
                for (&param, bits) in code.blocks[to.0 as usize].params.iter().zip(values) {
                    self.set(param, bits);
                }
                Next::Block(to)
            }
        }
    }

    /// Whether a guard holds.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(never)]
    unsafe fn holds(&self, inst: &Inst, context: *mut Context) -> bool {
        match inst.op {
            Op::GuardCount => {
                // SAFETY: the caller's contract.
                let counters = unsafe { &mut (*context).counters };
                let counter = &mut counters[self.arg(inst.args[0]) as usize];
                *counter = counter.wrapping_sub(1);
                *counter != 0
            }
            Op::GuardTrue => self.arg(inst.args[0]) != 0,
            Op::GuardFalse => self.arg(inst.args[0]) == 0,
            Op::GuardValue => self.arg(inst.args[0]) == self.arg(inst.args[1]),
            _ => self.valid.load(Ordering::Acquire) != 0,
        }
    }

    /// Leaves through an exit, or goes to its bridge.
    ///
    /// # Safety
    /// As [`run`].
    #[inline(never)]
    unsafe fn exit(&mut self, id: ExitId, context: *mut Context) -> Next {
        let exit = &self.code.exits[id.0 as usize];
        if let Some(bridge) = exit.bridge {
            return Next::Block(bridge);
        }
        assert!(exit.slots.len() <= MAX_SLOTS, "evaluating: {id} has too many slots");
        for (index, &op) in self.code.slots(id).iter().enumerate() {
            let bits = self.arg(Arg::Op(op));
            // SAFETY: the caller's contract; the index is in bounds.
            unsafe { (*context).slots[index] = bits };
        }
        Next::Return(id.0.into())
    }

    /// Calls a callee.
    ///
    /// # Safety
    /// As [`run`].
    unsafe fn call(&mut self, op: OpRef, callee: &Callee, mut args: Vec<u64>, context: *mut Context) -> u64 {
        let most = if callee.is_portal() { MAX_SLOTS } else { MAX_ARGUMENTS };
        if args.len() != callee.params as usize || args.len() > most {
            self.fault(op, "passes a wrong number of words");
        }
        if callee.results as usize > MAX_RESULTS + 1 {
            self.fault(op, "returns too many words");
        }
        if callee.address.is_null() {
            self.fault(op, "the callee has no address");
        }
        if callee.is_portal() {
            // SAFETY: the caller's contract.
            return unsafe { self.call_portal(op, callee, &args, context) };
        }
        if callee.results > 1 {
            // SAFETY: the caller's contract: the context is valid.
            args.push(unsafe { &raw mut (*context).results } as u64);
        }
        // SAFETY: the caller's contract: the callee has the declared form, and that is how many words it takes.
        unsafe { call_address(callee.address, &args) }
    }

    /// Calls a portal: see [`Callee`].
    ///
    /// # Safety
    /// As [`run`].
    unsafe fn call_portal(&mut self, op: OpRef, callee: &Callee, args: &[u64], context: *mut Context) -> u64 {
        let [cell, reds @ ..] = args else { self.fault(op, "passes no call cell") };
        for (index, &red) in reds.iter().enumerate() {
            // SAFETY: the caller's contract; there are fewer arguments than slots.
            unsafe { (*context).slots[index] = red };
        }
        let marker = 0u8;
        // SAFETY: the caller's contract: the cell begins with a head, and its entry is the portal's code.
        unsafe {
            let low = (&raw const marker as u64) < (*context).stack_limit;
            let head = &*(*cell as *const CellHead);
            let entry = if callee.effect == Effect::Spread { head.spread.get() } else { head.entry.get() };
            match if low { NO_CODE } else { entry(context) } {
                FINISH => {}
                number => _ = call_address(callee.address, &[*cell, number]),
            }
            (*context).results[0]
        }
    }

    /// Loads, stores and allocations; the result if there is one.
    fn memory(&mut self, op: OpRef, inst: &Inst) -> Option<u64> {
        if inst.op == Op::New {
            return Some(self.new_object(op, inst));
        }
        let object = self.arg(inst.args[0]);
        let (shape, len) = self.object(op, object);
        if inst.op == Op::ShapeOf {
            return Some(shape.id().into());
        }
        let Aux::Field(field) = inst.aux else {
            self.fault(op, "has no field");
        };
        if field.is_array != matches!(inst.op, Op::LoadItem | Op::StoreItem | Op::Len) {
            self.fault(op, "mistakes an array for a scalar, or the other way round");
        }
        // The object may have another shape that begins with the same fields, or that ends in the same array.
        let inside = match shape.array {
            _ if !field.is_array => field.offset + 8 <= scalar_bytes(shape),
            Some(array) => array.offset == field.offset && array.kind.bytes() == field.kind.bytes(),
            None => false,
        };
        if !inside || field.offset < HEADER_BYTES {
            self.fault(op, &format!("the object is a `{}`, which has no such field", shape.name));
        }
        let index = self.arg(inst.args[1]);
        let item = matches!(inst.op, Op::LoadItem | Op::StoreItem);
        if item && index >= len {
            self.fault(op, &format!("index {} of {len} items", index as i64));
        }
        let at = (object + u64::from(field.offset)) as *mut u8;
        // SAFETY: `object` is an object with such a field, as checked; an item's index is in bounds.
        unsafe {
            match inst.op {
                Op::Load => Some(at.cast::<u64>().read()),
                Op::Len => Some(len),
                Op::LoadItem => Some(load_item(at, field.kind, index as usize)),
                Op::Store => {
                    let value = self.stored(op, field, inst.args[1]);
                    barrier(object, field);
                    at.cast::<u64>().write(value);
                    None
                }
                _ => {
                    let value = self.stored(op, field, inst.args[2]);
                    barrier(object, field);
                    store_item(at, field.kind, index as usize, value);
                    None
                }
            }
        }
    }

    /// A word to be stored in this field: the collector takes what is in a `ref` for an object's address.
    fn stored(&self, op: OpRef, field: &Field, arg: Arg) -> u64 {
        let bits = self.arg(arg);
        if field.kind == Kind::Ref && !bits.is_multiple_of(8) {
            self.fault(op, &format!("{} is no reference", word_literal(bits)));
        }
        bits
    }

    /// The shape of an object and the length of its array.
    fn object(&self, op: OpRef, object: u64) -> (&'static Shape, u64) {
        if object == 0 {
            self.fault(op, "the object is null");
        }
        if !object.is_multiple_of(8) {
            self.fault(op, &format!("{object:#x} is no object"));
        }
        // SAFETY: a word that is neither null nor odd is an object's address, if the code was made correctly; the heap
        // keeps objects that the evaluator's values name.
        let id = unsafe { (*(object as *const Header)).shape };
        let Some(shape) = Shape::by_id(id) else {
            self.fault(op, &format!("{object:#x} is no object"));
        };
        let len = match shape.array {
            // SAFETY: an object of this shape has a length word there.
            Some(array) => unsafe { ((object + u64::from(array.offset)) as *const u64).sub(1).read() },
            None => 0,
        };
        (shape, len)
    }

    fn new_object(&mut self, op: OpRef, inst: &Inst) -> u64 {
        let Aux::Shape(shape) = inst.aux else {
            self.fault(op, "has no shape");
        };
        let len = self.arg(inst.args[0]);
        let fill = self.arg(inst.args[1]);
        if len as i64 > i64::from(u32::MAX) || (len as i64) < 0 {
            self.fault(op, &format!("{} items", len as i64));
        }
        if shape.array.is_none() && len != 0 {
            self.fault(op, "the shape has no array");
        }
        if let Some(array) = shape.array {
            self.stored(op, array, inst.args[1]);
        }
        let object = gc::alloc(shape, len as usize) as u64;
        if let Some(array) = shape.array {
            let items = (object + u64::from(array.offset)) as *mut u8;
            // SAFETY: the object was just made with so many items, and its length word before them.
            unsafe {
                items.cast::<u64>().sub(1).write(len);
                for index in 0..len as usize {
                    store_item(items, array.kind, index, fill);
                }
            }
        }
        if let Some(made) = &mut self.made {
            made.push(object);
        }
        object
    }
}

/// Where the scalars of a shape end.
fn scalar_bytes(shape: &Shape) -> u32 {
    HEADER_BYTES + 8 * shape.fields.len() as u32
}

/// The write barrier of a store to this field.
///
/// # Safety
/// `object` is the address of a live object.
unsafe fn barrier(object: u64, field: &Field) {
    if field.kind.may_hold_reference() {
        // SAFETY: the caller's contract.
        unsafe { gc::write_barrier(object as *mut Header) };
    }
}

/// Reads an item of an array, in canonical form.
///
/// # Safety
/// `items` is where an array of this kind begins that has more than `index` items.
pub unsafe fn load_item(items: *const u8, kind: Kind, index: usize) -> u64 {
    // SAFETY: the caller's contract.
    unsafe {
        match kind {
            Kind::I8 => items.cast::<i8>().add(index).read() as u64,
            Kind::U8 => items.add(index).read().into(),
            Kind::I16 => items.cast::<i16>().add(index).read() as u64,
            Kind::U16 => items.cast::<u16>().add(index).read().into(),
            Kind::I32 => items.cast::<i32>().add(index).read() as u64,
            Kind::U32 => items.cast::<u32>().add(index).read().into(),
            Kind::I64 | Kind::F64 | Kind::Ref | Kind::Value => items.cast::<u64>().add(index).read(),
        }
    }
}

/// Writes an item of an array; without the write barrier.
///
/// # Safety
/// As [`load_item`].
pub unsafe fn store_item(items: *mut u8, kind: Kind, index: usize, bits: u64) {
    // SAFETY: the caller's contract.
    unsafe {
        match kind.bytes() {
            1 => items.add(index).write(bits as u8),
            2 => items.cast::<u16>().add(index).write(bits as u16),
            4 => items.cast::<u32>().add(index).write(bits as u32),
            _ => items.cast::<u64>().add(index).write(bits),
        }
    }
}

macro_rules! word {
    ($index:literal) => {
        u64
    };
}

/// Calls native code with these words.
///
/// # Safety
/// `address` is an `extern "C" fn` of as many words that returns a word.
///
/// # Panics
/// If there are more than [`MAX_ARGUMENTS`] and one.
pub unsafe fn call_address(address: *const (), args: &[u64]) -> u64 {
    macro_rules! arities {
        ($($count:literal: $($index:literal)*;)*) => {
            match args.len() {
                $($count => {
                    // SAFETY: the caller's contract.
                    let callee = unsafe {
                        std::mem::transmute::<*const (), unsafe extern "C" fn($(word!($index)),*) -> u64>(address)
                    };
                    // SAFETY: the caller's contract.
                    unsafe { callee($(args[$index]),*) }
                })*
                count => panic!("evaluating: a call with {count} words"),
            }
        };
    }
    arities! {
        0: ;
        1: 0;
        2: 0 1;
        3: 0 1 2;
        4: 0 1 2 3;
        5: 0 1 2 3 4;
        6: 0 1 2 3 4 5;
        7: 0 1 2 3 4 5 6;
        8: 0 1 2 3 4 5 6 7;
        9: 0 1 2 3 4 5 6 7 8;
        10: 0 1 2 3 4 5 6 7 8 9;
        11: 0 1 2 3 4 5 6 7 8 9 10;
        12: 0 1 2 3 4 5 6 7 8 9 10 11;
        13: 0 1 2 3 4 5 6 7 8 9 10 11 12;
    }
}
