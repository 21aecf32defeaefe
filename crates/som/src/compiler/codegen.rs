//! Writing the instructions of a function: a method, a block, or a block made real.
//!
//! Frames are laid out as `self`, arguments, (in a block: the block, its context,) then homes, contexts and
//! variables in the order in which code needs them, then the operand stack. Slots are not reused between scopes, so a slot has one meaning
//! in a function, and moving an activation from one version of a function to the other is a list of moves.

use super::analysis::{Analysis, ScopeId, VariableId, analyze};
use super::inlining::{Assumptions, structure};
use super::peephole::improve;
use crate::ast::{BlockDef, Body, Expression, Literal, MethodDef, Send, Statement};
use crate::bytecode::{self as bc, kind, word};
use crate::lexer::{Pos, SyntaxError};
use crate::value;
use num_traits::ToPrimitive;
use std::collections::HashMap;
use std::rc::Rc;

/// What the compiler knows about the class of a method.
#[derive(Debug, Clone)]
pub struct MethodContext {
    /// Fields of `self`, inherited ones first.
    pub fields: Rc<[Rc<str>]>,
    /// Whether instances are classes, whose fields have instructions of their own.
    pub class_side: bool,
    /// What the library is known to say.
    pub assumptions: Rc<Assumptions>,
}

/// A constant, before it is an object.
#[derive(Debug, Clone)]
pub enum Constant {
    /// A literal.
    Literal(Literal),
    /// A selector.
    Selector(Rc<str>),
    /// A global variable.
    Global(Rc<str>),
    /// A block's code.
    Block(Box<Compiled>),
    /// The class where lookup of a `super` send begins.
    Superclass,
    /// `nil`, `true` or `false`.
    Special(value::Value),
}

/// What a slot of a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKey {
    /// A variable, or the cell it moved to.
    Variable(VariableId),
    /// The first of a counting loop's slots, by the number of its block.
    Loop(usize),
    /// The context of a scope.
    Context(ScopeId),
    /// The home.
    Home,
    /// In a block: the block, and just after it its context.
    Block,
}

/// A function's code.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The method's selector.
    pub signature: Rc<str>,
    /// The scope it was made from.
    pub scope: ScopeId,
    /// See `bytecode::kind`.
    pub kind: i64,
    /// The field of an accessor.
    pub field: usize,
    /// Arguments without `self`.
    pub arguments: usize,
    /// Whether this is a block's.
    pub is_block: bool,
    /// The instructions.
    pub code: Vec<u64>,
    /// The constants.
    pub constants: Vec<Constant>,
    /// Number of cached sends.
    pub sites: usize,
    /// Where the operand stack begins.
    pub stack_begin: usize,
    /// How deep it gets.
    pub stack_depth: usize,
    /// See `Method::home_slot`.
    pub home_slot: usize,
    /// Where code begins again after a `restart`.
    pub body_begin: usize,
    /// Lines by the first instruction that belongs to them.
    pub lines: Vec<(u32, u32)>,
    /// In the generic version, by number: where a fallback begins, and how deep the stack is there.
    pub fallbacks: Vec<(usize, usize)>,
    /// What the slots hold.
    pub slots: HashMap<SlotKey, usize>,
    /// Variables that are cells.
    pub cells: Vec<VariableId>,
    /// Those of them that belong to an activation around the block.
    pub imported: Vec<VariableId>,
}

pub(super) type Generated<T> = Result<T, SyntaxError>;

/// The most there may be of what an instruction names with 16 bits.
const LIMIT: usize = u16::MAX as usize;
/// Arguments that fit into operand A, with the receiver.
const MOST_ARGUMENTS: usize = u8::MAX as usize - 1;
/// Characters of a selector that a message shows.
const SHOWN: usize = 80;
const MANY_VARIABLES: &str = "more than 65,535 variables";
const MANY_LITERALS: &str = "more than 65,535 literals";
const MANY_ARGUMENTS: &str = "more than 254 arguments";

