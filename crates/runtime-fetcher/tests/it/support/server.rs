//! A scripted HTTP server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The number of earlier requests.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the first offset of `Range: bytes=N-` or `bytes=N-M`.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.range().map(|(start, _)| start)
    }

    /// Returns the first and the last offset of the range.
    pub(crate) fn range(&self) -> Option<(usize, Option<usize>)> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        let (start, last) = range.split_once('-')?;
        Some((start.parse().ok()?, last.parse().ok()))
    }

    /// Returns the response with `bytes`, or the requested range of them.
    pub(crate) fn answer(&self, tag: &str, bytes: &[u8]) -> Vec<Step> {
        let total = bytes.len();
        let headers = [("ETag", tag), ("Accept-Ranges", "bytes")];
        let Some((start, last)) = self.range() else {
            return Step::answer("200 OK", &headers, bytes);
        };
        let end = last.map_or(total, |last| last + 1).min(total);
        if start >= end {
            return Step::answer("416 Range Not Satisfiable", &[], b"");
        }
        let range = format!("bytes {start}-{}/{total}", end - 1);
        let headers = [headers[0], ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &bytes[start..end])
    }
}

/// A step of the script.
#[derive(Clone)]
pub(crate) enum Step {
    /// Waits for a signal of the test.
    #[cfg(feature = "cache")]
    Wait(tokio::sync::watch::Receiver<bool>),
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends the same bytes until the client disconnects.
    SendForEver(Vec<u8>),
    /// Sends nothing and keeps the connection open.
    Stall,
    /// Resets the connection.
    Reset,
    /// Closes the connection.
    Close,
}

impl Step {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Send(text.into().into_bytes())
    }

    /// Sends a status line, headers and an empty line.
    pub(crate) fn head(status: &str, headers: &[(&str, &str)]) -> Self {
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        Self::text(format!("HTTP/1.1 {status}\r\n{lines}\r\n"))
    }

    /// Returns the steps of a complete response.
    pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Self> {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("Content-Length", &length));
        vec![Self::head(status, &headers), Self::Send(body.to_vec())]
    }
}

type Handler = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

/// A server on a free port, stopped on drop.
pub(crate) struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(
        handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("socket is bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = accept(
            listener,
            Arc::clone(&requests),
            Arc::clone(&connections),
            Arc::new(handler),
        );
        Self {
            url: format!("http://{address}"),
            requests,
            connections,
            accepting: tokio::spawn(accepting),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("lock is not poisoned").clone()
    }

    /// Returns the number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    handler: Arc<Handler>,
) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        let (requests, handler) = (Arc::clone(&requests), Arc::clone(&handler));
        serving.spawn(async move {
            // Many tests disconnect on purpose.
            let _ = serve(stream, &requests, &*handler).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream).await? {
        let steps = {
            let mut requests = requests.lock().expect("lock is not poisoned");
            request.number = requests.len();
            requests.push(request.clone());
            handler(&request)
        };
        for step in steps {
            match step {
                #[cfg(feature = "cache")]
                Step::Wait(mut go) => {
                    // The test may have ended.
                    let _ = go.wait_for(|go| *go).await;
                }
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::SendForEver(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Step::Stall => std::future::pending().await,
                Step::Close => return Ok(()),
                Step::Reset => return reset(stream.into_inner()).await,
            }
        }
    }
    Ok(())
}

/// Lets sent bytes arrive, then resets the connection.
async fn reset(mut stream: TcpStream) -> std::io::Result<()> {
    stream.flush().await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    stream.set_zero_linger()
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    Ok(Some(Request {
        path,
        headers,
        number: 0,
    }))
}
