//! One process, measured from outside: when each of its lines came, and how much processor time it had used by then.
//!
//! Its output is a terminal, so that programs that gather their output write each line at once. The processor time of all of the
//! process's threads together, compile threads included, is read from its clock as each line is read; what it used by the end
//! is told by the system when it has been waited for, which tells it of all children together: one is run at a time.

use nix::pty::openpty;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A line of output.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// When it came, since the process was started.
    pub wall: Duration,
    /// Processor time used by then.
    pub cpu: Duration,
}

/// A process that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub lines: Vec<Line>,
    /// What it wrote to standard error.
    pub err: String,
    /// From its start to its end.
    pub wall: Duration,
    /// Processor time of all its threads.
    pub cpu: Duration,
    /// The most memory that it had, in KiB, as far as was seen: when its lines came.
    pub peak_kb: u64,
}

/// One process is measured at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Runs a command to its end.
///
/// # Errors
/// If it can't be started or watched.
pub fn measure(command: &mut Command) -> Result<Finished, String> {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let terminal = openpty(None, None).map_err(|error| failed("no terminal", &error))?;
    let mut settings = tcgetattr(&terminal.slave).map_err(|error| failed("no terminal", &error))?;
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings).map_err(|error| failed("no terminal", &error))?;
    command.stdin(Stdio::null()).stdout(terminal.slave).stderr(Stdio::piped());
    let before = children();
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    // The command keeps the other end of the terminal, which would never be at its end.
    command.stdout(Stdio::null());
    let pid = Pid::from_raw(child.id() as i32);
    let clock = clock_getcpuclockid(pid).ok();
    let stderr = child.stderr.take();
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What can't be read is not there.
        let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut lines = Vec::new();
    let mut peak_kb = 0;
    let mut reader = BufReader::new(File::from(terminal.master));
    let mut bytes = Vec::new();
    // When the last process at the other end is gone, reading fails.
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let (wall, cpu) = (start.elapsed(), clock.map_or(Duration::ZERO, time_of));
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        lines.push(Line { text, wall, cpu });
        bytes.clear();
        peak_kb = peak_kb.max(peak_memory(pid));
    }
    let status = child.wait().map_err(|error| format!("{command:?}: {error}"))?;
    let wall = start.elapsed();
    let cpu = children().saturating_sub(before);
    Ok(Finished { status: status.code(), lines, err: err.join().unwrap_or_default(), wall, cpu, peak_kb })
}

fn time_of(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Processor time of all children that have been waited for.
fn children() -> Duration {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(Duration::ZERO, |usage| {
        let time = |value: nix::sys::time::TimeVal| {
            Duration::new(value.tv_sec() as u64, 0) + Duration::from_micros(value.tv_usec() as u64)
        };
        time(usage.user_time()) + time(usage.system_time())
    })
}

/// The most memory that a living process has had so far, in KiB.
fn peak_memory(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_dated_as_they_come() {
        let script = "echo first; sleep 0.2; echo second; echo wrong >&2; exit 3";
        let finished = measure(Command::new("sh").args(["-c", script])).expect("a shell");
        let texts: Vec<&str> = finished.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts, finished.err.as_str(), finished.status), (vec!["first", "second"], "wrong\n", Some(3)));
        let apart = finished.lines[1].wall - finished.lines[0].wall;
        assert!(apart >= Duration::from_millis(150) && finished.wall >= finished.lines[1].wall, "{finished:?}");
        assert!(finished.peak_kb > 0);
    }

    #[test]
    fn work_costs_processor_time_and_sleep_does_not() {
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; sleep 0.3";
        let finished = measure(Command::new("sh").args(["-c", work])).expect("a shell");
        let at_line = finished.lines[0].cpu;
        assert!(at_line > Duration::from_millis(10), "{finished:?}");
        assert!(finished.cpu >= at_line / 2 && finished.cpu < at_line + Duration::from_millis(200), "{finished:?}");
    }
}
