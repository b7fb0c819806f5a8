//! The parts of the page.

use std::fmt::{self, Display};
use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::monitor::Severity;
use runtime_gc::{CollectionPlan, PlannedAction, PlannedResource, Size};

use super::board::{FinishedTask, RunningTask, TaskState};
use super::handler::Tail;
use super::history::{GaugeSample, RESOURCES};
use super::html::{Bytes, Escaped, Span, Time};
use super::plot::{Line, Plot};
use crate::incidents::Incident;
use crate::metrics::Snapshot;

/// How many resources of a collector are listed.
const RESOURCES_SHOWN: usize = 50;

/// What runs, with the ends of the logs.
pub(super) struct Tasks<'a> {
    pub(super) running: &'a [RunningTask],
    pub(super) tails: &'a [Tail],
    pub(super) now: Timestamp,
}

impl Display for Tasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.running.len();
        write!(
            f,
            "<section id=running data-live><h2>Running tasks <span class=count>{count}</span></h2>"
        )?;
        if self.running.is_empty() {
            f.write_str("<p class=empty>The worker holds no task.</p>")?;
        }
        for task in self.running {
            self.card(f, task)?;
        }
        f.write_str("</section>")
    }
}

impl Tasks<'_> {
    fn card(&self, f: &mut fmt::Formatter<'_>, task: &RunningTask) -> fmt::Result {
        let (state, since) = match (task.state, task.started) {
            (TaskState::Running, Some(started)) => ("running", started),
            _ => ("claimed", task.claimed),
        };
        let path = format!("{}/{}", task.task_id, task.run_id);
        write!(
            f,
            "<article class=task><h3>{name}</h3><p><span class=\"chip {state}\">{state}</span>\
             <code>{path}</code><span class=quiet>{state} for {span}</span></p>",
            name = Escaped(&task.name),
            path = Escaped(&path),
            span = Span(self.now.duration_since(since)),
        )?;
        let tail = self
            .tails
            .iter()
            .find(|tail| tail.task_id == task.task_id && tail.run_id == task.run_id);
        if let Some(tail) = tail {
            write!(
                f,
                "<pre class=log data-log=\"tasks/{path}/log\" data-offset={offset}>{text}</pre>",
                path = Escaped(&path),
                offset = tail.end,
                text = Escaped(&tail.text),
            )?;
        }
        f.write_str("</article>")
    }
}

/// The machine over the last hour.
pub(super) struct Machine<'a> {
    pub(super) metrics: &'a Snapshot,
    pub(super) moments: &'a [GaugeSample],
    pub(super) now: Timestamp,
}

impl Display for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<section id=machine data-live><h2>The last hour</h2><div class=plots>")?;
        self.amount(f, "Disk free", "disk-total", |moment| moment.disk_free)?;
        self.amount(f, "Memory available", "memory-total", |moment| {
            moment.memory_available
        })?;
        self.pressure(f)?;
        self.tasks(f)?;
        f.write_str("</div></section>")
    }
}

impl Machine<'_> {
    fn values(&self, of: impl Fn(&GaugeSample) -> Option<f64>) -> Vec<(Timestamp, f64)> {
        let moments = self.moments.iter();
        moments
            .filter_map(|moment| Some((moment.at, of(moment)?)))
            .collect()
    }

    /// Something that there is a total of.
    fn amount(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        total: &str,
        of: impl Fn(&GaugeSample) -> Option<f64>,
    ) -> fmt::Result {
        let (values, total) = (self.values(of), self.metrics.gauge(total));
        let now = values.last().map(|(_, value)| Bytes(*value).to_string());
        let legend = total.map_or_else(String::new, |total| {
            format!("<span class=quiet>of {}</span>", Bytes(total))
        });
        let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let line = Line {
            class: "a",
            is_filled: true,
            values,
        };
        self.figure(f, title, now, &legend, total.unwrap_or(most), vec![line])
    }

    fn pressure(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut legend = String::new();
        let mut lines = Vec::new();
        let (mut now, mut top) = (None, 0.1_f64);
        for (index, class) in ["a", "b", "c"].into_iter().enumerate() {
            let values = self.values(|moment| moment.pressure[index]);
            let Some((_, last)) = values.last() else {
                continue;
            };
            now = Some(f64::max(now.unwrap_or(0.0), *last));
            top = values.iter().map(|(_, value)| *value).fold(top, f64::max);
            let percent = last * 100.0;
            legend += &format!(
                "<span class={class}>{} {percent:.0} %</span>",
                RESOURCES[index]
            );
            lines.push(Line {
                class,
                is_filled: false,
                values,
            });
        }
        let now = now.map(|share| format!("{:.0} %", share * 100.0));
        self.figure(f, "Waiting for cpu, io, memory", now, &legend, top, lines)
    }

    fn tasks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values(|moment| moment.tasks);
        let now = values.last().map(|(_, count)| format!("{count:.0}"));
        let top = values.iter().map(|(_, count)| *count).fold(1.0, f64::max);
        let legend = format!("<span class=quiet>at most {top:.0}</span>");
        let line = Line {
            class: "a",
            is_filled: true,
            values,
        };
        self.figure(f, "Tasks", now, &legend, top, vec![line])
    }

    fn figure(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        now: Option<String>,
        legend: &str,
        top: f64,
        lines: Vec<Line>,
    ) -> fmt::Result {
        let value = now.as_deref().unwrap_or("unknown");
        let label = format!("{title} over the last hour, now {value}");
        let plot = Plot {
            title: &label,
            top,
            now: self.now,
            lines,
        };
        write!(
            f,
            "<figure><figcaption>{title}<b>{value}</b>{legend}</figcaption>{plot}</figure>"
        )
    }
}

