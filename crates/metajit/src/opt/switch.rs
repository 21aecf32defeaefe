//! Switches: what one value decides between many ways is one branch.
//!
//! **Problem.** Where a value chooses among many ways (the class of a receiver, a token, what to do next), the tree has a chain:
//! a guard against the first constant seen, whose bridge begins with a guard against the second, and so on. Where the program
//! compares with one constant after the other, guards of the same value stand in a row, any of which may have a
//! bridge. Mostly it is both. The n-th way costs n comparisons.
//!
//! **Approach.** Chains are looked for when the code is otherwise done. A guard of such a chain tests whether a value equals a constant,
//! whichever way it is said (`guard_value`, or the outcome of `eq` or `ne`); one of its two sides is where it is equal: a case. The other
//! side, in the same block or in the guard's bridge, is followed to the next guard of the same value. Where no other
//! follows is where the switch goes otherwise. What ends up in one [`End::Switch`] is then dropped: guards, comparisons, bridges'
//! exits. The unbridged guard at a chain's end becomes a block that does nothing but leave by its exit, as before.
//!
//! Pure operations between the guards are computed before the switch, [`MAX_MOVED`] of them at most, if they can't fail. Anything
//! else between two guards ends the chain there: loads may rely on the guard before them, effects are not to happen.
//!
//! It is a switch only if [`Options::switch`](super::Options::switch) constants are told apart and as many of all
//! ways go on in the code. Guards in a row that hardly ever fail are better left as they are: predicted, each is two instructions. And
//! a chain that is not long is as fast as a switch, since predictors are wrong once in either.
//!
//! How a switch branches is the backend's: see `backend/dispatch.rs`.
//!
//! **Invariants.** Of equal constants the first counts, as in the chain. A bridge is taken into a chain only if its guard is the only way
//! into it. Exits keep their guards and instances, so that the switch's exits get bridges like any others.
//!
//! **Rejected.** *While recording, or in the forward pass*: a bridge there knows what the chain's guards have shown, which the switch would
//! have to say once more; as a last step it loses nothing of that. *In the backends*: each would have to find chains, and the
//! evaluator would not run what they make. *Comparisons for order as well* (a decision tree of `lt`): the program has balanced
//! it already if it was written so.

use super::dce::ways_out;
use crate::ir::code::{Block, BlockId, Code, End, ExitId};
use crate::ir::{Arg, Class, Inst, Op, OpRef};

/// Operations between the guards of a chain that are computed before the switch at most: all ways pay for them.
const MAX_MOVED: usize = 4;

/// What a guard of a chain tests: whether a value is a constant.
#[derive(Clone, Copy)]
struct Test {
    value: OpRef,
    bits: u64,
    /// Whether it goes on if so; it goes on if not, otherwise.
    on_equal: bool,
    exit: ExitId,
}

/// Where a way leads: to a place in a block, or out.
#[derive(Clone, Copy)]
enum Way {
    At(BlockId, usize),
    Out(ExitId),
}

/// Guards that make a switch.
struct Chain {
    value: OpRef,
    cases: Vec<(u64, Way)>,
    otherwise: Way,
    /// What is computed between the guards.
    between: Vec<OpRef>,
}

/// Makes switches of all chains that tell at least so many constants apart; how many there were. Leaves blocks and values that nothing
/// wants.
pub(super) fn make(code: &mut Code, least: usize) -> usize {
    if least == 0 || !has_candidates(code, least) {
        return 0;
    }
    let mut ways_in = vec![0; code.blocks.len()];
    for block in 0..code.blocks.len() {
        ways_out(code, BlockId(block as u32)).iter().for_each(|to| ways_in[to.0 as usize] += 1);
    }
    let mut made = 0;
    let mut block = 0;
    while block < code.blocks.len() {
        for at in 0..code.blocks[block].insts.len() {
            let head = (BlockId(block as u32), at);
            if let Some(chain) = chain(code, &ways_in, head)
                && is_worth_it(code, &chain, least)
            {
                replace(code, head, chain);
                ways_in.resize(code.blocks.len(), 1);
                made += 1;
                break;
            }
        }
        block += 1;
    }
    made
}

/// What an instruction tests, if it is a guard that can be of a chain.
fn test(code: &Code, op: OpRef) -> Option<Test> {
    let inst = code.inst(op);
    let [Arg::Op(subject), other, _] = inst.args else { return None };
    let holds = match inst.op {
        Op::GuardValue => {
            let exit = ExitId(inst.index());
            return other.as_const().map(|bits| Test { value: subject, bits, on_equal: true, exit });
        }
        Op::GuardTrue => true,
        Op::GuardFalse => false,
        _ => return None,
    };
    let exit = ExitId(inst.index());
    let condition = code.inst(subject);
    Some(match (condition.op, condition.args) {
        (Op::Eq, [Arg::Op(value), Arg::Const(bits), _]) => Test { value, bits, on_equal: holds, exit },
        (Op::Ne, [Arg::Op(value), Arg::Const(bits), _]) => Test { value, bits, on_equal: !holds, exit },
        _ => Test { value: subject, bits: 0, on_equal: !holds, exit },
    })
}