/// Compiles a method.
///
/// # Errors
/// If it assigns to what is no variable, or is too large.
pub fn compile_method(method: &MethodDef, context: &MethodContext) -> Generated<Compiled> {
    let analysis = analyze(method, &context.assumptions);
    let mut compiled = Codegen::new(method, context, &analysis, 0, false, &[]).method()?;
    recognize_trivial(method, context, &mut compiled);
    Ok(compiled)
}

/// Compiles the generic version of a function of a method: the method's own (scope 0) or a block's.
///
/// # Errors
/// As [`compile_method`]: if the generic version is too large where the other was not.
pub fn compile_generic(method: &MethodDef, context: &MethodContext, scope: ScopeId) -> Generated<Compiled> {
    let analysis = analyze(method, &context.assumptions);
    match find_block(method, scope) {
        None => Codegen::new(method, context, &analysis, 0, true, &[]).method(),
        Some(block) => generic_block(method, context, &analysis, &block),
    }
}

/// A block's generic version: compiled twice, because what cells it needs shows while compiling.
pub(super) fn generic_block(
    method: &MethodDef,
    context: &MethodContext,
    analysis: &Analysis,
    block: &BlockDef,
) -> Generated<Compiled> {
    let scope = block.id + 1;
    let first = Codegen::new(method, context, analysis, scope, true, &[]).block(block)?;
    let imported: Vec<VariableId> =
        first.cells.into_iter().filter(|variable| !declared_within(analysis, *variable, scope)).collect();
    Codegen::new(method, context, analysis, scope, true, &imported).block(block)
}

fn declared_within(analysis: &Analysis, variable: VariableId, scope: ScopeId) -> bool {
    let mut at = analysis.scopes.iter().position(|candidate| candidate.variables.contains(&variable));
    while let Some(id) = at {
        if id == scope {
            return true;
        }
        at = analysis.scopes[id].parent;
    }
    false
}

fn find_block(method: &MethodDef, scope: ScopeId) -> Option<Rc<BlockDef>> {
    fn in_body(body: &Body, id: usize) -> Option<Rc<BlockDef>> {
        body.statements.iter().find_map(|statement| match statement {
            Statement::Expression(value) | Statement::Return(value, _) => in_expression(value, id),
        })
    }
    fn in_expression(expression: &Expression, id: usize) -> Option<Rc<BlockDef>> {
        match expression {
            Expression::Block(block) if block.id == id => Some(block.clone()),
            Expression::Block(block) => in_body(&block.body, id),
            Expression::Assignment(_, value) => in_expression(value, id),
            Expression::Send(send) => in_expression(&send.receiver, id)
                .or_else(|| send.arguments.iter().find_map(|argument| in_expression(argument, id))),
            Expression::Literal(_) | Expression::Variable(..) | Expression::Super(_) => None,
        }
    }
    in_body(method.body.as_ref()?, scope.checked_sub(1)?)
}

fn special_value(name: &str) -> Option<value::Value> {
    match name {
        "nil" => Some(value::NIL),
        "true" => Some(value::TRUE),
        "false" => Some(value::FALSE),
        _ => None,
    }
}

/// Methods that only access a field or answer a constant get a kind of their own: calls of them need no frame.
fn recognize_trivial(method: &MethodDef, context: &MethodContext, compiled: &mut Compiled) {
    let Some(body) = &method.body else { return };
    let field = |name: &str| {
        let hidden = method.arguments.iter().chain(&body.locals).any(|local| &**local == name);
        if hidden {
            return None;
        }
        context.fields.iter().rposition(|field| &**field == name)
    };
    match body.statements.as_slice() {
        [] => compiled.kind = kind::SELF,
        [Statement::Return(Expression::Variable(name, _), _)] => {
            if &**name == "self" {
                compiled.kind = kind::SELF;
            } else if let Some(special) = special_value(name)
                && !method.arguments.iter().chain(&body.locals).any(|local| local == name)
                && !context.fields.contains(name)
            {
                compiled.kind = kind::CONSTANT;
                compiled.constants = vec![Constant::Special(special)];
            } else if let Some(index) = field(name) {
                compiled.kind = if context.class_side { kind::CLASS_GETTER } else { kind::GETTER };
                compiled.field = index;
            }
        }
        [Statement::Return(Expression::Literal(literal), _)] => {
            compiled.kind = kind::CONSTANT;
            compiled.constants = vec![Constant::Literal(literal.clone())];
        }
        [Statement::Expression(Expression::Assignment(targets, value)), rest @ ..] => {
            let returns_self = match rest {
                [] => true,
                [Statement::Return(Expression::Variable(name, _), _)] => &**name == "self",
                _ => false,
            };
            if let ([(target, _)], Expression::Variable(name, _), [argument]) =
                (targets.as_slice(), &**value, method.arguments.as_slice())
                && returns_self
                && !context.class_side
                && name == argument
                && let Some(index) = field(target)
            {
                compiled.kind = kind::SETTER;
                compiled.field = index;
            }
        }
        _ => {}
    }
}

