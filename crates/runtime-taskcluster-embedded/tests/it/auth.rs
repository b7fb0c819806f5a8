//! Signatures, scopes, roles and clients.

use std::time::{Duration, SystemTime};

use crate::support::{Client, Forgery, create, start};
use reqwest::Method;
use runtime_core::Credentials;
use runtime_taskcluster_embedded::Taskcluster;
use secrecy::ExposeSecret as _;
use serde_json::json;

const SCOPES: &str = "/api/auth/v1/scopes/current";
const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn wrong_credentials_fail_public_methods() {
    let (taskcluster, _) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let path = format!("/api/queue/v1/task/{task_id}/status");
    assert_eq!(Client::anonymous(&taskcluster).get(&path).await.status, 200);
    for (id, part) in [
        ("static/taskcluster/root", "Bad mac"),
        ("nobody", "'nobody' not found"),
    ] {
        let wrong = Client::with(&taskcluster, Some(Credentials::new(id, "x".repeat(44))));
        let response = wrong.get(&path).await;
        assert_eq!(
            (response.status, response.code()),
            (401, "AuthenticationFailed")
        );
        assert_eq!(response.headers["www-authenticate"], "hawk");
        assert!(response.message().contains(part), "{}", response.message());
        assert_eq!(wrong.get("/api/queue/v1/ping").await.status, 200);
    }
}

fn tester(taskcluster: &Taskcluster, token: &str) -> Client {
    Client::with(taskcluster, Some(Credentials::new("tester", token)))
}

#[tokio::test]
async fn signatures_can_be_tested() {
    let (taskcluster, root) = start().await;
    let path = "/api/auth/v1/test-authenticate";
    let tester_client = tester(&taskcluster, "no-secret");
    let body = json!({ "clientScopes": ["a:*"], "requiredScopes": ["a:b"] });
    let response = tester_client.post(path, body.clone()).await;
    let expected = json!({ "clientId": "tester", "scopes": ["a:*", "assume:anonymous"] });
    assert_eq!((response.status, response.body), (200, expected));

    let missing = json!({ "clientScopes": ["a:*"], "requiredScopes": ["c"] });
    let response = tester_client.post(path, missing).await;
    assert_eq!(
        (response.status, response.code()),
        (403, "InsufficientScopes")
    );
    let part = "missing the following scopes:\n\n```\nc\n```";
    assert!(response.message().contains(part), "{}", response.message());

    let forgery = Forgery {
        authorized_scopes: Some(vec!["a:c".to_owned()]),
        ..Forgery::default()
    };
    let narrow = tester_client.send(Method::POST, path, Some(body.clone()), forgery);
    assert_eq!(narrow.await.status, 403);
    for wrong in [tester(&taskcluster, "a-secret"), root] {
        let response = wrong.post(path, body.clone()).await;
        assert_eq!(
            (response.status, response.code()),
            (401, "AuthenticationFailed")
        );
    }
    let anonymous = Client::anonymous(&taskcluster);
    assert_eq!(anonymous.post(path, body).await.status, 403);
}

#[tokio::test]
async fn bewits_can_be_tested() {
    let (taskcluster, _) = start().await;
    let path = "/api/auth/v1/test-authenticate-get/";
    let expected = json!({
        "clientId": "tester", "scopes": ["assume:anonymous", "auth:create-client:test:*", "test:*"],
    });
    let client = tester(&taskcluster, "no-secret");
    let response = client.get(path).await;
    assert_eq!((response.status, response.body), (200, expected.clone()));
    let bewit = client.bewit(path, SystemTime::now() + HOUR);
    let anonymous = Client::anonymous(&taskcluster);
    let response = anonymous.get(&bewit).await;
    assert_eq!((response.status, response.body), (200, expected));
    assert_eq!(anonymous.get(path).await.status, 403);
    for padding in ["=", "==", "%3D"] {
        let response = anonymous.get(&format!("{bewit}{padding}")).await;
        assert_eq!(
            (response.status, response.code()),
            (401, "AuthenticationFailed")
        );
    }
}