/// What a collector has, in the order in which it would go.
pub(super) struct Caches<'a>(pub(super) Option<&'a CollectionPlan>);

impl Display for Caches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(explanation) = self.0 else {
            return Ok(());
        };
        let resources = &explanation.resources;
        let disk: u64 = resources.iter().map(|it| it.footprint.disk.known()).sum();
        write!(
            f,
            "<section id=caches data-live><h2>Caches <span class=count>{}</span>\
             <span class=quiet>{} on disk</span></h2>",
            resources.len(),
            Bytes(disk as f64),
        )?;
        if explanation.shortages.is_empty() {
            f.write_str("<p class=quiet>All limits are kept, so nothing has to go.</p>")?;
        }
        for shortage in &explanation.shortages {
            write!(f, "<p class=problem>{}</p>", Escaped(shortage))?;
        }
        for skipped in &explanation.skipped {
            write!(f, "<p class=quiet>{}</p>", Escaped(skipped))?;
        }
        if resources.is_empty() {
            return f.write_str("<p class=empty>Nothing is cached.</p></section>");
        }
        f.write_str(
            "<table><thead><tr><th>what<th>to make again<th class=n>disk<th class=n>memory\
             <th>what a collection would do<tbody>",
        )?;
        resources
            .iter()
            .take(RESOURCES_SHOWN)
            .try_for_each(|it| resource(f, it))?;
        f.write_str("</table>")?;
        if let Some(more @ 1..) = resources.len().checked_sub(RESOURCES_SHOWN) {
            write!(f, "<p class=quiet>and {more} more</p>")?;
        }
        f.write_str("</section>")
    }
}

fn resource(f: &mut fmt::Formatter<'_>, resource: &PlannedResource) -> fmt::Result {
    let class = match resource.action {
        PlannedAction::Evict(_) | PlannedAction::Disposing => "running",
        PlannedAction::Quarantined(_) => "bad",
        _ => "idle",
    };
    let footprint = resource.footprint;
    write!(
        f,
        "<tr><td>{}<td>{}<td class=n>{}<td class=n>{}<td><span class=\"dot {class}\"></span>{}",
        Escaped(&resource.name),
        Escaped(resource.class),
        size(footprint.disk),
        size(footprint.memory),
        Escaped(resource.action),
    )
}

fn size(size: Size) -> String {
    match size {
        Size::None => "–".to_owned(),
        Size::Known(bytes) => Bytes(bytes as f64).to_string(),
        Size::Unknown => "?".to_owned(),
    }
}

/// What went wrong last.
pub(super) struct Incidents<'a> {
    pub(super) list: &'a [Arc<Incident>],
    pub(super) now: Timestamp,
}

impl Display for Incidents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(
            f,
            "<section id=incidents data-live><h2>Incidents <span class=count>{count}</span></h2>"
        )?;
        if self.list.is_empty() {
            return f.write_str("<p class=empty>Nothing was reported.</p></section>");
        }
        for incident in self.list {
            self.one(f, incident)?;
        }
        f.write_str("</section>")
    }
}

impl Incidents<'_> {
    fn one(&self, f: &mut fmt::Formatter<'_>, incident: &Incident) -> fmt::Result {
        let (class, severity) = match incident.severity {
            Severity::Error => ("bad", "error"),
            Severity::Warning => ("warn", "warning"),
        };
        let time = Time {
            at: incident.at,
            now: self.now,
        };
        write!(
            f,
            "<article class=incident><p><span class=\"chip {class}\">{severity}</span><b>{}</b>{time}</p><ol>",
            Escaped(&incident.context),
        )?;
        for cause in &incident.errors {
            write!(f, "<li>{}", Escaped(&cause.message))?;
        }
        write!(f, "</ol><p class=quiet><code>{}</code>", incident.id)?;
        if !incident.prefix.is_empty() {
            write!(f, "<span>{}</span>", Escaped(&incident.prefix))?;
        }
        for (name, value) in &incident.tags {
            write!(f, "<span>{}={}</span>", Escaped(name), Escaped(value))?;
        }
        f.write_str("</p></article>")
    }
}

/// What ran last.
pub(super) struct Finished<'a> {
    pub(super) list: &'a [FinishedTask],
    pub(super) now: Timestamp,
}

impl Display for Finished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<section id=finished data-live><h2>Finished tasks</h2>")?;
        if self.list.is_empty() {
            return f.write_str("<p class=empty>No task has finished yet.</p></section>");
        }
        f.write_str("<table><thead><tr><th>task<th>name<th>came to<th class=n>took<th>at<tbody>")?;
        for task in self.list {
            let class = match &*task.resolution {
                "completed" => "good",
                "failed" => "bad",
                _ => "warn",
            };
            write!(
                f,
                "<tr><td><code>{}/{}</code><td>{}<td><span class=\"dot {class}\"></span>{}<td class=n>{}<td>{}",
                Escaped(&task.task_id),
                task.run_id,
                Escaped(&task.name),
                Escaped(&task.resolution),
                Span(task.resolved.duration_since(task.claimed)),
                Time {
                    at: task.resolved,
                    now: self.now
                },
            )?;
        }
        f.write_str("</table></section>")
    }
}
