//! The runs of a task, each with a bar for its time pending and running.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::components::{badge, format_duration, relative_time, section};
use crate::state::task::{RunSnapshot, TaskSnapshot};

pub(super) fn runs(status: &TaskSnapshot, now: Timestamp) -> Markup {
    let end = |run: &RunSnapshot| run.resolved.unwrap_or(now);
    let scale = TimeScale {
        start: status.runs.first().map_or(now, |run| run.scheduled),
        end: status.runs.last().map_or(now, end),
    };
    let runs = status.runs.iter();
    let rows: Vec<_> = runs.map(|run| run_row(run, scale, now)).collect();
    section(
        "Runs",
        &[
            "Run",
            "State",
            "Reason",
            "Worker",
            "Pending",
            "Running",
            "Claimed until",
            "",
        ],
        &rows,
        "Blocked by dependencies.",
    )
}

/// The time axis of the bars of all runs.
#[derive(Clone, Copy)]
struct TimeScale {
    start: Timestamp,
    end: Timestamp,
}

impl TimeScale {
    /// Returns the position of a time in percent.
    fn percent(self, at: Timestamp) -> f64 {
        let whole = self.end.duration_since(self.start).as_secs_f64();
        let part = at.duration_since(self.start).as_secs_f64();
        (100.0 * part / whole.max(0.001)).clamp(0.0, 100.0)
    }

    /// Renders a segment of a bar.
    fn segment(self, class: &str, from: Timestamp, to: Timestamp) -> Markup {
        let (from, to) = (self.percent(from), self.percent(to));
        let style = format!("left:{from:.2}%;width:{:.2}%", to - from);
        html! { i class=(class) style=(style) {} }
    }
}

fn run_row(run: &RunSnapshot, scale: TimeScale, now: Timestamp) -> Markup {
    let end = run.resolved.unwrap_or(now);
    let started = run.started.unwrap_or(end);
    let elapsed = |from: Timestamp, to: Timestamp| {
        format_duration(Duration::try_from(to.duration_since(from)).unwrap_or_default())
    };
    let worker = run.worker_group.as_ref().zip(run.worker_id.as_ref());
    let taken_until = run.taken_until.filter(|_| run.resolved.is_none());
    html! {
        td.number { (run.run_id) }
        td { (badge(&run.state, run.reason_resolved)) }
        td { (run.reason_created) }
        td { @if let Some((group, id)) = worker { (group) "/" (id) } }
        td { (elapsed(run.scheduled, started)) }
        td { @if run.started.is_some() { (elapsed(started, end)) } }
        td { @if let Some(until) = taken_until { (relative_time(until, now)) } }
        td.bars {
            (scale.segment("pending", run.scheduled, started))
            (scale.segment(run.state.as_str(), started, end))
        }
    }
}
