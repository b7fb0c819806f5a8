//! Redaction of secrets in log output.

mod compare;
mod encodings;
mod filter;
mod parts;
mod patterns;
mod prefixes;
mod spellings;
mod stream;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use self::patterns::Patterns;
use self::stream::{Redacted, Stream};
use super::error::WriteLogError;
use super::sink::{self, LogSink, impl_writer};
use super::writer::LogWriter;
use crate::sys::RwLock;

/// The replacement for a secret.
const REPLACEMENT: &[u8] = b"[REDACTED]";

/// A set of secrets, replaced by `[REDACTED]` in the output of its writers. Clones share the set.
///
/// A secret is found across write boundaries, and in these encodings:
///
/// | encoding | variants |
/// | --- | --- |
/// | base64 | at all three alignments, in both alphabets |
/// | percent-encoding | of any characters, with `%20` or `+` for spaces |
/// | JSON strings, and JSON within JSON strings | including `\/`, `\u0026` and other escapes of any characters |
/// | shells | `set -x`, `printf %q` and other escapes by backslash or quote |
/// | XML and HTML | named and numeric entities |
///
/// These parts of a secret are also secrets, if they are not shorter than the minimum:
///
/// - each string and number of a JSON text, even in a JSON text within a string;
/// - each line of any other text, such as a key, because terminals change line ends and tools indent;
/// - pieces of about 128 bytes of a longer secret, which may therefore be replaced piece by piece.
///
/// Values and lines of fewer than four distinct bytes, such as blanks and rulers, are left out. Secrets can
/// be added at any time and apply to later writes.
///
/// Only bytes that may be the start of a secret are buffered, so that a prompt without a line feed appears
/// immediately.
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
    /// Each write holds the read lock while it scans its bytes.
    patterns: RwLock<Patterns>,
    hits: AtomicU64,
}

impl Redactor {
    /// Default minimum length of a secret in bytes. Shorter ones would match ordinary output.
    pub const DEFAULT_MIN_LEN: usize = 6;

    /// Creates an empty set with the [default minimum length](Self::DEFAULT_MIN_LEN).
    #[must_use]
    pub fn new() -> Self {
        Self::with_min_len(Self::DEFAULT_MIN_LEN)
    }

    /// Creates an empty set with a minimum length of secrets in bytes; 0 counts as 1.
    #[must_use]
    pub fn with_min_len(min_len: usize) -> Self {
        let min_len = min_len.max(1);
        Self {
            shared: Arc::new(Shared {
                min_len,
                patterns: RwLock::new(Patterns::new(min_len)),
                hits: AtomicU64::new(0),
            }),
        }
    }

    /// Adds a secret. Trailing line ends are not part of it.
    ///
    /// Takes microseconds for a token, and tens of milliseconds for 1 MiB, whatever the number of secrets.
    ///
    /// # Errors
    ///
    /// If the secret is too short. It is *not* redacted then.
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretTooShort> {
        self.add_all([secret])
    }

    /// Adds several secrets. No write sees some of them without the others.
    ///
    /// # Errors
    ///
    /// If any secret is too short. The others are added.
    pub fn add_all<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), SecretTooShort> {
        let min_len = self.shared.min_len;
        // Before the lock, because the iterator is arbitrary code, which may use the redactor.
        let secrets: Vec<S> = secrets.into_iter().collect();
        let secrets = secrets.iter().map(|secret| secret.as_ref());
        let (secrets, too_short): (Vec<_>, Vec<_>) = secrets
            .map(parts::without_line_end)
            .partition(|secret| secret.len() >= min_len);
        // One lock for all secrets: a log line between two of them could contain the second one in
        // plain text.
        let mut patterns = self.shared.patterns.write();
        for secret in secrets {
            parts::for_each_part(secret, min_len, &mut |part| patterns.add(part));
        }
        match too_short[..] {
            [] => Ok(()),
            _ => Err(SecretTooShort { min_len }),
        }
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.patterns.read().is_empty()
    }

    /// Returns the number of replacements by all clones and writers.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Relaxed)
    }

    /// Returns a complete text with its secrets replaced.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let mut stream = Stream::default();
        let mut out = self.pass(&mut stream, text).into_owned();
        out.extend_from_slice(&self.end(&mut stream));
        out
    }

    /// Returns a complete text with its secrets replaced. Copies it only if it contains any.
    #[must_use]
    pub fn redact_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Scanned twice if it contains a secret, which is rare. The lock is not held in between; a
        // secret added there is only redacted earlier than promised.
        let scan = self.shared.patterns.read().scan(text.as_bytes(), true);
        if scan.found.is_empty() {
            return Cow::Borrowed(text);
        }
        // A secret is a byte string, which may end within a character: the rest of it is invalid UTF-8.
        String::from_utf8_lossy(&self.redact(text.as_bytes()))
            .into_owned()
            .into()
    }

    /// Creates a writer that redacts output on its way to `sink`.
    #[must_use]
    pub fn writer<S: LogSink>(&self, sink: S) -> RedactingWriter<S> {
        RedactingWriter {
            redactor: self.clone(),
            sink,
            stream: Stream::default(),
        }
    }

    fn pass<'a>(&self, stream: &mut Stream, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.count(stream.pass(&self.shared.patterns.read(), bytes))
    }

    fn end(&self, stream: &mut Stream) -> Cow<'static, [u8]> {
        self.count(stream.end(&self.shared.patterns.read()))
    }

    fn count<'a>(&self, redacted: Redacted<'a>) -> Cow<'a, [u8]> {
        if redacted.hits > 0 {
            // A statistic that orders no other memory.
            self.shared.hits.fetch_add(redacted.hits, Ordering::Relaxed);
        }
        redacted.bytes
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
/// [`finish`](LogSink::finish), a shutdown and a drop write the buffered bytes, which are not a complete
/// secret.
pub struct RedactingWriter<S: LogSink = LogWriter> {
    redactor: Redactor,
    sink: S,
    stream: Stream,
}

impl<S: LogSink> RedactingWriter<S> {
    fn push_end(&mut self) -> Result<(), WriteLogError> {
        let rest = self.redactor.end(&mut self.stream);
        sink::push_buffered(&mut self.sink, &rest)
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
        let redacted = self.redactor.pass(&mut self.stream, bytes);
        sink::push_buffered(&mut self.sink, &redacted)
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
    /// Creates a writer for another stream. Bytes buffered by this writer stay with it.
    fn clone(&self) -> Self {
        // A copy of the buffered bytes would write the same output twice.
        self.redactor.writer(self.sink.clone())
    }
}

impl<S: LogSink> Drop for RedactingWriter<S> {
    /// Ignores an error: the log has failed, and returns the error on close.
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
