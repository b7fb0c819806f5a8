//! A client that shows the raw bytes of a response.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use runtime_core::webhook::WebHook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Far more than a loaded machine needs.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Sends a GET request with `Connection: close` and returns the whole response.
pub(crate) async fn get(url: &str, headers: &str) -> String {
    let (address, path) = split(url);
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    exchange(address, &head).await
}

/// Sends bytes and returns all received data.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a write");
    let mut answer = Vec::new();
    // An aborted connection may end with an error. The data received before is returned as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("UTF-8")
}

/// Opens a connection and sends a request head.
pub(crate) async fn open(hook: &WebHook, method: &str, rest: &str, headers: &str) -> TcpStream {
    let (address, path) = split(&hook.url());
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("{method} {path}{rest} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.expect("a write");
    stream
}

/// Reads up to a text. Panics at the end of the stream, and after 16 MiB.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.expect("no error");
        assert!(count > 0, "the connection ended after {seen:?}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).expect("text"));
        assert!(seen.len() < 16 << 20, "no `{text}`");
    }
    seen
}

/// Waits until a condition holds, for at most a minute.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < MAX_WAIT, "the condition does not hold");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for `work`, for at most a minute. Not for paused time, which would pass at once.
pub(crate) async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(MAX_WAIT, work).await;
    ended.expect("it ends within a minute")
}

/// Splits a URL into the address and the path.
pub(crate) fn split(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a URL with a path");
    (address.parse().expect("an address"), format!("/{path}"))
}

/// Returns the status of a response.
pub(crate) fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).unwrap_or_default();
    code.parse()
        .unwrap_or_else(|_| panic!("no status in {answer:?}"))
}

/// Returns the body of a response.
pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
