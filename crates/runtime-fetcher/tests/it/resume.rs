//! Broken connections: resumed with a strong entity tag, restarted without.

use runtime_fetcher::FetchContext;

use crate::support::{Request, Server, Step, body, config, context, context_with, get, impatient};

const LENGTH: usize = 200_000;
const BREAK: usize = 120_000;

/// Starts a server that supports ranges and ends the first response after `BREAK` bytes.
async fn breaking(validator: Option<&'static str>, end: Step) -> Server {
    let bytes = body(LENGTH);
    Server::start(move |request| {
        let mut headers = vec![("Content-Length", LENGTH.to_string())];
        headers.extend(validator.map(|tag| ("ETag", tag.to_owned())));
        if request.number == 0 {
            return vec![
                head("200 OK", &headers),
                Step::Send(bytes[..BREAK].to_vec()),
                end.clone(),
            ];
        }
        rest(request, &bytes, validator)
    })
    .await
}

fn rest(request: &Request, bytes: &[u8], validator: Option<&'static str>) -> Vec<Step> {
    let tag = validator.map(|tag| ("ETag", tag));
    match request.range_start() {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", LENGTH - 1, LENGTH);
            let mut headers = vec![("Content-Range", range.as_str())];
            headers.extend(tag);
            Step::answer("206 Partial Content", &headers, &bytes[start..])
        }
        None => Step::answer("200 OK", &tag.into_iter().collect::<Vec<_>>(), bytes),
    }
}

fn head(status: &str, headers: &[(&str, String)]) -> Step {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Step::head(status, &headers)
}

async fn check_resumes(context: &FetchContext, end: Step) -> Vec<Request> {
    let server = breaking(Some("\"v1\""), end).await;
    let bytes = get(context, &server.url("/file")).await;
    assert!(bytes.expect("fetch succeeds") == body(LENGTH));
    let requests = server.requests();
    assert_eq!(requests[1].range_start(), Some(BREAK));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
    requests
}

#[tokio::test]
async fn truncated_body_is_resumed() {
    let requests = check_resumes(&context(), Step::Close).await;
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn stalled_body_is_resumed() {
    check_resumes(&context_with(impatient(config())), Step::Stall).await;
}

async fn check_restarts(validator: Option<&'static str>) {
    let server = breaking(validator, Step::Close).await;
    let bytes = get(&context(), &server.url("/file"))
        .await
        .expect("fetch succeeds");
    assert_eq!(bytes, body(LENGTH));
    assert_eq!(server.requests()[1].header("range"), None);
}

#[tokio::test]
async fn missing_tag_restarts() {
    check_restarts(None).await;
}

#[tokio::test]
async fn weak_tag_restarts() {
    check_restarts(Some("W/\"v1\"")).await;
}

#[tokio::test]
async fn reset_connection_is_retried() {
    let server = breaking(Some("\"v1\""), Step::Reset).await;
    let bytes = get(&context(), &server.url("/file"))
        .await
        .expect("fetch succeeds");
    assert_eq!(bytes, body(LENGTH));
}

/// Checks a server whose body changes after the first response broke, and which answers the range with `second`.
async fn check_changed(second: impl Fn(&[u8]) -> Vec<Step> + Send + Sync + 'static) {
    let old = body(LENGTH);
    let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
    let expected = new.clone();
    let server = Server::start(move |request| match request.number {
        0 => vec![
            head(
                "200 OK",
                &[
                    ("Content-Length", LENGTH.to_string()),
                    ("ETag", "\"v1\"".into()),
                ],
            ),
            Step::Send(old[..BREAK].to_vec()),
            Step::Close,
        ],
        1 => second(&new),
        _ => Step::answer("200 OK", &[("ETag", "\"v2\"")], &new),
    })
    .await;
    let bytes = get(&context(), &server.url("/file"))
        .await
        .expect("fetch succeeds");
    assert!(bytes == expected, "contains bytes of the old body");
}

#[tokio::test]
async fn whole_body_for_a_range_restarts() {
    check_changed(|new| Step::answer("200 OK", &[("ETag", "\"v2\"")], new)).await;
}

#[tokio::test]
async fn range_with_another_tag_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
        let headers = [("ETag", "\"v2\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

#[tokio::test]
async fn range_with_wrong_start_restarts() {
    check_changed(|new| {
        let range = format!("bytes 0-{}/{LENGTH}", LENGTH - 1);
        let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, new)
    })
    .await;
}

#[tokio::test]
async fn range_with_wrong_total_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{}", LENGTH + 6, LENGTH + 7);
        let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
        let rest = [&new[BREAK..], b"7 bytes"].concat();
        Step::answer("206 Partial Content", &headers, &rest)
    })
    .await;
}

