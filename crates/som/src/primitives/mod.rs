//! The primitives: what the library's `primitive` methods do.
//!
//! A primitive is a number, given to its method when the class is loaded. [`primitive`] is traced: what is short and
//! hot or calls back into the interpreter is written there; everything else goes through [`run`], which is not looked
//! inside. A primitive that can't do what it is asked to (a wrong argument, a division by zero) fails: the receiver is sent
//! `error:` with a sentence, so a failure is an ordinary SOM error.
//!
//! Nothing here trusts its arguments: `perform:`, `invokeOn:with:` and a strange class path can bring any value anywhere.

mod array;
mod class;
mod method;
mod number;
mod object;
pub mod string;
mod system;

use crate::interpreter::sends::{call, call_block, find_method, not_understood, send_one};
use crate::objects::{Block, Class, Frame, Instance, Layout, Method, SArray, SString, Unwind};
use crate::universe::{class_of, universe};
use crate::value::{NIL, UNDEFINED, Value, from_bool, from_integer};
use crate::vm::{string, with_vm};
use metajit::prelude::*;

macro_rules! primitives {
    ($first:expr; $($name:ident = $class:literal $side:ident $selector:literal;)*) => {
        primitives!(@number $first; $($name)*);
        /// The primitives: class, whether on the class side, selector, number.
        pub const TABLE: &[(&str, bool, &str, i64)] =
            &[$(($class, primitives!(@side $side), $selector, $name)),*];
    };
    (@number $number:expr; $name:ident $($rest:ident)*) => {
        #[allow(missing_docs)]
        pub const $name: i64 = $number;
        primitives!(@number $number + 1; $($rest)*);
    };
    (@number $number:expr;) => {
        /// The number of a primitive that the VM doesn't have.
        pub const MISSING: i64 = $number;
    };
    (@side instance) => { false };
    (@side class) => { true };
}

