//! Plots of the machine over the last hour.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use runtime_core::util::ByteSize;

use crate::metrics::Snapshot;
use crate::plot::PlotArea;
use crate::status::history::{GaugeSample, PLOTTED_SPAN, PRESSURE_RESOURCES};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;

/// The maximum seconds between two samples that a line connects. Four missed samples show as a gap.
const MAX_GAP: f64 = 60.0;

/// The CSS classes that give lines their colours.
const LINE_CLASSES: [&str; 3] = ["a", "b", "c"];

/// A plot with its caption.
struct Figure {
    title: &'static str,
    /// The current value.
    value: Option<String>,
    legend: Markup,
    /// The value at the upper edge.
    max: f64,
    lines: Vec<PlotLine>,
}

struct PlotLine {
    class: &'static str,
    is_filled: bool,
    /// Seconds relative to now, and values.
    points: Vec<(f64, f64)>,
}

pub(super) fn section(metrics: &Snapshot, samples: &[GaugeSample], now: Timestamp) -> Markup {
    let points = |value: fn(&GaugeSample) -> Option<f64>| points(samples, now, value);
    let figures = [
        amount(
            "Disk free",
            points(|it| it.disk_free),
            metrics.gauge("disk-total"),
        ),
        amount(
            "Memory available",
            points(|it| it.memory_available),
            metrics.gauge("memory-total"),
        ),
        pressure(samples, now),
        tasks(points(|it| it.tasks)),
    ];
    html! {
        section #machine data-live {
            h2 { "The last hour" }
            div.plots { @for figure in &figures { (render(figure, now)) } }
        }
    }
}

fn points(
    samples: &[GaugeSample],
    now: Timestamp,
    value: impl Fn(&GaugeSample) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let point = |sample: &GaugeSample| {
        let seconds = sample.at.duration_since(now).as_secs_f64();
        Some((seconds, value(sample)?))
    };
    samples.iter().filter_map(point).collect()
}

/// Returns the largest value, at least `min`.
fn max_value(points: &[(f64, f64)], min: f64) -> f64 {
    points.iter().map(|(_, value)| *value).fold(min, f64::max)
}

/// An amount of bytes with a total.
fn amount(title: &'static str, points: Vec<(f64, f64)>, total: Option<f64>) -> Figure {
    Figure {
        title,
        value: points
            .last()
            .map(|(_, value)| ByteSize(*value as u64).to_string()),
        legend: html! { @if let Some(total) = total { span.quiet { "of " (ByteSize(total as u64)) } } },
        max: total.unwrap_or_else(|| max_value(&points, 0.0)),
        lines: vec![PlotLine {
            class: LINE_CLASSES[0],
            is_filled: true,
            points,
        }],
    }
}

/// The pressure of all resources in one plot, whose scale covers at least 10 %.
fn pressure(samples: &[GaugeSample], now: Timestamp) -> Figure {
    let lines: Vec<_> = LINE_CLASSES
        .into_iter()
        .enumerate()
        .map(|(index, class)| PlotLine {
            class,
            is_filled: false,
            points: points(samples, now, |sample| sample.pressure[index]),
        })
        .collect();
    let last = |line: &PlotLine| line.points.last().map(|(_, share)| *share);
    let current = lines.iter().filter_map(last).reduce(f64::max);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    Figure {
        title: "Waiting for cpu, io, memory",
        value: current.map(percent),
        legend: html! {
            @for (line, resource) in lines.iter().zip(PRESSURE_RESOURCES) {
                @if let Some(share) = last(line) {
                    span class=(line.class) { (resource) " " (percent(share)) }
                }
            }
        },
        max: lines
            .iter()
            .fold(0.1, |max, line| max_value(&line.points, max)),
        lines,
    }
}

fn tasks(points: Vec<(f64, f64)>) -> Figure {
    let max = max_value(&points, 1.0);
    Figure {
        title: "Tasks",
        value: points.last().map(|(_, count)| format!("{count:.0}")),
        legend: html! { span.quiet { "at most " (format!("{max:.0}")) } },
        max,
        lines: vec![PlotLine {
            class: LINE_CLASSES[0],
            is_filled: true,
            points,
        }],
    }
}

/// The times at the left edge, in the middle and at the right edge of a plot.
fn time_axis(now: Timestamp) -> Markup {
    let half = PLOTTED_SPAN / 2;
    html! {
        div.axis {
            @for ago in [PLOTTED_SPAN, half, SignedDuration::ZERO] {
                @let at = now - ago;
                time datetime=(at) { (at.strftime("%H:%M")) }
            }
        }
    }
}

fn render(figure: &Figure, now: Timestamp) -> Markup {
    let value = figure.value.as_deref().unwrap_or("unknown");
    let label = format!("{} over the last hour, now {value}", figure.title);
    let area = PlotArea {
        left: 0.0,
        right: WIDTH,
        // Half the width of a line stays visible at both edges.
        top: 1.0,
        bottom: HEIGHT - 1.0,
        x: (-PLOTTED_SPAN.as_secs_f64(), 0.0),
        max: figure.max,
    };
    html! {
        figure {
            figcaption { (figure.title) b { (value) } (figure.legend) }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
                @for quarter in 1..4 {
                    path.grid d={ "M" (WIDTH * f64::from(quarter) / 4.0) " 0V" (HEIGHT) } {}
                }
                path.grid d={ "M0 " (HEIGHT / 2.0) "H" (WIDTH) } {}
                @for line in &figure.lines {
                    // A gap splits the line: connecting its ends would show values that were never measured.
                    @for part in line.points.chunk_by(|a, b| b.0 - a.0 <= MAX_GAP) {
                        @if line.is_filled {
                            path class={ "area " (line.class) } d=(area.filled_path(part, HEIGHT)) {}
                        }
                        path class={ "line " (line.class) } d=(area.line_path(part)) {}
                    }
                }
            }
            (time_axis(now))
        }
    }
}
