//! A hash that a second thread computes.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use ring::digest::{Algorithm, Context, Digest};

/// How many chunks may wait for the thread.
const WAITING: usize = 4;

/// A thread that hashes what it is given. It ends with this value.
pub(super) struct Companion {
    /// `None` once the thread is to end.
    chunks: Option<SyncSender<Bytes>>,
    thread: Option<JoinHandle<Digest>>,
}

impl Companion {
    /// Starts one; `None` if the system has no thread to spare.
    pub(super) fn start(algorithm: &'static Algorithm) -> Option<Self> {
        let (sender, receiver) = sync_channel::<Bytes>(WAITING);
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

    /// Blocks while the thread is behind.
    pub(super) fn update(&mut self, chunk: Bytes) {
        if let Some(chunks) = &self.chunks {
            // The thread takes chunks until there is no sender.
            let _ = chunks.send(chunk);
        }
    }

    /// Waits for the thread.
    pub(super) fn finish(mut self) -> Digest {
        self.join().expect("a thread that has not been waited for")
    }

    fn join(&mut self) -> Option<Digest> {
        drop(self.chunks.take());
        let hashed = self.thread.take()?.join();
        Some(hashed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.chunks.take());
        if let Some(thread) = self.thread.take() {
            // Nobody wants the hash any more, whatever became of it.
            let _ = thread.join();
        }
    }
}
