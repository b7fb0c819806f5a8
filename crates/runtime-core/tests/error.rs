//! What an error of an engine or plugin comes to.

use runtime_core::{ExceptionReason, MalformedPayloadError, TaskError, error_chain};

#[test]
fn each_kind_of_error_is_reported_for_its_reason() {
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
fn a_chain_has_every_cause_and_says_nothing_twice() {
    assert_eq!(
        error_chain(&TaskError::unavailable("no server")),
        "a resource that the task needs is unavailable: no server"
    );
    assert_eq!(error_chain(&Repeats(cause())), "cannot log in: no server");
}

/// Says its cause as well, as wrappers of others do.
#[derive(Debug, thiserror::Error)]
#[error("cannot log in: {0}")]
struct Repeats(#[source] std::io::Error);

fn cause() -> std::io::Error {
    std::io::Error::other("no server")
}
