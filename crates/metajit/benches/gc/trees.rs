//! Binary trees in `cells` under the JIT, against the same program in other languages.
//!
//! Each program runs as a process of its own, so that starting, compiling and collecting are counted for all of them alike, on whatever
//! thread they happen. Ours is this bench, started with [`ARGUMENT`]. A language that is not installed has no figure.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What tells this bench to run one tree program and nothing else.
pub(crate) const ARGUMENT: &str = "--trees";

/// The depths whose geometric mean is the figure.
const DEPTHS: [u32; 2] = [16, 18];

/// Runs of each program; the least time counts.
const RUNS: usize = 3;

const PROGRAM: &str = "
(define (build depth)
  (if (< depth 1)
      (pair nil nil)
      (pair (build (- depth 1)) (build (- depth 1)))))
(define (count pair)
  (if (head pair)
      (+ 1 (+ (count (head pair)) (count (tail pair))))
      1))
(define (many number depth)
  (let total 0)
  (while (< 0 number)
    (set total (+ total (count (build depth))))
    (set number (- number 1)))
  total)
(define (power n)
  (let result 1)
  (while (< 0 n) (set result (* 2 result)) (set n (- n 1)))
  result)
(let lasting (build DEPTH))
(let total (+ (many (power (- DEPTH 2)) 4) (+ (many (power (- DEPTH 8)) 10) (many 4 DEPTH))))
(print (+ total (count lasting)))
";

/// Runs our program.
pub(crate) fn run(depth: &str) {
    let program = cells::compiler::compile(&PROGRAM.replace("DEPTH", depth)).expect("the program is right");
    cells::run(program.get()).expect("the program has no fault");
    println!("{}", cells::take_output().concat());
    if std::env::var_os("METAJIT_BENCH_STATISTICS").is_some() {
        eprintln!("{:?}\n{:?}", metajit::driver::statistics(), metajit::gc::statistics());
    }
}

/// CPU time of all processes that this one has waited for, in seconds.
fn children() -> f64 {
    // SAFETY: plain numbers, which the call writes.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// What the command prints, and its CPU time; none if it can't be run.
fn timed(command: &[&str], depth: u32) -> Option<(String, f64)> {
    let before = children();
    let output = Command::new(command[0]).args(&command[1..]).arg(depth.to_string()).output().ok()?;
    let time = children() - before;
    output.status.success().then(|| (String::from_utf8_lossy(&output.stdout).trim().to_owned(), time))
}

/// The C program, compiled; none if there is no compiler or no library.
fn boehm(sources: &Path) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trees-boehm");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-o"]).arg(&program).arg(sources.join("trees.c")).arg("-lgc");
    cc.output().ok()?.status.success().then_some(program)
}

/// The ratios of our time to that of each language that is here, and our time in milliseconds.
pub(crate) fn figures() -> Vec<(&'static str, f64)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gc");
    let own = std::env::current_exe().expect("this program has a path");
    let boehm = boehm(&sources);
    let text = |path: &Path| path.to_str().expect("a readable path").to_owned();
    let (own, python, script) = (text(&own), text(&sources.join("trees.py")), text(&sources.join("trees.js")));
    let boehm = boehm.map_or_else(String::new, |path| text(&path));
    // The system's own Python, if there is one: the first in the path may be a wrapper that starts slowly.
    let system = "/usr/bin/python3";
    let cpython = if Path::new(system).exists() { system } else { "python3" };
    let others: [(&str, Vec<&str>); 4] = [
        ("trees_boehm", vec![&boehm]),
        ("trees_cpython", vec![cpython, &python]),
        ("trees_pypy3", vec!["pypy3", &python]),
        ("trees_node", vec!["node", &script]),
    ];
    let mut logarithms = [Some(0.0); 4];
    let mut ours_ms = 0f64;
    for depth in DEPTHS {
        let mut ours = f64::MAX;
        let mut theirs = [f64::MAX; 4];
        for _ in 0..RUNS {
            let (expected, time) = timed(&[&own, ARGUMENT], depth).expect("our program runs");
            ours = ours.min(time);
            for ((name, command), least) in others.iter().zip(&mut theirs) {
                if let Some((printed, time)) = timed(command, depth) {
                    assert_eq!(printed, expected, "{name}");
                    *least = least.min(time);
                }
            }
        }
        println!("trees of depth {depth}: {ours:.3} s, the others {theirs:.3?}");
        for (sum, theirs) in logarithms.iter_mut().zip(theirs) {
            *sum = if theirs == f64::MAX { None } else { sum.map(|sum| sum + (ours / theirs).ln()) };
        }
        ours_ms += (ours * 1e3).ln();
    }
    let mean = |sum: f64| (sum / DEPTHS.len() as f64).exp();
    let mut figures = vec![("trees_cells_ms", mean(ours_ms))];
    figures.extend(others.iter().zip(logarithms).filter_map(|((name, _), sum)| Some((*name, mean(sum?)))));
    figures
}
