//! The suite for plugins over the standard plugins.

use std::sync::Arc;
use std::time::Duration;

use runtime_fetcher::{FetchConfig, HttpClient};
use runtime_gc::ResourceTracker;
use runtime_mocks::conformance::PluginUnderTest;
use runtime_mocks::plugin_suite;
use runtime_worker::Plugin;
use runtime_worker::plugins::{
    Artifacts, ExitStatus, LogPrefix, MaxRunTime, Mounts, ResourceUsage, TaskEnvVars, TaskLog,
    TaskclusterProxy,
};
use serde_json::{Value, json};

/// A plugin with the part of the payload that makes it act.
struct Tested<F>(F, Value);

impl<P: Plugin + 'static, F: Fn() -> P + Send + Sync + 'static> PluginUnderTest for Tested<F> {
    async fn plugin(&self) -> Arc<dyn Plugin> {
        Arc::new(self.0())
    }

    fn payload(&self) -> Value {
        self.1.clone()
    }
}

/// `Mounts`, with a folder for its caches.
struct MountsUnderTest(tempfile::TempDir);

impl MountsUnderTest {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }
}

impl PluginUnderTest for MountsUnderTest {
    async fn plugin(&self) -> Arc<dyn Plugin> {
        let http = HttpClient::new(FetchConfig::default()).expect("a valid configuration");
        let mounts = Mounts::builder(http, self.0.path());
        let mounts = mounts.open(ResourceTracker::detached()).await;
        Arc::new(mounts.expect("a folder of the test"))
    }

    fn payload(&self) -> Value {
        json!({ "mounts": [
            { "cacheName": "build", "directory": "cache" },
            { "content": { "raw": "text" }, "file": "input" },
        ] })
    }
}

mod mounts {
    use super::*;

    plugin_suite!(MountsUnderTest::new());
}

mod taskcluster_proxy {
    use super::*;

    plugin_suite!(Tested(
        || TaskclusterProxy::new(&[]).expect("no certificates"),
        json!({ "features": { "taskclusterProxy": true } }),
    ));
}

#[cfg(unix)]
mod interactive {
    use super::*;

    plugin_suite!(Tested(
        || runtime_worker::plugins::Interactive,
        json!({ "features": { "interactive": true } }),
    ));
}

mod artifacts {
    use super::*;

    plugin_suite!(Tested(
        Artifacts::default,
        json!({ "artifacts": [
            { "name": "public/a", "type": "file", "path": "a" },
            { "name": "public/b", "type": "directory", "path": "b", "optional": true },
        ] }),
    ));
}

mod exit_status {
    use super::*;

    plugin_suite!(Tested(
        || ExitStatus,
        json!({ "onExitStatus": { "retry": [1] } }),
    ));
}

mod log_prefix {
    use super::*;

    plugin_suite!(Tested(|| LogPrefix::new([("worker", "test")]), json!({})));
}

mod max_run_time {
    use super::*;

    plugin_suite!(Tested(
        || MaxRunTime::new(Duration::from_secs(3600)),
        json!({ "maxRunTime": 600 }),
    ));
}

mod resource_usage {
    use super::*;

    plugin_suite!(Tested(ResourceUsage::default, json!({})));
}

mod task_env_vars {
    use super::*;

    plugin_suite!(Tested(|| TaskEnvVars, json!({})));
}

mod task_log {
    use super::*;

    plugin_suite!(Tested(TaskLog::new, json!({})));
}
