//! The journal: an append-only file with the state of the server, for restarts.
//!
//! Each change of the state is a batch of records. The last record of an entity has its current value. A batch ends
//! with a checksum, so that after a crash, it is read completely or not at all. The server writes a batch before it
//! answers the call. Batches are not synchronized to the disk: they survive a kill of the process, but after a power
//! cut, the batches of the last seconds may be missing. A batch may also have a wrong checksum then, which is reported
//! as damage.

mod batch;
mod read;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
pub(crate) use self::batch::PANICKING_TABLE;
pub(crate) use self::batch::{Batch, ValueRange};
pub(crate) use self::read::{DamagedJournal, Entry};

/// The name of the file in the data folder.
pub(crate) const JOURNAL_FILE: &str = "journal";
/// The first line of the file, without its version.
const HEADER_START: &[u8] = b"embedded Taskcluster journal ";
/// The first line of the file.
const HEADER: &[u8] = b"embedded Taskcluster journal 2\n";
/// The size of the buffer for reads of the whole file, in bytes.
const READ_BUFFER_SIZE: usize = 256 * 1024;
/// The minimum growth since the last rewrite for another rewrite, in bytes.
const MIN_GROWTH: u64 = 16 * 1024 * 1024;

/// The reason why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenJournalError {
    #[error("another server uses the folder")]
    InUse,
    #[error("the state has format {0}")]
    OtherFormat(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Damaged(#[from] DamagedJournal),
}

/// An open journal, which is locked by this process.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Arc<File>,
    /// In bytes.
    len: u64,
    /// The length at which the file is rewritten, in bytes.
    max_len: u64,
    /// Whether a write has failed, so that the memory contains changes that are not in the file.
    is_broken: bool,
    /// Locked while the journal is open. It is a separate file, because a rewrite replaces the journal.
    _lock: File,
}

impl Journal {
    /// Opens or creates the journal in a folder, and returns the last entry of each key.
    ///
    /// Removes an incomplete batch at the end, whose call was never answered.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Vec<Entry>), OpenJournalError> {
        // Not a lock on the journal: a rewrite replaces that file, and another server could lock
        // the new one.
        let lock = options().create(true).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenJournalError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let path = folder.join(JOURNAL_FILE);
        // The incomplete file of a rewrite during which the server was killed. If it cannot be removed, the next
        // rewrite replaces it.
        let _ = fs::remove_file(new_path(&path));
        let file = options().create(true).open(&path)?;
        let contents = read::read(&mut BufReader::with_capacity(READ_BUFFER_SIZE, &file))?;
        // Only after it was read, because it may be a file of the user with the same name.
        #[cfg(unix)]
        restrict(&file);
        let mut journal = Self {
            path,
            file: Arc::new(file),
            len: contents.committed_len,
            max_len: max_len(contents.live_len),
            is_broken: false,
            _lock: lock,
        };
        // Removes an incomplete last batch. The next one would be appended to it, and both be read
        // as damage.
        journal.file.set_len(journal.len)?;
        if journal.len == 0 {
            journal.write(HEADER)?;
            journal.len = HEADER.len() as u64;
        }
        Ok((journal, contents.entries))
    }

    /// Appends the records that `write` adds to a batch.
    ///
    /// After an error, later batches are refused: they could follow an incomplete record, or depend on lost changes.
    pub(crate) fn append(
        &mut self,
        write: impl FnOnce(&mut Batch) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("an earlier write has failed"));
        }
        // Set first and cleared at the end, so that neither an error nor a panic in between is
        // forgotten: a half-written batch may be at the end of the file.
        self.is_broken = true;
        let mut batch = Batch::new(self.len);
        write(&mut batch)?;
        let bytes = batch.into_bytes();
        if !bytes.is_empty() {
            self.write(&bytes)?;
            self.len += bytes.len() as u64;
        }
        self.is_broken = false;
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &*self.file;
        // Readers share the position.
        file.seek(SeekFrom::Start(self.len))?;
        file.write_all(bytes)
    }

    /// Returns whether the file has doubled since it was rewritten.
    pub(crate) fn is_rewrite_due(&self) -> bool {
        self.len > self.max_len
    }

    /// Replaces the file by a new one with only the records that `write` adds to the [`Rewrite`].
    ///
    /// After an error, the journal continues with the old file. The next rewrite is due when this file has doubled
    /// again.
    pub(crate) fn rewrite(
        &mut self,
        write: impl FnOnce(&mut Rewrite) -> io::Result<()>,
    ) -> io::Result<()> {
        let path = new_path(&self.path);
        match write_new(&path, &self.path, write) {
            Ok((file, len)) => {
                self.file = Arc::new(file);
                self.len = len;
                self.max_len = max_len(len);
                Ok(())
            }
            Err(error) => {
                // The incomplete file would use space on a disk that is probably full.
                let _ = fs::remove_file(path);
                // The next attempt waits until the file has doubled again: on a full disk, each
                // call would otherwise pay for a rewrite that fails.
                self.max_len = max_len(self.len);
                Err(error)
            }
        }
    }

    /// Returns a reader of values.
    pub(crate) fn reader(&self) -> JournalReader {
        JournalReader(Arc::clone(&self.file))
    }
}

