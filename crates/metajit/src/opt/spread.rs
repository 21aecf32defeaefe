//! Frames that are passed by what they hold.
//!
//! **Problem.** A call of a portal makes a frame, stores the arguments, and hands over its address; the callee loads them, tests the
//! frame's length, and keeps its variables there. In a recursive function that is most of the work, and most of what is allocated.
//!
//! **Approach.** Where the caller's frame for the callee is still virtual, its contents are passed instead ([`Spread`]). In the callee's
//! tree the frame begins as a virtual object made of the entry's parameters, and so it goes on: an exit builds it, what needs its
//! address has it allocated (it is the tree's frame in memory from then on, as if it had been passed by address). Code of a loop
//! is reached from elsewhere with a frame in memory, so its entry allocates.
//!
//! Where the callee comes to a loop that has code of its own, that code is called with the frame, now in memory, and what it returns is
//! returned: the driver need not be asked.
//!
//! How a place's frame is spread never changes, so caller and callee need not be compiled together: whoever makes code of
//! the callee with another convention publishes none for this one, and calls are finished by the driver.
//!
//! **Invariants.** The frame is given away: the program promises that nobody looks at it after the call. The caller's virtual object is
//! left as it was at the call, marked; exits may build it, since replay hands it on as the result of its allocation and
//! no more. If the tree does more with it, it breaks the promise, and the tree is optimized again without spreading.

use super::Optimizer;
use super::heap::{Frame, Known, Slot};
use super::value::Val;
use super::virtuals::{Entry, Object};
use crate::ir::code::End;
use crate::ir::tree::{LogEntry, LogId, Onward};
use crate::ir::{Arg, Spread};
use crate::word::Type;
use std::collections::BTreeMap;
use std::rc::Rc;

impl Optimizer<'_> {
    /// Makes the entry's parameters, and the frame of them. If the code loops, or frames are not kept virtual: the reds, with
    /// the frame allocated.
    pub(super) fn spread_entry(&mut self, spread: &Spread) -> Option<Vec<Arg>> {
        let types: Vec<Type> = spread.types(self.tree.portal.reds).collect();
        let words: Vec<Val> = self.params(&types).into_iter().map(Val::Op).collect();
        let (others, contents) = words.split_at(self.tree.portal.reds.len() - 1);
        let (fields, items) = contents.split_at(spread.shape.fields.len());
        let mut items = items.to_vec();
        items.resize(spread.len as usize, Val::Const(0));
        let mark = self.mark();
        let frame = self.state.virtuals.add(Entry::Object(Rc::new(Object {
            shape: spread.shape,
            fill: Val::Const(0),
            fields: fields.to_vec(),
            items,
            given: false,
        })));
        let mut reds = others.to_vec();
        reds.insert(spread.red, frame);
        if self.tree.loops() || !self.options.virtuals {
            let reds = self.force_all(&reds);
            // Others come to the block after this one, which know nothing of the sort.
            self.back_to(mark);
            return Some(reds);
        }
        self.subst[..reds.len()].copy_from_slice(&reds);
        if self.options.virtualizable {
            self.own_frame = Some(frame);
        }
        None
    }

    /// The arguments of a call with the frame spread, of those with its address; `None` if that is not possible here.
    pub(super) fn spread_call(&mut self, spread: &Spread, args: &[Val]) -> Option<Vec<Val>> {
        if !self.options.spread {
            return None;
        }
        let Val::Virtual(frame) = self.resolve(args[1 + spread.red]) else { return None };
        let fits = |object: &Object| {
            std::ptr::eq(object.shape, spread.shape) && object.items.len() == spread.len as usize && !object.given
        };
        let object = self.state.virtuals.object(frame).filter(|object| fits(object))?.clone();
        let mut words = args.to_vec();
        words.remove(1 + spread.red);
        words.extend(object.fields.iter().chain(&object.items[..spread.live as usize]));
        // Something may hold the frame itself, which is then passed by address after all.
        for word in &mut words {
            *word = self.real(*word);
        }
        self.state.virtuals.object(frame)?;
        self.state.virtuals.give(frame);
        Some(words.into_iter().map(|word| self.retype(word, Type::Int)).collect())
    }

    /// Whether code of the root calls the code that goes on where a fragment ends. Its activation is on the native stack meanwhile, so only
    /// what is called itself may do so, and only what is not: loops do not pile up.
    pub(super) fn goes_on(&self, onward: &Onward) -> bool {
        self.options.spread && self.tree.spread.is_some() && !self.tree.loops() && onward.callee.spread.is_none()
    }

    /// Calls the code that goes on at a merge point, and returns what it returns.
    pub(super) fn go_on(&mut self, node: LogId, onward: &Onward) {
        let LogEntry::Merge { reds, .. } = self.tree.log[node.0 as usize].entry else {
            unreachable!("what goes on does so at a merge point");
        };
        let mut args = vec![Val::Const(onward.cell)];
        for red in self.values(reds) {
            args.push(self.retype(red, Type::Int));
        }
        let first = self.call(onward.callee, &args);
        self.last_call = Some(first);
        let mut words = vec![first];
        words.extend((1..u32::from(onward.callee.results)).map(|word| self.result_word(word)));
        words.truncate(onward.callee.results.into());
        let words = self.force_all(&words);
        self.end(End::Finish(words));
    }

    /// The root's frame is allocated: what is stored to it is delayed from now on.
    pub(super) fn begin_own_frame(&mut self, frame: Val) {
        self.state.heap.frame = Some(Frame { object: frame, slots: BTreeMap::new() });
    }

    /// The root's frame has been allocated, and memory has what it holds.
    pub(super) fn own_frame_is(&mut self, frame: Val) {
        if self.state.heap.frame.as_ref().is_none_or(|own| own.object != frame) {
            // Something that it holds holds it.
            return;
        }
        let known: Vec<(u32, Known)> =
            self.state.heap.known.range((frame, 0)..=(frame, u32::MAX)).map(|(key, &known)| (key.1, known)).collect();
        for (offset, Known { place, value }) in known {
            self.state.heap.known.remove(&(frame, offset));
            if let Some(own) = &mut self.state.heap.frame {
                own.slots.insert(offset, Slot { place, value, dirty: false });
            }
        }
    }

    /// Notes that a frame which was given away is used, if that is one.
    pub(super) fn look_at(&self, val: Val) {
        if let Val::Virtual(id) = self.resolve(val)
            && self.state.virtuals.object(id).is_some_and(|object| object.given)
        {
            self.took_back.set(true);
        }
    }
}
