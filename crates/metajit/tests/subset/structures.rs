//! Structures of words: `Option`, `Result`, tuples, `?`, `#[jit_enum]`, `#[jit_word]`, traits and generic functions.

use crate::harness::SMALL;
use metajit::prelude::*;

#[jit]
fn divided(a: i64, b: i64) -> Option<i64> {
    if b == 0 { None } else { Some(a / b) }
}
#[jit]
fn question_mark(a: i64, b: i64) -> Option<i64> {
    let x = divided(a, b)?;
    let y = divided(b, x)?;
    Some(x + divided(a, y)?)
}
#[jit]
fn options(a: i64, b: i64) -> i64 {
    question_mark(a, b).unwrap_or(-100)
}
#[jit]
fn option_methods(a: i64, b: i64) -> i64 {
    let (x, y) = (divided(a, b), divided(b, a));
    let mut result = x.is_some() as i64 + 2 * y.is_none() as i64;
    result += 10 * x.or(y).unwrap_or(3) + 100 * x.and(y).unwrap_or(4) + 1000 * x.xor(y).unwrap_or(5);
    if x.is_some() {
        result += x.unwrap() + x.expect("it is some");
    }
    result + y.unwrap_or_default()
}
#[jit]
fn nested_option(a: i64, b: i64) -> i64 {
    let x: Option<Option<i64>> = if a < 0 { None } else { Some(divided(a, b)) };
    match x.flatten() {
        Some(x) => x,
        None => -1,
    }
}

/// What can go wrong.
#[jit_enum]
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Mistake {
    Zero,
    Negative(i64),
    Both { left: i64, right: bool },
}

#[jit]
fn careful(a: i64, b: i64) -> Result<i64, Mistake> {
    if a < 0 && b < 0 {
        return Err(Mistake::Both { left: a, right: b < -2 });
    }
    if a < 0 {
        return Err(Mistake::Negative(a));
    }
    divided(a, b).ok_or(Mistake::Zero)
}
#[jit]
fn results(a: i64, b: i64) -> i64 {
    match careful(a, b) {
        Ok(x) => x,
        Err(Mistake::Zero) => -1,
        Err(Mistake::Negative(-1)) => -2,
        Err(Mistake::Negative(x)) => x * 10,
        Err(Mistake::Both { left, right: true }) => left * 100,
        Err(Mistake::Both { left, .. }) => left * 1000,
    }
}
#[jit]
fn passes_on(a: i64, b: i64) -> Result<(i64, bool), Mistake> {
    let x = careful(a, b)?;
    let y = careful(b, a)?;
    Ok((x + y, x > y))
}
#[jit]
fn result_methods(a: i64, b: i64) -> i64 {
    let x = passes_on(a, b);
    let mut result = x.is_ok() as i64 + 2 * x.is_err() as i64;
    if let Some((sum, greater)) = x.ok() {
        result += sum * 10 + greater as i64 * 5;
    }
    if let Some(Mistake::Negative(n)) = x.err() {
        result += n;
    }
    result += careful(a, b).unwrap_or(17) + careful(b, a).unwrap_or_default();
    if x.is_ok() {
        let (sum, _) = x.unwrap();
        result += sum;
    }
    result
}

#[jit_enum]
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: i64,
    pub(crate) y: f64,
}
#[jit_enum]
#[derive(Clone, Copy)]
pub(crate) struct Pair(pub(crate) i64, pub(crate) bool);
#[jit_enum]
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Dot(Point),
    Line { from: Point, to: Point },
    Nothing,
}

#[jit]
fn moved(point: Point, by: i64) -> Point {
    let Point { x, y } = point;
    Point { x: x + by, y: y - by as f64 }
}
#[jit]
fn structs(a: i64, b: i64) -> i64 {
    let mut point = moved(Point { x: a, y: b as f64 }, 3);
    point.x += 1;
    point.y *= 2.0;
    let mut pair = Pair(point.x, point.y > 0.0);
    pair.0 -= 7;
    let Pair(n, flag) = pair;
    n * 10 + flag as i64 + pair.1 as i64 * 1000
}
#[jit]
fn shape(a: i64, b: i64) -> Shape {
    let point = Point { x: a, y: 0.5 };
    if a > b {
        Shape::Dot(point)
    } else if a == b {
        Shape::Nothing
    } else {
        Shape::Line { from: point, to: moved(point, b) }
    }
}
#[jit]
fn enums_with_structs(a: i64, b: i64) -> i64 {
    match shape(a, b) {
        Shape::Dot(Point { x: 3, .. }) => 1,
        Shape::Dot(Point { x, y }) => x + y as i64,
        Shape::Line { from, to: Point { x, .. } } => from.x * 10 + x,
        Shape::Nothing => -5,
    }
}
#[jit]
fn tuples(a: i64, b: i64) -> i64 {
    let mut nested = ((a, b), (a > b, a as f64));
    nested.0.1 += 2;
    nested.1 = (nested.1.0, nested.1.1 + 0.5);
    let ((x, y), (flag, float)) = nested;
    let single = (x,);
    single.0 + y * 3 + flag as i64 * 5 + float as i64
}

