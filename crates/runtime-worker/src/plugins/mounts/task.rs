//! The mounts of one task.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use runtime_caching::{FolderHandle, Lookup, NewFolder, Uncommitted};
use runtime_core::{TaskError, error_chain};
use runtime_fetcher::{CachedInput, FetchContext};

use super::Shared;
use super::payload::{CacheMount, InputMount, Mount};
use super::progress::Arrival;
use crate::{Exit, Resolution, ResultSet, SandboxBuilder, TaskPlugin, TaskRun, Verdict};

/// The mounts of one task, from the payload to the end.
pub(super) struct TaskMounts {
    run: TaskRun,
    shared: Arc<Shared>,
    wanted_caches: Vec<CacheMount>,
    wanted_inputs: Vec<InputMount>,
    /// Exit codes that say that the caches are spoiled.
    purge_after: Vec<i32>,
    caches: Vec<HeldCache>,
    inputs: Vec<HeldInput>,
    fate: Fate,
}

/// A cache that the task has to itself, and where it appears.
struct HeldCache {
    handle: FolderHandle<String>,
    directory: String,
}

/// An input that stays for as long as the task runs, and where it appears.
struct HeldInput {
    input: CachedInput,
    target: String,
}

/// What becomes of the caches when the task gives them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The task has not seen them, so they are as they were.
    Untouched,
    /// The task may be in the middle of changing them.
    InUse,
    /// The task has ended by itself, and they are fit for the next one.
    Fit,
    /// The task has ended, and they are not.
    Spoiled,
}

impl TaskMounts {
    pub(super) fn new(
        run: TaskRun,
        shared: Arc<Shared>,
        mounts: Vec<Mount>,
        purge_after: Vec<i32>,
    ) -> Self {
        let (mut wanted_caches, mut wanted_inputs) = (Vec::new(), Vec::new());
        for mount in mounts {
            match mount {
                Mount::Cache(cache) => wanted_caches.push(cache),
                Mount::Input(input) => wanted_inputs.push(input),
            }
        }
        Self {
            run,
            shared,
            wanted_caches,
            wanted_inputs,
            purge_after,
            caches: Vec::new(),
            inputs: Vec::new(),
            fate: Fate::Untouched,
        }
    }

    /// Drops caches that somebody wants gone, before this task could get them.
    async fn purge(&self) {
        let Some(purger) = &self.shared.purger else {
            return;
        };
        let now = self.run.environment.clock.now();
        match purger.purge(&self.shared.caches, now).await {
            Ok(0) => {}
            Ok(purged) => self.run.monitor().count("caches-purged", purged as u64),
            Err(error) => self.run.context.log(format_args!(
                "Caches may be used that somebody wants purged, since nobody can be asked: {}",
                error_chain(&error)
            )),
        }
    }

    async fn hold_cache(&self, wanted: &CacheMount) -> Result<HeldCache, TaskError> {
        let empty = |_: NewFolder| ready(Ok::<_, Infallible>(()));
        let handle = self.shared.caches.require(&wanted.name, empty).await;
        let handle = handle.map_err(|error| match error.is_disk_full() {
            true => TaskError::unavailable(error),
            false => TaskError::other(error),
        })?;
        self.note(&wanted.name, handle.lookup());
        Ok(HeldCache {
            handle,
            directory: wanted.directory.clone(),
        })
    }

    async fn hold_input(&self, wanted: &InputMount) -> Result<HeldInput, TaskError> {
        let (shared, task) = (&self.shared, &self.run.context);
        let context = FetchContext::for_task(shared.http.clone(), task)
            .with_listener(Arrival::new(&self.run, &shared.observer));
        let reference = shared.fetcher.resolve(&context, &wanted.content).await?;
        let required = shared.inputs.require(&context, &reference, wanted.form);
        let input = required.await?;
        self.note(&reference.subject(), input.lookup());
        Ok(HeldInput {
            input,
            target: wanted.target.clone(),
        })
    }

    fn note(&self, what: &str, lookup: Lookup) {
        let hit = lookup != Lookup::Miss;
        self.run.record.add_cache_use(hit);
        let (counter, found) = match hit {
            true => ("cache-hits", "is in the cache"),
            false => ("cache-misses", "was not in the cache"),
        };
        self.run.monitor().count(counter, 1);
        self.run.context.log(format_args!("{what} {found}"));
    }

    fn fate_after(&self, exit: Exit) -> Fate {
        match exit {
            Exit::Code(code) if self.purge_after.contains(&code) => Fate::Spoiled,
            Exit::Code(_) => Fate::Fit,
            // Ended by a signal: nobody knows what state the caches are in.
            _ => Fate::InUse,
        }
    }

    /// Gives everything back, once.
    async fn give_back(&mut self) {
        self.inputs.clear();
        let fate = self.fate;
        // All are polled at once, and what has begun goes on: so none is lost if the task is stopped now.
        let caches = self.caches.drain(..);
        let ended = join_all(caches.map(|cache| end(cache.handle, fate))).await;
        for error in ended.into_iter().filter_map(Result::err) {
            self.run
                .monitor()
                .report_warning(&error, "a cache is lost, because it cannot be recorded");
        }
    }
}

async fn end(handle: FolderHandle<String>, fate: Fate) -> Result<(), runtime_caching::CommitError> {
    match (fate, handle.lookup()) {
        (Fate::Fit, _) | (Fate::Untouched, Lookup::Hit) => handle.commit().await,
        (Fate::Spoiled, _) => {
            handle.poison();
            Ok(())
        }
        // What is given back without a word goes the way that the cache was told.
        (Fate::InUse | Fate::Untouched, _) => Ok(()),
    }
}

#[async_trait]
impl TaskPlugin for TaskMounts {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        // Inputs first: a fetch may fail, and while it runs the caches are there for others.
        let inputs = self.wanted_inputs.iter().map(|it| self.hold_input(it));
        self.inputs = try_join_all(inputs).await?;
        if !self.wanted_caches.is_empty() {
            self.purge().await;
        }
        for wanted in &self.wanted_caches {
            let held = self.hold_cache(wanted).await?;
            self.caches.push(held);
        }
        Ok(())
    }

    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        for held in &self.inputs {
            builder.attach_copy(held.input.path(), &held.target)?;
        }
        for cache in &self.caches {
            builder.attach_folder(cache.handle.path(), &cache.directory)?;
        }
        self.fate = Fate::InUse;
        Ok(())
    }

    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.fate = self.fate_after(result.exit());
        let is_lost = match self.fate {
            Fate::Spoiled => true,
            Fate::InUse => self.shared.uncommitted == Uncommitted::Dispose,
            Fate::Untouched | Fate::Fit => false,
        };
        for cache in self.caches.iter().filter(|_| is_lost) {
            let name = cache.handle.key();
            self.run
                .context
                .log(format_args!("The cache `{name}` is not used again"));
        }
        // Others may still read what is in the caches, such as artifacts, so they are given back later.
        Ok(Verdict::Success)
    }

    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        self.give_back().await;
        Ok(())
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        self.give_back().await;
        Ok(())
    }

    async fn dispose(mut self: Box<Self>) {
        self.give_back().await;
    }
}
