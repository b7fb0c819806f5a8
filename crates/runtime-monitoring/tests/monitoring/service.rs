//! A service of others, on this machine: it keeps what it is sent and answers as it is told.

use std::collections::HashMap;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The service; it ends with the test.
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) received: mpsc::UnboundedReceiver<Received>,
}

impl Service {
    /// Starts one that answers with these heads, such as `503 Busy`, one a request, and then always with 200.
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, received) = mpsc::unbounded_channel();
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.next().unwrap_or_else(|| "200 OK".to_owned());
                if let Some(request) = serve(stream, &answer).await {
                    // The test may have seen enough.
                    let _ = sender.send(request);
                }
            }
        });
        Self { port, received }
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the service runs")
    }
}

async fn serve(stream: TcpStream, answer: &str) -> Option<Received> {
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
    let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).await.ok()?;
    Some(Received {
        path,
        headers,
        body,
    })
}
