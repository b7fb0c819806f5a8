//! What the loop of the worker adds to the contract of engines.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_core::webhook::{Request, Response, from_fn};
use runtime_mocks::MockEngine;
use runtime_worker::plugins::{Artifacts, TaskEnvVars, TaskLog};
use runtime_worker::{BuildError, Capability, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::json;

use crate::support::{TestBed, sh};

/// Sets a variable, or the address of a proxy if there is no value.
#[derive(Clone, Debug)]
struct Setter {
    name: &'static str,
    value: Option<&'static str>,
    requires: &'static [Capability],
}

fn setter(name: &'static str, value: Option<&'static str>) -> Setter {
    let requires = &[];
    Setter {
        name,
        value,
        requires,
    }
}

#[async_trait]
impl Plugin for Setter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn requires(&self) -> &[Capability] {
        self.requires
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for Setter {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        match self.value {
            Some(value) => builder.set_env("COLOUR", value)?,
            None => {
                let handler = from_fn(|_: Request| async { Response::default() });
                builder.attach_proxy("COLOUR", handler)?;
            }
        }
        Ok(())
    }
}

/// Runs a task with plugins that set a variable. Returns its resolution and log.
async fn run_with(plugins: &[Setter], payload: serde_json::Value) -> (String, String) {
    let bed = TestBed::new().await;
    let task_id = bed.create(payload);
    let worker = plugins.iter().cloned();
    let worker = worker.fold(bed.worker(), |worker, plugin| worker.plugin(plugin));
    let running = bed.start(worker);
    let state = bed.resolved(&task_id).await.state_and_reason();
    running.stop().await;
    (state, bed.log(&task_id).await)
}

#[tokio::test]
async fn variable_of_two_plugins_is_malformed() {
    for second in [Some("red"), None] {
        let plugins = [setter("first", Some("blue")), setter("second", second)];
        let (state, log) = run_with(&plugins, sh("true")).await;
        assert_eq!(state, "exception/malformed-payload");
        let message = "the environment variable `COLOUR` is set by both the plugin `first` and the plugin `second`";
        assert!(log.contains(message), "{log}");
    }
}

#[tokio::test]
async fn variable_of_payload_and_plugin_is_malformed() {
    let payload = json!({ "command": ["true"], "env": { "COLOUR": "green" } });
    let (state, log) = run_with(&[setter("first", Some("blue"))], payload).await;
    assert_eq!(state, "exception/malformed-payload");
    let message = "the environment variable `COLOUR` is set by both the payload and the plugin `first`: remove it from the payload";
    assert!(log.contains(message), "{log}");
}

#[tokio::test]
async fn equal_values_are_accepted() {
    let payload = json!({ "command": ["sh", "-c", "echo $COLOUR"], "env": { "COLOUR": "blue" } });
    let plugins = [
        setter("first", Some("blue")),
        setter("second", Some("blue")),
    ];
    let (state, log) = run_with(&plugins, payload).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("\nblue\n"), "{log}");
}

#[tokio::test]
async fn missing_capability_fails_the_build() {
    let bed = TestBed::new().await;
    let plugin = Setter {
        requires: &[Capability::Proxies],
        ..setter("first", None)
    };
    let worker = bed.worker_without_plugins(Arc::new(MockEngine));
    let error = worker.plugin(plugin).build().map(drop);
    let error = error.expect_err("the engine has no proxies");
    assert!(matches!(
        error,
        BuildError::Unsupported {
            plugin: "first",
            capability: Capability::Proxies
        }
    ));
    assert!(error.to_string().contains("proxies for a task"), "{error}");
}

#[tokio::test]
async fn remote_files_become_artifacts() {
    let bed = TestBed::new().await;
    let mut steps = vec![json!({ "makeFolder": "out/deep" })];
    let files = ["a", "b", "c", "d", "e", "deep/f"];
    for name in files {
        let path = format!("out/{name}");
        steps.push(json!({ "write": { "path": path, "text": name } }));
    }
    steps.push(json!({ "link": { "path": "out/link", "target": "a" } }));
    steps.push(json!({ "link": { "path": "out/outside", "target": "/etc/passwd" } }));
    let task_id = bed.create(json!({
        "steps": steps,
        "artifacts": [
            { "name": "public/out", "type": "directory", "path": "out" },
            { "name": "public/one.txt", "type": "file", "path": "out/a" },
            { "name": "public/none.txt", "type": "file", "path": "missing", "optional": true },
        ],
    }));
    let worker = bed.worker_without_plugins(Arc::new(MockEngine));
    let worker = worker
        .plugin(TaskLog::new())
        .plugin(TaskEnvVars)
        .plugin(Artifacts::default());
    let running = bed.start(worker);
    let state = bed.resolved(&task_id).await.state_and_reason();
    running.stop().await;
    let log = bed.log(&task_id).await;
    assert_eq!(state, "completed", "{log}");
    for name in files {
        let artifact = format!("public/out/{name}");
        assert_eq!(bed.text(&task_id, &artifact).await, name);
    }
    for artifact in ["public/out/link", "public/one.txt"] {
        assert_eq!(bed.text(&task_id, artifact).await, "a");
    }
    assert!(
        log.contains("Not uploaded: the link \"out/outside\""),
        "{log}"
    );
    // The copies on disk are removed.
    bed.assert_no_leftovers();
}
