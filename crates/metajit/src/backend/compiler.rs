//! One code in, one machine out.
//!
//! **Problem.** Compiling well costs more than ten times what compiling quickly costs, and the code of a loop runs up to three
//! times faster. Which pays is the driver's decision, per tree.
//!
//! **Approach.** Two qualities ([`Quality`]): Cranelift with its optimizer, and one pass of our own (`direct`; where that has
//! no instructions for the target, Cranelift without its optimizer). One [`Compiler`] per thread that compiles keeps
//! Cranelift's tables between compilations.
//!
//! **Invariants.** A [`Machine`] owns its memory and the word that its `guard_valid`s test. It does not own the objects
//! whose addresses are constants of the code: whoever holds it keeps them alive ([`Code`] names them).

use super::arena::{Arena, Piece};
use super::helpers::Request;
use super::lower::{self, Features};
use super::memory::{GROUP_BYTES, MemoryWork};
use super::stubs::Stubs;
use super::unwind::{self, Registration};
use super::{debugger, symbols};
use crate::context::Entry;
use crate::ir::code::Code;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How much work compiling is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Quality {
    /// In one pass: on x86-64 about 0.4 µs per operation; elsewhere by Cranelift without its optimizer, at about 3 µs.
    Quick,
    /// Cranelift's optimizer and its better register allocator: about 5 µs per operation.
    Full,
}

/// Where a thread's heap hands out memory: the addresses of the two words, constants of the thread.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Address of the cursor; the limit is the next word.
    pub cursor: usize,
}

/// What code does at each entry: it takes 1 from the word at `left`, and when that makes it 0, calls `reached`.
#[derive(Clone, Copy, Debug)]
pub struct Countdown {
    /// The address of the count, a word that only the program's thread uses and that outlives the code.
    pub left: *mut u64,
    /// What is called then. It must not run code: the reds are still in the context.
    pub reached: extern "C" fn(argument: u64) -> u64,
    /// What it is told.
    pub argument: u64,
}

// SAFETY: an address that is compiled into code; nothing is read or written through it but by that code.
unsafe impl Send for Countdown {}

/// What a compilation is told besides the code. To be made on the thread that the code will run on.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much work to do.
    pub quality: Quality,
    /// What `guard_valid` tests: 0 when the code has been invalidated. Without it the guards always hold.
    pub valid: Option<Arc<AtomicU64>>,
    /// What the upper half of the number of each exit is.
    pub number: u32,
    /// What is to be counted at each entry.
    pub countdown: Option<Countdown>,
    /// What profilers and dumps call the code.
    pub name: String,
    /// A directory for `NAME-QUALITY-NUMBER.clif` and `.bin`: Cranelift's text and the machine code (`objdump -D -b binary -m
    /// i386:x86-64` reads it).
    pub dump: Option<PathBuf>,
    /// Where to allocate: the heap of the thread that made the options. Without it each allocation is a call.
    pub window: Option<Window>,
}

impl Options {
    /// Options for this quality and nothing special.
    pub fn new(quality: Quality) -> Options {
        Options {
            quality,
            valid: None,
            number: 0,
            countdown: None,
            name: "metajit".to_owned(),
            dump: None,
            window: crate::gc::inline_allocation(GROUP_BYTES).map(|inline| Window { cursor: inline.cursor as usize }),
        }
    }
}

/// Why code was not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// No machine code for this target.
    Unsupported(&'static str),
    /// The system refuses executable memory; what failed and how.
    NoExecutableMemory(String),
    /// The arena, of so many bytes, has no room.
    ArenaFull(usize),
    /// The process is a fork of the one that made the arena.
    Forked,
    /// An exit or the entry has so many words, more than the context has room for.
    TooManySlots(usize),
    /// The portal returns so many words, more than the context has room for.
    TooManyResults(usize),
    /// The code breaks a rule of the IR.
    Malformed(String),
    /// Cranelift refused (or panicked).
    Codegen(String),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::Unsupported(what) => write!(f, "{what}"),
            CompileError::NoExecutableMemory(how) => {
                write!(f, "the system refuses executable memory ({how})")
            }
            CompileError::ArenaFull(bytes) => write!(f, "all {bytes} bytes of code are in use"),
            CompileError::Forked => write!(f, "a forked process can't compile"),
            CompileError::TooManySlots(slots) => write!(f, "an exit has {slots} slots"),
            CompileError::TooManyResults(words) => write!(f, "a portal returns {words} words"),
            CompileError::Malformed(what) => write!(f, "malformed code: {what}"),
            CompileError::Codegen(what) => write!(f, "code generator: {what}"),
        }
    }
}

impl std::error::Error for CompileError {}

/// What a compilation took and gave.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Processor time of the compiling thread.
    pub time: Duration,
    /// Instructions of the code.
    pub ops: usize,
    /// Exits of the code.
    pub exits: usize,
    /// Bytes of machine code.
    pub bytes: usize,
    /// What the code does about objects.
    pub memory: MemoryWork,
}

