//! The circumstances that a program may run in, and few ways to run it in which any two of them meet.
//!
//! This is the only place that knows them: `testing::Modes` has a few ways as modes, 2SOM's tests run its programs in them, and
//! `cargo xtask matrix`, which includes this file, goes through all ways.

/// What a circumstance may be: what it is called, and what it asks of the JIT compiler.
type Level = (&'static str, &'static str);

/// The levels of each factor. What the collector is to do depends on the suite: a program of a few lines can be collected at each
/// allocation, one that runs for seconds cannot.
const FACTORS: [&[Level]; 5] = [
    &[
        ("interp", "off"),
        ("threaded", "threaded=1,tracing=0"),
        ("tracing", "threaded=0,tracing=1"),
        ("two-level", "threaded=1,tracing=1"),
    ],
    &[("default", ""), ("at-once", "tier1_threshold=1,threshold=1,function_threshold=1,trace_eagerness=1")],
    &[("exits", ""), ("forced", "fail_guard=2")],
    &[("quiet", ""), ("collecting", "")],
    &[("background", "sync=0"), ("synchronous", "sync=1")],
];

/// The factors' places in [`FACTORS`].
const TIER: usize = 0;
const COLLECTOR: usize = 3;

/// The factors that the plain interpreter does not care for: they are not varied for it.
const COMPILERS_ONLY: [usize; 3] = [1, 2, 4];

/// A way to run a program: a level of each factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell([usize; FACTORS.len()]);

impl Cell {
    /// What it is called: a name without blanks.
    pub fn name(self) -> String {
        let names: Vec<&str> = FACTORS.iter().zip(self.0).map(|(levels, level)| levels[level].0).collect();
        names.join("/")
    }

    /// The parameters of the JIT compiler, as `METAJIT` takes them.
    pub fn parameters(self) -> String {
        let parts = FACTORS.iter().zip(self.0).map(|(levels, level)| levels[level].1);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",")
    }

    /// Whether the collector is to run when there is no need.
    pub fn collects(self) -> bool {
        self.0[COLLECTOR] > 0
    }

    /// Pairs of circumstances that meet in it.
    fn pairs(self) -> impl Iterator<Item = [(usize, usize); 2]> {
        let levels = self.0;
        (0..levels.len()).flat_map(move |a| (a + 1..levels.len()).map(move |b| [(a, levels[a]), (b, levels[b])]))
    }
}

/// Every way.
pub fn all() -> Vec<Cell> {
    let mut cells = vec![Cell([0; FACTORS.len()])];
    for (factor, levels) in FACTORS.iter().enumerate() {
        let more = cells.iter().flat_map(|cell| {
            (0..levels.len()).map(move |level| {
                let mut cell = *cell;
                cell.0[factor] = level;
                cell
            })
        });
        cells = more.collect();
    }
    cells.retain(|cell| cell.0[TIER] != 0 || COMPILERS_ONLY.iter().all(|&factor| cell.0[factor] == 0));
    cells
}

/// So few ways that any two circumstances that can meet do: each time the one in which most meet that have not met yet.
pub fn pairwise() -> Vec<Cell> {
    let all = all();
    let mut missing: Vec<[(usize, usize); 2]> = all.iter().flat_map(|cell| cell.pairs()).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let new = |cell: &&Cell| cell.pairs().filter(|pair| missing.contains(pair)).count();
        let Some(&best) = all.iter().rev().max_by_key(new) else { break };
        missing.retain(|missing| !best.pairs().any(|pair| pair == *missing));
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn any_two_circumstances_meet_in_few_ways() {
        let meet = |cells: &[Cell]| cells.iter().flat_map(|cell| cell.pairs()).collect::<BTreeSet<_>>();
        let (all, few) = (all(), pairwise());
        assert_eq!(meet(&few), meet(&all));
        assert!(all.len() == 50 && few.len() <= 9, "{} of {}", few.len(), all.len());
    }

    #[test]
    fn every_way_has_another_name() {
        let names: BTreeSet<String> = all().iter().map(|cell| cell.name()).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.iter().all(|name| !name.contains(char::is_whitespace)));
    }
}
