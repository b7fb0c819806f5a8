//! Building blocks of the pages.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use runtime_core::queue::TaskState;

use crate::time::millis;

/// The content of a page.
pub(super) struct HtmlPage {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) content: Markup,
    /// Whether the browser should reload the page.
    pub(super) may_change: bool,
}

impl HtmlPage {
    pub(super) fn not_found(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: format!("No such {what}"),
            content: html! { p.empty { "This " (what) " does not exist." } },
            may_change: false,
        }
    }
}

/// Renders a section with a table, or with a sentence instead if there are no rows.
pub(super) fn section(title: &str, columns: &[&str], rows: &[Markup], empty: &str) -> Markup {
    html! {
        section {
            h2 { (title) }
            @if rows.is_empty() {
                p.empty { (empty) }
            } @else {
                div.scroll {
                    table {
                        thead { tr { @for column in columns { th { (column) } } } }
                        tbody { @for row in rows { tr { (row) } } }
                    }
                }
            }
        }
    }
}

/// Renders the state of a run or task, or the more specific reason for it.
pub(super) fn badge(state: &TaskState, reason: Option<&str>) -> Markup {
    let state = state.as_str();
    html! { span class={ "badge " (state) } { (reason.unwrap_or(state)) } }
}

/// Renders the distance of a time from now, with the time itself as a tooltip.
pub(super) fn relative_time(at: Timestamp, now: Timestamp) -> Markup {
    let distance = format_duration(at.duration_since(now).unsigned_abs());
    html! {
        time title=(millis(at)) {
            @if at > now { "in " (distance) } @else { (distance) " ago" }
        }
    }
}

/// Formats a duration in the largest unit that fits.
pub(super) fn format_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..=119 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let section = section("<script>\"&", &[], &[], "<b>").into_string();
        assert!(section.contains("&lt;script&gt;&quot;&amp;"), "{section}");
        assert!(section.contains("&lt;b&gt;"), "{section}");
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        let durations = [30, 1_500, 600_000, 10_800_000, 259_200_000];
        let durations = durations.map(|millis| format_duration(Duration::from_millis(millis)));
        assert_eq!(durations, ["30 ms", "1.5 s", "10 min", "3 h", "3 days"]);
    }
}
