//! An engine with an environment, and tasks that run in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::{
    Environment, MalformedPayloadError, TaskError, TemporaryStorage, WorkerIdentity,
};
use runtime_worker::{
    Capability, Engine, ExecCommand, ExecError, ExecProcess, Exit, PtySize, ResultSet, Sandbox,
    SandboxBuilder, TaskFile, TaskRun,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use super::EngineUnderTest;
use super::script::Step;
use crate::task::TestTask;

/// The time after which a call counts as hanging.
const HANG_LIMIT: Duration = Duration::from_secs(120);

/// The time within which a killed task must end.
pub(super) const KILL_TIME: Duration = Duration::from_secs(2);

/// Prepares an engine and checks a claim about it.
pub(super) fn run_engine_test<U: EngineUnderTest, F: Future<Output = ()>>(
    under_test: U,
    claim: impl FnOnce(EngineTest<U>) -> F,
) {
    block_on(async {
        let (environment, folder) = test_environment();
        if let Some(reason) = under_test.unavailable(&environment).await {
            println!("skipped: {reason}");
            return;
        }
        let engine = under_test.engine();
        let prepared = engine.prepare(&environment).await;
        prepared.expect("the engine can be prepared");
        let test = EngineTest {
            under_test,
            engine,
            environment,
            folder,
        };
        claim(test).await;
    });
}

pub(super) fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(in_time(work));
}

/// Returns an environment with a new storage.
pub(super) fn test_environment() -> (Environment, TempDir) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let storage = TemporaryStorage::open(&folder.path().join("storage"));
    let identity = WorkerIdentity {
        root_url: "https://tc.example.com".to_owned(),
        task_queue_id: "test/worker".to_owned(),
        worker_group: "group".to_owned(),
        worker_id: "worker".to_owned(),
    };
    let environment = Environment::builder(identity, storage.expect("an empty folder")).build();
    (environment, folder)
}

pub(super) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(HANG_LIMIT, work).await;
    done.expect("it hangs")
}

/// Waits until a condition holds.
pub(super) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(HANG_LIMIT / 2, holds).await;
    assert!(waited.is_ok(), "{what}");
}

/// Returns the names of everything in a storage except its lock.
pub(super) fn storage_content(environment: &Environment) -> Vec<String> {
    let entries = std::fs::read_dir(environment.storage.path());
    let entries = entries.into_iter().flatten().flatten();
    let names = entries.map(|it| it.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != ".lock").collect()
}

/// An engine with an environment.
pub(super) struct EngineTest<U> {
    pub(super) under_test: U,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) environment: Environment,
    folder: TempDir,
}

/// A task that was started.
pub(super) struct StartedTask {
    pub(super) task: TestTask,
    pub(super) sandbox: Arc<dyn Sandbox>,
}

/// A task that has ended.
pub(super) struct EndedTask {
    pub(super) log: String,
    pub(super) exit: Exit,
    pub(super) result: Arc<dyn ResultSet>,
}

impl<U: EngineUnderTest> EngineTest<U> {
    pub(super) fn has(&self, capability: Capability) -> bool {
        self.engine.capabilities().contains(&capability)
    }

    /// Creates a task with these steps.
    pub(super) fn task(&self, steps: &[Step]) -> (TestTask, TaskRun) {
        self.task_with(self.under_test.payload(steps))
    }

    pub(super) fn task_with(&self, payload: Value) -> (TestTask, TaskRun) {
        let task = TestTask::new(payload);
        let run = TaskRun::new(task.context().clone(), self.environment.clone());
        (task, run)
    }

    /// Creates a sandbox builder that the test can configure.
    pub(super) async fn builder(&self) -> Box<dyn SandboxBuilder> {
        let (_task, run) = self.task(&[]);
        let builder = self.engine.new_sandbox_builder(&run).await;
        builder.expect("a valid payload")
    }

    pub(super) async fn start(&self, steps: &[Step]) -> StartedTask {
        self.start_with(steps, |_| Ok(())).await
    }

