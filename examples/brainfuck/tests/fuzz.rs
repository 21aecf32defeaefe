//! Random programs do the same in every mode.
//!
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make it longer and different.

use brainfuck::{Program, Run, run};
use metajit::testing::{Fuzz, Genes, fuzz};

/// A balanced program, loops nested to `depth` at most.
fn block(genes: &mut Genes<'_>, depth: u32, out: &mut String) {
    for _ in 0..1 + genes.below(6) {
        match genes.below(12) {
            0 | 1 => out.push_str(&"+".repeat(1 + genes.below(4) as usize)),
            2 => out.push_str(&"-".repeat(1 + genes.below(2) as usize)),
            3 | 4 => out.push_str(&">".repeat(1 + genes.below(3) as usize)),
            5 | 6 => out.push('<'),
            7 => out.push('.'),
            8 => out.push(','),
            // A loop that counts its cell down: likely to end.
            9 | 10 if depth > 0 => {
                out.push_str("++++++++[>");
                block(genes, depth - 1, out);
                out.push_str("<-]");
            }
            // Any loop: fuel ends it if nothing else does.
            _ if depth > 0 => {
                out.push('[');
                block(genes, depth - 1, out);
                out.push(']');
            }
            _ => out.push('+'),
        }
    }
}

fn make(genes: &mut Genes<'_>) -> String {
    let mut out = String::from("+>>>>");
    while !genes.is_empty() {
        block(genes, 3, &mut out);
    }
    out
}

fn go(source: &str) -> Run {
    let program = Program::parse(source).expect("balanced");
    run(program, b"input bytes \x01\x02\x03", 24, 3_000)
}

#[test]
fn random_programs_do_the_same_in_every_mode() {
    fuzz(&Fuzz::new("brainfuck", 1, 60), make, go);
}
