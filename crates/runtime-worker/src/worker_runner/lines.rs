//! A writer that sends the worker's log to worker-runner.

use std::io;

use tokio::sync::{mpsc, oneshot, watch};

use super::outgoing::Outgoing;

/// A writer for lines that are encoded as `log` messages. [`WorkerRunner::log_lines`](super::WorkerRunner::log_lines)
/// creates it.
///
/// Intended for the thread that writes a log, such as that of `LogBuilder::writer` with `LineFormat::WorkerProto`. Each
/// write blocks until worker-runner has sent `welcome` and the lines are written. Write whole lines.
///
/// # Panics
///
/// Writing panics on a thread that runs async tasks.
#[derive(Clone, Debug)]
pub struct LogLineWriter(pub(super) mpsc::Sender<Outgoing>);

impl io::Write for LogLineWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (written, is_written) = oneshot::channel();
        let outgoing = Outgoing {
            bytes: lines.to_vec(),
            written: Some(written),
        };
        let sent = self.0.blocking_send(outgoing).is_ok();
        if sent && is_written.blocking_recv().is_ok() {
            Ok(lines.len())
        } else {
            Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "worker-runner does not accept logs or has closed the connection",
            ))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the next log lines once worker-runner accepts logs, or `None` if it does not.
pub(super) async fn next_lines(
    lines: &mut mpsc::Receiver<Outgoing>,
    capabilities: &mut watch::Receiver<Option<Vec<String>>>,
) -> Option<Outgoing> {
    let accepts_logs = match capabilities.wait_for(Option::is_some).await {
        Ok(names) => names.iter().flatten().any(|name| name == "log"),
        Err(_) => false,
    };
    if !accepts_logs {
        // Fails current and future writes instead of blocking the log thread forever.
        lines.close();
        while lines.try_recv().is_ok() {}
    }
    lines.recv().await
}
