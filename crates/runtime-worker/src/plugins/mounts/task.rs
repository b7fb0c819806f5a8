//! The mounts of one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use runtime_caching::{Handle, RequireError};
use runtime_core::{ExceptionReason, MalformedPayloadError, Run, TaskContext, TaskError, chain};
use runtime_fetcher::{
    FetchContext, FetchError, Fetcher as _, FileTarget, Progress, ProgressListener, Reference,
    Stage,
};
use runtime_gc::CostClass;
use serde_json::Value;

use super::Shared;
use super::kept::Kept;
use super::payload::Mount;
use super::purge::Purger;
use crate::{Exit, Observer, ResultSet, SandboxBuilder, TaskEvent, TaskPlugin, TaskRun, Verdict};

/// The mounts of one task, from the payload to the end.
pub(super) struct TaskMounts {
    run: TaskRun,
    shared: Arc<Shared>,
    purger: Option<Arc<Purger>>,
    observer: Arc<dyn Observer>,
    mounts: Vec<Mount>,
    purge_after: Vec<i32>,
    held: Vec<Held>,
}

/// What a task uses, and where it appears.
struct Held {
    handle: Handle<String, Kept>,
    target: String,
    is_input: bool,
}

impl TaskMounts {
    pub(super) fn new(
        run: TaskRun,
        shared: Arc<Shared>,
        purger: Option<Arc<Purger>>,
        observer: Arc<dyn Observer>,
        mounts: Vec<Mount>,
        purge_after: Vec<i32>,
    ) -> Self {
        Self {
            run,
            shared,
            purger,
            observer,
            mounts,
            purge_after,
            held: Vec::new(),
        }
    }

    /// Drops caches that somebody wants gone, before this task could get them.
    async fn purge(&self) {
        let named = |mount: &Mount| matches!(mount, Mount::Cache { .. });
        let Some(purger) = self
            .purger
            .as_ref()
            .filter(|_| self.mounts.iter().any(named))
        else {
            return;
        };
        let now = self.run.environment.clock.now();
        match purger.purge(&self.shared.named, now).await {
            Ok(0) => {}
            Ok(purged) => self.run.monitor().count("caches-purged", purged as u64),
            Err(error) => self.run.context.log(format_args!(
                "Caches may be used that somebody wants purged, since nobody can be asked: {}",
                chain(&error)
            )),
        }
    }

    async fn hold(&self, mount: &Mount) -> Result<Held, TaskError> {
        match mount {
            Mount::Cache { name, directory } => self.hold_named(name, directory).await,
            Mount::Content { content, file } => self.hold_input(content, file).await,
        }
    }

