//! The code being built.

use crate::driver::keep_constant;
use crate::ir::code::{Block, BlockId, Code, DetailsMark, End, Exit, ExitId};
use crate::ir::tree::Portal;
use crate::ir::{Arg, ArgRange, Aux, Class, Inst, Op, OpRef};
use crate::record::FastMap;
use crate::word::Type;

/// See the module.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) code: Code,
    /// Words that calls returned as tags of `Option`s and `Result`s.
    tags: FastMap<u32, ()>,
    /// Instructions of blocks that are not there any more: room for those of new ones.
    insts: Vec<Vec<OpRef>>,
}

/// Where code was built: nothing but memory.
#[derive(Debug)]
pub(super) struct Room {
    code: Code,
    insts: Vec<Vec<OpRef>>,
}

/// How far the code had got, to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    insts: usize,
    args: usize,
    blocks: usize,
    exits: usize,
    details: DetailsMark,
    /// The open block and its instructions.
    block: BlockId,
    in_block: usize,
}

impl Builder {
    /// Builds where other code was built before, if there is such a place: memory that a process has not written yet costs more
    /// than what is written into it here.
    pub(super) fn new(portal: &'static Portal, room: Option<Room>) -> Builder {
        let Room { code, insts } = room.unwrap_or_else(|| {
            // Room for a method of usual size.
            let code = Code {
                insts: Vec::with_capacity(512),
                args: Vec::with_capacity(256),
                blocks: Vec::with_capacity(64),
                exits: Vec::with_capacity(64),
                ..Code::new(portal)
            };
            Room { code, insts: Vec::new() }
        });
        Builder { code: Code { portal, ..code }, tags: FastMap::default(), insts }
    }

    /// The code, in no more memory than it needs, and where it was built.
    pub(super) fn into_code(self) -> (Code, Room) {
        let mut room = self.code;
        let code = Code {
            portal: room.portal,
            spread: room.spread,
            insts: room.insts.clone(),
            args: room.args.clone(),
            blocks: room.blocks.drain(..).collect(),
            exits: room.exits.clone(),
            details: room.details.clone(),
        };
        room.insts.clear();
        room.args.clear();
        room.exits.clear();
        room.details.truncate(DetailsMark::default());
        (code, Room { code: room, insts: self.insts })
    }

    pub(super) fn position(&self, block: BlockId) -> Position {
        Position {
            insts: self.code.insts.len(),
            args: self.code.args.len(),
            blocks: self.code.blocks.len(),
            exits: self.code.exits.len(),
            details: self.code.details.mark(),
            block,
            in_block: self.code.blocks[block.0 as usize].insts.len(),
        }
    }

    pub(super) fn roll_back(&mut self, to: Position) {
        self.code.insts.truncate(to.insts);
        self.code.args.truncate(to.args);
        self.give_up_blocks(to.blocks);
        self.code.exits.truncate(to.exits);
        self.code.details.truncate(to.details);
        self.tags.retain(|&op, ()| (op as usize) < to.insts);
        self.code.blocks[to.block.0 as usize].insts.truncate(to.in_block);
    }

    /// Takes out all blocks from one on.
    pub(super) fn give_up_blocks(&mut self, from: usize) {
        for block in self.code.blocks.drain(from..) {
            let mut insts = block.insts;
            insts.clear();
            self.insts.push(insts);
        }
    }

    /// A new block without parameters; its end is to be set.
    pub(super) fn block(&mut self) -> BlockId {
        let block = BlockId(self.code.blocks.len() as u32);
        self.code.blocks.push(Block {
            params: Vec::new(),
            insts: self.insts.pop().unwrap_or_else(|| Vec::with_capacity(16)),
            end: End::Finish(Vec::new()),
        });
        block
    }

    /// One more parameter of a block.
    pub(super) fn param(&mut self, block: BlockId, ty: Type) -> OpRef {
        let params = &mut self.code.blocks[block.0 as usize].params;
        let op = OpRef(self.code.insts.len() as u32);
        let index = params.len() as u32;
        params.push(op);
        let kind = match ty {
            Type::Int => Op::Param,
            Type::Float => Op::FParam,
        };
        self.code.insts.push(Inst { op: kind, args: [Arg::Const(0); 3], aux: Aux::Index(index) });
        op
    }

    pub(super) fn emit(&mut self, block: BlockId, op: Op, args: [Arg; 3], aux: Aux) -> OpRef {
        for arg in args {
            if let Arg::Const(bits) = arg {
                keep_constant(bits);
            }
        }
        let number = OpRef(self.code.insts.len() as u32);
        self.code.insts.push(Inst { op, args, aux });
        self.code.blocks[block.0 as usize].insts.push(number);
        number
    }

