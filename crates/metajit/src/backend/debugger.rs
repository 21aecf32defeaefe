//! Telling debuggers of compiled code.
//!
//! **Problem.** A debugger that stops in compiled code, or in something called from there, knows neither where the function
//! begins nor how it keeps its frame: backtraces are wrong from there on.
//!
//! **Approach.** With `METAJIT_GDB=1`, each machine is published by the interface that gdb (and lldb) has for JIT compilers: an object
//! file in memory, in a list that begins at `__jit_debug_descriptor`, and a call of `__jit_debug_register_code`, where the
//! debugger has a breakpoint. The file is the least that does: a symbol for the code, which stays where it is, and the
//! `.eh_frame` that the platform's unwinder is given, too ([`unwind`](super::unwind)).
//!
//! **Invariants.** The list is changed under a lock, and an entry is taken out before its code's memory is used for anything else.

use std::sync::{Mutex, OnceLock, PoisonError};

/// A member of the list, as the interface lays it out.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    bytes: u64,
}

/// The head of the list.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// Where debuggers look. Accessed under [`LIST`] only.
#[unsafe(no_mangle)]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: 0, relevant: std::ptr::null_mut(), first: std::ptr::null_mut() };

/// Where debuggers have a breakpoint.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    // A function without effect would not be called.
    std::hint::black_box(&raw const __jit_debug_descriptor);
}

static LIST: Mutex<()> = Mutex::new(());

/// Code that debuggers know, as long as this exists.
#[derive(Debug)]
pub(super) struct Published {
    entry: *mut Entry,
    _file: Box<[u8]>,
}

// SAFETY: the entry is reached through the list alone, under its lock.
unsafe impl Send for Published {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Published {}

fn wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| std::env::var_os("METAJIT_GDB").is_some_and(|value| value == "1"))
}

/// Publishes a piece of code, if that is wanted.
pub(super) fn publish(address: usize, bytes: usize, name: &str, frames: &[u8]) -> Option<Published> {
    if !wanted() {
        return None;
    }
    let file = object_file(address as u64, bytes as u64, name, frames).into_boxed_slice();
    let entry = Entry {
        next: std::ptr::null_mut(),
        previous: std::ptr::null_mut(),
        file: file.as_ptr(),
        bytes: file.len() as u64,
    };
    let entry = Box::into_raw(Box::new(entry));
    let _lock = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: under the lock; all members of the list are alive.
    unsafe {
        let list = &raw mut __jit_debug_descriptor;
        (*entry).next = (*list).first;
        if let Some(next) = (*entry).next.as_mut() {
            next.previous = entry;
        }
        ((*list).first, (*list).relevant, (*list).action) = (entry, entry, REGISTER);
    }
    __jit_debug_register_code();
    Some(Published { entry, _file: file })
}

impl Drop for Published {
    fn drop(&mut self) {
        let _lock = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.entry;
        // SAFETY: under the lock; all members of the list are alive, this one until it is out.
        unsafe {
            let list = &raw mut __jit_debug_descriptor;
            match (*entry).previous.as_mut() {
                Some(previous) => previous.next = (*entry).next,
                None => (*list).first = (*entry).next,
            }
            if let Some(next) = (*entry).next.as_mut() {
                next.previous = (*entry).previous;
            }
            ((*list).relevant, (*list).action) = (entry, UNREGISTER);
            __jit_debug_register_code();
            (*list).relevant = std::ptr::null_mut();
            drop(Box::from_raw(entry));
        }
    }
}

/// What ELF calls this machine.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
/// Bytes of the file's header, of a section's header, and of a symbol.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;

/// The names of the sections, each behind a zero.
const NAMES: &[u8] = b"\0.text\0.eh_frame\0.symtab\0.strtab\0.shstrtab\0";
/// Kinds of sections: bytes, symbols, texts, and what has no bytes in the file.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;
/// Flags of sections: is in memory, can be run.
const ALLOC: u64 = 2;
const EXECUTE: u64 = 4;

/// Bytes, written one word after the other.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, words: impl IntoIterator<Item = u16>) -> &mut Self {
        self.0.extend(words.into_iter().flat_map(u16::to_le_bytes));
        self
    }
    fn u32(&mut self, words: impl IntoIterator<Item = u32>) -> &mut Self {
        self.0.extend(words.into_iter().flat_map(u32::to_le_bytes));
        self
    }
    fn u64(&mut self, words: impl IntoIterator<Item = u64>) -> &mut Self {
        self.0.extend(words.into_iter().flat_map(u64::to_le_bytes));
        self
    }
}

