//! A generator of random SOM programs that end.
//!
//! A program is four classes, `FzBase`, its subclasses `FzLeft` and `FzRight`, `FzFar` below `FzLeft`, and the program `Fz`, which
//! is a `FzBase`, too. Each level of methods, `m0:`, `m1:`..., has one in `FzBase` and some that override it; a method calls only
//! those of lower levels, or itself with a smaller argument, and its cost is estimated, so that every program ends soon. Expressions
//! are typed, so that most programs get far; now and then one is of another type, which is an error or a
//! `doesNotUnderstand:arguments:`.
//!
//! A *moderate* program does only what SOM VMs agree on: Integers of 31 bits, no errors, no Doubles in print.

use metajit::testing::Genes;
use std::fmt::Write;

/// Evaluations that a method may take, about.
const LIMIT: u64 = 20_000;

/// Of them, what the block in the variable `b` may take at each call.
const BLOCK_COST: u64 = 150;

/// The line that begins a class in a program's text.
pub(crate) const CLASS: &str = "\"=== ";

/// The classes that have methods, with the superclass of each.
const CLASSES: [(&str, &str); 5] =
    [("FzBase", "Object"), ("FzLeft", "FzBase"), ("FzRight", "FzBase"), ("FzFar", "FzLeft"), ("Fz", "FzBase")];

/// What is in scope, and what it costs.
struct Maker<'a, 'g> {
    genes: &'a mut Genes<'g>,
    moderate: bool,
    /// Costs of the levels of methods that may be called.
    known: Vec<u64>,
    /// Whether there is an inherited method of the level that is being made.
    inherited: bool,
    /// Names of the counters of the loops that are open.
    counters: Vec<String>,
    /// Names of the parameters of the blocks that are open.
    parameters: Vec<String>,
    /// Whether the place is in the block that the variable `b` will hold: it must not call itself.
    in_block: bool,
    /// Names made so far.
    fresh: u32,
    cost: u64,
    times: u64,
}

impl Maker<'_, '_> {
    fn name(&mut self, prefix: &str) -> String {
        self.fresh += 1;
        format!("{prefix}{}", self.fresh)
    }

    fn literal(&mut self) -> String {
        let small = self.genes.below(20);
        match self.genes.below(if self.moderate { 8 } else { 18 }) {
            0..=5 => small.to_string(),
            6 => format!("{}", u64::from(small) * 977),
            7 => format!("-{}", small + 1),
            8 => "1125899906842623".to_owned(),
            9 => "-1125899906842624".to_owned(),
            10 => "4503599627370495".to_owned(),
            11 => "2147483647".to_owned(),
            12 => "-2147483648".to_owned(),
            13 => "9223372036854775807".to_owned(),
            14 => "-9223372036854775808".to_owned(),
            15 => "4611686018427387904".to_owned(),
            16 => "1000000000000000000000000".to_owned(),
            _ => "-340282366920938463463374607431768211456".to_owned(),
        }
    }

