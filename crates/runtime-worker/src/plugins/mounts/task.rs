//! The caches and inputs of one task.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use runtime_caching::{CommitError, FolderHandle, LookupOutcome, NewFolder, Uncommitted};
use runtime_core::monitor::traced;
use runtime_core::{TaskError, error_chain};
use runtime_fetcher::{CachedInput, FetchContext};

use super::MountsShared;
use super::fetch_reporter::fetch_reporter;
use super::payload::{CacheMount, InputMount, Mount};
use crate::engine::{FolderAccess, ResultSet, SandboxBuilder};
use crate::plugin::TaskPlugin;
use crate::resolution::{Exit, Resolution, Verdict};
use crate::task_run::TaskRun;

/// Acquires the mounts of one task, attaches them to its sandbox, and releases them.
pub(super) struct TaskMounts {
    run: TaskRun,
    shared: Arc<MountsShared>,
    cache_mounts: Vec<CacheMount>,
    input_mounts: Vec<InputMount>,
    /// Exit codes after which the caches are removed.
    purge_exit_codes: Vec<i32>,
    caches: Vec<AcquiredCache>,
    inputs: Vec<AcquiredInput>,
    disposition: CacheDisposition,
}

/// A cache that the task uses exclusively, and its path in the task.
struct AcquiredCache {
    handle: FolderHandle<String>,
    target: String,
}

/// An input, pinned while the task runs, and its path in the task.
struct AcquiredInput {
    input: CachedInput,
    target: String,
}

/// The way in which the task's caches are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheDisposition {
    /// The task had no access yet: the caches are unchanged.
    Untouched,
    /// The task may have left the caches half-written: [`Uncommitted`] determines whether they are kept.
    Interrupted,
    /// The task exited with a code that does not purge caches: the caches are kept.
    Commit,
    /// The task exited with a code that purges caches: the caches are removed.
    Purge,
}

impl TaskMounts {
    pub(super) fn new(
        run: TaskRun,
        shared: Arc<MountsShared>,
        mounts: Vec<Mount>,
        purge_exit_codes: Vec<i32>,
    ) -> Self {
        let (mut cache_mounts, mut input_mounts) = (Vec::new(), Vec::new());
        for mount in mounts {
            match mount {
                Mount::Cache(cache) => cache_mounts.push(cache),
                Mount::Input(input) => input_mounts.push(input),
            }
        }
        Self {
            run,
            shared,
            cache_mounts,
            input_mounts,
            purge_exit_codes,
            caches: Vec::new(),
            inputs: Vec::new(),
            disposition: CacheDisposition::Untouched,
        }
    }

    /// Applies pending purge requests before this task can acquire a purged cache.
    async fn purge(&self) {
        let Some(purger) = &self.shared.purger else {
            return;
        };
        match purger.purge(&self.shared.caches).await {
            Ok(0) => {}
            Ok(purged) => self.run.monitor().count("caches-purged", purged as u64),
            Err(error) => self.run.context.log(format_args!(
                "Purge requests for caches are unknown, using them anyway: {}",
                error_chain(&error)
            )),
        }
    }

    async fn acquire_cache(&self, mount: &CacheMount) -> Result<AcquiredCache, TaskError> {
        let leave_empty = |_: NewFolder| ready(Ok::<_, Infallible>(()));
        let handle = self.shared.caches.require(&mount.name, leave_empty).await;
        let handle = handle.map_err(|error| {
            // A full disk is a temporary state of the machine, not a defect of the worker.
            if error.is_disk_full() {
                TaskError::unavailable(error)
            } else {
                TaskError::other(error)
            }
        })?;
        self.record_lookup(&mount.name, handle.lookup());
        Ok(AcquiredCache {
            handle,
            target: mount.target.clone(),
        })
    }

    async fn acquire_input(&self, mount: &InputMount) -> Result<AcquiredInput, TaskError> {
        let (shared, task) = (&self.shared, &self.run.context);
        let context = FetchContext::for_task(shared.http.clone(), task)
            .with_listener(fetch_reporter(&self.run, &shared.observer));
        let reference = shared.fetcher.resolve(&context, &mount.content).await?;
        let input = shared.inputs.require(&context, &reference, mount.layout);
        let input = self.run.monitor().time_async("input-duration", input);
        let attributes = || vec![("input", reference.subject())];
        let input = traced("fetch", attributes, input).await?;
        self.record_lookup(&reference.subject(), input.lookup());
        Ok(AcquiredInput {
            input,
            target: mount.target.clone(),
        })
    }

