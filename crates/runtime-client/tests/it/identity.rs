//! The identity of a machine, with metadata services that send the documented responses.

use http::Method;
use runtime_client::identity::{CloudProvider, IdentityError, MachineIdentity};
use runtime_client::{Registrar, WorkerName};
use serde_json::{Value, json};

use crate::support::{ReceivedRequest, Reply, Server};

const DOCUMENT: &str = "{\n  \"instanceId\" : \"i-0123\",\n  \"region\" : \"us-east-1\"\n}";

fn stored_values(root_url: &str) -> Value {
    json!({
        "workerPoolId": "proj/linux",
        "providerId": "the-provider",
        "rootUrl": root_url,
        "workerGroup": "us-east-1",
        "workerConfig": { "ignored": true },
    })
}

fn expected(worker_id: &str, proof: &Value) -> (String, String, WorkerName, Value) {
    let worker = WorkerName {
        worker_pool_id: "proj/linux".to_owned(),
        worker_group: "us-east-1".to_owned(),
        worker_id: worker_id.to_owned(),
    };
    let root_url = "https://tc.example.com".to_owned();
    (root_url, "the-provider".to_owned(), worker, proof.clone())
}

fn parts(identity: MachineIdentity) -> (String, String, WorkerName, Value) {
    let MachineIdentity {
        root_url,
        provider_id,
        worker,
        proof,
        ..
    } = identity;
    (root_url, provider_id, worker, proof)
}

fn aws(request: &ReceivedRequest, root_url: &str) -> Reply {
    if request.method == Method::PUT {
        assert_ne!(request.header("x-aws-ec2-metadata-token-ttl-seconds"), "");
        assert_eq!(request.target, "/latest/api/token");
        return Reply::text(200, "a-session");
    }
    if request.header("x-aws-ec2-metadata-token") != "a-session" {
        return Reply::text(401, "");
    }
    match &*request.target {
        "/latest/user-data" => Reply::json(200, stored_values(root_url)),
        "/latest/dynamic/instance-identity/document" => Reply::text(200, DOCUMENT),
        "/latest/dynamic/instance-identity/signature" => Reply::text(200, "c2lnbmF0dXJl\n"),
        _ => Reply::text(404, ""),
    }
}

#[tokio::test]
async fn aws_document_is_signed() {
    let server = Server::start(|_, request| aws(request, "https://tc.example.com")).await;
    let identity = CloudProvider::Aws.identify_at(&server.url).await;
    let identity = identity.expect("an identity");
    // The proof authenticates the machine.
    assert!(!format!("{identity:?}").contains("c2lnbmF0dXJl"));
    let proof = json!({ "document": DOCUMENT, "signature": "c2lnbmF0dXJl" });
    assert_eq!(parts(identity), expected("i-0123", &proof));
}

#[tokio::test]
async fn google_token_is_for_the_root_url() {
    let server = Server::start(|_, request| {
        assert_eq!(request.header("metadata-flavor"), "Google");
        let path = request.target.strip_prefix("/computeMetadata/v1/instance/");
        match path.expect("the path of the instance") {
            "id" => Reply::text(200, "4711"),
            "attributes/taskcluster" => Reply::json(200, stored_values("https://tc.example.com")),
            "service-accounts/default/identity?audience=https%3A%2F%2Ftc.example.com&format=full" => {
                Reply::text(200, "a.b.c")
            }
            _ => Reply::text(404, ""),
        }
    })
    .await;
    let identity = CloudProvider::Google.identify_at(&server.url).await;
    let proof = json!({ "token": "a.b.c" });
    assert_eq!(
        parts(identity.expect("an identity")),
        expected("4711", &proof)
    );
}

