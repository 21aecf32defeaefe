//! Leaving compiled code: what guards branch to.
//!
//! **Problem.** A trace has a guard for every few operations, each with ten values to hand over. Exits hardly ever
//! run, but all of them are compiled: without care they are most of the code and most of the time.
//!
//! **Approach.** A snapshot grows by what was logged since the last one, so the slot list of one guard's exit begins with
//! that of the guard before. The lists form a tree of prefixes ([`SlotLists`]). An exit's own block stores what only it
//! hands over and goes on to a block that stores the rest for several exits, down to the one that returns. The only
//! thing passed is the exit's number.
//!
//! **Invariants.** Whatever a shared block stores is in the list of each exit that goes there, so it was computed on every
//! way there.

use super::compiler::CompileError;
use super::lower::{Held, Lowering, MEMORY, malformed, slot_offset};
use crate::ir::code::ExitId;
use crate::ir::{Arg, OpRef};
use cranelift_codegen::cursor::Cursor;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value};
use std::collections::HashMap;

/// The slot lists of all exits as a tree of prefixes; node 0 is the empty list.
struct SlotLists {
    nodes: Vec<Node>,
    children: HashMap<(usize, OpRef), usize>,
}

/// A list that is one slot longer than its parent's.
struct Node {
    parent: usize,
    slot: OpRef,
    depth: usize,
    /// Lists that are one slot longer, and exits whose list this is.
    users: usize,
}

impl SlotLists {
    fn new() -> SlotLists {
        let empty = Node { parent: 0, slot: OpRef(0), depth: 0, users: 0 };
        SlotLists { nodes: vec![empty], children: HashMap::new() }
    }

    /// The node of a list.
    fn add(&mut self, slots: &[OpRef]) -> usize {
        let mut at = 0;
        for &slot in slots {
            let next = self.nodes.len();
            at = match *self.children.entry((at, slot)).or_insert(next) {
                new if new == next => {
                    self.nodes[at].users += 1;
                    let depth = self.nodes[at].depth + 1;
                    self.nodes.push(Node { parent: at, slot, depth, users: 0 });
                    next
                }
                known => known,
            };
        }
        self.nodes[at].users += 1;
        at
    }
}

impl Lowering<'_> {
    /// Where a guard goes that fails.
    pub(super) fn exit_target(&mut self, exit: ExitId) -> Block {
        if let Some(bridge) = self.code.exits[exit.0 as usize].bridge {
            return self.block(bridge);
        }
        if let Some(block) = self.exits[exit.0 as usize] {
            return block;
        }
        let block = self.at.func.dfg.make_block();
        self.exits[exit.0 as usize] = Some(block);
        self.exits_to_do.push(exit);
        block
    }

    /// Makes the cold blocks of all exits that guards named.
    pub(super) fn exit_blocks(&mut self) -> Result<(), CompileError> {
        let code = self.code;
        let mut lists = SlotLists::new();
        let exits = std::mem::take(&mut self.exits_to_do);
        let ends: Vec<usize> = exits.iter().map(|exit| lists.add(code.slots(*exit))).collect();
        let mut shared: Vec<(usize, Block, Value)> = Vec::new();
        let mut block_of = vec![None; lists.nodes.len()];
        for (&exit, &end) in exits.iter().zip(&ends) {
            let Some(block) = self.exits[exit.0 as usize] else {
                continue;
            };
            self.at.insert_block(block);
            self.at.func.layout.set_cold(block);
            let number = self.word_const(u64::from(self.options.number) << 32 | u64::from(exit.0));
            self.store_slots(&lists, end, number, &mut block_of, &mut shared)?;
        }
        while let Some((node, block, number)) = shared.pop() {
            self.at.insert_block(block);
            self.at.func.layout.set_cold(block);
            if node == 0 {
                self.at.ins().return_(&[number]);
            } else {
                let rest = self.store_slot(&lists, node)?;
                self.store_slots(&lists, rest, number, &mut block_of, &mut shared)?;
            }
        }
        Ok(())
    }

    /// Stores the slots of the list that ends at `node` and returns `number`; as far as other exits store them too,
    /// in a block shared with those.
    fn store_slots(
        &mut self,
        lists: &SlotLists,
        mut node: usize,
        number: Value,
        block_of: &mut [Option<Block>],
        shared: &mut Vec<(usize, Block, Value)>,
    ) -> Result<(), CompileError> {
        loop {
            if lists.nodes[node].users > 1 {
                let block = match block_of[node] {
                    Some(block) => block,
                    None => {
                        let block = self.at.func.dfg.make_block();
                        let number = self.at.func.dfg.append_block_param(block, I64);
                        block_of[node] = Some(block);
                        shared.push((node, block, number));
                        block
                    }
                };
                self.at.ins().jump(block, &[BlockArg::Value(number)]);
                return Ok(());
            }
            if node == 0 {
                self.at.ins().return_(&[number]);
                return Ok(());
            }
            node = self.store_slot(lists, node)?;
        }
    }

    /// Stores the last slot of a list that is not empty; returns the list before it.
    fn store_slot(&mut self, lists: &SlotLists, node: usize) -> Result<usize, CompileError> {
        if node == 0 {
            return Ok(0);
        }
        let Node { parent, slot, depth, .. } = lists.nodes[node];
        if let Held::Nothing = self.values[slot.0 as usize] {
            return Err(malformed(slot, "is handed over by an exit and not defined"));
        }
        let value = self.any(Arg::Op(slot));
        let offset = slot_offset(depth - 1);
        self.at.ins().store(MEMORY, value, self.context, offset);
        Ok(parent)
    }
}
