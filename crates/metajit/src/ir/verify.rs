//! The verifier: whether trees and code are what their definitions say.
//!
//! **Problem.** The recorder, the optimizer and whoever writes text by hand make IR; the optimizer and the backend rely on
//! its invariants. A violation must be found where it was made, not as a crash of compiled code.
//!
//! **Approach.** One function per container, each returning the first violation with the line that it is in. Operands are
//! checked against the table; what differs between the containers is only which values are known at an instruction. In a
//! tree: those before it in its fragment, and those before the guard in every fragment that it hangs from. In code: those
//! computed on *every* way from the entry, found by iterating over the graph with a set of values per block; a bridge
//! begins with what is known at its guards. (That is dominance, said without a dominator tree.)
//!
//! **Invariants.** The verifier terminates and does not panic, whatever it is given.
//!
//! **Rejected.** Refusing a division by a constant zero, a negative index, or a guard that never holds: folding makes them
//! behind guards that always fail, and they are never run. The evaluator refuses them when they are.

use super::code::{Block, BlockId, Code, End, Exit, ExitId, Place, Recipe, ResumeStep};
use super::inst::{Arg, ArgRange, Aux, Effect, Inst, OpRef};
use super::print::{code_line, tree_line};
use super::table::{Class, Op};
use super::tree::{FragmentId, LogEntry, LogId, Portal, Snapshot, Tree, TreeEnd};
use crate::context::{MAX_RESULTS, MAX_SLOTS};
use crate::object::{Field, HEADER_BYTES, Shape};
use crate::word::Type;
use std::fmt;

/// A violation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// The fragment, block or exit.
    pub place: String,
    /// The instruction's line; empty if it is not about an instruction.
    pub line: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: `{}`: {}", self.place, self.line, self.message)
        }
    }
}

impl std::error::Error for VerifyError {}

/// What is wrong, said by a check that does not know where it is.
type Check = Result<(), String>;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Check {
    if condition { Ok(()) } else { Err(message()) }
}

/// Checks a tree.
///
/// # Errors
/// The first violation.
pub fn tree(tree: &Tree) -> Result<(), VerifyError> {
    TreeVerifier { tree }.run()
}

/// Checks code.
///
/// # Errors
/// The first violation.
pub fn code(code: &Code) -> Result<(), VerifyError> {
    CodeVerifier { code }.run()
}

/// What the checks of instructions need to know.
struct Scope<'a> {
    insts: &'a [Inst],
    pool: &'a [Arg],
    /// Whether a value is known here.
    known: &'a dyn Fn(OpRef) -> bool,
}

