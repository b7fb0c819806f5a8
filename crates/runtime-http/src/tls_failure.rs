//! The reason a TLS connection failed, found in the error of an HTTP client.

use std::error::Error;
use std::io;

use runtime_core::util::error_sources;
use rustls::{AlertDescription, CertificateError, Error as TlsLayerError};

/// The failure of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFailure {
    /// The reason, in one line.
    pub reason: String,
    /// Whether a retry would fail in the same way. This is the case if the certificate is not trusted, expired or for
    /// another name. It is also the case if both sides have no protocol in common, for example with a server without
    /// TLS.
    pub is_permanent: bool,
}

/// Returns the TLS failure that caused an error, if any.
#[must_use]
pub fn tls_failure(error: &(dyn Error + 'static)) -> Option<TlsFailure> {
    let error = error_sources(error).find_map(tls_error)?;
    Some(TlsFailure {
        reason: describe(error),
        is_permanent: is_permanent(error),
    })
}

/// Returns the error of rustls, even if it is wrapped in an I/O error. The method `source` of an I/O error skips the
/// wrapped error itself and returns the source of it.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsLayerError> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    tls_error(inner)
}

fn describe(error: &TlsLayerError) -> String {
    match error {
        TlsLayerError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the certificate of the server is not signed by a trusted authority".to_owned()
        }
        TlsLayerError::InvalidMessage(_) => format!("{error} (is this a port for TLS?)"),
        _ => error.to_string(),
    }
}

fn is_permanent(error: &TlsLayerError) -> bool {
    match error {
        TlsLayerError::InvalidCertificate(_)
        | TlsLayerError::NoCertificatesPresented
        | TlsLayerError::UnsupportedNameType
        // The port speaks another protocol.
        | TlsLayerError::InvalidMessage(_)
        | TlsLayerError::PeerIncompatible(_) => true,
        TlsLayerError::AlertReceived(alert) => matches!(
            alert,
            AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::UnrecognisedName
                | AlertDescription::CertificateRequired
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    fn failure(error: TlsLayerError) -> TlsFailure {
        let error = Outer(io::Error::other(io::Error::other(error)));
        tls_failure(&error).expect("the cause is TLS")
    }

    #[test]
    fn certificate_failure_is_permanent() {
        let failure = failure(CertificateError::UnknownIssuer.into());
        assert!(failure.is_permanent);
        assert_eq!(
            failure.reason,
            "the certificate of the server is not signed by a trusted authority"
        );
    }

    #[test]
    fn interrupted_handshake_is_transient() {
        let failure = failure(TlsLayerError::AlertReceived(
            AlertDescription::InternalError,
        ));
        assert!(!failure.is_permanent, "{failure:?}");
    }

    #[test]
    fn other_errors_have_no_tls_failure() {
        let error = Outer(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(tls_failure(&error), None);
    }
}
