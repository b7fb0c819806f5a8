//! An engine whose tasks do what their payload says, without a process unless it says that too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, TaskError};
use runtime_process::ProcessEngine;
use runtime_worker::{Engine, Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder, TaskRun};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What a task does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Act {
    Succeed,
    Fail,
    Panic,
    Hang,
    Starve,
    Flake,
    Process,
    Dance,
}

pub(super) const ACTS: [Act; 8] = [
    Act::Succeed,
    Act::Fail,
    Act::Panic,
    Act::Hang,
    Act::Starve,
    Act::Flake,
    Act::Process,
    Act::Dance,
];

impl Act {
    pub(super) fn payload(self, millis: u64) -> Value {
        let act = format!("{self:?}").to_lowercase();
        let mut payload =
            json!({ "act": act, "millis": millis, "onExitStatus": { "retry": [75] } });
        match self {
            Self::Process => {
                payload["command"] = json!(["sh", "-c", "sleep 600 & setsid sleep 601 & true"])
            }
            Self::Hang => payload["maxRunTime"] = json!(1),
            _ => {}
        }
        payload
    }

    /// How the last run of such a task ends, if nothing outside of it goes wrong.
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Self::Succeed | Self::Process => "completed",
            Self::Fail | Self::Hang => "failed",
            Self::Panic => "exception/internal-error",
            Self::Starve => "exception/resource-unavailable",
            Self::Flake => "exception/intermittent-task",
            Self::Dance => "exception/malformed-payload",
        }
    }
}

/// The engine.
#[derive(Debug)]
pub(super) struct Actors(pub(super) ProcessEngine);

#[derive(Deserialize)]
struct Payload {
    act: Act,
    millis: u64,
}

#[async_trait]
impl Engine for Actors {
    fn payload_schema(&self) -> Value {
        let acts = ACTS.map(|act| format!("{act:?}").to_lowercase());
        let known: Vec<_> = acts.iter().filter(|act| *act != "dance").collect();
        let mut schema = self.0.payload_schema();
        schema["properties"]["act"] = json!({ "enum": known });
        schema["properties"]["millis"] = json!({ "type": "integer" });
        schema["required"] = json!(["act", "millis"]);
        schema
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let Payload { act, millis } = run.payload_as()?;
        match act {
            Act::Process => self.0.new_sandbox_builder(run).await,
            Act::Starve => Err(TaskError::unavailable("the well is dry")),
            _ => Ok(Box::new(Actor {
                act,
                millis,
                killed: watch::Sender::new(false),
            })),
        }
    }
}

struct Actor {
    act: Act,
    millis: u64,
    killed: watch::Sender<bool>,
}

#[async_trait]
impl SandboxBuilder for Actor {
    fn set_env(&mut self, _: &str, _: &str) -> Result<(), MalformedPayloadError> {
        Ok(())
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        Ok(Arc::from(self as Box<dyn Sandbox>))
    }
}

#[async_trait]
impl Sandbox for Actor {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut killed = self.killed.subscribe();
        let time = match self.act {
            Act::Hang => Duration::MAX,
            _ => Duration::from_millis(self.millis),
        };
        tokio::select! {
            _ = killed.wait_for(|killed| *killed) => return Ok(Arc::new(Ended(Exit::Killed))),
            () = tokio::time::sleep(time) => {}
        }
        assert_ne!(self.act, Act::Panic, "the actor forgot the text");
        Ok(Arc::new(Ended(Exit::Code(match self.act {
            Act::Fail => 1,
            Act::Flake => 75,
            _ => 0,
        }))))
    }

    async fn kill(&self, _: Duration) {
        self.killed.send_replace(true);
    }
}

struct Ended(Exit);

#[async_trait]
impl ResultSet for Ended {
    fn exit(&self) -> Exit {
        self.0
    }

    async fn extract(&self, path: &str) -> Result<std::path::PathBuf, ExtractError> {
        Err(ExtractError::Missing {
            path: path.to_owned(),
        })
    }
}
