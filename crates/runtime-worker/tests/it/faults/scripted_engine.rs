//! An engine whose tasks follow the script in their payload, mostly without a process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, TaskError};
use runtime_process::ProcessEngine;
use runtime_worker::{
    Capability, Engine, Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder, TaskRun,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The behaviour of a task.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Behaviour {
    Succeed,
    Fail,
    Panic,
    Hang,
    Unavailable,
    Intermittent,
    Process,
    Malformed,
}

pub(super) const BEHAVIOURS: [Behaviour; 8] = [
    Behaviour::Succeed,
    Behaviour::Fail,
    Behaviour::Panic,
    Behaviour::Hang,
    Behaviour::Unavailable,
    Behaviour::Intermittent,
    Behaviour::Process,
    Behaviour::Malformed,
];

impl Behaviour {
    pub(super) fn payload(self, millis: u64) -> Value {
        let behaviour = format!("{self:?}").to_lowercase();
        let mut payload =
            json!({ "behaviour": behaviour, "millis": millis, "onExitStatus": { "retry": [75] } });
        match self {
            Self::Process => {
                payload["command"] = json!(["sh", "-c", "sleep 600 & setsid sleep 601 & true"])
            }
            Self::Hang => payload["maxRunTime"] = json!(1),
            _ => {}
        }
        payload
    }

    /// The final state of the task without faults.
    pub(super) fn expected_state(self) -> &'static str {
        match self {
            Self::Succeed | Self::Process => "completed",
            Self::Fail | Self::Hang => "failed",
            Self::Panic => "exception/internal-error",
            Self::Unavailable => "exception/resource-unavailable",
            Self::Intermittent => "exception/intermittent-task",
            Self::Malformed => "exception/malformed-payload",
        }
    }
}

/// The engine. It wraps the process engine for [`Behaviour::Process`].
#[derive(Debug)]
pub(super) struct ScriptedEngine(pub(super) ProcessEngine);

#[derive(Deserialize)]
struct Payload {
    behaviour: Behaviour,
    millis: u64,
}

#[async_trait]
impl Engine for ScriptedEngine {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn payload_schema(&self) -> Value {
        let behaviours = BEHAVIOURS.map(|behaviour| format!("{behaviour:?}").to_lowercase());
        let known: Vec<_> = behaviours
            .iter()
            .filter(|behaviour| *behaviour != "malformed")
            .collect();
        let mut schema = self.0.payload_schema();
        schema["properties"]["behaviour"] = json!({ "enum": known });
        schema["properties"]["millis"] = json!({ "type": "integer" });
        schema["required"] = json!(["behaviour", "millis"]);
        schema
    }

    fn capabilities(&self) -> &[Capability] {
        self.0.capabilities()
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let Payload { behaviour, millis } = run.payload_as()?;
        match behaviour {
            Behaviour::Process => self.0.new_sandbox_builder(run).await,
            Behaviour::Unavailable => Err(TaskError::unavailable("scripted")),
            _ => Ok(Box::new(ScriptedSandbox {
                behaviour,
                millis,
                killed: watch::Sender::new(false),
            })),
        }
    }
}

struct ScriptedSandbox {
    behaviour: Behaviour,
    millis: u64,
    killed: watch::Sender<bool>,
}

#[async_trait]
impl SandboxBuilder for ScriptedSandbox {
    fn set_env(&mut self, _: &str, _: &str) -> Result<(), MalformedPayloadError> {
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::from(self as Box<dyn Sandbox>))
    }
}

#[async_trait]
impl Sandbox for ScriptedSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut killed = self.killed.subscribe();
        let time = match self.behaviour {
            Behaviour::Hang => Duration::MAX,
            _ => Duration::from_millis(self.millis),
        };
        tokio::select! {
            _ = killed.wait_for(|killed| *killed) => return Ok(Arc::new(ScriptedResult(Exit::Killed))),
            () = tokio::time::sleep(time) => {}
        }
        assert_ne!(self.behaviour, Behaviour::Panic, "scripted panic");
        Ok(Arc::new(ScriptedResult(Exit::Code(match self.behaviour {
            Behaviour::Fail => 1,
            Behaviour::Intermittent => 75,
            _ => 0,
        }))))
    }

    async fn kill(&self, _: Duration) {
        self.killed.send_replace(true);
    }
}

struct ScriptedResult(Exit);

#[async_trait]
impl ResultSet for ScriptedResult {
    fn exit(&self) -> Exit {
        self.0
    }

    async fn extract(&self, path: &str) -> Result<std::path::PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}