    async fn hold_named(&self, name: &str, directory: &str) -> Result<Held, TaskError> {
        let key = name.to_owned();
        let storage = self.shared.storage.clone();
        let made = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&made);
        let make = move |_: String, _| {
            noticed.store(true, Ordering::SeqCst);
            std::future::ready(Kept::create(&storage, "cache", CostClass::Expensive))
        };
        let handle = self
            .shared
            .named
            .require_by(&key, make, |_| {})
            .await
            .map_err(TaskError::other)?;
        self.note(name, &made);
        Ok(Held {
            handle,
            target: directory.to_owned(),
            is_input: false,
        })
    }

    async fn hold_input(&self, content: &Value, file: &str) -> Result<Held, TaskError> {
        let context = FetchContext::new(self.shared.http.clone(), self.run.context.services())
            .with_listener(Listener {
                context: self.run.context.clone(),
                observer: Arc::clone(&self.observer),
            });
        let reference = self.shared.fetcher.resolve(&context, content).await?;
        // Also for a copy that another task fetched: the cache must not give away what this task may not have.
        if !reference
            .scopes()
            .satisfied_by(self.run.context.info().scopes())
        {
            let message = format!(
                "`task.scopes` lacks {} for {}",
                reference.scopes(),
                reference.subject()
            );
            return Err(MalformedPayloadError::new(message).into());
        }
        let key = reference.hash_key().as_str().to_owned();
        let subject = reference.subject();
        let made = Arc::new(AtomicBool::new(false));
        let fetch = self.constructor(reference, context, Arc::clone(&made));
        let handle = self
            .shared
            .inputs
            .require_by(&key, fetch, |_| {})
            .await
            .map_err(to_task_error)?;
        self.note(&subject, &made);
        Ok(Held {
            handle,
            target: file.to_owned(),
            is_input: true,
        })
    }

    /// What fetches `reference` into a folder of its own, for whoever waits for it.
    fn constructor(
        &self,
        reference: Arc<dyn Reference>,
        context: FetchContext,
        made: Arc<AtomicBool>,
    ) -> impl Fn(String, runtime_caching::Build) -> FetchFuture + Send + Sync + 'static {
        let storage = self.shared.storage.clone();
        move |_, _| {
            made.store(true, Ordering::SeqCst);
            let (storage, reference, context) =
                (storage.clone(), Arc::clone(&reference), context.clone());
            Box::pin(async move {
                let kept = Kept::create(&storage, "input", CostClass::Cheap)?;
                let fetched = reference
                    .fetch(&context, &mut FileTarget::new(kept.content()))
                    .await?;
                Ok(kept.with_size(fetched.bytes))
            })
        }
    }

    fn note(&self, what: &str, made: &AtomicBool) {
        let hit = !made.load(Ordering::SeqCst);
        self.run.record.add_cache_use(hit);
        self.run
            .monitor()
            .count(if hit { "cache-hits" } else { "cache-misses" }, 1);
        let found = if hit {
            "is in the cache"
        } else {
            "was not in the cache"
        };
        self.run.context.log(format_args!("{what} {found}"));
    }
}

type FetchFuture = std::pin::Pin<
    Box<dyn Future<Output = Result<Kept, Box<dyn std::error::Error + Send + Sync>>> + Send>,
>;

#[async_trait]
impl TaskPlugin for TaskMounts {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.purge().await;
        self.held = try_join_all(self.mounts.iter().map(|mount| self.hold(mount))).await?;
        Ok(())
    }

    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        for held in &self.held {
            match held.is_input {
                true => builder.attach_file(&held.handle.content(), &held.target)?,
                false => builder.attach_folder(held.handle.path(), &held.target)?,
            }
        }
        Ok(())
    }

    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let keep = match result.exit() {
            Exit::Code(code) => !self.purge_after.contains(&code),
            // Ended by a signal: nobody knows what state the caches are in.
            _ => false,
        };
        for held in self.held.drain(..) {
            match (held.is_input, keep) {
                (true, _) => drop(held.handle),
                (false, true) => held.handle.commit(),
                (false, false) => {
                    self.run.context.log(format_args!(
                        "The cache `{}` is not used again",
                        held.handle.key()
                    ));
                    held.handle.poison();
                }
            }
        }
        Ok(Verdict::Success)
    }
}

/// Tells a fetch to the log of the task and to the observer.
struct Listener {
    context: TaskContext,
    observer: Arc<dyn Observer>,
}

impl ProgressListener for Listener {
    fn progress(&self, progress: &Progress) {
        let (run, subject): (&Run, &str) = (self.context.run(), &progress.subject);
        match progress.stage {
            Stage::Started | Stage::Running => {
                let (bytes, total) = (progress.bytes, progress.total);
                self.observer.event(&TaskEvent::Fetching {
                    run,
                    subject,
                    bytes,
                    total,
                });
            }
            Stage::Finished | Stage::Stopped => {
                self.context.log(progress);
                self.observer.event(&TaskEvent::Fetched { run, subject });
            }
        }
    }
}

/// The error is shared by all who waited, so its kind decides and its text goes along.
fn to_task_error(error: RequireError) -> TaskError {
    match error
        .cause::<FetchError>()
        .map(FetchError::exception_reason)
    {
        Some(ExceptionReason::MalformedPayload) => {
            let text = error
                .cause::<FetchError>()
                .map_or_else(String::new, |error| chain(error));
            MalformedPayloadError::new(text).into()
        }
        Some(ExceptionReason::ResourceUnavailable) => TaskError::unavailable(error),
        _ => TaskError::other(error),
    }
}
