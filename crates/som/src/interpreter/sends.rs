//! Sends: finding methods, calling them, making and calling blocks.
//!
//! The plain reading finds methods through the inline caches of the sending code; a trace makes the class a
//! constant and folds [`find_method`]. Both agree because methods never change once their class is loaded.

use super::interpret;
use super::places::{call_noted, forget_places, note_place};
use crate::bytecode::kind;
use crate::objects::{Block, Cell, Class, Context, Frame, GlobalCell, Instance, Method, SArray, SString, Unwind};
use crate::primitives::{BLOCK_VALUE, BLOCK3_VALUE, not_a_block, primitive};
use crate::universe::{class_of, universe};
use crate::value::{NIL, Value};
use crate::vm::with_vm;
use metajit::prelude::*;

/// Words of a site in the caches of its method: two pairs of a class and its method, and what else was met there.
pub const SITE: i64 = 6;
/// Where that is: whether arithmetic met doubles, and whose code the blocks had that a send ran, the last one first.
pub const MET: i64 = 4;

/// The method by which instances of a class understand a selector; it may be a pseudo-method that
/// sends `doesNotUnderstand:arguments:`.
#[elidable]
pub fn find_method(class: Class, selector: SString) -> Method {
    with_vm(|vm| vm.find(class, selector))
}

/// What stands for the method where there is no class to look for it.
#[elidable]
fn no_method(selector: SString) -> Method {
    with_vm(|vm| vm.not_understood(selector))
}

#[jit]
#[inline(always)]
fn selector_at(method: Method, literal: i64) -> SString {
    // SAFETY: the compiler lets this literal be a selector only.
    unsafe { SString::from_bits(method.literals().items(literal).bits()) }
}

/// The method for an ordinary send.
#[jit]
#[inline(always)]
pub fn lookup(class: Class, method: Method, site: i64, literal: i64) -> Method {
    match known_method(class, method, site, literal) {
        Some(callee) => callee,
        None => fill_cache(class, method, site * SITE, literal),
    }
}

/// Whether an inline cache is empty, so that threaded code has nothing to go by.
#[jit]
#[inline(always)]
fn nothing_seen(method: Method, site: i64) -> bool {
    !we_are_jitted() && seen(method.caches().entries(site * SITE)) == 0
}

/// The method for an ordinary send, if finding it is simple.
#[jit]
#[inline(always)]
fn known_method(class: Class, method: Method, site: i64, literal: i64) -> Option<Method> {
    if we_are_jitted() {
        return Some(find_method(promote(class), selector_at(method, literal)));
    }
    let caches = method.caches();
    let at = site * SITE;
    // Both are read first: threaded code tries the second only if there is one.
    let first = seen(caches.entries(at));
    let other = seen(caches.entries(at + 2));
    if first != 0 && first == class.bits() {
        // SAFETY: entries come in pairs of a class and its method.
        return Some(unsafe { Method::from_bits(seen(caches.entries(at + 1))) });
    }
    if other != 0 && other == class.bits() {
        // SAFETY: as above.
        return Some(unsafe { Method::from_bits(seen(caches.entries(at + 3))) });
    }
    None
}

#[dont_look_inside]
#[cold]
#[inline(never)]
fn fill_cache(class: Class, method: Method, at: i64, literal: i64) -> Method {
    let found = find_method(class, selector_at(method, literal));
    let caches = method.caches();
    // The class seen last goes first; what was first gets a second chance.
    caches.set_entries(at + 2, caches.entries(at));
    caches.set_entries(at + 3, caches.entries(at + 1));
    caches.set_entries(at, class.bits());
    caches.set_entries(at + 1, found.bits());
    found
}

/// The method for a send to `super`.
#[jit]
#[inline(always)]
fn super_lookup(method: Method, site: i64, literal: i64) -> Method {
    // SAFETY: the compiler lets the literal after the selector be a class or nil, which is 0.
    let class: Maybe<Class> = unsafe { Maybe::from_bits(method.literals().items(literal + 1).bits()) };
    match class.get() {
        Some(class) => lookup(class, method, site, literal),
        None => no_method(selector_at(method, literal)),
    }
}

/// Calls a method whose receiver and arguments are in a frame from `base` on.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(always)]
pub fn call(callee: Method, frame: Frame, base: i64, arguments: i64) -> Result<Value, Unwind> {
    if callee.kind() == kind::CODE {
        call_code(callee, frame, base, arguments)
    } else if callee.kind() == kind::GETTER {
        Ok(field_of(callee, frame, base))
    } else {
        call_special(callee, frame, base)
    }
}

