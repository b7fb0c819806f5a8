//! Whether a worker stayed as it was, and whether each task ended once and as it should.

use runtime_mocks::taskcluster::{RunSnapshot, TaskState};

use crate::course::{Course, Task, end};
use crate::sample::Sample;

/// Something that must not grow: what it is, and how much more than in the middle third it may be in the last one.
pub(crate) struct Flat {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Sample) -> f64,
    /// A factor and a number on top.
    allowed: (f64, f64),
}

/// The first third is for caches, connections and pools to fill.
pub(crate) const FLAT: &[Flat] = &[
    Flat {
        what: "resident memory",
        unit: "MiB",
        of: |sample| sample.memory,
        allowed: (1.1, 8.0),
    },
    Flat {
        what: "open descriptors",
        unit: "",
        of: |sample| sample.descriptors,
        allowed: (1.0, 8.0),
    },
    Flat {
        // Those that block come with work and go ten seconds after; what stays shows when there is none.
        what: "threads",
        unit: "",
        of: |sample| sample.threads,
        allowed: (1.0, 12.0),
    },
    Flat {
        what: "disk",
        unit: "MiB",
        of: |sample| sample.disk,
        allowed: (1.1, 4.0),
    },
    Flat {
        what: "zombies",
        unit: "",
        of: |sample| sample.zombies,
        allowed: (1.0, 0.0),
    },
];

/// How many more descriptors or threads a worker may have without tasks than it had in the beginning.
pub(crate) const IDLE_SLACK: f64 = 4.0;

/// Medians and their bound.
pub(crate) struct Row {
    pub(crate) flat: &'static Flat,
    pub(crate) before: f64,
    pub(crate) middle: f64,
    pub(crate) last: f64,
    pub(crate) bound: f64,
    pub(crate) after: f64,
}

pub(crate) struct Verdict {
    pub(crate) rows: Vec<Row>,
    /// Share of one core that the worker itself used.
    pub(crate) load: f64,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn judge(course: &Course) -> Verdict {
    let rows: Vec<Row> = FLAT.iter().map(|flat| row(flat, course)).collect();
    let mut failures: Vec<String> = rows.iter().filter_map(growth).collect();
    failures.extend(leaks(course));
    failures.extend(course.tasks.iter().filter_map(wrong_end));
    failures.extend(untold(course));
    Verdict {
        rows,
        load: (course.after.processor - course.before.processor) / course.after.at.max(1.0),
        failures,
    }
}

fn row(flat: &'static Flat, course: &Course) -> Row {
    let third = course.looks.len() / 3;
    let values = course.looks.iter().map(|look| (flat.of)(&look.sample));
    let values: Vec<f64> = values.collect();
    let middle = median(&values[third..2 * third]);
    let (factor, slack) = flat.allowed;
    Row {
        flat,
        before: (flat.of)(&course.before),
        middle,
        last: median(&values[2 * third..]),
        bound: middle * factor + slack,
        after: (flat.of)(&course.after),
    }
}

fn growth(row: &Row) -> Option<String> {
    let Row {
        flat,
        middle,
        last,
        bound,
        ..
    } = row;
    // A number that is none is not within a bound either.
    let within = last <= bound;
    (!within).then(|| {
        format!(
            "{} grew from {middle:.1} to {last:.1}, more than {bound:.1}",
            flat.what
        )
    })
}

/// What is left when there is nothing to do.
fn leaks(course: &Course) -> Vec<String> {
    let (before, after) = (&course.before, &course.after);
    let mut leaks = Vec::new();
    let mut check = |ok: bool, what: String| {
        if !ok {
            leaks.push(what);
        }
    };
    for (what, was, is) in [
        ("descriptors", before.descriptors, after.descriptors),
        ("threads", before.threads, after.threads),
    ] {
        check(
            is <= was + IDLE_SLACK,
            format!("{is} {what} without tasks, {was} in the beginning"),
        );
    }
    check(
        after.zombies == 0.0,
        format!("{} zombies without tasks", after.zombies),
    );
    check(
        course.strays == (0, 0),
        format!(
            "{:?} processes of tasks are left before and after the worker's end",
            course.strays
        ),
    );
    check(
        course.status.success(),
        format!("the worker ended by {}", course.status),
    );
    leaks
}

/// A task ends as it should, and only its last run has an end of its own.
fn wrong_end(task: &Task) -> Option<String> {
    let Task {
        name,
        kind,
        end: wanted,
        status,
        errors,
    } = task;
    let ended = end(status);
    if ended != *wanted {
        return Some(format!(
            "{name} ({kind}) ended as {ended}, not as {wanted}:\n  {errors}"
        ));
    }
    let (last, earlier) = status.runs.split_last()?;
    let odd = earlier.iter().find(|run| !was_tried_again(run));
    match odd {
        Some(run) => Some(format!(
            "{name} ({kind}) has run {} before its last: {:?}",
            run.run_id, run.reason_resolved
        )),
        None => {
            (last.state != status.state).then(|| format!("{name} ({kind}) and its last run differ"))
        }
    }
}

fn was_tried_again(run: &RunSnapshot) -> bool {
    let reason = run.reason_resolved.unwrap_or("unresolved");
    run.state == TaskState::Exception && matches!(reason, "claim-expired" | "intermittent-task")
}

/// The worker tells one end for each claim, no more and no fewer.
fn untold(course: &Course) -> Vec<String> {
    let odd = course
        .told
        .iter()
        .filter(|(_, (claims, ends))| claims != ends);
    odd.map(|(name, (claims, ends))| {
        format!("{name} was claimed {claims} times and ended {ends} times")
    })
    .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(middle: f64, last: f64) -> Row {
        let flat = &FLAT[0];
        let bound = middle * flat.allowed.0 + flat.allowed.1;
        Row {
            flat,
            before: 0.0,
            middle,
            last,
            bound,
            after: 0.0,
        }
    }

    #[test]
    fn only_more_than_the_bound_is_growth() {
        let bound = row_of(20.0, 0.0).bound;
        assert!(growth(&row_of(20.0, bound)).is_none());
        assert!(growth(&row_of(20.0, bound + 0.1)).is_some());
        assert!(
            growth(&row_of(f64::NAN, f64::NAN)).is_some(),
            "too few samples prove nothing"
        );
    }

    #[test]
    fn the_median_is_not_moved_by_a_peak() {
        assert!((median(&[1.0, 900.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }
}
