//! The header of a text: shapes, portals and callees, and how the body spells them.
//!
//! Names in the source need not be unique (two modules may each have a `Pair`), spellings in a text are: the second `Pair`
//! is `Pair_2`. A field knows the name of its shape only; the shape itself is found among those that have numbers. What
//! is not found (a prefix that several shapes share, of which no object is ever made) is declared with the fields that
//! are used, at their offsets.

use super::inst::{Callee, Effect, Spread};
use super::lex::is_plain_name;
use super::tree::Portal;
use crate::object::{Field, HEADER_BYTES, Kind, Mutability, Shape};
use crate::word::Type;
use std::collections::HashMap;
use std::fmt::Write;

/// A name, quoted if it must be.
pub(super) fn name(name: &str) -> String {
    if is_plain_name(name) { name.to_string() } else { format!("\"{name}\"") }
}

/// The text of a storage kind.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::I8 => "i8",
        Kind::U8 => "u8",
        Kind::I16 => "i16",
        Kind::U16 => "u16",
        Kind::I32 => "i32",
        Kind::U32 => "u32",
        Kind::I64 => "i64",
        Kind::F64 => "f64",
        Kind::Ref => "ref",
        Kind::Value => "value",
    }
}

/// The text of a register class.
pub(super) fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Int => "int",
        Type::Float => "float",
    }
}

/// The declaration of a shape under a name. Offsets show where they are not what the layout rule gives.
pub(super) fn shape_declaration(spelled: &str, fields: &[&Field], array: Option<&Field>) -> String {
    let mut text = format!("shape {} {{", name(spelled));
    let mut expected = HEADER_BYTES;
    for (index, field) in fields.iter().copied().chain(array).enumerate() {
        text.push_str(if index == 0 { " " } else { ", " });
        text.push_str(match field.mutability {
            Mutability::Mutable => "",
            Mutability::Immutable => "immutable ",
            Mutability::QuasiImmutable => "quasi_immutable ",
        });
        if field.is_array {
            expected += 8;
            let _ = write!(text, "{}: [{}]", name(field.name), kind_name(field.kind));
        } else {
            let _ = write!(text, "{}: {}", name(field.name), kind_name(field.kind));
        }
        if field.offset != expected {
            let _ = write!(text, " @ {}", field.offset);
        }
        expected = field.offset + 8;
    }
    text.push_str(" }");
    text
}

/// A shape as a text declares it: whole, or only the fields that are used when nobody knows the rest.
struct Declared {
    spelled: &'static str,
    shape: Option<&'static Shape>,
    fields: Vec<&'static Field>,
    array: Option<&'static Field>,
}

/// What the header declares, and how everything in it is spelled.
#[derive(Default)]
pub(super) struct Declarations {
    shapes: Vec<(String, Declared)>,
    portals: Vec<(String, &'static Portal)>,
    callees: Vec<(String, &'static Callee)>,
    /// By the address of the field.
    field_shapes: HashMap<*const Field, usize>,
    registered: HashMap<*const Field, &'static Shape>,
}

/// A spelling that no other declaration has.
fn unique<'a>(base: &str, taken: impl Iterator<Item = &'a String> + Clone) -> String {
    let mut spelled = base.to_string();
    let mut number = 2;
    while taken.clone().any(|other| *other == spelled) {
        spelled = format!("{base}_{number}");
        number += 1;
    }
    spelled
}

impl Declarations {
    pub(super) fn new() -> Declarations {
        let mut registered = HashMap::new();
        for shape in (1..).map_while(Shape::by_id) {
            for field in shape.fields.iter().chain(shape.array) {
                registered.insert(std::ptr::from_ref(field), shape);
            }
        }
        Declarations { registered, ..Declarations::default() }
    }

    pub(super) fn add_shape(&mut self, shape: &'static Shape) -> usize {
        let known =
            self.shapes.iter().position(|(_, declared)| declared.shape.is_some_and(|other| std::ptr::eq(other, shape)));
        known.unwrap_or_else(|| {
            let spelled = unique(shape.name, self.shapes.iter().map(|(spelled, _)| spelled));
            let index = self.shapes.len();
            for field in shape.fields.iter().chain(shape.array) {
                self.field_shapes.insert(field, index);
            }
            self.shapes.push((
                spelled,
                Declared {
                    spelled: shape.name,
                    shape: Some(shape),
                    fields: shape.fields.iter().collect(),
                    array: shape.array,
                },
            ));
            index
        })
    }