/// The same on behalf of the send at a site, which is noted if places are kept. Threaded code inlines the way where a condition holds:
/// here, that they are not.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(always)]
pub fn call_at(
    callee: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    method: Method,
    site: i64,
) -> Result<Value, Unwind> {
    if callee.kind() == kind::CODE {
        if universe().forgets_places() {
            return call_code(callee, frame, base, arguments);
        }
        call_noted(callee, frame, base, arguments, method, site)
    } else if callee.kind() == kind::GETTER {
        Ok(field_of(callee, frame, base))
    } else {
        if universe().forgets_places() {
            return call_special(callee, frame, base);
        }
        call_noted(callee, frame, base, arguments, method, site)
    }
}

/// Runs the code of a method in a frame of its own.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(always)]
fn call_code(callee: Method, frame: Frame, base: i64, arguments: i64) -> Result<Value, Unwind> {
    let activation = Frame::alloc(callee.frame_size(), NIL);
    let mut index = 0;
    while index <= arguments {
        activation.set_slots(index, frame.slots(base + index));
        index += 1;
    }
    interpret(callee, activation)
}

/// What a method answers that answers a field of the receiver.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(always)]
fn field_of(callee: Method, frame: Frame, base: i64) -> Value {
    // SAFETY: the receiver is an instance of the class whose field this is.
    let object = unsafe { Instance::from_bits(frame.slots(base).bits()) };
    object.fields(callee.field())
}

/// Whether a method is the primitive that runs a block.
#[jit]
#[inline(always)]
fn is_block_value(callee: Method) -> bool {
    let kind = callee.kind();
    kind >= BLOCK_VALUE && kind <= BLOCK3_VALUE
}

/// Runs a block on behalf of a send.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
fn run_block(frame: Frame, base: i64, arguments: i64, method: Method, site: i64) -> Result<Value, Unwind> {
    let receiver = frame.slots(base);
    if receiver.is_object() {
        // SAFETY: the value names an object; its header tells whether it is a block.
        let block = unsafe { Block::from_bits(receiver.bits()) };
        if block.is_shape() {
            let caches = method.caches();
            let met = site * SITE + MET;
            let (first, other) = (seen(caches.entries(met)), seen(caches.entries(met + 1)));
            let code = block.method();
            if first != 0 && first == code.bits() {
                // SAFETY: only code of blocks gets there.
                return call_block(block, unsafe { Method::from_bits(first) }, frame, base, arguments);
            }
            if other != 0 && other == code.bits() {
                // SAFETY: as above.
                return call_block(block, unsafe { Method::from_bits(other) }, frame, base, arguments);
            }
            caches.set_entries(met + 1, first);
            caches.set_entries(met, code.bits());
            return call_block(block, promote(code), frame, base, arguments);
        }
    }
    not_a_block(receiver)
}

/// A call of what has no code of its own.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(never)]
pub fn call_special(callee: Method, frame: Frame, base: i64) -> Result<Value, Unwind> {
    match callee.kind() {
        kind::GETTER => Ok(field_of(callee, frame, base)),
        kind::SETTER => {
            // SAFETY: the receiver is an instance of the class whose field this is.
            let object = unsafe { Instance::from_bits(frame.slots(base).bits()) };
            object.set_fields(callee.field(), frame.slots(base + 1));
            Ok(frame.slots(base))
        }
        kind::CONSTANT => Ok(callee.literals().items(0)),
        kind::SELF => Ok(frame.slots(base)),
        kind::CLASS_GETTER => {
            // SAFETY: the receiver is a class.
            let class = unsafe { Class::from_bits(frame.slots(base).bits()) };
            Ok(class.fields(callee.field()))
        }
        kind::NOT_UNDERSTOOD => {
            let arguments = arguments_array(frame, base + 1, callee.arguments());
            not_understood(frame.slots(base), callee.signature(), arguments)
        }
        _ => primitive(callee, frame, base),
    }
}

/// Sends a message whose receiver and arguments are in a frame from `base` on.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
pub fn send(method: Method, frame: Frame, base: i64, arguments: i64, site: i64, literal: i64) -> Result<Value, Unwind> {
    if nothing_seen(method, site) {
        return send_after_all(method, frame, base, arguments, site, literal);
    }
    match known_method(class_of(frame.slots(base)), method, site, literal) {
        Some(callee) => call_from(callee, frame, base, arguments, method, site),
        None => send_after_all(method, frame, base, arguments, site, literal),
    }
}

