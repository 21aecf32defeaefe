//! Parsing what [`super::print`] prints, and what people write in tests.
//!
//! **The grammar.** A text is a header and one body. A comment runs from `;` to the end of its line; an instruction is one
//! line. Values (`v3`), guards (`g0`), log nodes (`n2`), blocks (`b1`) and exits (`x0`) are numbered freely and may be used
//! before the line that defines them.
//!
//! ```text
//! shape Frame { immutable method: ref, pc: i64, weight: f64, slots: [value] }
//! shape Part { pc: i64 @ 16 }                    ; a shape of which only some offsets are known
//! portal main(greens 1, reds int float, virtualizable 0: Frame)
//! callee som::slow_add(2) -> 1 any               ; arguments, result words, `any`, `elidable`, `portal` or `spread`
//! callee inner(2) -> 1 portal, spread 0: Frame(len 4, live 1)
//!
//! tree main(7) {                                 ; the root's greens; then maybe `spread(len 4, live 1)`
//! f0(v0: int, v1: float):                        ; the root's reds
//!     n0 = root: merge main(7) reds(v0, v1) live 3
//!     merge n0
//!     v2 = load v0.Frame.pc
//!     n1 = n0: words(v2)                         ; a log node: its parent, then what happened
//!     v3 = lt v2, 10
//!     guard_true v3 -> g0 at n1+1                ; the snapshot: a node, and ticks since
//!     ...
//!     close n5                                   ; or `finish v4, v5`, or `leave n5+2`, or `leave n5+0 to main(@0)`
//! f1 from g0:
//!     ...
//! }
//!
//! code main {
//! b0(v0: int, v1: float):
//!     v2 = load v0.Frame.pc
//!     guard_true v2 -> x0
//!     jump b1(v2, 4)                             ; or `finish v2`, or `exit x1`, or `switch v2(3 -> b2, 7 -> b3) else b4`
//! b1(v3: int, v4: int):
//!     ...
//! exit x0 of g3#1:                               ; guard 3 of the tree, its instance 1
//!     slots v2, v0
//!     o0 = Frame(len 2, fill 0) { pc: s0, slots[1]: s0+0x8000000000000000, method: o0 }
//!     store s1.Frame.pc, 12
//!     merge main(7) reds(s1, 1.5)                ; what replay consumes, outermost first
//!     words(s0)
//!     enter main
//!     merge main(9) reds(o0, -0.5)
//!     collapsed(s0, 3)
//!     ticks 3
//! exit x1 of g4 -> b1:                           ; a bridge took its place
//! }
//! ```
//!
//! Constants: integers (`-3`, `0xff`), floats (`1.5`, `inf`, `nan`, `nan:0x7ff8000000000001`), `shape(Frame)` for a shape's
//! number, `@0` for an address that a test does not care about or binds.
//!
//! **Approach.** The body is parsed twice: the first time to learn where everything is defined, the second to resolve names
//! at once, so that an error is reported at the name itself. Descriptions are `'static` in the IR, so the parser leaks them,
//! and reuses the one it leaked before for an equal declaration.

use super::code::Code;
use super::inst::{Arg, ArgRange, Aux, Callee, Inst, OpRef};
use super::lex::{Position, Token, lex};
use super::print::{SYMBOLIC_ADDRESSES, SYMBOLIC_STRIDE};
use super::table::{Class, Op};
use super::tree::{
    Fragment, FragmentId, Guard, GuardId, LogEntry, LogId, LogNode, Onward, Portal, Snapshot, Tree, TreeEnd,
};
use crate::object::{Field, Shape};
use crate::word::Type;
use std::collections::HashMap;
use std::fmt;

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What was expected or is wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// What names in a text stand for in this process.
#[derive(Clone, Copy, Default)]
pub struct Bindings<'a> {
    /// The function of a callee, by name; null if it is not to be called.
    pub callee: Option<&'a dyn Fn(&str) -> *const ()>,
    /// The address that `@0`, `@1`, … stand for.
    pub address: Option<&'a dyn Fn(u64) -> u64>,
    /// Shapes to use where the text declares an equal one.
    pub shapes: &'a [&'static Shape],
}

