//! The transfer of a command's output to the log of the task.

use std::io;
use std::time::Duration;

use runtime_core::LogDrain;
use tokio::io::{AsyncRead, BufReader};
use tokio::task::JoinSet;

/// Size of the buffer between pipe and log in bytes, the capacity of a Linux pipe.
const BUFFER_SIZE: usize = 64 * 1024;

/// Copies output to the log until every process has closed its end of the pipe.
pub(crate) struct OutputPump {
    tasks: JoinSet<io::Result<()>>,
}

impl OutputPump {
    /// Creates one pipe for standard output and standard error.
    ///
    /// Two pipes would lose the order of lines across the streams: nothing shows which line was written first.
    #[cfg(unix)]
    pub(crate) fn pipe(log: LogDrain) -> io::Result<(Self, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        let tasks = JoinSet::from_iter([pump(reader, log)]);
        Ok((Self { tasks }, writer))
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
        let mut tasks = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            tasks.spawn(pump(stdout, log.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tasks.spawn(pump(stderr, log));
        }
        Ok((child, Self { tasks }))
    }

    /// Waits until the remaining output is in the log, for at most `timeout`.
    ///
    /// A process that escaped the task may hold the pipe open forever. The drains are dropped in any case, so that
    /// the log receives the bytes that they buffer.
    pub(crate) async fn finish(&mut self, timeout: Duration) -> io::Result<()> {
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.map_err(io::Error::other)??;
            }
            Ok(())
        };
        let finished = tokio::time::timeout(timeout, all).await.unwrap_or(Ok(()));
        self.tasks.shutdown().await;
        finished
    }
}

async fn pump(reader: impl AsyncRead + Unpin, mut log: LogDrain) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER_SIZE, reader);
    tokio::io::copy_buf(&mut reader, &mut log).await.map(drop)
}
