//! What the emitter has to know before its one pass: the order of blocks, how long each value is needed, and what can wait.
//!
//! Every instruction has a position in the order in which code is made. A value is taken to be needed at every position
//! from where it is defined to its last use, and, if it is needed where a loop begins, to the loop's end.

use crate::backend::lower::{is_guard, reverse_postorder};
use crate::backend::memory::group;
use crate::ir::code::{Code, End, ExitId};
use crate::ir::{Arg, Aux, Op, OpRef};
use std::collections::HashMap;

/// No value, block or position.
pub(super) const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub(super) struct Liveness {
    /// Blocks in the order in which code is made.
    pub(super) order: Vec<u32>,
    /// By block: the position of its parameters; its first instruction has the next.
    pub(super) start: Vec<u32>,
    /// By block: how many ways lead to it.
    pub(super) ways_in: Vec<u32>,
    /// By block: whether it is reached only where a guard fails.
    pub(super) cold: Vec<bool>,
    /// By value: where it is defined.
    pub(super) defined: Vec<u32>,
    /// By value: where it is needed last; 0 if nowhere.
    pub(super) end: Vec<u32>,
    /// By value: whether it is computed only where a guard tests it.
    pub(super) waits: Vec<bool>,
    /// By arithmetic operation: the overflow operation of the same operands whose guard may do both at once; and the
    /// other way round.
    pub(super) partner: Vec<u32>,
    /// Objects that are allocated together with an earlier one of their block: which one, and how far behind it they are.
    pub(super) parts: HashMap<OpRef, (OpRef, usize)>,
    /// Positions of calls in code that is not cold.
    calls: Vec<u32>,
}

/// Instructions apart that an operation and its overflow's guard may be.
const PARTNERS: usize = 16;

impl Liveness {
    /// `inline` says whether there is memory to allocate from without a call.
    pub(super) fn of(code: &Code, inline: bool) -> Liveness {
        let values = code.insts.len();
        let blocks = code.blocks.len();
        let order: Vec<u32> = reverse_postorder(code).iter().map(|block| block.0).collect();
        let mut this = Liveness {
            order,
            start: vec![NONE; blocks],
            ways_in: vec![0; blocks],
            cold: vec![true; blocks],
            defined: vec![0; values],
            end: vec![0; values],
            waits: vec![false; values],
            partner: vec![NONE; values],
            parts: HashMap::new(),
            calls: Vec::new(),
        };
        let mut position = 1;
        for &block in &this.order {
            this.start[block as usize] = position;
            position += code.blocks[block as usize].insts.len() as u32 + 2;
        }
        let mut uses = vec![0; values];
        // A way back, as where it leads to and where it begins.
        let mut loops: Vec<(u32, u32)> = Vec::new();
        this.ways_in[0] = 1;
        this.cold[0] = false;
        for i in 0..this.order.len() {
            let id = this.order[i] as usize;
            this.block(code, id, &mut uses, &mut loops, inline);
        }
        this.extend(&loops);
        for i in 0..this.order.len() {
            this.find_waiting(code, this.order[i] as usize, &uses);
        }
        if !loops.is_empty() {
            // What waits may have extended what is needed in a loop.
            this.extend(&loops);
        }
        this
    }

    fn block(&mut self, code: &Code, id: usize, uses: &mut [u32], loops: &mut Vec<(u32, u32)>, inline: bool) {
        let block = &code.blocks[id];
        let start = self.start[id];
        let stop = start + block.insts.len() as u32 + 1;
        let cold = self.cold[id];
        for &param in &block.params {
            self.defined[param.0 as usize] = start;
        }
        let mut needed = |this: &mut Self, arg: Arg, position: u32| {
            if let Arg::Op(op) = arg {
                uses[op.0 as usize] += 1;
                this.end[op.0 as usize] = this.end[op.0 as usize].max(position);
            }
        };
        let way = |this: &mut Self, target: u32, cold: bool, loops: &mut Vec<(u32, u32)>| {
            this.ways_in[target as usize] += 1;
            this.cold[target as usize] &= cold;
            if this.start[target as usize] <= start {
                loops.push((this.start[target as usize], stop));
            }
        };
        for (i, &op) in block.insts.iter().enumerate() {
            let position = start + 1 + i as u32;
            let inst = code.inst(op);
            self.defined[op.0 as usize] = position;
            if let Aux::Call(_, range) = inst.aux {
                for &arg in code.args(range) {
                    needed(self, arg, position);
                }
                if !cold {
                    self.calls.push(position);
                }
                continue;
            }
            for &arg in &inst.args {
                needed(self, arg, position);
            }
            if inst.op == Op::New && inline {
                match self.parts.get(&op) {
                    Some(&(first, _)) => needed(self, Arg::Op(first), position),
                    None => {
                        let others = group(code, &block.insts[i..]).0.into_iter().skip(1);
                        self.parts.extend(others.map(|part| (part.op, (op, part.offset))));
                    }
                }
            }
            if is_guard(inst.op) {
                match code.exits[inst.index() as usize].bridge {
                    Some(target) => way(self, target.0, true, loops),
                    None => {
                        for &slot in code.slots(ExitId(inst.index())) {
                            needed(self, Arg::Op(slot), position);
                        }
                    }
                }
            }
        }
        match &block.end {
            End::Jump(target, args) => {
                for &arg in args {
                    needed(self, arg, stop);
                }
                way(self, target.0, cold, loops);
            }
            End::Finish(words) => words.iter().for_each(|&word| needed(self, word, stop)),
            End::Exit(ExitId(exit)) => match code.exits[*exit as usize].bridge {
                Some(target) => way(self, target.0, cold, loops),
                None => {
                    for &slot in code.slots(ExitId(*exit)) {
                        needed(self, Arg::Op(slot), stop);
                    }
                }
            },
            End::Switch { value, cases, otherwise } => {
                needed(self, *value, stop);
                for &to in cases.iter().map(|(_, to)| to).chain([otherwise]) {
                    let target = &code.blocks[to.0 as usize];
                    let leaves = target.insts.is_empty() && target.leaves(code);
                    way(self, to.0, cold || leaves, loops);
                }
            }
            End::Enter(entries) => {
                for &param in &code.blocks[0].params {
                    needed(self, Arg::Op(param), stop);
                }
                for entry in entries {
                    way(self, entry.0, cold, loops);
                }
            }
        }
    }

