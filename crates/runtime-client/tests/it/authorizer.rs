//! Signatures, verified by the server side of the `hawk` crate.

use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hawk::{DigestAlgorithm, Header, Key, PayloadHasher, RequestBuilder};
use http::Method;
use proptest::prelude::*;
use runtime_client::Authorizer;
use runtime_core::{
    Credentials, CredentialsCell, CredentialsWatch, RequestAuthorizer, ScopeSet, SignError,
};
use serde_json::Value;
use url::Url;

const URL: &str = "https://tc.example.com/api/queue/v1/task/a%2Fb?limit=3";
const SKEW: Duration = Duration::from_secs(60);

fn authorizer(credentials: Credentials) -> Authorizer {
    Authorizer::new(CredentialsWatch::fixed(Some(credentials)))
}

fn key(token: &str) -> Key {
    Key::new(token, DigestAlgorithm::Sha256).expect("a key")
}

fn parsed(
    authorizer: &dyn RequestAuthorizer,
    method: &Method,
    url: &str,
    payload: Option<(&str, &[u8])>,
) -> Header {
    let value = authorizer.sign_header(method, url, payload).expect("signs");
    let text = value
        .to_str()
        .expect("text")
        .strip_prefix("Hawk ")
        .expect("the scheme")
        .to_owned();
    Header::from_str(&text).expect("a Hawk header")
}

fn ext(header: &Header) -> (String, Value) {
    let json = STANDARD
        .decode(header.ext.as_ref().expect("an ext"))
        .expect("base64");
    let text = String::from_utf8(json).expect("UTF-8");
    let value = serde_json::from_str(&text).expect("JSON");
    (text, value)
}

proptest! {
    #[test]
    fn signatures_are_valid(
        method in prop_oneof![Just(Method::GET), Just(Method::PUT), Just(Method::POST)],
        path in "(/[a-zA-Z0-9._~%2F-]{1,12}){1,4}",
        query in proptest::option::of("[a-z]{1,5}=[a-z0-9%+]{0,8}"),
        port in proptest::option::of(1024u16..),
        client_id in "[a-zA-Z0-9@/:.+|_-]{1,40}",
        token in "[ -~]{1,60}",
        body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
    ) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("https://tc.example.com{port}{}{query}", path.replace('%', "%25"));
        let payload = body.as_deref().map(|body| ("application/json; charset=utf-8", body));
        let header = parsed(&authorizer(Credentials::new(&*client_id, &*token)), &method, &url, payload);
        prop_assert_eq!(header.id.as_deref(), Some(&*client_id));

        let hash = body.map(|body| PayloadHasher::hash("application/json", DigestAlgorithm::Sha256, body).expect("hashes"));
        let url = Url::parse(&url).expect("a URL");
        let request = RequestBuilder::from_url(method.as_str(), &url).expect("a request").hash(hash.as_deref()).request();
        prop_assert!(request.validate_header(&header, &key(&token), SKEW));
        prop_assert!(!request.validate_header(&header, &key("another"), SKEW));
    }

    #[test]
    fn authorized_scopes_never_widen(first in scopes(), second in scopes()) {
        let twice = authorizer(Credentials::new("c", "t")).with_authorized_scopes(&first).with_authorized_scopes(&second);
        let (_, ext) = ext(&parsed(&twice, &Method::GET, URL, None));
        let sent: Vec<String> = serde_json::from_value(ext["authorizedScopes"].clone()).expect("scopes");
        prop_assert!(first.satisfies_all(&sent) && second.satisfies_all(&sent));
    }
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    proptest::collection::vec("[ab]{0,3}\\*?", 0..5).prop_map(ScopeSet::new)
}

#[test]
fn changed_body_or_path_invalidates_signature() {
    let authorizer = authorizer(Credentials::new("c", "t"));
    let header = parsed(
        &authorizer,
        &Method::POST,
        URL,
        Some(("application/json", b"{}")),
    );
    let check = |method, url, body: &[u8]| {
        let hash =
            PayloadHasher::hash("application/json", DigestAlgorithm::Sha256, body).expect("hashes");
        let url = Url::parse(url).expect("a URL");
        let request = RequestBuilder::from_url(method, &url)
            .expect("a request")
            .hash(&hash[..])
            .request();
        request.validate_header(&header, &key("t"), SKEW)
    };
    assert!(check("POST", URL, b"{}"));
    assert!(!check("POST", URL, b"{ }"));
    assert!(!check("PUT", URL, b"{}"));
    assert!(!check("POST", &URL.replace("limit=3", "limit=4"), b"{}"));
}

