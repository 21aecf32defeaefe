//! Which value is in which register, and what happens to that where blocks meet.
//!
//! **Invariants.** A value that is needed and in no register is in its home, a word of the native frame. Homes are given to values for
//! the whole time from when they first need one to when they are needed last. Where several ways lead to
//! a block, the first one to be made says where the values are to be; the others bring them there.

use super::Emitter;
use super::assembler::{
    Alu, CONTEXT, FLOAT_SCRATCH, Label, Mem, Operand, RAX, RBP, RCX, RDI, RDX, RSI, Reg, SCRATCH, Section, at,
};
use super::liveness::NONE;
use crate::backend::compiler::CompileError;
use crate::backend::lower::malformed;
use crate::ir::code::BlockId;
use crate::ir::{Arg, OpRef};
use crate::word::Type;

/// Registers that a call may change, in the order in which they are given out.
const NEAR: [Reg; 8] = [RCX, RSI, RDI, Reg(8), Reg(9), Reg(10), RDX, RAX];
/// Registers that calls leave alone.
pub(super) const FAR: [Reg; 4] = [Reg(12), Reg(13), Reg(14), Reg(15)];
/// Float registers; calls may change all of them.
const FLOATS: std::ops::Range<u8> = 16..31;
/// Words of the frame below `RBP` that hold the caller's registers.
pub(super) const SAVED_WORDS: usize = 1 + FAR.len();
/// How many homes are looked at before a new one is made.
const HOMES_TRIED: usize = 48;

/// What is in the registers.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// By register: the value, or [`NONE`].
    holder: [u32; 32],
    /// Registers whose value is in its home as well.
    homed: u32,
}

impl Default for File {
    fn default() -> Self {
        File { holder: [NONE; 32], homed: 0 }
    }
}

/// Where a word is to be put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Reg(Reg),
    /// So many bytes from the address in a register that holds the same everywhere.
    Frame(Reg, i32),
}

/// Where a word comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Place(Place),
    Const(u64),
    /// The address of a field of the context.
    ContextField(i32),
}

/// Where values are when a block begins.
#[derive(Clone, Debug)]
pub(super) struct BlockState {
    file: File,
    /// By parameter: its register, if it has one.
    params: Vec<Option<Reg>>,
}

