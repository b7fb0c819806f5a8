//! Creates the monitoring of a worker from its configuration.

use std::sync::Arc;

use runtime_core::Monitor;
use runtime_ioext::log::Redactor;

use crate::config::MonitoringConfig;
use crate::incidents::{RecentIncidents, Reporters};
use crate::logging_monitor::LoggingMonitor;
use crate::logs::BootstrapMonitor;
use crate::metrics::Metrics;
#[cfg(feature = "otlp")]
use crate::trace_queue::TraceQueue;

/// The monitor of a worker and its parts. Returned by [`from_config`].
///
/// The log subscriber, Sentry, OTLP and the status page are started separately.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonitoringParts {
    /// The monitor to pass to all components.
    pub monitor: Monitor,
    /// The metrics.
    pub metrics: Metrics,
    /// The secrets to redact. A secret is redacted in everything recorded after it was added.
    pub redactor: Redactor,
    /// The receivers of incidents.
    pub reporters: Reporters,
    /// The most recent incidents.
    pub incidents: RecentIncidents,
    /// The traces for [`push_to_otlp`](crate::push_to_otlp), empty unless the configuration enables them.
    #[cfg(feature = "otlp")]
    pub traces: TraceQueue,
}

/// Creates a monitor from a configuration.
///
/// Log lines are passed to the subscriber of the process, which [`LogBuilder`](crate::LogBuilder) installs: pass it the
/// `redactor` and the `metrics` of the result. Sentry and OTLP need a tokio runtime and are started separately.
#[must_use]
pub fn from_config(config: &MonitoringConfig) -> MonitoringParts {
    let (redactor, reporters) = (Redactor::new(), Reporters::default());
    let metrics = Metrics::builder()
        .labels(&config.labels)
        .zero_counters()
        .redactor(redactor.clone())
        .build();
    let incidents = RecentIncidents::new();
    reporters.add(Arc::new(incidents.clone()));
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .with_redactor(redactor.clone())
        .with_reporters(reporters.clone())
        .with_tags(config.tags.clone());
    #[cfg(feature = "otlp")]
    let traces = TraceQueue::new(&metrics);
    #[cfg(feature = "otlp")]
    let monitor = if config.otlp.as_ref().is_some_and(|otlp| otlp.traces) {
        monitor.with_traces(traces.clone())
    } else {
        monitor
    };
    MonitoringParts {
        monitor: monitor.into_monitor(),
        metrics,
        redactor,
        reporters,
        incidents,
        #[cfg(feature = "otlp")]
        traces,
    }
}

/// Returns a monitor for the time before the configuration is read.
///
/// It writes text of level `info` and above to standard error and installs no subscriber. Its writer thread exits when the
/// last clone is dropped.
#[must_use]
pub fn pre_config() -> Monitor {
    match BootstrapMonitor::start() {
        Ok(monitor) => Monitor::new(Arc::new(monitor)),
        // Without a thread, lines can at least reach a subscriber of the process.
        Err(_) => LoggingMonitor::new().into_monitor(),
    }
}
