//! Traces of tasks, as an OpenTelemetry collector receives them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use runtime_core::Run;
use runtime_core::monitor::TraceId;
use runtime_core::util::hex;
use runtime_mocks::MockMonitor;
use runtime_monitoring::{LoggingMonitor, Metrics, OtlpConfig, TraceQueue, push_to_otlp};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{BlockedTask, TestBed};

/// The time limit of a push, which fails the test instead of letting it hang.
const PUSH_LIMIT: Duration = Duration::from_secs(60);

/// Runs `tasks` with a worker that records traces, and returns the spans that a collector receives.
async fn spans_of(bed: &TestBed, tasks: impl AsyncFnOnce()) -> Vec<Span> {
    let metrics = Metrics::new();
    let traces = TraceQueue::new(&metrics);
    let monitor = LoggingMonitor::new().with_traces(traces.clone());
    let mounts = bed.settings().mounts().open(bed.collector.tracker()).await;
    let worker = bed.worker_with_monitor(monitor.into_monitor());
    let worker = worker.plugin(mounts.expect("open the caches"));
    let running = bed.start(worker);
    tasks().await;
    running.stop().await;
    let collector = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = collector.local_addr().expect("an address").port();
    let config = OtlpConfig::new(format!("http://127.0.0.1:{port}"));
    let push = push_to_otlp(&config, metrics, traces, &BTreeMap::new()).expect("valid");
    let requests = async {
        // Traces are pushed before the metrics.
        let body = receive(&collector, "/v1/traces").await;
        receive(&collector, "/v1/metrics").await;
        body
    };
    let (body, ()) = tokio::join!(requests, push.stop(PUSH_LIMIT));
    let request: ExportTraceServiceRequest = serde_json::from_slice(&body).expect("OTLP");
    request.resource_spans[0].scope_spans[0].spans.clone()
}

/// Accepts one request and returns its body.
async fn receive(collector: &TcpListener, expected: &str) -> Vec<u8> {
    let (stream, _) = collector.accept().await.expect("a connection");
    let mut stream: BufReader<TcpStream> = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await.expect("a head") > 2 {
        head.push_str(&line.to_lowercase());
        line.clear();
    }
    assert!(head.starts_with(&format!("post {expected} ")), "{head}");
    let length = head.split_once("content-length: ").expect("a length").1;
    let length = length.lines().next().expect("a line").trim();
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).await.expect("a body");
    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.get_mut().write_all(response).await.expect("sent");
    body
}

/// The spans of one run.
struct RunSpans<'a> {
    spans: Vec<&'a Span>,
    by_id: HashMap<&'a [u8], &'a Span>,
}

impl<'a> RunSpans<'a> {
    fn of(all: &'a [Span], task_id: &str, run_id: u32) -> Self {
        let task_id = task_id.parse().expect("a task id");
        let trace = TraceId::of(&Run { task_id, run_id }).to_string();
        let spans = all.iter().filter(|span| hex(&span.trace_id) == trace);
        let spans: Vec<_> = spans.collect();
        let by_id = spans.iter().map(|span| (&*span.span_id, *span));
        Self {
            by_id: by_id.collect(),
            spans,
        }
    }

    /// Returns the only span with an attribute of this value.
    fn with(&self, value: &str) -> &'a Span {
        let found = self.spans.iter().filter(|span| {
            let mut values = span.attributes.iter().filter_map(|it| it.value.as_ref());
            values.any(|it| it.value == Some(Text::StringValue(value.to_owned())))
        });
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{value} in {:#?}", self.spans);
        found[0]
    }

    /// Returns the names of a span and of those around it, the innermost first.
    fn path(&self, span: &'a Span) -> Vec<&'a str> {
        let parent = |span: &&'a Span| self.by_id.get(&*span.parent_span_id).copied();
        let path = std::iter::successors(Some(span), parent);
        path.map(|span| &*span.name).collect()
    }

    /// Returns the stages of the task in the order of their starts.
    fn stages(&self) -> Vec<&'a str> {
        let stages = self.spans.iter().filter(|span| self.path(span).len() == 2);
        let mut stages: Vec<_> = stages.collect();
        stages.sort_by_key(|span| span.start_time_unix_nano);
        stages.iter().map(|span| &*span.name).collect()
    }

    fn assert_nested(&self) {
        for span in &self.spans {
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            if let Some(parent) = self.by_id.get(&*span.parent_span_id) {
                assert!(
                    parent.start_time_unix_nano <= span.start_time_unix_nano
                        && span.end_time_unix_nano <= parent.end_time_unix_nano,
                    "{span:#?} is not within {parent:#?}"
                );
            } else {
                assert_eq!(span.name, "task", "only the task has no parent");
            }
        }
    }
}

const STAGES: [&str; 8] = [
    "claim", "prepare", "start", "run", "stopped", "finished", "report", "dispose",
];

