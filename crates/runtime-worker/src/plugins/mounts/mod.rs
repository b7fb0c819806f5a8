//! Mounts named caches, which later tasks use again, and inputs, which are fetched once.

mod builder;
mod fetch_reporter;
mod payload;
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
use crate::engine::Capability;
use crate::observer::Observer;
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;
use payload::{Mount, Payload, RawMount};
use purge::Purger;
use task::TaskMounts;

/// Reads `mounts`: named caches, which a task uses exclusively, and inputs, which all tasks share.
///
/// Both stay on disk for the next worker with the same root folder, until the collector evicts them. A named cache is
/// removed if its task exited with a code in `onExitStatus.purgeCaches`. By default, it is also removed if its task was
/// stopped or ended by a signal, or if the worker was killed; see [`uncommitted`](MountsBuilder::uncommitted).
///
/// `onExitStatus` belongs to the plugin [`ExitStatus`](super::ExitStatus): without it, the worker rejects the key as
/// unknown.
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
    shared: Arc<MountsShared>,
}

/// The state that all tasks share.
struct MountsShared {
    http: HttpClient,
    fetcher: Arc<dyn Fetcher>,
    observer: Arc<dyn Observer>,
    inputs: FetchCache,
    caches: FolderCache<String>,
    purger: Option<Purger>,
    /// The prefix of the scope that a named cache requires, if any.
    scope_prefix: Option<String>,
    uncommitted: Uncommitted,
}

impl Mounts {
    /// Creates a builder for caches below `root`. Inputs are fetched with `http`.
    pub fn builder(http: HttpClient, root: impl Into<PathBuf>) -> MountsBuilder {
        MountsBuilder::new(http, root.into())
    }

    /// Checks one mount against the rules that the schema cannot express.
    fn check_mount(&self, mount: &Value) -> Result<(), String> {
        let Ok(raw) = RawMount::deserialize(mount) else {
            // The check of the schema reports this error with more details.
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

impl MountsShared {
    /// Checks the scope of a cache, or the dependency for an input that is an artifact.
    fn check_access(&self, task: &TaskInfo, mount: &Mount) -> Result<(), String> {
        match mount {
            Mount::Cache(cache) => {
                let Some(prefix) = &self.scope_prefix else {
                    return Ok(());
                };
                let scope = format!("{prefix}{}", cache.name);
                if task.scopes().satisfies(&scope) {
                    Ok(())
                } else {
                    Err(format!(
                        "the cache requires the scope `{scope}` in `task.scopes`"
                    ))
                }
            }
            Mount::Input(input) => match self.fetcher.referenced_task(&input.content) {
                Some(named) if !task.definition.dependencies.contains(&named) => Err(format!(
                    "`content` is an artifact of task {named}, which is missing in `task.dependencies`: \
                     without it, this task may start before the artifact exists"
                )),
                _ => Ok(()),
            },
        }
    }
}

/// Checks all mounts and returns all errors, each with the index of its mount.
fn check_all<'a, T: 'a>(
    mounts: impl IntoIterator<Item = &'a T>,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<(), MalformedPayloadError> {
    let errors = mounts.into_iter().enumerate().filter_map(|(index, mount)| {
        let message = check(mount).err()?;
        let message = format!("`payload.mounts.{index}`: {message}");
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

    fn requires(&self) -> &[Capability] {
        &[Capability::Folders, Capability::Copies]
    }

    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let mounts = payload["mounts"].as_array().into_iter().flatten();
        check_all(mounts, |mount| self.check_mount(mount))
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Caches and inputs",
            "
            An entry of `mounts` is a cache `{cacheName, directory}`, an input file `{content, file}`, or an
            unpacked archive `{content, directory, format}`. A cache keeps the files in its folder for later
            tasks that mount it, unless the task is stopped, is ended by a signal, or exits with a code in
            `onExitStatus.purgeCaches`. An input is fetched once for all tasks; each task gets a private
            copy. `content` is `{url, sha256}`, `{taskId, artifact}`, `{namespace, artifact}` or `{raw}`; a
            task in `content` has to be listed in `task.dependencies`. Archives are tar, tar.gz, tar.xz,
            tar.zst and zip, if the worker supports unpacking. Paths are relative to the folder of the task.
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
            self.shared.check_access(run.context.info(), mount)
        })?;
        let purge_exit_codes = run.payload_as::<ExitPayload>()?.on_exit_status.purge_caches;
        let shared = Arc::clone(&self.shared);
        let task = TaskMounts::new(run.clone(), shared, mounts, purge_exit_codes);
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
