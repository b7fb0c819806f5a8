//! What writers and readers of a log share.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::backing::Backing;
use super::error::{CloseLogError, WriteLogError};
use super::fetch;
use super::limits::Limits;
use super::queued::QueuedFlush;
use super::state::{End, Start, State};
use super::wakers::{WakerKey, Woken};
use crate::sys::{Condvar, Guard, Mutex};

/// The state of a log, its file, and the protocol between those who write, flush, read and close.
///
/// The lock is held for copying one small write or for sharing a segment, never for reading or writing
/// the file: whoever moves pending bytes to the file takes the `flushing` role and releases the lock.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) path: PathBuf,
    pub(super) backing: Box<dyn Backing>,
    limits: Limits,
    state: Mutex<State>,
    /// Told when a flush or a large call ends: what blocked writers and `close` wait for.
    turn: Condvar,
    /// Turns to read the file where that may have to wait for a disk.
    pub(super) fetches: Semaphore,
}

impl Core {
    pub(super) fn new(path: PathBuf, backing: Box<dyn Backing>, limits: Limits) -> Self {
        let state = Mutex::new(State::new(limits));
        let fetches = Semaphore::new(fetch::AT_ONCE);
        Self {
            path,
            backing,
            limits,
            state,
            turn: Condvar::new(),
            fetches,
        }
    }

    pub(super) fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Appends bytes as one piece. Waits if too much is pending, for the file but never for a reader.
    pub(super) fn append(
        self: &Arc<Self>,
        bytes: &[u8],
        start: Start,
    ) -> Result<(), WriteLogError> {
        match bytes.len() {
            0 => self.check_open(&self.lock()),
            len if len < self.limits.chunk => self.append_small(bytes, start),
            _ => self.append_large(bytes, start),
        }
    }

    fn append_small(self: &Arc<Self>, bytes: &[u8], start: Start) -> Result<(), WriteLogError> {
        let mut state = self.lock();
        if !state.has_room() {
            state = self.wait_for_room(state);
        }
        self.check_open(&state)?;
        state.begin(start);
        state.tail.push(bytes);
        self.appended(state);
        Ok(())
    }

    /// Appends bytes in several steps, with everybody else kept out until the last.
    fn append_large(self: &Arc<Self>, bytes: &[u8], start: Start) -> Result<(), WriteLogError> {
        let mut state = self.wait_for_room(self.lock());
        self.check_open(&state)?;
        state.begin(start);
        state.large_call = true;
        drop(state);
        let result = bytes
            .chunks(self.limits.chunk)
            .try_for_each(|chunk| self.append_shared(chunk));
        let mut state = self.lock();
        state.large_call = false;
        let aside = std::mem::take(&mut state.aside);
        state.tail.push(&aside);
        let writers = state.writers.take();
        self.appended(state);
        self.turn.notify_all();
        writers.wake();
        result
    }

    fn append_shared(self: &Arc<Self>, chunk: &[u8]) -> Result<(), WriteLogError> {
        let chunk = Bytes::copy_from_slice(chunk);
        let mut state = self.wait_until(self.lock(), |state| !state.is_full());
        self.check_failed(&state)?;
        state.tail.push_shared(chunk);
        self.appended(state);
        Ok(())
    }

    /// Tells readers of new bytes, and has them flushed once they are worth a write.
    fn appended(self: &Arc<Self>, mut state: Guard<'_, State>) {
        let readers = state.readers.take();
        let flush = state.is_ripe() && state.queue_flush();
        drop(state);
        readers.wake();
        if flush {
            QueuedFlush::new(self).start();
        }
    }

    /// Like [`append`](Self::append) for fewer bytes than a chunk and without waiting: too much may be
    /// pending after it by as much as it appends. [`poll_room`](Self::poll_room) goes before it.
    pub(super) fn append_unbounded(self: &Arc<Self>, bytes: &[u8]) -> Result<(), WriteLogError> {
        let mut state = self.lock();
        self.check_open(&state)?;
        match state.large_call {
            true => state.aside.extend_from_slice(bytes),
            false => {
                state.tail.push(bytes);
                self.appended(state);
            }
        }
        Ok(())
    }

