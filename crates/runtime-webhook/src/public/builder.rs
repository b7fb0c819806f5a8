//! Sets up a public server.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::dns::StatelessDns;
use super::tls::{Certificate, CertificateError, Files, server_config};
use super::{Names, PublicServer, Tls, UrlForm, spawn};
use crate::settings::{Common, common_methods};

/// Sets up a [`PublicServer`].
#[must_use = "call `start` to have a server"]
pub struct PublicBuilder {
    host: String,
    listen: Listen,
    port: u16,
    exposed_port: Option<u16>,
    tls: Option<Files>,
    look: Duration,
    dns: Option<Dns>,
    common: Common,
    clock: Arc<dyn Clock>,
}

/// Which of the machine's addresses to listen on.
#[derive(Clone, Debug)]
enum Listen {
    Address(IpAddr),
    Interface(String),
}

struct Dns {
    dns: StatelessDns,
    address: Ipv4Addr,
    lifetime: Duration,
}

impl PublicBuilder {
    pub(super) fn new(host: String) -> Self {
        Self {
            host,
            listen: Listen::Address(Ipv4Addr::UNSPECIFIED.into()),
            port: 0,
            exposed_port: None,
            tls: None,
            look: Duration::from_secs(60),
            dns: None,
            common: Common::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Listens on this port; 0, the default, takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Puts this port into URLs, for a firewall that passes it on to the one that is listened on.
    pub fn exposed_port(mut self, port: u16) -> Self {
        self.exposed_port = Some(port);
        self
    }

    /// Listens on this address only; on every IPv4 address by default.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.listen = Listen::Address(address);
        self
    }

    /// Listens on the address of this network interface only, such as `eth0`; IPv4 if it has one.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.listen = Listen::Interface(name.into());
        self
    }

    /// Encrypts with a chain of certificates and a key in PEM files.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(Files {
            certificate: certificate.into(),
            key: key.into(),
        });
        self
    }

    /// Looks this often whether the certificate's files changed; every minute by default.
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.look = interval.max(Duration::from_millis(1));
        self
    }

    /// Names the server by stateless DNS instead of the host: `address` is what its names resolve to, and
    /// each is answered for `lifetime`, 24 hours by custom.
    ///
    /// The builder's host is the domain, whose DNS server knows the secret. The certificate has to be one
    /// for `*.<domain>`.
    pub fn stateless_dns(mut self, address: Ipv4Addr, secret: &[u8], lifetime: Duration) -> Self {
        let dns = StatelessDns::new(secret, &self.host);
        self.dns = Some(Dns {
            dns,
            address,
            // A name that is renewed without a pause would change with every hook.
            lifetime: lifetime.max(Duration::from_secs(2)),
        });
        self
    }

    common_methods!(common);

    /// Takes the time at which names and certificates expire from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Binds the port and starts to serve.
    ///
    /// # Errors
    ///
    /// A [`PublicError`] if the port is taken, the interface is unknown or the certificate cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(self) -> Result<PublicServer, PublicError> {
        let address = SocketAddr::new(self.listen.resolve()?, self.port);
        let tls = match self.tls {
            Some(files) => Some(tls(files, self.look, Arc::clone(&self.clock)).await?),
            None => None,
        };
        let refused = |source| PublicError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let form = UrlForm {
            is_encrypted: tls.is_some(),
            port: self.exposed_port.unwrap_or(address.port()),
        };
        let clock = self.clock;
        let names = self.dns.map(|dns| Names {
            dns: dns.dns,
            address: dns.address,
            lifetime: dns.lifetime,
            clock,
            form,
        });
        let server = self.common.server();
        let base = names.as_ref().map(Names::base);
        server
            .registry
            .rebase(&base.unwrap_or_else(|| form.base(&self.host)));
        spawn(&server, listener, tls, names);
        Ok(PublicServer { server, address })
    }
}

async fn tls(files: Files, look: Duration, clock: Arc<dyn Clock>) -> Result<Tls, PublicError> {
    let certificate = Arc::new(Certificate::read(files).await?);
    let config = server_config(Arc::clone(&certificate))?;
    Ok(Tls {
        acceptor: TlsAcceptor::from(config),
        certificate,
        look,
        clock,
    })
}

impl Listen {
    fn resolve(&self) -> Result<IpAddr, PublicError> {
        let name = match self {
            Self::Address(address) => return Ok(*address),
            Self::Interface(name) => name,
        };
        let all = if_addrs::get_if_addrs().map_err(PublicError::Interfaces)?;
        let of_interface = all.iter().filter(|interface| interface.name == *name);
        // IPv4 sorts before IPv6.
        let first = of_interface.map(|interface| interface.addr.ip()).min();
        first.ok_or_else(|| PublicError::NoInterface {
            name: name.clone(),
            known: known(&all),
        })
    }
}

fn known(all: &[if_addrs::Interface]) -> String {
    let mut names: Vec<&str> = all
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

impl fmt::Debug for PublicBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicBuilder")
            .field("host", &self.host)
            .field("listen", &self.listen)
            .field("port", &self.port)
            .field("exposed_port", &self.exposed_port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A public server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicError {
    /// Something else listens there, or it is not allowed.
    #[error("cannot serve hooks on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },

    /// There is no such network interface with an address.
    #[error("there is no network interface `{name}` with an address; there are: {known}")]
    NoInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },

    /// The operating system does not tell its network interfaces.
    #[error("cannot list the network interfaces")]
    Interfaces(#[source] io::Error),

    /// The certificate cannot be used.
    #[error("cannot encrypt")]
    Certificate(#[from] CertificateError),

    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}