    /// Says that a word is the tag of a structure.
    pub(super) fn tag(&mut self, word: Arg) {
        if let Arg::Op(op) = word {
            self.tags.insert(op.0, ());
        }
    }

    pub(super) fn pool(&mut self, args: impl IntoIterator<Item = Arg>) -> ArgRange {
        let start = self.code.args.len();
        self.code.args.extend(args);
        for arg in &self.code.args[start..] {
            if let Arg::Const(bits) = *arg {
                keep_constant(bits);
            }
        }
        ArgRange { start: start as u32, len: (self.code.args.len() - start) as u32 }
    }

    pub(super) fn exit(&mut self, exit: Exit) -> ExitId {
        self.code.exits.push(exit);
        ExitId(self.code.exits.len() as u32 - 1)
    }

    /// An exit that is no exit: the guard goes to a block.
    pub(super) fn bridge(&mut self, block: BlockId) -> ExitId {
        self.exit(Exit { bridge: Some(block), ..Exit::default() })
    }

    pub(super) fn end(&mut self, block: BlockId, end: End) {
        self.code.blocks[block.0 as usize].end = end;
    }

    /// The type of a word.
    pub(super) fn ty(&self, arg: Arg) -> Type {
        match arg {
            Arg::Const(_) => Type::Int,
            Arg::Op(op) => self.code.inst(op).result().unwrap_or(Type::Int),
        }
    }

    /// Returns what a call returned as it is, where both ways that its tag decides on do just that.
    pub(super) fn join_returns(&mut self) {
        for index in 0..self.code.blocks.len() {
            let block = &self.code.blocks[index];
            let (End::Finish(ok), Some(&guard)) = (&block.end, block.insts.last()) else { continue };
            let (inst, Some((&Arg::Const(0), rest))) = (self.code.inst(guard), ok.split_first()) else { continue };
            let (Op::GuardFalse, Arg::Op(test)) = (inst.op, inst.args[0]) else { continue };
            let test = self.code.inst(test);
            let tag = test.args[0];
            let other = self.code.exits[inst.index() as usize].bridge.map(|block| &self.code.blocks[block.0 as usize]);
            let is_tag = test.op == Op::Ne && test.args[1] == Arg::Const(0) && self.is_tag(tag);
            let same = other.is_some_and(|other| {
                other.insts.is_empty()
                    && matches!(&other.end, End::Finish(words) if words.split_first() == Some((&Arg::Const(1), rest)))
            });
            if is_tag && same {
                let words = std::iter::once(tag).chain(rest.iter().copied()).collect();
                let block = &mut self.code.blocks[index];
                block.insts.pop();
                block.end = End::Finish(words);
            }
        }
    }

    /// Whether a word is the tag of a structure, 0 or 1.
    fn is_tag(&self, arg: Arg) -> bool {
        matches!(arg, Arg::Op(op) if self.tags.contains_key(&op.0))
    }

    /// Takes out instructions whose results nobody wants.
    pub(super) fn sweep(&mut self) {
        let mut used = vec![false; self.code.insts.len()];
        let mark = |used: &mut Vec<bool>, arg: Arg| {
            if let Arg::Op(op) = arg {
                used[op.0 as usize] = true;
            }
        };
        for exit in &self.code.exits {
            self.code.details[exit.slots].iter().for_each(|&slot| used[slot.0 as usize] = true);
        }
        for block in &self.code.blocks {
            if let End::Jump(_, args) | End::Finish(args) = &block.end {
                args.iter().for_each(|&arg| mark(&mut used, arg));
            }
        }
        // A value's uses come after it, but blocks need not be in that order: until nothing changes.
        let mut order: Vec<OpRef> = self.code.blocks.iter().flat_map(|block| block.insts.iter().copied()).collect();
        order.sort_unstable_by_key(|op| std::cmp::Reverse(op.0));
        for op in order {
            let inst = *self.code.inst(op);
            if droppable(&inst) && !used[op.0 as usize] {
                continue;
            }
            for &arg in inst.operands() {
                mark(&mut used, arg);
            }
            if let Aux::Call(_, range) = inst.aux {
                let args: Vec<Arg> = self.code.args(range).to_vec();
                args.into_iter().for_each(|arg| mark(&mut used, arg));
            }
        }
        let Code { insts, blocks, .. } = &mut self.code;
        for block in blocks {
            block.insts.retain(|op| used[op.0 as usize] || !droppable(&insts[op.0 as usize]));
        }
    }
}

fn droppable(inst: &Inst) -> bool {
    matches!(inst.op.info().class, Class::Pure | Class::Load | Class::ImmutableLoad) && inst.op != Op::ResultWord
}
