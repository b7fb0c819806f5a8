//! An incident in the words of `reportWorkerError`, which worker-manager and worker-runner share.

use serde_json::{Value, json};

use super::Incident;

/// The longest title that worker-manager takes, in bytes.
const MAX_TITLE: usize = 128;

/// The longest description that worker-manager takes, in bytes.
const MAX_DESCRIPTION: usize = 10_240;

impl Incident {
    pub(crate) const KIND: &str = "worker-error";

    /// What was being done, as far as it fits.
    pub(crate) fn title(&self) -> &str {
        &self.context[..self.context.floor_char_boundary(MAX_TITLE)]
    }

    /// What was being done and what went wrong, as far as it fits.
    pub(crate) fn description(&self) -> String {
        let mut text = self.to_string();
        text.truncate(text.floor_char_boundary(MAX_DESCRIPTION));
        text
    }

    /// What a program may look for.
    pub(crate) fn extra(&self) -> Value {
        json!({"incident": self.id, "prefix": self.prefix, "tags": self.tags})
    }
}