    /// Waits as a task until a write would not have to wait.
    pub(super) fn poll_room(
        self: &Arc<Self>,
        key: &mut Option<WakerKey>,
        cx: &Context<'_>,
    ) -> Poll<()> {
        loop {
            let mut state = self.lock();
            if state.has_room() {
                return Poll::Ready(());
            }
            let queue = !state.large_call && state.queue_flush();
            let replaced = state.writers.register(key, cx);
            drop(state);
            drop(replaced);
            if !queue {
                return Poll::Pending;
            }
            QueuedFlush::new(self).start();
        }
    }

    /// Waits as a thread until a write would not have to wait.
    pub(super) fn block_until_room(&self) {
        drop(self.wait_for_room(self.lock()));
    }

    pub(super) fn forget_writer(&self, key: WakerKey) {
        let waker: Option<Waker> = self.lock().writers.forget(key);
        drop(waker);
    }

    /// Asks for a flush, without waiting for it.
    pub(super) fn start_flush(self: &Arc<Self>) {
        let mut state = self.lock();
        let flush = !state.tail.is_empty() && state.queue_flush();
        drop(state);
        if flush {
            QueuedFlush::new(self).start();
        }
    }

    /// Has everything that was accepted before this call in the file when it returns.
    pub(super) fn flush(&self) -> Result<(), WriteLogError> {
        let state = self.lock();
        let end = state.tail.end();
        let state = self.wait_until(state, |state| state.tail.start() >= end);
        self.check_failed(&state)
    }

    /// Refuses more bytes, moves the rest to the file, and tells readers that this is all.
    pub(super) fn close(&self) -> Result<(), CloseLogError> {
        self.end(End::Closed);
        match &self.lock().end {
            Some(End::Failed(source)) => Err(CloseLogError::Failed {
                path: self.path.clone(),
                source: Arc::clone(source),
            }),
            _ => Ok(()),
        }
    }

    /// Ends the log, unless it has ended before.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        state.closing = true;
        while state.large_call {
            state = self.turn.wait(state);
        }
        let mut state = self.wait_until(state, |state| state.tail.is_empty());
        state.end.get_or_insert(end);
        let (readers, writers) = (state.readers.take(), state.writers.take());
        drop(state);
        self.turn.notify_all();
        readers.wake();
        writers.wake();
    }

    fn wait_for_room<'a>(&'a self, mut state: Guard<'a, State>) -> Guard<'a, State> {
        while !state.has_room() {
            state = match state.large_call {
                true => self.turn.wait(state),
                false => self.wait_until(state, |state| state.large_call || !state.is_full()),
            };
        }
        state
    }

    /// Flushes, or waits for who does, until something holds or the file has failed.
    fn wait_until<'a>(
        &'a self,
        mut state: Guard<'a, State>,
        holds: impl Fn(&State) -> bool,
    ) -> Guard<'a, State> {
        while !state.has_failed() && !holds(&state) {
            state = match state.flushing {
                true => self.turn.wait(state),
                false => self.flush_pending(state),
            };
        }
        state
    }

    /// Writes to the file what is pending now. The caller has made sure that nobody else does.
    pub(super) fn flush_pending<'a>(&'a self, mut state: Guard<'a, State>) -> Guard<'a, State> {
        state.flushing = true;
        let (start, pending) = (state.tail.start(), state.tail.snapshot());
        drop(state);
        let (written, result) = super::flush::write_out(&*self.backing, &pending, start);
        drop(pending);

        let mut state = self.lock();
        state.flushing = false;
        state.tail.advance(start + written);
        let failed = result.is_err();
        if let Err(error) = result {
            state.end = Some(End::Failed(Arc::new(error)));
        }
        let writers = state.writers.take();
        let readers = failed.then(|| state.readers.take());
        drop(state);
        self.turn.notify_all();
        writers.wake();
        readers.into_iter().for_each(Woken::wake);
        self.lock()
    }

    fn check_open(&self, state: &State) -> Result<(), WriteLogError> {
        self.check_failed(state)?;
        match state.closing {
            true => Err(WriteLogError::Closed {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    fn check_failed(&self, state: &State) -> Result<(), WriteLogError> {
        match &state.end {
            Some(End::Failed(source)) => Err(WriteLogError::Failed {
                path: self.path.clone(),
                source: Arc::clone(source),
            }),
            _ => Ok(()),
        }
    }
}