impl Scope<'_> {
    fn args(&self, range: ArgRange) -> Result<&[Arg], String> {
        let end = range.start.checked_add(range.len);
        let args = end.and_then(|end| self.pool.get(range.start as usize..end as usize));
        args.ok_or_else(|| "its operands are not in the pool".to_string())
    }

    /// A value that can be used here, of this type if one is given.
    fn value(&self, op: OpRef, ty: Option<Type>, what: &dyn Fn() -> String) -> Check {
        let inst = self.insts.get(op.0 as usize);
        let inst = inst.ok_or_else(|| format!("{} does not exist", what()))?;
        let found = inst.result();
        ensure(found.is_some(), || format!("{} is no value", what()))?;
        ensure((self.known)(op), || format!("{} is not computed on every way here", what()))?;
        ensure(ty.is_none() || found == ty, || {
            let wanted = ty.map_or("", super::declare::type_name);
            format!("{} must be {wanted}", what())
        })
    }

    fn arg(&self, arg: Arg, ty: Option<Type>, what: &dyn Fn() -> String) -> Check {
        match arg {
            Arg::Const(_) => Ok(()),
            Arg::Op(op) => self.value(op, ty, what),
        }
    }

    fn words(&self, args: &[Arg]) -> Check {
        for (index, &arg) in args.iter().enumerate() {
            self.arg(arg, None, &|| format!("word {index}"))?;
        }
        Ok(())
    }

    /// The greens and reds of a merge point.
    fn merge(&self, portal: &Portal, greens: &[Arg], reds: &[Arg]) -> Check {
        ensure(greens.len() == portal.greens, || {
            format!("`{}` has {} greens, not {}", portal.name, portal.greens, greens.len())
        })?;
        ensure(greens.iter().all(|green| green.as_const().is_some()), || "a green is not a constant".to_string())?;
        ensure(reds.len() == portal.reds.len(), || {
            format!("`{}` has {} reds, not {}", portal.name, portal.reds.len(), reds.len())
        })?;
        for (index, (&red, &ty)) in reds.iter().zip(portal.reds).enumerate() {
            self.arg(red, Some(ty), &|| format!("red {index}"))?;
        }
        Ok(())
    }

    /// An instruction by itself; `before` is what stands before it.
    fn inst(&self, inst: &Inst, before: Option<&Inst>) -> Check {
        let info = inst.op.info();
        for (index, (&arg, &ty)) in inst.args.iter().zip(info.operands).enumerate() {
            let ty = match (inst.op, inst.aux, index) {
                (Op::Store, Aux::Field(field), 1) | (Op::StoreItem, Aux::Field(field), 2) => field.ty(),
                _ => ty,
            };
            self.arg(arg, Some(ty), &|| format!("operand {}", index + 1))?;
        }
        match (inst.op, inst.aux) {
            (Op::Load | Op::Store, Aux::Field(field)) => {
                ensure(!field.is_array, || "the field is an array".to_string())?;
                field_offset(field)
            }
            (Op::LoadItem | Op::StoreItem | Op::Len, Aux::Field(field)) => {
                ensure(field.is_array, || "the field is no array".to_string())?;
                field_offset(field)
            }
            (Op::New, Aux::Shape(shape)) => {
                let len = inst.args[0].as_const();
                ensure(shape.array.is_some() || len == Some(0), || format!("`{}` has no array", shape.name))?;
                whole_shape(shape)
            }
            (Op::Call, Aux::Call(callee, range)) => {
                let args = self.args(range)?;
                ensure(args.len() == callee.params as usize, || {
                    format!("`{}` takes {} words, not {}", callee.name, callee.params, args.len())
                })?;
                ensure(!callee.is_portal() || callee.params > 0, || {
                    format!("`{}` takes a call cell first", callee.name)
                })?;
                ensure(callee.results as usize <= MAX_RESULTS, || format!("`{}` returns too many words", callee.name))?;
                self.words(args)
            }
            (Op::ResultWord, Aux::Index(index)) => self.result_word(index, before),
            (Op::GuardValue, Aux::Index(_)) => {
                ensure(inst.args[1].as_const().is_some(), || "operand 2 must be a constant".to_string())
            }
            (Op::GuardCount, Aux::Index(_)) => {
                let counter = inst.args[0].as_const();
                ensure(counter.is_some_and(|counter| counter < crate::context::COUNTERS as u64), || {
                    "operand 1 must be the number of a counter".to_string()
                })
            }
            (Op::Param | Op::FParam | Op::Merge, Aux::Index(_)) => Ok(()),
            (_, Aux::Index(_)) if info.class == Class::Guard => Ok(()),
            (_, Aux::None) if info.class == Class::Pure && inst.op != Op::ResultWord => Ok(()),
            (Op::ShapeOf | Op::Stopped, Aux::None) => Ok(()),
            _ => Err("it does not say what it is about".to_string()),
        }
    }

    /// A `result_word` stands after its call, or after another of its words; `call` is what stands before all these.
    fn result_word(&self, index: u32, call: Option<&Inst>) -> Check {
        match call.map(|call| (call.op, call.aux)) {
            Some((Op::Call, Aux::Call(callee, _))) => ensure(index >= 1 && index < u32::from(callee.results), || {
                format!("`{}` returns {} words", callee.name, callee.results)
            }),
            _ => Err("it must stand directly after its call".to_string()),
        }
    }
}

/// What stands before an instruction, the `result_word`s directly before it left out.
fn before<'a>(insts: impl DoubleEndedIterator<Item = &'a Inst>) -> Option<&'a Inst> {
    insts.rev().find(|inst| inst.op != Op::ResultWord)
}

fn field_offset(field: &Field) -> Check {
    ensure(field.offset >= HEADER_BYTES && field.offset.is_multiple_of(8), || {
        format!("`{}` can't be at offset {}", field.name, field.offset)
    })
}

