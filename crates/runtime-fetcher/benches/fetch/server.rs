//! The server, in a separate process: nginx if installed, else hyper.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::MIB;
use super::site::{Site, block};

/// The argument for running this program as a server.
pub(crate) const SERVE: &str = "--serve";

/// The purpose of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Files at full speed.
    Files,
    /// Slow connections, and a count of requests.
    Special,
}

/// A server process, killed on drop.
pub(crate) struct Server {
    child: Child,
    url: String,
    name: &'static str,
}

impl Server {
    pub(crate) fn start(role: Role, site: &Site) -> Self {
        match role {
            Role::Files => Self::nginx(site).unwrap_or_else(|| Self::own(site)),
            Role::Special => Self::own(site),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// Returns the URLs of the small files.
    pub(crate) fn small_urls(&self, count: usize) -> Vec<String> {
        (0..count)
            .map(|number| self.url(&format!("small/{number}")))
            .collect()
    }

    /// Returns the number of requests for the counted file.
    #[cfg(feature = "cache")]
    pub(crate) fn count(&self) -> f64 {
        use std::io::{Read as _, Write as _};
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).expect("server listens");
        stream
            .write_all(b"GET /count HTTP/1.0\r\n\r\n")
            .expect("server listens");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("server responds");
        let (_, count) = response
            .rsplit_once("\r\n\r\n")
            .expect("response has a body");
        count.parse().expect("count is a number")
    }

    fn nginx(site: &Site) -> Option<Self> {
        let port = free_port();
        let config = site.path("nginx.conf");
        let text = format!(
            "daemon off; worker_processes 1; pid {pid}; error_log {log};
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
                 client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp};
                 uwsgi_temp_path {tmp}; scgi_temp_path {tmp};
                 server {{ listen 127.0.0.1:{port}; root {root}; }}
             }}",
            pid = site.path("nginx.pid").display(),
            log = site.path("nginx.log").display(),
            tmp = site.path("nginx-tmp").display(),
            root = site.root().display(),
        );
        std::fs::write(&config, text).expect("disk has space");
        let user = if cfg!(unix) { "user root;" } else { "" };
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).args(["-g", user]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut server = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            name: "nginx",
        };
        server.listens(port).then_some(server)
    }

    fn own(site: &Site) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("program has a path"));
        command
            .arg(SERVE)
            .arg(site.root())
            .arg(site.size().to_string());
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("program starts");
        let mut port = String::new();
        let output = child.stdout.take().expect("stdout is piped");
        BufReader::new(output)
            .read_line(&mut port)
            .expect("server prints its port");
        Self {
            child,
            url: format!("http://127.0.0.1:{}", port.trim()),
            name: "a server on hyper",
        }
    }

    fn listens(&mut self, port: u16) -> bool {
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL would leave the worker process of nginx running.
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        if !sent.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("socket is bound").port()
}

/// Runs the server on a free port and prints the port.
pub(crate) fn serve() -> ExitCode {
    let mut arguments = std::env::args().skip(2);
    let root = PathBuf::from(arguments.next().expect("folder argument"));
    let size = arguments
        .next()
        .and_then(|size| size.parse().ok())
        .expect("size argument");
    let files = Arc::new(Files {
        root,
        size,
        block: block().into(),
        counted: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("runtime starts").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        println!("{}", listener.local_addr().expect("socket is bound").port());
        while let Ok((stream, _)) = listener.accept().await {
            let files = Arc::clone(&files);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let files = Arc::clone(&files);
                    async move { Ok::<_, Infallible>(files.respond(&request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    ExitCode::SUCCESS
}

struct Files {
    root: PathBuf,
    size: u64,
    block: Bytes,
    counted: AtomicU64,
}

type BoxResponse = Response<BoxBody<Bytes, Infallible>>;

/// The bytes per second of a slow connection.
const SLOW_RATE: u64 = 32 * MIB;

impl Files {
    async fn respond(&self, request: &Request<Incoming>) -> BoxResponse {
        match request.uri().path() {
            "/big" => self.blocks(request, self.size, None),
            "/medium" => self.blocks(request, 64 * MIB, None),
            "/slow" => self.blocks(request, 256 * MIB, Some(SLOW_RATE)),
            "/counted" => {
                self.counted.fetch_add(1, Ordering::SeqCst);
                self.blocks(request, self.size, None)
            }
            "/count" => whole(self.counted.load(Ordering::SeqCst).to_string()),
            path => match tokio::fs::read(self.root.join(path.trim_start_matches('/'))).await {
                Ok(bytes) => whole(bytes),
                Err(_) => status(StatusCode::NOT_FOUND, whole("")),
            },
        }
    }

    /// Returns a body of repeated blocks, or the requested range of it.
    fn blocks(
        &self,
        request: &Request<Incoming>,
        size: u64,
        bytes_per_second: Option<u64>,
    ) -> BoxResponse {
        let range = request
            .headers()
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok());
        let (start, end) = range
            .and_then(|range| range_of(range, size))
            .unwrap_or((0, size));
        let body = StreamBody::new(chunks(self.block.clone(), start, end, bytes_per_second));
        let mut response = Response::new(body.boxed());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, (end - start).into());
        headers.insert(
            header::ACCEPT_RANGES,
            header::HeaderValue::from_static("bytes"),
        );
        headers.insert(header::ETAG, header::HeaderValue::from_static("\"blocks\""));
        if range.is_none() {
            return response;
        }
        let range = format!("bytes {start}-{}/{size}", end - 1);
        headers.insert(
            header::CONTENT_RANGE,
            range.parse().expect("header is valid"),
        );
        status(StatusCode::PARTIAL_CONTENT, response)
    }
}

fn whole(bytes: impl Into<Bytes>) -> BoxResponse {
    Response::new(Full::new(bytes.into()).boxed())
}

fn status(status: StatusCode, mut response: BoxResponse) -> BoxResponse {
    *response.status_mut() = status;
    response
}

fn range_of(range: &str, size: u64) -> Option<(u64, u64)> {
    let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = last.parse().map_or(size, |last: u64| last + 1);
    Some((start.parse().ok()?, end.min(size)))
}

fn chunks(
    block: Bytes,
    start: u64,
    end: u64,
    bytes_per_second: Option<u64>,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    const CHUNK_BYTES: u64 = 256 * 1024;
    let length = block.len() as u64;
    stream::unfold(start, move |at| {
        let block = block.clone();
        async move {
            if at >= end {
                return None;
            }
            let within = at % length;
            let size = CHUNK_BYTES.min(end - at).min(length - within);
            if let Some(rate) = bytes_per_second {
                tokio::time::sleep(Duration::from_secs_f64(size as f64 / rate as f64)).await;
            }
            let chunk = block.slice(within as usize..(within + size) as usize);
            Some((Ok(Frame::data(chunk)), at + size))
        }
    })
}