#[test]
fn certificate_is_sent_verbatim() {
    let certificate = r#"{"version": 1,  "scopes":["a:*"],"later":1.50,"seed":"Ümlaut"}"#;
    let authorizer = authorizer(Credentials::new("c", "t").with_certificate(certificate));
    let (text, value) = ext(&parsed(&authorizer, &Method::GET, URL, None));
    assert_eq!(text, format!(r#"{{"certificate":{certificate}}}"#));
    assert!(value.get("authorizedScopes").is_none());
}

#[test]
fn permanent_credentials_have_no_ext() {
    let header = parsed(
        &authorizer(Credentials::new("c", "t")),
        &Method::GET,
        URL,
        None,
    );
    assert_eq!(header.ext, None);
}

#[test]
fn empty_authorized_scopes_are_sent() {
    let none = authorizer(Credentials::new("c", "t")).with_authorized_scopes(&ScopeSet::default());
    let (text, _) = ext(&parsed(&none, &Method::GET, URL, None));
    assert_eq!(text, r#"{"authorizedScopes":[]}"#);
}

#[test]
fn signature_uses_current_credentials() {
    let cell = CredentialsCell::new(Some(Credentials::new("before", "t")));
    let authorizer = Authorizer::new(cell.watch()).with_authorized_scopes(&ScopeSet::new(["a"]));
    assert_eq!(
        parsed(&authorizer, &Method::GET, URL, None).id.as_deref(),
        Some("before")
    );
    cell.set(Credentials::new("after", "t"));
    assert_eq!(
        parsed(&authorizer, &Method::GET, URL, None).id.as_deref(),
        Some("after")
    );
}

#[test]
fn bewit_is_valid_for_its_lifetime() {
    let authorizer = authorizer(Credentials::new("c", "t").with_certificate("{}"));
    let bewit_of = |lifetime| {
        let signed = authorizer.sign_url(URL, lifetime).expect("signs");
        let (before, bewit) = signed
            .expose()
            .split_once("&bewit=")
            .expect("a bewit after the query");
        assert_eq!(before, URL);
        hawk::Bewit::from_str(bewit).expect("a bewit")
    };
    let url = Url::parse(URL).expect("a URL");
    let request = RequestBuilder::from_url("GET", &url)
        .expect("a request")
        .request();
    let valid = bewit_of(Duration::from_secs(60));
    assert_eq!(valid.id(), "c");
    assert!(request.validate_bewit(&valid, &key("t")));
    assert!(!request.validate_bewit(&valid, &key("u")));
    assert!(!request.validate_bewit(&bewit_of(Duration::ZERO), &key("t")));
}

#[test]
fn signing_without_credentials_is_an_error() {
    let cell = CredentialsCell::new(Some(Credentials::new("c", "t")));
    let (cleared, anonymous) = (cell.watch(), CredentialsWatch::fixed(None));
    cell.clear();
    for credentials in [cleared, anonymous] {
        let authorizer = Authorizer::new(credentials);
        let header = authorizer.sign_header(&Method::GET, URL, None);
        assert!(matches!(header, Err(SignError::NoCredentials)));
        let url = authorizer.sign_url(URL, SKEW);
        assert!(matches!(url, Err(SignError::NoCredentials)));
    }
}

#[test]
fn signature_covers_what_clients_send() {
    let authorizer = authorizer(Credentials::new("c", "t"));
    for (suffix, sent) in [
        ("", ""),
        ("?", "?"),
        ("#frag", ""),
        ("?#frag", "?"),
        ("?a=1", "?a=1"),
        ("?a=1&#frag?x", "?a=1&"),
        ("??", "??"),
    ] {
        let url = format!("https://tc.example.com/x{suffix}");
        let resource = format!("/x{sent}");
        let header = parsed(&authorizer, &Method::GET, &url, None);
        let request = RequestBuilder::new("GET", "tc.example.com", 443, &resource).request();
        assert!(request.validate_header(&header, &key("t"), SKEW), "{url}");

        let signed = authorizer.sign_url(&url, SKEW).expect("signs");
        let signed = Url::parse(signed.expose()).expect("a URL");
        let fragment = Url::parse(&url)
            .expect("a URL")
            .fragment()
            .map(str::to_owned);
        assert_eq!(signed.fragment(), fragment.as_deref(), "{url}");
        let resource = &signed[url::Position::BeforePath..url::Position::AfterQuery];
        let mut bewit = None;
        let request = RequestBuilder::new("GET", "tc.example.com", 443, resource)
            .extract_bewit(&mut bewit)
            .expect("one bewit")
            .request();
        assert!(
            request.validate_bewit(&bewit.expect("a bewit"), &key("t")),
            "{signed}"
        );
    }
}

#[test]
fn any_lifetime_can_be_signed() {
    let authorizer = authorizer(Credentials::new("c", "t"));
    for lifetime in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        authorizer.sign_url(URL, lifetime).expect("signs");
    }
}

#[test]
fn port_keeps_scopes_and_follows_credentials() {
    let cell = CredentialsCell::new(Some(Credentials::new("before", "t")));
    let all: &dyn RequestAuthorizer = &Authorizer::new(cell.watch());
    let limited = all
        .with_authorized_scopes(&ScopeSet::new(["a", "b"]))
        .with_authorized_scopes(&ScopeSet::new(["b", "c"]));
    cell.set(Credentials::new("after", "t"));
    let header = parsed(&*limited, &Method::GET, URL, None);
    assert_eq!(header.id.as_deref(), Some("after"));
    assert_eq!(ext(&header).0, r#"{"authorizedScopes":["b"]}"#);
}

#[test]
fn signing_errors_contain_no_secrets() {
    let cases = [
        (
            Credentials::new("c", "s3cret").with_certificate("not JSON s3cret"),
            URL,
        ),
        (Credentials::new("a\"b", "s3cret"), URL),
        (Credentials::new("c\nd", "s3cret"), URL),
        (Credentials::new("c", "s3cret"), "no url"),
    ];
    for (credentials, url) in cases {
        let error: SignError = authorizer(credentials)
            .sign_header(&Method::GET, url, None)
            .expect_err("cannot sign");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
    let backslash = authorizer(Credentials::new("a\\b", "t")).sign_url(URL, SKEW);
    assert!(matches!(backslash, Err(SignError::ClientId)));
}

#[test]
fn debug_shows_no_secrets() {
    let authorizer = authorizer(Credentials::new("c", "s3cret").with_certificate(r#""s3cret""#));
    let header = authorizer
        .sign_header(&Method::GET, URL, None)
        .expect("signs");
    let shown = format!(
        "{authorizer:?} {header:?} {:?}",
        authorizer.sign_url(URL, SKEW)
    );
    assert!(
        !shown.contains("s3cret") && !shown.contains("mac") && !shown.contains("bewit="),
        "{shown}"
    );
}
