//! Lines at the top of every task log.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runtime_core::TaskError;

use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;

/// Writes facts about the worker to the top of every task log, such as machine type, version and support channel.
///
/// ```
/// # use runtime_worker::plugins::LogPrefix;
/// let plugin = LogPrefix::new([("image", "debian-13"), ("support", "#ci-help")]);
/// # let _ = plugin;
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogPrefix {
    lines: BTreeMap<String, String>,
}

impl LogPrefix {
    /// Creates the plugin. It writes a line `name: value` for each pair, sorted by name.
    pub fn new<N: Into<String>, V: Into<String>>(lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let lines = lines.into_iter();
        Self {
            lines: lines
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

#[async_trait]
impl Plugin for LogPrefix {
    fn name(&self) -> &'static str {
        "log-prefix"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        for (name, value) in &self.lines {
            run.context.log(format_args!("{name}: {value}"));
        }
        Ok(None)
    }
}
