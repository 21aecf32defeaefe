//! Output: buffered, in order, never lost.
//!
//! Programs print a few bytes at a time. What they print is kept in a buffer and written when it is full, before
//! anything goes to standard error (so that the two appear in the order of the program), at a
//! request, and at the end, however the program ends. On a terminal each line is written at once.

use std::io::Write;

/// How much is kept back: large enough to make writes rare.
const BUFFER: usize = 1 << 16;

/// The two streams of a program.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    line_by_line: bool,
    failure: Option<std::io::Error>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("kept", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Output {
    /// Output to these streams.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, line_by_line: bool) -> Output {
        Output { out, err, buffer: Vec::new(), line_by_line, failure: None }
    }

    /// Prints.
    pub fn print(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER || (self.line_by_line && bytes.contains(&b'\n')) {
            self.flush();
        }
    }

    /// Prints to standard error.
    pub fn print_error(&mut self, bytes: &[u8]) {
        self.flush();
        // Nobody is left to be told that standard error can't be written.
        let _ = self.err.write_all(bytes).and_then(|()| self.err.flush());
    }

    /// Writes what was kept back. A reader that has gone away (`| head`) is no error of the program's.
    pub fn flush(&mut self) {
        if !self.buffer.is_empty() {
            // The writer may end the process, which drops what is kept: it is written once.
            let mut bytes = std::mem::take(&mut self.buffer);
            match self.out.write_all(&bytes).and_then(|()| self.out.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => _ = self.failure.get_or_insert(error),
                _ => {}
            }
            bytes.clear();
            self.buffer = bytes;
        }
    }

    /// Why some output could not be written, the first time that happened.
    pub fn failure(&self) -> Option<&std::io::Error> {
        self.failure.as_ref()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}
