//! What a running Taskcluster v106 was seen to answer, request by request, and ours answers too.

mod artifacts;
mod requests;
mod runs;
#[path = "../support/mod.rs"]
mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::artifacts::{HOUR, put, put_url, running, s3};
use support::{Answer, Client, Forgery, QUEUE, create, later, start};

const UNKNOWN: &str = "CFAKnfgiTSGBc9lIjR5CnQ";

/// Checks status, code, a part of the message, and the frame that all refusals share.
fn check(what: &str, answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!(
        (answer.status, answer.code()),
        (status, code),
        "{what}: {:?}",
        answer.body
    );
    assert!(
        answer.message().contains(part),
        "{what}: {}",
        answer.message()
    );
    let info = &answer.body["requestInfo"];
    let method = info["method"].as_str().unwrap_or_default();
    let trailer = format!(
        "\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {status}\n* time:       {}",
        info["time"].as_str().unwrap_or_default()
    );
    assert!(
        answer.message().ends_with(&trailer),
        "{what}: {}",
        answer.message()
    );
    assert!(
        info["params"].is_object() && info.get("payload").is_some(),
        "{what}: {info}"
    );
}
