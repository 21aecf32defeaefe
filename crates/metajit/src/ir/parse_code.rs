//! Parsing the body of a `code`: blocks and exits. The grammar is in [`super::parse`].

use super::code::{
    Block, BlockId, Code, Details, End, Exit, ExitId, PendingStore, Place, Recipe, ResumeStep, Run, Virtual,
};
use super::lex::Token;
use super::parse::{Parser, Result, Sort};
use super::tree::GuardId;
use crate::object::Field;
use crate::word::Type;

impl Parser<'_> {
    pub(super) fn code(&mut self) -> Result<Code> {
        self.word("code")?;
        let portal = self.portal()?;
        let spread = self.spread_root(portal)?;
        self.punct('{')?;
        self.end_of_line()?;
        let mut blocks = Vec::new();
        while self.peek_numbered(Sort::Block).is_some() {
            self.define(Sort::Block, blocks.len())?;
            let block = self.block()?;
            blocks.push(block);
        }
        let mut exits = Vec::new();
        let mut details = Details::default();
        while self.eat_word("exit") {
            self.define(Sort::Exit, exits.len())?;
            let exit = self.exit(&mut details)?;
            exits.push(exit);
        }
        if !self.eat('}') {
            return self.expected("a block (`b0`), `exit` or `}`");
        }
        Ok(Code {
            portal,
            insts: std::mem::take(&mut self.insts),
            args: std::mem::take(&mut self.args),
            blocks,
            exits,
            details,
            spread,
        })
    }

    fn block(&mut self) -> Result<Block> {
        let params = self.params()?;
        self.punct(':')?;
        self.end_of_line()?;
        let mut insts = Vec::new();
        let end = loop {
            if let Some(end) = self.block_end()? {
                break end;
            }
            let inst = self.inst(&mut |parser, _| parser.numbered(Sort::Exit))?;
            insts.push(inst);
            self.end_of_line()?;
        };
        self.end_of_line()?;
        Ok(Block { params, insts, end })
    }

    fn block_end(&mut self) -> Result<Option<End>> {
        if self.eat_word("jump") {
            let to = BlockId(self.numbered(Sort::Block)?);
            return Ok(Some(End::Jump(to, self.list(Self::arg)?)));
        }
        if self.eat_word("finish") {
            return self.rest(Self::arg).map(End::Finish).map(Some);
        }
        if self.eat_word("enter") {
            let block = |parser: &mut Self| Ok(BlockId(parser.numbered(Sort::Block)?));
            return self.rest(block).map(End::Enter).map(Some);
        }
        if self.eat_word("switch") {
            let value = self.arg()?;
            let cases = self.list(|parser| {
                let bits = parser.word_constant()?;
                parser.arrow()?;
                Ok((bits, BlockId(parser.numbered(Sort::Block)?)))
            })?;
            self.word("else")?;
            let otherwise = BlockId(self.numbered(Sort::Block)?);
            return Ok(Some(End::Switch { value, cases, otherwise }));
        }
        if self.eat_word("exit") {
            return Ok(Some(End::Exit(ExitId(self.numbered(Sort::Exit)?))));
        }
        Ok(None)
    }

    /// An exit after its name.
    fn exit(&mut self, details: &mut Details) -> Result<Exit> {
        let mut exit = Exit::default();
        if self.eat_word("of") {
            exit.guard = Some(GuardId(self.literal(Sort::Guard)?));
            if self.eat('#') {
                exit.instance = self.number("the number of an instance")?;
            }
        }
        if self.peek() == Token::Arrow {
            self.advance();
            exit.bridge = Some(BlockId(self.numbered(Sort::Block)?));
        }
        self.punct(':')?;
        self.end_of_line()?;
        self.slots.clear();
        while self.exit_line(&mut exit, details)? {
            self.end_of_line()?;
        }
        Ok(exit)
    }

    /// One line of an exit, if there is one more.
    fn exit_line(&mut self, exit: &mut Exit, details: &mut Details) -> Result<bool> {
        if self.peek_numbered(Sort::Object).is_some() {
            let position = self.position();
            let number = exit.virtuals.len();
            if self.literal(Sort::Object)? as usize != number {
                return Err(position.error(format!("expected `o{number}` (objects are numbered in order)")));
            }
            self.punct('=')?;
            let object = self.object(number as u32, details)?;
            let object = details.share(object);
            details.append(&mut exit.virtuals, object);
            return Ok(true);
        }
        let Token::Name(word) = self.peek() else {
            return Ok(false);
        };
        if !matches!(word, "slots" | "store" | "enter" | "merge" | "words" | "collapsed" | "ticks") {
            return Ok(false);
        }
        self.advance();
        match word {
            "slots" => {
                self.slots = self.rest(Self::value)?;
                exit.slots = details.add(self.slots.iter().copied());
            }
            "store" => {
                let store = self.store()?;
                details.append(&mut exit.stores, store);
            }
            "ticks" => exit.ticks = self.number("the number of ticks")?,
            _ => {
                let step = self.step(word, details)?;
                let step = details.share(step);
                details.append(&mut exit.resume, step);
            }
        }
        Ok(true)
    }

    fn step(&mut self, word: &str, details: &mut Details) -> Result<ResumeStep> {
        Ok(match word {
            "enter" => ResumeStep::Enter(self.portal()?),
            "merge" => {
                let portal = self.portal()?;
                let greens = details.add(self.list(Self::word_constant)?);
                self.word("reds")?;
                let reds = details.add(self.list(|parser| parser.recipe(None))?);
                ResumeStep::Merge { portal, greens, reds }
            }
            "words" => ResumeStep::Words(details.add(self.list(|parser| parser.recipe(None))?)),
            _ => ResumeStep::Collapsed(details.add(self.list(|parser| parser.recipe(None))?)),
        })
    }

    fn recipe(&mut self, ty: Option<Type>) -> Result<Recipe> {
        if self.peek_numbered(Sort::Slot).is_some() {
            let position = self.position();
            let slot = self.literal(Sort::Slot)?;
            let Some(&value) = self.slots.get(slot as usize) else {
                return Err(position.error(format!("the exit has no slot `s{slot}` so far")));
            };
            if self.eat('+') {
                return Ok(Recipe::Plus(value, self.word_constant()?));
            }
            return Ok(Recipe::Value(value));
        }
        if self.peek_numbered(Sort::Object).is_some() {
            return self.literal(Sort::Object).map(Recipe::Virtual);
        }
        match self.constant(ty)? {
            Some(bits) => Ok(Recipe::Const(bits)),
            None => self.expected("a slot (`s0`), an object (`o0`) or a constant"),
        }
    }

    /// The index of an item, if the place is in the array.
    fn place(&mut self, field: &'static Field) -> Result<Place> {
        if !field.is_array {
            return Ok(Place::Field(field));
        }
        self.punct('[')?;
        let item = self.number("the index of an item")?;
        self.punct(']')?;
        Ok(Place::Item(field, item))
    }

    fn object(&mut self, name: u32, details: &mut Details) -> Result<Virtual> {
        let shape = self.shape()?;
        let mut object = Virtual { name, shape, len: 0, fill: Recipe::Const(0), contents: Run::default() };
        if self.eat('(') {
            self.word("len")?;
            object.len = self.number("a length")?;
            self.punct(',')?;
            self.word("fill")?;
            object.fill = self.recipe(None)?;
            self.punct(')')?;
        }
        self.punct('{')?;
        while !self.eat('}') {
            if !object.contents.is_empty() && !self.eat(',') {
                return self.expected("`,` or `}`");
            }
            let field = self.field_of(shape)?;
            let place = self.place(field)?;
            self.punct(':')?;
            let recipe = self.recipe(Some(field.ty()))?;
            details.append(&mut object.contents, (place, recipe));
        }
        Ok(object)
    }

    fn store(&mut self) -> Result<PendingStore> {
        let object = self.recipe(Some(Type::Int))?;
        let field = self.any_field()?;
        let place = self.place(field)?;
        self.punct(',')?;
        let value = self.recipe(Some(field.ty()))?;
        Ok(PendingStore { object, place, value })
    }
}
