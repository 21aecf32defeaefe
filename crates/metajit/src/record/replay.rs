//! What a replay consumes.

use crate::ir::tree::LogId;
use crate::twin::Raw;

/// One node of the log, with its values.
#[derive(Clone, Debug)]
pub enum Step {
    /// A portal call was entered; its merge point follows.
    Enter,
    /// Begin (or go on) at this merge point.
    Merge {
        /// The greens.
        greens: Vec<u64>,
        /// The reds.
        reds: Vec<Raw>,
    },
    /// An event's result words.
    Words(Vec<Raw>),
    /// The result words of a completed call that was entered at so many ticks.
    Collapsed(u32, Vec<Raw>),
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

/// A log being replayed.
#[derive(Debug)]
pub struct Replay {
    steps: Vec<(Option<LogId>, Step)>,
    position: usize,
    /// Ticks since the last consumed node.
    since: u32,
    /// Ticks to pass after the last node.
    ticks: u32,
}

impl Replay {
    /// A replay of these steps and so many ticks after them. The first step is the merge point that the outermost twin
    /// is called with.
    pub fn new(steps: Vec<(Option<LogId>, Step)>, ticks: u32) -> Replay {
        Replay {
            steps,
            position: 1,
            since: 0,
            ticks,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.position == self.steps.len() && self.since == self.ticks
    }

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
            Some((_, Step::Words(words))) => words,
            other => panic!("a replay is out of step: an event was expected, not {other:?}"),
        }
    }

    /// Takes the node of a completed call, if the call that is being entered is the one.
    pub(super) fn take_collapsed(&mut self) -> Option<&[Raw]> {
        match self.steps.get(self.position) {
            Some((_, Step::Collapsed(at, _))) if *at == self.since => {
                self.since = 0;
                self.position += 1;
                match &self.steps[self.position - 1] {
                    (_, Step::Collapsed(_, words)) => Some(words),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Takes the node of a residual portal call, if the next node is an event.
    pub(super) fn next_is_words(&self) -> bool {
        matches!(self.steps.get(self.position), Some((_, Step::Words(_))))
    }

    /// Takes the nodes of a portal call that was entered and not completed: the `Enter` node, greens and reds.
    pub(super) fn take_enter(&mut self) -> Entered {
        let base = match self.steps.get(self.position) {
            Some((node, Step::Enter)) => *node,
            other => panic!("a replay is out of step: a portal call was expected, not {other:?}"),
        };
        let ticks = std::mem::take(&mut self.since);
        self.position += 2;
        match self.steps.get(self.position - 1) {
            Some((_, Step::Merge { greens, reds })) => Entered {
                base,
                ticks,
                greens: greens.clone(),
                reds: reds.clone(),
            },
            other => panic!("a replay is out of step: a merge point was expected, not {other:?}"),
        }
    }

    /// The last consumed node and the ticks since, when the replay is one that records afterwards.
    pub(super) fn position(&self) -> Option<(LogId, u32)> {
        Some((self.steps[self.position - 1].0?, self.since))
    }
}
