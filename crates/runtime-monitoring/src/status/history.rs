//! The machine over the last hour.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{Metrics, Snapshot};
use crate::system::MachineGauges;

/// How long a moment is kept.
pub(super) const SPAN: SignedDuration = SignedDuration::from_hours(1);

/// How much time lies between two moments.
const EVERY: Duration = Duration::from_secs(15);

/// An hour of moments, and some in reserve for those who ask for more by hand.
const CAPACITY: usize = 300;

/// Remembers gauges of the last hour. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<VecDeque<GaugeSample>>>);

/// The gauges at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GaugeSample {
    pub(super) at: Timestamp,
    pub(super) disk_free: Option<f64>,
    pub(super) memory_available: Option<f64>,
    /// Shares of the time in which something waited.
    pub(super) pressure: [Option<f64>; 3],
    pub(super) tasks: Option<f64>,
}

/// The resources of [`GaugeSample::pressure`].
pub(super) const RESOURCES: [&str; 3] = ["cpu", "io", "memory"];

impl History {
    /// Makes one that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the machine every 15 seconds, now first, and remembers its gauges.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn record(&self, machine: MachineGauges, metrics: Metrics) -> Recording {
        let history = self.clone();
        Recording(tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                machine.sample(&metrics);
                history.remember(Timestamp::now(), &metrics.snapshot());
            }
        }))
    }

    /// Remembers the gauges of a snapshot, of that time.
    pub fn remember(&self, at: Timestamp, snapshot: &Snapshot) {
        let mut moments = self.0.lock();
        if moments.len() == CAPACITY {
            moments.pop_front();
        }
        moments.push_back(GaugeSample::new(at, snapshot));
    }

    /// The moments of the last hour, the oldest first.
    pub(super) fn moments(&self, now: Timestamp) -> Vec<GaugeSample> {
        let moments = self.0.lock();
        let recent = moments
            .iter()
            .filter(|moment| now.duration_since(moment.at) <= SPAN);
        recent.copied().collect()
    }
}

impl GaugeSample {
    pub(super) fn new(at: Timestamp, snapshot: &Snapshot) -> Self {
        let gauges = &snapshot.gauges;
        let pressure = |resource: &str| {
            let is_of = |labels: &BTreeMap<String, String>| {
                labels.get("resource").is_some_and(|it| it == resource)
            };
            let mut gauges = gauges.iter();
            let gauge = gauges.find(|it| it.name == "pressure" && is_of(&it.labels))?;
            Some(gauge.value)
        };
        let tasks = gauges.iter().filter(|it| it.name == "tasks");
        let tasks: Vec<f64> = tasks.map(|gauge| gauge.value).collect();
        Self {
            at,
            disk_free: snapshot.gauge("disk-free"),
            memory_available: snapshot.gauge("memory-available"),
            pressure: RESOURCES.map(pressure),
            tasks: (!tasks.is_empty()).then(|| tasks.iter().sum()),
        }
    }
}

/// Records until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the recording"]
pub struct Recording(JoinHandle<()>);

impl Drop for Recording {
    fn drop(&mut self) {
        self.0.abort();
    }
}
