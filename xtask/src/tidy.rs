//! Rules of the source that no compiler checks.
//!
//! **Layering.** Who may name whom inside `metajit` is a table, [`LAYERS`]; what is not in it is an absence that
//! `ARCHITECTURE.md` explains. **Length.** No file has more than [`MAX_LINES`] lines of code. **Documents** name files that
//! exist. **Left-overs**: nothing unfinished, no glob import outside preludes, no path of somebody's machine. **Headers**: every
//! file of Rust begins by saying what it is for.
//!
//! The checks read lines, not syntax: good enough for code that is formatted and compiles, and nothing to build.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `metajit` that each of its modules may name with `crate::`. The longest prefix of a file's path counts.
const LAYERS: &[(&str, &[&str])] = &[
    ("word.rs", &[]),
    ("object.rs", &["word"]),
    ("maybe.rs", &["object", "word"]),
    ("context.rs", &[]),
    ("gc/", &["gc", "object", "word"]),
    ("ir/", &["ir", "object", "word", "context"]),
    // The evaluator runs code: it allocates, and leaves as machine code leaves.
    ("ir/eval.rs", &["ir", "object", "word", "context", "gc"]),
    ("opt/", &["opt", "ir", "object", "word", "context"]),
    ("backend/", &["backend", "ir", "object", "word", "context", "gc"]),
    ("twin/", &["twin", "record", "ir", "maybe", "object", "word", "context", "driver"]),
    ("record/", &["record", "shallow", "twin", "driver", "ir", "maybe", "object", "word", "context", "access", "gc"]),
    ("shallow/", &["shallow", "record", "twin", "driver", "ir", "object", "word", "access"]),
    (
        "driver/",
        &["driver", "shallow", "record", "twin", "opt", "backend", "ir", "object", "word", "context", "gc", "stack"],
    ),
    ("access.rs", &["gc", "object", "word", "driver"]),
    ("stack.rs", &["driver"]),
    ("stop.rs", &["driver"]),
    ("hints.rs", &["record", "twin", "word"]),
    ("testing.rs", &["driver", "gc", "ir"]),
    ("testing/", &["testing", "driver", "gc"]),
];

/// Lines of code in one file; comments, blank lines and `#[cfg(test)]` modules not counted.
const MAX_LINES: usize = 1000;

/// Modules that are one table of constants, which the code that interprets them imports whole.
const TABLES: &[&str] = &["crate::bytecode::*"];

/// All findings, each as `path:line: what is wrong`.
pub fn check(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for path in files(root, root) {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let name = path.to_string_lossy().replace('\\', "/");
        if name.ends_with(".rs") {
            rust(&name, &text, &mut findings);
        }
        if name.ends_with(".md") {
            links(root, &name, &text, &mut findings);
        }
        machine_paths(&name, &text, &mut findings);
    }
    findings.sort();
    findings
}

/// The files under `dir`, relative to the root; nothing hidden but `.ci`, and nothing that was built.
fn files(root: &Path, dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if (name.starts_with('.') && name != ".ci") || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(root, &path));
        } else if let Ok(relative) = path.strip_prefix(root) {
            found.push(relative.to_owned());
        }
    }
    found
}

/// A line without its comment. (A string that holds `//` is cut too, which hides nothing that is looked for.)
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default().trim_end()
}

/// Whether the file is made of tests: these import their subject whole.
fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.contains("/benches/")
}

fn rust(name: &str, text: &str, findings: &mut Vec<String>) {
    let mut lines = 0;
    let mut tests = false;
    for (index, line) in text.lines().enumerate() {
        tests |= line.trim() == "#[cfg(test)]";
        let code = code(line);
        if code.trim().is_empty() {
            continue;
        }
        if !tests {
            lines += 1;
        }
        let mut find = |message: &str| findings.push(format!("{name}:{}: {message}", index + 1));
        if !name.starts_with("xtask/src/tidy") {
            for word in ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"] {
                if code.contains(word) {
                    find(&format!("unfinished: {word}"));
                }
            }
        }
        if is_glob_import(code)
            && !tests
            && !is_test(name)
            && !["prelude::*", "use super::*"].iter().chain(TABLES).any(|allowed| code.contains(allowed))
        {
            find("a glob import: name what is imported");
        }
        if let Some(inside) = name.strip_prefix("crates/metajit/src/") {
            for target in named_modules(code) {
                if !may_name(inside, target) {
                    find(&format!("{inside} may not know crate::{target}: see ARCHITECTURE.md, Absences"));
                }
            }
        }
        if name.starts_with("crates/som/") && code.contains("metajit::rt") {
            find("som uses metajit's public API only");
        }
    }
    if lines > MAX_LINES {
        findings.push(format!("{name}: {lines} lines of code; {MAX_LINES} is the limit"));
    }
    let is_ui = name.contains("/tests/ui/");
    if !is_ui && !text.trim_start().starts_with("//!") {
        findings.push(format!("{name}:1: a file begins with `//!` and what it is for"));
    }
}

