//! `test optimize STAGE…`: the code that the optimizer makes of a tree with only these stages (`all`: with all of them; `-heap`: without
//! this one).
//!
//! `test stage NAME STAGE…`: the same, and then the code that it makes without the stage of this name, or a line that says that it makes
//! no difference.
//!
//! Every bridge is attached to every instance of its guard.

use super::Case;
use metajit::ir::parse::{Bindings, Body, parse};
use metajit::opt::{Options, attach_all, optimize};

pub(super) fn command(case: &mut Case) -> Result<String, String> {
    let stages: Vec<&str> = case.args.iter().map(String::as_str).collect();
    optimized(&case.text, &stages)
}

pub(super) fn stage_command(case: &mut Case) -> Result<String, String> {
    let stages: Vec<&str> = case.args.iter().map(String::as_str).collect();
    let Some((&stage, stages)) = stages.split_first() else {
        return Err("which stage?".to_string());
    };
    let without = format!("-{stage}");
    let without: Vec<&str> = stages.iter().copied().chain([&*without]).collect();
    let (on, off) = (optimized(&case.text, stages)?, optimized(&case.text, &without)?);
    Ok(match on == off {
        true => format!("{on}{}{stage}: the same\n", super::WITHOUT),
        false => format!("{on}{}{stage}\n{off}", super::WITHOUT),
    })
}

fn optimized(text: &str, stages: &[&str]) -> Result<String, String> {
    let options = Options::stages(stages.iter().copied()).map_err(|name| format!("no stage is called {name}"))?;
    let body = parse(text, &Bindings::default()).map_err(|error| error.to_string())?;
    let Body::Tree(tree) = body else {
        return Err("only trees are optimized".to_string());
    };
    let optimized = optimize(&tree, &options, &attach_all(&tree)).map_err(|error| error.to_string())?;
    Ok(optimized.code.to_string())
}
