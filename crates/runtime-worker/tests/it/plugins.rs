//! Single plugins, whose stages the test calls itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::artifact::{ArtifactBody, ArtifactSource};
use runtime_core::clock::SystemClock;
use runtime_core::webhook::NoWebHookServer;
use runtime_core::{
    Environment, LifeCycleTracker, Monitor, Run, StopStage, TaskContext, TaskContextController,
    TaskError, TaskId, TaskInfo, TemporaryStorage, WorkerIdentity,
};
use runtime_gc::ResourceTracker;
use runtime_mocks::{MockQueue, TestTask};
use runtime_worker::plugins::{Artifacts, IdleStop, MaxRunTime, Watchdog};
use runtime_worker::{
    Exit, ExtractError, Plugin, Resolution, ResultSet, Sandbox, SandboxBuilder, TaskPlugin,
    TaskRun, Verdict,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

const MINUTE: Duration = Duration::from_secs(60);

/// The environment of a task without a queue.
struct PluginTest {
    environment: Environment,
    worker: LifeCycleTracker,
    _folder: TempDir,
}

impl PluginTest {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("create a folder");
        let worker = LifeCycleTracker::new();
        let environment = Environment {
            resource_tracker: ResourceTracker::detached(),
            storage: TemporaryStorage::open(folder.path()).expect("access the folder"),
            web_hooks: Arc::new(NoWebHookServer),
            monitor: Monitor::null(),
            stop: Arc::new(worker.clone()),
            identity: Arc::new(WorkerIdentity {
                root_url: "https://tc.example.com".to_owned(),
                task_queue_id: "test/linux".to_owned(),
                worker_group: "group".to_owned(),
                worker_id: "worker".to_owned(),
            }),
            clock: Arc::new(SystemClock::new()),
        };
        Self {
            environment,
            worker,
            _folder: folder,
        }
    }

    fn task(&self) -> (TaskRun, TaskContextController) {
        let definition = json!({
            "taskQueueId": "test/linux", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z", "payload": {},
            "metadata": { "name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com" },
        });
        let definition = serde_json::from_value(definition).expect("a valid definition");
        let run = Run {
            task_id: TaskId::random(),
            run_id: 0,
        };
        let log = self
            .environment
            .storage
            .path()
            .join(run.task_id.to_string());
        let (context, controller) =
            TaskContext::create(&log, TaskInfo::new(run, definition)).expect("access the folder");
        (TaskRun::new(context, self.environment.clone()), controller)
    }

    async fn start(&self, plugin: &dyn Plugin) -> Box<dyn TaskPlugin> {
        let (run, _controller) = self.task();
        let plugin = plugin.new_task_plugin(&run).await.expect("no error");
        plugin.expect("a task plugin")
    }

    fn stage(&self) -> StopStage {
        self.worker.stage()
    }
}

/// A sandbox without a task.
#[derive(Debug)]
struct NoopSandbox;

#[async_trait]
impl SandboxBuilder for NoopSandbox {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl Sandbox for NoopSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(Self))
    }

    async fn kill(&self, _: Duration) {}
}

#[async_trait]
impl ResultSet for NoopSandbox {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}

/// Calls one stage of a plugin.
async fn run_stage(stage: &str, task: &mut Box<dyn TaskPlugin>) {
    let (sandbox, result) = (Arc::new(NoopSandbox) as _, Arc::new(NoopSandbox) as _);
    match stage {
        "set up" => Ok(()),
        "prepared" => task.prepare().await,
        "built" => task.build_sandbox(&mut NoopSandbox).await,
        "started" => task.started(&sandbox).await,
        "stopped" => task.stopped(&result).await.map(drop),
        "finished" => task.finished(Verdict::Success).await,
        "exception" => task.exception(&Resolution::Failed).await,
        other => panic!("unknown stage {other}"),
    }
    .expect("no error");
}

#[tokio::test(start_paused = true)]
async fn watchdog_stops_the_worker_at_each_stage() {
    for stage in [
        "set up",
        "prepared",
        "built",
        "stopped",
        "finished",
        "exception",
    ] {
        let test = PluginTest::new();
        let mut task = test.start(&Watchdog::new(MINUTE)).await;
        run_stage(stage, &mut task).await;
        sleep(MINUTE - Duration::from_secs(1)).await;
        assert_eq!(test.stage(), StopStage::Running, "{stage}");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(test.stage(), StopStage::Now, "{stage}");
    }
}

#[tokio::test(start_paused = true)]
async fn watchdog_limits_stages_but_not_the_task() {
    let test = PluginTest::new();
    let mut task = test.start(&Watchdog::new(MINUTE)).await;
    let almost = MINUTE - Duration::from_secs(1);
    for (stage, takes) in [
        ("set up", almost),
        ("prepared", almost),
        ("built", almost),
        ("started", 1_000 * MINUTE),
        ("stopped", almost),
        ("finished", almost),
    ] {
        run_stage(stage, &mut task).await;
        sleep(takes).await;
        assert_eq!(test.stage(), StopStage::Running, "{stage}");
    }
    task.dispose().await;
    sleep(2 * MINUTE).await;
    assert_eq!(test.stage(), StopStage::Running, "the watchdog is disposed");
}