primitives! {
    crate::bytecode::kind::FIRST_PRIMITIVE;
    BLOCK_VALUE = "Block" instance "value";
    BLOCK1_VALUE = "Block1" instance "value";
    BLOCK2_VALUE = "Block2" instance "value:";
    BLOCK3_VALUE = "Block3" instance "value:with:";
    RESTART = "Block" instance "restart";
    ARRAY_AT = "Array" instance "at:";
    ARRAY_AT_PUT = "Array" instance "at:put:";
    ARRAY_LENGTH = "Array" instance "length";
    ARRAY_NEW = "Array" class "new:";
    OBJECT_CLASS = "Object" instance "class";
    OBJECT_IDENTICAL = "Object" instance "==";
    CLASS_NEW = "Class" instance "new";
    PERFORM = "Object" instance "perform:";
    PERFORM_WITH = "Object" instance "perform:withArguments:";
    PERFORM_IN = "Object" instance "perform:inSuperclass:";
    PERFORM_WITH_IN = "Object" instance "perform:withArguments:inSuperclass:";
    METHOD_INVOKE = "Method" instance "invokeOn:with:";
    PRIMITIVE_INVOKE = "Primitive" instance "invokeOn:with:";
    EXIT = "System" instance "exit:";
    STRING_LENGTH = "String" instance "length";
    INTEGER_ADD = "Integer" instance "+";
    INTEGER_SUBTRACT = "Integer" instance "-";
    INTEGER_MULTIPLY = "Integer" instance "*";
    INTEGER_DIVIDE = "Integer" instance "/";
    INTEGER_DOUBLE_DIVIDE = "Integer" instance "//";
    INTEGER_MODULO = "Integer" instance "%";
    INTEGER_REMAINDER = "Integer" instance "rem:";
    INTEGER_AND = "Integer" instance "&";
    INTEGER_XOR = "Integer" instance "bitXor:";
    INTEGER_SHIFT_LEFT = "Integer" instance "<<";
    INTEGER_SHIFT_RIGHT = "Integer" instance ">>>";
    INTEGER_SQRT = "Integer" instance "sqrt";
    INTEGER_AT_RANDOM = "Integer" instance "atRandom";
    INTEGER_EQUAL = "Integer" instance "=";
    INTEGER_LESS = "Integer" instance "<";
    INTEGER_AS_STRING = "Integer" instance "asString";
    INTEGER_AS_SIGNED = "Integer" instance "as32BitSignedValue";
    INTEGER_AS_UNSIGNED = "Integer" instance "as32BitUnsignedValue";
    INTEGER_AS_DOUBLE = "Integer" instance "asDouble";
    INTEGER_FROM_STRING = "Integer" class "fromString:";
    DOUBLE_ADD = "Double" instance "+";
    DOUBLE_SUBTRACT = "Double" instance "-";
    DOUBLE_MULTIPLY = "Double" instance "*";
    DOUBLE_DIVIDE = "Double" instance "//";
    DOUBLE_MODULO = "Double" instance "%";
    DOUBLE_SQRT = "Double" instance "sqrt";
    DOUBLE_ROUND = "Double" instance "round";
    DOUBLE_AS_INTEGER = "Double" instance "asInteger";
    DOUBLE_COS = "Double" instance "cos";
    DOUBLE_SIN = "Double" instance "sin";
    DOUBLE_EQUAL = "Double" instance "=";
    DOUBLE_LESS = "Double" instance "<";
    DOUBLE_AS_STRING = "Double" instance "asString";
    DOUBLE_INFINITY = "Double" class "PositiveInfinity";
    DOUBLE_FROM_STRING = "Double" class "fromString:";
    OBJECT_SIZE = "Object" instance "objectSize";
    OBJECT_HASH = "Object" instance "hashcode";
    OBJECT_INSPECT = "Object" instance "inspect";
    OBJECT_HALT = "Object" instance "halt";
    FIELD_AT = "Object" instance "instVarAt:";
    FIELD_AT_PUT = "Object" instance "instVarAt:put:";
    FIELD_NAMED = "Object" instance "instVarNamed:";
    CLASS_NAME = "Class" instance "name";
    CLASS_SUPERCLASS = "Class" instance "superclass";
    CLASS_FIELDS = "Class" instance "fields";
    CLASS_METHODS = "Class" instance "methods";
    METHOD_SIGNATURE = "Method" instance "signature";
    METHOD_HOLDER = "Method" instance "holder";
    PRIMITIVE_SIGNATURE = "Primitive" instance "signature";
    PRIMITIVE_HOLDER = "Primitive" instance "holder";
    STRING_CONCATENATE = "String" instance "concatenate:";
    STRING_AS_SYMBOL = "String" instance "asSymbol";
    STRING_HASH = "String" instance "hashcode";
    STRING_IS_WHITE_SPACE = "String" instance "isWhiteSpace";
    STRING_IS_LETTERS = "String" instance "isLetters";
    STRING_IS_DIGITS = "String" instance "isDigits";
    STRING_EQUAL = "String" instance "=";
    STRING_SUBSTRING = "String" instance "primSubstringFrom:to:";
    SYMBOL_AS_STRING = "Symbol" instance "asString";
    GLOBAL = "System" instance "global:";
    GLOBAL_PUT = "System" instance "global:put:";
    HAS_GLOBAL = "System" instance "hasGlobal:";
    LOAD_FILE = "System" instance "loadFile:";
    LOAD = "System" instance "load:";
    PRINT_STRING = "System" instance "printString:";
    PRINT_NEWLINE = "System" instance "printNewline";
    ERROR_PRINT_LINE = "System" instance "errorPrintln:";
    ERROR_PRINT = "System" instance "errorPrint:";
    PRINT_STACK_TRACE = "System" instance "printStackTrace";
    TIME = "System" instance "time";
    TICKS = "System" instance "ticks";
    FULL_GC = "System" instance "fullGC";
}

