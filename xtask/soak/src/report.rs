//! The report: plots, and tables for docs/soak.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::assertions::Evaluation;
use crate::history::{History, Observation};
use crate::plot::{Series, plot};
use crate::sample::Sample;

/// Writes the plots and the tables into a folder, and prints the tables.
pub(crate) fn write(folder: &Path, history: &History, evaluation: &Evaluation) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let tables = tables(history, evaluation);
    println!("\n{tables}");
    fs::write(folder.join("table.md"), tables)?;
    let warm_up = history.duration.as_secs_f64() / 3.0;
    for (name, title, series) in plots(history) {
        let path = folder.join(format!("soak-{name}.svg"));
        fs::write(path, plot(title, &series, warm_up))?;
    }
    Ok(())
}

fn plots(history: &History) -> [(&'static str, &'static str, Vec<Series>); 4] {
    let series = |name: &str, value: fn(&Sample) -> f64| Series {
        name: name.to_owned(),
        points: points(history, |it| value(&it.sample)),
    };
    [
        (
            "memory",
            "Resident memory of the worker, MiB",
            vec![series("memory", |it| it.memory)],
        ),
        (
            "descriptors",
            "Open descriptors, threads and zombies of the worker",
            vec![
                series("descriptors", |it| it.descriptors),
                series("threads", |it| it.threads),
                series("zombies", |it| it.zombies),
            ],
        ),
        (
            "disk",
            "Size of the worker's folder, MiB",
            vec![series("disk", |it| it.disk)],
        ),
        (
            "tasks",
            "Resolved tasks by resolution",
            resolutions(history),
        ),
    ]
}

/// Returns the value of every observation with its time in seconds.
fn points(history: &History, value: impl Fn(&Observation) -> f64) -> Vec<(f64, f64)> {
    let observations = history.observations.iter();
    observations.map(|it| (it.sample.at, value(it))).collect()
}

fn resolutions(history: &History) -> Vec<Series> {
    let observations = history.observations.iter();
    let names: BTreeSet<&String> = observations.flat_map(|it| it.resolved.keys()).collect();
    let series = names.into_iter().map(|name| Series {
        name: name.trim_start_matches("exception/").to_owned(),
        points: points(history, |it| {
            it.resolved.get(name).copied().unwrap_or(0) as f64
        }),
    });
    series.collect()
}

fn tables(history: &History, evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{:.0} minutes, seed {}: {} tasks, {} failed calls, {} viewers of logs. The worker, {}, used {:.1} % of a core. The longest time in which no task was resolved: {:.0} s.\n\n\
         | | before | middle third | last third | bound | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
        history.duration.as_secs_f64() / 60.0,
        history.seed,
        history.tasks.len(),
        history.faults.iter().map(|fault| fault.hits()).sum::<u64>(),
        history.viewers,
        if cfg!(debug_assertions) {
            "not optimized"
        } else {
            "optimized"
        },
        evaluation.load * 100.0,
        longest_pause(history),
    );
    for growth in &evaluation.growth {
        let name = [growth.measure.name, growth.measure.unit].join(", ");
        text += &format!(
            "| {} | {:.1} | {:.1} | {:.1} | ≤ {:.1} | {:.1} |\n",
            name.trim_end_matches(", "),
            growth.before,
            growth.middle,
            growth.last,
            growth.bound,
            growth.after
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

/// Returns the longest time in seconds in which the number of resolved tasks was constant.
fn longest_pause(history: &History) -> f64 {
    let (mut longest, mut since, mut seen) = (0.0, 0.0, 0);
    for Observation { sample, resolved } in &history.observations {
        let resolved = resolved.values().sum::<usize>();
        if resolved > seen {
            (since, seen) = (sample.at, resolved);
        }
        longest = f64::max(longest, sample.at - since);
    }
    longest
}

/// Returns the numbers of tasks and of runs, by kind and resolution.
fn task_counts(history: &History) -> BTreeMap<(&'static str, String), (usize, usize)> {
    let mut counts = BTreeMap::new();
    for task in &history.tasks {
        let key = (task.kind, task.status.state_and_reason());
        let (tasks, runs) = counts.entry(key).or_insert((0, 0));
        *tasks += 1;
        *runs += task.status.runs.len();
    }
    counts
}

/// Returns the number of failed calls, by method and fault.
fn fault_counts(history: &History) -> BTreeMap<&'static str, BTreeMap<&str, u64>> {
    let mut counts: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
    for rule in history.faults.iter().filter(|rule| rule.hits() > 0) {
        let kinds = counts.entry(rule.method).or_default();
        *kinds.entry(&rule.kind).or_default() += rule.hits();
    }
    counts
}
