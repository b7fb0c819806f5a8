//! What a process writes, on its way to the task's log.

use std::io;
use std::time::Duration;

use runtime_core::LogDrain;
use tokio::io::{AsyncRead, BufReader};
use tokio::task::JoinSet;

/// Copies output to the log until nobody can write any more.
pub(crate) struct Output {
    pumps: JoinSet<io::Result<()>>,
}

impl Output {
    /// Makes one pipe for both streams, so that the log keeps their order.
    #[cfg(unix)]
    pub(crate) fn pipe(log: LogDrain) -> io::Result<(Self, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        let pumps = JoinSet::from_iter([pump(reader, log)]);
        Ok((Self { pumps }, writer))
    }

    /// Starts `command` with a pipe for each stream.
    #[cfg(not(unix))]
    pub(crate) fn spawn(
        mut command: tokio::process::Command,
        log: LogDrain,
    ) -> io::Result<(tokio::process::Child, Self)> {
        let mut child = command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut pumps = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            pumps.spawn(pump(stdout, log.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            pumps.spawn(pump(stderr, log));
        }
        Ok((child, Self { pumps }))
    }

    /// Waits for the last output, but not for a process that left the group and keeps the pipe open.
    ///
    /// What the log's drains hold back is in the log afterwards.
    pub(crate) async fn drain(&mut self, limit: Duration) -> io::Result<()> {
        let all = async {
            while let Some(ended) = self.pumps.join_next().await {
                ended.map_err(io::Error::other)??;
            }
            Ok(())
        };
        let drained = tokio::time::timeout(limit, all).await.unwrap_or(Ok(()));
        self.pumps.shutdown().await;
        drained
    }
}

async fn pump(reader: impl AsyncRead + Unpin, mut log: LogDrain) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, reader);
    tokio::io::copy_buf(&mut reader, &mut log).await.map(drop)
}
