//! Random programs do the same in every mode.
//!
//! `METAJIT_FUZZ_PROGRAMS` and `METAJIT_FUZZ_SEED` make it longer and different. `METAJIT_FUZZ_REFERENCE` names another SOM
//! virtual machine, with its options (`SOM++ -H64MB -cp Smalltalk:.`): then the programs are moderate ones, and their output must
//! be that VM's, which is run in the program's directory.

#[path = "support/programs.rs"]
mod programs;

use metajit::testing::{Fuzz, Genes, Modes, fuzz};
use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A stream that keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

/// Of the stack of a run's thread, what the VM may use.
const STACK: usize = 32 << 20;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// Writes a program's classes into a directory of their own.
fn directory_of(text: &str) -> PathBuf {
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the program");
    for (class, source) in programs::classes(text) {
        std::fs::write(directory.join(format!("{class}.som")), source).expect("the program is written");
    }
    directory
}

/// Status, output, errors.
fn go(text: &str) -> (i32, String, String) {
    let directory = directory_of(text);
    let (out, err) = (Kept::default(), Kept::default());
    let options = som::Options {
        class_path: vec![directory.clone()],
        arguments: vec!["Fz".to_owned()],
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        line_by_line: false,
        ..som::Options::default()
    };
    let status = som::run_on_this_thread(options, STACK);
    let _ = std::fs::remove_dir_all(&directory);
    // Stack traces name files.
    let err = err.text().replace(&directory.display().to_string(), "");
    assert!(!err.contains(": error: "), "a program that does not compile tests nothing: {err}\n{text}");
    (status, out.text(), err)
}

fn modes() -> Modes {
    Modes::plain()
        .with("evaluated", "evaluate=1,threshold=3,function_threshold=5,trace_eagerness=1")
        .with("quick", "quick=1,threshold=3,function_threshold=5,trace_eagerness=1")
        .with("full", "threshold=5,function_threshold=1000000,trace_eagerness=1")
        .with("full, not optimized", "optimize=0,threshold=4,function_threshold=7,trace_eagerness=2")
        .with("functions only", "threshold=1000000,function_threshold=2,trace_eagerness=2")
        .with("few bridges", "threshold=7,function_threshold=11")
        .with(
            "short traces",
            "threshold=2,function_threshold=3,trace_eagerness=1,trace_limit=300,max_unroll_loops=1,max_inline_depth=2",
        )
        .with("default", "")
        .with_collector("collecting often", "threshold=3,function_threshold=5,trace_eagerness=1", "stress=301,poison=1")
        .with_matrix("stress=301,poison=1")
        .forced(3)
}

#[test]
fn random_programs_do_the_same_in_every_mode() {
    let moderate = std::env::var("METAJIT_FUZZ_REFERENCE").is_ok();
    let mut campaign = Fuzz::new("som", 1, 12);
    campaign.genes = 400;
    campaign.modes = modes();
    fuzz(&campaign, |genes| programs::make(genes, moderate), go);
}

#[test]
fn random_programs_do_what_another_vm_does() {
    let Ok(reference) = std::env::var("METAJIT_FUZZ_REFERENCE") else {
        println!("skipped: set METAJIT_FUZZ_REFERENCE to the command of another SOM virtual machine");
        return;
    };
    let Fuzz { seed, programs, .. } = Fuzz::new("som", 1, 12);
    let mut words = reference.split_whitespace();
    let program = words.next().expect("a command").to_owned();
    let arguments: Vec<&str> = words.collect();
    let mut refused = 0;
    for number in seed..seed + programs {
        let genes = Genes::random(number, 100 + (number % 4) as usize * 100);
        let text = programs::make(&mut Genes::new(&genes), true);
        let directory = directory_of(&text);
        let output = Command::new(&program)
            .args(&arguments)
            .arg("Fz")
            .current_dir(&directory)
            .stdin(Stdio::null())
            .output()
            .expect("the other VM starts");
        let expected = String::from_utf8_lossy(&output.stdout).into_owned();
        let _ = std::fs::remove_dir_all(&directory);
        let (status, out, err) = run(&text);
        assert_eq!(status, 0, "seed {number}: {out}{err}\n{text}");
        if !output.status.success() {
            // Moderate programs have no errors: it is the other that has one.
            refused += 1;
            continue;
        }
        // The other may print a banner.
        assert!(expected.trim().ends_with(out.trim()), "seed {number}: {out}\nnot {expected}\n{err}\n{text}");
    }
    println!("{programs} programs from seed {seed}, of which the other VM does not run {refused}");
}

/// Runs a program with the thread's own defaults.
fn run(text: &str) -> (i32, String, String) {
    let text = text.to_owned();
    std::thread::Builder::new()
        .stack_size(2 * STACK)
        .spawn(move || go(&text))
        .expect("a thread")
        .join()
        .expect("the VM does not panic")
}

#[test]
fn most_programs_come_to_their_end() {
    thread_local! {
        static ENDED: Cell<u32> = const { Cell::new(0) };
    }
    for seed in 0..20 {
        let genes = Genes::random(seed, 200);
        let (status, _, _) = run(&programs::make(&mut Genes::new(&genes), false));
        ENDED.set(ENDED.get() + u32::from(status == 0));
    }
    assert!(ENDED.get() >= 8, "{} of 20 come to their end", ENDED.get());
}
