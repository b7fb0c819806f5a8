//! Text and JSON lines.

use std::sync::{Arc, Mutex};

use runtime_core::Monitor;
use runtime_monitoring::{LineFormat, LogLayer, LoggingMonitor};
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Failure, Output, capture, redactor};

const TEXT: LineFormat = LineFormat::Text { colours: false };

/// Runs `log` with a monitor and returns the written lines.
fn lines(format: LineFormat, log: impl FnOnce(Monitor)) -> String {
    let (subscriber, guard, output) = capture(format);
    let monitor = LoggingMonitor::new()
        .with_tags([("region", "eu")])
        .into_monitor();
    with_default(&subscriber, || log(monitor));
    drop(guard);
    output.text()
}

/// Returns the only line as JSON.
fn json(log: impl FnOnce(Monitor)) -> Value {
    let line = lines(LineFormat::Json, log);
    assert_eq!(line.matches('\n').count(), 1, "{line:?}");
    serde_json::from_str(&line).expect("a line is a JSON object")
}

/// Returns a line without its timestamp.
fn after_time(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, rest)| rest)
}

#[test]
fn text_line_has_all_parts() {
    let line = lines(TEXT, |monitor| {
        monitor
            .with_prefix("queue")
            .with_prefix("claim")
            .with_tag("taskId", "a1")
            .warn("nothing to do");
    });
    assert_eq!(
        after_time(&line),
        "WARN  queue.claim: nothing to do region=eu taskId=a1\n"
    );
}

#[test]
fn fields_apply_to_a_single_line() {
    let text = lines(TEXT, |monitor| {
        let name = String::from("a b");
        monitor
            .fields(&[("bytes", 5_u64.into()), ("file", (&name).into())])
            .info("read");
        monitor.info("done");
    });
    let mut lines = text.lines().map(after_time);
    assert_eq!(lines.next(), Some("INFO  read region=eu bytes=5 file=a b"));
    assert_eq!(lines.next(), Some("INFO  done region=eu"));
}

#[test]
fn json_fields_keep_their_types() {
    let line = json(|monitor| {
        let fields = [
            ("bytes", 5_usize.into()),
            ("ok", true.into()),
            ("share", 0.5.into()),
            ("change", (-3).into()),
            ("region", "us".into()),
            ("odd", f64::NAN.into()),
        ];
        monitor.fields(&fields).info("read");
    });
    let fields = &line["Fields"];
    assert_eq!((&fields["bytes"], &fields["ok"]), (&5.into(), &true.into()));
    assert_eq!(
        (&fields["share"], &fields["change"]),
        (&0.5.into(), &(-3).into())
    );
    assert_eq!(
        (&fields["region"], &fields["odd"]),
        (&"us".into(), &"NaN".into())
    );
}

#[test]
fn library_events_in_a_task_carry_its_tags() {
    let (subscriber, guard, output) = capture(LineFormat::Json);
    let monitor = LoggingMonitor::new()
        .into_monitor()
        .with_tags([("taskId", "a1")]);
    with_default(&subscriber, || {
        let work = monitor.in_span("task", async {
            tracing::info!(target: "http", "connected");
            monitor.info("uploaded");
        });
        futures_executor(work);
    });
    drop(guard);
    let text = output.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object"))
        .collect();
    assert_eq!(lines[0]["Fields"]["taskId"], "a1");
    assert_eq!(lines[0]["Fields"]["name"], "task");
    assert_eq!(text.matches("taskId").count(), 2, "{text}");
}

/// Collects the fields of spans, as another exporter would.
#[derive(Clone, Default)]
struct SpanFields(Arc<Mutex<Vec<(String, String)>>>);

impl tracing::field::Visit for SpanFields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let field = (field.name().to_owned(), format!("{value:?}"));
        self.0.lock().expect("not poisoned").push(field);
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for SpanFields {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        attributes.record(&mut self.clone());
    }
}

#[test]
fn spans_carry_the_task_id() {
    let seen = SpanFields::default();
    let subscriber = Dispatch::new(Registry::default().with(seen.clone()));
    let monitor = LoggingMonitor::new().into_monitor();
    let task = monitor.with_tags([("taskId", "a1"), ("runId", "0")]);
    with_default(&subscriber, || {
        futures_executor(task.in_span("task", async {}));
        futures_executor(monitor.in_span("cleanup", async {}));
    });
    let seen = seen.0.lock().expect("not poisoned");
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let of_task = [
        ("name", "\"task\""),
        ("tags", "taskId=a1 runId=0"),
        ("taskId", "\"a1\""),
        ("runId", "\"0\""),
    ];
    assert_eq!(seen, [&of_task[..], &[("name", "\"cleanup\"")]].concat());
}

/// Runs a future that is always ready.
fn futures_executor<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match work.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the future is pending"),
    }
}

#[test]
fn inner_tag_overrides_outer() {
    let line = lines(TEXT, |monitor| {
        monitor
            .with_tag("region", "us")
            .with_tag("region", "as")
            .info("hi");
    });
    assert_eq!(after_time(&line), "INFO  hi region=as\n");
}

#[test]
fn control_characters_are_escaped() {
    let line = lines(TEXT, |monitor| {
        monitor.info("red \x1b[31m and\nthe next line")
    });
    assert_eq!(
        after_time(&line),
        "INFO  red \\u{1b}[31m and\n    the next line region=eu\n"
    );
}

