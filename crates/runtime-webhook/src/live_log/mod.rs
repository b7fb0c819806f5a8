//! A handler that serves a log while it is written.

mod byte_range;
mod content_negotiation;
mod gzip_body;
mod log_body;
mod view;

use std::fmt;
use std::io::SeekFrom;
use std::pin::Pin;

use async_trait::async_trait;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_ioext::LogReader;
use tokio::io::AsyncSeek as _;

use self::byte_range::{ByteRange, MAX_OFFSET};
use self::content_negotiation::{accepts_gzip, accepts_html};
use self::gzip_body::GzipBody;
use self::log_body::LogBody;
use crate::response::set_headers;

/// Serves a log, also while it is written.
///
/// `GET` returns the existing bytes and follows the log. The response ends when the log is closed. If the log
/// breaks, the connection is aborted, so that an incomplete log is never taken for a complete one. A slow
/// client lags behind without any effect on the writer.
///
/// `Range: bytes=N-` starts at an offset, which lets a client resume. `bytes=-N` starts `N` bytes before the
/// current end. A request without `Range` gets the log with gzip if the client accepts it. Scripts of all origins
/// may read the log, as Taskcluster's user interface does.
///
/// | path | response |
/// | --- | --- |
/// | `/` | the page for a browser that accepts HTML, the text for other clients |
/// | `/log.txt` | the text |
/// | `/view.html` | a page that follows the log, with search, wrapping, colours and pause |
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use runtime_core::webhook::WebHookServer;
/// use runtime_ioext::FollowedLog;
/// use runtime_webhook::{LiveLog, LocalhostServer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let log = FollowedLog::create(folder.path().join("task.log"))?;
/// let server = LocalhostServer::start().await?;
/// let handler = LiveLog::new({
///     let log = log.clone();
///     move |offset| log.reader_at(offset)
/// });
/// let hook = server.attach(Arc::new(handler)).await?;
/// println!("follow the log: curl -N {}", hook.url());
/// # Ok(())
/// # }
/// ```
pub struct LiveLog {
    open: Box<dyn Fn(u64) -> LogReader + Send + Sync>,
}

impl LiveLog {
    /// Creates a handler from a function that opens the log at an offset.
    ///
    /// The offset never exceeds the length of the log.
    pub fn new(open: impl Fn(u64) -> LogReader + Send + Sync + 'static) -> Self {
        Self {
            open: Box::new(open),
        }
    }

    fn get(&self, path: &str, headers: &HeaderMap) -> Response {
        match path {
            "/" if accepts_html(headers) => view::page(),
            "/" | "/log.txt" => self.get_log(headers),
            other => view::asset(other).unwrap_or_else(not_found),
        }
    }

    fn get_log(&self, headers: &HeaderMap) -> Response {
        // Read once: range, status and headers must refer to the same length, while the log grows.
        let len = current_len(&mut (self.open)(0));
        match ByteRange::parse(headers, len) {
            ByteRange::All if accepts_gzip(headers) => self.gzip(),
            ByteRange::All => text(StatusCode::OK, Body::new(self.body(0, MAX_OFFSET))),
            ByteRange::Range { first, last } => self.range(first, last, len),
            ByteRange::Unsatisfiable => {
                let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, Body::empty());
                set_header(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes */{len}"),
                );
                response
            }
        }
    }

    fn gzip(&self) -> Response {
        let body = Body::new(GzipBody::new(self.body(0, MAX_OFFSET)));
        let mut response = text(StatusCode::OK, body);
        set_headers(&mut response, [(header::CONTENT_ENCODING, "gzip")]);
        response
    }

    /// Returns a range, never compressed: its offsets refer to the uncompressed log.
    fn range(&self, first: u64, last: u64, len: u64) -> Response {
        let body = Body::new(self.body(first, last));
        let mut response = text(StatusCode::PARTIAL_CONTENT, body);
        // RFC 8673: the total length of a growing representation is `*`.
        let range = format!("bytes {first}-{last}/*");
        set_header(&mut response, header::CONTENT_RANGE, &range);
        // Only if all bytes exist: otherwise the log may be closed before it reaches `last`.
        if last < len {
            let len = (last - first + 1).to_string();
            set_header(&mut response, header::CONTENT_LENGTH, &len);
        }
        response
    }

    fn body(&self, first: u64, last: u64) -> LogBody {
        LogBody::new((self.open)(first), last - first + 1)
    }
}

#[async_trait]
impl Handler for LiveLog {
    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::GET | Method::HEAD => self.get(request.uri().path(), request.headers()),
            Method::OPTIONS => preflight(),
            _ => not_allowed(),
        }
    }
}

impl fmt::Debug for LiveLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveLog").finish_non_exhaustive()
    }
}

fn current_len(reader: &mut LogReader) -> u64 {
    let mut reader = Pin::new(reader);
    // A seek to the end of a log neither waits nor fails.
    match reader.as_mut().start_seek(SeekFrom::End(0)) {
        Ok(()) => reader.offset(),
        Err(_) => 0,
    }
}

fn text(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set_headers(
        &mut response,
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            // Otherwise a browser could treat a log with HTML in it as a page.
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::ACCEPT_RANGES, "bytes"),
            (header::CACHE_CONTROL, "no-store"),
            (header::VARY, "accept, accept-encoding"),
            // Taskcluster's user interface reads the log from another origin.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                "accept-ranges, content-range, transfer-encoding",
            ),
        ],
    );
    response
}

/// Responds to the CORS preflight of a browser, which is required for a `Range` header.
fn preflight() -> Response {
    let mut response = text(StatusCode::NO_CONTENT, Body::empty());
    set_headers(
        &mut response,
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "range"),
        ],
    );
    response
}

fn not_found() -> Response {
    let body = Body::from("not found: the log is at log.txt\n");
    text(StatusCode::NOT_FOUND, body)
}

fn not_allowed() -> Response {
    let body = Body::from("method not allowed: the log is read-only\n");
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    set_headers(&mut response, [(header::ALLOW, "GET, HEAD, OPTIONS")]);
    response
}

fn set_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
