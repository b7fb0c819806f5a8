//! The overview: task counts, queues, workers, recent tasks and injected faults.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runtime_core::queue::TaskState;

use super::components::{HtmlPage, badge, relative_time, section};
use crate::context::ServerContext;
use crate::request::find_value;
use crate::state::State;
use crate::state::pending::PendingQueue;
use crate::state::task::Task;
use crate::state::tasks::TaskSummary;
use crate::state::workers::{QueueWorker, QueueWorkerKey};

const TASKS_PER_PAGE: usize = 100;
/// The number of workers to show, those that were active last.
const MAX_WORKERS: usize = 20;

const STATES: [TaskState; 6] = [
    TaskState::Unscheduled,
    TaskState::Pending,
    TaskState::Running,
    TaskState::Completed,
    TaskState::Failed,
    TaskState::Exception,
];

/// The selection of tasks to show.
#[derive(Debug, Default)]
pub(super) struct TaskFilter {
    queue: Option<String>,
    state: Option<String>,
    page: usize,
}

impl TaskFilter {
    pub(super) fn from_query(query: &[(String, String)]) -> Self {
        let value = |name| find_value(query, name).map(str::to_owned);
        let page = find_value(query, "page").and_then(|page| page.parse().ok());
        Self {
            queue: value("queue"),
            state: value("state"),
            page: page.unwrap_or(0),
        }
    }

    fn selects(&self, task: &TaskSummary<'_>) -> bool {
        let (queue, state) = (self.queue.as_ref(), self.state.as_ref());
        queue.is_none_or(|queue| queue == task.task_queue_id)
            && state.is_none_or(|state| state == task.state.as_str())
    }

    /// Returns a link to the same queue with another state or page.
    fn link(&self, state: Option<&str>, page: usize) -> String {
        let mut link = String::from("/?");
        for (name, value) in [("queue", self.queue.as_deref()), ("state", state)] {
            if let Some(value) = value {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                link.push_str(&format!("{name}={value}&"));
            }
        }
        link.push_str(&format!("page={page}"));
        link
    }
}

pub(super) fn page(context: &ServerContext, filter: &TaskFilter) -> HtmlPage {
    let now = context.now();
    let content = context.read(|state| {
        // Rendered under the lock, which is cheaper than a copy of all tasks.
        let tasks = state.tasks.summaries();
        let mut tasks: Vec<_> = tasks.filter(|task| filter.selects(task)).collect();
        tasks.sort_unstable_by_key(|task| (Reverse(task.created), task.id));
        html! {
            (state_counts(state, filter))
            div.pair { (queues(state)) (workers(state, now)) }
            (tasks_section(state, &tasks, filter, now))
        }
    });
    HtmlPage {
        status: StatusCode::OK,
        title: "Embedded Taskcluster".to_owned(),
        content: html! { (content) (faults(context)) },
        may_change: true,
    }
}

/// Renders a tile for each state, which toggles the filter for it.
fn state_counts(state: &State, filter: &TaskFilter) -> Markup {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in state.tasks.summaries() {
        *counts.entry(task.state.to_string()).or_default() += 1;
    }
    html! {
        nav.tiles {
            @for state in &STATES {
                @let name = state.as_str();
                @let is_chosen = filter.state.as_deref() == Some(name);
                @let class = if is_chosen { "tile chosen" } else { "tile" };
                @let link = filter.link((!is_chosen).then_some(name), 0);
                a class={ (class) " " (name) } href=(link) {
                    b { (counts.get(name).copied().unwrap_or_default()) }
                    (name)
                }
            }
        }
    }
}

fn queues(state: &State) -> Markup {
    let mut queues: Vec<_> = state.queues.iter().collect();
    queues.sort_by_key(|(name, _)| *name);
    let row = |(name, queue): (&String, &_)| queue_row(state, name, queue);
    let rows: Vec<_> = queues.into_iter().map(row).collect();
    section(
        "Queues",
        &["Queue", "Pending", "Running", "Workers"],
        &rows,
        "No tasks created and no workers connected.",
    )
}

