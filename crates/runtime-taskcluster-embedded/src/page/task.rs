//! The page of a task: its runs, its artifacts, the end of its log, its definition.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use percent_encoding::utf8_percent_encode;

use super::html::{Escaped, badge, relative, section, size, span};
use super::{Page, log};
use crate::definition::Definition;
use crate::services::queue::downloads::{Found, find};
use crate::services::s3::sign::PATH;
use crate::shared::Shared;
use crate::state::artifact::{Artifact, ArtifactKind};
use crate::state::task::{RunStatus, TaskStatus};

/// What the page needs to know, taken under the lock.
struct View {
    status: TaskStatus,
    definition: Arc<Definition>,
    artifacts: Vec<(u32, Artifact)>,
}

pub(super) async fn page(shared: &Shared, task_id: &str) -> Page {
    let Some(view) = shared.read(|state| {
        let task = state.tasks.get(task_id)?;
        let artifacts = task.artifacts.iter();
        Some(View {
            status: task.status(),
            definition: Arc::clone(&task.definition),
            artifacts: artifacts
                .map(|((run_id, _), artifact)| (*run_id, artifact.clone()))
                .collect(),
        })
    }) else {
        return Page::missing("task");
    };
    let now = shared.now();
    let metadata = |name: &str| view.definition.metadata[name].as_str().unwrap_or_default();
    let definition = serde_json::to_string_pretty(&*view.definition).unwrap_or_default();
    let content = [
        head(&view, metadata("name"), metadata("description"), now),
        runs(&view.status, now),
        artifacts(shared, &view, now),
        last_log(shared, &view).await,
        format!(
            "<section><h2>Definition</h2><details><summary>as the queue has it</summary>\
             <pre>{}</pre></details></section>",
            Escaped(definition)
        ),
    ];
    Page {
        status: StatusCode::OK,
        title: metadata("name").to_owned(),
        content: content.concat(),
        changes: !view.status.state.is_resolved(),
    }
}

fn head(view: &View, name: &str, description: &str, now: Timestamp) -> String {
    let status = &view.status;
    let facts = [
        ("Task", format!("<code>{}</code>", status.task_id)),
        ("Queue", Escaped(&status.task_queue_id).to_string()),
        ("Priority", status.priority.to_owned()),
        ("Retries left", status.retries_left.to_string()),
        ("Created", relative(view.definition.created, now)),
        ("Deadline", relative(status.deadline, now)),
        ("Expires", relative(status.expires, now)),
        ("Scopes", view.definition.scopes.len().to_string()),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}<dd>{value}</div>"))
        .collect();
    format!(
        "<h1>{} {}</h1><p class=description>{}</p><dl class=facts>{facts}</dl>",
        Escaped(name),
        badge(status.state, status.reason_resolved()),
        Escaped(description)
    )
}

fn runs(status: &TaskStatus, now: Timestamp) -> String {
    let end = |run: &RunStatus| run.resolved.unwrap_or(now);
    let first = status.runs.first().map_or(now, |run| run.scheduled);
    let last = status.runs.last().map_or(now, end);
    let rows: Vec<_> = status
        .runs
        .iter()
        .map(|run| run_row(run, Scale { first, last }, now))
        .collect();
    section(
        "Runs",
        &[
            "Run",
            "State",
            "Made for",
            "Worker",
            "Waited",
            "Ran",
            "Claimed until",
            "",
        ],
        &rows,
        "It waits for the tasks that it depends on.",
    )
}

/// The time that the bars of all runs span.
#[derive(Clone, Copy)]
struct Scale {
    first: Timestamp,
    last: Timestamp,
}

impl Scale {
    /// Where an instant is, in percent.
    fn percent(self, at: Timestamp) -> f64 {
        let whole = self.last.duration_since(self.first).as_secs_f64();
        let part = at.duration_since(self.first).as_secs_f64();
        (100.0 * part / whole.max(0.001)).clamp(0.0, 100.0)
    }

    /// A part of a bar.
    fn bar(self, class: &str, from: Timestamp, to: Timestamp) -> String {
        let (from, to) = (self.percent(from), self.percent(to));
        format!(
            "<i class={class} style=\"left:{from:.2}%;width:{:.2}%\"></i>",
            to - from
        )
    }
}

