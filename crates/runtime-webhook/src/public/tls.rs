//! The certificate, which may be replaced while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use runtime_core::Monitor;
use runtime_core::clock::Clock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};

use super::validity::Validity;

/// So long before its end a certificate should have been replaced, unless it is of a kind that is short-lived.
const NEAR_END: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How often a certificate that was not replaced is told of.
const REMIND: SignedDuration = SignedDuration::from_hours(24);

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read, or is no PEM of what it should be.
    #[error("cannot read `{}`; it should be a PEM file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },

    /// There is no certificate in the file.
    #[error("there is no certificate in `{}`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// The key is of a kind that is not supported, or belongs to another certificate.
    #[error("the key in `{}` does not go with the certificate", path.display())]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// Hands out the latest certificate that was read.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    stamp: Stamp,
}

/// When the files were changed, as far as the file system tells.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    pub(super) async fn read(files: Files) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let stamp = stamp(&files).await;
        let key = load(&files, &provider)?;
        let current = RwLock::new(Current { key, stamp });
        Ok(Self {
            files,
            provider,
            current,
        })
    }

    /// Looks at the files now and then, for as long as it is polled.
    pub(super) async fn watch(&self, every: Duration, clock: &dyn Clock, monitor: &Monitor) {
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminded = None;
        loop {
            looks.tick().await;
            self.look(monitor).await;
            self.tell_expiry(clock.now(), &mut reminded, monitor);
        }
    }

    /// Tells when the certificate ends, and once a day of one that should have been replaced by now.
    fn tell_expiry(&self, now: Timestamp, reminded: &mut Option<Timestamp>, monitor: &Monitor) {
        let current = Arc::clone(&self.current.read().key);
        let validity = current.cert.first().and_then(|leaf| Validity::of(leaf));
        let Some(Validity { start, end }) = validity else {
            return;
        };
        monitor.set_gauge("certificate-expiry-timestamp", end.as_second() as f64);
        let near = NEAR_END.min(start.duration_until(end) / 4);
        let is_due = reminded.is_none_or(|last| last.duration_until(now) >= REMIND);
        if now.duration_until(end) > near || !is_due {
            return;
        }
        *reminded = Some(now);
        let files = &self.files;
        monitor.warn(format_args!(
            "the certificate in `{}` {} at {end}: replace it and `{}`",
            files.certificate.display(),
            if now < end { "ends" } else { "ended" },
            files.key.display()
        ));
    }

    /// Reads the files if they changed. A pair that does not fit stays out: a renewal writes one file
    /// after the other, and the next look finds both.
    async fn look(&self, monitor: &Monitor) {
        let stamp = stamp(&self.files).await;
        if stamp == self.current.read().stamp {
            return;
        }
        match load(&self.files, &self.provider) {
            Ok(key) => {
                *self.current.write() = Current { key, stamp };
                monitor.count("certificate-reloads", 1);
                monitor.info("the certificate was replaced: new connections get the new one");
            }
            Err(error) => {
                monitor.count("certificate-errors", 1);
                let error = runtime_core::error_chain(&error);
                monitor.warn(format_args!("the old certificate stays in use: {error}"));
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().key))
    }
}

/// TLS 1.2 and up, for HTTP/2 and HTTP/1.1.
pub(super) fn server_config(
    certificate: Arc<Certificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::clone(&certificate.provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn load(files: &Files, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, CertificateError> {
    let read = |path: &Path, source| CertificateError::Read {
        path: path.to_owned(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| read(&files.certificate, source))?;
    if chain.is_empty() {
        let path = files.certificate.clone();
        return Err(CertificateError::Empty { path });
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| read(&files.key, source))?;
    let key = CertifiedKey::from_der(chain, key, provider);
    let key = key.map_err(|source| CertificateError::Key {
        path: files.key.clone(),
        source,
    })?;
    Ok(Arc::new(key))
}

async fn stamp(files: &Files) -> Stamp {
    let mut stamp = [None, None];
    for (path, stamp) in [&files.certificate, &files.key].into_iter().zip(&mut stamp) {
        let metadata = tokio::fs::metadata(path).await.ok();
        *stamp = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
    }
    stamp
}
