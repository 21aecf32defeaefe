//! Machine instructions into a buffer, with labels.
//!
//! Code that hardly ever runs goes to buffers of its own, which are put behind the rest. Jumps always have room for 32 bits:
//! which of them could be short is known only when it is too late.

use cranelift_assembler_x64::{
    Amode, AmodeOffset, AmodeOffsetPlusKnownOffset, Fixed, GprMem, NonRspGpr, Registers, Scale, XmmMem, inst,
};

/// A register: 0 to 15 are for words, by their numbers in instructions, 16 to 31 for floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reg(pub(super) u8);

pub(super) const RAX: Reg = Reg(0);
pub(super) const RCX: Reg = Reg(1);
pub(super) const RDX: Reg = Reg(2);
/// Holds the context's address.
pub(super) const CONTEXT: Reg = Reg(3);
pub(super) const RSP: Reg = Reg(4);
pub(super) const RBP: Reg = Reg(5);
pub(super) const RSI: Reg = Reg(6);
pub(super) const RDI: Reg = Reg(7);
/// Holds nothing from one step of the emitter to the next.
pub(super) const SCRATCH: Reg = Reg(11);
/// The same for floats, and for breaking cycles of moves.
pub(super) const FLOAT_SCRATCH: Reg = Reg(31);

impl Reg {
    /// Whether it is for floats.
    pub(super) fn is_float(self) -> bool {
        self.0 >= 16
    }

    fn number(self) -> u8 {
        self.0 & 15
    }

    /// Its bit in a set of registers.
    pub(super) fn bit(self) -> u32 {
        1 << self.0
    }
}

/// What the generated instructions are generic over.
#[derive(Clone, Copy, Debug)]
struct Plain;
impl Registers for Plain {
    type ReadGpr = u8;
    type ReadWriteGpr = u8;
    type WriteGpr = u8;
    type ReadXmm = u8;
    type ReadWriteXmm = u8;
    type WriteXmm = u8;
}

/// An address: base, index and its scale (a power of two), displacement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mem {
    pub(super) base: Reg,
    pub(super) index: Option<(Reg, u8)>,
    pub(super) offset: i32,
}

/// An address without an index.
pub(super) fn at(base: Reg, offset: i32) -> Mem {
    Mem { base, index: None, offset }
}

impl Mem {
    fn amode(self) -> Amode<u8> {
        let base = self.base.number();
        match self.index {
            None => Amode::ImmReg {
                base,
                simm32: AmodeOffsetPlusKnownOffset { simm32: AmodeOffset::new(self.offset), offset: None },
                trap: None,
            },
            Some((index, scale)) => Amode::ImmRegRegShift {
                base,
                index: NonRspGpr::new(index.number()),
                scale: Scale::new(scale.trailing_zeros() as u8),
                simm32: AmodeOffset::new(self.offset),
                trap: None,
            },
        }
    }
}

/// The second operand of most instructions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Reg(Reg),
    Mem(Mem),
    Imm(i32),
}

fn gpr_mem(operand: Operand) -> GprMem<u8, u8> {
    match operand {
        Operand::Reg(reg) => GprMem::Gpr(reg.number()),
        Operand::Mem(mem) => GprMem::Mem(mem.amode()),
        Operand::Imm(_) => unreachable!("immediate operands have instructions of their own"),
    }
}

fn xmm_mem(operand: Operand) -> XmmMem<u8, u8> {
    match operand {
        Operand::Reg(reg) => XmmMem::Xmm(reg.number()),
        Operand::Mem(mem) => XmmMem::Mem(mem.amode()),
        Operand::Imm(_) => unreachable!("floats have no immediate operands"),
    }
}

/// Condition codes, by their numbers in instructions: the lowest bit negates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Cc {
    O = 0,
    No,
    B,
    Ae,
    E,
    Ne,
    Be,
    A,
    P = 10,
    Np,
    L,
    Ge,
    Le,
    G,
}

impl Cc {
    pub(super) fn negated(self) -> Cc {
        match self {
            Cc::O => Cc::No,
            Cc::No => Cc::O,
            Cc::B => Cc::Ae,
            Cc::Ae => Cc::B,
            Cc::E => Cc::Ne,
            Cc::Ne => Cc::E,
            Cc::Be => Cc::A,
            Cc::A => Cc::Be,
            Cc::P => Cc::Np,
            Cc::Np => Cc::P,
            Cc::L => Cc::Ge,
            Cc::Ge => Cc::L,
            Cc::Le => Cc::G,
            Cc::G => Cc::Le,
        }
    }

