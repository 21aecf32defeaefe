//! The algebraic rules.
//!
//! **Problem.** See [`super::fold`]. What matters here is that the list can be read, and that each rule can be tested alone.
//!
//! **Approach.** A [`Rule`] has a name, the operations it is for and a function that either answers with a simpler value or
//! declines. Preconditions stand beside each rule; operands come in canonical form, constants on the right. Families:
//! identities, sums and their offsets, bits, shifts, extensions, comparisons, booleans, division, floats.
//!
//! **Offsets.** Boxing adds a large constant (an encoding's offset), arithmetic a small one. `(x + small) + large` stays as it
//! is, since the inner sum is the payload that range tests and loops want; everything else is merged into one offset.
//!
//! **Rejected.** A pattern language with an interpreter of its own (the rules need ranges, definitions and arithmetic on
//! constants, which Rust expresses best), and a rewriting engine over an e-graph (compile time).

use super::Optimizer;
use super::fold::{NONE, is_comparison};
use super::range::{NUMBERS, Range, exact_signed, extension_of};
use super::value::{Key, Val};
use super::virtuals::Entry;
use crate::ir::Op;
use std::sync::OnceLock;

type Apply = fn(&mut Optimizer<'_>, Op, [Val; 2]) -> Option<Val>;

/// A rule: see the module.
pub(super) struct Rule {
    /// What it is called.
    #[allow(dead_code, reason = "names are for readers")]
    pub(super) name: &'static str,
    ops: &'static [Op],
    /// Applies it.
    pub(super) apply: Apply,
}

macro_rules! rules {
    ($($name:literal [$($op:ident)*] $apply:expr;)*) => {
        &[$(Rule { name: $name, ops: &[$(Op::$op),*], apply: $apply }),*]
    };
}

/// All rules, in the order they are tried.
pub(super) static RULES: &[Rule] = rules! {
    // Identities: x + 0, x * 1, x & -1, x | 0, x ^ 0, x << 0, x / 1 and the like are x.
    "neutral" [Add Sub Mul And Or Xor Shl Shr Ushr Rotl Div Udiv] neutral;
    // x * 0, x & 0, x | -1, x % 1.
    "absorbing" [Mul And Or Rem Urem MulOvf UmulOvf] absorbing;
    // x - x, x & x, x == x, x < x.
    "same operands" [Sub And Or Xor Eq Ne Lt Le Ult Ule] same_operands;

    // Sums. See "Offsets" above.
    "offsets" [Add] offsets;
    // (x + y) - y, (x + a) - (x + b), x - (x - y).
    "difference of sums" [Sub] difference_of_sums;
    // (x - y) + y.
    "sum of difference" [Add] sum_of_difference;

    // (x + a) + (y - a).
    "cancelling offsets" [Add] cancelling_offsets;
    // x | a where x has none of a's bits: a sum, whose offset merges with others.
    "disjoint bits" [Or] disjoint_bits;

    // (x >> k) * (c << k), where the bits that are shifted out are known: a multiple of x and a constant.
    "unscaled" [Mul] unscaled;
    // Whether x * c overflows: whether x is out of bounds.
    "overflow of a multiple" [MulOvf] overflow_of_a_multiple;

    // (x op a) op b with constants.
    "bits of bits" [And Or Xor] bits_of_bits;
    // A mask that changes nothing, bits that are set already.
    "idle mask" [And Or] idle_mask;
    // (x | a) & m, and (x + a) & m where that is the same, where a and m share no bits.
    "masked out" [And] masked_out;

    // (x << k) >> k where nothing was lost; (x | low) >> k.
    "shift back" [Shr Ushr] shift_back;
    // (x >> k) << k; ((x >> k) op (y >> k)) << k, ((x >> k) op a) << k with op among and, or, xor.
    "shift forth" [Shl] shift_forth;

    // An extension of what fits already, or of what a wider one or a mask has left.
    "extension" [Sext8 Sext16 Sext32 Zext8 Zext16 Zext32] extension;

    // A virtual object is no other object and no constant.
    "identity of a virtual" [Eq Ne] virtual_identity;
    // x % 2^k == 0: only the low bits matter; (x >> k) & a == 0: no need to shift.
    "test of bits" [Eq Ne] test_of_bits;
    // b == 0 where b is the result of a comparison: the inverse comparison; b == 1: b itself.
    "test of a boolean" [Eq Ne] test_of_boolean;
    // b ^ 1 where b is a boolean.
    "negation" [Xor] negation;
    // x + a == b, x ^ a == b, x + a == y + a, x - y == 0;
    // x << k == a where nothing is lost.
    "equation" [Eq Ne] equation;
    // x + a < y + b where nothing wraps.
    "order of sums" [Lt Le] order_of_sums;
    // x <= c is x < c + 1; c <= x is c - 1 < x.
    "strict order" [Le Ule] strict_order;
    // Unsigned order of what is not negative.
    "signed order" [Ult Ule] signed_order;
    // int_to_float on both sides of a comparison, where exact.
    "order of converted" [Flt Fle Feq Fne] order_of_converted;

    // x == x where x is never NaN.
    "number" [Feq Fne] number;

    // Division of what is not negative by a power of two.
    "power of two" [Div Rem Udiv Urem] power_of_two;

    // float_bits of bits_float and the reverse; float_to_int of int_to_float, where exact.
    "round trip" [FloatBits BitsFloat FloatToInt] round_trip;
    // -(-x), |-x|, ||x||.
    "sign" [Fneg Fabs] sign;

    // The length and shape of a virtual object.
    "header of a virtual" [Len ShapeOf] virtual_header;
};

/// The rules for an operation.
pub(super) fn of(op: Op) -> &'static [&'static Rule] {
    static INDEX: OnceLock<Vec<Vec<&'static Rule>>> = OnceLock::new();
    let index = INDEX
        .get_or_init(|| Op::ALL.iter().map(|op| RULES.iter().filter(|rule| rule.ops.contains(op)).collect()).collect());
    &index[op as usize]
}

