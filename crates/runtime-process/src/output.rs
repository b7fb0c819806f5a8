//! The transfer of a command's output to the log of the task.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::LogDrain;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::SetOnce;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Size of the buffer between pipe and log in bytes, the capacity of a Linux pipe.
const BUFFER_SIZE: usize = 64 * 1024;

/// The time without progress after which the disk of the log is considered to hang.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The time without output after which the pipe of an ended command is considered empty, if the amount of data in it is
/// unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Copies output to the log until every process has closed its end of the pipe.
pub(crate) struct OutputPump {
    /// One task for each pipe. Each returns the number of lost bytes.
    tasks: JoinSet<io::Result<u64>>,
    command_ended: Arc<SetOnce<()>>,
}

impl OutputPump {
    /// Creates one pipe for standard output and standard error.
    ///
    /// With two pipes, the order of lines of different streams would be lost.
    #[cfg(unix)]
    pub(crate) fn pipe(log: LogDrain) -> io::Result<(Self, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        let mut pump = Self::new();
        pump.add(reader, log);
        Ok((pump, writer))
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
        let mut pump = Self::new();
        if let Some(stdout) = child.stdout.take() {
            pump.add(stdout, log.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            pump.add(stderr, log);
        }
        Ok((child, pump))
    }

    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            command_ended: Arc::default(),
        }
    }

    fn add(
        &mut self,
        reader: impl OutputPipe + 'static,
        log: impl AsyncWrite + Send + Unpin + 'static,
    ) {
        let pipe = PipeCopy {
            reader,
            log,
            buffer: vec![0; BUFFER_SIZE].into(),
            unwritten: 0..0,
            command_ended: Arc::clone(&self.command_ended),
        };
        self.tasks.spawn(pipe.run());
    }

    /// Waits until all output of the ended command is in the log. Call it once, when all processes of the command were
    /// killed.
    ///
    /// The wait depends on the speed of the log's disk, and fails if the disk accepts no data for [`STALL_TIMEOUT`]. A
    /// process that escaped from the task may keep the pipe open; this does not extend the wait.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] with the number of lost bytes if the disk hangs, or the error of the pipe or log.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        let _ = self.command_ended.set(());
        let mut lost = 0;
        while let Some(ended) = self.tasks.join_next().await {
            lost += ended.map_err(io::Error::other)??;
        }
        if lost == 0 {
            return Ok(());
        }
        let seconds = STALL_TIMEOUT.as_secs();
        let message = format!(
            "the last {lost} bytes of the output are lost: the disk of the log accepted no data for {seconds} s"
        );
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }
}

/// The transfer of one pipe.
struct PipeCopy<R, W> {
    reader: R,
    log: W,
    buffer: Box<[u8]>,
    /// The part of the buffer that was not yet written to the log.
    unwritten: Range<usize>,
    command_ended: Arc<SetOnce<()>>,
}

impl<R: OutputPipe, W: AsyncWrite + Unpin> PipeCopy<R, W> {
    /// Copies the output and returns the number of bytes that are lost because the log hangs.
    async fn run(mut self) -> io::Result<u64> {
        loop {
            tokio::select! {
                // The end wins: a process that escaped may write without end.
                biased;
                // A read that this drops has taken no bytes from the pipe.
                _ = self.command_ended.wait() => break,
                read = self.reader.read(&mut self.buffer) => match read? {
                    0 => return Ok(0),
                    read => self.unwritten = 0..read,
                }
            }
            if !self.write().await? {
                return Ok(self.lost(self.reader.available()?));
            }
        }
        // The rest of the command's output is in the pipe now. Later bytes can only be from a process that escaped, which
        // may write without end.
        let mut remaining = self.reader.available()?;
        while remaining > 0 {
            let len = usize::try_from(remaining).map_or(BUFFER_SIZE, |len| len.min(BUFFER_SIZE));
            let read = timeout(IDLE_TIMEOUT, self.reader.read(&mut self.buffer[..len])).await;
            let read = read.unwrap_or(Ok(0))?;
            if read == 0 {
                break;
            }
            self.unwritten = 0..read;
            remaining -= read as u64;
            if !self.write().await? {
                return Ok(self.lost(remaining));
            }
        }
        Ok(0)
    }

    /// Writes the buffer to the log. Returns `false` if the log makes no progress after the end of the command.
    async fn write(&mut self) -> io::Result<bool> {
        while !self.unwritten.is_empty() {
            let command_ended = &self.command_ended;
            // While the command runs, a log that hangs only blocks the command.
            let stalled = async {
                command_ended.wait().await;
                sleep(STALL_TIMEOUT).await;
            };
            tokio::select! {
                biased;
                written = self.log.write(&self.buffer[self.unwritten.clone()]) => match written? {
                    // Retrying a log that accepts no bytes would never end.
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => self.unwritten.start += written,
                },
                () = stalled => return Ok(false),
            }
        }
        Ok(true)
    }

