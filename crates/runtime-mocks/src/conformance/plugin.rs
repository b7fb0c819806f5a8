//! The claims about plugins.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::artifact::{Artifact, ArtifactUploader, UploadError, Uploaded};
use runtime_core::webhook::Handler;
use runtime_core::{Environment, MalformedPayloadError, Run, Services, StopReason, TaskError};
use runtime_worker::payload::PayloadSchema;
use runtime_worker::{
    Capability, Engine as _, FolderAccess, Plugin, Resolution, Sandbox, SandboxBuilder, TaskPlugin,
    TaskRun, Verdict,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PluginUnderTest;
use super::at_every_await::drop_at_every_await;
use super::engine_test::{KILL_TIME, block_on, storage_content, test_environment, wait_until};
use super::mock_engine::MockEngine;
use super::script::Step;
use crate::task::TestTask;

/// Checks the claim of this name about a plugin.
///
/// # Panics
///
/// Panics if the claim is wrong.
pub fn check_plugin<U: PluginUnderTest>(under_test: U, claim: &str) {
    block_on(async {
        let (environment, folder) = test_environment();
        let test = PluginTest {
            plugin: under_test.plugin().await,
            payload: under_test.payload(),
            environment,
            _folder: folder,
        };
        claim_about(test, claim).await;
    });
}

macro_rules! dispatch {
    ($($claim:ident)*) => {
        /// Returns the check of a claim.
        fn claim_about(test: PluginTest, claim: &str) -> Pin<Box<dyn Future<Output = ()>>> {
            match claim {
                $(stringify!($claim) => Box::pin($claim(test)),)*
                _ => panic!("unknown claim `{claim}`"),
            }
        }
    };
}

crate::__plugin_claims! { [dispatch] [] }

/// A plugin with an environment.
struct PluginTest {
    plugin: Arc<dyn Plugin>,
    payload: Value,
    environment: Environment,
    _folder: TempDir,
}

/// A task with the plugin.
struct PluginTask {
    task: TestTask,
    run: TaskRun,
    /// `None` if the task does not need the plugin.
    plugin: Option<Box<dyn TaskPlugin>>,
}

/// The stages that a task reaches before it fails.
const STAGES: [&str; 5] = [
    "new_task_plugin",
    "prepare",
    "build_sandbox",
    "started",
    "stopped",
];

impl PluginTest {
    fn run(&self, payload: &Value, steps: &[Step]) -> (TestTask, TaskRun) {
        let mut payload = payload.clone();
        if let Some(payload) = payload.as_object_mut() {
            payload.insert("steps".to_owned(), json!(steps));
        }
        let task = TestTask::new(payload).with_services(Services {
            uploader: Arc::new(AcceptAllUploader),
            ..Services::disconnected()
        });
        let run = TaskRun::new(task.context().clone(), self.environment.clone());
        (task, run)
    }

    async fn task(&self, steps: &[Step]) -> PluginTask {
        let (task, run) = self.run(&self.payload, steps);
        let plugin = self.plugin.new_task_plugin(&run).await;
        let plugin = plugin.expect("the payload of the suite is valid");
        PluginTask { task, run, plugin }
    }

    async fn start(&self, task: &PluginTask) -> Box<dyn SandboxBuilder> {
        let builder = MockEngine.new_sandbox_builder(&task.run).await;
        let capabilities = self.plugin.requires().to_vec();
        Box::new(LimitedBuilder {
            builder: builder.expect("valid steps"),
            capabilities,
        })
    }

    /// Runs the stages of a task up to and including `last`.
    async fn run_stages(&self, task: &mut PluginTask, last: &str) -> Result<(), TaskError> {
        let builder = self.start(task).await;
        let Some(plugin) = &mut task.plugin else {
            return Ok(());
        };
        let reached = STAGES.iter().position(|it| *it == last).unwrap_or(0);
        let mut builder = builder;
        if reached >= 1 {
            plugin.prepare().await?;
        }
        if reached >= 2 {
            plugin.build_sandbox(&mut *builder).await?;
        }
        if reached >= 3 {
            let sandbox = builder.start().await?;
            plugin.started(&sandbox).await?;
            if reached == 3 {
                sandbox.kill(KILL_TIME).await;
                return Ok(());
            }
            let result = sandbox.wait().await?;
            task.run.report.set_exit(result.exit());
            plugin.stopped(&result).await?;
        }
        Ok(())
    }
}

impl PluginTask {
    /// Ends the task with a verdict.
    async fn finish(mut self, verdict: Verdict) {
        if let Some(mut plugin) = self.plugin.take() {
            plugin.closing_log();
            self.close_log();
            let finished = plugin.finished(verdict).await;
            finished.expect("the plugin finishes");
            plugin.dispose().await;
        }
    }

    /// Ends the task without a verdict.
    async fn fail(mut self, resolution: Resolution) {
        if let Some(mut plugin) = self.plugin.take() {
            plugin.closing_log();
            self.close_log();
            // The worker only reports an error.
            let _ = plugin.exception(&resolution).await;
            plugin.dispose().await;
        }
    }

    fn close_log(&self) {
        let closed = self.task.controller().close_log();
        closed.expect("a disk with room");
    }
}

/// Accepts all artifacts.
#[derive(Debug)]
struct AcceptAllUploader;

#[async_trait]
impl ArtifactUploader for AcceptAllUploader {
    async fn upload(&self, _: &Run, _: Timestamp, _: &Artifact) -> Result<Uploaded, UploadError> {
        Ok(Uploaded::default())
    }
}

/// A builder with the capabilities that the plugin requires, and no others.
struct LimitedBuilder {
    builder: Box<dyn SandboxBuilder>,
    capabilities: Vec<Capability>,
}

impl LimitedBuilder {
    fn check(&self, capability: Capability) -> Result<(), MalformedPayloadError> {
        let is_required = self.capabilities.contains(&capability);
        assert!(
            is_required,
            "the plugin uses {capability} without requiring it"
        );
        Ok(())
    }
}

#[async_trait]
impl SandboxBuilder for LimitedBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        self.check(Capability::EnvVars)?;
        self.builder.set_env(name, value)
    }

    fn attach_folder(
        &mut self,
        _: &Path,
        _: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        self.check(match access {
            FolderAccess::ReadOnly => Capability::ReadOnlyFolders,
            FolderAccess::ReadWrite => Capability::Folders,
        })
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.check(Capability::Copies)?;
        self.builder.attach_copy(source, target)
    }

    fn attach_proxy(&mut self, _: &str, _: Arc<dyn Handler>) -> Result<(), MalformedPayloadError> {
        self.check(Capability::Proxies)
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        self.builder.start().await
    }
}

