//! Reads of the file that may have to wait for a disk.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::core::Core;
use super::error::ReadLogError;

/// How many reads of one log wait for a disk at a time. More would only take threads from others.
pub(super) const AT_ONCE: usize = 2;

/// A read that is under way. Dropping it gives up on the result.
#[derive(Debug)]
pub(super) enum Fetch {
    Done(Option<Result<Bytes, ReadLogError>>),
    Running(Running),
}

#[derive(Debug)]
pub(super) struct Running {
    core: Arc<Core>,
    offset: u64,
    task: JoinHandle<Result<Bytes, ReadLogError>>,
}

impl Fetch {
    /// Starts to read on tokio's threads for blocking work, or reads at once if there is no runtime.
    pub(super) fn start(core: &Arc<Core>, offset: u64, len: usize) -> Self {
        match Handle::try_current() {
            Ok(runtime) => {
                let task = runtime.spawn(read_in_turn(Arc::clone(core), offset, len));
                Self::Running(Running {
                    core: Arc::clone(core),
                    offset,
                    task,
                })
            }
            Err(_) => Self::Done(Some(read(core, offset, len))),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ReadLogError>> {
        match self {
            Self::Done(result) => result.take().map_or(Poll::Pending, Poll::Ready),
            Self::Running(running) => running.poll(cx),
        }
    }
}

impl Running {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ReadLogError>> {
        let joined = std::pin::Pin::new(&mut self.task).poll(cx);
        joined.map(|joined| match joined {
            Ok(result) => result,
            Err(error) => Err(failed(&self.core, self.offset, io::Error::other(error))),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The wait for a turn is a task of its own, so that a reader that nobody polls keeps no turn.
async fn read_in_turn(core: Arc<Core>, offset: u64, len: usize) -> Result<Bytes, ReadLogError> {
    let _turn = core.fetches.acquire().await;
    let reading = tokio::task::spawn_blocking({
        let core = Arc::clone(&core);
        move || read(&core, offset, len)
    });
    reading
        .await
        .unwrap_or_else(|error| Err(failed(&core, offset, io::Error::other(error))))
}

fn read(core: &Core, offset: u64, len: usize) -> Result<Bytes, ReadLogError> {
    let mut bytes = vec![0; len];
    let n = loop {
        match core.backing.read_at(&mut bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break checked(core, offset, result)?,
        }
    };
    bytes.truncate(n);
    Ok(bytes.into())
}

/// Reads bytes that are at hand, or gives `None` if that may have to wait.
pub(super) fn try_read(
    core: &Core,
    offset: u64,
    bytes: &mut [u8],
) -> Option<Result<usize, ReadLogError>> {
    let result = core.backing.try_read_at(bytes, offset)?;
    Some(checked(core, offset, result))
}

/// The file holds bytes at the offset, so that an end there means that somebody took them away.
fn checked(core: &Core, offset: u64, result: io::Result<usize>) -> Result<usize, ReadLogError> {
    match result {
        Ok(0) => Err(ReadLogError::Truncated {
            path: core.path.clone(),
            offset,
        }),
        Ok(n) => Ok(n),
        Err(source) => Err(failed(core, offset, source)),
    }
}

fn failed(core: &Core, offset: u64, source: io::Error) -> ReadLogError {
    ReadLogError::Read {
        path: core.path.clone(),
        offset,
        source,
    }
}
