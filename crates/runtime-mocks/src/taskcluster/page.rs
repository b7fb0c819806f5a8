//! Pages for people who would rather look: queues and tasks, and one page a task.

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use hyper::Response;
use jiff::Timestamp;

use super::body::{self, Body};
use super::services::queue::downloads::Found;
use super::shared::Shared;
use super::state::artifact::{Artifact, ArtifactKind};
use super::state::task::{RunStatus, Task, TaskStatus};
use super::time::millis;

/// How many tasks the front page shows.
const SHOWN: usize = 200;

/// The page at that path, if there is one.
pub(crate) fn answer(shared: &Shared, path: &str) -> Option<Response<Body>> {
    match path.strip_prefix("/tasks/") {
        None if path == "/" => Some(html(StatusCode::OK, "Embedded Taskcluster", &front(shared))),
        None => None,
        Some(task_id) => Some(match task(shared, task_id) {
            Some(content) => html(StatusCode::OK, task_id, &content),
            None => html(
                StatusCode::NOT_FOUND,
                "No such task",
                "<p>There is no such task.</p>",
            ),
        }),
    }
}

fn html(status: StatusCode, title: &str, content: &str) -> Response<Body> {
    let title = Escaped(title);
    let page = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <meta http-equiv=refresh content=5><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>{content}</body></html>"
    );
    let mut response = Response::new(body::full(page));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

const STYLE: &str = "body{font:15px sans-serif;margin:2em;max-width:80em}\
    table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:left;vertical-align:top}\
    pre{background:#f4f4f4;padding:1em;overflow:auto}\
    .completed{color:#080}.failed,.exception{color:#b00}.running{color:#06c}";

/// Text that is safe in HTML, also in attributes.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A table with a head, of rows that are HTML already.
fn table(head: &[&str], rows: impl Iterator<Item = String>) -> String {
    let head: String = head.iter().map(|name| format!("<th>{name}")).collect();
    let rows: String = rows.map(|row| format!("<tr>{row}")).collect();
    format!("<table><tr>{head}{rows}</table>")
}

fn front(shared: &Shared) -> String {
    let (queues, mut tasks) = shared.read(|state| {
        let queues: Vec<_> = state
            .queues
            .iter()
            .map(|(name, queue)| (name.clone(), queue.len(), queue.claimed))
            .collect();
        let tasks: Vec<_> = state.tasks.values().map(summary).collect();
        (queues, tasks)
    });
    tasks.sort_by_key(|(created, ..)| std::cmp::Reverse(*created));
    let queues = table(
        &["Queue", "Pending", "Running"],
        queues.iter().map(|(name, pending, running)| {
            format!("<td>{}<td>{pending}<td>{running}", Escaped(name))
        }),
    );
    let shown = table(
        &["Task", "Name", "Queue", "State", "Runs"],
        tasks
            .iter()
            .take(SHOWN)
            .map(|(_, name, status)| task_row(name, status)),
    );
    let count = tasks.len();
    format!(
        "<p>It is {} here.</p><h2>Queues</h2>{queues}<h2>Tasks</h2><p>{count} in all, the last {SHOWN} are shown.</p>{shown}",
        millis(shared.now())
    )
}

fn summary(task: &Task) -> (Timestamp, String, TaskStatus) {
    let name = task.definition.metadata["name"]
        .as_str()
        .unwrap_or_default();
    (task.definition.created, name.to_owned(), task.status())
}

fn task_row(name: &str, status: &TaskStatus) -> String {
    let id = &status.task_id;
    format!(
        "<td><a href=\"/tasks/{id}\"><code>{id}</code></a><td>{}<td>{}<td>{}<td>{}",
        Escaped(name),
        Escaped(&status.task_queue_id),
        state(status.runs.last(), status),
        status.runs.len()
    )
}

fn state(run: Option<&RunStatus>, status: &TaskStatus) -> String {
    let state = format!("{:?}", run.map_or(status.state, |run| run.state)).to_lowercase();
    let reason = run
        .and_then(|run| run.reason_resolved)
        .filter(|reason| *reason != state);
    let reason = reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    format!("<span class={state}>{state}{reason}</span>")
}

fn task(shared: &Shared, task_id: &str) -> Option<String> {
    let (status, definition, artifacts) = shared.read(|state| {
        let task = state.tasks.get(task_id)?;
        let artifacts: Vec<_> = task
            .artifacts
            .iter()
            .map(|((run, _), artifact)| (*run, artifact.clone()))
            .collect();
        Some((task.status(), Arc::clone(&task.definition), artifacts))
    })?;
    let runs = table(
        &["Run", "State", "Created as", "Worker", "Started", "Ended"],
        status.runs.iter().map(|run| run_row(run, &status)),
    );
    let files = table(
        &["Run", "Artifact", "Kind", "Content type", "Expires"],
        artifacts
            .into_iter()
            .map(|(run, artifact)| artifact_row(shared, task_id, run, artifact)),
    );
    let definition = serde_json::to_string_pretty(&*definition).unwrap_or_default();
    Some(format!(
        "<p><a href=\"/\">All tasks</a></p><p>{}, {} retries left</p><h2>Runs</h2>{runs}\
         <h2>Artifacts and logs</h2>{files}<h2>Definition</h2><pre>{}</pre>",
        state(status.runs.last(), &status),
        status.retries_left,
        Escaped(definition)
    ))
}

fn run_row(run: &RunStatus, status: &TaskStatus) -> String {
    let instant = |at: Option<Timestamp>| at.map(millis).unwrap_or_default();
    let worker =
        [&run.worker_group, &run.worker_id].map(|part| part.as_deref().unwrap_or_default());
    format!(
        "<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
        run.run_id,
        state(Some(run), status),
        run.reason_created,
        Escaped(worker.join(" ")),
        instant(run.started),
        instant(run.resolved)
    )
}

fn artifact_row(shared: &Shared, task_id: &str, run_id: u32, artifact: Artifact) -> String {
    let mut name = Escaped(&artifact.name).to_string();
    let (kind, content_type) = (
        artifact.kind.storage_type(),
        Escaped(&artifact.content_type).to_string(),
    );
    let note = match &artifact.kind {
        ArtifactKind::Link { artifact } => format!(" to {}", Escaped(artifact)),
        ArtifactKind::Error { message, .. } => format!(": {}", Escaped(message)),
        _ => String::new(),
    };
    let expires = millis(artifact.expires);
    let found = Found {
        task_id: task_id.to_owned(),
        run_id,
        artifact,
    };
    // Only what a browser can follow becomes a link: the URL of a reference is the task's own text.
    let url = found
        .url(shared, shared.now())
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    if let Some(url) = url {
        name = format!("<a href=\"{}\">{name}</a>", Escaped(url));
    }
    format!("<td>{run_id}<td>{name}<td>{kind}{note}<td>{content_type}<td>{expires}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_tasks_cannot_break_out_of_the_page() {
        let text = Escaped("<script>\"'&").to_string();
        assert_eq!(text, "&lt;script&gt;&quot;&#39;&amp;");
    }
}
