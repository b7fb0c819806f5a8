//! The server, as a second process of this program, so that its memory and time are not measured.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime_mocks::taskcluster::Taskcluster;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The environment variable that is set in the second process.
const SERVE: &str = "RUNTIME_CLIENT_BENCH_SERVE";

pub(crate) fn is_wanted() -> bool {
    std::env::var_os(SERVE).is_some()
}

/// Creates a folder in memory if possible: otherwise the disk would be measured.
pub(crate) fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a folder")
}

/// The second process. It ends when this value is dropped.
pub(crate) struct Server {
    pub(crate) root_url: String,
    pub(crate) client_id: String,
    pub(crate) access_token: String,
    /// The root URL of a server that discards all bytes.
    pub(crate) sink_url: String,
    child: Child,
    input: Option<ChildStdin>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command
            .env(SERVE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let output = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines();
        let mut next = || lines.next().expect("four lines").expect("text");
        Self {
            root_url: next(),
            client_id: next(),
            access_token: next(),
            sink_url: next(),
            input: child.stdin.take(),
            child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        // Fails only if the process has already ended.
        let _ = self.child.wait();
    }
}

/// Serves until the end of the standard input.
pub(crate) fn serve() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = folder();
        let builder = Taskcluster::builder().data_dir(folder.path());
        let taskcluster = builder.start().await.expect("a free port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let credentials = taskcluster.credentials();
        println!("{}", taskcluster.root_url());
        println!("{}", credentials.client_id);
        println!("{}", credentials.secrets().next().unwrap_or_default());
        println!("http://{}", listener.local_addr().expect("an address"));
        let sink = tokio::spawn(sink(listener));
        let input = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let _ = input.await;
        sink.abort();
        taskcluster.stop().await;
    });
    ExitCode::SUCCESS
}

async fn sink(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(swallow));
        tokio::spawn(connection);
    }
}

/// Declares any artifact, and reads all bytes.
async fn swallow(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_put = request.method() == Method::PUT;
    let host = request.headers()["host"]
        .to_str()
        .unwrap_or_default()
        .to_owned();
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let answer = if is_put {
        String::new()
    } else {
        json!({
            "storageType": "s3",
            "putUrl": format!("http://{host}/store"),
            "contentType": super::CONTENT_TYPE,
            "expires": "2100-01-01T00:00:00.000Z",
        })
        .to_string()
    };
    Ok(Response::new(Full::new(answer.into())))
}