    /// The condition with the operands of the comparison exchanged.
    pub(super) fn swapped(self) -> Cc {
        match self {
            Cc::B => Cc::A,
            Cc::A => Cc::B,
            Cc::Ae => Cc::Be,
            Cc::Be => Cc::Ae,
            Cc::L => Cc::G,
            Cc::G => Cc::L,
            Cc::Le => Cc::Ge,
            Cc::Ge => Cc::Le,
            other => other,
        }
    }
}

/// Integer operations with two operands, the first of which is the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alu {
    Add,
    Sub,
    And,
    Or,
    Xor,
    Cmp,
}

/// Shifts and rotations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shift {
    Shl,
    Shr,
    Sar,
    Rol,
}

/// Float operations with two operands, the first of which is the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sse {
    Add,
    Sub,
    Mul,
    Div,
    /// The first operand is not read.
    Sqrt,
    /// Sets flags only.
    Compare,
    And,
    Xor,
}

/// A place in the code that is jumped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(u32);

/// Where a label is not yet.
const UNBOUND: usize = usize::MAX;
/// Bits of a place in the code below the number of its section.
const SECTION_SHIFT: u32 = 40;

/// The parts of a function, in the order in which they stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Section {
    /// What is run usually.
    #[default]
    Hot,
    /// Blocks that only failing guards lead to.
    Cold,
    /// Slow ways of single instructions, and exits: what begins here is jumped to, and ends by a jump.
    Slow,
}

