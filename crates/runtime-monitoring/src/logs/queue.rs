//! The queue between the threads that log and the thread that writes.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use runtime_core::monitor::Counter;

use super::output::LogOutput;
use crate::sys::{Condvar, Mutex};

/// The maximum bytes of waiting lines. Further lines are dropped.
const MAX_PENDING: usize = 4 * 1024 * 1024;

/// The writer thread stops gathering and writes at this many bytes.
const BATCH_SIZE: usize = 64 * 1024;

/// The time for which the writer thread gathers lines after the first one. Waking a thread costs more than rendering a
/// line, so waking it for each line would dominate the cost of logging.
const GATHER_TIME: Duration = Duration::from_millis(1);

/// The time limit of [`LogQueue::flush`] and of dropping the last clone. An output that is blocked, such as a pipe that
/// is not read, must not keep the process from exiting.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A handle to the queue. When the last clone is dropped, the writer thread writes the waiting lines and exits.
#[derive(Clone)]
pub(crate) struct LogQueue(Arc<CloseOnDrop>);

struct CloseOnDrop(Arc<LineChannel>);

/// The waiting lines and the state of the writer thread.
pub(crate) struct LineChannel {
    max_pending: usize,
    state: Mutex<ChannelState>,
    /// Wakes the writer thread: there is work, or the channel was closed.
    work: Condvar,
    /// Wakes `flush`: the writer thread is idle and nothing is pending.
    idle: Condvar,
    dropped_counter: OnceLock<Counter>,
}

/// Consecutive lines.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// The end offset of each line.
    pub(crate) ends: Vec<usize>,
}

#[derive(Default)]
struct ChannelState {
    pending: Batch,
    writer: WriterState,
    /// `flush` is waiting, so the writer thread does not gather.
    is_flushing: bool,
    is_closed: bool,
    dropped: u64,
    /// The dropped lines already reported in the log.
    reported_dropped: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum WriterState {
    /// Waits for the first line.
    #[default]
    Idle,
    /// Has a line and waits for more.
    Gathering,
    Writing,
}

impl LogQueue {
    /// Starts the writer thread. `render_dropped` renders the line that reports a number of dropped lines.
    pub(super) fn start(
        mut output: Box<dyn LogOutput>,
        render_dropped: impl Fn(&mut Vec<u8>, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let channel = Arc::new(LineChannel::new(MAX_PENDING));
        let writer = Arc::clone(&channel);
        std::thread::Builder::new()
            .name("worker-log".to_owned())
            .spawn(move || {
                let mut batch = Batch::default();
                while writer.next_batch(&mut batch, &render_dropped) {
                    output.write(&batch.bytes, &batch.ends);
                }
            })?;
        Ok(Self(Arc::new(CloseOnDrop(channel))))
    }

    /// Appends a line. If too many bytes are waiting, the line is dropped and counted.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.0.push(line);
    }

    /// Returns the number of lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.0.state.lock().dropped
    }

    /// Sets the counter of lines dropped later. Only the first call has an effect.
    pub(crate) fn count_dropped(&self, counter: Counter) {
        let _ = self.0.0.dropped_counter.set(counter);
    }

    /// Waits at most two seconds until all earlier lines are written. Returns whether they are.
    pub(crate) fn flush(&self) -> bool {
        self.0.0.flush()
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl LineChannel {
    pub(crate) fn new(max_pending: usize) -> Self {
        Self {
            max_pending,
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            dropped_counter: OnceLock::new(),
        }
    }

    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state.lock();
        // The new line is dropped, not an old one: the lines that led to the overload explain it, and the caller never waits.
        if state.pending.bytes.len() + line.len() > self.max_pending {
            state.dropped += 1;
            drop(state);
            if let Some(counter) = self.dropped_counter.get() {
                counter.add(1);
            }
            return;
        }
        state.pending.push(line);
        // A writing thread checks for pending lines before it waits again, so it needs no notification. A gathering one is
        // woken early only for a full batch.
        let must_notify = match state.writer {
            WriterState::Idle => true,
            WriterState::Gathering => state.pending.bytes.len() >= BATCH_SIZE,
            WriterState::Writing => false,
        };
        drop(state);
        if must_notify {
            self.work.notify_one();
        }
    }

    pub(crate) fn flush(&self) -> bool {
        let mut state = self.state.lock();
        state.is_flushing = true;
        self.work.notify_one();
        // Pending lines alone do not decide it: the writer may have taken the last batch and still be writing it.
        let is_busy =
            |state: &mut ChannelState| state.writer != WriterState::Idle || state.has_work();
        let waited = self.idle.wait_while_for(&mut state, is_busy, FLUSH_TIMEOUT);
        !waited.timed_out()
    }

    /// Lets the writer thread exit after the waiting lines, and waits for these.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.flush();
    }

    /// Waits for lines and swaps them into `batch`, followed by a report of lines dropped since the last batch. Returns
    /// `false` once the channel is closed and everything is written.
    pub(crate) fn next_batch(
        &self,
        batch: &mut Batch,
        render_dropped: impl Fn(&mut Vec<u8>, u64),
    ) -> bool {
        batch.clear();
        let mut state = self.state.lock();
        state.writer = WriterState::Idle;
        if !state.has_work() {
            self.idle.notify_all();
        }
        let must_wait = |state: &mut ChannelState| !state.has_work() && !state.is_closed;
        self.work.wait_while(&mut state, must_wait);
        // Closed, but lines pushed or dropped before that are still handled.
        if !state.has_work() {
            return false;
        }
        state.writer = WriterState::Gathering;
        self.work
            .wait_while_for(&mut state, |state| state.may_gather(), GATHER_TIME);
        // Set before the lock is released: otherwise a concurrent flush would find the writer idle and nothing pending.
        state.writer = WriterState::Writing;
        state.is_flushing = false;
        // The two buffers alternate, so that neither is allocated again.
        std::mem::swap(&mut state.pending, batch);
        let dropped = state.dropped - state.reported_dropped;
        state.reported_dropped = state.dropped;
        drop(state);
        if dropped > 0 {
            render_dropped(&mut batch.bytes, dropped);
            batch.ends.push(batch.bytes.len());
        }
        true
    }
}

impl ChannelState {
    /// Dropped lines are work even without a pending line: the log must report them.
    fn has_work(&self) -> bool {
        !self.pending.bytes.is_empty() || self.dropped > self.reported_dropped
    }

    fn may_gather(&self) -> bool {
        !self.is_flushing && !self.is_closed && self.pending.bytes.len() < BATCH_SIZE
    }
}

impl Batch {
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}
