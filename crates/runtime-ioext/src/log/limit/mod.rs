//! Keeps the head and the tail of output that is too much.

mod tail;
mod writer;

use std::fmt;
use std::sync::Arc;

use self::tail::Tail;
pub use self::writer::OutputLimitWriter;
use super::sink::LogSink;
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

/// How much output of a task goes to its log. Clones are the same limit.
///
/// Up to the limit, everything is passed on as it comes. Past it, the last bytes are kept in memory; when
/// the output ends, one notice says how much was dropped, and the tail follows it. Cuts are made between
/// lines, unless a line is very long, then between characters.
///
/// The limit is for the output that passes through its [writers](Self::writer), all of them together. What
/// is written past them, such as the worker's own lines, is not counted and always passes. Let the output
/// end before the worker's last lines, and everything stands in the order of time.
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
    /// Makes a limit of `limit` bytes altogether, of which the last `tail` are kept for the tail.
    #[must_use]
    pub fn new(limit: u64, tail: usize) -> Self {
        let tail = tail.min(usize::try_from(limit).unwrap_or(usize::MAX));
        Self::build(limit, tail, Dropped::to_string)
    }

    /// A limit of the same size that says something else where output was dropped. A line feed is added.
    #[must_use]
    pub fn with_notice(self, notice: fn(&Dropped) -> String) -> Self {
        Self::build(self.shared.limit, self.shared.tail, notice)
    }

    /// The same for another task: a limit of this size and notice that has counted nothing yet.
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
            head_room: limit - tail as u64,
            tail: Tail::new(tail),
            holds_back: false,
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

    /// Makes a writer whose output counts, together with that of all other writers of this limit.
    #[must_use]
    pub fn writer<S: LogSink>(&self, sink: S) -> OutputLimitWriter<S> {
        self.shared.state.lock().writers += 1;
        OutputLimitWriter::new(sink, self.clone())
    }

    /// The notice, if something was dropped, and the tail.
    fn end_text(&self, state: &mut State) -> Vec<u8> {
        let (dropped, tail) = state.tail.take();
        let notice = dropped.map(|cut| {
            let line_end = if state.at_line_start { "" } else { "\n" };
            let notice = (self.shared.notice)(&Dropped {
                bytes: cut.bytes,
                lines: cut.lines,
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
    /// No limit: everything passes.
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
    /// How many bytes still pass at once.
    head_room: u64,
    tail: Tail,
    /// The head is over, and everything goes to the tail.
    holds_back: bool,
    /// What passed last was the end of a line, or nothing did.
    at_line_start: bool,
    /// How many writers may still write.
    writers: usize,
}

impl State {
    /// Gives what still belongs to the head, and keeps the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let len = match bytes.len() as u64 <= self.head_room {
            _ if self.holds_back => 0,
            true => bytes.len(),
            false => cut(bytes, self.head_room as usize, self.at_line_start),
        };
        let (head, rest) = bytes.split_at(len);
        self.passed(head);
        self.head_room -= len as u64;
        if !rest.is_empty() && !self.holds_back {
            self.holds_back = true;
            self.tail.add_room(self.head_room);
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

/// The last place up to `most` to cut at: between lines, if a line would be cut that is whole, else
/// between characters.
fn cut(bytes: &[u8], most: usize, at_line_start: bool) -> usize {
    let (head, rest) = bytes.split_at(most);
    match head.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => last + 1,
        None if at_line_start && rest.contains(&b'\n') => 0,
        None => (0..=most)
            .rev()
            .find(|&at| !is_inside_character(bytes[at]))
            .unwrap_or(most),
    }
}

/// Whether a byte goes on with a character of UTF-8.
fn is_inside_character(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
