//! Settings of an embedded Taskcluster, and its start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::shared::{Folder, Settings, Shared};
use super::{Taskcluster, server};

/// Why an embedded Taskcluster did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port could not be had.
    #[error("failed to listen on {address}; is the port taken?")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },

    /// There is no place for the bytes of artifacts.
    #[error("failed to make the folder for artifacts, `{}`", path.display())]
    Folder {
        /// The folder that was asked for, or the one for temporary files.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Settings of an embedded Taskcluster; see [`Taskcluster::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    port: u16,
    data_dir: Option<PathBuf>,
    settings: Settings,
}

impl Builder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            claim_timeout: Duration::from_secs(20 * 60),
            long_poll: Duration::from_secs(20),
            resolver_delay: Duration::ZERO,
            strict_uploads: false,
        };
        Self {
            port: 0,
            data_dir: None,
            settings,
        }
    }

    /// The port on 127.0.0.1; by default 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long a claim lasts; by default 20 minutes.
    pub fn claim_timeout(mut self, timeout: Duration) -> Self {
        self.settings.claim_timeout = timeout;
        self
    }

    /// How long `claimWork` waits for a task; by default 20 seconds, in real time.
    pub fn long_poll(mut self, wait: Duration) -> Self {
        self.settings.long_poll = wait;
        self
    }

    /// How long after their time claims and deadlines run out; by default at once.
    ///
    /// A real Taskcluster looks every 5 seconds for claims and takes a minute for deadlines. Until
    /// then it accepts late reports.
    pub fn resolver_delay(mut self, delay: Duration) -> Self {
        self.settings.resolver_delay = delay;
        self
    }

    /// Whether uploads of s3 artifacts must have the declared content type and length.
    ///
    /// A real Taskcluster does not check that, and neither does this one by default; uploads of
    /// objects are always checked.
    pub fn strict_uploads(mut self, strict: bool) -> Self {
        self.settings.strict_uploads = strict;
        self
    }

    /// Where the bytes of artifacts go; by default a temporary folder. The folder itself stays.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if the port is taken or the folder cannot be made.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing runs before the future is done.
    pub async fn start(self) -> Result<Taskcluster, StartError> {
        let folder = open_folder(self.data_dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let root_url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let shared = Arc::new(Shared::new(self.settings, root_url, folder));
        let tasks = [
            tokio::spawn(server::serve(listener, Arc::clone(&shared))),
            tokio::spawn(Arc::clone(&shared).keep_time()),
        ];
        Ok(Taskcluster { shared, tasks })
    }
}

fn open_folder(data_dir: Option<PathBuf>) -> Result<Folder, StartError> {
    match data_dir {
        None => tempfile::Builder::new()
            .prefix("embedded-taskcluster-")
            .tempdir()
            .map(Folder::Temporary)
            .map_err(|source| StartError::Folder {
                path: std::env::temp_dir(),
                source,
            }),
        Some(path) => match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Folder::Kept(path)),
            Err(source) => Err(StartError::Folder { path, source }),
        },
    }
}
