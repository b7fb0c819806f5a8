//! The authorizer of a task.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};
use runtime_core::{
    Credentials, CredentialsWatch, RequestAuthorizer, Run, ScopeSet, Secret, Services, SignError,
    TaskContext, TaskContextController, TaskId, TaskInfo,
};

const URL: &str = "https://tc.example.com/api/queue/v1/ping";

fn create(folder: &Path) -> (TaskContext, TaskContextController) {
    let definition = serde_json::json!({
        "taskQueueId": "demo/linux", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z",
        "payload": {}, "scopes": ["secrets:get:a"],
        "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
    });
    let definition = serde_json::from_value(definition).expect("a valid definition");
    let run = Run {
        task_id: TaskId::random(),
        run_id: 0,
    };
    let info = TaskInfo::new(run, definition);
    TaskContext::create(&folder.join("task.log"), info).expect("a log in the folder")
}

/// An authorizer whose header is the client id.
#[derive(Debug)]
struct ClientIdHeader(CredentialsWatch);

impl RequestAuthorizer for ClientIdHeader {
    fn sign_header(
        &self,
        _: &Method,
        _: &str,
        _: Option<(&str, &[u8])>,
    ) -> Result<HeaderValue, SignError> {
        let credentials = self.0.snapshot().ok_or(SignError::NoCredentials)?;
        HeaderValue::from_str(&credentials.client_id).map_err(|_| SignError::ClientId)
    }

    fn sign_url(&self, url: &str, _: Duration) -> Result<Secret, SignError> {
        Ok(Secret::new(url))
    }

    fn with_authorized_scopes(&self, _: &ScopeSet) -> Arc<dyn RequestAuthorizer> {
        Arc::new(Self(self.0.clone()))
    }
}

#[test]
fn disconnected_task_cannot_sign() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (context, _controller) = create(folder.path());
    let limited = context
        .authorizer()
        .with_authorized_scopes(context.info().scopes());
    for authorizer in [context.authorizer(), limited] {
        let header = authorizer.sign_header(&Method::GET, URL, None);
        assert!(matches!(header, Err(SignError::NotConnected)));
        let url = authorizer.sign_url(URL, Duration::from_secs(1));
        assert!(matches!(url, Err(SignError::NotConnected)));
    }
}

#[test]
fn disposed_task_cannot_sign() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (context, controller) = create(folder.path());
    controller.set_credentials(Credentials::new("before", "a-long-secret"));
    controller.set_services(Services {
        authorizer: Arc::new(ClientIdHeader(controller.credentials())),
        ..Services::disconnected()
    });
    let authorizer = context.authorizer();
    let sign = || authorizer.sign_header(&Method::GET, URL, None);
    assert_eq!(sign().expect("there are credentials"), "before");
    controller.set_credentials(Credentials::new("after", "a-long-secret"));
    assert_eq!(sign().expect("there are credentials"), "after");
    assert!(!format!("{authorizer:?} {context:?}").contains("a-long-secret"));

    controller.dispose().expect("the log can be removed");
    assert!(matches!(sign(), Err(SignError::NoCredentials)));
    let header = context.authorizer().sign_header(&Method::GET, URL, None);
    assert!(matches!(header, Err(SignError::NotConnected)));
}
