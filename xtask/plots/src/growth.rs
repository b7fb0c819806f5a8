//! Plots of a figure by size on logarithmic scales, on which a power is a straight line.

use maud::{Markup, html};
use runtime_monitoring::plot::PlotArea;

use crate::frame::{BOTTOM, HEIGHT, LEFT, RIGHT, Series, TOP, frame, grid_line, legend, line};

const LEGEND_WIDTH: f64 = 230.0;

/// A plot of figures by size.
#[derive(Clone, Debug, Default)]
pub struct GrowthPlot {
    /// The title.
    pub title: String,
    /// The name of the size, such as `resources`.
    pub by: String,
    /// The lines with the unit of their figures and the exponent that was fitted.
    pub lines: Vec<(Series, String, f64)>,
}

impl GrowthPlot {
    /// Renders the plot. All sizes and figures must be positive.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(series, ..)| &series.points);
        let (left, right) = decades(points().map(|(size, _)| *size));
        let (low, high) = decades(points().map(|(_, figure)| *figure));
        let area = PlotArea {
            left: LEFT,
            right: RIGHT,
            top: TOP,
            bottom: BOTTOM,
            x: (f64::from(left), f64::from(right)),
            // The lower edge is the value 0.
            max: f64::from(high - low),
        };
        let y = |figure: f64| figure.log10() - f64::from(low);
        let title = format!("{}, by {}", self.title, self.by);
        let body = html! {
            @for power in low..=high { (grid_line(area.y(f64::from(power - low)), &power_of_ten(power))) }
            @for power in left..=right { (size_label(&area, power)) }
            @for (index, (series, unit, exponent)) in self.lines.iter().enumerate() {
                (line(&area, index, &scaled(&series.points, y)))
                (legend(index, LEGEND_WIDTH, &format!("{}, {unit}: n^{exponent:.2}", series.name)))
            }
        };
        frame(&title, &body)
    }
}

/// Returns the points with the logarithm of the size and the position of the figure.
fn scaled(points: &[(f64, f64)], y: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let points = points.iter();
    points
        .map(|(size, figure)| (size.log10(), y(*figure)))
        .collect()
}

fn size_label(area: &PlotArea, power: i32) -> Markup {
    let x = area.x(f64::from(power));
    html! {
        text x=(format!("{x:.1}")) y=(HEIGHT - 10.0) text-anchor="middle" { (power_of_ten(power)) }
    }
}

/// Returns the powers of ten around all values, at least one decade.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (i32, i32) {
    let logs = values.map(f64::log10);
    let low = logs.clone().fold(f64::INFINITY, f64::min).floor() as i32;
    let high = logs.fold(f64::NEG_INFINITY, f64::max).ceil() as i32;
    (low, high.max(low + 1))
}

/// Formats a power of ten, such as `0.01`, `100`, `10 k` or `1 M`.
fn power_of_ten(power: i32) -> String {
    let value = 10_f64.powi(power);
    match power {
        ..0 => format!("{value:.*}", power.unsigned_abs() as usize),
        0..=3 => format!("{value:.0}"),
        4..=5 => format!("{:.0} k", value / 1e3),
        6..=8 => format!("{:.0} M", value / 1e6),
        _ => format!("{:.0} G", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_has_whole_decades() {
        assert_eq!(decades([3.0, 200.0].into_iter()), (0, 3));
        assert_eq!(decades([10.0, 10.0].into_iter()), (1, 2));
        let labels = [-2, 0, 3, 4, 6].map(power_of_ten);
        assert_eq!(labels, ["0.01", "1", "1000", "10 k", "1 M"]);
    }

    #[test]
    fn a_power_is_a_straight_line() {
        let plot = GrowthPlot {
            title: "time".into(),
            by: "entries".into(),
            lines: vec![(
                Series {
                    name: "hit".into(),
                    points: vec![(1.0, 1.0), (10.0, 10.0), (100.0, 100.0)],
                },
                "ns".into(),
                1.0,
            )],
        };
        let svg = plot.to_svg();
        assert!(svg.contains("M56.0 212.0L400.0 128.0L744.0 44.0"), "{svg}");
        assert!(svg.contains("hit, ns: n^1.00"), "{svg}");
    }
}
