//! Viewers that read live logs for a while.

use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The artifact with the live log of a running task.
pub(crate) const LIVE_LOG: &str = "public/logs/live.log";

/// Spawns a viewer that reads a live log for a random time and then disconnects.
pub(crate) fn spawn(rng: &mut Rng, url: String) -> JoinHandle<()> {
    let duration = Duration::from_millis(rng.u64(10..3_000));
    tokio::spawn(async move {
        // Errors are expected: the log may have ended or moved.
        let _ = timeout(duration, read(&url)).await;
    })
}

async fn read(url: &str) -> Option<()> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).await.ok()?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut chunk = [0; 4096];
    while stream.read(&mut chunk).await.ok()? > 0 {}
    Some(())
}
