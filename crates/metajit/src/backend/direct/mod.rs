//! Machine code in one pass: what quick code is made with on x86-64.
//!
//! **Problem.** Threaded code is made of every method that is called some hundred times, and a tree is compiled again for each batch of
//! bridges; most of that is not run much longer. Cranelift,
//! with nothing optimized and registers allocated in one pass, takes 3.3 µs for each operation of it: 57 µs for a bytecode of 2SOM, which
//! an interpreter runs in 0.03 (DeltaBlue: 673 bytecodes, 11,595 operations, 38 ms; directly: 5.2 ms). Its time goes to building,
//! translating and allocating three representations in turn.
//!
//! **Approach.** One pass over [`Code`] in the order of its blocks writes machine code, with Cranelift's assembler for the
//! instructions.
//!
//! * Before it, one pass finds how long values are needed ([`liveness`]), which comparisons are only tested by a guard (they
//!   set flags there and make no word), and which additions can share their flags with a test for overflow.
//! * Values stay in the register they were computed in, through guards and the blocks behind them, until the register is
//!   needed or a call takes it; then they have a home in the frame ([`registers`]). What lives across a call is put into a
//!   register that calls leave alone, if there is one. Where ways meet, the first way says where everything is, the
//!   others bring it there.
//! * What is hardly ever run is behind the rest: blocks that only failing guards lead to, exits, the slow ways of
//!   allocation and barriers.
//! * Few things stay calls of native helpers: conversions that saturate, counting bits, overflow of unsigned products.
//!
//! An operation takes about 0.4 µs, all told; the code is half as long as Cranelift's quick code and faster (threaded code of eleven
//! benchmarks: 0.56 of the interpreter's time, with Cranelift 0.88).
//!
//! **Invariants.** Each value is somewhere: see [`registers`]. Between the instruction that sets flags and the jump that
//! reads them nothing is emitted but moves that keep them. Everything else that compiled code must keep is
//! said in [`lower`](super::lower), [`memory`](super::memory) and [`calls`](super::calls), whose meaning this module shares
//! instruction by instruction; random code is run by both and by the evaluator to hold them together.
//!
//! **Rejected.** *Templates* (copying what a compiler has made for each operation): everything would go through memory, and on
//! stable Rust there is no way to make them. *A linear scan with splitting*: better code in loops, at several times the cost; a
//! loop that matters is compiled by Cranelift. *Another assembler*: this one is there already.

mod assembler;
mod calls;
mod liveness;
mod memory;
mod operations;
mod registers;
mod stub;

use super::compiler::{CompileError, Options};
use super::dispatch::{Plan, plan};
use super::helpers::Request;
use super::lower::{Features, check_bounds, slot_offset};
use super::memory::MemoryWork;
use super::stubs::Stubs;
use crate::context::PANICKED;
use crate::ir::code::{BlockId, Code, End};
use crate::ir::{Arg, OpRef};
use assembler::{Alu, Assembler, CONTEXT, Label, Operand, RAX, RBP, RDI, RSP, Reg, SCRATCH, Section, at};
use liveness::{Liveness, NONE};
use registers::{BlockState, FAR, File, Place, SAVED_WORDS};
pub(super) use stub::stub;

/// A function's machine code.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) code: Vec<u8>,
    /// Where the code names requests, they are these.
    pub(super) requests: Vec<Box<[Request]>>,
    /// What it does about objects.
    pub(super) memory: MemoryWork,
    /// How its frame is made.
    pub(super) frame: Frame,
}

/// What unwinders must know: every function begins and ends in the same way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Bytes of the code.
    pub(super) bytes: u32,
    /// Behind the instruction that saves the caller's `RBP`.
    pub(super) pushed: u32,
    /// Behind the one that makes it this function's own.
    pub(super) made: u32,
    /// Behind the prologue.
    pub(super) ready: u32,
    /// Behind the one that restores the caller's.
    pub(super) restored: u32,
    /// Registers of the caller's that are kept in the frame, by their numbers, and where: bytes from what `RBP` points to.
    pub(super) saved: Vec<(u16, i32)>,
}

/// Bytes of stack that are touched one after the other, so that no guard page is jumped over.
const PAGE: i32 = 4096;

