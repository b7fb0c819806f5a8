//! The client of the queue, and of the server's control endpoint.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use runtime_client::{Client, TaskclusterDeployment};
use runtime_core::queue::{ArtifactContent, Queue as _, TaskDefinition, TaskStatus};
use runtime_core::{CredentialsWatch, TaskId};
use runtime_http::{client_builder, reqwest, tls_config};
use runtime_taskcluster_embedded::FaultRule;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::server::Server;
use crate::tasks::TaskSpec;

/// The queue from which all workers claim.
pub(crate) const TASK_QUEUE_ID: &str = "demo/local";
/// The most that the queue accepts: each crash of a worker or of the server may use up one.
const RETRIES: u32 = 49;

/// A client of a server, which may be restarted meanwhile.
pub(crate) struct QueueClient {
    client: Client,
    http: reqwest::Client,
    root_url: String,
}

impl QueueClient {
    pub(crate) fn new(server: &Server) -> Result<Self> {
        let deployment = TaskclusterDeployment::new(&server.root_url)?;
        let credentials = CredentialsWatch::fixed(Some(server.credentials.clone()));
        Ok(Self {
            client: deployment.client(credentials),
            http: client_builder(tls_config(&[])?, "soak").build()?,
            root_url: server.root_url.clone(),
        })
    }

    pub(crate) async fn create(&self, name: &str, spec: &TaskSpec) -> Result<TaskId> {
        let now = Timestamp::now();
        let hours = |hours| now.saturating_add(SignedDuration::from_hours(hours));
        let definition: TaskDefinition = serde_json::from_value(json!({
            "taskQueueId": TASK_QUEUE_ID,
            "created": now,
            "deadline": hours(24)?,
            "expires": hours(48)?,
            "retries": RETRIES,
            "dependencies": spec.dependencies,
            "payload": spec.payload,
            "metadata": {"name": name, "description": "", "owner": "soak@example.com", "source": "https://example.com"},
        }))?;
        let task_id = TaskId::random();
        self.client.create_task(&task_id, &definition).await?;
        Ok(task_id)
    }

    pub(crate) async fn status(&self, task_id: &TaskId) -> Result<TaskStatus> {
        Ok(self.client.status(task_id).await?)
    }

    pub(crate) async fn cancel(&self, task_id: &TaskId) -> Result<()> {
        self.client.cancel_task(task_id).await?;
        Ok(())
    }

    /// Returns the URL of an artifact's content, of the latest run.
    pub(crate) async fn artifact_url(&self, task_id: &TaskId, name: &str) -> Result<String> {
        match self.client.artifact(task_id, None, name).await? {
            ArtifactContent::S3 { url } | ArtifactContent::Reference { url } => {
                Ok(url.expose_secret().to_owned())
            }
            other => bail!("`{name}` has no content: {other:?}"),
        }
    }

    /// Reads the complete log of the latest run.
    pub(crate) async fn read_log(&self, task_id: &TaskId) -> Result<String> {
        let name = "public/logs/live_backing.log";
        let url = self.artifact_url(task_id, name).await?;
        let response = self.http.get(&url).header("accept-encoding", "gzip");
        let response = response.send().await?.error_for_status()?;
        let encoding = response.headers().get("content-encoding");
        let is_gzip = encoding.is_some_and(|encoding| encoding == "gzip");
        let bytes = response.bytes().await?;
        let mut log = String::new();
        if is_gzip {
            MultiGzDecoder::new(&*bytes).read_to_string(&mut log)?;
        } else {
            log = String::from_utf8(bytes.into())?;
        }
        Ok(log)
    }

    pub(crate) async fn inject(&self, rule: &FaultRule) -> Result<()> {
        let url = format!("{}/control/faults", self.root_url);
        let body = serde_json::to_vec(rule)?;
        control(self.http.post(url).body(body)).await.map(drop)
    }

    /// Returns the methods and kinds of the faults since the start of the server, with their numbers of hits.
    pub(crate) async fn fault_hits(&self) -> Result<Vec<(String, String, u64)>> {
        let url = format!("{}/control/faults", self.root_url);
        let list = control(self.http.get(url)).await?;
        let faults = list["faults"].as_array().context("no list of faults")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let hits = faults.iter().map(|fault| {
            let rule = &fault["rule"];
            let hits = fault["hits"].as_u64().unwrap_or(0);
            (text(&rule["method"]), text(&rule["fault"]["kind"]), hits)
        });
        Ok(hits.collect())
    }

    pub(crate) async fn clear_faults(&self) -> Result<()> {
        let url = format!("{}/control/faults", self.root_url);
        control(self.http.delete(url)).await.map(drop)
    }

    /// Moves the clock of the server forward.
    pub(crate) async fn step_clock(&self, seconds: f64) -> Result<()> {
        let url = format!("{}/control/clock", self.root_url);
        let body = json!({"advance": seconds}).to_string();
        control(self.http.post(url).body(body)).await.map(drop)
    }
}

async fn control(request: reqwest::RequestBuilder) -> Result<Value> {
    // Otherwise the server takes it for a form of another site.
    let request = request.header("content-type", "application/json");
    let response = request.send().await?;
    let status = response.status();
    let body = response.bytes().await?;
    let text = String::from_utf8_lossy(&body);
    ensure!(
        status.is_success(),
        "the control endpoint responded with {status}: {text}"
    );
    Ok(serde_json::from_slice(&body)?)
}
