//! The example worker under worker-runner, which speaks through its standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::{Value, json};

use crate::site::Site;
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_line_for_worker_runner_is_a_message_and_the_first_is_the_answer_to_its_welcome() {
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
    // A log that did not wait for the welcome would have lines before the answer.
    let early = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(early.reason_resolved(), Some("completed"));

    let mut input = worker.take_input();
    let output = worker.take_output();
    let welcome = r#"~{"type":"welcome","capabilities":["log","graceful-termination","shutdown"]}"#;
    writeln!(input, "{welcome}").expect("it reads");
    let reading = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(output).lines();
        lines.collect::<Result<Vec<_>, _>>().expect("it is text")
    });
    let late = site
        .resolved(json!({ "payload": { "command": ["true"] } }))
        .await;
    assert_eq!(late.reason_resolved(), Some("completed"));
    let goodbye = r#"~{"type":"graceful-termination","finish-tasks":true}"#;
    writeln!(input, "{goodbye}").expect("it reads");

    let lines = tokio::time::timeout(PATIENCE, reading).await;
    let lines = lines.expect("it ends").expect("no panic");
    // Its input is still open, and must not keep it.
    let status = tokio::task::spawn_blocking(move || worker.ended());
    assert!(status.await.expect("no panic").success());
    drop(input);
    let messages: Vec<Value> = lines
        .iter()
        .map(|line| {
            let message = line
                .strip_prefix('~')
                .and_then(|it| serde_json::from_str(it).ok());
            message.unwrap_or_else(|| panic!("no message: {line}"))
        })
        .collect();
    assert_eq!(messages[0]["type"], "hello");
    assert!(messages[1..].iter().all(|message| message["type"] == "log"));
    for task_id in [early.task_id, late.task_id] {
        let is_told = lines.iter().any(|line| line.contains(&task_id));
        assert!(is_told, "nothing of {task_id} in {lines:#?}");
    }
}