/// Whether all fields of a shape are known, so that objects of it can be made.
fn whole_shape(shape: &Shape) -> Check {
    let mut expected = HEADER_BYTES;
    let mut whole = true;
    for field in shape.fields {
        whole &= field.offset == expected && !field.is_array;
        expected += 8;
    }
    whole &= shape.array.is_none_or(|array| array.is_array && array.offset == expected + 8);
    ensure(whole, || format!("`{}` is only known in part, so none can be made", shape.name))
}

struct TreeVerifier<'a> {
    tree: &'a Tree,
}

/// Up to which instruction the values of each fragment are known.
type Limits = Vec<u32>;

impl TreeVerifier<'_> {
    fn scope<'s>(&'s self, known: &'s dyn Fn(OpRef) -> bool) -> Scope<'s> {
        Scope { insts: &self.tree.insts, pool: &self.tree.args, known }
    }

    fn error(&self, place: String, message: String) -> VerifyError {
        VerifyError { place, line: String::new(), message }
    }

    fn at(&self, fragment: usize, op: OpRef, message: String) -> VerifyError {
        VerifyError { place: FragmentId(fragment as u32).to_string(), line: tree_line(self.tree, op), message }
    }

    fn run(&self) -> Result<(), VerifyError> {
        let whole = |message| self.error("tree".to_string(), message);
        self.shape().map_err(whole)?;
        for index in 0..self.tree.log.len() {
            let place = LogId(index as u32).to_string();
            self.node(index).map_err(|message| self.error(place, message))?;
        }
        let mut limits: Vec<Limits> = Vec::new();
        for (index, fragment) in self.tree.fragments.iter().enumerate() {
            let place = || FragmentId(index as u32).to_string();
            let limit = self.limits(index, &limits).map_err(|m| self.error(place(), m))?;
            for number in fragment.insts.0..fragment.insts.1 {
                let op = OpRef(number);
                self.inst(index, op, &limit).map_err(|message| self.at(index, op, message))?;
            }
            self.end(index, &limit).map_err(|m| self.error(format!("end of {}", place()), m))?;
            limits.push(limit);
        }
        Ok(())
    }

    /// Greens, parameters and the numbering of fragments.
    fn shape(&self) -> Check {
        let tree = self.tree;
        ensure(tree.greens.len() == tree.portal.greens, || {
            format!("`{}` has {} greens, not {}", tree.portal.name, tree.portal.greens, tree.greens.len())
        })?;
        for (index, ty) in tree.portal.reds.iter().enumerate() {
            let matches = tree.insts.get(index).is_some_and(|inst| {
                inst.op.info().class == Class::Input
                    && inst.result() == Some(*ty)
                    && matches!(inst.aux, Aux::Index(i) if i as usize == index)
            });
            ensure(matches, || format!("instruction {index} must be the parameter of red {index}"))?;
        }
        // The reds are before the first fragment, or its first instructions.
        let first = tree.fragments.first().map_or(0, |fragment| fragment.insts.0);
        let mut next = if first == 0 { 0 } else { tree.portal.reds.len() as u32 };
        for (index, fragment) in tree.fragments.iter().enumerate() {
            let (start, end) = fragment.insts;
            ensure(start == next && end >= start && end as usize <= tree.insts.len(), || {
                format!("the instructions of f{index} don't follow those before")
            })?;
            next = end;
        }
        ensure(!tree.fragments.is_empty(), || "it has no fragment".to_string())?;
        ensure(next as usize == tree.insts.len(), || "some instructions are in no fragment".to_string())?;
        let root = tree.log.first().map(|node| (node.parent, node.entry));
        ensure(matches!(root, Some((None, LogEntry::Merge { .. }))), || {
            "n0 must be the root's merge point".to_string()
        })?;
        for (index, guard) in tree.guards.iter().enumerate() {
            let inst = tree.insts.get(guard.inst.0 as usize);
            let named = inst.is_some_and(|inst| {
                inst.op.info().class == Class::Guard && matches!(inst.aux, Aux::Index(i) if i as usize == index)
            });
            ensure(named, || format!("no instruction is guard {index}"))?;
        }
        Ok(())
    }

    /// A log node's place among the others; its operands are checked where it is used.
    fn node(&self, index: usize) -> Check {
        let node = &self.tree.log[index];
        let parent = match node.parent {
            Some(parent) => {
                ensure((parent.0 as usize) < index, || "its parent does not come before it".to_string())?;
                Some(self.tree.log[parent.0 as usize].entry)
            }
            None => None,
        };
        let after_enter = match parent {
            Some(LogEntry::Enter(portal)) => Some(portal),
            _ => None,
        };
        match node.entry {
            LogEntry::Merge { portal, .. } => {
                let expected = if parent.is_none() { Some(self.tree.portal) } else { after_enter };
                ensure(expected.is_some_and(|expected| std::ptr::eq(expected, portal)), || {
                    "a merge point follows the entry of its portal".to_string()
                })
            }
            LogEntry::Enter(_) => ensure(parent.is_some(), || "the root is the tree's merge point".to_string()),
            LogEntry::Words(_) | LogEntry::Collapsed(_) => {
                ensure(parent.is_some(), || "the root is the tree's merge point".to_string())
            }
        }
    }

    /// What is known at the start of a fragment: up to its guard in the fragments that it hangs from.
    fn limits(&self, index: usize, before: &[Limits]) -> Result<Limits, String> {
        let mut limits = vec![0; index + 1];
        let fragment = &self.tree.fragments[index];
        let Some(parent) = fragment.parent else {
            ensure(index == 0, || "only the first fragment starts from no guard".to_string())?;
            return Ok(limits);
        };
        ensure(index > 0, || "the first fragment starts from no guard".to_string())?;
        let guard = self.tree.guards.get(parent.0 as usize);
        let guard = guard.ok_or_else(|| "its guard does not exist".to_string())?;
        let outer = guard.fragment.0 as usize;
        ensure(outer < index, || "its guard must be in a fragment before it".to_string())?;
        limits[..=outer].copy_from_slice(&before[outer]);
        limits[outer] = guard.inst.0;
        Ok(limits)
    }

    /// Whether a value is known, in fragment `fragment` before instruction `here`.
    fn known(&self, op: OpRef, limits: &Limits, fragment: usize, here: u32) -> bool {
        let starts = &self.tree.fragments[..=fragment];
        let at = starts.partition_point(|fragment| fragment.insts.0 <= op.0).saturating_sub(1);
        // Empty fragments share their start with the next.
        let limit = if at == fragment { here } else { limits[at] };
        op.0 < limit && op.0 < self.tree.fragments[at].insts.1
    }

    fn inst(&self, fragment: usize, op: OpRef, limits: &Limits) -> Check {
        let tree = self.tree;
        let inst = &tree.insts[op.0 as usize];
        let known = |value: OpRef| self.known(value, limits, fragment, op.0);
        let scope = self.scope(&known);
        let start = tree.fragments[fragment].insts.0 as usize;
        scope.inst(inst, before(tree.insts[start..op.0 as usize].iter()))?;
        match (inst.op.info().class, inst.aux) {
            (Class::Input, _) => ensure((op.0 as usize) < tree.portal.reds.len(), || {
                "a parameter must be one of the root's reds".to_string()
            }),
            (Class::Guard, Aux::Index(index)) => {
                let guard = tree.guards.get(index as usize);
                let guard = guard.ok_or_else(|| "the guard does not exist".to_string())?;
                ensure(guard.inst == op && guard.fragment.0 as usize == fragment, || {
                    "the guard is of another instruction".to_string()
                })?;
                self.snapshot(guard.snapshot, &scope)
            }
            (Class::Mark, Aux::Index(node)) => {
                let merge = tree.log.get(node as usize).map(|node| node.entry);
                ensure(matches!(merge, Some(LogEntry::Merge { .. })), || "it names no merge point".to_string())?;
                self.entry(LogId(node), &scope)
            }
            _ => Ok(()),
        }
    }

    /// All nodes on the way to a snapshot.
    fn snapshot(&self, snapshot: Snapshot, scope: &Scope<'_>) -> Check {
        ensure((snapshot.node.0 as usize) < self.tree.log.len(), || format!("{} does not exist", snapshot.node))?;
        // Parents come before their children, as was checked, so the path ends.
        let mut path = Vec::new();
        self.tree.path(snapshot.node, &mut path);
        for node in path {
            self.entry(node, scope)?;
        }
        Ok(())
    }

    /// The operands of a node, where it is used.
    fn entry(&self, node: LogId, scope: &Scope<'_>) -> Check {
        let check = match self.tree.log[node.0 as usize].entry {
            LogEntry::Enter(_) => Ok(()),
            LogEntry::Merge { portal, greens, reds, .. } => {
                scope.args(greens).and_then(|greens| scope.merge(portal, greens, scope.args(reds)?))
            }
            LogEntry::Words(words) | LogEntry::Collapsed(words) => {
                scope.args(words).and_then(|words| scope.words(words))
            }
        };
        check.map_err(|message| format!("{node}: {message}"))
    }

    fn end(&self, index: usize, limits: &Limits) -> Check {
        let fragment = &self.tree.fragments[index];
        let known = |value: OpRef| self.known(value, limits, index, fragment.insts.1);
        let scope = self.scope(&known);
        match fragment.end {
            TreeEnd::Close { node } => {
                let entry = self.tree.log.get(node.0 as usize);
                let root = entry.filter(|entry| entry.parent.is_none()).map(|entry| entry.entry);
                let Some(LogEntry::Merge { greens, .. }) = root else {
                    return Err(format!("{node} is no merge point of the root"));
                };
                self.entry(node, &scope)?;
                let greens = scope.args(greens)?.iter().map(|green| green.as_const());
                ensure(greens.eq(self.tree.greens.iter().map(|&bits| Some(bits))), || {
                    format!("{node} has other greens than the tree")
                })
            }
            TreeEnd::Finish(words) => {
                let words = scope.args(words)?;
                ensure(words.len() <= MAX_RESULTS, || format!("{} result words", words.len()))?;
                scope.words(words)
            }
            TreeEnd::Leave(snapshot, onward) => {
                ensure(
                    onward.is_none_or(|onward| onward.callee.effect == Effect::Portal && snapshot.ticks == 0),
                    || "only a portal goes on, from a merge point".to_string(),
                )?;
                self.snapshot(snapshot, &scope)
            }
        }
    }
}

