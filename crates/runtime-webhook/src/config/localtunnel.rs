//! Configuration of the tunnel through a localtunnel server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ServerDependencies, StartServerError};
use crate::Localtunnel;

/// A tunnel through a localtunnel server, for tests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LocaltunnelConfig {
    /// The URL of the server.
    pub server_url: String,

    /// The name to ask for below the server's; otherwise the server chooses.
    #[serde(default)]
    pub subdomain: Option<String>,
}

impl LocaltunnelConfig {
    pub(super) fn start(self, needs: ServerDependencies) -> Result<Localtunnel, StartServerError> {
        let mut tunnel = Localtunnel::builder(self.server_url)
            .limits(needs.limits)
            .monitor(needs.monitor);
        if let Some(name) = self.subdomain {
            tunnel = tunnel.subdomain(name);
        }
        Ok(tunnel.start()?)
    }
}
