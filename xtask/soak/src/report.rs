//! What is written: plots, and a table for docs/soak.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::course::{Course, Look};
use crate::judge::Verdict;
use crate::plot::{Series, plot};
use crate::sample::Sample;

/// Writes all of it into a folder, and prints the table.
pub(crate) fn write(folder: &Path, course: &Course, verdict: &Verdict) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let table = table(course, verdict);
    println!("\n{table}");
    fs::write(folder.join("table.md"), table)?;
    for (name, title, series) in pictures(course) {
        let warm = course.length.as_secs_f64() / 3.0;
        fs::write(
            folder.join(format!("soak-{name}.svg")),
            plot(title, &series, warm),
        )?;
    }
    Ok(())
}

fn pictures(course: &Course) -> [(&'static str, &'static str, Vec<Series>); 4] {
    let of = |name: &str, value: fn(&Sample) -> f64| Series {
        name: name.to_owned(),
        points: course
            .looks
            .iter()
            .map(|look| (look.sample.at, value(&look.sample)))
            .collect(),
    };
    [
        (
            "memory",
            "Resident memory of the worker, MiB",
            vec![of("memory", |it| it.memory)],
        ),
        (
            "descriptors",
            "Open descriptors, threads and zombies of the worker",
            vec![
                of("descriptors", |it| it.descriptors),
                of("threads", |it| it.threads),
                of("zombies", |it| it.zombies),
            ],
        ),
        (
            "disk",
            "The folder of the worker, MiB",
            vec![of("disk", |it| it.disk)],
        ),
        ("tasks", "Tasks by how they ended", ends(course)),
    ]
}

fn ends(course: &Course) -> Vec<Series> {
    let looks = || course.looks.iter();
    let names: BTreeSet<&String> = looks().flat_map(|look| look.ended.keys()).collect();
    let series = names.into_iter().map(|name| {
        let count = |look: &Look| look.ended.get(name).copied().unwrap_or(0) as f64;
        Series {
            name: name.trim_start_matches("exception/").to_owned(),
            points: looks().map(|look| (look.sample.at, count(look))).collect(),
        }
    });
    series.collect()
}

fn table(course: &Course, verdict: &Verdict) -> String {
    let mut table = format!(
        "{:.0} minutes, seed {}: {} tasks, {} calls that went wrong, {} viewers of logs. The worker itself, {}, used {:.1} % of a core. The longest time in which no task ended: {:.0} s.\n\n\
         | | before | middle third | last third | bound | after |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
        course.length.as_secs_f64() / 60.0,
        course.seed,
        course.tasks.len(),
        course.faults.iter().map(|fault| fault.hits()).sum::<u64>(),
        course.viewers,
        match cfg!(debug_assertions) {
            true => "not optimized",
            false => "optimized",
        },
        verdict.load * 100.0,
        longest_silence(course),
    );
    for row in &verdict.rows {
        let what = [row.flat.what, row.flat.unit].join(", ");
        table += &format!(
            "| {} | {:.1} | {:.1} | {:.1} | ≤ {:.1} | {:.1} |\n",
            what.trim_end_matches(", "),
            row.before,
            row.middle,
            row.last,
            row.bound,
            row.after
        );
    }
    table += "\n| tasks | ended as | how many | runs |\n| --- | --- | ---: | ---: |\n";
    for ((kind, end), (tasks, runs)) in kinds(course) {
        table += &format!("| {kind} | {end} | {tasks} | {runs} |\n");
    }
    table += "\n| calls | what went wrong, and how often |\n| --- | --- |\n";
    for (method, kinds) in faults(course) {
        let kinds = kinds.iter().map(|(kind, hits)| format!("{kind} {hits}"));
        table += &format!(
            "| `{method}` | {} |\n",
            kinds.collect::<Vec<_>>().join(", ")
        );
    }
    table
}

/// The most seconds between two looks that saw the same number of ended tasks.
fn longest_silence(course: &Course) -> f64 {
    let (mut longest, mut since, mut seen) = (0.0, 0.0, 0);
    for Look { sample, ended } in &course.looks {
        let ended = ended.values().sum::<usize>();
        if ended > seen {
            (since, seen) = (sample.at, ended);
        }
        longest = f64::max(longest, sample.at - since);
    }
    longest
}

/// How many tasks of a kind ended how, and how many runs they took.
fn kinds(course: &Course) -> BTreeMap<(&'static str, String), (usize, usize)> {
    let mut kinds = BTreeMap::new();
    for task in &course.tasks {
        let end = crate::course::end(&task.status);
        let (tasks, runs) = kinds.entry((task.kind, end)).or_insert((0, 0));
        *tasks += 1;
        *runs += task.status.runs.len();
    }
    kinds
}

fn faults(course: &Course) -> BTreeMap<&'static str, BTreeMap<&str, u64>> {
    let mut faults: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
    for fault in course.faults.iter().filter(|fault| fault.hits() > 0) {
        let kinds = faults.entry(fault.method).or_default();
        *kinds.entry(&fault.kind).or_default() += fault.hits();
    }
    faults
}
