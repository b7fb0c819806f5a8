//! Records counters, gauges and distributions.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::Monitor;
use super::handles::{Counter, Histogram};

/// # Metrics
impl Monitor {
    /// Adds `n` to a counter.
    pub fn count(&self, name: &'static str, n: u64) {
        self.with_counter(name, |counter| counter.add(n));
    }

    /// Adds `n` to a counter, which may have a fraction, such as an amount of money.
    ///
    /// Slower than [`count`](Self::count), and exact only as far as an `f64` is. Both may add to the same counter. Amounts
    /// that are negative, infinite or NaN are ignored.
    pub fn count_f64(&self, name: &'static str, n: f64) {
        self.with_counter(name, |counter| counter.add_f64(n));
    }

    #[inline]
    fn with_counter(&self, name: &'static str, add: impl FnOnce(&Counter)) {
        match self.tags.counters().get(name) {
            Some(counter) => add(counter),
            None => add(&self.look_up_counter(name)),
        }
    }

    #[cold]
    fn look_up_counter(&self, name: &'static str) -> Counter {
        let counter = self.sink.counter(&self.tags, name);
        self.tags.counters().insert(name, counter.clone());
        counter
    }

    /// Sets a gauge. Gauges are per worker: tags do not create separate ones.
    pub fn set_gauge(&self, name: &'static str, value: f64) {
        self.sink.set_gauge(&self.tags, name, value);
    }

    /// Records a value of a distribution.
    pub fn measure(&self, name: &'static str, value: f64) {
        self.measure_all(name, [value]);
    }

    /// Records several values of a distribution.
    ///
    /// ```
    /// # use runtime_core::Monitor;
    /// # let monitor = Monitor::null();
    /// monitor.measure_all("input-size", [4096.0, 512.0]);
    /// ```
    pub fn measure_all(&self, name: &'static str, values: impl IntoIterator<Item = f64>) {
        match self.tags.histograms().get(name) {
            Some(histogram) => histogram.record_all(values),
            None => self.look_up_histogram(name).record_all(values),
        }
    }

    #[cold]
    fn look_up_histogram(&self, name: &'static str) -> Histogram {
        let histogram = self.sink.histogram(&self.tags, name);
        self.tags.histograms().insert(name, histogram.clone());
        histogram
    }

    /// Records a duration in seconds.
    pub fn measure_duration(&self, name: &'static str, duration: Duration) {
        self.measure(name, duration.as_secs_f64());
    }

    /// Runs `work` and records its duration in seconds. Nothing is recorded if it panics.
    ///
    /// ```
    /// # use runtime_core::Monitor;
    /// # let monitor = Monitor::null();
    /// let sum: u64 = monitor.time("summing", || (1..=100).sum());
    /// assert_eq!(sum, 5050);
    /// ```
    pub fn time<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let start = std::time::Instant::now();
        let result = work();
        self.measure_duration(name, start.elapsed());
        result
    }

    /// Awaits `work` and records its duration in seconds.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`; nothing is recorded when the future is dropped.
    pub async fn time_async<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = work.await;
        self.measure_duration(name, start.elapsed());
        result
    }
}
