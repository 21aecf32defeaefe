//! Stubs: as in [`stubs`](crate::backend::stubs).

use super::Frame;
use super::assembler::{Alu, Assembler, Operand, RAX, RBP, RCX, RDI, RDX, RSI, RSP, Reg, SCRATCH, at};

/// Word registers that a native function may change.
const WORDS: [Reg; 9] = [RAX, RCX, RDX, RSI, RDI, Reg(8), Reg(9), Reg(10), SCRATCH];
/// Float registers; of each, compiled code uses the half that holds one float.
const FLOATS: std::ops::Range<u8> = 16..32;
/// Bytes for the floats, and what keeps the stack aligned with an odd number of words on it.
const ROOM: i32 = 16 * 8 + 8;

/// The code that calls `helper` and leaves all registers alone, and how it keeps its frame.
pub(in crate::backend) fn stub(helper: u64) -> (Vec<u8>, Frame) {
    let mut asm = Assembler::default();
    let place = |float: u8| at(RSP, 8 * i32::from(float - FLOATS.start));
    asm.push(RBP);
    let pushed = asm.here() as u32;
    asm.copy(RBP, RSP);
    let made = asm.here() as u32;
    for reg in WORDS {
        asm.push(reg);
    }
    asm.alu(Alu::Sub, Operand::Reg(RSP), Operand::Imm(ROOM));
    for float in FLOATS {
        asm.store(place(float), Reg(float));
    }
    asm.constant(SCRATCH, helper);
    asm.call(Operand::Reg(SCRATCH));
    for float in FLOATS {
        asm.load(Reg(float), place(float));
    }
    asm.alu(Alu::Add, Operand::Reg(RSP), Operand::Imm(ROOM));
    for reg in WORDS.into_iter().rev() {
        asm.pop(reg);
    }
    asm.pop(RBP);
    asm.ret();
    let code = asm.finish(Assembler::default());
    let bytes = code.len() as u32;
    (code, Frame { bytes, pushed, made, ready: made, restored: bytes - 1, saved: Vec::new() })
}
