//! Renders lines and hands them over to be written.

use std::cell::RefCell;
use std::io;

use jiff::Timestamp;
use tracing::Level;

use super::queue::Queue;
use super::visit::{Parts, Style};
use super::{json, text};

/// How an event becomes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineFormat {
    /// For people: time, level, prefix, message, fields.
    Text {
        /// Whether to colour it by ANSI sequences.
        colours: bool,
    },
    /// For programs: a JSON object, with the names that Taskcluster's services use.
    Json,
}

impl LineFormat {
    pub(super) fn style(self) -> Style {
        match self {
            Self::Text { .. } => text::STYLE,
            Self::Json => json::STYLE,
        }
    }

    fn render(self, out: &mut Vec<u8>, head: Head<'_>, parts: &Parts) {
        let now = Timestamp::now();
        match self {
            Self::Text { colours } => text::line(out, now, head, parts, colours),
            Self::Json => json::line(out, now, head, parts),
        }
    }
}

/// What every event has.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
}

/// Where rendered lines go.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) format: LineFormat,
    pub(super) queue: Queue,
}

thread_local! {
    /// Memory that each thread uses again for every line.
    static BUFFERS: RefCell<(Parts, Vec<u8>)> = RefCell::default();
}

impl Lines {
    pub(super) fn start(format: LineFormat, out: Box<dyn io::Write + Send>) -> io::Result<Self> {
        let queue = Queue::start(out)?;
        Ok(Self { format, queue })
    }

    /// Writes a line of the parts that `fill` adds.
    pub(super) fn push(&self, head: Head<'_>, fill: impl FnOnce(&mut Parts)) {
        // A value that logs while it is formatted finds the buffers taken and gets new ones.
        let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
        let (parts, line) = &mut buffers;
        parts.clear();
        line.clear();
        fill(parts);
        self.format.render(line, head, parts);
        self.queue.push(line);
        let _ = BUFFERS.try_with(|place| place.replace(buffers));
    }
}
