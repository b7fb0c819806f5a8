//! The page: server-rendered, so that it works without JavaScript.

use std::fmt::{self, Display};

use jiff::Timestamp;
use runtime_gc::CollectionPlan;

use super::StatusPage;
use super::board::{FinishedTask, RunningTask};
use super::handler::Tail;
use super::history::GaugeSample;
use super::html::{Escaped, Span};
use super::sections::{Caches, Finished, Incidents, Machine, Tasks};

pub(super) const STYLE: &str = include_str!("style.css");

/// Renews the live parts: everything marked `data-live`, and the logs.
pub(super) const SCRIPT: &str = include_str!("live.js");

/// The page of one moment.
pub(super) struct Page<'a> {
    pub(super) page: &'a StatusPage,
    pub(super) now: Timestamp,
    pub(super) running: Vec<RunningTask>,
    pub(super) finished: Vec<FinishedTask>,
    /// The ends of the logs of running tasks.
    pub(super) tails: Vec<Tail>,
    pub(super) explanation: Option<CollectionPlan>,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (page, now) = (self.page, self.now);
        let worker = Escaped(&page.worker);
        write!(
            f,
            "<!doctype html><html lang=en><head><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width,initial-scale=1\">\
             <title>{worker}</title><link rel=icon href=\"data:,\">\
             <link rel=stylesheet href=style.css>\
             <noscript><meta http-equiv=refresh content=10></noscript>\
             <script src=live.js defer></script></head><body><header><h1>{worker}</h1>"
        )?;
        self.chips(f)?;
        f.write_str(
            "<nav><a href=metrics>metrics</a><a href=tasks>tasks</a>\
             <a href=healthz>healthz</a><a href=readyz>readyz</a></nav></header><main>",
        )?;
        let tasks = Tasks {
            running: &self.running,
            tails: &self.tails,
            now,
        };
        write!(f, "{tasks}")?;
        let metrics = &page.metrics.snapshot();
        let mut moments = page.history.moments(now);
        moments.push(GaugeSample::new(now, metrics));
        let machine = Machine {
            metrics,
            moments: &moments,
            now,
        };
        write!(f, "{machine}")?;
        write!(f, "{}", Caches(self.explanation.as_ref()))?;
        let list = &page.incidents.list();
        write!(f, "{}", Incidents { list, now })?;
        let list = &self.finished;
        write!(f, "{}", Finished { list, now })?;
        f.write_str("</main></body></html>")
    }
}

impl Page<'_> {
    fn chips(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.page;
        f.write_str("<p id=health data-live>")?;
        let problems = page.health.problems();
        match problems.is_empty() {
            true => f.write_str("<span class=\"chip good\">alive</span>")?,
            false => f.write_str("<span class=\"chip bad\">not alive</span>")?,
        }
        match page.health.is_ready() {
            true => f.write_str("<span class=\"chip good\">ready</span>")?,
            false => f.write_str("<span class=\"chip idle\">not ready</span>")?,
        }
        let up = Span(self.now.duration_since(page.since));
        write!(f, "<span class=quiet>up {up}</span>")?;
        for problem in problems {
            write!(f, "<span class=problem>{}</span>", Escaped(problem))?;
        }
        f.write_str("</p>")
    }
}
