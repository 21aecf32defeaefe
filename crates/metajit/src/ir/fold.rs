//! The meaning of pure operations on constants.
//!
//! **Problem.** The recorder folds operations on constants while it records, the optimizer folds what becomes constant
//! later, the evaluator runs everything: they must agree with each other, with compiled code and with the plain
//! interpreter that rustc compiled.
//!
//! **Approach.** One function, [`fold`], from an operation and its operands' bits to its result's bits. Integers wrap;
//! conversions and comparisons are Rust's own (`as`, `<`), which are the table's meanings.
//!
//! **Invariants.** `None` exactly where the table gives no meaning: division by zero, the least integer divided by -1, and
//! operations that are not pure. Shift amounts are taken modulo 64. Float arithmetic is done by the machine at run time
//! (never by rustc at compile time), so that even the sign of a NaN it makes is the one that compiled code gets on the same
//! machine; Rust itself leaves that sign open.

use super::table::{Class, Op};

fn float(bits: u64) -> f64 {
    f64::from_bits(bits)
}

/// The result's bits of a pure operation on these operands; `None` if the operation is not pure or undefined on them.
///
/// # Panics
/// If there are fewer operands than the operation takes.
pub fn fold(op: Op, args: &[u64]) -> Option<u64> {
    let info = op.info();
    if info.class != Class::Pure || op == Op::ResultWord {
        return None;
    }
    assert!(args.len() >= info.operands.len(), "{} takes {} operands", info.name, info.operands.len());
    let a = args[0];
    let b = args.get(1).copied().unwrap_or(0);
    let (x, y) = (a as i64, b as i64);
    let amount = b as u32 & 63;
    Some(match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::Div => x.checked_div(y)? as u64,
        Op::Rem => x.checked_rem(y)? as u64,
        Op::Udiv => a.checked_div(b)?,
        Op::Urem => a.checked_rem(b)?,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Shl => a << amount,
        Op::Shr => (x >> amount) as u64,
        Op::Ushr => a >> amount,
        Op::Rotl => a.rotate_left(amount),
        Op::Clz => a.leading_zeros().into(),
        Op::Ctz => a.trailing_zeros().into(),
        Op::Popcnt => a.count_ones().into(),
        Op::Sext8 => a as i8 as u64,
        Op::Sext16 => a as i16 as u64,
        Op::Sext32 => a as i32 as u64,
        Op::Zext8 => (a as u8).into(),
        Op::Zext16 => (a as u16).into(),
        Op::Zext32 => (a as u32).into(),
        Op::AddOvf => x.checked_add(y).is_none().into(),
        Op::SubOvf => x.checked_sub(y).is_none().into(),
        Op::MulOvf => x.checked_mul(y).is_none().into(),
        Op::UmulOvf => a.checked_mul(b).is_none().into(),
        Op::Eq => (a == b).into(),
        Op::Ne => (a != b).into(),
        Op::Lt => (x < y).into(),
        Op::Le => (x <= y).into(),
        Op::Ult => (a < b).into(),
        Op::Ule => (a <= b).into(),
        Op::Fadd => (float(a) + float(b)).to_bits(),
        Op::Fsub => (float(a) - float(b)).to_bits(),
        Op::Fmul => (float(a) * float(b)).to_bits(),
        Op::Fdiv => (float(a) / float(b)).to_bits(),
        Op::Fneg => a ^ 1 << 63,
        Op::Fabs => a & !(1 << 63),
        Op::Fsqrt => float(a).sqrt().to_bits(),
        Op::Ffloor => float(a).floor().to_bits(),
        Op::Fceil => float(a).ceil().to_bits(),
        Op::Ftrunc => float(a).trunc().to_bits(),
        Op::Feq => (float(a) == float(b)).into(),
        Op::Fne => (float(a) != float(b)).into(),
        Op::Flt => (float(a) < float(b)).into(),
        Op::Fle => (float(a) <= float(b)).into(),
        Op::FloatBits | Op::BitsFloat => a,
        Op::IntToFloat => (x as f64).to_bits(),
        Op::UintToFloat => (a as f64).to_bits(),
        Op::FloatToInt => float(a) as i64 as u64,
        Op::FloatToUint => float(a) as u64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Class, Op, fold};

    const MIN: u64 = 1 << 63;
    const NEG: u64 = u64::MAX;

    fn f(value: f64) -> u64 {
        value.to_bits()
    }

    #[test]
    fn every_pure_operation_folds_and_no_other() {
        for &op in Op::ALL {
            let pure = op.info().class == Class::Pure && op != Op::ResultWord;
            assert_eq!(fold(op, &[1, 1, 1]).is_some(), pure, "{}", op.info().name);
        }
    }

    #[test]
    fn division_has_no_meaning_by_zero_or_on_overflow() {
        for op in [Op::Div, Op::Rem, Op::Udiv, Op::Urem] {
            assert_eq!(fold(op, &[7, 0]), None);
        }
        assert_eq!(fold(Op::Div, &[MIN, NEG]), None);
        assert_eq!(fold(Op::Rem, &[MIN, NEG]), None);
        assert_eq!(fold(Op::Udiv, &[MIN, NEG]), Some(0));
        assert_eq!(fold(Op::Div, &[-7i64 as u64, 2]), Some(-3i64 as u64));
        assert_eq!(fold(Op::Rem, &[-7i64 as u64, 2]), Some(NEG));
    }

    #[test]
    fn integers_at_their_edges() {
        let cases: &[(Op, &[u64], u64)] = &[
            (Op::Add, &[NEG, 1], 0),
            (Op::Mul, &[MIN, NEG], MIN),
            (Op::Shl, &[1, 65], 2),
            (Op::Shr, &[MIN, 63], NEG),
            (Op::Ushr, &[MIN, 127], 1),
            (Op::Rotl, &[MIN | 1, 1], 3),
            (Op::Rotl, &[5, 64], 5),
            (Op::Clz, &[0], 64),
            (Op::Ctz, &[0], 64),
            (Op::Popcnt, &[NEG], 64),
            (Op::Sext8, &[0x180], -128i64 as u64),
            (Op::Sext32, &[0x1_8000_0000], i32::MIN as u64),
            (Op::Zext16, &[NEG], 0xffff),
            (Op::AddOvf, &[MIN, NEG], 1),
            (Op::SubOvf, &[0, MIN], 1),
            (Op::MulOvf, &[MIN, NEG], 1),
            (Op::MulOvf, &[NEG, NEG], 0),
            (Op::UmulOvf, &[NEG, NEG], 1),
            (Op::UmulOvf, &[1 << 32, 1 << 31], 0),
            (Op::Lt, &[NEG, 0], 1),
            (Op::Ult, &[NEG, 0], 0),
        ];
        for &(op, args, result) in cases {
            assert_eq!(fold(op, args), Some(result), "{} {args:?}", op.info().name);
        }
    }

    #[test]
    fn floats_at_their_edges() {
        let nan = f(f64::NAN);
        let cases: &[(Op, &[u64], u64)] = &[
            (Op::Feq, &[f(0.0), f(-0.0)], 1),
            (Op::Feq, &[nan, nan], 0),
            (Op::Fne, &[nan, nan], 1),
            (Op::Fle, &[nan, f(1.0)], 0),
            (Op::Fneg, &[f(0.0)], f(-0.0)),
            (Op::Fneg, &[nan], nan ^ MIN),
            (Op::Fabs, &[f(-0.0)], f(0.0)),
            (Op::Fsqrt, &[f(-0.0)], f(-0.0)),
            (Op::Ffloor, &[f(-0.5)], f(-1.0)),
            (Op::Fceil, &[f(-0.5)], f(-0.0)),
            (Op::Ftrunc, &[f(-1.5)], f(-1.0)),
            (Op::IntToFloat, &[NEG], f(-1.0)),
            (Op::UintToFloat, &[NEG], f(18446744073709551616.0)),
            (Op::IntToFloat, &[(1 << 53) + 1], f(9007199254740992.0)),
            (Op::FloatToInt, &[nan], 0),
            (Op::FloatToInt, &[f(1e300)], i64::MAX as u64),
            (Op::FloatToInt, &[f(-1e300)], MIN),
            (Op::FloatToInt, &[f(-1.9)], NEG),
            (Op::FloatToUint, &[f(-1.9)], 0),
            (Op::FloatToUint, &[f(1e300)], NEG),
            (Op::FloatToUint, &[nan], 0),
        ];
        for &(op, args, result) in cases {
            assert_eq!(fold(op, args), Some(result), "{} {args:?}", op.info().name);
        }
        let quotient = fold(Op::Fdiv, &[f(0.0), f(0.0)]).map(f64::from_bits);
        assert!(quotient.is_some_and(f64::is_nan));
    }
}
