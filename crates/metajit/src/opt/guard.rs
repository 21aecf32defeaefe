//! Guards: which are needed, and what they prove.
//!
//! **Problem.** Most guards of a trace follow from others. Those that stay split the path: the bridge continues with one
//! outcome, the main path with the other.
//!
//! **Approach.** A guard whose condition is known to hold vanishes; one known to fail ends the path in its exit (or goes on
//! with its bridge). Any other is emitted, the bridge is processed under the opposite fact, and then the main path
//! goes on under the fact. [`Optimizer::assume`] writes a fact down.

use super::range::Range;
use super::value::Val;
use super::{OptError, Optimizer};
use crate::ir::code::{End, Exit, ExitId};
use crate::ir::tree::GuardId;
use crate::ir::{Arg, Aux, Inst, Op};

/// A condition that a guard tests.
#[derive(Clone, Copy)]
enum Fact {
    NotZero(Val),
    Zero(Val),
    Equal(Val, u64),
    Different(Val, u64),
    Valid,
    Invalid,
}

impl Fact {
    fn opposite(self) -> Fact {
        match self {
            Fact::NotZero(val) => Fact::Zero(val),
            Fact::Zero(val) => Fact::NotZero(val),
            Fact::Equal(val, bits) => Fact::Different(val, bits),
            Fact::Different(val, bits) => Fact::Equal(val, bits),
            Fact::Valid => Fact::Invalid,
            Fact::Invalid => Fact::Valid,
        }
    }
}

impl Optimizer<'_> {
    /// Processes a guard of the tree; `false` if the path ends here.
    pub(super) fn guard(&mut self, inst: &Inst) -> Result<bool, OptError> {
        let id = GuardId(inst.index());
        let subject = self.value(inst.args[0]);
        let fact = match inst.op {
            Op::GuardTrue => Fact::NotZero(subject),
            Op::GuardFalse => Fact::Zero(subject),
            Op::GuardValue => {
                Fact::Equal(subject, self.value(inst.args[1]).as_const().unwrap_or(0))
            }
            _ => Fact::Valid,
        };
        let bridge = (self.attach)(id, self.instance);
        let snapshot = self.tree.guards[id.0 as usize].snapshot;
        match self.holds(fact) {
            Some(true) => return Ok(true),
            Some(false) => {
                match bridge {
                    Some(bridge) => self.fragment(bridge)?,
                    None => {
                        let exit = self.exit(Some(id), snapshot);
                        self.end(End::Exit(exit));
                    }
                }
                return Ok(false);
            }
            None => {}
        }
        let subject = self.force(subject);
        let (exit, block) = match bridge {
            Some(_) => {
                let block = self.new_block();
                self.code.exits.push(Exit {
                    guard: Some(id),
                    instance: self.instance,
                    bridge: Some(block),
                    slots: Vec::new(),
                    virtuals: Vec::new(),
                    stores: Vec::new(),
                    resume: Vec::new(),
                    ticks: 0,
                });
                (ExitId(self.code.exits.len() as u32 - 1), Some(block))
            }
            None => (self.exit(Some(id), snapshot), None),
        };
        let args = match fact {
            Fact::Valid | Fact::Invalid => [Arg::Const(0); 3],
            Fact::Equal(_, bits) | Fact::Different(_, bits) => {
                [subject, Arg::Const(bits), Arg::Const(0)]
            }
            Fact::NotZero(_) | Fact::Zero(_) => [subject, Arg::Const(0), Arg::Const(0)],
        };
        self.emit(
            Inst {
                op: inst.op,
                args,
                aux: Aux::Index(exit.0),
            },
            Range::FULL,
        );
        if let (Some(block), Some(bridge)) = (block, bridge) {
            let mark = self.mark();
            self.block = block;
            self.learn(fact.opposite());
            self.fragment(bridge)?;
            self.back_to(mark);
        }
        self.learn(fact);
        Ok(true)
    }

    fn holds(&self, fact: Fact) -> Option<bool> {
        match fact {
            Fact::NotZero(Val::Const(bits)) => Some(bits != 0),
            Fact::NotZero(Val::Virtual(_)) => Some(true),
            Fact::Equal(Val::Const(is), bits) => Some(is == bits),
            Fact::Equal(Val::Virtual(_), _) => Some(false),
            Fact::Zero(_) | Fact::Different(..) => self.holds(fact.opposite()).map(|holds| !holds),
            Fact::Valid => self.state.valid.then_some(true),
            _ => None,
        }
    }

    fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Zero(Val::Op(op)) => self.facts.set(op, Range::exactly(0)),
            Fact::Equal(Val::Op(op), bits) => self.facts.set(op, Range::exactly(bits)),
            Fact::Valid => self.state.valid = true,
            _ => {}
        }
    }
}