fn bool_val(yes: bool) -> Option<Val> {
    Some(Val::Const(yes.into()))
}

fn neutral(_: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let neutral = match op {
        Op::Mul | Op::Div | Op::Udiv => 1,
        Op::And => u64::MAX,
        Op::Shl | Op::Shr | Op::Ushr | Op::Rotl => return (y.as_const()? & 63 == 0).then_some(x),
        _ => 0,
    };
    (y == Val::Const(neutral)).then_some(x)
}

fn absorbing(_: &mut Optimizer<'_>, op: Op, [_, y]: [Val; 2]) -> Option<Val> {
    match (op, y.as_const()?) {
        (Op::Mul | Op::And | Op::MulOvf | Op::UmulOvf, 0) => Some(Val::Const(0)),
        (Op::Rem | Op::Urem | Op::MulOvf | Op::UmulOvf, 1) => Some(Val::Const(0)),
        (Op::Or, u64::MAX) => Some(y),
        _ => None,
    }
}

fn same_operands(_: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if x != y {
        return None;
    }
    match op {
        Op::And | Op::Or => Some(x),
        Op::Eq | Op::Le | Op::Ule => bool_val(true),
        _ => Some(Val::Const(0)),
    }
}

/// A constant of an encoding rather than of a program's arithmetic.
pub(super) fn is_large(offset: u64) -> bool {
    (offset as i64).unsigned_abs() >= 1 << 40
}

/// A value as the end of a chain of added constants, and their sum.
pub(super) fn base_and_offset(o: &Optimizer<'_>, mut val: Val) -> (Val, u64) {
    let mut offset = 0u64;
    while let Some((Op::Add, [x, Val::Const(c)])) = o.definition(val) {
        offset = offset.wrapping_add(c);
        val = x;
    }
    (val, offset)
}

fn offsets(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let c = y.as_const()?;
    let Some((Op::Add, [inner, Val::Const(first)])) = o.definition(x) else {
        return None;
    };
    let sum = first.wrapping_add(c);
    (is_large(first) == is_large(c) || sum == 0).then(|| o.pure(Op::Add, [inner, Val::Const(sum)]))
}

