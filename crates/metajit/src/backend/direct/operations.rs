//! Arithmetic, comparisons and guards.

use super::Emitter;
use super::assembler::{Alu, CONTEXT, Cc, Mem, Operand, RAX, RCX, RDX, Reg, SCRATCH, Shift, Sse, at};
use super::liveness::NONE;
use super::registers::{Place, Source};
use crate::backend::compiler::CompileError;
use crate::backend::helpers;
use crate::backend::lower::{counter_offset, malformed};
use crate::context::Context;
use crate::ir::code::ExitId;
use crate::ir::{Arg, Aux, Class, Inst, Op, OpRef};
use std::mem::offset_of;
use std::sync::Arc;

/// When a condition holds.
#[derive(Clone, Copy, Debug)]
enum Condition {
    /// When these flags are set.
    Flags(Cc),
    /// When floats that were compared are equal and ordered.
    FloatEqual,
    /// When they are not.
    FloatDifferent,
}

/// The operands in the order in which a machine compares them.
fn integer_condition(op: Op) -> Option<Cc> {
    Some(match op {
        Op::Eq => Cc::E,
        Op::Ne => Cc::Ne,
        Op::Lt => Cc::L,
        Op::Le => Cc::Le,
        Op::Ult => Cc::B,
        Op::Ule => Cc::Be,
        _ => return None,
    })
}

