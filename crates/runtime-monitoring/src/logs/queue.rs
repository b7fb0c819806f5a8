//! Writes lines on a thread of its own, so that nobody waits for a terminal or a disk.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use runtime_core::monitor::Counter;

use super::out::Out;
use crate::sys::{Condvar, Mutex};

/// How many bytes wait at most; then lines are dropped.
const CAPACITY: usize = 4 * 1024 * 1024;

/// So many bytes are written at once, without waiting for more.
const BATCH: usize = 64 * 1024;

/// How long a line waits for others: to wake a thread for each costs more than to make it.
const GATHERING: Duration = Duration::from_millis(1);

/// How long [`Queue::flush`] and dropping the last clone wait for whoever takes the lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where lines go. A clone goes to the same place; with the last one, the thread ends after it has written what waits.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Owner>);

struct Owner(Arc<Shared>);

pub(crate) struct Shared {
    capacity: usize,
    state: Mutex<State>,
    /// There is something to write, or nothing ever will be.
    work: Condvar,
    /// Everything is written.
    idle: Condvar,
    /// Counts what is dropped, if somebody wants to know.
    counter: OnceLock<Counter>,
}

/// Lines, one after the other.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// Where each line ends.
    pub(crate) ends: Vec<usize>,
}

#[derive(Default)]
struct State {
    pending: Batch,
    thread: Thread,
    /// Somebody waits until everything is written.
    is_urgent: bool,
    has_ended: bool,
    dropped: u64,
    /// How many of the dropped lines the log itself tells of.
    told: u64,
}

/// What the thread does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    /// It waits for the first line.
    #[default]
    Sleeps,
    /// It lets lines come together.
    Gathers,
    Writes,
}

impl Queue {
    /// Starts the thread; `gap` renders the line that tells how many are missing.
    pub(super) fn start(
        mut out: Box<dyn Out>,
        gap: impl Fn(&mut Vec<u8>, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(CAPACITY));
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("worker-log".to_owned())
            .spawn(move || {
                let mut batch = Batch::default();
                while writer.next(&mut batch, &gap) {
                    out.write(&batch.bytes, &batch.ends);
                }
            })?;
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// Hands a line over, or drops and counts it if too much waits already.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.0.push(line);
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.0.state.lock().dropped
    }

    /// Counts there what is dropped from now on; the first counter stays.
    pub(crate) fn count_dropped(&self, counter: Counter) {
        let _ = self.0.0.counter.set(counter);
    }

    /// Waits a while until all lines so far are written; reports whether they are.
    pub(crate) fn flush(&self) -> bool {
        self.0.0.flush()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Shared {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            counter: OnceLock::new(),
        }
    }

    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.pending.bytes.len() + line.len() > self.capacity {
            state.dropped += 1;
            drop(state);
            if let Some(counter) = self.counter.get() {
                counter.add(1);
            }
            return;
        }
        state.pending.push(line);
        let wakes = match state.thread {
            Thread::Sleeps => true,
            Thread::Gathers => state.pending.bytes.len() >= BATCH,
            Thread::Writes => false,
        };
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    pub(crate) fn flush(&self) -> bool {
        let mut state = self.state.lock();
        state.is_urgent = true;
        self.work.notify_one();
        let waits = |state: &mut State| state.thread != Thread::Sleeps || state.has_work();
        let waited = self.idle.wait_while_for(&mut state, waits, PATIENCE);
        !waited.timed_out()
    }

    /// Lets the thread end after what waits.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
        self.flush();
    }

    /// Swaps what is pending for the last batch, and adds what is to tell of lines that are missing after it; `false`
    /// if nothing will come.
    pub(crate) fn next(&self, batch: &mut Batch, gap: impl Fn(&mut Vec<u8>, u64)) -> bool {
        batch.clear();
        let mut state = self.state.lock();
        state.thread = Thread::Sleeps;
        if !state.has_work() {
            self.idle.notify_all();
        }
        let waits = |state: &mut State| !state.has_work() && !state.has_ended;
        self.work.wait_while(&mut state, waits);
        if !state.has_work() {
            return false;
        }
        state.thread = Thread::Gathers;
        self.work
            .wait_while_for(&mut state, |state| state.may_gather(), GATHERING);
        state.thread = Thread::Writes;
        state.is_urgent = false;
        std::mem::swap(&mut state.pending, batch);
        let missing = state.dropped - state.told;
        state.told = state.dropped;
        drop(state);
        if missing > 0 {
            gap(&mut batch.bytes, missing);
            batch.ends.push(batch.bytes.len());
        }
        true
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.pending.bytes.is_empty() || self.dropped > self.told
    }

    fn may_gather(&self) -> bool {
        !self.is_urgent && !self.has_ended && self.pending.bytes.len() < BATCH
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
