//! Sizes, durations and times for people.

use std::fmt::{self, Display};

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// A duration, displayed in its two largest units.
pub(super) struct DurationDisplay(pub(super) SignedDuration);

impl Display for DurationDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs().max(0) {
            s if s < 60 => write!(f, "{s} s"),
            s if s < 3600 => write!(f, "{} min {:02} s", s / 60, s % 60),
            s if s < 86_400 => write!(f, "{} h {:02} min", s / 3600, s / 60 % 60),
            s => write!(f, "{} d {:02} h", s / 86_400, s / 3600 % 24),
        }
    }
}

/// Renders a time of day in UTC, with the date unless it is today.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let format = if day(at) == day(now) {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    html! { time datetime=(at) { (at.strftime(format)) } }
}
