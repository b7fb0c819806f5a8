//! A compressed copy of a log, which is written while the log grows.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use runtime_core::log::FollowedLog;
use runtime_core::{Monitor, TemporaryFile, TemporaryStorage};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

/// The minimum length of a log for a copy, and of each further part. For a shorter log, the compression during the upload
/// takes less time than waking a tokio task for the copy.
const MIN_BYTES: u64 = 1 << 20;

/// The number of bytes after which a copy can be cancelled.
const STEP_BYTES: usize = 8 << 20;

const BUFFER_BYTES: usize = 128 << 10;

/// Compresses a log while it grows. Dropping it cancels the copy.
pub(super) struct CompressedLog {
    log: FollowedLog,
    log_ended: Option<oneshot::Sender<()>>,
    /// The tokio task that compresses.
    copying: JoinSet<Option<TemporaryFile>>,
}

impl CompressedLog {
    /// Starts to follow a log. The copy is in `storage`.
    pub(super) fn follow(log: FollowedLog, storage: TemporaryStorage, monitor: Monitor) -> Self {
        let (log_ended, receiver) = oneshot::channel();
        let (followed, mut copying) = (log.clone(), JoinSet::new());
        copying.spawn(async move {
            let copied = follow(followed, storage, receiver).await;
            // The upload compresses the log itself instead.
            copied.unwrap_or_else(|error| {
                monitor.report_warning(&error, "cannot compress the log of a task while it runs");
                None
            })
        });
        Self {
            log,
            log_ended: Some(log_ended),
            copying,
        }
    }

    /// Completes the copy of a closed log, and returns the copy. Returns `None` if the log is short or incomplete, and
    /// if the copy has failed or was returned before.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(super) async fn finish(&mut self) -> Option<TemporaryFile> {
        if self.log.len() < MIN_BYTES {
            // There is no copy. The tokio task would only be woken to say so.
            return None;
        }
        // Fails if the copy has failed.
        let _ = self.log_ended.take().map(|ended| ended.send(()));
        // The only possible error is a panic.
        self.copying.join_next().await?.ok()?
    }
}

async fn follow(
    log: FollowedLog,
    storage: TemporaryStorage,
    mut log_ended: oneshot::Receiver<()>,
) -> io::Result<Option<TemporaryFile>> {
    let mut started: Option<GzipCopy> = None;
    let mut next_len = MIN_BYTES;
    loop {
        let has_ended = tokio::select! {
            _ = &mut log_ended => true,
            // Otherwise the log has ended, and the branch above follows.
            true = log.wait_for_len(next_len) => false,
        };
        let len = log.len();
        next_len = len + MIN_BYTES;
        // A long log without a file has failed, or gets it any moment.
        if started.is_none() && len >= MIN_BYTES && log.has_file() {
            let (log, storage) = (log.clone(), storage.clone());
            started = Some(blocking(move || GzipCopy::create(&log, &storage)).await?);
        }
        if let Some(copy) = started {
            let copy = copy.catch_up().await?;
            if has_ended {
                return blocking(move || copy.finish(&log)).await;
            }
            started = Some(copy);
        } else if has_ended {
            return Ok(None);
        }
    }
}

/// A copy of the start of a log.
struct GzipCopy {
    source: File,
    encoder: GzEncoder<TemporaryFile>,
    /// The length of the copied part.
    bytes: u64,
}

impl GzipCopy {
    fn create(log: &FollowedLog, storage: &TemporaryStorage) -> io::Result<Self> {
        Ok(Self {
            // The file and not a reader: the copy lags behind by design, and its reads must not compete with
            // those of viewers for the permits of the log.
            source: File::open(log.path())?,
            encoder: GzEncoder::new(storage.new_file("log")?, Compression::default()),
            bytes: 0,
        })
    }

    /// Copies the rest of the log's file.
    async fn catch_up(mut self) -> io::Result<Self> {
        loop {
            let step = blocking(move || self.step().map(|has_more| (self, has_more)));
            let (copy, has_more) = step.await?;
            if !has_more {
                return Ok(copy);
            }
            self = copy;
        }
    }

