//! Pure operations: folding, algebra, merging.

use super::Optimizer;
use super::range::Range;
use super::range::transfer;
use super::value::{Key, Val};
use crate::ir::{Arg, Aux, Inst, Op, fold};

impl Optimizer<'_> {
    /// The value of a pure operation (or of a load that never changes).
    pub(super) fn pure(&mut self, op: Op, args: [Val; 2]) -> Val {
        let args = args.map(|arg| self.resolve(arg));
        let arity = op.info().operands.len();
        if self.options.fold
            && let (Some(a), Some(b)) = (args[0].as_const(), args[1].as_const())
            && let Some(bits) = fold(op, &[a, b][..arity])
        {
            return Val::Const(bits);
        }
        let args = args.map(|arg| self.real(arg));
        let key = Key {
            op,
            aux: 0,
            args,
            more: Vec::new(),
        };
        if self.options.cse
            && let Some(value) = self.available.get(&key)
        {
            return self.resolve(value);
        }
        let inst = Inst {
            op,
            args: [self.force(args[0]), self.force(args[1]), Arg::Const(0)],
            aux: Aux::None,
        };
        let range = transfer(op, args.map(|arg| self.range(arg)));
        let value = Val::Op(self.emit(inst, range));
        if self.options.cse {
            self.available.insert(key, value);
        }
        value
    }

    /// Notes the value of an operation with one operand.
    pub(super) fn remember_pure(&mut self, op: Op, arg: Val, value: Val) {
        self.available.insert(
            Key {
                op,
                aux: 0,
                args: [arg, Val::Const(0)],
                more: Vec::new(),
            },
            value,
        );
    }

    /// What is known of a value.
    pub(super) fn range(&self, val: Val) -> Range {
        match val {
            Val::Const(bits) => Range::exactly(bits),
            Val::Op(op) => self.facts.get(op),
            Val::Virtual(_) => super::virtuals::address_range(),
        }
    }
}
