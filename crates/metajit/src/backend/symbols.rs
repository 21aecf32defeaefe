//! Telling profilers what compiled code is called.
//!
//! With `METAJIT_PERF_MAP=1`, a line per machine goes to `/tmp/perf-PID.map`, where `perf report` looks for
//! the symbols of code that is in no file.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, OnceLock};

static MAP: OnceLock<Option<Mutex<File>>> = OnceLock::new();

fn open() -> Option<Mutex<File>> {
    if std::env::var_os("METAJIT_PERF_MAP").is_none_or(|value| value != "1") {
        return None;
    }
    let path = format!("/tmp/perf-{}.map", std::process::id());
    match File::create(&path) {
        Ok(file) => Some(Mutex::new(file)),
        Err(error) => {
            eprintln!("metajit: warning: no perf map: {path}: {error}");
            None
        }
    }
}

/// Publishes a piece of code, if that is wanted.
pub(super) fn publish(address: usize, bytes: usize, name: &str) {
    if let Some(map) = MAP.get_or_init(open)
        && let Ok(mut map) = map.lock()
    {
        // One write, so that a profiler that reads meanwhile sees whole lines. Nothing depends on its success.
        let _ = map.write_all(format!("{address:x} {bytes:x} {name}\n").as_bytes());
    }
}
