//! A small thread pool for short file operations, shared by all fetches.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, PoisonError};
#[cfg(not(all(test, runtime_loom)))]
use std::sync::{Mutex, MutexGuard};

#[cfg(all(test, runtime_loom))]
use loom::sync::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A queue of blocking jobs with at most one worker per processor.
///
/// A worker drains the queue before it exits: under load a job does not wait for a switch of threads. The limit keeps
/// workers from contending for the lock of one directory, which a `spawn_blocking` per job would (tokio starts up to
/// 512 threads).
struct ShortFileJobs {
    state: Mutex<PoolState>,
    max_workers: usize,
}

struct PoolState {
    jobs: VecDeque<Job>,
    workers: usize,
}

type Job = Box<dyn FnOnce() + Send>;

static POOL: LazyLock<ShortFileJobs> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism();
    ShortFileJobs::new(processors.map_or(2, usize::from))
});

/// Runs a short blocking operation, such as creating a small file, on the pool.
///
/// Not for hashing or large writes, which would occupy the few workers: those use a `BlockingBatches` or `spawn_blocking`. A
/// job whose caller was dropped before it started is skipped.
pub(crate) async fn run_on_pool<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, result) = oneshot::channel();
    // If the runtime has shut down, it drops the closure, and the destructor of the worker runs the
    // jobs: none is left behind in the static pool.
    if let Some(worker) = POOL.enqueue(job(sender, work)) {
        tokio::task::spawn_blocking(|| drop(worker));
    }
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("blocking operation panicked")))
}

fn job<T: Send + 'static>(
    sender: oneshot::Sender<io::Result<T>>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Job {
    Box::new(move || {
        // Checked when the job starts: a cancelled fetch must not create its file afterwards.
        if !sender.is_closed() {
            let _ = sender.send(work());
        }
    })
}

impl ShortFileJobs {
    fn new(max_workers: usize) -> Self {
        let state = PoolState {
            jobs: VecDeque::new(),
            workers: 0,
        };
        Self {
            state: Mutex::new(state),
            max_workers,
        }
    }

    /// Adds a job. Returns a worker for the caller to run on a thread, unless enough are running.
    fn enqueue(&self, job: Job) -> Option<PoolWorker<'_>> {
        let mut state = self.lock();
        state.jobs.push_back(job);
        // Under the lock of `next`: a worker that is about to exit has either left the count or will see the job.
        if state.workers == self.max_workers {
            return None;
        }
        state.workers += 1;
        Some(PoolWorker(self))
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        // Jobs run outside of the lock, so a panic cannot leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs jobs until the queue is empty, when it is dropped.
///
/// In the destructor, because a runtime that shuts down drops blocking tasks without running them: the queue may
/// hold jobs of another runtime, which must not be lost.
struct PoolWorker<'a>(&'a ShortFileJobs);

impl PoolWorker<'_> {
    /// Returns the next job. Without one, the worker leaves the count under the same lock: a job that is added
    /// later finds a free place and gets a new worker.
    fn next(&self) -> Option<Job> {
        let mut state = self.0.lock();
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.workers -= 1;
        }
        job
    }
}

impl Drop for PoolWorker<'_> {
    fn drop(&mut self) {
        while let Some(job) = self.next() {
            // A panic drops the sender of the job, which is how its caller is notified.
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
    async fn results_and_errors_are_returned() {
        assert_eq!(run_on_pool(|| Ok(7)).await.expect("job succeeds"), 7);
        let failed = run_on_pool(|| Err::<(), _>(io::ErrorKind::StorageFull.into())).await;
        let kind = failed.expect_err("job fails").kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
    }

    #[tokio::test]
    async fn panic_is_an_error_for_its_caller_only() {
        let panicked = run_on_pool(|| -> io::Result<()> { panic!("on purpose") }).await;
        let text = panicked.expect_err("job panics").to_string();
        assert!(text.contains("panicked"), "{text}");
        assert_eq!(run_on_pool(|| Ok(7)).await.expect("job succeeds"), 7);
    }

    #[tokio::test]
    async fn abandoned_job_is_skipped() {
        let pool = ShortFileJobs::new(1);
        let (started, starts) = mpsc::channel();
        let (sender, result) = oneshot::channel();
        let worker = pool.enqueue(job(sender, move || {
            started.send(()).map_err(io::Error::other)
        }));
        drop(result);
        drop(worker);
        assert!(starts.recv().is_err(), "job was started");
    }

    #[test]
    fn excess_jobs_wait_for_a_worker() {
        let pool = ShortFileJobs::new(1);
        let (done, all) = mpsc::channel();
        let job = |number: u32| {
            let done = done.clone();
            Box::new(move || done.send(number).expect("receiver is alive"))
        };
        let worker = pool.enqueue(job(1));
        assert!(worker.is_some() && pool.enqueue(job(2)).is_none());
        drop(worker);
        assert_eq!(all.try_iter().collect::<Vec<_>>(), [1, 2]);
        drop(pool.enqueue(job(3)).expect("first worker has exited"));
        assert_eq!(all.try_iter().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn shut_down_runtime_loses_no_jobs() {
        let ended = tokio::runtime::Builder::new_current_thread().build();
        let ended = ended.expect("runtime starts");
        let handle = ended.handle().clone();
        drop(ended);
        let pool = Box::leak(Box::new(ShortFileJobs::new(1)));
        let (done, all) = mpsc::channel();
        let worker = pool.enqueue(Box::new(move || done.send(()).expect("receiver is alive")));
        let worker = worker.expect("pool has no worker yet");
        thread::spawn(move || drop(handle.spawn_blocking(|| drop(worker))));
        all.recv().expect("job is run");
    }
}

#[cfg(all(test, runtime_loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::thread;

    use super::*;

    /// A job that is added while the last worker exits is still run.
    /// Fails if a worker leaves the count under another lock than the one under which it found no job.
    #[test]
    fn every_job_runs_and_every_worker_exits() {
        loom::model(|| {
            let pool = Arc::new(ShortFileJobs::new(1));
            let done = Arc::new(AtomicU32::new(0));
            let enqueue = |pool: &ShortFileJobs, done: &Arc<AtomicU32>| {
                let done = Arc::clone(done);
                let job = move || {
                    done.fetch_add(1, Ordering::SeqCst);
                };
                drop(pool.enqueue(Box::new(job)));
            };
            let other = thread::spawn({
                let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
                move || enqueue(&pool, &done)
            });
            enqueue(&pool, &done);
            other.join().unwrap();
            assert_eq!(done.load(Ordering::SeqCst), 2);
            assert_eq!(pool.lock().workers, 0);
        });
    }
}
