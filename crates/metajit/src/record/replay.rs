//! What a replay consumes.

use crate::ir::tree::LogId;
use crate::twin::Raw;

/// What a step of a replay is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StepKind {
    /// A portal call was entered; its merge point follows.
    Enter,
    /// Begin (or go on) at this merge point: so many greens, then the reds.
    Merge(u32),
    /// An event's result words.
    Words,
    /// The result words of a completed call that was entered at so many ticks.
    Collapsed(u32),
}

/// One node of the log: its words are a run of the replay's.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: Option<LogId>,
    kind: StepKind,
    start: u32,
    len: u32,
}

/// A log being replayed.
#[derive(Default, Debug)]
pub struct Replay {
    steps: Vec<Step>,
    words: Vec<Raw>,
    position: usize,
    /// Ticks since the last consumed node.
    since: u32,
    /// Ticks to pass after the last node.
    ticks: u32,
}

/// A portal call found open in a log.
pub(super) struct Entered {
    /// Its `Enter` node.
    pub(super) base: Option<LogId>,
    /// Ticks of its caller when it was entered.
    pub(super) ticks: u32,
    pub(super) greens: Vec<u64>,
    pub(super) reds: Vec<Raw>,
}

impl Replay {
    /// Begins a log: so many ticks are to pass after its last step. The first step is the merge point that the outermost
    /// twin is called with.
    pub(crate) fn begin(&mut self, ticks: u32) {
        self.steps.clear();
        self.words.clear();
        (self.position, self.since, self.ticks) = (1, 0, ticks);
    }

    /// Adds a step.
    pub(crate) fn push(&mut self, node: Option<LogId>, kind: StepKind, words: impl Iterator<Item = Raw>) {
        let start = self.words.len();
        self.words.extend(words);
        let len = (self.words.len() - start) as u32;
        self.steps.push(Step { node, kind, start: start as u32, len });
    }

    /// All words, for the collector.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.words.iter().map(|word| word.bits)
    }

    /// The greens and reds of a merge point.
    pub(crate) fn merge(&self, index: usize) -> (Vec<u64>, Vec<Raw>) {
        match self.steps.get(index) {
            Some(step @ Step { kind: StepKind::Merge(greens), .. }) => {
                let (greens, reds) = self.words_of(step).split_at(*greens as usize);
                (greens.iter().map(|word| word.bits).collect(), reds.to_vec())
            }
            other => panic!("a replay is out of step: a merge point was expected, not {other:?}"),
        }
    }

    fn words_of(&self, step: &Step) -> &[Raw] {
        &self.words[step.start as usize..(step.start + step.len) as usize]
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.position == self.steps.len() && self.since == self.ticks
    }

    #[inline]
    pub(super) fn tick(&mut self) {
        self.since += 1;
        assert!(
            self.position < self.steps.len() || self.since <= self.ticks,
            "a replay ran past its end: the twin did not do again what it did"
        );
    }

    /// Takes the node of an event.
    ///
    /// # Panics
    /// If the next node is something else: the twin did not do again what it did.
    pub(super) fn take_words(&mut self) -> &[Raw] {
        self.since = 0;
        self.position += 1;
        match self.steps.get(self.position - 1) {
            Some(step @ Step { kind: StepKind::Words, .. }) => self.words_of(step),
            other => panic!("a replay is out of step: an event was expected, not {other:?}"),
        }
    }

    /// Takes the node of a completed call, if the call that is being entered is the one.
    #[inline]
    pub(super) fn take_collapsed(&mut self) -> Option<&[Raw]> {
        let step = *self.steps.get(self.position)?;
        if step.kind != StepKind::Collapsed(self.since) {
            return None;
        }
        self.since = 0;
        self.position += 1;
        Some(self.words_of(&self.steps[self.position - 1]))
    }

    /// Whether the next node is an event: a portal call that was not looked into.
    pub(super) fn next_is_words(&self) -> bool {
        matches!(self.steps.get(self.position), Some(Step { kind: StepKind::Words, .. }))
    }

    /// Takes the nodes of a portal call that was entered and not completed.
    pub(super) fn take_enter(&mut self) -> Entered {
        let base = match self.steps.get(self.position) {
            Some(Step { kind: StepKind::Enter, node, .. }) => *node,
            other => panic!("a replay is out of step: a portal call was expected, not {other:?}"),
        };
        let ticks = std::mem::take(&mut self.since);
        self.position += 2;
        let (greens, reds) = self.merge(self.position - 1);
        Entered { base, ticks, greens, reds }
    }

    /// The last consumed node and the ticks since, when the replay is one that records afterwards.
    pub(super) fn position(&self) -> Option<(LogId, u32)> {
        Some((self.steps[self.position - 1].node?, self.since))
    }
}
