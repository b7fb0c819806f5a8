//! A limit for the threads on which tasks start and end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// The number of threads. More do not make a thousand starts or ends faster: the kernel does most of it one by one.
const THREADS: usize = 8;

/// The time after which work gets a further thread if none of the others has finished anything: they may hang for ever.
const HANG_TIMEOUT: Duration = Duration::from_millis(250);

/// Runs work that blocks on eight threads of the runtime, for engines and the worker. A thousand tasks that end together
/// would otherwise take a thread each. Clones share the threads.
///
/// Use it for work that usually takes about a millisecond. If none of it ends within a quarter of a second, the threads may
/// hang for ever, such as on a dead network file system. Then one further thread is used, four times a second.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// let gate = runtime_worker::BlockingGate::default();
/// let folder = gate.run(std::env::temp_dir).await?;
/// # assert!(folder.is_absolute());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BlockingGate {
    permits: Arc<Semaphore>,
    /// The number of works that have finished, and of further threads.
    finished: Arc<AtomicU64>,
}

impl Default for BlockingGate {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(THREADS)),
            finished: Arc::default(),
        }
    }
}

impl BlockingGate {
    /// Runs `work` when a thread is free, or when all of them hang.
    ///
    /// # Errors
    ///
    /// If the work panics, or if the runtime shuts down before its start.
    ///
    /// # Cancel safety
    ///
    /// Work that waits for a thread of the gate is dropped, and other work is executed.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let permit = self.permit().await;
        let finished = Arc::clone(&self.finished);
        let work = move || {
            let done = work();
            if permit.is_some() {
                finished.fetch_add(1, Ordering::Relaxed);
            }
            done
        };
        spawn_blocking(work).await
    }

    /// Waits for a free thread. `None` if none of the threads has finished anything for a while.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Leaves the queue when this returns: it would otherwise be given a permit while its work runs without one.
        let mut permit = pin!(Arc::clone(&self.permits).acquire_owned());
        loop {
            let finished = self.finished.load(Ordering::Relaxed);
            match timeout(HANG_TIMEOUT, &mut permit).await {
                // Nothing closes the semaphore.
                Ok(permit) => return permit.ok(),
                Err(_) => {
                    // One further thread at a time: those that have waited with it see the change and wait again.
                    let (order, next) = (Ordering::Relaxed, finished.wrapping_add(1));
                    let hang = &self.finished;
                    if hang.compare_exchange(finished, next, order, order).is_ok() {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn work_shares_a_few_threads() {
        let gate = BlockingGate::default();
        let running = Arc::new(AtomicUsize::new(0));
        let mut works = JoinSet::new();
        for _ in 0..20 * THREADS {
            let (gate, running) = (gate.clone(), Arc::clone(&running));
            let work = move || {
                let before = running.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                before
            };
            works.spawn(async move { gate.run(work).await });
        }
        for before in works.join_all().await {
            assert!(before.expect("it does not panic") < THREADS);
        }
    }

    #[tokio::test]
    async fn hanging_work_delays_other_work_only_for_a_moment() {
        let gate = BlockingGate::default();
        let started = Arc::new(AtomicUsize::new(0));
        let (mut hanging, mut ends) = (JoinSet::new(), Vec::new());
        for _ in 0..THREADS {
            let (gate, started) = (gate.clone(), Arc::clone(&started));
            let (end, ended) = mpsc::channel::<()>();
            ends.push(end);
            let work = move || {
                started.fetch_add(1, Ordering::SeqCst);
                ended.recv().is_err()
            };
            hanging.spawn(async move { gate.run(work).await });
        }
        let all_started = async {
            while started.load(Ordering::SeqCst) < THREADS {
                yield_now().await;
            }
        };
        let limit = Duration::from_secs(60);
        timeout(limit, all_started)
            .await
            .expect("there are threads");
        let other = timeout(limit, gate.run(|| 7)).await;
        assert_eq!(other.expect("it gets a thread").expect("no panic"), 7);
        let (last_end, last_ended) = mpsc::channel::<()>();
        let further = gate.clone();
        let last = tokio::spawn(async move { further.run(move || last_ended.recv()).await });
        tokio::time::sleep(4 * HANG_TIMEOUT).await;
        drop(ends);
        for ended in hanging.join_all().await {
            assert!(ended.expect("it does not panic"));
        }
        // Also while work that got a further thread hangs.
        assert_eq!(gate.permits.available_permits(), THREADS);
        drop(last_end);
        let ended = timeout(limit, last).await.expect("it ends");
        assert!(ended.expect("no panic").expect("no panic").is_err());
    }
}
