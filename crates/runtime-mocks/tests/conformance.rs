//! The suites over the engine in memory.

use std::sync::Arc;

use runtime_mocks::conformance::{EngineUnderTest, Step};
use runtime_mocks::{MockEngine, engine_suite};
use runtime_worker::Engine;
use serde_json::{Value, json};

struct Mock;

impl EngineUnderTest for Mock {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(MockEngine)
    }

    fn payload(&self, steps: &[Step]) -> Value {
        json!({ "steps": steps })
    }
}

engine_suite!(Mock);
