//! A server that is reachable from other machines.

mod certificate;
mod error;
mod listen_address;
mod stateless_dns;
mod tls;
mod url_scheme;
mod validity;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::{Clock, SystemClock};
use tokio::net::TcpListener;

use self::certificate::CertificateFiles;
use self::listen_address::ListenAddress;
use self::stateless_dns::{DnsOptions, HostNameRenewal, StatelessDns};
use self::tls::Tls;
use self::url_scheme::UrlScheme;
use crate::options::ServerOptions;
use crate::server::{
    AbortServerOnDrop, AttachedHook, HookServer, accept_connections, accept_connections_with,
};
use crate::shared_api::{listening_server, server_option_methods};

pub use self::error::{CertificateError, PublicError};

/// Serves hooks on a public port of this machine, with or without TLS.
///
/// With TLS, clients can use HTTP/2. The certificate files are checked every minute. When they change and
/// match each other, new connections use the new certificate; otherwise the problem is logged and the
/// previous certificate stays in use. A certificate that expires within two weeks, or within a quarter of
/// its lifetime if that is shorter, is logged as a warning once a day. The gauge
/// `webhook.certificate-expiry-timestamp` has the expiry.
///
/// With [stateless DNS](PublicBuilder::stateless_dns), the host name in URLs encodes the address of the
/// machine and an expiry. It is renewed after half of its lifetime: hooks then have another URL, see
/// [`WebHook::url_changed`](runtime_core::webhook::WebHook::url_changed), and the previous URL works until it expires.
///
/// Dropping the server aborts all connections; [`stop`](Self::stop) lets requests finish.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> Result<(), runtime_webhook::PublicError> {
/// use runtime_webhook::PublicServer;
///
/// let server = PublicServer::builder("hooks.example.com")
///     .port(8443)
///     .exposed_port(443)
///     .tls("/etc/worker/chain.pem", "/etc/worker/key.pem")
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PublicServer {
    server: AbortServerOnDrop,
    address: SocketAddr,
}

impl PublicServer {
    /// Returns a builder of a server with this host name or address in its URLs.
    pub fn builder(host: impl Into<String>) -> PublicBuilder {
        PublicBuilder {
            host: host.into(),
            listen: ListenAddress::Ip(Ipv4Addr::UNSPECIFIED.into()),
            port: 0,
            exposed_port: None,
            tls: None,
            reload_interval: Duration::from_secs(60),
            dns: None,
            options: ServerOptions::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

listening_server!(PublicServer, |hook: AttachedHook| hook.into_web_hook(()));

/// Builder of a [`PublicServer`].
#[derive(Debug)]
#[must_use = "call `start` to start the server"]
pub struct PublicBuilder {
    host: String,
    listen: ListenAddress,
    port: u16,
    exposed_port: Option<u16>,
    tls: Option<CertificateFiles>,
    reload_interval: Duration,
    dns: Option<DnsOptions>,
    options: ServerOptions,
    clock: Arc<dyn Clock>,
}

impl PublicBuilder {
    /// Sets the port; 0, the default, chooses a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the port in URLs, if a firewall or proxy forwards another one.
    pub fn exposed_port(mut self, port: u16) -> Self {
        self.exposed_port = Some(port);
        self
    }

    /// Sets the address to listen on. By default the server listens on all IPv4 addresses.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.listen = ListenAddress::Ip(address);
        self
    }

    /// Listens on the address of a network interface, such as `eth0`. An IPv4 address is preferred.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.listen = ListenAddress::Interface(name.into());
        self
    }

    /// Enables TLS with a certificate chain and a key in PEM files.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        });
        self
    }

    /// Sets the interval of checks for changed certificate files. One minute by default.
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        self.reload_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Uses host names of stateless DNS, which resolve to `address` for `lifetime`, by convention 24 hours.
    ///
    /// The host of the builder is the domain, whose DNS server knows the secret. The certificate must be
    /// valid for `*.<domain>`.
    pub fn stateless_dns(mut self, address: Ipv4Addr, secret: &[u8], lifetime: Duration) -> Self {
        self.dns = Some(DnsOptions {
            dns: StatelessDns::new(secret, &self.host),
            address,
            // A lifetime near zero would renew the name in a busy loop.
            lifetime: lifetime.max(Duration::from_secs(2)),
        });
        self
    }

    server_option_methods!(options);

    /// Sets the clock that determines when names and certificates expire.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Binds the port and starts the server.
    ///
    /// # Errors
    ///
    /// A [`PublicError`] if the port is in use, the interface is unknown or the certificate is invalid.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is left open.
    pub async fn start(self) -> Result<PublicServer, PublicError> {
        let address = SocketAddr::new(self.listen.resolve()?, self.port);
        let tls = match self.tls {
            Some(files) => {
                let clock = Arc::clone(&self.clock);
                Some(Tls::new(files, self.reload_interval, clock).await?)
            }
            None => None,
        };
        let failed = |source| PublicError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = UrlScheme {
            is_encrypted: tls.is_some(),
            port: self.exposed_port.unwrap_or(address.port()),
        };
        let server = self.options.into_server();
        if let Some(options) = self.dns {
            let clock = self.clock;
            let renewal = HostNameRenewal {
                options,
                clock,
                scheme,
            };
            server.registry.set_base_url(&renewal.base_url());
            server.tasks.spawn(renewal.run(Arc::clone(&server)));
        } else {
            server.registry.set_base_url(&scheme.base_url(&self.host));
        }
        spawn_listener(&server, listener, tls);
        Ok(PublicServer { server, address })
    }
}

fn spawn_listener(server: &Arc<HookServer>, listener: TcpListener, tls: Option<Tls>) {
    let shared = Arc::clone(server);
    let Some(tls) = tls else {
        server.tasks.spawn(accept_connections(shared, listener));
        return;
    };
    let watch = tls.clone().watch_certificate(Arc::clone(server));
    server.tasks.spawn(watch);
    let accept = accept_connections_with(shared, listener, move |server, stream, permit| {
        // In a task: a slow handshake must not delay other clients.
        let serve = tls.clone().serve(Arc::clone(server), stream, permit);
        server.tasks.spawn(serve);
    });
    server.tasks.spawn(accept);
}
