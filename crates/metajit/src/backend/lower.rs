//! From [`Code`] to Cranelift's IR.
//!
//! **Problem.** One [`Code`] (a tree: its loop and all its bridges) becomes one function
//! `extern "C" fn(*mut Context) -> u64`, whose result says how it was left: an exit's number, `FINISH` or `PANICKED`.
//! What Cranelift is given decides two costs that nothing later can repair: what stands in the hot path because of
//! guards, and how long the register allocator works on values that only exits need.
//!
//! **Approach.** One pass over the blocks in reverse postorder, so that every definition is seen before its uses; values
//! are used across blocks as they are, no variables and no block parameters but the code's own.
//!
//! * A comparison stays an 8-bit value until somebody wants it as a word: Cranelift fuses it with the branch of a guard.
//! * A guard branches to a *cold block of its own*, which stores the exit's slots and returns the exit's number. Nothing is
//!   passed to it: what is passed by a branch is computed before it, in the hot path.
//! * Slot lists grow by what was logged between one guard and the next. Where the list of one exit begins with the list
//!   of another, the common part is stored by a block that both go to (`SlotLists` in [`exits`](super::exits)). This halves the code of
//!   exits, and with it a third of the compile time.
//! * Cold blocks come directly behind their guards in the order that registers are allocated in, so that live ranges
//!   stay in one piece (at the end of the function they make the one-pass allocator quadratic); Cranelift moves them to the
//!   end afterwards. Bridges come behind the path they leave.
//! * An exit with a bridge has no cold block, the guard branches to the bridge's first block.
//! * `add` and `add_ovf` of the same operands in a block become one instruction with two results, in whichever order they
//!   come. With a constant operand the overflow is a comparison of the sum with the other operand, which
//!   fuses with the guard's branch (2 instructions; Cranelift's own way is `add; seto; test; jne`).
//! * A guard against boxed floats that would be taken for something else, which only NaNs are, compares the float with itself (2
//!   instructions) and makes the test itself in a cold block.
//! * Every call is followed by a test of `context.panicked`. Elidable callees panic too, and what follows may dereference
//!   what they did not return.
//!
//! **Invariants.** Loads are `notrap` and `aligned` and nothing else. `readonly` with `can_move` lets Cranelift hoist a load
//! above the guard that makes its address valid. Exits store before they return, and nothing runs in between.
//!
//! **Rejected.** *One exit block for all guards, given the values as block parameters*: the parameters are
//! computed in the hot path. *`try_call` side tables*: slower to compile and to run (values are kept in
//! registers for the guard). *Cranelift's frontend*: its variables cost time and the code is in single-assignment form.

use super::calls::entry_signature;
use super::compiler::{CompileError, Options};
use super::dispatch::{Plan, plan};
use super::helpers::Request;
use super::memory::{HeapFacts, MemoryWork};
use super::stubs::Stubs;
use crate::context::{Context, FINISH, MAX_RESULTS, MAX_SLOTS, PANICKED};
use crate::ir::code::{BlockId, Code, End, ExitId};
use crate::ir::{Arg, Aux, Class, Inst, Op, OpRef};
use crate::word::Type;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::immediates::Ieee64;
use cranelift_codegen::ir::types::{F64, I8, I16, I32, I64};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Function, InstBuilder, InstructionData, JumpTableData, MemFlagsData, SigRef, Value,
};
use cranelift_codegen::isa::CallConv;
use std::collections::HashMap;
use std::mem::offset_of;

/// Flags of every access to memory: see the invariants.
pub(super) const MEMORY: MemFlagsData = MemFlagsData::trusted();
/// Bytes between the header's start and its shape number.
pub(super) const SHAPE_OFFSET: i32 = offset_of!(crate::object::Header, shape) as i32;
/// Bytes of the array's length word, which stands before the items.
pub(super) const LEN_BYTES: i32 = 8;

/// What the machine can do, as far as lowering asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    /// Whether it rounds floats in one instruction.
    pub(super) rounds: bool,
}

/// How the value of an instruction is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// Not computed.
    Nothing,
    /// As a 64-bit word.
    Word(Value),
    /// As an 8-bit 0 or 1.
    Bool(Value),
    /// As a float.
    Float(Value),
}

/// Operation and operands, those of commutative operations in a fixed order.
type PairKey = (Op, Arg, Arg);

