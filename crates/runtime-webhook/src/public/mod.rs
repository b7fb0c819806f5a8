//! A server of one's own that the world can reach.

mod builder;
mod dns;
mod tls;
mod validity;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::clock::Clock;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use self::dns::StatelessDns;
use self::tls::Certificate;
use crate::OnDetach;
use crate::server::{Origin, Place, Server, accept, accept_with};

pub use self::builder::{PublicBuilder, PublicError};
pub use self::tls::CertificateError;

/// Serves hooks on a port of this machine that the world can reach, with TLS or without.
///
/// With TLS, HTTP/2 is spoken with clients that ask for it. The certificate's files are looked at once a
/// minute, and new connections get the new certificate once both fit together; what is wrong with them
/// meanwhile is logged, and the old one stays in use. One that ends within two weeks, or within a quarter
/// of its life if that is less, is logged once a day, and `webhook.certificate-expiry-timestamp` tells when.
///
/// With [stateless DNS](PublicBuilder::stateless_dns) the host name of URLs carries the machine's address and
/// an expiry. Names are renewed when half of their life has passed: a hook then has another URL, see
/// [`WebHook::url_changed`], and the old one works until it expires.
///
/// Dropping the server ends it at once, with all connections; [`stop`](Self::stop) lets requests finish.
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
    server: Arc<Server>,
    address: SocketAddr,
}

impl PublicServer {
    /// Sets up a server whose URLs have this host name or address.
    pub fn builder(host: impl Into<String>) -> PublicBuilder {
        PublicBuilder::new(host.into())
    }

    /// Where the server listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Attaches `handler`, and says what becomes of running requests when the hook is dropped.
    ///
    /// # Errors
    ///
    /// [`AttachError::Stopped`] after [`stop`](Self::stop).
    pub fn attach_with(
        &self,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<WebHook, AttachError> {
        let hook = self.server.attach(handler, on_detach)?;
        Ok(hook.into_web_hook(|| ()))
    }

    /// Accepts no more, lets running requests finish for as long as `grace`, and cuts those that are
    /// left. Returns how many connections were cut.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop: the server does not accept again, and another call goes on waiting.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.server.stop(grace).await
    }
}

#[async_trait]
impl WebHookServer for PublicServer {
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attach_with(handler, OnDetach::Finish)
    }
}

impl Drop for PublicServer {
    fn drop(&mut self) {
        self.server.end();
    }
}

/// Starts what runs for a server until it stops.
fn spawn(server: &Arc<Server>, listener: TcpListener, tls: Option<Tls>, names: Option<Names>) {
    let Some(tls) = tls else {
        server.tasks.spawn(accept(Arc::clone(server), listener));
        spawn_names(server, names);
        return;
    };
    let acceptor = tls.acceptor;
    let serve = move |server: &Arc<Server>, stream: TcpStream, place: Place| {
        let handshake = handshake(Arc::clone(server), acceptor.clone(), stream, place);
        server.tasks.spawn(handshake);
    };
    let accepting = accept_with(Arc::clone(server), listener, serve);
    server.tasks.spawn(accepting);
    let watching = Arc::clone(server);
    server.tasks.spawn(async move {
        let watch = tls
            .certificate
            .watch(tls.look, &*tls.clock, &watching.monitor);
        watching.stopping.run_until_cancelled(watch).await;
    });
    spawn_names(server, names);
}

fn spawn_names(server: &Arc<Server>, names: Option<Names>) {
    let Some(names) = names else { return };
    let renewing = Arc::clone(server);
    server.tasks.spawn(async move {
        let renew = names.renew(&renewing);
        renewing.stopping.run_until_cancelled(renew).await;
    });
}

/// What encrypts connections.
#[derive(Clone)]
struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    /// How often its files are looked at.
    look: Duration,
    /// Tells whether its end is near.
    clock: Arc<dyn Clock>,
}

/// Serves a connection once it is encrypted; a client that takes too long for that is cut.
async fn handshake(server: Arc<Server>, acceptor: TlsAcceptor, stream: TcpStream, place: Place) {
    let cut = Arc::clone(place.connection());
    let accepting = timeout(server.limits.header_timeout, acceptor.accept(stream));
    let stream = tokio::select! {
        result = accepting => result,
        () = cut.wait() => return,
    };
    let Ok(Ok(stream)) = stream else {
        server.monitor.count("tls-errors", 1);
        return;
    };
    let origin = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Origin::Http2,
        _ => Origin::Direct,
    };
    server.spawn(stream, place, origin);
}

/// What names the server in URLs, if that changes.
#[derive(Debug)]
struct Names {
    dns: StatelessDns,
    address: std::net::Ipv4Addr,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
    /// Scheme and port of URLs.
    form: UrlForm,
}

impl Names {
    /// The base of URLs from now on.
    fn base(&self) -> String {
        let mut salt = [0; 2];
        // Names without salt are as good: it only tells two of the same millisecond apart.
        let _ = getrandom::fill(&mut salt);
        let expires = self.clock.now() + self.lifetime;
        let name = self.dns.name(self.address, expires.as_millisecond(), salt);
        self.form.base(&name)
    }

    async fn renew(&self, server: &Server) {
        loop {
            let next = self.clock.now() + self.lifetime / 2;
            self.clock.sleep_until(next).await;
            server.registry.rebase(&self.base());
            server.monitor.count("url-changes", 1);
        }
    }
}

/// What of a URL is not its host.
#[derive(Clone, Copy, Debug)]
struct UrlForm {
    is_encrypted: bool,
    port: u16,
}

impl UrlForm {
    fn base(self, host: &str) -> String {
        let (scheme, default) = match self.is_encrypted {
            true => ("https", 443),
            false => ("http", 80),
        };
        // An IPv6 address needs brackets.
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        match self.port == default {
            true => format!("{scheme}://{host}/"),
            false => format!("{scheme}://{host}:{}/", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_the_port_only_if_it_is_not_the_usual_one() {
        let base = |is_encrypted, port, host| UrlForm { is_encrypted, port }.base(host);
        assert_eq!(base(true, 443, "example.com"), "https://example.com/");
        assert_eq!(base(true, 80, "example.com"), "https://example.com:80/");
        assert_eq!(base(false, 80, "::1"), "http://[::1]/");
    }
}