fn difference_of_sums(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let ((a, m), (b, n)) = (base_and_offset(o, x), base_and_offset(o, y));
    if a == b {
        return Some(Val::Const(m.wrapping_sub(n)));
    }
    if let Some((Op::Add, [p, q])) = o.definition(x) {
        if p == y {
            return Some(q);
        }
        if q == y {
            return Some(p);
        }
    }
    match o.definition(y) {
        Some((Op::Sub, [p, q])) if p == x => Some(q),
        _ => None,
    }
}

fn sum_of_difference(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    [(x, y), (y, x)].into_iter().find_map(|(difference, other)| match o.definition(difference) {
        Some((Op::Sub, [p, q])) if q == other => Some(p),
        _ => None,
    })
}

fn cancelling_offsets(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let (Some((Op::Add, [p, Val::Const(a)])), Some((Op::Add, [q, Val::Const(b)]))) = (o.definition(x), o.definition(y))
    else {
        return None;
    };
    // Where somebody asks whether the sum overflows, the backend gets both from one instruction.
    let key = Key { op: Op::AddOvf, aux: 0, args: [x, y], more: Vec::new() };
    (a.wrapping_add(b) == 0 && o.available.get(&key).is_none()).then(|| o.pure(Op::Add, [p, q]))
}

fn disjoint_bits(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let bits = y.as_const()?;
    (o.options.ranges && bits & !o.range(x).zeros == 0).then(|| o.pure(Op::Add, [x, y]))
}

fn unscaled(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let c = y.as_const()? as i64;
    let (Op::Shr | Op::Ushr, [p, Val::Const(k)]) = o.definition(x)? else { return None };
    let (k, range) = ((k & 63) as u32, o.range(p));
    let low = (1u64 << k) - 1;
    if !o.options.ranges || c.trailing_zeros() < k || low & !(range.zeros | range.ones) != 0 {
        return None;
    }
    let factor = c >> k;
    let multiple = o.pure(op, [p, Val::Const(factor as u64)]);
    let rest = (range.ones & low).wrapping_mul(factor as u64).wrapping_neg();
    Some(o.pure(Op::Add, [multiple, Val::Const(rest)]))
}

fn overflow_of_a_multiple(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let (low, high) = match y.as_const()? as i64 {
        -1..=1 => return None,
        c if c > 0 => (i64::MIN / c, i64::MAX / c),
        c => (i64::MAX / c, i64::MIN / c),
    };
    if !o.options.ranges {
        return None;
    }
    let range = o.range(x);
    let (low_bits, high_bits) = (Val::Const(low as u64), Val::Const(high as u64));
    Some(if range.smin >= low {
        o.pure(Op::Lt, [high_bits, x])
    } else if range.smax <= high {
        o.pure(Op::Lt, [x, low_bits])
    } else {
        let above = o.pure(Op::Sub, [x, low_bits]);
        o.pure(Op::Ult, [Val::Const((high as u64).wrapping_sub(low as u64)), above])
    })
}

fn bits_of_bits(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let b = y.as_const()?;
    match o.definition(x) {
        Some((inner, [p, Val::Const(a)])) if inner == op => {
            let both = match op {
                Op::And => a & b,
                Op::Or => a | b,
                _ => a ^ b,
            };
            Some(o.pure(op, [p, Val::Const(both)]))
        }
        _ => None,
    }
}

fn idle_mask(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let mask = y.as_const()?;
    let range = o.range(x);
    let idle = if op == Op::And { !mask & !range.zeros == 0 } else { mask & !range.ones == 0 };
    (idle && o.options.ranges).then_some(x)
}

fn masked_out(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let mask = y.as_const()?;
    match o.definition(x) {
        Some((Op::Or | Op::Xor, [p, Val::Const(bits)])) if bits & mask == 0 => Some(o.pure(op, [p, y])),
        Some((Op::Add, [p, Val::Const(bits)])) if bits & mask == 0 && bits & !o.zeros(p) == 0 => {
            Some(o.pure(op, [p, y]))
        }
        _ => None,
    }
}

