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
use super::unwind::{self, Registration};
use super::{debugger, helpers};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Before the pieces that it describes, to be dropped first.
    frames: Mutex<Frames>,
    pieces: [Piece; 4],
}

/// How stubs keep their frames.
#[derive(Debug, Default)]
struct Frames {
    /// What is to be said when the first code that may call them is announced.
    waiting: Vec<Registration>,
    said: Vec<Registration>,
    debugged: Vec<debugger::Published>,
}

impl Stubs {
    /// Makes them.
    pub(super) fn new(arena: &Arc<Arena>) -> Result<Stubs, CompileError> {
        let mut frames = Frames::default();
        let mut stub = |helper: *const (), args| {
            let (piece, frame) = make(arena, helper as u64, args)?;
            frames.waiting.extend(frame);
            Ok(piece)
        };
        let pieces = [
            stub(helpers::barrier as *const (), 1)?,
            stub(helpers::barrier_item as *const (), 2)?,
            stub(helpers::barrier_items as *const (), 3)?,
            stub(helpers::new_objects as *const (), 3)?,
        ];
        Ok(Stubs { frames: Mutex::new(frames), pieces })
    }

    /// Where a stub is.
    pub(super) fn address(&self, stub: Stub) -> u64 {
        self.pieces[stub as usize].address() as u64
    }

    /// Tells unwinders and debuggers of them, once: as [`Machine::announce`](super::compiler::Machine::announce).
    pub(super) fn announce(&self) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut frames.waiting);
        for (mut frame, piece) in waiting.into_iter().zip(&self.pieces) {
            frame.register();
            let published = debugger::publish(piece.address() as usize, piece.len(), "metajit:stub", frame.section());
            frames.debugged.extend(published);
            frames.said.push(frame);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn make(arena: &Arc<Arena>, helper: u64, _: usize) -> Result<(Piece, Option<Registration>), CompileError> {
    let (code, frame) = super::direct::stub(helper);
    let piece = arena.install(&code, |_, _| Ok(()))?;
    let frame = unwind::describe_frame(&frame, piece.address() as usize);
    Ok((piece, frame))
}

#[cfg(not(target_arch = "x86_64"))]
fn make(arena: &Arc<Arena>, helper: u64, args: usize) -> Result<(Piece, Option<Registration>), CompileError> {
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
    let piece = arena.install(compiled.code_buffer(), |_, _| Ok(()))?;
    let frame = unwind::describe(compiled, &*isa, piece.address() as usize);
    Ok((piece, frame))
}
