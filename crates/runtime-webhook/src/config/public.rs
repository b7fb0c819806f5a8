//! Configuration of a public server.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::Secret;
use runtime_core::util::{DurationText, at_least};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::configured_server::{ServerDependencies, StartServerError};
use crate::public::PublicServer;

/// A server on a public port of this machine.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PublicConfig {
    /// The host name or address in URLs; with stateless DNS, the domain.
    pub host: String,

    /// The port to listen on.
    pub port: u16,

    /// The port in URLs, if a firewall or proxy forwards another one.
    #[serde(default)]
    pub exposed_port: Option<u16>,

    /// The network interface to listen on, such as `eth0`. By default the server listens on all of them.
    #[serde(default)]
    pub network_interface: Option<String>,

    /// The certificate chain, a PEM file. It is reloaded when it changes.
    #[serde(default)]
    pub tls_certificate: Option<PathBuf>,

    /// The key of the certificate, a PEM file.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,

    /// Host names that encode the address of this machine.
    #[serde(default, rename = "statelessDNS")]
    pub stateless_dns: Option<StatelessDnsConfig>,
}

/// Host names that encode an address, below a domain whose DNS server knows the secret.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StatelessDnsConfig {
    /// The address that the names resolve to.
    #[schemars(with = "String")]
    pub server_ip: Ipv4Addr,

    /// The secret shared with the DNS server.
    pub secret: Secret,

    /// The lifetime of a name, one day by default. The name is renewed after half of it.
    #[serde(default = "one_day", with = "DurationText")]
    #[schemars(transform = at_least("1 s"))]
    pub lifetime: Duration,
}

fn one_day() -> Duration {
    Duration::from_secs(24 * 60 * 60)
}

impl PublicConfig {
    pub(super) async fn start(
        self,
        dependencies: ServerDependencies,
    ) -> Result<PublicServer, StartServerError> {
        let mut server = PublicServer::builder(self.host)
            .port(self.port)
            .limits(dependencies.limits)
            .monitor(dependencies.monitor);
        if let Some(port) = self.exposed_port {
            server = server.exposed_port(port);
        }
        if let Some(name) = self.network_interface {
            server = server.interface(name);
        }
        server = match (self.tls_certificate, self.tls_key) {
            (Some(certificate), Some(key)) => server.tls(certificate, key),
            (None, None) => server,
            (Some(_), None) => return incomplete("tlsCertificate", "tlsKey"),
            (None, Some(_)) => return incomplete("tlsKey", "tlsCertificate"),
        };
        if let Some(dns) = self.stateless_dns {
            let secret = dns.secret.expose().as_bytes();
            server = server.stateless_dns(dns.server_ip, secret, dns.lifetime);
        }
        Ok(server.start().await?)
    }
}

fn incomplete<T>(given: &'static str, missing: &'static str) -> Result<T, StartServerError> {
    Err(StartServerError::Incomplete { given, missing })
}
