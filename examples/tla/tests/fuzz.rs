//! Random programs do the same in every mode.
//!
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make it longer and different.

use metajit::testing::{Fuzz, Genes, fuzz};
use std::fmt::Write;
use tla::{assembler, run, take_output};

/// What a function costs to run, about; programs that cost more than the limit are not made.
const LIMIT: u64 = 40_000;

struct Maker<'a, 'g> {
    genes: &'a mut Genes<'g>,
    text: String,
    labels: u32,
    /// Cost of what is being written, per run of the function, and how often it runs.
    cost: u64,
    times: u64,
    /// Name, parameters and cost of the functions before this one (which it may call).
    known: Vec<(String, u32, u64)>,
    params: u32,
    /// Locals that may be written; counters of loops come after them.
    locals: u32,
    loops: u32,
    /// `try` lines.
    tries: String,
}

impl Maker<'_, '_> {
    fn op(&mut self, op: impl std::fmt::Display) {
        self.cost += self.times;
        writeln!(self.text, "    {op}").expect("text");
    }
    fn label(&mut self) -> String {
        self.labels += 1;
        format!("l{}", self.labels)
    }
    fn place(&mut self, label: &str) {
        writeln!(self.text, "{label}:").expect("text");
    }

    fn constant(&mut self) {
        let text = match self.genes.below(16) {
            0..=6 => self.genes.below(10).to_string(),
            7 => format!("-{}", self.genes.below(100)),
            8 => (1_i64 << self.genes.below(62)).to_string(),
            9 => "4611686018427387903".to_owned(),
            10 => "-4611686018427387904".to_owned(),
            11 => "0.5".to_owned(),
            12 => format!("{}.25", self.genes.below(1000)),
            13 if self.genes.once_in(8) => "nil".to_owned(),
            14 => "1e300".to_owned(),
            _ => "3037000500".to_owned(),
        };
        self.op(format!("push {text}"));
    }

    /// Leaves one value on the stack.
    fn value(&mut self, depth: u32) {
        match self.genes.below(if depth == 0 { 4 } else { 16 }) {
            0 => self.constant(),
            1 | 2 => {
                let local = self.genes.below(self.locals + self.loops.min(1));
                self.op(format!("load {local}"));
            }
            3 => {
                let global = self.genes.below(3);
                self.op(format!("global {global}"));
            }
            4..=9 => {
                let op = self.genes.pick(&["add", "add", "sub", "mul", "lt", "eq", "rem", "div", "pow"]);
                self.value(depth - 1);
                // What throws for most operands gets one for which it does not, most of the time.
                if matches!(op, "rem" | "div" | "pow") && !self.genes.once_in(8) {
                    let small = 1 + self.genes.below(7);
                    self.op(format!("push {small}"));
                } else {
                    self.value(depth - 1);
                }
                self.op(op);
            }
            10 => {
                self.value(depth - 1);
                self.op("scramble");
            }
            11 => {
                // A new object, with a field written.
                let class = self.genes.below(3);
                self.op(format!("push {class}"));
                self.op("new 2");
                let field = self.genes.below(2);
                self.op(format!("push {field}"));
                self.value(depth - 1);
                self.op("set");
            }
            12 => {
                // A field of a new object, or of whatever there is.
                if self.genes.once_in(4) {
                    self.value(depth - 1);
                } else {
                    self.op("push 1");
                    self.op("new 2");
                    self.op("push 0");
                    self.value(depth - 1);
                    self.op("set");
                    self.op("push 1");
                    self.value(0);
                    self.op("set");
                }
                let field = self.genes.below(2) + u32::from(self.genes.once_in(10));
                self.op(format!("push {field}"));
                self.op("get");
            }
            13 => {
                // One of two values.
                let (otherwise, end) = (self.label(), self.label());
                self.value(depth - 1);
                self.op(format!("jump_unless {otherwise}"));
                self.value(depth - 1);
                self.op(format!("jump {end}"));
                self.place(&otherwise);
                self.value(depth - 1);
                self.place(&end);
            }
            _ => {
                let choices: Vec<(String, u32, u64)> =
                    self.known.iter().filter(|(_, _, cost)| self.cost + cost * self.times < LIMIT).cloned().collect();
                if choices.is_empty() {
                    return self.constant();
                }
                let (name, params, cost) = choices[self.genes.below(choices.len() as u32) as usize].clone();
                for _ in 0..params {
                    self.value(depth - 1);
                }
                self.cost += cost * self.times;
                self.op(format!("call {name}"));
            }
        }
    }

    fn store(&mut self) {
        let local = self.genes.below(self.locals);
        self.op(format!("store {local}"));
    }