#[tokio::test(start_paused = true)]
async fn idle_stop_waits_for_running_tasks() {
    let test = PluginTest::new();
    let idle_stop = IdleStop::new(&test.environment, MINUTE);
    sleep(MINUTE / 2).await;
    let tasks = [test.start(&idle_stop).await, test.start(&idle_stop).await];
    sleep(2 * MINUTE).await;
    let [first, second] = tasks;
    first.dispose().await;
    sleep(2 * MINUTE).await;
    assert_eq!(test.stage(), StopStage::Running, "a task is running");
    second.dispose().await;
    sleep(MINUTE - Duration::from_secs(1)).await;
    assert_eq!(test.stage(), StopStage::Running, "before the limit");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(test.stage(), StopStage::Graceful);
}

#[tokio::test(start_paused = true)]
async fn max_run_time_excludes_later_stages() {
    for (has_ended, expected) in [(true, Verdict::Success), (false, Verdict::Failure)] {
        let test = PluginTest::new();
        let (run, controller) = test.task();
        let plugin = MaxRunTime::new(MINUTE).new_task_plugin(&run).await;
        let mut task = plugin.expect("no error").expect("a task plugin");
        task.started(&(Arc::new(NoopSandbox) as _))
            .await
            .expect("no error");
        if has_ended {
            run.report.set_exit(Exit::Code(0));
        }
        sleep(2 * MINUTE).await;
        let verdict = task.stopped(&(Arc::new(NoopSandbox) as _)).await;
        assert_eq!(verdict.expect("no error"), expected);
        controller.close_log().expect("close the log");
        let log = run.context.extract_log().expect("a closed log");
        let log = std::io::read_to_string(log).expect("read the log");
        assert_eq!(log.contains("Task ran longer"), !has_ended, "{log}");
    }
}

/// A result whose extracted path is fixed.
#[derive(Debug)]
struct FixedPath(PathBuf);

#[async_trait]
impl ResultSet for FixedPath {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, _: &str) -> Result<PathBuf, ExtractError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn too_many_artifacts_are_an_error_artifact() {
    let (test, folder) = (
        PluginTest::new(),
        tempfile::tempdir().expect("create a folder"),
    );
    let out = folder.path().canonicalize().expect("an existing folder");
    for name in ["a", "b", "c"] {
        std::fs::write(out.join(name), "bytes").expect("write a file");
    }
    let entry = json!({ "name": "public/out", "type": "directory", "path": "out" });
    for (max, expected) in [(2, Verdict::Failure), (3, Verdict::Success)] {
        let (services, queue) = MockQueue::new();
        let received = if expected == Verdict::Failure {
            vec![queue.expect_error_artifact("public/out")]
        } else {
            let names = ["public/out/a", "public/out/b", "public/out/c"];
            names.map(|name| queue.expect_s3_artifact(name)).into()
        };
        let task = TestTask::new(json!({ "artifacts": [entry] })).with_services(services);
        let run = TaskRun::new(task.context().clone(), test.environment.clone());
        let plugin = Artifacts::new(max).new_task_plugin(&run).await;
        let mut plugin = plugin.expect("no error").expect("a task plugin");
        let result = Arc::new(FixedPath(out.clone())) as _;
        let verdict = plugin.stopped(&result).await.expect("no error");
        assert_eq!(verdict, expected);
        for upload in received {
            if let ArtifactBody::Error(error) = upload.received().await.artifact.content {
                assert!(
                    error.message.contains("limit of 2 artifacts"),
                    "{}",
                    error.message
                );
            }
        }
    }
}

#[tokio::test]
async fn artifacts_are_read_without_following_links() {
    let (test, folder) = (
        PluginTest::new(),
        tempfile::tempdir().expect("create a folder"),
    );
    let out = folder.path().canonicalize().expect("an existing folder");
    std::fs::create_dir(out.join("deep")).expect("create a folder");
    let file = out.join("deep/file");
    std::fs::write(&file, "bytes").expect("write a file");

    let (services, queue) = MockQueue::new();
    let upload = queue.expect_s3_artifact("public/out/deep/file");
    let artifact = json!({ "name": "public/out", "type": "directory", "path": "out" });
    let task = TestTask::new(json!({ "artifacts": [artifact] })).with_services(services);
    let run = TaskRun::new(task.context().clone(), test.environment.clone());
    let plugin = Artifacts::default().new_task_plugin(&run).await;
    let mut plugin = plugin.expect("no error").expect("a task plugin");
    let result = Arc::new(FixedPath(out)) as _;
    plugin.stopped(&result).await.expect("no error");

    let ArtifactBody::S3(content) = upload.received().await.artifact.content else {
        panic!("expected an S3 artifact")
    };
    let ArtifactSource::FileWithoutLinks(path) = content.source else {
        panic!("follows links: {:?}", content.source)
    };
    assert_eq!(path, file);
}

#[cfg(unix)]
#[tokio::test]
async fn missing_web_hook_server_is_logged() {
    let test = PluginTest::new();
    let task = TestTask::new(json!({ "features": { "interactive": true } }));
    let run = TaskRun::new(task.context().clone(), test.environment.clone());
    let created = runtime_worker::plugins::Interactive.new_task_plugin(&run);
    let mut plugin = created.await.expect("no error").expect("a task plugin");
    let sandbox: Arc<dyn Sandbox> = Arc::new(NoopSandbox);
    let started = plugin.started(&sandbox).await;
    started.expect("the task continues without a shell");
    let expected = "[interactive] The task has no shell: cannot attach a hook";
    crate::support::wait_until(|| task.log().contains(expected)).await;
    plugin.dispose().await;
}
