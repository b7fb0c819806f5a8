//! The progress of tasks: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use runtime_core::{Run, TaskId};
use runtime_worker::observer::{Observer, TaskEvent};
use runtime_worker::report::TaskReport;
use tokio::sync::watch;

use runtime_dev_server::output;

/// An observer that shows the steps of each task.
#[derive(Debug)]
pub(crate) struct Progress {
    /// `None` if the output is not a terminal.
    bars: Option<Bars>,
    /// Whether standard output is reserved for results.
    to_stderr: bool,
    /// The names of unresolved tasks.
    names: Mutex<HashMap<Run, String>>,
    /// `None` for a worker without a summary at the end.
    reports: Option<watch::Sender<Vec<TaskReport>>>,
    /// The deployment with the pages of the tasks. `None` if it ends before a person could open them.
    root_url: Option<String>,
}

impl Progress {
    /// Creates an observer that discards the reports of resolved runs.
    pub(crate) fn new(to_stderr: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self {
            bars: (is_terminal && !to_stderr).then(Bars::default),
            to_stderr,
            names: Mutex::default(),
            reports: None,
            root_url: None,
        }
    }

    /// Keeps the reports for a summary.
    pub(crate) fn keep_reports(mut self) -> Self {
        self.reports = Some(watch::Sender::default());
        self
    }

    /// Prints the URL of the page of each claimed task.
    pub(crate) fn task_pages(mut self, root_url: &str) -> Self {
        self.root_url = Some(root_url.to_owned());
        self
    }

    /// Prints a line without disturbing the bars.
    pub(crate) fn line(&self, line: impl fmt::Display) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| output::line(line)),
            None if self.to_stderr => output::error_line(line),
            None => output::line(line),
        }
    }

    /// Waits until `count` runs are reported.
    pub(crate) async fn wait_for_reports(&self, count: usize) {
        if let Some(reports) = &self.reports {
            let mut reports = reports.subscribe();
            // The sender is in `self`, so waiting cannot fail.
            let _ = reports.wait_for(|reports| reports.len() >= count).await;
        }
    }

    /// Returns the reports so far.
    pub(crate) fn reports(&self) -> Vec<TaskReport> {
        let reports = self.reports.as_ref();
        reports.map_or_else(Vec::new, |reports| reports.borrow().clone())
    }

    fn task_line(&self, run: &Run, text: impl fmt::Display) {
        let name = self.names.lock().get(run).cloned().unwrap_or_default();
        self.line(format_args!("{} {text}", label(&name, &run.task_id)));
    }

    fn resolved(&self, report: &TaskReport) {
        if let Some(bars) = &self.bars {
            bars.remove_task(&report.run);
        }
        let (resolution, seconds) = (report.resolution, report.duration.as_secs_f64());
        self.task_line(
            &report.run,
            format_args!("{resolution} after {seconds:.2} s"),
        );
        self.names.lock().remove(&report.run);
        if let Some(reports) = &self.reports {
            reports.send_modify(|reports| reports.push(report.clone()));
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: &TaskEvent<'_>) {
        match (event, &self.bars) {
            (TaskEvent::Claimed { run, name }, bars) => {
                self.names.lock().insert((*run).clone(), (*name).to_owned());
                if let Some(bars) = bars {
                    bars.add_task(run, name);
                }
                match (&self.root_url, bars) {
                    (Some(root_url), _) => {
                        let page = format_args!("claimed: {root_url}/tasks/{}", run.task_id);
                        self.task_line(run, page);
                    }
                    (None, None) => self.task_line(run, "claimed"),
                    (None, Some(_)) => {}
                }
            }
            (TaskEvent::LiveLog { run, url }, _) => {
                self.task_line(run, format_args!("log: curl -N {url}"));
            }
            (
                TaskEvent::Fetching {
                    run,
                    subject,
                    bytes,
                    total,
                },
                Some(bars),
            ) => bars.update_fetch(run, subject, *bytes, *total),
            (TaskEvent::FetchEnded { run, subject, .. }, Some(bars)) => {
                bars.remove_fetch(run, subject);
            }
            (
                TaskEvent::FetchEnded {
                    run,
                    subject,
                    complete,
                },
                None,
            ) => {
                let result = if *complete { "fetched" } else { "not fetched:" };
                self.task_line(run, format_args!("{result} {subject}"));
            }
            (TaskEvent::Started { run }, Some(bars)) => bars.set_message(run, "running"),
            (TaskEvent::Started { run }, None) => self.task_line(run, "running"),
            (TaskEvent::Resolved(report), _) => self.resolved(report),
            _ => {}
        }
    }
}

/// Identifies a task in a line: several tasks may have the same name.
pub(crate) fn label(name: &str, task_id: &TaskId) -> String {
    format!("{name:<10} {task_id}")
}

/// A bar for each running task and each fetch.
#[derive(Debug, Default)]
struct Bars {
    all: MultiProgress,
    tasks: Mutex<HashMap<Run, ProgressBar>>,
    fetches: Mutex<HashMap<(Run, String), ProgressBar>>,
}

impl Bars {
    fn add_task(&self, run: &Run, name: &str) {
        let bar = self.all.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix} {elapsed:>4} {msg}"));
        bar.set_prefix(label(name, &run.task_id));
        bar.set_message("preparing");
        bar.enable_steady_tick(Duration::from_millis(100));
        self.tasks.lock().insert(run.clone(), bar);
    }

    fn set_message(&self, run: &Run, message: &'static str) {
        if let Some(bar) = self.tasks.lock().get(run) {
            bar.set_message(message);
        }
    }

    fn remove_task(&self, run: &Run) {
        if let Some(bar) = self.tasks.lock().remove(run) {
            bar.finish_and_clear();
        }
    }

    fn update_fetch(&self, run: &Run, subject: &str, bytes: u64, total: Option<u64>) {
        let mut fetches = self.fetches.lock();
        let bar = fetches.entry((run.clone(), subject.to_owned()));
        let bar = bar.or_insert_with(|| {
            let bar = self.all.add(ProgressBar::no_length());
            bar.set_style(style(
                "  {msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec}",
            ));
            bar.with_message(subject.to_owned())
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(bytes);
    }

    fn remove_fetch(&self, run: &Run, subject: &str) {
        let key = (run.clone(), subject.to_owned());
        if let Some(bar) = self.fetches.lock().remove(&key) {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}
