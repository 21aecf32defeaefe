//! Arithmetic in full: integers of any size, doubles, and both mixed.
//!
//! The interpreter computes with small integers and doubles itself; what overflows, mixes or fails comes here. An
//! integer is small exactly if it fits into a value, so equal integers have equal bits unless both are big.
//!
//! Decisions where the language leaves one: `/` truncates towards zero; `//` by zero is an infinity or NaN, as
//! IEEE 754 has it, `/`, `%` and `rem:` by zero are errors; `round` rounds halves away from zero; the square root of an integer
//! is an integer if it is exact or the integer exceeds 64 bits, else a double; an integer compared with a double is compared exactly.

use crate::objects::BigInteger;
use crate::universe::universe;
use crate::value::{self, Value};
use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// The most bits that a shift may make: 32 MiB of digits.
pub const MAX_BITS: u64 = 1 << 28;

/// Why arithmetic failed, as text for the user.
pub type Computed = Result<Value, String>;

/// A number.
#[derive(Debug, Clone)]
pub enum Number {
    /// An integer that fits into a value.
    Small(i64),
    /// Any other.
    Big(BigInt),
    /// A double.
    Double(f64),
}

use Number::{Big, Double, Small};

/// A value that is a big integer.
fn as_big_object(value: Value) -> Option<BigInteger> {
    if !value.is_object() {
        return None;
    }
    // SAFETY: the value names an object; its header tells whether it is an integer.
    let integer = unsafe { BigInteger::from_bits(value.bits()) };
    integer.is_shape().then_some(integer)
}

/// The number that a value is.
pub fn number(value: Value) -> Option<Number> {
    if value.is_integer() {
        return Some(Small(value.as_integer()));
    }
    if value.is_double() {
        return Some(Double(value.as_double()));
    }
    let big = as_big_object(value)?;
    let sign = if big.negative() { Sign::Minus } else { Sign::Plus };
    // SAFETY: digits never change after allocation.
    let digits = unsafe { big.digits_slice() };
    let halves: Vec<u32> = digits.iter().flat_map(|digit| [*digit as u32, (*digit >> 32) as u32]).collect();
    Some(Big(BigInt::from_slice(sign, &halves)))
}

impl Number {
    fn double(&self) -> f64 {
        match self {
            Small(integer) => *integer as f64,
            Big(integer) => big_to_double(integer),
            Double(double) => *double,
        }
    }

    fn big(&self) -> Option<BigInt> {
        match self {
            Small(integer) => Some(BigInt::from(*integer)),
            Big(integer) => Some(integer.clone()),
            Double(_) => None,
        }
    }
}

