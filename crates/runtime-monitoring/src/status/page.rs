//! The sources of the status page.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::webhook::Handler;
use runtime_gc::CollectionPlan;
use runtime_ioext::log::Redactor;

use super::health::Health;
use super::history::GaugeHistory;
use super::overview::TaskOverview;
use crate::incidents::RecentIncidents;
use crate::metrics::Metrics;
use crate::setup::MonitoringParts;

type CollectionPlanFn = Arc<dyn Fn() -> CollectionPlan + Send + Sync>;

/// The status page of a worker and its health checks. See [the module](super) for the paths.
#[derive(Clone)]
pub struct StatusPage {
    /// The name of the worker, shown as title.
    pub(super) worker: String,
    pub(super) start: Timestamp,
    pub(super) metrics: Metrics,
    pub(super) redactor: Redactor,
    pub(super) incidents: RecentIncidents,
    pub(super) tasks: TaskOverview,
    pub(super) health: Health,
    pub(super) history: GaugeHistory,
    pub(super) collection_plan: Option<CollectionPlanFn>,
    pub(super) capacity: Option<usize>,
    pub(super) root_url: Option<String>,
}

impl StatusPage {
    /// Creates a page for the worker with this name. Tasks, health, history and caches are empty until set.
    #[must_use]
    pub fn new(worker: impl Into<String>, monitoring: &MonitoringParts) -> Self {
        Self {
            worker: worker.into(),
            start: Timestamp::now(),
            metrics: monitoring.metrics.clone(),
            redactor: monitoring.redactor.clone(),
            incidents: monitoring.incidents.clone(),
            tasks: TaskOverview::default(),
            health: Health::new(),
            history: GaugeHistory::new(),
            collection_plan: None,
            capacity: None,
            root_url: None,
        }
    }

    /// Sets the tasks to show.
    #[must_use]
    pub fn tasks(mut self, tasks: TaskOverview) -> Self {
        self.tasks = tasks;
        self
    }

    /// Sets the health that `/healthz` and `/readyz` report.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// Sets the history to plot.
    #[must_use]
    pub fn history(mut self, history: GaugeHistory) -> Self {
        self.history = history;
        self
    }

    /// Shows the resources of a collector and its plan for them, such as from
    /// [`GarbageCollector::explain`](runtime_gc::GarbageCollector::explain).
    #[must_use]
    pub fn collector(
        mut self,
        explain: impl Fn() -> CollectionPlan + Send + Sync + 'static,
    ) -> Self {
        self.collection_plan = Some(Arc::new(explain));
        self
    }

    /// Shows the number of tasks that the worker runs concurrently.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Links tasks to their pages in the deployment with this root URL.
    #[must_use]
    pub fn root_url(mut self, root_url: impl Into<String>) -> Self {
        let root_url = root_url.into();
        self.root_url = Some(root_url.trim_end_matches('/').to_owned());
        self
    }

    /// Returns a handler for `/metrics`, `/healthz` and `/readyz` alone, which show neither tasks nor logs.
    ///
    /// Monitoring systems need paths that are the same after each start of the worker, whereas the page is at a path that
    /// tasks on the same machine cannot guess.
    #[must_use]
    pub fn to_probe_handler(&self) -> Arc<dyn Handler> {
        Arc::new(MonitoringPaths(self.clone()))
    }

    /// Returns the handler to attach to a web hook server.
    #[must_use]
    pub fn into_handler(self) -> Arc<dyn Handler> {
        Arc::new(self)
    }
}

/// The paths of a status page that monitoring systems request.
#[derive(Debug)]
pub(super) struct MonitoringPaths(pub(super) StatusPage);

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