/// Code of an operation of usual size, in bytes: what is hardly ever run is of two kinds.
const HOT_BYTES: usize = 8;
const COLD_BYTES: usize = 6;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    buffers: [Vec<u8>; 3],
    /// Where instructions go.
    pub(super) section: Section,
    labels: Vec<usize>,
    /// Where 32 bits are to hold the distance to a label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// With room for the code of so many instructions.
    pub(super) fn with_room(insts: usize) -> Assembler {
        let room = |bytes: usize| Vec::with_capacity(insts * bytes);
        Assembler {
            buffers: [room(HOT_BYTES), room(COLD_BYTES), room(COLD_BYTES)],
            jumps: Vec::with_capacity(insts / 2),
            ..Assembler::default()
        }
    }

    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffers[self.section as usize]
    }

    /// Where the next instruction will be; only to be compared.
    pub(super) fn here(&self) -> usize {
        self.buffers[self.section as usize].len() + ((self.section as usize) << SECTION_SHIFT)
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.here();
    }

    /// All code in one piece, behind what `prologue` has.
    pub(super) fn finish(self, prologue: Assembler) -> Vec<u8> {
        let [mut code, ..] = prologue.buffers;
        code.reserve_exact(self.buffers.iter().map(Vec::len).sum());
        let starts = self.buffers.map(|buffer| {
            let start = code.len();
            code.extend_from_slice(&buffer);
            start
        });
        let place = |at: usize| starts[at >> SECTION_SHIFT] + (at & ((1 << SECTION_SHIFT) - 1));
        for (at, label) in self.jumps {
            let (at, target) = (place(at), place(self.labels[label.0 as usize]));
            let distance = (target as i64 - (at as i64 + 4)) as i32;
            code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        code
    }

    /// Notes that the 32 bits just written lead to a label.
    fn leads_to(&mut self, label: Label) {
        let at = self.here() - 4;
        self.jumps.push((at, label));
    }

    pub(super) fn jump(&mut self, label: Label) {
        inst::jmp_d32::new(0).encode(self.buffer());
        self.leads_to(label);
    }

    pub(super) fn jump_if(&mut self, cc: Cc, label: Label) {
        let buffer = self.buffer();
        match cc {
            Cc::O => inst::jo_d32::new(0).encode(buffer),
            Cc::No => inst::jno_d32::new(0).encode(buffer),
            Cc::B => inst::jb_d32::new(0).encode(buffer),
            Cc::Ae => inst::jae_d32::new(0).encode(buffer),
            Cc::E => inst::je_d32::new(0).encode(buffer),
            Cc::Ne => inst::jne_d32::new(0).encode(buffer),
            Cc::Be => inst::jbe_d32::new(0).encode(buffer),
            Cc::A => inst::ja_d32::new(0).encode(buffer),
            Cc::P => inst::jp_d32::new(0).encode(buffer),
            Cc::Np => inst::jnp_d32::new(0).encode(buffer),
            Cc::L => inst::jl_d32::new(0).encode(buffer),
            Cc::Ge => inst::jge_d32::new(0).encode(buffer),
            Cc::Le => inst::jle_d32::new(0).encode(buffer),
            Cc::G => inst::jg_d32::new(0).encode(buffer),
        }
        self.leads_to(label);
    }

    /// 1 or 0 to the whole register.
    pub(super) fn set(&mut self, cc: Cc, dst: Reg) {
        let (buffer, dst) = (self.buffer(), dst.number());
        match cc {
            Cc::O => inst::seto_m::<Plain>::new(dst).encode(buffer),
            Cc::No => inst::setno_m::<Plain>::new(dst).encode(buffer),
            Cc::B => inst::setb_m::<Plain>::new(dst).encode(buffer),
            Cc::Ae => inst::setae_m::<Plain>::new(dst).encode(buffer),
            Cc::E => inst::sete_m::<Plain>::new(dst).encode(buffer),
            Cc::Ne => inst::setne_m::<Plain>::new(dst).encode(buffer),
            Cc::Be => inst::setbe_m::<Plain>::new(dst).encode(buffer),
            Cc::A => inst::seta_m::<Plain>::new(dst).encode(buffer),
            Cc::P => inst::setp_m::<Plain>::new(dst).encode(buffer),
            Cc::Np => inst::setnp_m::<Plain>::new(dst).encode(buffer),
            Cc::L => inst::setl_m::<Plain>::new(dst).encode(buffer),
            Cc::Ge => inst::setge_m::<Plain>::new(dst).encode(buffer),
            Cc::Le => inst::setle_m::<Plain>::new(dst).encode(buffer),
            Cc::G => inst::setg_m::<Plain>::new(dst).encode(buffer),
        }
        inst::movzbl_rm::<Plain>::new(dst, dst).encode(self.buffer());
    }

    // ---- moves

    /// From one register to another, of whichever kind.
    pub(super) fn copy(&mut self, dst: Reg, src: Reg) {
        let (to, from, buffer) = (dst.number(), src.number(), self.buffer());
        match (dst.is_float(), src.is_float()) {
            _ if dst == src => {}
            (false, false) => inst::movq_mr::<Plain>::new(to, from).encode(buffer),
            (true, true) => inst::movaps_a::<Plain>::new(to, from).encode(buffer),
            (true, false) => inst::movq_a::<Plain>::new(to, from).encode(buffer),
            (false, true) => inst::movq_b::<Plain>::new(to, from).encode(buffer),
        }
    }

    /// 64 bits from memory.
    pub(super) fn load(&mut self, dst: Reg, from: Mem) {
        let buffer = self.buffer();
        if dst.is_float() {
            inst::movsd_a_m::<Plain>::new(dst.number(), from.amode()).encode(buffer);
        } else {
            inst::movq_rm::<Plain>::new(dst.number(), from.amode()).encode(buffer);
        }
    }

    /// 64 bits to memory.
    pub(super) fn store(&mut self, to: Mem, src: Reg) {
        let buffer = self.buffer();
        if src.is_float() {
            inst::movsd_c_m::<Plain>::new(to.amode(), src.number()).encode(buffer);
        } else {
            inst::movq_mr::<Plain>::new(to.amode(), src.number()).encode(buffer);
        }
    }

    /// The lowest `bytes` bytes to memory.
    pub(super) fn store_part(&mut self, bytes: u32, to: Mem, src: Reg) {
        let (to, src, buffer) = (to.amode(), src.number(), self.buffer());
        match bytes {
            1 => inst::movb_mr::<Plain>::new(to, src).encode(buffer),
            2 => inst::movw_mr::<Plain>::new(to, src).encode(buffer),
            4 => inst::movl_mr::<Plain>::new(to, src).encode(buffer),
            _ => inst::movq_mr::<Plain>::new(to, src).encode(buffer),
        }
    }

    /// A constant to 64 bits of memory.
    pub(super) fn store_imm(&mut self, to: Mem, value: i32) {
        inst::movq_mi_sxl::<Plain>::new(to.amode(), value).encode(self.buffer());
    }

    /// `bytes` bytes, extended to a word.
    pub(super) fn load_part(&mut self, bytes: u32, signed: bool, dst: Reg, from: Operand) {
        let (dst, from, buffer) = (dst.number(), gpr_mem(from), self.buffer());
        match (bytes, signed) {
            (1, false) => inst::movzbl_rm::<Plain>::new(dst, from).encode(buffer),
            (1, true) => inst::movsbq_rm::<Plain>::new(dst, from).encode(buffer),
            (2, false) => inst::movzwl_rm::<Plain>::new(dst, from).encode(buffer),
            (2, true) => inst::movswq_rm::<Plain>::new(dst, from).encode(buffer),
            (4, false) => inst::movl_rm::<Plain>::new(dst, from).encode(buffer),
            (4, true) => inst::movslq_rm::<Plain>::new(dst, from).encode(buffer),
            _ => inst::movq_rm::<Plain>::new(dst, from).encode(buffer),
        }
    }

    /// A constant; flags are kept.
    pub(super) fn constant(&mut self, dst: Reg, bits: u64) {
        let (dst, buffer) = (dst.number(), self.buffer());
        if let Ok(small) = u32::try_from(bits) {
            inst::movl_oi::<Plain>::new(dst, small).encode(buffer);
        } else if let Ok(small) = i32::try_from(bits as i64) {
            inst::movq_mi_sxl::<Plain>::new(dst, small).encode(buffer);
        } else {
            inst::movabsq_oi::<Plain>::new(dst, bits).encode(buffer);
        }
    }

    pub(super) fn address(&mut self, dst: Reg, of: Mem) {
        inst::leaq_rm::<Plain>::new(dst.number(), of.amode()).encode(self.buffer());
    }

    pub(super) fn push(&mut self, src: Reg) {
        inst::pushq_o::<Plain>::new(src.number()).encode(self.buffer());
    }

    pub(super) fn pop(&mut self, dst: Reg) {
        inst::popq_o::<Plain>::new(dst.number()).encode(self.buffer());
    }

    // ---- integers

    pub(super) fn alu(&mut self, op: Alu, dst: Operand, src: Operand) {
        let buffer = self.buffer();
        match src {
            Operand::Imm(value) => {
                let dst = gpr_mem(dst);
                if let Ok(small) = i8::try_from(value) {
                    return match op {
                        Alu::Add => inst::addq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                        Alu::Sub => inst::subq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                        Alu::And => inst::andq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                        Alu::Or => inst::orq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                        Alu::Xor => inst::xorq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                        Alu::Cmp => inst::cmpq_mi_sxb::<Plain>::new(dst, small).encode(buffer),
                    };
                }
                match op {
                    Alu::Add => inst::addq_mi_sxl::<Plain>::new(dst, value).encode(buffer),
                    Alu::Sub => inst::subq_mi_sxl::<Plain>::new(dst, value).encode(buffer),
                    Alu::And => inst::andq_mi_sxl::<Plain>::new(dst, value).encode(buffer),
                    Alu::Or => inst::orq_mi_sxl::<Plain>::new(dst, value).encode(buffer),
                    Alu::Xor => inst::xorq_mi_sxl::<Plain>::new(dst, value).encode(buffer),
                    Alu::Cmp => inst::cmpq_mi::<Plain>::new(dst, value).encode(buffer),
                }
            }
            src => {
                let Operand::Reg(dst) = dst else {
                    unreachable!("one of two operands is a register");
                };
                let (dst, src) = (dst.number(), gpr_mem(src));
                match op {
                    Alu::Add => inst::addq_rm::<Plain>::new(dst, src).encode(buffer),
                    Alu::Sub => inst::subq_rm::<Plain>::new(dst, src).encode(buffer),
                    Alu::And => inst::andq_rm::<Plain>::new(dst, src).encode(buffer),
                    Alu::Or => inst::orq_rm::<Plain>::new(dst, src).encode(buffer),
                    Alu::Xor => inst::xorq_rm::<Plain>::new(dst, src).encode(buffer),
                    Alu::Cmp => inst::cmpq_rm::<Plain>::new(dst, src).encode(buffer),
                }
            }
        }
    }

    /// Flags of the bits that both have; `src` is a register or an immediate.
    pub(super) fn test(&mut self, x: Operand, y: Operand) {
        let buffer = self.buffer();
        match y {
            Operand::Imm(value) => inst::testq_mi::<Plain>::new(gpr_mem(x), value).encode(buffer),
            Operand::Reg(y) => inst::testq_mr::<Plain>::new(gpr_mem(x), y.number()).encode(buffer),
            Operand::Mem(_) => unreachable!("one of two operands is a register"),
        }
    }

    /// Flags of some of 32 bits in memory.
    pub(super) fn test_half(&mut self, x: Mem, bits: u32) {
        inst::testl_mi::<Plain>::new(x.amode(), bits).encode(self.buffer());
    }

    /// Takes 1 from 32 bits in memory.
    pub(super) fn decrement_half(&mut self, x: Mem) {
        inst::subl_mi_sxb::<Plain>::new(x.amode(), 1i8).encode(self.buffer());
    }

    pub(super) fn multiply(&mut self, dst: Reg, src: Operand) {
        inst::imulq_rm::<Plain>::new(dst.number(), gpr_mem(src)).encode(self.buffer());
    }

    pub(super) fn multiply_by(&mut self, dst: Reg, src: Operand, by: i32) {
        inst::imulq_rmi_sxl::<Plain>::new(dst.number(), gpr_mem(src), by).encode(self.buffer());
    }

    pub(super) fn shift(&mut self, op: Shift, dst: Reg, by: u8) {
        let (dst, buffer) = (dst.number(), self.buffer());
        match op {
            Shift::Shl => inst::shlq_mi::<Plain>::new(dst, by).encode(buffer),
            Shift::Shr => inst::shrq_mi::<Plain>::new(dst, by).encode(buffer),
            Shift::Sar => inst::sarq_mi::<Plain>::new(dst, by).encode(buffer),
            Shift::Rol => inst::rolq_mi::<Plain>::new(dst, by).encode(buffer),
        }
    }

    /// By the lowest bits of `RCX`.
    pub(super) fn shift_by_rcx(&mut self, op: Shift, dst: Reg) {
        let (dst, by, buffer) = (dst.number(), Fixed(RCX.number()), self.buffer());
        match op {
            Shift::Shl => inst::shlq_mc::<Plain>::new(dst, by).encode(buffer),
            Shift::Shr => inst::shrq_mc::<Plain>::new(dst, by).encode(buffer),
            Shift::Sar => inst::sarq_mc::<Plain>::new(dst, by).encode(buffer),
            Shift::Rol => inst::rolq_mc::<Plain>::new(dst, by).encode(buffer),
        }
    }

    /// `RAX` and `RDX` become quotient and remainder of `RAX` and `by`.
    pub(super) fn divide(&mut self, signed: bool, by: Reg) {
        let (rax, rdx) = (RAX.number(), RDX.number());
        // The divisor is never one that traps: nobody reads the code.
        let trap = cranelift_assembler_x64::TrapCode(std::num::NonZeroU8::MIN);
        let buffer = self.buffer();
        if signed {
            inst::cqto_zo::<Plain>::new(Fixed(rdx), Fixed(rax)).encode(buffer);
            inst::idivq_m::<Plain>::new(Fixed(rax), Fixed(rdx), by.number(), trap).encode(buffer);
        } else {
            inst::movl_oi::<Plain>::new(rdx, 0u32).encode(buffer);
            inst::divq_m::<Plain>::new(Fixed(rax), Fixed(rdx), by.number(), trap).encode(buffer);
        }
    }

    // ---- floats

    pub(super) fn sse(&mut self, op: Sse, dst: Reg, src: Operand) {
        let (dst, src, buffer) = (dst.number(), xmm_mem(src), self.buffer());
        match op {
            Sse::Add => inst::addsd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Sub => inst::subsd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Mul => inst::mulsd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Div => inst::divsd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Sqrt => inst::sqrtsd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Compare => inst::ucomisd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::And => inst::andpd_a::<Plain>::new(dst, src).encode(buffer),
            Sse::Xor => inst::xorpd_a::<Plain>::new(dst, src).encode(buffer),
        }
    }

    /// Rounds as the mode says: 1 down, 2 up, 3 towards zero.
    pub(super) fn round(&mut self, dst: Reg, src: Operand, mode: u8) {
        // Bit 3: an inexact result is no exception.
        inst::roundsd_rmi::<Plain>::new(dst.number(), xmm_mem(src), mode | 8).encode(self.buffer());
    }

    pub(super) fn float_of_int(&mut self, dst: Reg, src: Operand) {
        // The instruction leaves the upper half of the register, on which it would depend otherwise.
        inst::xorps_a::<Plain>::new(dst.number(), dst.number()).encode(self.buffer());
        inst::cvtsi2sdq_a::<Plain>::new(dst.number(), gpr_mem(src)).encode(self.buffer());
    }

    // ---- calls

    pub(super) fn call(&mut self, target: Operand) {
        inst::callq_m::<Plain>::new(gpr_mem(target)).encode(self.buffer());
    }

    pub(super) fn ret(&mut self) {
        inst::retq_zo::new().encode(self.buffer());
    }
}
