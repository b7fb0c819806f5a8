//! Streams for handlers.

use std::sync::Mutex;

use runtime_core::error_chain;
use std::time::Duration;

use runtime_fetcher::stream::{self, FetchStream, StreamBroken, StreamError};
use runtime_fetcher::{FetchContext, Reference};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::support::{Server, Step, body, context, resolve, soon};

const LENGTH: usize = 500_000;

/// Streams a reference to a handler, and fails the test that would otherwise hang.
async fn fetch_as_stream<T, E>(
    reference: &dyn Reference,
    context: &FetchContext,
    handler: impl AsyncFnMut(FetchStream) -> Result<T, E>,
) -> Result<T, StreamError<E>> {
    soon(stream::fetch_as_stream(reference, context, handler)).await
}

async fn read_all(mut stream: FetchStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Starts a server without entity tags that ends the first responses after 300 000 bytes.
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
async fn handler_reads_the_whole_body() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let bytes = fetch_as_stream(&*reference, &context, read_all).await;
    assert!(bytes.expect("fetch succeeds") == body(LENGTH));
}

#[tokio::test]
async fn reset_calls_the_handler_again() {
    let (server, context) = (breaking(2).await, context());
    let reference = resolve(&context, url(&server)).await;
    let ends = Mutex::new(Vec::new());
    let bytes = fetch_as_stream(&*reference, &context, async |mut stream| {
        let mut bytes = Vec::new();
        loop {
            match stream.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                end => {
                    ends.lock().expect("lock is not poisoned").push(end.clone());
                    return end.map(|_| bytes);
                }
            }
        }
    });
    assert!(bytes.await.expect("fetch succeeds") == body(LENGTH));
    let reset = Err(StreamBroken::Reset);
    assert_eq!(
        ends.into_inner().expect("lock is not poisoned"),
        [reset.clone(), reset, Ok(None)]
    );
}

#[tokio::test]
async fn stream_ends_only_after_verification() {
    let (server, context) = (breaking(0).await, context());
    let reference = json!({ "url": server.url("/"), "sha256": "0".repeat(64) });
    let reference = resolve(&context, reference).await;
    let calls = Mutex::new(0);
    let error = fetch_as_stream(&*reference, &context, async |stream| {
        *calls.lock().expect("lock is not poisoned") += 1;
        read_all(stream).await
    });
    match error.await.expect_err("hash differs") {
        StreamError::Fetch(error) => assert!(error.is_broken_reference(), "{error:?}"),
        StreamError::Handler(error) => {
            panic!("reported as an error of the handler: {error}")
        }
    }
    assert_eq!(
        calls.into_inner().expect("lock is not poisoned"),
        2,
        "wrong bytes are fetched twice"
    );
}

#[tokio::test]
async fn early_result_ends_the_fetch() {
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
    assert_eq!(
        first.await.expect("ten bytes are received")[..],
        body(10)[..]
    );
}

#[tokio::test]
async fn handler_may_outlive_its_stream() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let result = fetch_as_stream(&*reference, &context, async |stream| {
        drop(stream);
        (0..100).fold((), |(), _| ());
        tokio::task::yield_now().await;
        Ok::<_, StreamBroken>("done")
    });
    assert_eq!(result.await.expect("handler succeeds"), "done");
}

#[tokio::test]
async fn handler_error_ends_the_fetch() {
    let (server, context) = (breaking(0).await, context());
    let reference = resolve(&context, url(&server)).await;
    let error = fetch_as_stream(&*reference, &context, async |_| {
        Err::<(), _>(std::io::Error::other("no room"))
    });
    let error = error.await.expect_err("handler fails");
    assert!(matches!(error, StreamError::Handler(_)), "{error:?}");
    assert!(error_chain(&error).contains("no room"));
}

#[tokio::test]
async fn failed_fetch_breaks_the_stream() {
    let (server, context) = (breaking(usize::MAX).await, context());
    let reference = resolve(&context, url(&server)).await;
    let last = Mutex::new(None);
    let error = fetch_as_stream(&*reference, &context, async |mut stream| {
        loop {
            match stream.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(broken) => {
                    *last.lock().expect("lock is not poisoned") = Some(broken);
                    return Err(broken);
                }
            }
        }
    });
    let error = error.await.expect_err("server always breaks");
    assert!(matches!(error, StreamError::Fetch(error) if error.is_transient()));
    assert_eq!(
        last.into_inner().expect("lock is not poisoned"),
        Some(StreamBroken::Failed)
    );
}

#[tokio::test]
async fn dropped_fetch_cancels_a_moved_stream() {
    let stalling = Server::start(|_| {
        let head = Step::head("200 OK", &[("Content-Length", "1000000")]);
        vec![head, Step::Send(body(1000)), Step::Stall]
    })
    .await;
    let context = context();
    let reference = resolve(&context, url(&stalling)).await;
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let fetch = fetch_as_stream(&*reference, &context, async |stream| {
        give.send(stream).expect("receiver is alive");
        std::future::pending::<Result<(), StreamBroken>>().await
    });
    let mut stream = tokio::select! {
        _ = fetch => panic!("server stalls"),
        Some(stream) = taken.recv() => stream,
    };
    let read = async { while let Ok(Some(_)) = stream.chunk().await {} };
    let read = tokio::time::timeout(Duration::from_secs(60), read);
    read.await.expect("the stream ends");
    assert_eq!(stream.chunk().await, Err(StreamBroken::Cancelled));
}

#[tokio::test]
async fn inline_bytes_are_streamed() {
    let context = context();
    let reference = resolve(&context, json!({ "raw": "hello" })).await;
    let bytes = fetch_as_stream(&*reference, &context, read_all).await;
    assert_eq!(bytes.expect("bytes are inline"), b"hello");
    let empty = resolve(&context, json!({ "raw": "" })).await;
    let bytes = fetch_as_stream(&*empty, &context, read_all).await;
    assert_eq!(bytes.expect("empty body is valid"), b"");
}
