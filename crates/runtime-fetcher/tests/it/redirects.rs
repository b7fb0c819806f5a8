//! Redirects, which never lead away from HTTP.

use runtime_core::error_chain;

use crate::faults::check_broken;
use crate::support::{Server, Step, context, get};

#[tokio::test]
async fn relative_redirects_are_followed() {
    let server = Server::start(|request| match request.path.as_str() {
        "/a/start" => Step::answer("302 Found", &[("Location", "../b/next")], b""),
        "/b/next" => Step::answer("307 Temporary Redirect", &[("Location", "/end")], b""),
        _ => Step::answer("200 OK", &[], b"the end"),
    })
    .await;
    let bytes = get(&context(), &server.url("/a/start"))
        .await
        .expect("redirects are followed");
    assert_eq!(bytes, "the end");
    let paths: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/a/start", "/b/next", "/end"]);
}

#[tokio::test]
async fn redirect_loop_is_a_broken_reference() {
    let server = Server::start(|_| Step::answer("302 Found", &[("Location", "/again")], b"")).await;
    let error = get(&context(), &server.url("/"))
        .await
        .expect_err("redirects loop");
    assert!(error.is_broken_reference());
    assert!(error_chain(&error).contains("more than 10 redirects"));
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn redirect_to_another_scheme_is_refused() {
    let steps = Step::answer("302 Found", &[("Location", "file:///etc/passwd")], b"");
    check_broken(steps, "scheme is neither http nor https").await;
}

#[tokio::test]
async fn redirect_without_location_is_refused() {
    check_broken(Step::answer("302 Found", &[], b""), "missing `Location`").await;
}

#[tokio::test]
async fn raw_location_is_percent_encoded() {
    for (location, path) in [
        (
            "/b\u{fc}cher/\u{65e5}\u{672c}.txt?q=\u{e9}".as_bytes(),
            "/b%C3%BCcher/%E6%97%A5%E6%9C%AC.txt?q=%C3%A9",
        ),
        (b"/b\xfccher", "/b%FCcher"),
        (b"/b%C3%BCcher/a b", "/b%C3%BCcher/a%20b"),
    ] {
        let server = Server::start(move |request| match request.path.as_str() {
            "/" => vec![
                Step::text("HTTP/1.1 302 Found\r\nLocation: "),
                Step::Send(location.to_vec()),
                Step::text("\r\nContent-Length: 0\r\n\r\n"),
            ],
            path => Step::answer("200 OK", &[], path.as_bytes()),
        })
        .await;
        let bytes = get(&context(), &server.url("/")).await;
        assert_eq!(bytes.expect("redirect is followed"), path);
    }
}

#[tokio::test]
async fn invalid_location_is_named_without_its_query() {
    let steps = Step::answer(
        "302 Found",
        &[("Location", "http://a b/x?token=secret")],
        b"",
    );
    check_broken(
        steps,
        "refused redirect to `http://a b/x`: invalid `Location`",
    )
    .await;
}
