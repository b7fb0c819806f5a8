//! A log in memory, and test errors.

use std::io;
use std::sync::{Arc, Mutex};

use runtime_ioext::log::Redactor;
use runtime_monitoring::{LineFormat, LogGuard, LogLayer};
use tracing::Dispatch;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

/// The written bytes. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A subscriber that writes lines to memory.
pub(crate) fn capture(format: LineFormat) -> (Dispatch, LogGuard, Output) {
    let output = Output::default();
    let (layer, guard) = LogLayer::new(format, output.clone()).expect("a thread");
    (
        Dispatch::new(Registry::default().with(layer)),
        guard,
        output,
    )
}

/// An error with a cause.
#[derive(Debug, thiserror::Error)]
#[error("cannot upload the log")]
pub(crate) struct Failure(#[source] pub(crate) io::Error);

impl Failure {
    pub(crate) fn new() -> Self {
        Self(io::Error::other("connection reset"))
    }
}

/// A redactor that knows one secret.
pub(crate) fn redactor(secret: &str) -> Redactor {
    let redactor = Redactor::new();
    redactor.add(secret).expect("long enough");
    redactor
}
