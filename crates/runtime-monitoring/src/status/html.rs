//! Text in HTML, and numbers for people.

use std::fmt::{self, Display, Write as _};

use jiff::{SignedDuration, Timestamp};

/// Text that is safe in HTML, also in attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|c| match c {
                    '<' => self.0.write_str("&lt;"),
                    '>' => self.0.write_str("&gt;"),
                    '&' => self.0.write_str("&amp;"),
                    '"' => self.0.write_str("&quot;"),
                    '\'' => self.0.write_str("&#39;"),
                    c => self.0.write_char(c),
                })
            }
        }
        write!(Escaping(f), "{}", self.0)
    }
}

/// An amount of bytes with three digits.
pub(super) struct Bytes(pub(super) f64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1000.0 {
                return digits(f, value, unit);
            }
            value /= 1024.0;
        }
        digits(f, value, "TiB")
    }
}

fn digits(f: &mut fmt::Formatter<'_>, value: f64, unit: &str) -> fmt::Result {
    match value {
        value if value >= 100.0 || unit == "B" => write!(f, "{value:.0} {unit}"),
        value if value >= 10.0 => write!(f, "{value:.1} {unit}"),
        value => write!(f, "{value:.2} {unit}"),
    }
}

/// A time span with its two largest units.
pub(super) struct Span(pub(super) SignedDuration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs().max(0) {
            s if s < 60 => write!(f, "{s} s"),
            s if s < 3600 => write!(f, "{} min {:02} s", s / 60, s % 60),
            s if s < 86_400 => write!(f, "{} h {:02} min", s / 3600, s / 60 % 60),
            s => write!(f, "{} d {:02} h", s / 86_400, s / 3600 % 24),
        }
    }
}

/// A time of day in UTC, with its date where it is not today's.
pub(super) struct Time {
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        let format = match day(self.at) == day(self.now) {
            true => "%H:%M:%S",
            false => "%Y-%m-%d %H:%M:%S",
        };
        write!(
            f,
            "<time datetime=\"{}\">{}</time>",
            self.at,
            self.at.strftime(format)
        )
    }
}
