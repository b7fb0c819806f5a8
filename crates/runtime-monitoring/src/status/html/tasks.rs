//! Running and finished tasks.

use jiff::Timestamp;
use maud::{Markup, html};

use super::RunningTaskView;
use super::units::{Span, time};
use crate::status::overview::{FinishedTask, HeldTaskState};

pub(super) fn running(tasks: &[RunningTaskView], now: Timestamp) -> Markup {
    html! {
        section #running data-live {
            h2 { "Running tasks " span.count { (tasks.len()) } }
            @if tasks.is_empty() { p.empty { "No running tasks." } }
            @for task in tasks { (card(task, now)) }
        }
    }
}

fn card(RunningTaskView { task, log_tail }: &RunningTaskView, now: Timestamp) -> Markup {
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
                code { (path) }
                span.quiet { (state) " for " (Span(now.duration_since(since))) }
            }
            @if let Some(tail) = log_tail {
                pre.log data-log={ "tasks/" (path) "/log" } data-offset=(tail.end) { (tail.text) }
            }
        }
    }
}

pub(super) fn finished(tasks: &[FinishedTask], now: Timestamp) -> Markup {
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
                    tbody { @for task in tasks { (row(task, now)) } }
                }
            }
        }
    }
}

fn row(task: &FinishedTask, now: Timestamp) -> Markup {
    let class = match &*task.resolution {
        "completed" => "good",
        "failed" => "bad",
        _ => "warn",
    };
    html! {
        tr {
            td { code { (task.task_id) "/" (task.run_id) } }
            td { (task.name) }
            td { span class={ "dot " (class) } {} (task.resolution) }
            td.n { (Span(task.resolved.duration_since(task.claimed))) }
            td { (time(task.resolved, now)) }
        }
    }
}
