//! How a switch branches: the same plan for both qualities.
//!
//! **Problem.** A switch may have three cases or three hundred; the constants may be numbers in a row or addresses all over memory.
//!
//! **Approach.** Constants that lie close together, [`MIN_TABLE`] of them or more, are a *table*: one comparison and one indirect
//! jump. Between tables, and where there can be none, the constants are halved until [`MAX_TESTS`] or fewer are
//! left, which are compared with one by one, in the order in which they were recorded: what came first is mostly what comes often.
//!
//! Both bounds are measured, and higher than one would think: of a choice that can't be predicted, a chain of comparisons is
//! mispredicted once, at the one that holds, as a table's jump is; every halving is mispredicted half of the time. What a chain costs more
//! is only the comparisons, at less than a cycle each; a table's jump is known later, after a load.
//!
//! **Rejected.** *Halving down to one or a few*: 1.2 times the chain's time for 16 cases, 1.1 for 64. *Tables with large holes*: an
//! entry for nothing, and a cache line more for each jump.

use crate::ir::code::BlockId;

/// Constants that are compared with one by one at most: of 32 as fast as one halving more, of 64 slower.
const MAX_TESTS: usize = 32;
/// Constants of a table at least: fewer are told apart as fast by comparing (of 16 faster, of 32 slower).
const MIN_TABLE: usize = 20;
/// Entries of a table for each constant at most.
const MAX_SPARSENESS: u64 = 2;

/// What to do with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Compare with these, one by one.
    Tests(Vec<(u64, BlockId)>),
    /// Do the first if the value is less than a constant, signed; the other if not.
    Halves(u64, Box<Plan>, Box<Plan>),
    /// Take the entry at the value less the first constant, if there is one.
    Table(u64, Vec<Option<BlockId>>),
}

/// Makes a plan. Tables are for who can make them.
pub(super) fn plan(cases: &[(u64, BlockId)], tables: bool) -> Plan {
    let mut sorted: Vec<Case> =
        cases.iter().enumerate().map(|(order, &(bits, to))| Case { bits: bits as i64, to, order }).collect();
    sorted.sort_unstable_by_key(|case| case.bits);
    let mut groups = Vec::new();
    let mut rest = &sorted[..];
    while !rest.is_empty() {
        let len = if tables { dense(rest) } else { 0 };
        let (group, others) = rest.split_at(len.max(1));
        groups.push(group);
        rest = others;
    }
    halve(&groups)
}

/// A case and when it was recorded.
#[derive(Clone, Copy)]
struct Case {
    bits: i64,
    to: BlockId,
    order: usize,
}

/// How many cases from the first on make a table; 0 if none do.
fn dense(cases: &[Case]) -> usize {
    let first = cases[0].bits;
    let fits = |len: &usize| {
        let span = cases[len - 1].bits.abs_diff(first);
        span < MAX_SPARSENESS * *len as u64
    };
    (MIN_TABLE..=cases.len()).rev().find(fits).unwrap_or(0)
}

/// The plan for groups, each of which is a table or one case.
fn halve(groups: &[&[Case]]) -> Plan {
    if let [table] = groups
        && table.len() > 1
    {
        let first = table[0].bits;
        let mut entries = vec![None; table[table.len() - 1].bits.abs_diff(first) as usize + 1];
        for case in *table {
            entries[case.bits.abs_diff(first) as usize] = Some(case.to);
        }
        return Plan::Table(first as u64, entries);
    }
    if groups.len() <= MAX_TESTS && groups.iter().all(|group| group.len() == 1) {
        let mut tests: Vec<Case> = groups.iter().map(|group| group[0]).collect();
        tests.sort_unstable_by_key(|case| case.order);
        return Plan::Tests(tests.into_iter().map(|case| (case.bits as u64, case.to)).collect());
    }
    let (below, others) = groups.split_at(groups.len() / 2);
    Plan::Halves(others[0][0].bits as u64, Box::new(halve(below)), Box::new(halve(others)))
}

#[cfg(test)]
mod tests {
    use super::{Plan, plan};
    use crate::ir::code::BlockId;

    fn cases(constants: &[i64]) -> Vec<(u64, BlockId)> {
        constants.iter().zip(0..).map(|(&bits, block)| (bits as u64, BlockId(block))).collect()
    }

    /// Where a plan leads.
    fn follow(plan: &Plan, value: u64) -> Option<BlockId> {
        match plan {
            Plan::Tests(tests) => tests.iter().find(|(bits, _)| *bits == value).map(|(_, to)| *to),
            Plan::Halves(at, below, others) => follow(if (value as i64) < *at as i64 { below } else { others }, value),
            Plan::Table(first, entries) => *entries.get(usize::try_from(value.wrapping_sub(*first)).ok()?)?,
        }
    }

    #[test]
    fn few_constants_are_compared_with_in_their_order() {
        let cases = cases(&[9, 1, 5]);
        assert_eq!(plan(&cases, true), Plan::Tests(cases));
    }

    #[test]
    fn numbers_in_a_row_are_a_table() {
        let row = cases(&(-1..30).rev().collect::<Vec<i64>>());
        assert!(matches!(plan(&row, true), Plan::Table(first, entries) if first as i64 == -1 && entries.len() == 31));
        assert!(matches!(plan(&row, false), Plan::Tests(_)));
    }

    #[test]
    fn many_numbers_far_apart_are_halved() {
        let far = cases(&(0..40).map(|n| n * 1000).collect::<Vec<i64>>());
        assert!(matches!(plan(&far, true), Plan::Halves(..)));
    }

    #[test]
    fn every_plan_leads_where_the_cases_do() {
        let all: Vec<Vec<i64>> = vec![
            vec![i64::MAX, i64::MIN, 0, -1, 1, 2, 3],
            (0..40).map(|n| n * 7 % 41).collect(),
            (0..40).map(|n| n * n * 1_000_003).collect(),
            (0..20).chain(1000..1003).chain(5000..5030).rev().collect(),
            (0..50).map(|n| i64::MIN + n).chain([i64::MAX]).collect(),
            (-30..30).chain([i64::MIN, i64::MAX]).collect(),
        ];
        for constants in all {
            let cases = cases(&constants);
            for tables in [false, true] {
                let plan = plan(&cases, tables);
                for &(bits, to) in &cases {
                    assert_eq!(follow(&plan, bits), Some(to));
                    for near in [bits.wrapping_sub(1), bits.wrapping_add(1), bits ^ 1 << 63, bits ^ 1 << 32] {
                        let expected = cases.iter().find(|(bits, _)| *bits == near).map(|(_, to)| *to);
                        assert_eq!(follow(&plan, near), expected);
                    }
                }
            }
        }
    }
}
