//! Caches that outlive a task, and inputs that are fetched once.

mod kept;
mod payload;
mod purge;
mod task;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_caching::{Cache, Sharing, Uncommitted};
use runtime_core::purge_cache::PurgeCache;
use runtime_core::{Environment, MalformedPayloadError, Section, TaskError, TemporaryStorage};
use runtime_fetcher::{Combine, Fetcher, HttpClient};
use runtime_gc::CostClass;
use serde::Deserialize as _;
use serde_json::Value;

use super::exit_status::ExitPayload;
use crate::payload::schema_of;
use crate::{NoObserver, Observer, Plugin, TaskPlugin, TaskRun};
use kept::Kept;
use payload::{Mount, Payload};
use purge::Purger;
use task::TaskMounts;

/// Reads `mounts`: named caches, which one task at a time uses, and inputs, which all tasks share.
///
/// Caches live as long as this plugin and are freed by the collector when room is needed. A named
/// cache is used again only after a task that ended by itself: what a task that was stopped left in
/// it may be half-written.
#[derive(Clone)]
pub struct Mounts {
    shared: Arc<Shared>,
    purger: Option<Arc<Purger>>,
    observer: Arc<dyn Observer>,
}

/// What all tasks use together.
struct Shared {
    http: HttpClient,
    fetcher: Combine,
    inputs: Cache<String, Kept>,
    named: Cache<String, Kept>,
    storage: TemporaryStorage,
}

impl Mounts {
    /// Makes empty caches in the storage of `environment`, which its collector may free. Inputs come over `http`.
    #[must_use]
    pub fn new(http: HttpClient, environment: &Environment) -> Self {
        let storage = environment.storage.clone();
        let resources = &environment.resources;
        let exclusive = Sharing::Exclusive(Uncommitted::Dispose);
        let new_named = {
            let storage = storage.clone();
            move |_: String, _| {
                std::future::ready(Kept::create(&storage, "cache", CostClass::Expensive))
            }
        };
        let no_reference = |key: String, _| {
            std::future::ready(Err::<Kept, _>(format!(
                "`{key}` was required without a reference"
            )))
        };
        let shared = Shared {
            http,
            fetcher: Combine::standard(),
            inputs: Cache::new("inputs", Sharing::Shared, no_reference, resources.clone()),
            named: Cache::new("named", exclusive, new_named, resources.clone()),
            storage,
        };
        Self {
            shared: Arc::new(shared),
            purger: None,
            observer: Arc::new(NoObserver),
        }
    }

    /// Tells `observer` how fetches go.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Asks `service` before each task that mounts a named cache which of those of the pool must go.
    ///
    /// A service that is away costs a task nothing but a line in its log.
    #[must_use]
    pub fn purges(
        mut self,
        service: Arc<dyn PurgeCache>,
        worker_pool_id: impl Into<String>,
    ) -> Self {
        self.purger = Some(Arc::new(Purger::new(service, worker_pool_id.into())));
        self
    }

    /// Checks one mount, whose shape the schema has checked.
    fn check_mount(&self, place: usize, mount: &Value) -> Result<(), MalformedPayloadError> {
        let Ok(mount) = payload::RawMount::deserialize(mount) else {
            return Ok(());
        };
        Mount::try_from(mount)
            .and_then(|mount| self.check_content(&mount))
            .map_err(|message| {
                MalformedPayloadError::new(format!("`payload.mounts.{place}`: {message}"))
            })
    }

    fn check_content(&self, mount: &Mount) -> Result<(), String> {
        if let Mount::Content { content, .. } = mount {
            self.shared
                .fetcher
                .check(content)
                .map_err(|error| format!("`content`: {error}"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Plugin for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<Payload>())
    }

    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let mounts = payload["mounts"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate();
        let errors = mounts.filter_map(|(place, mount)| self.check_mount(place, mount).err());
        MalformedPayloadError::merge(errors).map_or(Ok(()), Err)
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Caches and inputs",
            "
            An entry of `mounts` is a cache, `{cacheName, directory}`, or an input, `{content, file}`.
            A cache keeps what is in the folder for later tasks that name it. An input is fetched once
            and shared; `content` is `{url, sha256}`, `{taskId, artifact}`, `{namespace, artifact}` or
            `{raw}`. Paths are relative to the folder of the task.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let mounts = run
            .payload_as::<Payload>()?
            .mounts
            .into_iter()
            .map(Mount::try_from);
        let mounts: Vec<Mount> = mounts
            .collect::<Result<_, _>>()
            .map_err(MalformedPayloadError::new)?;
        if mounts.is_empty() {
            return Ok(None);
        }
        let purge_after = run.payload_as::<ExitPayload>()?.on_exit_status.purge_caches;
        let task = TaskMounts::new(
            run.clone(),
            Arc::clone(&self.shared),
            self.purger.clone(),
            Arc::clone(&self.observer),
            mounts,
            purge_after,
        );
        Ok(Some(Box::new(task)))
    }
}

impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounts").finish_non_exhaustive()
    }
}
