//! Writes within an output limit.

use std::fmt;
use std::task::{Context, Poll};

use super::OutputLimit;
use crate::log::sink::impl_writer;
use crate::log::{LogSink, LogWriter, WriteLogError};

/// Passes output on to a log within an [`OutputLimit`].
///
/// What is held back is passed on when the last writer of the limit has [finished](LogSink::finish) or was
/// dropped. A writer that writes after that has what it writes held back until it ends once more; the
/// limit holds for all of it.
pub struct OutputLimitWriter<S: LogSink = LogWriter> {
    sink: S,
    limit: OutputLimit,
    finished: bool,
}

impl<S: LogSink> OutputLimitWriter<S> {
    pub(super) fn new(sink: S, limit: OutputLimit) -> Self {
        Self {
            sink,
            limit,
            finished: false,
        }
    }

    /// Counts this writer out, and passes on what is held back if it was the last.
    fn end(&mut self) -> Result<(), WriteLogError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let mut state = self.limit.shared.state.lock();
        state.writers -= 1;
        let end = match state.writers {
            0 => self.limit.end_text(&mut state),
            _ => Vec::new(),
        };
        drop(state);
        match end.is_empty() {
            true => Ok(()),
            false => self.sink.push(&end),
        }
    }
}

impl<S: LogSink> LogSink for OutputLimitWriter<S> {
    fn wait_for_room(&mut self) {
        self.sink.wait_for_room();
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_room(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let mut state = self.limit.shared.state.lock();
        state.writers += usize::from(std::mem::take(&mut self.finished));
        let head = state.take(bytes);
        drop(state);
        match head.is_empty() {
            true => Ok(()),
            false => self.sink.push(head),
        }
    }

    fn start_flush(&mut self) {
        self.sink.start_flush();
    }

    fn finish(&mut self) -> Result<(), WriteLogError> {
        self.end()?;
        self.sink.finish()
    }
}

impl_writer!(OutputLimitWriter);

impl<S: LogSink + Clone> Clone for OutputLimitWriter<S> {
    fn clone(&self) -> Self {
        self.limit.writer(self.sink.clone())
    }
}

impl<S: LogSink> Drop for OutputLimitWriter<S> {
    /// A failure here is not lost: the log is broken, and whoever closes it hears of it.
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl<S: LogSink> fmt::Debug for OutputLimitWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputLimitWriter")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
