//! The finished trace of a run.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::id::Run;

/// The id of the trace of a run: the sum of the UUID in the task id and the run id. Every system can compute it.
///
/// Its text has 32 hexadecimal digits, as in the W3C trace context.
///
/// ```
/// # use runtime_core::{Run, monitor::TraceId};
/// let run = |run_id| Run { task_id: "RmzTkg-8Qj614ea9fI9Jmg".parse().unwrap(), run_id };
/// assert_eq!(TraceId::of(&run(0)).to_string(), "466cd3920fbc423eb5e1e6bd7c8f499a");
/// assert_eq!(TraceId::of(&run(1)).to_string(), "466cd3920fbc423eb5e1e6bd7c8f499b");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Returns the id of the trace of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let mut bytes = [0; 16];
        // Cannot fail, since a task id is the text of 16 bytes.
        let _ = URL_SAFE_NO_PAD.decode_slice(run.task_id.as_str(), &mut bytes);
        Self(u128::from_be_bytes(bytes).wrapping_add(run.run_id.into()))
    }

    /// Returns the id of the span of the whole task: the lower half of the trace id. It is never 0, because it contains
    /// the variant bits of the UUID.
    pub(super) fn root_span(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The finished trace of a run, with secrets of the task redacted.
/// [`MonitorSink::record_trace`](super::MonitorSink::record_trace) receives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FinishedTrace {
    /// The id.
    pub id: TraceId,
    /// The spans in the order of their ends: the last one is the span of the whole task.
    pub spans: Vec<TraceSpan>,
    /// The number of spans that exceeded the limit.
    pub dropped: u64,
}

/// A finished step of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TraceSpan {
    /// The id, unique within the trace.
    pub id: u64,
    /// The id of the enclosing span; `None` for the whole task.
    pub parent: Option<u64>,
    /// The name of the step, such as `fetch`.
    pub name: &'static str,
    /// The details, such as the input that was fetched.
    pub attributes: Vec<(&'static str, String)>,
    /// The start.
    pub start: Timestamp,
    /// The end, not before the start.
    pub end: Timestamp,
    /// The reason why the step failed.
    pub error: Option<String>,
}
