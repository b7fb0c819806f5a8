//! Interactive shells inside of a running task.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::collections::HashMap;

use futures_util::{SinkExt as _, StreamExt as _};
use runtime_mocks::taskcluster::{ArtifactKind, Taskcluster};
use runtime_worker::plugins::Interactive;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::support::{TestBed, wait_until};

const SHELL: &str = "private/generic-worker/shell.html";

/// Returns the URL to which the artifact of the shell redirects, if there is one.
fn page_of(taskcluster: &Taskcluster, task_id: &str) -> Option<Url> {
    let artifacts = taskcluster.artifacts(task_id, 0).ok()?;
    let shell = artifacts.into_iter().find(|it| it.name == SHELL)?;
    match shell.kind {
        ArtifactKind::Reference { url } => Some(url.parse().expect("a URL")),
        kind => panic!("the shell is a redirect: {kind:?}"),
    }
}

/// Connects as Taskcluster's user interface does.
async fn connect(bed: &TestBed, task_id: &str) -> WebSocketStream<TcpStream> {
    wait_until(|| page_of(&bed.taskcluster, task_id).is_some()).await;
    let page = page_of(&bed.taskcluster, task_id).expect("it exists");
    let root_url = bed.taskcluster.root_url();
    assert!(page.as_str().starts_with(&format!("{root_url}/shell/?")));
    let query: HashMap<_, _> = page.query_pairs().into_owned().collect();
    assert_eq!(query["taskId"], task_id);
    assert_eq!((&*query["runId"], &*query["v"]), ("0", "2"));
    let socket: Url = query["socketUrl"].parse().expect("a URL");
    assert_eq!(socket.scheme(), "ws");
    let address = socket.socket_addrs(|| None).expect("an address");
    let stream = TcpStream::connect(&*address).await.expect("a connection");
    let client = client_async(socket.as_str(), stream).await;
    client.expect("a WebSocket").0
}

fn interactive(script: &str) -> Value {
    json!({
        "command": ["sh", "-c", script],
        "env": { "WORD": "it" },
        "features": { "interactive": true },
    })
}

#[tokio::test]
async fn shell_runs_inside_of_the_task() {
    for bed in TestBed::each().await {
        let task_id = bed.create(interactive(
            "echo found-$WORD > file; while ! [ -e stop ]; do sleep 0.05; done",
        ));
        let running = bed.start(bed.worker().plugin(Interactive));
        let mut client = connect(&bed, &task_id).await;
        bed.wait_for_task_file("file").await;
        let resize = Message::Binary(b"\x02\x1e\0\x64\0".to_vec().into());
        client.send(resize).await.expect("a connection");
        let typed = b"\x01stty size; cat file; echo $WORD-$WORD; touch stop\r";
        let sent = client.send(Message::Binary(typed.to_vec().into())).await;
        sent.expect("a connection");
        let mut seen = String::new();
        // The end of the task ends the shell.
        while let Some(Ok(message)) = client.next().await {
            if let Message::Binary(bytes) = message {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        for expected in ["30 100", "found-it", "it-it"] {
            assert!(seen.contains(expected), "{expected}: {seen}");
        }
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
        running.stop().await;
        let log = bed.log(&task_id).await;
        let page = format!("{}/tasks/{task_id}/connect", bed.taskcluster.root_url());
        assert!(log.contains(&page), "{log}");
        assert!(!log.contains("ws:"), "{log}");
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn shell_ends_with_a_cancelled_task() {
    let bed = TestBed::new().await;
    let task_id = bed.create(interactive("sleep 600"));
    let running = bed.start(bed.worker().plugin(Interactive));
    let mut client = connect(&bed, &task_id).await;
    let typed = Message::Binary(b"\x01echo ready-$WORD\r".to_vec().into());
    client.send(typed).await.expect("a connection");
    let mut seen = String::new();
    while !seen.contains("ready-it") {
        let message = client.next().await.expect("the shell runs");
        if let Message::Binary(bytes) = message.expect("a connection") {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    bed.cancel(&task_id);
    while let Some(Ok(_)) = client.next().await {}
    running.stop().await;
    let page = page_of(&bed.taskcluster, &task_id).expect("it remains");
    let query: HashMap<_, _> = page.query_pairs().into_owned().collect();
    let socket: Url = query["socketUrl"].parse().expect("a URL");
    let address = socket.socket_addrs(|| None).expect("an address");
    let stream = TcpStream::connect(&*address).await.expect("a connection");
    let refused = client_async(socket.as_str(), stream).await;
    assert!(refused.is_err(), "the hook is detached");
}

#[tokio::test]
async fn task_without_the_feature_has_no_shell() {
    let bed = TestBed::new().await;
    let command = json!(["true"]);
    let task_ids = [json!({}), json!({ "interactive": false })]
        .map(|features| bed.create(json!({ "command": command, "features": features })));
    let running = bed.start(bed.worker().plugin(Interactive));
    for task_id in task_ids {
        let state = bed.resolved(&task_id).await.state_and_reason();
        assert_eq!(state, "completed");
        assert_eq!(page_of(&bed.taskcluster, &task_id), None);
        let log = bed.log(&task_id).await;
        assert!(!log.contains("[interactive]"), "{log}");
    }
    running.stop().await;
}

#[tokio::test]
async fn name_of_the_shell_is_reserved() {
    let bed = TestBed::new().await;
    let mut payload = interactive("true");
    payload["artifacts"] = json!([{ "path": "file", "name": SHELL, "type": "file" }]);
    let task_id = bed.create(payload);
    let running = bed.start(bed.worker().plugin(Interactive));
    let state = bed.resolved(&task_id).await.state_and_reason();
    running.stop().await;
    assert_eq!(state, "exception/malformed-payload");
    let log = bed.log(&task_id).await;
    assert!(
        log.contains("`payload.artifacts.0.name`: this name belongs to the shell"),
        "{log}"
    );
}