impl fmt::Debug for Bindings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bindings").field("shapes", &self.shapes.len()).finish_non_exhaustive()
    }
}

/// The body of a text.
#[derive(Debug)]
pub enum Body {
    /// A recorded tree.
    Tree(Tree),
    /// Optimized code.
    Code(Code),
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Tree(tree) => tree.fmt(f),
            Body::Code(code) => code.fmt(f),
        }
    }
}

/// Parses a text.
pub fn parse(text: &str, bindings: &Bindings<'_>) -> Result<Body, ParseError> {
    Parser::new(text, bindings)?.text()
}

/// Parses the text of a tree that calls nothing.
pub fn parse_tree(text: &str) -> Result<Tree, ParseError> {
    match parse(text, &Bindings::default())? {
        Body::Tree(tree) => Ok(tree),
        Body::Code(_) => Err(wrong_body("tree")),
    }
}

/// Parses the text of code that calls nothing.
pub fn parse_code(text: &str) -> Result<Code, ParseError> {
    match parse(text, &Bindings::default())? {
        Body::Code(code) => Ok(code),
        Body::Tree(_) => Err(wrong_body("code")),
    }
}

/// The shapes that a text declares, under the names it gives them.
pub fn parse_shapes<'a>(
    text: &'a str,
    bindings: &Bindings<'a>,
) -> Result<HashMap<&'a str, &'static Shape>, ParseError> {
    let mut parser = Parser::new(text, bindings)?;
    parser.header()?;
    Ok(parser.shapes)
}

fn wrong_body(wanted: &str) -> ParseError {
    Position { line: 1, column: 1 }.error(format!("expected a text with a `{wanted}`"))
}

pub(super) type Result<T, E = ParseError> = std::result::Result<T, E>;

/// Parses where a guard goes: its number, given its instruction.
type Target<'t, P> = dyn FnMut(&mut P, OpRef) -> Result<u32> + 't;

/// What a numbered name names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Sort {
    Value,
    Guard,
    Node,
    Fragment,
    Block,
    Exit,
    Slot,
    Object,
}

impl Sort {
    fn letter(self) -> char {
        match self {
            Sort::Value => 'v',
            Sort::Guard => 'g',
            Sort::Node => 'n',
            Sort::Fragment => 'f',
            Sort::Block => 'b',
            Sort::Exit => 'x',
            Sort::Slot => 's',
            Sort::Object => 'o',
        }
    }
    fn what(self) -> &'static str {
        match self {
            Sort::Value => "a value (`v0`)",
            Sort::Guard => "a guard (`g0`)",
            Sort::Node => "a log node (`n0`)",
            Sort::Fragment => "a fragment (`f0`)",
            Sort::Block => "a block (`b0`)",
            Sort::Exit => "an exit (`x0`)",
            Sort::Slot => "a slot (`s0`)",
            Sort::Object => "an object (`o0`)",
        }
    }
}

