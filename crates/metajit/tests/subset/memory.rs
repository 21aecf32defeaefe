//! Objects: fields of every kind, arrays of every item size, handles that may be none, shapes, escapes.

use crate::harness::SMALL;
use metajit::prelude::*;

#[jit_object]
pub struct Cell {
    #[immutable]
    kind: u8,
    count: i32,
    ratio: f64,
    flag: bool,
    letter: char,
    next: Maybe<Cell>,
    #[quasi_immutable]
    version: i64,
}
#[jit_object]
pub struct Bytes {
    items: [u8],
}
#[jit_object]
pub struct Shorts {
    #[immutable]
    owner: Cell,
    items: [i16],
}
#[jit_object]
pub struct Words {
    items: [u32],
}
#[jit_object]
pub struct Floats {
    sum: f64,
    items: [f64],
}
#[jit_object]
pub struct Cells {
    items: [Maybe<Cell>],
}
#[jit_object]
pub struct Common {
    #[immutable]
    kind: u8,
}

#[jit]
fn cell(kind: i64, next: Maybe<Cell>) -> Cell {
    Cell::alloc(kind as u8, kind as i32, 0.5, kind > 3, 'x', next, 0)
}
#[jit]
fn fields(a: i64, b: i64) -> i64 {
    let x = cell(a, Maybe::none());
    x.set_count(x.count() + b as i32);
    x.set_ratio(x.ratio() * b as f64);
    x.set_flag(!x.flag());
    x.set_letter((b as u8) as char);
    x.kind() as i64 + x.count() as i64 * 3 + x.ratio() as i64 + x.flag() as i64 * 7 + x.letter() as i64
}
#[jit]
fn chains(a: i64, b: i64) -> i64 {
    let mut list = Maybe::none();
    for i in 0..(a & 7) {
        list = Maybe::some(cell(i + b, list));
    }
    let mut total = 0;
    while let Some(cell) = list.get() {
        total = total * 3 + cell.kind() as i64;
        list = cell.next();
    }
    total
}
#[jit]
fn identity(a: i64, b: i64) -> i64 {
    let (x, y) = (cell(a, Maybe::none()), cell(b, Maybe::none()));
    let z = if a > b { x } else { y };
    (x == y) as i64
        + 2 * (x == z) as i64
        + 4 * (y != z) as i64
        + 8 * (z.next() == Maybe::none()) as i64
        + 32 * (Maybe::some(z) == Maybe::some(y)) as i64
        + 16 * (z.bits() == x.bits()) as i64
}
#[jit]
fn aliasing(a: i64, b: i64) -> i64 {
    let (x, y) = (cell(a, Maybe::none()), cell(b, Maybe::none()));
    let z = if b > 2 { x } else { y };
    x.set_count(10);
    z.set_count(20);
    let first = x.count();
    y.set_count(30);
    (first + z.count() * 2 + x.count() * 5) as i64
}
#[jit]
fn next_of(cell: Cell) -> Cell {
    match cell.next().get() {
        Some(next) => next,
        None => panic!("the list is too short"),
    }
}
#[jit]
fn cycles(a: i64, b: i64) -> i64 {
    let (x, y) = (cell(a, Maybe::none()), cell(b, Maybe::none()));
    x.set_next(Maybe::some(y));
    y.set_next(Maybe::some(x));
    if a > b {
        next_of(next_of(next_of(x))).set_count(9);
    }
    y.count() as i64 * 100 + next_of(next_of(x)).count() as i64
}
#[dont_look_inside]
fn escaped(cell: Cell) -> i64 {
    cell.set_count(cell.count() + 1);
    i64::from(cell.count()) + i64::from(cell.next().is_none())
}
#[jit]
fn escapes(a: i64, b: i64) -> i64 {
    let x = cell(a, Maybe::some(cell(b, Maybe::none())));
    let first = if b > 3 { escaped(next_of(x)) } else { 0 };
    first + escaped(x) * 3 + x.count() as i64 * 5 + next_of(x).count() as i64
}
#[jit]
fn bytes(a: i64, b: i64) -> i64 {
    let array = Bytes::alloc(8, a as u8);
    array.set_items(b & 7, b as u8);
    array.set_items((a & 7) ^ 1, 200);
    let mut total = array.items_len();
    for i in 0..array.items_len() {
        total = total * 3 + array.items(i) as i64;
    }
    total
}
#[jit]
fn shorts(a: i64, b: i64) -> i64 {
    let array = Shorts::alloc(cell(a, Maybe::none()), 4, -1);
    array.set_items(a & 3, b as i16 * 100);
    array.owner().kind() as i64 + array.items(0) as i64 + array.items(1) as i64 * 2 + array.items(b & 3) as i64 * 3
}
#[jit]
fn words(a: i64, b: i64) -> i64 {
    let array = Words::alloc(4, u32::MAX);
    array.set_items(a & 3, b as u32);
    (array.items(0) as i64 + array.items(3) as i64) ^ array.items(b & 3) as i64
}
#[jit]
fn floats(a: i64, b: i64) -> i64 {
    let array = Floats::alloc(0.0, 4, 1.5);
    array.set_items(a & 3, b as f64);
    for i in 0..4 {
        array.set_sum(array.sum() + array.items(i));
    }
    (array.sum() * 2.0) as i64
}
#[jit]
fn handles(a: i64, b: i64) -> i64 {
    let array = Cells::alloc(3, Maybe::none());
    array.set_items(1, Maybe::some(cell(a, array.items(0))));
    array.set_items(2, Maybe::some(cell(b, array.items(a & 1))));
    let Some(last) = array.items(2).get() else {
        return -1;
    };
    match last.next().get() {
        Some(next) => next.kind() as i64 * 10 + last.kind() as i64,
        None => 1 + last.next().is_some() as i64,
    }
}
#[jit]
fn none_or_some(a: i64, b: i64) -> i64 {
    let x = cell(a, Maybe::none());
    let maybe = if a > b { Maybe::some(x) } else { Maybe::none() };
    // SAFETY: the bits of a handle, or 0.
    let same: Maybe<Cell> = unsafe { Maybe::from_bits(maybe.bits()) };
    let kind = match same.get() {
        Some(cell) => cell.kind() as i64,
        None => 50,
    };
    kind + 100 * maybe.is_some() as i64 + 200 * (same == maybe) as i64 + 400 * same.is_none() as i64
}
#[jit]
fn lengths(a: i64, b: i64) -> i64 {
    let array = Bytes::alloc(a & 7, 1);
    let index = b & 7;
    if index < array.items_len() { array.items(index) as i64 } else { -array.items_len() }
}
#[jit]
fn bounds(a: i64, b: i64) -> i64 {
    let array = Bytes::alloc(5, 2);
    array.items(a) as i64 + array.items(b) as i64
}
#[jit]
fn negative_lengths(a: i64, b: i64) -> i64 {
    Bytes::alloc(a, b as u8).items_len()
}
#[jit]
fn shapes(a: i64, b: i64) -> i64 {
    // SAFETY: both shapes begin with the kind.
    let common =
        unsafe { Common::from_bits(if a > b { cell(a, Maybe::none()).bits() } else { Common::alloc(b as u8).bits() }) };
    // SAFETY: the bits of a handle.
    let maybe = unsafe { Cell::from_bits(common.bits()) };
    if maybe.is_shape() { maybe.count() as i64 } else { common.kind() as i64 * 100 + common.is_shape() as i64 }
}
#[jit]
fn quasi_immutable(a: i64, b: i64) -> i64 {
    let x = cell(a, Maybe::none());
    x.set_version(b);
    if x.version() > 3 {
        x.set_version(a);
    }
    x.version()
}
#[jit]
impl Cell {
    fn advance(self, by: i64) -> Option<Cell> {
        self.set_count(self.count() + by as i32);
        self.next().get()
    }
    fn single() -> Cell {
        cell(1, Maybe::none())
    }
}
#[jit]
fn methods(a: i64, b: i64) -> i64 {
    let x = cell(a, Maybe::some(Cell::single()));
    match x.advance(b) {
        Some(next) => {
            let ended = next.advance(a).is_none();
            next.count() as i64 * 10 + ended as i64
        }
        None => 3,
    }
}

suite! { compiled_code_agrees(SMALL) {
    0 => fields, 1 => chains, 2 => identity, 3 => aliasing, 4 => cycles, 5 => escapes, 6 => bytes, 7 => shorts, 8 => words, 9 => floats,
    10 => handles, 11 => lengths, 12 => bounds, 13 => negative_lengths, 14 => shapes, 15 => quasi_immutable, 16 => methods, 17 => none_or_some,
} }
