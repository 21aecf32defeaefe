//! Programs of the language, with known results.

use calc::{Error, parser, run};

fn go(text: &str) -> Result<String, Error> {
    let program = parser::parse(text).unwrap_or_else(|mistake| panic!("{mistake}"));
    run(program.get()).map(|value| value.to_string())
}

#[test]
fn arithmetic() {
    assert_eq!(go("1 + 2 * 3 - 10 / 4"), Ok("5".to_owned()));
    assert_eq!(go("-7 % 4 + 0.5"), Ok("-2.5".to_owned()));
    assert_eq!(go("70368744177663 + 1"), Ok("70368744177664.0".to_owned()));
    assert_eq!(go("1 / 0"), Err(Error::DivisionByZero));
    assert_eq!(go("1.0 / 0"), Ok("inf".to_owned()));
    assert_eq!(go("fail(4)"), Err(Error::Failed(4)));
    assert_eq!(go("(0.0 / 0.0 == 0.0) + sqrt(16) + abs(-3)"), Ok("7.0".to_owned()));
}

#[test]
fn loops() {
    let text = "let i = 0; let sum = 0; while i < 100000 { sum = sum + i % 7; i = i + 1 } sum";
    let expected: i64 = (0..100_000).map(|i| i % 7).sum();
    assert_eq!(go(text), Ok(expected.to_string()));
}

#[test]
fn nested_loops_of_floats() {
    let text = "
        let x = 0.0; let i = 0;
        while i < 300 {
            let j = 0;
            while j < 300 { x = x * 0.999 + i * j; j = j + 1 }
            i = i + 1
        }
        x";
    let mut x = 0.0_f64;
    for i in 0..300 {
        for j in 0..300 {
            x = x * 0.999 + f64::from(i * j);
        }
    }
    assert_eq!(go(text), Ok(format!("{x:?}")));
}

#[test]
fn functions() {
    let text = "fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } } fib(20)";
    assert_eq!(go(text), Ok("6765".to_owned()));
    let text = "fn down(n) { down(n + 1) } down(0)";
    assert_eq!(go(text), Err(Error::TooDeep));
}

#[test]
fn mistakes_are_named() {
    let mistake = |text: &str| parser::parse(text).err().map(|mistake| mistake.to_string());
    assert_eq!(mistake("1 +").as_deref(), Some("at byte 3: a name was expected"));
    assert_eq!(mistake("let x = 1 2").as_deref(), Some("at byte 10: `;` was expected, not `2`"));
    assert_eq!(mistake("f(1)").as_deref(), Some("at byte 4: there is no function `f`"));
}

#[cfg(feature = "jit")]
#[test]
fn loops_are_compiled() {
    metajit::testing::synchronous();
    loops();
    let statistics = metajit::driver::statistics();
    assert_eq!(statistics.loops_recorded, 1, "{statistics:?}");
}
