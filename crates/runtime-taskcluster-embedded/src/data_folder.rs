//! The folder of a server: uploaded files, and the journal of a permanent one.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use tempfile::TempDir;

use crate::journal::OpenJournalError;
use crate::slugid::is_slugid;
use crate::state::State;

/// The folder of a server.
#[derive(Debug)]
pub(crate) enum DataFolder {
    /// A folder that contains only uploaded files, and is removed on drop.
    Temporary(TempDir),
    /// A folder of the user, with the state and the uploaded files.
    Permanent { blobs: PathBuf, journal: PathBuf },
}

impl DataFolder {
    pub(crate) fn temporary() -> io::Result<Self> {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("embedded-taskcluster-").tempdir();
        folder.map(Self::Temporary)
    }

    pub(crate) fn permanent(folder: &Path) -> io::Result<Self> {
        let blobs = folder.join("artifacts");
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        // Artifacts may be private. The permissions of the folder itself are not changed, because others may use it.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&blobs)?;
        let journal = folder.to_owned();
        Ok(Self::Permanent { blobs, journal })
    }

    /// Returns the folder with the uploaded files.
    pub(crate) fn blobs(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Permanent { blobs, .. } => blobs,
        }
    }

    /// Reads the state of a permanent folder, or creates a new one.
    pub(crate) fn open_state(
        &self,
        resolver_delay: Duration,
        now: Timestamp,
    ) -> Result<State, OpenJournalError> {
        match self {
            Self::Temporary(_) => Ok(State::new(resolver_delay, now)),
            Self::Permanent { blobs, journal } => {
                let state = State::open(journal, blobs, resolver_delay, now)?;
                remove_unknown(blobs, &state)?;
                Ok(state)
            }
        }
    }
}

/// Removes the files of uploads that were not complete when the server was killed.
fn remove_unknown(folder: &Path, state: &State) -> io::Result<()> {
    let known: HashSet<&OsStr> = state.blobs.file_names().collect();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        // Only files with names of this server, because the folder may contain files of the user.
        let is_blob = name.to_str().is_some_and(is_slugid);
        if is_blob && !known.contains(&*name) {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}
