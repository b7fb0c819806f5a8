//! The workers of tests.

use std::sync::Arc;

use runtime_core::clock::Clock;
use runtime_core::{LifeCycleTracker, Monitor};
use runtime_gc::ResourceTracker;
use runtime_worker::plugins::MountsBuilder;
use runtime_worker::{Engine, WorkerBuilder};

use super::Bench;
use super::settings::{Parts, process_engine, with_plugins};

/// The workers of a test.
impl Bench {
    fn parts(&self) -> Parts {
        Parts {
            clock: Arc::new(self.taskcluster.clock()),
            hooks: self.hooks.clone(),
            ..Parts::default()
        }
    }

    fn observed(&self, parts: Parts) -> WorkerBuilder {
        let worker = self.settings().worker_of(parts);
        worker.observer(Arc::new(self.reports.clone()))
    }

    /// The worker of most tests, on the clock of the queue.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        with_plugins(self.observed(self.parts()))
    }

    /// The same, whose client is as patient as outside of tests.
    pub(crate) fn worker_with_default_client(&self) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            client: runtime_client::ClientSettings::default(),
            ..self.parts()
        }))
    }

    /// Another one beside it.
    pub(crate) fn other_worker(&self) -> WorkerBuilder {
        self.worker_number(1, Arc::new(process_engine()))
    }

    pub(crate) fn worker_number(&self, number: usize, engine: Arc<dyn Engine>) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            number,
            engine,
            ..self.parts()
        }))
    }

    /// The worker of most tests, that tells what it does.
    pub(crate) fn worker_that_tells(&self, monitor: Monitor) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            monitor,
            ..self.parts()
        }))
    }

    /// One without plugins.
    pub(crate) fn worker_with(&self, engine: Arc<dyn Engine>) -> WorkerBuilder {
        self.observed(Parts {
            engine,
            ..self.parts()
        })
    }

    /// One without plugins, whose parts can stop it.
    pub(crate) fn worker_with_engine(
        &self,
        engine: Arc<dyn Engine>,
        stop: &LifeCycleTracker,
    ) -> WorkerBuilder {
        self.observed(Parts {
            engine,
            stop: stop.clone(),
            ..self.parts()
        })
    }

    /// The worker of most tests, which its parts can stop.
    pub(crate) fn worker_stopping(&self, stop: &LifeCycleTracker) -> WorkerBuilder {
        with_plugins(self.worker_with_engine(Arc::new(process_engine()), stop))
    }

    pub(crate) fn worker_with_clock(&self, clock: Arc<dyn Clock>) -> WorkerBuilder {
        with_plugins(self.observed(Parts {
            clock,
            ..self.parts()
        }))
    }

    pub(crate) fn stop_by_worker(&self) -> LifeCycleTracker {
        LifeCycleTracker::new()
    }

    /// The worker of most tests, with caches and inputs.
    pub(crate) async fn worker_with_mounts(&self) -> WorkerBuilder {
        self.worker_mounting(self.mounts()).await
    }

    /// The same, whose caches are freed by another collector.
    pub(crate) async fn worker_with_mounts_on(&self, resources: ResourceTracker) -> WorkerBuilder {
        let mounts = self.mounts().open(resources.clone()).await;
        let parts = Parts {
            resources,
            ..self.parts()
        };
        with_plugins(self.observed(parts)).plugin(mounts.expect("the folder is ours"))
    }

    /// The same, whose temporary files keep to a quota.
    pub(crate) async fn worker_with_quota(&self, quota: u64) -> WorkerBuilder {
        let mounts = self.mounts().open(self.collector.tracker()).await;
        let parts = Parts {
            quota: Some(quota),
            ..self.parts()
        };
        with_plugins(self.observed(parts)).plugin(mounts.expect("the folder is ours"))
    }

    /// The worker of most tests, with these caches and inputs.
    pub(crate) async fn worker_mounting(&self, mounts: MountsBuilder) -> WorkerBuilder {
        // What an earlier worker of the test had to remove holds the root.
        self.collector.collect().await;
        let mounts = mounts.open(self.collector.tracker()).await;
        with_plugins(self.observed(self.parts())).plugin(mounts.expect("the folder is ours"))
    }

    pub(crate) fn mounts(&self) -> MountsBuilder {
        self.settings().mounts()
    }
}
