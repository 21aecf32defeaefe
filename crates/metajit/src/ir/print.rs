//! Printing trees and code: one grammar for both, which [`super::parse`] reads back.
//!
//! **Problem.** Tests, logs and people look at traces as text; a line of a log must paste into a test.
//!
//! **Approach.** A text is self-contained: a header declares the shapes, portals and callees that the body uses (see
//! [`super::parse`] for the grammar). Printing is *canonical*: values are numbered in order, descriptions are declared in
//! order of their first use, shape numbers print as `shape(Name)` where they are compared with a `shape_of`, and words that
//! the [`Style`] calls addresses print as `@0`, `@1`, … What a guard keeps alive follows it as a comment.
//!
//! **Invariants.** Printing, parsing and printing again gives the same text. Printing never fails: what is malformed prints
//! as something with a `!` in it, which does not parse.

use super::code::{BlockId, Code, End, Exit, ExitId, Place, Recipe, ResumeStep};
use super::declare::{Declarations, name, type_name};
use super::inst::{Arg, ArgRange, Aux, Inst, OpRef, Spread};
use super::table::{Class, Op};
use super::tree::{Fragment, FragmentId, GuardId, LogEntry, LogId, Onward, Portal, Snapshot, Tree, TreeEnd};
use crate::object::Shape;
use crate::word::Type;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};

/// Where the addresses that a text spells `@0`, `@1`, … begin when nothing binds them: no object is ever there.
pub const SYMBOLIC_ADDRESSES: u64 = 0x5555_0000_0000_0000;
/// How far they are apart.
pub const SYMBOLIC_STRIDE: u64 = 4096;

/// The number of a symbolic address.
fn symbolic_address(bits: u64) -> Option<u64> {
    let distance = bits.checked_sub(SYMBOLIC_ADDRESSES)?;
    (distance % SYMBOLIC_STRIDE == 0 && distance / SYMBOLIC_STRIDE < 1 << 20).then_some(distance / SYMBOLIC_STRIDE)
}

/// How to print.
#[derive(Clone, Copy, Default)]
pub struct Style<'a> {
    /// Call values and log nodes by their own numbers instead of numbering them in order.
    pub own_numbers: bool,
    /// Which constants are addresses, and print as `@0`, `@1`, … in order of appearance.
    pub is_address: Option<&'a dyn Fn(u64) -> bool>,
}

impl Style<'static> {
    /// For logs: whatever [`looks_like_address`] is taken as one, so that texts of two runs are the same.
    pub const LOG: Style<'static> = Style { own_numbers: false, is_address: Some(&looks_like_address) };
}

/// Whether a word could be an object's address: a multiple of eight that a process of this machine could have.
pub fn looks_like_address(bits: u64) -> bool {
    bits.is_multiple_of(8) && (1 << 32..1 << 47).contains(&bits)
}

impl fmt::Debug for Style<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Style").field("own_numbers", &self.own_numbers).finish_non_exhaustive()
    }
}

macro_rules! spelled {
    ($($name:ident $letter:literal),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    )* };
}
spelled!(GuardId "g", LogId "n", FragmentId "f", BlockId "b", ExitId "x");

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tree(self, Style::default()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&code(self, Style::default()))
    }
}

/// The text of a tree.
pub fn tree(tree: &Tree, style: Style<'_>) -> String {
    TreePrinter::new(tree, style).print()
}

/// The text of code.
pub fn code(code: &Code, style: Style<'_>) -> String {
    CodePrinter::new(code, style).print()
}

/// The line of one instruction of a tree, as in its canonical text.
pub fn tree_line(tree: &Tree, op: OpRef) -> String {
    let printer = TreePrinter::new(tree, Style::default());
    printer.line(op).unwrap_or_else(|| format!("!{op}"))
}

