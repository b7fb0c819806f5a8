//! The log of a task: live while the task runs, and an artifact afterwards.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, LinkArtifact,
    RedirectArtifact, S3Artifact,
};
use runtime_core::webhook::{Handler, WebHook};
use runtime_core::{StopReason, TaskContext, TaskError};
use tokio::task::JoinSet;

use super::artifact_names::{BACKING_LOG, LIVE_LOG};
use super::compressed_log::CompressedLog;
use crate::observer::{Observer, TaskEvent, notify};
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Creates the handler that serves the log of a running task, such as the live log handler of `runtime-webhook`.
pub type LiveLogFactory = dyn Fn(TaskContext) -> Arc<dyn Handler> + Send + Sync;

/// Uploads the log of every task, and optionally serves it live.
///
/// The artifact `public/logs/live.log` is a redirect to the live log while the task runs, and a link to
/// `public/logs/live_backing.log` afterwards, as Taskcluster's log viewers expect.
#[derive(Clone, Default)]
pub struct TaskLog {
    live: Option<Arc<LiveLogFactory>>,
    observer: Option<Arc<dyn Observer>>,
}

impl TaskLog {
    /// Creates the plugin without a live log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the factory of handlers that serve live logs.
    #[must_use]
    pub fn live(
        mut self,
        handler: impl Fn(TaskContext) -> Arc<dyn Handler> + Send + Sync + 'static,
    ) -> Self {
        self.live = Some(Arc::new(handler));
        self
    }

    /// Sets the observer that receives the URLs of live logs.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }
}

impl fmt::Debug for TaskLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLog")
            .field("live", &self.live.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Plugin for TaskLog {
    fn name(&self) -> &'static str {
        "task-log"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        run.context.log(format_args!(
            "Task ID: {}, run {}",
            run.context.run().task_id,
            run.context.run().run_id
        ));
        let identity = &run.environment.identity;
        run.context.log(format_args!(
            "Worker: {}/{}",
            identity.worker_group, identity.worker_id
        ));
        let mut live = JoinSet::new();
        if let Some(handler) = &self.live {
            self.serve_live(run, handler(run.context.clone()), &mut live)
                .await;
        }
        Ok(Some(Box::new(TaskLogUpload {
            compressed: CompressedLog::follow(
                run.context.followed_log().clone(),
                run.environment.storage.clone(),
                run.monitor().clone(),
            ),
            run: run.clone(),
            live,
            upload_attempted: false,
        })))
    }
}

impl TaskLog {
    /// Serves the live log in `live`. A failure is reported only to the monitor, because the task does not depend on
    /// viewers.
    async fn serve_live(&self, run: &TaskRun, handler: Arc<dyn Handler>, live: &mut JoinSet<()>) {
        match run.environment.web_hooks.attach(handler).await {
            Ok(hook) => {
                self.publish(run, hook.url()).await;
                live.spawn(follow_url(hook, self.clone(), run.clone()));
            }
            Err(error) => {
                let monitor = run.monitor();
                monitor.report_warning(&error, "cannot serve the live log of a task");
            }
        }
    }

    /// Publishes the URL of the live log to the observer and to viewers.
    async fn publish(&self, run: &TaskRun, url: String) {
        if let Some(observer) = &self.observer {
            let event = TaskEvent::LiveLog {
                run: run.context.run(),
                url: &url,
            };
            notify(&**observer, &event, run.monitor());
        }
        let redirect = ArtifactBody::Reference(RedirectArtifact {
            content_type: CONTENT_TYPE.to_owned(),
            url,
        });
        if let Err(error) = run.context.upload(&artifact(LIVE_LOG, redirect)).await {
            let monitor = run.monitor();
            monitor.report_warning(&error, "cannot publish the live log of a task");
        }
    }
}

/// Keeps the hook attached, and publishes new URLs, because a tunnel may reconnect with another URL.
async fn follow_url(mut hook: WebHook, plugin: TaskLog, run: TaskRun) {
    while hook.url_changed().await {
        plugin.publish(&run, hook.url()).await;
    }
    // The URL is final, and the hook must stay attached until this task is aborted.
    std::future::pending().await
}

fn artifact(name: &str, content: ArtifactBody) -> Artifact {
    Artifact {
        name: name.to_owned(),
        expires: None,
        content,
    }
}

struct TaskLogUpload {
    run: TaskRun,
    compressed: CompressedLog,
    /// The tokio task that serves the live log until it is dropped; empty without a live log.
    live: JoinSet<()>,
    /// Whether an upload was attempted, with all retries of the uploader.
    upload_attempted: bool,
}

impl TaskLogUpload {
    /// Uploads the log, and then replaces the redirect to the live log by a link, in this order, so that viewers never
    /// find a broken link.
    async fn upload(&mut self) -> Result<(), TaskError> {
        let log = self.run.context.followed_log();
        let (encoding, source) = match self.compressed.finish().await {
            Some(copy) => {
                // The log is closed, so this is final.
                let original_bytes = log.len();
                let encoding = ContentEncoding::Gzipped { original_bytes };
                (encoding, ArtifactSource::stream(copy))
            }
            None => {
                let file = || ArtifactSource::File(log.path().to_owned());
                let source = log.in_memory().map_or_else(file, ArtifactSource::Bytes);
                (ContentEncoding::Auto, source)
            }
        };
        let log = ArtifactBody::S3(S3Artifact {
            content_type: CONTENT_TYPE.to_owned(),
            encoding,
            headers: ArtifactHeaders::new(),
            source,
        });
        self.upload_artifact(BACKING_LOG, log).await?;
        // The queue accepts the change of an artifact from `reference` to `link`. Another change of
        // its type, such as to `s3`, is refused with 409: hence two artifacts.
        let link = ArtifactBody::Link(LinkArtifact {
            content_type: CONTENT_TYPE.to_owned(),
            artifact: BACKING_LOG.to_owned(),
        });
        self.upload_artifact(LIVE_LOG, link).await
    }

    async fn upload_artifact(&self, name: &str, content: ArtifactBody) -> Result<(), TaskError> {
        let uploaded = self.run.context.upload(&artifact(name, content)).await;
        uploaded.map_err(TaskError::unavailable)?;
        self.run.report.add_artifact(name);
        Ok(())
    }
}

#[async_trait]
impl TaskPlugin for TaskLogUpload {
    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        let uploaded = self.upload().await;
        // Not before the upload: one that a stop interrupts is repeated in `exception`.
        self.upload_attempted = true;
        uploaded
    }

    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        match resolution {
            // The worker no longer holds the run, so it must not change its artifacts. A cancelled run and one past its
            // deadline are still its own: the queue accepts artifacts for 25 minutes after the end.
            Resolution::Abandoned(StopReason::ClaimLost) => Ok(()),
            _ if self.upload_attempted => Ok(()),
            _ => self.upload().await,
        }
    }

    async fn dispose(mut self: Box<Self>) {
        // Viewers have read the end of the log by now, or find it in the artifact.
        self.live.shutdown().await;
    }
}