pub(super) struct Lowering<'a> {
    pub(super) code: &'a Code,
    pub(super) options: &'a Options,
    features: Features,
    pub(super) stubs: &'a Stubs,
    pub(super) at: FuncCursor<'a>,
    pub(super) context: Value,
    pub(super) values: Vec<Held>,
    blocks: Vec<Option<Block>>,
    pub(super) exits: Vec<Option<Block>>,
    pub(super) exits_to_do: Vec<ExitId>,
    pub(super) panicked: Option<Block>,
    /// Whether the last call was of a portal.
    pub(super) called_portal: bool,
    pub(super) signatures: HashMap<(CallConv, usize), SigRef>,
    /// The instructions of the block from the current one on.
    pub(super) rest: &'a [OpRef],
    pub(super) heap: HeapFacts,
    pub(super) requests: Vec<Box<[Request]>>,
    /// The overflow operation that wants the flag of an arithmetic operation of this block.
    wanted: HashMap<PairKey, Op>,
    /// Results and flags already computed in this block, by overflow operation.
    pairs: HashMap<PairKey, (Value, Value)>,
}

/// What code made needs while it lives (what it asks of the driver's helpers, at addresses that it knows), and what it does with memory.
pub(super) type Needs = (Vec<Box<[Request]>>, MemoryWork);

/// Fills the empty function `func` with `code`. The requests must live as long as the function.
pub(super) fn lower(
    code: &Code,
    options: &Options,
    features: Features,
    stubs: &Stubs,
    func: &mut Function,
) -> Result<Needs, CompileError> {
    check_bounds(code)?;
    func.signature = entry_signature();
    let entry = func.dfg.make_block();
    let context = func.dfg.append_block_param(entry, I64);
    let mut at = FuncCursor::new(func);
    at.insert_block(entry);
    let mut lowering = Lowering {
        code,
        options,
        features,
        stubs,
        at,
        context,
        values: vec![Held::Nothing; code.insts.len()],
        blocks: vec![None; code.blocks.len()],
        exits: vec![None; code.exits.len()],
        exits_to_do: Vec::new(),
        panicked: None,
        called_portal: false,
        signatures: HashMap::new(),
        rest: &[],
        heap: HeapFacts::default(),
        requests: Vec::new(),
        wanted: HashMap::new(),
        pairs: HashMap::new(),
    };
    lowering.run()?;
    Ok((lowering.requests, lowering.heap.work))
}

/// Refuses code that the context has no room for.
pub(super) fn check_bounds(code: &Code) -> Result<(), CompileError> {
    for exit in &code.exits {
        if exit.slots.len() > MAX_SLOTS {
            return Err(CompileError::TooManySlots(exit.slots.len()));
        }
    }
    if code.blocks[0].params.len() > MAX_SLOTS {
        return Err(CompileError::TooManySlots(code.blocks[0].params.len()));
    }
    for block in &code.blocks {
        if let End::Finish(words) = &block.end
            && words.len() > MAX_RESULTS
        {
            return Err(CompileError::TooManyResults(words.len()));
        }
    }
    Ok(())
}

/// The blocks that can be reached from the first, in reverse postorder.
pub(super) fn reverse_postorder(code: &Code) -> Vec<BlockId> {
    fn successors(code: &Code, block: BlockId) -> Vec<BlockId> {
        let block = &code.blocks[block.0 as usize];
        let bridge = |exit: ExitId| code.exits[exit.0 as usize].bridge;
        let guards = block.insts.iter().map(|&op| code.inst(op));
        let mut out: Vec<BlockId> =
            guards.filter(|inst| is_guard(inst.op)).filter_map(|inst| bridge(ExitId(inst.index()))).collect();
        match &block.end {
            End::Jump(target, _) => out.push(*target),
            End::Exit(exit) => out.extend(bridge(*exit)),
            End::Finish(_) => {}
            End::Enter(entries) => out.extend(entries),
            End::Switch { cases, otherwise, .. } => {
                out.push(*otherwise);
                out.extend(cases.iter().map(|(_, to)| to));
            }
        }
        out
    }
    let mut seen = vec![false; code.blocks.len()];
    let mut postorder = Vec::with_capacity(code.blocks.len());
    let mut path = vec![(BlockId(0), successors(code, BlockId(0)))];
    seen[0] = true;
    while let Some((block, rest)) = path.last_mut() {
        match rest.pop() {
            Some(next) if seen[next.0 as usize] => {}
            Some(next) => {
                seen[next.0 as usize] = true;
                path.push((next, successors(code, next)));
            }
            None => {
                postorder.push(*block);
                path.pop();
            }
        }
    }
    postorder.reverse();
    postorder
}

pub(super) fn is_guard(op: Op) -> bool {
    op.info().class == Class::Guard
}

/// The operation whose overflow `op` tells.
fn arithmetic_of(op: Op) -> Option<Op> {
    match op {
        Op::AddOvf => Some(Op::Add),
        Op::SubOvf => Some(Op::Sub),
        Op::MulOvf | Op::UmulOvf => Some(Op::Mul),
        _ => None,
    }
}

