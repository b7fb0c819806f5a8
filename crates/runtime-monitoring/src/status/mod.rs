//! What a worker tells of itself over HTTP: a page, metrics, health, tasks.
//!
//! A [`StatusPage`] is a web hook handler, so that any server of web hooks gives it a URL. It shows what runs
//! and quotes logs: attach it where only operators get, such as to a server on this machine alone.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | the page: tasks with their logs, the machine over the last hour, caches, incidents |
//! | `/metrics` | the metrics in the text format of OpenMetrics |
//! | `/healthz` | 200 while the worker is alive, else 503 and why |
//! | `/readyz` | 200 while it is alive and can take tasks, else 503 and why |
//! | `/tasks` | running and finished tasks as JSON |
//! | `/tasks/<taskId>/<runId>/log?offset=N` | the log of a running task from there on, in whole lines, and where to go on in `x-next-offset` |
//!
//! # Example
//!
//! ```
//! use runtime_core::webhook::WebHookServer as _;
//! use runtime_monitoring::status::{Health, StatusPage, TaskOverview};
//! use runtime_monitoring::{MonitoringConfig, from_config};
//! use runtime_webhook::LocalhostServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = from_config(&MonitoringConfig::default());
//! let page = StatusPage::new("i-0123", &monitoring)
//!     .tasks(TaskOverview::new(&monitoring.metrics))
//!     .health(Health::new());
//! let server = LocalhostServer::start().await?;
//! let hook = server.attach(page.into_handler()).await?;
//! println!("the worker's page: {}", hook.url());
//! # drop(hook);
//! # server.stop(std::time::Duration::ZERO).await;
//! # Ok(())
//! # }
//! ```

mod board;
mod handler;
mod health;
mod history;
mod html;
mod page;
mod plot;
mod sections;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::webhook::Handler;
use runtime_gc::CollectionPlan;
use runtime_ioext::log::Redactor;

pub use self::board::{FinishedTask, RunningTask, TaskOverview, TaskState};
use self::handler::StatusHandler;
pub use self::health::{Health, Heartbeat};
pub use self::history::{History, Recording};
use crate::incidents::RecentIncidents;
use crate::metrics::Metrics;
use crate::setup::Monitoring;

type Explain = Arc<dyn Fn() -> CollectionPlan + Send + Sync>;

/// What a worker tells of itself over HTTP; see [the module](self) for the paths.
#[derive(Clone)]
pub struct StatusPage {
    /// What the worker is called.
    worker: String,
    since: Timestamp,
    metrics: Metrics,
    redactor: Redactor,
    incidents: RecentIncidents,
    tasks: TaskOverview,
    health: Health,
    history: History,
    explain: Option<Explain>,
}

impl StatusPage {
    /// Makes a page about the worker of that name. Its parts are empty until they are added.
    #[must_use]
    pub fn new(worker: impl Into<String>, monitoring: &Monitoring) -> Self {
        Self {
            worker: worker.into(),
            since: Timestamp::now(),
            metrics: monitoring.metrics.clone(),
            redactor: monitoring.redactor.clone(),
            incidents: monitoring.incidents.clone(),
            tasks: TaskOverview::default(),
            health: Health::new(),
            history: History::new(),
            explain: None,
        }
    }

    /// Shows these tasks.
    #[must_use]
    pub fn tasks(mut self, tasks: TaskOverview) -> Self {
        self.tasks = tasks;
        self
    }

    /// Answers for this health.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Plots this history.
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// Shows what a collector has and what it would free, such as by
    /// [`GarbageCollector::explain`](runtime_gc::GarbageCollector::explain).
    #[must_use]
    pub fn collector(
        mut self,
        explain: impl Fn() -> CollectionPlan + Send + Sync + 'static,
    ) -> Self {
        self.explain = Some(Arc::new(explain));
        self
    }

    /// Makes what a server of web hooks attaches.
    #[must_use]
    pub fn into_handler(self) -> Arc<dyn Handler> {
        Arc::new(StatusHandler(self))
    }
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
