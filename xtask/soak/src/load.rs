//! The load: random tasks, faults, viewers, crashes and steps of the clock until the time is over.

use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;

use crate::faults;
use crate::flags::Soak;
use crate::history::Observation;
use crate::soak_test::{MAX_CLOCK_OFFSET, SoakTest};
use crate::tasks;
use crate::viewers::{self, LIVE_LOG};

const TICK: Duration = Duration::from_millis(100);

/// Seconds between two samples.
const SAMPLE_INTERVAL: f64 = 5.0;
/// Mean number of seconds between two faults.
const FAULT_INTERVAL: f64 = 4.0;
/// Mean number of seconds between two viewers of logs.
const VIEWER_INTERVAL: f64 = 2.0;
/// Mean number of seconds between two kills of workers.
const WORKER_KILL_INTERVAL: f64 = 45.0;
/// Mean number of seconds between two kills of the server.
const SERVER_KILL_INTERVAL: f64 = 90.0;
/// Mean number of seconds between two steps of the clock.
const CLOCK_STEP_INTERVAL: f64 = 30.0;
/// Seconds. A killed program is restarted after a random time up to this one.
const MAX_DOWNTIME: f64 = 5.0;

/// A repeated event at random times.
struct Timer {
    mean: f64,
    due: f64,
}

impl Timer {
    /// Creates a timer that is due at once.
    fn now(mean: f64) -> Self {
        Self { mean, due: 0.0 }
    }

    /// Creates a timer that is first due after the mean time, or never.
    fn later(mean: f64, is_enabled: bool) -> Self {
        let due = if is_enabled { mean } else { f64::INFINITY };
        Self { mean, due }
    }

    /// Returns whether the event is due, and if so chooses the next time: uniformly distributed around the mean.
    fn is_due(&mut self, now: f64, rng: &mut Rng) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + self.mean * 2.0 * rng.f64();
        }
        is_due
    }
}

impl SoakTest {
    /// Runs the load and takes samples.
    pub(crate) async fn run_load(
        &mut self,
        flags: &Soak,
        inputs: &[String],
    ) -> Result<Vec<Observation>> {
        let mut observations = Vec::new();
        let mut next_sample = 0.0;
        let mut task = Timer::now(flags.task_interval());
        let mut fault = Timer::now(FAULT_INTERVAL);
        let mut viewer = Timer::now(VIEWER_INTERVAL);
        let kills_workers = flags.crashes && self.workers.len() > 1;
        let mut worker_kill = Timer::later(WORKER_KILL_INTERVAL, kills_workers);
        let mut server_kill = Timer::later(SERVER_KILL_INTERVAL, flags.crashes);
        let mut clock_step = Timer::later(CLOCK_STEP_INTERVAL, flags.clock_steps);
        while self.start.elapsed() < flags.duration() {
            let now = self.start.elapsed().as_secs_f64();
            if task.is_due(now, &mut self.rng) {
                let spec = tasks::random_task(&mut self.rng, inputs);
                self.create(spec).await?;
            }
            if fault.is_due(now, &mut self.rng) {
                let rule = faults::random_fault(&mut self.rng);
                self.queue.inject(&rule).await?;
            }
            if viewer.is_due(now, &mut self.rng) {
                self.add_viewer().await;
            }
            if worker_kill.is_due(now, &mut self.rng) {
                self.kill_worker().await?;
            }
            if server_kill.is_due(now, &mut self.rng) {
                self.crash_server().await?;
            }
            if clock_step.is_due(now, &mut self.rng) {
                self.step_clock().await?;
            }
            self.check_workers()?;
            if now >= next_sample {
                next_sample = now + SAMPLE_INTERVAL;
                observations.push(self.observe().await?);
            }
            self.cancel_due().await?;
            self.restart_due()?;
            tokio::time::sleep(TICK).await;
        }
        Ok(observations)
    }

    /// Starts a viewer of the live log of a random task, if it has a live log.
    async fn add_viewer(&mut self) {
        let Some(index) = self.rng.choice(&self.unresolved).copied() else {
            return;
        };
        let task_id = &self.tasks[index].0;
        if let Ok(url) = self.queue.artifact_url(task_id, LIVE_LOG).await {
            self.viewers.push(viewers::spawn(&mut self.rng, url));
            self.events.viewers += 1;
        }
    }

    /// Kills a random worker, but not the first.
    async fn kill_worker(&mut self) -> Result<()> {
        let index = self.rng.usize(1..self.workers.len());
        if !self.workers[index].is_killed() {
            self.workers[index].kill().await?;
            self.events.worker_kills += 1;
            let restart = Instant::now() + self.downtime();
            self.restarts.push((restart, index));
        }
        Ok(())
    }

    fn restart_due(&mut self) -> Result<()> {
        let now = Instant::now();
        for (_, index) in self.restarts.extract_if(.., |(at, _)| *at <= now) {
            self.workers[index].restart()?;
        }
        Ok(())
    }

    /// Kills the server and restarts it, which sets its clock back and removes its faults.
    async fn crash_server(&mut self) -> Result<()> {
        self.count_faults().await?;
        self.server.kill().await?;
        self.events.server_kills += 1;
        tokio::time::sleep(self.downtime()).await;
        self.server.restart().await?;
        self.events.clock_steps_back += usize::from(self.clock_offset > 0.0);
        self.clock_offset = 0.0;
        Ok(())
    }

    fn downtime(&mut self) -> Duration {
        Duration::from_secs_f64(self.rng.f64() * MAX_DOWNTIME)
    }

    /// Moves the clock of the server forward: mostly by less than a claim lasts, sometimes by more, so that all expire.
    async fn step_clock(&mut self) -> Result<()> {
        let largest = if self.rng.u8(..4) == 0 { 120.0 } else { 20.0 };
        let seconds = self.rng.f64() * largest;
        // Credentials would be refused that start much later than the time to which the clock is set back.
        if self.clock_offset + seconds <= MAX_CLOCK_OFFSET {
            self.queue.step_clock(seconds).await?;
            self.clock_offset += seconds;
            self.events.clock_steps_forward += 1;
        }
        Ok(())
    }

    /// Adds up the faults since the start of the server.
    pub(crate) async fn count_faults(&mut self) -> Result<()> {
        for (method, kind, hits) in self.queue.fault_hits().await? {
            if hits > 0 {
                *self.faults.entry((method, kind)).or_default() += hits;
            }
        }
        Ok(())
    }

    /// Cancels the tasks that are due.
    pub(crate) async fn cancel_due(&mut self) -> Result<()> {
        let now = Instant::now();
        let due = self.cancellations.extract_if(.., |(at, _)| *at <= now);
        for (_, task_id) in due {
            self.queue.cancel(&task_id).await?;
        }
        Ok(())
    }
}
