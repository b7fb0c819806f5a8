//! The engine of the example, on the parts of the process engine.

use std::process::Command;
use std::sync::Arc;

use runtime_core::{Environment, TemporaryStorage, WorkerIdentity};
use runtime_mocks::TestTask;
use runtime_mocks::conformance::{EngineUnderTest, Step, shell_script};
use runtime_worker::{Engine, Exit, TaskRun};
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
        let mut check = Command::new("/usr/bin/bwrap");
        check.args(["--unshare-all", "--ro-bind", "/", "/", "true"]);
        match check.output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(format!("bwrap: {error}")),
        }
    }
}

runtime_mocks::engine_suite!(Bubblewrap);

#[tokio::test]
async fn variables_reach_only_the_inside() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let storage = TemporaryStorage::open(folder.path()).expect("a folder of the test");
    let identity = WorkerIdentity {
        root_url: "https://tc.example.com".to_owned(),
        task_queue_id: "test/linux".to_owned(),
        worker_group: "group".to_owned(),
        worker_id: "worker".to_owned(),
    };
    let environment = Environment::builder(identity, storage).build();
    if let Some(reason) = Bubblewrap.unavailable(&environment).await {
        println!("skipped: {reason}");
        return;
    }
    // The dynamic loader of each program that sees the variable complains.
    let payload = json!({
        "script": "echo $WORD",
        "env": { "WORD": "inside", "LD_PRELOAD": "./x.so" },
    });
    let task = TestTask::new(payload);
    let run = TaskRun::new(task.context().clone(), environment);
    let engine = Bubblewrap.engine();
    let builder = engine.new_sandbox_builder(&run).await;
    let sandbox = builder.expect("a valid payload").start().await;
    let result = sandbox.expect("bubblewrap starts").wait().await;
    let log = task.log();
    assert_eq!(result.expect("a result").exit(), Exit::Code(0), "{log}");
    assert!(log.contains("inside\n"), "{log}");
    assert_eq!(log.matches("./x.so").count(), 1, "{log}");
}
