//! The last bytes of output, and what was dropped before them.

use std::collections::VecDeque;

use super::is_inside_character;

/// A line that the cut went through is dropped whole if no more than this is left of it.
const REST_OF_LINE: usize = 4 * 1024;

/// A character has this many bytes at most.
const LONGEST_CHARACTER: usize = 4;

/// Keeps the last bytes of what is pushed. What a push costs depends on its own size alone.
#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// How many bytes there may be.
    room: usize,
    dropped: Option<Cut>,
}

/// Something that was dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// It goes up to the end of a line.
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

    /// Both, one after the other.
    fn and(self, next: Self) -> Self {
        Self {
            bytes: self.bytes + next.bytes,
            lines: self.lines + next.lines,
            whole_lines: next.whole_lines,
        }
    }
}

impl Tail {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// Gives the tail what the head did not use.
    pub(super) fn add_room(&mut self, more: u64) {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        self.room = self.room.saturating_add(more);
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let over = (self.bytes.len() + bytes.len()).saturating_sub(self.room);
        let of_kept = over.min(self.bytes.len());
        self.drop_front(of_kept);
        let (dropped, kept) = bytes.split_at(over - of_kept);
        self.count(dropped);
        self.bytes.extend(kept);
    }

    /// Takes out what is kept, and tells what was dropped before it. What is taken uses up room.
    pub(super) fn take(&mut self) -> (Option<Cut>, Vec<u8>) {
        if self.dropped.is_some_and(|dropped| !dropped.whole_lines) {
            self.drop_front(self.rest_of_cut());
        }
        let bytes = Vec::from(std::mem::take(&mut self.bytes));
        self.room -= bytes.len();
        (self.dropped.take(), bytes)
    }

    /// How much more has to go, so that the cut is between lines, else between characters.
    fn rest_of_cut(&self) -> usize {
        let near = REST_OF_LINE.min(self.bytes.len() / 2);
        let end_of_line = self.bytes.iter().take(near).position(|&byte| byte == b'\n');
        let character = self.bytes.iter().take(LONGEST_CHARACTER - 1);
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