/// The line of one instruction of code, as in its canonical text.
pub fn code_line(code: &Code, op: OpRef) -> String {
    let printer = CodePrinter::new(code, Style::default());
    printer.line(op).unwrap_or_else(|| format!("!{op}"))
}

/// The literal of a float's pattern.
pub fn float_literal(bits: u64) -> String {
    let value = f64::from_bits(bits);
    if bits == f64::NAN.to_bits() {
        "nan".to_string()
    } else if value.is_nan() {
        format!("nan:{bits:#x}")
    } else {
        format!("{value:?}")
    }
}

/// The literal of a word: decimal if it is small.
pub fn word_literal(bits: u64) -> String {
    let value = bits as i64;
    if i32::try_from(value).is_ok() { value.to_string() } else { format!("{bits:#x}") }
}

/// What printing a tree and printing code have in common.
struct Printer<'a> {
    insts: &'a [Inst],
    pool: &'a [Arg],
    /// How values are spelled; `None` for what has no value or is in no block.
    values: Vec<Option<u32>>,
    declared: Declarations,
    addresses: RefCell<HashMap<u64, usize>>,
    style: Style<'a>,
}

impl<'a> Printer<'a> {
    fn new(insts: &'a [Inst], pool: &'a [Arg], style: Style<'a>) -> Printer<'a> {
        Printer {
            insts,
            pool,
            values: vec![None; insts.len()],
            declared: Declarations::new(),
            addresses: RefCell::default(),
            style,
        }
    }

    /// Numbers these values, in this order.
    fn number(&mut self, ops: impl Iterator<Item = OpRef>) {
        let mut next = 0;
        for op in ops {
            let Some(inst) = self.insts.get(op.0 as usize) else {
                continue;
            };
            if inst.result().is_some() {
                self.values[op.0 as usize] = Some(if self.style.own_numbers { op.0 } else { next });
                next += 1;
            }
        }
    }

    /// Declares the shapes of new objects, then (they may be parts of these) the rest of what instructions use.
    fn declare(&mut self, ops: &[OpRef]) {
        let insts = self.insts;
        let of = |op: &OpRef| insts.get(op.0 as usize);
        for inst in ops.iter().filter_map(of) {
            if let Aux::Shape(shape) = inst.aux {
                self.declared.add_shape(shape);
            }
            for arg in inst.operands() {
                if let Some(shape) = arg.as_const().and_then(|bits| self.shape_number(inst, bits)) {
                    self.declared.add_shape(shape);
                }
            }
        }
        for inst in ops.iter().filter_map(of) {
            match inst.aux {
                Aux::Field(field) => self.declared.add_field(field),
                Aux::Call(callee, _) => self.declared.add_callee(callee),
                _ => {}
            }
        }
    }

    /// The shape that a constant operand stands for, when it is compared with a `shape_of`.
    fn shape_number(&self, inst: &Inst, bits: u64) -> Option<&'static Shape> {
        let is_shape_of = |arg: &Arg| match arg {
            Arg::Op(op) => self.insts.get(op.0 as usize).is_some_and(|i| i.op == Op::ShapeOf),
            Arg::Const(_) => false,
        };
        let compares = matches!(inst.op, Op::Eq | Op::Ne | Op::GuardValue);
        if !compares || !inst.operands().iter().any(is_shape_of) {
            return None;
        }
        Shape::by_id(u32::try_from(bits).ok()?)
    }

    fn value(&self, op: OpRef) -> String {
        match self.values.get(op.0 as usize) {
            Some(Some(number)) => format!("v{number}"),
            _ => format!("!{op}"),
        }
    }

    fn word(&self, bits: u64) -> String {
        if let Some(number) = symbolic_address(bits) {
            return format!("@{number}");
        }
        if self.style.is_address.is_some_and(|is_address| is_address(bits)) {
            let mut addresses = self.addresses.borrow_mut();
            let next = addresses.len();
            return format!("@{}", addresses.entry(bits).or_insert(next));
        }
        word_literal(bits)
    }