    /// Copies a limited part. Returns `false` at the end of the file.
    fn step(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut copied = 0;
        while copied < STEP_BYTES {
            let read = self.source.read(&mut buffer)?;
            if read == 0 {
                return Ok(false);
            }
            self.encoder.write_all(&buffer[..read])?;
            copied += read;
            self.bytes += read as u64;
        }
        Ok(true)
    }

    /// Returns the copy of the closed log, at its start; `None` if it does not contain the whole log.
    fn finish(self, log: &FollowedLog) -> io::Result<Option<TemporaryFile>> {
        // A log that failed may have got another end, and another process may have changed the length of its file.
        if log.extract().is_err() || self.bytes != log.len() {
            return Ok(None);
        }
        let mut copy = self.encoder.finish()?;
        copy.rewind()?;
        Ok(Some(copy))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use flate2::read::GzDecoder;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bed {
        _root: tempfile::TempDir,
        storage: TemporaryStorage,
        log: FollowedLog,
        copy: CompressedLog,
    }

    impl Bed {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("create a folder");
            let storage = TemporaryStorage::open(root.path()).expect("open the storage");
            let log = FollowedLog::create(storage.path().join("task.log")).expect("a new file");
            let copy = CompressedLog::follow(log.clone(), storage.clone(), Monitor::null());
            Self {
                _root: root,
                storage,
                log,
                copy,
            }
        }

        /// Writes a mebibyte.
        fn write(&self, line: &str) {
            let lines = line.repeat((1 << 20) / line.len());
            let writer = self.log.writer();
            writer.write_all(lines.as_bytes()).expect("the log is open");
        }

        /// Returns the bytes of the copy that were written so far.
        fn copied_bytes(&self) -> u64 {
            let entries = fs::read_dir(self.storage.path()).expect("the storage exists");
            let copies = entries.flatten().filter(|entry| {
                let name = entry.file_name();
                name.to_string_lossy().starts_with("log-")
            });
            copies
                .map(|copy| copy.metadata().map_or(0, |it| it.len()))
                .sum()
        }

        async fn finish(&mut self) -> Option<Vec<u8>> {
            let copy = self.copy.finish().await?;
            let mut text = Vec::new();
            GzDecoder::new(copy)
                .read_to_end(&mut text)
                .expect("a valid copy");
            Some(text)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn log_is_copied_while_it_grows() {
        let mut bed = Bed::new();
        for number in 0..20 {
            // Random, so that the compressed bytes do not stay in the buffer of the encoder.
            bed.write(&format!("{number}:{}\n", fastrand::u128(..)));
            tokio::time::sleep(SECOND).await;
        }
        let limit = std::time::Instant::now() + Duration::from_secs(60);
        while bed.copied_bytes() == 0 {
            assert!(std::time::Instant::now() < limit, "nothing is copied");
            tokio::time::sleep(SECOND).await;
        }
        bed.write("last\n");
        bed.log.close().expect("the disk has space");
        let text = fs::read(bed.log.path()).expect("it exists");
        assert!(bed.finish().await == Some(text));
        assert_eq!(bed.copied_bytes(), 0, "the copy is removed");
    }

    #[tokio::test(start_paused = true)]
    async fn short_log_is_not_copied() {
        let mut bed = Bed::new();
        let written = bed.log.writer().write_all(b"short\n");
        written.expect("the log is open");
        tokio::time::sleep(SECOND).await;
        bed.log.close().expect("the disk has space");
        assert_eq!(bed.finish().await, None);
    }

    #[tokio::test]
    async fn changed_log_has_no_copy() {
        let mut bed = Bed::new();
        bed.write("line\n");
        bed.log.close().expect("the disk has space");
        let file = File::options().append(true).open(bed.log.path());
        let appended = file.and_then(|mut file| file.write_all(b"foreign"));
        appended.expect("it can be written");
        assert!(bed.finish().await.is_none());
    }

    #[tokio::test]
    async fn failed_copy_is_none() {
        let mut bed = Bed::new();
        bed.write("line\n");
        bed.log.close().expect("the disk has space");
        fs::remove_file(bed.log.path()).expect("it exists");
        assert!(bed.finish().await.is_none());
        assert!(bed.finish().await.is_none());
    }
}