    pub(super) fn add_field(&mut self, field: &'static Field) {
        if self.field_shapes.contains_key(&std::ptr::from_ref(field)) {
            return;
        }
        if let Some(shape) = self.registered.get(&std::ptr::from_ref(field)) {
            self.add_shape(shape);
            return;
        }
        let fits = |declared: &Declared| {
            let scalars = declared.fields.iter().copied();
            declared.shape.is_none()
                && declared.spelled == field.shape
                && !(field.is_array && declared.array.is_some())
                && scalars.chain(declared.array).all(|other| other.name != field.name)
        };
        let known = self.shapes.iter().position(|(_, other)| fits(other));
        let index = known.unwrap_or_else(|| {
            let spelled = unique(field.shape, self.shapes.iter().map(|(spelled, _)| spelled));
            self.shapes
                .push((spelled, Declared { spelled: field.shape, shape: None, fields: Vec::new(), array: None }));
            self.shapes.len() - 1
        });
        let declared = &mut self.shapes[index].1;
        if field.is_array {
            declared.array = Some(field);
        } else {
            declared.fields.push(field);
            declared.fields.sort_by_key(|field| field.offset);
        }
        self.field_shapes.insert(field, index);
    }

    pub(super) fn add_portal(&mut self, portal: &'static Portal) {
        if self.portals.iter().any(|(_, other)| std::ptr::eq(*other, portal)) {
            return;
        }
        if let Some((_, shape)) = portal.virtualizable {
            self.add_shape(shape);
        }
        let spelled = unique(portal.name, self.portals.iter().map(|(spelled, _)| spelled));
        self.portals.push((spelled, portal));
    }

    pub(super) fn add_callee(&mut self, callee: &'static Callee) {
        if self.callees.iter().any(|(_, other)| std::ptr::eq(*other, callee)) {
            return;
        }
        if let Some(spread) = callee.spread {
            self.add_shape(spread.shape);
        }
        let spelled = unique(callee.name, self.callees.iter().map(|(spelled, _)| spelled));
        self.callees.push((spelled, callee));
    }

    pub(super) fn shape(&self, shape: &'static Shape) -> String {
        let found =
            self.shapes.iter().find(|(_, declared)| declared.shape.is_some_and(|other| std::ptr::eq(other, shape)));
        found.map_or_else(|| format!("!{}", shape.name), |(spelled, _)| name(spelled))
    }

    pub(super) fn field(&self, field: &'static Field) -> String {
        let shape = match self.field_shapes.get(&std::ptr::from_ref(field)) {
            Some(&index) => name(&self.shapes[index].0),
            None => format!("!{}", field.shape),
        };
        format!("{shape}.{}", name(field.name))
    }

    pub(super) fn portal(&self, portal: &'static Portal) -> String {
        let found = self.portals.iter().find(|(_, other)| std::ptr::eq(*other, portal));
        found.map_or_else(|| format!("!{}", portal.name), |(spelled, _)| name(spelled))
    }

    pub(super) fn callee(&self, callee: &'static Callee) -> String {
        let found = self.callees.iter().find(|(_, other)| std::ptr::eq(*other, callee));
        found.map_or_else(|| format!("!{}", callee.name), |(spelled, _)| name(spelled))
    }

    pub(super) fn print(&self, out: &mut String) {
        for (spelled, shape) in &self.shapes {
            out.push_str(&shape_declaration(spelled, &shape.fields, shape.array));
            out.push('\n');
        }
        for (spelled, portal) in &self.portals {
            let _ = write!(out, "portal {}(greens {}, reds", name(spelled), portal.greens);
            for ty in portal.reds {
                let _ = write!(out, " {}", type_name(*ty));
            }
            if let Some((red, shape)) = portal.virtualizable {
                let _ = write!(out, ", virtualizable {red}: {}", self.shape(shape));
            }
            out.push_str(")\n");
        }
        for (spelled, callee) in &self.callees {
            let _ = write!(
                out,
                "callee {}({}) -> {} {}",
                name(spelled),
                callee.params,
                callee.results,
                match callee.effect {
                    Effect::Elidable => "elidable",
                    Effect::Any => "any",
                    Effect::Portal => "portal",
                    Effect::Spread => "spread",
                }
            );
            if let Some(spread) = callee.spread {
                let Spread { red, shape, len, live, .. } = spread;
                let _ = write!(out, ", spread {red}: {}(len {len}, live {live})", self.shape(shape));
            }
            out.push('\n');
        }
        if !out.is_empty() {
            out.push('\n');
        }
    }
}
