//! The commands of a task as steps of its trace.

use std::future::pending;

use runtime_core::monitor::traced_with;
use tokio::sync::watch;

use crate::task::PreparedTask;

/// The reason why each command that has ended failed; `None` for success.
type Ended = Vec<Option<String>>;

/// The commands of a task, which run in order in another tokio task than that of the trace.
pub(crate) struct CommandSteps {
    programs: Vec<String>,
    ended: watch::Receiver<Ended>,
}

impl CommandSteps {
    /// Returns the steps of a task, and the channel for the ends of its commands.
    pub(crate) fn of(task: &PreparedTask) -> (Self, watch::Sender<Ended>) {
        let (sender, ended) = watch::channel(Vec::new());
        let programs = task.commands.iter().map(|command| command[0].clone());
        let programs = programs.collect();
        (Self { programs, ended }, sender)
    }

    /// Records each command as a step within the current one, which starts with the end of the one before. Never returns.
    pub(crate) async fn trace<T>(&self) -> T {
        let mut ended = self.ended.clone();
        for (index, program) in self.programs.iter().enumerate() {
            let attributes = || vec![("program", program.clone()), ("index", index.to_string())];
            let end = async {
                let ended = ended.wait_for(|ended| ended.len() > index).await;
                let failure = ended.map(|ended| ended[index].clone());
                match failure {
                    Ok(failure) => failure,
                    // The run was aborted.
                    Err(_) => pending().await,
                }
            };
            if traced_with("command", attributes, end, Option::clone)
                .await
                .is_some()
            {
                break;
            }
        }
        pending().await
    }
}
