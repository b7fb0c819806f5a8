//! Limits output to its first and last bytes.

mod tail;
mod writer;

use std::fmt;
use std::sync::Arc;

use self::tail::Tail;
pub use self::writer::OutputLimitWriter;
use super::sink::LogSink;
use crate::sys::Mutex;

/// The amount of output that was dropped between the head and the tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Number of bytes.
    pub bytes: u64,
    /// Number of line feeds among them.
    pub lines: u64,
    /// The exceeded limit in bytes.
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

/// A limit for the output of a task: its first and its last bytes are kept. Clones share the count.
///
/// Output within the limit, the head, passes immediately. Beyond it, the last bytes are buffered as the tail,
/// because the end of the output of a failed build usually shows the cause. At the end of the output, a
/// notice with the dropped amount is written, followed by the tail. Both cuts are at line ends, or at
/// character boundaries within very long lines.
///
/// The limit applies to the output of all its [writers](Self::writer) together. Other writes to the log, such
/// as worker lines, are not counted and always pass. Finish the output before the last worker lines: the tail
/// is written when the output is finished, after all worker lines until then.
///
/// # Example
///
/// ```
/// use runtime_ioext::log::{FollowedLog, OutputLimit};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("task.log");
/// let log = FollowedLog::create(&path)?;
/// let mut output = OutputLimit::new(20, 10).writer(log.writer());
/// for i in 0..10 {
///     output.write_all(format!("line{i}\n").as_bytes())?;
/// }
/// drop(output);
/// log.close()?;
/// let text = std::fs::read_to_string(&path)?;
/// assert!(text.starts_with("line0\n[42 bytes in 7 lines of output were dropped here"));
/// assert!(text.ends_with("]\nline8\nline9\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OutputLimit {
    shared: Arc<Shared>,
}

struct Shared {
    limit: u64,
    tail: usize,
    notice: fn(&Dropped) -> String,
    state: Mutex<State>,
}

impl OutputLimit {
    /// Creates a limit in bytes, of which `tail` are reserved for the tail.
    #[must_use]
    pub fn new(limit: u64, tail: usize) -> Self {
        // The tail is part of the limit, so it cannot be larger.
        let tail = tail.min(usize::try_from(limit).unwrap_or(usize::MAX));
        Self::build(limit, tail, Dropped::to_string)
    }

    /// Returns a limit of the same size that writes another notice, followed by a line feed.
    #[must_use]
    pub fn with_notice(self, notice: fn(&Dropped) -> String) -> Self {
        Self::build(self.shared.limit, self.shared.tail, notice)
    }

    /// Returns an unused limit with the same size and notice, for another task.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let Shared {
            limit,
            tail,
            notice,
            ..
        } = *self.shared;
        Self::build(limit, tail, notice)
    }

    fn build(limit: u64, tail: usize, notice: fn(&Dropped) -> String) -> Self {
        let state = State {
            head_remaining: limit - tail as u64,
            tail: Tail::new(tail),
            head_complete: false,
            at_line_start: true,
            writers: 0,
        };
        let shared = Shared {
            limit,
            tail,
            notice,
            state: Mutex::new(state),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Creates a writer that counts towards this limit.
    #[must_use]
    pub fn writer<S: LogSink>(&self, sink: S) -> OutputLimitWriter<S> {
        self.shared.state.lock().writers += 1;
        OutputLimitWriter::new(sink, self.clone())
    }

    /// Returns the notice, if output was dropped, followed by the tail.
    fn end_text(&self, state: &mut State) -> Vec<u8> {
        let (dropped, tail) = state.tail.take();
        let notice = dropped.map(|dropped| {
            let line_end = if state.at_line_start { "" } else { "\n" };
            let notice = (self.shared.notice)(&Dropped {
                bytes: dropped.bytes,
                lines: dropped.lines,
                limit: self.shared.limit,
            });
            format!("{line_end}{notice}\n")
        });
        let end = [notice.unwrap_or_default().into_bytes(), tail].concat();
        state.passed(&end);
        end
    }
}

impl Default for OutputLimit {
    /// Returns a limit that never applies.
    fn default() -> Self {
        Self::new(u64::MAX, 0)
    }
}

impl fmt::Debug for OutputLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputLimit")
            .field("limit", &self.shared.limit)
            .field("tail", &self.shared.tail)
            .finish_non_exhaustive()
    }
}

struct State {
    /// Remaining bytes of the head.
    head_remaining: u64,
    tail: Tail,
    /// The head is complete: all further output goes to the tail.
    head_complete: bool,
    /// The output so far is empty or ends with a line feed.
    at_line_start: bool,
    /// Number of unfinished writers.
    writers: usize,
}

impl State {
    /// Returns the part of `bytes` that belongs to the head, and buffers the rest in the tail.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let len = if self.head_complete {
            0
        } else if bytes.len() as u64 <= self.head_remaining {
            bytes.len()
        } else {
            cut_position(bytes, self.head_remaining as usize, self.at_line_start)
        };
        let (head, rest) = bytes.split_at(len);
        self.passed(head);
        self.head_remaining -= len as u64;
        if !rest.is_empty() && !self.head_complete {
            // The cut at a line end leaves some of the head unused.
            // Final even if a shorter write would still fit: it would appear before output that
            // precedes it.
            self.head_complete = true;
            self.tail.add_capacity(self.head_remaining);
        }
        self.tail.push(rest);
        head
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.at_line_start = bytes
            .last()
            .map_or(self.at_line_start, |&last| last == b'\n');
    }
}

/// Returns the last position up to `max_len` at which the head may end: after a line feed, or before `bytes`
/// if that keeps their first line whole, otherwise at a character boundary.
fn cut_position(bytes: &[u8], max_len: usize, at_line_start: bool) -> usize {
    let (head, rest) = bytes.split_at(max_len);
    match head.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => last + 1,
        None if at_line_start && rest.contains(&b'\n') => 0,
        // `max_len` is a valid index: `bytes` is longer than the rest of the head.
        None => (0..=max_len)
            .rev()
            .find(|&at| !is_inside_character(bytes[at]))
            .unwrap_or(max_len),
    }
}

/// Returns whether a byte is a continuation byte of UTF-8.
fn is_inside_character(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
