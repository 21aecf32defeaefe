//! Brainfuck: eight instructions, a tape of bytes, and a loop that finds the hot ones by itself.
//!
//! The parser joins runs of equal instructions and resolves brackets, so that the interpreter never searches: a program is
//! a row of (operation, operand) pairs in one immutable array. The tape is one flat array of bytes. What reads and writes
//! the outside world is marked `#[dont_look_inside]`: any Rust at all, called from compiled code as it is.

use metajit::prelude::*;
use std::cell::RefCell;

/// A parsed program: pairs of an operation and its operand.
#[jit_object]
pub struct Program {
    #[immutable]
    code: [i64],
}

/// The tape, all zeros at first.
#[jit_object]
pub struct Tape {
    cells: [u8],
}

/// Adds the operand to the cell.
const ADD: i64 = 0;
/// Moves by the operand.
const MOVE: i64 = 1;
/// Goes to the operand if the cell is zero.
const OPEN: i64 = 2;
/// Goes back to the operand unless the cell is zero.
const CLOSE: i64 = 3;
/// Writes the cell.
const PUT: i64 = 4;
/// Reads into the cell.
const GET: i64 = 5;
/// Ends the program.
const END: i64 = 6;

/// Why a program could not be parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unbalanced {
    /// Where the bracket without partner is, in bytes.
    pub offset: usize,
}

impl std::fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the bracket at byte {} has no partner", self.offset)
    }
}
impl std::error::Error for Unbalanced {}

/// How a run went wrong.
#[jit_enum]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The program moved off the tape, to this place.
    OffTape(i64),
    /// The program jumped back more often than it was allowed to.
    OutOfFuel,
}

impl Program {
    /// Parses a program. Everything but the eight instructions is a comment.
    ///
    /// # Errors
    /// If brackets don't match.
    pub fn parse(source: &str) -> Result<Program, Unbalanced> {
        let mut code: Vec<(i64, i64)> = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (offset, byte) in source.bytes().enumerate() {
            let (op, operand) = match byte {
                b'+' => (ADD, 1),
                b'-' => (ADD, -1),
                b'>' => (MOVE, 1),
                b'<' => (MOVE, -1),
                b'.' => (PUT, 0),
                b',' => (GET, 0),
                b'[' => {
                    open.push((code.len(), offset));
                    (OPEN, 0)
                }
                b']' => {
                    let (start, _) = open.pop().ok_or(Unbalanced { offset })?;
                    code[start].1 = 2 * (code.len() as i64 + 1);
                    (CLOSE, 2 * (start as i64 + 1))
                }
                _ => continue,
            };
            match code.last_mut() {
                Some((last, sum)) if *last == op && matches!(op, ADD | MOVE) => *sum += operand,
                _ => code.push((op, operand)),
            }
        }
        if let Some(&(_, offset)) = open.last() {
            return Err(Unbalanced { offset });
        }
        code.push((END, 0));
        let program = Program::alloc(2 * code.len() as i64, 0);
        for (index, (op, operand)) in code.into_iter().enumerate() {
            // SAFETY: nothing has seen the program yet.
            unsafe {
                program.set_code(2 * index as i64, op);
                program.set_code(2 * index as i64 + 1, operand);
            }
        }
        Ok(program)
    }
}

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[dont_look_inside]
fn put(byte: u8) {
    OUTPUT.with_borrow_mut(|output| output.push(byte));
}

/// The next byte of the input, 0 at its end.
#[dont_look_inside]
fn get() -> u8 {
    INPUT.with_borrow_mut(|input| input.pop().unwrap_or(0))
}

/// The interpreter: runs until the end, and at most `fuel` jumps back.
#[jit_driver(greens = [pc, program], reds = [tape, at, fuel])]
fn interpret(program: Program, tape: Tape, fuel: i64) -> Result<(), Fault> {
    let pc: i64 = 0;
    let at: i64 = 0;
    loop {
        jit_merge_point!();
        let operand = program.code(pc + 1);
        match program.code(pc) {
            ADD => tape.set_cells(at, tape.cells(at).wrapping_add(operand as u8)),
            MOVE => {
                at += operand;
                if at < 0 || at >= tape.cells_len() {
                    return Err(Fault::OffTape(at));
                }
            }
            OPEN => {
                if tape.cells(at) == 0 {
                    pc = operand;
                    continue;
                }
            }
            CLOSE => {
                if tape.cells(at) != 0 {
                    if fuel == 0 {
                        return Err(Fault::OutOfFuel);
                    }
                    fuel -= 1;
                    pc = operand;
                    can_enter_jit!();
                }
            }
            PUT => put(tape.cells(at)),
            GET => tape.set_cells(at, get()),
            _ => return Ok(()),
        }
        pc += 2;
    }
}

/// What a program did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// How it ended.
    pub end: Result<(), Fault>,
    /// What it wrote.
    pub output: Vec<u8>,
    /// The tape as it left it.
    pub tape: Vec<u8>,
}

/// Runs a program on a fresh tape.
pub fn run(program: Program, input: &[u8], cells: i64, fuel: i64) -> Run {
    INPUT.set(input.iter().rev().copied().collect());
    OUTPUT.set(Vec::new());
    let tape = Tape::alloc(cells, 0);
    let end = interpret(program, tape, fuel);
    Run {
        end,
        output: OUTPUT.take(),
        // SAFETY: nobody writes the tape while its bytes are copied.
        tape: unsafe { tape.cells_slice() }.to_vec(),
    }
}
