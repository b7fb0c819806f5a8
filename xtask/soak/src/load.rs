//! The load: random tasks, faults, viewers, crashes and steps of the clock until the time is over.

use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;

use crate::faults;
use crate::flags::Soak;
use crate::history::Observation;
use crate::schedule::Schedule;
use crate::soak_test::{MAX_CLOCK_OFFSET, SoakTest};
use crate::tasks;
use crate::viewers::{self, LIVE_LOG};

const TICK: Duration = Duration::from_millis(100);

/// Seconds between two samples.
const SAMPLE_INTERVAL: f64 = 5.0;
/// Seconds. A killed program is restarted after a random time up to this one.
const MAX_DOWNTIME: f64 = 5.0;

impl SoakTest {
    /// Runs the load and takes samples.
    pub(crate) async fn run_load(
        &mut self,
        flags: &Soak,
        seed: u64,
        inputs: &[String],
    ) -> Result<Vec<Observation>> {
        let mut observations = Vec::new();
        let mut next_sample = 0.0;
        let mut schedule = Schedule::new(flags, seed);
        loop {
            let elapsed = self.start.elapsed();
            // Events that are due before the end take place, however late the last tick is.
            let now = elapsed.min(flags.duration()).as_secs_f64();
            self.run_events(&mut schedule, now, inputs).await?;
            self.check_workers()?;
            if now >= next_sample {
                next_sample = now + SAMPLE_INTERVAL;
                observations.push(self.observe().await?);
            }
            self.cancel_due().await?;
            self.restart_due()?;
            if elapsed >= flags.duration() {
                return Ok(observations);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Executes the events that are due.
    async fn run_events(
        &mut self,
        schedule: &mut Schedule,
        now: f64,
        inputs: &[String],
    ) -> Result<()> {
        while let Some(mut rng) = schedule.tasks.next(now) {
            self.create(tasks::random_task(&mut rng, inputs)).await?;
        }
        while let Some(mut rng) = schedule.faults.next(now) {
            self.queue.inject(&faults::random_fault(&mut rng)).await?;
        }
        while let Some(rng) = schedule.viewers.next(now) {
            self.add_viewer(rng).await;
        }
        while let Some(rng) = schedule.worker_kills.next(now) {
            self.kill_worker(rng).await?;
        }
        while let Some(rng) = schedule.server_kills.next(now) {
            self.crash_server(rng).await?;
        }
        while let Some(rng) = schedule.clock_steps.next(now) {
            self.step_clock(rng).await?;
        }
        Ok(())
    }

    /// Starts a viewer of the live log of a random task, if it has a live log.
    async fn add_viewer(&mut self, mut rng: Rng) {
        let Some(index) = rng.choice(&self.unresolved).copied() else {
            return;
        };
        let task_id = &self.tasks[index].0;
        if let Ok(url) = self.queue.artifact_url(task_id, LIVE_LOG).await {
            self.viewers.push(viewers::spawn(&mut rng, url));
            self.events.viewers += 1;
        }
    }

    /// Kills a random worker, but not the first.
    async fn kill_worker(&mut self, mut rng: Rng) -> Result<()> {
        let index = rng.usize(1..self.workers.len());
        if !self.workers[index].is_killed() {
            self.workers[index].kill().await?;
            self.events.worker_kills += 1;
            let restart = Instant::now() + downtime(&mut rng);
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
    async fn crash_server(&mut self, mut rng: Rng) -> Result<()> {
        self.count_faults().await?;
        self.server.kill().await?;
        self.events.server_kills += 1;
        tokio::time::sleep(downtime(&mut rng)).await;
        self.server.restart().await?;
        self.events.clock_steps_back += usize::from(self.clock_offset > 0.0);
        self.clock_offset = 0.0;
        Ok(())
    }

    /// Moves the clock of the server forward: mostly by less than a claim lasts, sometimes by more, so that all expire.
    async fn step_clock(&mut self, mut rng: Rng) -> Result<()> {
        let largest = if rng.u8(..4) == 0 { 120.0 } else { 20.0 };
        let seconds = rng.f64() * largest;
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

fn downtime(rng: &mut Rng) -> Duration {
    Duration::from_secs_f64(rng.f64() * MAX_DOWNTIME)
}
