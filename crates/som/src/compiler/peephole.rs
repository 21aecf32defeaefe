//! Small improvements of finished code, none of which moves an instruction.
//!
//! Jumps to jumps go to the end of the chain, jumps to returns return, and frequent pairs become one operation.

use crate::bytecode::{self as bc, fused, op};

/// How long a chain of jumps is followed: code has no cycles of plain jumps, but need not prove it here.
const MAX_CHAIN: usize = 16;

/// Improves code in place.
pub(super) fn improve(code: &mut [u64]) {
    for index in 0..code.len() {
        if matches!(
            op(code[index]),
            bc::JUMP | bc::JUMP_IF_FALSE | bc::JUMP_IF_TRUE
        ) {
            thread_jump(code, index);
        }
    }
    let mut index = 0;
    while index + 1 < code.len() {
        // What begins a pair of sends or accesses is better off than what ends one, so the second is looked at first.
        let (first, second) = (op(code[index]), op(code[index + 1]));
        let follows = code.get(index + 2).map(|word| op(*word));
        let next_pair = follows.and_then(|third| fused(second, third));
        let defers = matches!(
            next_pair,
            Some(bc::LOCAL_SEND | bc::FIELD_SEND | bc::LOCAL_AT | bc::SEND_POP)
        );
        match fused(first, second) {
            Some(both)
                if !defers || matches!(both, bc::LOCAL_SEND | bc::FIELD_SEND | bc::LOCAL_AT) =>
            {
                code[index] = code[index] - first + both;
                index += 2;
            }
            _ => index += 1,
        }
    }
}

fn thread_jump(code: &mut [u64], index: usize) {
    for _ in 0..MAX_CHAIN {
        let target = (code[index] >> 32) as usize;
        let Some(word) = code.get(target).copied() else {
            return;
        };
        match op(word) {
            bc::JUMP => {
                code[index] = (code[index] & 0xFFFF_FFFF) | (word >> 32) << 32;
            }
            bc::RETURN | bc::RETURN_SELF | bc::RETURN_HOME | bc::RETURN_SELF_HOME
                if op(code[index]) == bc::JUMP =>
            {
                code[index] = word;
                return;
            }
            _ => return,
        }
    }
}