    fn record_lookup(&self, subject: &str, lookup: LookupOutcome) {
        let (counter, result) = match lookup {
            LookupOutcome::Hit => ("cache-hits", "is in the cache"),
            LookupOutcome::Joined => ("cache-hits", "was fetched for another task"),
            LookupOutcome::Miss => ("cache-misses", "was not in the cache"),
        };
        self.run.report.add_cache_use(lookup != LookupOutcome::Miss);
        self.run.monitor().count(counter, 1);
        self.run.context.log(format_args!("{subject} {result}"));
    }

    fn disposition_after(&self, exit: Exit) -> CacheDisposition {
        match exit {
            Exit::Code(code) if self.purge_exit_codes.contains(&code) => CacheDisposition::Purge,
            // The caches of failed tasks are kept too: most failures are failed tests, which do not damage a cache.
            Exit::Code(_) => CacheDisposition::Commit,
            // A signal may have interrupted a write to a cache.
            _ => CacheDisposition::Interrupted,
        }
    }

    /// Releases inputs and caches. Later calls have no effect.
    async fn release(&mut self) {
        self.inputs.clear();
        let disposition = self.disposition;
        // This future may be dropped: in `finished` when the task is stopped, in `exception` and `dispose` when their time
        // is used up. A handle dropped without `commit` counts as uncommitted. Each commit continues in the background
        // once polled, so all of them are polled concurrently rather than in sequence.
        let caches = self.caches.drain(..);
        let released = join_all(caches.map(|cache| release_cache(cache.handle, disposition))).await;
        for error in released.into_iter().filter_map(Result::err) {
            let monitor = self.run.monitor();
            monitor.report_warning(&error, "a cache is lost because it could not be committed");
        }
    }
}

async fn release_cache(
    handle: FolderHandle<String>,
    disposition: CacheDisposition,
) -> Result<(), CommitError> {
    match (disposition, handle.lookup()) {
        (CacheDisposition::Commit, _) | (CacheDisposition::Untouched, LookupOutcome::Hit) => {
            handle.commit().await
        }
        (CacheDisposition::Purge, _) => {
            handle.poison();
            Ok(())
        }
        // Dropped without a commit: the policy `Uncommitted` applies. New caches that the task never saw are among
        // them, since an empty folder is not worth keeping.
        (CacheDisposition::Interrupted | CacheDisposition::Untouched, _) => Ok(()),
    }
}

#[async_trait]
impl TaskPlugin for TaskMounts {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        // Inputs first: fetching is slow and may fail, and meanwhile other tasks can use the caches.
        let inputs = self.input_mounts.iter().map(|it| self.acquire_input(it));
        self.inputs = try_join_all(inputs).await?;
        if !self.cache_mounts.is_empty() {
            self.purge().await;
        }
        for mount in &self.cache_mounts {
            let cache = self.acquire_cache(mount).await?;
            self.caches.push(cache);
        }
        Ok(())
    }

    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        for mounted in &self.inputs {
            builder.attach_copy(mounted.input.path(), &mounted.target)?;
        }
        for cache in &self.caches {
            builder.attach_folder(cache.handle.path(), &cache.target, FolderAccess::ReadWrite)?;
        }
        // From here on the task may start at any time, and `stopped` is skipped if it is killed.
        self.disposition = CacheDisposition::Interrupted;
        Ok(())
    }

    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.disposition = self.disposition_after(result.exit());
        let is_removed = match self.disposition {
            CacheDisposition::Purge => true,
            CacheDisposition::Interrupted => self.shared.uncommitted == Uncommitted::Dispose,
            CacheDisposition::Untouched | CacheDisposition::Commit => false,
        };
        for cache in self.caches.iter().filter(|_| is_removed) {
            let (context, name) = (&self.run.context, cache.handle.key());
            context.log(format_args!("The cache `{name}` will not be reused"));
        }
        // The caches are released later: other plugins may still upload artifacts from them.
        Ok(Verdict::Success)
    }

    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        self.release().await;
        Ok(())
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        self.release().await;
        Ok(())
    }

    async fn dispose(mut self: Box<Self>) {
        self.release().await;
    }
}