#[tokio::test]
async fn missing_credentials_are_a_403() {
    let (taskcluster, _) = start().await;
    let response = Client::anonymous(&taskcluster)
        .get("/api/secrets/v1/secret/a")
        .await;
    assert_eq!(
        (response.status, response.code()),
        (403, "InsufficientScopes")
    );
    assert!(response.message().contains("secrets:get:a"));
}

#[tokio::test]
async fn clock_skew_is_tolerated_for_15_minutes() {
    let (_taskcluster, client) = start().await;
    for (off, status) in [(14 * 60, 200), (16 * 60, 401)] {
        let off = Duration::from_secs(off);
        for timestamp in [SystemTime::now() - off, SystemTime::now() + off] {
            let forgery = Forgery {
                timestamp: Some(timestamp),
                ..Forgery::default()
            };
            let response = client.send(Method::GET, SCOPES, None, forgery).await;
            assert_eq!(response.status, status, "{off:?}: {}", response.message());
        }
    }
}

#[tokio::test]
async fn wrong_payload_hash_is_rejected() {
    let (taskcluster, client) = start().await;
    let forgery = Forgery {
        signed_body: Some(b"{}".to_vec()),
        ..Forgery::default()
    };
    let body = json!({ "secret": {}, "expires": crate::support::later(&taskcluster, HOUR) });
    let response = client
        .send(Method::PUT, "/api/secrets/v1/secret/a", Some(body), forgery)
        .await;
    assert_eq!(response.status, 401);
    assert!(
        response.message().contains("Computed payload hash"),
        "{}",
        response.message()
    );
}

#[tokio::test]
async fn temporary_credentials_are_limited() {
    let (taskcluster, _) = start().await;
    let credentials = taskcluster.temporary_credentials("me", &["secrets:get:a"], HOUR);
    let client = Client::with(&taskcluster, Some(credentials));
    taskcluster.set_secret("a", json!({ "word": "x" }));
    taskcluster.set_secret("b", json!({}));
    let secret = client.get("/api/secrets/v1/secret/a").await;
    assert_eq!(secret.body["secret"]["word"], "x");
    assert_eq!(client.get("/api/secrets/v1/secret/b").await.status, 403);
    taskcluster.advance(HOUR + Duration::from_secs(4 * 60));
    assert_eq!(
        client.get("/api/secrets/v1/secret/a").await.status,
        200,
        "within the leeway"
    );
    taskcluster.advance(Duration::from_secs(2 * 60));
    let late = client.get("/api/secrets/v1/secret/a").await;
    assert_eq!(late.status, 401);
    assert!(late.message().contains("ext.certificate.expiry < now"));
}

#[tokio::test]
async fn changed_certificate_is_rejected() {
    let (taskcluster, _) = start().await;
    let honest = taskcluster.temporary_credentials("me", &["a"], HOUR);
    let token = honest.access_token.expose_secret();
    let certificate = honest.certificate.as_ref().unwrap().expose_secret();
    let mut certificate: serde_json::Value = serde_json::from_str(certificate).unwrap();
    certificate["scopes"] = json!(["*"]);
    let forged = Credentials::new("me", token).with_certificate(certificate.to_string());
    let response = Client::with(&taskcluster, Some(forged)).get(SCOPES).await;
    assert_eq!(response.status, 401);
    assert!(
        response.message().contains("signature is not valid"),
        "{}",
        response.message()
    );
}

#[tokio::test]
async fn authorized_scopes_only_restrict() {
    let (taskcluster, _) = start().await;
    taskcluster.set_secret("a", json!({}));
    let credentials = taskcluster.temporary_credentials("me", &["secrets:get:*"], HOUR);
    let client = Client::with(&taskcluster, Some(credentials));
    for (scopes, status) in [
        (vec!["secrets:get:a"], 200),
        (vec!["secrets:get:b"], 403),
        (vec!["secrets:set:a"], 401),
        (vec![], 403),
    ] {
        let authorized_scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        let forgery = Forgery {
            authorized_scopes,
            ..Forgery::default()
        };
        let response = client
            .send(Method::GET, "/api/secrets/v1/secret/a", None, forgery)
            .await;
        assert_eq!(
            response.status,
            status,
            "{scopes:?}: {}",
            response.message()
        );
    }
}

