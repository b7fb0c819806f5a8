//! Blocking work on a stream of bytes, such as writing or hashing, in parallel with the transfer.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

/// The size of a batch: large enough to be worth a switch of threads.
const BATCH_BYTES: usize = 256 * 1024;

/// The number of batches that may wait in the queue. It bounds the memory of a stream whose processor is slow.
const QUEUE_DEPTH: usize = 4;

/// Runs blocking work on batches of bytes, in order, while the next batch is collected.
///
/// A thread drains the queue and exits when the queue is empty. A thread per stream would be held by slow streams, and
/// a `spawn_blocking` per batch would make a fast stream wait for a switch of threads each time.
pub(crate) struct BlockingBatches<S> {
    queue: mpsc::Sender<Vec<Bytes>>,
    phase: Phase<S>,
    batch: Vec<Bytes>,
    batch_bytes: usize,
}

enum Phase<S> {
    Idle(Processor<S>),
    Running(JoinHandle<Finished<S>>),
    /// The work failed or panicked.
    Failed,
}

/// The result of a thread, which returns its processor for the next thread.
type Finished<S> = (Processor<S>, io::Result<()>);

/// The state that moves to the thread and back. Only a panic loses it.
struct Processor<S> {
    state: S,
    queue: mpsc::Receiver<Vec<Bytes>>,
    process: ProcessBatch<S>,
}

type ProcessBatch<S> = fn(&mut S, &[Bytes]) -> io::Result<()>;

impl<S: Send + 'static> BlockingBatches<S> {
    pub(crate) fn new(state: S, process: ProcessBatch<S>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE_DEPTH);
        Self {
            queue: sender,
            phase: Phase::Idle(Processor {
                state,
                queue,
                process,
            }),
            batch: Vec::new(),
            batch_bytes: 0,
        }
    }

    /// Appends bytes to the batch; waits while the queue is full.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.batch_bytes += bytes.len();
        self.batch.push(bytes);
        if self.batch_bytes >= BATCH_BYTES {
            self.enqueue_batch().await?;
        }
        Ok(())
    }

    /// Returns the bytes of the batch that is not full yet.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// Returns whether all bytes so far are in the first batch.
    pub(crate) fn is_unstarted(&self) -> bool {
        matches!(self.phase, Phase::Idle(_))
    }

    /// Processes the remaining bytes and returns the state.
    pub(crate) async fn finish(&mut self) -> io::Result<S> {
        if self.batch_bytes > 0 {
            self.enqueue_batch().await?;
        }
        loop {
            let processor = self.join().await?;
            // The thread may have exited just before the last batch was sent.
            if processor.queue.is_empty() {
                return Ok(processor.state);
            }
            self.start(processor);
        }
    }

    /// Returns the state and the collected bytes of a processor that has not started.
    pub(crate) async fn take_unstarted(&mut self) -> io::Result<(S, Vec<Bytes>)> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        Ok((self.join().await?.state, batch))
    }

    async fn enqueue_batch(&mut self) -> io::Result<()> {
        self.wait_for_capacity().await?;
        // This is the only sender, so the capacity is still there.
        let _ = self.queue.try_send(std::mem::take(&mut self.batch));
        self.batch_bytes = 0;
        // A running thread may still find the queue empty and exit: the next batch, or `finish`, starts another.
        if !matches!(&self.phase, Phase::Running(thread) if !thread.is_finished()) {
            let processor = self.join().await?;
            self.start(processor);
        }
        Ok(())
    }

    /// Waits until the queue has capacity for a batch.
    async fn wait_for_capacity(&mut self) -> io::Result<()> {
        while self.queue.capacity() == 0 {
            let Phase::Running(thread) = &mut self.phase else {
                return Err(lost_state());
            };
            // A thread may exit between its look at an empty queue and our last send. With only `reserve`, a
            // queue filled after that would never be drained.
            let finished = tokio::select! {
                _ = self.queue.reserve() => continue,
                finished = thread => finished,
            };
            let processor = self.recover_processor(finished)?;
            self.start(processor);
        }
        Ok(())
    }

    fn start(&mut self, processor: Processor<S>) {
        self.phase = Phase::Running(tokio::task::spawn_blocking(|| processor.run()));
    }

    /// Waits for the thread to exit. The phase stays `Running` until then: a dropped future loses nothing.
    async fn join(&mut self) -> io::Result<Processor<S>> {
        if let Phase::Running(thread) = &mut self.phase {
            let finished = thread.await;
            return self.recover_processor(finished);
        }
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Idle(processor) => Ok(processor),
            Phase::Running(_) | Phase::Failed => Err(lost_state()),
        }
    }

    fn recover_processor(
        &mut self,
        finished: Result<Finished<S>, JoinError>,
    ) -> io::Result<Processor<S>> {
        self.phase = Phase::Failed;
        let (processor, result) = finished.map_err(io::Error::other)?;
        result.map(|()| processor)
    }
}

impl<S> Processor<S> {
    /// Processes batches until the queue is empty or the [`BlockingBatches`] was dropped.
    fn run(mut self) -> Finished<S> {
        while !self.queue.is_closed() {
            // Not a blocking receive: a slow stream would hold one of the runtime's threads while
            // it waits.
            let Ok(batch) = self.queue.try_recv() else {
                break;
            };
            if let Err(error) = (self.process)(&mut self.state, &batch) {
                return (self, Err(error));
            }
        }
        (self, Ok(()))
    }
}

fn lost_state() -> io::Error {
    io::Error::other("an earlier batch failed")
}
