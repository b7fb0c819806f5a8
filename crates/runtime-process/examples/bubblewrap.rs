//! An engine that runs scripts with bubblewrap, built on the parts of the process engine.
//!
//! It prints the payload schema. The guide shows how a worker uses an engine.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runtime_core::{Environment, TaskError};
use runtime_process::ProcessEngine;
use runtime_worker::payload::schema_of;
use runtime_worker::{Capability, Engine, SandboxBuilder, TaskRun};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Runs scripts that see the system folders and the folder of their task.
#[derive(Debug, Default)]
pub struct Bubblewrap {
    processes: ProcessEngine,
}

/// The script of a task.
#[derive(Deserialize, JsonSchema)]
struct Payload {
    /// A script for `sh`.
    script: String,
    /// Environment variables.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// Without `Folders`, which are links to paths outside of the sandbox, and without `Exec`, whose commands would run
/// outside of it.
const CAPABILITIES: [Capability; 2] = [Capability::EnvVars, Capability::Copies];

/// Bubblewrap and its arguments before those about the task.
const WALLS: &str = "/usr/bin/bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --ro-bind-try /lib /lib \
     --ro-bind-try /lib64 /lib64 --ro-bind /bin /bin --proc /proc --dev /dev --tmpfs /tmp";

#[async_trait]
impl Engine for Bubblewrap {
    fn name(&self) -> &'static str {
        "bubblewrap"
    }

    fn payload_schema(&self) -> Value {
        schema_of::<Payload>()
    }

    fn capabilities(&self) -> &[Capability] {
        &CAPABILITIES
    }

    async fn prepare(&self, environment: &Environment) -> Result<(), TaskError> {
        self.processes.prepare(environment).await
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload: Payload = run.payload_as()?;
        let mut builder = self.processes.new_builder(run, &CAPABILITIES).await?;
        let folder = builder.folder().display().to_string();
        let own_folder = ["--bind", &folder, &folder, "--chdir", &folder];
        // Inside only: `set_payload_env` would let `LD_PRELOAD` of a task run its code in bubblewrap, before the walls.
        let env = payload.env.iter();
        let env = env.flat_map(|(name, value)| ["--setenv", name, value]);
        let script = ["sh", "-c", &payload.script];
        let command = WALLS.split_whitespace().chain(own_folder).chain(env);
        builder.command(command.chain(script))?;
        Ok(Box::new(builder))
    }
}

fn main() {
    println!("{:#}", Bubblewrap::default().payload_schema());
}