    /// An Integer that keeps Integers of any size from growing for ever.
    fn modulus(&mut self) -> &'static str {
        if self.moderate {
            return self.genes.pick(&["1009", "30011", "7"]);
        }
        self.genes.pick(&["1009", "1000003", "1125899906842624", "2251799813685249", "18446744073709551629", "7"])
    }

    fn integer_variable(&mut self) -> String {
        let inner = self.counters.len() + self.parameters.len();
        let which = self.genes.below(6 + 2 * inner as u32) as usize;
        match which {
            0 => "i".to_owned(),
            1 => "j".to_owned(),
            2 => "p".to_owned(),
            3 => "f".to_owned(),
            4 => "g".to_owned(),
            5 => "k".to_owned(),
            _ => {
                let which = (which - 6) / 2;
                let counters = self.counters.len();
                if which < counters { self.counters[which].clone() } else { self.parameters[which - counters].clone() }
            }
        }
    }

    /// An expression that is most likely an Integer.
    fn integer(&mut self, depth: u32) -> String {
        self.cost += self.times;
        if depth == 0 {
            return if self.genes.below(3) == 0 { self.literal() } else { self.integer_variable() };
        }
        match self.genes.below(24) {
            0..=2 => self.integer_variable(),
            3 => self.literal(),
            4..=8 => {
                let operator = self.genes.pick(&["+", "-", "+", "*", "-"]);
                let (left, right) = (self.integer(depth - 1), self.integer(depth - 1));
                if self.moderate && operator == "*" {
                    format!("(({left} rem: 30011) * ({right} rem: 30011))")
                } else {
                    format!("({left} {operator} {right})")
                }
            }
            9 => {
                let operator = self.genes.pick(&["rem:", "%", "/", "&", "bitXor:"]);
                // VMs disagree about the bits and the rest of negative numbers.
                let operator = if self.moderate { "rem:" } else { operator };
                let left = self.integer(depth - 1);
                let right = if self.genes.once_in(12) && !self.moderate {
                    self.integer(depth - 1)
                } else {
                    (1 + self.genes.below(40)).to_string()
                };
                format!("({left} {operator} {right})")
            }
            10 => {
                let value = self.integer(depth - 1);
                match self.genes.below(if self.moderate { 2 } else { 6 }) {
                    0 => format!("{value} abs"),
                    1 => format!("{value} negated"),
                    2 => format!("{value} as32BitSignedValue"),
                    3 => format!("{value} as32BitUnsignedValue"),
                    4 => format!("(({value} bitXor: 3) << {})", self.genes.below(70)),
                    _ => format!("({value} >>> {})", self.genes.below(70)),
                }
            }
            11 => {
                let selector = self.genes.pick(&["max:", "min:"]);
                format!("({} {selector} {})", self.integer(depth - 1), self.integer(depth - 1))
            }
            12 | 13 => {
                let condition = self.condition(depth - 1);
                let (yes, no) = (self.integer(depth - 1), self.integer(depth - 1));
                format!("({condition} ifTrue: [ {yes} ] ifFalse: [ {no} ])")
            }
            14 => {
                let index = self.integer(depth - 1);
                format!("(a at: ({index} % 6) abs + 1)")
            }
            15..=18 => self.send(depth),
            19 => {
                let name = self.name("q");
                let argument = self.integer(depth - 1);
                self.parameters.push(name.clone());
                let mut body = self.integer(depth - 1);
                self.parameters.pop();
                if self.moderate && (body == "f" || body == "g") {
                    // SOM++ says that a block which does nothing but read a field is worth the block itself.
                    body.push_str(" + 0");
                }
                format!("([ :{name} | {body} ] value: {argument})")
            }
            20 if !self.in_block && self.cost + BLOCK_COST * self.times < LIMIT => {
                self.cost += BLOCK_COST * self.times;
                format!("(b value: {})", self.integer(depth - 1))
            }
            21 if !self.moderate => {
                let value = self.double(depth - 1);
                format!("((({value}) % 1000.0) asInteger)")
            }
            22 => self.odd(depth),
            _ => format!("{} length", self.string(depth - 1)),
        }
    }

    /// A send of a method of a lower level.
    fn send(&mut self, depth: u32) -> String {
        let choices: Vec<usize> =
            (0..self.known.len()).filter(|&level| self.cost + self.known[level] * self.times < LIMIT).collect();
        if choices.is_empty() {
            return self.integer_variable();
        }
        let level = choices[self.genes.below(choices.len() as u32) as usize];
        self.cost += self.known[level] * self.times;
        let argument = self.integer(depth - 1);
        match self.genes.below(12) {
            0..=4 => format!("(o m{level}: {argument})"),
            5..=7 => format!("(self m{level}: {argument})"),
            8 if self.inherited => format!("(super m{level}: {argument})"),
            9 => format!("(self perform: #m{level}: withArguments: (Array with: {argument}))"),
            10 => {
                let class = CLASSES[self.genes.below(4) as usize].0;
                format!("({class} new fill m{level}: {argument})")
            }
            11 => format!("((r at: ({argument} % 4) abs + 1) m{level}: {argument})"),
            _ => format!("(o m{level}: {argument})"),
        }
    }

    /// What programs seldom do.
    fn odd(&mut self, depth: u32) -> String {
        let value = self.integer(depth - 1);
        if self.moderate {
            return value;
        }
        match self.genes.below(22) {
            0 => format!("(o foo: {value} bar: 2)"),
            1 => format!("(nil foo: {value})"),
            2 => "(o ifTrue: [ 3 ] ifFalse: [ 4 ])".to_owned(),
            3 => format!("({value} + nil)"),
            4 => format!("(a at: {value})"),
            5 => format!("({value} ifTrue: [ 1 ])"),
            6 => format!("({value} + 0.5)"),
            7 => "('abc' + 3)".to_owned(),
            8 => format!("(system global: ('fz' + {value}) asSymbol)"),
            9 => "fzUnknown".to_owned(),
            10 => "(e value)".to_owned(),
            11 => format!("(o perform: #unknown: withArguments: (Array with: {value}))"),
            12 => format!("(self error: 'stop ' + {value})"),
            13 => format!("(o and: [ {value} ])"),
            14 => format!("(({value} rem: 50) to: 3 do: [ :z | z ])"),
            15 => format!("(({value} < 3) + 1)"),
            16 => format!("(Integer fromString: {value} asString)"),
            17 => format!("({value} asString hashcode)"),
            18 => format!("({value} sqrt)"),
            19 => "(o isNil ifTrue: [ 1 ])".to_owned(),
            20 => format!("({value} ifNil: [ 1 ] ifNotNil: [ 2 ])"),
            _ => format!("(0 - {value} asString asInteger)"),
        }
    }

    fn double(&mut self, depth: u32) -> String {
        self.cost += self.times;
        if depth == 0 {
            return self.genes.pick(&["d", "h", "0.5", "1.5", "-3.25", "1000000.0"]).to_owned();
        }
        match self.genes.below(9) {
            0 | 1 => self.genes.pick(&["d", "h", "0.1", "2.0", "-0.0", "123456789.125"]).to_owned(),
            2..=4 => {
                let operator = self.genes.pick(&["+", "-", "*", "//"]);
                format!("({} {operator} {})", self.double(depth - 1), self.double(depth - 1))
            }
            5 => {
                let operator = self.genes.pick(&["+", "-", "*", "//"]);
                format!("({} asDouble {operator} {})", self.integer(depth - 1), self.double(depth - 1))
            }
            6 => {
                let selector = self.genes.pick(&["sqrt", "sin", "cos"]);
                format!("{} {selector}", self.double(depth - 1))
            }
            7 => {
                let condition = self.condition(depth - 1);
                format!("({condition} ifTrue: [ {} ] ifFalse: [ {} ])", self.double(depth - 1), self.double(depth - 1))
            }
            _ => format!("({} // {})", self.integer(depth - 1), self.double(depth - 1)),
        }
    }

    fn condition(&mut self, depth: u32) -> String {
        self.cost += self.times;
        if depth == 0 {
            let operator = self.genes.pick(&["<", ">", "=", "<=", ">=", "<>"]);
            return format!("({} {operator} {})", self.integer_variable(), self.integer_variable());
        }
        match self.genes.below(12) {
            0..=4 => {
                let operator = self.genes.pick(&["<", ">", "=", "<=", ">=", "<>"]);
                format!("({} {operator} {})", self.integer(depth - 1), self.integer(depth - 1))
            }
            5 if !self.moderate => {
                let operator = self.genes.pick(&["<", ">", "=", "<=", ">="]);
                let left = self.double(depth - 1);
                let right = if self.genes.once_in(3) { self.integer(depth - 1) } else { self.double(depth - 1) };
                format!("({left} {operator} {right})")
            }
            6 => format!("({} and: [ {} ])", self.condition(depth - 1), self.condition(depth - 1)),
            7 => format!("({} or: [ {} ])", self.condition(depth - 1), self.condition(depth - 1)),
            8 => format!("{} not", self.condition(depth - 1)),
            9 => {
                let selector = self.genes.pick(&["isNil", "notNil"]);
                format!("{} {selector}", self.genes.pick(&["o", "f", "nil", "e"]))
            }
            10 => format!("({} = {})", self.string(depth - 1), self.string(depth - 1)),
            _ => {
                let left = self.genes.pick(&["o", "self", "a", "nil", "i"]);
                format!("({left} == {})", self.genes.pick(&["o", "self", "a", "nil", "j"]))
            }
        }
    }

    fn string(&mut self, depth: u32) -> String {
        self.cost += self.times;
        match self.genes.below(if depth == 0 { 2 } else { 5 }) {
            0 => self.genes.pick(&["'fz'", "''", "'a b'", "#sym", "'fz12'"]).to_owned(),
            1 | 2 => format!("{} asString", self.integer_variable()),
            3 => format!("({} + {})", self.string(depth - 1), self.string(depth - 1)),
            _ => format!("({} class name)", self.genes.pick(&["o", "self", "i", "a"])),
        }
    }

    fn statement(&mut self, depth: u32, out: &mut String) {
        match self.genes.below(if depth == 0 { 12 } else { 22 }) {
            0..=4 => {
                let name = self.genes.pick(&["i", "j", "f", "g", "k"]);
                let value = self.integer(3);
                let modulus = self.modulus();
                writeln!(out, "{name} := {value} rem: {modulus}.").expect("text");
            }
            5 => {
                let (index, value) = (self.integer(1), self.integer(2));
                let modulus = self.modulus();
                writeln!(out, "a at: ({index} % 6) abs + 1 put: ({value} rem: {modulus}).").expect("text");
            }
            6 if !self.moderate => {
                let name = self.genes.pick(&["d", "h"]);
                let value = self.double(2);
                writeln!(out, "{name} := {value}.").expect("text");
            }
            7 => {
                let class = CLASSES[self.genes.below(4) as usize].0;
                let which = self.integer(1);
                writeln!(out, "o := r at: ({which} % 4) abs + 1.").expect("text");
                if self.genes.once_in(6) {
                    writeln!(out, "o := {class} new fill.").expect("text");
                }
            }
            8 => {
                let name = self.name("q");
                self.parameters.push(name.clone());
                let mut body = String::new();
                // What it costs is paid where it is called.
                let (times, cost) = (self.times, self.cost);
                (self.times, self.cost) = (1, LIMIT - BLOCK_COST);
                self.in_block = true;
                if self.genes.once_in(2) {
                    let target = self.genes.pick(&["i", "f", "k"]);
                    let value = self.integer(1);
                    write!(body, "{target} := {value} rem: 1009. ").expect("text");
                }
                let value = self.integer(2);
                (self.times, self.cost) = (times, cost);
                self.parameters.pop();
                self.in_block = false;
                let away = if self.genes.once_in(5) {
                    format!("{name} > {} ifTrue: [ ^{name} rem: 977 ]. ", self.genes.below(900))
                } else {
                    String::new()
                };
                writeln!(out, "b := [ :{name} | {body}{away}{value} rem: 30011 ].").expect("text");
            }
            9 => {
                let value = self.integer(2);
                writeln!(out, "system global: #fzGlobal put: ({value} rem: 1009).").expect("text");
                writeln!(out, "j := (system global: #fzGlobal) + 1.").expect("text");
            }
            10 if self.times < 30 => {
                let value = self.integer(2);
                writeln!(out, "{value} println.").expect("text");
            }
            11 if !self.moderate => out.push_str("e := [ ^77 ].\n"),
            12 | 13 => {
                let condition = self.condition(2);
                if self.genes.below(3) == 0 {
                    let selector = self.genes.pick(&["ifTrue:", "ifFalse:"]);
                    writeln!(out, "{condition} {selector} [").expect("text");
                } else {
                    writeln!(out, "{condition} ifTrue: [").expect("text");
                    self.block(depth - 1, out);
                    out.push_str("] ifFalse: [\n");
                }
                self.block(depth - 1, out);
                out.push_str("].\n");
            }
            14 if self.genes.once_in(4) => {
                let (condition, value) = (self.condition(1), self.integer(1));
                writeln!(out, "{condition} ifTrue: [ ^{value} rem: 1009 ].").expect("text");
            }
            _ => self.repetition(depth, out),
        }
    }

    /// A loop of one kind or another.
    fn repetition(&mut self, depth: u32, out: &mut String) {
        let kind = self.genes.below(10);
        let count = if kind >= 7 { 6 } else { self.genes.pick(&[60, 20, 8, 200]) };
        if depth == 0 || self.times * count > 2000 || self.cost > LIMIT / 3 {
            return;
        }
        let counter = self.name("c");
        let (open, close) = match kind {
            0..=2 => (format!("1 to: {count} do: [ :{counter} |"), "].".to_owned()),
            3 => (format!("{count} to: 1 by: -1 do: [ :{counter} |"), "].".to_owned()),
            4 => (format!("0 to: {} by: 3 do: [ :{counter} |", count * 3), "].".to_owned()),
            5 => {
                // A counter that is a field or a variable of the method may be changed by blocks; this one is its own.
                (
                    format!(
                        "[ :{counter}Start | | {counter} | {counter} := {counter}Start. [ {counter} < {count} ] whileTrue: ["
                    ),
                    format!("{counter} := {counter} + 1 ] ] value: 0."),
                )
            }
            6 => (format!("k := 0. {count} timesRepeat: [ | {counter} | {counter} := k. k := k + 1."), "].".to_owned()),
            7 => (format!("a do: [ :{counter} |"), "].".to_owned()),
            8 => (format!("a doIndexes: [ :{counter} |"), "].".to_owned()),
            _ => (format!("(1 to: {count}) do: [ :{counter} |"), "].".to_owned()),
        };
        let by_step = kind == 3;
        if by_step {
            // The library has no loop with a negative step: a send that the loop's own methods answer.
            writeln!(out, "{count} downTo: 1 do: [ :{counter} |").expect("text");
        } else {
            writeln!(out, "{open}").expect("text");
        }
        self.counters.push(counter);
        self.times *= count;
        self.block(depth - 1, out);
        self.times /= count;
        self.counters.pop();
        writeln!(out, "{close}").expect("text");
    }

    fn block(&mut self, depth: u32, out: &mut String) {
        for _ in 0..1 + self.genes.below(3) {
            self.statement(depth, out);
        }
    }

    /// A method of a level: the body in one class.
    fn method(&mut self, level: usize, inherited: bool, out: &mut String) -> u64 {
        (self.cost, self.times, self.inherited) = (0, 1, inherited);
        writeln!(out, "  m{level}: p = (\n    {LOCALS}\n{PRELUDE}").expect("text");
        if self.genes.below(3) == 2 {
            let depth = 2 + self.genes.below(10);
            let receiver = self.genes.pick(&["self", "o"]);
            writeln!(out, "(p > 0 and: [ p < {depth} ]) ifTrue: [ j := {receiver} m{level}: p - 1 ].").expect("text");
            self.times = u64::from(depth);
        }
        self.block(2, out);
        let value = self.integer(2);
        let modulus = self.modulus();
        writeln!(out, "    ^({value}) rem: {modulus} )").expect("text");
        self.cost + 10
    }
}

