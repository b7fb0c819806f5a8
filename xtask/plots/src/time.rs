//! Plots over time: lines, a grid of four steps and a legend.

use maud::{Markup, html};
use runtime_monitoring::plot::PlotArea;

use crate::frame::{BOTTOM, HEIGHT, LEFT, RIGHT, Series, TOP, frame, grid_line, legend, line};

const GRID_STEPS: u32 = 4;
const LEGEND_WIDTH: f64 = 118.0;

/// Renders lines on a scale from 0 to a round number above the largest value. The first `warm` seconds, which are not
/// judged, are shaded.
pub fn plot_over_time(title: &str, series: &[Series], warm: f64) -> String {
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
    let body = html! {
        rect x=(LEFT) y=(TOP) width=(warm_width) height=(BOTTOM - TOP) opacity="0.1" {}
        @for step in 0..=GRID_STEPS { (scale(&area, f64::from(step) / f64::from(GRID_STEPS))) }
        @for (index, series) in series.iter().enumerate() {
            (line(&area, index, &series.points))
            (legend(index, LEGEND_WIDTH, &series.name))
        }
    };
    frame(title, &body)
}

/// Renders a horizontal line at a share of the height with its value, and the time at the same share of the width.
fn scale(area: &PlotArea, share: f64) -> Markup {
    let (at, value) = (area.x.1 * share, area.max * share);
    // The last label would not fit otherwise.
    let label_x = area.x(at).min(RIGHT - 14.0);
    html! {
        (grid_line(area.y(value), &value.to_string()))
        text x=(format!("{label_x:.1}")) y=(HEIGHT - 10.0) text-anchor="middle" { (format!("{:.1} min", at / 60.0)) }
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
        let svg = plot_over_time("memory", &[Series { name, points }], 20.0);
        assert!(svg.contains("d=\"M56.0 212.0L744.0 69.2\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
