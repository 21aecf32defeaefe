//! What a method's variables need, found before code is generated.
//!
//! A *scope* is the method or one of its blocks (scope 0 is the method, scope `id + 1` the block `id`). A scope
//! whose block is inlined belongs to the *function* around it: it shares its frame. A variable that another
//! function uses is *captured* and lives in the context of its scope; all others are slots of the frame. A
//! slot that an inlined scope within the same function uses is *shared*: should inlining fail, the block becomes
//! real and the variable moves to a cell that both hold (see `codegen`).

use super::inlining::{Assumptions, structure};
use crate::ast::{BlockDef, Body, Expression, MethodDef, Statement};
use std::rc::Rc;

/// Number of a scope.
pub type ScopeId = usize;
/// Number of a variable.
pub type VariableId = usize;

/// A variable: an argument or a local.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: Rc<str>,
    /// Used by another function.
    pub captured: bool,
    /// Used by another scope of its function.
    pub shared: bool,
    /// Assigned to.
    pub assigned: bool,
    /// Index in the context of its scope, if captured.
    pub index: usize,
}

/// A scope.
#[derive(Debug)]
pub struct Scope {
    /// The scope around it.
    pub parent: Option<ScopeId>,
    /// The scope whose frame this one uses.
    pub function: ScopeId,
    /// Whether it is (or is within) the body of a loop of its function.
    pub in_loop: bool,
    /// Its arguments (without `self`), then its locals.
    pub variables: Vec<VariableId>,
    /// How many of them are arguments.
    pub arguments: usize,
    /// How many of them are captured: if any, the scope has a context.
    pub captured: usize,
    /// A return from the method stands in it or in a scope within.
    pub returns: bool,
}

/// The tables about one method.
#[derive(Debug)]
pub struct Analysis {
    /// By number.
    pub scopes: Vec<Scope>,
    /// By number.
    pub variables: Vec<Variable>,
    /// A block that is not inlined returns from the method.
    pub needs_home: bool,
    /// Some block, inlined or not, returns from the method.
    pub block_returns: bool,
}

struct Analyzer<'a> {
    result: Analysis,
    assumptions: &'a Assumptions,
}

/// Analyzes a method.
pub fn analyze(method: &MethodDef, assumptions: &Assumptions) -> Analysis {
    let mut scopes = Vec::with_capacity(method.block_count + 1);
    scopes.resize_with(method.block_count + 1, || Scope {
        parent: None,
        function: 0,
        in_loop: false,
        variables: Vec::new(),
        arguments: 0,
        captured: 0,
        returns: false,
    });
    let mut analyzer = Analyzer {
        result: Analysis { scopes, variables: Vec::new(), needs_home: false, block_returns: false },
        assumptions,
    };
    if let Some(body) = &method.body {
        analyzer.declare(0, &method.arguments, &body.locals);
        analyzer.body(0, body);
    }
    let mut result = analyzer.result;
    for scope in &mut result.scopes {
        for id in &scope.variables {
            let variable = &mut result.variables[*id];
            if variable.captured {
                variable.index = scope.captured;
                scope.captured += 1;
            }
        }
    }
    result
}

impl Analysis {
    /// The variable that a name means in a scope.
    pub fn find(&self, name: &str, scope: ScopeId) -> Option<(VariableId, ScopeId)> {
        let mut at = Some(scope);
        while let Some(id) = at {
            let found = self.scopes[id].variables.iter().find(|variable| *self.variables[**variable].name == *name);
            if let Some(variable) = found {
                return Some((*variable, id));
            }
            at = self.scopes[id].parent;
        }
        None
    }
}

impl Analyzer<'_> {
    fn declare(&mut self, scope: ScopeId, arguments: &[Rc<str>], locals: &[Rc<str>]) {
        for name in arguments.iter().chain(locals) {
            let id = self.result.variables.len();
            self.result.variables.push(Variable {
                name: name.clone(),
                captured: false,
                shared: false,
                assigned: false,
                index: 0,
            });
            self.result.scopes[scope].variables.push(id);
        }
        self.result.scopes[scope].arguments = arguments.len();
    }

    fn body(&mut self, scope: ScopeId, body: &Body) {
        for statement in &body.statements {
            match statement {
                Statement::Expression(value) => self.expression(scope, value),
                Statement::Return(value, _) => {
                    self.expression(scope, value);
                    self.method_return(scope);
                }
            }
        }
    }

    fn method_return(&mut self, scope: ScopeId) {
        if scope != 0 {
            self.result.block_returns = true;
        }
        if self.result.scopes[scope].function != 0 {
            self.result.needs_home = true;
        }
        let mut at = Some(scope);
        while let Some(id) = at {
            self.result.scopes[id].returns = true;
            at = self.result.scopes[id].parent;
        }
    }

    fn variable(&mut self, scope: ScopeId, name: &str, assigned: bool) {
        if let Some((variable, home)) = self.result.find(name, scope) {
            let same_function = self.result.scopes[home].function == self.result.scopes[scope].function;
            let variable = &mut self.result.variables[variable];
            variable.captured |= !same_function;
            variable.shared |= same_function && home != scope;
            variable.assigned |= assigned;
        }
    }

    fn expression(&mut self, scope: ScopeId, expression: &Expression) {
        match expression {
            Expression::Literal(_) | Expression::Super(_) => {}
            Expression::Variable(name, _) => self.variable(scope, name, false),
            Expression::Assignment(targets, value) => {
                self.expression(scope, value);
                for (name, _) in targets {
                    self.variable(scope, name, true);
                }
            }
            Expression::Block(block) => self.block(scope, block, None),
            Expression::Send(send) => {
                let structure = structure(send, self.assumptions);
                let operands = std::iter::once(&send.receiver).chain(&send.arguments);
                for (index, operand) in operands.enumerate() {
                    let inlined = structure.filter(|structure| structure.inlines_operand(index));
                    match (operand, inlined) {
                        (Expression::Block(block), Some(structure)) => {
                            self.block(scope, block, Some(structure.is_loop()));
                        }
                        _ => self.expression(scope, operand),
                    }
                }
            }
        }
    }

    /// `inlined`: whether it is inlined, and if so, whether into a loop.
    fn block(&mut self, parent: ScopeId, block: &BlockDef, inlined: Option<bool>) {
        let scope = block.id + 1;
        let outer = &self.result.scopes[parent];
        let (function, in_loop) = match inlined {
            Some(in_loop) => (outer.function, in_loop || outer.in_loop),
            None => (scope, false),
        };
        self.result.scopes[scope].parent = Some(parent);
        self.result.scopes[scope].function = function;
        self.result.scopes[scope].in_loop = in_loop;
        self.declare(scope, &block.arguments, &block.body.locals);
        self.body(scope, &block.body);
    }
}
