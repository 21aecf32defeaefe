//! Cleaning up: what is left unused is dropped, and exits ask for less.
//!
//! **Problem.** The forward pass emits values before it knows whether anything will want them; boxes that only exits want are
//! computed in the hot path; blocks are cut where a bridge or a loop might have begun.
//!
//! **Approach.** In this order: blocks with one way in are joined to it; parameters that are given the same value on all
//! ways are that value; what effects, guards and ends need is marked; slots of exits whose value nothing else needs
//! and which is a constant more than another value are replaced by that value ([`Recipe::Plus`]); what is not marked by
//! then is dropped, parameters included; chains of guards become switches (`switch`), and what they leave unused is dropped; blocks and
//! exits that nothing reaches are dropped and the others numbered anew.
//!
//! **Invariants.** Instructions keep their order; those left are numbered by block.

use super::rules::is_large;
use super::value::HashMap;
use super::{Options, switch};
use crate::ir::code::{Block, BlockId, Code, End, ExitId, Recipe};
use crate::ir::{Arg, Aux, Class, Effect, Inst, Op, OpRef};

/// Cleans up code; how many switches were made of guards.
pub(super) fn clean(code: &mut Code, options: &Options) -> usize {
    join_blocks(code);
    settle_parameters(code);
    drop_unreached(code);
    let mut used = Used::new(code);
    used.mark_effects(code);
    if options.sink {
        sink(code, &used.marks);
    }
    match options.dce {
        true => used.mark_exits(code),
        false => used.marks.fill(true),
    }
    drop_unused(code, &used.marks);
    let switches = switch::make(code, options.switch);
    if switches > 0 {
        drop_unreached(code);
    }
    if switches > 0 && options.dce {
        let mut used = Used::new(code);
        used.mark_effects(code);
        used.mark_exits(code);
        drop_unused(code, &used.marks);
    }
    renumber(code);
    switches
}

fn as_op(arg: Arg) -> Option<OpRef> {
    match arg {
        Arg::Op(op) => Some(op),
        Arg::Const(_) => None,
    }
}

/// The exit that an instruction takes if it is a guard.
fn exit_of(inst: &Inst) -> Option<ExitId> {
    (inst.op.info().class == Class::Guard).then(|| ExitId(inst.index()))
}

/// The blocks that a block can go to by its guards and its end; jumps first if `jumps`.
pub(super) fn ways_out(code: &Code, block: BlockId) -> Vec<BlockId> {
    let block = &code.blocks[block.0 as usize];
    let mut ways = Vec::new();
    let bridge = |exit: ExitId| code.exits[exit.0 as usize].bridge;
    ways.extend(block.insts.iter().filter_map(|&op| bridge(exit_of(code.inst(op))?)));
    match &block.end {
        End::Jump(to, _) => ways.push(*to),
        End::Exit(exit) => ways.extend(bridge(*exit)),
        End::Finish(_) => {}
        End::Enter(entries) => ways.extend(entries),
        End::Switch { cases, otherwise, .. } => {
            ways.extend(cases.iter().map(|(_, to)| to));
            ways.push(*otherwise);
        }
    }
    ways
}

/// The blocks that are reached, in an order in which they are first reached.
fn reached(code: &Code) -> Vec<BlockId> {
    let mut seen = vec![false; code.blocks.len()];
    let mut order = Vec::new();
    let mut work = vec![BlockId(0)];
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut seen[block.0 as usize], true) {
            order.push(block);
            work.extend(ways_out(code, block));
        }
    }
    order
}

/// Replaces values everywhere.
fn substitute(code: &mut Code, by: &HashMap<OpRef, Arg>) {
    if by.is_empty() {
        return;
    }
    let last = |mut arg: Arg| {
        while let Arg::Op(op) = arg
            && let Some(&next) = by.get(&op)
        {
            arg = next;
        }
        arg
    };
    for inst in &mut code.insts {
        inst.args = inst.args.map(last);
    }
    for arg in &mut code.args {
        *arg = last(*arg);
    }
    for block in &mut code.blocks {
        match &mut block.end {
            End::Jump(_, args) | End::Finish(args) => args.iter_mut().for_each(|arg| *arg = last(*arg)),
            End::Switch { value, .. } => *value = last(*value),
            End::Exit(_) | End::Enter(_) => {}
        }
    }
    replace_in_exits(code, |op| (last(Arg::Op(op)), 0));
}

