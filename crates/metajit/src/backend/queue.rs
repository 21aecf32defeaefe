//! Work on another thread.
//!
//! **Problem.** Making good code takes milliseconds, in which the program could go on in the interpreter.
//!
//! **Approach.** A thread takes jobs from a channel, does one function with each, and sends back what came of it. Whoever
//! submits polls; nothing is published behind its back, so publication and invalidation can't race. The synchronous
//! form has the same interface and does the work within `submit`. What a job is, is the driver's business.
//!
//! **Invariants.** Jobs come back in the order they were submitted, each with the token it was submitted with. Every job comes
//! back, even when the work panics.
//!
//! **Ends.** A queue that is dropped doesn't wait for its thread: jobs that were not begun are dropped, the one under way is
//! finished for nobody. Neither the end of a thread nor that of the process is held up by work that nobody will use.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Stack of a thread that makes code: optimizer and code generator recurse on some inputs. Pages never touched cost nothing.
pub const STACK: usize = 64 << 20;

/// What came of a job; `None` if the work panicked.
#[derive(Debug)]
pub struct Finished<T, D> {
    /// The submitter's token.
    pub token: T,
    /// What came of it.
    pub result: Option<D>,
}

/// See the module. A job `J` becomes a `D`; `T` is how the submitter knows it.
pub struct Queue<T, J, D> {
    worker: Worker<J, D>,
    /// Tokens of the jobs under way, the first submitted first.
    tokens: VecDeque<T>,
}

enum Worker<J, D> {
    Here { work: Box<dyn FnMut(J) -> D>, done: VecDeque<Option<D>> },
    Thread { jobs: Sender<J>, done: Receiver<Option<D>>, unwanted: Arc<AtomicBool> },
}

impl<T: fmt::Debug, J, D> fmt::Debug for Queue<T, J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

fn attempt<J, D>(work: &mut dyn FnMut(J) -> D, job: J) -> Option<D> {
    catch_unwind(AssertUnwindSafe(|| work(job))).ok()
}

impl<T, J: Send + 'static, D: Send + 'static> Queue<T, J, D> {
    /// Does the work at once. After a panic, `work` is called again for the next job.
    pub fn synchronous(work: impl FnMut(J) -> D + 'static) -> Queue<T, J, D> {
        Queue { worker: Worker::Here { work: Box::new(work), done: VecDeque::new() }, tokens: VecDeque::new() }
    }

    /// Does the work on a new thread. Where there can't be one, as [`Queue::synchronous`]. `make` makes the function that
    /// does the work, on the thread that will.
    pub fn background<W: FnMut(J) -> D + 'static>(make: impl Fn() -> W + Send + Clone + 'static) -> Queue<T, J, D> {
        let (send_job, jobs) = channel::<J>();
        let (send_done, done) = channel();
        let unwanted = Arc::new(AtomicBool::new(false));
        let (stop, begin) = (unwanted.clone(), make.clone());
        let spawned = std::thread::Builder::new().name("metajit-compiler".into()).stack_size(STACK).spawn(move || {
            let mut work = begin();
            for job in jobs {
                if stop.load(Ordering::Relaxed) || send_done.send(attempt(&mut work, job)).is_err() {
                    return;
                }
            }
        });
        match spawned {
            Ok(_detached) => {
                Queue { worker: Worker::Thread { jobs: send_job, done, unwanted }, tokens: VecDeque::new() }
            }
            Err(_) => Queue::synchronous(make()),
        }
    }

    /// Whether `submit` returns before the work is done.
    pub fn is_background(&self) -> bool {
        matches!(self.worker, Worker::Thread { .. })
    }

    /// Gives a job away.
    pub fn submit(&mut self, token: T, job: J) {
        self.tokens.push_back(token);
        match &mut self.worker {
            Worker::Here { work, done } => done.push_back(attempt(work, job)),
            Worker::Thread { jobs, .. } => {
                assert!(jobs.send(job).is_ok(), "the thread catches panics and ends with its queue");
            }
        }
    }

    /// The next finished job, if one is.
    pub fn poll(&mut self) -> Option<Finished<T, D>> {
        let result = match &mut self.worker {
            Worker::Here { done, .. } => done.pop_front()?,
            Worker::Thread { done, .. } => done.try_recv().ok()?,
        };
        Some(Finished { token: self.tokens.pop_front()?, result })
    }

    /// Waits for the next finished job. `None` when none is pending.
    pub fn wait(&mut self) -> Option<Finished<T, D>> {
        let token = self.tokens.pop_front()?;
        let result = match &mut self.worker {
            Worker::Here { done, .. } => done.pop_front()?,
            Worker::Thread { done, .. } => done.recv().ok()?,
        };
        Some(Finished { token, result })
    }

    /// Jobs submitted and not yet handed back.
    pub fn pending(&self) -> usize {
        self.tokens.len()
    }
}

impl<J, D> Drop for Worker<J, D> {
    fn drop(&mut self) {
        if let Worker::Thread { unwanted, .. } = self {
            unwanted.store(true, Ordering::Relaxed);
        }
    }
}