fn pair_key(op: Op, inst: &Inst) -> PairKey {
    let (a, b) = (inst.args[0], inst.args[1]);
    let rank = |arg: Arg| match arg {
        Arg::Op(op) => (0, op.0 as u64),
        Arg::Const(bits) => (1, bits),
    };
    if matches!(op, Op::Sub | Op::SubOvf) || rank(a) <= rank(b) { (op, a, b) } else { (op, b, a) }
}

impl Lowering<'_> {
    fn run(&mut self) -> Result<(), CompileError> {
        let code = self.code;
        let order = reverse_postorder(code);
        self.enter(order.iter().any(|&b| matches!(&code.blocks[b.0 as usize].end, End::Jump(to, _) if to.0 == 0)));
        for &id in &order {
            if let Some(block) = self.blocks[id.0 as usize] {
                self.at.insert_block(block);
            }
            let block = &code.blocks[id.0 as usize];
            self.find_pairs(&block.insts);
            self.heap.forget();
            for (i, &op) in block.insts.iter().enumerate() {
                self.rest = &block.insts[i..];
                self.inst(op)?;
            }
            match &block.end {
                End::Jump(target, args) => self.jump(*target, args),
                End::Exit(exit) => {
                    let target = self.exit_target(*exit);
                    self.at.ins().jump(target, &[]);
                }
                End::Finish(words) => self.finish(words),
                End::Enter(entries) => self.choose_entry(entries),
                End::Switch { value, cases, otherwise } => self.switch(*value, cases, *otherwise),
            }
        }
        self.exit_blocks()?;
        if let Some(block) = self.panicked {
            self.at.insert_block(block);
            self.at.func.layout.set_cold(block);
            self.return_number(PANICKED);
        }
        Ok(())
    }

    /// Loads the reds and goes on to block 0.
    fn enter(&mut self, is_loop: bool) {
        let code = self.code;
        if let Some(countdown) = self.options.countdown {
            self.count_down(countdown);
        }
        let params = &code.blocks[0].params;
        let mut reds = Vec::with_capacity(params.len());
        for (i, &param) in params.iter().enumerate() {
            let ty = clif_type(code.inst(param).result());
            let offset = slot_offset(i);
            let value = self.at.ins().load(ty, MEMORY, self.context, offset);
            self.hold(param, ty, value);
            reds.push(BlockArg::Value(value));
        }
        if is_loop {
            let block = self.block(BlockId(0));
            self.at.ins().jump(block, &reds);
        }
    }

    /// The Cranelift block of a block, made when first asked for.
    pub(super) fn block(&mut self, id: BlockId) -> Block {
        if let Some(block) = self.blocks[id.0 as usize] {
            return block;
        }
        let block = self.at.func.dfg.make_block();
        let code = self.code;
        for &param in &code.blocks[id.0 as usize].params {
            let ty = clif_type(code.inst(param).result());
            let value = self.at.func.dfg.append_block_param(block, ty);
            self.hold(param, ty, value);
        }
        self.blocks[id.0 as usize] = Some(block);
        block
    }

    fn jump(&mut self, target: BlockId, args: &[Arg]) {
        let code = self.code;
        let block = self.block(target);
        let params = &code.blocks[target.0 as usize].params;
        let args: Vec<BlockArg> = params
            .iter()
            .zip(args)
            .map(|(&param, &arg)| {
                BlockArg::Value(match code.inst(param).result() {
                    Some(Type::Float) => self.float(arg),
                    _ => self.word(arg),
                })
            })
            .collect();
        self.at.ins().jump(block, &args);
    }

    /// Goes to the entry that the context names, with what the first block was given.
    fn choose_entry(&mut self, entries: &[BlockId]) {
        let code = self.code;
        let reds: Vec<Arg> = code.blocks[0].params.iter().map(|&param| Arg::Op(param)).collect();
        let Some((&last, others)) = entries.split_last() else { return };
        if others.is_empty() {
            return self.jump(last, &reds);
        }
        let offset = offset_of!(Context, entry) as i32;
        let entry = self.at.ins().load(I64, MEMORY, self.context, offset);
        let zero = self.word_const(0);
        self.at.ins().store(MEMORY, zero, self.context, offset);
        for (index, &target) in others.iter().enumerate() {
            let chosen = self.at.ins().icmp_imm_u(IntCC::Equal, entry, index as i64);
            let (this, next) = (self.at.func.dfg.make_block(), self.at.func.dfg.make_block());
            self.at.ins().brif(chosen, this, &[], next, &[]);
            self.at.insert_block(this);
            self.jump(target, &reds);
            self.at.insert_block(next);
        }
        self.jump(last, &reds);
    }

    /// Goes to the block of the constant that the value is.
    fn switch(&mut self, value: Arg, cases: &[(u64, BlockId)], otherwise: BlockId) {
        let value = self.word(value);
        let otherwise = self.way(otherwise);
        self.follow(&plan(cases, true), value, otherwise);
    }

    /// The block of a block that a switch goes to.
    fn way(&mut self, id: BlockId) -> Block {
        let block = self.block(id);
        let of = &self.code.blocks[id.0 as usize];
        if of.insts.is_empty() && of.leaves(self.code) {
            self.at.func.layout.set_cold(block);
        }
        block
    }

    fn follow(&mut self, plan: &Plan, value: Value, otherwise: Block) {
        match plan {
            Plan::Tests(tests) => {
                for &(bits, to) in tests {
                    let constant = self.word_const(bits);
                    let equal = self.at.ins().icmp(IntCC::Equal, value, constant);
                    let (to, next) = (self.way(to), self.at.func.dfg.make_block());
                    self.at.ins().brif(equal, to, &[], next, &[]);
                    self.at.insert_block(next);
                }
                self.at.ins().jump(otherwise, &[]);
            }
            Plan::Halves(at, below, others) => {
                let at = self.word_const(*at);
                let less = self.at.ins().icmp(IntCC::SignedLessThan, value, at);
                let halves = [self.at.func.dfg.make_block(), self.at.func.dfg.make_block()];
                self.at.ins().brif(less, halves[0], &[], halves[1], &[]);
                for (block, plan) in halves.into_iter().zip([below, others]) {
                    self.at.insert_block(block);
                    self.follow(plan, value, otherwise);
                }
            }
            Plan::Table(first, entries) => {
                let first = self.word_const(*first);
                let index = self.at.ins().isub(value, first);
                // A table's own test is of 32 bits.
                let inside = self.at.ins().icmp_imm_u(IntCC::UnsignedLessThan, index, entries.len() as i64);
                let table = self.at.func.dfg.make_block();
                self.at.ins().brif(inside, table, &[], otherwise, &[]);
                self.at.insert_block(table);
                let index = self.at.ins().ireduce(I32, index);
                let targets: Vec<Block> =
                    entries.iter().map(|entry| entry.map_or(otherwise, |to| self.way(to))).collect();
                let pool = &mut self.at.func.dfg.value_lists;
                let otherwise = BlockCall::new(otherwise, [], pool);
                let targets: Vec<BlockCall> = targets.into_iter().map(|to| BlockCall::new(to, [], pool)).collect();
                let data = JumpTableData::new(otherwise, &targets);
                let jumps = self.at.func.create_jump_table(data);
                self.at.ins().br_table(index, jumps);
            }
        }
    }

    fn finish(&mut self, words: &[Arg]) {
        for (i, &word) in words.iter().enumerate() {
            let value = self.any(word);
            let offset = result_offset(i);
            self.at.ins().store(MEMORY, value, self.context, offset);
        }
        self.return_number(FINISH);
    }

    fn return_number(&mut self, number: u64) {
        let number = self.at.ins().iconst(I64, number as i64);
        self.at.ins().return_(&[number]);
    }

    fn hold(&mut self, op: OpRef, ty: cranelift_codegen::ir::Type, value: Value) {
        self.values[op.0 as usize] = match ty {
            F64 => Held::Float(value),
            I8 => Held::Bool(value),
            _ => Held::Word(value),
        };
    }

    pub(super) fn word_const(&mut self, bits: u64) -> Value {
        self.at.ins().iconst(I64, bits as i64)
    }

    /// An operand as a 64-bit word, a float as its pattern.
    pub(super) fn word(&mut self, arg: Arg) -> Value {
        match arg {
            Arg::Const(bits) => self.word_const(bits),
            Arg::Op(op) => match self.values[op.0 as usize] {
                Held::Word(value) => value,
                Held::Bool(value) => self.at.ins().uextend(I64, value),
                Held::Float(value) => self.at.ins().bitcast(I64, MemFlagsData::new(), value),
                Held::Nothing => unreachable!("{op} is used before it is computed"),
            },
        }
    }

    /// An operand as a float.
    pub(super) fn float(&mut self, arg: Arg) -> Value {
        match arg {
            Arg::Const(bits) => self.at.ins().f64const(Ieee64::with_bits(bits)),
            Arg::Op(op) => match self.values[op.0 as usize] {
                Held::Float(value) => value,
                _ => {
                    let word = self.word(arg);
                    self.at.ins().bitcast(F64, MemFlagsData::new(), word)
                }
            },
        }
    }

    /// An operand as 64 bits in whichever register it is.
    pub(super) fn any(&mut self, arg: Arg) -> Value {
        match arg {
            Arg::Op(op) => match self.values[op.0 as usize] {
                Held::Float(value) => value,
                _ => self.word(arg),
            },
            Arg::Const(_) => self.word(arg),
        }
    }

    /// An operand as something that a branch can test.
    fn condition(&mut self, arg: Arg) -> Value {
        match arg {
            Arg::Op(op) => match self.values[op.0 as usize] {
                Held::Bool(value) => value,
                _ => self.word(arg),
            },
            Arg::Const(_) => self.word(arg),
        }
    }

    pub(super) fn as_bool(&self, arg: Arg) -> Option<Value> {
        match arg {
            Arg::Op(op) => match self.values[op.0 as usize] {
                Held::Bool(value) => Some(value),
                _ => None,
            },
            Arg::Const(_) => None,
        }
    }

    /// Notes which arithmetic operations of a block have a companion that asks for their overflow.
    fn find_pairs(&mut self, insts: &[OpRef]) {
        self.wanted.clear();
        self.pairs.clear();
        for &op in insts {
            let inst = self.code.inst(op);
            if let Some(arithmetic) = arithmetic_of(inst.op) {
                self.wanted.insert(pair_key(arithmetic, inst), inst.op);
            }
        }
    }

    /// The wrapped result of an operation and whether it overflowed, `overflow` saying in which sense.
    fn pair(&mut self, overflow: Op, inst: &Inst) -> (Value, Value) {
        let key = pair_key(overflow, inst);
        if let Some(&pair) = self.pairs.get(&key) {
            return pair;
        }
        let (_, a, b) = key;
        let x = self.word(a);
        let y = self.word(b);
        let ins = self.at.ins();
        let pair = match (overflow, b.as_const()) {
            (Op::AddOvf, Some(constant)) => {
                let sum = ins.iadd(x, y);
                let condition = if (constant as i64) < 0 { IntCC::SignedGreaterThan } else { IntCC::SignedLessThan };
                (sum, self.at.ins().icmp(condition, sum, x))
            }
            (Op::SubOvf, Some(constant)) => {
                let difference = ins.isub(x, y);
                let condition = if (constant as i64) < 0 { IntCC::SignedLessThan } else { IntCC::SignedGreaterThan };
                (difference, self.at.ins().icmp(condition, difference, x))
            }
            (Op::AddOvf, None) => ins.sadd_overflow(x, y),
            (Op::SubOvf, None) => ins.ssub_overflow(x, y),
            (Op::MulOvf, _) => ins.smul_overflow(x, y),
            (Op::UmulOvf, _) => ins.umul_overflow(x, y),
            _ => unreachable!("{overflow:?} tells no overflow"),
        };
        self.pairs.insert(key, pair);
        pair
    }

    fn inst(&mut self, op: OpRef) -> Result<(), CompileError> {
        let code = self.code;
        let inst = code.inst(op);
        let [a, b, c] = inst.args;
        let held = match inst.op {
            Op::Param | Op::FParam | Op::Merge => return Ok(()),

            Op::Add | Op::Sub | Op::Mul => {
                let wanted = self.wanted.get(&pair_key(inst.op, inst)).copied();
                Held::Word(match wanted {
                    Some(overflow) => self.pair(overflow, inst).0,
                    None => {
                        let (x, y) = (self.word(a), self.word(b));
                        match inst.op {
                            Op::Add => self.at.ins().iadd(x, y),
                            Op::Sub => self.at.ins().isub(x, y),
                            _ => self.at.ins().imul(x, y),
                        }
                    }
                })
            }
            Op::AddOvf | Op::SubOvf | Op::MulOvf | Op::UmulOvf => Held::Bool(self.pair(inst.op, inst).1),
            Op::And | Op::Or | Op::Xor => self.bitwise(inst),
            Op::Div | Op::Rem | Op::Udiv | Op::Urem | Op::Shl | Op::Shr | Op::Ushr | Op::Rotl => {
                let (x, y) = (self.word(a), self.word(b));
                let ins = self.at.ins();
                Held::Word(match inst.op {
                    Op::Div => ins.sdiv(x, y),
                    Op::Rem => ins.srem(x, y),
                    Op::Udiv => ins.udiv(x, y),
                    Op::Urem => ins.urem(x, y),
                    Op::Shl => ins.ishl(x, y),
                    Op::Shr => ins.sshr(x, y),
                    Op::Ushr => ins.ushr(x, y),
                    _ => ins.rotl(x, y),
                })
            }
            Op::Clz | Op::Ctz | Op::Popcnt => {
                let x = self.word(a);
                Held::Word(match inst.op {
                    Op::Clz => self.at.ins().clz(x),
                    Op::Ctz => self.at.ins().ctz(x),
                    _ => self.at.ins().popcnt(x),
                })
            }
            Op::Sext8 | Op::Sext16 | Op::Sext32 | Op::Zext8 | Op::Zext16 | Op::Zext32 => Held::Word(self.extend(inst)),
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Ult | Op::Ule => self.compare(inst),

            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv => {
                let (x, y) = (self.float(a), self.float(b));
                let ins = self.at.ins();
                Held::Float(match inst.op {
                    Op::Fadd => ins.fadd(x, y),
                    Op::Fsub => ins.fsub(x, y),
                    Op::Fmul => ins.fmul(x, y),
                    _ => ins.fdiv(x, y),
                })
            }
            Op::Fneg | Op::Fabs | Op::Fsqrt => {
                let x = self.float(a);
                let ins = self.at.ins();
                Held::Float(match inst.op {
                    Op::Fneg => ins.fneg(x),
                    Op::Fabs => ins.fabs(x),
                    _ => ins.sqrt(x),
                })
            }
            Op::Ffloor | Op::Fceil | Op::Ftrunc => Held::Float(self.round(inst)),
            Op::Feq | Op::Fne | Op::Flt | Op::Fle => {
                let (x, y) = (self.float(a), self.float(b));
                let condition = match inst.op {
                    Op::Feq => FloatCC::Equal,
                    Op::Fne => FloatCC::NotEqual,
                    Op::Flt => FloatCC::LessThan,
                    _ => FloatCC::LessThanOrEqual,
                };
                Held::Bool(self.at.ins().fcmp(condition, x, y))
            }
            Op::FloatBits => Held::Word(self.word(a)),
            Op::BitsFloat => {
                let x = self.word(a);
                Held::Float(self.at.ins().bitcast(F64, MemFlagsData::new(), x))
            }
            Op::IntToFloat => {
                let x = self.word(a);
                Held::Float(self.at.ins().fcvt_from_sint(F64, x))
            }
            Op::UintToFloat => {
                let x = self.word(a);
                Held::Float(self.at.ins().fcvt_from_uint(F64, x))
            }
            Op::FloatToInt => {
                let x = self.float(a);
                Held::Word(self.at.ins().fcvt_to_sint_sat(I64, x))
            }
            Op::FloatToUint => {
                let x = self.float(a);
                Held::Word(self.at.ins().fcvt_to_uint_sat(I64, x))
            }

            Op::Load => self.load(inst.field(), a),
            Op::Store => {
                self.store(inst.field(), a, b);
                Held::Nothing
            }
            Op::LoadItem => self.load_item(inst.field(), a, b),
            Op::StoreItem => {
                self.store_item(inst.field(), a, b, c);
                Held::Nothing
            }
            Op::Len => {
                let object = self.word(a);
                let offset = inst.field().offset as i32 - LEN_BYTES;
                Held::Word(self.at.ins().load(I64, MEMORY, object, offset))
            }
            Op::ShapeOf => {
                let object = self.word(a);
                Held::Word(self.at.ins().uload32(MEMORY, object, SHAPE_OFFSET))
            }
            Op::Stopped => {
                // Atomic, so that no earlier one's result is taken.
                let address = self.at.ins().iadd_imm_u(self.context, offset_of!(Context, stop) as i64);
                Held::Word(self.at.ins().atomic_load(I64, MEMORY, address))
            }
            Op::New => Held::Word(self.new_object(op)?),

            Op::Call => {
                let Aux::Call(callee, range) = inst.aux else {
                    return Err(malformed(op, "has no callee"));
                };
                Held::Word(self.call(op, callee, code.args(range))?)
            }
            Op::ResultWord => Held::Word(self.further_word(op)?),

            Op::GuardTrue | Op::GuardFalse | Op::GuardValue | Op::GuardCount | Op::GuardValid => {
                self.guard(inst);
                Held::Nothing
            }
        };
        self.values[op.0 as usize] = held;
        Ok(())
    }

    fn bitwise(&mut self, inst: &Inst) -> Held {
        let [a, b, _] = inst.args;
        let both = match (self.as_bool(a), self.as_bool(b)) {
            (Some(x), Some(y)) => Some((x, y)),
            _ => None,
        };
        let (x, y) = both.unwrap_or_else(|| (self.word(a), self.word(b)));
        let ins = self.at.ins();
        let value = match inst.op {
            Op::And => ins.band(x, y),
            Op::Or => ins.bor(x, y),
            _ => ins.bxor(x, y),
        };
        if both.is_some() { Held::Bool(value) } else { Held::Word(value) }
    }

    fn compare(&mut self, inst: &Inst) -> Held {
        let [a, b, _] = inst.args;
        if let (Some(x), Some(0), Op::Eq | Op::Ne) = (self.as_bool(a), b.as_const(), inst.op) {
            return Held::Bool(match inst.op {
                Op::Ne => x,
                _ => self.at.ins().icmp_imm_u(IntCC::Equal, x, 0),
            });
        }
        let condition = match inst.op {
            Op::Eq => IntCC::Equal,
            Op::Ne => IntCC::NotEqual,
            Op::Lt => IntCC::SignedLessThan,
            Op::Le => IntCC::SignedLessThanOrEqual,
            Op::Ult => IntCC::UnsignedLessThan,
            _ => IntCC::UnsignedLessThanOrEqual,
        };
        // Machines compare with a constant on the right.
        if a.as_const().is_some() && b.as_const().is_none() {
            let (x, y) = (self.word(a), self.word(b));
            return Held::Bool(self.at.ins().icmp(condition.swap_args(), y, x));
        }
        let (x, y) = (self.word(a), self.word(b));
        Held::Bool(self.at.ins().icmp(condition, x, y))
    }

    fn extend(&mut self, inst: &Inst) -> Value {
        let x = self.word(inst.args[0]);
        let (narrow, signed) = match inst.op {
            Op::Sext8 => (I8, true),
            Op::Sext16 => (I16, true),
            Op::Sext32 => (I32, true),
            Op::Zext8 => (I8, false),
            Op::Zext16 => (I16, false),
            _ => (I32, false),
        };
        let low = self.at.ins().ireduce(narrow, x);
        if signed { self.at.ins().sextend(I64, low) } else { self.at.ins().uextend(I64, low) }
    }

    fn round(&mut self, inst: &Inst) -> Value {
        let x = self.float(inst.args[0]);
        if self.features.rounds {
            let ins = self.at.ins();
            return match inst.op {
                Op::Ffloor => ins.floor(x),
                Op::Fceil => ins.ceil(x),
                _ => ins.trunc(x),
            };
        }
        let helper = match inst.op {
            Op::Ffloor => super::helpers::floor as *const (),
            Op::Fceil => super::helpers::ceil as *const (),
            _ => super::helpers::trunc as *const (),
        };
        let bits = self.at.ins().bitcast(I64, MemFlagsData::new(), x);
        let bits = self.call_address(helper as u64, &[bits]);
        self.at.ins().bitcast(F64, MemFlagsData::new(), bits)
    }

    /// Goes on in a new block if the condition is as said, and to `other` if not.
    pub(super) fn branch(&mut self, condition: Value, stay: Branch, other: Block, place: Place) {
        let next = self.at.func.dfg.make_block();
        // In Cranelift's order of blocks, what a branch goes to when its condition is 0 comes next.
        let (condition, then, otherwise) = match (stay, place) {
            (Branch::OnZero, Place::Far) => (condition, other, next),
            (Branch::OnNotZero, Place::Near) => (condition, next, other),
            (Branch::OnZero, Place::Near) => (self.negate(condition), next, other),
            (Branch::OnNotZero, Place::Far) => (self.negate(condition), other, next),
        };
        self.at.ins().brif(condition, then, &[], otherwise, &[]);
        self.at.insert_block(next);
    }

    /// A condition that holds when this one does not.
    fn negate(&mut self, condition: Value) -> Value {
        let dfg = &self.at.func.dfg;
        let inst = dfg.value_def(condition).inst();
        match inst.map(|inst| dfg.insts[inst]) {
            Some(InstructionData::IntCompare { args, cond, .. }) => {
                self.at.ins().icmp(cond.complement(), args[0], args[1])
            }
            Some(InstructionData::FloatCompare { args, cond, .. }) => {
                self.at.ins().fcmp(cond.complement(), args[0], args[1])
            }
            _ => self.at.ins().icmp_imm_u(IntCC::Equal, condition, 0),
        }
    }

    fn guard(&mut self, inst: &Inst) {
        let exit = self.exit_target(ExitId(inst.index()));
        let place = match self.code.exits[inst.index() as usize].bridge {
            Some(_) => Place::Far,
            None => Place::Near,
        };
        let [a, b, _] = inst.args;
        match inst.op {
            Op::GuardTrue => {
                let condition = self.condition(a);
                self.branch(condition, Branch::OnNotZero, exit, place);
            }
            Op::GuardFalse => match self.holds_of_nan_alone(a) {
                Some(test) => self.guard_against_nan(&test, exit, place),
                None => {
                    let condition = self.condition(a);
                    self.branch(condition, Branch::OnZero, exit, place);
                }
            },
            Op::GuardValue => match (self.as_bool(a), b.as_const()) {
                (Some(condition), Some(0)) => self.branch(condition, Branch::OnZero, exit, place),
                (Some(condition), Some(1)) => self.branch(condition, Branch::OnNotZero, exit, place),
                _ => {
                    let (x, y) = (self.word(a), self.word(b));
                    let equal = self.at.ins().icmp(IntCC::Equal, x, y);
                    self.branch(equal, Branch::OnNotZero, exit, place);
                }
            },
            Op::GuardCount => {
                let offset = counter_offset(a.as_const().unwrap_or(0) as usize);
                let counter = self.at.ins().load(I32, MEMORY, self.context, offset);
                let minus_one = self.at.ins().iconst(I32, i64::from(u32::MAX));
                let counter = self.at.ins().iadd(counter, minus_one);
                self.at.ins().store(MEMORY, counter, self.context, offset);
                self.branch(counter, Branch::OnNotZero, exit, place);
            }
            _ => {
                // The word is written by whoever invalidates, from a callee or from another thread. An atomic load
                // costs nothing here and keeps Cranelift from taking an earlier one's result.
                if let Some(valid) = &self.options.valid {
                    let address = self.word_const(std::sync::Arc::as_ptr(valid) as u64);
                    let valid = self.at.ins().atomic_load(I64, MEMORY, address);
                    self.branch(valid, Branch::OnNotZero, exit, place);
                }
            }
        }
    }
}

