//! Makes the HTTP client, with TLS by rustls on ring.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::ClientSettings;
use crate::deployment::ClientError;

/// Makes a client that follows no redirects, reads no environment and names its crypto provider.
///
/// Nothing is installed for the whole process. A machine without root certificates can still speak
/// `http`; to `https` every handshake fails there, which is why that is an error when `needs_tls`.
pub(crate) fn http_client(
    settings: &ClientSettings,
    needs_tls: bool,
) -> Result<reqwest::Client, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = match trusting_the_platform(Arc::clone(&provider)) {
        Err(source) if needs_tls => {
            return Err(ClientError::Trust {
                source: source.into(),
            });
        }
        Err(_) => trusting_nobody(provider),
        Ok(tls) => Ok(tls),
    };
    let tls = tls.map_err(|source| ClientError::Trust {
        source: source.into(),
    })?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(refused)?);
    }
    builder.build().map_err(refused)
}

fn trusting_the_platform(provider: Arc<CryptoProvider>) -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::new(Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn trusting_nobody(provider: Arc<CryptoProvider>) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(config)
}

fn refused(source: reqwest::Error) -> ClientError {
    ClientError::ClientSettings {
        source: source.without_url().into(),
    }
}