/// The same where something simpler was tried first, or the inline cache does not help.
#[enable_threaded_code(called, reads_from = base)]
#[inline(never)]
pub fn send_after_all(
    method: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    site: i64,
    literal: i64,
) -> Result<Value, Unwind> {
    call_from(lookup(class_of(frame.slots(base)), method, site, literal), frame, base, arguments, method, site)
}

/// Calls a method on behalf of a send, whose caches learn the code of blocks that it runs.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
#[inline(always)]
fn call_from(
    callee: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    method: Method,
    site: i64,
) -> Result<Value, Unwind> {
    if callee.kind() != kind::CODE && !we_are_jitted() && is_block_value(callee) && universe().forgets_places() {
        return run_block(frame, base, arguments, method, site);
    }
    call_at(callee, frame, base, arguments, method, site)
}

/// A send to `super`.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
pub fn super_send(
    method: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    site: i64,
    literal: i64,
) -> Result<Value, Unwind> {
    if nothing_seen(method, site) {
        return first_super_send(method, frame, base, arguments, site, literal);
    }
    call_at(super_lookup(method, site, literal), frame, base, arguments, method, site)
}

/// The same where no such send was done before.
#[enable_threaded_code(called, reads_from = base)]
#[inline(never)]
fn first_super_send(
    method: Method,
    frame: Frame,
    base: i64,
    arguments: i64,
    site: i64,
    literal: i64,
) -> Result<Value, Unwind> {
    call_at(super_lookup(method, site, literal), frame, base, arguments, method, site)
}

/// A call with a frame of its own for receiver and arguments.
#[enable_threaded_code]
pub fn call_frame(callee: Method, frame: Frame, arguments: i64) -> Result<Value, Unwind> {
    call(callee, frame, 0, arguments)
}

/// Sends a message that the VM itself sends, without arguments.
#[enable_threaded_code]
pub fn send_zero(receiver: Value, selector: SString) -> Result<Value, Unwind> {
    let frame = Frame::alloc(1, NIL);
    frame.set_slots(0, receiver);
    call(find_method(promote(class_of(receiver)), selector), frame, 0, 0)
}

/// The same with an argument.
#[enable_threaded_code]
pub fn send_one(receiver: Value, selector: SString, argument: Value) -> Result<Value, Unwind> {
    let frame = Frame::alloc(2, NIL);
    frame.set_slots(0, receiver);
    frame.set_slots(1, argument);
    call(find_method(promote(class_of(receiver)), selector), frame, 0, 1)
}

/// The same with two.
#[enable_threaded_code]
pub fn send_two(receiver: Value, selector: SString, first: Value, second: Value) -> Result<Value, Unwind> {
    let frame = Frame::alloc(3, NIL);
    frame.set_slots(0, receiver);
    frame.set_slots(1, first);
    frame.set_slots(2, second);
    call(find_method(promote(class_of(receiver)), selector), frame, 0, 2)
}

/// Sends `doesNotUnderstand:arguments:`.
#[enable_threaded_code(called)]
pub fn not_understood(receiver: Value, selector: SString, arguments: SArray) -> Result<Value, Unwind> {
    if selector == universe().does_not_understand() {
        return Err(no_handler(receiver));
    }
    send_two(
        receiver,
        universe().does_not_understand(),
        Value::from_bits(selector.bits()),
        Value::from_bits(arguments.bits()),
    )
}

#[dont_look_inside]
#[cold]
fn no_handler(receiver: Value) -> Unwind {
    let class = crate::vm::text(class_of(receiver).name());
    super::control::fatal(&format!("{class} does not understand doesNotUnderstand:arguments:"))
}

/// An array of some slots.
#[enable_threaded_code(reads_from = from)]
pub fn arguments_array(frame: Frame, from: i64, count: i64) -> SArray {
    let array = SArray::alloc(universe().array_class(), count, NIL);
    let mut index = 0;
    while index < count {
        array.set_items(index, frame.slots(from + index));
        index += 1;
    }
    array
}

/// A read of a global that nobody has set.
#[enable_threaded_code(called)]
#[inline(never)]
pub fn unknown_global(receiver: Value, cell: GlobalCell, method: Method, pc: i64) -> Result<Value, Unwind> {
    let before = note_place(method, pc);
    let answer = send_one(receiver, universe().unknown_global(), Value::from_bits(cell.name().bits()));
    forget_places(before);
    answer
}

