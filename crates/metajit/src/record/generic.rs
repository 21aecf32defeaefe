//! The generic tracer: what recording would cost without a generated tracer, for the same interpreters.
//!
//! **Problem.** What generating a tracer from the interpreter buys can only be said against one that is not generated. It has to
//! record the same programs, come to correct code, and be a fair opponent.
//!
//! **Approach.** Selected by the parameter `tracer=generic`. The interpreter is run by its twin as ever, but every operation is
//! data: a number and operands, dispatched through a table to the handler of its class, as RPython's metainterpreter does, and
//! after each the caches of the heap are invalidated through a second table. What the generated tracer knows while it records
//! it does not know: nothing is merged, an outcome that a guard has fixed is guarded again, a bounds check that was made is made
//! again. Constants fold, for greens must be constants; and the heap cache stays, for RPython has one too.
//!
//! **Resume data.** The generated tracer's is a place in the log: two numbers. The generic one copies at each guard all words that
//! going on would need: those of the innermost activation since its merge point, and the fields of the virtualizable. The words of
//! the activations around it are copied once, when they make the call, and shared, as RPython shares the snapshots of its
//! frames. The copies are thrown away when the recording ends: exits of both resume by replay.
//!
//! **Favours.** Native results are the twin's, computed by compiled code, and no bytecode of the interpreter is decoded; a true
//! metainterpreter does both through its tables. Of the virtualizable only what is live is copied. So the ratio between the two is
//! rather understated than overstated.
//!
//! **Rejected.** A bytecode made from the interpreter, and a metainterpreter for it: a second semantics, and months of work, for
//! one figure.

use super::known::SCALAR;
use super::recorder::Recorder;
use crate::ir::tree::{LogEntry, LogId};
use crate::ir::{Arg, Aux, Class, Effect, Inst, Op, OpRef};

/// Writes an operation down; the number of its value.
type Handler = fn(&mut Recorder, Inst) -> OpRef;
/// Forgets what an operation may have changed.
type Invalidation = fn(&mut Recorder, &Inst);

const COUNT: usize = Op::ALL.len();

const HANDLERS: [Handler; COUNT] = {
    let mut table = [append as Handler; COUNT];
    let mut index = 0;
    while index < COUNT {
        if let (Class::Load | Class::Store, true) =
            (Op::ALL[index].info().class, !Op::ALL[index].info().operands.is_empty())
        {
            table[index] = memory;
        }
        index += 1;
    }
    table
};

const INVALIDATIONS: [Invalidation; COUNT] = {
    let mut table = [nothing as Invalidation; COUNT];
    let mut index = 0;
    while index < COUNT {
        match Op::ALL[index].info().class {
            Class::Store => table[index] = written,
            Class::Call => table[index] = called,
            _ => {}
        }
        index += 1;
    }
    table
};

fn append(recorder: &mut Recorder, inst: Inst) -> OpRef {
    recorder.append(inst)
}

/// A load or a store: the virtualizable's items are followed.
fn memory(recorder: &mut Recorder, inst: Inst) -> OpRef {
    let number = recorder.append(inst);
    let value = match inst.op {
        Op::StoreItem => inst.args[2],
        _ => Arg::Op(number),
    };
    if let (Op::LoadItem | Op::StoreItem, Arg::Const(index), Some(resume)) =
        (inst.op, inst.args[1], &mut recorder.generic)
        && resume.virtualizable == Some(inst.args[0])
    {
        let index = index as usize;
        if index >= resume.items.len() {
            resume.items.resize(index + 1, Arg::Const(0));
        }
        resume.items[index] = value;
    }
    number
}

fn nothing(_: &mut Recorder, _: &Inst) {}

fn written(recorder: &mut Recorder, inst: &Inst) {
    let index = if inst.op == Op::Store { Some(SCALAR) } else { inst.args[1].as_const() };
    recorder.known.forget(inst.args[0], inst.field(), index);
}

fn called(recorder: &mut Recorder, inst: &Inst) {
    if let Aux::Call(callee, _) = inst.aux
        && callee.effect != Effect::Elidable
    {
        recorder.known.forget_all();
    }
}

