//! The state shared by writers and readers of a log.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::backing::Backing;
use super::buffer_limits::{BufferLimits, MAX_DISK_READS};
use super::error::{CloseLogError, WriteLogError};
use super::queued_flush::{Flushable, QueuedFlush};
use super::state::{End, Placement, State};
use super::wakers::{WakerKey, Woken};
use crate::sys::{Condvar, Guard, Mutex};

/// A log: its state, its file, and the protocol of writing, flushing, reading and closing.
///
/// One lock guards the state. It is held to copy a write of up to a segment or to share one, but never during file
/// I/O or while a waker runs:
///
/// - A thread that moves pending bytes to the file takes the flush role ([`State::flushing`]) and releases
///   the lock. With the lock held during the write, a slow disk would stall every reader.
/// - Wakers are called and dropped after unlocking. They run arbitrary code, and may own a reader or a writer
///   whose drop takes the lock.
#[derive(Debug)]
pub(super) struct SharedLog {
    pub(super) path: PathBuf,
    pub(super) backing: Box<dyn Backing>,
    buffer_limits: BufferLimits,
    state: Mutex<State>,
    /// Notified at the end of a flush or of an append of at least one segment; blocked writers and `close` wait for it.
    progress: Condvar,
    /// Permits for reads that may block on the disk, so that followers of old output cannot occupy all
    /// blocking threads of the runtime.
    pub(super) disk_reads: Arc<Semaphore>,
}

impl SharedLog {
    pub(super) fn new(
        path: PathBuf,
        backing: Box<dyn Backing>,
        buffer_limits: BufferLimits,
    ) -> Self {
        Self {
            path,
            backing,
            buffer_limits,
            state: Mutex::new(State::new(buffer_limits)),
            progress: Condvar::new(),
            disk_reads: Arc::new(Semaphore::new(MAX_DISK_READS)),
        }
    }

    pub(super) fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Appends `bytes` contiguously. Blocks on the file if too many bytes are pending, but never on a reader.
    pub(super) fn append(
        self: &Arc<Self>,
        bytes: &[u8],
        placement: Placement,
    ) -> Result<(), WriteLogError> {
        match bytes.len() {
            // An empty write changes nothing, but must still fail on a closed log, as `write(2)`
            // does on a closed descriptor. It must not wait for space either.
            0 => self.check_open(&self.lock()),
            len if len < self.buffer_limits.segment => self.append_small(bytes, placement),
            _ => self.append_large(bytes, placement),
        }
    }

    fn append_small(
        self: &Arc<Self>,
        bytes: &[u8],
        placement: Placement,
    ) -> Result<(), WriteLogError> {
        let mut state = self.lock();
        if !state.can_write() {
            state = self.wait_until_ready(state);
        }
        self.check_open(&state)?;
        // The line feed and the bytes are appended under one lock. Otherwise another writer could
        // put its line between them.
        state.prepare(placement);
        state.tail.push(bytes);
        self.appended(state);
        Ok(())
    }

    /// Appends `bytes` in several steps, during which other writers wait.
    fn append_large(
        self: &Arc<Self>,
        bytes: &[u8],
        placement: Placement,
    ) -> Result<(), WriteLogError> {
        let mut state = self.wait_until_ready(self.lock());
        self.check_open(&state)?;
        state.prepare(placement);
        state.large_call = true;
        drop(state);
        // The bytes may exceed the memory limit, so the lock is released between chunks for flushes and
        // readers. The flag keeps the call contiguous meanwhile: other writers wait, and
        // `append_unbounded`, which must not wait, defers its bytes until the end.
        let result = bytes
            .chunks(self.buffer_limits.segment)
            .try_for_each(|chunk| self.append_shared(chunk));
        let mut state = self.lock();
        state.large_call = false;
        // Even after a failure: these bytes were accepted, so readers must get them from memory.
        let deferred = std::mem::take(&mut state.deferred);
        state.tail.push(&deferred);
        let writers = state.writers.take();
        self.appended(state);
        self.progress.notify_all();
        writers.wake();
        result
    }

    fn append_shared(self: &Arc<Self>, chunk: &[u8]) -> Result<(), WriteLogError> {
        // Copied outside the lock, which readers need too.
        let chunk = Bytes::copy_from_slice(chunk);
        let mut state = self.wait_until(self.lock(), |state| !state.is_full());
        // Only a failure stops the call: a close that starts in between waits for its end.
        self.check_failed(&state)?;
        state.tail.push_shared(chunk);
        self.appended(state);
        Ok(())
    }

