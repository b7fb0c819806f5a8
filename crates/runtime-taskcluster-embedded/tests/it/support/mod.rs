//! A small client of the embedded Taskcluster that signs its requests.

pub(crate) mod artifacts;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hawk::{Key, PayloadHasher, RequestBuilder, SHA256};
use reqwest::Method;
use runtime_core::Credentials;
use runtime_taskcluster_embedded::Taskcluster;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;

/// The task queue of all tests.
pub(crate) const QUEUE: &str = "test/linux";
/// The path of `claimWork` for it.
const CLAIM: &str = "/api/queue/v1/claim-work/test%2Flinux";

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Response {
    /// Returns the `code` of an error body.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// The deviations from a valid signature.
#[derive(Clone, Default)]
pub(crate) struct Forgery {
    pub(crate) timestamp: Option<SystemTime>,
    /// The body to sign instead of the sent one.
    pub(crate) signed_body: Option<Vec<u8>>,
    pub(crate) authorized_scopes: Option<Vec<String>>,
}

/// A client with or without credentials.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    root_url: String,
    pub(crate) credentials: Option<Credentials>,
}

/// Creates an HTTP client that does not follow redirects.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(no_tls())
        .no_proxy()
        .build()
        .expect("a client with this TLS configuration")
}

/// Returns a TLS configuration without root certificates: all connections are plain HTTP.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

impl Client {
    /// Creates a client with all scopes.
    pub(crate) fn root(taskcluster: &Taskcluster) -> Self {
        Self::with(taskcluster, Some(taskcluster.credentials()))
    }

    pub(crate) fn anonymous(taskcluster: &Taskcluster) -> Self {
        Self::with(taskcluster, None)
    }

    pub(crate) fn with(taskcluster: &Taskcluster, credentials: Option<Credentials>) -> Self {
        let root_url = taskcluster.root_url().to_owned();
        Self {
            http: http(),
            root_url,
            credentials,
        }
    }

