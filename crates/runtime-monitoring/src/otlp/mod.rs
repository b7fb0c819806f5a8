//! Pushes metrics to an OpenTelemetry collector by OTLP over HTTP with JSON.

mod export_request;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::Secret;
use runtime_core::clock::ticks;
use runtime_core::monitor::Counter;
use runtime_core::util::DurationText;
#[cfg(feature = "schema")]
use runtime_core::util::at_least;
use runtime_http::reqwest::Url;
use runtime_http::reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};

use crate::failure_log::FailureLog;
use crate::metrics::Metrics;
use crate::push::{PushClient, PushError, PushFailure, parse_url};

/// The configuration of pushes to an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpConfig {
    /// The URL of the collector, such as `http://localhost:4318`, without `/v1/metrics`.
    pub endpoint: String,

    /// Additional request headers, such as one with a token.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,

    /// The interval between pushes, at least one second.
    #[serde(default = "default_interval", with = "DurationText")]
    #[cfg_attr(feature = "schema", schemars(transform = at_least("1 s")))]
    pub interval: Duration,

    /// Additional resource attributes, such as `deployment.environment.name`.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
}

/// The shortest interval between pushes. A shorter one would only load the collector.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

const fn default_interval() -> Duration {
    Duration::from_secs(30)
}

impl OtlpConfig {
    /// Creates a configuration with an interval of 30 seconds.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: BTreeMap::new(),
            interval: default_interval(),
            resource: BTreeMap::new(),
        }
    }
}

/// Pushes metrics until stopped or dropped. Returned by [`push_to_otlp`].
///
/// Failed pushes are not queued: values are totals since the start, so the next push includes them.
#[derive(Debug)]
#[must_use = "dropping it stops the pushes"]
pub struct OtlpPush {
    stopping: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Starts pushing `metrics`. `tags` become resource attributes that identify the worker.
///
/// # Errors
///
/// [`PushError::Address`] for an invalid endpoint, [`PushError::Header`] for an invalid header.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn push_to_otlp(
    config: &OtlpConfig,
    metrics: Metrics,
    tags: &BTreeMap<String, String>,
) -> Result<OtlpPush, PushError> {
    let endpoint = format!("{}/v1/metrics", config.endpoint.trim_end_matches('/'));
    let mut resource = tags.clone();
    resource.extend(config.resource.clone());
    let pusher = MetricsPusher {
        client: PushClient::new()?,
        url: parse_url("OTLP endpoint", &endpoint)?,
        headers: headers(&config.headers)?,
        resource,
        failure_count: metrics.counter("monitoring.otlp-failures"),
        metrics,
        failure_log: FailureLog::default(),
    };
    let stopping = Arc::new(Notify::new());
    let interval = config.interval.max(MIN_INTERVAL);
    let task = tokio::spawn(pusher.run(interval, Arc::clone(&stopping)));
    Ok(OtlpPush { stopping, task })
}

fn headers(config: &BTreeMap<String, Secret>) -> Result<HeaderMap, PushError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, secret) in config {
        let invalid = || PushError::Header { name: name.clone() };
        let key = HeaderName::try_from(name).map_err(|_| invalid())?;
        let mut value = HeaderValue::try_from(secret.expose()).map_err(|_| invalid())?;
        // Excluded from `Debug` output and from the header compression table.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

impl OtlpPush {
    /// Pushes a last time within `time_limit` and stops.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the pushes immediately.
    pub async fn stop(mut self, time_limit: Duration) {
        self.stopping.notify_one();
        // After the time limit, dropping `self` aborts the task.
        let _ = timeout(time_limit, &mut self.task).await;
    }
}

impl Drop for OtlpPush {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct MetricsPusher {
    client: PushClient,
    url: Url,
    headers: HeaderMap,
    resource: BTreeMap<String, String>,
    metrics: Metrics,
    failure_count: Counter,
    failure_log: FailureLog,
}

impl MetricsPusher {
    async fn run(mut self, period: Duration, stopping: Arc<Notify>) {
        let mut ticks = ticks(period);
        // A push that takes longer than the interval must not be followed by a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, before the worker has recorded anything.
        ticks.tick().await;
        loop {
            // Only the wait is cancelled by the stop, never a push in progress.
            let is_last = tokio::select! {
                _ = ticks.tick() => false,
                () = stopping.notified() => true,
            };
            self.push().await;
            if is_last {
                return;
            }
        }
    }

    async fn push(&mut self) {
        let body = export_request::encode(&self.metrics, &self.resource);
        let headers = self.headers.clone();
        let Err(PushFailure { reason, .. }) = self.client.post(&self.url, headers, body).await
        else {
            return self.failure_log.success();
        };
        self.failure_count.add(1);
        self.failure_log.failure(format_args!(
            "cannot push metrics by OTLP: the collector {reason}"
        ));
    }
}
