//! What the JIT compiler does, as it happens: hooks, and a log of JSON lines.
//!
//! **Approach.** The runtime notes an [`Event`] where something happens, if anybody wants to know, and hands it on when it
//! has let go of its own state: hooks may ask for statistics, or look at the heap, but what they run is not traced in turn.
//! [`log_to`] is a hook that writes each event as a line. Exits are counted there and written once, when the thread ends. The log has
//! the collector's events, too ([`gc::subscribe`]): a line for each collection. They are written as they happen, the others when the runtime
//! is let go of, so that a collection may stand before what led to it.
//!
//! ```
//! # #[cfg(feature = "jit")] {
//! use metajit::driver::{Event, observe};
//! use std::{cell::RefCell, rc::Rc};
//!
//! let compiled = Rc::new(RefCell::new(Vec::new()));
//! let names = compiled.clone();
//! observe(move |event| {
//!     if let Event::Compiled { place, .. } = event {
//!         names.borrow_mut().push(place.clone());
//!     }
//! });
//! // ... run the program; then:
//! assert!(compiled.borrow().is_empty());
//! # }
//! ```

use super::runtime::with;
use crate::gc;
use crate::record::Abort;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// An exit of a tree: a guard, and which instance of it (0 on the way into the loop, 1 in the loop).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ExitName {
    /// The guard's number in the tree.
    pub guard: u32,
    /// The instance.
    pub instance: u32,
}

/// Something that the JIT compiler did. Places are named as the driver's `location` names them.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A recording begins.
    Recording {
        /// Of which tree.
        place: String,
        /// The exit at which it begins, if it is a bridge.
        bridge: Option<ExitName>,
    },
    /// A recording is complete.
    Recorded {
        /// Of which tree.
        place: String,
        /// The exit at which it begins, if it is a bridge.
        bridge: Option<ExitName>,
        /// Operations recorded.
        ops: usize,
        /// Thread time, in nanoseconds.
        ns: u64,
    },
    /// A recording was given up.
    Aborted {
        /// Of which tree.
        place: String,
        /// The exit at which it began, if it is a bridge.
        bridge: Option<ExitName>,
        /// Why.
        reason: Abort,
        /// Thread time, in nanoseconds.
        ns: u64,
    },
    /// Code was made and published.
    Compiled {
        /// Of which tree.
        place: String,
        /// `quick`, `full` or `evaluated`.
        quality: &'static str,
        /// The tree's fragments: the loop or function, and bridges.
        fragments: usize,
        /// Operations before optimization, of all fragments.
        recorded: usize,
        /// Operations of the code.
        ops: usize,
        /// Its guards.
        exits: usize,
        /// Bytes of machine code.
        bytes: usize,
        /// Thread time of the optimizer, in nanoseconds.
        optimize_ns: u64,
        /// Thread time of the backend, in nanoseconds.
        backend_ns: u64,
        /// From submission to publication, in nanoseconds.
        waited_ns: u64,
    },
    /// Threaded code was made and published.
    Threaded {
        /// From where on.
        place: String,
        /// `quick`, `full` or `evaluated`.
        quality: &'static str,
        /// Its ways in.
        entries: usize,
        /// Merge points that it stands for.
        merge_points: usize,
        /// Operations of the code.
        ops: usize,
        /// Its guards and exits.
        exits: usize,
        /// Bytes of machine code.
        bytes: usize,
        /// Thread time of running twins, in nanoseconds.
        shallow_ns: u64,
        /// Thread time of the backend, in nanoseconds.
        backend_ns: u64,
        /// From submission to publication, in nanoseconds.
        waited_ns: u64,
    },
    /// No code could be made.
    Refused {
        /// Of which tree.
        place: String,
        /// By whom.
        reason: Abort,
        /// In its words.
        message: String,
    },
    /// A tree was thrown away since something that it took for constant was changed.
    Invalidated {
        /// The tree.
        place: String,
    },
    /// A tree was thrown away to make room for code.
    Evicted {
        /// The tree.
        place: String,
        /// Bytes of its machine code.
        bytes: usize,
    },
    /// A place is never recorded again.
    GivenUp {
        /// The place.
        place: String,
        /// Why.
        reason: Abort,
    },
    /// A limit was reached: the tree gets no more bridges.
    Limit {
        /// The tree.
        place: String,
        /// The parameter that limits it.
        parameter: &'static str,
    },
    /// Code was left by an exit.
    Exit {
        /// The tree.
        place: String,
        /// Where; `None` at the end of a fragment that leaves.
        exit: Option<ExitName>,
    },
}