#[tokio::test]
async fn refused_range_restarts() {
    for status in [
        "304 Not Modified",
        "400 Bad Request",
        "403 Forbidden",
        "412 Precondition Failed",
        "416 Range Not Satisfiable",
    ] {
        check_changed(move |_| Step::answer(status, &[], b"")).await;
    }
}

#[tokio::test]
async fn range_without_tag_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
        let headers = [("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

#[tokio::test]
async fn range_with_weak_tag_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
        let headers = [("ETag", "W/\"v1\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

#[tokio::test]
async fn rest_with_status_200_restarts() {
    for tag in ["\"v1\"", "\"v2\""] {
        check_changed(move |new| {
            let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
            let headers = [("ETag", tag), ("Content-Range", range.as_str())];
            Step::answer("200 OK", &headers, &new[BREAK..])
        })
        .await;
        check_changed(move |new| Step::answer("200 OK", &[("ETag", tag)], &new[BREAK..])).await;
    }
}

#[tokio::test]
async fn range_of_another_encoding_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
        let headers = [
            ("ETag", "\"v1\""),
            ("Content-Encoding", "gzip"),
            ("Content-Range", range.as_str()),
        ];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

#[tokio::test]
async fn range_of_unknown_total_restarts() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/*", LENGTH - 1);
        let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

/// Returns a response of unknown length with the tag `v1` that ends after `BREAK` bytes.
fn cut_chunked(bytes: &[u8]) -> Vec<Step> {
    let headers = [("ETag", "\"v1\""), ("Transfer-Encoding", "chunked")];
    vec![
        Step::head("200 OK", &headers),
        Step::text(format!("{BREAK:x}\r\n")),
        Step::Send(bytes[..BREAK].to_vec()),
        Step::text("\r\n"),
        Step::Close,
    ]
}

#[tokio::test]
async fn body_of_unknown_length_is_resumed() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.number {
        0 => cut_chunked(&bytes),
        _ => request.answer("\"v1\"", &bytes),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("fetch succeeds") == body(LENGTH));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn part_of_the_rest_is_not_the_end() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.number {
        0 => cut_chunked(&bytes),
        1 => {
            let end = BREAK + 1000;
            let range = format!("bytes {BREAK}-{}/*", end - 1);
            let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
            Step::answer("206 Partial Content", &headers, &bytes[BREAK..end])
        }
        _ => request.answer("\"v1\"", &bytes),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("fetch succeeds") == body(LENGTH));
}

#[tokio::test]
async fn mirrors_with_equal_tags_are_not_mixed() {
    let (old, new) = (body(LENGTH), vec![7; LENGTH]);
    let server = Server::start(move |request| match (&*request.path, request.number) {
        ("/file", 0) => Step::answer("302 Found", &[("Location", "/old/file")], b""),
        ("/file", _) => Step::answer("302 Found", &[("Location", "/new/file")], b""),
        ("/old/file", _) => {
            let mut steps = request.answer("\"v1\"", &old);
            steps[1] = Step::Send(old[..BREAK].to_vec());
            steps.push(Step::Close);
            steps
        }
        _ => request.answer("\"v1\"", &new),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("fetch succeeds") == vec![7; LENGTH]);
}

#[tokio::test]
async fn part_of_a_body_is_not_the_whole() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.number {
        0 => {
            let range = format!("bytes 0-{}/{LENGTH}", BREAK - 1);
            Step::answer("200 OK", &[("Content-Range", &range)], &bytes[..BREAK])
        }
        _ => Step::answer("200 OK", &[], &bytes),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("fetch succeeds") == body(LENGTH));
}

#[tokio::test]
async fn endless_rest_is_cut_at_its_end() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.number {
        0 => {
            let mut steps = request.answer("\"v1\"", &bytes);
            steps[1] = Step::Send(bytes[..BREAK].to_vec());
            steps.push(Step::Close);
            steps
        }
        1 => {
            let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
            let headers = [
                ("ETag", "\"v1\""),
                ("Content-Range", range.as_str()),
                ("Connection", "close"),
            ];
            let head = Step::head("206 Partial Content", &headers);
            vec![head, Step::SendForEver(vec![0; 64 * 1024])]
        }
        _ => request.answer("\"v2\"", &bytes),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("fetch succeeds") == body(LENGTH));
    let start = server.requests()[2].range_start();
    assert!(start.is_some_and(|start| start < LENGTH), "{start:?}");
}
