//! The HTML of the status page, rendered by the server: the page works without JavaScript.
//!
//! maud escapes every interpolated value, so text of tasks cannot become markup.

mod caches;
mod incidents;
mod machine;
mod tasks;
mod terminal;
mod units;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use runtime_gc::CollectionPlan;

pub(super) use self::terminal::render as log_lines;
use self::units::DurationDisplay;
use super::history::GaugeSample;
use super::log_excerpt::LogExcerpt;
use super::overview::{FinishedTask, RunningTask};
use super::page::StatusPage;

/// The data of the page at one time.
pub(super) struct PageContent<'a> {
    pub(super) page: &'a StatusPage,
    pub(super) now: Timestamp,
    pub(super) running: Vec<RunningTaskView>,
    pub(super) finished: Vec<FinishedTask>,
    pub(super) collection_plan: Option<CollectionPlan>,
}

/// A running task and the end of its log.
pub(super) struct RunningTaskView {
    pub(super) task: RunningTask,
    pub(super) log_tail: Option<LogExcerpt>,
}

pub(super) fn page(content: &PageContent<'_>) -> Markup {
    let (page, now) = (content.page, content.now);
    let metrics = page.metrics.snapshot();
    let mut samples = page.history.last_hour(now);
    samples.push(GaugeSample::new(now, &metrics));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (page.worker) }
                // An empty icon: browsers would otherwise request `/favicon.ico` of the server.
                link rel="icon" href="data:,";
                link rel="stylesheet" href="style.css";
                noscript { meta http-equiv="refresh" content="10"; }
                script src="live.js" defer {}
            }
            body {
                header {
                    h1 { (page.worker) }
                    (health(page, now))
                    nav {
                        @for path in ["metrics", "tasks", "healthz", "readyz"] {
                            a href=(path) { (path) }
                        }
                    }
                }
                main {
                    (tasks::running(page, &content.running, now))
                    (machine::section(&metrics, &samples, now))
                    @if let Some(plan) = &content.collection_plan { (caches::section(plan)) }
                    (incidents::section(&page.incidents.list(), now))
                    (tasks::finished(page, &content.finished, now))
                }
            }
        }
    }
}

fn health(page: &StatusPage, now: Timestamp) -> Markup {
    let problems = page.health.problems();
    html! {
        p #health data-live {
            @if problems.is_empty() { span.chip.good { "alive" } }
            @else { span.chip.bad { "not alive" } }
            @if page.health.is_ready() { span.chip.good { "ready" } }
            @else { span.chip.idle { "not ready" } }
            span.quiet { "up " (DurationDisplay(now.duration_since(page.start))) }
            @for problem in problems { span.problem { (problem) } }
        }
    }
}
