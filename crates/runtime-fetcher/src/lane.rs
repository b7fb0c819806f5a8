//! Blocking work on a stream of bytes, beside the stream and in its order.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

/// How much is gathered before it is worth to go to another thread.
const BATCH: usize = 256 * 1024;

/// How many batches wait at most while another is worked on.
const WAITING: usize = 4;

/// Does blocking work, such as writing or hashing, on batches of bytes while more are gathered.
///
/// The thread that works takes one batch after the other, and leaves when none is waiting: a stream that is
/// slow holds no thread, and one that is fast never waits for a change of threads.
pub(crate) struct Lane<S> {
    queue: mpsc::Sender<Vec<Bytes>>,
    stage: Stage<S>,
    gathered: Vec<Bytes>,
    length: usize,
}

enum Stage<S> {
    Idle(Station<S>),
    Busy(JoinHandle<Worked<S>>),
    /// The work failed, or was interrupted.
    Lost,
}

/// What a thread leaves.
type Worked<S> = (Station<S>, io::Result<()>);

/// What goes to the thread and comes back. It is lost only when the work panics.
struct Station<S> {
    state: S,
    queue: mpsc::Receiver<Vec<Bytes>>,
    work: Work<S>,
}

/// What is done with a batch.
type Work<S> = fn(&mut S, &[Bytes]) -> io::Result<()>;

impl<S: Send + 'static> Lane<S> {
    pub(crate) fn new(state: S, work: Work<S>) -> Self {
        let (sender, queue) = mpsc::channel(WAITING);
        Self {
            queue: sender,
            stage: Stage::Idle(Station { state, queue, work }),
            gathered: Vec::new(),
            length: 0,
        }
    }

    /// Adds bytes; waits while too many batches wait.
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
        loop {
            let station = self.idle().await?;
            if station.queue.is_empty() {
                return Ok(station.state);
            }
            self.start(station);
        }
    }

    /// Gives the state back with what was gathered, if nothing was worked on.
    pub(crate) async fn take(&mut self) -> io::Result<(S, Vec<Bytes>)> {
        self.length = 0;
        let gathered = std::mem::take(&mut self.gathered);
        Ok((self.idle().await?.state, gathered))
    }

    async fn dispatch(&mut self) -> io::Result<()> {
        self.wait_for_room().await?;
        // Nobody else sends, so that there is room still.
        let _ = self.queue.try_send(std::mem::take(&mut self.gathered));
        self.length = 0;
        if !matches!(&self.stage, Stage::Busy(thread) if !thread.is_finished()) {
            let station = self.idle().await?;
            self.start(station);
        }
        Ok(())
    }

    /// Waits until the queue has room for a batch. A thread that just left is replaced.
    async fn wait_for_room(&mut self) -> io::Result<()> {
        while self.queue.capacity() == 0 {
            let Stage::Busy(thread) = &mut self.stage else {
                return Err(lost());
            };
            let left = tokio::select! {
                _ = self.queue.reserve() => continue,
                left = thread => left,
            };
            let station = self.returned(left)?;
            self.start(station);
        }
        Ok(())
    }

    fn start(&mut self, station: Station<S>) {
        self.stage = Stage::Busy(tokio::task::spawn_blocking(|| station.work_off()));
    }

    /// Waits for the thread to leave. The stage is `Busy` until then, so that a dropped future loses nothing.
    async fn idle(&mut self) -> io::Result<Station<S>> {
        if let Stage::Busy(thread) = &mut self.stage {
            let left = thread.await;
            return self.returned(left);
        }
        match std::mem::replace(&mut self.stage, Stage::Lost) {
            Stage::Idle(station) => Ok(station),
            Stage::Busy(_) | Stage::Lost => Err(lost()),
        }
    }

    fn returned(&mut self, left: Result<Worked<S>, JoinError>) -> io::Result<Station<S>> {
        self.stage = Stage::Lost;
        let (station, result) = left.map_err(io::Error::other)?;
        result.map(|()| station)
    }
}

impl<S> Station<S> {
    /// Works on batches until none is waiting, or nobody wants the result any more.
    fn work_off(mut self) -> Worked<S> {
        while !self.queue.is_closed() {
            let Ok(batch) = self.queue.try_recv() else {
                break;
            };
            if let Err(error) = (self.work)(&mut self.state, &batch) {
                return (self, Err(error));
            }
        }
        (self, Ok(()))
    }
}

fn lost() -> io::Error {
    io::Error::other("the state of a lane is lost")
}
