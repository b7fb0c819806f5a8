//! Messages that wait to be written.

use tokio::sync::oneshot;

use super::message::ToRunner;

/// Whole lines for worker-runner.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    /// Notified after the lines were written.
    pub(super) written: Option<oneshot::Sender<()>>,
}

impl From<ToRunner> for Outgoing {
    fn from(message: ToRunner) -> Self {
        Self {
            bytes: message.to_line().into_bytes(),
            written: None,
        }
    }
}
