//! The assertions on the history: no growth, no leaks, and one expected resolution per task.

use runtime_mocks::taskcluster::{RunSnapshot, TaskState};

use crate::history::{History, TaskRecord};
use crate::sample::Sample;

/// A measure of the worker that must not grow from the middle third of the time to the last third.
///
/// The first third is a warm-up, in which caches, connections and pools fill.
pub(crate) struct BoundedMeasure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: fn(&Sample) -> f64,
    /// The bound is the median of the middle third times a factor plus a constant.
    factor: f64,
    slack: f64,
}

const MEASURES: &[BoundedMeasure] = &[
    BoundedMeasure {
        name: "resident memory",
        unit: "MiB",
        value: |sample| sample.memory,
        factor: 1.1,
        slack: 8.0,
    },
    BoundedMeasure {
        name: "open descriptors",
        unit: "",
        value: |sample| sample.descriptors,
        factor: 1.0,
        slack: 8.0,
    },
    BoundedMeasure {
        name: "threads",
        unit: "",
        value: |sample| sample.threads,
        factor: 1.0,
        // The size of tokio's blocking pool follows the load, since its threads exit after ten idle seconds. Leaked
        // threads are found in the idle worker at the end.
        slack: 12.0,
    },
    BoundedMeasure {
        name: "disk",
        unit: "MiB",
        value: |sample| sample.disk,
        factor: 1.1,
        slack: 4.0,
    },
    BoundedMeasure {
        name: "zombies",
        unit: "",
        value: |sample| sample.zombies,
        factor: 1.0,
        slack: 0.0,
    },
];

/// The number of descriptors and of threads that the idle worker may have more at the end than at the start.
pub(crate) const IDLE_SLACK: f64 = 4.0;

/// The medians of a measure and its bound.
pub(crate) struct Growth {
    pub(crate) measure: &'static BoundedMeasure,
    pub(crate) before: f64,
    pub(crate) middle: f64,
    pub(crate) last: f64,
    pub(crate) bound: f64,
    pub(crate) after: f64,
}

/// The result of all assertions.
pub(crate) struct Evaluation {
    pub(crate) growth: Vec<Growth>,
    /// The CPU time of the worker per second, without its tasks.
    pub(crate) load: f64,
    pub(crate) failures: Vec<String>,
}

/// Evaluates all assertions.
pub(crate) fn evaluate(history: &History) -> Evaluation {
    let growth: Vec<Growth> = MEASURES.iter().map(|it| measure(it, history)).collect();
    let mut failures: Vec<String> = growth.iter().filter_map(growth_failure).collect();
    failures.extend(leaks(history));
    failures.extend(history.tasks.iter().filter_map(task_failure));
    failures.extend(claim_failures(history));
    let (before, after) = (&history.before, &history.after);
    Evaluation {
        growth,
        load: (after.cpu_time - before.cpu_time) / after.at.max(1.0),
        failures,
    }
}

fn measure(measure: &'static BoundedMeasure, history: &History) -> Growth {
    let observations = history.observations.iter();
    let values: Vec<f64> = observations.map(|it| (measure.value)(&it.sample)).collect();
    let third = values.len() / 3;
    let middle = median(&values[third..2 * third]);
    Growth {
        measure,
        before: (measure.value)(&history.before),
        middle,
        last: median(&values[2 * third..]),
        bound: middle * measure.factor + measure.slack,
        after: (measure.value)(&history.after),
    }
}

fn growth_failure(growth: &Growth) -> Option<String> {
    let Growth {
        middle,
        last,
        bound,
        ..
    } = growth;
    // Written so that NaN, the median of too few samples, fails.
    let within = last <= bound;
    let name = growth.measure.name;
    (!within).then(|| format!("{name} grew from {middle:.1} to {last:.1}, bound {bound:.1}"))
}

/// Finds resources that the idle worker still holds.
fn leaks(history: &History) -> Vec<String> {
    let (before, after) = (&history.before, &history.after);
    let (left, left_after_exit) = history.leftovers;
    let excess = |is: f64, was: f64| is > was + IDLE_SLACK;
    let idle = |is: f64, name: &str, was: f64| format!("idle worker: {is} {name}, {was} at start");
    let failures = [
        (
            excess(after.descriptors, before.descriptors),
            idle(after.descriptors, "descriptors", before.descriptors),
        ),
        (
            excess(after.threads, before.threads),
            idle(after.threads, "threads", before.threads),
        ),
        (
            after.zombies > 0.0,
            idle(after.zombies, "zombies", before.zombies),
        ),
        (
            left + left_after_exit > 0,
            format!("leftover processes: {left}, after the exit of the worker {left_after_exit}"),
        ),
        (
            !history.exit_status.success(),
            format!("the worker failed: {}", history.exit_status),
        ),
    ];
    let failures = failures.into_iter().filter(|(failed, _)| *failed);
    failures.map(|(_, message)| message).collect()
}

/// Checks that a task has the expected resolution, and that only its last run has one.
fn task_failure(task: &TaskRecord) -> Option<String> {
    let TaskRecord {
        name, kind, status, ..
    } = task;
    let actual = status.state_and_reason();
    if actual != task.expected {
        let (expected, errors) = (task.expected, &task.errors);
        return Some(format!(
            "{name} ({kind}): {actual}, expected {expected}:\n  {errors}"
        ));
    }
    let (last, earlier) = status.runs.split_last()?;
    if let Some(run) = earlier.iter().find(|run| !was_retried(run)) {
        let (id, reason) = (run.run_id, run.reason_resolved);
        return Some(format!(
            "{name} ({kind}): run {id} before the last: {reason:?}"
        ));
    }
    (last.state != status.state).then(|| format!("{name} ({kind}): its last run differs"))
}

/// Returns whether a run ended by a lost response, after which the claim expires, or by a requested retry.
fn was_retried(run: &RunSnapshot) -> bool {
    let reason = run.reason_resolved.unwrap_or("unresolved");
    run.state == TaskState::Exception && matches!(reason, "claim-expired" | "intermittent-task")
}

/// Checks that the worker logged exactly one resolution per claim.
fn claim_failures(history: &History) -> Vec<String> {
    let counts = history.claims.iter();
    let wrong = counts.filter(|(_, (claims, resolutions))| claims != resolutions);
    wrong
        .map(|(name, (claims, resolutions))| {
            format!("{name}: {claims} claims, {resolutions} resolutions")
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

    fn growth(middle: f64, last: f64) -> Growth {
        let measure = &MEASURES[0];
        Growth {
            measure,
            before: 0.0,
            middle,
            last,
            bound: middle * measure.factor + measure.slack,
            after: 0.0,
        }
    }

    #[test]
    fn bound_is_inclusive() {
        let bound = growth(20.0, 0.0).bound;
        assert!(growth_failure(&growth(20.0, bound)).is_none());
        assert!(growth_failure(&growth(20.0, bound + 0.1)).is_some());
    }

    #[test]
    fn too_few_samples_fail() {
        assert!(growth_failure(&growth(f64::NAN, f64::NAN)).is_some());
    }

    #[test]
    fn median_ignores_peaks() {
        assert!((median(&[1.0, 900.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }
}
