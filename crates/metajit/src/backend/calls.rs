//! Calls: of native code, of stubs, and of other portals' code.
//!
//! **Problem.** What the interpreted program does most is calling. A call through the driver saves registers, looks for the code, keeps
//! it alive, and copies the results: far more than what a small function does.
//!
//! **Approach.** A portal is called as the driver would do it, with nothing in between: the reds go to the context's slots,
//! the entry is loaded from the call cell, whose address is a constant, and if it says that the portal returned, the
//! result words are in the context. Everything else (there is no code, or it was left by an exit, or there was a panic) is a
//! number that is not `FINISH`, and one cold call of the driver per place, which finishes the call. A cell without code
//! names a function that says so, which saves the test.
//!
//! A portal whose frame is spread ([`crate::ir::Spread`]) has a second entry in its cell, and another function that finishes: the words that
//! go to the slots differ, nothing else does.
//!
//! Each direct call compares the stack pointer with the context's limit first: nothing else that the driver does before a
//! call must be done before this one.
//!
//! **Invariants.** Code that runs is not freed, whoever entered it: see [`crate::driver`]. Every call of native code is
//! followed by a test of `context.panicked`; a portal's code that returned has not panicked.
//!
//! **Rejected.** *Passing reds in registers*: exits and the driver enter code, too, and would need a second way in.

use super::compiler::{CompileError, Countdown};
use super::lower::{Branch, Lowering, MEMORY, Place, malformed, result_offset, slot_offset};
use super::stubs::Stub;
use crate::context::{CellHead, Context, FINISH, MAX_RESULTS, MAX_SLOTS, NO_CODE};
use crate::ir::{Arg, Callee, Effect, OpRef};
use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, BlockArg, InstBuilder, SigRef, Signature, Value};
use cranelift_codegen::isa::CallConv;
use std::mem::offset_of;

/// Argument words that a call may have at most (256 words are far more than any interpreter passes).
pub(super) const MAX_ARGUMENTS: usize = 256;
const _: () = assert!(MAX_ARGUMENTS <= MAX_SLOTS);

/// The signature of a callee that takes so many words.
pub(super) fn call_signature(convention: CallConv, args: usize) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params.resize(args, AbiParam::new(I64));
    if convention == CallConv::SystemV {
        signature.returns.push(AbiParam::new(I64));
    }
    signature
}

/// The signature of compiled code.
pub(super) fn entry_signature() -> Signature {
    call_signature(CallConv::SystemV, 1)
}