fn shift_back(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let k = (y.as_const()? & 63) as u32;
    let low = (1u64 << k) - 1;
    match o.definition(x)? {
        (Op::Shl, [p, Val::Const(amount)]) if (amount & 63) as u32 == k && o.options.ranges => {
            let range = o.range(p);
            let kept = match op {
                Op::Ushr => range.umax.leading_zeros() >= k,
                _ => (range.smin << k) >> k == range.smin && (range.smax << k) >> k == range.smax,
            };
            kept.then_some(p)
        }
        (Op::Or, [p, Val::Const(bits)]) if bits & !low == 0 => Some(o.pure(op, [p, y])),
        (Op::Add, [p, Val::Const(bits)]) if bits & !low == 0 && low & !o.zeros(p) == 0 => Some(o.pure(op, [p, y])),
        _ => None,
    }
}

fn shift_forth(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let k = y.as_const()? & 63;
    let high = Val::Const(!((1u64 << k) - 1));
    // What was shifted right by as much, before it was.
    let unshifted = |o: &Optimizer<'_>, val: Val| match (val, o.definition(val)) {
        (Val::Const(c), _) => Some(Val::Const(c << k)),
        (_, Some((Op::Shr | Op::Ushr, [p, Val::Const(amount)]))) if amount & 63 == k => Some(p),
        _ => None,
    };
    if let Some(p) = unshifted(o, x) {
        return Some(o.pure(Op::And, [p, high]));
    }
    let (op @ (Op::And | Op::Or | Op::Xor), [p, q]) = o.definition(x)? else { return None };
    let args = [unshifted(o, p)?, unshifted(o, q)?];
    let bits = o.pure(op, args);
    Some(o.pure(Op::And, [bits, high]))
}

fn extension(o: &mut Optimizer<'_>, op: Op, [x, _]: [Val; 2]) -> Option<Val> {
    let (signed, width) = extension_of(op)?;
    let range = o.range(x);
    let half = 1i64 << (width - 1);
    let fits = if signed { range.smin >= -half && range.smax < half } else { range.umax >> width == 0 };
    if fits && o.options.ranges {
        return Some(x);
    }
    let (inner, [p, q]) = o.definition(x)?;
    let same_low_bits = match (extension_of(inner), q) {
        (Some((_, inner)), _) => inner >= width,
        (None, Val::Const(mask)) if inner == Op::And => mask | !((1u64 << width) - 1) == u64::MAX,
        _ => false,
    };
    same_low_bits.then(|| o.pure(op, [p, NONE]))
}

fn virtual_identity(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let is_object = |val: Val| match val {
        Val::Virtual(id) => matches!(o.state.virtuals.entry(id), Entry::Object(_)),
        _ => false,
    };
    let known = |val: Val| is_object(val) || !matches!(val, Val::Virtual(_));
    if (is_object(x) && known(y) || is_object(y) && known(x)) && x != y { bool_val(op == Op::Ne) } else { None }
}

fn is_bool(o: &Optimizer<'_>, val: Val) -> bool {
    o.definition(val).is_some_and(|(op, _)| is_comparison(op))
        || (o.options.ranges && Range::BOOL.includes(&o.range(val)))
}

/// The comparison that holds where the given boolean does not, if it is simple.
fn inverse(o: &mut Optimizer<'_>, val: Val) -> Option<Val> {
    let (op, [x, y]) = o.definition(val)?;
    let (op, args) = match op {
        Op::Eq => (Op::Ne, [x, y]),
        Op::Ne => (Op::Eq, [x, y]),
        Op::Lt => (Op::Le, [y, x]),
        Op::Le => (Op::Lt, [y, x]),
        Op::Ult => (Op::Ule, [y, x]),
        Op::Ule => (Op::Ult, [y, x]),
        Op::Feq => (Op::Fne, [x, y]),
        Op::Fne => (Op::Feq, [x, y]),
        _ => return None,
    };
    Some(o.pure(op, args))
}

