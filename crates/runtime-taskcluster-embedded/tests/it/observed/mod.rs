//! Responses that were recorded from a deployment of Taskcluster v106.
//!
//! Clients depend on these details, and the documentation does not mention most of them.

mod artifacts;
mod requests;
mod runs;

use crate::support::artifacts::{HOUR, put, put_url, running, s3};
use crate::support::{Client, Forgery, QUEUE, Response, create, later, start};
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "CFAKnfgiTSGBc9lIjR5CnQ";

/// Checks status, code, a part of the message, and the format that all errors share.
fn check(what: &str, response: &Response, status: u16, code: &str, part: &str) {
    assert_eq!(
        (response.status, response.code()),
        (status, code),
        "{what}: {:?}",
        response.body
    );
    assert!(
        response.message().contains(part),
        "{what}: {}",
        response.message()
    );
    let info = &response.body["requestInfo"];
    let method = info["method"].as_str().unwrap_or_default();
    let trailer = format!(
        "\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {status}\n* time:       {}",
        info["time"].as_str().unwrap_or_default()
    );
    assert!(
        response.message().ends_with(&trailer),
        "{what}: {}",
        response.message()
    );
    assert!(
        info["params"].is_object() && info.get("payload").is_some(),
        "{what}: {info}"
    );
}