/// A fallback whose code is still to be written.
pub(super) struct Pending {
    pub(super) number: usize,
    pub(super) depth: usize,
    pub(super) scope: ScopeId,
    pub(super) blocks: Vec<Rc<BlockDef>>,
    pub(super) selector: Rc<str>,
    pub(super) arguments: usize,
    pub(super) want: bool,
    pub(super) join: usize,
    pub(super) pos: Pos,
}

pub(super) struct Codegen<'a> {
    pub(super) method: &'a MethodDef,
    pub(super) context: &'a MethodContext,
    pub(super) analysis: &'a Analysis,
    /// The scope whose frame this is.
    pub(super) root: ScopeId,
    /// Whether this is the generic version.
    pub(super) generic: bool,
    given_cells: &'a [VariableId],
    pub(super) code: Vec<u64>,
    constants: Vec<Constant>,
    names: HashMap<(bool, Rc<str>), usize>,
    sites: usize,
    pub(super) slots: HashMap<SlotKey, usize>,
    next_slot: usize,
    pub(super) depth: usize,
    max_depth: usize,
    lines: Vec<(u32, u32)>,
    pub(super) fallbacks: Vec<(usize, usize)>,
    pub(super) pending: Vec<Pending>,
    cells: Vec<VariableId>,
    body_begin: usize,
    overflow: Option<&'static str>,
}

