//! The writer of an output limit.

use std::fmt;
use std::task::{Context, Poll};

use super::OutputLimit;
use crate::log::sink::{self, impl_writer};
use crate::log::{LogSink, LogWriter, WriteLogError};

/// Writes to a log within an [`OutputLimit`].
///
/// The tail is written when the last writer of the limit is [finished](LogSink::finish) or dropped. Output
/// written after that is held until its writer is finished or dropped once more; the limit applies to the sum.
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

    /// Decrements the number of unfinished writers. The last one writes the notice and the tail.
    fn end(&mut self) -> Result<(), WriteLogError> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let mut state = self.limit.shared.state.lock();
        state.writers -= 1;
        let end = if state.writers == 0 {
            self.limit.end_text(&mut state)
        } else {
            Vec::new()
        };
        // After unlocking: the log may block, and the lock is shared by all writers.
        drop(state);
        sink::push_buffered(&mut self.sink, &end)
    }
}

impl<S: LogSink> LogSink for OutputLimitWriter<S> {
    fn wait_until_ready(&mut self) {
        self.sink.wait_until_ready();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_ready(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        let mut state = self.limit.shared.state.lock();
        // A writer that is used after its end counts as unfinished again, so that its output is written too.
        state.writers += usize::from(std::mem::take(&mut self.finished));
        let head = state.take(bytes);
        drop(state);
        sink::push_buffered(&mut self.sink, head)
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
    /// Ignores an error: the log has failed, and returns the error on close.
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
