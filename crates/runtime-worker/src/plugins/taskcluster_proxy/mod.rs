//! A proxy that signs a task's requests to Taskcluster.

mod forward;
mod route;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::webhook::Handler;
use runtime_core::{ScopeSet, Section, TaskError};
use runtime_http::reqwest::{self, Client};
use runtime_http::{TlsError, client_builder, tls_config};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::forward::Forwarder;
use crate::engine::{Capability, SandboxBuilder};
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;

/// The variable with the URL of the proxy.
const VARIABLE: &str = "TASKCLUSTER_PROXY_URL";

/// The limit of the time without data from a service.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The limit of the time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads `features.taskclusterProxy`, and serves a proxy that signs the task's requests with the credentials of the
/// run.
///
/// The signatures are limited to the scopes of the task, and the scope to create artifacts of its run. The task
/// receives no credentials. Clients of Taskcluster use the URL in `TASKCLUSTER_PROXY_URL` as their root URL.
///
/// | request | effect |
/// | --- | --- |
/// | `/api/<service>/<version>/<path>` | is signed and forwarded to the deployment |
/// | `/<service>/<version>/<path>` | the same, for old clients |
/// | `/bewit`, with a URL of the deployment or a path as the body | returns the URL with a signature that is valid for an hour, with status 303 |
///
/// Paths are forwarded unchanged. Redirects are not followed. Failed connections and responses with status 5xx are
/// retried. The body of a request has at most 16 MiB. If all bodies in flight of a task exceed 64 MiB, further requests
/// wait.
#[derive(Clone, Debug)]
pub struct TaskclusterProxy {
    client: Client,
}

impl TaskclusterProxy {
    /// Creates the plugin, with certificates in PEM format to trust in addition to those of the system.
    ///
    /// # Errors
    ///
    /// A [`TaskclusterProxyError`] if a certificate is invalid.
    pub fn new(extra_roots: &[String]) -> Result<Self, TaskclusterProxyError> {
        let client = client_builder(tls_config(extra_roots)?, "runtime-worker")
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        Ok(Self { client })
    }
}

/// The reason why a [`TaskclusterProxy`] could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskclusterProxyError {
    /// A certificate is invalid.
    #[error("cannot configure TLS for the Taskcluster proxy")]
    Tls(#[from] TlsError),

    /// The HTTP client could not be created.
    #[error("cannot create the HTTP client of the Taskcluster proxy")]
    Client(#[from] reqwest::Error),
}

#[derive(Default, Deserialize, JsonSchema)]
struct Payload {
    /// Optional parts of the worker.
    #[serde(default)]
    features: Features,
}

/// Other plugins read the other features.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
struct Features {
    /// Whether the task gets a proxy that signs its requests to Taskcluster.
    #[serde(default)]
    taskcluster_proxy: bool,
}

#[async_trait]
impl Plugin for TaskclusterProxy {
    fn name(&self) -> &'static str {
        "taskcluster-proxy"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<Payload>())
    }

    fn requires(&self) -> &[Capability] {
        &[Capability::Proxies]
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Taskcluster proxy",
            "
            With `features.taskclusterProxy`, the variable `TASKCLUSTER_PROXY_URL` is the URL of a proxy to Taskcluster.
            The proxy signs requests below `/api/` with the scopes of the task. Clients use the URL as their root URL,
            without credentials.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        if !run.payload_as::<Payload>()?.features.taskcluster_proxy {
            return Ok(None);
        }
        let context = &run.context;
        let id = context.run();
        let artifacts = format!("queue:create-artifact:{}/{}", id.task_id, id.run_id);
        let scopes = context.info().scopes().iter();
        let scopes = ScopeSet::new(scopes.chain([artifacts]));
        let authorizer = context.authorizer().with_authorized_scopes(&scopes);
        let root_url = run.environment.identity.root_url.clone();
        let forwarder = Forwarder::new(self.client.clone(), root_url, authorizer);
        Ok(Some(Box::new(TaskProxy(Arc::new(forwarder)))))
    }
}

struct TaskProxy(Arc<dyn Handler>);

#[async_trait]
impl TaskPlugin for TaskProxy {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        Ok(builder.attach_proxy(VARIABLE, Arc::clone(&self.0))?)
    }
}
