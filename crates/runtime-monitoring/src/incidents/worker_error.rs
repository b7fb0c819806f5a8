//! The fields of `workerManager.reportWorkerError`, which worker-runner's `error-report` message shares.

use serde_json::{Value, json};

use super::incident::Incident;

/// The limit of worker-manager's schema on a title, in characters. Bytes are counted here, which is stricter.
const MAX_TITLE_BYTES: usize = 128;

/// The limit of worker-manager's schema on a description.
const MAX_DESCRIPTION_BYTES: usize = 10_240;

impl Incident {
    pub(crate) const KIND: &str = "worker-error";

    /// Returns the context, truncated to the limit.
    pub(crate) fn title(&self) -> &str {
        &self.context[..self.context.floor_char_boundary(MAX_TITLE_BYTES)]
    }

    /// Returns the context, the error and its causes, truncated to the limit.
    pub(crate) fn description(&self) -> String {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(MAX_DESCRIPTION_BYTES));
        text
    }

    /// Returns the machine-readable details.
    pub(crate) fn extra(&self) -> Value {
        json!({"incident": self.id, "prefix": self.prefix, "tags": self.tags})
    }
}