pub(super) struct Emitter<'a> {
    code: &'a Code,
    options: &'a Options,
    features: Features,
    stubs: &'a Stubs,
    asm: Assembler,
    live: Liveness,
    file: File,
    /// By value: its register, or `u8::MAX`.
    place: Vec<u8>,
    /// By value: its home, or [`NONE`].
    homes: Vec<u32>,
    /// By home: until when it is taken.
    home_ends: Vec<u32>,
    next_home: usize,
    states: Vec<Option<BlockState>>,
    labels: Vec<Option<Label>>,
    /// Where the pass is.
    position: u32,
    /// The block that is made next, if nothing comes between.
    next: Option<BlockId>,
    /// Registers not to be given to anything else during this instruction.
    locked: u32,
    /// Registers used anywhere.
    used: u32,
    /// Words at the end of the frame for arguments of calls.
    outgoing: usize,
    /// Values computed before their turn.
    done: Vec<bool>,
    /// The operation whose overflow the flags at that place of the code tell.
    flags: Option<(OpRef, usize)>,
    heap: memory::HeapFacts<'a>,
    requests: Vec<Box<[Request]>>,
    exits: Vec<PendingExit>,
    panicked: Option<Label>,
    epilogue: Label,
    /// Whether the last call was of a portal.
    called_portal: bool,
}

/// An exit still to be made.
struct PendingExit {
    label: Label,
    number: u32,
    slots: Vec<Place>,
}

/// Makes machine code.
pub(super) fn emit(
    code: &Code,
    options: &Options,
    features: Features,
    stubs: &Stubs,
) -> Result<Assembled, CompileError> {
    check_bounds(code)?;
    let mut asm = Assembler::with_room(code.insts.len());
    let epilogue = asm.label();
    let emitter = Emitter {
        code,
        options,
        features,
        stubs,
        asm,
        live: Liveness::of(code, options.window.is_some()),
        file: File::default(),
        place: vec![u8::MAX; code.insts.len()],
        homes: vec![NONE; code.insts.len()],
        home_ends: Vec::new(),
        next_home: 0,
        states: vec![None; code.blocks.len()],
        labels: vec![None; code.blocks.len()],
        position: 0,
        next: None,
        locked: 0,
        used: 0,
        outgoing: 0,
        done: vec![false; code.insts.len()],
        flags: None,
        heap: memory::HeapFacts::default(),
        requests: Vec::new(),
        exits: Vec::new(),
        panicked: None,
        epilogue,
        called_portal: false,
    };
    emitter.run()
}

impl<'a> Emitter<'a> {
    fn run(mut self) -> Result<Assembled, CompileError> {
        let code = self.code;
        self.enter();
        for i in 0..self.live.order.len() {
            let id = self.live.order[i];
            let (index, cold) = (id as usize, self.live.cold[id as usize]);
            self.next =
                self.live.order.get(i + 1).copied().filter(|&next| self.live.cold[next as usize] == cold).map(BlockId);
            self.asm.section = if cold { Section::Cold } else { Section::Hot };
            self.position = self.live.start[index];
            let label = self.block_label(BlockId(id));
            self.asm.bind(label);
            self.begin(BlockId(id));
            self.heap.forget();
            let insts = &code.blocks[index].insts;
            for (i, &op) in insts.iter().enumerate() {
                self.position += 1;
                self.locked = 0;
                self.heap.rest = &insts[i..];
                self.inst(op)?;
            }
            self.position += 1;
            self.locked = 0;
            self.end(&code.blocks[index].end)?;
        }
        self.exit_stubs();
        self.finish()
    }

    fn block_label(&mut self, block: BlockId) -> Label {
        let asm = &mut self.asm;
        *self.labels[block.0 as usize].get_or_insert_with(|| asm.label())
    }

    /// Counts the entry and loads what the context hands over.
    fn enter(&mut self) {
        if let Some(countdown) = self.options.countdown {
            self.count_down(countdown);
        }
        let code = self.code;
        self.position = self.live.start[0];
        for (i, &param) in code.blocks[0].params.iter().enumerate() {
            if self.live.end[param.0 as usize] != 0 {
                let reg = self.define(param);
                self.asm.load(reg, at(CONTEXT, slot_offset(i)));
                // A parameter more than there are registers puts an earlier one into its home.
                self.locked = 0;
            }
        }
        self.states[0] = Some(self.state_of_entry());
    }

    fn end(&mut self, end: &End) -> Result<(), CompileError> {
        match end {
            End::Jump(target, args) => self.jump(*target, args)?,
            End::Exit(exit) => match self.code.exits[exit.0 as usize].bridge {
                Some(target) => self.jump(target, &[])?,
                None => {
                    let label = self.exit_label(*exit)?;
                    self.asm.jump(label);
                }
            },
            End::Finish(words) => self.return_words(words),
            End::Enter(entries) => self.choose_entry(entries)?,
            End::Switch { value, cases, otherwise } => {
                let value = self.word(*value);
                self.follow(&plan(cases, false), value, *otherwise);
            }
        }
        Ok(())
    }