async fn name_is_set(test: PluginTest) {
    let name = test.plugin.name();
    assert!((1..=32).contains(&name.len()), "{name:?}");
    assert!(!name.contains(char::is_whitespace), "{name:?}");
}

async fn schema_is_an_object(test: PluginTest) {
    if let Some(schema) = test.plugin.payload_schema() {
        PayloadSchema::merge([("plugin", schema)]).expect("a valid schema");
    }
}

async fn payload_fits_schema(test: PluginTest) {
    if let Some(schema) = test.plugin.payload_schema() {
        let schema = PayloadSchema::merge([("plugin", schema)]).expect("a valid schema");
        let checked = schema.check(&test.payload);
        checked.expect("the payload of the suite fits");
    }
    let checked = test.plugin.check_payload(&test.payload);
    checked.expect("the payload of the suite is valid");
}

async fn documentation_has_titles(test: PluginTest) {
    for section in test.plugin.documentation() {
        assert!(!section.title.is_empty() && !section.content.is_empty());
    }
}

async fn hostile_payloads_do_not_panic(test: PluginTest) {
    let values = [
        Value::Null,
        json!(-1),
        json!(1e300),
        json!([null, {}, [[[[]]]], ""]),
        json!({ "": null }),
        json!("\0"),
    ];
    let mut payloads = vec![json!(null), json!([]), json!("text"), json!(7)];
    let schema = test.plugin.payload_schema().unwrap_or_default();
    let properties = schema["properties"].as_object();
    for property in properties.into_iter().flat_map(|it| it.keys()) {
        for value in &values {
            let mut payload = json!({});
            payload[property] = value.clone();
            payloads.push(payload);
        }
    }
    for payload in payloads {
        // Either answer is right; a panic would be an internal error of the worker.
        let _ = test.plugin.check_payload(&payload);
        let (_task, run) = test.run(&payload, &[]);
        if let Ok(Some(plugin)) = test.plugin.new_task_plugin(&run).await {
            plugin.dispose().await;
        }
    }
}