#[tokio::test]
async fn trace_shows_stages_inputs_and_artifacts() {
    let bed = TestBed::new().await;
    let (mut maker, mut user) = (String::new(), String::new());
    let spans = spans_of(&bed, async || {
        maker = bed.create(json!({
            "command": ["sh", "-c", "echo precious > a.txt"],
            "artifacts": [{ "name": "public/a.txt", "type": "file", "path": "a.txt" }],
        }));
        bed.resolved(&maker).await;
        let payload = json!({
            "command": ["sh", "-c", "echo parent=$TRACEPARENT; cp a.txt b.txt"],
            "mounts": [{ "content": { "taskId": maker, "artifact": "public/a.txt" }, "file": "a.txt" }],
            "artifacts": [{ "name": "public/b.txt", "type": "file", "path": "b.txt" }],
        });
        user = bed.create_with(json!({ "payload": payload, "dependencies": [maker] }));
        assert_eq!(bed.resolved(&user).await.state_and_reason(), "completed");
    })
    .await;
    let trace = RunSpans::of(&spans, &user, 0);
    trace.assert_nested();
    assert_eq!(trace.stages(), STAGES);
    let fetch = trace.with(&format!("artifact `public/a.txt` of task {maker}/0"));
    assert_eq!(trace.path(fetch), ["fetch", "plugin", "prepare", "task"]);
    let upload = trace.with("public/b.txt");
    assert_eq!(trace.path(upload), ["upload", "stopped", "task"]);
    let log = trace.with("public/logs/live_backing.log");
    assert_eq!(trace.path(log), ["upload", "finished", "task"]);
    let ok = |span: &&Span| {
        span.status
            .as_ref()
            .is_some_and(|it| it.code() == StatusCode::Ok)
    };
    assert!(trace.spans.iter().all(ok), "{:#?}", trace.spans);
    // The processes of the task join the trace.
    let task = trace.with(&user);
    let (trace_id, span_id) = (hex(&task.trace_id), hex(&task.span_id));
    let line = format!("\nparent=00-{trace_id}-{span_id}-01\n");
    let text = bed.log(&user).await;
    assert!(text.contains(&line), "{line} is not in {text}");
    // The other task has its own trace.
    let other = RunSpans::of(&spans, &maker, 0);
    other.assert_nested();
    assert_eq!(spans.len(), trace.spans.len() + other.spans.len());
}

#[tokio::test]
async fn each_run_has_its_own_trace() {
    let bed = TestBed::new().await;
    let mut task_id = String::new();
    let spans = spans_of(&bed, async || {
        task_id = bed.create(json!({
            "command": ["sh", "-c", "test $RUN_ID = 1 || exit 7"],
            "onExitStatus": { "retry": [7] },
        }));
        bed.resolved(&task_id).await;
    })
    .await;
    let messages = |run_id| {
        let run = RunSpans::of(&spans, &task_id, run_id);
        run.assert_nested();
        let failed = run.spans.iter().filter_map(|span| {
            let message = &span.status.as_ref()?.message;
            (!message.is_empty()).then(|| format!("{}: {message}", span.name))
        });
        failed.collect::<Vec<_>>()
    };
    let failed = [
        "command: exit code 7",
        "run: exit code 7",
        "task: exception/intermittent-task",
    ];
    assert_eq!(messages(0), failed);
    assert_eq!(messages(1), [""; 0]);
}

#[tokio::test]
async fn commands_are_steps() {
    let bed = TestBed::new().await;
    let mut task_id = String::new();
    let spans = spans_of(&bed, async || {
        task_id =
            bed.create(json!({ "command": [["true"], ["sleep", "0.1"], ["false"], ["echo"]] }));
        bed.resolved(&task_id).await;
    })
    .await;
    let trace = RunSpans::of(&spans, &task_id, 0);
    trace.assert_nested();
    let commands = ["true", "sleep", "false"].map(|program| trace.with(program));
    for command in commands {
        assert_eq!(trace.path(command), ["command", "run", "task"]);
    }
    let [first, second, third] = commands;
    let message = |span: &Span| span.status.as_ref().map(|it| it.message.clone());
    assert_eq!(message(second).as_deref(), Some(""));
    assert_eq!(message(third).as_deref(), Some("exit code 1"));
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    let duration = second.end_time_unix_nano - second.start_time_unix_nano;
    assert!(duration >= 90_000_000, "{duration} ns");
    let all = trace.spans.iter().filter(|span| span.name == "command");
    assert_eq!(all.count(), 3, "the last one did not run");
}

#[tokio::test]
async fn cancelled_step_has_an_error() {
    let bed = TestBed::new().await;
    let (monitor, recorded) = MockMonitor::new();
    let running = bed.start(bed.worker_with_monitor(monitor));
    let task = BlockedTask::create(&bed);
    bed.wait_for_file(&task.started).await;
    bed.cancel(&task.task_id);
    bed.wait_for_reports(1).await;
    running.stop().await;
    let traces = recorded.traces();
    let failed = traces[0].spans.iter().filter_map(|span| {
        let error = span.error.as_ref()?;
        Some((span.name, &**error))
    });
    let expected = [
        ("command", "dropped before its end"),
        ("run", "dropped before its end"),
        ("task", "exception/canceled"),
    ];
    assert_eq!(failed.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn payload_may_set_its_trace() {
    let bed = TestBed::new().await;
    let (monitor, _recorded) = MockMonitor::new();
    let running = bed.start(bed.worker_with_monitor(monitor));
    let task_id = bed.create(json!({
        "command": ["sh", "-c", "echo parent=$TRACEPARENT"],
        "env": { "TRACEPARENT": "of-the-author" },
    }));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    let log = bed.log(&task_id).await;
    assert!(log.contains("\nparent=of-the-author\n"), "{log}");
    running.stop().await;
}
