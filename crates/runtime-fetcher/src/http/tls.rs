//! TLS with ring, and with the certificates that the machine trusts.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// Makes a TLS configuration without touching the default provider of the process.
///
/// `extra` are certificates in PEM that are trusted as well.
pub(super) fn config(extra: &[String]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let mut config = match verifier(provider, certificates(extra)?) {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
        Err(error) if !extra.is_empty() => return Err(error.into()),
        // A machine without certificates can still speak plain HTTP; HTTPS says "unknown issuer".
        Err(_) => builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("entry {place} of `caCertificates` is no certificate in PEM")]
    Certificate {
        place: usize,
        source: rustls::pki_types::pem::Error,
    },
}

fn certificates(texts: &[String]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |(place, text): (usize, &String)| {
        CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|source| TlsError::Certificate { place, source })
    };
    texts.iter().enumerate().map(read).collect()
}

fn verifier(
    provider: Arc<CryptoProvider>,
    extra: Vec<CertificateDer<'static>>,
) -> Result<Arc<Verifier>, rustls::Error> {
    Verifier::new_with_extra_roots(extra, provider).map(Arc::new)
}
