//! Shows what happens while it happens: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use runtime::Run;
use runtime::worker::observer::{Observer, TaskEvent};
use runtime::worker::report::TaskReport;
use tokio::sync::watch;

use crate::out;

/// An observer that shows each step.
pub(crate) struct Progress {
    view: View,
    /// The runs that are not resolved yet.
    names: Mutex<HashMap<Run, String>>,
    /// `None` for a worker that runs for ever: nobody asks it for a summary.
    reports: Option<Mutex<Vec<TaskReport>>>,
    /// How many reports there have been.
    count: watch::Sender<usize>,
}

enum View {
    Bars(Bars),
    /// To standard output, or to standard error when that is kept for results.
    Lines {
        to_stderr: bool,
    },
}

impl Progress {
    /// Shows, and keeps nothing of what has ended.
    pub(crate) fn new(json: bool) -> Self {
        let on_terminal =
            !json && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let view = if on_terminal {
            View::Bars(Bars::default())
        } else {
            View::Lines { to_stderr: json }
        };
        Self {
            view,
            names: Mutex::default(),
            reports: None,
            count: watch::Sender::new(0),
        }
    }

    /// Keeps the reports for a summary.
    pub(crate) fn keeping_reports(mut self) -> Self {
        self.reports = Some(Mutex::default());
        self
    }

    /// Prints a line without disturbing the bars.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        match &self.view {
            View::Bars(bars) => bars.all.suspend(|| out::say(line)),
            View::Lines { to_stderr: true } => out::note(line),
            View::Lines { to_stderr: false } => out::say(line),
        }
    }

    /// Waits until there have been `count` reports.
    pub(crate) async fn reported(&self, count: usize) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|now| *now >= count).await;
    }

    /// The reports so far, and none of them again.
    pub(crate) fn take_reports(&self) -> Vec<TaskReport> {
        let reports = self.reports.as_ref();
        reports.map_or_else(Vec::new, |reports| std::mem::take(&mut reports.lock()))
    }

    fn name(&self, run: &Run) -> String {
        self.names
            .lock()
            .get(run)
            .cloned()
            .unwrap_or_else(|| run.to_string())
    }
}

impl Observer for Progress {
    fn event(&self, event: &TaskEvent<'_>) {
        match event {
            TaskEvent::Claimed { run, name } => {
                self.names.lock().insert((*run).clone(), (*name).to_owned());
                self.view.claimed(self, run);
            }
            TaskEvent::LiveLog { run, url } => {
                self.say(format_args!("{:<10} log: curl -N {url}", self.name(run)));
            }
            TaskEvent::Fetching {
                run,
                subject,
                bytes,
                total,
            } => self.view.fetching(run, subject, *bytes, *total),
            TaskEvent::Fetched { run, subject } => self.view.fetched(self, run, subject),
            TaskEvent::Started { run } => self.view.started(self, run),
            TaskEvent::Resolved(report) => {
                self.view.resolved(self, report);
                self.names.lock().remove(&report.run);
                if let Some(reports) = &self.reports {
                    reports.lock().push((*report).clone());
                }
                self.count.send_modify(|count| *count += 1);
            }
            _ => {}
        }
    }
}

impl View {
    fn claimed(&self, progress: &Progress, run: &Run) {
        let name = progress.name(run);
        match self {
            Self::Bars(bars) => bars.add_task(run, &name),
            Self::Lines { .. } => progress.say(format_args!("{name:<10} claimed")),
        }
    }

    fn started(&self, progress: &Progress, run: &Run) {
        match self {
            Self::Bars(bars) => bars.set_message(run, "running"),
            Self::Lines { .. } => progress.say(format_args!("{:<10} running", progress.name(run))),
        }
    }

    fn fetching(&self, run: &Run, subject: &str, bytes: u64, total: Option<u64>) {
        if let Self::Bars(bars) = self {
            bars.fetching(run, subject, bytes, total);
        }
    }

    fn fetched(&self, progress: &Progress, run: &Run, subject: &str) {
        match self {
            Self::Bars(bars) => bars.fetched(run, subject),
            Self::Lines { .. } => {
                progress.say(format_args!("{:<10} fetched {subject}", progress.name(run)))
            }
        }
    }

    fn resolved(&self, progress: &Progress, report: &TaskReport) {
        if let Self::Bars(bars) = self {
            bars.remove_task(&report.run);
        }
        let seconds = report.duration.as_secs_f64();
        progress.say(format_args!(
            "{:<10} {} after {seconds:.2} s",
            report.name, report.resolution
        ));
    }
}

/// A bar for each running task and each fetch.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    tasks: Mutex<HashMap<Run, ProgressBar>>,
    fetches: Mutex<HashMap<(Run, String), ProgressBar>>,
}

impl Bars {
    fn add_task(&self, run: &Run, name: &str) {
        let bar = self.all.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix:<10} {elapsed:>4} {msg}"));
        bar.set_prefix(name.to_owned());
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

    fn fetching(&self, run: &Run, subject: &str, bytes: u64, total: Option<u64>) {
        let mut fetches = self.fetches.lock();
        let bar = fetches
            .entry((run.clone(), subject.to_owned()))
            .or_insert_with(|| {
                let bar = self.all.add(ProgressBar::no_length());
                bar.set_style(style(
                    "  {msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec}",
                ));
                bar.set_message(subject.to_owned());
                bar
            });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(bytes);
    }

    fn fetched(&self, run: &Run, subject: &str) {
        if let Some(bar) = self
            .fetches
            .lock()
            .remove(&(run.clone(), subject.to_owned()))
        {
            bar.finish_and_clear();
        }
    }
}

/// The templates are constants, so that one that does not parse shows in the first test.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid")
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}
