//! A worker around an engine that greets: the whole program, with a typed section of the configuration.
//!
//! `cargo run -p runtime-app --example greeter -- run-task task.yml` runs a task such as `payload: { name: world }`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_app::WorkerApp;
use runtime_core::TaskError;
use runtime_worker::payload::schema_of;
use runtime_worker::{Engine, Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder, TaskRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

fn main() -> ExitCode {
    WorkerApp::new("greeter", env!("CARGO_PKG_VERSION"))
        .about("Greets the author of each task.")
        .engine(|config: GreeterConfig, _| Greeter::new(config))
        .run()
}

/// The section `engine` of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct GreeterConfig {
    /// The word before the name.
    greeting: String,
}

impl Default for GreeterConfig {
    fn default() -> Self {
        Self {
            greeting: "Hello".to_owned(),
        }
    }
}

/// The payload of a task.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GreeterPayload {
    /// The name to greet.
    name: String,
    /// The exit code of the task.
    #[serde(default)]
    exit_code: u8,
}

#[derive(Debug)]
struct Greeter {
    config: GreeterConfig,
}

impl Greeter {
    /// Checks the settings beyond their types.
    fn new(config: GreeterConfig) -> Result<Self, &'static str> {
        if config.greeting.is_empty() {
            return Err("`engine.greeting` is empty; set a word, or omit it for `Hello`");
        }
        Ok(Self { config })
    }
}

#[async_trait]
impl Engine for Greeter {
    fn name(&self) -> &'static str {
        "greeter"
    }

    fn payload_schema(&self) -> Value {
        schema_of::<GreeterPayload>()
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload: GreeterPayload = run.payload_as()?;
        run.context
            .log(format!("{}, {}!", self.config.greeting, payload.name));
        Ok(Box::new(Greeting(payload.exit_code)))
    }
}

/// A task in each of its states. It does nothing but exit.
struct Greeting(u8);

#[async_trait]
impl SandboxBuilder for Greeting {
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::new(Self(self.0)))
    }
}

#[async_trait]
impl Sandbox for Greeting {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        Ok(Arc::new(Self(self.0)))
    }

    async fn kill(&self, _: Duration) {}
}

#[async_trait]
impl ResultSet for Greeting {
    fn exit(&self) -> Exit {
        Exit::Code(self.0.into())
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        let path = path.to_owned();
        Err(ExtractError::Missing { path })
    }
}
