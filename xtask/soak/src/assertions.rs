//! The assertions on the history: no growth, no leaks, and one expected resolution per task.

use std::time::Duration;

use runtime_core::queue::{ResolvedReason, RunStatus};

use crate::history::{History, TaskRecord, resolution};
use crate::sample::Sample;
use crate::worker::WorkerClaims;

/// A measure of the first worker that must not grow from the middle third of the time to the last third.
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

pub(crate) const MEMORY: BoundedMeasure = BoundedMeasure {
    name: "resident memory",
    unit: "MiB",
    value: |sample| sample.memory,
    factor: 1.1,
    slack: 8.0,
};

const MEASURES: &[BoundedMeasure] = &[
    MEMORY,
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

/// Longer than workers keep idle connections and threads. The HTTP client looks every 90 s for connections that have been
/// idle for 90 s, so that it keeps one for up to 180 s.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(200);

/// The medians of a measure and its bound.
pub(crate) struct Growth {
    pub(crate) measure: &'static BoundedMeasure,
    pub(crate) middle: f64,
    pub(crate) last: f64,
    pub(crate) bound: f64,
}

/// The result of all assertions.
pub(crate) struct Evaluation {
    pub(crate) growth: Vec<Growth>,
    /// The CPU time of the first worker per second, without its tasks.
    pub(crate) load: f64,
    pub(crate) failures: Vec<String>,
}

/// Evaluates all assertions.
pub(crate) fn evaluate(history: &History) -> Evaluation {
    let samples: Vec<Sample> = history.first_worker().copied().collect();
    let growth: Vec<Growth> = MEASURES.iter().map(|it| measure(it, &samples)).collect();
    let mut failures: Vec<String> = growth.iter().filter_map(growth_failure).collect();
    failures.extend(leaks(history));
    failures.extend(history.tasks.iter().filter_map(task_failure));
    failures.extend(history.tasks.iter().filter_map(log_failure));
    failures.extend(history.claims.iter().flat_map(claim_failures));
    Evaluation {
        growth,
        load: load(history).unwrap_or(f64::NAN),
        failures,
    }
}

fn load(history: &History) -> Option<f64> {
    let (before, after) = (&history.before, history.after.first()?);
    Some((after.cpu_time - before.cpu_time) / after.at.max(1.0))
}

/// Returns the medians of a measure in the samples of one process.
pub(crate) fn measure(measure: &'static BoundedMeasure, samples: &[Sample]) -> Growth {
    let values: Vec<f64> = samples.iter().map(measure.value).collect();
    let third = values.len() / 3;
    let middle = median(&values[third..2 * third]);
    Growth {
        measure,
        middle,
        last: median(&values[2 * third..]),
        bound: middle * measure.factor + measure.slack,
    }
}

/// Describes a measure that exceeds its bound.
pub(crate) fn growth_failure(growth: &Growth) -> Option<String> {
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

/// Finds resources that idle workers still hold, and leftovers on the machine.
fn leaks(history: &History) -> Vec<String> {
    let workers = history.after.iter().zip(1..);
    let mut failures: Vec<String> = workers
        .flat_map(|(after, number)| idle_leaks(&history.before, after, number))
        .collect();
    let left = history.leftovers.iter();
    failures.extend(left.map(|left| format!("left behind: {left}")));
    let exits = history.failed_exits.iter();
    failures.extend(exits.map(|exit| format!("failed after SIGTERM: {exit}")));
    failures
}

/// Describes the resources that an idle worker has in excess of those at the start of the test.
pub(crate) fn idle_leaks(before: &Sample, after: &Sample, number: usize) -> Vec<String> {
    let values = [
        (
            "descriptors",
            after.descriptors,
            before.descriptors + IDLE_SLACK,
        ),
        ("threads", after.threads, before.threads + IDLE_SLACK),
        ("zombies", after.zombies, 0.0),
    ];
    let excess = values.into_iter().filter(|(_, is, bound)| is > bound);
    excess
        .map(|(name, is, bound)| format!("idle worker {number}: {is} {name}, bound {bound}"))
        .collect()
}

/// Checks that a task has the expected resolution, and that only its last run has one.
fn task_failure(task: &TaskRecord) -> Option<String> {
    let TaskRecord {
        name, kind, status, ..
    } = task;
    let actual = resolution(status);
    if actual != task.expected {
        let (expected, errors) = (task.expected, &task.errors);
        return Some(format!(
            "{name} ({kind}): {actual}, expected {expected}:\n  {errors}"
        ));
    }
    let (last, earlier) = status.runs.split_last()?;
    if let Some(run) = earlier.iter().find(|run| !was_retried(run)) {
        let (id, reason) = (run.run_id, &run.reason_resolved);
        return Some(format!(
            "{name} ({kind}): run {id} before the last: {reason:?}"
        ));
    }
    (last.state != status.state).then(|| format!("{name} ({kind}): its last run differs"))
}

/// Returns whether a run ended by an expired claim, after a lost response or a crash, or by a requested retry.
fn was_retried(run: &RunStatus) -> bool {
    matches!(
        run.reason_resolved,
        Some(ResolvedReason::ClaimExpired | ResolvedReason::IntermittentTask)
    )
}

fn log_failure(task: &TaskRecord) -> Option<String> {
    let TaskRecord { name, kind, .. } = task;
    let defect = task.log_defect.as_ref()?;
    Some(format!("{name} ({kind}): {defect}"))
}

/// Checks that a worker logged exactly one resolution per claim; a worker that was killed, at most one.
fn claim_failures(claims: &WorkerClaims) -> Vec<String> {
    let wrong = claims.counts.iter().filter(|(_, (claimed, resolved))| {
        resolved > claimed || (resolved < claimed && !claims.was_killed)
    });
    wrong
        .map(|(name, (claimed, resolved))| {
            let worker = &claims.worker;
            format!("{name}: {worker} printed {claimed} claims and {resolved} resolutions")
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
            middle,
            last,
            bound: middle * measure.factor + measure.slack,
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