fn queue_row(state: &State, name: &str, queue: &PendingQueue) -> Markup {
    html! {
        td {
            a href={ "/?queue=" (utf8_percent_encode(name, NON_ALPHANUMERIC)) } { (name) }
        }
        td.number { (queue.len()) }
        td.number { (queue.claimed) }
        td.number { (state.workers.of_queue(name).count()) }
    }
}

fn workers(state: &State, now: Timestamp) -> Markup {
    let mut workers: Vec<_> = state.workers.iter().collect();
    workers.sort_by_key(|(key, worker)| (Reverse(worker.last_active), *key));
    let rows: Vec<_> = workers
        .into_iter()
        .take(MAX_WORKERS)
        .map(|(key, worker)| worker_row(key, worker, now))
        .collect();
    section(
        "Workers",
        &["Worker", "Last active", "Last claim", ""],
        &rows,
        "No workers have asked for tasks.",
    )
}

fn worker_row((queue, group, id): &QueueWorkerKey, worker: &QueueWorker, now: Timestamp) -> Markup {
    html! {
        td { (group) "/" (id) br; span.soft { (queue) } }
        td { (relative_time(worker.last_active, now)) }
        td {
            @if let Some((task_id, run_id)) = worker.recent_tasks.back() {
                a href={ "/tasks/" (task_id) } { code { (task_id) } }
                br;
                span.soft { "run " (run_id) }
            }
        }
        td {
            @if worker.is_quarantined(now) { span.badge.exception { "quarantined" } }
        }
    }
}

fn tasks_section(
    state: &State,
    tasks: &[TaskSummary<'_>],
    filter: &TaskFilter,
    now: Timestamp,
) -> Markup {
    let first = filter.page.saturating_mul(TASKS_PER_PAGE).min(tasks.len());
    let end = tasks.len().min(first + TASKS_PER_PAGE);
    let rows: Vec<_> = tasks[first..end]
        .iter()
        .filter_map(|task| Some(task_row(&*state.tasks.get(task.id).ok()??, now)))
        .collect();
    let title = match &filter.queue {
        Some(queue) => format!("Tasks of {queue}"),
        None => "Tasks".to_owned(),
    };
    let columns = ["Task", "Queue", "State", "Runs", "Created"];
    let wanted = filter.state.as_deref();
    html! {
        (section(&title, &columns, &rows, "No tasks."))
        p.links {
            @if filter.page > 0 {
                a href=(filter.link(wanted, filter.page - 1)) { "later tasks" }
            }
            @if end < tasks.len() {
                a href=(filter.link(wanted, filter.page + 1)) { "earlier tasks" }
            }
            @if filter.queue.is_some() || wanted.is_some() {
                a href="/" { "all tasks" }
            }
        }
    }
}

fn task_row(task: &Task, now: Timestamp) -> Markup {
    let reason = task.runs.last().and_then(|run| run.status.reason_resolved);
    let name = task.definition.metadata["name"].as_str();
    html! {
        td {
            a href={ "/tasks/" (task.id) } { (name.unwrap_or_default()) }
            br;
            code { (task.id) }
        }
        td { (task.definition.task_queue_id) }
        td { (badge(&task.state(), reason)) }
        td.number { (task.runs.len()) }
        td { (relative_time(task.definition.created, now)) }
    }
}

/// Renders the injected faults, if there are any.
fn faults(context: &ServerContext) -> Markup {
    let rules = context.faults.list().into_iter();
    let rows: Vec<_> = rules
        .map(|(rule, hits)| {
            let rule = serde_json::to_string(&rule).unwrap_or_default();
            html! { td { code { (rule) } } td.number { (hits) } }
        })
        .collect();
    html! {
        @if !rows.is_empty() { (section("Injected faults", &["Rule", "Hits"], &rows, "")) }
    }
}
