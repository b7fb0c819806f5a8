//! Reads parts of the log of a running task.

use runtime_ioext::FollowedLog;
use runtime_ioext::log::Redactor;

/// The bytes of a log that the page shows initially.
const TAIL_BYTES: u64 = 4 * 1024;

/// Whole lines of a log with secrets redacted.
pub(super) struct LogExcerpt {
    pub(super) text: String,
    /// The offset of the end, where the next excerpt starts.
    pub(super) end: u64,
}

impl LogExcerpt {
    /// Reads at most `max_bytes` starting at `offset`.
    ///
    /// Returns whole lines only, because a secret that spans two excerpts would be found in neither. The exceptions are a
    /// line longer than `max_bytes` and the last line of a closed log.
    pub(super) async fn read(
        log: &FollowedLog,
        redactor: &Redactor,
        offset: u64,
        max_bytes: u64,
    ) -> Self {
        let stop = log.len().min(offset.saturating_add(max_bytes));
        let mut bytes = Vec::new();
        let mut reader = log.reader_at(offset);
        while reader.offset() < stop {
            // After a read error, the bytes read so far are shown.
            match reader.next_chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        bytes.truncate((stop.saturating_sub(offset)) as usize);
        let is_full = bytes.len() as u64 == max_bytes;
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(line_feed) => bytes.truncate(line_feed + 1),
            None if is_full || log.is_closed() => {}
            None => bytes.clear(),
        }
        let end = offset.min(log.len()) + bytes.len() as u64;
        let clean = redactor.redact(&bytes);
        Self {
            text: String::from_utf8_lossy(&clean).into_owned(),
            end,
        }
    }

    /// Reads the last few kilobytes.
    pub(super) async fn read_tail(log: &FollowedLog, redactor: &Redactor) -> Self {
        let start = log.len().saturating_sub(TAIL_BYTES);
        let mut tail = Self::read(log, redactor, start, TAIL_BYTES).await;
        // Unless it starts at the beginning, the first line is incomplete.
        if start > 0 {
            let first = tail.text.find('\n').map_or(0, |at| at + 1);
            tail.text.drain(..first);
        }
        tail
    }
}
