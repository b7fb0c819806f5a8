//! Blocking work on a stream of bytes, beside the stream and in its order.

use std::io;

use bytes::Bytes;
use tokio::task::JoinHandle;

/// How much is gathered before it is worth to go to another thread.
const BATCH: usize = 512 * 1024;

/// Does blocking work, such as writing or hashing, on batches of bytes: one batch is worked on while
/// the next is gathered, so that at most two are in memory.
///
/// The state travels with the batch. It is lost only when the work panics.
pub(crate) struct Lane<S> {
    stage: Stage<S>,
    gathered: Vec<Bytes>,
    length: usize,
    work: Work<S>,
}

/// What is done with a batch.
type Work<S> = fn(&mut S, &[Bytes]) -> io::Result<()>;

enum Stage<S> {
    Idle(S),
    Busy(JoinHandle<(S, io::Result<()>)>),
    Lost,
}

impl<S: Send + 'static> Lane<S> {
    pub(crate) fn new(state: S, work: Work<S>) -> Self {
        Self {
            stage: Stage::Idle(state),
            gathered: Vec::new(),
            length: 0,
            work,
        }
    }

    /// Adds bytes; waits if the batch before is not done when this one is full.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.length += bytes.len();
        self.gathered.push(bytes);
        if self.length >= BATCH {
            self.dispatch().await?;
        }
        Ok(())
    }

    /// How many bytes wait for their batch to be full.
    pub(crate) fn waiting(&self) -> usize {
        self.length
    }

    /// Reports whether all bytes so far wait in the first batch.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.stage, Stage::Idle(_))
    }

    /// Does all that is left, and gives the state back.
    pub(crate) async fn drain(&mut self) -> io::Result<S> {
        if self.length > 0 {
            self.dispatch().await?;
        }
        self.idle().await
    }

    /// Gives the state back with what was gathered and not worked on.
    pub(crate) async fn take(&mut self) -> io::Result<(S, Vec<Bytes>)> {
        self.length = 0;
        let gathered = std::mem::take(&mut self.gathered);
        Ok((self.idle().await?, gathered))
    }

    async fn dispatch(&mut self) -> io::Result<()> {
        let mut state = self.idle().await?;
        let batch = std::mem::take(&mut self.gathered);
        self.length = 0;
        let work = self.work;
        self.stage = Stage::Busy(tokio::task::spawn_blocking(move || {
            let result = work(&mut state, &batch);
            (state, result)
        }));
        Ok(())
    }

    /// Waits for the batch that is worked on. The stage is `Busy` until the wait is over, so that a
    /// dropped future loses nothing.
    async fn idle(&mut self) -> io::Result<S> {
        if let Stage::Busy(handle) = &mut self.stage {
            let (state, result) = handle.await.map_err(io::Error::other)?;
            self.stage = Stage::Idle(state);
            result?;
        }
        match std::mem::replace(&mut self.stage, Stage::Lost) {
            Stage::Idle(state) => Ok(state),
            Stage::Busy(_) | Stage::Lost => Err(io::Error::other("the state of a lane is lost")),
        }
    }
}
