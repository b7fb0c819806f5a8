//! Shells inside of running tasks.

use std::io;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use runtime_core::artifact::{Artifact, ArtifactBody, RedirectArtifact};
use runtime_core::webhook::WebHook;
use runtime_core::{BoxError, MalformedPayloadError, Section, TaskError, error_chain};
use runtime_webhook::{Shell, ShellControl, ShellProgram, ShellStarter};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;
use url::form_urlencoded::Serializer;

use crate::engine::{Capability, ExecCommand, ExecControl, PtySize, ResultSet, Sandbox};
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::Verdict;
use crate::task_run::TaskRun;

/// The artifact with the link to the shell. The name is that of generic-worker: Taskcluster's user interface recognizes
/// names that end in `shell.html`, and existing roles grant access to this name.
const SHELL_ARTIFACT: &str = "private/generic-worker/shell.html";

/// Starts `bash`, or `sh` where it is missing.
const START_SHELL: &str =
    "export TERM=xterm-256color; if command -v bash >/dev/null; then exec bash; else exec sh; fi";

/// Reads `features.interactive`, and serves shells in the task through a web hook while the task runs.
///
/// The artifact `private/generic-worker/shell.html` redirects to the page of Taskcluster's user interface that connects
/// to the shell. The target of the redirect is a secret, which is never logged. Reading the artifact requires the scope
/// `queue:get-artifact:private/generic-worker/shell.html`. As with generic-worker, the task itself needs no scope.
///
/// Each connection starts a shell, which has the same rights as the task. It ends with the task. With the process
/// engine, it ends earlier: with the command that was running when the shell started. The task does not wait for
/// shells.
///
/// If the worker has no web hook server, the task runs without a shell, and its log states this.
///
/// ```
/// use runtime_worker::Plugin as _;
/// use runtime_worker::plugins::Interactive;
///
/// let schema = Interactive.payload_schema().expect("it reads the payload");
/// assert_eq!(schema["properties"]["features"]["properties"]["interactive"]["type"], "boolean");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Interactive;

#[derive(Default, Deserialize, JsonSchema)]
struct Payload {
    /// Optional parts of the worker.
    #[serde(default)]
    features: Features,
}

/// Other plugins read the other features.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
struct Features {
    /// Whether people with access to private artifacts of the task can open shells in it.
    #[serde(default)]
    interactive: bool,
}

#[async_trait]
impl Plugin for Interactive {
    fn name(&self) -> &'static str {
        "interactive"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<Payload>())
    }

    fn requires(&self) -> &[Capability] {
        &[Capability::Exec]
    }

    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        if payload["features"]["interactive"] != true {
            return Ok(());
        }
        let artifacts = payload["artifacts"].as_array().into_iter().flatten();
        let mut indexed = artifacts.enumerate();
        let Some((index, _)) = indexed.find(|(_, it)| it["name"] == SHELL_ARTIFACT) else {
            return Ok(());
        };
        Err(MalformedPayloadError::new(format!(
            "`payload.artifacts.{index}.name`: this name belongs to the shell of `features.interactive`"
        )))
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Interactive tasks",
            "
            With `features.interactive`, shells can be opened in the running task, on the page
            `/tasks/<task id>/connect` of Taskcluster. A shell has the files and variables of the task, and ends with the
            command that was running when the shell was opened. Opening a shell requires the scope
            `queue:get-artifact:private/generic-worker/shell.html`.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        if !run.payload_as::<Payload>()?.features.interactive {
            return Ok(None);
        }
        Ok(Some(Box::new(TaskInteractive {
            run: run.clone(),
            serving: JoinSet::new(),
        })))
    }
}

struct TaskInteractive {
    run: TaskRun,
    /// Serves the shell until it is dropped.
    serving: JoinSet<()>,
}

