//! A hash that is computed by its own thread.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use ring::digest::{Algorithm, Context, Digest};

/// The number of chunks that may wait for the thread.
const QUEUE_DEPTH: usize = 4;

/// A thread that hashes chunks. It ends when this value is dropped.
pub(super) struct HashThread {
    /// `None` once the thread has to end.
    chunks: Option<SyncSender<Bytes>>,
    thread: Option<JoinHandle<Digest>>,
}

impl HashThread {
    /// Starts a thread. Returns `None` if the system cannot create one.
    pub(super) fn start(algorithm: &'static Algorithm) -> Option<Self> {
        // Bounded: a slower hash slows the reader down instead of buffering the artifact.
        let (sender, receiver) = sync_channel::<Bytes>(QUEUE_DEPTH);
        let hash = move || {
            let mut context = Context::new(algorithm);
            receiver
                .into_iter()
                .for_each(|chunk| context.update(&chunk));
            context.finish()
        };
        let thread = Builder::new().name("artifact-hash".to_owned()).spawn(hash);
        Some(Self {
            chunks: Some(sender),
            thread: Some(thread.ok()?),
        })
    }

    /// Adds a chunk. Blocks while the queue is full.
    pub(super) fn update(&mut self, chunk: Bytes) {
        if let Some(chunks) = &self.chunks {
            // Sending fails only if the thread panicked, which `finish` propagates.
            let _ = chunks.send(chunk);
        }
    }

    /// Waits for the thread and returns the digest.
    pub(super) fn finish(mut self) -> Digest {
        self.join().expect("the thread is joined once")
    }

    fn join(&mut self) -> Option<Digest> {
        // Ends the thread's loop.
        drop(self.chunks.take());
        let digest = self.thread.take()?.join();
        Some(digest.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for HashThread {
    fn drop(&mut self) {
        drop(self.chunks.take());
        if let Some(thread) = self.thread.take() {
            // The digest of an aborted pass is not needed. A panic must not be propagated from a drop.
            let _ = thread.join();
        }
    }
}