    fn typed(&self, arg: Arg, ty: Type) -> String {
        match (arg, ty) {
            (Arg::Const(bits), Type::Float) => float_literal(bits),
            _ => self.arg(arg),
        }
    }

    fn arg(&self, arg: Arg) -> String {
        match arg {
            Arg::Const(bits) => self.word(bits),
            Arg::Op(op) => self.value(op),
        }
    }

    fn args(&self, args: &[Arg]) -> String {
        join(args.iter().map(|&arg| self.arg(arg)))
    }

    fn run(&self, range: ArgRange) -> String {
        match self.pool.get(range.range()) {
            Some(args) => self.args(args),
            None => "!".to_string(),
        }
    }

    /// The reds of a merge point.
    fn reds(&self, portal: &Portal, range: ArgRange) -> String {
        match self.pool.get(range.range()) {
            Some(args) => self.typed_args(args, portal.reds.iter().copied()),
            None => "!".to_string(),
        }
    }

    /// Operands of which some types are known.
    fn typed_args(&self, args: &[Arg], types: impl Iterator<Item = Type>) -> String {
        let types = types.chain(std::iter::repeat(Type::Int));
        join(args.iter().zip(types).map(|(&arg, ty)| self.typed(arg, ty)))
    }

    fn words(&self, words: &[u64]) -> String {
        join(words.iter().map(|&bits| self.word(bits)))
    }

    /// A line without what depends on the container: the target of a guard, the node of a merge mark.
    fn inst(&self, op: OpRef) -> Option<String> {
        let inst = self.insts.get(op.0 as usize)?;
        let info = inst.op.info();
        let mut text = match self.values[op.0 as usize] {
            Some(number) => format!("v{number} = {}", info.name),
            None if inst.result().is_some() => format!("!{op} = {}", info.name),
            None => info.name.to_string(),
        };
        let [a, b, c] = inst.args;
        let part = match (inst.op, inst.aux) {
            (Op::Load | Op::Len, Aux::Field(field)) => {
                format!("{}.{}", self.arg(a), self.declared.field(field))
            }
            (Op::Store, Aux::Field(field)) => {
                let value = self.typed(b, field.ty());
                format!("{}.{}, {value}", self.arg(a), self.declared.field(field))
            }
            (Op::LoadItem, Aux::Field(field)) => {
                format!("{}.{}[{}]", self.arg(a), self.declared.field(field), self.arg(b))
            }
            (Op::StoreItem, Aux::Field(field)) => {
                let value = self.typed(c, field.ty());
                let item = format!("{}[{}]", self.declared.field(field), self.arg(b));
                format!("{}.{item}, {value}", self.arg(a))
            }
            (Op::New, Aux::Shape(shape)) => {
                let shape_name = self.declared.shape(shape);
                if shape.array.is_none() && a == Arg::Const(0) && b == Arg::Const(0) {
                    shape_name
                } else {
                    format!("{shape_name}(len {}, fill {})", self.arg(a), self.arg(b))
                }
            }
            (Op::Call, Aux::Call(callee, args)) => {
                format!("{}({})", self.declared.callee(callee), self.run(args))
            }
            (Op::ResultWord | Op::Param | Op::FParam, Aux::Index(index)) => index.to_string(),
            (
                Op::Load
                | Op::Len
                | Op::Store
                | Op::LoadItem
                | Op::StoreItem
                | Op::New
                | Op::Call
                | Op::ResultWord
                | Op::Param
                | Op::FParam,
                aux,
            ) => format!("!{aux:?}"),
            _ => {
                let types = info.operands.iter();
                join(inst.args.iter().zip(types).map(|(&arg, &ty)| match arg {
                    Arg::Const(bits) => match self.shape_number(inst, bits) {
                        Some(shape) => format!("shape({})", self.declared.shape(shape)),
                        None => self.typed(arg, ty),
                    },
                    Arg::Op(_) => self.arg(arg),
                }))
            }
        };
        if !part.is_empty() {
            text.push(' ');
            text.push_str(&part);
        }
        Some(text)
    }

