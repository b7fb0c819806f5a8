//! Lets clients follow a log while it is written.

mod accept;
mod body;
mod gzip;
mod range;
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

use self::accept::{wants_gzip, wants_html};
use self::body::LogBody;
use self::gzip::GzipBody;
use self::range::{NO_END, Part};

/// Serves a log that may still be written.
///
/// `GET` sends what is there and follows. When the log is closed, the answer ends cleanly; when it broke,
/// the connection is aborted, so that nobody takes a part for the whole. A slow client only lags.
///
/// `Range: bytes=N-` sends from an offset on, which lets a client resume; `bytes=-N` starts `N` bytes
/// before the end of this time. A whole log is sent in gzip if the client asks for that. Scripts of any
/// site may read, as Taskcluster's user interface does.
///
/// | path | what |
/// | --- | --- |
/// | `/` | the page for a browser that asks for HTML, the text for everybody else |
/// | `/log.txt` | the text |
/// | `/view.html` | a page that follows the log: search, wrap, colours, pause, jump to the end |
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
    /// Makes a handler of a function that opens the log at an offset.
    ///
    /// The offset is not larger than the length of the log.
    pub fn new(open: impl Fn(u64) -> LogReader + Send + Sync + 'static) -> Self {
        Self {
            open: Box::new(open),
        }
    }

    fn get_path(&self, path: &str, headers: &HeaderMap) -> Response {
        match path {
            "/" if wants_html(headers) => view::page(),
            "/" | "/log.txt" => self.get(headers),
            other => view::asset(other).unwrap_or_else(not_found),
        }
    }

    fn get(&self, headers: &HeaderMap) -> Response {
        let len = end_of(&mut (self.open)(0));
        match Part::of(headers, len) {
            Part::All if wants_gzip(headers) => self.gzip(),
            Part::All => text(StatusCode::OK, Body::new(self.body(0, NO_END))),
            Part::Range { first, last } => self.range(first, last, len),
            Part::Unsatisfiable => {
                let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, Body::empty());
                set(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes */{len}"),
                );
                response
            }
        }
    }

    fn gzip(&self) -> Response {
        let body = Body::new(GzipBody::new(self.body(0, NO_END)));
        let mut response = text(StatusCode::OK, body);
        set(&mut response, header::CONTENT_ENCODING, "gzip");
        response
    }

    fn range(&self, first: u64, last: u64, len: u64) -> Response {
        let mut response = text(
            StatusCode::PARTIAL_CONTENT,
            Body::new(self.body(first, last)),
        );
        set(
            &mut response,
            header::CONTENT_RANGE,
            &format!("bytes {first}-{last}/*"),
        );
        if last < len {
            set(
                &mut response,
                header::CONTENT_LENGTH,
                &(last - first + 1).to_string(),
            );
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
            Method::GET | Method::HEAD => self.get_path(request.uri().path(), request.headers()),
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

/// How much of the log there is.
fn end_of(reader: &mut LogReader) -> u64 {
    let mut reader = Pin::new(reader);
    // Seeking to the end of a log neither waits nor fails.
    match reader.as_mut().start_seek(SeekFrom::End(0)) {
        Ok(()) => reader.offset(),
        Err(_) => 0,
    }
}

fn text(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fields = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept, accept-encoding"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "accept-ranges, content-range, transfer-encoding",
        ),
    ];
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn preflight() -> Response {
    let mut response = text(StatusCode::NO_CONTENT, Body::empty());
    set(
        &mut response,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, HEAD",
    );
    set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "range");
    response
}

fn not_found() -> Response {
    let body = Body::from("there is only a log here, at log.txt\n");
    text(StatusCode::NOT_FOUND, body)
}

fn not_allowed() -> Response {
    let body = Body::from("a log can only be read\n");
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    set(&mut response, header::ALLOW, "GET, HEAD, OPTIONS");
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