fn test_of_bits(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if y != Val::Const(0) {
        return None;
    }
    let (p, mask) = match o.definition(x)? {
        (Op::Rem, [p, Val::Const(c)]) if c.is_power_of_two() => (p, c - 1),
        (Op::And, [p, Val::Const(mask)]) => match o.definition(p)? {
            (Op::Shr | Op::Ushr, [p, Val::Const(k)]) if u64::from(mask.leading_zeros()) >= k & 63 => {
                (p, mask << (k & 63))
            }
            _ => return None,
        },
        _ => return None,
    };
    let bits = o.pure(Op::And, [p, Val::Const(mask)]);
    Some(o.pure(op, [bits, y]))
}

fn test_of_boolean(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let c = y.as_const()?;
    if c > 1 || !is_bool(o, x) {
        return None;
    }
    if (op == Op::Eq) == (c == 1) { Some(x) } else { inverse(o, x) }
}

fn negation(o: &mut Optimizer<'_>, _: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if y != Val::Const(1) || !is_bool(o, x) {
        return None;
    }
    Some(match inverse(o, x) {
        Some(val) => val,
        None => o.pure(Op::Eq, [x, Val::Const(0)]),
    })
}

fn equation(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let ((a, m), (b, n)) = (base_and_offset(o, x), base_and_offset(o, y));
    if let (Val::Const(c), true) = (y, m != 0) {
        return Some(o.pure(op, [a, Val::Const(c.wrapping_sub(m))]));
    }
    if m != 0 && m == n {
        return Some(o.pure(op, [a, b]));
    }
    if a == b {
        return bool_val((m == n) == (op == Op::Eq));
    }
    match (o.definition(x)?, y) {
        ((Op::Xor, [p, Val::Const(a)]), Val::Const(b)) => Some(o.pure(op, [p, Val::Const(a ^ b)])),
        ((Op::Xor | Op::Sub, args), Val::Const(0)) => Some(o.pure(op, args)),
        ((Op::Shl, [p, Val::Const(k)]), Val::Const(b)) if o.options.ranges => {
            let (k, range) = (k & 63, o.range(p));
            let exact = (range.smin << k) >> k == range.smin && (range.smax << k) >> k == range.smax;
            (exact && b.trailing_zeros() as u64 >= k).then(|| o.pure(op, [p, Val::Const(((b as i64) >> k) as u64)]))
        }
        _ => None,
    }
}

/// A value as base plus offset, if adding the offset is known not to wrap (signed).
fn exact_sum(o: &Optimizer<'_>, val: Val) -> (Option<Val>, i64) {
    match (val, o.definition(val)) {
        (Val::Const(c), _) => (None, c as i64),
        (_, Some((Op::Add, [x, Val::Const(c)]))) => {
            let (low, high) = exact_signed(Op::Add, &o.range(x), &Range::exactly(c));
            let exact = i64::try_from(low).is_ok() && i64::try_from(high).is_ok();
            if exact { (Some(x), c as i64) } else { (Some(val), 0) }
        }
        _ => (Some(val), 0),
    }
}

fn order_of_sums(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if !o.options.ranges {
        return None;
    }
    let ((a, m), (b, n)) = (exact_sum(o, x), exact_sum(o, y));
    let args = match (a, b) {
        (Some(a), Some(b)) if m == n && m != 0 => [a, b],
        (Some(a), None) if m != 0 => [a, Val::Const(n.checked_sub(m)? as u64)],
        (None, Some(b)) if n != 0 => [Val::Const(m.checked_sub(n)? as u64), b],
        _ => return None,
    };
    Some(o.pure(op, args))
}

