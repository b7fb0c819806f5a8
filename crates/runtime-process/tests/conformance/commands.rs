//! The engine by commands.

use std::sync::Arc;

use runtime_mocks::conformance::{EngineUnderTest, Step, shell_script};
use runtime_process::CommandsConfig;
use runtime_worker::Engine;
use serde_json::{Value, json};

struct Commands;

/// Runs the script in the payload. Its characters are encoded, so that the program needs no parser for JSON.
const RUN: &str = r#"octal=$(sed -n 's/.*"octal":"\([^"]*\)".*/\1/p' | sed 's,/,\\,g')
eval "$(printf %b "$octal")""#;

impl EngineUnderTest for Commands {
    fn engine(&self) -> Arc<dyn Engine> {
        let config = json!({
            "prepare": ["true"],
            "run": ["sh", "-c", RUN],
            "kill": ["true"],
            "cleanup": ["true"],
            "terminateTimeout": "200 ms",
            "payloadSchema": {
                "type": "object",
                "properties": { "octal": { "type": "string", "pattern": "^[0-7/]*$" } },
                "required": ["octal"],
            },
        });
        let config: CommandsConfig = serde_json::from_value(config).expect("a valid configuration");
        Arc::new(config.to_engine().expect("a valid configuration"))
    }

    fn payload(&self, steps: &[Step]) -> Value {
        let octal: String = shell_script(steps)
            .bytes()
            .map(|byte| format!("/0{byte:03o}"))
            .collect();
        json!({ "octal": octal })
    }
}

runtime_mocks::engine_suite!(Commands);
