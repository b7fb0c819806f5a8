//! The front page: how many tasks are where, queues, workers, faults, and the latest tasks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;

use super::Page;
use super::html::{Escaped, badge, in_query, name_of, relative, section};
use crate::shared::Shared;
use crate::state::State;
use crate::state::task::{Task, TaskState};
use crate::state::workers::{Worker, WorkerName};

/// How many tasks a page shows.
const SHOWN: usize = 100;
/// How many workers it shows, those that asked last.
const WORKERS: usize = 20;

const STATES: [TaskState; 6] = [
    TaskState::Unscheduled,
    TaskState::Pending,
    TaskState::Running,
    TaskState::Completed,
    TaskState::Failed,
    TaskState::Exception,
];

/// Which tasks the page shows.
#[derive(Debug, Default)]
pub(super) struct Filter {
    queue: Option<String>,
    state: Option<String>,
    page: usize,
}

impl Filter {
    pub(super) fn of(query: &[(String, String)]) -> Self {
        let value = |name| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        Self {
            queue: value("queue"),
            state: value("state"),
            page: value("page")
                .and_then(|page| page.parse().ok())
                .unwrap_or(0),
        }
    }

    fn shows(&self, task: &Task) -> bool {
        let queue = self.queue.as_ref();
        let state = self.state.as_ref();
        queue.is_none_or(|queue| *queue == task.definition.task_queue_id)
            && state.is_none_or(|state| state == name_of(task.state()))
    }

    /// A link to the same with another state, or to another page.
    fn link(&self, state: Option<&str>, page: usize) -> String {
        let mut link = String::from("/?");
        let pairs = [("queue", self.queue.as_deref()), ("state", state)];
        for (name, value) in pairs {
            if let Some(value) = value {
                link.push_str(&format!("{name}={}&amp;", in_query(value)));
            }
        }
        link.push_str(&format!("page={page}"));
        link
    }
}

pub(super) fn page(shared: &Shared, filter: &Filter) -> Page {
    let now = shared.now();
    let content = shared.read(|state| {
        let mut tasks: Vec<&Task> = state
            .tasks
            .values()
            .filter(|task| filter.shows(task))
            .collect();
        tasks.sort_by_key(|task| (Reverse(task.definition.created), task.id.clone()));
        format!(
            "{}<div class=pair>{}{}</div>{}",
            counts(state, filter),
            queues(state),
            workers(state, now),
            tasks_section(&tasks, filter, now)
        )
    });
    Page {
        status: StatusCode::OK,
        title: "Embedded Taskcluster".to_owned(),
        content: format!("{content}{}", faults(shared)),
        changes: true,
    }
}

/// A tile for each state; a click shows the tasks of that state.
fn counts(state: &State, filter: &Filter) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in state.tasks.values() {
        *counts.entry(name_of(task.state())).or_default() += 1;
    }
    let tiles = STATES.map(|state| {
        let name = name_of(state);
        let chosen = filter.state.as_deref() == Some(name);
        let link = filter.link((!chosen).then_some(name), 0);
        let class = if chosen { "tile chosen" } else { "tile" };
        let count = counts.get(name).copied().unwrap_or_default();
        format!("<a class=\"{class} {name}\" href=\"{link}\"><b>{count}</b>{name}</a>")
    });
    format!("<nav class=tiles>{}</nav>", tiles.concat())
}

fn queues(state: &State) -> String {
    let mut queues: Vec<_> = state.queues.iter().collect();
    queues.sort_by_key(|(name, _)| *name);
    let rows: Vec<_> = queues
        .into_iter()
        .map(|(name, queue)| {
            format!(
                "<td><a href=\"/?queue={}\">{}</a><td class=number>{}<td class=number>{}<td class=number>{}",
                in_query(name),
                Escaped(name),
                queue.len(),
                queue.claimed,
                state.workers.of_queue(name).count()
            )
        })
        .collect();
    section(
        "Queues",
        &["Queue", "Pending", "Running", "Workers"],
        &rows,
        "No task has been created and no worker has asked for one.",
    )
}

fn workers(state: &State, now: Timestamp) -> String {
    let mut workers: Vec<_> = state.workers.iter().collect();
    workers.sort_by_key(|(_, name, worker)| (Reverse(worker.last_active), *name));
    let rows: Vec<_> = workers
        .into_iter()
        .take(WORKERS)
        .map(|(queue, name, worker)| worker_row(queue, name, worker, now))
        .collect();
    section(
        "Workers",
        &["Worker", "Asked", "Last claim", ""],
        &rows,
        "No worker has asked for tasks yet.",
    )
}

fn worker_row(queue: &str, (group, id): &WorkerName, worker: &Worker, now: Timestamp) -> String {
    let last = worker.recent.back().map(|(task_id, run_id)| {
        format!("<a href=\"/tasks/{task_id}\"><code>{task_id}</code></a><br><span class=soft>run {run_id}</span>")
    });
    let note = match worker.is_quarantined(now) {
        true => "<span class=\"badge exception\">quarantined</span>",
        false => "",
    };
    format!(
        "<td>{}<br><span class=soft>{}</span><td>{}<td>{}<td>{note}",
        Escaped(format_args!("{group}/{id}")),
        Escaped(queue),
        relative(worker.last_active, now),
        last.unwrap_or_default()
    )
}

fn tasks_section(tasks: &[&Task], filter: &Filter, now: Timestamp) -> String {
    let first = filter.page.saturating_mul(SHOWN).min(tasks.len());
    let shown = &tasks[first..tasks.len().min(first + SHOWN)];
    let rows: Vec<_> = shown.iter().map(|task| task_row(task, now)).collect();
    let title = match &filter.queue {
        Some(queue) => format!("Tasks of {queue}"),
        None => "Tasks".to_owned(),
    };
    let table = section(
        &title,
        &["Task", "Queue", "State", "Runs", "Created"],
        &rows,
        "No tasks.",
    );
    let mut links = Vec::new();
    if filter.page > 0 {
        let link = filter.link(filter.state.as_deref(), filter.page - 1);
        links.push(format!("<a href=\"{link}\">later tasks</a>"));
    }
    if first + SHOWN < tasks.len() {
        let link = filter.link(filter.state.as_deref(), filter.page + 1);
        links.push(format!("<a href=\"{link}\">earlier tasks</a>"));
    }
    if filter.queue.is_some() || filter.state.is_some() {
        links.push("<a href=\"/\">all tasks</a>".to_owned());
    }
    format!("{table}<p class=links>{}</p>", links.join(""))
}

fn task_row(task: &Task, now: Timestamp) -> String {
    let reason = task.runs.last().and_then(|run| run.status.reason_resolved);
    let name = task.definition.metadata["name"].as_str();
    format!(
        "<td><a href=\"/tasks/{id}\">{}</a><br><code>{id}</code><td>{}<td>{}<td class=number>{}<td>{}",
        Escaped(name.unwrap_or_default()),
        Escaped(&task.definition.task_queue_id),
        badge(task.state(), reason),
        task.runs.len(),
        relative(task.definition.created, now),
        id = task.id
    )
}

/// The injected faults; nothing if there are none.
fn faults(shared: &Shared) -> String {
    let rows: Vec<_> = shared
        .faults
        .list()
        .into_iter()
        .map(|(rule, hits)| {
            let rule = serde_json::to_string(&rule).unwrap_or_default();
            format!("<td><code>{}</code><td class=number>{hits}", Escaped(rule))
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => section("Injected faults", &["Rule", "Struck"], &rows, ""),
    }
}
