//! `test compile`: the `run:` lines by machine code, at both qualities; and the evaluator's own cases once more as machine code.
//! `test compile memory` also says what the machine code does about objects besides reading and writing them.

use super::{Case, Path, bindings, body, case, runs, split, trace_files};
use metajit::backend::{Arena, Compiler, MemoryWork, Options, Quality};
use metajit::context::Context;
use metajit::gc;
use metajit::ir::Op;
use metajit::ir::code::Code;
use metajit::ir::parse::{Body, parse_shapes};
use metajit::object::{Header, Shape};
use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes of code memory: more than all that one file needs at a time.
const ARENA_BYTES: usize = 1 << 20;

/// Where the thread's next small object goes, what it may not exceed, and how many collections there were.
fn window() -> (usize, usize, u64) {
    let inline = gc::inline_allocation(8).expect("small objects are allocated inline");
    let statistics = gc::statistics();
    // SAFETY: the addresses are those of this thread's heap.
    let (cursor, limit) = unsafe { (*inline.cursor, *inline.limit) };
    (cursor, limit, statistics.minor + statistics.major)
}

/// The objects between two states of the allocation window; `None` if it was moved or there was a collection.
fn objects_between((mut at, limit, collections): (usize, usize, u64), after: (usize, usize, u64)) -> Option<Vec<u64>> {
    if at == 0 || (limit, collections) != (after.1, after.2) {
        return None;
    }
    let mut objects = Vec::new();
    while at < after.0 {
        objects.push(at as u64);
        // SAFETY: objects lie there one after the other.
        let shape = unsafe { (*(at as *const Header)).shape };
        let shape = Shape::by_id(shape)?;
        let len = shape.array.map_or(0, |array| {
            // SAFETY: an object of this shape has its length there.
            unsafe { ((at + array.offset as usize) as *const u64).sub(1).read() as usize }
        });
        at += shape.bytes(len);
    }
    Some(objects)
}

fn compiler() -> Compiler {
    let arena = Arena::new(ARENA_BYTES).expect("memory for code");
    Compiler::new(arena).expect("a compiler for this machine")
}

/// What a run gives at a quality; `None` if it can't be told which words are new objects.
fn run(
    compiler: &mut Compiler,
    code: &Code,
    text: &str,
    arguments: &str,
    quality: Quality,
) -> Result<Option<String>, String> {
    let shapes = parse_shapes(text, &bindings()).map_err(|error| error.to_string())?;
    let told = Cell::new(true);
    let mut engine = |context: *mut Context, valid: &Arc<AtomicU64>| {
        let options = Options { valid: Some(Arc::clone(valid)), ..Options::new(quality) };
        let machine = compiler.compile(code, &options).expect("what is well formed compiles");
        let before = window();
        // SAFETY: the context is valid, and the callees are those of `runs`.
        let result = unsafe { machine.entry()(context) };
        let made = if code.insts.iter().any(|inst| inst.op == Op::New) {
            objects_between(before, window())
        } else {
            Some(Vec::new())
        };
        told.set(made.is_some());
        (result, made.unwrap_or_default())
    };
    let result = runs::run(code, &shapes, arguments, &mut engine)?;
    Ok(told.get().then_some(result))
}

/// Runs code by machine code of both qualities, which must agree.
pub(super) fn command(case: &mut Case) -> Result<String, String> {
    let Body::Code(code) = body(case)? else {
        return Err("only code can be compiled".to_string());
    };
    let mut compiler = compiler();
    let mut output = String::new();
    if case.args.iter().any(|arg| arg == "memory") {
        for (name, quality) in [("quick", Quality::Quick), ("full", Quality::Full)] {
            let machine = compiler.compile(&code, &Options::new(quality)).map_err(|error| error.to_string())?;
            let MemoryWork { bumps, objects, calls, barriers, filled } = machine.stats().memory;
            let _ = writeln!(
                output,
                "{name}: {objects} objects in {bumps} bumps and {calls} calls, {barriers} barriers, {filled} items filled"
            );
        }
    }
    for line in &mut case.runs {
        let quick = run(&mut compiler, &code, &case.text, &line.arguments, Quality::Quick)?;
        let full = run(&mut compiler, &code, &case.text, &line.arguments, Quality::Full)?;
        line.actual = Some(match (quick, full) {
            (Some(quick), Some(full)) if quick == full => quick,
            // A collection came between, which happens only where the environment asks for stress.
            (None, _) | (_, None) => line.expected.clone(),
            (quick, full) => format!("quick: {quick:?}, full: {full:?}"),
        });
    }
    Ok(output)
}

#[test]
fn machine_code_does_what_the_evaluator_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests/eval");
    let mut files = Vec::new();
    trace_files(&root, &mut files);
    let mut compiler = compiler();
    let mut compared = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a filetest is text");
        let file = split(&text);
        for &(start, marker, _) in &file.cases {
            let case = case(&file, (start, marker), &[]);
            let Ok(Body::Code(code)) = body(&case) else {
                continue;
            };
            for line in &case.runs {
                // Where the evaluator refuses, machine code does anything.
                if line.expected.starts_with("fault") {
                    continue;
                }
                for quality in [Quality::Quick, Quality::Full] {
                    let place = format!("{}:{}, {quality:?}", path.display(), line.line + 1);
                    match run(&mut compiler, &code, &case.text, &line.arguments, quality) {
                        Ok(Some(result)) => {
                            assert_eq!(result, line.expected, "{place}");
                            compared += 1;
                        }
                        Ok(None) => {}
                        Err(error) => panic!("{place}: {error}"),
                    }
                }
            }
        }
    }
    assert!(compared > 0);
}