    /// Wakes readers, and starts a flush once enough bytes are pending.
    fn appended(self: &Arc<Self>, mut state: Guard<'_, State>) {
        let readers = state.readers.take();
        let len = state.tail.end();
        let length_waiters = state.length_waiters.take_reached(len);
        let flush = state.needs_flush() && state.queue_flush();
        drop(state);
        // Outside the lock: see the type.
        readers.wake();
        length_waiters.wake();
        if flush {
            QueuedFlush::new(Arc::clone(self)).start();
        }
    }

    /// Like [`append`](Self::append) for up to a segment, but never blocks: each call may exceed the limit
    /// of pending bytes. Callers wait with [`poll_ready`](Self::poll_ready) before the call.
    pub(super) fn append_unbounded(self: &Arc<Self>, bytes: &[u8]) -> Result<(), WriteLogError> {
        let mut state = self.lock();
        self.check_open(&state)?;
        if state.large_call {
            state.deferred.extend_from_slice(bytes);
        } else {
            state.tail.push(bytes);
            self.appended(state);
        }
        Ok(())
    }

    /// Like [`append`](Self::append), but at the start of a line. For less than a segment it waits only for a
    /// large call and not for the file: each call may exceed the limit of pending bytes.
    pub(super) fn append_line(self: &Arc<Self>, bytes: &[u8]) -> Result<(), WriteLogError> {
        if bytes.len() >= self.buffer_limits.segment {
            return self.append(bytes, Placement::NewLine);
        }
        let mut state = self.lock();
        // Deferring the bytes is not possible: whether they need a line feed is known only after the call.
        while state.large_call {
            state = self.progress.wait(state);
        }
        self.check_open(&state)?;
        if !bytes.is_empty() {
            state.prepare(Placement::NewLine);
            state.tail.push(bytes);
            self.appended(state);
        }
        Ok(())
    }

    /// Polls until a write would not have to wait.
    pub(super) fn poll_ready(
        self: &Arc<Self>,
        key: &mut Option<WakerKey>,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let mut flush_started = false;
        loop {
            let mut state = self.lock();
            if state.can_write() {
                return Poll::Ready(());
            }
            if flush_started && !(state.large_call || state.flushing || state.flush_queued) {
                // A runtime that shuts down has dropped the flush, and would drop each further one.
                drop(self.flush_pending(state));
                continue;
            }
            // A large call flushes on its own thread. A second request would only occupy a blocking
            // thread.
            let queue = !state.large_call && state.queue_flush();
            let replaced = state.writers.register(key, cx);
            drop(state);
            drop(replaced);
            // Registered before the flush starts: its end wakes this task.
            if !queue {
                return Poll::Pending;
            }
            QueuedFlush::new(Arc::clone(self)).start();
            // Without a runtime, the flush has already run on this thread: check again.
            flush_started = true;
        }
    }

    /// Blocks until a write would not have to wait.
    pub(super) fn block_until_ready(&self) {
        drop(self.wait_until_ready(self.lock()));
    }

    pub(super) fn remove_writer(&self, key: WakerKey) {
        let waker: Option<Waker> = self.lock().writers.remove(key);
        drop(waker);
    }

    /// Starts a flush without waiting for it.
    pub(super) fn start_flush(self: &Arc<Self>) {
        let mut state = self.lock();
        // Copies start a flush whenever their source is idle. A short log must not get its file by that.
        let needed = !state.tail.is_empty() && !self.stays_in_memory(&state);
        let flush = needed && state.queue_flush();
        drop(state);
        if flush {
            QueuedFlush::new(Arc::clone(self)).start();
        }
    }

    /// Flushes all bytes accepted before this call.
    pub(super) fn flush(&self) -> Result<(), WriteLogError> {
        let state = self.lock();
        // Only the bytes up to here: with a fast writer, waiting for an empty tail might never end.
        let end = state.tail.end();
        let state = self.wait_until(state, |state| state.tail.start() >= end);
        self.check_failed(&state)
    }

    /// Refuses further writes, flushes pending bytes, and ends readers.
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

