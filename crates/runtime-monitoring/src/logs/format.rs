//! The formats of log lines.

use std::io::{self, IsTerminal as _};

use jiff::Timestamp;
use tracing::Level;

use super::event::{EventMeta, FieldStyle, RenderedEvent};
use super::{json, text, workerproto};
use crate::logging_monitor::TARGET;

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineFormat {
    /// Text for people: time, level, prefix, message, fields.
    Text {
        /// Whether to use ANSI colours.
        colours: bool,
    },
    /// A JSON object with the field names of Taskcluster's services.
    Json,
    /// A message `~{json}` of the worker-runner protocol.
    WorkerProto,
    /// An entry of systemd's journal.
    #[cfg(all(unix, feature = "journald"))]
    Journald,
    /// A syslog line.
    #[cfg(all(unix, feature = "syslog"))]
    Syslog,
}

impl LineFormat {
    /// Returns text, with colours if standard error is a terminal.
    pub(super) fn text_for_stderr() -> Self {
        Self::Text {
            colours: io::stderr().is_terminal(),
        }
    }

    pub(super) fn field_style(self) -> FieldStyle {
        match self {
            Self::Text { .. } => text::STYLE,
            Self::Json | Self::WorkerProto => json::STYLE,
            #[cfg(all(unix, feature = "journald"))]
            Self::Journald => super::journald::STYLE,
            #[cfg(all(unix, feature = "syslog"))]
            Self::Syslog => text::STYLE,
        }
    }

    pub(super) fn render(self, out: &mut Vec<u8>, meta: EventMeta<'_>, event: &RenderedEvent) {
        let now = Timestamp::now();
        match self {
            Self::Text { colours } => text::write_line(out, now, meta, event, colours),
            Self::Json => json::write_line(out, now, meta, event),
            Self::WorkerProto => workerproto::write_line(out, now, meta, event),
            #[cfg(all(unix, feature = "journald"))]
            Self::Journald => super::journald::write_entry(out, meta, event),
            #[cfg(all(unix, feature = "syslog"))]
            Self::Syslog => super::syslog::write_line(out, meta, event),
        }
    }

    /// Renders the line that reports dropped lines in the log itself.
    pub(super) fn render_dropped(self, out: &mut Vec<u8>, dropped: u64) {
        // Passes through the same format, so that programs that parse the log receive a valid line.
        let lines = if dropped == 1 { "line" } else { "lines" };
        let mut event = RenderedEvent::default();
        event.message = format!("{dropped} log {lines} dropped here: the output is too slow");
        let meta = EventMeta {
            level: Level::WARN,
            target: TARGET,
        };
        self.render(out, meta, &event);
    }
}
