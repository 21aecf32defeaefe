//! Counters of loops: bounds that are tested once, before the loop, instead of overflow tests within.
//!
//! **Problem.** A variable that grows or shrinks by a constant in each iteration, and one that stays as it is, may overflow for all
//! that the trace says, so each sum and product made of it is tested in each iteration. Interpreters hardly ever count that
//! far.
//!
//! **Approach.** The rehearsal of a loop ([`super::peel`]) watches the guards that test for overflow ([`Watch`]), and of which carried
//! values their operands are made. For those that the first way back shows to be counters or invariant, bounds are tested where the
//! loop is entered ([`Optimizer::bound_counters`]): no program counts beyond [`PLAUSIBLE`]. If some guard says which value the
//! counter never goes on with (`while i != 0`), that is the bound on its side: a counter that comes from the right side cannot
//! step over it. The header's description starts with these bounds; like all it says they must hold on all ways back or are
//! weakened. What fails the test goes to the generic entry, so it runs the first iteration's code for all iterations.
//!
//! **Invariants.** The bounds are facts where the loop is entered, since guards test them. Nothing relies on them being plausible.
//!
//! **Rejected.** Bounds for whatever is tested: a sum that grows by what is loaded leaves them, and the test was for nothing.

use super::Optimizer;
use super::guard::Fact;
use super::header::{Header, Kind, Met, NodeId};
use super::range::Range;
use super::rules::{base_and_offset, is_large};
use super::value::{HashMap, Val};
use crate::ir::Op;
use std::collections::{BTreeMap, BTreeSet};

/// Beyond this, no program counts: it would take hours. Small enough to be multiplied by small constants, and to be well inside
/// of what fits beside a tag.
const PLAUSIBLE: i64 = 1 << 44;
/// Operations that an operand of an overflow test is followed back through.
const MAX_DEPTH: u32 = 4;
/// Counters of one loop that are bounded at most: each is a test before the loop.
const MAX_COUNTERS: usize = 8;

/// A value at the loop's entry, what is taken off it, and the bounds of the rest.
pub(super) struct Counter {
    val: Val,
    offset: u64,
    bounds: Range,
}

/// What a rehearsal finds out.
#[derive(Default)]
pub(super) struct Watch {
    /// Values at the loop's entry.
    met: Met,
    /// The nodes that they, their contents and what they were counted from are of.
    nodes: HashMap<Val, NodeId>,
    /// Nodes that overflow tests depend on.
    wanted: BTreeMap<NodeId, Option<i64>>,
    /// Nodes that the program compares with something.
    compared: BTreeSet<NodeId>,
    /// Values that the loop does not go on with: base and what is added to it never make this.
    excluded: Vec<(Val, u64)>,
}

