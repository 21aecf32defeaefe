//! Compiling without a VM.

use som::compiler::inlining::Assumptions;
use som::compiler::{MethodContext, compile_generic, compile_method};
use som::lexer::SyntaxError;
use som::parser::parse_class;
use std::rc::Rc;

/// Parses and compiles a class, all versions of its methods.
pub(crate) fn compile(source: &str) -> Result<(), SyntaxError> {
    let class = parse_class(source)?;
    for side in [&class.instance, &class.class] {
        let assumptions = Assumptions {
            structures: [true; som::compiler::inlining::STRUCTURES],
            operators: vec!["+", "-", "*", "<", "<=", ">", ">=", "=", "<>", "~=", "=="],
            array_access: true,
            negation: true,
            restart: true,
        };
        let context = MethodContext {
            fields: side.fields.iter().map(|(name, _)| name.clone()).collect(),
            class_side: false,
            assumptions: Rc::new(assumptions),
        };
        for method in side.methods.iter().filter(|method| method.body.is_some()) {
            compile_method(method, &context)?;
            for scope in 0..=method.block_count {
                compile_generic(method, &context, scope)?;
            }
        }
    }
    Ok(())
}
