//! Machine code that every compiled function may call: the slow ways of the heap, with all registers left alone.
//!
//! **Problem.** A call in a cold block still clobbers the registers that a call clobbers, and the register allocator makes
//! the hot path pay for that.
//!
//! **Approach.** A stub per slow way, of the calling convention that preserves everything; it saves all registers and calls
//! the native helper. Such functions return nothing, so an allocation leaves its results in the context. The collector
//! finds the saved registers on the stack.

use super::arena::{Arena, Piece};
use super::compiler::CompileError;
use super::helpers;
use std::sync::Arc;

/// Names a stub.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stub {
    /// [`helpers::barrier`].
    Barrier,
    /// [`helpers::barrier_item`].
    BarrierItem,
    /// [`helpers::barrier_items`].
    BarrierItems,
    /// [`helpers::new_objects`].
    New,
}

/// The stubs of an arena.
#[derive(Debug)]
pub(super) struct Stubs {
    pieces: [Piece; 4],
}

impl Stubs {
    /// Makes them.
    pub(super) fn new(arena: &Arc<Arena>) -> Result<Stubs, CompileError> {
        let barrier = helpers::barrier as *const () as u64;
        let barrier_item = helpers::barrier_item as *const () as u64;
        let barrier_items = helpers::barrier_items as *const () as u64;
        let new = helpers::new_objects as *const () as u64;
        Ok(Stubs {
            pieces: [
                make(arena, barrier, 1)?,
                make(arena, barrier_item, 2)?,
                make(arena, barrier_items, 3)?,
                make(arena, new, 3)?,
            ],
        })
    }

    /// Where a stub is.
    pub(super) fn address(&self, stub: Stub) -> u64 {
        self.pieces[stub as usize].address() as u64
    }
}

#[cfg(target_arch = "x86_64")]
fn make(arena: &Arc<Arena>, helper: u64, _: usize) -> Result<Piece, CompileError> {
    arena.install(&super::direct::stub(helper), |_, _| Ok(()))
}

#[cfg(not(target_arch = "x86_64"))]
fn make(arena: &Arc<Arena>, helper: u64, args: usize) -> Result<Piece, CompileError> {
    use super::calls::call_signature;
    use super::compiler::{Quality, codegen_error, target};
    use cranelift_codegen::control::ControlPlane;
    use cranelift_codegen::cursor::{Cursor, FuncCursor};
    use cranelift_codegen::ir::types::I64;
    use cranelift_codegen::ir::{InstBuilder, Value};
    use cranelift_codegen::isa::CallConv;

    let mut context = cranelift_codegen::Context::new();
    let func = &mut context.func;
    func.signature = call_signature(CallConv::PreserveAll, args);
    let block = func.dfg.make_block();
    let args: Vec<Value> = (0..args).map(|_| func.dfg.append_block_param(block, I64)).collect();
    let signature = func.import_signature(call_signature(CallConv::SystemV, args.len()));
    let mut at = FuncCursor::new(func);
    at.insert_block(block);
    let helper = at.ins().iconst(I64, helper as i64);
    at.ins().call_indirect(signature, helper, &args);
    at.ins().return_(&[]);
    let isa = target(Quality::Quick)?;
    let compiled = context.compile(&*isa, &mut ControlPlane::default()).map_err(|error| codegen_error(&error))?;
    arena.install(compiled.code_buffer(), |_, _| Ok(()))
}
