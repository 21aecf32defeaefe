//! Telling the platform's unwinder how to pass compiled frames.
//!
//! **Problem.** A backtrace taken in a callee, and whatever else walks the native stack, ends at the first frame of
//! compiled code. (Panics don't come this way: callees catch them.)
//!
//! **Approach.** Cranelift says what its prologues did; that is written as an `.eh_frame` section of one function
//! and given to `__register_frame`, from when the code is published for as long as it exists. With the GNU unwinder only: others
//! expect another form under the same name.

use cranelift_codegen::CompiledCode;
use cranelift_codegen::isa::TargetIsa;

/// The description of a piece of code.
#[derive(Debug)]
pub(super) struct Registration {
    section: Box<[u8]>,
    registered: bool,
}

impl Registration {
    /// The `.eh_frame` section.
    pub(super) fn section(&self) -> &[u8] {
        &self.section
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod platform {
    use super::Registration;
    use cranelift_codegen::CompiledCode;
    use cranelift_codegen::gimli::RunTimeEndian;
    use cranelift_codegen::gimli::write::{
        Address, CommonInformationEntry, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable,
    };
    use cranelift_codegen::isa::TargetIsa;
    use cranelift_codegen::isa::unwind::UnwindInfo;

    unsafe extern "C" {
        fn __register_frame(section: *const u8);
        fn __deregister_frame(section: *const u8);
    }

    pub(super) fn describe(compiled: &CompiledCode, isa: &dyn TargetIsa, address: usize) -> Option<Registration> {
        let Ok(Some(UnwindInfo::SystemV(info))) = compiled.create_unwind_info(isa) else {
            return None;
        };
        section(isa.create_systemv_cie()?, info.to_fde(Address::Constant(address as u64)))
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn describe_frame(frame: &crate::backend::direct::Frame, address: usize) -> Option<Registration> {
        use cranelift_codegen::gimli::write::CallFrameInstruction as Instruction;
        use cranelift_codegen::gimli::{Encoding, Format, Register, X86_64};
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
        let mut common = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
        common.add_instruction(Instruction::Cfa(X86_64::RSP, 8));
        common.add_instruction(Instruction::Offset(X86_64::RA, -8));
        let mut description = FrameDescriptionEntry::new(Address::Constant(address as u64), frame.bytes);
        let before = [
            (frame.pushed, Instruction::CfaOffset(16)),
            (frame.pushed, Instruction::Offset(X86_64::RBP, -16)),
            (frame.made, Instruction::CfaRegister(X86_64::RBP)),
        ];
        // From where the caller's RBP is saved, the frame's own lies 16 bytes below.
        let saved = frame.saved.iter().map(|&(reg, at)| (frame.ready, Instruction::Offset(Register(reg), at - 16)));
        let after =
            [(frame.restored, Instruction::Cfa(X86_64::RSP, 8)), (frame.restored, Instruction::SameValue(X86_64::RBP))];
        let again = frame.saved.iter().map(|&(reg, _)| (frame.restored, Instruction::SameValue(Register(reg))));
        for (offset, instruction) in before.into_iter().chain(saved).chain(after).chain(again) {
            description.add_instruction(offset, instruction);
        }
        section(common, description)
    }

    fn section(common: CommonInformationEntry, description: FrameDescriptionEntry) -> Option<Registration> {
        let mut table = FrameTable::default();
        let cie = table.add_cie(common);
        table.add_fde(cie, description);
        let mut section = EhFrame::from(EndianVec::new(RunTimeEndian::Little));
        table.write_eh_frame(&mut section).ok()?;
        let mut section = section.0.into_vec();
        // An entry of no length ends a section.
        section.extend_from_slice(&[0; 4]);
        let section = section.into_boxed_slice();
        Some(Registration { section, registered: false })
    }

    impl Registration {
        /// Tells the unwinder.
        pub(in crate::backend) fn register(&mut self) {
            if !std::mem::replace(&mut self.registered, true) {
                // SAFETY: a well-formed section, which stays in place until it is deregistered.
                unsafe { __register_frame(self.section.as_ptr()) };
            }
        }
    }

    impl Drop for Registration {
        fn drop(&mut self) {
            if self.registered {
                // SAFETY: it was registered.
                unsafe { __deregister_frame(self.section.as_ptr()) };
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod platform {
    pub(super) fn describe(_: &super::CompiledCode, _: &dyn super::TargetIsa, _: usize) -> Option<super::Registration> {
        None
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn describe_frame(_: &crate::backend::direct::Frame, _: usize) -> Option<super::Registration> {
        None
    }

    impl super::Registration {
        pub(in crate::backend) fn register(&mut self) {
            self.registered = true;
        }
    }
}

/// Describes the code that runs at `address`. `None` where that is not possible: backtraces end there then.
pub(super) fn describe(compiled: &CompiledCode, isa: &dyn TargetIsa, address: usize) -> Option<Registration> {
    platform::describe(compiled, isa, address)
}

/// The same of code that was made without Cranelift.
#[cfg(target_arch = "x86_64")]
pub(super) fn describe_frame(frame: &super::direct::Frame, address: usize) -> Option<Registration> {
    platform::describe_frame(frame, address)
}