    /// The parameters in the head of a fragment or block.
    fn params(&self, params: &[OpRef]) -> String {
        join(params.iter().map(|&op| {
            let ty = self.insts.get(op.0 as usize).and_then(Inst::result);
            format!("{}: {}", self.value(op), ty.map_or("!", type_name))
        }))
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

struct TreePrinter<'a> {
    tree: &'a Tree,
    common: Printer<'a>,
    /// How guards are spelled.
    guards: Vec<Option<u32>>,
    /// How log nodes are spelled; `None` for those that nothing needs (an aborted recording leaves them behind).
    nodes: Vec<Option<u32>>,
}

/// The log nodes that something names, and their parents.
fn needed_nodes(tree: &Tree) -> Vec<bool> {
    let guards = tree.guards.iter().map(|guard| guard.snapshot.node.0);
    let marks = tree.insts.iter().filter_map(|inst| match (inst.op, inst.aux) {
        (Op::Merge, Aux::Index(node)) => Some(node),
        _ => None,
    });
    let ends = tree.fragments.iter().filter_map(|fragment| match fragment.end {
        TreeEnd::Close { node } | TreeEnd::Leave(Snapshot { node, .. }, _) => Some(node.0),
        TreeEnd::Finish(_) => None,
    });
    let mut needed = vec![false; tree.log.len()];
    for node in std::iter::once(0).chain(guards).chain(marks).chain(ends) {
        let mut at = Some(node as usize);
        while let Some(node) = at
            && let Some(new @ false) = needed.get_mut(node)
        {
            *new = true;
            at = tree.log[node].parent.map(|parent| parent.0 as usize);
        }
    }
    needed
}

/// How the root's frame is passed, if not by address.
fn spread(spread: Option<&Spread>) -> String {
    spread.map_or_else(String::new, |Spread { len, live, .. }| format!(" spread(len {len}, live {live})"))
}

impl<'a> TreePrinter<'a> {
    fn new(tree: &'a Tree, style: Style<'a>) -> TreePrinter<'a> {
        let mut common = Printer::new(&tree.insts, &tree.args, style);
        let ops: Vec<OpRef> = (0..tree.insts.len() as u32).map(OpRef).collect();
        common.number(ops.iter().copied());
        common.declared.add_portal(tree.portal);
        let mut nodes = vec![None; tree.log.len()];
        let mut next = 0;
        let needed = needed_nodes(tree).into_iter().enumerate();
        for (index, _) in needed.filter(|(_, needed)| *needed) {
            nodes[index] = Some(if style.own_numbers { index as u32 } else { next });
            next += 1;
            if let LogEntry::Enter(portal) | LogEntry::Merge { portal, .. } = tree.log[index].entry {
                common.declared.add_portal(portal);
            }
        }
        common.declare(&ops);
        for fragment in &tree.fragments {
            if let TreeEnd::Leave(_, Some(onward)) = fragment.end {
                common.declared.add_callee(onward.callee);
            }
        }
        let mut guards = vec![None; tree.guards.len()];
        next = 0;
        for (index, inst) in tree.insts.iter().enumerate() {
            if let (Class::Guard, Aux::Index(guard)) = (inst.op.info().class, inst.aux)
                && let Some(spelled @ None) = guards.get_mut(guard as usize)
                && tree.guards[guard as usize].inst.0 as usize == index
            {
                *spelled = Some(next);
                next += 1;
            }
        }
        TreePrinter { tree, common, guards, nodes }
    }

    fn node(&self, node: LogId) -> String {
        match self.nodes.get(node.0 as usize) {
            Some(Some(number)) => format!("n{number}"),
            _ => format!("!{node}"),
        }
    }

