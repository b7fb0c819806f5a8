//! Configuration of the public server.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ServerDependencies, StartServerError};
use crate::PublicServer;

/// A server on a port of this machine that the world can reach.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PublicConfig {
    /// The host name or address in URLs; with stateless DNS, the domain.
    pub host: String,

    /// The port to listen on.
    pub port: u16,

    /// The port in URLs, if a firewall passes another one on.
    #[serde(default)]
    pub exposed_port: Option<u16>,

    /// The network interface to listen on, such as `eth0`; all of them by default.
    #[serde(default)]
    pub network_interface: Option<String>,

    /// The file with the chain of certificates, in PEM. It is read again when it changes.
    #[serde(default)]
    pub tls_certificate: Option<PathBuf>,

    /// The file with the certificate's key, in PEM.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,

    /// Makes host names that carry the address of this machine.
    #[serde(default, rename = "statelessDNS")]
    pub stateless_dns: Option<StatelessDnsConfig>,
}

/// Host names that carry the address of a machine, below a domain whose DNS server knows the secret.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StatelessDnsConfig {
    /// The address that names resolve to.
    #[schemars(with = "String")]
    pub server_ip: Ipv4Addr,

    /// The secret that the DNS server knows.
    pub secret: Secret,

    /// How long a name is answered, in seconds; a day by default. It is renewed after half of it.
    #[serde(default = "a_day")]
    pub lifetime_seconds: u64,
}

fn a_day() -> u64 {
    24 * 60 * 60
}

impl PublicConfig {
    pub(super) async fn start(
        self,
        needs: ServerDependencies,
    ) -> Result<PublicServer, StartServerError> {
        let mut server = PublicServer::builder(self.host)
            .port(self.port)
            .limits(needs.limits)
            .monitor(needs.monitor);
        if let Some(port) = self.exposed_port {
            server = server.exposed_port(port);
        }
        if let Some(name) = self.network_interface {
            server = server.interface(name);
        }
        server = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => server.tls(certificate, key),
            (None, None) => server,
            (Some(_), None) => return Err(incomplete("tlsCertificate", "tlsKey")),
            (None, Some(_)) => return Err(incomplete("tlsKey", "tlsCertificate")),
        };
        if let Some(dns) = self.stateless_dns {
            let secret = dns.secret.expose().as_bytes();
            let lifetime = Duration::from_secs(dns.lifetime_seconds);
            server = server.stateless_dns(dns.server_ip, secret, lifetime);
        }
        Ok(server.start().await?)
    }
}

fn incomplete(given: &'static str, missing: &'static str) -> StartServerError {
    StartServerError::Incomplete { given, missing }
}
