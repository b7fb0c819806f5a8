//! A secret in every input, and the check that no sink reveals it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::SystemClock;
use runtime_core::webhook::{Body, Request};
use runtime_core::{Run, Secret, TaskId};
use runtime_ioext::FollowedLog;
use runtime_monitoring::status::{StatusPage, TaskOverview};
use runtime_monitoring::{
    LineFormat, LogBuilder, LogConfig, MonitoringConfig, OtlpConfig, SentryConfig, error_report,
    from_config, push_to_otlp, report_to_sentry,
};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use crate::service::Service;
use crate::status::read;
use crate::support::{Failure, Output};

const SECRET: &str = "hunter\"22";

/// The secret in plain text, JSON, HTML and base64.
const FORMS: [&str; 4] = [SECRET, "hunter\\\"22", "hunter&quot;22", "aHVudGVyIjIy"];

#[track_caller]
fn expect_clean(sink: &str, output: &[u8]) {
    let output = String::from_utf8_lossy(output);
    for form in FORMS {
        assert!(!output.contains(form), "{sink} reveals {form}: {output}");
    }
    assert!(output.contains("[REDACTED]"), "{sink}: {output}");
}

#[tokio::test]
async fn no_sink_reveals_a_secret() {
    let mut config = MonitoringConfig::default();
    config.labels.push("label".to_owned());
    let monitoring = from_config(&config);
    // Added after the monitor was created, as credentials are.
    monitoring.redactor.add(SECRET).expect("long enough");

    // All sinks.
    let mut sentry_service = Service::start(&[]).await;
    let mut otlp_service = Service::start(&[]).await;
    let dsn = format!("http://key@127.0.0.1:{}/42", sentry_service.port);
    let sentry = SentryConfig {
        dsn: Some(Secret::new(dsn)),
        ..SentryConfig::default()
    };
    let sentry = report_to_sentry(&sentry, None, Arc::new(SystemClock::new())).expect("valid");
    monitoring.reporters.add(sentry.reporter());
    let overview = TaskOverview::new(&monitoring.metrics);
    let page = StatusPage::new("worker", &monitoring).tasks(overview.clone());
    let page = page.into_handler();

    // All inputs, for each log format.
    let folder = tempfile::tempdir().expect("a folder");
    let tell = |dispatch: &Dispatch| {
        with_default(dispatch, || {
            let monitor = monitoring.monitor.with_tag("tag", SECRET);
            monitor.info(format_args!("a message with {SECRET}"));
            monitor
                .fields(&[
                    ("text", SECRET.into()),
                    ("display", (&SECRET.to_owned()).into()),
                ])
                .warn("fields");
            let error = Failure(io::Error::other(format!(
                "{SECRET} is wrong, aHVudGVyIjIy too"
            )));
            monitor.report_error(&error, format_args!("used {SECRET}"));
            tracing::info!(header = SECRET, debug = ?Some(SECRET), "an event with {SECRET}");
        });
    };
    for format in [
        LineFormat::Text { colours: true },
        LineFormat::Json,
        LineFormat::WorkerProto,
    ] {
        let output = Output::default();
        let builder = LogBuilder::new(LogConfig::default()).redactor(monitoring.redactor.clone());
        let (dispatch, log) = builder
            .writer(format, output.clone())
            .build()
            .expect("a thread");
        tell(&dispatch);
        drop(log);
        expect_clean(&format!("{format:?}"), output.text().as_bytes());
    }
    for format in [LineFormat::Journald, LineFormat::Syslog] {
        let path = folder.path().join(format!("{format:?}"));
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let builder = LogBuilder::new(LogConfig::default()).redactor(monitoring.redactor.clone());
        let (dispatch, log) = builder.socket(format, &path).build().expect("a thread");
        tell(&dispatch);
        drop(log);
        socket.set_nonblocking(true).expect("a mode");
        let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(length) = socket.recv(&mut buffer) {
            all.extend_from_slice(&buffer[..length]);
        }
        expect_clean(&format!("{format:?}"), &all);
    }

    // Metrics: a label. Tasks: a name and a log.
    monitoring
        .monitor
        .with_tag("label", SECRET)
        .count("used", 1);
    let run = Run {
        task_id: "RmzTkg-8Qj614ea9fI9Jmg".parse::<TaskId>().expect("an id"),
        run_id: 0,
    };
    overview.claimed(&run, SECRET);
    let log = FollowedLog::create(folder.path().join("task.log")).expect("a log");
    io::Write::write_all(&mut log.writer(), format!("echo {SECRET}\n").as_bytes())
        .expect("written");
    overview.log(&run, &log);

    for path in [
        "/",
        "/tasks",
        "/tasks/RmzTkg-8Qj614ea9fI9Jmg/0/log",
        "/metrics",
    ] {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        expect_clean(path, &read(page.handle(request).await).await);
    }
    let otlp = OtlpConfig::new(format!("http://127.0.0.1:{}", otlp_service.port));
    let push = push_to_otlp(
        &otlp,
        monitoring.metrics.clone(),
        monitoring.traces.clone(),
        &BTreeMap::new(),
    )
    .expect("valid");
    push.stop(Duration::from_secs(30)).await;
    expect_clean("otlp", &otlp_service.next().await.body);
    for _ in 0..5 {
        expect_clean("sentry", &sentry_service.next().await.body);
    }
    for incident in monitoring.incidents.list() {
        expect_clean("error-report", error_report(&incident).as_bytes());
    }
    assert!(monitoring.redactor.hits() > 0);
}