#[async_trait]
impl TaskPlugin for TaskInteractive {
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        // Weak: an open shell must not keep the sandbox, and the files of the task, beyond its end.
        let (run, sandbox) = (self.run.clone(), Arc::downgrade(sandbox));
        // In the background: the task does not wait for a tunnel, which may take long to open.
        self.serving.spawn(async move {
            // `serve` returns only errors.
            if let Err(error) = serve(&run, sandbox).await {
                run.context.log(format_args!(
                    "[interactive] The task has no shell: {}",
                    error_chain(&*error)
                ));
                let monitor = run.monitor();
                monitor.report_warning(&*error, "cannot serve the shell of a task");
            }
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.serving.shutdown().await;
        Ok(Verdict::Success)
    }

    fn closing_log(&mut self) {
        // `stopped` is not called for a task that was stopped early.
        self.serving.abort_all();
    }

    async fn dispose(mut self: Box<Self>) {
        self.serving.shutdown().await;
    }
}

/// Serves the shell of a task, and publishes its URL.
async fn serve(run: &TaskRun, sandbox: Weak<dyn Sandbox>) -> Result<(), BoxError> {
    let shell = Shell::with_starter(Arc::new(TaskShell(sandbox)))?;
    let shell = shell.monitor(run.monitor());
    let path = shell.path();
    let mut hook = run.environment.web_hooks.attach(Arc::new(shell)).await?;
    publish(run, &hook, &path).await?;
    let root_url = &run.environment.identity.root_url;
    let task_id = &run.context.run().task_id;
    run.context.log(format_args!(
        "[interactive] Shells can be opened in this task: {root_url}/tasks/{task_id}/connect"
    ));
    // A tunnel may reconnect with another URL.
    while hook.url_changed().await {
        publish(run, &hook, &path).await?;
    }
    // The URL is final, and the hook must stay attached until this future is dropped.
    std::future::pending().await
}

/// Uploads the redirect to the page with the shell.
async fn publish(run: &TaskRun, hook: &WebHook, path: &str) -> Result<(), BoxError> {
    let socket = format!("{}{path}", hook.url().replacen("http", "ws", 1));
    let id = run.context.run();
    let query = Serializer::new(String::new())
        .append_pair("runId", &id.run_id.to_string())
        .append_pair("socketUrl", &socket)
        .append_pair("taskId", &id.task_id.to_string())
        .append_pair("v", "2")
        .finish();
    let root_url = &run.environment.identity.root_url;
    let redirect = RedirectArtifact {
        content_type: "text/html; charset=utf-8".to_owned(),
        url: format!("{root_url}/shell/?{query}"),
    };
    let artifact = Artifact {
        name: SHELL_ARTIFACT.to_owned(),
        // No shell outlives the deadline.
        expires: Some(run.context.info().definition.deadline),
        content: ArtifactBody::Reference(redirect),
    };
    run.context.upload(&artifact).await?;
    Ok(())
}

/// Starts shells in a task. The reference is weak, so that it does not keep the task alive.
struct TaskShell(Weak<dyn Sandbox>);

#[async_trait]
impl ShellStarter for TaskShell {
    async fn start(&self, rows: u16, columns: u16) -> Result<ShellProgram, BoxError> {
        let sandbox = self.0.upgrade().ok_or("the task has ended")?;
        let command = ExecCommand {
            command: ["sh", "-c", START_SHELL].map(str::to_owned).into(),
            terminal: Some(PtySize { rows, columns }),
        };
        let process = sandbox.exec(command).await?;
        let control = TaskShellControl(process.control);
        Ok(ShellProgram::new(process.stdout, process.stdin, control))
    }
}

struct TaskShellControl(Box<dyn ExecControl>);

#[async_trait]
impl ShellControl for TaskShellControl {
    async fn wait(&self) -> io::Result<String> {
        let exit = self.0.wait().await.map_err(io::Error::other)?;
        Ok(exit.to_string())
    }

    fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        self.0.resize(PtySize { rows, columns })
    }
}
