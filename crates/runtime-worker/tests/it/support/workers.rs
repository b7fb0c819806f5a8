//! The workers of the test bed.

use std::sync::Arc;

use runtime_core::clock::Clock;
use runtime_core::{LifeCycleTracker, Monitor};
use runtime_gc::ResourceTracker;
use runtime_worker::plugins::MountsBuilder;
use runtime_worker::{Engine, WorkerBuilder};

use super::TestBed;
use super::settings::{WorkerParts, process_engine, with_plugins};

impl TestBed {
    fn parts(&self) -> WorkerParts {
        WorkerParts {
            clock: Arc::new(self.taskcluster.clock()),
            hooks: self.hooks.clone(),
            ..WorkerParts::default()
        }
    }

    fn base_worker(&self, parts: WorkerParts) -> WorkerBuilder {
        let worker = self.settings().worker_from(parts);
        worker.observer(Arc::new(self.reports.clone()))
    }

    /// Returns the default worker, with the clock of the queue.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        with_plugins(self.base_worker(self.parts()))
    }

    /// Returns the default worker with the default retries of the client.
    pub(crate) fn worker_with_default_client(&self) -> WorkerBuilder {
        with_plugins(self.base_worker(WorkerParts {
            client: runtime_client::ClientSettings::default(),
            ..self.parts()
        }))
    }

    /// Returns a second worker.
    pub(crate) fn other_worker(&self) -> WorkerBuilder {
        self.worker_number(1, Arc::new(process_engine()))
    }

    pub(crate) fn worker_number(&self, number: usize, engine: Arc<dyn Engine>) -> WorkerBuilder {
        with_plugins(self.base_worker(WorkerParts {
            number,
            engine,
            ..self.parts()
        }))
    }

    /// Returns the default worker with a monitor.
    pub(crate) fn worker_with_monitor(&self, monitor: Monitor) -> WorkerBuilder {
        with_plugins(self.base_worker(WorkerParts {
            monitor,
            ..self.parts()
        }))
    }

    /// Returns a worker without plugins, with a monitor.
    pub(crate) fn worker_with_engine(
        &self,
        engine: Arc<dyn Engine>,
        monitor: Monitor,
    ) -> WorkerBuilder {
        self.base_worker(WorkerParts {
            engine,
            monitor,
            ..self.parts()
        })
    }

    /// Returns a worker without plugins.
    pub(crate) fn worker_without_plugins(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        self.base_worker(WorkerParts {
            engine,
            ..self.parts()
        })
    }

    /// Returns a worker without plugins, with a quota of its storage.
    pub(crate) fn worker_with_engine_and_quota(
        &self,
        engine: Arc<dyn Engine>,
        quota: Option<u64>,
    ) -> WorkerBuilder {
        self.base_worker(WorkerParts {
            engine,
            quota,
            ..self.parts()
        })
    }

    /// Returns a worker without plugins, whose environment stops it with `stop`.
    pub(crate) fn stoppable_worker_without_plugins(
        &self,
        engine: Arc<dyn Engine>,
        stop: &LifeCycleTracker,
    ) -> WorkerBuilder {
        self.base_worker(WorkerParts {
            engine,
            stop: stop.clone(),
            ..self.parts()
        })
    }

    /// Returns the default worker, whose environment stops it with `stop`.
    pub(crate) fn stoppable_worker(&self, stop: &LifeCycleTracker) -> WorkerBuilder {
        with_plugins(self.stoppable_worker_without_plugins(Arc::new(process_engine()), stop))
    }

    /// Returns the default worker with another clock, which its client uses, too.
    pub(crate) fn worker_with_clock(&self, clock: Arc<dyn Clock>) -> WorkerBuilder {
        let mut parts = self.parts();
        parts.client.clock = Arc::clone(&clock);
        with_plugins(self.base_worker(WorkerParts { clock, ..parts }))
    }

    /// Returns the default worker with `Mounts`.
    pub(crate) async fn worker_with_mounts(&self) -> WorkerBuilder {
        self.worker_with_mounts_from(self.mounts()).await
    }

    /// Returns the default worker with `Mounts` and a resource tracker.
    pub(crate) async fn worker_with_resources(&self, resources: ResourceTracker) -> WorkerBuilder {
        let mounts = self.mounts().open(resources.clone()).await;
        let parts = WorkerParts {
            resources,
            ..self.parts()
        };
        with_plugins(self.base_worker(parts)).plugin(mounts.expect("access the folder"))
    }

    /// Returns the default worker with `Mounts` and a storage quota.
    pub(crate) async fn worker_with_quota(&self, quota: u64) -> WorkerBuilder {
        let mounts = self.mounts().open(self.collector.tracker()).await;
        let parts = WorkerParts {
            quota: Some(quota),
            ..self.parts()
        };
        with_plugins(self.base_worker(parts)).plugin(mounts.expect("access the folder"))
    }

    /// Returns the default worker with `Mounts` from this builder.
    pub(crate) async fn worker_with_mounts_from(&self, mounts: MountsBuilder) -> WorkerBuilder {
        // Resources that an earlier worker has purged keep the root locked until they are removed.
        self.collector.collect().await;
        let mounts = mounts.open(self.collector.tracker()).await;
        with_plugins(self.base_worker(self.parts())).plugin(mounts.expect("access the folder"))
    }

    pub(crate) fn mounts(&self) -> MountsBuilder {
        self.settings().mounts()
    }
}
