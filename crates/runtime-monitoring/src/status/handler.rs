//! Serves the page and the other paths.

use std::borrow::Cow;

use async_trait::async_trait;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_gc::CollectionPlan;
use serde_json::json;

use super::html::{self, PageContent, RunningTaskView};
use super::log_excerpt::LogExcerpt;
use super::overview::{FinishedTask, RunningTask};
use super::page::{MonitoringPaths, StatusPage};
use crate::fields::redacted;
use crate::metrics::OPENMETRICS_CONTENT_TYPE;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";

const STYLE: &str = include_str!("style.css");

/// Refreshes the elements with `data-live` and appends to the logs.
const SCRIPT: &str = include_str!("live.js");

/// Only the page's own script and style sheet. A second line of defence behind escaping: the page quotes text of tasks.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The maximum bytes of a log per response.
const LOG_CHUNK_BYTES: u64 = 128 * 1024;

#[async_trait]
impl Handler for StatusPage {
    async fn handle(&self, request: Request) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let text = "method not allowed\n";
            return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        }
        let path = request.uri().path();
        if let Some(response) = self.probe(path) {
            return response;
        }
        match path {
            "/" | "" => self.page().await,
            "/style.css" => respond(StatusCode::OK, CSS, STYLE),
            "/live.js" => respond(StatusCode::OK, JAVASCRIPT, SCRIPT),
            "/tasks" => self.task_list(),
            _ => match LogPath::parse(path) {
                Some(path) => self.log(&path, request.uri().query()).await,
                None => not_found(),
            },
        }
    }
}

#[async_trait]
impl Handler for MonitoringPaths {
    async fn handle(&self, request: Request) -> Response {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let response = is_read.then(|| self.0.probe(request.uri().path()));
        response.flatten().unwrap_or_else(not_found)
    }
}

impl StatusPage {
    async fn page(&self) -> Response {
        let mut running = Vec::new();
        for task in self.running_tasks() {
            let log = self.tasks.log_of(&task.task_id, task.run_id);
            let log_tail = match log {
                Some(log) => Some(LogExcerpt::read_tail(&log, &self.redactor).await),
                None => None,
            };
            running.push(RunningTaskView { task, log_tail });
        }
        let content = PageContent {
            page: self,
            now: Timestamp::now(),
            running,
            finished: self.finished_tasks(),
            collection_plan: self.redacted_plan(),
        };
        respond(StatusCode::OK, HTML, html::page(&content).into_string())
    }

    // Incidents are redacted when they are reported. The names of tasks and resources are not, and must be redacted before
    // they are escaped for HTML: the redactor would not recognize an escaped secret.

    fn running_tasks(&self) -> Vec<RunningTask> {
        let mut running = self.tasks.running();
        running
            .iter_mut()
            .for_each(|task| self.redact(&mut task.name));
        running
    }

    fn finished_tasks(&self) -> Vec<FinishedTask> {
        let mut finished = self.tasks.finished();
        finished
            .iter_mut()
            .for_each(|task| self.redact(&mut task.name));
        finished
    }

    fn redacted_plan(&self) -> Option<CollectionPlan> {
        let mut plan = self.collection_plan.as_ref()?();
        let resources = plan.resources.iter_mut();
        resources.for_each(|resource| self.redact(&mut resource.name));
        Some(plan)
    }

    fn redact(&self, text: &mut String) {
        if let Cow::Owned(clean) = redacted(Some(&self.redactor), text) {
            *text = clean;
        }
    }

    /// Responds to the paths of monitoring systems.
    fn probe(&self, path: &str) -> Option<Response> {
        Some(match path {
            "/metrics" => {
                let text = self.metrics.to_openmetrics();
                respond(StatusCode::OK, OPENMETRICS_CONTENT_TYPE, text)
            }
            "/healthz" => self.healthz(),
            "/readyz" => self.readyz(),
            _ => return None,
        })
    }

    fn healthz(&self) -> Response {
        let problems = self.health.problems();
        if problems.is_empty() {
            return respond(StatusCode::OK, TEXT, "ok\n");
        }
        let text = problems.join("\n") + "\n";
        respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
    }

    fn readyz(&self) -> Response {
        if self.health.is_alive() && !self.health.is_ready() {
            let text = "the worker does not accept tasks\n";
            return respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
        }
        self.healthz()
    }

    fn task_list(&self) -> Response {
        let tasks = json!({"running": self.running_tasks(), "finished": self.finished_tasks()});
        respond(StatusCode::OK, JSON, tasks.to_string())
    }

    async fn log(&self, path: &LogPath<'_>, query: Option<&str>) -> Response {
        let Some(log) = self.tasks.log_of(path.task_id, path.run_id) else {
            return respond(StatusCode::NOT_FOUND, TEXT, "no such running task\n");
        };
        let offset = query.and_then(|query| query.strip_prefix("offset="));
        let Ok(offset) = offset.unwrap_or("0").parse() else {
            return respond(StatusCode::BAD_REQUEST, TEXT, "invalid offset\n");
        };
        let excerpt = LogExcerpt::read(&log, &self.redactor, offset, LOG_CHUNK_BYTES).await;
        let mut response = if path.is_html {
            let lines = html::log_lines(&excerpt.text).into_string();
            respond(StatusCode::OK, HTML, lines)
        } else {
            respond(StatusCode::OK, TEXT, excerpt.text)
        };
        let headers = response.headers_mut();
        headers.insert("x-next-offset", HeaderValue::from(excerpt.end));
        response
    }
}

/// The path of a log: `/tasks/<taskId>/<runId>/log`, or `log.html` for the markup of the page.
struct LogPath<'a> {
    task_id: &'a str,
    run_id: u32,
    is_html: bool,
}

impl<'a> LogPath<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let (task_id, rest) = path.strip_prefix("/tasks/")?.split_once('/')?;
        let (run_id, name) = rest.split_once('/')?;
        Some(Self {
            task_id,
            run_id: run_id.parse().ok()?,
            is_html: match name {
                "log" => false,
                "log.html" => true,
                _ => return None,
            },
        })
    }
}

fn not_found() -> Response {
    respond(StatusCode::NOT_FOUND, TEXT, "not found\n")
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<bytes::Bytes>,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_POLICY),
    );
    // The URL of a hook grants access to it, so it must not reach other sites as a referrer.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}
