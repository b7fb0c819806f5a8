//! The report: plots, and tables for docs/soak.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Result;
use plots::{Series, plot_over_time};

use crate::assertions::Evaluation;
use crate::history::{History, Observation, ResolvedCounts, resolution};
use crate::sample::Sample;
use crate::totals::PROFILE;

/// Writes the plots and the tables into a folder, and prints the tables.
pub(crate) fn write(folder: &Path, history: &History, evaluation: &Evaluation) -> Result<()> {
    let tables = tables(history, evaluation);
    println!("\n{tables}");
    fs::write(folder.join("soak.md"), tables)?;
    let warm_up = history.duration.as_secs_f64() / 3.0;
    for (name, title, series) in plots(history) {
        let path = folder.join(format!("soak-{name}.svg"));
        fs::write(path, plot_over_time(title, &series, warm_up))?;
    }
    Ok(())
}

fn plots(history: &History) -> [(&'static str, &'static str, Vec<Series>); 4] {
    let series = |name: &str, value: fn(&Sample) -> f64| Series {
        name: name.to_owned(),
        points: history
            .first_worker()
            .map(|it| (it.at, value(it)))
            .collect(),
    };
    [
        (
            "memory",
            "Resident memory of the processes, MiB",
            memory(history),
        ),
        (
            "descriptors",
            "Open descriptors, threads and zombies of the first worker",
            vec![
                series("descriptors", |it| it.descriptors),
                series("threads", |it| it.threads),
                series("zombies", |it| it.zombies),
            ],
        ),
        (
            "disk",
            "Size of the first worker's folder, MiB",
            vec![series("disk", |it| it.disk)],
        ),
        (
            "tasks",
            "Resolved tasks by resolution",
            resolutions(history),
        ),
    ]
}

/// Returns the memory of each worker and of the server.
fn memory(history: &History) -> Vec<Series> {
    let points = |sample: &dyn Fn(&Observation) -> Option<Sample>| {
        let samples = history.observations.iter().filter_map(sample);
        samples.map(|it| (it.at, it.memory)).collect()
    };
    let workers = (0..history.after.len()).map(|index| Series {
        name: format!("worker {}", index + 1),
        points: points(&|it| it.workers[index]),
    });
    let server = Series {
        name: "server".to_owned(),
        points: points(&|it| it.server),
    };
    workers.chain([server]).collect()
}

fn resolutions(history: &History) -> Vec<Series> {
    let observations = history.observations.iter();
    let names: BTreeSet<&String> = observations.flat_map(|it| it.resolved.keys()).collect();
    let series = names.into_iter().map(|name| Series {
        name: name.trim_start_matches("exception/").to_owned(),
        points: resolved_counts(history, |it| it.get(name).copied().unwrap_or(0)),
    });
    series.collect()
}

/// Returns a number of resolved tasks at the time of every observation.
fn resolved_counts(history: &History, count: impl Fn(&ResolvedCounts) -> usize) -> Vec<(f64, f64)> {
    let observations = history.observations.iter();
    let counts = observations.filter_map(|it| {
        // The first worker is never killed, so each observation has its sample.
        let at = it.workers.first()?.as_ref()?.at;
        Some((at, count(&it.resolved) as f64))
    });
    counts.collect()
}

fn tables(history: &History, evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{}\n\n| the first worker | before | middle third | last third | bound | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
        summary(history, evaluation)
    );
    for growth in &evaluation.growth {
        let name = [growth.measure.name, growth.measure.unit].join(", ");
        text += &format!(
            "| {} | {:.1} | {:.1} | {:.1} | ≤ {:.1} | {:.1} |\n",
            name.trim_end_matches(", "),
            (growth.measure.value)(&history.before),
            growth.middle,
            growth.last,
            growth.bound,
            history.after.first().map_or(f64::NAN, growth.measure.value),
        );
    }
    text += "\n| task | resolution | tasks | runs |\n| --- | --- | ---: | ---: |\n";
    for ((kind, resolution), (tasks, runs)) in task_counts(history) {
        text += &format!("| {kind} | {resolution} | {tasks} | {runs} |\n");
    }
    text += "\n| method | failed calls by fault |\n| --- | --- |\n";
    for (method, kinds) in fault_counts(history) {
        let kinds = kinds.iter().map(|(kind, hits)| format!("{kind} {hits}"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        text += &format!("| `{method}` | {kinds} |\n");
    }
    text
}

/// Returns the settings and the number of each event.
fn summary(history: &History, evaluation: &Evaluation) -> String {
    let events = &history.events;
    // The logs of cancelled tasks are not checked.
    let logs = history
        .tasks
        .iter()
        .filter(|task| task.log_defect.is_none() && task.expected != "exception/canceled");
    let counts = [
        (history.tasks.len(), "tasks"),
        (
            history
                .tasks
                .iter()
                .map(|task| task.status.runs.len())
                .sum(),
            "runs",
        ),
        (logs.count(), "complete logs"),
        (
            history.faults.values().sum::<u64>() as usize,
            "failed calls",
        ),
        (events.viewers, "viewers of logs"),
        (events.worker_kills, "kills of workers"),
        (events.server_kills, "kills of the server"),
        (events.clock_steps_forward, "steps of its clock forward"),
        (events.clock_steps_back, "back"),
    ];
    let counts = counts.map(|(count, name)| format!("{count} {name}"));
    format!(
        "{:.0} minutes, seed {}, workers: {}, isolation: {}. {}. The first worker, {PROFILE}, used {:.1} % of a core. The longest time in which no task was resolved: {:.0} s.",
        history.duration.as_secs_f64() / 60.0,
        history.seed,
        history.after.len(),
        history.isolation,
        counts.join(", "),
        evaluation.load * 100.0,
        longest_pause(history),
    )
}

/// Returns the longest time in seconds in which the number of resolved tasks was constant.
fn longest_pause(history: &History) -> f64 {
    let (mut longest, mut since, mut seen) = (0.0, 0.0, 0.0);
    for (at, resolved) in resolved_counts(history, |counts| counts.values().sum()) {
        if resolved > seen {
            (since, seen) = (at, resolved);
        }
        longest = f64::max(longest, at - since);
    }
    longest
}

/// Returns the numbers of tasks and of runs, by kind and resolution.
fn task_counts(history: &History) -> BTreeMap<(&'static str, String), (usize, usize)> {
    let mut counts = BTreeMap::new();
    for task in &history.tasks {
        let key = (task.kind, resolution(&task.status));
        let (tasks, runs) = counts.entry(key).or_insert((0, 0));
        *tasks += 1;
        *runs += task.status.runs.len();
    }
    counts
}

/// Returns the number of failed calls, by method and fault.
fn fault_counts(history: &History) -> BTreeMap<&str, BTreeMap<&str, u64>> {
    let mut counts: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((method, kind), hits) in &history.faults {
        counts.entry(&**method).or_default().insert(kind, *hits);
    }
    counts
}
