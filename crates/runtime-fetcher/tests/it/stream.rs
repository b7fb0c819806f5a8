//! Handlers that read while the bytes come.

use std::sync::Mutex;

use runtime_core::error_chain;
use runtime_fetcher::{FetchStream, StreamBroken, StreamError, fetch_as_stream};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::support::{Server, Step, body, context, resolve};

const LENGTH: usize = 500_000;

async fn read_all(mut stream: FetchStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A server that breaks after 300 000 bytes of the first answers, and has no validator.
async fn breaking(times: usize) -> Server {
    Server::start(move |request| {
        let mut steps = Step::answer("200 OK", &[], &body(LENGTH));
        if request.number < times {
            steps[1] = Step::Send(body(300_000));
            steps.push(Step::Close);
        }
        steps
    })
    .await
}

fn url(server: &Server) -> Value {
    json!({ "url": server.url("/") })
}

#[tokio::test]
async fn a_handler_reads_all_that_comes() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let bytes = fetch_as_stream(&*reference, &context, read_all).await;
    assert!(bytes.expect("it is there") == body(LENGTH));
}

#[tokio::test]
async fn a_handler_is_told_of_a_reset_and_called_again() {
    let (server, context) = (breaking(2).await, context());
    let reference = resolve(&context, url(&server)).await;
    let ends = Mutex::new(Vec::new());
    let bytes = fetch_as_stream(&*reference, &context, async |mut stream| {
        let mut bytes = Vec::new();
        loop {
            match stream.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                end => {
                    ends.lock().expect("no test panics here").push(end.clone());
                    return end.map(|_| bytes);
                }
            }
        }
    });
    assert!(bytes.await.expect("it comes in the end") == body(LENGTH));
    let reset = Err(StreamBroken::Reset);
    assert_eq!(
        ends.into_inner().expect("no panic"),
        [reset.clone(), reset, Ok(None)]
    );
}

#[tokio::test]
async fn the_end_of_the_stream_says_that_the_bytes_are_verified() {
    let (server, context) = (breaking(0).await, context());
    let reference = json!({ "url": server.url("/"), "sha256": "0".repeat(64) });
    let reference = resolve(&context, reference).await;
    let calls = Mutex::new(0);
    let error = fetch_as_stream(&*reference, &context, async |stream| {
        *calls.lock().expect("no panic") += 1;
        read_all(stream).await
    });
    match error.await.expect_err("the hash is another") {
        StreamError::Fetch(error) => assert!(error.is_broken_reference(), "{error:?}"),
        StreamError::Handler(error) => {
            panic!("a broken stream is no error of the handler: {error}")
        }
    }
    assert_eq!(
        calls.into_inner().expect("no panic"),
        2,
        "wrong bytes are looked at twice"
    );
}

#[tokio::test]
async fn a_handler_that_has_enough_ends_the_fetch() {
    let endless = Server::start(|_| {
        let head = Step::head("200 OK", &[("Content-Length", "1000000")]);
        vec![head, Step::Send(body(1000)), Step::Stall]
    })
    .await;
    let context = context();
    let reference = resolve(&context, url(&endless)).await;
    let first = fetch_as_stream(&*reference, &context, async |mut stream| {
        let mut first = [0; 10];
        stream.read_exact(&mut first).await.map(|_| first)
    });
    assert_eq!(first.await.expect("ten bytes came")[..], body(10)[..]);
}

#[tokio::test]
async fn a_handler_may_close_its_stream_and_take_its_time() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let result = fetch_as_stream(&*reference, &context, async |stream| {
        drop(stream);
        (0..100).fold((), |(), _| ());
        tokio::task::yield_now().await;
        Ok::<_, StreamBroken>("done")
    });
    assert_eq!(result.await.expect("the handler says so"), "done");
}

#[tokio::test]
async fn an_error_of_the_handler_ends_the_fetch() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let error = fetch_as_stream(&*reference, &context, async |_| {
        Err::<(), _>(std::io::Error::other("no room"))
    });
    let error = error.await.expect_err("the handler fails");
    assert!(matches!(error, StreamError::Handler(_)), "{error:?}");
    assert!(error_chain(&error).contains("no room"));
}

#[tokio::test]
async fn a_fetch_that_fails_breaks_the_stream() {
    let (server, context) = (breaking(usize::MAX).await, context());
    let reference = resolve(&context, url(&server)).await;
    let last = Mutex::new(None);
    let error = fetch_as_stream(&*reference, &context, async |mut stream| {
        loop {
            match stream.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(broken) => {
                    *last.lock().expect("no panic") = Some(broken);
                    return Err(broken);
                }
            }
        }
    });
    let error = error.await.expect_err("it never comes whole");
    assert!(matches!(error, StreamError::Fetch(error) if error.is_transient()));
    assert_eq!(
        last.into_inner().expect("no panic"),
        Some(StreamBroken::Failed)
    );
}

#[tokio::test]
async fn a_stream_given_away_is_told_that_the_fetch_is_dropped() {
    let stalling = Server::start(|_| {
        let head = Step::head("200 OK", &[("Content-Length", "1000000")]);
        vec![head, Step::Send(body(1000)), Step::Stall]
    })
    .await;
    let context = context();
    let reference = resolve(&context, url(&stalling)).await;
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let fetch = fetch_as_stream(&*reference, &context, async |stream| {
        give.send(stream).expect("the test waits for it");
        std::future::pending::<Result<(), StreamBroken>>().await
    });
    let mut stream = tokio::select! {
        _ = fetch => panic!("it stalls"),
        Some(stream) = taken.recv() => stream,
    };
    while let Ok(Some(_)) = stream.chunk().await {}
    assert_eq!(stream.chunk().await, Err(StreamBroken::Cancelled));
}

#[tokio::test]
async fn inline_bytes_stream_too() {
    let context = context();
    let reference = resolve(&context, json!({ "raw": "hello" })).await;
    let bytes = fetch_as_stream(&*reference, &context, read_all).await;
    assert_eq!(bytes.expect("it stands there"), b"hello");
    let empty = resolve(&context, json!({ "raw": "" })).await;
    let bytes = fetch_as_stream(&*empty, &context, read_all).await;
    assert_eq!(bytes.expect("nothing is something"), b"");
}