    fn lost(&self, in_pipe: u64) -> u64 {
        // Where the content of a pipe cannot be measured, it is not counted.
        let in_pipe = if in_pipe == u64::MAX { 0 } else { in_pipe };
        self.unwritten.len() as u64 + in_pipe
    }
}

/// The reading end of a pipe.
trait OutputPipe: AsyncRead + Send + Unpin {
    /// Returns the number of bytes that can be read at once, or `u64::MAX` if that is unknown.
    fn available(&self) -> io::Result<u64>;
}

#[cfg(unix)]
impl OutputPipe for tokio::net::unix::pipe::Receiver {
    fn available(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(self)?)
    }
}

#[cfg(not(unix))]
impl<R: AsyncRead + Send + Unpin> OutputPipe for R {
    fn available(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use parking_lot::Mutex;
    use tokio::time::{Instant, Sleep};

    use super::*;

    /// A log on a slow disk, which accepts some bytes after each delay.
    struct SlowLog {
        written: Arc<Mutex<Vec<u8>>>,
        at_once: usize,
        delay: Duration,
        /// The number of bytes after which the disk hangs.
        size: usize,
        sleep: Pin<Box<Sleep>>,
    }

    impl SlowLog {
        fn new(at_once: usize, delay: Duration, size: usize) -> Self {
            Self {
                written: Arc::default(),
                at_once,
                delay,
                size,
                sleep: Box::pin(sleep(delay)),
            }
        }
    }

    impl AsyncWrite for SlowLog {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let space = self.size - self.written.lock().len();
            let len = bytes.len().min(self.at_once).min(space);
            if len == 0 {
                return Poll::Pending;
            }
            self.written.lock().extend_from_slice(&bytes[..len]);
            let next = Instant::now() + self.delay;
            self.sleep.as_mut().reset(next);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn pump(log: SlowLog) -> io::Result<(OutputPump, io::PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let mut pump = OutputPump::new();
        let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        pump.add(reader, log);
        Ok((pump, writer))
    }

    /// Output that fills the pipe.
    fn output() -> Vec<u8> {
        (0..BUFFER_SIZE).map(|i| (i % 251) as u8).collect()
    }

    /// The speed of the log: 50 kB/s.
    const DELAY: Duration = Duration::from_millis(20);

    #[tokio::test(start_paused = true)]
    async fn slow_disk_loses_no_output() -> io::Result<()> {
        for holds_pipe in [false, true] {
            let log = SlowLog::new(1000, DELAY, usize::MAX);
            let written = Arc::clone(&log.written);
            let (mut pump, mut writer) = pump(log)?;
            writer.write_all(&output())?;
            // An escaped process holds the pipe open.
            let _writer = holds_pipe.then_some(writer);
            pump.finish().await?;
            assert!(*written.lock() == output(), "holds_pipe: {holds_pipe}");
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_disk_is_an_error_with_the_loss() -> io::Result<()> {
        for holds_pipe in [false, true] {
            let (mut pump, mut writer) = pump(SlowLog::new(1000, DELAY, 5000))?;
            writer.write_all(&output())?;
            let _writer = holds_pipe.then_some(writer);
            let start = Instant::now();
            let error = pump.finish().await.expect_err("the disk hangs");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let lost = BUFFER_SIZE - 5000;
            let expected = format!(
                "the last {lost} bytes of the output are lost: the disk of the log accepted no data for 60 s"
            );
            assert_eq!(error.to_string(), expected);
            let took = start.elapsed();
            assert!(
                (STALL_TIMEOUT..2 * STALL_TIMEOUT).contains(&took),
                "{took:?}"
            );
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn output_during_a_write_is_not_lost() -> io::Result<()> {
        let log = SlowLog::new(1000, DELAY, usize::MAX);
        let written = Arc::clone(&log.written);
        let (mut pump, mut writer) = pump(log)?;
        writer.write_all(&output())?;
        // The pump has emptied the pipe and writes, so the pipe is filled again.
        for _ in 0..1000 {
            if written.lock().starts_with(&[0]) {
                break;
            }
            sleep(DELAY).await;
        }
        assert!(written.lock().starts_with(&[0]));
        writer.write_all(&output())?;
        drop(writer);
        pump.finish().await?;
        assert!(*written.lock() == [output(), output()].concat());
        Ok(())
    }
}
