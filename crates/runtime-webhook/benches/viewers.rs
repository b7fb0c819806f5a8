//! Many viewers of a live log: memory per viewer, and the time until all have a line.
//!
//! The viewers are in another process, so that the memory and the descriptors are those of the server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench_harness::{AtMost, Bench, Plot};
use runtime_core::webhook::{WebHook, WebHookServer as _};
use runtime_ioext::FollowedLog;
use runtime_webhook::{LiveLog, LocalhostServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// The variable with the URL and the number of viewers, for the process with the viewers.
const VIEWERS: &str = "BENCH_VIEWERS";
/// A byte that occurs once in each line of the log, and not in the head of a response or the size of a chunk.
const MARK: u8 = b'#';
/// Descriptors that are not connections.
const SPARE_DESCRIPTORS: u64 = 200;

const PLOT: Plot = Plot {
    name: "viewers",
    title: "Cost of a viewer of a live log",
    by: "viewers",
};

fn main() -> ExitCode {
    if let Ok(text) = std::env::var(VIEWERS) {
        let (url, count) = text.split_once(' ').expect("a URL and a number");
        runtime().block_on(view(url, count.parse().expect("a number")));
        return ExitCode::SUCCESS;
    }
    Bench::main("viewers", |bench| {
        let mut sizes = vec![100, 1000, 10_000];
        sizes.retain(|size| size + SPARE_DESCRIPTORS <= max_descriptors());
        if sizes.len() < 3 {
            bench.skip("10 000 viewers", "the limit of open descriptors is too low");
        }
        bench
            .growth(PLOT, "memory of the server", "KiB")
            .bar(AtMost(0.1))
            .rounds(1)
            .run(
                &sizes,
                |_| (),
                |(), size| Session::start(size).kib_per_viewer,
            );
        bench
            .growth(PLOT, "time to deliver a line", "µs")
            .bar(AtMost(0.2))
            .run(&sizes, Session::start, |session, size| {
                session.deliver_line().as_secs_f64() * 1e6 / size as f64
            });
    })
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime")
}

fn max_descriptors() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(0)
}

/// A log with viewers that have received its first line.
struct Session {
    log: FollowedLog,
    viewers: Child,
    /// The viewers print a line when all of them have received another line of the log.
    received: BufReader<ChildStdout>,
    kib_per_viewer: f64,
    // These serve the viewers. The runtime is dropped after what runs on it.
    _hook: WebHook,
    _server: LocalhostServer,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Session {
    fn start(viewers: u64) -> Self {
        let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
        let log = FollowedLog::create(folder.path().join("log")).expect("a log");
        let (server, hook) = runtime.block_on(async {
            let server = LocalhostServer::start().await.expect("a port");
            let followed = log.clone();
            let handler = LiveLog::new(move |offset| followed.reader_at(offset));
            let hook = server.attach(Arc::new(handler)).await.expect("attached");
            (server, hook)
        });
        let before = resident_kib();
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.env(VIEWERS, format!("{} {viewers}", hook.url()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("this program starts");
        let received = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut session = Self {
            log,
            viewers: child,
            received,
            kib_per_viewer: f64::NAN,
            _hook: hook,
            _server: server,
            _runtime: runtime,
            _folder: folder,
        };
        session.deliver_line();
        session.kib_per_viewer = (resident_kib() - before) / viewers as f64;
        session
    }

    /// Writes a line and returns the time until all viewers have received it.
    fn deliver_line(&mut self) -> Duration {
        let start = Instant::now();
        let line = format!("{} {}\n", "a line of a log".repeat(6), char::from(MARK));
        self.log
            .writer()
            .write_all(line.as_bytes())
            .expect("a write");
        let mut received = String::new();
        self.received.read_line(&mut received).expect("a line");
        assert_eq!(received, "received\n", "the viewers ended");
        start.elapsed()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.viewers.kill();
        let _ = self.viewers.wait();
    }
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(f64::NAN)
}

/// Opens viewers, and prints a line whenever all have received another line of the log. Ends when it is killed.
async fn view(url: &str, count: u64) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a URL with a path");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let marks = Arc::new(AtomicU64::new(0));
    let mut viewers = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a write");
        viewers.push(tokio::spawn(count_marks(stream, count, Arc::clone(&marks))));
    }
    for viewer in viewers {
        viewer.await.expect("a viewer");
    }
}

async fn count_marks(mut stream: TcpStream, viewers: u64, marks: Arc<AtomicU64>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for _ in buffer[..read].iter().filter(|byte| **byte == MARK) {
            let total = marks.fetch_add(1, Ordering::AcqRel) + 1;
            if total.is_multiple_of(viewers) {
                let mut stdout = std::io::stdout().lock();
                let _ = stdout
                    .write_all(b"received\n")
                    .and_then(|()| stdout.flush());
            }
        }
    }
}