/// An object file whose one function is in memory already.
fn object_file(address: u64, bytes: u64, name: &str, frames: &[u8]) -> Vec<u8> {
    let mut symbols = Bytes::default();
    symbols.0.resize(SYMBOL, 0);
    // A global function, at the beginning of section 1.
    symbols.u32([1]).u16([0x12, 1]).u64([0, bytes]);
    let strings: Vec<u8> = [b"\0", name.replace('\0', "").as_bytes(), b"\0"].concat();

    // By section: name, kind, flags, address, contents, bytes, link, info, bytes of a member.
    type Row<'a> = (&'a str, u32, u64, u64, &'a [u8], u64, u32, u32, u64);
    let of = |contents: &[u8]| contents.len() as u64;
    let sections: [Row<'_>; 6] = [
        ("", 0, 0, 0, &[], 0, 0, 0, 0),
        (".text", NOBITS, ALLOC | EXECUTE, address, &[], bytes, 0, 0, 0),
        (".eh_frame", PROGBITS, ALLOC, 0, frames, of(frames), 0, 0, 0),
        (".symtab", SYMTAB, 0, 0, &symbols.0, of(&symbols.0), 4, 1, SYMBOL as u64),
        (".strtab", STRTAB, 0, 0, &strings, of(&strings), 0, 0, 0),
        (".shstrtab", STRTAB, 0, 0, NAMES, of(NAMES), 0, 0, 0),
    ];

    let mut file = Bytes(b"\x7fELF\x02\x01\x01".to_vec());
    file.0.resize(16, 0);
    // A relocatable file, in which nothing is relocated.
    file.u16([1, MACHINE]).u32([1]).u64([0, 0, HEADER as u64]).u32([0]);
    file.u16([HEADER as u16, 0, 0, SECTION as u16, sections.len() as u16, sections.len() as u16 - 1]);
    let mut offset = HEADER + SECTION * sections.len();
    for (name, kind, flags, address, contents, bytes, link, info, member) in sections {
        let name = NAMES.windows(name.len().max(1)).position(|at| at == name.as_bytes());
        file.u32([name.unwrap_or(0) as u32, kind]).u64([flags, address, offset as u64, bytes]);
        file.u32([link, info]).u64([1, member]);
        offset += contents.len();
    }
    for (.., contents, _, _, _, _) in sections {
        file.0.extend_from_slice(contents);
    }
    file.0
}

#[cfg(test)]
mod tests {
    use super::{NAMES, object_file};

    fn word(file: &[u8], at: usize, bytes: usize) -> usize {
        file[at..at + bytes].iter().rev().fold(0, |word, &byte| word << 8 | usize::from(byte))
    }

    /// Reads a file as debuggers do: by section, name, address, size and contents.
    fn sections(file: &[u8]) -> Vec<(String, usize, usize, Vec<u8>)> {
        assert_eq!(&file[..7], b"\x7fELF\x02\x01\x01");
        let (headers, size, count) = (word(file, 40, 8), word(file, 58, 2), word(file, 60, 2));
        (0..count)
            .map(|index| {
                let at = headers + index * size;
                let name = NAMES[word(file, at, 4)..].split(|&byte| byte == 0).next().unwrap();
                let (offset, bytes) = (word(file, at + 24, 8), word(file, at + 32, 8));
                let contents =
                    if word(file, at + 4, 4) == 8 { Vec::new() } else { file[offset..offset + bytes].to_vec() };
                (String::from_utf8(name.to_vec()).unwrap(), word(file, at + 16, 8), bytes, contents)
            })
            .collect()
    }

    #[test]
    fn the_file_names_the_code_and_has_its_frames() {
        let file = object_file(0x7000_1000, 99, "metajit:Quick:add(2)", b"frames");
        let sections = sections(&file);
        let find = |name: &str| sections.iter().find(|section| section.0 == name).unwrap();
        assert_eq!((find(".text").1, find(".text").2), (0x7000_1000, 99));
        assert_eq!(find(".eh_frame").3, b"frames");
        assert_eq!(find(".shstrtab").3, NAMES);
        let (symbols, strings) = (&find(".symtab").3, &find(".strtab").3);
        // The second symbol: its name, a function of section 1, at its beginning, of its size.
        let name = strings[word(symbols, 24, 4)..].split(|&byte| byte == 0).next().unwrap();
        assert_eq!(name, b"metajit:Quick:add(2)");
        assert_eq!((symbols[28], word(symbols, 30, 2), word(symbols, 32, 8), word(symbols, 40, 8)), (0x12, 1, 0, 99));
    }
}