fn big_to_double(integer: &BigInt) -> f64 {
    integer.to_f64().unwrap_or(if integer.is_negative() { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// The value of an integer.
pub fn from_big(integer: BigInt) -> Value {
    if let Some(small) = integer.to_i64()
        && value::fits(small)
    {
        return value::from_integer(small);
    }
    let digits = integer.magnitude().to_u64_digits();
    let big = BigInteger::alloc(universe().integer_class(), integer.is_negative(), digits.len() as i64, 0);
    for (index, digit) in digits.iter().enumerate() {
        // SAFETY: nothing else has seen the integer.
        unsafe { big.set_digits(index as i64, *digit) };
    }
    Value::from_bits(big.bits())
}

/// The value of a machine integer.
pub fn from_i64(integer: i64) -> Value {
    if value::fits(integer) { value::from_integer(integer) } else { from_big(BigInt::from(integer)) }
}

fn no_number(value: Value) -> String {
    format!("a number was expected, not an instance of {}", class_name(value))
}

fn class_name(value: Value) -> String {
    crate::vm::text(crate::universe::class_of(value).name())
}

fn operands(left: Value, right: Value) -> Result<(Number, Number), String> {
    let left = number(left).ok_or_else(|| no_number(left))?;
    let right = number(right).ok_or_else(|| no_number(right))?;
    Ok((left, right))
}

fn integers(left: Value, right: Value) -> Result<(BigInt, BigInt), String> {
    let (a, b) = operands(left, right)?;
    match (a.big(), b.big()) {
        (Some(a), Some(b)) => Ok((a, b)),
        _ => Err("an Integer was expected, not a Double".to_owned()),
    }
}

fn arithmetic(
    left: Value,
    right: Value,
    small: impl Fn(i64, i64) -> Option<i64>,
    big: impl Fn(BigInt, BigInt) -> BigInt,
    double: impl Fn(f64, f64) -> f64,
) -> Computed {
    let (a, b) = operands(left, right)?;
    if let (Small(a), Small(b)) = (&a, &b)
        && let Some(result) = small(*a, *b)
    {
        return Ok(from_i64(result));
    }
    Ok(match (a.big(), b.big()) {
        (Some(a), Some(b)) => from_big(big(a, b)),
        _ => value::from_double(double(a.double(), b.double())),
    })
}

/// `+`
pub fn add(left: Value, right: Value) -> Computed {
    arithmetic(left, right, i64::checked_add, |a, b| a + b, |a, b| a + b)
}

/// `-`
pub fn subtract(left: Value, right: Value) -> Computed {
    arithmetic(left, right, i64::checked_sub, |a, b| a - b, |a, b| a - b)
}

/// `*`
pub fn multiply(left: Value, right: Value) -> Computed {
    if let (Some(a), Some(b)) = (bits(left), bits(right))
        && a + b > MAX_BITS
    {
        return Err("the product is too large".to_owned());
    }
    arithmetic(left, right, i64::checked_mul, |a, b| a * b, |a, b| a * b)
}

/// How many bits a big integer has.
fn bits(value: Value) -> Option<u64> {
    as_big_object(value).map(|big| 64 * big.digits_len() as u64)
}

const DIVISION_BY_ZERO: &str = "division by zero";

/// `/` of integers: truncates. With a double, the quotient is truncated too.
pub fn divide(left: Value, right: Value) -> Computed {
    let (a, b) = operands(left, right)?;
    match (a.big(), b.big()) {
        (Some(_), Some(b)) if b.is_zero() => Err(DIVISION_BY_ZERO.to_owned()),
        (Some(a), Some(b)) => Ok(from_big(a / b)),
        _ if b.double() == 0.0 => Err(DIVISION_BY_ZERO.to_owned()),
        _ => truncate(a.double() / b.double()),
    }
}

/// `//`: the quotient as a double.
pub fn double_divide(left: Value, right: Value) -> Computed {
    let (a, b) = operands(left, right)?;
    let quotient = a.double() / b.double();
    if quotient.is_nan()
        && let (Some(a), Some(b)) = (a.big(), b.big())
        && !b.is_zero()
    {
        // Both exceed the range of doubles.
        let excess = a.bits().min(b.bits()).saturating_sub(512);
        return Ok(value::from_double(big_to_double(&(a >> excess)) / big_to_double(&(b >> excess))));
    }
    Ok(value::from_double(quotient))
}

/// `%`: the sign of the divisor for integers, of the dividend for doubles.
pub fn modulo(left: Value, right: Value) -> Computed {
    let (a, b) = operands(left, right)?;
    match (a.big(), b.big()) {
        (Some(_), Some(b)) if b.is_zero() => Err(DIVISION_BY_ZERO.to_owned()),
        (Some(a), Some(b)) => Ok(from_big(a.mod_floor(&b))),
        _ => Ok(value::from_double(a.double() % b.double())),
    }
}

/// `rem:`: the sign of the dividend.
pub fn remainder(left: Value, right: Value) -> Computed {
    let (a, b) = integers(left, right)?;
    if b.is_zero() {
        return Err(DIVISION_BY_ZERO.to_owned());
    }
    Ok(from_big(a % b))
}

/// `&`
pub fn bit_and(left: Value, right: Value) -> Computed {
    let (a, b) = integers(left, right)?;
    Ok(from_big(a & b))
}

/// `bitXor:`
pub fn bit_xor(left: Value, right: Value) -> Computed {
    let (a, b) = integers(left, right)?;
    Ok(from_big(a ^ b))
}

const SHIFT_TOO_BIG: &str = "shift too big";

/// `<<`
pub fn shift_left(left: Value, right: Value) -> Computed {
    let (a, count) = integers(left, right)?;
    if count.is_negative() {
        return Err("a shift can't be negative".to_owned());
    }
    if a.is_zero() {
        return Ok(left);
    }
    match count.to_u64() {
        Some(count) if a.bits().saturating_add(count) <= MAX_BITS => Ok(from_big(a << count)),
        _ => Err(SHIFT_TOO_BIG.to_owned()),
    }
}

/// `>>>`: of a negative integer, the 64 bits of its two's complement are shifted.
pub fn shift_right(left: Value, right: Value) -> Computed {
    let (a, count) = integers(left, right)?;
    if count.is_negative() {
        return Err("a shift can't be negative".to_owned());
    }
    let Some(count) = count.to_u32() else {
        return Err(SHIFT_TOO_BIG.to_owned());
    };
    if count == 0 {
        return Ok(left);
    }
    match a.to_i64() {
        Some(small) if small < 0 => {
            let shifted = (small as u64).checked_shr(count).unwrap_or(0);
            Ok(from_big(BigInt::from(shifted)))
        }
        _ => Ok(from_big(a >> count)),
    }
}

/// `=`: false for what is no number.
pub fn equal(left: Value, right: Value) -> bool {
    compare(left, right).is_ok_and(|ordering| ordering == Some(Ordering::Equal))
}

/// `<`
pub fn less(left: Value, right: Value) -> Result<bool, String> {
    Ok(compare(left, right)? == Some(Ordering::Less))
}

fn compare(left: Value, right: Value) -> Result<Option<Ordering>, String> {
    let (a, b) = operands(left, right)?;
    Ok(match (&a, &b) {
        (Small(a), Small(b)) => Some(a.cmp(b)),
        (Double(a), Double(b)) => a.partial_cmp(b),
        // A small integer is exact as a double.
        (Small(a), Double(b)) => (*a as f64).partial_cmp(b),
        (Double(a), Small(b)) => a.partial_cmp(&(*b as f64)),
        (Big(a), Double(b)) => compare_big(a, *b),
        (Double(a), Big(b)) => compare_big(b, *a).map(Ordering::reverse),
        (Big(a), Big(b)) => Some(a.cmp(b)),
        (Small(a), Big(b)) => Some(BigInt::from(*a).cmp(b)),
        (Big(a), Small(b)) => Some(a.cmp(&BigInt::from(*b))),
    })
}

fn compare_big(integer: &BigInt, double: f64) -> Option<Ordering> {
    match BigInt::from_f64(double) {
        // A big integer is beyond the doubles that have fractions.
        Some(other) => Some(integer.cmp(&other)),
        None if double == f64::INFINITY => Some(Ordering::Less),
        None if double == f64::NEG_INFINITY => Some(Ordering::Greater),
        None => None,
    }
}

/// `sqrt` of an integer.
pub fn integer_sqrt(value: Value) -> Computed {
    let Some(integer) = number(value).and_then(|n| n.big()) else {
        return Err(no_number(value));
    };
    if integer.is_negative() {
        return Ok(value::from_double(f64::NAN));
    }
    let root = integer.sqrt();
    if &root * &root == integer || integer.bits() > 64 {
        return Ok(from_big(root));
    }
    Ok(value::from_double(big_to_double(&integer).sqrt()))
}

/// A number as a double.
pub fn to_double(value: Value) -> Result<f64, String> {
    number(value).map(|n| n.double()).ok_or_else(|| no_number(value))
}

/// An integer that is as close to zero as possible to a double.
pub fn truncate(double: f64) -> Computed {
    match BigInt::from_f64(double.trunc()) {
        Some(integer) => Ok(from_big(integer)),
        None => Err(format!("{} is no Integer", print_double(double))),
    }
}

/// The low 32 bits, without and with a sign.
pub fn low_bits(value: Value) -> Result<u32, String> {
    let Some(integer) = number(value).and_then(|n| n.big()) else {
        return Err(no_number(value));
    };
    let low = integer.mod_floor(&BigInt::from(1u64 << 32));
    Ok(low.to_u32().unwrap_or(0))
}

/// How a double is printed: the shortest text that reads back the same.
pub fn print_double(double: f64) -> String {
    if double.is_nan() { "NaN".to_owned() } else { format!("{double:?}") }
}

/// How a number is printed.
pub fn print(value: Value) -> Result<String, String> {
    match number(value) {
        Some(Small(integer)) => Ok(integer.to_string()),
        Some(Big(integer)) => Ok(integer.to_string()),
        Some(Double(double)) => Ok(print_double(double)),
        None => Err(no_number(value)),
    }
}

/// The integer that a text is.
pub fn parse_integer(text: &str) -> Computed {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("'{text}' is no Integer"));
    }
    text.parse::<BigInt>().map(from_big).map_err(|_| format!("'{text}' is no Integer"))
}

/// The double that a text is; NaN if it is none.
pub fn parse_double(text: &str) -> f64 {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}
