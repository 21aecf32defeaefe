//! Calls and exits: as in [`calls`](crate::backend::calls) and [`exits`](crate::backend::exits).

use super::assembler::{Alu, CONTEXT, Cc, Label, Operand, RAX, RCX, RDI, RDX, RSI, RSP, Reg, SCRATCH, Section, at};
use super::registers::{Place, Source};
use super::{Emitter, PendingExit};
use crate::backend::calls::MAX_ARGUMENTS;
use crate::backend::compiler::{CompileError, Countdown};
use crate::backend::lower::{malformed, result_offset, slot_offset};
use crate::context::{CellHead, Context, FINISH, MAX_RESULTS, NO_CODE};
use crate::ir::code::ExitId;
use crate::ir::{Arg, Callee, Effect, OpRef};
use std::mem::offset_of;

/// Registers of the first arguments, by the platform's convention.
const ARGUMENTS: [Reg; 6] = [RDI, RSI, RDX, RCX, Reg(8), Reg(9)];

impl Emitter<'_> {
    pub(super) fn call(&mut self, op: OpRef, callee: &'static Callee, args: &[Arg]) -> Result<(), CompileError> {
        if args.len() >= MAX_ARGUMENTS || callee.results as usize > MAX_RESULTS + 1 {
            return Err(malformed(op, "passes too many words"));
        }
        self.called_portal = callee.is_portal();
        if self.called_portal {
            return self.call_portal(op, callee, args);
        }
        let mut words: Vec<Source> = args.iter().map(|&arg| self.source(arg)).collect();
        if callee.results > 1 {
            words.push(Source::ContextField(offset_of!(Context, results) as i32));
        }
        self.call_native(callee.address as u64, &words);
        self.leave_if_panicked();
        if self.live.end[op.0 as usize] != 0 {
            self.take_result(op);
        }
        Ok(())
    }

    /// Calls `extern "C" fn(u64, …) -> u64`; what it returns is in `RAX`.
    pub(super) fn call_native(&mut self, address: u64, words: &[Source]) {
        self.save_across_call();
        self.pass(words);
        self.asm.constant(SCRATCH, address);
        self.asm.call(Operand::Reg(SCRATCH));
        self.forget_after_call();
        self.heap.forget();
    }

    fn pass(&mut self, words: &[Source]) {
        let on_stack = words.len().saturating_sub(ARGUMENTS.len());
        self.outgoing = self.outgoing.max(on_stack);
        let moves = words.iter().enumerate().map(|(i, &word)| {
            let to = match ARGUMENTS.get(i) {
                Some(&reg) => Place::Reg(reg),
                None => Place::Frame(RSP, 8 * (i - ARGUMENTS.len()) as i32),
            };
            (to, word)
        });
        let moves = moves.collect();
        self.transfer_all(moves);
    }

    /// What a call returned is the value of `op`.
    pub(super) fn take_result(&mut self, op: OpRef) {
        if self.is_float(op) || self.live.crosses_call(op.0, self.position) {
            let reg = self.define(op);
            self.asm.copy(reg, RAX);
        } else {
            self.define_in(op, RAX);
        }
    }

    fn leave_if_panicked(&mut self) {
        let panicked = at(CONTEXT, offset_of!(Context, panicked) as i32);
        self.asm.alu(Alu::Cmp, Operand::Mem(panicked), Operand::Imm(0));
        let label = self.panicked();
        self.asm.jump_if(Cc::Ne, label);
    }

    fn call_portal(&mut self, op: OpRef, callee: &'static Callee, args: &[Arg]) -> Result<(), CompileError> {
        let [cell, reds @ ..] = args else { return Err(malformed(op, "passes no call cell")) };
        for (i, &red) in reds.iter().enumerate() {
            let to = Place::Frame(CONTEXT, slot_offset(i));
            let from = self.source(red);
            self.transfer(to, from);
        }
        self.save_across_call();
        let cell = self.source(*cell);
        // The cell is needed when the call is over, so it must not be where only registers remember it.
        let cell = match cell {
            Source::Place(Place::Reg(_)) => match args[0] {
                Arg::Op(value) => self.saved(value),
                Arg::Const(_) => cell,
            },
            cell => cell,
        };
        let (no_room, left, done) = (self.asm.label(), self.asm.label(), self.asm.label());
        let limit = at(CONTEXT, offset_of!(Context, stack_limit) as i32);
        self.asm.alu(Alu::Cmp, Operand::Reg(RSP), Operand::Mem(limit));
        self.asm.jump_if(Cc::B, no_room);
        self.transfer(Place::Reg(SCRATCH), cell);
        self.asm.copy(RDI, CONTEXT);
        let entry = match callee.effect {
            Effect::Spread => offset_of!(CellHead, spread),
            _ => offset_of!(CellHead, entry),
        };
        self.asm.call(Operand::Mem(at(SCRATCH, entry as i32)));
        self.compare_with(RAX, FINISH);
        self.asm.jump_if(Cc::Ne, left);
        self.asm.bind(done);

        let section = std::mem::replace(&mut self.asm.section, Section::Slow);
        self.asm.bind(no_room);
        self.asm.constant(RAX, NO_CODE);
        self.asm.bind(left);
        self.asm.copy(RSI, RAX);
        self.transfer(Place::Reg(RDI), cell);
        self.asm.constant(SCRATCH, callee.address as u64);
        self.asm.call(Operand::Reg(SCRATCH));
        self.leave_if_panicked();
        self.asm.jump(done);
        self.asm.section = section;

        self.forget_after_call();
        self.heap.forget();
        if self.live.end[op.0 as usize] != 0 {
            let reg = self.define(op);
            self.asm.load(reg, at(CONTEXT, result_offset(0)));
        }
        Ok(())
    }

    /// A result word that is not the first of the call just before.
    pub(super) fn further_word(&mut self, op: OpRef) -> Result<(), CompileError> {
        let word = self.code.inst(op).index() as usize;
        let index = if self.called_portal { word } else { word.wrapping_sub(1) };
        if word == 0 || index >= MAX_RESULTS {
            return Err(malformed(op, "names no further word"));
        }
        if self.live.end[op.0 as usize] != 0 {
            let reg = self.define(op);
            self.asm.load(reg, at(CONTEXT, result_offset(index)));
        }
        Ok(())
    }

    pub(super) fn return_words(&mut self, words: &[Arg]) {
        for (i, &word) in words.iter().enumerate() {
            let from = self.source(word);
            self.transfer(Place::Frame(CONTEXT, result_offset(i)), from);
        }
        self.return_number(FINISH);
    }

    /// Counts this entry, and says when it is the last that was waited for. Nothing is in registers yet.
    pub(super) fn count_down(&mut self, countdown: Countdown) {
        let (reached, next) = (self.asm.label(), self.asm.label());
        self.asm.constant(SCRATCH, countdown.left as u64);
        self.asm.alu(Alu::Sub, Operand::Mem(at(SCRATCH, 0)), Operand::Imm(1));
        self.asm.jump_if(Cc::E, reached);
        self.asm.bind(next);
        self.asm.section = Section::Slow;
        self.asm.bind(reached);
        self.asm.constant(RDI, countdown.argument);
        self.asm.constant(SCRATCH, countdown.reached as *const () as u64);
        self.asm.call(Operand::Reg(SCRATCH));
        self.asm.jump(next);
        self.asm.section = Section::Hot;
    }

    /// Where a guard goes that fails.
    pub(super) fn exit_target(&mut self, exit: ExitId) -> Result<Label, CompileError> {
        match self.code.exits[exit.0 as usize].bridge {
            Some(bridge) => Ok(self.guard_way(bridge)),
            None => self.exit_label(exit),
        }
    }

    /// An exit that hands over what is where it is now.
    pub(super) fn exit_label(&mut self, exit: ExitId) -> Result<Label, CompileError> {
        let slots = self.slots(self.code.slots(exit))?;
        let label = self.asm.label();
        self.exits.push(PendingExit { label, number: exit.0, slots });
        Ok(label)
    }
}
