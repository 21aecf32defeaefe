//! Parsing the header of a text: shapes, portals and callees. The grammar is in [`super::parse`].
//!
//! Descriptions are `'static` in the IR, so the parser leaks them, but equal declarations once only.

use super::declare::{kind_name, shape_declaration, type_name};
use super::inst::{Callee, Effect, Spread};
use super::lex::Token;
use super::parse::{Parser, Result};
use super::tree::Portal;
use crate::object::{Field, HEADER_BYTES, Kind, Mutability, Shape};
use crate::word::Type;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What was leaked, by its declaration.
static SHAPES: OnceLock<Mutex<HashMap<String, &'static Shape>>> = OnceLock::new();
static PORTALS: OnceLock<Mutex<HashMap<String, &'static Portal>>> = OnceLock::new();
static CALLEES: OnceLock<Mutex<HashMap<String, &'static Callee>>> = OnceLock::new();
static SPREADS: OnceLock<Mutex<HashMap<String, &'static Spread>>> = OnceLock::new();

/// The value leaked before for the same declaration, or a new one.
fn interned<T>(
    all: &'static OnceLock<Mutex<HashMap<String, &'static T>>>,
    declaration: String,
    make: impl FnOnce() -> T,
) -> &'static T {
    let mut all = all.get_or_init(Default::default).lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(declaration).or_insert_with(|| Box::leak(Box::new(make())))
}

fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_string().into_boxed_str())
}

