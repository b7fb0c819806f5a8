//! Throughput, fairness and memory of a tunnel between our client and test server, on loopback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_harness::{AtLeast, AtMost, Bench, peak_rss_mib};
use bytes::Bytes;
use http_body_util::StreamBody;
use jiff::Timestamp;
use runtime_core::webhook::{Body, Handler, Response, WebHook, WebHookServer as _, from_fn};
use runtime_mocks::websocktunnel::WebsocktunnelServer;
use runtime_webhook::{LocalhostServer, TunnelToken, Websocktunnel, token_fn};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::load::{open, requests};
use crate::serving::download;
use crate::{client_runtime, server_runtime};

const ID: &str = "group.worker.1";

struct Pair {
    server: WebsocktunnelServer,
    tunnel: Websocktunnel,
}

async fn pair() -> Pair {
    let server = WebsocktunnelServer::start().await.expect("a port");
    let token = server.token(ID, Duration::from_secs(3600));
    let tokens = token_fn(move || {
        let token = token.clone();
        let expires = Timestamp::now() + Duration::from_secs(3600);
        async move { Ok(TunnelToken { token, expires }) }
    });
    let tunnel = Websocktunnel::builder(server.url(), ID, tokens);
    let tunnel = tunnel.start().expect("started");
    Pair { server, tunnel }
}

/// Responds with `count` bytes.
fn bytes(count: u64) -> Arc<dyn Handler> {
    from_fn(move |_| async move {
        let piece = Bytes::from_static(&[b'x'; 64 * 1024]);
        let pieces = (0..count / piece.len() as u64)
            .map(move |_| Ok::<_, std::io::Error>(http_body::Frame::data(piece.clone())));
        Response::new(Body::new(StreamBody::new(futures_util::stream::iter(
            pieces,
        ))))
    })
}

fn hello() -> Arc<dyn Handler> {
    from_fn(|_| async { Response::new(Body::from("hello from a hook")) })
}

pub(crate) fn one_stream(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let count = bench.pick(1 << 30, 1 << 28);
    let direct = servers.block_on(LocalhostServer::start()).expect("a port");
    let straight = servers
        .block_on(direct.attach(bytes(count)))
        .expect("attached");
    let pair = servers.block_on(pair());
    let through = servers
        .block_on(pair.tunnel.attach(bytes(count)))
        .expect("attached");
    let (straight_url, through_url) = (straight.url(), through.url());
    bench
        .case("one stream through the tunnel", "MB/s")
        .bar(AtLeast(0.5))
        .peer("straight to the handler", || {
            client.block_on(download(&straight_url, count))
        })
        .ours(|| client.block_on(download(&through_url, count)));
}

pub(crate) fn small_requests(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let time = Duration::from_millis(bench.pick(2000, 500));
    let pair = servers.block_on(pair());
    let hook = servers
        .block_on(pair.tunnel.attach(hello()))
        .expect("attached");
    let url = hook.url();
    bench
        .case(
            "small requests through the tunnel, 16 connections",
            "requests/s",
        )
        .bar(AtLeast(5000.0))
        .ours(|| client.block_on(requests(&url, 16, time)));
}

pub(crate) fn fairness(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let time = Duration::from_millis(bench.pick(5000, 1500));
    let pair = servers.block_on(pair());
    let hook = servers
        .block_on(pair.tunnel.attach(bytes(1 << 40)))
        .expect("attached");
    let url = hook.url();
    bench
        .case(
            "100 streams share the tunnel, fastest compared with slowest",
            "times",
        )
        .bar(AtMost(2.0))
        .rounds(3)
        .ours(|| client.block_on(fairness_ratio(&url, time)));
}

/// Returns the ratio between the fastest and the slowest of 100 streams.
async fn fairness_ratio(url: &str, time: Duration) -> f64 {
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(open(url).await);
    }
    let start = Instant::now();
    let counts = streams
        .into_iter()
        .map(|stream| count_for(stream, start, time));
    let counts = futures_util::future::join_all(counts).await;
    let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
    most.unwrap_or(0) as f64 / least.unwrap_or(0).max(1) as f64
}

async fn count_for(mut stream: TcpStream, start: Instant, time: Duration) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let mut count = 0;
    while start.elapsed() < time {
        count += stream.read(&mut buffer).await.expect("no error") as u64;
    }
    count
}

pub(crate) fn memory(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let streams = 500;
    let pair = servers.block_on(pair());
    let silent = from_fn(|_| async {
        let never =
            futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        Response::new(Body::new(StreamBody::new(never)))
    });
    let hook = servers
        .block_on(pair.tunnel.attach(silent))
        .expect("attached");
    let url = hook.url();
    bench
        .case("memory of an open stream, both ends and the viewer", "KiB")
        .bar(AtMost(256.0))
        .rounds(1)
        .ours(|| {
            let before = peak_rss_mib(|| ()).unwrap_or(f64::NAN);
            let with = peak_rss_mib(|| client.block_on(open_all(&url, streams)));
            (with.unwrap_or(f64::NAN) - before) * 1024.0 / streams as f64
        });
}

/// Opens streams and waits for the heads of their responses.
async fn open_all(url: &str, streams: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..streams {
        let mut stream = open(url).await;
        let mut head = [0; 64];
        let read = stream.read(&mut head).await.expect("a head");
        assert!(head[..read].starts_with(b"HTTP/1.1 200"));
        all.push(stream);
    }
    all
}

pub(crate) fn restarts(bench: &mut Bench) {
    let (servers, client) = (server_runtime(), client_runtime());
    let times = bench.pick(20, 5);
    bench
        .case(
            &format!(
                "server killed and restarted {times} times, hooks reachable again after at most"
            ),
            "s",
        )
        .bar(AtMost(2.0))
        .rounds(1)
        .ours(|| {
            let Pair { mut server, tunnel } = servers.block_on(pair());
            let attach = || servers.block_on(tunnel.attach(hello())).expect("attached");
            let hooks: Vec<WebHook> = (0..10).map(|_| attach()).collect();
            let port = server.port();
            let mut longest = 0.0_f64;
            for _ in 0..times {
                servers.block_on(server.kill());
                let start = WebsocktunnelServer::builder().port(port).start();
                server = servers.block_on(start).expect("the port is free");
                let since = Instant::now();
                servers.block_on(tunnel.wait_connected(true));
                for hook in &hooks {
                    // Panics unless the status is 200.
                    client.block_on(requests(&hook.url(), 1, Duration::from_nanos(1)));
                }
                longest = longest.max(since.elapsed().as_secs_f64());
            }
            longest
        });
}