    fn guard(&self, guard: GuardId) -> String {
        match self.guards.get(guard.0 as usize) {
            Some(Some(number)) => format!("g{number}"),
            _ => format!("!{guard}"),
        }
    }

    fn snapshot(&self, snapshot: Snapshot) -> String {
        format!("{}+{}", self.node(snapshot.node), snapshot.ticks)
    }

    /// The values that the path to a snapshot names.
    fn live(&self, snapshot: Snapshot) -> String {
        let mut values = Vec::new();
        let mut at = Some(snapshot.node);
        // A path is no longer than the log, unless the log is malformed.
        for _ in 0..self.tree.log.len() {
            let Some(node) = at.and_then(|at| self.tree.log.get(at.0 as usize)) else {
                break;
            };
            at = node.parent;
            let words = match node.entry {
                LogEntry::Words(words) | LogEntry::Collapsed(words) => words,
                LogEntry::Merge { reds, .. } => reds,
                LogEntry::Enter(_) => continue,
            };
            for arg in self.tree.args.get(words.range()).unwrap_or_default() {
                if let Arg::Op(op) = *arg {
                    values.push(op);
                }
            }
        }
        values.sort();
        values.dedup();
        let values: Vec<String> = values.into_iter().map(|op| self.common.value(op)).collect();
        values.join(" ")
    }

    fn line(&self, op: OpRef) -> Option<String> {
        let inst = self.tree.insts.get(op.0 as usize)?;
        let mut text = self.common.inst(op)?;
        match (inst.op.info().class, inst.aux) {
            (Class::Guard, Aux::Index(index)) => {
                let _ = write!(text, " -> {}", self.guard(GuardId(index)));
                if let Some(guard) = self.tree.guards.get(index as usize) {
                    let _ = write!(text, " at {}", self.snapshot(guard.snapshot));
                }
            }
            (Class::Mark, Aux::Index(node)) => {
                let _ = write!(text, " {}", self.node(LogId(node)));
            }
            (Class::Guard | Class::Mark, _) => text.push_str(" !"),
            _ => {}
        }
        Some(text)
    }

    fn print(self) -> String {
        let mut out = String::new();
        self.common.declared.print(&mut out);
        let _ = writeln!(
            out,
            "tree {}({}){} {{",
            self.common.declared.portal(self.tree.portal),
            self.common.words(&self.tree.greens),
            spread(self.tree.spread)
        );
        let mut logged = 0;
        for (index, fragment) in self.tree.fragments.iter().enumerate() {
            let last = index + 1 == self.tree.fragments.len();
            self.fragment(index, fragment, last, &mut logged, &mut out);
        }
        out.push_str("}\n");
        out
    }

    fn fragment(&self, index: usize, fragment: &Fragment, last: bool, logged: &mut u32, out: &mut String) {
        let params = if index == 0 { self.params() } else { 0 };
        let _ = write!(out, "f{index}");
        if params > 0 {
            let reds: Vec<OpRef> = (0..params).map(OpRef).collect();
            let _ = write!(out, "({})", self.common.params(&reds));
        }
        if let Some(guard) = fragment.parent {
            let _ = write!(out, " from {}", self.guard(guard));
        }
        out.push_str(":\n");
        for op in (fragment.insts.0.max(params)..fragment.insts.1).map(OpRef) {
            let Some(line) = self.line(op) else {
                let _ = writeln!(out, "    !{op}");
                continue;
            };
            let inst = &self.tree.insts[op.0 as usize];
            let guard = match (inst.op.info().class, inst.aux) {
                (Class::Guard, Aux::Index(guard)) => self.tree.guards.get(guard as usize),
                _ => None,
            };
            if let Some(guard) = guard {
                self.log(guard.snapshot.node.0, logged, out);
                let live = self.live(guard.snapshot);
                let space = if live.is_empty() { "" } else { " " };
                let _ = writeln!(out, "    {line}  ; live{space}{live}");
                continue;
            }
            if let (Op::Merge, Aux::Index(node)) = (inst.op, inst.aux) {
                self.log(node, logged, out);
            }
            let _ = writeln!(out, "    {line}");
        }
        let end = match fragment.end {
            TreeEnd::Close { node } => {
                self.log(node.0, logged, out);
                format!("close {}", self.node(node))
            }
            TreeEnd::Finish(words) => format!("finish {}", self.common.run(words)),
            TreeEnd::Leave(snapshot, onward) => {
                self.log(snapshot.node.0, logged, out);
                let onward = onward.map_or_else(String::new, |Onward { callee, cell }| {
                    format!(" to {}({})", self.common.declared.callee(callee), self.common.words(&[cell]))
                });
                format!("leave {}{onward}", self.snapshot(snapshot))
            }
        };
        if last {
            self.log(u32::MAX, logged, out);
        }
        let _ = writeln!(out, "    {}", end.trim_end());
    }

