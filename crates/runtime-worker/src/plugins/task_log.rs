//! The log of a task: live while it runs, whole afterwards.

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

use crate::record::tell;
use crate::{Observer, Plugin, Resolution, TaskEvent, TaskPlugin, TaskRun, Verdict};

const LIVE: &str = "public/logs/live.log";
const BACKING: &str = "public/logs/live_backing.log";
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Makes what serves the log of a running task, such as the live log handler of `runtime-webhook`.
pub type LiveLogFactory = dyn Fn(TaskContext) -> Arc<dyn Handler> + Send + Sync;

/// Uploads the log of every task, and serves it live if there is a handler for that.
///
/// `public/logs/live.log` is a reference to the live log while the task runs, and then a link to
/// `public/logs/live_backing.log`, as viewers of Taskcluster's logs expect.
#[derive(Clone, Default)]
pub struct TaskLog {
    live: Option<Arc<LiveLogFactory>>,
    observer: Option<Arc<dyn Observer>>,
}

impl TaskLog {
    /// Uploads the log when the task is done.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also serves it while the task runs.
    #[must_use]
    pub fn live(
        mut self,
        handler: impl Fn(TaskContext) -> Arc<dyn Handler> + Send + Sync + 'static,
    ) -> Self {
        self.live = Some(Arc::new(handler));
        self
    }

    /// Tells `observer` where the log can be followed.
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
            Some(handler) => self.go_live(run, handler(run.context.clone())).await,
            None => None,
        };
        Ok(Some(Box::new(TaskLogUpload {
            run: run.clone(),
            live,
            is_tried: false,
        })))
    }
}

impl TaskLog {
    /// That nobody can watch is no reason for a task to fail.
    async fn go_live(&self, run: &TaskRun, handler: Arc<dyn Handler>) -> Option<Live> {
        let hook = match run.environment.web_hooks.attach(handler).await {
            Ok(hook) => hook,
            Err(error) => {
                run.monitor()
                    .report_warning(&error, "a task has no live log");
                return None;
            }
        };
        let url = hook.url();
        self.tell(run, &url);
        refer(run, url).await;
        let mut follower = JoinSet::new();
        follower.spawn(follow(hook, self.clone(), run.clone()));
        Some(Live { follower })
    }

    fn tell(&self, run: &TaskRun, url: &str) {
        if let Some(observer) = &self.observer {
            let event = TaskEvent::LiveLog {
                run: run.context.run(),
                url,
            };
            tell(&**observer, &event, run.monitor());
        }
    }
}

/// The log of a task that can be followed, until this is dropped.
struct Live {
    follower: JoinSet<()>,
}

/// Keeps the hook, and the artifact that leads to it right: a tunnel may come back under another URL.
async fn follow(mut hook: WebHook, plugin: TaskLog, run: TaskRun) {
    while hook.url_changed().await {
        let url = hook.url();
        plugin.tell(&run, &url);
        refer(&run, url).await;
    }
    // The hook goes when the task does.
    std::future::pending().await
}

async fn refer(run: &TaskRun, url: String) {
    let reference = RedirectArtifact {
        content_type: CONTENT_TYPE.to_owned(),
        url,
    };
    let artifact = Artifact {
        name: LIVE.to_owned(),
        expires: None,
        content: ArtifactBody::Reference(reference),
    };
    if let Err(error) = run.context.upload(&artifact).await {
        run.monitor().report_warning(
            &error,
            "the live log of a task cannot be found by its artifact",
        );
    }
}

struct TaskLogUpload {
    run: TaskRun,
    live: Option<Live>,
    /// Whether an upload was tried to its end, with all the patience that the uploader has.
    is_tried: bool,
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
            name: BACKING.to_owned(),
            expires: None,
            content: ArtifactBody::S3(backing),
        };
        context
            .upload(&backing)
            .await
            .map_err(TaskError::unavailable)?;
        self.run.record.add_artifact(BACKING);
        let link = LinkArtifact {
            content_type: CONTENT_TYPE.to_owned(),
            artifact: BACKING.to_owned(),
        };
        let link = Artifact {
            name: LIVE.to_owned(),
            expires: None,
            content: ArtifactBody::Link(link),
        };
        context
            .upload(&link)
            .await
            .map_err(TaskError::unavailable)?;
        self.run.record.add_artifact(LIVE);
        Ok(())
    }
}

#[async_trait]
impl TaskPlugin for TaskLogUpload {
    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        let uploaded = self.upload().await;
        self.is_tried = true;
        uploaded
    }

    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        match resolution {
            // Another worker may be writing the same artifacts by now.
            Resolution::Abandoned(StopReason::ClaimLost) => Ok(()),
            _ if self.is_tried => Ok(()),
            _ => self.upload().await,
        }
    }

    async fn dispose(self: Box<Self>) {
        // Those who follow have come to the end of the log by now, or see it through its artifact.
        if let Some(mut live) = self.live {
            live.follower.shutdown().await;
        }
    }
}