struct CodeVerifier<'a> {
    code: &'a Code,
}

/// A set of values, by number.
#[derive(Clone, PartialEq)]
struct Set(Vec<u64>);

impl Set {
    fn new(values: usize, all: bool) -> Set {
        Set(vec![if all { u64::MAX } else { 0 }; values.div_ceil(64)])
    }
    fn add(&mut self, op: OpRef) {
        self.0[op.0 as usize / 64] |= 1 << (op.0 % 64);
    }
    fn has(&self, op: OpRef) -> bool {
        self.0.get(op.0 as usize / 64).is_some_and(|word| word >> (op.0 % 64) & 1 != 0)
    }
    /// Keeps what `other` has too; whether that changed anything.
    fn keep(&mut self, other: &Set) -> bool {
        let mut changed = false;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            changed |= *word & !other != 0;
            *word &= other;
        }
        changed
    }
}

impl CodeVerifier<'_> {
    fn error(&self, place: impl fmt::Display, message: String) -> VerifyError {
        VerifyError { place: place.to_string(), line: String::new(), message }
    }

    fn run(&self) -> Result<(), VerifyError> {
        self.once()?;
        let entries = self.known_at_entries();
        for (index, block) in self.code.blocks.iter().enumerate() {
            let place = BlockId(index as u32);
            let mut known = entries[index].clone();
            for &param in &block.params {
                known.add(param);
            }
            for (position, &op) in block.insts.iter().enumerate() {
                self.inst(block, position, &known).map_err(|message| VerifyError {
                    place: place.to_string(),
                    line: code_line(self.code, op),
                    message,
                })?;
                known.add(op);
            }
            self.end(block, &known).map_err(|m| self.error(format!("end of {place}"), m))?;
        }
        for (index, exit) in self.code.exits.iter().enumerate() {
            self.exit(exit).map_err(|message| self.error(ExitId(index as u32), message))?;
        }
        Ok(())
    }

    /// Parameters, targets, and that every instruction is in one place at most: what the rest takes for granted.
    fn once(&self) -> Result<(), VerifyError> {
        let code = self.code;
        let mut seen = Set::new(code.insts.len(), false);
        let whole = |message: &str| self.error("code", message.to_string());
        let entry = code.blocks.first().ok_or_else(|| whole("it has no block"))?;
        let types = entry.params.iter().map(|&param| code.insts.get(param.0 as usize)?.result());
        let reds = code.portal.reds;
        let fit = match code.spread {
            None => types.eq(reds.iter().map(|&ty| Some(ty))),
            Some(spread) => types.eq(spread.types(reds).map(Some)),
        };
        if !fit {
            return Err(whole("the parameters of b0 must be the portal's reds, or the words that are passed for them"));
        }
        for (index, block) in code.blocks.iter().enumerate() {
            let error = |message| self.error(BlockId(index as u32), message);
            for &op in block.params.iter().chain(&block.insts) {
                if op.0 as usize >= code.insts.len() {
                    return Err(error(format!("instruction {} does not exist", op.0)));
                }
                if seen.has(op) {
                    return Err(error(format!("`{}` stands in two places", code_line(code, op))));
                }
                seen.add(op);
            }
            for (position, &param) in block.params.iter().enumerate() {
                let inst = code.inst(param);
                let right = matches!(inst.aux, Aux::Index(index) if index as usize == position);
                if inst.op.info().class != Class::Input || !right {
                    return Err(error(format!("parameter {position} is none")));
                }
            }
            for (target, what) in self.successors(block) {
                if target.0 as usize >= code.blocks.len() {
                    return Err(error(format!("{what} goes to {target}, which does not exist")));
                }
            }
        }
        Ok(())
    }

    /// Where a guard that fails goes on, if that is in this code.
    fn bridge(&self, inst: &Inst) -> Option<BlockId> {
        match (inst.op.info().class, inst.aux) {
            (Class::Guard, Aux::Index(exit)) => self.code.exits.get(exit as usize)?.bridge,
            _ => None,
        }
    }

    fn successors(&self, block: &Block) -> Vec<(BlockId, &'static str)> {
        let guards = block.insts.iter().filter_map(|&op| self.code.insts.get(op.0 as usize));
        let mut targets: Vec<_> = guards.filter_map(|inst| Some((self.bridge(inst)?, "a guard's bridge"))).collect();
        match &block.end {
            End::Jump(to, _) => targets.push((*to, "its end")),
            End::Exit(exit) => {
                let exit = self.code.exits.get(exit.0 as usize);
                targets.extend(exit.and_then(|exit| Some((exit.bridge?, "its exit's bridge"))));
            }
            End::Finish(_) => {}
            End::Enter(entries) => targets.extend(entries.iter().map(|&entry| (entry, "an entry"))),
            End::Switch { cases, otherwise, .. } => {
                targets.extend(cases.iter().map(|&(_, to)| (to, "a case")));
                targets.push((*otherwise, "its end"));
            }
        }
        targets
    }

    /// The values known at the start of each block, its own parameters apart.
    fn known_at_entries(&self) -> Vec<Set> {
        let code = self.code;
        let mut entries = vec![Set::new(code.insts.len(), true); code.blocks.len()];
        entries[0] = Set::new(code.insts.len(), false);
        let mut work = vec![BlockId(0)];
        let mut visited = vec![false; code.blocks.len()];
        while let Some(id) = work.pop() {
            visited[id.0 as usize] = true;
            let block = &code.blocks[id.0 as usize];
            let mut known = entries[id.0 as usize].clone();
            for &param in &block.params {
                known.add(param);
            }
            let mut reach = |target: BlockId, known: &Set| {
                let changed = entries[target.0 as usize].keep(known);
                if (changed || !visited[target.0 as usize]) && !work.contains(&target) {
                    work.push(target);
                }
            };
            for &op in &block.insts {
                if let Some(bridge) = self.bridge(code.inst(op)) {
                    reach(bridge, &known);
                }
                known.add(op);
            }
            match &block.end {
                End::Jump(to, _) => reach(*to, &known),
                End::Exit(exit) => {
                    if let Some(bridge) = code.exits.get(exit.0 as usize).and_then(|exit| exit.bridge) {
                        reach(bridge, &known);
                    }
                }
                End::Finish(_) => {}
                End::Enter(targets) => targets.iter().for_each(|&target| reach(target, &known)),
                End::Switch { cases, otherwise, .. } => {
                    cases.iter().map(|(_, to)| to).chain([otherwise]).for_each(|&target| reach(target, &known));
                }
            }
        }
        entries
    }

    fn scope<'s>(&'s self, known: &'s dyn Fn(OpRef) -> bool) -> Scope<'s> {
        Scope { insts: &self.code.insts, pool: &self.code.args, known }
    }

    fn inst(&self, block: &Block, position: usize, known: &Set) -> Check {
        let inst = self.code.inst(block.insts[position]);
        let known = |op: OpRef| known.has(op);
        let scope = self.scope(&known);
        let earlier = block.insts[..position].iter().map(|&op| self.code.inst(op));
        scope.inst(inst, before(earlier))?;
        match (inst.op.info().class, inst.aux) {
            (Class::Input, _) => Err("a parameter must be one of its block's".to_string()),
            (Class::Mark, _) => Err("there are no merge marks in code".to_string()),
            (Class::Guard, Aux::Index(exit)) => self.leaves(ExitId(exit), &scope),
            _ => Ok(()),
        }
    }

    /// Whether what an exit wants is known where it is taken.
    fn leaves(&self, id: ExitId, scope: &Scope<'_>) -> Check {
        let exit = self.code.exits.get(id.0 as usize);
        let exit = exit.ok_or_else(|| format!("{id} does not exist"))?;
        for (index, &slot) in self.code.details[exit.slots].iter().enumerate() {
            scope.value(slot, None, &|| format!("slot {index} of {id}"))?;
        }
        Ok(())
    }

    fn end(&self, block: &Block, known: &Set) -> Check {
        let known = |op: OpRef| known.has(op);
        let scope = self.scope(&known);
        match &block.end {
            End::Jump(to, args) => {
                let params = &self.code.blocks[to.0 as usize].params;
                ensure(args.len() == params.len(), || {
                    format!("{to} takes {} words, not {}", params.len(), args.len())
                })?;
                for (index, (&arg, &param)) in args.iter().zip(params).enumerate() {
                    let ty = self.code.inst(param).result();
                    scope.arg(arg, ty, &|| format!("word {index} for {to}"))?;
                }
                Ok(())
            }
            End::Finish(words) => {
                ensure(words.len() <= MAX_RESULTS, || format!("{} result words", words.len()))?;
                scope.words(words)
            }
            End::Exit(exit) => self.leaves(*exit, &scope),
            End::Switch { value, cases, otherwise } => {
                scope.arg(*value, Some(Type::Int), &|| "what decides".to_string())?;
                ensure(!cases.is_empty(), || "there is no case".to_string())?;
                let mut constants: Vec<u64> = cases.iter().map(|(bits, _)| *bits).collect();
                constants.sort_unstable();
                ensure(constants.is_sorted_by(|a, b| a < b), || "two cases are the same".to_string())?;
                for to in cases.iter().map(|(_, to)| to).chain([otherwise]) {
                    let params = self.code.blocks[to.0 as usize].params.len();
                    ensure(params == 0, || format!("{to}, which is switched to, has parameters"))?;
                }
                Ok(())
            }
            End::Enter(entries) => {
                ensure(std::ptr::eq(block, &raw const self.code.blocks[0]), || {
                    "only the first block chooses an entry".to_string()
                })?;
                ensure(!entries.is_empty(), || "there is no entry".to_string())?;
                let types = |block: &Block| -> Vec<_> {
                    block.params.iter().map(|&param| self.code.inst(param).result()).collect()
                };
                for to in entries {
                    ensure(types(&self.code.blocks[to.0 as usize]) == types(block), || {
                        format!("the entry {to} does not take what the first block takes")
                    })?;
                }
                Ok(())
            }
        }
    }

    /// An exit by itself.
    fn exit(&self, exit: &Exit) -> Check {
        if let Some(bridge) = exit.bridge {
            let params = self.code.blocks.get(bridge.0 as usize).map(|block| block.params.len());
            ensure(params == Some(0), || format!("{bridge}, a bridge, has parameters"))?;
            let rest = exit.slots.len() + exit.virtuals.len() + exit.stores.len() + exit.resume.len();
            return ensure(rest == 0, || "it has a bridge and a recipe".to_string());
        }
        ensure(exit.slots.len() <= MAX_SLOTS, || format!("{} slots", exit.slots.len()))?;
        for (index, object) in self.code.details.virtuals(exit).enumerate() {
            let context = |message: String| format!("o{index}: {message}");
            whole_shape(object.shape).map_err(context)?;
            let fill = object.shape.array.map_or(Type::Int, Field::ty);
            self.recipe(exit, object.fill, Some(fill)).map_err(context)?;
            ensure(object.shape.array.is_some() || object.len == 0, || "it has no array".to_string())
                .map_err(context)?;
            for (place, recipe) in &self.code.details[object.contents] {
                let field = self.place(place).map_err(context)?;
                let mut fields = object.shape.fields.iter().chain(object.shape.array);
                ensure(fields.any(|own| own.offset == field.offset && own.kind == field.kind), || {
                    format!("`{}` has no `{}`", object.shape.name, field.name)
                })
                .map_err(context)?;
                let inside = matches!(place, Place::Item(_, item) if *item >= object.len);
                ensure(!inside, || format!("an item beyond its {} items", object.len)).map_err(context)?;
                self.recipe(exit, *recipe, Some(field.ty())).map_err(context)?;
            }
        }
        for store in &self.code.details[exit.stores] {
            self.recipe(exit, store.object, Some(Type::Int))?;
            let field = self.place(&store.place)?;
            self.recipe(exit, store.value, Some(field.ty()))?;
        }
        self.resume(exit)
    }

    fn place(&self, place: &Place) -> Result<&'static Field, String> {
        let (field, item) = match *place {
            Place::Field(field) => (field, false),
            Place::Item(field, _) => (field, true),
        };
        ensure(field.is_array == item, || format!("`{}` is not such a field", field.name))?;
        field_offset(field)?;
        Ok(field)
    }

    fn recipe(&self, exit: &Exit, recipe: Recipe, ty: Option<Type>) -> Check {
        match recipe {
            Recipe::Const(_) => Ok(()),
            // Slots are handed over as bits: a float serves where its pattern is wanted, boxed or not.
            Recipe::Value(op) | Recipe::Plus(op, _) => {
                ensure(self.code.details[exit.slots].contains(&op), || format!("{op} is not among its slots"))
            }
            Recipe::Virtual(name) => {
                let known = self.code.details.virtuals(exit).any(|object| object.name == name);
                ensure(known, || format!("o{name} does not exist"))?;
                ensure(ty != Some(Type::Float), || format!("o{name} is no float"))
            }
        }
    }

    /// The steps of replay: merge points first and after every entry of a portal.
    fn resume(&self, exit: &Exit) -> Check {
        // Code in tests may be left for good, through an exit that is no guard's.
        if exit.resume.is_empty() && exit.guard.is_none() {
            return Ok(());
        }
        let mut entered = Some(self.code.portal);
        for (index, step) in self.code.details.steps(exit).enumerate() {
            let context = |message: String| format!("step {index}: {message}");
            match step {
                ResumeStep::Merge { portal, greens, reds } => {
                    let expected = entered.take();
                    ensure(expected.is_some_and(|expected| std::ptr::eq(expected, portal)), || {
                        "a merge point follows the entry of its portal".to_string()
                    })
                    .map_err(context)?;
                    ensure(greens.len() == portal.greens && reds.len() == portal.reds.len(), || {
                        format!("wrong number of greens or reds for `{}`", portal.name)
                    })
                    .map_err(context)?;
                    for (&red, &ty) in self.code.details[reds].iter().zip(portal.reds) {
                        self.recipe(exit, red, Some(ty)).map_err(context)?;
                    }
                }
                ResumeStep::Enter(portal) => {
                    ensure(index > 0, || "the first step is a merge point".to_string()).map_err(context)?;
                    entered = Some(portal);
                }
                ResumeStep::Words(words) | ResumeStep::Collapsed(words) => {
                    ensure(index > 0, || "the first step is a merge point".to_string()).map_err(context)?;
                    for &word in &self.code.details[words] {
                        self.recipe(exit, word, None).map_err(context)?;
                    }
                }
            }
        }
        ensure(!exit.resume.is_empty(), || "it says nothing of how to resume".to_string())
    }
}
