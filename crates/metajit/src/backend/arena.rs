//! The memory of machine code.
//!
//! **Problem.** Code comes and goes in pieces of some kilobytes, on two threads, while other code runs. No address may be
//! writable and executable, and changing a page's protection costs a system call and stops threads that execute there.
//!
//! **Approach.** One region of shared anonymous memory, mapped twice: pieces are written through one mapping and executed
//! through the other. A piece is taken from a list of free runs (first fit, neighbours joined when freed), so that
//! installing code is a copy.
//!
//! **Invariants.**
//! 1. The writable mapping is never executable, the executable one never writable.
//! 2. Free runs don't touch each other or a piece in use; together they cover the region.
//! 3. Memory of a piece is written while the piece is made and after it was dropped, never between.
//!
//! **Rejected.** A file in memory (`memfd_create`): profilers take its name for that of a library and ignore the symbols we
//! publish. Changing protections: 5 µs per piece and whole pages. Reserving address space near the program so that
//! calls are shorter: nothing measurable.
//!
//! **Forks.** The region is shared with the children of `fork`: a child runs the code that was there, and must neither install
//! ([`Arena::install`] refuses; it makes an arena of its own) nor give back. In the parent, pieces that were there at a fork are never
//! written again, since a child may run them for as long as it lives: their memory stays in use.

use super::compiler::CompileError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once};

/// Bytes of an arena unless said otherwise: some 10,000 traces; pages never used cost nothing.
pub const DEFAULT_ARENA_BYTES: usize = 64 << 20;
/// Pieces begin at multiples of a cache line.
const GRAIN: usize = 64;
/// What freed memory is filled with in debug builds: a breakpoint instruction in every byte (x86).
const POISON: u8 = 0xcc;

/// See the module.
#[derive(Debug)]
pub struct Arena {
    mapping: mapping::Mapping,
    process: u32,
    free: Mutex<Free>,
}

/// The free runs, by offset, with their lengths in bytes.
#[derive(Debug)]
struct Free {
    runs: BTreeMap<usize, usize>,
    used: usize,
}

/// How often this process was forked, as far as the C library knows.
static FORKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Has forks counted from now on.
fn count_forks() {
    static REGISTERED: Once = Once::new();
    // SAFETY: the handler only adds to an atomic number.
    REGISTERED.call_once(|| unsafe {
        // Before the fork, so that no piece that the child gets is given back in between. If it fails, forks aren't counted; a
        // child is then safe for as long as its parent frees no code.
        libc::pthread_atfork(Some(forked), None, None);
    });
}

/// A piece of an arena that holds code. Dropping it gives the memory back.
#[derive(Debug)]
pub(super) struct Piece {
    /// Forks when it was installed.
    forks: u64,
    arena: Arc<Arena>,
    offset: usize,
    len: usize,
}

impl Arena {
    /// An arena of about so many bytes. Fails where the system gives no executable memory.
    pub fn new(bytes: usize) -> Result<Arc<Arena>, CompileError> {
        count_forks();
        let bytes = bytes.checked_next_multiple_of(PAGE).unwrap_or(bytes);
        let mapping = mapping::Mapping::new(bytes)?;
        Ok(Arc::new(Arena {
            mapping,
            process: std::process::id(),
            free: Mutex::new(Free { runs: BTreeMap::from([(0, bytes)]), used: 0 }),
        }))
    }

    /// Bytes that hold code at the moment.
    pub fn used(&self) -> usize {
        self.free().used
    }

    /// Bytes altogether.
    pub fn capacity(&self) -> usize {
        self.mapping.len
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Whether this process made it: a forked child must not use its parent's.
    pub fn is_ours(&self) -> bool {
        std::process::id() == self.process
    }

    /// Copies code into the arena. `relocate` may then change it, and is told the address at which it will run.
    pub(super) fn install(
        self: &Arc<Arena>,
        code: &[u8],
        relocate: impl FnOnce(&mut [u8], usize) -> Result<(), CompileError>,
    ) -> Result<Piece, CompileError> {
        if !self.is_ours() {
            return Err(CompileError::Forked);
        }
        let len = code.len().next_multiple_of(GRAIN).max(GRAIN);
        let offset = self.free().take(len).ok_or(CompileError::ArenaFull(self.capacity()))?;
        let piece = Piece { arena: self.clone(), offset, len, forks: FORKS.load(Ordering::SeqCst) };
        // SAFETY: the run was free and is now this piece's alone (invariants 2 and 3); it is mapped writable.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.mapping.write.add(offset), code.len()) };
        memory.copy_from_slice(code);
        relocate(memory, piece.address() as usize)?;
        Ok(piece)
    }
}

impl Free {
    fn take(&mut self, len: usize) -> Option<usize> {
        let (&offset, &run) = self.runs.iter().find(|&(_, &run)| run >= len)?;
        self.runs.remove(&offset);
        if run > len {
            self.runs.insert(offset + len, run - len);
        }
        self.used += len;
        Some(offset)
    }

    fn give_back(&mut self, mut offset: usize, mut len: usize) {
        self.used -= len;
        if let Some(next) = self.runs.remove(&(offset + len)) {
            len += next;
        }
        if let Some((&before, &run)) = self.runs.range(..offset).next_back()
            && before + run == offset
        {
            offset = before;
            len += run;
        }
        self.runs.insert(offset, len);
    }
}

impl Piece {
    /// Where the code runs.
    pub(super) fn address(&self) -> *const u8 {
        // SAFETY: the offset is inside the mapping.
        unsafe { self.arena.mapping.execute.add(self.offset) }
    }