/// The number of a class's primitive.
pub fn number(class: &str, class_side: bool, selector: &str) -> i64 {
    TABLE
        .iter()
        .find(|entry| entry.0 == class && entry.1 == class_side && entry.2 == selector)
        .map_or(MISSING, |entry| entry.3)
}

/// Calls a primitive whose receiver and arguments are in a frame from `base` on.
#[enable_threaded_code(when_constant = callee, reads_from = base)]
pub fn primitive(callee: Method, frame: Frame, base: i64) -> Result<Value, Unwind> {
    let receiver = frame.slots(base);
    let result = match callee.kind() {
        BLOCK_VALUE | BLOCK1_VALUE => return block_value(receiver, frame, base, 0),
        BLOCK2_VALUE => return block_value(receiver, frame, base, 1),
        BLOCK3_VALUE => return block_value(receiver, frame, base, 2),
        PERFORM => return perform(receiver, frame.slots(base + 1), NIL, NIL, 0),
        PERFORM_WITH => {
            return perform(receiver, frame.slots(base + 1), frame.slots(base + 2), NIL, 1);
        }
        PERFORM_IN => {
            return perform(receiver, frame.slots(base + 1), NIL, frame.slots(base + 2), 2);
        }
        PERFORM_WITH_IN => {
            return perform(receiver, frame.slots(base + 1), frame.slots(base + 2), frame.slots(base + 3), 3);
        }
        METHOD_INVOKE | PRIMITIVE_INVOKE => {
            return invoke(receiver, frame.slots(base + 1), frame.slots(base + 2));
        }
        EXIT => {
            if let Some(unwind) = system::exit(frame.slots(base + 1)).get() {
                return Err(unwind);
            }
            UNDEFINED
        }
        LOAD => {
            let class = system::load(frame.slots(base + 1));
            let end = if class == UNDEFINED { system::load_error() } else { Maybe::none() };
            if let Some(unwind) = end.get() {
                return Err(unwind);
            }
            class
        }
        OBJECT_CLASS => Value::from_bits(class_of(receiver).bits()),
        OBJECT_IDENTICAL => from_bool(receiver == frame.slots(base + 1)),
        CLASS_NEW => new_instance(receiver),
        ARRAY_AT => array_at(receiver, frame.slots(base + 1)),
        ARRAY_AT_PUT => array_at_put(receiver, frame.slots(base + 1), frame.slots(base + 2)),
        ARRAY_LENGTH => array_length(receiver),
        STRING_LENGTH => string_length(receiver),
        INTEGER_ADD | INTEGER_SUBTRACT | INTEGER_MULTIPLY | DOUBLE_ADD | DOUBLE_SUBTRACT | DOUBLE_MULTIPLY => {
            run_two(callee.kind(), receiver, frame.slots(base + 1))
        }
        INTEGER_DIVIDE
        | INTEGER_DOUBLE_DIVIDE
        | INTEGER_MODULO
        | INTEGER_REMAINDER
        | INTEGER_AND
        | INTEGER_XOR
        | INTEGER_SHIFT_LEFT
        | INTEGER_SHIFT_RIGHT => number::integer_operation(callee.kind(), receiver, frame.slots(base + 1)),
        DOUBLE_DIVIDE | DOUBLE_SQRT | DOUBLE_AS_INTEGER | INTEGER_AS_DOUBLE => {
            let argument = if callee.kind() == DOUBLE_DIVIDE { frame.slots(base + 1) } else { NIL };
            number::double_operation(callee.kind(), receiver, argument)
        }
        _ => {
            let arguments = callee.arguments();
            if arguments == 0 {
                run_two(callee.kind(), receiver, NIL)
            } else if arguments == 1 {
                run_two(callee.kind(), receiver, frame.slots(base + 1))
            } else {
                run(callee.kind(), receiver, frame.slots(base + 1), frame.slots(base + 2))
            }
        }
    };
    if result == UNDEFINED {
        return failed(callee, receiver);
    }
    Ok(result)
}

