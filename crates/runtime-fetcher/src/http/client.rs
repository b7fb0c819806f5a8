//! The connections of a worker.

use std::fmt;
use std::sync::Arc;

use runtime_core::BoxError;
use runtime_http::reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use runtime_http::{TlsError, client_builder, lenient_tls_config};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::guard::GuardedResolver;
use crate::{AddressPolicy, FetchConfig};

/// The connections of a worker, kept for the next request. A clone is cheap and shares them.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: FetchConfig,
    /// For what the deployment names.
    open: Client,
    /// For what a task names.
    guarded: Client,
    /// Connections besides the one that every fetch has.
    spare: Arc<Semaphore>,
}

/// The connections of a worker cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// TLS does not work on this machine.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),

    /// The proxy of the configuration is not one; its text may hold a password and is left out.
    #[error("the proxy of the configuration is not a URL")]
    Proxy(#[source] BoxError),

    /// The HTTP client refuses the configuration.
    #[error("cannot set up an HTTP client")]
    Client(#[source] BoxError),
}

impl HttpClient {
    /// Sets up connections; none is opened before the first request.
    ///
    /// # Errors
    ///
    /// An [`HttpClientError`] that names the part of the configuration that does not work.
    pub fn new(config: FetchConfig) -> Result<Self, HttpClientError> {
        let open = build(builder(&config)?)?;
        let guarded = match config.addresses {
            AddressPolicy::Any => open.clone(),
            AddressPolicy::Guarded => {
                let exempt = proxy_host(&config);
                build(builder(&config)?.dns_resolver(Arc::new(GuardedResolver { exempt })))?
            }
        };
        let spare = config
            .parallel
            .max_extra_connections
            .min(Semaphore::MAX_PERMITS);
        let spare = Arc::new(Semaphore::new(spare));
        let shared = Arc::new(Shared {
            config,
            open,
            guarded,
            spare,
        });
        Ok(Self { shared })
    }

    /// The configuration that it was made with.
    #[must_use]
    pub fn config(&self) -> &FetchConfig {
        &self.shared.config
    }

    /// Takes so many of the connections that all fetches share, or none if there are fewer.
    pub(crate) fn spare_connections(&self, count: usize) -> Option<Vec<OwnedSemaphorePermit>> {
        let take = |_| Arc::clone(&self.shared.spare).try_acquire_owned().ok();
        (0..count).map(take).collect()
    }

    pub(super) fn open(&self) -> &Client {
        &self.shared.open
    }

    pub(super) fn guarded(&self) -> &Client {
        &self.shared.guarded
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
    let mut tls = lenient_tls_config(&config.ca_certificates)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = client_builder(tls, &config.user_agent)
        .connect_timeout(config.connect_timeout)
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
