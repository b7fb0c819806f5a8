//! The status page of the worker.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use runtime_gc::{GarbageCollector, HostStats};
use runtime_monitoring::status::{GaugeHistory, Health, HistoryRecorder, StatusPage, TaskOverview};
use runtime_monitoring::{MachineGauges, MonitoringParts};
use runtime_webhook::{LocalhostServer, WebHook, WebHookServer as _};
use runtime_worker::observer::{Observer, TaskEvent};

use crate::config::Config;

/// The status page, which is served until this value is dropped.
pub(crate) struct Status {
    hook: WebHook,
    health: Health,
    _server: LocalhostServer,
    _recording: HistoryRecorder,
}

impl Status {
    /// Serves the page if the configuration has a port for it.
    pub(crate) async fn start(
        config: &Config,
        monitoring: &MonitoringParts,
        tasks: TaskOverview,
        collector: GarbageCollector,
    ) -> Result<Option<Self>> {
        let Some(port) = config.status_port else {
            return Ok(None);
        };
        let machine = MachineGauges::new(HostStats::new(&config.worker.data_folder))
            .with_redactor(monitoring.redactor.clone());
        let (health, history) = (Health::new(), GaugeHistory::new());
        let recording = history.record(machine, monitoring.metrics.clone());
        let worker = &config.worker;
        let title = format!("{} · {}", worker.task_queue_id, worker.worker_id);
        let page = StatusPage::new(title, monitoring)
            .tasks(tasks)
            .health(health.clone())
            .history(history)
            .capacity(worker.capacity)
            .root_url(&worker.root_url)
            .collector(move || collector.explain());
        let server = LocalhostServer::builder()
            .port(port)
            .fallback(page.to_probe_handler());
        let server = server.start().await;
        let server = server.context("cannot serve the status page")?;
        let hook = server.attach(page.into_handler()).await?;
        Ok(Some(Self {
            hook,
            health,
            _server: server,
            _recording: recording,
        }))
    }

    pub(crate) fn url(&self) -> String {
        self.hook.url()
    }

    /// Sets whether the worker claims tasks.
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.health.set_ready(is_ready);
    }
}

/// Passes events to the status page and to another observer.
#[derive(Debug)]
pub(crate) struct StatusObserver {
    pub(crate) tasks: TaskOverview,
    pub(crate) next: Arc<dyn Observer>,
}

impl Observer for StatusObserver {
    fn event(&self, event: &TaskEvent<'_>) {
        match event {
            TaskEvent::Claimed { run, name } => self.tasks.claimed(run, name),
            TaskEvent::LiveLog { run, url } => self.tasks.live_log(run, url),
            TaskEvent::Started { run } => self.tasks.started(run),
            TaskEvent::Resolved(report) => self.tasks.resolved(&report.run, report.resolution),
            _ => {}
        }
        self.next.event(event);
    }
}
