//! The checks of a worker before it claims.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use runtime::Credentials;
use runtime::mocks::taskcluster::{Fault, FaultRule, Taskcluster};
use secrecy::ExposeSecret as _;
use tokio::net::TcpSocket;

use crate::support::{Worker, folder, run, worker};

const WORKER: [&str; 6] = [
    "--task-queue-id",
    "pool/linux",
    "--worker-group",
    "group",
    "--worker-id",
    "id",
];

fn with_credentials<'a>(command: &'a mut Command, credentials: &Credentials) -> &'a mut Command {
    let token = credentials.secrets().next().unwrap_or_default();
    if let Some(certificate) = &credentials.certificate {
        command.env("TASKCLUSTER_CERTIFICATE", certificate.expose_secret());
    }
    command
        .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
        .env("TASKCLUSTER_ACCESS_TOKEN", token)
}

/// Runs a worker to its end within a time limit.
fn check(command_name: &str, root_url: &str, credentials: &Credentials) -> (Output, String) {
    let folder = folder();
    let mut command = worker(folder.path());
    let command = with_credentials(&mut command, credentials);
    let start = Instant::now();
    let result = run(command
        .args([command_name, "--connect", root_url])
        .args(WORKER));
    let elapsed = start.elapsed();
    assert!(
        elapsed < Duration::from_secs(15),
        "{elapsed:?}: {}",
        result.1
    );
    result
}

fn assert_failed(root_url: &str, credentials: &Credentials, parts: &[&str]) {
    let (output, text) = check("run", root_url, credentials);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn dead_port_is_reported_with_advice() {
    let credentials = Credentials::new("me", "hunter2");
    // Bound, so that no other program takes the port, and without `listen`, so that connections are refused.
    let socket = TcpSocket::new_v4().expect("a socket");
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(any_port).expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let reached = format!("cannot reach {url}: ");
    assert_failed(
        &url,
        &credentials,
        &[&reached, "refused", "check host and port"],
    );
}

#[test]
fn other_server_is_reported_with_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    });
    let credentials = Credentials::new("me", "hunter2");
    assert_failed(
        &url,
        &credentials,
        &["not a Taskcluster deployment: check the root URL"],
    );
    serving.join().expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn wrong_token_is_reported_with_advice() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    let url = taskcluster.root_url().to_owned();
    let wrong = Credentials::new(taskcluster.credentials().client_id.clone(), "hunter2");
    let reported = tokio::task::spawn_blocking(move || {
        assert_failed(
            &url,
            &wrong,
            &["cannot use the credentials of `", "401", "check client id"],
        );
    });
    reported.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn missing_scopes_are_named() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    let url = taskcluster.root_url().to_owned();
    let hour = Duration::from_secs(3600);
    let limited = taskcluster.temporary_credentials("me", &["queue:claim-work:pool/*"], hour);
    let reported = tokio::task::spawn_blocking(move || {
        let parts = ["missing scope `queue:worker-id:group/id`; add it to a role"];
        assert_failed(&url, &limited, &parts);
        let (output, text) = check("check", &url, &limited);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in [
            "is a Taskcluster deployment",
            "ok: the clock agrees",
            "ok: the deployment accepts the credentials of",
            "failed: `me` may not claim from `pool/linux`: missing scope",
        ] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    });
    reported.await.expect("no panic");
}

#[test]
fn wrong_clock_is_a_warning() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = std::thread::spawn(move || {
        for status in ["200 OK", "200 OK", "404 Not Found"] {
            // Ping and scopes, and no secret of the pool.
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"alive":true,"scopes":["*"]}"#;
            let date = runtime::Timestamp::now() + Duration::from_secs(3630);
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
            let head = format!("Date: {date}\r\nContent-Length: {}", body.len());
            let answer = format!("HTTP/1.1 {status}\r\n{head}\r\nConnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    let (output, text) = check("check", &url, &Credentials::new("me", "hunter2"));
    assert!(output.status.success(), "{text}");
    let warning = "warning: the clock of this machine is 60 min ";
    assert!(text.contains(warning), "{text}");
    assert!(text.contains("\nok: the data folder `"), "{text}");
    assert!(text.contains("\ncontainment of tasks: "), "{text}");
    assert!(
        text.contains("behind that of the deployment; set it"),
        "{text}"
    );
    serving.join().expect("no panic");
}

/// The deployment may recover, but a worker that has exited does not claim again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ailing_service_is_a_warning() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    let error = Fault::Status {
        status: 503,
        retry_after: None,
    };
    taskcluster.inject(FaultRule::new("auth.currentScopes", error));
    let (url, credentials) = (taskcluster.root_url().to_owned(), taskcluster.credentials());
    let claims = tokio::task::spawn_blocking(move || {
        let folder = folder();
        let mut command = worker(folder.path());
        let command = with_credentials(&mut command, &credentials);
        let command = command.args(["run", "--connect", &url]).args(WORKER);
        let mut worker = Worker::start(command.stdout(std::process::Stdio::piped()));
        worker.read_until("claiming from pool/linux");
        worker.signal("-TERM");
        assert!(worker.signal_until_ended().success());
    });
    claims.await.expect("no panic");
}