/// Machine code.
#[derive(Debug)]
pub struct Machine {
    /// Before the piece that they describe, to be dropped first.
    debugged: Option<debugger::Published>,
    unwind: Option<Registration>,
    piece: Piece,
    name: String,
    stats: Stats,
    quality: Quality,
    _valid: Option<Arc<AtomicU64>>,
    stubs: Arc<Stubs>,
    _requests: Vec<Box<[Request]>>,
}

impl Machine {
    /// The function. The caller makes sure that the machine lives until it returns, that the context's slots hold the
    /// reds, and that everything the code's constants name is alive.
    pub fn entry(&self) -> Entry {
        // SAFETY: the piece holds a complete function of this signature.
        unsafe { std::mem::transmute::<*const u8, Entry>(self.piece.address()) }
    }

    /// Tells the unwinder and profilers of it. To be called once, before it is run, on a thread that lasts as long as the
    /// process or its own work: these registries are taken down when the process ends.
    pub fn announce(&mut self) {
        let name = format!("metajit:{:?}:{}", self.quality, self.name);
        let (address, bytes) = (self.piece.address() as usize, self.stats.bytes);
        if let Some(unwind) = &mut self.unwind {
            unwind.register();
            self.debugged = debugger::publish(address, bytes, &name, unwind.section());
        }
        symbols::publish(address, bytes, &name);
        self.stubs.announce();
    }

    /// What compiling took.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How much work was done.
    pub fn quality(&self) -> Quality {
        self.quality
    }

    /// The addresses where its instructions are.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = self.piece.address() as usize;
        start..start + self.piece.len()
    }
}

/// Turns code into machines. One per compiling thread.
pub struct Compiler {
    arena: Arc<Arena>,
    #[cfg(not(target_arch = "x86_64"))]
    quick: OwnedTargetIsa,
    /// Made when code is first to be compiled well: that takes as long as a hundred bytecodes of threaded code.
    full: Option<OwnedTargetIsa>,
    features: Features,
    stubs: Arc<Stubs>,
    context: cranelift_codegen::Context,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiler").field("arena", &self.arena).finish_non_exhaustive()
    }
}

impl Compiler {
    /// A compiler that puts its code there.
    pub fn new(arena: Arc<Arena>) -> Result<Compiler, CompileError> {
        if target_lexicon::Triple::host().architecture != target_lexicon::Architecture::X86_64 {
            // Whether there is a code generator at all is to be known from the beginning.
            target(Quality::Quick)?;
        }
        let features = Features { rounds: has_feature("has_sse41") };
        let stubs = Arc::new(Stubs::new(&arena)?);
        Ok(Compiler {
            arena,
            stubs,
            #[cfg(not(target_arch = "x86_64"))]
            quick: target(Quality::Quick)?,
            full: None,
            features,
            context: cranelift_codegen::Context::new(),
        })
    }

    /// Compiles `code` and installs it.
    pub fn compile(&mut self, code: &Code, options: &Options) -> Result<Machine, CompileError> {
        let start = thread_time();
        #[cfg(target_arch = "x86_64")]
        if options.quality == Quality::Quick {
            let assembled = super::direct::emit(code, options, self.features, &self.stubs)?;
            dump(&dump_path(options), "bin", || assembled.code.clone());
            let piece = self.arena.install(&assembled.code, |_, _| Ok(()))?;
            let unwind = unwind::describe_frame(&assembled.frame, piece.address() as usize);
            return Ok(self.machine(code, options, piece, unwind, (assembled.requests, assembled.memory), start));
        }
        self.context.clear();
        let made = lower::lower(code, options, self.features, &self.stubs, &mut self.context.func)?;
        let path = dump_path(options);
        dump(&path, "clif", || self.context.func.to_string().into_bytes());
        let full = match &mut self.full {
            Some(full) => full,
            none => none.insert(target(Quality::Full)?),
        };
        #[cfg(target_arch = "x86_64")]
        let isa = &*full;
        #[cfg(not(target_arch = "x86_64"))]
        let isa = match options.quality {
            Quality::Quick => &self.quick,
            Quality::Full => &*full,
        };
        let compiled =
            self.context.compile(&**isa, &mut ControlPlane::default()).map_err(|error| codegen_error(&error))?;
        dump(&path, "bin", || compiled.code_buffer().to_vec());
        let piece =
            self.arena.install(compiled.code_buffer(), |memory, address| relocate(compiled, memory, address))?;
        let unwind = unwind::describe(compiled, &**isa, piece.address() as usize);
        Ok(self.machine(code, options, piece, unwind, made, start))
    }

