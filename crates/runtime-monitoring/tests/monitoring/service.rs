//! A local HTTP service that records requests and sends the given responses.

use std::collections::HashMap;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A received request.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The service. It stops with the test's runtime.
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) received: mpsc::UnboundedReceiver<Received>,
}

impl Service {
    /// Starts a service that responds with these status lines, such as `503 Busy`, one per request, and then with 200.
    pub(crate) async fn start(responses: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, received) = mpsc::unbounded_channel();
        let responses: Vec<String> = responses.iter().map(ToString::to_string).collect();
        tokio::spawn(async move {
            let mut responses = responses.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let response = responses.next().unwrap_or_else(|| "200 OK".to_owned());
                if let Some(request) = serve(stream, &response).await {
                    // The test may have ended.
                    let _ = sender.send(request);
                }
            }
        });
        Self { port, received }
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the service is running")
    }
}

async fn serve(stream: TcpStream, response: &str) -> Option<Received> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let head = format!("HTTP/1.1 {response}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).await.ok()?;
    Some(Received {
        path,
        headers,
        body,
    })
}
