use metajit::prelude::*;

#[jit_word]
struct Value(u64);

#[jit]
impl Value {
    fn by_reference(&self) -> u64 {
        self.bits()
    }
}

impl Value {
    #[jit]
    fn alone(self) -> u64 {
        self.bits()
    }
}

struct Holder<'a>(&'a i64);

#[jit]
impl<'a> Holder<'a> {
    fn nothing(a: i64) -> i64 {
        a
    }
}

#[jit]
trait Sized2: Copy {
    #[elidable]
    fn provided(self) -> i64 {
        1
    }
}

fn main() {}
