//! Errors of engines and plugins.

use runtime_core::{ExceptionReason, MalformedPayloadError, TaskError, error_chain};

#[test]
fn each_error_has_its_exception_reason() {
    for (error, reason) in [
        (
            MalformedPayloadError::new("`command` is missing").into(),
            ExceptionReason::MalformedPayload,
        ),
        (
            TaskError::unavailable("no server"),
            ExceptionReason::ResourceUnavailable,
        ),
        (TaskError::NonFatalInternal, ExceptionReason::InternalError),
        (TaskError::FatalInternal, ExceptionReason::InternalError),
        (TaskError::other("a bug"), ExceptionReason::InternalError),
    ] {
        assert_eq!(error.exception_reason(), reason, "{error}");
    }
}

#[test]
fn merge_keeps_the_order() {
    let error = |message: &str| MalformedPayloadError::new(message);
    let first = MalformedPayloadError::merge([error("c"), error("a")]).expect("two errors");
    let merged = MalformedPayloadError::merge([first, error("b")]).expect("three errors");
    assert_eq!(merged.messages(), ["c", "a", "b"]);
    assert_eq!(MalformedPayloadError::merge([]), None);
}

#[test]
fn malformed_payload_text_has_all_messages() {
    let errors = ["`/a`: missing", "`/b`: not a number"].map(MalformedPayloadError::new);
    let merged = MalformedPayloadError::merge(errors).expect("two errors");
    assert_eq!(
        merged.to_string(),
        "malformed payload: `/a`: missing; `/b`: not a number"
    );
}

#[test]
fn error_chain_omits_repeated_causes() {
    assert_eq!(
        error_chain(&TaskError::unavailable("no server")),
        "a resource that the task needs is unavailable: no server"
    );
    assert_eq!(error_chain(&Repeats(cause())), "cannot log in: no server");
}

/// An error whose text contains its cause, like some third-party wrappers.
#[derive(Debug, thiserror::Error)]
#[error("cannot log in: {0}")]
struct Repeats(#[source] std::io::Error);

fn cause() -> std::io::Error {
    std::io::Error::other("no server")
}