/// Sends `error:` because a primitive failed.
#[enable_threaded_code(called)]
#[inline(never)]
fn failed(callee: Method, receiver: Value) -> Result<Value, Unwind> {
    let message = failure_message(callee);
    send_one(receiver, universe().error(), message)
}

#[dont_look_inside]
fn failure_message(callee: Method) -> Value {
    if callee.kind() == MISSING {
        let holder = callee.holder().get().map_or_else(String::new, |holder| crate::vm::text(holder.name()) + ">>");
        return string(&format!("this VM has no primitive {holder}#{}", crate::vm::text(callee.signature())));
    }
    let text = with_vm(|vm| std::mem::take(&mut vm.failure));
    if text.is_empty() {
        let signature = crate::vm::text(callee.signature());
        return string(&format!("the primitive {signature} can't do this"));
    }
    string(&text)
}

/// The answer of a primitive that failed for this reason.
pub(crate) fn fail(reason: impl Into<String>) -> Value {
    let reason = reason.into();
    with_vm(|vm| vm.failure = reason);
    UNDEFINED
}

/// The answer of a primitive that computed or failed.
fn answer(result: Result<Value, String>) -> Value {
    result.unwrap_or_else(fail)
}

/// Any primitive that needs nothing of the interpreter, with at most one argument.
#[dont_look_inside]
#[inline(never)]
pub(crate) fn run_two(number: i64, receiver: Value, argument: Value) -> Value {
    run_any(number, receiver, argument, NIL)
}

/// Any primitive that needs nothing of the interpreter. [`UNDEFINED`] says that it failed.
#[dont_look_inside]
#[inline(never)]
fn run(number: i64, receiver: Value, first: Value, second: Value) -> Value {
    run_any(number, receiver, first, second)
}

fn run_any(primitive: i64, receiver: Value, first: Value, second: Value) -> Value {
    match primitive {
        INTEGER_ADD..=DOUBLE_FROM_STRING => number::run(primitive, receiver, first),
        OBJECT_SIZE..=FIELD_NAMED => object::run(primitive, receiver, first, second),
        CLASS_NAME..=CLASS_METHODS => class::run(primitive, receiver),
        METHOD_SIGNATURE..=PRIMITIVE_HOLDER => method::run(primitive, receiver),
        STRING_CONCATENATE..=SYMBOL_AS_STRING => string::run(primitive, receiver, first, second),
        GLOBAL..=FULL_GC => system::run(primitive, receiver, first, second),
        ARRAY_NEW => array::new(receiver, first),
        RESTART => fail("restart can only be sent by the code that is to start again"),
        _ => UNDEFINED,
    }
}

/// Runs a block with arguments from a frame.
#[enable_threaded_code(reads_from = base)]
#[inline(always)]
fn block_value(receiver: Value, frame: Frame, base: i64, arguments: i64) -> Result<Value, Unwind> {
    if receiver.is_object() {
        // SAFETY: the value names an object; its header tells whether it is a block.
        let block = unsafe { Block::from_bits(receiver.bits()) };
        if block.is_shape() {
            return call_block(block, promote(block.method()), frame, base, arguments);
        }
    }
    not_a_block(receiver)
}

#[enable_threaded_code(called)]
#[inline(never)]
pub(crate) fn not_a_block(receiver: Value) -> Result<Value, Unwind> {
    send_one(receiver, universe().error(), not_a_block_message())
}

#[dont_look_inside]
fn not_a_block_message() -> Value {
    string("this is no block")
}

/// A new instance of a class.
#[enable_threaded_code]
fn new_instance(receiver: Value) -> Value {
    if receiver.is_object() {
        // SAFETY: the value names an object; its header tells whether it is a class.
        let class = unsafe { Class::from_bits(receiver.bits()) };
        if class.is_shape() {
            let class = promote(class);
            if class.layout() == Layout::Fields as i64 {
                let instance = Instance::alloc(class, class.instance_fields(), NIL);
                return Value::from_bits(instance.bits());
            }
        }
    }
    class::new_special(receiver)
}

