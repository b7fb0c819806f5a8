//! The buffered tail of limited output.

use std::collections::VecDeque;

use super::is_inside_character;

/// Maximum length in bytes of a partial line that is dropped so that the tail starts with a whole line.
const MAX_LINE_REMAINDER: usize = 4 * 1024;

/// Maximum length of a UTF-8 character in bytes.
const MAX_CHARACTER_LEN: usize = 4;

/// Buffers the last bytes pushed. The cost of a push depends only on its length.
#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// Maximum number of buffered bytes.
    capacity: usize,
    dropped: Option<DroppedPart>,
}

/// A dropped part of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct DroppedPart {
    pub(super) bytes: u64,
    /// Number of line feeds.
    pub(super) lines: u64,
    ends_with_line_feed: bool,
}

impl DroppedPart {
    fn of(bytes: &[u8]) -> Option<Self> {
        let last = bytes.last()?;
        Some(Self {
            bytes: bytes.len() as u64,
            lines: bytes.iter().filter(|&&byte| byte == b'\n').count() as u64,
            ends_with_line_feed: *last == b'\n',
        })
    }

    /// Concatenates two adjacent parts.
    fn concat(self, next: Self) -> Self {
        Self {
            bytes: self.bytes + next.bytes,
            lines: self.lines + next.lines,
            ends_with_line_feed: next.ends_with_line_feed,
        }
    }
}

impl Tail {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// Adds capacity that the head did not use.
    pub(super) fn add_capacity(&mut self, more: u64) {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.capacity = self.capacity.saturating_add(more);
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Old bytes are dropped before the new ones are added: the buffer never exceeds its
        // capacity.
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.capacity);
        let from_buffer = excess.min(self.bytes.len());
        self.drop_front(from_buffer);
        let (dropped, kept) = bytes.split_at(excess - from_buffer);
        self.count(dropped);
        self.bytes.extend(kept);
    }

    /// Returns the buffered bytes and the part dropped before them. The returned bytes use up capacity: the
    /// limit applies to all output, even to that of writers that continue afterwards.
    pub(super) fn take(&mut self) -> (Option<DroppedPart>, Vec<u8>) {
        if self
            .dropped
            .is_some_and(|dropped| !dropped.ends_with_line_feed)
        {
            self.drop_front(self.partial_start());
        }
        let bytes = Vec::from(std::mem::take(&mut self.bytes));
        self.capacity -= bytes.len();
        (self.dropped.take(), bytes)
    }

    /// Returns the number of further bytes to drop so that the tail starts at a line, or at least at a
    /// character.
    fn partial_start(&self) -> usize {
        // A line end further away is not worth it: output without line ends would lose its tail.
        let near = MAX_LINE_REMAINDER.min(self.bytes.len() / 2);
        let end_of_line = self.bytes.iter().take(near).position(|&byte| byte == b'\n');
        let character = self.bytes.iter().take(MAX_CHARACTER_LEN - 1);
        end_of_line.map_or_else(
            || {
                character
                    .take_while(|&&byte| is_inside_character(byte))
                    .count()
            },
            |end| end + 1,
        )
    }

    fn drop_front(&mut self, len: usize) {
        let (front, back) = self.bytes.as_slices();
        let of_front = len.min(front.len());
        let parts = [&front[..of_front], &back[..len - of_front]].map(DroppedPart::of);
        parts.into_iter().flatten().for_each(|part| self.add(part));
        self.bytes.drain(..len);
    }

    fn count(&mut self, dropped: &[u8]) {
        DroppedPart::of(dropped)
            .into_iter()
            .for_each(|part| self.add(part));
    }

    fn add(&mut self, part: DroppedPart) {
        self.dropped = Some(self.dropped.map_or(part, |before| before.concat(part)));
    }
}
