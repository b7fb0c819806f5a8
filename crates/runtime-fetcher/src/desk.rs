//! Short blocking work of many fetches, done by few threads.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, PoisonError};
#[cfg(not(all(test, runtime_loom)))]
use std::sync::{Mutex, MutexGuard};

#[cfg(all(test, runtime_loom))]
use loom::sync::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Work that waits for a thread. Each thread takes one job after the other and leaves when none waits, so
/// that under load nothing waits for a change of threads, and no more threads than there are processors
/// contend for a folder.
struct Desk {
    state: Mutex<State>,
    /// How many threads work at most.
    clerks: usize,
}

struct State {
    jobs: VecDeque<Job>,
    clerks: usize,
}

type Job = Box<dyn FnOnce() + Send>;

static DESK: LazyLock<Desk> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism();
    Desk::new(processors.map_or(2, usize::from))
});

/// Does work that blocks for no longer than it takes to make a small file. Work that nobody waits for any
/// more is not begun.
pub(crate) async fn briefly<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, result) = oneshot::channel();
    if let Some(clerk) = DESK.add(job(sender, work)) {
        tokio::task::spawn_blocking(|| drop(clerk));
    }
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the work panicked")))
}

fn job<T: Send + 'static>(
    sender: oneshot::Sender<io::Result<T>>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Job {
    Box::new(move || {
        if !sender.is_closed() {
            let _ = sender.send(work());
        }
    })
}

impl Desk {
    fn new(clerks: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            clerks: 0,
        };
        Self {
            state: Mutex::new(state),
            clerks,
        }
    }

    /// Adds a job, and asks for another thread if there may be one more.
    fn add(&self, job: Job) -> Option<Clerk<'_>> {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.clerks == self.clerks {
            return None;
        }
        state.clerks += 1;
        Some(Clerk(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does jobs when it is dropped, until none waits. A runtime that shuts down drops what it does not run: the
/// jobs of others are done even then.
struct Clerk<'a>(&'a Desk);

impl Clerk<'_> {
    /// The next job. Without one, this clerk is no longer counted, in the same step: whoever adds a job
    /// later finds a place for another.
    fn next(&self) -> Option<Job> {
        let mut state = self.0.lock();
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.clerks -= 1;
        }
        job
    }
}

impl Drop for Clerk<'_> {
    fn drop(&mut self) {
        while let Some(job) = self.next() {
            // Whoever waits for a job that panics hears of it: its sender is gone.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_gives_its_result_or_its_error() {
        assert_eq!(briefly(|| Ok(7)).await.expect("it works"), 7);
        let failed = briefly(|| Err::<(), _>(io::ErrorKind::StorageFull.into())).await;
        let kind = failed.expect_err("it fails").kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_the_next_is_done() {
        let panicked = briefly(|| -> io::Result<()> { panic!("on purpose") }).await;
        let text = panicked.expect_err("it panics").to_string();
        assert!(text.contains("panicked"), "{text}");
        assert_eq!(briefly(|| Ok(7)).await.expect("it works"), 7);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let desk = Desk::new(1);
        let (begun, told) = mpsc::channel();
        let (sender, result) = oneshot::channel();
        let clerk = desk.add(job(sender, move || {
            begun.send(()).map_err(io::Error::other)
        }));
        drop(result);
        drop(clerk);
        assert!(told.recv().is_err(), "it was begun");
    }

    #[test]
    fn more_jobs_than_clerks_wait_for_a_clerk() {
        let desk = Desk::new(1);
        let (done, all) = mpsc::channel();
        let job = |number: u32| {
            let done = done.clone();
            Box::new(move || done.send(number).expect("somebody listens"))
        };
        let clerk = desk.add(job(1));
        assert!(clerk.is_some() && desk.add(job(2)).is_none());
        drop(clerk);
        assert_eq!(all.try_iter().collect::<Vec<_>>(), [1, 2]);
        drop(desk.add(job(3)).expect("the first one has left"));
        assert_eq!(all.try_iter().collect::<Vec<_>>(), [3]);
    }

    /// A runtime that ends drops the clerk that it never ran.
    #[test]
    fn a_runtime_that_ends_leaves_no_job_of_another() {
        let ended = tokio::runtime::Builder::new_current_thread().build();
        let ended = ended.expect("there is a thread");
        let handle = ended.handle().clone();
        drop(ended);
        let desk = Box::leak(Box::new(Desk::new(1)));
        let (done, all) = mpsc::channel();
        let clerk = desk.add(Box::new(move || done.send(()).expect("somebody listens")));
        let clerk = clerk.expect("it is the first");
        thread::spawn(move || drop(handle.spawn_blocking(|| drop(clerk))));
        all.recv().expect("it is done");
    }
}

#[cfg(all(test, runtime_loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::thread;

    use super::*;

    /// A job is done by whoever is there, also when it comes while the last clerk leaves.
    /// Catches: a clerk that is discounted in another step than the one in which it finds no job.
    #[test]
    fn every_job_is_done_and_every_clerk_leaves() {
        loom::model(|| {
            let desk = Arc::new(Desk::new(1));
            let done = Arc::new(AtomicU32::new(0));
            let add = |desk: &Desk, done: &Arc<AtomicU32>| {
                let done = Arc::clone(done);
                let job = move || {
                    done.fetch_add(1, Ordering::SeqCst);
                };
                drop(desk.add(Box::new(job)));
            };
            let other = thread::spawn({
                let (desk, done) = (Arc::clone(&desk), Arc::clone(&done));
                move || add(&desk, &done)
            });
            add(&desk, &done);
            other.join().unwrap();
            assert_eq!(done.load(Ordering::SeqCst), 2);
            assert_eq!(desk.lock().clerks, 0);
        });
    }
}