#[enable_threaded_code]
fn array_at(receiver: Value, index: Value) -> Value {
    if receiver.is_object() && index.is_integer() {
        // SAFETY: the value names an object; its header tells whether it is an array.
        let array = unsafe { SArray::from_bits(receiver.bits()) };
        let position = index.as_integer() - 1;
        if array.is_shape() && position >= 0 && position < array.items_len() {
            return array.items(position);
        }
    }
    array::bad_index(receiver, index)
}

#[enable_threaded_code]
fn array_at_put(receiver: Value, index: Value, element: Value) -> Value {
    if receiver.is_object() && index.is_integer() {
        // SAFETY: the value names an object; its header tells whether it is an array.
        let array = unsafe { SArray::from_bits(receiver.bits()) };
        let position = index.as_integer() - 1;
        if array.is_shape() && position >= 0 && position < array.items_len() {
            array.set_items(position, element);
            return receiver;
        }
    }
    array::bad_index(receiver, index)
}

#[enable_threaded_code]
fn array_length(receiver: Value) -> Value {
    if receiver.is_object() {
        // SAFETY: the value names an object; its header tells whether it is an array.
        let array = unsafe { SArray::from_bits(receiver.bits()) };
        if array.is_shape() {
            return from_integer(array.items_len());
        }
    }
    array::no_array(receiver)
}

#[enable_threaded_code]
fn string_length(receiver: Value) -> Value {
    if receiver.is_object() {
        // SAFETY: the value names an object; its header tells whether it is a string.
        let string = unsafe { SString::from_bits(receiver.bits()) };
        if string.is_shape() {
            return from_integer(string.length());
        }
    }
    string::no_string(receiver)
}

/// Sends a message whose selector is known only now. `form` says which operands there are: 1 arguments, 2 a superclass.
#[enable_threaded_code(called)]
fn perform(receiver: Value, selector: Value, arguments: Value, superclass: Value, form: i64) -> Result<Value, Unwind> {
    let array = if form == 1 || form == 3 { arguments } else { method::no_arguments() };
    let problem = method::check_perform(receiver, selector, array, superclass, form >= 2);
    if problem != NIL {
        return send_one(receiver, universe().error(), problem);
    }
    // SAFETY: `check_perform` has found a symbol, an array and a class.
    let (selector, array, start) = unsafe {
        (
            SString::from_bits(selector.bits()),
            SArray::from_bits(array.bits()),
            if form >= 2 { Class::from_bits(superclass.bits()) } else { class_of(receiver) },
        )
    };
    let callee = find_method(promote(start), promote(selector));
    if callee.kind() == crate::bytecode::kind::NOT_UNDERSTOOD {
        return not_understood(receiver, selector, array);
    }
    apply(callee, receiver, array)
}

/// Calls a method object.
#[enable_threaded_code(called)]
fn invoke(callee: Value, receiver: Value, arguments: Value) -> Result<Value, Unwind> {
    let problem = method::check_invoke(callee, receiver, arguments);
    if problem != NIL {
        return send_one(receiver, universe().error(), problem);
    }
    // SAFETY: `check_invoke` has found a method and an array.
    let (callee, array) = unsafe { (Method::from_bits(callee.bits()), SArray::from_bits(arguments.bits())) };
    apply(promote(callee), receiver, array)
}

/// Calls a method with the arguments in an array, if there are as many as it takes.
#[enable_threaded_code(called)]
fn apply(callee: Method, receiver: Value, array: SArray) -> Result<Value, Unwind> {
    let count = callee.arguments();
    if array.items_len() != count {
        return send_one(receiver, universe().error(), method::wrong_count(callee, array));
    }
    let frame = Frame::alloc(count + 1, NIL);
    frame.set_slots(0, receiver);
    let mut index = 0;
    while index < count {
        frame.set_slots(index + 1, array.items(index));
        index += 1;
    }
    call(callee, frame, 0, count)
}
