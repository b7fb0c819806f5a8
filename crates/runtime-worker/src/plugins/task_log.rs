//! The log of a task: live while the task runs, and an artifact afterwards.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ContentEncoding, LinkArtifact, RedirectArtifact,
    S3Artifact,
};
use runtime_core::webhook::{Handler, WebHook};
use runtime_core::{StopReason, TaskContext, TaskError};
use tokio::task::JoinSet;

use crate::observer::{Observer, TaskEvent, notify};
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

const LIVE_LOG: &str = "public/logs/live.log";
const BACKING_LOG: &str = "public/logs/live_backing.log";
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Creates the handler that serves the log of a running task, such as the live log handler of `runtime-webhook`.
pub type LiveLogFactory = dyn Fn(TaskContext) -> Arc<dyn Handler> + Send + Sync;

/// Uploads the log of every task, and optionally serves it live.
///
/// The artifact `public/logs/live.log` is a reference to the live log while the task runs, and a link to
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
        let live = match &self.live {
            Some(handler) => self.serve_live(run, handler(run.context.clone())).await,
            None => None,
        };
        Ok(Some(Box::new(TaskLogUpload {
            run: run.clone(),
            live,
            upload_attempted: false,
        })))
    }
}

impl TaskLog {
    /// Serves the live log. A failure is reported to the monitor only: a task does not need viewers.
    async fn serve_live(&self, run: &TaskRun, handler: Arc<dyn Handler>) -> Option<LiveLogHook> {
        let hook = match run.environment.web_hooks.attach(handler).await {
            Ok(hook) => hook,
            Err(error) => {
                run.monitor()
                    .report_warning(&error, "cannot serve the live log of a task");
                return None;
            }
        };
        let url = hook.url();
        self.notify(run, &url);
        create_reference(run, url).await;
        let mut follower = JoinSet::new();
        follower.spawn(follow_url(hook, self.clone(), run.clone()));
        Some(LiveLogHook { follower })
    }

    fn notify(&self, run: &TaskRun, url: &str) {
        if let Some(observer) = &self.observer {
            let event = TaskEvent::LiveLog {
                run: run.context.run(),
                url,
            };
            notify(&**observer, &event, run.monitor());
        }
    }
}

/// Serves the live log of a task until it is dropped.
struct LiveLogHook {
    follower: JoinSet<()>,
}

/// Holds the hook and updates the reference to it: a tunnel may reconnect with another URL.
async fn follow_url(mut hook: WebHook, plugin: TaskLog, run: TaskRun) {
    while hook.url_changed().await {
        let url = hook.url();
        plugin.notify(&run, &url);
        create_reference(&run, url).await;
    }
    // The URL is final, and the hook must stay attached until this task is aborted.
    std::future::pending().await
}

async fn create_reference(run: &TaskRun, url: String) {
    let reference = RedirectArtifact {
        content_type: CONTENT_TYPE.to_owned(),
        url,
    };
    let artifact = Artifact {
        name: LIVE_LOG.to_owned(),
        expires: None,
        content: ArtifactBody::Reference(reference),
    };
    if let Err(error) = run.context.upload(&artifact).await {
        run.monitor().report_warning(
            &error,
            "cannot create the artifact for the live log of a task",
        );
    }
}

struct TaskLogUpload {
    run: TaskRun,
    live: Option<LiveLogHook>,
    /// Whether an upload was attempted, with all retries of the uploader.
    upload_attempted: bool,
}

impl TaskLogUpload {
    async fn upload(&self) -> Result<(), TaskError> {
        let context = &self.run.context;
        let source = ArtifactSource::File(context.followed_log().path().to_owned());
        let backing = S3Artifact {
            content_type: CONTENT_TYPE.to_owned(),
            encoding: ContentEncoding::Gzip,
            source,
        };
        let backing = Artifact {
            name: BACKING_LOG.to_owned(),
            expires: None,
            content: ArtifactBody::S3(backing),
        };
        context
            .upload(&backing)
            .await
            .map_err(TaskError::unavailable)?;
        self.run.report.add_artifact(BACKING_LOG);
        let link = LinkArtifact {
            content_type: CONTENT_TYPE.to_owned(),
            artifact: BACKING_LOG.to_owned(),
        };
        let link = Artifact {
            name: LIVE_LOG.to_owned(),
            expires: None,
            content: ArtifactBody::Link(link),
        };
        context
            .upload(&link)
            .await
            .map_err(TaskError::unavailable)?;
        self.run.report.add_artifact(LIVE_LOG);
        Ok(())
    }
}

#[async_trait]
impl TaskPlugin for TaskLogUpload {
    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        let uploaded = self.upload().await;
        self.upload_attempted = true;
        uploaded
    }

    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        match resolution {
            // Another worker may run the task by now, and would be confused by the artifacts of this run.
            Resolution::Abandoned(StopReason::ClaimLost) => Ok(()),
            _ if self.upload_attempted => Ok(()),
            _ => self.upload().await,
        }
    }

    async fn dispose(self: Box<Self>) {
        // Viewers have read the end of the log by now, or find it in the artifact.
        if let Some(mut live) = self.live {
            live.follower.shutdown().await;
        }
    }
}