impl Emitter<'_> {
    pub(super) fn is_float(&self, op: OpRef) -> bool {
        self.code.inst(op).result() == Some(Type::Float)
    }

    fn register_of(&self, value: u32) -> Option<Reg> {
        match self.place[value as usize] {
            u8::MAX => None,
            reg => Some(Reg(reg)),
        }
    }

    fn put(&mut self, value: u32, reg: Reg, homed: bool) {
        let old = std::mem::replace(&mut self.file.holder[reg.0 as usize], value);
        if old != NONE && self.place[old as usize] == reg.0 {
            self.place[old as usize] = u8::MAX;
        }
        self.place[value as usize] = reg.0;
        self.file.homed = self.file.homed & !reg.bit() | if homed { reg.bit() } else { 0 };
    }

    fn vacate(&mut self, reg: Reg) {
        let old = std::mem::replace(&mut self.file.holder[reg.0 as usize], NONE);
        if old != NONE {
            self.place[old as usize] = u8::MAX;
        }
    }

    /// Whether the register's value is needed at the current position or later.
    fn is_taken(&self, reg: Reg) -> bool {
        let value = self.file.holder[reg.0 as usize];
        value != NONE && self.live.end[value as usize] >= self.position
    }

    /// The address of a value's home.
    fn home(&mut self, value: u32) -> Mem {
        let word = match self.homes[value as usize] {
            NONE => {
                let (count, position) = (self.home_ends.len(), self.position);
                let tried = count.min(HOMES_TRIED);
                let free = (0..tried).map(|i| (self.next_home + i) % count).find(|&i| self.home_ends[i] < position);
                let word = free.unwrap_or_else(|| {
                    self.home_ends.push(0);
                    count
                });
                self.next_home = word + 1;
                self.home_ends[word] = self.live.end[value as usize];
                self.homes[value as usize] = word as u32;
                word
            }
            word => word as usize,
        };
        at(RBP, -8 * (SAVED_WORDS + word + 1) as i32)
    }

    fn home_place(&mut self, value: u32) -> Place {
        let home = self.home(value);
        Place::Frame(home.base, home.offset)
    }

    /// Writes the register's value to its home, unless it is there.
    fn save(&mut self, reg: Reg) {
        let value = self.file.holder[reg.0 as usize];
        if self.file.homed & reg.bit() == 0 {
            let home = self.home(value);
            self.asm.store(home, reg);
            self.file.homed |= reg.bit();
        }
    }

    /// A register that nothing is in, not to be given to anything else during this instruction.
    fn free_register(&mut self, float: bool, far: bool) -> Reg {
        let free = |this: &Self, reg: Reg| this.locked & reg.bit() == 0 && !this.is_taken(reg);
        let found = if float {
            FLOATS.map(Reg).find(|&reg| free(self, reg))
        } else if far {
            FAR.iter().chain(&NEAR).copied().find(|&reg| free(self, reg))
        } else {
            NEAR.iter().chain(&FAR).copied().find(|&reg| free(self, reg))
        };
        let reg = found.unwrap_or_else(|| {
            let needed_longest = |this: &Self, reg: &Reg| this.live.end[this.file.holder[reg.0 as usize] as usize];
            let open = |this: &Self, reg: &Reg| this.locked & reg.bit() == 0;
            let reg = if float {
                FLOATS.map(Reg).filter(|reg| open(self, reg)).max_by_key(|reg| needed_longest(self, reg))
            } else {
                NEAR.iter()
                    .chain(&FAR)
                    .copied()
                    .filter(|reg| open(self, reg))
                    .max_by_key(|reg| needed_longest(self, reg))
            };
            let reg = reg.expect("no instruction needs all registers");
            self.save(reg);
            reg
        });
        self.vacate(reg);
        self.use_register(reg);
        reg
    }

    fn use_register(&mut self, reg: Reg) {
        self.locked |= reg.bit();
        self.used |= reg.bit();
    }

    /// A register for something that is no value of the code.
    pub(super) fn temporary(&mut self) -> Reg {
        self.free_register(false, false)
    }

    pub(super) fn float_temporary(&mut self) -> Reg {
        self.free_register(true, false)
    }

    /// A register for the result of an instruction.
    pub(super) fn define(&mut self, op: OpRef) -> Reg {
        let far = self.live.crosses_call(op.0, self.position);
        let reg = self.free_register(self.is_float(op), far);
        self.put(op.0, reg, false);
        reg
    }

    /// The result of an instruction is in that register.
    pub(super) fn define_in(&mut self, op: OpRef, reg: Reg) {
        self.put(op.0, reg, false);
        self.use_register(reg);
    }

    /// A register for the result of an instruction, with the word of an operand in it that the instruction changes. No
    /// other operand may be in it.
    pub(super) fn modify(&mut self, op: OpRef, operand: Arg) -> Reg {
        let float = self.is_float(op);
        if let Arg::Op(old) = operand
            && let Some(reg) = self.register_of(old.0)
            && reg.is_float() == float
            && self.live.end[old.0 as usize] == self.position
            && (float || FAR.contains(&reg) || !self.live.crosses_call(op.0, self.position))
        {
            self.put(op.0, reg, false);
            self.use_register(reg);
            return reg;
        }
        if let Arg::Op(old) = operand
            && let Some(reg) = self.register_of(old.0)
        {
            self.use_register(reg);
        }
        let reg = self.define(op);
        self.bring(reg, operand);
        reg
    }

    /// Copies an operand's word into a register.
    pub(super) fn bring(&mut self, reg: Reg, operand: Arg) {
        let source = self.source(operand);
        self.transfer(Place::Reg(reg), source);
    }

    /// Where an operand is.
    pub(super) fn source(&mut self, operand: Arg) -> Source {
        match operand {
            Arg::Const(bits) => Source::Const(bits),
            Arg::Op(op) => Source::Place(match self.register_of(op.0) {
                Some(reg) => Place::Reg(reg),
                None => self.home_place(op.0),
            }),
        }
    }

    /// An operand in a word register.
    pub(super) fn word(&mut self, operand: Arg) -> Reg {
        let Arg::Op(op) = operand else {
            let reg = self.temporary();
            self.bring(reg, operand);
            return reg;
        };
        if self.is_float(op) {
            if let Some(reg) = self.register_of(op.0) {
                self.use_register(reg);
            }
            let reg = self.temporary();
            self.bring(reg, operand);
            return reg;
        }
        self.in_register(op)
    }

    /// An operand in a float register.
    pub(super) fn float(&mut self, operand: Arg) -> Reg {
        match operand {
            Arg::Op(op) if self.is_float(op) => self.in_register(op),
            _ => {
                if let Arg::Op(op) = operand
                    && let Some(reg) = self.register_of(op.0)
                {
                    self.use_register(reg);
                }
                let reg = self.float_temporary();
                self.bring(reg, operand);
                reg
            }
        }
    }

    fn in_register(&mut self, op: OpRef) -> Reg {
        if let Some(reg) = self.register_of(op.0) {
            self.use_register(reg);
            return reg;
        }
        let home = self.home(op.0);
        let far = self.live.crosses_call(op.0, self.position);
        let reg = self.free_register(self.is_float(op), far);
        self.asm.load(reg, home);
        self.put(op.0, reg, true);
        reg
    }

    /// An operand that an instruction reads as it is: a register, the home, a small constant.
    pub(super) fn operand(&mut self, operand: Arg) -> Operand {
        match operand {
            Arg::Const(bits) => match i32::try_from(bits as i64) {
                Ok(small) => Operand::Imm(small),
                Err(_) => Operand::Reg(self.word(operand)),
            },
            Arg::Op(op) if self.is_float(op) => Operand::Reg(self.word(operand)),
            Arg::Op(op) => match self.register_of(op.0) {
                Some(reg) => {
                    self.use_register(reg);
                    Operand::Reg(reg)
                }
                // Somebody else may want it, too.
                None if self.live.end[op.0 as usize] > self.position => Operand::Reg(self.in_register(op)),
                None => Operand::Mem(self.home(op.0)),
            },
        }
    }

    /// The same of a float.
    pub(super) fn float_operand(&mut self, operand: Arg) -> Operand {
        match operand {
            Arg::Op(op) if self.is_float(op) && self.register_of(op.0).is_none() => Operand::Mem(self.home(op.0)),
            _ => Operand::Reg(self.float(operand)),
        }
    }

    /// Makes sure that nothing which is needed later is in that register alone, and keeps it for the instruction.
    /// What was in it can still be read from it at first.
    pub(super) fn claim(&mut self, reg: Reg) {
        let value = self.file.holder[reg.0 as usize];
        if value != NONE && self.live.end[value as usize] > self.position {
            self.save(reg);
        }
        self.vacate(reg);
        self.use_register(reg);
    }

    /// The home of a value that was just saved.
    pub(super) fn saved(&mut self, value: OpRef) -> Source {
        if let Some(reg) = self.register_of(value.0) {
            self.save(reg);
        }
        Source::Place(self.home_place(value.0))
    }

    /// Where values are when the function begins.
    pub(super) fn state_of_entry(&self) -> BlockState {
        let mut file = self.file.clone();
        file.homed = 0;
        let params = self.code.blocks[0].params.iter().map(|param| self.register_of(param.0)).collect();
        BlockState { file, params }
    }

    /// Before a call: what is needed after it is where the call does not touch it.
    pub(super) fn save_across_call(&mut self) {
        for number in (0..32).filter(|&number| !FAR.contains(&Reg(number))) {
            let value = self.file.holder[number as usize];
            if value != NONE && self.live.end[value as usize] > self.position {
                self.save(Reg(number));
            }
        }
    }

    /// After a call: what was in registers that a call may change is in its home only.
    pub(super) fn forget_after_call(&mut self) {
        for number in (0..32).filter(|&number| !FAR.contains(&Reg(number))) {
            self.vacate(Reg(number));
        }
    }

    // ---- moves

    /// One move. Uses the scratch registers where machines have no such move.
    pub(super) fn transfer(&mut self, to: Place, from: Source) {
        let asm = &mut self.asm;
        match (to, from) {
            (Place::Reg(dst), Source::Place(Place::Reg(src))) => asm.copy(dst, src),
            (Place::Reg(dst), Source::Place(Place::Frame(base, offset))) => asm.load(dst, at(base, offset)),
            (Place::Reg(dst), Source::ContextField(offset)) => asm.address(dst, at(CONTEXT, offset)),
            (Place::Reg(dst), Source::Const(bits)) if dst.is_float() => {
                asm.constant(SCRATCH, bits);
                asm.copy(dst, SCRATCH);
            }
            (Place::Reg(dst), Source::Const(bits)) => asm.constant(dst, bits),
            (Place::Frame(base, offset), Source::Place(Place::Reg(src))) => asm.store(at(base, offset), src),
            (Place::Frame(base, offset), from) => {
                if let Source::Const(bits) = from
                    && let Ok(small) = i32::try_from(bits as i64)
                {
                    return asm.store_imm(at(base, offset), small);
                }
                self.transfer(Place::Reg(SCRATCH), from);
                self.asm.store(at(base, offset), SCRATCH);
            }
        }
    }

    /// Moves that happen at once.
    pub(super) fn transfer_all(&mut self, mut moves: Vec<(Place, Source)>) {
        moves.retain(|&(to, from)| from != Source::Place(to));
        while !moves.is_empty() {
            let is_read = |place: Place| moves.iter().any(|&(_, from)| from == Source::Place(place));
            if let Some(ready) = moves.iter().position(|&(to, _)| !is_read(to)) {
                let (to, from) = moves.swap_remove(ready);
                self.transfer(to, from);
            } else {
                // All that are left are cycles: one word is put aside.
                let (_, from) = moves[0];
                let aside = Place::Reg(FLOAT_SCRATCH);
                if matches!(from, Source::Place(Place::Frame(..))) {
                    self.transfer(Place::Reg(SCRATCH), from);
                    self.transfer(aside, Source::Place(Place::Reg(SCRATCH)));
                } else {
                    self.transfer(aside, from);
                }
                for (_, other) in moves.iter_mut().filter(|(_, other)| *other == from) {
                    *other = Source::Place(aside);
                }
            }
        }
    }

    // ---- ways from block to block

    /// Begins a block: the values are where the ways to it have brought them.
    pub(super) fn begin(&mut self, block: BlockId) {
        let state = self.states[block.0 as usize].as_ref().expect("a block is reached before it is made");
        for &value in self.file.holder.iter().filter(|&&value| value != NONE) {
            self.place[value as usize] = u8::MAX;
        }
        self.file = state.file.clone();
        for (reg, value) in self.file.holder.iter_mut().enumerate().filter(|(_, value)| **value != NONE) {
            if self.live.end[*value as usize] < self.position {
                *value = NONE;
            } else {
                self.place[*value as usize] = reg as u8;
            }
        }
    }

    /// Where a block is that a guard branches to.
    pub(super) fn guard_way(&mut self, target: BlockId) -> Label {
        let label = self.block_label(target);
        let index = target.0 as usize;
        if self.states[index].is_some() {
            let moves = self.moves_to(target, &[]);
            if moves.is_empty() {
                return label;
            }
            let stub = self.asm.label();
            let section = std::mem::replace(&mut self.asm.section, Section::Slow);
            self.asm.bind(stub);
            self.transfer_all(moves);
            self.asm.jump(label);
            self.asm.section = section;
            return stub;
        }
        self.begins_here(target, &[]);
        label
    }

    /// Goes to a block.
    pub(super) fn jump(&mut self, target: BlockId, args: &[Arg]) -> Result<(), CompileError> {
        if args.len() != self.code.blocks[target.0 as usize].params.len() {
            return Err(CompileError::Malformed(format!("block {} is given {} words", target.0, args.len())));
        }
        if self.states[target.0 as usize].is_none() {
            self.begins_here(target, args);
        }
        let moves = self.moves_to(target, args);
        self.transfer_all(moves);
        if self.next != Some(target) {
            let label = self.block_label(target);
            self.asm.jump(label);
        }
        Ok(())
    }

    /// Decides where values are when a block begins, so that this way there is the shortest.
    fn begins_here(&mut self, target: BlockId, args: &[Arg]) {
        let (index, start) = (target.0 as usize, self.live.start[target.0 as usize]);
        let mut file = self.file.clone();
        for value in file.holder.iter_mut().filter(|value| **value != NONE) {
            if !self.live.lives_at(*value, start) {
                *value = NONE;
            }
        }
        let code = self.code;
        let params = &code.blocks[index].params;
        let mut registers = vec![None; params.len()];
        if self.live.ways_in[index] > 1 || !params.is_empty() {
            file.homed = 0;
            for (i, (&param, &arg)) in params.iter().zip(args).enumerate() {
                if self.live.end[param.0 as usize] == 0 {
                    continue;
                }
                let float = self.is_float(param);
                let far = self.live.crosses_call(param.0, start);
                let its_own = match arg {
                    Arg::Op(op) => self.register_of(op.0).filter(|reg| {
                        file.holder[reg.0 as usize] == NONE
                            && reg.is_float() == float
                            && (float || !far || FAR.contains(reg))
                    }),
                    Arg::Const(_) => None,
                };
                let free = |reg: &Reg| file.holder[reg.0 as usize] == NONE;
                let reg = its_own.or_else(|| match (float, far) {
                    (true, _) => FLOATS.map(Reg).find(free),
                    (false, true) => FAR.iter().chain(&NEAR).copied().find(free),
                    (false, false) => NEAR.iter().chain(&FAR).copied().find(free),
                });
                if let Some(reg) = reg {
                    file.holder[reg.0 as usize] = param.0;
                    self.used |= reg.bit();
                }
                registers[i] = reg;
            }
        }
        self.states[index] = Some(BlockState { file, params: registers });
    }

    /// What brings the values to where a block wants them.
    fn moves_to(&mut self, target: BlockId, args: &[Arg]) -> Vec<(Place, Source)> {
        let index = target.0 as usize;
        let code = self.code;
        let state = self.states[index].take().expect("a block that is gone to has its state");
        let start = self.live.start[index];
        let mut moves = Vec::new();
        for (i, &param) in code.blocks[index].params.iter().enumerate() {
            if self.live.end[param.0 as usize] == 0 {
                continue;
            }
            let to = match state.params[i] {
                Some(reg) => Place::Reg(reg),
                None => self.home_place(param.0),
            };
            moves.push((to, self.source(args[i])));
        }
        for (number, &value) in state.file.holder.iter().enumerate() {
            if value == NONE || self.live.defined[value as usize] == start {
                continue;
            }
            let to = Place::Reg(Reg(number as u8));
            match self.register_of(value) {
                Some(reg) => moves.push((to, Source::Place(Place::Reg(reg)))),
                // What this way has not computed is not looked at there.
                None if self.homes[value as usize] == NONE => {}
                None => moves.push((to, Source::Place(self.home_place(value)))),
            }
        }
        for number in 0..32 {
            let (reg, value) = (Reg(number), self.file.holder[number as usize]);
            if value != NONE
                && self.file.homed & reg.bit() == 0
                && self.live.lives_at(value, start)
                && !state.file.holder.contains(&value)
            {
                let to = self.home_place(value);
                moves.push((to, Source::Place(Place::Reg(reg))));
            }
        }
        self.states[index] = Some(state);
        moves
    }

    /// The words that an exit hands over, as where they are now.
    pub(super) fn slots(&mut self, slots: &[OpRef]) -> Result<Vec<Place>, CompileError> {
        slots
            .iter()
            .map(|&slot| match self.register_of(slot.0) {
                Some(reg) => Ok(Place::Reg(reg)),
                None if self.homes[slot.0 as usize] == NONE => {
                    Err(malformed(slot, "is handed over by an exit and not defined"))
                }
                None => Ok(self.home_place(slot.0)),
            })
            .collect()
    }

    /// Compares a register with any word.
    pub(super) fn compare_with(&mut self, reg: Reg, bits: u64) {
        match i32::try_from(bits as i64) {
            Ok(small) => self.asm.alu(Alu::Cmp, Operand::Reg(reg), Operand::Imm(small)),
            Err(_) => {
                self.asm.constant(SCRATCH, bits);
                self.asm.alu(Alu::Cmp, Operand::Reg(reg), Operand::Reg(SCRATCH));
            }
        }
    }
}
