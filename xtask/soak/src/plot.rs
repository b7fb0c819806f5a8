//! Plots over time as SVG, without a library: lines, a grid of four steps, and a legend.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 28.0;
const STEPS: u32 = 4;
/// Readable on white and on black, and apart for those who do not see all colours.
const COLOURS: [&str; 6] = [
    "#3b82c4", "#d9772b", "#2a9d6f", "#b5539c", "#8a8a8a", "#c9a227",
];

/// A named line: values at seconds.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A picture of some lines from zero to the largest value. From `warm` seconds on they are judged.
pub(crate) fn plot(title: &str, series: &[Series], warm: f64) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let end = points().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = nice(points().map(|(_, value)| *value).fold(0.0, f64::max));
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#808080\">\n\
         <title>{title}</title>\n\
         <text x=\"{LEFT}\" y=\"16\" font-size=\"13\">{title}</text>\n"
    );
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" opacity=\"0.1\"/>",
        x(warm) - LEFT,
        HEIGHT - TOP - BOTTOM
    );
    grid(&mut svg, (end, top), &x, &y);
    for (index, series) in series.iter().enumerate() {
        line(&mut svg, index, series, &x, &y);
    }
    svg + "</svg>\n"
}

fn grid(svg: &mut String, (end, top): (f64, f64), x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    for step in 0..=STEPS {
        let share = f64::from(step) / f64::from(STEPS);
        let (at, value) = (end * share, top * share);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value}</text>\
             <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{6:.1} min</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(value) + 4.0,
            x(at).min(WIDTH - RIGHT - 14.0),
            HEIGHT - 10.0,
            at / 60.0
        );
    }
}

fn line(
    svg: &mut String,
    index: usize,
    series: &Series,
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> f64,
) {
    let colour = COLOURS[index % COLOURS.len()];
    let points = series
        .points
        .iter()
        .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)));
    let points = points.collect::<Vec<_>>().join(" ");
    let legend = LEFT + 118.0 * index as f64;
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n\
         <text x=\"{legend}\" y=\"34\" fill=\"{colour}\">{}</text>",
        series.name
    );
}

/// The next number that four steps divide well.
fn nice(largest: f64) -> f64 {
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
    fn the_scale_is_round_and_holds_every_value() {
        for (largest, top) in [
            (0.0, 4.0),
            (3.0, 4.0),
            (13.2, 20.0),
            (61.0, 80.0),
            (99.0, 100.0),
        ] {
            assert!(
                (nice(largest) - top).abs() < 1e-9,
                "{largest}: {}",
                nice(largest)
            );
        }
    }

    #[test]
    fn lines_stay_in_the_picture() {
        let points = vec![(0.0, 0.0), (60.0, 17.0)];
        let svg = plot(
            "memory",
            &[Series {
                name: "MiB".into(),
                points,
            }],
            20.0,
        );
        assert!(svg.contains("points=\"56.0,212.0 744.0,69.2\""), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
