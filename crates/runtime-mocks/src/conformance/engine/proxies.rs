//! Claims about proxies.

use std::sync::Arc;

use runtime_core::webhook::{Handler, Request, Response, from_fn};
use runtime_worker::{Capability, Exit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::print;
use crate::conformance::EngineUnderTest;
use crate::conformance::engine_test::{EndedTask, EngineTest, KILL_TIME, assert_refused};
use crate::conformance::script::{REQUEST_PATH, Step};

const VARIABLE: &str = "PROXY_URL";

/// Answers with the path and query of the request.
fn handler() -> Arc<dyn Handler> {
    from_fn(|request: Request| async move {
        let path = request.uri().path_and_query();
        let path = path.map_or_else(String::new, ToString::to_string);
        Response::new(format!("handled {path}\n").into())
    })
}

/// Returns whether the engine supports proxies. If it does not, checks that it refuses them.
async fn has_proxies<U: EngineUnderTest>(test: &EngineTest<U>) -> bool {
    let has = test.has(Capability::Proxies);
    if !has {
        let attached = test.builder().await.attach_proxy(VARIABLE, handler());
        assert_refused(attached);
    }
    has
}

/// Runs a task that requests its proxy. Returns `None` if the task has no means to do so.
async fn request<U: EngineUnderTest>(test: &EngineTest<U>) -> Option<EndedTask> {
    let steps = [Step::Request(VARIABLE.to_owned()), print("end")];
    let ended = test.run_with(&steps, |it| it.attach_proxy(VARIABLE, handler()));
    let ended = ended.await;
    if ended.log.contains("bash: not found") || ended.log.contains("bash: command not found") {
        println!("skipped: the task has no `bash` to send a request");
        return None;
    }
    Some(ended)
}

/// Runs a task that saves the URL of its proxy, and returns this URL.
async fn url<U: EngineUnderTest>(test: &EngineTest<U>) -> (EndedTask, String) {
    let steps = [
        Step::PrintEnv(VARIABLE.to_owned()),
        Step::SaveEnv {
            variable: VARIABLE.to_owned(),
            path: "url".to_owned(),
        },
    ];
    let ended = test.run_with(&steps, |it| it.attach_proxy(VARIABLE, handler()));
    let ended = ended.await;
    let url = ended.read("url").await;
    (ended, url)
}

pub(super) async fn proxy_is_reached<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_proxies(&test).await
        && let Some(ended) = request(&test).await
    {
        assert!(ended.log.contains("handled "), "{}", ended.log);
    }
}

pub(super) async fn proxy_receives_path<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_proxies(&test).await
        && let Some(ended) = request(&test).await
    {
        ended.assert_printed(&format!("handled {REQUEST_PATH}"));
    }
}

pub(super) async fn proxy_url_differs_for_tasks<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_proxies(&test).await {
        let (first, second) = (url(&test).await.1, url(&test).await.1);
        assert!(!first.ends_with('/') && !first.is_empty());
        assert_ne!(first, second);
    }
}

pub(super) async fn proxy_url_is_not_logged<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_proxies(&test).await {
        let (ended, url) = url(&test).await;
        let secret = url.rsplit('/').next().unwrap_or_default();
        assert!(secret.len() >= 16, "the URL can be guessed");
        assert!(!ended.log.contains(secret));
    }
}

pub(super) async fn proxy_ends_with_the_task<U: EngineUnderTest>(test: EngineTest<U>) {
    if has_proxies(&test).await {
        let (ended, url) = url(&test).await;
        drop(ended);
        let address = url.strip_prefix("http://").unwrap_or(&url);
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let Ok(mut stream) = TcpStream::connect(host).await else {
            return;
        };
        let request =
            format!("GET /{path}/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut response = String::new();
        // An error means that the connection was closed.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_string(&mut response).await;
        assert!(!response.contains("handled"), "{response}");
    }
}

pub(super) async fn proxy_is_reached_by_exec<U: EngineUnderTest>(test: EngineTest<U>) {
    if !test.has(Capability::Exec) || !has_proxies(&test).await {
        return;
    }
    let steps = [print("ready"), Step::Wait];
    let task = test.start_with(&steps, |it| it.attach_proxy(VARIABLE, handler()));
    let task = task.await;
    task.printed("ready").await;
    let request = [Step::Request(VARIABLE.to_owned())];
    let started = test.exec(&task, &request, None).await;
    let mut process = started.expect("the command starts");
    let mut text = String::new();
    let read = process.stdout.read_to_string(&mut text).await;
    read.expect("readable output");
    let exit = process.control.wait().await.expect("the engine works");
    task.sandbox.kill(KILL_TIME).await;
    if exit == Exit::Code(127) {
        println!("skipped: the task has no `bash` to send a request");
        return;
    }
    assert!(text.contains(&format!("handled {REQUEST_PATH}")), "{text}");
}
