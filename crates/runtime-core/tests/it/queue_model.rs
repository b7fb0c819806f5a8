//! Parsing of queue responses, including future additions.

use runtime_core::queue::{
    ArtifactContent, ArtifactRequest, ArtifactResponse, ResolvedReason, TaskClaim, TaskState,
    TaskStatus,
};
use runtime_core::{ExceptionReason, Timestamp};
use serde_json::{Value, json};

fn claim() -> Value {
    json!({
        "status": {
            "taskId": "RmzTkg-8Qj614ea9fI9Jmg", "taskQueueId": "demo/linux", "state": "running", "retriesLeft": 1,
            "runs": [{
                "runId": 0, "state": "running", "reasonCreated": "scheduled", "workerGroup": "g", "workerId": "w",
                "takenUntil": "2026-11-24T17:53:28.491Z",
            }],
        },
        "runId": 0, "workerGroup": "g", "workerId": "w",
        "takenUntil": "2026-11-24T17:53:28.491+00:00",
        "task": {
            "taskQueueId": "demo/linux", "created": "2026-11-24T17:33:27.000Z", "deadline": "2026-11-24T18:33:27.000Z",
            "scopes": ["a:*"], "payload": {"command": ["true"]}, "priority": "low", "retries": 1,
            "extra": {"chain": {"level": 3}},
            "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
        },
        "credentials": {"clientId": "task-client/x", "accessToken": "hush-hush", "certificate": "{\"version\":1}"},
    })
}

#[test]
fn claim_parses_both_timestamp_formats() {
    let claim: TaskClaim = serde_json::from_value(claim()).expect("a claim of the real shape");
    assert_eq!(Some(claim.taken_until), claim.status.runs[0].taken_until);
    assert!(claim.task.scopes.satisfies("a:b"));
    assert_eq!(claim.task.created.to_string(), "2026-11-24T17:33:27Z");
    assert_eq!(claim.task.extra["chain"]["level"], 3);
    assert_eq!(claim.run_id, 0);
}

/// Returns the text of a claim with a field of its definition replaced.
fn claim_with(field: &str, json: &str) -> String {
    let mut claim = claim();
    claim["task"][field] = json!("REPLACED");
    claim.to_string().replace("\"REPLACED\"", json)
}

#[test]
fn unreadable_definition_does_not_hide_the_claim() {
    let nested = "[".repeat(140) + &"]".repeat(140);
    for (field, json) in [
        ("payload", &*nested),
        ("extra", &*nested),
        ("payload", r#""\ud800""#),
        ("payload", "1e999"),
        ("tags", r#"{"a": 1}"#),
        ("deadline", "\"tomorrow\""),
        ("retries", "-1"),
        ("metadata", "null"),
    ] {
        let claim: TaskClaim = serde_json::from_str(&claim_with(field, json)).expect(field);
        let error = claim.definition_error.expect(field);
        let prefix = format!("`{field}` of the task definition cannot be read: ");
        assert_eq!(error.messages().len(), 1, "{error}");
        assert!(error.messages()[0].starts_with(&prefix), "{error}");
        assert_eq!(claim.credentials.client_id, "task-client/x");
        assert_eq!(claim.task.task_queue_id, "demo/linux", "{field}");
        assert!(claim.task.scopes.satisfies("a:b"), "{field}");
    }
}

#[test]
fn missing_field_is_a_definition_error() {
    for task in [json!({}), json!(null), json!([])] {
        let mut json = claim();
        json["task"] = task;
        let claim: TaskClaim = serde_json::from_value(json).expect("a claim");
        let error = claim.definition_error.expect("fields are required");
        assert!(
            error.messages()[0].starts_with("the task definition cannot be read: "),
            "{error}"
        );
    }
}

#[test]
fn readable_nesting_is_no_error() {
    let nested = "[".repeat(100) + &"]".repeat(100);
    let claim: TaskClaim = serde_json::from_str(&claim_with("payload", &nested)).expect("a claim");
    assert_eq!(claim.definition_error, None);
}

#[test]
fn far_expiry_saturates() {
    for text in ["9999-12-31T23:59:59.999Z", "+012345-01-01T00:00:00.000Z"] {
        let json = claim_with("expires", &json!(text).to_string());
        let claim: TaskClaim = serde_json::from_str(&json).expect(text);
        assert_eq!(claim.definition_error, None, "{text}");
        assert_eq!(claim.task.expires, Some(Timestamp::MAX), "{text}");
    }
}

#[test]
fn debug_of_claim_hides_secrets() {
    let claim: TaskClaim = serde_json::from_value(claim()).expect("a claim of the real shape");
    let text = format!("{claim:?}");
    assert!(
        !text.contains("hush-hush") && !text.contains("version"),
        "{text}"
    );
}

#[test]
fn unknown_fields_and_texts_are_accepted() {
    let mut status = claim()["status"].clone();
    status["colour"] = json!("blue");
    status["state"] = json!("hibernating");
    status["runs"][0]["reasonResolved"] = json!("sun-spots");
    let status: TaskStatus = serde_json::from_value(status).expect("additions are fine");
    assert_eq!(status.state, TaskState::Other("hibernating".to_owned()));
    assert_eq!(
        status.runs[0].reason_resolved,
        Some(ResolvedReason::Other("sun-spots".to_owned()))
    );
}

#[test]
fn artifact_request_matches_its_storage_type() {
    let request = ArtifactRequest::S3 {
        content_type: "text/plain".to_owned(),
        content_length: None,
        expires: "2026-11-24T17:33:27Z".parse().expect("an instant"),
    };
    let json = serde_json::to_value(&request).expect("requests serialize");
    assert_eq!(
        json,
        json!({"storageType": "s3", "contentType": "text/plain", "expires": "2026-11-24T17:33:27Z"})
    );
}

#[test]
fn error_artifact_parses() {
    let json = json!({"storageType": "error", "reason": "file-missing-on-worker", "message": "no such file"});
    let content: ArtifactContent = serde_json::from_value(json).expect("the real shape");
    assert!(matches!(content, ArtifactContent::Error { message, .. } if message == "no such file"));
}

#[test]
fn unknown_storage_type_parses_as_other() {
    let json = json!({"storageType": "hologram", "url": "https://example.com", "angle": 3});
    let content: ArtifactContent =
        serde_json::from_value(json.clone()).expect("additions are fine");
    assert!(matches!(content, ArtifactContent::Other), "{content:?}");
    let response: ArtifactResponse = serde_json::from_value(json).expect("additions are fine");
    assert!(matches!(response, ArtifactResponse::Other), "{response:?}");
}

#[test]
fn exception_reasons_match_resolved_reasons() {
    for (reason, text) in [
        (ExceptionReason::WorkerShutdown, "worker-shutdown"),
        (ExceptionReason::MalformedPayload, "malformed-payload"),
        (ExceptionReason::ResourceUnavailable, "resource-unavailable"),
        (ExceptionReason::InternalError, "internal-error"),
        (ExceptionReason::IntermittentTask, "intermittent-task"),
    ] {
        assert_eq!(reason.as_str(), text);
        assert_eq!(reason.to_string(), text);
        assert_eq!(json!(reason), json!(text));
        let read: ResolvedReason = serde_json::from_value(json!(text)).expect("any text is one");
        assert_eq!(read.as_str(), text);
        assert!(!matches!(read, ResolvedReason::Other(_)), "{text}");
    }
}