/// Whether any value is tested as often as it must be. Most code has none, and is not looked at any further.
fn has_candidates(code: &Code, least: usize) -> bool {
    let mut tests = vec![0; code.insts.len()];
    let mut insts = code.blocks.iter().flat_map(|block| &block.insts);
    insts.any(|&op| {
        test(code, op).is_some_and(|test| {
            let tests = &mut tests[test.value.0 as usize];
            *tests += 1;
            *tests >= least
        })
    })
}

/// Whether an instruction can be computed before the guards that it stands behind.
fn can_move(inst: &Inst) -> bool {
    let may_fail = matches!(inst.op, Op::Div | Op::Rem | Op::Udiv | Op::Urem | Op::ResultWord);
    inst.op.info().class == Class::Pure && !may_fail
}

/// Whether an instruction compares this value with a constant: in a chain, it is nobody's when the guards are gone.
fn compares(inst: &Inst, value: OpRef) -> bool {
    matches!((inst.op, inst.args), (Op::Eq | Op::Ne, [Arg::Op(of), Arg::Const(_), _]) if of == value)
}

/// The chain that begins with the guard at this place.
fn chain(code: &Code, ways_in: &[u32], head: (BlockId, usize)) -> Option<Chain> {
    let insts = |block: BlockId| &code.blocks[block.0 as usize].insts;
    let value = test(code, insts(head.0)[head.1])?.value;
    let mut chain = Chain { value, cases: Vec::new(), otherwise: Way::At(head.0, head.1), between: Vec::new() };
    let mut moved = 0;
    while let Way::At(block, start) = chain.otherwise {
        if start == 0 && ways_in[block.0 as usize] != 1 && block != head.0 {
            break;
        }
        let insts = &insts(block)[start..];
        let Some(guard) = insts.iter().position(|&op| !can_move(code.inst(op))) else { break };
        let Some(test) = test(code, insts[guard]).filter(|test| test.value == value) else { break };
        let between = &insts[..guard];
        moved += between.iter().filter(|&&op| !compares(code.inst(op), value)).count();
        if moved > MAX_MOVED {
            break;
        }
        chain.between.extend(between);
        let on = Way::At(block, start + guard + 1);
        let bridge = code.exits[test.exit.0 as usize].bridge;
        let off = bridge.map_or(Way::Out(test.exit), |bridge| Way::At(bridge, 0));
        let (equal, different) = if test.on_equal { (on, off) } else { (off, on) };
        if chain.cases.iter().all(|(bits, _)| *bits != test.bits) {
            chain.cases.push((test.bits, equal));
        }
        chain.otherwise = different;
    }
    Some(chain)
}

fn is_worth_it(code: &Code, chain: &Chain, least: usize) -> bool {
    let ways = chain.cases.iter().map(|(_, way)| way).chain([&chain.otherwise]);
    let go_on = ways.filter(|way| match way {
        Way::At(block, start) => {
            let block = &code.blocks[block.0 as usize];
            *start < block.insts.len() || !block.leaves(code)
        }
        Way::Out(_) => false,
    });
    chain.cases.len() >= least && go_on.count() >= least
}

/// Puts a switch where a chain begins.
fn replace(code: &mut Code, (head, at): (BlockId, usize), chain: Chain) {
    let mut target = |way: Way| {
        let block = match way {
            Way::At(block, 0) => return block,
            Way::At(block, start) => {
                let block = &mut code.blocks[block.0 as usize];
                let end = std::mem::replace(&mut block.end, End::Finish(Vec::new()));
                Block { params: Vec::new(), insts: block.insts.split_off(start), end }
            }
            Way::Out(exit) => Block { params: Vec::new(), insts: Vec::new(), end: End::Exit(exit) },
        };
        code.blocks.push(block);
        BlockId(code.blocks.len() as u32 - 1)
    };
    let cases = chain.cases.into_iter().map(|(bits, way)| (bits, target(way))).collect();
    let otherwise = target(chain.otherwise);
    let block = &mut code.blocks[head.0 as usize];
    block.insts.truncate(at);
    block.insts.extend(chain.between);
    block.end = End::Switch { value: Arg::Op(chain.value), cases, otherwise };
}