    /// Refuses further writes, flushes pending bytes, and sets the end unless one is set already.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        // Set before waiting: new writes fail from here on. With them, the pending bytes might
        // never all be in the file.
        state.closing = true;
        // A large call was accepted as a whole, and its caller flushes the file itself while it appends.
        while state.large_call {
            state = self.progress.wait(state);
        }
        let state = self.wait_until(state, |state| {
            state.tail.is_empty() || self.stays_in_memory(state)
        });
        self.set_end(state, end);
    }

    /// Ends readers and waiting writers, unless the log has an end.
    pub(super) fn set_end(&self, mut state: Guard<'_, State>, end: End) {
        // All bytes are in memory or in the file, or the file has failed. A failure has set its own end, which stays.
        state.end.get_or_insert(end);
        let (readers, writers) = (state.readers.take(), state.writers.take());
        let length_waiters = state.length_waiters.take();
        drop(state);
        self.progress.notify_all();
        readers.wake();
        writers.wake();
        length_waiters.wake();
    }

    /// Returns whether the log has no file and is too short for one.
    pub(super) fn stays_in_memory(&self, state: &State) -> bool {
        !state.flushing && !state.needs_flush() && !self.backing.exists()
    }

    fn wait_until_ready<'a>(&'a self, mut state: Guard<'a, State>) -> Guard<'a, State> {
        while !state.can_write() {
            state = if state.large_call {
                // `wait_until` would return at once during a large call, which flushes by itself: sleep.
                self.progress.wait(state)
            } else {
                self.wait_until(state, |state| state.large_call || !state.is_full())
            };
        }
        state
    }

    /// Flushes, or waits for the thread that does, until `holds` or the file has failed.
    ///
    /// The waiting thread takes the flush role itself if it is free. If it waited for a background thread
    /// instead, a runtime whose blocking threads all write to the log would deadlock.
    fn wait_until<'a>(
        &'a self,
        mut state: Guard<'a, State>,
        holds: impl Fn(&State) -> bool,
    ) -> Guard<'a, State> {
        while !state.has_failed() && !holds(&state) {
            state = if state.flushing {
                self.progress.wait(state)
            } else {
                self.flush_pending(state)
            };
        }
        state
    }

    /// Takes the flush role, which must be free, and writes the pending bytes to the file.
    pub(super) fn flush_pending<'a>(&'a self, mut state: Guard<'a, State>) -> Guard<'a, State> {
        state.flushing = true;
        // A snapshot shares the segments and copies nothing. Bytes that are appended during the
        // write belong to the next flush.
        let (start, pending) = (state.tail.start(), state.tail.snapshot());
        drop(state);
        let (written, result) = super::write_out::write_out(&*self.backing, &pending, start);
        // Before `advance`, which keeps the memory of a segment only if nothing else shares it.
        drop(pending);

        let mut state = self.lock();
        state.flushing = false;
        // Removed only now: a reader of these bytes was served from memory during the write, and reads the
        // file only where it is complete.
        state.tail.advance(start + written);
        let failed = result.is_err();
        // After a failure, the bytes that are not in the file stay in memory for readers.
        if let Err(error) = result {
            state.end = Some(End::Failed(Arc::new(error)));
        }
        let writers = state.writers.take();
        // A flush wakes no reader: it could read the bytes before. A failure ends readers.
        let readers = failed.then(|| [state.readers.take(), state.length_waiters.take()]);
        drop(state);
        self.progress.notify_all();
        writers.wake();
        readers.into_iter().flatten().for_each(Woken::wake);
        self.lock()
    }

    fn check_open(&self, state: &State) -> Result<(), WriteLogError> {
        self.check_failed(state)?;
        if state.closing {
            return Err(WriteLogError::Closed {
                path: self.path.clone(),
            });
        }
        Ok(())
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

impl Flushable for SharedLog {
    fn run_queued_flush(&self) {
        let mut state = self.lock();
        state.flush_queued = false;
        // While this request was queued, a blocked writer or `close` may have taken the flush role.
        if !state.flushing && !state.has_failed() && !state.tail.is_empty() {
            drop(self.flush_pending(state));
        }
    }

    // Writers that rely on the request must request another flush, or flush themselves.
    fn cancel_queued_flush(&self) {
        let mut state = self.lock();
        state.flush_queued = false;
        let writers = state.writers.take();
        drop(state);
        writers.wake();
    }
}
