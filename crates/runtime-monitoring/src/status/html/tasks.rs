//! Running and finished tasks.

use jiff::Timestamp;
use maud::{Markup, html};

use super::units::{DurationDisplay, time};
use super::{RunningTaskView, terminal};
use crate::status::overview::{FinishedTask, HeldTaskState};
use crate::status::page::StatusPage;

pub(super) fn running(page: &StatusPage, tasks: &[RunningTaskView], now: Timestamp) -> Markup {
    html! {
        section #running data-live {
            h2 {
                "Running tasks "
                span.count {
                    (tasks.len())
                    @if let Some(capacity) = page.capacity { " of " (capacity) }
                }
            }
            @if tasks.is_empty() { p.empty { "No running tasks." } }
            @for task in tasks { (card(page, task, now)) }
        }
    }
}

/// Renders the id of a run, linked to the page of its task.
fn run_id(page: &StatusPage, task_id: &str, run_id: u32) -> Markup {
    let id = html! { code { (task_id) "/" (run_id) } };
    html! {
        @if let Some(root_url) = &page.root_url {
            a href={ (root_url) "/tasks/" (task_id) } { (id) }
        } @else { (id) }
    }
}

fn card(page: &StatusPage, view: &RunningTaskView, now: Timestamp) -> Markup {
    let RunningTaskView { task, log_tail } = view;
    let (state, since) = match (task.state, task.started) {
        (HeldTaskState::Running, Some(started)) => ("running", started),
        _ => ("claimed", task.claimed),
    };
    let path = format!("{}/{}", task.task_id, task.run_id);
    html! {
        article.task {
            h3 { (task.name) }
            p {
                span class={ "chip " (state) } { (state) }
                (run_id(page, &task.task_id, task.run_id))
                span.quiet { (state) " for " (DurationDisplay(now.duration_since(since))) }
                @if let Some(url) = &task.live_log {
                    a.live-log href=(url) { "live log" }
                }
            }
            @if let Some(tail) = log_tail {
                pre.log data-log={ "tasks/" (path) "/log.html" } data-offset=(tail.end) { (terminal::render(&tail.text)) }
            }
        }
    }
}

pub(super) fn finished(page: &StatusPage, tasks: &[FinishedTask], now: Timestamp) -> Markup {
    html! {
        section #finished data-live {
            h2 { "Finished tasks" }
            @if tasks.is_empty() {
                p.empty { "No finished tasks." }
            } @else {
                table {
                    thead {
                        tr { th { "task" } th { "name" } th { "resolution" } th.n { "duration" } th { "at" } }
                    }
                    tbody { @for task in tasks { (row(page, task, now)) } }
                }
            }
        }
    }
}

fn row(page: &StatusPage, task: &FinishedTask, now: Timestamp) -> Markup {
    let class = match &*task.resolution {
        "completed" => "good",
        "failed" => "bad",
        _ => "warn",
    };
    html! {
        tr {
            td { (run_id(page, &task.task_id, task.run_id)) }
            td { (task.name) }
            td { span class={ "dot " (class) } {} (task.resolution) }
            td.n { (DurationDisplay(task.resolved.duration_since(task.claimed))) }
            td { (time(task.resolved, now)) }
        }
    }
}
