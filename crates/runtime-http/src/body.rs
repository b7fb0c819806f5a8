//! Response bodies of bounded length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use runtime_core::clock::instant_after;
use tokio::time::{Instant, timeout_at};

/// The number of characters in an excerpt.
const MAX_EXCERPT_CHARS: usize = 300;

/// An error while reading a response body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBodyError {
    /// The body exceeds the limit.
    #[error("response body exceeds {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },

    /// The connection failed. The error does not contain the URL, which may be signed.
    #[error("connection lost while reading the response body")]
    Connection(#[source] reqwest::Error),
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
///
/// A [`ReadBodyError`] if the body is longer or the connection fails.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn read_body(mut response: Response, limit: usize) -> Result<Bytes, ReadBodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(without_url)? {
        if body.len() + chunk.len() > limit {
            return Err(ReadBodyError::TooLong { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads at most `limit` bytes of the body of an error response.
///
/// Never fails, because the status already describes the error. Of a body that is longer, breaks off, or is not
/// complete within `time_limit`, the received part is returned.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn read_error_body(mut response: Response, limit: usize, time_limit: Duration) -> Bytes {
    let mut body = BytesMut::new();
    // One deadline for the whole body: with one for each chunk, a server could hold the caller for hours.
    let deadline = instant_after(Instant::now(), time_limit);
    while body.len() < limit
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    body.freeze()
}

/// Returns the start of a body as one line of text, at most 300 characters.
///
/// Invalid UTF-8 is replaced. Each run of white space or control characters becomes one space, so that a server can neither
/// control the terminal of a reader nor reverse the direction of the text.
///
/// ```
/// assert_eq!(runtime_http::excerpt(b"<html>\r\n  <h1>Bad Gateway</h1>"), "<html> <h1>Bad Gateway</h1>");
/// ```
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    // No character is longer than four bytes.
    let start = &body[..body.len().min(4 * MAX_EXCERPT_CHARS)];
    let text = String::from_utf8_lossy(start);
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control() || is_bidi_control(c))
        .filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_EXCERPT_CHARS).collect()
}

/// Returns whether a character changes the direction of the following text (Unicode `Bidi_Control`).
fn is_bidi_control(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn without_url(error: reqwest::Error) -> ReadBodyError {
    ReadBodyError::Connection(error.without_url())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(body: impl Into<reqwest::Body>) -> Response {
        http::Response::new(body.into()).into()
    }

    #[tokio::test]
    async fn body_within_the_limit_is_read() {
        let body = read_body(response("12345"), 5).await;
        assert_eq!(body.expect("it fits"), "12345");
    }

    #[tokio::test]
    async fn longer_body_is_an_error() {
        let error = read_body(response("123456"), 5)
            .await
            .expect_err("too long");
        assert_eq!(error.to_string(), "response body exceeds 5 bytes");
    }

    #[tokio::test]
    async fn error_body_is_truncated() {
        let body = read_error_body(response("123456"), 5, Duration::from_secs(1)).await;
        assert_eq!(body, "12345");
    }

    #[tokio::test(start_paused = true)]
    async fn error_body_of_a_slow_server_is_cut_off_by_the_time_limit() {
        let body = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Some((Ok::<_, std::io::Error>("x"), ()))
        });
        let response = response(reqwest::Body::wrap_stream(body));
        let start = Instant::now();
        let body = read_error_body(response, 100, Duration::from_secs(10)).await;
        assert_eq!((&*body, start.elapsed().as_secs()), (&b"xx"[..], 10));
    }

    #[tokio::test(start_paused = true)]
    async fn any_time_limit_is_accepted() {
        for time_limit in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            let body = read_error_body(response("busy"), 100, time_limit).await;
            assert_eq!(body, "busy", "{time_limit:?}");
        }
    }

    #[test]
    fn terminal_escapes_are_removed() {
        let body = "\u{1b}]0;title\u{7}busy\u{1b}[31m\u{9b}2J \u{202e}drowssap".as_bytes();
        assert_eq!(excerpt(body), "]0;title busy [31m 2J drowssap");
    }

    proptest! {
        #[test]
        fn excerpt_is_one_short_line(body in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let excerpt = excerpt(&body);
            prop_assert!(excerpt.chars().count() <= MAX_EXCERPT_CHARS);
            prop_assert!(!excerpt.contains(char::is_control));
        }
    }
}
