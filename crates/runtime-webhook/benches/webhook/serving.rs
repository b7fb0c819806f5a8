//! Throughput and memory of a server without a tunnel.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bench_harness::{AtLeast, AtMost, Bench, peak_rss_mib};
use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use runtime_core::webhook::{Body, Handler, Response, WebHookServer as _, from_fn};
use runtime_ioext::FollowedLog;
use runtime_webhook::{LiveLog, LocalhostServer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::load::{count_requests, open, read_all, requests};
use crate::nginx::Nginx;
use crate::{client_runtime, server_runtime};

/// The response of each server.
const TEXT: &str = "hello from a hook";

fn hello() -> Arc<dyn Handler> {
    from_fn(|_| async { Response::new(Body::from(TEXT)) })
}

pub(crate) fn small_responses(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let time = Duration::from_millis(bench.pick(2000, 500));
    let (hyper, bare) = servers.block_on(bare_hyper());
    let server = servers.block_on(LocalhostServer::start()).expect("a port");
    let hook = servers.block_on(server.attach(hello())).expect("attached");
    let url = hook.url();
    let load = |url: &str| client.block_on(requests(url, 64, time));
    bench
        .case("small response, keep-alive, 64 connections", "requests/s")
        .bar(AtLeast(0.95))
        .peer("bare hyper", || load(&bare))
        .ours(|| load(&url));
    // Other work on the machine changes rates far more than the time that the server itself uses.
    let cpu = |url: &str, clock: &dyn Fn() -> f64| {
        let before = clock();
        let count = client.block_on(count_requests(url, 64, time));
        (clock() - before) / count as f64
    };
    bench
        .case("CPU time of the server for a small response", "µs")
        .bar(AtMost(1.05))
        .peer("bare hyper", || cpu(&bare, &cpu_us))
        .ours(|| cpu(&url, &cpu_us));
    hyper.abort();
    let cpu_case = "CPU time of the server, compared with nginx";
    let case = "small response, compared with nginx with one worker per core";
    match Nginx::start(TEXT) {
        Ok(nginx) => {
            bench
                .case(cpu_case, "µs")
                .bar(AtMost(1.05))
                .peer("nginx", || cpu(&nginx.url, &|| nginx.cpu_us()))
                .ours(|| cpu(&url, &cpu_us));
            bench
                .case(case, "requests/s")
                .bar(AtLeast(0.95))
                .peer("nginx", || load(&nginx.url))
                .ours(|| load(&url));
        }
        Err(reason) => {
            bench.skip(cpu_case, &reason);
            bench.skip(case, &reason);
        }
    }
}

/// Returns the CPU time of all threads but this one, which is the client, in microseconds; NaN except on Linux.
fn cpu_us() -> f64 {
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        let us = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
        };
        us(ClockId::ProcessCPUTime) - us(ClockId::ThreadCPUTime)
    }
    #[cfg(not(target_os = "linux"))]
    f64::NAN
}

/// Starts a server that uses hyper directly.
async fn bare_hyper() -> (JoinHandle<()>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket option");
            let service = service_fn(|_| async {
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(
                    TEXT.as_bytes(),
                ))))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (serving, url)
}

pub(crate) fn many_hooks(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let time = Duration::from_millis(bench.pick(2000, 500));
    let start = || servers.block_on(LocalhostServer::start()).expect("a port");
    let (one, many) = (start(), start());
    let hook = servers.block_on(one.attach(hello())).expect("attached");
    let hooks: Vec<_> = (0..10_000)
        .map(|_| servers.block_on(many.attach(hello())).expect("attached"))
        .collect();
    let (url, url_of_many) = (hook.url(), hooks[5_000].url());
    let load = |url: &str| client.block_on(requests(url, 64, time));
    bench
        .case("10 000 hooks attached", "requests/s")
        .bar(AtLeast(0.95))
        .peer("1 hook", || load(&url))
        .ours(|| load(&url_of_many));
}

pub(crate) fn viewers(bench: &mut Bench) {
    let seconds = bench.pick(10, 3);
    let viewers = bench.pick(1000, 400);
    bench
        .case(
            &format!("{viewers} viewers follow a log at 1 MB/s and receive every byte"),
            "MiB RSS",
        )
        .bar(AtMost(256.0))
        .rounds(1)
        .ours(|| peak_rss_mib(|| follow(viewers, seconds)).unwrap_or(f64::NAN));
}

fn follow(viewers: usize, seconds: u64) {
    let servers = server_runtime();
    servers.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let log = FollowedLog::create(folder.path().join("log")).expect("a log");
        let server = LocalhostServer::start().await.expect("a port");
        let handler = LiveLog::new({
            let log = log.clone();
            move |offset| log.reader_at(offset)
        });
        let hook = server.attach(Arc::new(handler)).await.expect("attached");
        let mut all = Vec::new();
        for _ in 0..viewers {
            all.push(tokio::spawn(count_body(open(&hook.url()).await)));
        }
        let writer = log.writer();
        let mut ticks = interval(Duration::from_millis(10));
        for _ in 0..seconds * 100 {
            ticks.tick().await;
            writer.write_all(&[b'x'; 10_000]).expect("a write");
        }
        log.close().expect("a close");
        for viewer in all {
            let count = viewer.await.expect("a viewer");
            assert_eq!(count, seconds * 1_000_000, "a viewer missed bytes");
        }
    });
}

/// Counts the letters of the log, which do not occur in the head and in chunk sizes.
async fn count_body(mut stream: tokio::net::TcpStream) -> u64 {
    use tokio::io::AsyncReadExt as _;
    let mut buffer = vec![0; 16 * 1024];
    let (mut count, mut in_head) = (0, true);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let mut bytes = &buffer[..read];
        if in_head {
            // The head arrives in one read.
            let end = bytes
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
                .expect("a head");
            bytes = &bytes[end..];
            in_head = false;
        }
        count += bytes.iter().filter(|byte| **byte == b'x').count() as u64;
    }
    count
}

/// Reads a response and returns the throughput in MB/s.
pub(crate) async fn download(url: &str, bytes: u64) -> f64 {
    let start = std::time::Instant::now();
    let read = read_all(open(url).await).await;
    assert!(read >= bytes, "received only {read} bytes");
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}