impl Lowering<'_> {
    /// A call; its first result word.
    pub(super) fn call(&mut self, op: OpRef, callee: &'static Callee, args: &[Arg]) -> Result<Value, CompileError> {
        if args.len() >= MAX_ARGUMENTS || callee.results as usize > MAX_RESULTS + 1 {
            return Err(malformed(op, "passes too many words"));
        }
        self.called_portal = callee.is_portal();
        if self.called_portal {
            return self.call_portal(op, callee, args);
        }
        let mut words: Vec<Value> = args.iter().map(|&arg| self.word(arg)).collect();
        if callee.results > 1 {
            let results = offset_of!(Context, results) as i64;
            words.push(self.at.ins().iadd_imm_u(self.context, results));
        }
        let result = self.call_address(callee.address as u64, &words);
        self.leave_if_panicked();
        self.heap.forget();
        Ok(result)
    }

    /// A call of a portal's code, see the module.
    fn call_portal(&mut self, op: OpRef, callee: &'static Callee, args: &[Arg]) -> Result<Value, CompileError> {
        let [cell, reds @ ..] = args else { return Err(malformed(op, "passes no call cell")) };
        for (i, &red) in reds.iter().enumerate() {
            let value = self.any(red);
            self.at.ins().store(MEMORY, value, self.context, slot_offset(i));
        }
        let finish = self.at.func.dfg.make_block();
        let number = self.at.func.dfg.append_block_param(finish, I64);
        let done = self.at.func.dfg.make_block();

        let pointer = self.at.ins().get_stack_pointer(I64);
        let limit = self.at.ins().load(I64, MEMORY, self.context, offset_of!(Context, stack_limit) as i32);
        let low = self.at.ins().icmp(IntCC::UnsignedLessThan, pointer, limit);
        let enough = self.at.func.dfg.make_block();
        // What a branch passes is computed before it, so the number is passed by a block of its own.
        let not_called = self.at.func.dfg.make_block();
        self.at.ins().brif(low, not_called, &[], enough, &[]);
        self.at.insert_block(not_called);
        self.at.func.layout.set_cold(not_called);
        let no_code = self.word_const(NO_CODE);
        self.at.ins().jump(finish, &[BlockArg::Value(no_code)]);
        self.at.insert_block(enough);

        let address = self.word(*cell);
        let entry = match callee.effect {
            Effect::Spread => offset_of!(CellHead, spread),
            _ => offset_of!(CellHead, entry),
        };
        let entry = self.at.ins().load(I64, MEMORY, address, entry as i32);
        let signature = self.call_signature(CallConv::SystemV, 1);
        let call = self.at.ins().call_indirect(signature, entry, &[self.context]);
        let code = self.at.func.dfg.first_result(call);
        let finished = self.at.ins().icmp_imm_s(IntCC::Equal, code, FINISH as i64);
        self.at.ins().brif(finished, done, &[], finish, &[BlockArg::Value(code)]);

        self.at.insert_block(finish);
        self.at.func.layout.set_cold(finish);
        let address = self.word(*cell);
        self.call_address(callee.address as u64, &[address, number]);
        self.leave_if_panicked();
        let cold = self.at.current_block().expect("the branch began a block");
        self.at.func.layout.set_cold(cold);
        self.at.ins().jump(done, &[]);

        self.at.insert_block(done);
        self.heap.forget();
        Ok(self.at.ins().load(I64, MEMORY, self.context, result_offset(0)))
    }

    /// A result word that is not the first of the call just before.
    pub(super) fn further_word(&mut self, op: OpRef) -> Result<Value, CompileError> {
        let word = self.code.inst(op).index() as usize;
        let index = if self.called_portal { word } else { word.wrapping_sub(1) };
        if word == 0 || index >= MAX_RESULTS {
            return Err(malformed(op, "names no further word"));
        }
        Ok(self.at.ins().load(I64, MEMORY, self.context, result_offset(index)))
    }

    /// Counts this entry, and says when it is the last that was waited for.
    pub(super) fn count_down(&mut self, countdown: Countdown) {
        let address = self.word_const(countdown.left as u64);
        let left = self.at.ins().load(I64, MEMORY, address, 0);
        let left = self.at.ins().iadd_imm_s(left, -1);
        self.at.ins().store(MEMORY, left, address, 0);
        let reached = self.at.func.dfg.make_block();
        let next = self.at.func.dfg.make_block();
        self.at.ins().brif(left, next, &[], reached, &[]);
        self.at.insert_block(reached);
        self.at.func.layout.set_cold(reached);
        let argument = self.word_const(countdown.argument);
        self.call_address(countdown.reached as *const () as u64, &[argument]);
        self.at.ins().jump(next, &[]);
        self.at.insert_block(next);
    }

    /// Calls `extern "C" fn(u64, …) -> u64`.
    pub(super) fn call_address(&mut self, address: u64, args: &[Value]) -> Value {
        let signature = self.call_signature(CallConv::SystemV, args.len());
        let address = self.word_const(address);
        let call = self.at.ins().call_indirect(signature, address, args);
        self.at.func.dfg.first_result(call)
    }

    /// Calls a stub, which leaves all registers alone.
    pub(super) fn call_stub(&mut self, stub: Stub, args: &[Value]) {
        let signature = self.call_signature(CallConv::PreserveAll, args.len());
        let address = self.word_const(self.stubs.address(stub));
        self.at.ins().call_indirect(signature, address, args);
    }

    fn call_signature(&mut self, convention: CallConv, args: usize) -> SigRef {
        if let Some(&signature) = self.signatures.get(&(convention, args)) {
            return signature;
        }
        let signature = call_signature(convention, args);
        let signature = self.at.func.import_signature(signature);
        self.signatures.insert((convention, args), signature);
        signature
    }

    /// Returns that there was a panic, if the callee that was just called has panicked.
    fn leave_if_panicked(&mut self) {
        let offset = offset_of!(Context, panicked) as i32;
        let panicked = self.at.ins().load(I64, MEMORY, self.context, offset);
        self.leave_as_panicked(panicked, Branch::OnZero);
    }

    /// Goes on if the condition is as said, and else returns that there was a panic.
    pub(super) fn leave_as_panicked(&mut self, condition: Value, stay: Branch) {
        let block = match self.panicked {
            Some(block) => block,
            None => {
                let block = self.at.func.dfg.make_block();
                self.panicked = Some(block);
                block
            }
        };
        self.branch(condition, stay, block, Place::Far);
    }
}
