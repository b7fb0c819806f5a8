//! The geometry of line plots in SVG, shared by the status page and the report of the soak test.

use std::fmt::Write as _;

/// The rectangle of a plot in SVG units, and the range of values that it covers. The lower edge is the value 0.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the edges of a rectangle")]
pub struct PlotArea {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The x values at the left and the right edge.
    pub x: (f64, f64),
    /// The y value at the upper edge.
    pub max: f64,
}

impl PlotArea {
    /// Returns the horizontal position of a value, clamped to the area.
    #[must_use]
    pub fn x(&self, value: f64) -> f64 {
        let (start, end) = self.x;
        self.left + (self.right - self.left) * share(value - start, end - start)
    }

    /// Returns the vertical position of a value, clamped to the area.
    #[must_use]
    pub fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * share(value, self.max)
    }

    /// Returns the path data of a line through `points`.
    #[must_use]
    pub fn line_path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            // Writing to a `String` cannot fail.
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(*x), self.y(*y));
        }
        if points.len() == 1 {
            // A line of length 0 would be invisible.
            path.push_str("h.1");
        }
        path
    }

    /// Returns the path data of the area between a line and the vertical position `baseline`.
    #[must_use]
    pub fn filled_path(&self, points: &[(f64, f64)], baseline: f64) -> String {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return String::new();
        };
        let line = self.line_path(points);
        let (start, end) = (self.x(first.0), self.x(last.0));
        format!("{line}L{end:.1} {baseline}L{start:.1} {baseline}Z")
    }
}

/// Returns `value / total`, from 0 to 1.
fn share(value: f64, total: f64) -> f64 {
    if total > 0.0 {
        (value / total).clamp(0.0, 1.0)
    } else {
        0.0
    }
}
