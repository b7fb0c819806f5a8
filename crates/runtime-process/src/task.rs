//! A task that is ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime_core::TaskContext;
use runtime_worker::report::TaskReportBuilder;

use crate::engine_state::EngineState;
use crate::task_folder::TaskFolder;

/// The commands of a task and everything that their processes start with.
pub(crate) struct PreparedTask {
    pub(crate) context: TaskContext,
    /// The report of the task, which receives the resource usage of its commands.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix measures it"))]
    pub(crate) report: Arc<TaskReportBuilder>,
    pub(crate) folder: TaskFolder,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) engine: Arc<EngineState>,
}
