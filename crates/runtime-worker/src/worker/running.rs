//! The tasks that run now.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::queue::TaskClaim;
use runtime_core::{LifeCycleTracker, Run};
use tokio::sync::SetOnce;
use tokio::task::{Id, JoinError, JoinSet};

use super::Blueprint;
use crate::TaskReport;
use crate::run::{Shift, run_task};

/// The tasks that run now.
#[derive(Default)]
pub(super) struct Running {
    set: JoinSet<TaskReport>,
    runs: HashMap<Id, Run>,
    no_more_claims: Arc<SetOnce<()>>,
}

impl Running {
    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn start(
        &mut self,
        blueprint: &Arc<Blueprint>,
        claim: TaskClaim,
        stop: &LifeCycleTracker,
    ) {
        let run = Run {
            task_id: claim.status.task_id.clone(),
            run_id: claim.run_id,
        };
        let blueprint = Arc::clone(blueprint);
        let shift = Shift {
            stop: stop.clone(),
            no_more_claims: Arc::clone(&self.no_more_claims),
        };
        let handle = self
            .set
            .spawn(async move { run_task(&blueprint, claim, &shift).await });
        self.runs.insert(handle.id(), run);
    }

    /// Lets runs be given back, which no claim of this worker can bring again.
    pub(super) fn no_more_claims(&self) {
        // That it was said before is fine.
        let _ = self.no_more_claims.set(());
    }

    /// Waits for the next task to end; at once if none runs.
    pub(super) async fn reap(&mut self, blueprint: &Blueprint) {
        if let Some(ended) = self.set.join_next_with_id().await {
            self.forget(blueprint, ended);
        }
        while let Some(ended) = self.set.try_join_next_with_id() {
            self.forget(blueprint, ended);
        }
    }

    /// Everything that may panic is guarded where it is called, so a panic here is the worker's own.
    fn forget(&mut self, blueprint: &Blueprint, ended: Result<(Id, TaskReport), JoinError>) {
        match ended {
            Ok((id, _)) => drop(self.runs.remove(&id)),
            Err(error) => {
                let run = self.runs.remove(&error.id());
                let run = run.map_or_else(String::new, |run| run.to_string());
                blueprint
                    .environment
                    .monitor
                    .report_error(&error, format_args!("task {run} was dropped"));
            }
        }
    }
}
