//! The worker's log on its way to worker-runner.

use std::io;

use tokio::sync::{mpsc, oneshot, watch};

use super::session::Outgoing;

/// Takes lines that are `log` messages already, between the other messages of a conversation. Made by
/// [`WorkerRunner::log_lines`](super::WorkerRunner::log_lines).
///
/// It is for the thread that writes a log, such as that of `LogBuilder::writer` with `LineFormat::WorkerProto`: each write
/// waits until its lines are written, and until worker-runner has said that it takes a log. Write whole lines.
///
/// # Panics
///
/// Writing panics on a thread that runs async code.
#[derive(Clone, Debug)]
pub struct LogLines(mpsc::Sender<Outgoing>);

impl LogLines {
    pub(super) fn new(lines: mpsc::Sender<Outgoing>) -> Self {
        Self(lines)
    }
}

impl io::Write for LogLines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (written, is_written) = oneshot::channel();
        let outgoing = Outgoing {
            bytes: lines.to_vec(),
            written: Some(written),
        };
        let sent = self.0.blocking_send(outgoing).is_ok();
        match sent && is_written.blocking_recv().is_ok() {
            true => Ok(lines.len()),
            false => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "worker-runner takes no log, or is gone",
            )),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of [`LogLines`] in a conversation.
pub(super) struct LogLinesEnd {
    lines: mpsc::Receiver<Outgoing>,
    agreed: watch::Receiver<Option<Vec<String>>>,
}

impl LogLinesEnd {
    pub(super) fn new(
        lines: mpsc::Receiver<Outgoing>,
        agreed: watch::Receiver<Option<Vec<String>>>,
    ) -> Self {
        Self { lines, agreed }
    }

    /// The next lines, once worker-runner takes them; `None` if it takes none.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        let takes_log = match self.agreed.wait_for(Option::is_some).await {
            Ok(agreed) => agreed.iter().flatten().any(|name| name == "log"),
            Err(_) => false,
        };
        if !takes_log {
            self.refuse();
        }
        self.lines.recv().await
    }

    /// Whoever writes lines hears that nobody takes them.
    fn refuse(&mut self) {
        self.lines.close();
        while self.lines.try_recv().is_ok() {}
    }
}