    /// Returns a client with the credentials of a response.
    pub(crate) fn with_credentials(&self, credentials: &Value) -> Self {
        let text = |name: &str| {
            credentials[name]
                .as_str()
                .expect("credentials are text")
                .to_owned()
        };
        let credentials = Credentials::new(text("clientId"), text("accessToken"));
        let credentials = credentials.with_certificate(text("certificate"));
        Self {
            credentials: Some(credentials),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, None, Forgery::default()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.send(Method::POST, path, Some(body), Forgery::default())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Response {
        self.send(Method::PUT, path, Some(body), Forgery::default())
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.send(Method::DELETE, path, None, Forgery::default())
            .await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        forgery: Forgery,
    ) -> Response {
        self.try_send(method, path, body, forgery)
            .await
            .expect("a response")
    }

    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        forgery: Forgery,
    ) -> reqwest::Result<Response> {
        let url: Url = format!("{}{path}", self.root_url).parse().expect("a URL");
        let bytes = body.map(|body| body.to_string().into_bytes());
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(header) = self.sign(method.as_str(), &url, bytes.as_deref(), &forgery) {
            request = request.header("authorization", header);
        }
        if let Some(bytes) = bytes {
            request = request
                .header("content-type", "application/json")
                .body(bytes);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    fn sign(
        &self,
        method: &str,
        url: &Url,
        body: Option<&[u8]>,
        forgery: &Forgery,
    ) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        let ext = ext(credentials, forgery);
        let hash = body.map(|body| {
            let signed = forgery.signed_body.as_deref().unwrap_or(body);
            PayloadHasher::hash("application/json", SHA256, signed).expect("SHA-256 is supported")
        });
        let request = RequestBuilder::from_url(method, url)
            .expect("a URL with a host")
            .hash(hash.as_deref())
            .ext(ext.as_deref())
            .request();
        let now = forgery.timestamp.unwrap_or_else(SystemTime::now);
        let header = request
            .make_header_full(&key(credentials), now, "nonce")
            .expect("a header");
        Some(format!("Hawk {header}"))
    }

    /// Returns the path with a bewit.
    pub(crate) fn bewit(&self, path: &str, expires: SystemTime) -> String {
        let credentials = self.credentials.as_ref().expect("bewits need credentials");
        let url: Url = format!("{}{path}", self.root_url).parse().expect("a URL");
        let ext = ext(credentials, &Forgery::default());
        let key = key(credentials);
        let request = RequestBuilder::from_url("GET", &url).expect("a URL with a host");
        let request = request.ext(ext.as_deref()).request();
        let bewit = request.make_bewit(&key, expires).expect("a bewit").to_str();
        format!("{path}?bewit={bewit}")
    }

    /// Claims up to this many tasks.
    pub(crate) async fn claim(&self, tasks: u32) -> Vec<Value> {
        let body = json!({ "workerGroup": "group", "workerId": "worker", "tasks": tasks });
        let response = self.post(CLAIM, body).await;
        assert_eq!(response.status, 200, "{:?}", response.body);
        response.body["tasks"]
            .as_array()
            .expect("a list of claims")
            .clone()
    }

    /// Claims the only pending task, and returns the claim and a client with its credentials.
    pub(crate) async fn claim_one(&self) -> (Value, Client) {
        let mut claims = self.claim(1).await;
        let claim = claims.pop().expect("a pending task");
        let client = self.with_credentials(&claim["credentials"]);
        (claim, client)
    }

    /// Calls a method of a run by the last segment of its path.
    pub(crate) async fn run(
        &self,
        task_id: &str,
        run_id: u32,
        verb: &str,
        body: Value,
    ) -> Response {
        self.post(
            &format!("/api/queue/v1/task/{task_id}/runs/{run_id}/{verb}"),
            body,
        )
        .await
    }

    /// Declares an artifact of run 0.
    pub(crate) async fn artifact(&self, task_id: &str, name: &str, body: Value) -> Response {
        self.run(task_id, 0, &format!("artifacts/{name}"), body)
            .await
    }
}

fn key(credentials: &Credentials) -> hawk::Credentials {
    let token = credentials.secrets().next().unwrap_or_default();
    hawk::Credentials {
        id: credentials.client_id.clone(),
        key: Key::new(token, SHA256).expect("a key of any length"),
    }
}

fn ext(credentials: &Credentials, forgery: &Forgery) -> Option<String> {
    let mut ext = json!({});
    if let Some(certificate) = &credentials.certificate {
        let certificate = certificate.expose_secret();
        ext["certificate"] = serde_json::from_str(certificate).expect("a certificate is JSON");
    }
    if let Some(scopes) = &forgery.authorized_scopes {
        ext["authorizedScopes"] = json!(scopes);
    }
    let is_empty = ext.as_object().is_none_or(serde_json::Map::is_empty);
    (!is_empty).then(|| STANDARD.encode(ext.to_string()))
}

/// Starts a Taskcluster with a short long poll, and returns it with a root client.
pub(crate) async fn start() -> (Taskcluster, Client) {
    let builder = Taskcluster::builder().long_poll(Duration::from_millis(50));
    let taskcluster = builder.start().await.expect("a free port");
    let client = Client::root(&taskcluster);
    (taskcluster, client)
}

/// Creates a task in [`QUEUE`] with changes to its definition, and returns its id.
pub(crate) fn create(taskcluster: &Taskcluster, changes: Value) -> String {
    let mut definition = json!({ "taskQueueId": QUEUE });
    for (name, value) in changes.as_object().expect("changes are an object") {
        definition[name] = value.clone();
    }
    taskcluster.create_task(definition).expect("a valid task")
}

/// Returns the time after this duration by the clock of the Taskcluster.
pub(crate) fn later(taskcluster: &Taskcluster, by: Duration) -> String {
    let at = taskcluster
        .clock()
        .now()
        .checked_add(by)
        .expect("a time in range");
    format!("{at:.3}")
}
