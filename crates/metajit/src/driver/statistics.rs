//! What was recorded, compiled, left and given up: every refusal has a name and a counter.

use crate::record::Abort;

/// Counters of one thread's runtime.
#[derive(Clone, Default, Debug)]
pub struct Statistics {
    /// Trees begun (loops and functions).
    pub loops_recorded: u64,
    /// Bridges recorded.
    pub bridges_recorded: u64,
    /// Recordings given up, by reason (in the order of [`Abort::ALL`]).
    pub aborts: [u64; Abort::ALL.len()],
    /// Places given up for good.
    pub given_up: u64,
    /// Trees thrown away because a quasi-immutable field was written.
    pub invalidated: u64,
    /// Trees thrown away to make room for code.
    pub evicted: u64,
    /// Bytes of machine code given back.
    pub code_bytes_freed: u64,
    /// Times a tree or place reached a limit, by limit (in the order of [`Statistics::LIMITS`]).
    pub limits: [u64; Statistics::LIMITS.len()],
    /// Times the counters were decayed.
    pub decays: u64,
    /// Operations recorded.
    pub ops_recorded: u64,
    /// Guards recorded.
    pub guards_recorded: u64,
    /// Compilations.
    pub compilations: u64,
    /// Operations compiled.
    pub ops_compiled: u64,
    /// Exit slots of the code compiled.
    pub slots_compiled: u64,
    /// Guards of the code compiled.
    pub guards_compiled: u64,
    /// Switches, each in place of several guards, of the code compiled.
    pub switches_compiled: u64,
    /// Guards that were made to fail always, for tests.
    pub guards_forced: u64,
    /// Bytes of machine code made.
    pub code_bytes: u64,
    /// Nanoseconds of thread time spent recording.
    pub record_ns: u64,
    /// Nanoseconds of thread time spent optimizing.
    pub optimize_ns: u64,
    /// Nanoseconds of thread time spent in the backend.
    pub backend_ns: u64,
    /// Most thread time, in nanoseconds, that the program waited at a stretch for the recorder and the driver (and, with
    /// `sync`, for the compiler): a recording with what is run in its course, or a publication.
    pub pause_max_ns: u64,
    /// Pieces of threaded code.
    pub threaded_units: u64,
    /// Merge points that they stand for.
    pub threaded_merge_points: u64,
    /// Their instructions.
    pub threaded_ops: u64,
    /// Nanoseconds of thread time spent running twins for threaded code.
    pub shallow_ns: u64,
    /// Nanoseconds of thread time spent compiling threaded code.
    pub threaded_backend_ns: u64,
    /// Times compiled code was entered.
    pub entries: u64,
    /// Times compiled code was left by an exit.
    pub exits: u64,
    /// Of these, at the end of a fragment that leads elsewhere.
    pub exits_at_end: u64,
    /// Of these, at a guard whose bridge waits to be compiled.
    pub exits_pending: u64,
}

impl Statistics {
    /// All counters with their names.
    pub fn fields(&self) -> Vec<(String, u64)> {
        let mut fields: Vec<(String, u64)> = [
            ("loops_recorded", self.loops_recorded),
            ("bridges_recorded", self.bridges_recorded),
            ("given_up", self.given_up),
            ("invalidated", self.invalidated),
            ("evicted", self.evicted),
            ("code_bytes_freed", self.code_bytes_freed),
            ("decays", self.decays),
            ("ops_recorded", self.ops_recorded),
            ("guards_recorded", self.guards_recorded),
            ("compilations", self.compilations),
            ("ops_compiled", self.ops_compiled),
            ("slots_compiled", self.slots_compiled),
            ("guards_compiled", self.guards_compiled),
            ("switches_compiled", self.switches_compiled),
            ("guards_forced", self.guards_forced),
            ("code_bytes", self.code_bytes),
            ("record_ns", self.record_ns),
            ("optimize_ns", self.optimize_ns),
            ("backend_ns", self.backend_ns),
            ("pause_max_ns", self.pause_max_ns),
            ("threaded_units", self.threaded_units),
            ("threaded_merge_points", self.threaded_merge_points),
            ("threaded_ops", self.threaded_ops),
            ("shallow_ns", self.shallow_ns),
            ("threaded_backend_ns", self.threaded_backend_ns),
            ("entries", self.entries),
            ("exits", self.exits),
            ("exits_at_end", self.exits_at_end),
            ("exits_pending", self.exits_pending),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
        for (reason, &count) in Abort::ALL.iter().zip(&self.aborts) {
            fields.push((format!("abort_{}", reason.name()), count));
        }
        for (limit, &count) in Statistics::LIMITS.iter().zip(&self.limits) {
            fields.push((format!("limit_{limit}"), count));
        }
        fields
    }

    /// The parameters that end a tree's growth or a place's chances, or put off a recording.
    pub const LIMITS: [&'static str; 6] =
        ["max_tree_ops", "max_bridges", "max_aborts", "max_invalidations", "max_jobs", "stack_reserve"];

    /// Notes for how long the program waited.
    pub(super) fn pause(&mut self, ns: u64) {
        self.pause_max_ns = self.pause_max_ns.max(ns);
    }

    pub(super) fn count_limit(&mut self, parameter: &str) {
        if let Some(position) = Statistics::LIMITS.iter().position(|&limit| limit == parameter) {
            self.limits[position] += 1;
        }
    }

    pub(super) fn count_abort(&mut self, reason: Abort) {
        if let Some(position) = Abort::ALL.iter().position(|&other| other == reason) {
            self.aborts[position] += 1;
        }
    }
}