    /// Goes to the block of the constant that a register holds. All comparisons are made with the values where they are now.
    fn follow(&mut self, plan: &Plan, value: Reg, otherwise: BlockId) {
        match plan {
            Plan::Tests(tests) => {
                for &(bits, to) in tests {
                    self.compare_with(value, bits);
                    let label = self.guard_way(to);
                    self.asm.jump_if(assembler::Cc::E, label);
                }
                let label = self.guard_way(otherwise);
                self.asm.jump(label);
            }
            Plan::Halves(at, below, others) => {
                let half = self.asm.label();
                self.compare_with(value, *at);
                self.asm.jump_if(assembler::Cc::L, half);
                self.follow(others, value, otherwise);
                self.asm.bind(half);
                self.follow(below, value, otherwise);
            }
            Plan::Table(..) => unreachable!("no tables were asked for"),
        }
    }

    /// Goes to the entry that the context names, with what the first block was given.
    fn choose_entry(&mut self, entries: &[BlockId]) -> Result<(), CompileError> {
        let code = self.code;
        let reds: Vec<Arg> = code.blocks[0].params.iter().map(|&param| Arg::Op(param)).collect();
        let Some((&last, others)) = entries.split_last() else { return Ok(()) };
        if !others.is_empty() {
            let entry = at(CONTEXT, std::mem::offset_of!(crate::context::Context, entry) as i32);
            let chosen = self.temporary();
            self.asm.load(chosen, entry);
            self.asm.store_imm(entry, 0);
            let next = self.next.take();
            for (index, &target) in others.iter().enumerate() {
                let other = self.asm.label();
                self.asm.alu(Alu::Cmp, Operand::Reg(chosen), Operand::Imm(index as i32));
                self.asm.jump_if(assembler::Cc::Ne, other);
                self.jump(target, &reds)?;
                self.asm.bind(other);
            }
            self.next = next;
        }
        self.jump(last, &reds)
    }

    fn return_number(&mut self, number: u64) {
        self.asm.constant(RAX, number);
        self.asm.jump(self.epilogue);
    }

    fn panicked(&mut self) -> Label {
        let asm = &mut self.asm;
        *self.panicked.get_or_insert_with(|| asm.label())
    }

    /// What guards branch to that have no bridge.
    fn exit_stubs(&mut self) {
        self.asm.section = Section::Slow;
        for exit in std::mem::take(&mut self.exits) {
            self.asm.bind(exit.label);
            for (i, &place) in exit.slots.iter().enumerate() {
                let to = at(CONTEXT, slot_offset(i));
                match place {
                    Place::Reg(reg) => self.asm.store(to, reg),
                    Place::Frame(base, offset) => {
                        self.asm.load(SCRATCH, at(base, offset));
                        self.asm.store(to, SCRATCH);
                    }
                }
            }
            self.return_number(u64::from(self.options.number) << 32 | u64::from(exit.number));
        }
        if let Some(label) = self.panicked {
            self.asm.bind(label);
            self.return_number(PANICKED);
        }
    }

    /// The end of all code, and the beginning, now that the frame is known.
    fn finish(mut self) -> Result<Assembled, CompileError> {
        let bytes = 8 * (SAVED_WORDS + self.home_ends.len() + self.outgoing) as i32;
        let bytes = (bytes + 15) & !15;
        let saved: Vec<_> = std::iter::once((CONTEXT, -8))
            .chain(FAR.iter().enumerate().map(|(i, &reg)| (reg, -16 - 8 * i as i32)))
            .filter(|(reg, _)| *reg == CONTEXT || self.used & reg.bit() != 0)
            .collect();
        self.asm.bind(self.epilogue);
        for &(reg, offset) in &saved {
            self.asm.load(reg, at(RBP, offset));
        }
        self.asm.copy(RSP, RBP);
        self.asm.pop(RBP);
        self.asm.ret();

        let mut prologue = Assembler::default();
        prologue.push(RBP);
        let pushed = prologue.here() as u32;
        prologue.copy(RBP, RSP);
        let made = prologue.here() as u32;
        for page in 1..=bytes / PAGE {
            prologue.store_imm(at(RSP, -page * PAGE), 0);
        }
        prologue.alu(Alu::Sub, Operand::Reg(RSP), Operand::Imm(bytes));
        for &(reg, offset) in &saved {
            prologue.store(at(RBP, offset), reg);
        }
        let ready = prologue.here() as u32;
        prologue.copy(CONTEXT, RDI);
        let code = self.asm.finish(prologue);
        // The last instruction, which returns, is one byte. Those registers have the same numbers in unwinders' tables.
        let saved = saved.into_iter().map(|(reg, offset)| (u16::from(reg.0), offset)).collect();
        let frame = Frame { bytes: code.len() as u32, pushed, made, ready, restored: code.len() as u32 - 1, saved };
        Ok(Assembled { code, requests: self.requests, memory: self.heap.work, frame })
    }
}
