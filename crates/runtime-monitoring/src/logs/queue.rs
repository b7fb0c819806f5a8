//! Writes lines on a thread of its own, so that nobody waits for a terminal or a disk.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use runtime_core::monitor::Counter;

use super::out::Out;

/// How many bytes wait at most; then lines are dropped.
const CAPACITY: usize = 4 * 1024 * 1024;

/// How long [`Queue::flush`] and [`Queue::end`] wait for whoever takes the lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where lines go. A clone goes to the same place.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is something to write, or nothing ever will be.
    work: Condvar,
    /// Everything is written.
    idle: Condvar,
    out: Mutex<Box<dyn Out>>,
    /// Renders the line that tells how many are missing.
    gap: Box<Gap>,
    /// Counts what is dropped, if somebody wants to know.
    counter: OnceLock<Counter>,
}

type Gap = dyn Fn(&mut Vec<u8>, u64) + Send + Sync;

/// Lines, one after the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

#[derive(Default)]
struct State {
    pending: Batch,
    is_writing: bool,
    has_ended: bool,
    dropped: u64,
    /// How many of the dropped lines the log itself tells of.
    told: u64,
}

impl Queue {
    /// Starts the thread, which runs until [`end`](Self::end).
    pub(super) fn start(
        out: Box<dyn Out>,
        gap: impl Fn(&mut Vec<u8>, u64) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            out: Mutex::new(out),
            gap: Box::new(gap),
            counter: OnceLock::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("worker-log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self(shared))
    }

    /// Hands a line over, or drops and counts it if too much waits already.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.has_ended {
            drop(state);
            return self.0.write(line, &[line.len()]);
        }
        if state.pending.bytes.len() + line.len() > CAPACITY {
            state.dropped += 1;
            drop(state);
            if let Some(counter) = self.0.counter.get() {
                counter.add(1);
            }
            return;
        }
        state.pending.push(line);
        drop(state);
        self.0.work.notify_one();
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.0.state.lock().dropped
    }

    /// Counts there what is dropped from now on; the first counter stays.
    pub(super) fn count_dropped(&self, counter: Counter) {
        let _ = self.0.counter.set(counter);
    }

    /// Waits a while until all lines so far are written; reports whether they are.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.0.state.lock();
        let waits = |state: &mut State| state.is_writing || !state.pending.bytes.is_empty();
        !self
            .0
            .idle
            .wait_while_for(&mut state, waits, PATIENCE)
            .timed_out()
    }

    /// Ends the thread after a flush; from now on, each line is written by whoever has it.
    pub(super) fn end(&self) {
        self.flush();
        self.0.state.lock().has_ended = true;
        self.0.work.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut batch = Batch::default();
        while self.next(&mut batch) {
            self.write(&batch.bytes, &batch.ends);
            batch.clear();
        }
    }

    /// Swaps what is pending for an empty buffer; `false` if nothing will come.
    fn next(&self, batch: &mut Batch) -> bool {
        let mut state = self.state.lock();
        state.is_writing = false;
        if state.pending.bytes.is_empty() {
            self.idle.notify_all();
        }
        let waits = |state: &mut State| state.pending.bytes.is_empty() && !state.has_ended;
        self.work.wait_while(&mut state, waits);
        std::mem::swap(&mut state.pending, batch);
        state.is_writing = !batch.bytes.is_empty();
        let missing = state.dropped - state.told;
        state.told = state.dropped;
        let is_writing = state.is_writing;
        drop(state);
        if missing > 0 {
            (self.gap)(&mut batch.bytes, missing);
            batch.ends.push(batch.bytes.len());
        }
        is_writing
    }

    fn write(&self, lines: &[u8], ends: &[usize]) {
        self.out.lock().write(lines, ends);
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
