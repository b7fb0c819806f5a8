//! Plots over time as standalone SVG files: lines, a grid of four steps and a legend.

use maud::{Markup, html};
use runtime_monitoring::plot::PlotArea;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 28.0;
const GRID_STEPS: u32 = 4;

/// Readable on white and on black, and distinguishable with impaired colour vision.
const COLOURS: [&str; 6] = [
    "#3b82c4", "#d9772b", "#2a9d6f", "#b5539c", "#8a8a8a", "#c9a227",
];

/// A named line: values at seconds.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Renders lines on a scale from 0 to a round number above the largest value. The first `warm` seconds, which are not
/// judged, are shaded.
pub(crate) fn plot(title: &str, series: &[Series], warm: f64) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let area = PlotArea {
        left: LEFT,
        right: RIGHT,
        top: TOP,
        bottom: BOTTOM,
        x: (0.0, points().map(|(at, _)| *at).fold(1.0, f64::max)),
        max: round_up(points().map(|(_, value)| *value).fold(0.0, f64::max)),
    };
    let warm_width = format!("{:.1}", area.x(warm) - LEFT);
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } font-family="sans-serif" font-size="11" fill="#808080" {
            title { (title) }
            text x=(LEFT) y="16" font-size="13" { (title) }
            rect x=(LEFT) y=(TOP) width=(warm_width) height=(BOTTOM - TOP) opacity="0.1" {}
            @for step in 0..=GRID_STEPS { (grid_line(&area, f64::from(step) / f64::from(GRID_STEPS))) }
            @for (index, series) in series.iter().enumerate() { (line(&area, index, series)) }
        }
    };
    svg.into_string() + "\n"
}

/// Renders a horizontal line at a share of the height with its value, and the time at the same share of the width.
fn grid_line(area: &PlotArea, share: f64) -> Markup {
    let (at, value) = (area.x.1 * share, area.max * share);
    let y = area.y(value);
    // The last label would not fit otherwise.
    let label_x = area.x(at).min(RIGHT - 14.0);
    html! {
        path d=(format!("M{LEFT} {y:.1}H{RIGHT}")) stroke="#808080" stroke-opacity="0.3" {}
        text x=(LEFT - 6.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (value) }
        text x=(format!("{label_x:.1}")) y=(HEIGHT - 10.0) text-anchor="middle" { (format!("{:.1} min", at / 60.0)) }
    }
}

fn line(area: &PlotArea, index: usize, series: &Series) -> Markup {
    let colour = COLOURS[index % COLOURS.len()];
    html! {
        path d=(area.line_path(&series.points)) fill="none" stroke=(colour) stroke-width="1.5" {}
        text x=(LEFT + 118.0 * index as f64) y="34" fill=(colour) { (series.name) }
    }
}

/// Returns the next number whose quarters are round, at least 4.
fn round_up(largest: f64) -> f64 {
    let magnitude = 10_f64.powf(largest.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    let fitting = steps
        .iter()
        .map(|step| step * magnitude)
        .find(|top| *top >= largest);
    fitting.unwrap_or(largest).max(4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_is_round_and_covers_all_values() {
        for (largest, top) in [
            (0.0, 4.0),
            (3.0, 4.0),
            (13.2, 20.0),
            (61.0, 80.0),
            (99.0, 100.0),
        ] {
            let rounded = round_up(largest);
            assert!((rounded - top).abs() < 1e-9, "{largest}: {rounded}");
        }
    }

    #[test]
    fn lines_stay_inside_the_plot() {
        let points = vec![(0.0, 0.0), (60.0, 17.0)];
        let name = "MiB".into();
        let svg = plot("memory", &[Series { name, points }], 20.0);
        assert!(svg.contains("d=\"M56.0 212.0L744.0 69.2\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
