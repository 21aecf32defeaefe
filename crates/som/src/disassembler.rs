//! Code as text, for `-d`.

use crate::bytecode::{NAMES, op};
use crate::compiler::{Compiled, Constant};
use std::fmt::Write;

/// A function's code, its blocks' after it.
pub fn disassemble(compiled: &Compiled, holder: &str) -> String {
    let mut text = String::new();
    let what = if compiled.is_block { "block in " } else { "" };
    let _ = writeln!(
        text,
        "{what}{holder}>>#{} ({} slots, {} deep)",
        compiled.signature, compiled.stack_begin, compiled.stack_depth
    );
    let mut line = 0;
    for (pc, word) in compiled.code.iter().enumerate() {
        let index = compiled.lines.partition_point(|(begin, _)| *begin as usize <= pc);
        let now = index.checked_sub(1).map_or(0, |index| compiled.lines[index].1);
        let shown = if now == line { String::new() } else { now.to_string() };
        line = now;
        let name = NAMES.get(op(*word) as usize).copied().unwrap_or("?");
        let (a, b, c) = ((word >> 8) & 0xFF, (word >> 16) & 0xFFFF, word >> 32);
        let _ = write!(text, "{shown:>6} {pc:>5}  {name:<18} {a:>3} {b:>5} {c:>10}");
        if let Some(constant) = mentioned(compiled, *word) {
            let _ = write!(text, "   {constant}");
        }
        text.push('\n');
    }
    text
}

fn mentioned(compiled: &Compiled, word: u64) -> Option<String> {
    use crate::bytecode as bc;
    let index = match op(word) {
        bc::PUSH_CONST | bc::PUSH_GLOBAL | bc::PUSH_BLOCK | bc::SEND | bc::SUPER_SEND | bc::SEND_RESTART => word >> 32,
        bc::ADD..=bc::NOT | bc::PUSH_BLOCK_CELLS => (word >> 32) & 0xFFFF,
        _ => return None,
    };
    compiled.constants.get(index as usize).map(|constant| match constant {
        Constant::Literal(literal) => format!("{literal:?}"),
        Constant::Selector(name) => format!("#{name}"),
        Constant::Global(name) => name.to_string(),
        Constant::Block(block) => format!("a block of {} arguments", block.arguments),
        Constant::Superclass => "super".to_owned(),
        Constant::Special(value) => format!("{value:?}"),
    })
}
