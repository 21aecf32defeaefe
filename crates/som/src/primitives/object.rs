//! Primitives of `Object` that do not send messages.

use super::{answer, fail};
use crate::objects::{Instance, Layout};
use crate::universe::class_of;
use crate::value::{Value, from_integer};
use crate::vm::{as_array, as_class, as_string, text, with_vm};

pub(super) fn run(primitive: i64, receiver: Value, first: Value, second: Value) -> Value {
    match primitive {
        super::OBJECT_SIZE => from_integer(size(receiver)),
        super::OBJECT_HASH => from_integer(hash(receiver)),
        super::OBJECT_INSPECT => inspect(receiver),
        super::OBJECT_HALT => halt(receiver),
        super::FIELD_AT => answer(
            position(receiver, first)
                .and_then(|position| field(receiver, position))
                .ok_or_else(|| bad_field(receiver, first)),
        ),
        super::FIELD_AT_PUT => match position(receiver, first) {
            Some(position) if set_field(receiver, position, second) => receiver,
            _ => fail(bad_field(receiver, first)),
        },
        _ => answer(
            named(receiver, first)
                .and_then(|position| field(receiver, position))
                .ok_or_else(|| "there is no such field".to_owned()),
        ),
    }
}

/// The size in bytes, headers included.
fn size(receiver: Value) -> i64 {
    if let Some(array) = as_array(receiver) {
        return 24 + 8 * array.items_len();
    }
    if let Some(string) = as_string(receiver) {
        return 40 + string.bytes_len();
    }
    if !receiver.is_object() {
        return 8;
    }
    24 + 8 * class_of(receiver).instance_fields()
}

/// Equal values hash equally; objects do not move, so an address identifies one.
fn hash(receiver: Value) -> i64 {
    let bits = receiver.bits();
    let mixed = (bits ^ (bits >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed >> 20) & 0x3FFF_FFFF) as i64
}

fn describe(receiver: Value) -> String {
    let class = class_of(receiver);
    let mut shown = format!("instance of {}", text(class.name()));
    let names = class.field_names();
    for index in 0..names.items_len() {
        if let (Some(name), Some(content)) = (as_string(names.items(index)), field(receiver, index)) {
            let content = text(class_of(content).name());
            shown.push_str(&format!("\n  {}: instance of {content}", text(name)));
        }
    }
    shown.push('\n');
    shown
}

/// Shows an object and its fields on standard error.
fn inspect(receiver: Value) -> Value {
    let shown = describe(receiver);
    with_vm(|vm| vm.output.print_error(shown.as_bytes()));
    receiver
}

/// Says on standard error that the program came by here.
fn halt(receiver: Value) -> Value {
    let shown = format!("halt: {}", describe(receiver));
    with_vm(|vm| vm.output.print_error(shown.as_bytes()));
    receiver
}

fn position(receiver: Value, index: Value) -> Option<i64> {
    if !index.is_integer() {
        return None;
    }
    let position = index.as_integer() - 1;
    (0..class_of(receiver).instance_fields()).contains(&position).then_some(position)
}

fn named(receiver: Value, name: Value) -> Option<i64> {
    let name = text(as_string(name)?);
    let names = class_of(receiver).field_names();
    (0..names.items_len()).rev().find(|index| as_string(names.items(*index)).is_some_and(|other| text(other) == name))
}

fn instance(receiver: Value) -> Option<Instance> {
    if !receiver.is_object() || class_of(receiver).layout() == Layout::Class as i64 {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it has fields.
    let instance = unsafe { Instance::from_bits(receiver.bits()) };
    instance.is_shape().then_some(instance)
}

fn field(receiver: Value, position: i64) -> Option<Value> {
    if let Some(instance) = instance(receiver) {
        return (position < instance.fields_len()).then(|| instance.fields(position));
    }
    let class = as_class(receiver)?;
    (position < class.fields_len()).then(|| class.fields(position))
}

fn set_field(receiver: Value, position: i64, content: Value) -> bool {
    if let Some(instance) = instance(receiver) {
        if position < instance.fields_len() {
            instance.set_fields(position, content);
            return true;
        }
    } else if let Some(class) = as_class(receiver)
        && position < class.fields_len()
    {
        class.set_fields(position, content);
        return true;
    }
    false
}

fn bad_field(receiver: Value, index: Value) -> String {
    let shown = crate::numbers::print(index).unwrap_or_else(|_| "this".to_owned());
    let class = class_of(receiver);
    format!("{shown} is no field of an instance of {}, which has {}", text(class.name()), class.instance_fields())
}