/// Returns the responses of Azure, with these tags and this encoding.
async fn azure(tags: &'static [(&'static str, &'static str)], encoding: &'static str) -> Server {
    Server::start(move |_, request| {
        assert_eq!(request.header("metadata"), "true");
        let (path, version) = request.target.split_once('?').expect("a version");
        assert_eq!(version, "api-version=2025-04-07");
        let tags: Vec<_> = tags
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let compute = json!({ "name": "vm-1", "vmId": "02aab8a4", "tagsList": tags });
        match path {
            "/metadata/instance" => Reply::json(200, json!({ "compute": compute, "network": {} })),
            "/metadata/attested/document" => {
                Reply::json(200, json!({ "encoding": encoding, "signature": "MIIE" }))
            }
            _ => Reply::text(404, ""),
        }
    })
    .await
}

const TAGS: &[(&str, &str)] = &[
    ("other", "x"),
    ("worker-pool-id", "proj/linux"),
    ("provider-id", "the-provider"),
    ("worker-group", "us-east-1"),
    ("root-url", "https://tc.example.com"),
];

#[tokio::test]
async fn azure_document_is_attested() {
    let server = azure(TAGS, "pkcs7").await;
    let identity = CloudProvider::Azure.identify_at(&server.url).await;
    let proof = json!({ "document": "MIIE" });
    assert_eq!(
        parts(identity.expect("an identity")),
        expected("vm-1", &proof)
    );
}

#[tokio::test]
async fn missing_tag_is_named() {
    let server = azure(&TAGS[..4], "pkcs7").await;
    let error = CloudProvider::Azure.identify_at(&server.url).await;
    let error = error.expect_err("no root URL").to_string();
    assert!(error.contains("the tag `root-url` is missing"), "{error}");
}

#[tokio::test]
async fn other_encoding_is_refused() {
    let server = azure(TAGS, "none").await;
    let error = CloudProvider::Azure.identify_at(&server.url).await;
    let error = error.expect_err("an unknown encoding").to_string();
    assert!(error.contains("the encoding is not `pkcs7`"), "{error}");
}

#[tokio::test]
async fn machine_without_pool_is_an_error() {
    let server = Server::start(|_, request| match &request.method {
        &Method::PUT => Reply::text(200, "a-session"),
        _ => Reply::text(404, ""),
    })
    .await;
    let error = CloudProvider::Aws.identify_at(&server.url).await;
    let error = error.expect_err("no user data");
    assert!(
        matches!(&error, IdentityError::Status { path, status: 404 } if path == "/latest/user-data"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 2, "a refusal is final");
}

#[tokio::test]
async fn starting_service_is_retried() {
    let server = Server::start(|number, request| match number {
        0 => Reply::Hangup,
        1 => Reply::text(503, ""),
        _ => aws(request, "https://tc.example.com"),
    })
    .await;
    let identity = CloudProvider::Aws.identify_at(&server.url).await;
    assert_eq!(identity.expect("an identity").worker.worker_id, "i-0123");
}

#[tokio::test]
async fn machine_registers_with_its_proof() {
    let metadata = Server::start(|_, request| aws(request, "https://tc.example.com")).await;
    let machine = CloudProvider::Aws.identify_at(&metadata.url).await;
    let machine = machine.expect("an identity");
    let manager = Server::start(|_, _| {
        Reply::json(
            200,
            json!({
                "expires": "2999-01-01T00:00:00.000Z",
                "credentials": { "clientId": "worker/i-0123", "accessToken": "a-token" },
                "workerConfig": {},
                "secret": "a-secret",
            }),
        )
    })
    .await;
    let registrar = Registrar::of_machine(&manager.deployment(), &machine);
    registrar.register().await.expect("registered");
    let body = manager.requests()[0].json();
    assert_eq!(body["workerIdentityProof"]["document"], DOCUMENT);
    assert_eq!(
        (
            &body["workerPoolId"],
            &body["providerId"],
            &body["workerId"]
        ),
        (
            &json!("proj/linux"),
            &json!("the-provider"),
            &json!("i-0123")
        )
    );
}
