//! The formats for worker-runner, journald and syslog.

use runtime_monitoring::{LineFormat, LoggingMonitor, RecentIncidents, Reporters, error_report};
use serde_json::Value;
use tracing::dispatcher::with_default;

use crate::support::{Failure, capture};

#[test]
fn worker_runner_receives_log_messages() {
    let (subscriber, guard, output) = capture(LineFormat::WorkerProto);
    let monitor = LoggingMonitor::new().into_monitor();
    with_default(&subscriber, || {
        let queue = monitor.with_prefix("queue").with_tag("taskId", "a1");
        queue.warn("two\nlines");
        monitor.info("plain");
    });
    drop(guard);
    let text = output.text();
    let messages: Vec<Value> = text
        .lines()
        .map(|line| line.strip_prefix('~').expect("a message of the protocol"))
        .map(|json| serde_json::from_str(json).expect("a JSON object"))
        .collect();
    let body = &messages[0]["body"];
    assert_eq!(messages[0]["type"], "log");
    assert_eq!(body["textPayload"], "queue: two\nlines");
    assert_eq!(body["severity"], "WARNING");
    assert_eq!(body["fields"]["taskId"], "a1");
    assert_eq!(messages[1]["body"]["textPayload"], "plain");
    assert_eq!(messages[1]["body"].get("fields"), None);
    assert_eq!(messages.len(), 2);
}

#[test]
fn incident_becomes_an_error_report() {
    let (reporters, recent) = (Reporters::default(), RecentIncidents::new());
    reporters.add(std::sync::Arc::new(recent.clone()));
    let monitor = LoggingMonitor::new()
        .with_reporters(reporters)
        .into_monitor();
    let id = monitor.report_error(&Failure::new(), "the task ended");
    let line = error_report(&recent.list()[0]);
    let json = line.strip_prefix('~').expect("a message of the protocol");
    let message: Value = serde_json::from_str(json).expect("a JSON object");
    assert_eq!(message["type"], "error-report");
    assert_eq!(message["title"], "the task ended");
    assert_eq!(
        message["description"],
        "the task ended: cannot upload the log: connection reset"
    );
    assert_eq!(message["extra"]["incident"], id.to_string());
}

#[cfg(all(unix, feature = "journald", feature = "syslog"))]
mod sockets {
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use runtime_core::Monitor;
    use runtime_monitoring::{LineFormat, LogBuilder, LogConfig, LoggingMonitor};
    use tracing::dispatcher::with_default;

    /// Runs `log` with a monitor whose log is sent to a socket. Returns the datagrams.
    fn datagrams(format: LineFormat, log: impl FnOnce(Monitor, &Path)) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let builder = LogBuilder::new(LogConfig::default()).socket(format, &path);
        let (subscriber, guard) = builder.build().expect("a thread");
        with_default(&subscriber, || {
            log(LoggingMonitor::new().into_monitor(), &path)
        });
        // Flushes the log.
        drop(guard);
        socket.set_nonblocking(true).expect("a mode");
        let mut buffer = vec![0; 1 << 20];
        std::iter::from_fn(|| {
            let length = socket.recv(&mut buffer).ok()?;
            Some(buffer[..length].to_vec())
        })
        .collect()
    }

    #[test]
    fn journald_receives_an_entry_per_event() {
        let entries = datagrams(LineFormat::Journald, |monitor, _| {
            let queue = monitor.with_prefix("queue").with_tag("taskId", "a1");
            queue
                .fields(&[("bytes", 5.into()), ("path", "two\nlines".into())])
                .error("first\nMESSAGE=second");
            monitor.info("plain");
        });
        assert_eq!(entries.len(), 2);
        let message = b"first\nMESSAGE=second";
        let mut end = b"MESSAGE\n".to_vec();
        end.extend_from_slice(&(message.len() as u64).to_le_bytes());
        end.extend_from_slice(message);
        end.push(b'\n');
        let head = entries[0].strip_suffix(&*end).expect("the message is last");
        let head = std::str::from_utf8(head).expect("text");
        assert_eq!(
            head,
            "PRIORITY=3\nSYSLOG_IDENTIFIER=worker\nTARGET=worker\nPREFIX=queue\n\
             TASK_ID=a1\nBYTES=5\nPATH=two\\nlines\n"
        );
    }

    #[test]
    fn syslog_receives_a_datagram_per_event() {
        let lines = datagrams(LineFormat::Syslog, |monitor, _| {
            monitor.with_prefix("queue").warn("two\nlines");
            monitor.info("plain");
        });
        let lines: Vec<_> = lines
            .into_iter()
            .map(|line| String::from_utf8(line).expect("text"))
            .collect();
        let pid = std::process::id();
        assert_eq!(
            lines,
            [
                format!("<28>worker[{pid}]: queue: two\n    lines\n"),
                format!("<30>worker[{pid}]: plain\n"),
            ]
        );
    }

    #[test]
    fn restarted_daemon_receives_lines_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let builder = LogBuilder::new(LogConfig::default()).socket(LineFormat::Syslog, &path);
        let (subscriber, log) = builder.build().expect("a thread");
        let monitor = LoggingMonitor::new().into_monitor();
        let mut received = Vec::new();
        for round in ["one", "two"] {
            let socket = UnixDatagram::bind(&path).expect("a socket");
            with_default(&subscriber, || monitor.info(round));
            assert!(log.flush());
            let mut buffer = [0; 1024];
            let length = socket.recv(&mut buffer).expect("a line");
            received.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            drop(socket);
            std::fs::remove_file(&path).expect("it was there");
        }
        assert!(received[0].ends_with("one\n") && received[1].ends_with("two\n"));
    }

    #[test]
    fn missing_daemon_only_loses_lines() {
        let path = Path::new("/not/there");
        let builder = LogBuilder::new(LogConfig::default()).socket(LineFormat::Journald, path);
        let (subscriber, log) = builder.build().expect("a thread");
        with_default(&subscriber, || {
            LoggingMonitor::new().into_monitor().info("nobody hears")
        });
        assert!(log.flush());
    }
}
