//! Lines over the last hour, as SVG.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;

use super::history::SPAN;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;

/// A longer gap than this between two values, in seconds, is a gap in the line.
const GAP: f64 = 60.0;

/// One plot: lines on a common scale from 0.
pub(super) struct Plot<'a> {
    /// For those who cannot see it.
    pub(super) title: &'a str,
    /// The value at the upper edge.
    pub(super) top: f64,
    pub(super) now: Timestamp,
    pub(super) lines: Vec<Line>,
}

/// Values over time.
pub(super) struct Line {
    /// The CSS class that gives it its colour.
    pub(super) class: &'static str,
    /// Whether the area below it is filled.
    pub(super) is_filled: bool,
    pub(super) values: Vec<(Timestamp, f64)>,
}

impl Plot<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let age = self.now.duration_since(at).as_secs_f64();
        (WIDTH * (1.0 - age / SPAN.as_secs_f64())).clamp(0.0, WIDTH)
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.top > 0.0 {
            value / self.top
        } else {
            0.0
        };
        // Half a line's width stays free at both edges.
        1.0 + (HEIGHT - 2.0) * (1.0 - share.clamp(0.0, 1.0))
    }

    /// The parts of a line between gaps, as points.
    fn parts(&self, line: &Line) -> Vec<Vec<(f64, f64)>> {
        let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut last: Option<Timestamp> = None;
        for (at, value) in &line.values {
            let is_near = last.is_some_and(|last| at.duration_since(last).as_secs_f64() <= GAP);
            let point = (self.x(*at), self.y(*value));
            match parts.last_mut().filter(|_| is_near) {
                Some(part) => part.push(point),
                None => parts.push(vec![point]),
            }
            last = Some(*at);
        }
        parts
    }
}

impl Display for Plot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=plot viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none role=img \
             aria-label=\"{}\">",
            super::html::Escaped(self.title)
        )?;
        for quarter in 1..4 {
            let x = WIDTH * f64::from(quarter) / 4.0;
            write!(f, "<path class=grid d=\"M{x} 0V{HEIGHT}\"/>")?;
        }
        write!(f, "<path class=grid d=\"M0 {0}H{WIDTH}\"/>", HEIGHT / 2.0)?;
        for line in &self.lines {
            for part in self.parts(line) {
                draw(f, line, &part)?;
            }
        }
        f.write_str("</svg>")
    }
}

fn draw(f: &mut fmt::Formatter<'_>, line: &Line, part: &[(f64, f64)]) -> fmt::Result {
    let (Some(first), Some(last)) = (part.first(), part.last()) else {
        return Ok(());
    };
    let mut path = String::new();
    for (index, (x, y)) in part.iter().enumerate() {
        write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })?;
    }
    if part.len() == 1 {
        // A point alone would not show.
        write!(path, "h.1")?;
    }
    let class = line.class;
    if line.is_filled {
        write!(
            f,
            "<path class=\"area {class}\" d=\"{path}L{:.1} {HEIGHT}L{:.1} {HEIGHT}Z\"/>",
            last.0, first.0
        )?;
    }
    write!(f, "<path class=\"line {class}\" d=\"{path}\"/>")
}