/// Puts the cells that a block holds into slots.
#[enable_threaded_code(called)]
pub fn load_cells(method: Method, frame: Frame, first: i64) {
    // SAFETY: only blocks made real call this, and their slot holds the block.
    let block = unsafe { Block::from_bits(frame.slots(method.home_slot()).bits()) };
    let mut index = 0;
    while index < block.cells_len() {
        frame.set_slots(first + index, Value::from_bits(block.cells(index).bits()));
        index += 1;
    }
}

/// The context so many steps out from the one in a slot.
#[jit]
#[inline(always)]
pub fn context_at(frame: Frame, slot: i64, steps: i64) -> Context {
    // SAFETY: the compiler lets this slot hold a context only.
    let mut context = unsafe { Context::from_bits(frame.slots(slot).bits()) };
    let mut left = steps;
    while left > 0 {
        // SAFETY: the compiler has counted the contexts.
        context = unsafe { Context::from_bits(context.outer().bits()) };
        left -= 1;
    }
    context
}

/// A new block.
#[enable_threaded_code(reads)]
pub fn make_block(
    method: Method,
    frame: Frame,
    code: Value,
    context_slot: i64,
    returns: bool,
    first_cell: i64,
    cells: i64,
) -> Value {
    // SAFETY: the compiler lets this literal be a block's code only.
    let code = unsafe { Method::from_bits(code.bits()) };
    let context = if context_slot == 0 {
        Maybe::none()
    } else {
        // SAFETY: any other slot named here holds a context.
        unsafe { Maybe::from_bits(frame.slots(context_slot).bits()) }
    };
    let home = if !returns {
        Maybe::none()
    } else if method.is_block() {
        // SAFETY: a block's home slot holds the block.
        unsafe { Block::from_bits(frame.slots(method.home_slot()).bits()) }.home()
    } else {
        // SAFETY: a method whose blocks return begins with NEW_HOME.
        unsafe { Maybe::from_bits(frame.slots(method.home_slot()).bits()) }
    };
    let class = block_class(code.arguments());
    // SAFETY: each is replaced below.
    let no_cell = unsafe { Cell::from_bits(0) };
    let block = Block::alloc(class, code, frame.slots(0), context, home, cells, no_cell);
    let mut index = 0;
    while index < cells {
        // SAFETY: the compiler has pushed cells; nothing else has seen the block.
        unsafe { block.set_cells(index, Cell::from_bits(frame.slots(first_cell + index).bits())) };
        index += 1;
    }
    Value::from_bits(block.bits())
}

#[jit]
#[inline(always)]
fn block_class(arguments: i64) -> Class {
    if arguments == 0 {
        universe().block1_class()
    } else if arguments == 1 {
        universe().block2_class()
    } else if arguments == 2 {
        universe().block3_class()
    } else {
        universe().block_class()
    }
}

/// Runs a block, whose code is this, with the arguments after it in a frame; missing ones are nil.
#[enable_threaded_code(when_constant = method, reads_from = base)]
#[inline(always)]
pub fn call_block(block: Block, method: Method, frame: Frame, base: i64, given: i64) -> Result<Value, Unwind> {
    let activation = Frame::alloc(method.frame_size(), NIL);
    activation.set_slots(0, block.receiver());
    let arguments = method.arguments();
    let mut index = 1;
    while index <= arguments && index <= given {
        activation.set_slots(index, frame.slots(base + index));
        index += 1;
    }
    activation.set_slots(arguments + 1, Value::from_bits(block.bits()));
    activation.set_slots(arguments + 2, Value::from_bits(block.context().bits()));
    interpret(method, activation)
}

/// An element of an array, if it is one and has it.
#[enable_threaded_code]
#[inline(always)]
pub fn array_at(receiver: Value, index: Value) -> Option<Value> {
    if receiver.is_object() && index.is_integer() && receiver.as_object().class() == universe().array_class() {
        // SAFETY: instances of this class are arrays.
        let array = unsafe { SArray::from_bits(receiver.bits()) };
        let position = index.as_integer() - 1;
        if position >= 0 && position < array.items_len() {
            return Some(array.items(position));
        }
    }
    None
}

/// Stores an element of an array, if it is one and has it.
#[enable_threaded_code]
#[inline(always)]
pub fn array_at_put(receiver: Value, index: Value, element: Value) -> bool {
    if receiver.is_object() && index.is_integer() && receiver.as_object().class() == universe().array_class() {
        // SAFETY: instances of this class are arrays.
        let array = unsafe { SArray::from_bits(receiver.bits()) };
        let position = index.as_integer() - 1;
        if position >= 0 && position < array.items_len() {
            array.set_items(position, element);
            return true;
        }
    }
    false
}
