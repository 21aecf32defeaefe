//! What is left unused is dropped.
//!
//! **Problem.** The forward pass emits values before it knows whether anything will want them.
//!
//! **Approach.** Mark what effects, guards, exits and block ends need, then keep only that. Block parameters that
//! nothing uses go too.
//!
//! **Invariants.** Instructions keep their numbers; blocks list fewer of them.

use super::Options;
use crate::ir::code::{Code, End};
use crate::ir::{Arg, Aux, Class, Effect, Inst, Op, OpRef};

/// Whether an instruction must stay even if its value is not used.
fn has_effect(inst: &Inst) -> bool {
    match (inst.op.info().class, inst.aux) {
        (Class::Call, Aux::Call(callee, _)) => callee.effect == Effect::Any,
        (Class::Store | Class::Guard, _) => true,
        _ => false,
    }
}

/// Drops unused instructions and parameters.
pub(super) fn clean(code: &mut Code, _options: &Options) {
    let mut used = vec![false; code.insts.len()];
    let mut work: Vec<OpRef> = Vec::new();
    let mut call_of = vec![None; code.insts.len()];
    for block in &code.blocks {
        let mut call = None;
        for &op in &block.insts {
            match code.inst(op).op {
                Op::Call => call = Some(op),
                Op::ResultWord => call_of[op.0 as usize] = call,
                _ => {}
            }
            if has_effect(code.inst(op)) {
                work.push(op);
            }
        }
        match &block.end {
            End::Finish(args) => work.extend(args.iter().filter_map(|&arg| as_op(arg))),
            End::Jump(..) | End::Exit(_) => {}
        }
    }
    for exit in &code.exits {
        work.extend(&exit.slots);
    }
    // A jump's argument is wanted once the parameter is.
    let mut sources: Vec<Vec<Arg>> = vec![Vec::new(); code.insts.len()];
    for block in &code.blocks {
        if let End::Jump(to, args) = &block.end {
            for (&param, &arg) in code.blocks[to.0 as usize].params.iter().zip(args) {
                sources[param.0 as usize].push(arg);
            }
        }
    }
    while let Some(op) = work.pop() {
        if std::mem::replace(&mut used[op.0 as usize], true) {
            continue;
        }
        let inst = code.inst(op);
        work.extend(inst.operands().iter().filter_map(|&arg| as_op(arg)));
        if let Aux::Call(_, run) = inst.aux {
            work.extend(code.args(run).iter().filter_map(|&arg| as_op(arg)));
        }
        work.extend(call_of[op.0 as usize]);
        work.extend(sources[op.0 as usize].iter().filter_map(|&arg| as_op(arg)));
    }
    for index in 0..code.blocks.len() {
        code.blocks[index].insts.retain(|op| used[op.0 as usize]);
    }
    let keep: Vec<Vec<bool>> = code
        .blocks
        .iter()
        .enumerate()
        .map(|(index, block)| {
            block
                .params
                .iter()
                .map(|param| index == 0 || used[param.0 as usize])
                .collect()
        })
        .collect();
    for block in &mut code.blocks {
        if let End::Jump(to, args) = &mut block.end {
            let mut keep = keep[to.0 as usize].iter();
            args.retain(|_| keep.next() == Some(&true));
        }
    }
    for (index, keep) in keep.iter().enumerate() {
        let mut keep = keep.iter();
        code.blocks[index]
            .params
            .retain(|_| keep.next() == Some(&true));
        for (position, param) in code.blocks[index].params.clone().into_iter().enumerate() {
            code.insts[param.0 as usize].aux = Aux::Index(position as u32);
        }
    }
}

fn as_op(arg: Arg) -> Option<OpRef> {
    match arg {
        Arg::Op(op) => Some(op),
        Arg::Const(_) => None,
    }
}