    /// How many instructions at the beginning are the root's reds and can stand in the head of the first fragment.
    fn params(&self) -> u32 {
        let insts = self.tree.insts.iter().zip(0..);
        let params = insts.take_while(|&(inst, index)| {
            inst.op.info().class == Class::Input && matches!(inst.aux, Aux::Index(param) if param == index)
        });
        params.count() as u32
    }

    /// Prints the nodes up to one that is named next.
    fn log(&self, up_to: u32, logged: &mut u32, out: &mut String) {
        while let Some(node) = self.tree.log.get(*logged as usize)
            && *logged <= up_to
        {
            let id = LogId(*logged);
            *logged += 1;
            if self.nodes[id.0 as usize].is_none() {
                continue;
            }
            let parent = node.parent.map_or("root".to_string(), |parent| self.node(parent));
            let _ = write!(out, "    {} = {parent}: ", self.node(id));
            let text = match node.entry {
                LogEntry::Enter(portal) => format!("enter {}", self.common.declared.portal(portal)),
                LogEntry::Merge { portal, greens, reds, live } => {
                    let mut text = format!(
                        "merge {}({}) reds({})",
                        self.common.declared.portal(portal),
                        self.common.run(greens),
                        self.common.reds(portal, reds)
                    );
                    if live != u32::MAX {
                        let _ = write!(text, " live {live}");
                    }
                    text
                }
                LogEntry::Words(words) => format!("words({})", self.common.run(words)),
                LogEntry::Collapsed(words) => format!("collapsed({})", self.common.run(words)),
            };
            let _ = writeln!(out, "{text}");
        }
    }
}

struct CodePrinter<'a> {
    code: &'a Code,
    common: Printer<'a>,
}

