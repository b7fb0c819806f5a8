//! The TLS configuration of clients: rustls on ring, with the platform's trusted certificates.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

use crate::tls_verifier::RootOrChainVerifier;

/// An error while setting up TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The platform's certificate verifier cannot be used; on Linux because the machine has no root certificates.
    #[error(
        "no trusted certificate authorities found on this machine; install the system's CA certificates"
    )]
    Verifier(#[source] rustls::Error),

    /// An additional root certificate is not valid PEM.
    #[error("additional CA certificate {index} is not valid PEM")]
    Certificate {
        /// The position in the list, starting at 0.
        index: usize,
        /// The parse error.
        source: pem::Error,
    },

    /// The crypto provider does not support a protocol version.
    #[error("the crypto provider does not support TLS 1.2 and 1.3")]
    Versions(#[source] rustls::Error),
}

/// Returns a TLS configuration that trusts the platform's root certificates and those in `extra_roots` (PEM).
///
/// A server may present a root itself, so self-signed certificates work. The platform's roots are read once: a root that
/// is installed later needs a restart of the program.
///
/// # Errors
///
/// A [`TlsError`] if the machine has no root certificates, or an entry of `extra_roots` is not valid.
pub fn tls_config(extra_roots: &[String]) -> Result<ClientConfig, TlsError> {
    let verifier = if extra_roots.is_empty() {
        platform_verifier()?
    } else {
        Arc::new(verifier(parse(extra_roots)?)?)
    };
    let config = builder(Arc::new(ring::default_provider()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Returns the verifier without additional roots. All clients of the process share it: the roots are some 150 files,
/// and a worker has half a dozen clients. A failure is not stored, so that a later attempt may succeed.
fn platform_verifier() -> Result<Arc<RootOrChainVerifier>, TlsError> {
    static SHARED: OnceLock<Arc<RootOrChainVerifier>> = OnceLock::new();
    if let Some(shared) = SHARED.get() {
        return Ok(Arc::clone(shared));
    }
    let created = Arc::new(verifier(Vec::new())?);
    Ok(Arc::clone(SHARED.get_or_init(|| created)))
}

fn verifier(extra_roots: Vec<CertificateDer<'static>>) -> Result<RootOrChainVerifier, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let platform = Verifier::new_with_extra_roots(extra_roots.clone(), provider)
        .map_err(TlsError::Verifier)?;
    Ok(RootOrChainVerifier {
        platform,
        extra_roots,
    })
}

/// Returns the same as [`tls_config`], but accepts a machine without root certificates.
///
/// Such a machine, for example a minimal container, can still use `http:` URLs. Every TLS handshake fails there with
/// "unknown issuer".
///
/// # Errors
///
/// A [`TlsError`] if an entry of `extra_roots` is not valid.
pub fn lenient_tls_config(extra_roots: &[String]) -> Result<ClientConfig, TlsError> {
    match tls_config(extra_roots) {
        // With additional roots, the verifier fails only because of them: the caller has to know.
        Err(TlsError::Verifier(_)) if extra_roots.is_empty() => {
            let config = builder(Arc::new(ring::default_provider()))?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth();
            Ok(config)
        }
        result => result,
    }
}

/// Passes the crypto provider explicitly: only the application may install a default provider for the whole
/// process.
fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)
}

fn parse(certificates: &[String]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parse_one = |(index, text): (usize, &String)| {
        CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|source| TlsError::Certificate { index, source })
    };
    certificates.iter().enumerate().map(parse_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_root_is_reported_with_its_index() {
        let roots = ["not PEM".to_owned()];
        for result in [tls_config(&roots), lenient_tls_config(&roots)] {
            assert!(matches!(
                result,
                Err(TlsError::Certificate { index: 0, .. })
            ));
        }
    }

    #[test]
    fn no_process_wide_provider_is_installed() {
        lenient_tls_config(&[]).expect("no root certificates are needed");
        assert!(CryptoProvider::get_default().is_none());
    }
}
