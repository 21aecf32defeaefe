//! Random programs do the same in every mode.
//!
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make it longer and different.

use cells::{compiler, run, take_output};
use metajit::testing::{Fuzz, Genes, fuzz};
use std::fmt::Write;

/// Evaluations that a function may take, about.
const LIMIT: u64 = 30_000;

/// What a variable holds is in its name: integers, lists, arrays, and anything.
const INTS: [&str; 3] = ["i", "j", "k"];
const LISTS: [&str; 2] = ["p", "q"];
const ARRAYS: [&str; 2] = ["a", "b"];

struct Maker<'a, 'g> {
    genes: &'a mut Genes<'g>,
    known: Vec<(String, u64)>,
    loops: u32,
    cost: u64,
    times: u64,
}

impl Maker<'_, '_> {
    fn int(&mut self, depth: u32) -> String {
        self.cost += self.times;
        match self.genes.below(if depth == 0 { 4 } else { 15 }) {
            0 => self.genes.below(16).to_string(),
            1 if self.genes.once_in(6) => {
                self.genes.pick(&["4611686018427387903", "-1", "-7", "1000003", "1099511627776"]).to_owned()
            }
            1..=3 => {
                let counters = self.loops.min(2);
                let which = self.genes.below(3 + counters);
                INTS.get(which as usize).map_or_else(|| format!("n{}", which - 3), |name| (*name).to_owned())
            }
            4..=8 => {
                let op = self.genes.pick(&["+", "-", "*", "and", "xor", "shift", "mod", "/"]);
                let a = self.int(depth - 1);
                let b = if matches!(op, "mod" | "/") && !self.genes.once_in(12) {
                    (1 + self.genes.below(9)).to_string()
                } else {
                    self.int(depth - 1)
                };
                format!("({op} {a} {b})")
            }
            9 => {
                let array = self.array(depth - 1);
                let index = self.index(&array, depth);
                format!("(get {array} {index})")
            }
            10 => format!("(length {})", self.array(depth - 1)),
            11 => {
                let list = self.list(depth - 1);
                format!("(if (pair? {list}) (head {list}) {})", self.int(depth - 1))
            }
            12 => {
                let (c, a, b) = (self.condition(depth - 1), self.int(depth - 1), self.int(depth - 1));
                format!("(if {c} {a} {b})")
            }
            _ => {
                let choices: Vec<(String, u64)> =
                    self.known.iter().filter(|known| self.cost + known.1 * self.times < LIMIT).cloned().collect();
                if choices.is_empty() {
                    return "1".to_owned();
                }
                let (name, cost) = choices[self.genes.below(choices.len() as u32) as usize].clone();
                self.cost += cost * self.times;
                let (i, p, a) = (self.int(depth - 1), self.list(depth - 1), self.array(depth - 1));
                format!("({name} {i} {p} {a})")
            }
        }
    }

    fn index(&mut self, array: &str, depth: u32) -> String {
        if self.genes.once_in(40) {
            return self.int(0);
        }
        if self.genes.below(2) == 0 {
            return self.genes.below(3).to_string();
        }
        format!("(mod {} (length {array}))", self.int(depth.saturating_sub(1)))
    }