fn strict_order(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let signed = op == Op::Le;
    let strict = if signed { Op::Lt } else { Op::Ult };
    let step = |c: u64, up: bool| match (signed, up) {
        (true, true) => (c as i64).checked_add(1).map(|c| c as u64),
        (true, false) => (c as i64).checked_sub(1).map(|c| c as u64),
        (false, true) => c.checked_add(1),
        (false, false) => c.checked_sub(1),
    };
    match (x, y) {
        (_, Val::Const(c)) => match step(c, true) {
            Some(c) => Some(o.pure(strict, [x, Val::Const(c)])),
            None => bool_val(true),
        },
        (Val::Const(c), _) => match step(c, false) {
            Some(c) => Some(o.pure(strict, [Val::Const(c), y])),
            None => bool_val(true),
        },
        _ => None,
    }
}

fn signed_order(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if !o.options.ranges || o.range(x).smin < 0 || o.range(y).smin < 0 {
        return None;
    }
    let op = if op == Op::Ult { Op::Lt } else { Op::Le };
    Some(o.pure(op, [x, y]))
}

/// The integer that a float was converted from without loss.
fn converted(o: &Optimizer<'_>, val: Val) -> Option<Val> {
    match (val, o.definition(val)) {
        (Val::Const(bits), _) => {
            let float = f64::from_bits(bits);
            // A bound that any integer compared with it can be told from.
            (float.fract() == 0.0 && float.abs() <= 9e15).then_some(Val::Const(float as i64 as u64))
        }
        (_, Some((Op::IntToFloat, [x, _]))) => {
            let range = o.range(x);
            (range.smin >= -(1 << 53) && range.smax <= 1 << 53).then_some(x)
        }
        _ => None,
    }
}

fn order_of_converted(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let args = [converted(o, x)?, converted(o, y)?];
    let op = match op {
        Op::Flt => Op::Lt,
        Op::Fle => Op::Le,
        Op::Feq => Op::Eq,
        _ => Op::Ne,
    };
    o.options.ranges.then(|| o.pure(op, args))
}

fn number(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    if x == y && o.never_nan(x) {
        o.refine(x, &NUMBERS);
        bool_val(op == Op::Feq)
    } else {
        None
    }
}

fn power_of_two(o: &mut Optimizer<'_>, op: Op, [x, y]: [Val; 2]) -> Option<Val> {
    let c = y.as_const()?;
    let signed = matches!(op, Op::Div | Op::Rem);
    if !c.is_power_of_two() || signed && (c >> 63 != 0 || !o.options.ranges || o.range(x).smin < 0) {
        return None;
    }
    Some(match op {
        Op::Div | Op::Udiv => o.pure(Op::Ushr, [x, Val::Const(c.trailing_zeros().into())]),
        _ => o.pure(Op::And, [x, Val::Const(c - 1)]),
    })
}

fn round_trip(o: &mut Optimizer<'_>, op: Op, [x, _]: [Val; 2]) -> Option<Val> {
    match (op, o.definition(x)?) {
        (Op::FloatBits, (Op::BitsFloat, [p, _])) | (Op::BitsFloat, (Op::FloatBits, [p, _])) => Some(p),
        (Op::FloatToInt, (Op::IntToFloat, _)) => converted(o, x),
        _ => None,
    }
}

fn sign(o: &mut Optimizer<'_>, op: Op, [x, _]: [Val; 2]) -> Option<Val> {
    match (op, o.definition(x)?) {
        (Op::Fneg, (Op::Fneg, [p, _])) => Some(p),
        (Op::Fabs, (Op::Fneg, [p, _])) => Some(o.pure(Op::Fabs, [p, NONE])),
        (Op::Fabs, (Op::Fabs, _)) => Some(x),
        _ => None,
    }
}

fn virtual_header(o: &mut Optimizer<'_>, op: Op, [x, _]: [Val; 2]) -> Option<Val> {
    let Val::Virtual(id) = x else { return None };
    let object = o.state.virtuals.object(id)?;
    let word = if op == Op::Len { object.items.len() as u64 } else { object.shape.id().into() };
    Some(Val::Const(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_a_name_of_its_own_and_is_found() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(RULES[..index].iter().all(|other| other.name != rule.name), "{}", rule.name);
            for &op in rule.ops {
                assert!(of(op).iter().any(|found| found.name == rule.name), "{}", rule.name);
            }
        }
    }
}
