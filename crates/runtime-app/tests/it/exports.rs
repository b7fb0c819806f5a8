//! Metrics and traces of a configured worker.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::fleet::Fleet;

/// Reads the path and the body of a request, and accepts it.
fn receive(stream: TcpStream) -> Option<(String, Value)> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line).ok()?;
        if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
            length = text.trim_end().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.get_mut().write_all(response).ok()?;
    Some((path, serde_json::from_slice(&body).ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn last_push_has_metrics_and_traces() {
    let mut fleet = Fleet::new().await;
    let collector = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = collector.local_addr().expect("an address").port();
    let received = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&received);
    // Ends with the process of the tests.
    thread::spawn(move || {
        for stream in collector.incoming().flatten() {
            let request = receive(stream);
            requests.lock().expect("no panic").extend(request);
        }
    });
    let endpoint = format!("http://127.0.0.1:{port}");
    fleet.settings["monitoring"]["otlp"] = json!({ "endpoint": endpoint, "interval": "1 h" });
    let task_id = fleet.create("a");
    let mut command = fleet.command("run");
    command.arg("--once");
    let (output, text) = fleet.run(command).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    fleet.taskcluster.stop().await;
    let requests = received.lock().expect("no panic");
    let paths: Vec<_> = requests.iter().map(|(path, _)| &**path).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/metrics"]);
    for (id, expected) in [("workerId", &requests[1]), (&*task_id, &requests[0])] {
        assert!(expected.1.to_string().contains(id), "{expected:?}");
    }
}
