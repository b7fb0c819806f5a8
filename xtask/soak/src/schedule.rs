//! The times of the random events, which depend on the seed and the options only.

use fastrand::Rng;

use crate::flags::Soak;

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

/// The events of each kind.
pub(crate) struct Schedule {
    pub(crate) tasks: EventTimes,
    pub(crate) faults: EventTimes,
    pub(crate) viewers: EventTimes,
    pub(crate) worker_kills: EventTimes,
    pub(crate) server_kills: EventTimes,
    pub(crate) clock_steps: EventTimes,
}

impl Schedule {
    pub(crate) fn new(flags: &Soak, seed: u64) -> Self {
        let mut seeds = Rng::with_seed(seed);
        // Disabled events have a generator too, so that an option does not change the events of other kinds.
        let mut events = |mean: f64, first: f64, is_enabled: bool| EventTimes {
            rng: seeds.fork(),
            mean,
            due: if is_enabled { first } else { f64::INFINITY },
        };
        let kills_workers = flags.crashes && flags.worker_count() > 1;
        Self {
            tasks: events(flags.task_interval(), 0.0, true),
            faults: events(FAULT_INTERVAL, 0.0, true),
            viewers: events(VIEWER_INTERVAL, 0.0, true),
            worker_kills: events(WORKER_KILL_INTERVAL, WORKER_KILL_INTERVAL, kills_workers),
            server_kills: events(SERVER_KILL_INTERVAL, SERVER_KILL_INTERVAL, flags.crashes),
            clock_steps: events(CLOCK_STEP_INTERVAL, CLOCK_STEP_INTERVAL, flags.clock_steps),
        }
    }
}

/// A repeated event at random times.
pub(crate) struct EventTimes {
    rng: Rng,
    mean: f64,
    due: f64,
}

impl EventTimes {
    /// Returns a generator for the choices of the next event, if one is due at this number of seconds after the start.
    ///
    /// Each event has its own generator: how many choices an event makes, which may depend on the workers, changes no
    /// later event.
    pub(crate) fn next(&mut self, now: f64) -> Option<Rng> {
        (now >= self.due).then(|| {
            // Uniformly distributed around the mean. Relative to the time when it was due, as `now` depends on the machine.
            self.due += self.mean * 2.0 * self.rng.f64();
            self.rng.fork()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds and the first choice of each event in ten minutes.
    fn events(schedule: &mut Schedule, tick: f64) -> [Vec<(f64, u64)>; 6] {
        let mut kinds = [
            &mut schedule.tasks,
            &mut schedule.faults,
            &mut schedule.viewers,
            &mut schedule.worker_kills,
            &mut schedule.server_kills,
            &mut schedule.clock_steps,
        ];
        let mut all = [const { Vec::new() }; 6];
        for now in (0..).map(|i| f64::from(i) * tick) {
            if now > 600.0 {
                break;
            }
            for (kind, events) in kinds.iter_mut().zip(&mut all) {
                let mut due = kind.due;
                while let Some(mut rng) = kind.next(now) {
                    events.push((due, rng.u64(..)));
                    due = kind.due;
                }
            }
        }
        all
    }

    fn schedule(options: &[&str], seed: u64) -> Schedule {
        let required = ["--worker", "w", "--server", "s", "--out", "o"];
        let args = required.iter().chain(options).map(Into::into).collect();
        Schedule::new(&Soak::from_vec(args).expect("known options"), seed)
    }

    const ALL: &[&str] = &["--crashes", "--clock-steps", "--workers", "2"];

    #[test]
    fn seed_repeats_events_on_slow_machines() {
        let often = events(&mut schedule(ALL, 1), 0.5);
        let rarely = events(&mut schedule(ALL, 1), 50.0);
        assert_eq!(often, rarely);
        assert!(often.iter().all(|events| events.len() > 2), "{often:?}");
        assert_ne!(often, events(&mut schedule(ALL, 2), 0.5));
    }

    #[test]
    fn options_change_no_other_events() {
        let with = events(&mut schedule(ALL, 1), 0.5);
        let without = events(&mut schedule(&[], 1), 0.5);
        assert_eq!(with[..3], without[..3]);
        assert_eq!(without[3..], [const { Vec::new() }; 3]);
    }
}
