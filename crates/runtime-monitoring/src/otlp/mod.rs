//! Pushes metrics to a collector that speaks OTLP over HTTP.

mod request;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::Secret;
use runtime_core::monitor::Counter;
use runtime_http::reqwest::Url;
use runtime_http::reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::logging_monitor::TARGET;
use crate::metrics::Metrics;
use crate::push::{Http, Posted, PushError, address};

/// Where to push metrics to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpConfig {
    /// The collector, such as `http://localhost:4318`; `/v1/metrics` is added.
    pub endpoint: String,

    /// Headers of each request, such as one with a token.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,

    /// How many seconds lie between two pushes.
    #[serde(default = "half_a_minute")]
    pub interval: NonZeroU32,

    /// What else to say of this worker, such as `deployment.environment.name`.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
}

const fn half_a_minute() -> NonZeroU32 {
    NonZeroU32::new(30).unwrap()
}

impl OtlpConfig {
    /// Pushes to a collector every 30 seconds.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: BTreeMap::new(),
            interval: half_a_minute(),
            resource: BTreeMap::new(),
        }
    }
}

/// Pushes metrics until it is stopped or dropped. Made by [`push_to_otlp`].
///
/// Nothing queues up when the collector is away: values are sums since the start, so that the next push
/// has all of them.
#[derive(Debug)]
#[must_use = "dropping it ends the pushes"]
pub struct OtlpPush {
    stopping: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Starts to push `metrics`; `tags` say of which worker they are.
///
/// # Errors
///
/// [`PushError::Address`] or [`PushError::Header`] for what the configuration has wrong.
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
    let push = Push {
        http: Http::new()?,
        url: address("OTLP endpoint", &endpoint)?,
        headers: headers(&config.headers)?,
        resource,
        failures: metrics.counter("monitoring.otlp-failures"),
        metrics,
        has_complained: false,
    };
    let stopping = Arc::new(Notify::new());
    let every = Duration::from_secs(config.interval.get().into());
    let task = tokio::spawn(push.run(every, Arc::clone(&stopping)));
    Ok(OtlpPush { stopping, task })
}

fn headers(config: &BTreeMap<String, Secret>) -> Result<HeaderMap, PushError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, secret) in config {
        let wrong = |_| PushError::Header { name: name.clone() };
        let key =
            HeaderName::try_from(name).map_err(|_| PushError::Header { name: name.clone() })?;
        let mut value = HeaderValue::try_from(secret.expose()).map_err(wrong)?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

impl OtlpPush {
    /// Pushes once more, for at most `patience`, and ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the pushes at once.
    pub async fn stop(mut self, patience: Duration) {
        self.stopping.notify_one();
        // What is late is dropped with `self`.
        let _ = timeout(patience, &mut self.task).await;
    }
}

impl Drop for OtlpPush {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Push {
    http: Http,
    url: Url,
    headers: HeaderMap,
    resource: BTreeMap<String, String>,
    metrics: Metrics,
    failures: Counter,
    has_complained: bool,
}

impl Push {
    async fn run(mut self, every: Duration, stopping: Arc<Notify>) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first comes at once, when there is little to tell.
        ticks.tick().await;
        loop {
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
        let body = request::metrics(&self.metrics, &self.resource);
        let posted = self.http.post(&self.url, self.headers.clone(), body).await;
        if posted == Posted::Taken {
            self.has_complained = false;
            return;
        }
        self.failures.add(1);
        // A line a try would say nothing new.
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(target: TARGET, "cannot push metrics by OTLP: {}", reason(posted));
        }
    }
}

fn reason(posted: Posted) -> String {
    match posted {
        Posted::Taken | Posted::Later(_) => {
            "the collector cannot be reached, or is busy".to_owned()
        }
        Posted::Forbidden => "the collector does not accept the headers".to_owned(),
        Posted::Refused(status) => format!("the collector answers with status {status}"),
    }
}
