//! A certificate that is reloaded when its files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use runtime_core::Monitor;
use runtime_core::clock::{Clock, ticks};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::MissedTickBehavior;

use super::error::CertificateError;
use super::validity::Validity;

/// The longest period before the expiry in which a warning is logged. For short-lived certificates it is a
/// quarter of their lifetime.
const EXPIRY_WARNING_PERIOD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The interval of expiry warnings.
const EXPIRY_WARNING_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// The files of a certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateFiles {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Provides the latest valid certificate to new connections.
#[derive(Debug)]
pub(super) struct ReloadingCertificate {
    files: CertificateFiles,
    pub(super) provider: Arc<CryptoProvider>,
    current: RwLock<LoadedCertificate>,
}

#[derive(Debug)]
struct LoadedCertificate {
    key: Arc<CertifiedKey>,
    version: FileVersion,
}

/// Modification time and length of both files. A change triggers a reload.
///
/// Polling is used instead of inotify: it also works on network file systems and for secrets that are
/// mounted through symbolic links.
type FileVersion = [Option<(SystemTime, u64)>; 2];

impl ReloadingCertificate {
    pub(super) async fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Before the files are read: a change in between then causes another reload instead of being missed.
        let version = file_version(&files).await;
        let key = read(&files, &provider)?;
        Ok(Self {
            files,
            provider,
            current: RwLock::new(LoadedCertificate { key, version }),
        })
    }

    /// Reloads the certificate when its files change, and reports its expiry. Never returns.
    pub(super) async fn watch(
        &self,
        reload_interval: Duration,
        clock: &dyn Clock,
        monitor: &Monitor,
    ) {
        let mut ticks = ticks(reload_interval);
        // After a suspend, one check is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_warning = None;
        loop {
            ticks.tick().await;
            self.reload(monitor).await;
            self.report_expiry(clock.now(), &mut last_warning, monitor);
        }
    }

    /// Sets the expiry metric, and logs a warning once a day if the certificate is about to expire.
    fn report_expiry(
        &self,
        now: Timestamp,
        last_warning: &mut Option<Timestamp>,
        monitor: &Monitor,
    ) {
        let current = Arc::clone(&self.current.read().key);
        let validity = current.cert.first().and_then(|leaf| Validity::parse(leaf));
        let Some(Validity { start, end }) = validity else {
            return;
        };
        monitor.set_gauge("certificate-expiry-timestamp", end.as_second() as f64);
        let period = EXPIRY_WARNING_PERIOD.min(start.duration_until(end) / 4);
        let is_due =
            last_warning.is_none_or(|last| last.duration_until(now) >= EXPIRY_WARNING_INTERVAL);
        if now.duration_until(end) > period || !is_due {
            return;
        }
        *last_warning = Some(now);
        let verb = if now < end { "expires" } else { "expired" };
        monitor.warn(format_args!(
            "the certificate in `{}` {verb} at {end}; replace it and the key in `{}`",
            self.files.certificate.display(),
            self.files.key.display()
        ));
    }

    /// Reloads the files if they changed.
    ///
    /// A pair that does not match is ignored: a renewal writes one file after the other, and the next tick
    /// sees both.
    async fn reload(&self, monitor: &Monitor) {
        // Compared with the version of the loaded pair, so an invalid pair is read and reported again at each tick.
        let version = file_version(&self.files).await;
        if version == self.current.read().version {
            return;
        }
        match read(&self.files, &self.provider) {
            Ok(key) => {
                *self.current.write() = LoadedCertificate { key, version };
                monitor.count("certificate-reloads", 1);
                monitor.info("certificate reloaded for new connections");
            }
            Err(error) => {
                monitor.count("certificate-errors", 1);
                let error = runtime_core::error_chain(&error);
                monitor.warn(format_args!("keeping the previous certificate: {error}"));
            }
        }
    }
}

impl ResolvesServerCert for ReloadingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().key))
    }
}

fn read(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| CertificateError::Read {
            path: files.certificate.clone(),
            source,
        })?;
    if chain.is_empty() {
        let path = files.certificate.clone();
        return Err(CertificateError::Empty { path });
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|source| CertificateError::Read {
            path: files.key.clone(),
            source,
        })?;
    // Also checks that the key belongs to the certificate.
    let key = CertifiedKey::from_der(chain, key, provider);
    let key = key.map_err(|source| CertificateError::Key {
        path: files.key.clone(),
        source,
    })?;
    Ok(Arc::new(key))
}

async fn file_version(files: &CertificateFiles) -> FileVersion {
    let mut version = [None, None];
    let paths = [&files.certificate, &files.key];
    for (path, version) in paths.into_iter().zip(&mut version) {
        let metadata = tokio::fs::metadata(path).await.ok();
        *version = metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len())));
    }
    version
}