impl<'a> CodePrinter<'a> {
    fn new(code: &'a Code, style: Style<'a>) -> CodePrinter<'a> {
        let mut common = Printer::new(&code.insts, &code.args, style);
        let blocks = code.blocks.iter();
        let ops: Vec<OpRef> = blocks.flat_map(|block| block.params.iter().chain(&block.insts).copied()).collect();
        common.number(ops.iter().copied());
        common.declared.add_portal(code.portal);
        for exit in &code.exits {
            for step in code.details.steps(exit) {
                if let ResumeStep::Enter(portal) | ResumeStep::Merge { portal, .. } = step {
                    common.declared.add_portal(portal);
                }
            }
            for object in code.details.virtuals(exit) {
                common.declared.add_shape(object.shape);
            }
        }
        common.declare(&ops);
        for exit in &code.exits {
            let contents = code.details.virtuals(exit).flat_map(|object| &code.details[object.contents]);
            let places = contents.map(|(place, _)| place);
            for place in places.chain(code.details[exit.stores].iter().map(|store| &store.place)) {
                let (Place::Field(field) | Place::Item(field, _)) = place;
                common.declared.add_field(field);
            }
        }
        CodePrinter { code, common }
    }

    fn line(&self, op: OpRef) -> Option<String> {
        let inst = self.code.insts.get(op.0 as usize)?;
        let mut text = self.common.inst(op)?;
        match (inst.op.info().class, inst.aux) {
            (Class::Guard, Aux::Index(exit)) => {
                let _ = write!(text, " -> {}", ExitId(exit));
            }
            (Class::Guard | Class::Mark, _) => text.push_str(" !"),
            _ => {}
        }
        Some(text)
    }

    fn print(self) -> String {
        let mut out = String::new();
        self.common.declared.print(&mut out);
        let portal = self.common.declared.portal(self.code.portal);
        let _ = writeln!(out, "code {portal}{} {{", spread(self.code.spread));
        for (index, block) in self.code.blocks.iter().enumerate() {
            let _ = writeln!(out, "b{index}({}):", self.common.params(&block.params));
            for &op in &block.insts {
                let Some(line) = self.line(op) else {
                    let _ = writeln!(out, "    !{op}");
                    continue;
                };
                let inst = &self.code.insts[op.0 as usize];
                match self.live(inst) {
                    Some(live) => {
                        let _ = writeln!(out, "    {line}  ; {live}");
                    }
                    None => {
                        let _ = writeln!(out, "    {line}");
                    }
                }
            }
            let end = match &block.end {
                End::Jump(to, args) => format!("jump {to}({})", self.jump_args(*to, args)),
                End::Finish(words) => format!("finish {}", self.common.args(words)),
                End::Exit(exit) => format!("exit {exit}"),
                End::Switch { value, cases, otherwise } => {
                    let cases = cases.iter().map(|&(bits, to)| format!("{} -> {to}", self.common.words(&[bits])));
                    format!("switch {}({}) else {otherwise}", self.common.args(&[*value]), join(cases))
                }
                End::Enter(entries) => {
                    format!("enter {}", entries.iter().map(BlockId::to_string).collect::<Vec<_>>().join(", "))
                }
            };
            let _ = writeln!(out, "    {}", end.trim_end());
        }
        for (index, exit) in self.code.exits.iter().enumerate() {
            ExitPrinter { code: self.code, common: &self.common, exit }.print(index, &mut out);
        }
        out.push_str("}\n");
        out
    }

    fn jump_args(&self, to: BlockId, args: &[Arg]) -> String {
        let params = self.code.blocks.get(to.0 as usize).map_or(&[][..], |block| &block.params);
        let types = params.iter().map(|&param| {
            let inst = self.code.insts.get(param.0 as usize);
            inst.and_then(Inst::result).unwrap_or(Type::Int)
        });
        self.common.typed_args(args, types)
    }

    /// What a guard keeps alive, or where its bridge is.
    fn live(&self, inst: &Inst) -> Option<String> {
        let (Class::Guard, Aux::Index(exit)) = (inst.op.info().class, inst.aux) else {
            return None;
        };
        let exit = self.code.exits.get(exit as usize)?;
        if let Some(bridge) = exit.bridge {
            return Some(format!("bridge {bridge}"));
        }
        let mut text = "live".to_string();
        for &op in &self.code.details[exit.slots] {
            let _ = write!(text, " {}", self.common.value(op));
        }
        Some(text)
    }
}

struct ExitPrinter<'a> {
    code: &'a Code,
    common: &'a Printer<'a>,
    exit: &'a Exit,
}