impl Event {
    /// Its name and fields, as JSON without the braces.
    fn json(&self) -> String {
        let mut text = String::new();
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            let _ = write!(text, ",\"{name}\":{value}");
        };
        let name = match self {
            Event::Recording { place, bridge } => {
                field("place", &quoted(place));
                bridge.iter().for_each(|bridge| field("bridge", bridge));
                "recording"
            }
            Event::Recorded { place, bridge, ops, ns } => {
                field("place", &quoted(place));
                bridge.iter().for_each(|bridge| field("bridge", bridge));
                field("ops", ops);
                field("ns", ns);
                "recorded"
            }
            Event::Aborted { place, bridge, reason, ns } => {
                field("place", &quoted(place));
                bridge.iter().for_each(|bridge| field("bridge", bridge));
                field("reason", &quoted(reason.name()));
                field("ns", ns);
                "aborted"
            }
            Event::Compiled {
                place,
                quality,
                fragments,
                recorded,
                ops,
                exits,
                bytes,
                optimize_ns,
                backend_ns,
                waited_ns,
            } => {
                field("place", &quoted(place));
                field("quality", &quoted(quality));
                field("fragments", fragments);
                field("recorded", recorded);
                field("ops", ops);
                field("exits", exits);
                field("bytes", bytes);
                field("optimize_ns", optimize_ns);
                field("backend_ns", backend_ns);
                field("waited_ns", waited_ns);
                "compiled"
            }
            Event::Threaded {
                place,
                quality,
                entries,
                merge_points,
                ops,
                exits,
                bytes,
                shallow_ns,
                backend_ns,
                waited_ns,
            } => {
                field("place", &quoted(place));
                field("quality", &quoted(quality));
                field("entries", entries);
                field("merge_points", merge_points);
                field("ops", ops);
                field("exits", exits);
                field("bytes", bytes);
                field("shallow_ns", shallow_ns);
                field("backend_ns", backend_ns);
                field("waited_ns", waited_ns);
                "threaded"
            }
            Event::Refused { place, reason, message } => {
                field("place", &quoted(place));
                field("reason", &quoted(reason.name()));
                field("message", &quoted(message));
                "refused"
            }
            Event::Invalidated { place } => {
                field("place", &quoted(place));
                "invalidated"
            }
            Event::Evicted { place, bytes } => {
                field("place", &quoted(place));
                field("bytes", bytes);
                "evicted"
            }
            Event::GivenUp { place, reason } => {
                field("place", &quoted(place));
                field("reason", &quoted(reason.name()));
                "given_up"
            }
            Event::Limit { place, parameter } => {
                field("place", &quoted(place));
                field("parameter", &quoted(parameter));
                "limit"
            }
            Event::Exit { place, exit } => {
                field("place", &quoted(place));
                exit.iter().for_each(|exit| field("exit", exit));
                "exit"
            }
        };
        format!("\"event\":{}{text}", quoted(name))
    }
}

/// The line of an event of the collector, as [`Event::json`]; `None` for the beginning of a collection, whose end says all.
fn collector_json(event: &gc::Event) -> Option<String> {
    match event {
        gc::Event::Begin { .. } => None,
        gc::Event::End(collection) => {
            let kind = match collection.kind {
                gc::Kind::Minor => "minor",
                gc::Kind::Major => "major",
            };
            let cause = match collection.cause {
                gc::Cause::Nursery => "nursery",
                gc::Cause::Growth => "growth",
                gc::Cause::Limit => "limit",
                gc::Cause::Request => "request",
                gc::Cause::Stress => "stress",
            };
            let pause_ns = collection.pause.as_nanos();
            let gc::Collection { allocated, objects, survived, root_words, remembered, used, .. } = collection;
            Some(format!(
                "\"event\":\"collection\",\"kind\":\"{kind}\",\"cause\":\"{cause}\",\"pause_ns\":{pause_ns},\
                 \"allocated\":{allocated},\"objects\":{objects},\"survived\":{survived},\"root_words\":{root_words},\
                 \"remembered\":{remembered},\"used\":{used}"
            ))
        }
        gc::Event::OutOfMemory(gc::OutOfMemory { requested, limit }) => {
            Some(format!("\"event\":\"out_of_memory\",\"requested\":{requested},\"limit\":{limit}"))
        }
    }
}

impl std::fmt::Display for ExitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"g{}#{}\"", self.guard, self.instance)
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a hook is.
type Hook = Box<dyn FnMut(&Event)>;

/// Who wants to know what, and what they have not been told yet.
#[derive(Default)]
pub(super) struct Observers {
    hooks: Vec<Hook>,
    log: Option<Log>,
    waiting: Vec<Event>,
}

