//! The secrets of the secrets service.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A secret with its expiry. `Debug` does not print the value.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSecret {
    pub(crate) value: Value,
    pub(crate) expires: Timestamp,
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