/// The parser's state, shared with [`super::parse_code`].
pub(super) struct Parser<'a> {
    tokens: Vec<(Token<'a>, Position)>,
    at: usize,
    pub(super) bindings: Bindings<'a>,
    pub(super) shapes: HashMap<&'a str, &'static Shape>,
    pub(super) portals: HashMap<&'a str, &'static Portal>,
    pub(super) callees: HashMap<&'a str, &'static Callee>,
    ops: HashMap<&'static str, Op>,
    /// What the first pass found: the index behind every name.
    defined: HashMap<(Sort, u64), u32>,
    /// Whether this is the pass that collects definitions.
    collecting: bool,
    /// The slots of the exit that is being read.
    pub(super) slots: Vec<OpRef>,
    pub(super) insts: Vec<Inst>,
    pub(super) args: Vec<Arg>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, bindings: &Bindings<'a>) -> Result<Parser<'a>> {
        Ok(Parser {
            tokens: lex(text)?,
            at: 0,
            bindings: *bindings,
            shapes: HashMap::new(),
            portals: HashMap::new(),
            callees: HashMap::new(),
            ops: Op::ALL.iter().map(|&op| (op.info().name, op)).collect(),
            defined: HashMap::new(),
            collecting: true,
            slots: Vec::new(),
            insts: Vec::new(),
            args: Vec::new(),
        })
    }

    // Tokens.

    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.at].0
    }

    /// The token after the next.
    pub(super) fn peek_second(&self) -> Token<'a> {
        self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub(super) fn position(&self) -> Position {
        self.tokens[self.at].1
    }

    pub(super) fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// "expected …, found …", here.
    pub(super) fn expected<T>(&self, what: &str) -> Result<T> {
        let found = match self.peek() {
            Token::Name(name) => format!("`{name}`"),
            Token::Quoted(name) => format!("`\"{name}\"`"),
            Token::Int(bits) => format!("`{}`", bits as i64),
            Token::Float(bits) => format!("`{:?}`", f64::from_bits(bits)),
            Token::Address(number) => format!("`@{number}`"),
            Token::Arrow => "`->`".to_string(),
            Token::Punct(c) => format!("`{c}`"),
            Token::Newline => "the end of the line".to_string(),
            Token::End => "the end of the text".to_string(),
        };
        Err(self.position().error(format!("expected {what}, found {found}")))
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Token::Punct(c);
        if eaten {
            self.advance();
        }
        eaten
    }

    pub(super) fn punct(&mut self, c: char) -> Result<()> {
        if self.eat(c) { Ok(()) } else { self.expected(&format!("`{c}`")) }
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let eaten = self.peek() == Token::Name(word);
        if eaten {
            self.advance();
        }
        eaten
    }

    pub(super) fn word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { self.expected(&format!("`{word}`")) }
    }

    pub(super) fn arrow(&mut self) -> Result<()> {
        if self.peek() == Token::Arrow {
            self.advance();
            return Ok(());
        }
        self.expected("`->`")
    }

    pub(super) fn end_of_line(&mut self) -> Result<()> {
        if self.peek() != Token::Newline {
            return self.expected("the end of the line");
        }
        self.blank_lines();
        Ok(())
    }

    pub(super) fn blank_lines(&mut self) {
        while self.peek() == Token::Newline {
            self.advance();
        }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<&'a str> {
        match self.peek() {
            Token::Name(name) | Token::Quoted(name) => {
                self.advance();
                Ok(name)
            }
            _ => self.expected(what),
        }
    }

    /// A small number (a count, an index, an offset).
    pub(super) fn number(&mut self, what: &str) -> Result<u32> {
        match self.peek() {
            Token::Int(bits) if bits <= u32::MAX.into() => {
                self.advance();
                Ok(bits as u32)
            }
            _ => self.expected(what),
        }
    }

    /// A list in parentheses.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.punct('(')?;
        let mut items = Vec::new();
        if self.eat(')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(')') {
                return Ok(items);
            }
            if !self.eat(',') {
                return self.expected("`,` or `)`");
            }
        }
    }

    /// A list to the end of the line.
    pub(super) fn rest<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        if self.peek() == Token::Newline {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.eat(',') {
                return Ok(items);
            }
        }
    }

    // Numbered names.

    /// The number of the next token, if it is a name of this sort.
    pub(super) fn peek_numbered(&self, sort: Sort) -> Option<u64> {
        match self.peek() {
            Token::Name(name) => name.strip_prefix(sort.letter())?.parse().ok(),
            _ => None,
        }
    }

    /// A use of a numbered name: what it names.
    pub(super) fn numbered(&mut self, sort: Sort) -> Result<u32> {
        let Some(number) = self.peek_numbered(sort) else {
            return self.expected(sort.what());
        };
        match self.defined.get(&(sort, number)) {
            Some(&index) => {
                self.advance();
                Ok(index)
            }
            None if self.collecting => {
                self.advance();
                Ok(0)
            }
            None => Err(self.position().error(format!("`{}{number}` is not defined", sort.letter()))),
        }
    }

    /// A number that means itself (`s2`, `o1`, a guard in code).
    pub(super) fn literal(&mut self, sort: Sort) -> Result<u32> {
        match self.peek_numbered(sort).map(u32::try_from) {
            Some(Ok(number)) => {
                self.advance();
                Ok(number)
            }
            _ => self.expected(sort.what()),
        }
    }

    /// The definition of a numbered name, which names `index`.
    pub(super) fn define(&mut self, sort: Sort, index: usize) -> Result<()> {
        let Some(number) = self.peek_numbered(sort) else {
            return self.expected(sort.what());
        };
        if self.collecting && self.defined.insert((sort, number), index as u32).is_some() {
            let message = format!("`{}{number}` is defined twice", sort.letter());
            return Err(self.position().error(message));
        }
        self.advance();
        Ok(())
    }

    // The header.

    fn text(mut self) -> Result<Body> {
        self.header()?;
        if self.peek() == Token::Name("tree") {
            return self.twice(Self::tree).map(Body::Tree);
        }
        self.twice(Self::code).map(Body::Code)
    }

    /// Parses a body to collect its definitions, and again to resolve them.
    fn twice<T>(mut self, body: fn(&mut Self) -> Result<T>) -> Result<T> {
        let start = self.at;
        body(&mut self)?;
        self.at = start;
        self.collecting = false;
        self.insts.clear();
        self.args.clear();
        let parsed = body(&mut self)?;
        self.blank_lines();
        if self.peek() != Token::End {
            return self.expected("the end of the text");
        }
        Ok(parsed)
    }

    // Names that the header declared.

    fn declared<T: Copy>(&mut self, of: fn(&Self) -> &HashMap<&'a str, T>, what: &str) -> Result<T> {
        let position = self.position();
        let spelled = self.name(what)?;
        match of(self).get(spelled) {
            Some(&found) => Ok(found),
            None => Err(position.error(format!("expected {what}, but `{spelled}` is not declared"))),
        }
    }

    pub(super) fn shape(&mut self) -> Result<&'static Shape> {
        self.declared(|parser| &parser.shapes, "a shape")
    }

    pub(super) fn portal(&mut self) -> Result<&'static Portal> {
        self.declared(|parser| &parser.portals, "a portal")
    }

    /// A field of this shape: a scalar, or the array.
    pub(super) fn field_of(&mut self, shape: &'static Shape) -> Result<&'static Field> {
        let position = self.position();
        let spelled = self.name("a field's name")?;
        let mut fields = shape.fields.iter().chain(shape.array);
        match fields.find(|field| field.name == spelled) {
            Some(field) => Ok(field),
            None => Err(position.error(format!("`{}` has no field `{spelled}`", shape.name))),
        }
    }

    /// `.Shape.field`, the rest of a place.
    pub(super) fn any_field(&mut self) -> Result<&'static Field> {
        self.punct('.')?;
        let shape = self.shape()?;
        self.punct('.')?;
        self.field_of(shape)
    }

    /// `.Shape.field`: of the array, or of a scalar.
    fn field(&mut self, array: bool) -> Result<&'static Field> {
        let position = self.position();
        let field = self.any_field()?;
        if field.is_array != array {
            let wanted = if array { "the array" } else { "a scalar field" };
            return Err(position.error(format!("expected {wanted} of `{}`", field.shape)));
        }
        Ok(field)
    }

    // Operands.

    /// The bits of a constant, if one is next. A float operand must be written as one.
    pub(super) fn constant(&mut self, ty: Option<Type>) -> Result<Option<u64>> {
        let bits = match self.peek() {
            Token::Int(_) if ty == Some(Type::Float) => {
                return self.expected("a float (with a point, or `nan:` and a pattern)");
            }
            Token::Float(_) if ty == Some(Type::Int) => return self.expected("an integer"),
            Token::Int(bits) | Token::Float(bits) => bits,
            Token::Address(number) => match self.bindings.address {
                Some(address) => address(number),
                None => SYMBOLIC_ADDRESSES + number * SYMBOLIC_STRIDE,
            },
            Token::Name("shape") if self.peek_second() == Token::Punct('(') => {
                self.advance();
                self.advance();
                let shape = self.shape()?;
                self.punct(')')?;
                return Ok(Some(shape.id().into()));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(bits))
    }

    pub(super) fn word_constant(&mut self) -> Result<u64> {
        match self.constant(None)? {
            Some(bits) => Ok(bits),
            None => self.expected("a constant"),
        }
    }

    pub(super) fn value(&mut self) -> Result<OpRef> {
        self.numbered(Sort::Value).map(OpRef)
    }

    fn arg_of(&mut self, ty: Option<Type>) -> Result<Arg> {
        if let Some(bits) = self.constant(ty)? {
            return Ok(Arg::Const(bits));
        }
        if self.peek_numbered(Sort::Value).is_none() {
            return self.expected("a value (`v0`) or a constant");
        }
        self.value().map(Arg::Op)
    }

    pub(super) fn arg(&mut self) -> Result<Arg> {
        self.arg_of(None)
    }

    fn int(&mut self) -> Result<Arg> {
        self.arg_of(Some(Type::Int))
    }

    fn run(&mut self, args: Vec<Arg>) -> ArgRange {
        let start = self.args.len() as u32;
        self.args.extend(args);
        ArgRange { start, len: self.args.len() as u32 - start }
    }

    // Instructions.

    /// The parameters in the head of a fragment or block.
    pub(super) fn params(&mut self) -> Result<Vec<OpRef>> {
        let mut index = 0;
        self.list(|parser| {
            let op = OpRef(parser.insts.len() as u32);
            parser.define(Sort::Value, parser.insts.len())?;
            parser.punct(':')?;
            let param = match parser.ty()? {
                Type::Int => Op::Param,
                Type::Float => Op::FParam,
            };
            parser.insts.push(Inst { op: param, args: [Arg::Const(0); 3], aux: Aux::Index(index) });
            index += 1;
            Ok(op)
        })
    }

    /// An instruction's line but for its end. The number of a guard is for the caller to give: `target` parses it.
    pub(super) fn inst(&mut self, target: &mut Target<'_, Self>) -> Result<OpRef> {
        let index = self.insts.len();
        let mut named = None;
        if self.peek_numbered(Sort::Value).is_some() {
            named = Some(self.position());
            self.define(Sort::Value, index)?;
            self.punct('=')?;
        }
        let position = self.position();
        let op = match self.peek() {
            Token::Name(name) => self.ops.get(name).copied(),
            _ => None,
        };
        let Some(op) = op else {
            return self.expected("an operation");
        };
        self.advance();
        let (args, aux) = self.operands(op, target)?;
        let inst = Inst { op, args, aux };
        match (named, inst.result()) {
            (None, Some(_)) => {
                return Err(position.error(format!("expected a name for the result of `{}`", op.info().name)));
            }
            (Some(position), None) => {
                return Err(position.error(format!("`{}` has no result to name", op.info().name)));
            }
            _ => {}
        }
        self.insts.push(inst);
        Ok(OpRef(index as u32))
    }

    fn operands(&mut self, op: Op, target: &mut Target<'_, Self>) -> Result<([Arg; 3], Aux)> {
        let mut args = [Arg::Const(0); 3];
        let aux = match op {
            Op::Load | Op::Store => {
                args[0] = self.int()?;
                let field = self.field(false)?;
                if op == Op::Store {
                    self.punct(',')?;
                    args[1] = self.arg_of(Some(field.ty()))?;
                }
                Aux::Field(field)
            }
            Op::LoadItem | Op::StoreItem => {
                args[0] = self.int()?;
                let field = self.field(true)?;
                self.punct('[')?;
                args[1] = self.int()?;
                self.punct(']')?;
                if op == Op::StoreItem {
                    self.punct(',')?;
                    args[2] = self.arg_of(Some(field.ty()))?;
                }
                Aux::Field(field)
            }
            Op::Len => {
                args[0] = self.int()?;
                Aux::Field(self.field(true)?)
            }
            Op::New => {
                let shape = self.shape()?;
                if self.eat('(') {
                    self.word("len")?;
                    args[0] = self.int()?;
                    self.punct(',')?;
                    self.word("fill")?;
                    args[1] = self.int()?;
                    self.punct(')')?;
                }
                Aux::Shape(shape)
            }
            Op::Call => {
                let callee = self.declared(|parser| &parser.callees, "a callee")?;
                let words = self.list(Self::arg)?;
                Aux::Call(callee, self.run(words))
            }
            Op::ResultWord => Aux::Index(self.number("the number of a result word")?),
            Op::Param | Op::FParam => Aux::Index(self.number("the number of a parameter")?),
            Op::Merge => Aux::Index(self.numbered(Sort::Node)?),
            _ => {
                let info = op.info();
                for (index, &ty) in info.operands.iter().enumerate() {
                    if index > 0 {
                        self.punct(',')?;
                    }
                    args[index] = self.arg_of(Some(ty))?;
                }
                if info.class == Class::Guard {
                    self.arrow()?;
                    Aux::Index(target(self, OpRef(self.insts.len() as u32))?)
                } else {
                    Aux::None
                }
            }
        };
        Ok((args, aux))
    }

    // Trees.

    fn tree(&mut self) -> Result<Tree> {
        self.word("tree")?;
        let portal = self.portal()?;
        let greens = self.list(Self::word_constant)?;
        let spread = self.spread_root(portal)?;
        let mut guards = Vec::new();
        let mut log = Vec::new();
        let mut fragments = Vec::new();
        self.punct('{')?;
        self.end_of_line()?;
        while !self.eat('}') {
            let fragment = self.fragment(fragments.len(), &mut guards, &mut log)?;
            fragments.push(fragment);
        }
        Ok(Tree {
            portal,
            greens,
            spread,
            insts: std::mem::take(&mut self.insts),
            args: std::mem::take(&mut self.args),
            guards,
            log,
            fragments,
        })
    }

    fn fragment(&mut self, number: usize, guards: &mut Vec<Guard>, log: &mut Vec<LogNode>) -> Result<Fragment> {
        let position = self.position();
        if self.literal(Sort::Fragment)? as usize != number {
            return Err(position.error(format!("expected `f{number}` (fragments are numbered in order)")));
        }
        if self.peek() == Token::Punct('(') {
            self.params()?;
        }
        let start = self.insts.len() as u32;
        let mut parent = None;
        if self.eat_word("from") {
            parent = Some(GuardId(self.numbered(Sort::Guard)?));
        }
        self.punct(':')?;
        self.end_of_line()?;
        let fragment = FragmentId(number as u32);
        let end = loop {
            if self.peek_numbered(Sort::Node).is_some() {
                self.define(Sort::Node, log.len())?;
                self.punct('=')?;
                let node = self.log_node()?;
                log.push(node);
            } else if let Some(end) = self.tree_end()? {
                break end;
            } else {
                self.inst(&mut |parser, inst| {
                    parser.define(Sort::Guard, guards.len())?;
                    parser.word("at")?;
                    let snapshot = parser.snapshot()?;
                    guards.push(Guard { inst, snapshot, fragment });
                    Ok(guards.len() as u32 - 1)
                })?;
            }
            self.end_of_line()?;
        };
        self.end_of_line()?;
        Ok(Fragment { parent, insts: (start, self.insts.len() as u32), end })
    }

    fn tree_end(&mut self) -> Result<Option<TreeEnd>> {
        if self.eat_word("close") {
            let node = LogId(self.numbered(Sort::Node)?);
            return Ok(Some(TreeEnd::Close { node }));
        }
        if self.eat_word("leave") {
            let snapshot = self.snapshot()?;
            let onward = if self.eat_word("to") {
                let callee = self.declared(|parser| &parser.callees, "a callee")?;
                self.punct('(')?;
                let cell = self.word_constant()?;
                self.punct(')')?;
                Some(Onward { callee, cell })
            } else {
                None
            };
            return Ok(Some(TreeEnd::Leave(snapshot, onward)));
        }
        if self.eat_word("finish") {
            let words = self.rest(Self::arg)?;
            return Ok(Some(TreeEnd::Finish(self.run(words))));
        }
        Ok(None)
    }

    fn snapshot(&mut self) -> Result<Snapshot> {
        let node = LogId(self.numbered(Sort::Node)?);
        self.punct('+')?;
        let ticks = self.number("the number of ticks")?;
        Ok(Snapshot { node, ticks })
    }

    fn log_node(&mut self) -> Result<LogNode> {
        let parent = if self.eat_word("root") { None } else { Some(LogId(self.numbered(Sort::Node)?)) };
        self.punct(':')?;
        let entry = match self.peek() {
            Token::Name("enter") => {
                self.advance();
                LogEntry::Enter(self.portal()?)
            }
            Token::Name("merge") => {
                self.advance();
                let portal = self.portal()?;
                let greens = self.list(|parser| parser.word_constant().map(Arg::Const))?;
                let greens = self.run(greens);
                self.word("reds")?;
                let reds = self.list(Self::arg)?;
                let reds = self.run(reds);
                let live = if self.eat_word("live") { self.number("the first dead item")? } else { u32::MAX };
                LogEntry::Merge { portal, greens, reds, live }
            }
            Token::Name("words") => {
                self.advance();
                let words = self.list(Self::arg)?;
                LogEntry::Words(self.run(words))
            }
            Token::Name("collapsed") => {
                self.advance();
                let words = self.list(Self::arg)?;
                LogEntry::Collapsed(self.run(words))
            }
            _ => return self.expected("`enter`, `merge`, `words` or `collapsed`"),
        };
        Ok(LogNode { parent, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bindings, Body, parse, parse_shapes, parse_tree};
    use crate::ir::print::{self, Style};
    use crate::ir::{Arg, Aux};
    use crate::object::{Field, Kind, Mutability, Shape};

    const TEXT: &str = "shape Pair { left: ref, items: [value] }
portal main(greens 0, reds int)
callee f(1) -> 1 any
code main {
b0(v0: int):
    v1 = load @1.Pair.left
    v2 = call f(@1)
    v3 = call f(@0)
    finish v1
}
";

    fn code(text: &str, bindings: &Bindings<'_>) -> crate::ir::code::Code {
        match parse(text, bindings) {
            Ok(Body::Code(code)) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn equal_declarations_are_the_same_description() {
        let none = Bindings::default();
        let (first, second) = (code(TEXT, &none), code(TEXT, &none));
        assert!(std::ptr::eq(first.portal, second.portal));
        assert!(std::ptr::eq(first.insts[1].field(), second.insts[1].field()));
        let shapes = parse_shapes(TEXT, &none).expect("the header parses");
        assert!(std::ptr::eq(&shapes["Pair"].fields[0], first.insts[1].field()));
    }

    #[test]
    fn callees_shapes_and_addresses_can_be_bound() {
        const FIELD: Field = Field {
            shape: "Pair",
            name: "left",
            offset: 8,
            kind: Kind::Ref,
            mutability: Mutability::Mutable,
            is_array: false,
        };
        static FIELDS: [Field; 1] = [FIELD];
        static ITEMS: Field = Field { name: "items", offset: 24, kind: Kind::Value, is_array: true, ..FIELD };
        static PAIR: Shape = Shape::new("Pair", &FIELDS, Some(&ITEMS));
        extern "C" fn f(word: u64) -> u64 {
            word
        }
        let bindings = Bindings {
            callee: Some(&|_| f as *const ()),
            address: Some(&|number| 0x1_0000_0000 + 8 * number),
            shapes: &[&PAIR],
        };
        let code = code(TEXT, &bindings);
        let load = &code.insts[1];
        assert!(std::ptr::eq(load.field(), &FIELDS[0]));
        assert_eq!(load.args[0], Arg::Const(0x1_0000_0008));
        let Aux::Call(callee, _) = code.insts[2].aux else {
            panic!("not a call");
        };
        assert_eq!(callee.address, f as *const ());
        // As a log: addresses are numbered by appearance.
        let log = print::code(&code, Style::LOG);
        assert!(log.contains("v1 = load @0.Pair.left"), "{log}");
        assert!(log.contains("v2 = call f(@0)\n    v3 = call f(@1)"), "{log}");
    }

    #[test]
    fn a_text_of_the_other_kind_is_refused() {
        let error = parse_tree(TEXT).expect_err("it is code");
        assert_eq!(error.to_string(), "1:1: expected a text with a `tree`");
    }
}
