//! Broken connections: going on where the server names exact bytes, starting over where it does not.

use runtime_fetcher::FetchContext;

use crate::support::{Request, Server, Step, body, config, context, context_with, get, impatient};

const LENGTH: usize = 200_000;
const BREAK: usize = 120_000;

/// A server that breaks after `BREAK` bytes of the first answer and supports ranges.
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
    assert!(bytes.expect("the rest comes") == body(LENGTH));
    let requests = server.requests();
    assert_eq!(requests[1].range_start(), Some(BREAK));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
    requests
}

#[tokio::test]
async fn a_body_cut_short_goes_on_where_it_broke() {
    let requests = check_resumes(&context(), Step::Close).await;
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn a_body_that_stalls_goes_on_where_it_stood() {
    check_resumes(&context_with(impatient(config())), Step::Stall).await;
}

async fn check_restarts(validator: Option<&'static str>) {
    let server = breaking(validator, Step::Close).await;
    let bytes = get(&context(), &server.url("/file"))
        .await
        .expect("it comes from the start");
    assert_eq!(bytes, body(LENGTH));
    assert_eq!(server.requests()[1].header("range"), None);
}

#[tokio::test]
async fn without_a_validator_it_starts_over() {
    check_restarts(None).await;
}

#[tokio::test]
async fn a_weak_validator_names_no_exact_bytes_so_it_starts_over() {
    check_restarts(Some("W/\"v1\"")).await;
}

#[tokio::test]
async fn a_reset_connection_is_tried_again() {
    let server = breaking(Some("\"v1\""), Step::Reset).await;
    let bytes = get(&context(), &server.url("/file"))
        .await
        .expect("it comes in the end");
    assert_eq!(bytes, body(LENGTH));
}

/// A server that has other bytes after the first answer broke, and answers the range with `second`.
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
        .expect("the new bytes come");
    assert!(bytes == expected, "not a byte of the old body is left");
}

#[tokio::test]
async fn a_whole_body_in_answer_to_a_range_starts_over() {
    check_changed(|new| Step::answer("200 OK", &[("ETag", "\"v2\"")], new)).await;
}

#[tokio::test]
async fn a_range_of_something_else_is_not_joined_to_what_came() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{LENGTH}", LENGTH - 1);
        let headers = [("ETag", "\"v2\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, &new[BREAK..])
    })
    .await;
}

#[tokio::test]
async fn a_range_from_another_place_is_not_joined_to_what_came() {
    check_changed(|new| {
        let range = format!("bytes 0-{}/{LENGTH}", LENGTH - 1);
        let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
        Step::answer("206 Partial Content", &headers, new)
    })
    .await;
}

#[tokio::test]
async fn a_range_of_another_length_is_not_joined_to_what_came() {
    check_changed(|new| {
        let range = format!("bytes {BREAK}-{}/{}", LENGTH + 6, LENGTH + 7);
        let headers = [("Content-Range", range.as_str())];
        let rest = [&new[BREAK..], b"7 bytes"].concat();
        Step::answer("206 Partial Content", &headers, &rest)
    })
    .await;
}

#[tokio::test]
async fn a_range_that_the_server_does_not_have_starts_over() {
    check_changed(|_| Step::answer("416 Range Not Satisfiable", &[], b"")).await;
}

#[tokio::test]
async fn a_rest_that_does_not_end_where_it_should_is_not_taken_to_its_end() {
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
            let headers = [("Content-Range", range.as_str()), ("Connection", "close")];
            let head = Step::head("206 Partial Content", &headers);
            vec![head, Step::SendForEver(vec![0; 64 * 1024])]
        }
        _ => request.answer("\"v2\"", &bytes),
    })
    .await;
    let fetched = get(&context(), &server.url("/file")).await;
    assert!(fetched.expect("it comes from the start") == body(LENGTH));
    let start = server.requests()[2].range_start();
    assert!(start.is_some_and(|start| start < LENGTH), "{start:?}");
}