/// Gives the exits new sources for values: another value and what to add to it.
fn replace_in_exits(code: &mut Code, source: impl Fn(OpRef) -> (Arg, u64)) {
    let plus = |op: OpRef, more: u64| {
        let (source, plus) = source(op);
        let plus = plus.wrapping_add(more);
        match source {
            Arg::Const(bits) => Recipe::Const(bits.wrapping_add(plus)),
            Arg::Op(op) if plus == 0 => Recipe::Value(op),
            Arg::Op(op) => Recipe::Plus(op, plus),
        }
    };
    code.details.for_each_recipe(|recipe| {
        *recipe = match *recipe {
            Recipe::Value(op) => plus(op, 0),
            Recipe::Plus(op, more) => plus(op, more),
            other => other,
        };
    });
    for exit in &mut code.exits {
        // A slot becomes one or none.
        let slots = &mut code.details[exit.slots];
        let mut kept = 0;
        for index in 0..slots.len() {
            if let (Arg::Op(op), _) = source(slots[index])
                && !slots[..kept].contains(&op)
            {
                slots[kept] = op;
                kept += 1;
            }
        }
        exit.slots = exit.slots.first(kept);
    }
}

/// Joins blocks to the only jump that leads to them.
fn join_blocks(code: &mut Code) {
    let order = reached(code);
    let mut ways_in = vec![0; code.blocks.len()];
    for &block in &order {
        for to in ways_out(code, block) {
            ways_in[to.0 as usize] += 1;
        }
    }
    let mut by = HashMap::default();
    for &block in &order {
        while let End::Jump(to, args) = &code.blocks[block.0 as usize].end
            && ways_in[to.0 as usize] == 1
            && *to != block
        {
            let (to, args) = (*to, args.clone());
            let taken = &mut code.blocks[to.0 as usize];
            let (params, mut insts) = (std::mem::take(&mut taken.params), std::mem::take(&mut taken.insts));
            let end = std::mem::replace(&mut taken.end, End::Finish(Vec::new()));
            by.extend(params.into_iter().zip(args));
            // Nothing leads there any more.
            ways_in[to.0 as usize] = 0;
            let block = &mut code.blocks[block.0 as usize];
            block.insts.append(&mut insts);
            block.end = end;
        }
    }
    substitute(code, &by);
}

/// What each parameter is given, on all ways.
fn sources(code: &Code) -> HashMap<OpRef, Vec<Arg>> {
    let mut sources: HashMap<OpRef, Vec<Arg>> = HashMap::default();
    for block in reached(code) {
        if let End::Jump(to, args) = &code.blocks[block.0 as usize].end {
            for (&param, &arg) in code.blocks[to.0 as usize].params.iter().zip(args) {
                sources.entry(param).or_default().push(arg);
            }
        }
    }
    sources
}

/// Parameters that are given one value on all ways (or themselves) are that value.
fn settle_parameters(code: &mut Code) {
    loop {
        let mut by = HashMap::default();
        for (param, mut args) in sources(code) {
            args.retain(|&arg| arg != Arg::Op(param));
            args.dedup();
            if let [only] = args[..] {
                by.insert(param, only);
            }
        }
        // Two that stand for each other are left alone: settling one at a time could not go round in circles.
        let settled = by.clone();
        by.retain(|_, arg| as_op(*arg).is_none_or(|op| !settled.contains_key(&op)));
        if by.is_empty() {
            return;
        }
        for index in 0..code.blocks.len() {
            let End::Jump(to, args) = &code.blocks[index].end else {
                continue;
            };
            let keep = code.blocks[to.0 as usize].params.iter().map(|param| !by.contains_key(param));
            let (to, args) = (*to, args.iter().zip(keep).filter(|(_, keep)| *keep).map(|(&arg, _)| arg).collect());
            code.blocks[index].end = End::Jump(to, args);
        }
        for block in &mut code.blocks {
            block.params.retain(|param| !by.contains_key(param));
        }
        substitute(code, &by);
    }
}