impl Optimizer<'_> {
    /// Begins to watch a loop that is entered with these values.
    pub(super) fn watch(&self, header: &Header, met: &Met) -> Watch {
        let mut watch = Watch { met: met.clone(), ..Watch::default() };
        for (&node, &val) in met {
            let Kind::Same { boxing, .. } = header.nodes[node].kind else { continue };
            if header.nodes[node].ty == crate::word::Type::Float || boxing.is_float(header.nodes[node].ty) {
                continue;
            }
            let (base, _) = base_and_offset(self, val);
            let content = self.definition(val).map(|(_, [content, _])| content).filter(|_| boxing.offset() != 0);
            for val in [Some(val), Some(base), content].into_iter().flatten() {
                if val.as_const().is_none() {
                    watch.nodes.entry(val).or_insert(node);
                }
            }
        }
        watch
    }

    /// Looks at a guard of the loop.
    pub(super) fn watch_guard(&mut self, fact: Fact) {
        let Some(mut watch) = self.watch.take() else { return };
        let (Fact::NotZero(subject) | Fact::Zero(subject) | Fact::Equal(subject, _) | Fact::Different(subject, _)) =
            fact
        else {
            return self.watch = Some(watch);
        };
        match self.definition(subject) {
            Some((Op::AddOvf | Op::SubOvf | Op::MulOvf, args)) => {
                args.iter().for_each(|&arg| self.want(&mut watch, arg, 0))
            }
            Some((Op::Lt | Op::Le | Op::Ult | Op::Ule, args)) => match args {
                [Val::Const(bound), arg] | [arg, Val::Const(bound)] if self.is_range_test(&watch, arg, bound) => {
                    self.want(&mut watch, arg, 0);
                }
                _ => {
                    let counters = args.iter().filter_map(|&arg| watch.nodes.get(&base_and_offset(self, arg).0));
                    watch.compared.extend(counters.copied());
                }
            },
            Some((Op::Eq | Op::Ne, [arg, Val::Const(bits)])) => {
                let (base, offset) = base_and_offset(self, arg);
                watch.excluded.push((base, bits.wrapping_sub(offset)));
            }
            _ => {
                let (base, offset) = base_and_offset(self, subject);
                watch.excluded.push((base, 0u64.wrapping_sub(offset)));
            }
        }
        self.watch = Some(watch);
    }

    /// Whether a comparison asks if a result is out of range: a bound that is small beside the counter's content is the program's own.
    fn is_range_test(&self, watch: &Watch, arg: Val, bound: u64) -> bool {
        let counter = watch.nodes.get(&arg).and_then(|node| watch.met.get(node)).copied();
        let moved = counter.map_or(0, |counter| {
            let ((_, from), (_, to)) = (base_and_offset(self, arg), base_and_offset(self, counter));
            to.wrapping_sub(from).wrapping_sub(self.natural_boxing(counter).offset())
        });
        is_large(bound.wrapping_add(moved))
    }

    fn want(&self, watch: &mut Watch, val: Val, depth: u32) {
        let val = self.resolve(val);
        if let Some(&node) = watch.nodes.get(&val) {
            watch.wanted.entry(node).or_insert(None);
            return;
        }
        if let (Some((op, args)), true) = (self.definition(val), depth < MAX_DEPTH)
            && matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Shl | Op::Shr | Op::Ushr | Op::Or | Op::Xor | Op::And)
        {
            args.iter().for_each(|&arg| self.want(watch, arg, depth + 1));
        }
    }

    /// Looks at the values at the end of the first way round: by how much the wanted ones have changed.
    pub(super) fn watch_end(&mut self, now: &Met) {
        let Some(mut watch) = self.watch.take() else { return };
        let steps = watch.wanted.keys().filter_map(|node| {
            let (before, after) = (self.resolve(*watch.met.get(node)?), self.resolve(*now.get(node)?));
            let ((a, m), (b, n)) = (base_and_offset(self, before), base_and_offset(self, after));
            (a == b).then_some((*node, Some(n.wrapping_sub(m) as i64)))
        });
        watch.wanted = steps.collect();
        self.watch = Some(watch);
    }

    /// The counters of the loop that was watched, and their bounds.
    pub(super) fn counters(&self, header: &Header, watch: &Watch) -> Vec<Counter> {
        let wanted = watch.wanted.iter().take(MAX_COUNTERS);
        let counters = wanted.filter_map(|(&node, &step)| {
            let val = self.resolve(*watch.met.get(&node)?);
            let Kind::Same { boxing, .. } = header.nodes[node].kind else { return None };
            let (base, offset) = base_and_offset(self, val);
            let offset = offset.wrapping_sub(boxing.offset());
            let excluded = watch.excluded.iter().filter(|(of, _)| *of == base);
            let excluded = excluded.map(|&(_, bits)| bits.wrapping_add(offset) as i64);
            let excluded = excluded.filter(|bits| bits.unsigned_abs() < PLAUSIBLE as u64);
            let (low, high) = match step? {
                ..0 => (excluded.min().unwrap_or(-PLAUSIBLE), PLAUSIBLE),
                0 => (-PLAUSIBLE, PLAUSIBLE),
                _ => match excluded.max() {
                    Some(high) => (-PLAUSIBLE, high),
                    None if watch.compared.contains(&node) => (-PLAUSIBLE, PLAUSIBLE),
                    // Nothing would keep it below the bound.
                    None => return None,
                },
            };
            Some(Counter { val, offset: boxing.offset(), bounds: Range::signed(low, high) })
        });
        counters.collect()
    }

    /// Tests the bounds of the counters, here, where the loop is about to be entered with these reds.
    pub(super) fn bound_counters(&mut self, counters: &[Counter], reds: &[Val]) {
        let mut fallback = None;
        for counter in counters {
            let word = self.pure(Op::Sub, [counter.val, Val::Const(counter.offset)]);
            let known = self.range(word);
            if counter.bounds.includes(&known) || known.meet(&counter.bounds).is_none() {
                continue;
            }
            let block = *fallback.get_or_insert_with(|| self.fallback(reds));
            self.test(word, &counter.bounds, block);
        }
    }

    /// Lets the description of counters start with what is known of them at the entry, where they have these values.
    pub(super) fn start_bounded(&self, header: &mut Header, met: &Met, counters: &[Counter]) {
        for (&node, &val) in met {
            if counters.iter().any(|counter| counter.val == self.resolve(val))
                && let Kind::Param { boxing, content } = &mut header.nodes[node].kind
            {
                *content = self.content_range(val, *boxing);
            }
        }
    }
}
