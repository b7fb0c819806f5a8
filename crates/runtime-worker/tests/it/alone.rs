//! Plugins, each alone with a task that the test takes through its stages.

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

/// The surroundings of a task that no queue knows of.
struct Alone {
    environment: Environment,
    worker: LifeCycleTracker,
    _folder: TempDir,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let worker = LifeCycleTracker::new();
        let environment = Environment {
            resource_tracker: ResourceTracker::detached(),
            storage: TemporaryStorage::open(folder.path()).expect("the folder is ours"),
            web_hooks: Arc::new(NoWebHookServer),
            monitor: Monitor::null(),
            stop: Arc::new(worker.clone()),
            identity: WorkerIdentity {
                root_url: "https://tc.example.com".to_owned(),
                task_queue_id: "test/linux".to_owned(),
                worker_group: "group".to_owned(),
                worker_id: "worker".to_owned(),
            },
            clock: Arc::new(SystemClock),
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
            TaskContext::create(&log, TaskInfo::new(run, definition)).expect("the folder is ours");
        (TaskRun::new(context, self.environment.clone()), controller)
    }

    async fn with(&self, plugin: &dyn Plugin) -> Box<dyn TaskPlugin> {
        let (run, _controller) = self.task();
        let plugin = plugin
            .new_task_plugin(&run)
            .await
            .expect("it takes the task");
        plugin.expect("it follows the task")
    }

    fn stage(&self) -> StopStage {
        self.worker.stage()
    }
}

/// A task that is built, one that runs, and what it left: nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl SandboxBuilder for Nothing {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl Sandbox for Nothing {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(Self))
    }

    async fn kill(&self, _: Duration) {}
}

#[async_trait]
impl ResultSet for Nothing {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}

/// Takes a task to a stage of its life, as far as a watchdog is concerned.
async fn take_to(stage: &str, task: &mut Box<dyn TaskPlugin>) {
    let (sandbox, result) = (Arc::new(Nothing) as _, Arc::new(Nothing) as _);
    match stage {
        "set up" => Ok(()),
        "prepared" => task.prepare().await,
        "built" => task.build_sandbox(&mut Nothing).await,
        "started" => task.started(&sandbox).await,
        "stopped" => task.stopped(&result).await.map(drop),
        "finished" => task.finished(Verdict::Success).await,
        "excepted" => task.exception(&Resolution::Failed).await,
        other => panic!("there is no stage {other}"),
    }
    .expect("a watchdog only watches");
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_takes_too_long_stops_the_worker_at_once() {
    for stage in [
        "set up", "prepared", "built", "stopped", "finished", "excepted",
    ] {
        let alone = Alone::new();
        let mut task = alone.with(&Watchdog::new(MINUTE)).await;
        take_to(stage, &mut task).await;
        sleep(MINUTE - Duration::from_secs(1)).await;
        assert_eq!(alone.stage(), StopStage::Running, "{stage}");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(alone.stage(), StopStage::Now, "{stage}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_stage_has_a_time_of_its_own_and_the_task_itself_has_any() {
    let alone = Alone::new();
    let mut task = alone.with(&Watchdog::new(MINUTE)).await;
    let almost = MINUTE - Duration::from_secs(1);
    for (stage, takes) in [
        ("set up", almost),
        ("prepared", almost),
        ("built", almost),
        ("started", 1_000 * MINUTE),
        ("stopped", almost),
        ("finished", almost),
    ] {
        take_to(stage, &mut task).await;
        sleep(takes).await;
        assert_eq!(alone.stage(), StopStage::Running, "{stage}");
    }
    task.dispose().await;
    sleep(2 * MINUTE).await;
    assert_eq!(
        alone.stage(),
        StopStage::Running,
        "nothing is left to watch"
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_idle_for_too_long_stops_when_its_tasks_are_done() {
    let alone = Alone::new();
    let idle_stop = IdleStop::new(&alone.environment, MINUTE);
    sleep(MINUTE / 2).await;
    let tasks = [alone.with(&idle_stop).await, alone.with(&idle_stop).await];
    sleep(2 * MINUTE).await;
    let [first, second] = tasks;
    first.dispose().await;
    sleep(2 * MINUTE).await;
    assert_eq!(alone.stage(), StopStage::Running, "the other one runs");
    second.dispose().await;
    sleep(MINUTE - Duration::from_secs(1)).await;
    assert_eq!(alone.stage(), StopStage::Running, "not long enough");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(alone.stage(), StopStage::Graceful);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_task_ends_with_it_however_long_the_plugins_work_on_what_it_left() {
    for (has_ended, expected) in [(true, Verdict::Success), (false, Verdict::Failure)] {
        let alone = Alone::new();
        let (run, controller) = alone.task();
        let plugin = MaxRunTime::new(MINUTE).new_task_plugin(&run).await;
        let mut task = plugin.expect("it takes the task").expect("it follows it");
        task.started(&(Arc::new(Nothing) as _)).await.expect("runs");
        if has_ended {
            run.report.set_exit(Exit::Code(0));
        }
        sleep(2 * MINUTE).await;
        let verdict = task.stopped(&(Arc::new(Nothing) as _)).await;
        assert_eq!(verdict.expect("it only counts"), expected);
        controller.close_log().expect("nothing failed");
        let log = run.context.extract_log().expect("it is closed");
        let log = std::io::read_to_string(log).expect("it reads");
        assert_eq!(log.contains("Task ran longer"), !has_ended, "{log}");
    }
}

/// What a task left at a path of this machine.
#[derive(Debug)]
struct Left(PathBuf);

#[async_trait]
impl ResultSet for Left {
    fn exit(&self) -> Exit {
        Exit::Code(0)
    }

    async fn extract(&self, _: &str) -> Result<PathBuf, ExtractError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn what_a_task_left_is_uploaded_from_a_path_on_which_no_link_may_appear() {
    let (alone, folder) = (Alone::new(), tempfile::tempdir().expect("a folder"));
    let out = folder.path().canonicalize().expect("it is there");
    std::fs::create_dir(out.join("deep")).expect("makes a folder");
    let file = out.join("deep/file");
    std::fs::write(&file, "bytes").expect("writes");

    let (services, queue) = MockQueue::new();
    let upload = queue.expect_s3_artifact("public/out/deep/file");
    let wanted = json!({ "name": "public/out", "type": "directory", "path": "out" });
    let task = TestTask::new(json!({ "artifacts": [wanted] })).with_services(services);
    let run = TaskRun::new(task.context().clone(), alone.environment.clone());
    let plugin = Artifacts.new_task_plugin(&run).await;
    let mut plugin = plugin.expect("it takes the task").expect("it is wanted");
    let result = Arc::new(Left(out)) as _;
    plugin.stopped(&result).await.expect("it is uploaded");

    let ArtifactBody::S3(content) = upload.received().await.artifact.content else {
        panic!("it is expected to be of the kind s3")
    };
    let ArtifactSource::FileWithoutLinks(path) = content.source else {
        panic!("links above it would be followed: {:?}", content.source)
    };
    assert_eq!(path, file);
}
