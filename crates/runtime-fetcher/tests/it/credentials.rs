//! Concurrent requests for an input, the first with rejected credentials.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{ApiError, ExceptionReason, ServiceError};
use runtime_fetcher::{
    AttemptError, FetchContext, FetchError, Fetched, HashKey, InputLayout, Reference,
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
    /// Notified when the task ends, after which its credentials are rejected.
    ended: Option<Arc<Notify>>,
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
    ) -> Result<Fetched, FetchError> {
        let Some(ended) = &self.ended else {
            return self.content.fetch(context, target).await;
        };
        ended.notified().await;
        let error = ServiceError::new("queue.artifact", 401, "AuthenticationFailed", "expired");
        Err(FetchError::Worker {
            subject: self.subject(),
            source: AttemptError::Api(ApiError::Service(error)),
        })
    }
}

#[tokio::test]
async fn waiters_retry_with_their_own_credentials() {
    let root = tempfile::tempdir().expect("disk has space");
    let (cache, context) = (open(root.path()).await, context());
    let content = resolve(&context, json!({ "raw": "hello" })).await;
    let ended = Arc::new(Notify::new());
    let artifact = |ended: Option<&Arc<Notify>>| -> Arc<dyn Reference> {
        Arc::new(Artifact {
            content: Arc::clone(&content),
            ended: ended.cloned(),
        })
    };
    let (bad, good) = (artifact(Some(&ended)), artifact(None));
    let (first, second, third, ()) = tokio::join!(
        biased;
        cache.require(&context, &bad, InputLayout::File),
        cache.require(&context, &good, InputLayout::File),
        cache.require(&context, &good, InputLayout::File),
        async { ended.notify_one() },
    );
    let error = first.expect_err("own credentials are rejected");
    assert_eq!(error.exception_reason(), ExceptionReason::InternalError);
    for input in [second, third] {
        let input = input.expect("credentials are valid");
        let bytes = std::fs::read(input.path()).expect("path exists");
        assert_eq!(bytes, b"hello");
    }
    assert_eq!(cache.len(), 1);
}
