//! The settings of an embedded Taskcluster, and its start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::Taskcluster;
use crate::context::{ServerContext, ServerSettings};
use crate::data_folder::DataFolder;
use crate::journal::{DamagedJournal, JOURNAL_FILE, OpenJournalError};
use crate::server;

/// The reason why an embedded Taskcluster failed to start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server failed to bind its port.
    #[error("failed to listen on {address}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },

    /// The data folder could not be created or read.
    #[error("failed to open the data folder `{}`", path.display())]
    Folder {
        /// The requested folder, or the system's folder for temporary files.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// Another server uses the data folder.
    #[error("another server uses the data folder `{}`; stop it, or choose another folder", path.display())]
    InUse {
        /// The requested folder.
        path: PathBuf,
    },

    /// Another version of this crate has written the state.
    #[error(
        "the state in `{}` has the format {format} of another version; use the version that wrote it, or choose another folder",
        path.display()
    )]
    OtherFormat {
        /// The file with the state.
        path: PathBuf,
        /// The number of its format.
        format: String,
    },

    /// The stored state is damaged.
    #[error(
        "the state in `{}` is damaged at byte {offset}: {problem}; restore the file, or remove it to start with an empty state",
        path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// The position of the damaged record, in bytes.
        offset: u64,
        /// The problem at this position.
        problem: String,
    },
}

/// Settings of an embedded Taskcluster; see [`Taskcluster::builder`].
#[derive(Clone, Debug)]
#[must_use = "the server does not run before `start`"]
pub struct TaskclusterBuilder {
    address: IpAddr,
    port: u16,
    data_dir: Option<PathBuf>,
    settings: ServerSettings,
}

impl Taskcluster {
    /// Starts a Taskcluster with default settings on a free port.
    ///
    /// # Errors
    ///
    /// Fails if no port is free or no temporary folder can be created.
    ///
    /// # Cancel safety
    ///
    /// Safe: the server does not run before the future completes.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Returns a builder with default settings.
    pub fn builder() -> TaskclusterBuilder {
        TaskclusterBuilder::new()
    }
}

impl TaskclusterBuilder {
    fn new() -> Self {
        let settings = ServerSettings {
            claim_timeout: Duration::from_secs(20 * 60),
            long_poll: Duration::from_secs(20),
            resolver_delay: Duration::ZERO,
            strict_uploads: false,
        };
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            data_dir: None,
            settings,
        }
    }

    /// Sets the address to listen on, which is part of the root URL. The default is 127.0.0.1.
    ///
    /// Everyone who can connect to the server has access to all data: the pages and the control endpoint need no
    /// credentials, and there is no TLS. Pages and control endpoint refuse requests that a browser sends for another
    /// site.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the port. The default is 0, any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the lifetime of a claim. The default is 20 minutes.
    pub fn claim_timeout(mut self, timeout: Duration) -> Self {
        self.settings.claim_timeout = timeout;
        self
    }

    /// Sets the time that `claimWork` waits for a task. The default is 20 seconds.
    ///
    /// It is measured in real time: a poll does not end when the clock is advanced.
    pub fn long_poll(mut self, wait: Duration) -> Self {
        self.settings.long_poll = wait;
        self
    }

    /// Sets the delay between the expiry of a claim or deadline and its effect. The default is zero.
    ///
    /// A real deployment checks for expired claims every 5 seconds and for deadlines every minute. Before the check, it
    /// accepts late reports.
    pub fn resolver_delay(mut self, delay: Duration) -> Self {
        self.settings.resolver_delay = delay;
        self
    }

    /// Sets whether uploads of s3 artifacts must have the declared content type and length.
    ///
    /// The default is `false`, as in a real deployment. Uploads of objects are always checked.
    pub fn strict_uploads(mut self, strict: bool) -> Self {
        self.settings.strict_uploads = strict;
        self
    }

    /// Sets the folder for state and artifacts. By default, the state is in memory, and artifacts are in a temporary
    /// folder.
    ///
    /// The next server with the same folder has the state of this server, even if this server was killed. Set the
    /// [`port`](Self::port) as well: workers can continue only if the root URL stays the same. A change is written
    /// before its call is answered, but not synchronized to the disk. After a power cut, the changes of the last
    /// seconds may be missing, or the state may be damaged so that the next server does not start. After a restart,
    /// injected faults are lost, and the clock shows the system time.
    ///
    /// If a change cannot be stored, each later call to a service fails with the reason, as do methods such as
    /// [`Taskcluster::status`]. Methods without a result, such as [`Taskcluster::set_secret`], do not report the
    /// failure.
    ///
    /// The folder contains secrets and access tokens, including deleted ones until the state is rewritten. On Unix,
    /// only the owner can read the state, if the file system supports permissions. Expired tasks and artifacts are
    /// never removed.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// Fails if the port is in use, if the folder cannot be opened or another server uses it, and if the stored state
    /// is damaged or of another version.
    ///
    /// # Cancel safety
    ///
    /// Safe: the server does not run before the future completes.
    pub async fn start(self) -> Result<Taskcluster, StartError> {
        let folder = open_folder(self.data_dir.as_deref())?;
        let address = SocketAddr::from((self.address, self.port));
        let failed = |source| StartError::Listen { address, source };
        if self.address.is_unspecified() {
            let problem = "the root URL needs an address that clients can reach";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, problem)));
        }
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        // With port 0 the system chooses the port when the listener binds.
        let root_url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let context = ServerContext::new(self.settings, root_url, folder).map_err(|error| {
            let path = self.data_dir.unwrap_or_default();
            StartError::from_journal(path, error)
        })?;
        let context = Arc::new(context);
        let background_tasks = [
            tokio::spawn(server::serve(listener, Arc::clone(&context))),
            tokio::spawn(Arc::clone(&context).run_timers()),
        ];
        Ok(Taskcluster {
            context,
            background_tasks,
        })
    }
}

fn open_folder(data_dir: Option<&Path>) -> Result<DataFolder, StartError> {
    let folder = data_dir.map_or_else(DataFolder::temporary, DataFolder::permanent);
    folder.map_err(|source| StartError::Folder {
        path: data_dir.map_or_else(std::env::temp_dir, Path::to_owned),
        source,
    })
}

impl StartError {
    fn from_journal(folder: PathBuf, error: OpenJournalError) -> Self {
        match error {
            OpenJournalError::InUse => Self::InUse { path: folder },
            OpenJournalError::OtherFormat(format) => Self::OtherFormat {
                path: folder.join(JOURNAL_FILE),
                format,
            },
            OpenJournalError::Io(source) => Self::Folder {
                path: folder,
                source,
            },
            OpenJournalError::Damaged(DamagedJournal { offset, problem }) => Self::Damaged {
                path: folder.join(JOURNAL_FILE),
                offset,
                problem,
            },
        }
    }
}