/// A tagged number.
#[jit_word]
pub struct Value(u64);
impl Value {
    pub(crate) const NOTHING: Value = Value::from_bits(2);
}
pub(crate) const SPECIAL: Value = Value::from_bits(7 << 2);

#[jit]
impl Value {
    pub(crate) fn small(number: i64) -> Self {
        Value::from_bits((number as u64) << 2)
    }
    pub(crate) fn is_small(self) -> bool {
        self.bits() & 3 == 0
    }
    pub(crate) fn number(self) -> Option<i64> {
        if self.is_small() { Some(self.bits() as i64 >> 2) } else { None }
    }
    fn plus(self, other: Value) -> Option<Self> {
        let sum = self.number()?.checked_add(other.number()?)?;
        Some(Self::small(sum))
    }
    #[dont_look_inside]
    fn doubled(self, times: i64) -> Value {
        let text = format!("{}", self.bits() << times);
        Value::from_bits(text.parse().expect("digits"))
    }
    #[elidable]
    fn digits(self) -> i64 {
        self.bits().to_string().len() as i64
    }
}
#[jit]
fn words(a: i64, b: i64) -> i64 {
    let x = Value::small(a);
    let y = if b == 3 { Value::NOTHING } else { Value::small(b) };
    match x.plus(y) {
        Some(sum) if sum == SPECIAL => 1,
        Some(sum) if sum != y => sum.number().unwrap_or(0),
        Some(_) => 2,
        None => 3,
    }
}
#[jit]
fn word_patterns(a: i64, b: i64) -> i64 {
    match Value::small(a & 15) {
        SPECIAL => 1,
        Value::NOTHING => 2,
        value => value.number().unwrap_or(0) * b,
    }
}
#[jit]
fn methods_not_looked_into(a: i64, b: i64) -> i64 {
    let x = Value::small(a & 7).doubled(b & 3);
    x.bits() as i64 + x.digits()
}

/// Things with a size.
#[jit]
pub(crate) trait Sized2: Copy {
    fn size(self) -> i64;
    fn grown(self, by: i64) -> Self;
    fn twice(self) -> i64 {
        self.size() * 2
    }
    fn zero() -> Self;
}
#[jit]
impl Sized2 for Value {
    fn size(self) -> i64 {
        self.bits() as i64
    }
    fn grown(self, by: i64) -> Self {
        Value::from_bits(self.bits().wrapping_add(by as u64))
    }
    fn zero() -> Self {
        Value::NOTHING
    }
}
#[jit]
impl Sized2 for i64 {
    fn size(self) -> i64 {
        self
    }
    fn grown(self, by: i64) -> Self {
        self + by
    }
    fn twice(self) -> i64 {
        self * 20
    }
    fn zero() -> i64 {
        0
    }
}
#[jit]
fn generic<T: Sized2>(value: T, by: i64) -> i64 {
    let bigger = value.grown(by);
    if by > 3 { bigger.twice() } else { bigger.size() + T::zero().size() }
}
#[jit]
fn chosen<T: Word>(condition: bool, left: T, right: T) -> T {
    if condition { left } else { right }
}
#[jit]
fn both<T: Word, U>(left: T, right: U) -> (T, U)
where
    U: Word + Copy,
{
    (left, right)
}
#[jit]
fn generics(a: i64, b: i64) -> i64 {
    let (x, y) = both(a, b as u8);
    let (_, z) = both::<bool, f64>(true, 1.5);
    let float = chosen(a < b, z, 2.5);
    generic(Value::small(a), b) + generic(b, x) + b.twice() + y as i64 + chosen::<i64>(a > 0, 1, 2) + float as i64
}
#[jit]
fn optional_generic<T: Word>(value: T, keep: bool) -> Option<(T, T)> {
    if keep { Some((value, value)) } else { None }
}
#[jit]
fn generic_structures(a: i64, b: i64) -> i64 {
    match (optional_generic(a, a > b), optional_generic(b as f64, b > 0)) {
        (Some((x, y)), None) => x + y,
        (None, Some((x, _))) => x as i64 * 3,
        (Some((x, _)), Some((_, y))) => x + y as i64,
        (None, None) => 0,
    }
}

suite! { compiled_code_agrees(SMALL) {
    0 => options, 1 => option_methods, 2 => nested_option, 3 => results, 4 => result_methods, 5 => structs, 6 => enums_with_structs,
    7 => tuples, 8 => words, 9 => word_patterns, 10 => methods_not_looked_into, 11 => generics, 12 => generic_structures,
} }