    fn condition(&mut self, depth: u32) -> String {
        match self.genes.below(4) {
            0 => format!("(pair? {})", self.list(depth)),
            1 => format!("(= {} {})", self.int(depth), self.int(depth)),
            _ => format!("(< {} {})", self.int(depth), self.int(depth)),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        self.cost += self.times;
        match self.genes.below(if depth == 0 { 2 } else { 6 }) {
            0 | 1 => self.genes.pick(&LISTS).to_owned(),
            2 => "nil".to_owned(),
            3 => {
                let list = self.list(0);
                format!("(if (pair? {list}) (tail {list}) nil)")
            }
            _ => format!("(pair {} {})", self.int(depth - 1), self.list(depth - 1)),
        }
    }

    fn array(&mut self, depth: u32) -> String {
        if depth > 0 && self.genes.once_in(4) {
            return format!("(array {} {})", 3 + self.genes.below(5), self.int(0));
        }
        self.genes.pick(&ARRAYS).to_owned()
    }

    fn statement(&mut self, depth: u32, out: &mut String) {
        self.cost += 4 * self.times;
        match self.genes.below(if depth == 0 { 9 } else { 14 }) {
            0..=2 => {
                let (name, value) = (self.genes.pick(&INTS), self.int(3));
                writeln!(out, "(set {name} {value})").expect("text");
            }
            3 => {
                let (name, value) = (self.genes.pick(&LISTS), self.list(3));
                writeln!(out, "(set {name} {value})").expect("text");
            }
            4 => {
                let (name, value) = (self.genes.pick(&ARRAYS), self.array(2));
                writeln!(out, "(set {name} {value})").expect("text");
            }
            5 | 6 => {
                let array = self.genes.pick(&ARRAYS);
                let (index, value) = (self.index(array, 1), self.int(2));
                writeln!(out, "(put {array} {index} {value})").expect("text");
            }
            7 => {
                let list = self.genes.pick(&LISTS);
                let (op, value) =
                    if self.genes.below(2) == 0 { ("set-head", self.int(2)) } else { ("set-tail", self.list(2)) };
                writeln!(out, "(if (pair? {list}) ({op} {list} {value}) nil)").expect("text");
            }
            8 if self.times < 50 => {
                let value = match self.genes.below(3) {
                    0 => self.int(1),
                    1 => self.list(0),
                    _ => self.array(0),
                };
                writeln!(out, "(print {value})").expect("text");
            }
            9 | 10 => {
                let condition = self.condition(2);
                write!(out, "(if {condition} (begin ").expect("text");
                self.block(depth.saturating_sub(1), out);
                out.push_str(") (begin ");
                self.block(depth.saturating_sub(1), out);
                out.push_str("))\n");
            }
            _ if depth > 0 => {
                let count = [100, 30, 8, 300][self.genes.below(4) as usize];
                if self.times * count > 3000 || self.cost > LIMIT / 3 {
                    return;
                }
                let counter = self.loops;
                self.loops += 1;
                write!(out, "(let n{counter} 0) (while (< n{counter} {count}) ").expect("text");
                self.times *= count;
                self.block(depth - 1, out);
                self.times /= count;
                writeln!(out, "(set n{counter} (+ n{counter} 1)))").expect("text");
            }
            _ => {}
        }
    }

    fn block(&mut self, depth: u32, out: &mut String) {
        for _ in 0..1 + self.genes.below(4) {
            self.statement(depth, out);
        }
    }
}

fn make(genes: &mut Genes<'_>) -> String {
    let mut maker = Maker { genes, known: Vec::new(), loops: 0, cost: 0, times: 1 };
    let mut out = String::new();
    for number in 0..maker.genes.below(3) {
        (maker.loops, maker.cost, maker.times) = (0, 0, 1);
        let name = format!("f{number}");
        writeln!(out, "(define ({name} i p a) (let j 1) (let k 2) (let q nil) (let b (array 4 i))").expect("text");
        if maker.genes.below(3) == 2 {
            let depth = 2 + maker.genes.below(8);
            writeln!(out, "(if (< 0 i) (if (< i {depth}) (set j ({name} (- i 1) p b)) nil) nil)").expect("text");
            maker.times = u64::from(depth);
        }
        maker.block(2, &mut out);
        let value = maker.int(2);
        writeln!(out, "{value})").expect("text");
        let cost = maker.cost + 5;
        maker.known.push((name, cost));
    }
    (maker.loops, maker.cost, maker.times) = (0, 0, 1);
    out.push_str(
        "(let i 1) (let j 2) (let k 3) (let p (pair 1 (pair 2 nil))) (let q nil) (let a (array 5 0)) (let b a)\n",
    );
    loop {
        maker.block(3, &mut out);
        if maker.genes.is_empty() {
            break;
        }
    }
    out.push_str("(print p) (print q) (print a) (print b)\n(+ i (+ j k))\n");
    out
}

fn go(text: &str) -> (String, Vec<String>) {
    let program = compiler::compile(text).unwrap_or_else(|mistake| panic!("{mistake}\n{text}"));
    let result = match run(program.get()) {
        Ok(value) => value.to_string(),
        Err(fault) => format!("{fault:?}"),
    };
    (result, take_output())
}

#[test]
fn random_programs_do_the_same_in_every_mode() {
    let mut campaign = Fuzz::new("cells", 1, 10);
    campaign.genes = 300;
    fuzz(&campaign, make, go);
}