/// Records an operation, whatever it is.
pub(super) fn record(recorder: &mut Recorder, inst: Inst) -> OpRef {
    let number = HANDLERS[inst.op as usize](recorder, inst);
    INVALIDATIONS[inst.op as usize](recorder, &inst);
    number
}

/// A pure operation: constants fold.
pub(super) fn pure(recorder: &mut Recorder, op: Op, args: &[Arg]) -> Arg {
    let b = args.get(1).copied().unwrap_or(Arg::Const(0));
    if let (Arg::Const(x), Arg::Const(y)) = (args[0], b)
        && let Some(bits) = crate::ir::fold(op, &[x, y][..args.len()])
    {
        return Arg::Const(bits);
    }
    Arg::Op(record(recorder, Inst { op, args: [args[0], b, Arg::Const(0)], aux: Aux::None }))
}

/// The resume data of one guard, or of a call that is open.
#[derive(Clone, Copy, Debug)]
struct Copied {
    /// Its words are these of `Resume::words`.
    start: u32,
    end: u32,
    /// That of the activation around it.
    around: Option<u32>,
}

/// The resume data of a recording.
#[derive(Default, Debug)]
pub(super) struct Resume {
    words: Vec<Arg>,
    copied: Vec<Copied>,
    /// The open calls, from the outermost in.
    calls: Vec<u32>,
    /// The outermost activation's virtualizable, its items as far as they are known, and how many are live.
    pub(super) virtualizable: Option<Arg>,
    items: Vec<Arg>,
    live: u32,
}

impl Resume {
    /// The outermost activation is at a merge point.
    pub(super) fn at_merge(&mut self, virtualizable: Option<Arg>, live: u32) {
        if self.virtualizable != virtualizable {
            self.items.clear();
            self.virtualizable = virtualizable;
        }
        self.live = live;
    }

    /// An inner activation is over.
    pub(super) fn leave(&mut self) {
        self.calls.pop();
    }

    /// Whether each copy begins where the last one ends, and lies in an older one.
    pub(super) fn is_whole(&self) -> bool {
        let ends = std::iter::once(0).chain(self.copied.iter().map(|copied| copied.end));
        let mut all = self.copied.iter().enumerate().zip(ends);
        all.all(|((index, copied), end)| {
            copied.start == end && copied.around.is_none_or(|around| around < index as u32)
        })
    }

    /// Forgets the newest, which was made for its time alone.
    pub(super) fn take_back(&mut self) {
        if let Some(copied) = self.copied.pop() {
            self.words.truncate(copied.start as usize);
        }
    }
}

/// Copies what going on from here would need.
#[inline(never)]
pub(super) fn copy(recorder: &mut Recorder) {
    let Some(resume) = &mut recorder.generic else { return };
    let start = resume.words.len() as u32;
    let live = resume.items.len().min(resume.live as usize);
    resume.words.extend_from_slice(&resume.items[..live]);
    let mut at: Option<LogId> = Some(recorder.node);
    while let Some(id) = at {
        let node = &recorder.tree.log[id.0 as usize];
        at = node.parent;
        match node.entry {
            LogEntry::Enter(_) => break,
            LogEntry::Merge { greens, reds, .. } => {
                resume.words.extend_from_slice(&recorder.tree.args[greens.range()]);
                resume.words.extend_from_slice(&recorder.tree.args[reds.range()]);
                break;
            }
            LogEntry::Words(words) | LogEntry::Collapsed(words) => {
                resume.words.extend_from_slice(&recorder.tree.args[words.range()]);
            }
        }
    }
    let around = resume.calls.last().copied();
    resume.copied.push(Copied { start, end: resume.words.len() as u32, around });
}

/// A call is about to be inlined: its guards share what the caller has.
pub(super) fn enter(recorder: &mut Recorder) {
    copy(recorder);
    if let Some(resume) = &mut recorder.generic {
        resume.calls.push(resume.copied.len() as u32 - 1);
    }
}