#[test]
fn colours_are_optional() {
    let line = lines(LineFormat::Text { colours: true }, |monitor| {
        monitor.error("hi")
    });
    assert!(line.contains("\x1b[31mERROR\x1b[0m hi"), "{line:?}");
}

#[test]
fn json_has_the_mozlog_names() {
    let line = json(|monitor| {
        monitor
            .with_prefix("fetch")
            .with_tag("taskId", "a \"quoted\" one")
            .info("line\nbreak \u{1} é");
    });
    assert_eq!(line["Type"], "fetch");
    assert_eq!(line["Logger"], "worker");
    assert_eq!(line["EnvVersion"], "2.0");
    assert_eq!(line["Severity"], 6);
    assert_eq!(line["severity"], "INFO");
    assert_eq!(line["message"], "line\nbreak \u{1} é");
    assert_eq!(line["Fields"]["region"], "eu");
    assert_eq!(line["Fields"]["taskId"], "a \"quoted\" one");
    assert_eq!(line["Pid"], std::process::id());
    assert!(line["Timestamp"].as_u64().expect("nanoseconds") > 1_700_000_000_000_000_000);
}

#[test]
fn incident_line_has_id_and_causes() {
    let mut incident = String::new();
    let line = json(|monitor| {
        incident = monitor
            .report_error(&Failure::new(), "the task ended")
            .to_string();
    });
    assert_eq!(line["severity"], "ERROR");
    assert_eq!(line["message"], "the task ended");
    assert_eq!(line["Fields"]["incident"], incident);
    assert_eq!(
        line["Fields"]["error"],
        "cannot upload the log: connection reset"
    );
}

#[test]
fn warning_report_has_level_warning() {
    let line = json(|monitor| {
        monitor.report_warning(&Failure::new(), "tried again");
    });
    assert_eq!(
        (&line["severity"], &line["Severity"]),
        (&"WARNING".into(), &4.into())
    );
}

#[test]
fn library_events_keep_fields_and_spans() {
    let (subscriber, guard, output) = capture(LineFormat::Json);
    with_default(&subscriber, || {
        let _span = tracing::info_span!("request", method = "GET").entered();
        tracing::info!(target: "http", count = 3, ok = true, share = 0.5, nan = f64::NAN, "done");
    });
    drop(guard);
    let line: Value = serde_json::from_str(&output.text()).expect("a JSON object");
    assert_eq!(line["Type"], "http");
    let fields = &line["Fields"];
    assert_eq!(fields["method"], "GET");
    assert_eq!((&fields["count"], &fields["ok"]), (&3.into(), &true.into()));
    assert_eq!(
        (&fields["share"], &fields["nan"]),
        (&0.5.into(), &"NaN".into())
    );
}

#[test]
fn layers_of_different_formats_share_a_registry() {
    let (text, json) = (Output::default(), Output::default());
    let (text_layer, text_guard) = LogLayer::new(TEXT, text.clone()).expect("a thread");
    let (json_layer, json_guard) = LogLayer::new(LineFormat::Json, json.clone()).expect("a thread");
    let subscriber = Dispatch::new(Registry::default().with(text_layer).with(json_layer));
    with_default(&subscriber, || {
        let _span = tracing::info_span!("request", method = "GET").entered();
        tracing::info!(target: "http", "done");
    });
    drop((text_guard, json_guard));
    assert!(text.text().ends_with("INFO  http: done method=GET\n"));
    assert!(json.text().contains(r#""Fields":{"method":"GET"}"#));
}

#[test]
fn monitor_events_are_redacted() {
    let (subscriber, guard, output) = capture(TEXT);
    let monitor = LoggingMonitor::new()
        .with_tags([("token", "hunter2")])
        .with_redactor(redactor("hunter2"))
        .into_monitor();
    with_default(&subscriber, || {
        monitor
            .with_tag("url", "http://hunter2@host")
            .fields(&[("header", "hunter2".into())])
            .info("logged in with hunter2");
        let error = Failure(std::io::Error::other("hunter2 is wrong"));
        monitor.report_error(&error, "used hunter2");
    });
    drop(guard);
    let text = output.text();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text.matches("[REDACTED]").count(), 7, "{text}");
}

#[test]
fn library_events_are_redacted() {
    let output = Output::default();
    let (layer, guard) = LogLayer::new(LineFormat::Json, output.clone()).expect("a thread");
    let subscriber =
        Dispatch::new(Registry::default().with(layer.with_redactor(redactor("hunter\"2"))));
    with_default(&subscriber, || {
        let _span = tracing::info_span!("login", password = "hunter\"2").entered();
        tracing::info!(header = "hunter\"2", "sent hunter\"2");
        // Events of another crate with the target of monitors.
        tracing::info!(target: "worker", tags = ?"hunter\"2", "said hunter\"2");
    });
    drop(guard);
    let text = output.text();
    assert!(!text.contains("hunter"), "{text}");
    assert_eq!(text.matches("[REDACTED]").count(), 6, "{text}");
}

#[test]
fn value_may_log_while_formatted() {
    struct Chatty<'a>(&'a Monitor);
    impl std::fmt::Display for Chatty<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.info("inner");
            f.write_str("outer")
        }
    }
    let text = lines(TEXT, |monitor| monitor.info(Chatty(&monitor)));
    // `tracing` suppresses events emitted while it handles an event.
    assert_eq!(after_time(&text), "INFO  outer region=eu\n");
}
