//! The process engine with each isolation.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::{Environment, error_chain};
use runtime_mocks::conformance::{EngineUnderTest, Step, TaskLimit, shell_script};
use runtime_process::{KillSequence, ProcessEngine, TaskIsolation, TaskNetwork};
use runtime_worker::Engine;
use serde_json::{Value, json};

struct Processes(TaskIsolation, TaskNetwork);

impl Processes {
    fn process_engine(&self) -> ProcessEngine {
        let sequence = KillSequence::new(Duration::ZERO, Duration::from_millis(200));
        let engine = ProcessEngine::new().kill_sequence(sequence);
        engine.isolation(self.0).network(self.1)
    }
}

impl EngineUnderTest for Processes {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.process_engine())
    }

    fn payload(&self, steps: &[Step]) -> Value {
        json!({ "command": ["sh", "-c", shell_script(steps)] })
    }

    fn limited_payload(&self, steps: &[Step], limit: TaskLimit) -> Option<Value> {
        let mut payload = self.payload(steps);
        match limit {
            TaskLimit::Memory(bytes) => payload["maxMemory"] = json!(format!("{bytes} B")),
            TaskLimit::Processes(count) => payload["maxProcesses"] = json!(count),
            _ => return None,
        }
        Some(payload)
    }

    async fn unavailable(&self, environment: &Environment) -> Option<String> {
        if self.0 == TaskIsolation::None {
            return None;
        }
        let prepared = self.process_engine().prepare(environment).await;
        prepared.err().map(|error| error_chain(&error))
    }
}

mod without_isolation {
    use super::*;

    runtime_mocks::engine_suite!(Processes(TaskIsolation::None, TaskNetwork::Host));
}

/// Without control groups, processes are found by their marks.
struct Marked;

impl EngineUnderTest for Marked {
    fn engine(&self) -> Arc<dyn Engine> {
        let processes = Processes(TaskIsolation::None, TaskNetwork::Host);
        Arc::new(processes.process_engine().without_cgroups())
    }

    fn payload(&self, steps: &[Step]) -> Value {
        Processes(TaskIsolation::None, TaskNetwork::Host).payload(steps)
    }
}

mod without_cgroups {
    use super::*;

    runtime_mocks::engine_suite!(Marked);
}

mod user_isolation {
    use super::*;

    runtime_mocks::engine_suite!(Processes(TaskIsolation::User, TaskNetwork::Host));
}

mod strict_isolation {
    use super::*;

    runtime_mocks::engine_suite!(Processes(TaskIsolation::Strict, TaskNetwork::None));
}

/// Skipped without `pasta`.
mod outbound_network {
    use super::*;

    runtime_mocks::engine_suite!(Processes(TaskIsolation::User, TaskNetwork::Outbound));
}