impl Observers {
    /// What the environment asks for: `METAJIT_LOG=FILE`. The logs of further threads have a number at the end of their names.
    pub(super) fn from_environment() -> Observers {
        static LOGS: AtomicU32 = AtomicU32::new(0);
        let log = std::env::var_os("METAJIT_LOG").and_then(|mut path| {
            let number = LOGS.fetch_add(1, Ordering::Relaxed);
            if number > 0 {
                path.push(format!(".{number}"));
            }
            Log::new(path.as_ref())
                .inspect_err(|error| eprintln!("metajit: warning: no log: {}: {error}", path.display()))
                .ok()
        });
        Observers { log, ..Observers::default() }
    }

    /// Whether events are to be made.
    #[inline]
    pub(super) fn any(&self) -> bool {
        !self.hooks.is_empty() || self.log.is_some()
    }

    /// Whether exits are to be told of one by one.
    #[inline]
    pub(super) fn any_hook(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Whether [`deliver`] has anything to do.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Notes an event.
    pub(super) fn push(&mut self, event: Event) {
        self.waiting.push(event);
    }

    /// Writes a line that is no event to the log.
    pub(super) fn conclude(&mut self, name: &str, fields: &str) {
        if let Some(log) = &self.log {
            log.lines.line(&format!("\"event\":{}{fields}", quoted(name)));
        }
    }

    pub(super) fn logs(&self) -> bool {
        self.log.is_some()
    }
}

/// The words of a field of a concluding line.
pub(super) fn text_field(name: &str, text: &str) -> String {
    format!(",\"{name}\":{}", quoted(text))
}

/// Tells the hooks what waits. To be called when the runtime is let go of.
#[cold]
pub(super) fn deliver() {
    let (events, mut hooks) = with(|runtime| {
        let observers = &mut runtime.observers;
        let events = std::mem::take(&mut observers.waiting);
        if let Some(log) = &observers.log {
            events
                .iter()
                .filter(|event| !matches!(event, Event::Exit { .. }))
                .for_each(|event| log.lines.line(&event.json()));
        }
        (events, std::mem::take(&mut observers.hooks))
    });
    if !hooks.is_empty() {
        // The driver may have words at hand that the collector does not see: those of an exit that is being taken.
        gc::without_collection(|| {
            for event in &events {
                hooks.iter_mut().for_each(|hook| hook(event));
            }
        });
    }
    with(|runtime| {
        // Hooks that were added meanwhile come after those there were.
        hooks.append(&mut runtime.observers.hooks);
        runtime.observers.hooks = hooks;
    });
}

/// The log of a thread.
struct Log {
    lines: Rc<Lines>,
    /// The collector writes to it as well.
    _collections: gc::Subscription,
}

impl Log {
    fn new(path: &Path) -> std::io::Result<Log> {
        let lines = Rc::new(Lines { file: File::create(path)?, start: Instant::now() });
        let log = lines.clone();
        let collections = gc::subscribe(move |event| collector_json(event).iter().for_each(|fields| log.line(fields)));
        Ok(Log { lines, _collections: collections })
    }
}

/// A file of JSON lines.
struct Lines {
    file: File,
    start: Instant,
}

impl Lines {
    fn line(&self, fields: &str) {
        let at = self.start.elapsed().as_micros();
        // One write a line, so that the log is whole even if the process ends badly; nothing depends on its success.
        let _ = (&self.file).write_all(format!("{{\"at_us\":{at},{fields}}}\n").as_bytes());
    }
}

/// Has `hook` called with every event of this thread's runtime from now on. It is called on this thread, soon after the
/// event, with collection off, and must not run interpreted programs.
pub fn observe(hook: impl FnMut(&Event) + 'static) {
    with(|runtime| runtime.observers.hooks.push(Box::new(hook)));
}

/// Writes this thread's events to a new file from now on, one JSON object a line: the time since now in microseconds
/// (`at_us`), the name (`event`) and what belongs to it; the collector's events are among them. When the thread ends, a line
/// for each place says how often it was entered and which exits were taken how often (with the parameter `profile`, how often it
/// was called), and one gives all the counters. The environment variable `METAJIT_LOG` does the same.
///
/// # Errors
/// If the file can't be made.
pub fn log_to(path: &Path) -> std::io::Result<()> {
    let log = Log::new(path)?;
    with(|runtime| {
        runtime.observers.log = Some(log);
        runtime.name_places();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_an_object() {
        let event = Event::Aborted {
            place: "a \"b\"\\\n".to_owned(),
            bridge: Some(ExitName { guard: 3, instance: 1 }),
            reason: Abort::TooLong,
            ns: 7,
        };
        let expected = r#""event":"aborted","place":"a \"b\"\\\n","bridge":"g3#1","reason":"trace_too_long","ns":7"#;
        assert_eq!(event.json(), expected);
    }
}
