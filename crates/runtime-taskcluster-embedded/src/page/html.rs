//! Pieces that all pages are made of.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::state::task::TaskState;
use crate::time::millis;

/// Text that is safe in HTML, also in attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

/// Escapes what is written to it.
struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

/// Text that is safe as a value in a query.
pub(super) fn in_query(text: &str) -> impl Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// A section with a table, of rows that are HTML already; without rows, a sentence in its place.
pub(super) fn section(title: &str, head: &[&str], rows: &[String], empty: &str) -> String {
    let title = Escaped(title);
    if rows.is_empty() {
        return format!(
            "<section><h2>{title}</h2><p class=empty>{}</p></section>",
            Escaped(empty)
        );
    }
    let head: String = head.iter().map(|name| format!("<th>{name}")).collect();
    let rows: String = rows.iter().map(|row| format!("<tr>{row}")).collect();
    format!(
        "<section><h2>{title}</h2><div class=scroll><table><thead><tr>{head}<tbody>{rows}</table></div></section>"
    )
}

/// The state of a run or task as a coloured word, with the reason where it says more.
pub(super) fn badge(state: TaskState, reason: Option<&str>) -> String {
    let name = name_of(state);
    match reason.filter(|reason| *reason != name) {
        Some(reason) => format!("<span class=\"badge {name}\">{}</span>", Escaped(reason)),
        None => format!("<span class=\"badge {name}\">{name}</span>"),
    }
}

/// The name of a state, as the queue spells it.
pub(super) fn name_of(state: TaskState) -> &'static str {
    match state {
        TaskState::Unscheduled => "unscheduled",
        TaskState::Pending => "pending",
        TaskState::Running => "running",
        TaskState::Completed => "completed",
        TaskState::Failed => "failed",
        TaskState::Exception => "exception",
    }
}

/// How long ago something was, or how far ahead it is; the instant itself shows under the pointer.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let apart = span(at.duration_since(now).unsigned_abs());
    let text = match at > now {
        true => format!("in {apart}"),
        false => format!("{apart} ago"),
    };
    format!("<time title=\"{}\">{text}</time>", millis(at))
}

/// A length of time in its largest unit that fits.
pub(super) fn span(length: Duration) -> String {
    match length.as_secs() {
        0 => format!("{} ms", length.as_millis()),
        1..=119 => format!("{:.1} s", length.as_secs_f64()),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A number of bytes in its largest unit that fits.
pub(super) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB"];
    let power = (bytes.max(1).ilog2() / 10).min(3);
    match power {
        0 => format!("{bytes} bytes"),
        _ => format!(
            "{:.1} {}",
            bytes as f64 / f64::from(1_u32 << (10 * power)),
            units[power as usize]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_tasks_cannot_break_out_of_the_page() {
        let text = Escaped("<script>\"'&").to_string();
        assert_eq!(text, "&lt;script&gt;&quot;&#39;&amp;");
    }

    #[test]
    fn lengths_and_sizes_are_told_in_a_unit_that_fits() {
        let spans = [30, 1_500, 600_000, 10_800_000, 259_200_000];
        let spans = spans.map(|millis| span(Duration::from_millis(millis)));
        assert_eq!(spans, ["30 ms", "1.5 s", "10 min", "3 h", "3 days"]);
        let sizes = [0, 1023, 1024, 5 << 20, 9 << 30, 1 << 43].map(size);
        assert_eq!(
            sizes,
            [
                "0 bytes",
                "1023 bytes",
                "1.0 KiB",
                "5.0 MiB",
                "9.0 GiB",
                "8192.0 GiB"
            ]
        );
    }
}
