//! The set of running tasks.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::queue::TaskClaim;
use runtime_core::{LifeCycleTracker, Run, Timestamp};
use tokio::sync::SetOnce;
use tokio::task::{Id, JoinError, JoinSet};

use crate::report::TaskReport;
use crate::run::{LoopState, run_task};
use crate::shared::WorkerShared;

/// The running tasks, each in a tokio task.
#[derive(Default)]
pub(super) struct RunningTasks {
    tasks: JoinSet<TaskReport>,
    /// The run of each tokio task, for the error message if it panics.
    runs: HashMap<Id, Run>,
    no_more_claims: Arc<SetOnce<()>>,
}

impl RunningTasks {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn start(
        &mut self,
        shared: &Arc<WorkerShared>,
        claim: TaskClaim,
        claiming_since: Timestamp,
        stop: &LifeCycleTracker,
    ) {
        let run = Run {
            task_id: claim.status.task_id.clone(),
            run_id: claim.run_id,
        };
        let shared = Arc::clone(shared);
        let loop_state = LoopState {
            claiming_since,
            stop: stop.clone(),
            no_more_claims: Arc::clone(&self.no_more_claims),
        };
        // A tokio task for each run: a panic or a long poll in one cannot delay the loop or the other runs.
        let handle = self
            .tasks
            .spawn(async move { run_task(&shared, claim, &loop_state).await });
        self.runs.insert(handle.id(), run);
    }

    /// Lets the runs report `worker-shutdown`: no claim of this worker can return them any more, or the deadline is too
    /// near to wait for that.
    pub(super) fn no_more_claims(&self) {
        // The loop calls this repeatedly; only the first call has an effect.
        let _ = self.no_more_claims.set(());
    }

    /// Returns whether `no_more_claims` was called.
    pub(super) fn has_no_more_claims(&self) -> bool {
        self.no_more_claims.initialized()
    }

    /// Waits until at least one task has ended, and removes all that have. Returns at once if none is running.
    pub(super) async fn reap(&mut self, shared: &WorkerShared) {
        if let Some(ended) = self.tasks.join_next_with_id().await {
            self.remove(shared, ended);
        }
        // All of them, so that the next claim requests tasks for the whole free capacity.
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.remove(shared, ended);
        }
    }

    fn remove(&mut self, shared: &WorkerShared, ended: Result<(Id, TaskReport), JoinError>) {
        match ended {
            Ok((id, _)) => drop(self.runs.remove(&id)),
            // Engines and plugins are called within `catch_panic`, so this is a defect of the worker itself.
            Err(error) => {
                let run = self.runs.remove(&error.id());
                let run = run.map_or_else(String::new, |run| run.to_string());
                let monitor = &shared.environment.monitor;
                monitor.report_error(&error, format_args!("the worker lost task {run}"));
            }
        }
    }
}