impl<'a> Codegen<'a> {
    fn new(
        method: &'a MethodDef,
        context: &'a MethodContext,
        analysis: &'a Analysis,
        root: ScopeId,
        generic: bool,
        given_cells: &'a [VariableId],
    ) -> Codegen<'a> {
        Codegen {
            method,
            context,
            analysis,
            root,
            generic,
            given_cells,
            code: Vec::new(),
            constants: Vec::new(),
            names: HashMap::new(),
            sites: 0,
            slots: HashMap::new(),
            next_slot: 0,
            depth: 0,
            max_depth: 0,
            lines: Vec::new(),
            fallbacks: Vec::new(),
            pending: Vec::new(),
            cells: Vec::new(),
            body_begin: 0,
            overflow: None,
        }
    }

    fn method(mut self) -> Generated<Compiled> {
        self.enter_function(&self.method.arguments.clone());
        let has_home = if self.generic { self.analysis.block_returns } else { self.analysis.needs_home };
        if has_home {
            let slot = self.slot(SlotKey::Home, 1);
            self.emit(bc::NEW_HOME, 0, slot, 0);
        }
        self.enter_scope(0);
        self.body_begin = self.code.len();
        if let Some(body) = &self.method.body
            && !self.statements(0, body, false)?
        {
            self.emit(if has_home { bc::RETURN_SELF_HOME } else { bc::RETURN_SELF }, 0, 0, 0);
        }
        self.finish()
    }

    fn block(mut self, block: &BlockDef) -> Generated<Compiled> {
        self.enter_function(&block.arguments);
        self.slot(SlotKey::Block, 2);
        if !self.given_cells.is_empty() {
            let first = self.next_slot;
            for variable in self.given_cells {
                self.slot(SlotKey::Variable(*variable), 1);
                self.cells.push(*variable);
            }
            self.emit(bc::LOAD_CELLS, 0, first, 0);
        }
        self.enter_scope(self.root);
        self.body_begin = self.code.len();
        if !self.statements(self.root, &block.body, true)? {
            self.emit(bc::RETURN, 0, 0, 0);
        }
        self.finish()
    }

    fn enter_function(&mut self, arguments: &[Rc<str>]) {
        self.next_slot = arguments.len() + 1;
        let scope = &self.analysis.scopes[self.root];
        for (index, variable) in scope.variables[..scope.arguments].iter().enumerate() {
            self.slots.insert(SlotKey::Variable(*variable), index + 1);
        }
    }

    fn finish(mut self) -> Generated<Compiled> {
        self.write_fallbacks()?;
        let arguments = self.analysis.scopes[self.root].arguments;
        let checks = [
            (self.next_slot + self.max_depth, LIMIT, MANY_VARIABLES),
            (self.sites, LIMIT, "more than 65,535 sends"),
            (self.constants.len(), LIMIT, MANY_LITERALS),
            (self.fallbacks.len(), LIMIT, "more than 65,535 control structures"),
            (arguments, MOST_ARGUMENTS, MANY_ARGUMENTS),
        ];
        let exceeded = checks.iter().find(|(count, limit, _)| count > limit).map(|check| check.2);
        if let Some(reason) = self.overflow.or(exceeded) {
            let what = if self.root != 0 { "a block in the method" } else { "the method" };
            return Err(SyntaxError {
                pos: self.method.pos,
                message: format!("{what} {} has {reason}: split it into several", shortened(&self.method.selector)),
            });
        }
        improve(&mut self.code);
        let is_block = self.root != 0;
        let home_slot =
            if is_block { self.slots[&SlotKey::Block] } else { self.slots.get(&SlotKey::Home).copied().unwrap_or(0) };
        Ok(Compiled {
            signature: self.method.selector.clone(),
            scope: self.root,
            kind: kind::CODE,
            field: 0,
            arguments,
            is_block,
            code: self.code,
            constants: self.constants,
            sites: self.sites,
            stack_begin: self.next_slot,
            stack_depth: self.max_depth,
            home_slot,
            body_begin: self.body_begin,
            lines: self.lines,
            fallbacks: if self.generic { self.fallbacks } else { Vec::new() },
            slots: self.slots,
            cells: self.cells,
            imported: self.given_cells.to_vec(),
        })
    }

    // Emitting.

    pub(super) fn emit(&mut self, op: u64, a: usize, b: usize, c: usize) {
        if a > u8::MAX as usize {
            self.overflow = Some("a message with more than 255 arguments");
        }
        if b > LIMIT || c > u32::MAX as usize {
            self.overflow = Some("more than 65,535 variables, sends or literals");
        }
        self.code.push(word(op, a as u8, b as u16, c as u32));
    }

    /// Emits a jump forward; [`Codegen::bind`] says where to.
    pub(super) fn jump(&mut self, op: u64, b: usize) -> usize {
        self.fuse_comparison(op);
        self.emit(op, 0, b, 0);
        self.code.len() - 1
    }

    /// The jump goes to here.
    pub(super) fn bind(&mut self, jump: usize) {
        let target = self.code.len() as u64;
        self.code[jump] = (self.code[jump] & 0xFFFF_FFFF) | target << 32;
    }

    /// A comparison just before a jump on its result becomes one that jumps itself.
    pub(super) fn fuse_comparison(&mut self, jump: u64) {
        let fusable = (bc::JUMP_IF_FALSE..=bc::LOOP_IF_FALSE).contains(&jump);
        if let Some(last) = self.code.last_mut()
            && fusable
            && (bc::LT..=bc::IDENTICAL).contains(&bc::op(*last))
        {
            *last = *last - bc::op(*last) + (bc::op(*last) - bc::LT + bc::LT_JUMP);
        }
    }

    pub(super) fn push(&mut self, count: usize) {
        self.depth += count;
        self.max_depth = self.max_depth.max(self.depth);
    }

    pub(super) fn pop(&mut self, count: usize) {
        self.depth -= count;
    }

    pub(super) fn slot(&mut self, key: SlotKey, count: usize) -> usize {
        if let Some(slot) = self.slots.get(&key) {
            return *slot;
        }
        let slot = self.next_slot;
        self.next_slot += count;
        self.slots.insert(key, slot);
        slot
    }

    fn constant(&mut self, constant: Constant) -> usize {
        self.constants.push(constant);
        self.constants.len() - 1
    }

    fn named(&mut self, is_global: bool, name: &Rc<str>) -> usize {
        if let Some(index) = self.names.get(&(is_global, name.clone())) {
            return *index;
        }
        let index =
            self.constant(if is_global { Constant::Global(name.clone()) } else { Constant::Selector(name.clone()) });
        self.names.insert((is_global, name.clone()), index);
        index
    }

    pub(super) fn selector(&mut self, name: &Rc<str>) -> usize {
        self.named(false, name)
    }

    pub(super) fn site(&mut self) -> usize {
        self.sites += 1;
        self.sites - 1
    }

    pub(super) fn line(&mut self, pos: Pos) {
        let pc = self.code.len() as u32;
        if self.lines.last().is_none_or(|(_, line)| *line != pos.line) {
            self.lines.push((pc, pos.line));
        }
    }

    pub(super) fn special(&mut self, value: value::Value) {
        self.emit(bc::PUSH_SPECIAL, 0, 0, value.bits() as usize);
        self.push(1);
    }

    // Scopes and variables.

    /// What a scope does when it is entered, at each iteration of a loop.
    pub(super) fn enter_scope(&mut self, id: ScopeId) {
        let scope = &self.analysis.scopes[id];
        if scope.captured > 0 {
            let outer = scope.parent.map_or(0, |_| if id == 0 { 0 } else { self.outer_context(id) });
            let slot = self.slot(SlotKey::Context(id), 1);
            if scope.captured > LIMIT || outer > LIMIT {
                self.overflow = Some(MANY_VARIABLES);
            }
            self.emit(bc::NEW_CONTEXT, 0, slot, scope.captured | outer << 16);
        }
        for (position, variable) in scope.variables.iter().enumerate() {
            let is_argument = position < scope.arguments;
            let known = &self.analysis.variables[*variable];
            if known.captured {
                if is_argument && id == self.root {
                    self.emit(bc::PUSH_LOCAL, 0, position + 1, 0);
                    self.push(1);
                    self.store_variable(*variable, id, id);
                }
            } else if self.is_cell(*variable) {
                let slot = self.slot(SlotKey::Variable(*variable), 1);
                self.cells.push(*variable);
                let op = if is_argument && id == self.root { bc::BOX_LOCAL } else { bc::NEW_CELL };
                self.emit(op, 0, slot, 0);
            } else if !is_argument {
                let slot = self.slot(SlotKey::Variable(*variable), 1);
                if scope.in_loop && id != self.root {
                    self.emit(bc::NIL_LOCAL, 0, slot, 0);
                }
            }
        }
    }

    /// Whether a variable that is not captured lives in a cell in this version.
    pub(super) fn is_cell(&self, variable: VariableId) -> bool {
        self.generic && self.analysis.variables[variable].shared
    }

    /// The slot of the innermost context around a scope, or 0.
    fn outer_context(&mut self, scope: ScopeId) -> usize {
        if scope == self.root {
            return self.captured_context();
        }
        match self.analysis.scopes[scope].parent {
            Some(parent) => self.innermost_context(parent),
            None => 0,
        }
    }

    /// The slot of the innermost context of a scope or around it, or 0.
    pub(super) fn innermost_context(&mut self, scope: ScopeId) -> usize {
        let mut at = scope;
        loop {
            if self.analysis.scopes[at].captured > 0 {
                return self.slot(SlotKey::Context(at), 1);
            }
            if at == self.root {
                return self.captured_context();
            }
            match self.analysis.scopes[at].parent {
                Some(parent) => at = parent,
                None => return 0,
            }
        }
    }

    /// The slot of the context that this block closes over, or 0 if nothing around it has one.
    fn captured_context(&self) -> usize {
        if self.root == 0 {
            return 0;
        }
        let mut at = self.analysis.scopes[self.root].parent;
        while let Some(scope) = at {
            if self.analysis.scopes[scope].captured > 0 {
                return self.slots[&SlotKey::Block] + 1;
            }
            at = self.analysis.scopes[scope].parent;
        }
        0
    }

    /// Where the context of a scope is found: a slot, and how many steps out.
    fn path(&mut self, from: ScopeId, to: ScopeId) -> (usize, usize) {
        let mut at = from;
        loop {
            if at == to {
                return (self.slot(SlotKey::Context(to), 1), 0);
            }
            if at == self.root {
                break;
            }
            at = self.analysis.scopes[at].parent.unwrap_or(to);
        }
        let slot = self.slots[&SlotKey::Block] + 1;
        let mut steps = 0;
        at = self.analysis.scopes[at].parent.unwrap_or(to);
        while at != to {
            if self.analysis.scopes[at].captured > 0 {
                steps += 1;
            }
            at = self.analysis.scopes[at].parent.unwrap_or(to);
        }
        (slot, steps)
    }

    /// The slot of a variable of an activation around this one, which moved to a cell.
    fn foreign_cell(&mut self, variable: VariableId) -> usize {
        let slot = self.slot(SlotKey::Variable(variable), 1);
        if !self.cells.contains(&variable) {
            self.cells.push(variable);
        }
        slot
    }

    fn is_within_root(&self, scope: ScopeId) -> bool {
        let mut at = Some(scope);
        while let Some(id) = at {
            if id == self.root {
                return true;
            }
            at = self.analysis.scopes[id].parent;
        }
        false
    }

    fn load_variable(&mut self, variable: VariableId, home: ScopeId, from: ScopeId) {
        if self.analysis.variables[variable].captured {
            let (slot, steps) = self.path(from, home);
            let index = self.analysis.variables[variable].index;
            self.emit(bc::PUSH_CONTEXT, steps, slot, index);
        } else if !self.is_within_root(home) {
            let slot = self.foreign_cell(variable);
            self.emit(bc::PUSH_CELL, 0, slot, 0);
        } else {
            let op = if self.is_cell(variable) { bc::PUSH_CELL } else { bc::PUSH_LOCAL };
            let slot = self.slot(SlotKey::Variable(variable), 1);
            self.emit(op, 0, slot, 0);
        }
        self.push(1);
    }

    pub(super) fn store_variable(&mut self, variable: VariableId, home: ScopeId, from: ScopeId) {
        if self.analysis.variables[variable].captured {
            let (slot, steps) = self.path(from, home);
            let index = self.analysis.variables[variable].index;
            self.emit(bc::STORE_CONTEXT, steps, slot, index);
        } else if !self.is_within_root(home) {
            let slot = self.foreign_cell(variable);
            self.emit(bc::STORE_CELL, 0, slot, 0);
        } else {
            let op = if self.is_cell(variable) { bc::STORE_CELL } else { bc::STORE_LOCAL };
            let slot = self.slot(SlotKey::Variable(variable), 1);
            self.emit(op, 0, slot, 0);
        }
        self.pop(1);
    }

    fn load(&mut self, name: &Rc<str>, scope: ScopeId, pos: Pos) {
        if &**name == "self" {
            self.emit(bc::PUSH_LOCAL, 0, 0, 0);
            self.push(1);
        } else if let Some((variable, home)) = self.analysis.find(name, scope) {
            self.load_variable(variable, home, scope);
        } else if let Some(index) = self.field(name) {
            let op = if self.context.class_side { bc::PUSH_CLASS_FIELD } else { bc::PUSH_FIELD };
            self.emit(op, 0, index, 0);
            self.push(1);
        } else {
            match special_value(name) {
                Some(special) => self.special(special),
                None => {
                    self.line(pos);
                    let index = self.named(true, name);
                    self.emit(bc::PUSH_GLOBAL, 0, 0, index);
                    self.push(1);
                }
            }
        }
    }

    fn field(&self, name: &str) -> Option<usize> {
        self.context.fields.iter().rposition(|field| &**field == name)
    }

    fn store(&mut self, name: &Rc<str>, scope: ScopeId, pos: Pos) -> Generated<()> {
        if let Some((variable, home)) = self.analysis.find(name, scope) {
            self.store_variable(variable, home, scope);
        } else if let Some(index) = self.field(name) {
            let op = if self.context.class_side { bc::STORE_CLASS_FIELD } else { bc::STORE_FIELD };
            self.emit(op, 0, index, 0);
            self.pop(1);
        } else {
            return Err(SyntaxError { pos, message: format!("there is no variable or field '{name}' to assign to") });
        }
        Ok(())
    }

    // Statements and expressions.

    /// Whether control can't go on after the statements. Their value is the last expression's.
    pub(super) fn statements(&mut self, scope: ScopeId, body: &Body, want: bool) -> Generated<bool> {
        let Some((last, before)) = body.statements.split_last() else {
            if want {
                self.special(value::NIL);
            }
            return Ok(false);
        };
        for statement in before {
            if let Statement::Expression(value) = statement {
                self.expression(scope, value, false)?;
            }
        }
        match last {
            Statement::Expression(value) => {
                self.expression(scope, value, want)?;
                Ok(false)
            }
            Statement::Return(value, pos) => {
                self.method_return(scope, value, *pos)?;
                if want {
                    self.push(1);
                }
                Ok(true)
            }
        }
    }

    fn method_return(&mut self, scope: ScopeId, value: &Expression, pos: Pos) -> Generated<()> {
        let has_home = self.slots.contains_key(&SlotKey::Home);
        let is_self = matches!(value, Expression::Variable(name, _) if &**name == "self")
            || matches!(value, Expression::Super(_));
        if is_self && self.root == 0 {
            self.emit(if has_home { bc::RETURN_SELF_HOME } else { bc::RETURN_SELF }, 0, 0, 0);
            return Ok(());
        }
        self.expression(scope, value, true)?;
        let op = if self.root != 0 {
            self.line(pos);
            bc::RETURN_NON_LOCAL
        } else if has_home {
            bc::RETURN_HOME
        } else {
            bc::RETURN
        };
        self.emit(op, 0, 0, 0);
        self.pop(1);
        Ok(())
    }

    /// Computes an expression; its value is pushed if wanted.
    pub(super) fn expression(&mut self, scope: ScopeId, expression: &Expression, want: bool) -> Generated<()> {
        match expression {
            Expression::Literal(literal) => {
                if want {
                    self.literal(literal);
                }
            }
            Expression::Variable(name, pos) => {
                self.load(name, scope, *pos);
                if !want {
                    self.drop_top();
                }
            }
            Expression::Super(pos) => self.load(&"self".into(), scope, *pos),
            Expression::Assignment(targets, value) => {
                self.expression(scope, value, true)?;
                for (position, (name, pos)) in targets.iter().enumerate().rev() {
                    if position > 0 || want {
                        self.emit(bc::DUP, 0, 0, 0);
                        self.push(1);
                    }
                    self.store(name, scope, *pos)?;
                }
            }
            Expression::Block(block) => {
                if want {
                    self.real_block(scope, block)?;
                }
            }
            Expression::Send(send) => match structure(send, &self.context.assumptions) {
                Some(structure) => self.structure(structure, scope, send, want)?,
                None => {
                    self.send(scope, send)?;
                    if !want {
                        self.drop_top();
                    }
                }
            },
        }
        Ok(())
    }

    pub(super) fn drop_top(&mut self) {
        self.emit(bc::POP, 0, 0, 0);
        self.pop(1);
    }

    fn literal(&mut self, literal: &Literal) {
        let small = match literal {
            Literal::Integer(integer) => integer.to_i32(),
            _ => None,
        };
        match small {
            Some(integer) => self.emit(bc::PUSH_INT, 0, 0, integer as u32 as usize),
            None => {
                let index = self.constant(Constant::Literal(literal.clone()));
                self.emit(bc::PUSH_CONST, 0, 0, index);
            }
        }
        self.push(1);
    }

    /// Makes a block object.
    fn real_block(&mut self, scope: ScopeId, block: &Rc<BlockDef>) -> Generated<()> {
        let id = block.id + 1;
        let compiled = Codegen::new(self.method, self.context, self.analysis, id, false, &[]).block(block)?;
        let context = self.innermost_context(scope);
        let index = self.constant(Constant::Block(Box::new(compiled)));
        let returns = self.analysis.scopes[id].returns as usize;
        self.emit(bc::PUSH_BLOCK, returns, context, index);
        self.push(1);
        Ok(())
    }

    /// Makes an inlined block a real one, which shares this activation's cells. Only in the generic version.
    pub(super) fn materialize(&mut self, scope: ScopeId, block: &Rc<BlockDef>) -> Generated<()> {
        let compiled = generic_block(self.method, self.context, self.analysis, block)?;
        let imported = compiled.imported.clone();
        for variable in &imported {
            let slot = self.foreign_cell(*variable);
            self.emit(bc::PUSH_LOCAL, 0, slot, 0);
            self.push(1);
        }
        let context = self.innermost_context(scope);
        let index = self.constant(Constant::Block(Box::new(compiled)));
        let returns = self.analysis.scopes[block.id + 1].returns as usize;
        if index > LIMIT || imported.len() > LIMIT {
            self.overflow = Some(MANY_LITERALS);
        }
        self.emit(bc::PUSH_BLOCK_CELLS, returns, context, index | imported.len() << 16);
        self.pop(imported.len());
        self.push(1);
        Ok(())
    }

    /// A send that is not inlined.
    fn send(&mut self, scope: ScopeId, send: &Send) -> Generated<()> {
        let is_super = matches!(send.receiver, Expression::Super(_));
        if !is_super && let Some(()) = self.operator(scope, send)? {
            return Ok(());
        }
        self.expression(scope, &send.receiver, true)?;
        for argument in &send.arguments {
            self.expression(scope, argument, true)?;
        }
        let count = send.arguments.len();
        self.line(send.pos);
        let site = self.site();
        if is_super {
            let index = self.constant(Constant::Selector(send.selector.clone()));
            self.constant(Constant::Superclass);
            self.emit(bc::SUPER_SEND, count, site, index);
        } else if self.context.assumptions.restart && &*send.selector == "restart" {
            let index = self.selector(&send.selector);
            self.emit(bc::SEND_RESTART, 0, site, index);
        } else {
            let index = self.selector(&send.selector);
            self.emit(bc::SEND, count, site, index);
        }
        self.pop(count + 1);
        self.push(1);
        Ok(())
    }

    /// A send with an instruction of its own.
    fn operator(&mut self, scope: ScopeId, send: &Send) -> Generated<Option<()>> {
        let assumptions = &self.context.assumptions;
        let known = |name: &str| assumptions.operators.contains(&name);
        let op = match &*send.selector {
            "+" if known("+") => bc::ADD,
            "-" if known("-") => bc::SUB,
            "*" if known("*") => bc::MUL,
            "<" if known("<") => bc::LT,
            "<=" if known("<=") => bc::LE,
            ">" if known(">") => bc::GT,
            ">=" if known(">=") => bc::GE,
            "=" if known("=") => bc::EQ,
            "<>" if known("<>") => bc::NE,
            "~=" if known("~=") => bc::NE,
            "==" if known("==") => bc::IDENTICAL,
            "not" if assumptions.negation => bc::NOT,
            "at:" if assumptions.array_access => bc::AT,
            "at:put:" if assumptions.array_access => bc::AT_PUT,
            _ => return Ok(None),
        };
        self.expression(scope, &send.receiver, true)?;
        let immediate = match (op, send.arguments.first()) {
            (bc::ADD | bc::SUB, Some(Expression::Literal(Literal::Integer(integer)))) => integer.to_i16(),
            _ => None,
        };
        if immediate.is_none() {
            for argument in &send.arguments {
                self.expression(scope, argument, true)?;
            }
        }
        self.line(send.pos);
        let site = self.site();
        let selector = self.selector(&send.selector);
        if let Some(integer) = immediate {
            let op = if op == bc::ADD { bc::ADD_INT } else { bc::SUB_INT };
            // The generic path pushes the integer.
            self.push(1);
            self.pop(1);
            self.emit(op, 0, site, selector | (integer as u16 as usize) << 16);
        } else {
            self.emit(op, 0, site, selector);
            self.pop(send.arguments.len() + 1);
            self.push(1);
        }
        Ok(Some(()))
    }
}

/// A selector as messages show it.
fn shortened(selector: &str) -> String {
    match selector.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &selector[..end]),
        None => selector.to_owned(),
    }
}
