//! Compiling on another thread.
//!
//! **Problem.** A good compilation takes milliseconds, in which the program could go on in the interpreter.
//!
//! **Approach.** A thread that owns a [`Compiler`] takes [`Job`]s from a channel and sends [`Finished`] ones back. Whoever
//! submits polls; nothing is published behind its back, so publication and invalidation can't race. The synchronous
//! form has the same interface and compiles within `submit`.
//!
//! **Invariants.** Jobs are finished in the order they were submitted. Every job submitted comes back, with a machine or
//! with the reason why not, even when the code generator panics.

use super::compiler::{CompileError, Compiler, Machine, Options};
use crate::ir::code::Code;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Something to compile. `token` is the submitter's and comes back.
#[derive(Debug)]
pub struct Job<T> {
    /// What the submitter knows it by.
    pub token: T,
    /// What to compile.
    pub code: Code,
    /// How.
    pub options: Options,
}

/// A job done.
#[derive(Debug)]
pub struct Finished<T> {
    /// The submitter's token.
    pub token: T,
    /// What was compiled.
    pub code: Code,
    /// What came of it.
    pub result: Result<Machine, CompileError>,
}

/// See the module.
#[derive(Debug)]
pub struct Queue<T: Send + 'static> {
    worker: Worker<T>,
    pending: usize,
}

#[derive(Debug)]
enum Worker<T: Send + 'static> {
    Here { compiler: Box<Compiler>, done: VecDeque<Finished<T>> },
    Thread { jobs: Option<Sender<Job<T>>>, done: Receiver<Finished<T>>, thread: Option<JoinHandle<()>> },
}

fn run<T>(compiler: &mut Compiler, job: Job<T>) -> Finished<T> {
    let Job { token, code, options } = job;
    // After a panic the compiler's tables are in any state; `compile` clears them before it uses them.
    let result = catch_unwind(AssertUnwindSafe(|| compiler.compile(&code, &options)))
        .unwrap_or_else(|_| Err(CompileError::Codegen("the code generator panicked".into())));
    Finished { token, code, result }
}

impl<T: Send + 'static> Queue<T> {
    /// Compiles whatever is submitted at once.
    pub fn synchronous(compiler: Compiler) -> Queue<T> {
        let worker = Worker::Here { compiler: Box::new(compiler), done: VecDeque::new() };
        Queue { worker, pending: 0 }
    }

    /// Compiles on a new thread. Where there can't be one, as [`Queue::synchronous`].
    pub fn background(mut compiler: Compiler) -> Queue<T> {
        let (send_job, jobs) = channel::<Job<T>>();
        let (send_done, done) = channel();
        let (send_compiler, receive_compiler) = channel::<Compiler>();
        let spawned = std::thread::Builder::new().name("metajit-compiler".into()).spawn(move || {
            let Ok(mut compiler) = receive_compiler.recv() else {
                return;
            };
            for job in jobs {
                if send_done.send(run(&mut compiler, job)).is_err() {
                    return;
                }
            }
        });
        if let Ok(thread) = spawned {
            match send_compiler.send(compiler) {
                Ok(()) => {
                    let worker = Worker::Thread { jobs: Some(send_job), done, thread: Some(thread) };
                    return Queue { worker, pending: 0 };
                }
                Err(refused) => compiler = refused.0,
            }
        }
        Queue::synchronous(compiler)
    }

    /// Gives a job to the compiler.
    pub fn submit(&mut self, job: Job<T>) {
        self.pending += 1;
        match &mut self.worker {
            Worker::Here { compiler, done } => done.push_back(run(compiler, job)),
            Worker::Thread { jobs, .. } => {
                let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
                assert!(sent, "the compiler's thread catches its panics and ends with its queue");
            }
        }
    }

    /// The next finished job, if one is.
    pub fn poll(&mut self) -> Option<Finished<T>> {
        let finished = match &mut self.worker {
            Worker::Here { done, .. } => done.pop_front(),
            Worker::Thread { done, .. } => done.try_recv().ok(),
        };
        self.pending -= finished.is_some() as usize;
        finished
    }

    /// Waits for the next finished job. `None` when none is pending.
    pub fn wait(&mut self) -> Option<Finished<T>> {
        if self.pending == 0 {
            return None;
        }
        let finished = match &mut self.worker {
            Worker::Here { done, .. } => done.pop_front(),
            Worker::Thread { done, .. } => done.recv().ok(),
        };
        self.pending -= finished.is_some() as usize;
        finished
    }

    /// Jobs submitted and not yet handed back.
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl<T: Send + 'static> Drop for Worker<T> {
    fn drop(&mut self) {
        if let Worker::Thread { jobs, thread, .. } = self {
            // The thread's loop ends with the channel.
            drop(jobs.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
