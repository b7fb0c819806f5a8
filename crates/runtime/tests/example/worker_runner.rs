//! The example worker under worker-runner, which uses its standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::TIMEOUT;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn standard_output_has_only_messages() {
    let mut site = Site::new().await;
    let credentials = site.taskcluster.credentials();
    let token = credentials.secrets().next().unwrap_or_default().to_owned();
    site.start(|settings| {
        let worker = &mut settings["worker"];
        worker["registration"].take();
        worker["credentials"] = json!({ "clientId": credentials.client_id, "accessToken": token });
        worker["shutdown"] = json!(["worker-runner"]);
        settings["statusPort"] = json!(0);
        settings["monitoring"] = json!({ "log": { "format": "workerproto", "level": "debug" } });
    });
    let mut worker = site.take_worker();
    // Log lines of this task must not be sent before the reply to `welcome`.
    let early = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(early.reason_resolved(), Some("completed"));

    let mut input = worker.take_input();
    let output = worker.take_output();
    let welcome = r#"~{"type":"welcome","capabilities":["log","graceful-termination","shutdown"]}"#;
    writeln!(input, "{welcome}").expect("the worker reads");
    let reading = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(output).lines();
        lines.collect::<Result<Vec<_>, _>>().expect("text")
    });
    let late = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(late.reason_resolved(), Some("completed"));
    let termination = r#"~{"type":"graceful-termination","finish-tasks":true}"#;
    writeln!(input, "{termination}").expect("the worker reads");

    let lines = tokio::time::timeout(TIMEOUT, reading).await;
    let lines = lines.expect("the worker ends").expect("no panic");
    // The worker must end although its input is still open.
    let status = tokio::task::spawn_blocking(move || worker.ended());
    // The code of generic-worker for a stop by worker-runner.
    assert_eq!(status.await.expect("no panic").code(), Some(72));
    drop(input);
    let messages: Vec<Value> = lines
        .iter()
        .map(|line| {
            let message = line
                .strip_prefix('~')
                .and_then(|it| serde_json::from_str(it).ok());
            message.unwrap_or_else(|| panic!("not a message: {line}"))
        })
        .collect();
    assert_eq!(messages[0]["type"], "hello");
    assert!(messages[1..].iter().all(|message| message["type"] == "log"));
    for task_id in [early.task_id, late.task_id] {
        let is_logged = lines.iter().any(|line| line.contains(&task_id));
        assert!(is_logged, "no line about {task_id} in {lines:#?}");
    }
}