/// Drops blocks and exits that nothing leads to.
fn drop_unreached(code: &mut Code) {
    let mut order = reached(code);
    order.sort_unstable();
    let mut block_number = vec![None; code.blocks.len()];
    let mut exit_number = vec![None; code.exits.len()];
    let mut exits = Vec::new();
    for (number, block) in order.iter().enumerate() {
        block_number[block.0 as usize] = Some(BlockId(number as u32));
    }
    let mut take = |exit: ExitId| {
        *exit_number[exit.0 as usize].get_or_insert_with(|| {
            exits.push(exit);
            ExitId(exits.len() as u32 - 1)
        })
    };
    let mut blocks = Vec::new();
    let mut all: Vec<Block> = std::mem::take(&mut code.blocks);
    for block in order {
        let empty = Block { params: Vec::new(), insts: Vec::new(), end: End::Finish(Vec::new()) };
        let mut block = std::mem::replace(&mut all[block.0 as usize], empty);
        for &op in &block.insts {
            if let Some(exit) = exit_of(code.inst(op)) {
                code.insts[op.0 as usize].aux = Aux::Index(take(exit).0);
            }
        }
        block.end = match block.end {
            End::Jump(to, args) => End::Jump(block_number[to.0 as usize].unwrap_or(to), args),
            End::Exit(exit) => End::Exit(take(exit)),
            End::Switch { value, mut cases, mut otherwise } => {
                for to in cases.iter_mut().map(|(_, to)| to).chain([&mut otherwise]) {
                    *to = block_number[to.0 as usize].unwrap_or(*to);
                }
                End::Switch { value, cases, otherwise }
            }
            end @ (End::Finish(_) | End::Enter(_)) => end,
        };
        blocks.push(block);
    }
    code.exits = exits.into_iter().map(|exit| code.exits[exit.0 as usize]).collect();
    for exit in &mut code.exits {
        exit.bridge = exit.bridge.and_then(|block| block_number[block.0 as usize]);
    }
    code.blocks = blocks;
}

/// Whether an instruction must stay even if its value is not used.
fn has_effect(inst: &Inst) -> bool {
    match (inst.op.info().class, inst.aux) {
        (Class::Call, Aux::Call(callee, _)) => callee.effect != Effect::Elidable,
        (Class::Store | Class::Guard, _) => true,
        _ => false,
    }
}

/// Which values are needed.
struct Used {
    marks: Vec<bool>,
    /// The call that a further result belongs to.
    call_of: HashMap<OpRef, OpRef>,
    sources: HashMap<OpRef, Vec<Arg>>,
}

impl Used {
    fn new(code: &Code) -> Used {
        let mut call_of = HashMap::default();
        for block in &code.blocks {
            let mut call = None;
            for &op in &block.insts {
                match (code.inst(op).op, call) {
                    (Op::Call, _) => call = Some(op),
                    (Op::ResultWord, Some(call)) => {
                        call_of.insert(op, call);
                    }
                    _ => {}
                }
            }
        }
        Used { marks: vec![false; code.insts.len()], call_of, sources: sources(code) }
    }

    fn mark_effects(&mut self, code: &Code) {
        for block in &code.blocks {
            let effects: Vec<OpRef> = block.insts.iter().copied().filter(|&op| has_effect(code.inst(op))).collect();
            self.mark(code, &effects);
            let wanted = match &block.end {
                End::Finish(args) => &args[..],
                End::Switch { value, .. } => std::slice::from_ref(value),
                End::Jump(..) | End::Exit(_) | End::Enter(_) => &[],
            };
            let wanted: Vec<OpRef> = wanted.iter().filter_map(|&arg| as_op(arg)).collect();
            self.mark(code, &wanted);
        }
    }

    fn mark_exits(&mut self, code: &Code) {
        for exit in &code.exits {
            self.mark(code, &code.details[exit.slots]);
        }
    }

