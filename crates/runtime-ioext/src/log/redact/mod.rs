//! Takes secrets out of what goes to a log.

mod forms;
mod patterns;
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

/// What stands in the place of a secret.
const MARKER: &[u8] = b"[REDACTED]";

/// A set of secrets that are replaced by `[REDACTED]` in everything that passes its writers.
///
/// A secret is found however it is split over writes; as it is, in base64 at each of its three alignments
/// and in both alphabets, percent-encoded, and escaped for JSON. A secret of several lines, such as a key,
/// is also found line by line, since terminals change line ends and tools indent. Secrets can be added
/// while output flows: an added one is replaced in everything that is written from then on. Clones are the
/// same set.
///
/// Output is held back only while it could be the beginning of a secret, so that a prompt without a line
/// feed shows at once.
///
/// # Limitations
///
/// A redactor guards against accidents. What a task compresses, encrypts, spells in hexadecimal or prints
/// letter by letter gets through, and so does base64 that was broken into lines.
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
    /// Held while patterns are compiled, which may take a while. Writers do not wait for it.
    adding: Mutex<()>,
    patterns: Mutex<Arc<Patterns>>,
    hits: AtomicU64,
}

impl Redactor {
    /// Shorter secrets are refused, since they would be found in everything.
    pub const DEFAULT_MIN_LEN: usize = 6;

    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::with_min_len(Self::DEFAULT_MIN_LEN)
    }

    /// Makes an empty set that takes secrets from a length of bytes on.
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

    /// Adds a secret, without the line feed that a file may have put at its end.
    ///
    /// Patterns are compiled anew, in time that grows with all secrets of the set together: well below a
    /// millisecond for a few tokens, more for keys of many lines.
    ///
    /// # Errors
    ///
    /// If the secret is so short that it would be found in everything. It is *not* redacted then.
    pub fn add(&self, secret: impl AsRef<[u8]>) -> Result<(), SecretTooShort> {
        self.add_all([secret])
    }

    /// Adds several secrets at once, so that the patterns are compiled once.
    ///
    /// # Errors
    ///
    /// If one of them is so short that it would be found in everything. The others are redacted all the same.
    pub fn add_all<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), SecretTooShort> {
        let min_len = self.shared.min_len;
        let (mut forms, mut outcome) = (Vec::new(), Ok(()));
        for secret in secrets {
            let secret = forms::without_line_end(secret.as_ref());
            match secret.len() < min_len {
                true => outcome = Err(SecretTooShort { min_len }),
                false => forms.extend(forms::of(secret, min_len)),
            }
        }
        let _adding = self.shared.adding.lock();
        if let Some(more) = self.patterns().with(forms) {
            let fewer = std::mem::replace(&mut *self.shared.patterns.lock(), Arc::new(more));
            drop(fewer);
        }
        outcome
    }

    /// Whether there is nothing to replace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.patterns.lock().is_empty()
    }

    /// How many times something was replaced.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Relaxed)
    }

    /// Replaces secrets in text that is whole.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let (mut stream, mut out) = (Stream::default(), Vec::new());
        self.pass(&mut stream, text, &mut out);
        self.end(&mut stream, &mut out);
        out
    }

    /// Replaces secrets in text that is whole, and copies it only if there are any.
    #[must_use]
    pub fn redact_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let is_clean = self.patterns().scan(text.as_bytes()).found.is_empty();
        match is_clean {
            true => Cow::Borrowed(text),
            // A secret may be any bytes, and so end within a character.
            false => String::from_utf8_lossy(&self.redact(text.as_bytes()))
                .into_owned()
                .into(),
        }
    }

    /// Makes an adaptor that replaces secrets on their way to a log.
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

/// Says that a secret is too short to be redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot redact a secret of less than {min_len} bytes, since it would be found in everything"
)]
#[non_exhaustive]
pub struct SecretTooShort {
    /// The length from which on secrets are taken.
    pub min_len: usize,
}

/// Replaces secrets on their way to a log. Made by [`Redactor::writer`].
///
/// [`finish`](LogSink::finish), shutting it down or dropping it passes on what was held back because it
/// could have become a secret.
pub struct RedactingWriter<S: LogSink = LogWriter> {
    redactor: Redactor,
    sink: S,
    stream: Stream,
}

impl<S: LogSink> RedactingWriter<S> {
    fn push_end(&mut self) -> Result<(), WriteLogError> {
        let mut out = Vec::new();
        self.redactor.end(&mut self.stream, &mut out);
        match out.is_empty() {
            true => Ok(()),
            false => self.sink.push(&out),
        }
    }
}

impl<S: LogSink> LogSink for RedactingWriter<S> {
    fn wait_for_room(&mut self) {
        self.sink.wait_for_room();
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_room(cx)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WriteLogError> {
        if self.stream.holds_nothing() && self.redactor.is_empty() {
            return self.sink.push(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        self.redactor.pass(&mut self.stream, bytes, &mut out);
        match out.is_empty() {
            true => Ok(()),
            false => self.sink.push(&out),
        }
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
    /// Makes a writer for another stream: what this one holds back stays here.
    fn clone(&self) -> Self {
        self.redactor.writer(self.sink.clone())
    }
}

impl<S: LogSink> Drop for RedactingWriter<S> {
    /// A failure here is not lost: the log is broken, and whoever closes it hears of it.
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