/// Returns the path of the new file of a rewrite.
fn new_path(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes a new file, moves it to the path of the journal, and returns it with its length.
fn write_new(
    path: &Path,
    journal: &Path,
    write: impl FnOnce(&mut Rewrite) -> io::Result<()>,
) -> io::Result<(File, u64)> {
    let file = options().create(true).open(path)?;
    file.set_len(0)?;
    (&file).write_all(HEADER)?;
    let mut rewrite = Rewrite {
        batch: Batch::new(HEADER.len() as u64),
        file,
    };
    write(&mut rewrite)?;
    let len = rewrite.commit()?;
    // Without this, a power cut after the rename could leave an empty file.
    rewrite.file.sync_all()?;
    fs::rename(path, journal)?;
    Ok((rewrite.file, len))
}

/// The new file of a [`Journal::rewrite`].
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) batch: Batch,
    file: File,
}

impl Rewrite {
    /// Writes the batch if it is large, so that the memory never contains a second copy of the whole state.
    pub(crate) fn flush_if_large(&mut self) -> io::Result<()> {
        const LARGE: usize = 1024 * 1024;
        if self.batch.size() > LARGE {
            self.commit()?;
        }
        Ok(())
    }

    /// Writes the batch, and returns the length of the file.
    fn commit(&mut self) -> io::Result<u64> {
        let start = self.batch.start();
        let batch = std::mem::replace(&mut self.batch, Batch::new(start));
        let bytes = batch.into_bytes();
        self.file.write_all(&bytes)?;
        let end = start + bytes.len() as u64;
        self.batch = Batch::new(end);
        Ok(end)
    }
}

/// Reads values by their position. The caller must hold the lock of the state: the position of the file is shared.
#[derive(Clone, Debug)]
pub(crate) struct JournalReader(Arc<File>);

impl JournalReader {
    /// Calls a function with each entry and its value, in the order of the file.
    pub(crate) fn for_each(
        &self,
        entries: &[Entry],
        mut apply: impl FnMut(&Entry, &[u8]) -> Result<(), DamagedJournal>,
    ) -> Result<(), OpenJournalError> {
        // Reads the whole file, which is faster than a system call for each value.
        let mut file = BufReader::with_capacity(READ_BUFFER_SIZE, &*self.0);
        file.rewind()?;
        let (mut position, mut value) = (0, Vec::new());
        for entry in entries {
            let gap = entry.value.offset.saturating_sub(position);
            file.seek_relative(i64::try_from(gap).map_err(io::Error::other)?)?;
            value.resize(entry.value.len as usize, 0);
            file.read_exact(&mut value)?;
            position = entry.value.offset + u64::from(entry.value.len);
            apply(entry, &value)?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, span: ValueRange) -> io::Result<Vec<u8>> {
        let mut file = &*self.0;
        // Appends set the position, too.
        file.seek(SeekFrom::Start(span.offset))?;
        let mut bytes = vec![0; span.len as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Not with `append`: on Windows, such a file cannot be truncated.
    options.read(true).write(true);
    // The journal contains access tokens and secrets.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes the permissions of other users on a file that the server did not create, such as a restored copy.
#[cfg(unix)]
fn restrict(file: &File) {
    // Fails on file systems without permissions.
    let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
}

fn max_len(live_len: u64) -> u64 {
    // With a factor, rewrites cost a constant share of the appends, whatever the size. The constant
    // spares small journals.
    live_len.saturating_mul(2).saturating_add(MIN_GROWTH)
}
