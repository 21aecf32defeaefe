//! `docs/ir-reference.md`: generated from the table of operations and checked to be up to date.

use metajit::ir::parse::{Bindings, Body, parse};
use metajit::ir::print::{code_line, tree_line};
use metajit::ir::{Class, Op, OpRef};
use metajit::word::Type;
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# IR reference

Generated from the table of operations (`crates/metajit/src/ir/table.rs`) by `METAJIT_BLESS=1 cargo test -p metajit --test filetests`;
not to be edited.

A value is a 64-bit word (`int`) or a 64-bit float (`float`). Narrower integers, booleans and characters are words in
canonical form: sign- or zero-extended by their own signedness. A handle is the address of its object. A constant operand is
written as a literal; the operand of a `float` operation needs a decimal point (or is `inf`, `nan`, or `nan:` and a pattern).
";

const CLASSES: &[(Class, &str, &str)] = &[
    (
        Class::Input,
        "Inputs",
        "Stand for values given from outside; usually written in the head of a block, `b1(v0: int, v1: float):`.",
    ),
    (
        Class::Pure,
        "Pure operations",
        "Compute their result from their operands alone; may be merged, moved and dropped.",
    ),
    (Class::Load, "Loads", "Read memory that may change."),
    (Class::ImmutableLoad, "Immutable loads", "Read memory that never changes while the object lives."),
    (Class::Store, "Stores", "Write memory."),
    (Class::Alloc, "Allocation", "Makes an object."),
    (Class::Call, "Calls", "Run other code."),
    (
        Class::Guard,
        "Guards",
        "Leave through an exit when their condition does not hold. In a tree a guard names itself and its snapshot instead: `guard_true v0 -> g0 at n1+2`, which is log node 1 and 2 ticks.",
    ),
    (Class::Mark, "Marks", "Say something about the trace and do nothing."),
];

const HEADER: &str = "\
shape Pair { left: ref, tag: i64, items: [value] }
portal main(greens 0, reds int int float float)
callee som::divmod(2) -> 2 any
";

/// A line with the operation, as somebody would write it.
fn sample(op: Op) -> String {
    let special = match op {
        Op::Load => "v4 = load v0.Pair.left",
        Op::Store => "store v0.Pair.left, v1",
        Op::LoadItem => "v4 = load_item v0.Pair.items[v1]",
        Op::StoreItem => "store_item v0.Pair.items[v1], 7",
        Op::Len => "v4 = len v0.Pair.items",
        Op::New => "v4 = new Pair(len v0, fill 0)",
        Op::Call => "v4 = call som::divmod(v0, 10)",
        Op::ResultWord => "v4 = result_word 1",
        Op::Param => "v4 = param 0",
        Op::FParam => "v4 = fparam 2",
        Op::GuardValue => "guard_value v0, 3 -> x0",
        Op::Merge => "merge n0",
        _ => "",
    };
    if !special.is_empty() {
        return special.to_string();
    }
    let info = op.info();
    let operands: Vec<&str> = info
        .operands
        .iter()
        .enumerate()
        .map(|(index, ty)| match (ty, index) {
            (Type::Int, 0) => "v0",
            (Type::Int, _) => "v1",
            (Type::Float, 0) => "v2",
            (Type::Float, _) => "v3",
        })
        .collect();
    let mut line = String::new();
    if info.result.is_some() {
        line.push_str("v4 = ");
    }
    let _ = write!(line, "{} {}", info.name, operands.join(", "));
    if info.class == Class::Guard {
        line = format!("{} -> x0", line.trim_end());
    }
    line
}

/// The sample as the printer prints it.
fn example(op: Op) -> String {
    let line = sample(op);
    let params = "(v0: int, v1: int, v2: float, v3: float)";
    let text = match op {
        Op::Merge => format!(
            "{HEADER}tree main() {{\nf0{params}:\nn0 = root: merge main() reds(v0, v1, v2, v3)\n{line}\nfinish\n}}"
        ),
        _ => format!("{HEADER}code main {{\nb0{params}:\n{line}\nfinish\nexit x0:\n}}"),
    };
    let at = OpRef(4);
    match parse(&text, &Bindings::default()) {
        Ok(Body::Tree(tree)) => tree_line(&tree, at),
        Ok(Body::Code(code)) => code_line(&code, at),
        Err(error) => panic!("`{line}`: {error}"),
    }
}

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Int => "int",
        Type::Float => "float",
    }
}

/// The types of an operation's operands and result.
fn signature(op: Op) -> String {
    let info = op.info();
    let mut operands: Vec<&str> = info.operands.iter().map(|&ty| type_name(ty)).collect();
    match op {
        Op::Store => operands[1] = "field's",
        Op::StoreItem => operands[2] = "field's",
        Op::Call => operands.push("any…"),
        _ => {}
    }
    let result = match (op, info.result) {
        (Op::Load | Op::LoadItem, _) => " → field's",
        (_, Some(Type::Int)) => " → int",
        (_, Some(Type::Float)) => " → float",
        (_, None) => "",
    };
    format!("({}){result}", operands.join(", "))
}

/// The grammar, from the parser's own documentation.
fn grammar() -> String {
    let source = include_str!("../../src/ir/parse.rs");
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let from = lines.skip_while(|line| !line.starts_with("**The grammar.**"));
    let text: Vec<&str> = from.take_while(|line| !line.starts_with("**Approach.**")).collect();
    text.join("\n").replacen("**The grammar.** ", "", 1)
}

/// The page.
fn page() -> String {
    let mut page = INTRODUCTION.to_string();
    for (class, title, meaning) in CLASSES {
        let _ = write!(page, "\n## {title}\n\n{meaning}\n\n");
        page.push_str("| operation | types | meaning | example |\n|---|---|---|---|\n");
        for &op in Op::ALL {
            let info = op.info();
            if info.class == *class {
                let _ =
                    writeln!(page, "| `{}` | {} | {} | `{}` |", info.name, signature(op), info.meaning, example(op));
            }
        }
    }
    let _ = write!(page, "\n## Text\n\n{}\n", grammar().trim_end());
    page
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ir-reference.md");
    let page = page();
    if std::env::var_os("METAJIT_BLESS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).expect("a directory for the page");
        std::fs::write(path, page).expect("the page can be written");
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "docs/ir-reference.md is out of date: run with METAJIT_BLESS=1");
}
