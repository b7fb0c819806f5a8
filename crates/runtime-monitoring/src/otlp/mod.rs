//! Pushes metrics and traces to an OpenTelemetry collector by OTLP over HTTP with JSON.

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
use crate::push::{PushClient, PushFailure, PushFailureKind, StartPushError, parse_url};
use crate::trace_queue::TraceQueue;

/// The configuration of pushes to an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpConfig {
    /// The URL of the collector, such as `http://localhost:4318`, without `/v1/metrics` and `/v1/traces`.
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

    /// Whether each task is pushed as a trace, and has the variable `TRACEPARENT`.
    #[serde(default = "enabled")]
    pub traces: bool,
}

const fn enabled() -> bool {
    true
}

/// The shortest interval between pushes. A shorter one would only load the collector.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

const fn default_interval() -> Duration {
    Duration::from_secs(30)
}

impl OtlpConfig {
    /// Creates a configuration with an interval of 30 seconds and traces.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: BTreeMap::new(),
            interval: default_interval(),
            resource: BTreeMap::new(),
            traces: enabled(),
        }
    }
}

/// Pushes metrics and traces until stopped or dropped. Returned by [`push_to_otlp`].
///
/// Failed pushes of metrics are not queued: values are totals since the start, so the next push includes them. Traces wait in
/// the [`TraceQueue`] until the collector accepts or rejects them.
#[derive(Debug)]
#[must_use = "dropping it stops the pushes"]
pub struct OtlpPush {
    stopping: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Starts pushing `metrics` and the traces of tasks. `tags` become resource attributes that identify the worker.
///
/// Traces are pushed at each interval, and earlier if there are many.
///
/// # Errors
///
/// [`StartPushError::Address`] for an invalid endpoint, [`StartPushError::Header`] for an invalid header.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn push_to_otlp(
    config: &OtlpConfig,
    metrics: Metrics,
    traces: TraceQueue,
    tags: &BTreeMap<String, String>,
) -> Result<OtlpPush, StartPushError> {
    let endpoint = config.endpoint.trim_end_matches('/');
    let url = |path| parse_url("OTLP endpoint", &format!("{endpoint}/v1/{path}"));
    let mut resource = tags.clone();
    resource.extend(config.resource.clone());
    let pusher = OtlpPusher {
        client: PushClient::new()?,
        metrics_url: url("metrics")?,
        traces_url: url("traces")?,
        headers: headers(&config.headers)?,
        resource,
        failure_count: metrics.counter("monitoring.otlp-failures"),
        metrics,
        traces,
        failure_log: FailureLog::default(),
    };
    let stopping = Arc::new(Notify::new());
    let interval = config.interval.max(MIN_INTERVAL);
    let task = tokio::spawn(pusher.run(interval, Arc::clone(&stopping)));
    Ok(OtlpPush { stopping, task })
}

fn headers(config: &BTreeMap<String, Secret>) -> Result<HeaderMap, StartPushError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, secret) in config {
        let invalid = || StartPushError::Header { name: name.clone() };
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

struct OtlpPusher {
    client: PushClient,
    metrics_url: Url,
    traces_url: Url,
    headers: HeaderMap,
    resource: BTreeMap<String, String>,
    metrics: Metrics,
    traces: TraceQueue,
    failure_count: Counter,
    failure_log: FailureLog,
}

impl OtlpPusher {
    async fn run(mut self, period: Duration, stopping: Arc<Notify>) {
        let mut ticks = ticks(period);
        // A push that takes longer than the interval must not be followed by a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, before the worker has recorded anything.
        ticks.tick().await;
        let mut is_failing = false;
        loop {
            // Only the wait is cancelled by the stop, never a push in progress.
            let is_last = tokio::select! {
                _ = ticks.tick() => false,
                () = stopping.notified() => true,
                // Not after a failure, which every further task would repeat at once.
                () = self.traces.batch_is_full(), if !is_failing => {
                    is_failing = self.push_traces().await.is_err();
                    continue;
                }
            };
            // Traces first: the metrics then count the spans that were dropped.
            is_failing = self.push_traces().await.is_err();
            let body = export_request::encode_metrics(&self.metrics, &self.resource);
            // A failure is logged and counted, and the next push has the same values.
            let _ = self.push(Signal::Metrics, body).await;
            if is_last {
                return;
            }
        }
    }

    /// Pushes the waiting traces, until one push fails. The next interval repeats it after a transient failure.
    async fn push_traces(&mut self) -> Result<(), PushFailureKind> {
        loop {
            let batch = self.traces.take_batch();
            if batch.is_empty() {
                return Ok(());
            }
            let body = export_request::encode_traces(&batch, &self.resource);
            let pushed = self.push(Signal::Traces, body).await;
            match pushed {
                Ok(()) => continue,
                Err(PushFailureKind::Permanent) => self.traces.drop_batch(&batch),
                Err(_) => self.traces.put_back(batch),
            }
            return pushed;
        }
    }

    async fn push(&mut self, signal: Signal, body: Vec<u8>) -> Result<(), PushFailureKind> {
        let (url, name) = match signal {
            Signal::Metrics => (&self.metrics_url, "metrics"),
            Signal::Traces => (&self.traces_url, "traces"),
        };
        let pushed = self.client.post(url, self.headers.clone(), body).await;
        let Err(PushFailure { reason, kind }) = pushed else {
            self.failure_log.success();
            return Ok(());
        };
        self.failure_count.add(1);
        self.failure_log.failure(format_args!(
            "cannot push {name} by OTLP: the collector {reason}"
        ));
        Err(kind)
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Metrics,
    Traces,
}
