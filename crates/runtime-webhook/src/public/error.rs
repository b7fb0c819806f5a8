//! Errors of a public server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// A public server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicError {
    /// The address is in use or not permitted.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The network interface does not exist or has no address.
    #[error("unknown network interface `{name}`; interfaces with an address: {known}")]
    NoInterface {
        /// The configured name.
        name: String,
        /// The names of all interfaces with an address.
        known: String,
    },

    /// The operating system cannot list its network interfaces.
    #[error("cannot list the network interfaces")]
    Interfaces(#[source] io::Error),

    /// The certificate cannot be used.
    #[error("cannot use the TLS certificate")]
    Certificate(#[from] CertificateError),

    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read or is not in PEM format.
    #[error("cannot read the PEM file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of reading or parsing.
        source: pem::Error,
    },

    /// The file has no certificate.
    #[error("no certificate in `{}`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// The type of the key is not supported, or the key belongs to another certificate.
    #[error("the key in `{}` does not match the certificate", path.display())]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// The error of TLS.
        source: rustls::Error,
    },
}