impl Emitter<'_> {
    pub(super) fn inst(&mut self, op: OpRef) -> Result<(), CompileError> {
        let code = self.code;
        let inst = code.inst(op);
        let [a, b, c] = inst.args;
        let index = op.0 as usize;
        let is_pure = matches!(inst.op.info().class, Class::Pure | Class::Load | Class::ImmutableLoad);
        if self.live.waits[index] || self.done[index] || is_pure && self.live.end[index] == 0 {
            return Ok(());
        }
        match inst.op {
            Op::Param | Op::FParam | Op::Merge => {}

            Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor => self.arithmetic(op, inst.op, a, b),
            Op::Mul => self.product(op, a, b),
            Op::Div | Op::Rem | Op::Udiv | Op::Urem => self.quotient(op, inst),
            Op::Shl => self.shift(op, Shift::Shl, a, b),
            Op::Shr => self.shift(op, Shift::Sar, a, b),
            Op::Ushr => self.shift(op, Shift::Shr, a, b),
            Op::Rotl => self.shift(op, Shift::Rol, a, b),
            Op::Clz => self.by_helper(op, helpers::clz as *const (), &[a]),
            Op::Ctz => self.by_helper(op, helpers::ctz as *const (), &[a]),
            Op::Popcnt => self.by_helper(op, helpers::popcnt as *const (), &[a]),
            Op::Sext8 | Op::Zext8 => self.extend(op, 1, inst.op == Op::Sext8, a),
            Op::Sext16 | Op::Zext16 => self.extend(op, 2, inst.op == Op::Sext16, a),
            Op::Sext32 | Op::Zext32 => self.extend(op, 4, inst.op == Op::Sext32, a),
            Op::UmulOvf => self.by_helper(op, helpers::product_is_wide as *const (), &[a, b]),
            Op::AddOvf | Op::SubOvf | Op::MulOvf => {
                self.overflow(op);
                let reg = self.define(op);
                self.asm.set(Cc::O, reg);
            }
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Ult | Op::Ule | Op::Feq | Op::Fne | Op::Flt | Op::Fle => {
                let condition = self.compare(op);
                let reg = self.define(op);
                self.set(condition, reg);
            }

            Op::Fadd => self.float_arithmetic(op, Sse::Add, a, b),
            Op::Fsub => self.float_arithmetic(op, Sse::Sub, a, b),
            Op::Fmul => self.float_arithmetic(op, Sse::Mul, a, b),
            Op::Fdiv => self.float_arithmetic(op, Sse::Div, a, b),
            Op::Fneg => self.float_bits(op, Sse::Xor, a, 1 << 63),
            Op::Fabs => self.float_bits(op, Sse::And, a, !(1 << 63)),
            Op::Fsqrt => {
                let operand = self.float_operand(a);
                let reg = self.define(op);
                self.asm.sse(Sse::Sqrt, reg, operand);
            }
            Op::Ffloor => self.round(op, 1, helpers::floor as *const (), a),
            Op::Fceil => self.round(op, 2, helpers::ceil as *const (), a),
            Op::Ftrunc => self.round(op, 3, helpers::trunc as *const (), a),
            Op::FloatBits | Op::BitsFloat => {
                let source = self.source(a);
                let reg = self.define(op);
                self.transfer(Place::Reg(reg), source);
            }
            Op::IntToFloat => {
                let operand = match self.operand(a) {
                    Operand::Imm(_) => Operand::Reg(self.word(a)),
                    operand => operand,
                };
                let reg = self.define(op);
                self.asm.float_of_int(reg, operand);
            }
            Op::UintToFloat => self.by_helper(op, helpers::uint_to_float as *const (), &[a]),
            Op::FloatToInt => self.by_helper(op, helpers::float_to_int as *const (), &[a]),
            Op::FloatToUint => self.by_helper(op, helpers::float_to_uint as *const (), &[a]),

            Op::Load => self.load_field(op, inst.field(), a),
            Op::Store => self.store_field(inst.field(), a, b),
            Op::LoadItem => self.load_item(op, inst.field(), a, b),
            Op::StoreItem => self.store_item(inst.field(), a, b, c),
            Op::Len => self.length(op, inst.field(), a),
            Op::ShapeOf => self.shape_of(op, a),
            Op::Stopped => {
                let reg = self.define(op);
                self.asm.load(reg, at(CONTEXT, offset_of!(Context, stop) as i32));
            }
            Op::New => self.new_object(op)?,

            Op::Call => {
                let Aux::Call(callee, range) = inst.aux else {
                    return Err(malformed(op, "has no callee"));
                };
                self.call(op, callee, code.args(range))?;
            }
            Op::ResultWord => self.further_word(op)?,

            Op::GuardTrue | Op::GuardFalse | Op::GuardValue | Op::GuardCount | Op::GuardValid => self.guard(inst)?,
        }
        Ok(())
    }

    /// The operands of a commutative operation in the better order: what dies first, no constant first.
    fn ordered(&self, a: Arg, b: Arg) -> (Arg, Arg) {
        let dies = |arg: Arg| matches!(arg, Arg::Op(op) if self.live.end[op.0 as usize] == self.position);
        if matches!(a, Arg::Const(_)) || (!dies(a) && dies(b)) { (b, a) } else { (a, b) }
    }

    fn arithmetic(&mut self, result: OpRef, op: Op, a: Arg, b: Arg) {
        let (a, b) = if op == Op::Sub { (a, b) } else { self.ordered(a, b) };
        let shares_flags = self.live.partner[result.0 as usize] != NONE;
        if !shares_flags && matches!(op, Op::Add | Op::Sub) && self.sum_by_address(result, op, a, b) {
            return;
        }
        let alu = match op {
            Op::Add => Alu::Add,
            Op::Sub => Alu::Sub,
            Op::And => Alu::And,
            Op::Or => Alu::Or,
            _ => Alu::Xor,
        };
        let operand = self.operand(b);
        let reg = self.modify(result, a);
        self.asm.alu(alu, Operand::Reg(reg), operand);
        self.flags = Some((result, self.asm.here()));
    }

    /// A sum whose first operand is needed later, in one instruction that has its result in a third register.
    fn sum_by_address(&mut self, result: OpRef, op: Op, a: Arg, b: Arg) -> bool {
        let lives = |arg: Arg| matches!(arg, Arg::Op(op) if self.live.end[op.0 as usize] > self.position);
        if !lives(a) {
            return false;
        }
        let of = match (op, b) {
            (_, Arg::Const(bits)) => {
                let bits = if op == Op::Sub { bits.wrapping_neg() } else { bits };
                let Ok(offset) = i32::try_from(bits as i64) else { return false };
                at(self.word(a), offset)
            }
            (Op::Add, b) => {
                let (base, index) = (self.word(a), self.word(b));
                Mem { base, index: Some((index, 1)), offset: 0 }
            }
            _ => return false,
        };
        let reg = self.define(result);
        self.asm.address(reg, of);
        true
    }

    fn product(&mut self, result: OpRef, a: Arg, b: Arg) {
        let (a, b) = self.ordered(a, b);
        let operand = self.operand(b);
        if let Operand::Imm(by) = operand {
            let factor = match self.operand(a) {
                Operand::Imm(_) => Operand::Reg(self.word(a)),
                factor => factor,
            };
            let reg = self.define(result);
            self.asm.multiply_by(reg, factor, by);
        } else {
            let reg = self.modify(result, a);
            self.asm.multiply(reg, operand);
        }
        self.flags = Some((result, self.asm.here()));
    }

    fn quotient(&mut self, result: OpRef, inst: &Inst) {
        let [a, b, _] = inst.args;
        let signed = matches!(inst.op, Op::Div | Op::Rem);
        // The divisor must be where the dividend and the remainder are not.
        self.locked |= RAX.bit() | RDX.bit();
        let divisor = match self.word(b) {
            reg if reg == RAX || reg == RDX => {
                let other = self.temporary();
                self.asm.copy(other, reg);
                other
            }
            reg => reg,
        };
        let dividend = self.source(a);
        self.claim(RAX);
        self.claim(RDX);
        self.transfer(Place::Reg(RAX), dividend);
        self.asm.divide(signed, divisor);
        let reg = if matches!(inst.op, Op::Div | Op::Udiv) { RAX } else { RDX };
        self.define_in(result, reg);
    }

    fn shift(&mut self, result: OpRef, op: Shift, a: Arg, b: Arg) {
        if let Arg::Const(by) = b {
            let reg = self.modify(result, a);
            self.asm.shift(op, reg, (by & 63) as u8);
            return;
        }
        let (by, operand) = (self.source(b), self.source(a));
        self.claim(RCX);
        for source in [by, operand] {
            if let Source::Place(Place::Reg(reg)) = source {
                self.locked |= reg.bit();
            }
        }
        let reg = self.define(result);
        self.transfer(Place::Reg(reg), operand);
        self.transfer(Place::Reg(RCX), by);
        self.asm.shift_by_rcx(op, reg);
    }

    fn extend(&mut self, result: OpRef, bytes: u32, signed: bool, a: Arg) {
        let from = match self.operand(a) {
            Operand::Imm(_) => Operand::Reg(self.word(a)),
            operand => operand,
        };
        let reg = self.define(result);
        self.asm.load_part(bytes, signed, reg, from);
    }

    /// An operation that a native function does: words in, one word out, no effect.
    fn by_helper(&mut self, result: OpRef, helper: *const (), args: &[Arg]) {
        let words: Vec<_> = args.iter().map(|&arg| self.source(arg)).collect();
        let heap = std::mem::take(&mut self.heap);
        self.call_native(helper as u64, &words);
        // No collection happened.
        self.heap = heap;
        self.take_result(result);
    }

    /// The operands are never exchanged: the first one says which NaN comes out.
    fn float_arithmetic(&mut self, result: OpRef, op: Sse, a: Arg, b: Arg) {
        let operand = self.float_operand(b);
        let reg = self.modify(result, a);
        self.asm.sse(op, reg, operand);
    }

    fn float_bits(&mut self, result: OpRef, op: Sse, a: Arg, mask: u64) {
        let reg = self.modify(result, a);
        let other = self.float_temporary();
        self.asm.constant(SCRATCH, mask);
        self.asm.copy(other, SCRATCH);
        self.asm.sse(op, reg, Operand::Reg(other));
    }

    fn round(&mut self, result: OpRef, mode: u8, helper: *const (), a: Arg) {
        if !self.features.rounds {
            return self.by_helper(result, helper, &[a]);
        }
        let operand = self.float_operand(a);
        let reg = self.define(result);
        self.asm.round(reg, operand, mode);
    }

    // ---- conditions

    /// Sets flags by a comparison or an overflow operation.
    fn compare(&mut self, op: OpRef) -> Condition {
        let code = self.code;
        let inst = code.inst(op);
        let [a, b, _] = inst.args;
        if let Some(cc) = integer_condition(inst.op) {
            return Condition::Flags(self.compare_integers(cc, a, b));
        }
        let (x, y) = match inst.op {
            // Less is above with the operands exchanged: that is false of what is unordered.
            Op::Flt | Op::Fle => (b, a),
            _ => (a, b),
        };
        let x = self.float(x);
        let y = self.float_operand(y);
        self.asm.sse(Sse::Compare, x, y);
        match inst.op {
            Op::Flt => Condition::Flags(Cc::A),
            Op::Fle => Condition::Flags(Cc::Ae),
            Op::Feq => Condition::FloatEqual,
            _ => Condition::FloatDifferent,
        }
    }

    fn compare_integers(&mut self, cc: Cc, a: Arg, b: Arg) -> Cc {
        if matches!((a, b), (Arg::Const(_), Arg::Op(_))) {
            return self.compare_integers(cc.swapped(), b, a);
        }
        if let (Arg::Op(mask), Arg::Const(0)) = (a, b)
            && self.live.waits[mask.0 as usize]
        {
            let [x, y, _] = self.code.inst(mask).args;
            let (x, y) = self.ordered(x, y);
            match self.operand(y) {
                Operand::Mem(mem) => {
                    let x = self.word(x);
                    self.asm.test(Operand::Mem(mem), Operand::Reg(x));
                }
                y => {
                    let x = self.word(x);
                    self.asm.test(Operand::Reg(x), y);
                }
            }
            return cc;
        }
        match (self.operand(a), self.operand(b)) {
            (Operand::Reg(x), Operand::Imm(0)) => self.asm.test(Operand::Reg(x), Operand::Reg(x)),
            (x @ (Operand::Reg(_) | Operand::Mem(_)), y @ Operand::Imm(_)) | (x @ Operand::Reg(_), y) => {
                self.asm.alu(Alu::Cmp, x, y);
            }
            (Operand::Mem(_) | Operand::Imm(_), y) => {
                let x = self.word(a);
                self.asm.alu(Alu::Cmp, Operand::Reg(x), y);
            }
        }
        cc
    }

    /// Sets the overflow flag as the operation says, doing its partner if that comes later.
    fn overflow(&mut self, op: OpRef) {
        let inst = *self.code.inst(op);
        let [a, b, _] = inst.args;
        let partner = self.live.partner[op.0 as usize];
        if partner != NONE {
            let partner = OpRef(partner);
            if self.flags == Some((partner, self.asm.here())) {
                return;
            }
            if self.live.defined[partner.0 as usize] > self.position && self.live.end[partner.0 as usize] != 0 {
                match inst.op {
                    Op::AddOvf => self.arithmetic(partner, Op::Add, a, b),
                    Op::SubOvf => self.arithmetic(partner, Op::Sub, a, b),
                    _ => self.product(partner, a, b),
                }
                self.done[partner.0 as usize] = true;
                return;
            }
        }
        let operand = self.operand(b);
        let reg = self.temporary();
        self.bring(reg, a);
        match inst.op {
            Op::AddOvf => self.asm.alu(Alu::Add, Operand::Reg(reg), operand),
            Op::SubOvf => self.asm.alu(Alu::Sub, Operand::Reg(reg), operand),
            _ => match operand {
                Operand::Imm(by) => self.asm.multiply_by(reg, Operand::Reg(reg), by),
                operand => self.asm.multiply(reg, operand),
            },
        }
    }

    fn set(&mut self, condition: Condition, reg: Reg) {
        match condition {
            Condition::Flags(cc) => self.asm.set(cc, reg),
            Condition::FloatEqual | Condition::FloatDifferent => {
                let done = self.asm.label();
                let differ = matches!(condition, Condition::FloatDifferent);
                self.asm.constant(reg, u64::from(differ));
                self.asm.jump_if(Cc::P, done);
                self.asm.set(if differ { Cc::Ne } else { Cc::E }, reg);
                self.asm.bind(done);
            }
        }
    }

    // ---- guards

    fn guard(&mut self, inst: &Inst) -> Result<(), CompileError> {
        let exit = ExitId(inst.index());
        let [a, b, _] = inst.args;
        match inst.op {
            Op::GuardTrue => self.guard_condition(a, true, exit),
            Op::GuardFalse => self.guard_condition(a, false, exit),
            Op::GuardValue => match (a, b) {
                (Arg::Op(op), Arg::Const(bits)) if self.live.waits[op.0 as usize] => {
                    self.guard_condition(a, bits != 0, exit)
                }
                (_, Arg::Const(bits)) => {
                    let x = self.word(a);
                    self.compare_with(x, bits);
                    self.leave_if(Cc::Ne, exit)
                }
                _ => {
                    let cc = self.compare_integers(Cc::Ne, a, b);
                    self.leave_if(cc, exit)
                }
            },
            Op::GuardCount => {
                let counter = counter_offset(a.as_const().unwrap_or(0) as usize);
                self.asm.decrement_half(at(CONTEXT, counter));
                self.leave_if(Cc::E, exit)
            }
            _ => {
                if let Some(valid) = &self.options.valid {
                    self.asm.constant(SCRATCH, Arc::as_ptr(valid) as u64);
                    self.asm.alu(Alu::Cmp, Operand::Mem(at(SCRATCH, 0)), Operand::Imm(0));
                    self.leave_if(Cc::E, exit)?;
                }
                Ok(())
            }
        }
    }

    fn leave_if(&mut self, cc: Cc, exit: ExitId) -> Result<(), CompileError> {
        let target = self.exit_target(exit)?;
        self.asm.jump_if(cc, target);
        Ok(())
    }

    /// Goes on if the condition is as wanted.
    fn guard_condition(&mut self, condition: Arg, wanted: bool, exit: ExitId) -> Result<(), CompileError> {
        let holds = match condition {
            Arg::Op(op) if self.live.waits[op.0 as usize] => match self.code.inst(op).op {
                Op::AddOvf | Op::SubOvf | Op::MulOvf => {
                    self.overflow(op);
                    Condition::Flags(Cc::O)
                }
                _ => self.compare(op),
            },
            _ => Condition::Flags(self.compare_integers(Cc::Ne, condition, Arg::Const(0))),
        };
        let target = self.exit_target(exit)?;
        match (holds, wanted) {
            (Condition::Flags(cc), true) => self.asm.jump_if(cc.negated(), target),
            (Condition::Flags(cc), false) => self.asm.jump_if(cc, target),
            (Condition::FloatEqual, true) | (Condition::FloatDifferent, false) => {
                self.asm.jump_if(Cc::Ne, target);
                self.asm.jump_if(Cc::P, target);
            }
            (Condition::FloatEqual, false) | (Condition::FloatDifferent, true) => {
                let on = self.asm.label();
                self.asm.jump_if(Cc::P, on);
                self.asm.jump_if(Cc::E, target);
                self.asm.bind(on);
            }
        }
        Ok(())
    }
}
