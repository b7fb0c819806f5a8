//! The buffered tail of limited output.

use std::collections::VecDeque;

use super::is_inside_character;

/// Maximum remainder of a split line that is dropped to start the tail at a line.
const MAX_LINE_REMAINDER: usize = 4 * 1024;

/// Maximum length of a UTF-8 character.
const MAX_CHARACTER_LEN: usize = 4;

/// Keeps the last bytes pushed. The cost of a push depends only on its size.
#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// Capacity in bytes.
    available: usize,
    dropped: Option<Cut>,
}

/// A dropped part of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// It ends with a line feed.
    whole_lines: bool,
}

impl Cut {
    fn of(bytes: &[u8]) -> Option<Self> {
        let last = bytes.last()?;
        Some(Self {
            bytes: bytes.len() as u64,
            lines: bytes.iter().filter(|&&byte| byte == b'\n').count() as u64,
            whole_lines: *last == b'\n',
        })
    }

    /// Concatenates two adjacent cuts.
    fn and(self, next: Self) -> Self {
        Self {
            bytes: self.bytes + next.bytes,
            lines: self.lines + next.lines,
            whole_lines: next.whole_lines,
        }
    }
}

impl Tail {
    pub(super) fn new(available: usize) -> Self {
        Self {
            available,
            ..Self::default()
        }
    }

    /// Adds the unused capacity of the head.
    pub(super) fn add_room(&mut self, more: u64) {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.available = self.available.saturating_add(more);
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let over = (self.bytes.len() + bytes.len()).saturating_sub(self.available);
        let of_kept = over.min(self.bytes.len());
        self.drop_front(of_kept);
        let (dropped, kept) = bytes.split_at(over - of_kept);
        self.count(dropped);
        self.bytes.extend(kept);
    }

    /// Returns the kept bytes and the cut before them, and reduces the capacity accordingly.
    pub(super) fn take(&mut self) -> (Option<Cut>, Vec<u8>) {
        if self.dropped.is_some_and(|dropped| !dropped.whole_lines) {
            self.drop_front(self.rest_of_cut());
        }
        let bytes = Vec::from(std::mem::take(&mut self.bytes));
        self.available -= bytes.len();
        (self.dropped.take(), bytes)
    }

    /// Returns how many more bytes to drop for a cut at a line end, or at a character boundary.
    fn rest_of_cut(&self) -> usize {
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
        let (of_front, of_back) = (len.min(front.len()), len.saturating_sub(front.len()));
        let cuts = [Cut::of(&front[..of_front]), Cut::of(&back[..of_back])];
        cuts.into_iter().flatten().for_each(|cut| self.add(cut));
        self.bytes.drain(..len);
    }

    fn count(&mut self, dropped: &[u8]) {
        Cut::of(dropped).into_iter().for_each(|cut| self.add(cut));
    }

    fn add(&mut self, cut: Cut) {
        self.dropped = Some(self.dropped.map_or(cut, |before| before.and(cut)));
    }
}
