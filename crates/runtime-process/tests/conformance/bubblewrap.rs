//! The engine of the example, on the parts of the process engine.

use std::process::Command;
use std::sync::Arc;

use runtime_core::Environment;
use runtime_mocks::conformance::{EngineUnderTest, Step, shell_script};
use runtime_worker::Engine;
use serde_json::{Value, json};

#[path = "../../examples/bubblewrap.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the example is a separate program"
)]
mod example;

struct Bubblewrap;

impl EngineUnderTest for Bubblewrap {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(example::Bubblewrap::default())
    }

    fn payload(&self, steps: &[Step]) -> Value {
        json!({ "script": shell_script(steps) })
    }

    async fn unavailable(&self, _: &Environment) -> Option<String> {
        let mut check = Command::new("bwrap");
        check.args(["--unshare-all", "--ro-bind", "/", "/", "true"]);
        match check.output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(format!("bwrap: {error}")),
        }
    }
}

runtime_mocks::engine_suite!(Bubblewrap);
