//! Registration with the worker manager.

use std::path::{Path, PathBuf};

use runtime_core::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Registration with the worker manager, by the kind of provider.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "provider", rename_all = "camelCase")]
#[non_exhaustive]
pub enum RegistrationConfig {
    /// A static worker, which has a secret.
    Static(StaticRegistration),
    /// A machine that a worker pool created on AWS.
    Aws(MachineRegistration),
    /// A machine that a worker pool created on Google Cloud.
    Google(MachineRegistration),
    /// A machine that a worker pool created on Azure.
    Azure(MachineRegistration),
}

/// Registration of a static worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StaticRegistration {
    /// The id of the provider of the pool. Default: `static`.
    #[serde(default = "default_provider_id")]
    pub provider_id: String,
    /// The secret that authenticates the worker.
    pub static_secret: Secret,
    /// The file that stores the secret for the next registration.
    pub state_file: Option<PathBuf>,
}

fn default_provider_id() -> String {
    "static".to_owned()
}

/// Registration of a machine in a cloud, whose metadata service provides its identity. `rootUrl`, `taskQueueId`,
/// `workerGroup` and `workerId` are then optional.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineRegistration {
    /// The file that stores the secret for the next registration. The worker manager registers a machine only once, so
    /// a worker without the file cannot be restarted.
    pub state_file: Option<PathBuf>,
    /// The URL of the metadata service. By default that of the cloud.
    #[schemars(example = "http://[fd00:ec2::254]")]
    pub metadata_url: Option<String>,
}

impl RegistrationConfig {
    /// Returns the file that stores the secret for the next registration.
    #[must_use]
    pub fn state_file(&self) -> Option<&Path> {
        let file = match self {
            Self::Static(it) => &it.state_file,
            Self::Aws(it) | Self::Google(it) | Self::Azure(it) => &it.state_file,
        };
        file.as_deref()
    }
}