    /// The bytes taken, rounding included.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if std::process::id() != self.arena.process || FORKS.load(Ordering::SeqCst) != self.forks {
            return;
        }
        if cfg!(debug_assertions) {
            // SAFETY: the piece is still ours (invariant 3) and mapped writable.
            unsafe {
                self.arena.mapping.write.add(self.offset).write_bytes(POISON, self.len);
            }
        }
        self.arena.free().give_back(self.offset, self.len);
    }
}

/// The page size that lengths are rounded to; a multiple of every x86 page size in use.
const PAGE: usize = 4096;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod mapping {
    use super::CompileError;
    use std::io::Error;
    use std::ptr::null_mut;

    /// One region of memory, mapped twice.
    #[derive(Debug)]
    pub(super) struct Mapping {
        pub(super) write: *mut u8,
        pub(super) execute: *const u8,
        pub(super) len: usize,
    }

    // SAFETY: it owns its mappings; who may write where is the arena's business (invariant 3).
    unsafe impl Send for Mapping {}
    // SAFETY: as above.
    unsafe impl Sync for Mapping {}

    fn refused(what: &str) -> CompileError {
        CompileError::NoExecutableMemory(format!("{what}: {}", Error::last_os_error()))
    }

    impl Mapping {
        pub(super) fn new(len: usize) -> Result<Mapping, CompileError> {
            // SAFETY: new mappings, of which nobody else knows.
            unsafe {
                let write = libc::mmap(
                    null_mut(),
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                    -1,
                    0,
                );
                if write == libc::MAP_FAILED {
                    return Err(refused("mmap"));
                }
                // An old length of 0 makes a second mapping of the same pages.
                let execute = libc::mremap(write, 0, len, libc::MREMAP_MAYMOVE);
                if execute == libc::MAP_FAILED {
                    let error = refused("mremap");
                    libc::munmap(write, len);
                    return Err(error);
                }
                let mapping = Mapping { write: write.cast(), execute: execute.cast(), len };
                if libc::mprotect(execute, len, libc::PROT_READ | libc::PROT_EXEC) != 0 {
                    return Err(refused("mprotect"));
                }
                Ok(mapping)
            }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: the mappings are ours, and the arena outlives its pieces.
            unsafe {
                libc::munmap(self.write.cast(), self.len);
                libc::munmap(self.execute.cast_mut().cast(), self.len);
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod mapping {
    use super::CompileError;

    /// No executable memory on this target.
    #[derive(Debug)]
    pub(super) struct Mapping {
        pub(super) write: *mut u8,
        pub(super) execute: *const u8,
        pub(super) len: usize,
    }

    // SAFETY: there is never one.
    unsafe impl Send for Mapping {}
    // SAFETY: as above.
    unsafe impl Sync for Mapping {}

    impl Mapping {
        pub(super) fn new(_: usize) -> Result<Mapping, CompileError> {
            Err(CompileError::Unsupported("machine code is made on x86-64 Linux only"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(_: &mut [u8], _: usize) -> Result<(), CompileError> {
        Ok(())
    }

    #[test]
    fn freed_runs_join() {
        let arena = Arena::new(3 * GRAIN).unwrap();
        assert_eq!(arena.capacity(), PAGE);
        let whole = PAGE / GRAIN;
        let mut pieces: Vec<Piece> = (0..whole).map(|_| arena.install(&[0x90; GRAIN], keep).unwrap()).collect();
        assert!(matches!(arena.install(&[0x90], keep), Err(CompileError::ArenaFull(_))));
        // Every other piece first: the rest then join with a neighbour on either side.
        let mut i = 0;
        pieces.retain(|_| {
            i += 1;
            i % 2 == 0
        });
        assert_eq!(arena.free().runs.len(), whole / 2);
        drop(pieces);
        assert_eq!(arena.used(), 0);
        assert_eq!(arena.free().runs.len(), 1);
        assert!(arena.install(&[0x90; PAGE], keep).is_ok());
    }

    #[test]
    fn freed_memory_is_poisoned() {
        let arena = Arena::new(PAGE).unwrap();
        let piece = arena.install(&[0xc3; 10], keep).unwrap();
        let address = piece.address();
        // SAFETY: readable memory of the arena, which is alive.
        unsafe {
            assert_eq!(*address, 0xc3);
            drop(piece);
            if cfg!(debug_assertions) {
                assert_eq!(*address, POISON);
            }
        }
    }

    #[test]
    fn no_mapping_is_writable_and_executable() {
        let arena = Arena::new(PAGE).unwrap();
        let of = |address: usize| {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let line = maps.lines().find(|line| {
                let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
                let hex = |text| usize::from_str_radix(text, 16).unwrap();
                (hex(from)..hex(to)).contains(&address)
            });
            line.unwrap().split(' ').nth(1).unwrap().to_owned()
        };
        assert!(of(arena.mapping.write as usize).starts_with("rw-"));
        assert!(of(arena.mapping.execute as usize).starts_with("r-x"));
    }
}