    fn machine(
        &self,
        code: &Code,
        options: &Options,
        piece: Piece,
        unwind: Option<Registration>,
        (requests, memory): lower::Needs,
        start: Duration,
    ) -> Machine {
        let ops = code.blocks.iter().map(|block| block.insts.len()).sum();
        let time = thread_time().saturating_sub(start);
        let stats = Stats { time, ops, exits: code.exits.len(), bytes: piece.len(), memory };
        Machine {
            debugged: None,
            unwind,
            piece,
            name: options.name.clone(),
            stats,
            quality: options.quality,
            _valid: options.valid.clone(),
            stubs: self.stubs.clone(),
            _requests: requests,
        }
    }
}

pub(super) fn codegen_error(error: &cranelift_codegen::CompileError<'_>) -> CompileError {
    CompileError::Codegen(format!("{:?}", error.inner))
}

/// Puts addresses where the code wants them.
fn relocate(compiled: &CompiledCode, memory: &mut [u8], address: usize) -> Result<(), CompileError> {
    for reloc in compiled.buffer.relocs() {
        let at = reloc.offset as usize;
        // Callees are called by address, so the only names left are places in the function itself.
        let FinalizedRelocTarget::Func(target) = &reloc.target else {
            return Err(CompileError::Codegen(format!("unknown name {:?}", reloc.target)));
        };
        let value = (address as i64 + *target as i64).wrapping_add(reloc.addend);
        match reloc.kind {
            Reloc::Abs8 => memory[at..at + 8].copy_from_slice(&value.to_le_bytes()),
            Reloc::X86PCRel4 | Reloc::X86CallPCRel4 => {
                let distance = value - (address + at) as i64;
                let distance =
                    i32::try_from(distance).map_err(|_| CompileError::Codegen(format!("{distance} is too far")))?;
                memory[at..at + 4].copy_from_slice(&distance.to_le_bytes());
            }
            kind => {
                return Err(CompileError::Codegen(format!("unknown relocation {kind:?}")));
            }
        }
    }
    Ok(())
}

/// The extensions of x86-64 that Cranelift makes use of, by its names, and whether this machine has them.
#[cfg(target_arch = "x86_64")]
fn features() -> [(&'static str, bool); 10] {
    use std::arch::is_x86_feature_detected as has;
    [
        ("has_sse3", has!("sse3")),
        ("has_ssse3", has!("ssse3")),
        ("has_sse41", has!("sse4.1")),
        ("has_sse42", has!("sse4.2")),
        ("has_avx", has!("avx")),
        ("has_avx2", has!("avx2")),
        ("has_popcnt", has!("popcnt")),
        ("has_bmi1", has!("bmi1")),
        ("has_bmi2", has!("bmi2")),
        ("has_lzcnt", has!("lzcnt")),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> [(&'static str, bool); 0] {
    []
}

fn has_feature(name: &str) -> bool {
    features().iter().any(|&(n, has)| n == name && has)
}

pub(super) fn target(quality: Quality) -> Result<OwnedTargetIsa, CompileError> {
    let refused = |error: &dyn fmt::Display| CompileError::Codegen(error.to_string());
    let mut flags = settings::builder();
    let (optimize, registers) = match quality {
        Quality::Quick => ("none", "single_pass"),
        Quality::Full => ("speed", "backtracking"),
    };
    let verify = if cfg!(debug_assertions) { "true" } else { "false" };
    for (name, value) in [
        ("opt_level", optimize),
        ("regalloc_algorithm", registers),
        ("enable_verifier", verify),
        ("is_pic", "false"),
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "true"),
        // Frames of more than a page touch each page in turn, so that they can't jump over the guard page.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ] {
        flags.set(name, value).map_err(|error| refused(&error))?;
    }
    let mut isa = cranelift_codegen::isa::lookup(target_lexicon::Triple::host())
        .map_err(|_| CompileError::Unsupported("no code generator for this target"))?;
    for (name, has) in features() {
        if has {
            isa.enable(name).map_err(|error| refused(&error))?;
        }
    }
    isa.finish(settings::Flags::new(flags)).map_err(|error| refused(&error))
}

/// Where this compilation is dumped, if it is: `DIRECTORY/NAME-QUALITY-NUMBER`, the directory being the option's or
/// that of the environment variable `METAJIT_DUMP`.
fn dump_path(options: &Options) -> Option<PathBuf> {
    static EVERYTHING: OnceLock<Option<PathBuf>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let everything = EVERYTHING.get_or_init(|| std::env::var_os("METAJIT_DUMP").map(PathBuf::from));
    let directory = options.dump.as_ref().or(everything.as_ref())?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = options.name.chars().map(plain).collect();
    Some(directory.join(format!("{name}-{:?}-{number}", options.quality)))
}

/// Writes a dump. One that can't be written is not worth a compilation.
fn dump(path: &Option<PathBuf>, extension: &str, contents: impl FnOnce() -> Vec<u8>) {
    if let Some(path) = path {
        let _ = std::fs::write(path.with_extension(extension), contents());
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
