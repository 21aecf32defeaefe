use metajit::prelude::*;

#[dont_look_inside]
fn residual(a: i64) -> i64 {
    a
}

#[jit]
fn many(a: i64, b: i64) -> i64 {
    let text = "text";
    let reference = &a;
    let dereferenced = *reference;
    let closure = |x: i64| x + 1;
    let array = [a, b];
    let repeated = [a; 4];
    let item = array[0];
    let range = a..b;
    let address = &raw const a;
    let chosen = (if a > b { residual } else { many })(a);
    let constant = i64::max_value;
    let future = async { a };
    let block = const { 3 };
    a
}

fn main() {}
