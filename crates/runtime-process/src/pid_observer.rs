//! Observes the last pid while commands run.

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::marks::CommandMark;
use crate::pid_cycle::{max_gap, observe};

/// Observes the last pid so often that the search at the end of a long command knows whether the kernel has started over
/// with the pids. It is inactive while no commands run.
#[derive(Debug, Default)]
pub(crate) struct PidObserver(Mutex<Option<JoinHandle<()>>>);

impl PidObserver {
    /// Starts the observations if they have ended. Call it when a command starts.
    pub(crate) fn start(&self) {
        let mut task = self.0.lock();
        // The task may be about to end. The search of this command then lists all processes.
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(observe_while_commands_run()));
        }
    }
}

impl Drop for PidObserver {
    fn drop(&mut self) {
        if let Some(task) = self.0.get_mut() {
            task.abort();
        }
    }
}

async fn observe_while_commands_run() {
    let Some(max_gap) = max_gap() else { return };
    loop {
        // Timers are late on a loaded machine.
        sleep(max_gap / 2).await;
        if !CommandMark::any_running() {
            return;
        }
        // Reads a small file in memory, which does not block.
        observe();
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::process::Pid;

    use super::*;
    use crate::marks::OwningWorker;

    #[tokio::test(start_paused = true)]
    async fn observations_continue_while_a_command_runs() -> io::Result<()> {
        let owner = OwningWorker::of(std::env::temp_dir().as_path())?;
        let mark = CommandMark::new(&owner, std::path::Path::new("task"));
        mark.started(Pid::from_raw(i32::MAX).expect("not 0"));
        let observer = PidObserver::default();
        observer.start();
        let is_running = || {
            observer
                .0
                .lock()
                .as_ref()
                .is_some_and(|it| !it.is_finished())
        };
        sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(is_running(), max_gap().is_some());
        Ok(())
    }
}
