//! The clouds that identify their machines.

use super::error::IdentityError;
use super::machine::MachineIdentity;
use super::metadata::Metadata;
use super::{aws, azure, google};

/// A cloud that identifies its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudProvider {
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Google,
    /// Microsoft Azure.
    Azure,
}

impl CloudProvider {
    /// Reads the identity of this machine from the metadata service of the cloud.
    ///
    /// # Errors
    ///
    /// An [`IdentityError`] if the service does not respond within a minute, or the machine was not created by a worker
    /// pool.
    ///
    /// # Cancel safety
    ///
    /// Safe: the requests have no effect.
    pub async fn identify(self) -> Result<MachineIdentity, IdentityError> {
        self.identify_at(match self {
            Self::Aws | Self::Azure => "http://169.254.169.254",
            Self::Google => "http://metadata.google.internal",
        })
        .await
    }

    /// Reads the identity from a metadata service at another endpoint, such as an IPv6 address or a proxy.
    ///
    /// # Errors
    ///
    /// As for [`identify`](Self::identify).
    ///
    /// # Cancel safety
    ///
    /// Safe: the requests have no effect.
    pub async fn identify_at(self, endpoint: &str) -> Result<MachineIdentity, IdentityError> {
        let service = Metadata::new(endpoint)?;
        match self {
            Self::Aws => aws::identify(&service).await,
            Self::Google => google::identify(&service).await,
            Self::Azure => azure::identify(&service).await,
        }
    }
}
