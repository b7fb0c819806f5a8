//! The parts that all plots share: size, title, grid, lines and legend.

use maud::{Markup, html};
use runtime_monitoring::plot::PlotArea;

const WIDTH: f64 = 760.0;
pub(crate) const HEIGHT: f64 = 240.0;
pub(crate) const LEFT: f64 = 56.0;
pub(crate) const RIGHT: f64 = WIDTH - 16.0;
pub(crate) const TOP: f64 = 44.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 28.0;
/// Readable on white and on black, and distinguishable with impaired colour vision.
const COLOURS: [&str; 6] = [
    "#3b82c4", "#d9772b", "#2a9d6f", "#b5539c", "#8a8a8a", "#c9a227",
];

/// A named line.
#[derive(Clone, Debug)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// The points, by x.
    pub points: Vec<(f64, f64)>,
}

/// Renders a title above the body of a plot as a standalone SVG file.
pub(crate) fn frame(title: &str, body: &Markup) -> String {
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } font-family="sans-serif" font-size="11" fill="#808080" {
            title { (title) }
            text x=(LEFT) y="16" font-size="13" { (title) }
            (body)
        }
    };
    svg.into_string() + "\n"
}

/// Renders a horizontal line with a label at its left end.
pub(crate) fn grid_line(y: f64, label: &str) -> Markup {
    html! {
        path d=(format!("M{LEFT} {y:.1}H{RIGHT}")) stroke="#808080" stroke-opacity="0.3" {}
        text x=(LEFT - 6.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (label) }
    }
}

/// Renders a line in the colour of its index.
pub(crate) fn line(area: &PlotArea, index: usize, points: &[(f64, f64)]) -> Markup {
    html! {
        path d=(area.line_path(points)) fill="none" stroke=(colour(index)) stroke-width="1.5" {}
    }
}

/// Renders an entry of the legend in the colour of its index, each in a column of this width.
pub(crate) fn legend(index: usize, width: f64, text: &str) -> Markup {
    html! {
        text x=(LEFT + width * index as f64) y="34" fill=(colour(index)) { (text) }
    }
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}
