//! The gauges of the last hour.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{Metrics, Snapshot};
use crate::system::MachineGauges;

/// The time span that the page plots.
pub(super) const PLOTTED_SPAN: SignedDuration = SignedDuration::from_hours(1);

const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);

/// One hour needs 240 samples. The rest is a reserve for samples added by [`GaugeHistory::add`].
const CAPACITY: usize = 300;

/// The gauges of the last hour. Clones share the samples.
#[derive(Clone, Debug, Default)]
pub struct GaugeHistory(Arc<Mutex<VecDeque<GaugeSample>>>);

/// The gauges at one time; `None` if a gauge is not set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GaugeSample {
    pub(super) at: Timestamp,
    pub(super) disk_free: Option<f64>,
    pub(super) memory_available: Option<f64>,
    /// The pressure of each resource in [`PRESSURE_RESOURCES`].
    pub(super) pressure: [Option<f64>; 3],
    pub(super) tasks: Option<f64>,
}

pub(super) const PRESSURE_RESOURCES: [&str; 3] = ["cpu", "io", "memory"];

impl GaugeHistory {
    /// Creates an empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that samples the machine and records its gauges immediately and then every 15 seconds.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn record(&self, machine: MachineGauges, metrics: Metrics) -> HistoryRecorder {
        let history = self.clone();
        HistoryRecorder(tokio::spawn(async move {
            let mut ticks = interval(SAMPLE_INTERVAL);
            // After a suspend, missed ticks would add many samples of the same moment.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                machine.sample(&metrics);
                history.add(Timestamp::now(), &metrics.snapshot());
            }
        }))
    }

    /// Adds the gauges of a snapshot.
    pub fn add(&self, at: Timestamp, snapshot: &Snapshot) {
        let mut samples = self.0.lock();
        // Bounded by number, not by age: the clock may be set back.
        if samples.len() == CAPACITY {
            samples.pop_front();
        }
        samples.push_back(GaugeSample::new(at, snapshot));
    }

    /// Returns the samples of the last hour, oldest first.
    pub(super) fn last_hour(&self, now: Timestamp) -> Vec<GaugeSample> {
        let samples = self.0.lock();
        let recent = samples
            .iter()
            .filter(|sample| now.duration_since(sample.at) <= PLOTTED_SPAN);
        recent.copied().collect()
    }
}

impl GaugeSample {
    pub(super) fn new(at: Timestamp, snapshot: &Snapshot) -> Self {
        let named = |name: &'static str| snapshot.gauges.iter().filter(move |it| it.name == name);
        let pressure = |resource: &str| {
            let is_of = |value: Option<&String>| value.is_some_and(|it| it == resource);
            let gauge = named("pressure").find(|it| is_of(it.labels.get("resource")))?;
            Some(gauge.value)
        };
        Self {
            at,
            disk_free: snapshot.gauge("disk-free"),
            memory_available: snapshot.gauge("memory-available"),
            pressure: PRESSURE_RESOURCES.map(pressure),
            // One gauge per state.
            tasks: named("tasks").map(|gauge| gauge.value).reduce(|a, b| a + b),
        }
    }
}

/// Records gauges until dropped. Returned by [`GaugeHistory::record`].
#[derive(Debug)]
#[must_use = "dropping it stops the recording"]
pub struct HistoryRecorder(JoinHandle<()>);

impl Drop for HistoryRecorder {
    fn drop(&mut self) {
        self.0.abort();
    }
}
