//! Redaction of secrets in log output.

mod patterns;
mod secret_encodings;
mod stream;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use self::patterns::Patterns;
use self::stream::Stream;
use super::error::WriteLogError;
use super::sink::{LogSink, impl_writer};
use super::writer::LogWriter;
use crate::sys::Mutex;

/// The replacement for a secret.
const REPLACEMENT: &[u8] = b"[REDACTED]";

/// A set of secrets, replaced by `[REDACTED]` in the output of its writers. Clones share the set.
///
/// A secret is found across write boundaries, and in these encodings: plain, base64 at all three alignments
/// and in both alphabets, percent-encoded, and JSON-escaped. A multi-line secret, such as a key, is also
/// found line by line, because terminals change line ends and tools indent. Secrets can be added at any
/// time and apply to later writes.
///
/// Output is buffered only while it may be the start of a secret, so that a prompt without a line feed
/// appears at once.
///
/// # Limitations
///
/// A redactor prevents accidents, not attacks. Secrets that a task compresses, encrypts, encodes in
/// hexadecimal or prints character by character are not found, nor is base64 with line breaks.
///
/// # Example
///
/// ```
/// use runtime_ioext::log::Redactor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redactor = Redactor::new();
/// redactor.add("hunter22")?;
/// assert!(redactor.add("1234").is_err());
///
/// let text = redactor.redact(b"user:hunter22, in base64 dXNlcjpodW50ZXIyMg==");
/// assert_eq!(text, b"user:[REDACTED], in base64 dXNlcjp[REDACTED]g==");
/// assert_eq!(redactor.hits(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redactor {
    shared: Arc<Shared>,
}

struct Shared {
    min_len: usize,
    /// Held while patterns are compiled, which may take milliseconds. Writers use the old patterns meanwhile.
    adding: Mutex<()>,
    patterns: Mutex<Arc<Patterns>>,
    hits: AtomicU64,
}

impl Redactor {
    /// Minimum length in bytes; shorter secrets would match ordinary output.
    pub const DEFAULT_MIN_LEN: usize = 6;

    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::with_min_len(Self::DEFAULT_MIN_LEN)
    }

    /// Creates an empty set with another minimum length in bytes.
    #[must_use]
    pub fn with_min_len(min_len: usize) -> Self {
        let patterns = Mutex::new(Arc::default());
        let min_len = min_len.max(1);
        Self {
            shared: Arc::new(Shared {
                min_len,
                adding: Mutex::new(()),
                patterns,
                hits: AtomicU64::new(0),
            }),
        }
    }

    /// Adds a secret, without trailing line ends.
    ///
    /// All patterns are compiled again: less than a millisecond for a few tokens, more for multi-line keys.
    ///
    /// # Errors
    ///
    /// If the secret is too short. It is *not* redacted then.
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretTooShort> {
        self.add_all([secret])
    }

    /// Adds several secrets and compiles the patterns once.
    ///
    /// # Errors
    ///
    /// If any secret is too short. The others are added.
    pub fn add_all<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), SecretTooShort> {
        let min_len = self.shared.min_len;
        let (mut encodings, mut outcome) = (Vec::new(), Ok(()));
        for secret in secrets {
            let secret = secret_encodings::without_line_end(secret.as_ref());
            if secret.len() < min_len {
                outcome = Err(SecretTooShort { min_len });
            } else {
                encodings.extend(secret_encodings::of(secret, min_len));
            }
        }
        let _adding = self.shared.adding.lock();
        if let Some(more) = self.patterns().with(encodings) {
            let fewer = std::mem::replace(&mut *self.shared.patterns.lock(), Arc::new(more));
            drop(fewer);
        }
        outcome
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.patterns.lock().is_empty()
    }

    /// Returns the number of replacements.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Relaxed)
    }

    /// Replaces secrets in a complete text.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let (mut stream, mut out) = (Stream::default(), Vec::new());
        self.pass(&mut stream, text, &mut out);
        self.end(&mut stream, &mut out);
        out
    }

    /// Replaces secrets in a complete text; copies it only if it contains any.
    #[must_use]
    pub fn redact_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let is_clean = self.patterns().scan(text.as_bytes()).found.is_empty();
        if is_clean {
            return Cow::Borrowed(text);
        }
        // A secret is arbitrary bytes and may end within a character.
        String::from_utf8_lossy(&self.redact(text.as_bytes()))
            .into_owned()
            .into()
    }

    /// Creates an adaptor that redacts output on its way to a log.
    #[must_use]
    pub fn writer<S: LogSink>(&self, sink: S) -> RedactingWriter<S> {
        RedactingWriter {
            redactor: self.clone(),
            sink,
            stream: Stream::default(),
        }
    }

    fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.shared.patterns.lock())
    }

    fn pass(&self, stream: &mut Stream, bytes: &[u8], out: &mut Vec<u8>) {
        self.count(stream.pass(&self.patterns(), bytes, out));
    }

    fn end(&self, stream: &mut Stream, out: &mut Vec<u8>) {
        self.count(stream.end(&self.patterns(), out));
    }

    fn count(&self, hits: u64) {
        self.shared.hits.fetch_add(hits, Ordering::Relaxed);
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("hits", &self.hits())
            .finish_non_exhaustive()
    }
}

/// The error of adding a secret that is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot redact a secret of fewer than {min_len} bytes: it would match ordinary output")]
#[non_exhaustive]
pub struct SecretTooShort {
    /// The minimum length in bytes.
    pub min_len: usize,
}

/// Redacts output on its way to a log. Created by [`Redactor::writer`].
///
/// [`finish`](LogSink::finish), shutdown or drop write the buffered bytes that could have become a
/// secret.
pub struct RedactingWriter<S: LogSink = LogWriter> {
    redactor: Redactor,
    sink: S,
    stream: Stream,
}

impl<S: LogSink> RedactingWriter<S> {
    fn push_end(&mut self) -> Result<(), WriteLogError> {
        let mut out = Vec::new();
        self.redactor.end(&mut self.stream, &mut out);
        if out.is_empty() {
            return Ok(());
        }
        self.sink.push(&out)
    }
}

impl<S: LogSink> LogSink for RedactingWriter<S> {
    fn wait_until_ready(&mut self) {
        self.sink.wait_until_ready();
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_ready(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        if self.stream.holds_nothing() && self.redactor.is_empty() {
            return self.sink.push(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        self.redactor.pass(&mut self.stream, bytes, &mut out);
        if out.is_empty() {
            return Ok(());
        }
        self.sink.push(&out)
    }

    fn start_flush(&mut self) {
        self.sink.start_flush();
    }

    fn finish(&mut self) -> Result<(), WriteLogError> {
        self.push_end()?;
        self.sink.finish()
    }
}

impl_writer!(RedactingWriter);

impl<S: LogSink + Clone> Clone for RedactingWriter<S> {
    /// Creates a writer for another stream; buffered bytes stay in this one.
    fn clone(&self) -> Self {
        self.redactor.writer(self.sink.clone())
    }
}

impl<S: LogSink> Drop for RedactingWriter<S> {
    /// An error is not lost: the log has failed, and returns it on close.
    fn drop(&mut self) {
        drop(self.push_end());
    }
}

impl<S: LogSink> fmt::Debug for RedactingWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactingWriter")
            .field("redactor", &self.redactor)
            .finish_non_exhaustive()
    }
}