/// `use a::b::*;`, but not `pub use`, by which a facade exports.
fn is_glob_import(code: &str) -> bool {
    let code = code.trim_start();
    code.starts_with("use ") && (code.contains("::*;") || code.contains("::*}") || code.contains("::*,"))
}

/// The modules that a line names by `crate::`.
fn named_modules(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        // `$crate::` belongs to whoever uses the macro.
        if start > 0
            && code[..start].ends_with(|before: char| before == '$' || before.is_alphanumeric() || before == '_')
        {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
        if end > 0 && rest[end..].starts_with("::") {
            found.push(&rest[..end]);
        }
    }
    found
}

fn may_name(file: &str, target: &str) -> bool {
    let layer = LAYERS.iter().filter(|(prefix, _)| file.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len());
    layer.is_none_or(|(_, allowed)| allowed.contains(&target))
}

/// Files that a document names in backquotes or links to: those with a directory must exist.
fn links(root: &Path, name: &str, text: &str, findings: &mut Vec<String>) {
    const ENDINGS: [&str; 9] = [".rs", ".md", ".toml", ".som", ".trace", ".sh", ".yml", ".json", ".stderr"];
    let base = Path::new(name).parent().unwrap_or(Path::new(""));
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for part in line.split('`').skip(1).step_by(2).chain(targets(line)) {
            let path = part.split('#').next().unwrap_or_default();
            let plain = path.contains('/')
                && !path.contains(|c: char| " *{}<>$:=\"'".contains(c))
                && !path.starts_with(['/', '~']);
            let is_file = ENDINGS.iter().any(|ending| path.ends_with(ending)) || path.ends_with('/');
            if plain && is_file && !root.join(base).join(path).exists() && !root.join(path).exists() {
                findings.push(format!("{name}:{}: there is no {path}", index + 1));
            }
        }
    }
}

/// The targets of a line's Markdown links.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn machine_paths(name: &str, text: &str, findings: &mut Vec<String>) {
    for (index, line) in text.lines().enumerate() {
        for place in ["work", "root", "home", "Users", "farm"] {
            let path = format!("/{place}/");
            let found = line.match_indices(&path).any(|(start, _)| {
                !line[..start].ends_with(|before: char| before.is_ascii_alphanumeric() || "_.-)}".contains(before))
            });
            if found {
                findings.push(format!("{name}:{}: a path of one machine", index + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        rust(name, text, &mut findings);
        findings
    }

    #[test]
    fn layers_are_kept() {
        let name = "crates/metajit/src/ir/print.rs";
        assert_eq!(findings(name, "//! Printing.\nuse crate::object::Shape;\n").len(), 0);
        assert_eq!(findings(name, "//! Printing.\nuse crate::backend::Machine;\n").len(), 1);
        assert_eq!(findings(name, "//! Printing.\nfn f() { crate::gc::collect(); }\n").len(), 1);
        assert_eq!(findings("crates/metajit/src/ir/eval.rs", "//! Runs.\nuse crate::gc::Root;\n").len(), 0);
        assert_eq!(findings("crates/som/src/vm.rs", "//! The VM.\nuse metajit::rt::Meta;\n").len(), 1);
    }

    #[test]
    fn what_is_unfinished_is_found() {
        let name = "crates/som/src/vm.rs";
        assert_eq!(findings(name, "//! The VM.\nfn f() { todo!() }\n").len(), 1);
        assert_eq!(findings(name, "//! The VM.\n// not todo!() any more\n").len(), 0);
        assert_eq!(findings(name, "use std::io;\n").len(), 1, "no header");
        assert_eq!(findings(name, "//! The VM.\nuse std::io::*;\n").len(), 1);
        assert_eq!(findings(name, "//! The VM.\nuse metajit::prelude::*;\n").len(), 0);
    }

    #[test]
    fn comments_blank_lines_and_tests_are_no_code() {
        let code = "fn f() {}\n".repeat(MAX_LINES);
        let text = format!("//! Long.\n\n// a comment\n{code}#[cfg(test)]\nmod tests {{\n    fn g() {{}}\n}}\n");
        assert_eq!(findings("crates/som/src/vm.rs", &text), Vec::<String>::new());
        assert_eq!(
            findings("crates/som/src/vm.rs", &format!("{}fn g() {{}}\n", text.replace("#[cfg(test)]\n", ""))).len(),
            1
        );
    }

    #[test]
    fn dead_paths_in_documents_are_found() {
        let root = crate::root();
        let mut findings = Vec::new();
        links(&root, "README.md", "See `crates/metajit/src/lib.rs` and [it](docs/ir-reference.md).", &mut findings);
        assert_eq!(findings, Vec::<String>::new());
        links(&root, "README.md", "See `crates/metajit/src/nothing.rs`.", &mut findings);
        assert_eq!(findings, ["README.md:1: there is no crates/metajit/src/nothing.rs"]);
    }
}