impl ExitPrinter<'_> {
    fn print(&self, index: usize, out: &mut String) {
        let (exit, details) = (self.exit, &self.code.details);
        let _ = write!(out, "exit x{index}");
        if let Some(guard) = exit.guard {
            let _ = write!(out, " of {guard}");
            if exit.instance != 0 {
                let _ = write!(out, "#{}", exit.instance);
            }
        }
        if let Some(bridge) = exit.bridge {
            let _ = write!(out, " -> {bridge}");
        }
        out.push_str(":\n");
        if !exit.slots.is_empty() {
            let slots = details[exit.slots].iter().map(|&op| self.common.value(op));
            let _ = writeln!(out, "    slots {}", join(slots));
        }
        for (number, object) in details.virtuals(exit).enumerate() {
            let shape = self.common.declared.shape(object.shape);
            let _ = write!(out, "    o{number} = {shape}");
            if object.shape.array.is_some() || object.len != 0 {
                let _ = write!(out, "(len {}, fill {})", object.len, self.recipe(object.fill));
            }
            let contents = details[object.contents].iter();
            let contents = join(contents.map(|(place, recipe)| {
                let recipe = self.typed_recipe(*place, *recipe);
                match place {
                    Place::Field(field) => format!("{}: {recipe}", name(field.name)),
                    Place::Item(field, item) => format!("{}[{item}]: {recipe}", name(field.name)),
                }
            }));
            if contents.is_empty() {
                out.push_str(" {}\n");
            } else {
                let _ = writeln!(out, " {{ {contents} }}");
            }
        }
        for store in &details[exit.stores] {
            let place = match store.place {
                Place::Field(field) => self.common.declared.field(field),
                Place::Item(field, item) => {
                    format!("{}[{item}]", self.common.declared.field(field))
                }
            };
            let value = self.typed_recipe(store.place, store.value);
            let _ = writeln!(out, "    store {}.{place}, {value}", self.recipe(store.object));
        }
        for step in details.steps(exit) {
            let text = match step {
                ResumeStep::Enter(portal) => {
                    format!("enter {}", self.common.declared.portal(portal))
                }
                ResumeStep::Merge { portal, greens, reds } => format!(
                    "merge {}({}) reds({})",
                    self.common.declared.portal(portal),
                    self.common.words(&details[greens]),
                    self.reds(portal, &details[reds])
                ),
                ResumeStep::Words(words) => format!("words({})", self.recipes(&details[words])),
                ResumeStep::Collapsed(words) => format!("collapsed({})", self.recipes(&details[words])),
            };
            let _ = writeln!(out, "    {text}");
        }
        if exit.ticks != 0 {
            let _ = writeln!(out, "    ticks {}", exit.ticks);
        }
    }

    fn recipe(&self, recipe: Recipe) -> String {
        match recipe {
            Recipe::Const(bits) => self.common.word(bits),
            Recipe::Value(op) => self.slot(op),
            Recipe::Plus(op, bits) => format!("{}+{}", self.slot(op), word_literal(bits)),
            Recipe::Virtual(name) => {
                let number = self.code.details.virtuals(self.exit).position(|object| object.name == name);
                number.map_or_else(|| format!("o?{name}"), |number| format!("o{number}"))
            }
        }
    }

    fn slot(&self, op: OpRef) -> String {
        let slot = self.code.details[self.exit.slots].iter().position(|&slot| slot == op);
        slot.map_or_else(|| format!("s?{op}"), |slot| format!("s{slot}"))
    }

    fn typed(&self, recipe: Recipe, ty: Type) -> String {
        match (recipe, ty) {
            (Recipe::Const(bits), Type::Float) => float_literal(bits),
            _ => self.recipe(recipe),
        }
    }

    fn typed_recipe(&self, place: Place, recipe: Recipe) -> String {
        let (Place::Field(field) | Place::Item(field, _)) = place;
        self.typed(recipe, field.ty())
    }

    fn reds(&self, portal: &Portal, reds: &[Recipe]) -> String {
        let types = portal.reds.iter().copied().chain(std::iter::repeat(Type::Int));
        join(reds.iter().zip(types).map(|(&recipe, ty)| self.typed(recipe, ty)))
    }

    fn recipes(&self, recipes: &[Recipe]) -> String {
        join(recipes.iter().map(|&recipe| self.recipe(recipe)))
    }
}
