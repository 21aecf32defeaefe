//! `test optimize STAGE…`: the code that the optimizer makes of a tree with only these stages (`all`: with all of them).
//!
//! Every bridge is attached to every instance of its guard.

use super::Case;
use metajit::ir::parse::{Bindings, Body, parse};
use metajit::opt::{Options, attach_all, optimize};

pub(super) fn command(case: &mut Case) -> Result<String, String> {
    let options =
        Options::stages(case.args.iter().map(String::as_str)).map_err(|name| format!("no stage is called {name}"))?;
    let body = parse(&case.text, &Bindings::default()).map_err(|error| error.to_string())?;
    let Body::Tree(tree) = body else {
        return Err("only trees are optimized".to_string());
    };
    let optimized = optimize(&tree, &options, &attach_all(&tree)).map_err(|error| error.to_string())?;
    Ok(optimized.code.to_string())
}