async fn requirements_suffice(test: PluginTest) {
    let mut task = test.task(&[]).await;
    let built = test.run_stages(&mut task, "build_sandbox").await;
    built.expect("an engine with the required capabilities suffices");
    task.fail(Resolution::Abandoned(StopReason::ClaimLost))
        .await;
}

async fn task_reaches_its_end(test: PluginTest) {
    let mut task = test.task(&[Step::Print("out".to_owned())]).await;
    let ended = test.run_stages(&mut task, "stopped").await;
    ended.expect("the plugin has no error");
    task.finish(Verdict::Success).await;
}

async fn task_may_be_killed(test: PluginTest) {
    let mut task = test.task(&[Step::Wait]).await;
    let started = test.run_stages(&mut task, "started").await;
    started.expect("the plugin has no error");
    task.task.controller().cancel();
    task.fail(Resolution::Abandoned(StopReason::Cancelled))
        .await;
}

async fn task_may_fail(test: PluginTest) {
    let mut task = test.task(&[Step::Exit(1)]).await;
    let ended = test.run_stages(&mut task, "stopped").await;
    ended.expect("the plugin has no error");
    task.finish(Verdict::Failure).await;
}

async fn task_may_be_stopped_early(test: PluginTest) {
    let task = test.task(&[]).await;
    task.task.controller().cancel();
    task.fail(Resolution::Abandoned(StopReason::Cancelled))
        .await;
}

async fn exception_follows_each_stage(test: PluginTest) {
    for stage in STAGES {
        let mut task = test.task(&[]).await;
        let reached = test.run_stages(&mut task, stage).await;
        reached.expect("the plugin has no error");
        task.fail(Resolution::Abandoned(StopReason::WorkerShutdown))
            .await;
    }
}

async fn dispose_follows_each_stage(test: PluginTest) {
    for stage in STAGES {
        let mut task = test.task(&[]).await;
        let reached = test.run_stages(&mut task, stage).await;
        reached.expect("the plugin has no error");
        if let Some(plugin) = task.plugin.take() {
            plugin.dispose().await;
        }
    }
}

async fn cancelled_stages_can_be_disposed(test: PluginTest) {
    let (_task, run) = test.run(&test.payload, &[]);
    let created = drop_at_every_await(|| test.plugin.new_task_plugin(&run)).await;
    if let Some(plugin) = created.expect("the payload of the suite is valid") {
        plugin.dispose().await;
    }
    for stage in &STAGES[1..] {
        // Each attempt has another plugin, since a stage is called at most once.
        let disposed = drop_at_every_await(|| async {
            let mut task = test.task(&[]).await;
            let reached = test.run_stages(&mut task, stage).await;
            (task, reached)
        });
        let (mut task, reached) = disposed.await;
        reached.expect("the plugin has no error");
        if let Some(plugin) = task.plugin.take() {
            plugin.dispose().await;
        }
    }
}

async fn tasks_run_concurrently(test: PluginTest) {
    let (mut first, mut second) = (test.task(&[]).await, test.task(&[]).await);
    let (a, b) = tokio::join!(
        test.run_stages(&mut first, "stopped"),
        test.run_stages(&mut second, "stopped"),
    );
    a.expect("the plugin has no error");
    b.expect("the plugin has no error");
    tokio::join!(
        first.finish(Verdict::Success),
        second.finish(Verdict::Success)
    );
}

async fn nothing_is_left(test: PluginTest) {
    let mut task = test.task(&[]).await;
    let ended = test.run_stages(&mut task, "stopped").await;
    ended.expect("the plugin has no error");
    task.finish(Verdict::Success).await;
    wait_until("the storage of the worker has leftovers", || {
        storage_content(&test.environment).is_empty()
    })
    .await;
}
