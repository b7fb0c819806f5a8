//! The identity of a machine.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::error::IdentityError;
use crate::services::worker_manager::WorkerName;

/// The identity of a machine and its proof, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineIdentity {
    /// The root URL of the deployment that created the machine.
    pub root_url: String,
    /// The provider of the worker pool.
    pub provider_id: String,
    /// Pool, group and id.
    pub worker: WorkerName,
    /// The `workerIdentityProof` of `registerWorker`.
    pub proof: Value,
}

impl fmt::Debug for MachineIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineIdentity")
            .field("root_url", &self.root_url)
            .field("provider_id", &self.provider_id)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

/// The values that the worker manager stores with a machine.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredValues {
    pub(super) root_url: String,
    pub(super) provider_id: String,
    pub(super) worker_pool_id: String,
    pub(super) worker_group: String,
}

impl StoredValues {
    /// Parses a JSON object; `path` is its place in the metadata service.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, IdentityError> {
        serde_json::from_str(text).map_err(|error| IdentityError::Malformed {
            path: path.to_owned(),
            problem: error.to_string(),
        })
    }

    pub(super) fn into_identity(self, worker_id: &str, proof: Value) -> MachineIdentity {
        MachineIdentity {
            root_url: self.root_url,
            provider_id: self.provider_id,
            worker: WorkerName {
                worker_pool_id: self.worker_pool_id,
                worker_group: self.worker_group,
                worker_id: worker_id.to_owned(),
            },
            proof,
        }
    }
}
