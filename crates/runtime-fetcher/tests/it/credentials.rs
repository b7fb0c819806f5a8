//! Concurrent requests for an input, the first with rejected credentials.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{ApiError, ExceptionReason, ServiceError};
use runtime_fetcher::{
    AttemptError, FetchContext, FetchError, FetchStats, HashKey, InputLayout, Reference,
    RequiredScopes, Target,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::cache::open;
use crate::support::{context, resolve};

/// A reference to an artifact that a task requests.
#[derive(Debug)]
struct Artifact {
    content: Arc<dyn Reference>,
    /// The status with which the credentials are rejected after the task has ended, and the notification of its end.
    rejected: Option<(u16, Arc<Notify>)>,
}

#[async_trait]
impl Reference for Artifact {
    fn subject(&self) -> String {
        "an artifact".to_owned()
    }

    fn hash_key(&self) -> HashKey {
        self.content.hash_key()
    }

    fn scopes(&self) -> RequiredScopes {
        RequiredScopes::none()
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<FetchStats, FetchError> {
        let Some((status, ended)) = &self.rejected else {
            return self.content.fetch(context, target).await;
        };
        ended.notified().await;
        let error = ServiceError::new("queue.artifact", *status, "Code", "rejected");
        let (subject, source) = (self.subject(), AttemptError::Api(ApiError::Service(error)));
        Err(match status {
            401 => FetchError::Worker { subject, source },
            _ => FetchError::Broken {
                subject,
                attempts: 1,
                source,
            },
        })
    }
}

/// Requests an artifact for three tasks at once. The credentials of the first are rejected.
async fn check_own_credentials(status: u16, reason: ExceptionReason) {
    let root = tempfile::tempdir().expect("disk has space");
    let (cache, context) = (open(root.path()).await, context());
    let content = resolve(&context, json!({ "raw": "hello" })).await;
    let ended = Arc::new(Notify::new());
    let artifact = |rejected| -> Arc<dyn Reference> {
        Arc::new(Artifact {
            content: Arc::clone(&content),
            rejected,
        })
    };
    let bad = artifact(Some((status, Arc::clone(&ended))));
    let good = artifact(None);
    let (first, second, third, ()) = tokio::join!(
        biased;
        cache.require(&context, &bad, InputLayout::File),
        cache.require(&context, &good, InputLayout::File),
        cache.require(&context, &good, InputLayout::File),
        async { ended.notify_one() },
    );
    let error = first.expect_err("own credentials are rejected");
    assert_eq!(error.exception_reason(), reason);
    for input in [second, third] {
        let input = input.expect("credentials are valid");
        let bytes = std::fs::read(input.path()).expect("path exists");
        assert_eq!(bytes, b"hello");
    }
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn rejected_credentials_concern_one_task() {
    check_own_credentials(401, ExceptionReason::InternalError).await;
}

#[tokio::test]
async fn missing_scopes_concern_one_task() {
    check_own_credentials(403, ExceptionReason::MalformedPayload).await;
}