fn run_row(run: &RunStatus, scale: Scale, now: Timestamp) -> String {
    let end = run.resolved.unwrap_or(now);
    let started = run.started.unwrap_or(end);
    let length = |from: Timestamp, to: Timestamp| {
        span(Duration::try_from(to.duration_since(from)).unwrap_or_default())
    };
    let worker = run.worker_group.as_deref().zip(run.worker_id.as_deref());
    let worker = worker.map(|(group, id)| Escaped(format_args!("{group}/{id}")).to_string());
    let ran = run.started.map(|started| length(started, end));
    let taken = run.taken_until.filter(|_| run.resolved.is_none());
    format!(
        "<td class=number>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=bars>{}{}",
        run.run_id,
        badge(run.state, run.reason_resolved),
        run.reason_created,
        worker.unwrap_or_default(),
        length(run.scheduled, started),
        ran.unwrap_or_default(),
        taken.map(|until| relative(until, now)).unwrap_or_default(),
        scale.bar("pending", run.scheduled, started),
        scale.bar(super::html::name_of(run.state), started, end),
    )
}

fn artifacts(shared: &Shared, view: &View, now: Timestamp) -> String {
    let rows: Vec<_> = view
        .artifacts
        .iter()
        .map(|(run_id, artifact)| {
            artifact_row(shared, &view.status.task_id, *run_id, artifact, now)
        })
        .collect();
    section(
        "Artifacts",
        &["Artifact", "Run", "Kind", "Content type", "Size", "Expires"],
        &rows,
        "None so far.",
    )
}

fn artifact_row(
    shared: &Shared,
    task_id: &str,
    run_id: u32,
    artifact: &Artifact,
    now: Timestamp,
) -> String {
    // What a link stands for, if it is there.
    let found = find(shared, task_id, Some(run_id), &artifact.name, |_| Ok(())).ok();
    let name = Escaped(&artifact.name);
    // Only what a browser can follow becomes a link: the URL of a reference is the task's own text.
    let url = found
        .as_ref()
        .and_then(|found| found.url(shared, now))
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    let mut cell = match url {
        Some(url) => format!("<a href=\"{}\">{name}</a>", Escaped(url)),
        None => name.to_string(),
    };
    if found
        .as_ref()
        .is_some_and(|found| log::is_text(&found.artifact))
    {
        let path = utf8_percent_encode(&artifact.name, PATH);
        cell.push_str(&format!(
            " <a class=look href=\"/tasks/{task_id}/{run_id}/{path}\">look</a>"
        ));
    }
    let stored = found.and_then(|found| stored_size(shared, &found));
    format!(
        "<td>{cell}<td class=number>{run_id}<td>{}<td>{}<td class=number>{}<td>{}",
        kind(artifact),
        Escaped(&artifact.content_type),
        stored.map(size).unwrap_or_default(),
        relative(artifact.expires, now)
    )
}

fn kind(artifact: &Artifact) -> String {
    let kind = artifact.kind.storage_type();
    match &artifact.kind {
        ArtifactKind::Link { artifact } => format!("{kind} to {}", Escaped(artifact)),
        ArtifactKind::Error { reason, message } => {
            format!("{kind}, {}: {}", Escaped(reason), Escaped(message))
        }
        ArtifactKind::Object {
            finished: false, ..
        } => format!("{kind}, not finished"),
        _ => kind.to_owned(),
    }
}

/// How many bytes are stored, compressed or not.
fn stored_size(shared: &Shared, found: &Found) -> Option<u64> {
    let key = found.key()?;
    shared.read(|state| state.store.get(&key).map(|blob| blob.len))
}

/// The end of the log of the last run, if it has left one.
async fn last_log(shared: &Shared, view: &View) -> String {
    let Some(run) = view.status.runs.last() else {
        return String::new();
    };
    let mut logs: Vec<_> = view
        .artifacts
        .iter()
        .filter(|(run_id, artifact)| {
            *run_id == run.run_id && log::is_log(artifact) && artifact.is_visible()
        })
        .map(|(_, artifact)| &artifact.name)
        .collect();
    // The log of the whole task has the shortest name of those that end so.
    logs.sort_by_key(|name| (!name.ends_with("live_backing.log"), name.len()));
    for name in logs {
        if let Some(tail) = log::tail(shared, &view.status.task_id, run.run_id, name).await {
            return format!(
                "<section><h2>End of <span class=name>{}</span></h2>{}</section>",
                Escaped(name),
                tail.to_html()
            );
        }
    }
    String::new()
}