    /// Marks values and all that they need. What a jump gives is needed if the parameter is.
    fn mark(&mut self, code: &Code, values: &[OpRef]) {
        let mut work = values.to_vec();
        while let Some(op) = work.pop() {
            if std::mem::replace(&mut self.marks[op.0 as usize], true) {
                continue;
            }
            let inst = code.inst(op);
            work.extend(inst.operands().iter().filter_map(|&arg| as_op(arg)));
            if let Aux::Call(_, run) = inst.aux {
                work.extend(code.args(run).iter().filter_map(|&arg| as_op(arg)));
            }
            work.extend(self.call_of.get(&op));
            work.extend(self.sources.get(&op).into_iter().flatten().filter_map(|&arg| as_op(arg)));
        }
    }
}

/// Replaces the exits' slots by what they are made from: those that only exits need, and boxed words, which are
/// mostly wanted where it is cold.
fn sink(code: &mut Code, needed: &[bool]) {
    let insts = std::mem::take(&mut code.insts);
    replace_in_exits(code, |value| {
        let (mut source, mut plus) = (value, 0u64);
        loop {
            let inst = &insts[source.0 as usize];
            let wanted = needed[source.0 as usize];
            let (next, more) = match (inst.op, inst.args) {
                (Op::Add, [Arg::Op(next), Arg::Const(more), _]) if !wanted || is_large(more) => (next, more),
                (Op::FloatBits | Op::BitsFloat, [Arg::Op(next), ..]) if !wanted || needed[next.0 as usize] => (next, 0),
                _ => return (Arg::Op(source), plus),
            };
            source = next;
            plus = plus.wrapping_add(more);
        }
    });
    code.insts = insts;
}

fn drop_unused(code: &mut Code, used: &[bool]) {
    let used = |op: OpRef| used[op.0 as usize];
    for index in 0..code.blocks.len() {
        if let End::Jump(to, args) = &code.blocks[index].end {
            let params = code.blocks[to.0 as usize].params.iter().zip(args);
            let args = params.filter(|(param, _)| used(**param)).map(|(_, &arg)| arg).collect();
            code.blocks[index].end = End::Jump(*to, args);
        }
        code.blocks[index].insts.retain(|&op| used(op));
    }
    for (index, block) in code.blocks.iter_mut().enumerate() {
        block.params.retain(|&param| index == 0 || used(param));
        for (position, param) in block.params.iter().enumerate() {
            code.insts[param.0 as usize].aux = Aux::Index(position as u32);
        }
    }
}

/// Numbers what is left anew, in the order of the blocks.
fn renumber(code: &mut Code) {
    let mut number = vec![None; code.insts.len()];
    let mut insts = Vec::new();
    let mut args = Vec::new();
    for block in &mut code.blocks {
        for op in block.params.iter_mut().chain(&mut block.insts) {
            let next = OpRef(insts.len() as u32);
            number[op.0 as usize] = Some(next);
            insts.push(code.insts[op.0 as usize]);
            *op = next;
        }
    }
    let renumbered = |op: OpRef| number[op.0 as usize].unwrap_or(op);
    let renumbered_arg = |arg: Arg| match arg {
        Arg::Op(op) => Arg::Op(renumbered(op)),
        constant => constant,
    };
    for inst in &mut insts {
        inst.args = inst.args.map(renumbered_arg);
        if let Aux::Call(_, run) = &mut inst.aux {
            let start = args.len() as u32;
            args.extend(code.args[run.range()].iter().map(|&arg| renumbered_arg(arg)));
            run.start = start;
        }
    }
    for block in &mut code.blocks {
        match &mut block.end {
            End::Jump(_, args) | End::Finish(args) => args.iter_mut().for_each(|arg| *arg = renumbered_arg(*arg)),
            End::Switch { value, .. } => *value = renumbered_arg(*value),
            End::Exit(_) | End::Enter(_) => {}
        }
    }
    for exit in &code.exits {
        code.details[exit.slots].iter_mut().for_each(|slot| *slot = renumbered(*slot));
    }
    code.details.for_each_recipe(|recipe| {
        if let Recipe::Value(op) | Recipe::Plus(op, _) = recipe {
            *op = renumbered(*op);
        }
    });
    code.insts = insts;
    code.args = args;
}
