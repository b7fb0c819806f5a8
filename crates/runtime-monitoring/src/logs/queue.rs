//! Writes lines on a thread of its own, so that nobody waits for a terminal or a disk.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

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
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    is_writing: bool,
    has_ended: bool,
    dropped: u64,
    /// How many of the dropped lines the log itself tells of.
    told: u64,
}

impl Queue {
    /// Starts the thread, which runs until [`end`](Self::end).
    pub(super) fn start(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            out: Mutex::new(out),
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
            return self.0.write(line);
        }
        if state.pending.len() + line.len() > CAPACITY {
            state.dropped += 1;
            return;
        }
        state.pending.extend_from_slice(line);
        drop(state);
        self.0.work.notify_one();
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.0.state.lock().dropped
    }

    /// Waits a while until all lines so far are written; reports whether they are.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.0.state.lock();
        let waits = |state: &mut State| state.is_writing || !state.pending.is_empty();
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
        let mut batch = Vec::new();
        while self.next(&mut batch) {
            self.write(&batch);
            batch.clear();
        }
    }

    /// Swaps what is pending for an empty buffer; `false` if nothing will come.
    fn next(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        state.is_writing = false;
        if state.pending.is_empty() {
            self.idle.notify_all();
        }
        let waits = |state: &mut State| state.pending.is_empty() && !state.has_ended;
        self.work.wait_while(&mut state, waits);
        std::mem::swap(&mut state.pending, batch);
        state.is_writing = !batch.is_empty();
        state.tell_of_dropped(batch);
        state.is_writing
    }

    /// A log that cannot be written is no reason to fail, and there is nobody to tell.
    fn write(&self, lines: &[u8]) {
        let mut out = self.out.lock();
        let _ = out.write_all(lines).and_then(|()| out.flush());
    }
}

impl State {
    /// Leaves a mark in the log where lines are missing.
    fn tell_of_dropped(&mut self, batch: &mut Vec<u8>) {
        let missing = self.dropped - self.told;
        if missing > 0 {
            let _ = writeln!(batch, "{missing} lines of the log were dropped here");
            self.told = self.dropped;
        }
    }
}
