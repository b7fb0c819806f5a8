//! The HTTP client of a worker.

use std::fmt;
use std::sync::Arc;

use runtime_core::BoxError;
use runtime_http::reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use runtime_http::{TlsError, client_builder, lenient_tls_config};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::ssrf_guard::{GuardedResolver, SsrfGuard};
use crate::config::{AddressPolicy, FetchConfig};

/// The HTTP client of a worker, with its configuration and connection pool. Clones share them.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: FetchConfig,
    /// For URLs issued by the deployment.
    unguarded: Client,
    /// For URLs chosen by tasks. A second client, because the resolver is a property of the client.
    guarded: Client,
    guard: SsrfGuard,
    /// The connections in addition to the first one of each fetch.
    extra_connections: Arc<Semaphore>,
}

/// The reason the HTTP client cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// TLS is not available on this machine, or a certificate of the configuration is invalid.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),

    /// The proxy of the configuration is invalid. The message omits it, since it may contain a password.
    #[error("proxy of the configuration is not a URL")]
    Proxy(#[source] BoxError),

    /// The HTTP client rejects the configuration.
    #[error("cannot set up the HTTP client")]
    Client(#[source] BoxError),
}

impl HttpClient {
    /// Creates a client without opening a connection.
    ///
    /// # Errors
    ///
    /// An [`HttpClientError`] that names the invalid part of the configuration.
    pub fn new(config: FetchConfig) -> Result<Self, HttpClientError> {
        let unguarded = build(builder(&config)?)?;
        let guard = SsrfGuard {
            allowed: config.allowed_hosts.clone().into(),
            is_behind_proxy: config.proxy.is_some(),
        };
        let guarded = match config.addresses {
            AddressPolicy::Any => unguarded.clone(),
            AddressPolicy::Guarded => {
                let resolver = GuardedResolver {
                    guard: guard.clone(),
                    // The name of the proxy is resolved by the same resolver, and often has a
                    // private address.
                    exempt: proxy_host(&config),
                };
                build(builder(&config)?.dns_resolver(Arc::new(resolver)))?
            }
        };
        let extra_connections = config
            .parallel
            .max_extra_connections
            .min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            config,
            unguarded,
            guarded,
            guard,
            extra_connections: Arc::new(Semaphore::new(extra_connections)),
        });
        Ok(Self { shared })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &FetchConfig {
        &self.shared.config
    }

    /// Acquires extra connections, all or none.
    pub(crate) fn try_extra_connections(&self, count: usize) -> Option<Vec<OwnedSemaphorePermit>> {
        let acquire = |_| {
            let semaphore = Arc::clone(&self.shared.extra_connections);
            semaphore.try_acquire_owned().ok()
        };
        // A `None` among them drops the permits that were acquired before it.
        (0..count).map(acquire).collect()
    }

    pub(super) fn unguarded(&self) -> &Client {
        &self.shared.unguarded
    }

    pub(super) fn guarded(&self) -> &Client {
        &self.shared.guarded
    }

    pub(super) fn guard(&self) -> &SsrfGuard {
        &self.shared.guard
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

fn builder(config: &FetchConfig) -> Result<ClientBuilder, HttpClientError> {
    // Lenient: a machine without root certificates can still fetch from `http:` mirrors.
    let mut tls = lenient_tls_config(&config.ca_certificates)?;
    // `reqwest` uses a given TLS configuration as it is, and would negotiate HTTP/1.1 only.
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = client_builder(tls, &config.user_agent)
        .connect_timeout(config.connect_timeout)
        // A fixed HTTP/2 window limits the throughput to one window per round trip.
        .http2_adaptive_window(true);
    match proxy(config)? {
        Some(proxy) => Ok(builder.proxy(proxy)),
        None => Ok(builder),
    }
}

fn build(builder: ClientBuilder) -> Result<Client, HttpClientError> {
    builder
        .build()
        .map_err(|error| HttpClientError::Client(error.into()))
}

fn proxy(config: &FetchConfig) -> Result<Option<Proxy>, HttpClientError> {
    let Some(secret) = &config.proxy else {
        return Ok(None);
    };
    // The error of an invalid URL would repeat it, with its password.
    let proxy = Proxy::all(secret.expose())
        .map_err(|error| HttpClientError::Proxy(error.without_url().into()))?;
    Ok(Some(proxy.no_proxy(NoProxy::from_string(
        &config.no_proxy.join(","),
    ))))
}

fn proxy_host(config: &FetchConfig) -> Option<String> {
    let url = Url::parse(config.proxy.as_ref()?.expose()).ok()?;
    url.host_str().map(str::to_owned)
}
