//! A worker on a machine that a worker pool created in a cloud.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{file, folder, greeter, run};

/// A request: method, path and body.
type Request = (String, String, Value);

/// An HTTP server that records its requests. Its threads end with the test program.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(respond: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (record, respond) = (Arc::clone(&requests), Arc::new(respond));
        std::thread::spawn(move || {
            for stream in listener.incoming().take(1000) {
                let (record, respond) = (Arc::clone(&record), Arc::clone(&respond));
                let stream = stream.expect("a connection");
                // Each in a thread, since a client may keep a connection without a request.
                std::thread::spawn(move || handle(stream, &record, &*respond));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// Reads one request, and responds. A client that closes its connection meanwhile is no failure.
fn handle(
    stream: TcpStream,
    record: &Mutex<Vec<Request>>,
    respond: &(dyn Fn(&str, &str) -> (u16, String) + Send + Sync),
) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    for line in reader.by_ref().lines().take(100) {
        match line {
            Ok(line) if !line.is_empty() => head.push(line.to_lowercase()),
            _ => break,
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    if head.is_empty() || reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut first = head[0].split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (first.next(), first.next()) else {
        return;
    };
    let (status, text) = respond(&method, &path);
    let body = serde_json::from_slice(&body).unwrap_or_default();
    record.lock().expect("no panic").push((method, path, body));
    let length = text.len();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n");
    let _ = write!(reader.into_inner(), "{head}\r\n{text}");
}

/// Starts the metadata service of AWS, for the machine `i-42`.
fn metadata_service(root_url: &str) -> Server {
    let user_data = json!({
        "workerPoolId": "pool/linux",
        "providerId": "aws",
        "rootUrl": root_url,
        "workerGroup": "us-east-1",
    });
    Server::start(move |_, path| {
        let text = match path {
            "/latest/user-data" => user_data.to_string(),
            "/latest/dynamic/instance-identity/document" => r#"{"instanceId":"i-42"}"#.to_owned(),
            _ => "text".to_owned(),
        };
        (200, text)
    })
}

/// Starts a deployment without tasks, whose worker manager does not need the machine.
fn deployment() -> Server {
    Server::start(|method, path| {
        let (service, rest) = path
            .trim_start_matches("/api/")
            .split_once("/v1/")
            .unwrap_or((path, ""));
        let body = match (method, service, rest) {
            (_, "auth", "ping") => json!({ "alive": true }),
            (_, "auth", _) => json!({ "scopes": ["*"] }),
            (_, "worker-manager", "worker/register") => json!({
                "expires": "2999-01-01T00:00:00.000Z",
                "credentials": { "clientId": "worker/i-42", "accessToken": "a-token" },
                "workerConfig": { "worker": { "plugins": { "idleStop": "1 s" } } },
                "secret": "a-secret",
            }),
            ("get", "worker-manager", _) => json!({ "terminate": true, "reason": "over capacity" }),
            ("delete", "worker-manager", _) => json!({}),
            (_, "queue", _) => json!({ "tasks": [] }),
            _ => return (404, json!({ "message": "nothing here" }).to_string()),
        };
        (200, body.to_string())
    })
}

fn settings(metadata: &Server, data: &std::path::Path) -> Value {
    json!({
        "worker": {
            "registration": { "provider": "aws", "metadataUrl": metadata.url },
            "dataFolder": data,
        },
    })
}

#[test]
fn machine_gets_its_identity_from_its_cloud() {
    let folder = folder();
    let metadata = metadata_service("https://tc.example.com");
    let path = file(&folder, "worker.json", &settings(&metadata, folder.path()));
    let (output, text) = run(greeter(&folder)
        .args(["print-config", "--config"])
        .arg(path));
    assert!(output.status.success(), "{text}");
    for part in [
        "rootUrl: https://tc.example.com\n",
        "taskQueueId: pool/linux\n",
        "workerGroup: us-east-1\n",
        "workerId: i-42\n",
        "no credentials: the layers of the worker pool are not included",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn idle_machine_is_removed() {
    let folder = folder();
    let deployment = deployment();
    let metadata = metadata_service(&deployment.url);
    let path = file(&folder, "worker.json", &settings(&metadata, folder.path()));
    let (output, text) = run(greeter(&folder).args(["run", "--config"]).arg(path));
    assert_eq!(output.status.code(), Some(68), "{text}");
    let requests = deployment.requests();
    let registrations = requests
        .iter()
        .filter(|(_, path, _)| path.ends_with("/register"));
    let bodies: Vec<_> = registrations.map(|(_, _, body)| body).collect();
    let [body] = bodies[..] else {
        panic!("{requests:?}");
    };
    let proof = json!({ "document": r#"{"instanceId":"i-42"}"#, "signature": "text" });
    assert_eq!(body["workerIdentityProof"], proof);
    assert_eq!(body["workerId"], "i-42");
    let (method, path, _) = requests.last().expect("a request");
    assert_eq!(method, "delete");
    assert!(
        path.ends_with("/workers/pool%2flinux/us-east-1/i-42"),
        "{path}"
    );
}
