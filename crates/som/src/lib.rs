//! 2SOM: the Simple Object Machine on metajit.
//!
//! Modules are declared in the order data flows through them: source text to tokens, tree, bytecode; classes built
//! from it; the interpreter and its primitives; the shell around it all.

pub mod ast;
pub mod bytecode;
pub mod compiler;
pub mod core_lib;
pub mod disassembler;
pub mod lexer;
pub mod library;
pub mod parser;

pub mod loader;
pub mod numbers;
pub mod objects;
pub mod output;
pub mod universe;
pub mod value;
pub mod vm;

pub mod interpreter;
pub mod primitives;
pub mod stack;
pub mod stats;
pub mod trace;

pub mod cli;
pub mod machine;
pub mod repl;

pub use machine::{Options, run, run_on_this_thread, run_process};