impl Parser<'_> {
    /// Parses declarations up to the body.
    pub(super) fn header(&mut self) -> Result<()> {
        self.blank_lines();
        loop {
            match self.peek() {
                Token::Name("shape") => self.shape_declaration()?,
                Token::Name("portal") => self.portal_declaration()?,
                Token::Name("callee") => self.callee_declaration()?,
                Token::Name("tree" | "code") => return Ok(()),
                _ => return self.expected("`shape`, `portal`, `callee`, `tree` or `code`"),
            }
            self.end_of_line()?;
        }
    }

    fn shape_declaration(&mut self) -> Result<()> {
        self.word("shape")?;
        let position = self.position();
        let spelled = self.name("the shape's name")?;
        let shape = leaked(spelled);
        let mut fields: Vec<Field> = Vec::new();
        let mut array = None;
        let mut expected = HEADER_BYTES;
        self.punct('{')?;
        while !self.eat('}') {
            if array.is_some() {
                return self.expected("`}` after the array");
            }
            if !fields.is_empty() && !self.eat(',') {
                return self.expected("`,` or `}`");
            }
            let (field, next) = self.field_declaration(shape, expected)?;
            if fields.iter().any(|other| other.name == field.name) {
                return Err(position.error(format!("`{}` is declared twice", field.name)));
            }
            expected = next;
            if field.is_array {
                array = Some(field);
            } else {
                fields.push(field);
            }
        }
        let scalars: Vec<&Field> = fields.iter().collect();
        let declaration = shape_declaration(spelled, &scalars, array.as_ref());
        let bound = self.bindings.shapes.iter().copied().find(|shape| {
            let fields: Vec<&Field> = shape.fields.iter().collect();
            shape_declaration(shape.name, &fields, shape.array) == declaration
        });
        let shape = bound.unwrap_or_else(|| {
            interned(&SHAPES, declaration, || {
                let array = array.map(|array| &*Box::leak(Box::new(array)));
                Shape::new(shape, Vec::leak(fields), array)
            })
        });
        // Numbered now, so that the printer finds the shape of a field.
        shape.id();
        if self.shapes.insert(spelled, shape).is_some() {
            return Err(position.error(format!("`{spelled}` is declared twice")));
        }
        Ok(())
    }

    /// A field, and the offset that the next one has by rule.
    fn field_declaration(&mut self, shape: &'static str, expected: u32) -> Result<(Field, u32)> {
        let followed = matches!(self.peek_second(), Token::Name(_) | Token::Quoted(_));
        let mutability = match self.peek() {
            Token::Name("immutable") if followed => Mutability::Immutable,
            Token::Name("quasi_immutable") if followed => Mutability::QuasiImmutable,
            _ => Mutability::Mutable,
        };
        if mutability != Mutability::Mutable {
            self.advance();
        }
        let name = leaked(self.name("a field's name")?);
        self.punct(':')?;
        let is_array = self.eat('[');
        let kind = self.kind()?;
        let mut offset = expected;
        if is_array {
            self.punct(']')?;
            offset += 8;
        }
        if self.eat('@') {
            offset = self.number("an offset")?;
        }
        let field = Field { shape, name, offset, kind, mutability, is_array };
        Ok((field, offset + 8))
    }

    fn kind(&mut self) -> Result<Kind> {
        const KINDS: [Kind; 10] = [
            Kind::I8,
            Kind::U8,
            Kind::I16,
            Kind::U16,
            Kind::I32,
            Kind::U32,
            Kind::I64,
            Kind::F64,
            Kind::Ref,
            Kind::Value,
        ];
        let found = match self.peek() {
            Token::Name(name) => KINDS.into_iter().find(|&kind| kind_name(kind) == name),
            _ => None,
        };
        match found {
            Some(kind) => {
                self.advance();
                Ok(kind)
            }
            None => self.expected("a kind (`i8` … `i64`, `u8` … `u32`, `f64`, `ref` or `value`)"),
        }
    }

    pub(super) fn ty(&mut self) -> Result<Type> {
        let ty = match self.peek() {
            Token::Name("int") => Type::Int,
            Token::Name("float") => Type::Float,
            _ => return self.expected("`int` or `float`"),
        };
        self.advance();
        Ok(ty)
    }

    fn portal_declaration(&mut self) -> Result<()> {
        self.word("portal")?;
        let position = self.position();
        let spelled = self.name("the portal's name")?;
        self.punct('(')?;
        self.word("greens")?;
        let greens = self.number("the number of greens")? as usize;
        self.punct(',')?;
        self.word("reds")?;
        let mut reds = Vec::new();
        while matches!(self.peek(), Token::Name(_)) {
            reds.push(self.ty()?);
        }
        let mut virtualizable = None;
        if self.eat(',') {
            self.word("virtualizable")?;
            let red = self.number("the number of a red")? as usize;
            self.punct(':')?;
            virtualizable = Some((red, self.shape()?));
        }
        self.punct(')')?;
        let types: Vec<&str> = reds.iter().map(|&ty| type_name(ty)).collect();
        let frame = virtualizable.map(|(red, shape)| (red, shape.id()));
        let declaration = format!("{spelled} {greens} {types:?} {frame:?}");
        let portal = interned(&PORTALS, declaration, || Portal {
            name: leaked(spelled),
            greens,
            reds: Vec::leak(reds),
            virtualizable,
        });
        if self.portals.insert(spelled, portal).is_some() {
            return Err(position.error(format!("`{spelled}` is declared twice")));
        }
        Ok(())
    }

    fn callee_declaration(&mut self) -> Result<()> {
        self.word("callee")?;
        let position = self.position();
        let spelled = self.name("the callee's name")?;
        self.punct('(')?;
        let params = self.byte("the number of arguments")?;
        self.punct(')')?;
        self.arrow()?;
        let results = self.byte("the number of result words")?;
        let effect = match self.peek() {
            Token::Name("any") => Effect::Any,
            Token::Name("elidable") => Effect::Elidable,
            Token::Name("portal") => Effect::Portal,
            Token::Name("spread") => Effect::Spread,
            _ => return self.expected("`any`, `elidable`, `portal` or `spread`"),
        };
        self.advance();
        let mut spread = None;
        if effect == Effect::Portal && self.eat(',') {
            self.word("spread")?;
            let red = self.number("the number of a red")? as usize;
            self.punct(':')?;
            let shape = self.shape()?;
            spread = Some(self.spread(spelled, (red, shape), (params, results))?);
        }
        let address = self.bindings.callee.map_or(std::ptr::null(), |callee| callee(spelled));
        let identity = spread.map(std::ptr::from_ref);
        let declaration = format!("{spelled} {params} {results} {effect:?} {identity:?} {address:?}");
        let callee = interned(&CALLEES, declaration, || Callee {
            name: leaked(spelled),
            address,
            params,
            results,
            effect,
            spread,
        });
        if self.callees.insert(spelled, callee).is_some() {
            return Err(position.error(format!("`{spelled}` is declared twice")));
        }
        Ok(())
    }

    /// How the frame of a tree's or code's portal is passed: nothing, or `spread(len 4, live 1)`.
    pub(super) fn spread_root(&mut self, portal: &'static Portal) -> Result<Option<&'static Spread>> {
        if !self.eat_word("spread") {
            return Ok(None);
        }
        match portal.virtualizable {
            Some(frame) => self.spread(portal.name, frame, (portal.reds.len() as u8 + 1, 0)).map(Some),
            None => self.expected("a portal with a virtualizable before `spread`"),
        }
    }

    /// `(len 4, live 1)`: of a portal with this frame that takes and returns so many words.
    fn spread(
        &mut self,
        name: &str,
        (red, shape): (usize, &'static Shape),
        (params, results): (u8, u8),
    ) -> Result<&'static Spread> {
        self.punct('(')?;
        self.word("len")?;
        let len = self.number("the length of the frame's array")?;
        self.punct(',')?;
        self.word("live")?;
        let live = self.number("the number of items passed")?;
        self.punct(')')?;
        if red + 1 >= usize::from(params) || live > len || live > 100 {
            return self.expected("a red, and no more items than there are,");
        }
        let name = format!("{name}::spread");
        let address = self.bindings.callee.map_or(std::ptr::null(), |callee| callee(&name));
        let declaration = format!("{name} {red} {} {len} {live} {params} {results} {address:?}", shape.id());
        Ok(interned(&SPREADS, declaration, || {
            let params = params - 1 + shape.fields.len() as u8 + live as u8;
            let callee = Callee { name: leaked(&name), address, params, results, effect: Effect::Spread, spread: None };
            Spread { red, shape, len, live, callee }
        }))
    }

    fn byte(&mut self, what: &str) -> Result<u8> {
        match self.peek() {
            Token::Int(bits) if bits <= 255 => {
                self.advance();
                Ok(bits as u8)
            }
            _ => self.expected(what),
        }
    }
}
