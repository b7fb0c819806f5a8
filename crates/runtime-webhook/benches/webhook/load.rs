//! A client with raw connections and minimal work per request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Splits a URL into the address and the path.
pub(crate) fn split(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a URL with a path");
    (address.parse().expect("an address"), format!("/{path}"))
}

/// Requests a URL on several connections for a duration and returns the requests per second.
pub(crate) async fn requests(url: &str, connections: usize, time: Duration) -> f64 {
    let start = Instant::now();
    let count = count_requests(url, connections, time).await;
    count as f64 / start.elapsed().as_secs_f64()
}

/// Requests a URL on several connections for a duration and returns the number of requests.
pub(crate) async fn count_requests(url: &str, connections: usize, time: Duration) -> u64 {
    let (address, path) = split(url);
    let start = Instant::now();
    let clients = (0..connections).map(|_| send_requests(address, &path, start, time));
    let counts = futures_util::future::join_all(clients).await;
    counts.iter().sum()
}

async fn send_requests(address: SocketAddr, path: &str, start: Instant, time: Duration) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut buffer = vec![0; 4096];
    let mut len = 0;
    let mut count = 0;
    while start.elapsed() < time {
        stream.write_all(request.as_bytes()).await.expect("a write");
        match len {
            0 => len = first_response(&mut stream, &mut buffer).await,
            // All responses have the same length.
            len => {
                stream
                    .read_exact(&mut buffer[..len])
                    .await
                    .expect("a response");
            }
        }
        count += 1;
    }
    count
}

/// Reads a response and returns its length, including the head.
async fn first_response(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let mut read = 0;
    loop {
        read += stream.read(&mut buffer[read..]).await.expect("a response");
        let text = std::str::from_utf8(&buffer[..read]).expect("text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .and_then(|length| length.parse().ok())
            .expect("a length");
        if body.len() >= length {
            return read;
        }
    }
}

/// Opens a connection and sends a request, without reading the response.
pub(crate) async fn open(url: &str) -> TcpStream {
    let (address, path) = split(url);
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a write");
    stream
}

/// Reads to the end and returns the number of bytes, including the head.
pub(crate) async fn read_all(mut stream: TcpStream) -> u64 {
    let mut buffer = vec![0; 256 * 1024];
    let mut count = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        count += read as u64;
    }
    count
}