    fn statement(&mut self, depth: u32) {
        match self.genes.below(if depth == 0 { 7 } else { 15 }) {
            0..=3 => {
                self.value(2);
                self.store();
            }
            4 => {
                self.value(1);
                if self.times > 60 {
                    self.op("pop");
                } else {
                    self.op("print");
                }
            }
            5 => {
                self.value(1);
                let global = self.genes.below(3);
                self.op(format!("set_global {global}"));
            }
            6 => {
                // A write to a global now and then.
                let skip = self.label();
                let (local, every) = (self.genes.below(self.locals + 1), 1 + self.genes.below(30));
                self.op(format!("load {local}"));
                self.op(format!("push {every}"));
                self.op("rem");
                self.op(format!("jump_if {skip}"));
                self.value(1);
                self.op("set_global 0");
                self.place(&skip);
            }
            7 => {
                // A throw on a condition.
                let skip = self.label();
                self.value(2);
                self.op(format!("jump_if {skip}"));
                self.value(1);
                self.op("throw");
                self.place(&skip);
            }
            8 => {
                let (otherwise, end) = (self.label(), self.label());
                self.value(2);
                self.op(format!("jump_unless {otherwise}"));
                self.block(depth - 1);
                self.op(format!("jump {end}"));
                self.place(&otherwise);
                self.block(depth - 1);
                self.place(&end);
            }
            9 => self.guarded(depth - 1),
            _ => {
                let count = [100, 40, 10, 3][self.genes.below(4) as usize];
                if self.times * count > 4000 || self.cost > LIMIT / 4 {
                    self.value(2);
                    return self.store();
                }
                // The counter is a local that nothing else writes.
                let counter = self.locals + self.loops;
                self.loops += 1;
                let again = self.label();
                self.op(format!("push {count}"));
                self.op(format!("store {counter}"));
                self.times *= count;
                self.place(&again);
                if self.genes.below(3) == 0 {
                    self.block(depth - 1);
                } else {
                    self.guarded(depth - 1);
                }
                self.op(format!("load {counter}"));
                self.op("push 1");
                self.op("sub");
                self.op("dup");
                self.op(format!("store {counter}"));
                self.op(format!("jump_if {again}"));
                self.times /= count;
            }
        }
    }

    /// A block whose exceptions are caught.
    fn guarded(&mut self, depth: u32) {
        let (from, to, handler, end) = (self.label(), self.label(), self.label(), self.label());
        self.place(&from);
        self.block(depth);
        self.place(&to);
        self.op(format!("jump {end}"));
        self.place(&handler);
        self.store();
        self.place(&end);
        writeln!(self.tries, "    try {from} {to} {handler}").expect("text");
    }

    fn block(&mut self, depth: u32) {
        for _ in 0..1 + self.genes.below(3) {
            self.statement(depth);
        }
    }
}

/// Loops a function may have.
const LOOPS: u32 = 12;

fn make(genes: &mut Genes<'_>) -> String {
    let count = 1 + genes.below(4);
    let mut maker = Maker {
        genes,
        text: String::new(),
        labels: 0,
        cost: 0,
        times: 1,
        known: Vec::new(),
        params: 0,
        locals: 0,
        loops: 0,
        tries: String::new(),
    };
    let mut functions = Vec::new();
    for number in (0..count).rev() {
        maker.text.clear();
        (maker.cost, maker.times, maker.loops) = (0, 1, 0);
        maker.params = if number == 0 { 0 } else { 1 + maker.genes.below(2) };
        maker.locals = maker.params + 2;
        let name = if number == 0 { "main".to_owned() } else { format!("f{number}") };
        // Some functions call themselves with a smaller argument first.
        if number > 0 && maker.genes.below(3) == 2 {
            let depth = 2 + maker.genes.below(8);
            maker.op("load 0");
            maker.op("push 1");
            maker.op("lt");
            maker.op("jump_if body");
            maker.op(format!("push {depth}"));
            maker.op("load 0");
            maker.op("lt");
            maker.op("jump_if body");
            maker.op("load 0");
            maker.op("push 1");
            maker.op("sub");
            for other in 1..maker.params {
                maker.op(format!("load {other}"));
            }
            maker.op(format!("call {name}"));
            maker.op(format!("store {}", maker.params));
            maker.place("body");
            maker.times = u64::from(depth);
        }
        let last = number == 0;
        for local in maker.params..maker.locals {
            maker.op(format!("push {}", local + 1));
            maker.op(format!("store {local}"));
        }
        loop {
            if last || maker.genes.below(2) == 0 {
                maker.guarded(3);
            } else {
                maker.block(3);
            }
            if maker.genes.is_empty() || !last && maker.genes.below(2) == 0 {
                break;
            }
        }
        maker.value(2);
        maker.op("return");
        if maker.loops > LOOPS {
            // Too many counters: the function is replaced by a simple one.
            maker.text = "    push 1\n    return\n".to_owned();
            maker.tries.clear();
        }
        let (text, tries) = (std::mem::take(&mut maker.text), std::mem::take(&mut maker.tries));
        let (params, locals) = (maker.params, maker.locals + LOOPS);
        functions.push(format!("fn {name} {params} {locals}\n{text}{tries}"));
        let (params, cost) = (maker.params, maker.cost);
        maker.known.push((name, params, cost));
    }
    functions.reverse();
    functions.concat()
}

fn go(text: &str) -> (Result<String, String>, Vec<String>, Vec<String>) {
    let program = assembler::assemble(text).unwrap_or_else(|mistake| panic!("{mistake}\n{text}"));
    let result = match run(program.get(), &[]) {
        Ok(value) => Ok(value.to_string()),
        Err(thrown) => Err(thrown.to_string()),
    };
    let globals = (0..3).map(|index| program.get().globals().at(index).value().to_string()).collect();
    (result, take_output(), globals)
}

#[test]
fn random_programs_do_the_same_in_every_mode() {
    let mut campaign = Fuzz::new("tla", 1, 10);
    campaign.genes = 300;
    fuzz(&campaign, make, go);
}
