//! Reads of the log's file that may block on the disk.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::ReadLogError;
use super::shared::SharedLog;

/// A read that was started. Dropping it discards the result.
#[derive(Debug)]
pub(super) enum DiskRead {
    Done(Option<Result<Bytes, ReadLogError>>),
    RunningRead(RunningRead),
}

#[derive(Debug)]
pub(super) struct RunningRead {
    shared: Arc<SharedLog>,
    offset: u64,
    task: JoinHandle<Result<Bytes, ReadLogError>>,
}

impl DiskRead {
    /// Starts a read on tokio's blocking threads, or reads synchronously without a runtime.
    pub(super) fn start(shared: &Arc<SharedLog>, offset: u64, len: usize) -> Self {
        match Handle::try_current() {
            Ok(runtime) => {
                let task = runtime.spawn(read_with_permit(Arc::clone(shared), offset, len));
                Self::RunningRead(RunningRead {
                    shared: Arc::clone(shared),
                    offset,
                    task,
                })
            }
            Err(_) => Self::Done(Some(read(shared, offset, len))),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ReadLogError>> {
        match self {
            // The reader drops this value after its result, so it is not polled again.
            Self::Done(result) => result.take().map_or(Poll::Pending, Poll::Ready),
            Self::RunningRead(running) => running.poll(cx),
        }
    }
}

impl RunningRead {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ReadLogError>> {
        let joined = std::pin::Pin::new(&mut self.task).poll(cx);
        joined.map(|joined| match joined {
            Ok(result) => result,
            Err(error) => Err(failed(&self.shared, self.offset, io::Error::other(error))),
        })
    }
}

impl Drop for RunningRead {
    fn drop(&mut self) {
        // Withdraws a read that waits for its permit. One that runs on a blocking thread cannot be stopped.
        self.task.abort();
    }
}

/// Waits for a permit, then reads. Runs as a spawned task, because a granted permit must be used or released
/// even if the reader is no longer polled.
async fn read_with_permit(
    shared: Arc<SharedLog>,
    offset: u64,
    len: usize,
) -> Result<Bytes, ReadLogError> {
    // Fails only if the semaphore is closed, which it never is.
    let permit = Arc::clone(&shared.disk_reads).acquire_owned().await;
    let reading = tokio::task::spawn_blocking({
        let shared = Arc::clone(&shared);
        move || {
            // Held by the blocking thread, since a read outlives its reader: otherwise, readers that come and go while
            // the disk hangs would occupy one thread each.
            let _permit = permit;
            read(&shared, offset, len)
        }
    });
    reading
        .await
        .unwrap_or_else(|error| Err(failed(&shared, offset, io::Error::other(error))))
}

fn read(shared: &SharedLog, offset: u64, len: usize) -> Result<Bytes, ReadLogError> {
    let mut bytes = vec![0; len];
    let n = loop {
        match shared.backing.read_at(&mut bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break checked(shared, offset, result)?,
        }
    };
    bytes.truncate(n);
    Ok(bytes.into())
}

/// Reads cached bytes; `None` if the read would block.
pub(super) fn try_read(
    shared: &SharedLog,
    offset: u64,
    bytes: &mut [u8],
) -> Option<Result<usize, ReadLogError>> {
    let result = shared.backing.try_read_at(bytes, offset)?;
    Some(checked(shared, offset, result))
}

/// Converts the result of a read. Every byte before the pending ones was written to the file, so a read
/// that reaches the end of the file means that it was truncated.
fn checked(
    shared: &SharedLog,
    offset: u64,
    result: io::Result<usize>,
) -> Result<usize, ReadLogError> {
    match result {
        Ok(0) => Err(ReadLogError::Truncated {
            path: shared.path.clone(),
            offset,
        }),
        Ok(n) => Ok(n),
        Err(source) => Err(failed(shared, offset, source)),
    }
}

fn failed(shared: &SharedLog, offset: u64, source: io::Error) -> ReadLogError {
    ReadLogError::Read {
        path: shared.path.clone(),
        offset,
        source,
    }
}
