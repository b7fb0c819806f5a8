//! The verifier of server certificates.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Verifies like the platform's verifier, and also accepts a server certificate that is itself a trusted
/// root.
///
/// A self-signed certificate is its own authority, and openssl marks it as an authority by default. Verifiers do not
/// accept the certificate of an authority as that of a server, but an operator who trusts such a certificate means
/// exactly that server. Validity and name are verified as usual.
#[derive(Debug)]
pub(crate) struct RootOrChainVerifier {
    pub(crate) platform: Verifier,
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
}

impl RootOrChainVerifier {
    /// Returns whether a certificate is a trusted root itself.
    fn is_root(&self, certificate: &CertificateDer<'_>) -> bool {
        self.extra_roots.iter().any(|root| root == certificate) || is_platform_root(certificate)
    }
}

/// Reads the roots again instead of storing them: this check is needed only after an unusual error.
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
fn is_platform_root(certificate: &CertificateDer<'_>) -> bool {
    let roots = rustls_native_certs::load_native_certs().certs;
    roots.iter().any(|root| root == certificate)
}

/// The verifiers of these platforms accept such a certificate.
#[cfg(not(all(unix, not(target_vendor = "apple"), not(target_os = "android"))))]
fn is_platform_root(_: &CertificateDer<'_>) -> bool {
    false
}

impl ServerCertVerifier for RootOrChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.platform.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // "The certificate of an authority, used for a server" has no variant. The platform checks it after the
            // validity and before the name.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.is_root(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}