    pub(super) async fn start_with(
        &self,
        steps: &[Step],
        configure: impl FnOnce(&mut dyn SandboxBuilder) -> Result<(), MalformedPayloadError>,
    ) -> StartedTask {
        let (task, run) = self.task(steps);
        let builder = self.engine.new_sandbox_builder(&run).await;
        let mut builder = builder.expect("a valid payload");
        configure(&mut *builder).expect("the engine has the capability");
        let sandbox = builder.start().await.expect("the task starts");
        StartedTask { task, sandbox }
    }

    pub(super) async fn run(&self, steps: &[Step]) -> EndedTask {
        self.start(steps).await.end().await
    }

    pub(super) async fn run_with(
        &self,
        steps: &[Step],
        configure: impl FnOnce(&mut dyn SandboxBuilder) -> Result<(), MalformedPayloadError>,
    ) -> EndedTask {
        self.start_with(steps, configure).await.end().await
    }

    /// Creates a folder with a file. Every user may change both, so that only the engine can protect them.
    pub(super) fn host_folder(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(folder.join("deep")).expect("a folder for temporary files");
        std::fs::write(folder.join("deep/file"), text).expect("a folder for temporary files");
        #[cfg(unix)]
        for path in ["", "deep", "deep/file"] {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = std::fs::Permissions::from_mode(0o777);
            let set = std::fs::set_permissions(folder.join(path), permissions);
            set.expect("the file is ours");
        }
        folder
    }

    /// Starts a command with these steps in a running task.
    pub(super) async fn exec(
        &self,
        task: &StartedTask,
        steps: &[Step],
        terminal: Option<PtySize>,
    ) -> Result<ExecProcess, ExecError> {
        let command = self.under_test.exec_command(steps);
        task.sandbox.exec(ExecCommand { command, terminal }).await
    }

    /// Checks that all files and folders of the tasks are removed.
    pub(super) async fn assert_nothing_left(&self) {
        wait_until("the storage of the worker has leftovers", || {
            storage_content(&self.environment).is_empty()
        })
        .await;
    }
}

impl StartedTask {
    pub(super) async fn end(self) -> EndedTask {
        let result = self.sandbox.wait().await.expect("the engine works");
        EndedTask {
            log: self.task.log(),
            exit: result.exit(),
            result,
        }
    }

    /// Waits until the task has printed a line.
    pub(super) async fn printed(&self, line: &str) {
        let line = format!("{line}\n");
        wait_until("the task has not printed its line", || {
            self.task.log().contains(&line)
        })
        .await;
    }
}

impl EndedTask {
    /// Checks that the log contains this line and that the task succeeded.
    pub(super) fn assert_printed(&self, line: &str) {
        assert_eq!(self.exit, Exit::Code(0), "{}", self.log);
        let mut lines = self.log.lines();
        assert!(lines.any(|it| it == line), "no line {line:?}: {}", self.log);
    }

    pub(super) async fn read(&self, path: &str) -> String {
        let file = self.result.open_file(path).await;
        read(file.expect("a file of the task")).await
    }
}

/// Reads a file of a task.
pub(super) async fn read(file: TaskFile) -> String {
    match file {
        TaskFile::Local(path) => std::fs::read_to_string(path).expect("a readable file"),
        TaskFile::Remote(file) => {
            let mut text = String::new();
            let mut stream = file.open().await.expect("a readable file");
            let read = stream.read_to_string(&mut text).await;
            read.expect("a readable file");
            text
        }
        _ => panic!("an unknown kind of file"),
    }
}

/// Returns whether a path exists, without following links.
pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Checks that a call was refused as a fault of the payload.
pub(super) fn assert_refused(result: Result<(), MalformedPayloadError>) {
    let error = result.expect_err("the engine refuses");
    assert!(!error.messages().is_empty());
}

/// Checks that an error is one for the author of the task.
pub(super) fn assert_malformed<T>(result: Result<T, TaskError>, payload: &Value) {
    match result {
        Ok(_) => panic!("accepted {payload}"),
        Err(error) => assert!(
            error.as_malformed_payload().is_some(),
            "{payload}: {error:?}"
        ),
    }
}
