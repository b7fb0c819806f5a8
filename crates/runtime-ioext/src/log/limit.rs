//! Keeps the head and the tail of output that is too much.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::error::WriteLogError;
use super::sink::{LogSink, impl_writer};
use super::writer::LogWriter;
use crate::sys::Mutex;

/// What was dropped between head and tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many bytes.
    pub bytes: u64,
    /// How many line ends were among them.
    pub lines: u64,
    /// The limit that the output went over.
    pub limit: u64,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            lines,
            limit,
        } = self;
        write!(
            f,
            "[{bytes} bytes in {lines} lines of output were dropped here: the limit is {limit} bytes]"
        )
    }
}

/// How much output of a task goes to its log.
///
/// Up to the limit, everything is passed on as it comes. Past it, the last bytes are kept in memory; when
/// the output ends, one notice says how much was dropped, and the tail follows it. Cuts are made between
/// lines where there are any, else between characters.
///
/// The limit is for the output that passes through its [writers](Self::writer). What is written past them,
/// such as the worker's own lines, is not counted and always passes. Let the output
/// [finish](LogSink::finish) before the worker's last lines, and everything stands in the order of time.
#[derive(Clone, Debug)]
pub struct OutputLimit {
    limit: u64,
    tail: usize,
    notice: fn(&Dropped) -> String,
}

impl OutputLimit {
    /// Makes a limit of `limit` bytes altogether, of which the last `tail` are kept for the tail.
    #[must_use]
    pub fn new(limit: u64, tail: usize) -> Self {
        Self {
            limit,
            tail: tail.min(usize::try_from(limit).unwrap_or(usize::MAX)),
            notice: Dropped::to_string,
        }
    }

    /// Says something else where output was dropped. A line feed is added.
    #[must_use]
    pub fn with_notice(self, notice: fn(&Dropped) -> String) -> Self {
        Self { notice, ..self }
    }

    /// Makes a writer with a count of its own. Its clones share the count and the tail, which is what two
    /// streams of one process do.
    #[must_use]
    pub fn writer<S: LogSink>(&self, sink: S) -> OutputLimitWriter<S> {
        let room = self.limit - self.tail as u64;
        let state = State {
            room,
            tail: VecDeque::new(),
            dropped: Dropped::default(),
            holds_back: false,
            at_line_start: true,
        };
        let shared = Shared {
            limit: self.clone(),
            state: Mutex::new(state),
        };
        OutputLimitWriter {
            sink,
            shared: Arc::new(shared),
        }
    }
}

/// Passes output on to a log within an [`OutputLimit`].
///
/// What is held back is passed on when one of the clones [finishes](LogSink::finish), or when the last is
/// dropped. Writing after that goes on in the same way: it is held back until the next end.
#[derive(Clone)]
pub struct OutputLimitWriter<S: LogSink = LogWriter> {
    sink: S,
    shared: Arc<Shared>,
}

struct Shared {
    limit: OutputLimit,
    state: Mutex<State>,
}

struct State {
    /// How many bytes still pass at once.
    room: u64,
    tail: VecDeque<u8>,
    dropped: Dropped,
    /// The head is over, and everything goes to the tail.
    holds_back: bool,
    /// What passed last was the end of a line, or nothing did.
    at_line_start: bool,
}

impl State {
    /// Takes from the bytes what still belongs to the head.
    fn split_head<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let len = match bytes.len() as u64 <= self.room {
            _ if self.holds_back => 0,
            true => bytes.len(),
            false => cut(bytes, self.room as usize, self.at_line_start),
        };
        self.holds_back |= len < bytes.len();
        self.room -= len as u64;
        let (head, rest) = bytes.split_at(len);
        self.at_line_start = head
            .last()
            .map_or(self.at_line_start, |&last| last == b'\n');
        (head, rest)
    }

    /// Keeps the last bytes, `most` and what the cut left of the head's room.
    fn keep(&mut self, bytes: &[u8], most: usize) {
        let most = most
            + if self.holds_back {
                self.room as usize
            } else {
                0
            };
        self.tail.extend(bytes);
        if self.tail.len() <= most {
            return;
        }
        let over = self.tail.len() - most;
        let rest_of_line = self
            .tail
            .iter()
            .skip(over - 1)
            .position(|&byte| byte == b'\n');
        let cut = rest_of_line.map_or(over, |rest| over + rest);
        self.dropped.bytes += cut as u64;
        self.dropped.lines += self.tail.drain(..cut).filter(|&byte| byte == b'\n').count() as u64;
    }

    /// The notice, if there is something to say, and the tail.
    fn take_tail(&mut self, limit: &OutputLimit) -> Vec<u8> {
        let mut end = Vec::new();
        let dropped = std::mem::take(&mut self.dropped);
        if dropped.bytes > 0 {
            let notice = (limit.notice)(&Dropped {
                limit: limit.limit,
                ..dropped
            });
            let line_end = if self.at_line_start { "" } else { "\n" };
            end.extend([line_end, &notice, "\n"].concat().into_bytes());
        }
        end.extend(std::mem::take(&mut self.tail));
        end
    }
}

/// The last place up to `most` to cut at: between lines, if a line would be cut that is whole, else
/// between characters.
fn cut(bytes: &[u8], most: usize, at_line_start: bool) -> usize {
    let (head, rest) = bytes.split_at(most);
    match head.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => last + 1,
        None if at_line_start && rest.contains(&b'\n') => 0,
        None => (0..=most)
            .rev()
            .find(|&at| !is_inside_character(bytes, at))
            .unwrap_or(most),
    }
}

fn is_inside_character(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at)
        .is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000)
}

impl<S: LogSink> LogSink for OutputLimitWriter<S> {
    fn wait_for_room(&mut self) {
        self.sink.wait_for_room();
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_room(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let mut state = self.shared.state.lock();
        let (head, rest) = state.split_head(bytes);
        state.keep(rest, self.shared.limit.tail);
        match head.is_empty() {
            true => Ok(()),
            false => self.sink.push(head),
        }
    }

    fn start_flush(&mut self) {
        self.sink.start_flush();
    }

    fn finish(&mut self) -> Result<(), WriteLogError> {
        let end = self.shared.state.lock().take_tail(&self.shared.limit);
        if !end.is_empty() {
            self.sink.push(&end)?;
        }
        self.sink.finish()
    }
}

impl_writer!(OutputLimitWriter);

impl<S: LogSink> Drop for OutputLimitWriter<S> {
    /// A failure here is not lost: the log is broken, and whoever closes it hears of it.
    fn drop(&mut self) {
        if Arc::strong_count(&self.shared) == 1 {
            drop(self.finish());
        }
    }
}

impl<S: LogSink> fmt::Debug for OutputLimitWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputLimitWriter")
            .field("limit", &self.shared.limit)
            .finish_non_exhaustive()
    }
}
