//! Inlined control structures, and the fallbacks of the generic version.
//!
//! A structure that can fail tests its receiver once, with an instruction that names a fallback by number. At the fallback the
//! stack holds the operands of the send that have been computed by then: receiver, and for counting loops limit and step.
//! The generic version pushes the remaining arguments, real blocks now, and sends.

use super::analysis::ScopeId;
use super::codegen::{Codegen, Generated, Pending, SlotKey};
use super::inlining::Structure;
use crate::ast::{BlockDef, Expression, Send};
use crate::bytecode::{self as bc, loops};
use crate::value;
use std::rc::Rc;

fn block_of(expression: &Expression) -> Option<&Rc<BlockDef>> {
    match expression {
        Expression::Block(block) => Some(block),
        _ => None,
    }
}

impl Codegen<'_> {
    /// An inlined control structure. `inlining::structure` has checked that its blocks are literal.
    pub(super) fn structure(&mut self, structure: Structure, scope: ScopeId, send: &Send, want: bool) -> Generated<()> {
        let blocks: Vec<Rc<BlockDef>> = send.arguments.iter().filter_map(block_of).cloned().collect();
        match structure {
            Structure::WhileTrue | Structure::WhileFalse => {
                return self.while_loop(structure, send, &blocks, want);
            }
            Structure::ToDo
            | Structure::DownToDo
            | Structure::ToByDo
            | Structure::DownToByDo
            | Structure::TimesRepeat => return self.counting_loop(structure, scope, send, want),
            _ => {}
        }
        self.expression(scope, &send.receiver, true)?;
        self.line(send.pos);
        let depth = self.depth;
        let number = self.fallback();
        match structure {
            Structure::IfTrue => self.one_arm(bc::JUMP_IF_FALSE, number, &blocks[0], want, value::NIL)?,
            Structure::IfFalse => self.one_arm(bc::JUMP_IF_TRUE, number, &blocks[0], want, value::NIL)?,
            Structure::And | Structure::AndOperator => {
                self.one_arm(bc::JUMP_IF_FALSE, number, &blocks[0], want, value::FALSE)?;
            }
            Structure::Or | Structure::OrOperator => {
                self.one_arm(bc::JUMP_IF_TRUE, number, &blocks[0], want, value::TRUE)?;
            }
            Structure::IfTrueIfFalse => self.two_arms(bc::JUMP_IF_FALSE, number, &blocks, want)?,
            Structure::IfFalseIfTrue => self.two_arms(bc::JUMP_IF_TRUE, number, &blocks, want)?,
            Structure::IfNilIfNotNil => self.two_arms(bc::JUMP_IF_NOT_NIL, number, &blocks, want)?,
            Structure::IfNotNilIfNil => self.two_arms(bc::JUMP_IF_NIL, number, &blocks, want)?,
            Structure::IfNil => self.nil_arm(false, number, &blocks[0], want)?,
            _ => self.nil_arm(true, number, &blocks[0], want)?,
        }
        self.plan_fallback(number, depth, scope, send, blocks, want);
        Ok(())
    }

    fn fallback(&mut self) -> usize {
        self.fallbacks.push((0, 0));
        self.fallbacks.len() - 1
    }

    fn plan_fallback(
        &mut self,
        number: usize,
        depth: usize,
        scope: ScopeId,
        send: &Send,
        blocks: Vec<Rc<BlockDef>>,
        want: bool,
    ) {
        if self.generic {
            self.pending.push(Pending {
                number,
                depth,
                scope,
                blocks,
                selector: send.selector.clone(),
                arguments: send.arguments.len(),
                want,
                join: self.code.len(),
                pos: send.pos,
            });
        }
    }

    /// Writes the real sends, after everything else.
    pub(super) fn write_fallbacks(&mut self) -> Generated<()> {
        for pending in std::mem::take(&mut self.pending) {
            self.fallbacks[pending.number] = (self.code.len(), pending.depth);
            self.depth = pending.depth;
            for block in &pending.blocks {
                self.materialize(pending.scope, block)?;
            }
            self.line(pending.pos);
            let (site, selector) = (self.site(), self.selector(&pending.selector));
            self.emit(bc::SEND, pending.arguments, site, selector);
            self.depth = pending.depth;
            if !pending.want {
                self.emit(bc::POP, 0, 0, 0);
            }
            self.emit(bc::JUMP, 0, 0, pending.join);
        }
        Ok(())
    }

    /// The code of an inlined block.
    fn inline(&mut self, block: &BlockDef, want: bool) -> Generated<()> {
        self.enter_scope(block.id + 1);
        self.statements(block.id + 1, &block.body, want)?;
        Ok(())
    }

    /// Jumps around the block with a constant for a value.
    fn one_arm(
        &mut self,
        jump: u64,
        number: usize,
        block: &BlockDef,
        want: bool,
        otherwise: value::Value,
    ) -> Generated<()> {
        let around = self.jump(jump, number);
        self.pop(1);
        self.inline(block, want)?;
        if want {
            let end = self.jump(bc::JUMP, 0);
            self.bind(around);
            self.pop(1);
            self.special(otherwise);
            self.bind(end);
        } else {
            self.bind(around);
        }
        Ok(())
    }

    /// One of two blocks.
    fn two_arms(&mut self, jump: u64, number: usize, blocks: &[Rc<BlockDef>], want: bool) -> Generated<()> {
        let to_second = self.jump(jump, number);
        self.pop(1);
        self.inline(&blocks[0], want)?;
        let end = self.jump(bc::JUMP, 0);
        self.bind(to_second);
        if want {
            self.pop(1);
        }
        self.inline(&blocks[1], want)?;
        self.bind(end);
        Ok(())
    }

    /// `ifNil:` and `ifNotNil:`: the receiver is the value if the block does not run.
    fn nil_arm(&mut self, runs_if_not_nil: bool, number: usize, block: &BlockDef, want: bool) -> Generated<()> {
        let jump = match (runs_if_not_nil, want) {
            (true, true) => bc::KEEP_IF_NIL,
            (true, false) => bc::JUMP_IF_NIL,
            (false, true) => bc::KEEP_IF_NOT_NIL,
            (false, false) => bc::JUMP_IF_NOT_NIL,
        };
        let around = self.jump(jump, number);
        self.pop(1);
        self.inline(block, want)?;
        self.bind(around);
        Ok(())
    }

    /// The condition stands after the body, so that an iteration has one jump.
    fn while_loop(&mut self, structure: Structure, send: &Send, blocks: &[Rc<BlockDef>], want: bool) -> Generated<()> {
        let Some(condition) = block_of(&send.receiver) else {
            return Ok(());
        };
        let to_condition = self.jump(bc::JUMP, 0);
        let begin = self.code.len();
        self.inline(&blocks[0], false)?;
        self.bind(to_condition);
        self.inline(condition, true)?;
        self.line(send.pos);
        let jump = if structure == Structure::WhileTrue { bc::LOOP_IF_TRUE } else { bc::LOOP_IF_FALSE };
        self.fuse_comparison(jump);
        self.emit(jump, 0, 0, begin);
        self.pop(1);
        if want {
            self.special(value::NIL);
        }
        Ok(())
    }

    fn counting_loop(&mut self, structure: Structure, scope: ScopeId, send: &Send, want: bool) -> Generated<()> {
        let Some((Expression::Block(block), operands)) = send.arguments.split_last() else {
            return Ok(());
        };
        let (kind, down) = match structure {
            Structure::ToDo => (loops::TO_DO, 0),
            Structure::DownToDo => (loops::DOWN_TO_DO, 1),
            Structure::ToByDo => (loops::TO_BY_DO, 0),
            Structure::DownToByDo => (loops::DOWN_TO_BY_DO, 1),
            _ => (loops::TIMES_REPEAT, 0),
        };
        self.expression(scope, &send.receiver, true)?;
        for operand in operands {
            self.expression(scope, operand, true)?;
        }
        self.line(send.pos);
        let depth = self.depth;
        let number = self.fallback();
        let slot = self.slot(SlotKey::Loop(block.id), loops::SLOTS);
        self.emit(bc::FOR_INIT, kind as usize, slot, number);
        self.pop(operands.len() + 1);
        // Comparing and stepping by sends needs two operands.
        self.push(2);
        self.pop(2);
        self.emit(bc::FOR_TEST, down, slot, 0);
        let test = self.code.len() - 1;
        let begin = self.code.len();
        self.loop_variable(block, slot);
        self.statements(block.id + 1, &block.body, false)?;
        self.line(send.pos);
        self.emit(bc::FOR_NEXT, down, slot, begin);
        self.bind(test);
        if want {
            self.emit(bc::PUSH_LOCAL, 0, slot + 3, 0);
            self.push(1);
        }
        self.plan_fallback(number, depth, scope, send, vec![block.clone()], want);
        Ok(())
    }

    /// Enters the scope of a loop's body; its argument is the counter itself where nobody can tell.
    fn loop_variable(&mut self, block: &BlockDef, slot: usize) {
        let scope = block.id + 1;
        let argument = self.analysis.scopes[scope].variables[..block.arguments.len()].first().copied();
        let Some(argument) = argument else {
            self.enter_scope(scope);
            return;
        };
        let known = &self.analysis.variables[argument];
        let is_counter = !known.captured && !known.assigned && !self.is_cell(argument);
        if is_counter {
            self.slots.insert(SlotKey::Variable(argument), slot);
        }
        self.enter_scope(scope);
        if !is_counter {
            self.emit(bc::PUSH_LOCAL, 0, slot, 0);
            self.push(1);
            self.store_variable(argument, scope, scope);
        }
    }
}
