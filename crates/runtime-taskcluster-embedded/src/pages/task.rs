//! The page of a task: runs, artifacts, the end of the log, the definition.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::utf8_percent_encode;
use runtime_core::util::ByteSize;

use super::components::{HtmlPage, badge, relative_time, section};
use super::log;
use super::runs::runs;
use crate::context::ServerContext;
use crate::definition::Definition;
use crate::services::queue::found_artifact::FoundArtifact;
use crate::services::s3::presign::PATH_ESCAPES;
use crate::state::artifact::{ArtifactKind, DeclaredArtifact};
use crate::state::task::TaskSnapshot;

/// The data of the page, copied under the lock.
struct TaskView {
    status: TaskSnapshot,
    definition: Arc<Definition>,
    /// With their run ids.
    artifacts: Vec<(u32, DeclaredArtifact)>,
}

impl TaskView {
    fn load(context: &ServerContext, task_id: &str) -> Option<Self> {
        context.read(|state| {
            let task = state.tasks.get(task_id).ok()??;
            let artifacts = task.runs.iter().flat_map(|run| {
                let run_id = run.status.run_id;
                let artifacts = state.artifacts.of_run(task_id, run_id);
                artifacts.map(move |artifact| (run_id, artifact.clone()))
            });
            Some(Self {
                status: task.status(),
                definition: Arc::clone(&task.definition),
                artifacts: artifacts.collect(),
            })
        })
    }

    fn metadata(&self, name: &str) -> &str {
        self.definition.metadata[name].as_str().unwrap_or_default()
    }
}

pub(super) async fn page(context: &ServerContext, task_id: &str) -> HtmlPage {
    let Some(task) = TaskView::load(context, task_id) else {
        return HtmlPage::not_found("task");
    };
    let now = context.now();
    let definition = serde_json::to_string_pretty(&*task.definition).unwrap_or_default();
    let last_log = last_log(context, &task).await;
    let content = html! {
        (head(&task, now))
        (runs(&task.status, now))
        (artifacts(context, &task, now))
        (last_log)
        section {
            h2 { "Definition" }
            details {
                summary { "as stored in the queue" }
                pre { (definition) }
            }
        }
    };
    HtmlPage {
        status: StatusCode::OK,
        title: task.metadata("name").to_owned(),
        content,
        may_change: !task.status.state.is_resolved(),
    }
}

fn head(task: &TaskView, now: Timestamp) -> Markup {
    let status = &task.status;
    let facts = [
        ("Task", html! { code { (status.task_id) } }),
        ("Queue", html! { (status.task_queue_id) }),
        ("Priority", html! { (status.priority) }),
        ("Retries left", html! { (status.retries_left) }),
        ("Created", relative_time(task.definition.created, now)),
        ("Deadline", relative_time(status.deadline, now)),
        ("Expires", relative_time(status.expires, now)),
        ("Scopes", html! { (task.definition.scopes.len()) }),
    ];
    html! {
        h1 { (task.metadata("name")) " " (badge(&status.state, status.reason_resolved())) }
        p.description { (task.metadata("description")) }
        dl.facts { @for (name, value) in &facts { div { dt { (name) } dd { (value) } } } }
    }
}

fn artifacts(context: &ServerContext, task: &TaskView, now: Timestamp) -> Markup {
    let task_id = &task.status.task_id;
    let artifacts = task.artifacts.iter();
    let rows: Vec<_> = artifacts
        .map(|(run_id, artifact)| artifact_row(context, task_id, *run_id, artifact, now))
        .collect();
    section(
        "Artifacts",
        &["Artifact", "Run", "Kind", "Content type", "Size", "Expires"],
        &rows,
        "No artifacts.",
    )
}

fn artifact_row(
    context: &ServerContext,
    task_id: &str,
    run_id: u32,
    artifact: &DeclaredArtifact,
    now: Timestamp,
) -> Markup {
    // The target of a link. `None` if it does not exist.
    let found = FoundArtifact::find(context, task_id, Some(run_id), &artifact.name, |_| Ok(()));
    let found = found.ok();
    // The URL of a reference is text of the task: `javascript:` URLs do not become links.
    let url = found
        .as_ref()
        .and_then(|found| found.url(context, now))
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    let is_text = found
        .as_ref()
        .is_some_and(|found| log::is_text(&found.artifact));
    let path = utf8_percent_encode(&artifact.name, PATH_ESCAPES);
    let size = found.and_then(|found| stored_size(context, &found));
    html! {
        td {
            @if let Some(url) = url { a href=(url) { (artifact.name) } } @else { (artifact.name) }
            @if is_text {
                " "
                a.view href={ "/tasks/" (task_id) "/" (run_id) "/" (path) } { "view" }
            }
        }
        td.number { (run_id) }
        td { (kind(artifact)) }
        td { (artifact.content_type) }
        td.number { @if let Some(size) = size { (ByteSize(size).to_string()) } }
        td { (relative_time(artifact.expires, now)) }
    }
}

fn kind(artifact: &DeclaredArtifact) -> String {
    let storage_type = artifact.kind.storage_type();
    match &artifact.kind {
        ArtifactKind::Link { artifact } => format!("{storage_type} to {artifact}"),
        ArtifactKind::Error { reason, message } => format!("{storage_type}, {reason}: {message}"),
        ArtifactKind::Object {
            finished: false, ..
        } => format!("{storage_type}, not finished"),
        _ => storage_type.to_owned(),
    }
}

/// Returns the size of the stored content, which may be compressed.
fn stored_size(context: &ServerContext, found: &FoundArtifact) -> Option<u64> {
    let key = found.key()?;
    context.read(|state| state.blobs.get(&key).map(|blob| blob.len))
}

/// Renders the end of the log of the last run, if it has one.
async fn last_log(context: &ServerContext, task: &TaskView) -> Markup {
    let Some(run) = task.status.runs.last() else {
        return html! {};
    };
    let mut logs: Vec<_> = task
        .artifacts
        .iter()
        .filter(|(run_id, artifact)| {
            *run_id == run.run_id && log::is_log(artifact) && artifact.is_visible()
        })
        .map(|(_, artifact)| &artifact.name)
        .collect();
    // `live_backing.log` is the log of a worker. Otherwise the shortest name is most likely the log
    // of the whole task.
    logs.sort_by_key(|name| (!name.ends_with("live_backing.log"), name.len()));
    for name in logs {
        if let Some(tail) = log::read_tail(context, &task.status.task_id, run.run_id, name).await {
            return html! {
                section {
                    h2 { "End of " span.name { (name) } }
                    (tail.render())
                }
            };
        }
    }
    html! {}
}
