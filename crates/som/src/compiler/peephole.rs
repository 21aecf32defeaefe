//! Small improvements of finished code, none of which moves an instruction.
//!
//! Jumps to jumps go to the end of the chain, jumps to returns return, and frequent pairs become one operation.

use crate::bytecode::{self as bc, fused, op};

/// How long a chain of jumps is followed: code has no cycles of plain jumps, but need not prove it here.
const MAX_CHAIN: usize = 16;

/// Improves code in place.
pub(super) fn improve(code: &mut [u64]) {
    for index in 0..code.len() {
        if matches!(op(code[index]), bc::JUMP | bc::JUMP_IF_FALSE | bc::JUMP_IF_TRUE) {
            thread_jump(code, index);
        }
    }
    let mut index = 0;
    while index + 1 < code.len() {
        let (first, second) = (op(code[index]), op(code[index + 1]));
        let follows = code.get(index + 2).map(|word| op(*word));
        // Two pushes can wait if the second is worth more with what follows.
        let defers = follows.and_then(|third| fused(second, third)).is_some_and(computes);
        match fused(first, second) {
            Some(both) if !defers || computes(both) => {
                code[index] = code[index] - first + both;
                index += 2;
            }
            _ => index += 1,
        }
    }
}

/// Whether a pair does more than move values.
fn computes(pair: u64) -> bool {
    matches!(
        pair,
        bc::LOCAL_SEND
            | bc::FIELD_SEND
            | bc::LOCAL_AT
            | bc::LOCAL_ADD
            | bc::LOCAL_SUB
            | bc::LOCAL_MUL
            | bc::SEND_POP
            | bc::SEND_RETURN
            | bc::AT_PUT_POP
    )
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
            bc::RETURN | bc::RETURN_SELF | bc::RETURN_HOME | bc::RETURN_SELF_HOME if op(code[index]) == bc::JUMP => {
                code[index] = word;
                return;
            }
            _ => return,
        }
    }
}
