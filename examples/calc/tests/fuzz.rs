//! Random programs do the same in every mode.
//!
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make it longer and different.

use calc::{parser, run};
use metajit::testing::{Fuzz, Genes, fuzz};
use std::fmt::Write;

/// Evaluations that a function may take, about.
const LIMIT: u64 = 30_000;

struct Maker<'a, 'g> {
    genes: &'a mut Genes<'g>,
    /// Parameters and cost of the functions that may be called.
    known: Vec<(String, u32, u64)>,
    loops: u32,
    cost: u64,
    times: u64,
}

const VARIABLES: [&str; 4] = ["a", "b", "x", "y"];

impl Maker<'_, '_> {
    fn number(&mut self) -> String {
        match self.genes.below(12) {
            0..=5 => self.genes.below(12).to_string(),
            6 => format!("{}.5", self.genes.below(100)),
            7 => "70368744177000".to_owned(),
            8 => "8388608".to_owned(),
            9 => "1e150".to_owned(),
            10 => format!("-{}", self.genes.below(1000)),
            _ => "0.001".to_owned(),
        }
    }

    fn value(&mut self, depth: u32) -> String {
        self.cost += self.times;
        match self.genes.below(if depth == 0 { 3 } else { 14 }) {
            0 => self.number(),
            1 | 2 => {
                let counters = self.loops.min(2);
                let which = self.genes.below(4 + counters);
                VARIABLES.get(which as usize).map_or_else(|| format!("i{}", which - 4), |name| (*name).to_owned())
            }
            3..=8 => {
                let op = self.genes.pick(&["+", "-", "*", "<", "<=", "==", "/", "%"]);
                let a = self.value(depth - 1);
                let b = if matches!(op, "/" | "%") && !self.genes.once_in(10) {
                    (1 + self.genes.below(9)).to_string()
                } else {
                    self.value(depth - 1)
                };
                format!("({a} {op} {b})")
            }
            9 => {
                let name = self.genes.pick(&["abs", "floor", "int", "sqrt", "sin"]);
                format!("{name}({})", self.value(depth - 1))
            }
            10 => format!("-{}", self.value(depth - 1)),
            11 => {
                let (c, a, b) = (self.value(depth - 1), self.value(depth - 1), self.value(depth - 1));
                format!("if {c} {{ {a} }} else {{ {b} }}")
            }
            _ => {
                let choices: Vec<(String, u32, u64)> =
                    self.known.iter().filter(|known| self.cost + known.2 * self.times < LIMIT).cloned().collect();
                if choices.is_empty() {
                    return self.number();
                }
                let (name, params, cost) = choices[self.genes.below(choices.len() as u32) as usize].clone();
                self.cost += cost * self.times;
                let arguments: Vec<String> = (0..params).map(|_| self.value(depth - 1)).collect();
                format!("{name}({})", arguments.join(", "))
            }
        }
    }

    fn statement(&mut self, depth: u32, out: &mut String) {
        let choice = self.genes.below(if depth == 0 { 5 } else { 9 });
        match choice {
            0..=4 => {
                let name = self.genes.pick(&VARIABLES);
                let value = self.value(3);
                writeln!(out, "{name} = {value};").expect("text");
            }
            5 => {
                let condition = self.value(2);
                writeln!(out, "if {condition} {{").expect("text");
                self.block(depth - 1, out);
                out.push_str("} else {\n");
                self.block(depth - 1, out);
                out.push_str("}\n");
            }
            6 if self.genes.once_in(4) => {
                let condition = self.value(1);
                let code = self.genes.below(5);
                writeln!(out, "if {condition} == 3 {{ fail({code}) }}").expect("text");
            }
            _ => {
                let count = [100, 30, 8, 300][self.genes.below(4) as usize];
                if self.times * count > 3000 || self.cost > LIMIT / 3 {
                    return;
                }
                let counter = self.loops;
                self.loops += 1;
                writeln!(out, "i{counter} = 0; while i{counter} < {count} {{").expect("text");
                self.times *= count;
                self.block(depth - 1, out);
                self.times /= count;
                writeln!(out, "i{counter} = i{counter} + 1 }}").expect("text");
            }
        }
    }

    fn block(&mut self, depth: u32, out: &mut String) {
        for _ in 0..1 + self.genes.below(3) {
            self.statement(depth, out);
        }
    }
}

fn make(genes: &mut Genes<'_>) -> String {
    let mut maker = Maker { genes, known: Vec::new(), loops: 0, cost: 0, times: 1 };
    let mut out = String::new();
    let functions = maker.genes.below(4);
    for number in 0..functions {
        (maker.loops, maker.cost, maker.times) = (0, 0, 1);
        let params = 1 + maker.genes.below(2);
        let name = format!("f{number}");
        writeln!(out, "fn {name}(a{}) {{ x = 1; y = 2; b = a;", if params == 2 { ", b0" } else { "" }).expect("text");
        if maker.genes.below(3) == 2 {
            let depth = 2 + maker.genes.below(8);
            let more = if params == 2 { ", x" } else { "" };
            writeln!(out, "if 0 < a {{ if a < {depth} {{ y = {name}(a - 1{more}); }} }}").expect("text");
            maker.times = u64::from(depth);
        }
        maker.block(2, &mut out);
        let value = maker.value(2);
        writeln!(out, "{value} }}").expect("text");
        let cost = maker.cost + 5;
        maker.known.push((name, params, cost));
    }
    (maker.loops, maker.cost, maker.times) = (0, 0, 1);
    out.push_str("a = 1; b = 2; x = 0.5; y = 3;\n");
    loop {
        maker.block(3, &mut out);
        if maker.genes.is_empty() {
            break;
        }
    }
    out.push_str("sin(a) + sin(b) + sin(x) + sin(y)\n");
    out
}

fn go(text: &str) -> String {
    let program = parser::parse(text).unwrap_or_else(|mistake| panic!("{mistake}\n{text}"));
    match run(program.get()) {
        Ok(value) => value.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn random_programs_do_the_same_in_every_mode() {
    let mut campaign = Fuzz::new("calc", 1, 6);
    campaign.genes = 300;
    fuzz(&campaign, make, go);
}