#[tokio::test]
async fn bewit_is_valid_for_one_path() {
    let (taskcluster, client) = start().await;
    taskcluster.set_secret("a", json!({ "x": 1 }));
    let anonymous = Client::anonymous(&taskcluster);
    let path = "/api/secrets/v1/secret/a";
    let soon = SystemTime::now() + HOUR;
    let good = client.bewit(path, soon);
    assert_eq!(anonymous.get(&good).await.body["secret"]["x"], 1);
    let elsewhere = good.replace("secret/a", "secret/b");
    assert!(
        anonymous
            .get(&elsewhere)
            .await
            .message()
            .contains("Bad mac")
    );
    let old = client.bewit(path, SystemTime::now() - HOUR);
    assert!(
        anonymous
            .get(&old)
            .await
            .message()
            .contains("Access expired")
    );
    assert_eq!(
        client.get(&good).await.status,
        401,
        "a header and a bewit at once"
    );
    assert_eq!(
        anonymous.delete(&good).await.status,
        401,
        "a bewit is for reading only"
    );
}

#[tokio::test]
async fn task_credentials_are_limited_to_the_run() {
    let (taskcluster, client) = start().await;
    create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let other = create(&taskcluster, json!({}));
    client.claim_one().await;
    let response = worker.run(&other, 0, "completed", json!({})).await;
    assert_eq!(
        (response.status, response.code()),
        (403, "InsufficientScopes")
    );
    assert!(
        response
            .message()
            .contains(&format!("queue:resolve-task:{other}/0"))
    );
}

#[tokio::test]
async fn role_grants_its_scopes() {
    let (taskcluster, root) = start().await;
    taskcluster.set_secret("a", json!({}));
    let role = json!({ "description": "readers", "scopes": ["secrets:get:*"] });
    assert_eq!(
        root.put("/api/auth/v1/roles/reader%3A*", role).await.status,
        200
    );
    let credentials = taskcluster.temporary_credentials("me", &["assume:reader:me"], HOUR);
    let client = Client::with(&taskcluster, Some(credentials));
    assert_eq!(client.get("/api/secrets/v1/secret/a").await.status, 200);
    root.delete("/api/auth/v1/roles/reader%3A*").await;
    assert_eq!(client.get("/api/secrets/v1/secret/a").await.status, 403);
}

#[tokio::test]
async fn disabled_client_is_rejected() {
    let (taskcluster, root) = start().await;
    let expires = crate::support::later(&taskcluster, HOUR);
    let wish = json!({ "expires": expires, "description": "d", "scopes": ["a:*"] });
    let made = root.put("/api/auth/v1/clients/ci", wish).await;
    let token = made.body["accessToken"].as_str().unwrap();
    let client = Client::with(&taskcluster, Some(Credentials::new("ci", token)));
    let scopes = client.get(SCOPES).await.body["scopes"].clone();
    assert!(scopes.as_array().unwrap().contains(&json!("a:*")));
    root.post("/api/auth/v1/clients/ci/disable", json!({}))
        .await;
    assert!(client.get(SCOPES).await.message().contains("is disabled"));
    root.post("/api/auth/v1/clients/ci/enable", json!({})).await;
    assert_eq!(client.get(SCOPES).await.status, 200);
    root.delete("/api/auth/v1/clients/ci").await;
    assert!(client.get(SCOPES).await.message().contains("not found"));
}

#[tokio::test]
async fn tunnel_token_is_signed_with_tunnel_key() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let (taskcluster, root) = start().await;
    let response = root.get("/api/auth/v1/websocktunnel/aud/worker.1").await;
    let token = response.body["token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = hawk::Key::new(taskcluster.tunnel_key().expose_secret(), hawk::SHA256).unwrap();
    let expected = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
    assert_eq!(signature, expected);
    let claims = URL_SAFE_NO_PAD
        .decode(signed.split('.').nth(1).unwrap())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["tid"], &claims["aud"]),
        (&json!("worker.1"), &json!("aud"))
    );
}
