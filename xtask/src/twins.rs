//! What twins cost whoever builds an interpreter: its compile time and its code, with them and without.
//!
//! The crate `som` is compiled alone, as one unit, when everything that it depends on has been: in a release build with the feature
//! `jit`, which makes a twin of each annotated function, and without. The times are processor time of the compiler; the code is the sum of the
//! `.text` sections of the object file, so that neither the framework nor Cranelift count. Both are held against a budget.

use nix::sys::resource::{UsageWho, getrusage};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Compile time and bytes of code, with twins, may be so many times what they are without. A twin is a second copy of the
/// interpreter in which each operation is a call, so it should not cost more than that copy.
const BUDGET: [(&str, f64); 2] = [("compile time", 3.0), ("code", 2.5)];

/// Builds of each kind; the least counts.
const ROUNDS: u32 = 3;

/// Measures, and says what came of it.
///
/// # Errors
/// If a build fails, or the budget does not hold.
pub fn run(root: &Path) -> Result<(), String> {
    let mut figures = [[f64::INFINITY; 2]; 2];
    for round in 0..ROUNDS {
        for (jit, figures) in [true, false].into_iter().zip(&mut figures) {
            // The first build of each kind has dependencies in it, so it is only the others that are looked at.
            if round == 0 {
                build(root, jit, 0)?;
            }
            let (time, bytes) = build(root, jit, round + 1)?;
            *figures = [figures[0].min(time.as_secs_f64()), bytes as f64];
        }
    }
    let mut exceeded = Vec::new();
    for (index, (name, budget)) in BUDGET.into_iter().enumerate() {
        let [with, without] = figures.map(|figures| figures[index]);
        let ratio = with / without;
        println!("{name:<12} with twins {with:>10.1}, without {without:>10.1}: {ratio:.2} (budget {budget})");
        if ratio > budget {
            exceeded.push(name);
        }
    }
    if exceeded.is_empty() { Ok(()) } else { Err(format!("twins cost too much: {}", exceeded.join(", "))) }
}

/// Compiles the crate once more: the processor time, and the bytes of code.
fn build(root: &Path, jit: bool, round: u32) -> Result<(Duration, u64), String> {
    let directory = root.join("target/twins");
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let object = directory.join(if jit { "with.o" } else { "without.o" });
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["rustc", "--quiet", "--release", "--package", "som", "--lib"]);
    if !jit {
        cargo.arg("--no-default-features");
    }
    // A name that was not there before, so that the crate is compiled, and nothing else.
    let name = format!("measured_{}_{round}", std::process::id());
    cargo.args(["--", "-Ccodegen-units=1", "--cfg", &name, &format!("--emit=obj={}", object.display())]);
    let before = children();
    let status = cargo.status().map_err(|error| format!("{cargo:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{cargo:?}: {status}"));
    }
    let time = children() - before;
    let file = std::fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))?;
    let bytes = code_bytes(&file).ok_or_else(|| format!("{} is no object file of 64 bits", object.display()))?;
    Ok((time, bytes))
}

/// Processor time of all children so far.
fn children() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let seconds = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

/// The bytes of all sections of an ELF file that can be run.
fn code_bytes(file: &[u8]) -> Option<u64> {
    let word = |at: usize, bytes: usize| -> Option<u64> {
        let bytes = file.get(at..at + bytes)?;
        Some(bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
    };
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (headers, size, mut count) = (word(40, 8)? as usize, word(58, 2)? as usize, word(60, 2)?);
    if count == 0 {
        // More sections than fit there: the first header says how many.
        count = word(headers + 32, 8)?;
    }
    const EXECUTABLE: u64 = 4;
    (0..count as usize).try_fold(0, |sum, index| {
        let header = headers + index * size;
        let code = word(header + 8, 8)? & EXECUTABLE != 0;
        Some(sum + if code { word(header + 32, 8)? } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::code_bytes;

    #[test]
    fn code_is_what_can_be_run() {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64 + 3 * 64, 0);
        (file[40], file[58], file[60]) = (64, 64, 3);
        for (section, flags, bytes) in [(0, 0, 7), (1, 6, 100), (2, 2, 9)] {
            (file[64 + section * 64 + 8], file[64 + section * 64 + 32]) = (flags, bytes);
        }
        assert_eq!(code_bytes(&file), Some(100));
        assert_eq!(code_bytes(b"MZ"), None);
    }
}
