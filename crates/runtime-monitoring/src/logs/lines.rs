//! Renders lines and hands them over to be written.

use std::cell::RefCell;
use std::io;

use jiff::Timestamp;
use tracing::Level;

use super::out::Out;
use super::queue::Queue;
use super::visit::{Parts, Style};
use super::{json, text, workerproto};
use crate::TARGET;

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
    /// For Taskcluster's worker-runner: a line `~{json}` of its protocol.
    WorkerProto,
    /// For the journal of systemd.
    #[cfg(all(unix, feature = "journald"))]
    Journald,
    /// For a syslog daemon.
    #[cfg(all(unix, feature = "syslog"))]
    Syslog,
}

impl LineFormat {
    pub(super) fn style(self) -> Style {
        match self {
            Self::Text { .. } => text::STYLE,
            Self::Json | Self::WorkerProto => json::STYLE,
            #[cfg(all(unix, feature = "journald"))]
            Self::Journald => super::journald::STYLE,
            #[cfg(all(unix, feature = "syslog"))]
            Self::Syslog => text::STYLE,
        }
    }

    fn render(self, out: &mut Vec<u8>, head: Head<'_>, parts: &Parts) {
        let now = Timestamp::now();
        match self {
            Self::Text { colours } => text::line(out, now, head, parts, colours),
            Self::Json => json::line(out, now, head, parts),
            Self::WorkerProto => workerproto::line(out, now, head, parts),
            #[cfg(all(unix, feature = "journald"))]
            Self::Journald => super::journald::entry(out, head, parts),
            #[cfg(all(unix, feature = "syslog"))]
            Self::Syslog => super::syslog::line(out, head, parts),
        }
    }

    /// Tells in the log itself that lines are missing from it.
    fn gap(self, out: &mut Vec<u8>, missing: u64) {
        let mut parts = Parts::default();
        parts.message = match missing {
            1 => "a line of the log was dropped here".to_owned(),
            _ => format!("{missing} lines of the log were dropped here"),
        };
        let head = Head {
            level: Level::WARN,
            target: TARGET,
        };
        self.render(out, head, &parts);
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
    pub(super) fn start(format: LineFormat, out: Box<dyn Out>) -> io::Result<Self> {
        let queue = Queue::start(out, move |batch, missing| format.gap(batch, missing))?;
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
