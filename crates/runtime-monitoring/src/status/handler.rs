//! Answers requests for the page and beside it.

use std::borrow::Cow;

use async_trait::async_trait;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_gc::CollectionPlan;
use runtime_ioext::FollowedLog;
use serde_json::json;

use super::StatusPage;
use super::board::{FinishedTask, RunningTask};
use super::page::{Page, SCRIPT, STYLE};
use crate::fields::redacted;
use crate::metrics::OPENMETRICS_CONTENT_TYPE;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Only what comes from the same place runs and shows.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How much of a log the page shows at first.
const TAIL: u64 = 4 * 1024;

/// How much of a log one answer has.
const CHUNK: u64 = 128 * 1024;

pub(super) struct StatusHandler(pub(super) StatusPage);

/// The end of a log.
pub(super) struct Tail {
    pub(super) task_id: String,
    pub(super) run_id: u32,
    pub(super) text: String,
    /// Where in the log it ends.
    pub(super) end: u64,
}

#[async_trait]
impl Handler for StatusHandler {
    async fn handle(&self, request: Request) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET works here\n",
            );
        }
        let path = request.uri().path();
        match path {
            "/" | "" => self.page().await,
            "/style.css" => answer(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            "/live.js" => answer(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            "/metrics" => answer(
                StatusCode::OK,
                OPENMETRICS_CONTENT_TYPE,
                self.0.metrics.to_openmetrics(),
            ),
            "/healthz" => self.health(false),
            "/readyz" => self.health(true),
            "/tasks" => self.tasks(),
            _ => match log_path(path) {
                Some((task_id, run_id)) => self.log(task_id, run_id, request.uri().query()).await,
                None => answer(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n"),
            },
        }
    }
}

impl StatusHandler {
    async fn page(&self) -> Response {
        let mut tails = Vec::new();
        for task in self.0.tasks.running() {
            let Some(log) = self.0.tasks.log_of(&task.task_id, task.run_id) else {
                continue;
            };
            let start = log.len().saturating_sub(TAIL);
            let (text, end) = self.lines(&log, start, TAIL).await;
            // The first line is cut, unless it is the first of the log.
            let cut = if start == 0 {
                0
            } else {
                text.find('\n').map_or(0, |at| at + 1)
            };
            tails.push(Tail {
                text: text[cut..].to_owned(),
                end,
                task_id: task.task_id,
                run_id: task.run_id,
            });
        }
        let page = Page {
            page: &self.0,
            now: Timestamp::now(),
            running: self.running(),
            finished: self.finished(),
            tails,
            explanation: self.explanation(),
        };
        answer(StatusCode::OK, HTML, page.to_string())
    }

    // Incidents are clean already. Names of tasks and resources come from others, and a secret in them has to go before
    // it is escaped for HTML: the redactor would not know it any more.

    fn running(&self) -> Vec<RunningTask> {
        let mut running = self.0.tasks.running();
        running
            .iter_mut()
            .for_each(|task| self.clean(&mut task.name));
        running
    }

    fn finished(&self) -> Vec<FinishedTask> {
        let mut finished = self.0.tasks.finished();
        finished
            .iter_mut()
            .for_each(|task| self.clean(&mut task.name));
        finished
    }

    fn explanation(&self) -> Option<CollectionPlan> {
        let mut explanation = self.0.explain.as_ref()?();
        let resources = explanation.resources.iter_mut();
        resources.for_each(|resource| self.clean(&mut resource.name));
        Some(explanation)
    }

    fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = redacted(Some(&self.0.redactor), text) {
            *text = clean;
        }
    }

    fn health(&self, wants_ready: bool) -> Response {
        let health = &self.0.health;
        let problems = health.problems();
        let (status, text) = if !problems.is_empty() {
            (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
        } else if wants_ready && !health.is_ready() {
            let text = "the worker takes no tasks now\n".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, text)
        } else {
            (StatusCode::OK, "ok\n".to_owned())
        };
        answer(status, TEXT, text)
    }

    fn tasks(&self) -> Response {
        let tasks = json!({"running": self.running(), "finished": self.finished()});
        answer(StatusCode::OK, "application/json", tasks.to_string())
    }

    async fn log(&self, task_id: &str, run_id: u32, query: Option<&str>) -> Response {
        let Some(log) = self.0.tasks.log_of(task_id, run_id) else {
            return answer(StatusCode::NOT_FOUND, TEXT, "no such task runs here\n");
        };
        let offset = query.and_then(|query| query.strip_prefix("offset="));
        let Ok(offset) = offset.unwrap_or("0").parse() else {
            return answer(
                StatusCode::BAD_REQUEST,
                TEXT,
                "the offset must be a number\n",
            );
        };
        let (text, end) = self.lines(&log, offset, CHUNK).await;
        let mut response = answer(StatusCode::OK, TEXT, text);
        response
            .headers_mut()
            .insert("x-next-offset", HeaderValue::from(end));
        response
    }

    /// What is in a log from there on, at most so much, and where that ends.
    ///
    /// Only whole lines, unless one is longer than all that may be: a secret that is split over two answers would not be
    /// found in either.
    async fn lines(&self, log: &FollowedLog, offset: u64, most: u64) -> (String, u64) {
        let stop = log.len().min(offset.saturating_add(most));
        let mut bytes = Vec::new();
        let mut reader = log.reader_at(offset);
        while reader.offset() < stop {
            // A log that broke shows as far as it can be read.
            match reader.next_chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        bytes.truncate((stop.saturating_sub(offset)) as usize);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let is_full = bytes.len() as u64 == most;
        match whole {
            Some(end) => bytes.truncate(end + 1),
            None if is_full || log.is_closed() => {}
            None => bytes.clear(),
        }
        let end = offset.min(log.len()) + bytes.len() as u64;
        let clean = self.0.redactor.redact(&bytes);
        (String::from_utf8_lossy(&clean).into_owned(), end)
    }
}

/// Takes `/tasks/<taskId>/<runId>/log` apart.
fn log_path(path: &str) -> Option<(&str, u32)> {
    let (task_id, rest) = path.strip_prefix("/tasks/")?.split_once('/')?;
    let run_id = rest.strip_suffix("/log")?.parse().ok()?;
    Some((task_id, run_id))
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<bytes::Bytes>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // The address lets whoever has it in, so it goes to nobody else.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}