/// A test `above < pattern + offset`, unsigned, of a float's pattern.
struct PatternTest {
    float: Arg,
    offset: u64,
    above: u64,
}

impl Lowering<'_> {
    /// The test that a condition is, if it is one of a float's pattern that holds of NaNs alone: whether a boxed float is taken
    /// for something else.
    fn holds_of_nan_alone(&self, condition: Arg) -> Option<PatternTest> {
        let defined = |arg: Arg| match arg {
            Arg::Op(op) => Some(self.code.inst(op)),
            Arg::Const(_) => None,
        };
        let test = defined(condition).filter(|inst| inst.op == Op::Ult)?;
        let (above, boxed) = (test.args[0].as_const()?, defined(test.args[1])?);
        let (pattern, offset) = match boxed.op {
            Op::Add => (defined(boxed.args[0])?, boxed.args[1].as_const()?),
            _ => (boxed, 0),
        };
        // Patterns from `least` to `greatest` are those it holds of.
        let (least, greatest) = (above.wrapping_add(1).wrapping_sub(offset), u64::MAX.wrapping_sub(offset));
        let infinity = f64::INFINITY.to_bits();
        let nans = least <= greatest && least << 1 >> 1 > infinity && least >> 63 == greatest >> 63;
        (pattern.op == Op::FloatBits && above != u64::MAX && nans).then_some(PatternTest {
            float: pattern.args[0],
            offset,
            above,
        })
    }

    /// Leaves if the test holds: an unlikely comparison of the float with itself comes before it.
    fn guard_against_nan(&mut self, test: &PatternTest, exit: Block, place: Place) {
        let float = self.float(test.float);
        let number = self.at.ins().fcmp(FloatCC::Ordered, float, float);
        let (rare, next) = (self.at.func.dfg.make_block(), self.at.func.dfg.make_block());
        self.at.ins().brif(number, next, &[], rare, &[]);
        self.at.insert_block(rare);
        self.at.func.layout.set_cold(rare);
        let pattern = self.at.ins().bitcast(I64, MemFlagsData::new(), float);
        let (offset, above) = (self.word_const(test.offset), self.word_const(test.above));
        let boxed = self.at.ins().iadd(pattern, offset);
        let holds = self.at.ins().icmp(IntCC::UnsignedLessThan, above, boxed);
        self.branch(holds, Branch::OnZero, exit, place);
        let cold = self.at.current_block().expect("the branch began a block");
        self.at.func.layout.set_cold(cold);
        self.at.ins().jump(next, &[]);
        self.at.insert_block(next);
    }
}

/// Where, in the register allocator's order of blocks, the block stands that a branch does not go on in.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Directly behind the branch. Cold blocks are moved out of the way after registers are allocated.
    Near,
    /// Behind everything that the branch goes on to.
    Far,
}

/// When a branch goes on.
#[derive(Clone, Copy)]
pub(super) enum Branch {
    OnZero,
    OnNotZero,
}

pub(super) fn malformed(op: OpRef, what: &str) -> CompileError {
    CompileError::Malformed(format!("{op} {what}"))
}

pub(super) fn clif_type(ty: Option<Type>) -> cranelift_codegen::ir::Type {
    match ty {
        Some(Type::Float) => F64,
        _ => I64,
    }
}

pub(super) fn slot_offset(slot: usize) -> i32 {
    (offset_of!(Context, slots) + 8 * slot) as i32
}

pub(super) fn counter_offset(counter: usize) -> i32 {
    (offset_of!(Context, counters) + 4 * counter) as i32
}

pub(super) fn result_offset(word: usize) -> i32 {
    (offset_of!(Context, results) + 8 * word) as i32
}
