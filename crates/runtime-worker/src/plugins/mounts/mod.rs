//! Caches that outlive a task, and inputs that are fetched once.

mod builder;
mod payload;
mod progress;
mod purge;
mod task;

pub use builder::MountsBuilder;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_caching::{FolderCache, Uncommitted};
use runtime_core::{MalformedPayloadError, Section, TaskError, TaskInfo};
use runtime_fetcher::{FetchCache, Fetcher, HttpClient};
use serde::Deserialize as _;
use serde_json::Value;

use super::exit_status::ExitPayload;
use crate::payload::schema_of;
use crate::{Observer, Plugin, TaskPlugin, TaskRun};
use payload::{Mount, Payload, RawMount};
use purge::Purger;
use task::TaskMounts;

/// Reads `mounts`: named caches, which one task at a time uses, and inputs, which all tasks share.
///
/// Both stay on disk for the next worker on the same root, and are freed by the collector when room is
/// needed. A named cache is used again only after a task that ended by itself: what a task that was stopped
/// left in it may be half-written, and so may what a worker that was killed had lent to one.
///
/// ```
/// use runtime_fetcher::{FetchConfig, HttpClient};
/// use runtime_gc::{GcConfig, GarbageCollector, HostStats};
/// use runtime_worker::plugins::Mounts;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(data));
/// let http = HttpClient::new(FetchConfig::default())?;
/// let mounts = Mounts::builder(http, data.join("mounts"))
///     .cache_scopes("my-worker:cache:")
///     .open(collector.tracker())
///     .await?;
/// # drop(mounts);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mounts {
    shared: Arc<Shared>,
}

/// What all tasks use together.
struct Shared {
    http: HttpClient,
    fetcher: Arc<dyn Fetcher>,
    observer: Arc<dyn Observer>,
    inputs: FetchCache,
    caches: FolderCache<String>,
    purger: Option<Purger>,
    /// What the scope that a named cache takes starts with, if it takes one.
    scope_prefix: Option<String>,
    uncommitted: Uncommitted,
}

impl Mounts {
    /// Caches below `root`, to be [opened](MountsBuilder::open). Inputs come over `http`.
    pub fn builder(http: HttpClient, root: impl Into<PathBuf>) -> MountsBuilder {
        MountsBuilder::new(http, root.into())
    }

    /// Checks one mount, whose shape the schema has checked.
    fn check_mount(&self, mount: &Value) -> Result<(), String> {
        let Ok(raw) = RawMount::deserialize(mount) else {
            return Ok(());
        };
        match Mount::try_from(raw)? {
            Mount::Cache(_) => Ok(()),
            Mount::Input(input) => self
                .shared
                .fetcher
                .check(&input.content)
                .map_err(|error| format!("`content`: {error}")),
        }
    }
}

impl Shared {
    /// Checks that the task may use a mount.
    fn check_task(&self, task: &TaskInfo, mount: &Mount) -> Result<(), String> {
        match mount {
            Mount::Cache(cache) => {
                let Some(prefix) = &self.scope_prefix else {
                    return Ok(());
                };
                let scope = format!("{prefix}{}", cache.name);
                match task.scopes().satisfies(&scope) {
                    true => Ok(()),
                    false => Err(format!("`task.scopes` lacks `{scope}` for the cache")),
                }
            }
            Mount::Input(input) => match self.fetcher.referenced_task(&input.content) {
                Some(named) if !task.definition.dependencies.contains(&named) => Err(format!(
                    "`content` is an artifact of {named}, so `task.dependencies` has to name it: \
                     else this task may start before the artifact is there"
                )),
                _ => Ok(()),
            },
        }
    }
}

/// Names the place of each mount that something is wrong with.
fn check_all<'a, T: 'a>(
    mounts: impl IntoIterator<Item = &'a T>,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<(), MalformedPayloadError> {
    let errors = mounts.into_iter().enumerate().filter_map(|(place, mount)| {
        let message = check(mount).err()?;
        let message = format!("`payload.mounts.{place}`: {message}");
        Some(MalformedPayloadError::new(message))
    });
    MalformedPayloadError::merge(errors).map_or(Ok(()), Err)
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
        let mounts = payload["mounts"].as_array().into_iter().flatten();
        check_all(mounts, |mount| self.check_mount(mount))
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Caches and inputs",
            "
            An entry of `mounts` is a cache, `{cacheName, directory}`, or an input, `{content, file}`, or
            the contents of an archive, `{content, directory, format}`. A cache keeps what is in the folder
            for later tasks that name it, unless the task is stopped. An input is fetched once and shared;
            what the task gets is a copy of its own. `content` is `{url, sha256}`, `{taskId, artifact}`,
            `{namespace, artifact}` or `{raw}`; a task that `content` names has to be in
            `task.dependencies`. Archives are tar, tar.gz, tar.xz, tar.zst and zip, if the worker unpacks
            them. Paths are relative to the folder of the task.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let mounts = run.payload_as::<Payload>()?.mounts.into_iter();
        let mounts: Vec<Mount> = mounts
            .map(Mount::try_from)
            .collect::<Result<_, _>>()
            .map_err(MalformedPayloadError::new)?;
        if mounts.is_empty() {
            return Ok(None);
        }
        check_all(&mounts, |mount| {
            self.shared.check_task(run.context.info(), mount)
        })?;
        let purge_after = run.payload_as::<ExitPayload>()?.on_exit_status.purge_caches;
        let shared = Arc::clone(&self.shared);
        let task = TaskMounts::new(run.clone(), shared, mounts, purge_after);
        Ok(Some(Box::new(task)))
    }
}

impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounts")
            .field("caches", &self.shared.caches)
            .field("inputs", &self.shared.inputs)
            .finish_non_exhaustive()
    }
}