    /// What is needed where a loop begins is needed in all of it.
    fn extend(&mut self, loops: &[(u32, u32)]) {
        loop {
            let mut changed = false;
            for (&defined, end) in self.defined.iter().zip(&mut self.end) {
                for &(start, stop) in loops {
                    if defined < start && *end >= start && *end < stop {
                        *end = stop;
                        changed = true;
                    }
                }
            }
            if !changed || loops.len() < 2 {
                return;
            }
        }
    }

    /// Comparisons whose only user is a guard of their block need no result: they wait, and so do bits that are
    /// masked only to be compared with zero.
    fn find_waiting(&mut self, code: &Code, id: usize, uses: &[u32]) {
        let (start, insts) = (self.start[id], &code.blocks[id].insts);
        let here = |this: &Self, op: OpRef| {
            let at = this.defined[op.0 as usize];
            at > start && at <= start + insts.len() as u32
        };
        for (i, &guard) in insts.iter().enumerate() {
            let position = start + 1 + i as u32;
            let inst = code.inst(guard);
            let tests = match inst.op {
                Op::GuardTrue | Op::GuardFalse => true,
                Op::GuardValue => matches!(inst.args[1], Arg::Const(0 | 1)),
                _ => false,
            };
            let (true, Arg::Op(condition)) = (tests, inst.args[0]) else { continue };
            if uses[condition.0 as usize] != 1 || !here(self, condition) {
                continue;
            }
            let test = code.inst(condition);
            match test.op {
                Op::Eq | Op::Ne => {
                    if let (Arg::Op(mask), Arg::Const(0)) = (test.args[0], test.args[1])
                        && code.inst(mask).op == Op::And
                        && uses[mask.0 as usize] == 1
                        && here(self, mask)
                    {
                        self.waits[mask.0 as usize] = true;
                        self.need_operands(code, mask, position);
                    }
                }
                Op::Lt | Op::Le | Op::Ult | Op::Ule | Op::Feq | Op::Fne | Op::Flt | Op::Fle => {}
                Op::AddOvf | Op::SubOvf | Op::MulOvf => self.find_partner(code, insts, condition, i),
                _ => continue,
            }
            self.waits[condition.0 as usize] = true;
            self.need_operands(code, condition, position);
        }
    }

    fn need_operands(&mut self, code: &Code, op: OpRef, position: u32) {
        for arg in code.inst(op).args {
            if let Arg::Op(operand) = arg {
                let end = &mut self.end[operand.0 as usize];
                *end = (*end).max(position);
            }
        }
    }

    fn find_partner(&mut self, code: &Code, insts: &[OpRef], overflow: OpRef, guard: usize) {
        let inst = code.inst(overflow);
        let arithmetic = match inst.op {
            Op::AddOvf => Op::Add,
            Op::SubOvf => Op::Sub,
            _ => Op::Mul,
        };
        let near = guard.saturating_sub(PARTNERS)..(guard + PARTNERS).min(insts.len());
        let partner = insts[near].iter().find(|&&op| {
            let other = code.inst(op);
            other.op == arithmetic && other.args[..2] == inst.args[..2] && self.partner[op.0 as usize] == NONE
        });
        if let Some(&partner) = partner {
            self.partner[overflow.0 as usize] = partner.0;
            self.partner[partner.0 as usize] = overflow.0;
        }
    }

    /// Whether the value is needed at a position behind where it is defined.
    pub(super) fn lives_at(&self, value: u32, position: u32) -> bool {
        self.defined[value as usize] < position && self.end[value as usize] >= position
    }

    /// Whether the value is needed behind a call that is yet to come.
    pub(super) fn crosses_call(&self, value: u32, position: u32) -> bool {
        let next = self.calls.partition_point(|&call| call <= position);
        self.calls.get(next).is_some_and(|&call| call < self.end[value as usize])
    }
}