const LOCALS: &str = "| i j k d h o a b e r |";
/// What each method begins with.
const PRELUDE: &str = "i := p. j := 2. k := 0. d := 0.5. h := 3.0. r := FzBase kinds. o := self. b := [ :z | z ].
a := Array new: 6 withAll: [ 3 ].";

/// A random program's text.
pub(crate) fn make(genes: &mut Genes<'_>, moderate: bool) -> String {
    let mut maker = Maker {
        genes,
        moderate,
        known: Vec::new(),
        inherited: false,
        counters: Vec::new(),
        parameters: Vec::new(),
        in_block: false,
        fresh: 0,
        cost: 0,
        times: 1,
    };
    let mut bodies: Vec<String> = vec![String::new(); CLASSES.len()];
    let levels = 1 + maker.genes.below(3) as usize;
    for level in 0..levels {
        let mut cost = 0;
        for (number, body) in bodies.iter_mut().enumerate() {
            if number == 0 || maker.genes.below(3) == 2 {
                cost = cost.max(maker.method(level, number > 0, body));
            }
        }
        maker.known.push(cost);
    }
    let run = &mut bodies[4];
    (maker.cost, maker.times, maker.inherited) = (0, 1, true);
    write!(run, "  run = (\n    | p i j k d h o a b e r |\n    self fill. p := 5.\n{PRELUDE}\n").expect("text");
    loop {
        maker.block(3, run);
        if maker.genes.is_empty() {
            break;
        }
    }
    let ends: &[&str] = if moderate { &["i", "j", "f", "g", "k"] } else { &["i", "j", "f", "g", "k", "d", "h"] };
    for name in ends {
        writeln!(run, "{name} println.").expect("text");
    }
    run.push_str("a do: [ :z | z println ] )\n");
    let mut text = String::new();
    for ((class, superclass), body) in CLASSES.iter().zip(&bodies) {
        writeln!(text, "{CLASS}{class}\"\n{class} = {superclass} (").expect("text");
        if *class == "FzBase" {
            text.push_str(
                "  | f g |
  fill = ( f := 4. g := 9 )
  doesNotUnderstand: selector arguments: list = ( g := 1. ^list length + 5 )
  escapedBlock: block = ( ^f + 1000 )
  unknownGlobal: name = ( ^33 )\n",
            );
        }
        text.push_str(body);
        if *class == "FzBase" {
            text.push_str(
                "  ----
  | kinds |
  kinds = ( kinds isNil ifTrue: [
    kinds := Array new: 4.
    kinds at: 1 put: FzBase new fill. kinds at: 2 put: FzLeft new fill.
    kinds at: 3 put: FzRight new fill. kinds at: 4 put: FzFar new fill ]. ^kinds )\n",
            );
        }
        text.push_str(")\n");
    }
    text
}

/// The classes of a program with their sources.
pub(crate) fn classes(text: &str) -> Vec<(String, String)> {
    text.split(CLASS)
        .filter_map(|part| part.split_once("\"\n"))
        .map(|(name, source)| (name.to_owned(), source.to_owned()))
        .collect()
}
