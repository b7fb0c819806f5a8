//! The status page and its other paths.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use runtime_core::webhook::{Body, Handler, Request, Response};
use runtime_core::{Run, TaskId};
use runtime_gc::{Disk, Memory, Stat, Stats, SystemStats};
use runtime_ioext::FollowedLog;
use runtime_monitoring::status::{GaugeHistory, Health, StatusPage, TaskOverview};
use runtime_monitoring::{
    MachineGauges, MonitoringConfig, MonitoringParts, OPENMETRICS_CONTENT_TYPE, from_config,
};
use serde_json::Value;

use crate::support::Failure;

pub(crate) async fn read(response: Response) -> Vec<u8> {
    let body = response.into_body().collect().await.expect("a body");
    body.to_bytes().to_vec()
}

async fn get(page: &dyn Handler, path: &str) -> Response {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().expect("a path");
    page.handle(request).await
}

async fn text(page: &dyn Handler, path: &str) -> String {
    let response = get(page, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    String::from_utf8(read(response).await).expect("text")
}

fn monitoring() -> MonitoringParts {
    from_config(&MonitoringConfig::default())
}

fn run() -> Run {
    Run {
        task_id: "RmzTkg-8Qj614ea9fI9Jmg".parse::<TaskId>().expect("an id"),
        run_id: 0,
    }
}

const LOG: &str = "/tasks/RmzTkg-8Qj614ea9fI9Jmg/0/log";

#[tokio::test(start_paused = true)]
async fn liveness_and_readiness_are_independent() {
    let health = Health::new();
    let page = StatusPage::new("w", &monitoring()).health(health.clone());
    let page = page.into_handler();
    let status = async |path: &str| get(&*page, path).await.status();
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    health.set_ready(true);
    assert_eq!(status("/readyz").await, StatusCode::OK);

    let heartbeat = health.heartbeat("the claim loop", Duration::from_secs(60));
    tokio::time::advance(Duration::from_secs(61)).await;
    let response = get(&*page, "/healthz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let reason = String::from_utf8(read(response).await).expect("text");
    assert_eq!(reason, "no heartbeat from the claim loop for 61 s\n");
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    heartbeat.beat();
    assert_eq!(status("/readyz").await, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(61)).await;
    drop(heartbeat);
    assert_eq!(status("/healthz").await, StatusCode::OK);
}

#[tokio::test]
async fn tasks_are_listed_and_counted_by_state() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    let page = StatusPage::new("w", &monitoring).tasks(overview.clone());
    let page = page.into_handler();
    let gauges = || {
        let gauges = monitoring.metrics.snapshot().gauges;
        let tasks = gauges.iter().filter(|gauge| gauge.name == "tasks");
        tasks.map(|gauge| gauge.value).collect::<Vec<_>>()
    };
    assert_eq!(gauges(), [0.0, 0.0]);
    overview.claimed(&run(), "build <all>");
    assert_eq!(gauges(), [1.0, 0.0]);
    overview.started(&run());
    assert_eq!(gauges(), [0.0, 1.0]);
    let tasks: Value = serde_json::from_str(&text(&*page, "/tasks").await).expect("JSON");
    let task = &tasks["running"][0];
    assert_eq!(
        (&task["taskId"], &task["runId"]),
        (&"RmzTkg-8Qj614ea9fI9Jmg".into(), &0.into())
    );
    assert_eq!(
        (&task["name"], &task["state"]),
        (&"build <all>".into(), &"running".into())
    );
    assert!(text(&*page, "/").await.contains("build &lt;all&gt;"));

    overview.resolved(&run(), "completed");
    assert_eq!(gauges(), [0.0, 0.0]);
    let tasks: Value = serde_json::from_str(&text(&*page, "/tasks").await).expect("JSON");
    assert_eq!(tasks["running"], serde_json::json!([]));
    assert_eq!(tasks["finished"][0]["resolution"], "completed");
}

#[tokio::test]
async fn log_is_served_in_whole_lines() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    let page = StatusPage::new("w", &monitoring).tasks(overview.clone());
    let page = page.into_handler();
    assert_eq!(get(&*page, LOG).await.status(), StatusCode::NOT_FOUND);
    let folder = tempfile::tempdir().expect("a folder");
    let log = FollowedLog::create(folder.path().join("log")).expect("a log");
    overview.claimed(&run(), "build");
    overview.log(&run(), &log);
    let writer = log.writer();
    writer.write_all(b"one\ntw").expect("written");
    let next = async |offset: u64| {
        let response = get(&*page, &format!("{LOG}?offset={offset}")).await;
        let end: u64 = response.headers()["x-next-offset"]
            .to_str()
            .expect("text")
            .parse()
            .expect("a number");
        (String::from_utf8(read(response).await).expect("text"), end)
    };
    assert_eq!(next(0).await, ("one\n".to_owned(), 4));
    assert_eq!(next(4).await, (String::new(), 4));
    writer.write_all(b"o\nthree").expect("written");
    assert_eq!(next(4).await, ("two\n".to_owned(), 8));
    drop(writer);
    log.close().expect("closed");
    assert_eq!(next(8).await, ("three".to_owned(), 13));
    assert_eq!(next(500).await, (String::new(), 13));
    let wrong = get(&*page, &format!("{LOG}?offset=x")).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn endless_line_is_served_in_parts() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    let page = StatusPage::new("w", &monitoring).tasks(overview.clone());
    let page = page.into_handler();
    let folder = tempfile::tempdir().expect("a folder");
    let log = FollowedLog::create(folder.path().join("log")).expect("a log");
    overview.claimed(&run(), "build");
    overview.log(&run(), &log);
    log.writer()
        .write_all(&vec![b'x'; 300_000])
        .expect("written");
    assert_eq!(text(&*page, LOG).await.len(), 128 * 1024);
    // The page shows its end, although it has no complete line.
    assert!(text(&*page, "/").await.contains("xxxx"));
}

#[derive(Debug)]
struct Machine;

impl SystemStats for Machine {
    fn read(&self) -> Stats {
        let disk = Disk::new(100 << 30, 25 << 30).with_inodes(1000, 900);
        let memory = Memory::new(16 << 30, 4 << 30);
        Stats::new(Stat::Known(disk), Stat::Known(memory))
    }
}

#[tokio::test]
async fn page_shows_machine_incidents_and_health() {
    let monitoring = monitoring();
    let (health, history) = (Health::new(), GaugeHistory::new());
    health.set_ready(true);
    MachineGauges::new(Machine).sample(&monitoring.metrics);
    let now = runtime_core::Timestamp::now();
    for minutes in 0..10 {
        let at = now - jiff::SignedDuration::from_mins(minutes);
        history.add(at, &monitoring.metrics.snapshot());
    }
    let id = monitoring
        .monitor
        .with_tag("taskId", "a1")
        .report_error(&Failure::new(), "the <task> ended");
    let page = StatusPage::new("worker-1", &monitoring)
        .health(health)
        .history(history);
    let html = text(&*page.into_handler(), "/").await;
    for part in [
        "<h1>worker-1</h1>",
        ">ready<",
        "Disk free<b>25.0 GiB</b>",
        "of 100 GiB",
        "Memory available<b>4.0 GiB</b>",
        "class=\"line a\"",
        "the &lt;task&gt; ended",
        "cannot upload the log",
        "<li>connection reset",
        "taskId=a1",
        &id.to_string(),
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
}

#[tokio::test]
async fn running_task_links_to_its_page_and_live_log() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    overview.claimed(&run(), "build");
    overview.live_log(&run(), "http://127.0.0.1:5/log/");
    let page = StatusPage::new("w", &monitoring)
        .tasks(overview.clone())
        .capacity(4)
        .root_url("https://tc.example.com/")
        .into_handler();
    let html = text(&*page, "/").await;
    let link = "<a href=\"https://tc.example.com/tasks/RmzTkg-8Qj614ea9fI9Jmg\"><code>RmzTkg-8Qj614ea9fI9Jmg/0</code></a>";
    for part in [
        link,
        "href=\"http://127.0.0.1:5/log/\">live log</a>",
        "<span class=\"count\">1 of 4</span>",
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
    let tasks: Value = serde_json::from_str(&text(&*page, "/tasks").await).expect("JSON");
    assert_eq!(tasks["running"][0]["liveLog"], "http://127.0.0.1:5/log/");
    overview.resolved(&run(), "completed");
    assert!(text(&*page, "/").await.contains(link));
}

#[tokio::test]
async fn log_tail_shows_colours_and_overwritten_lines() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    let page = StatusPage::new("w", &monitoring).tasks(overview.clone());
    let page = page.into_handler();
    let folder = tempfile::tempdir().expect("a folder");
    let log = FollowedLog::create(folder.path().join("log")).expect("a log");
    overview.claimed(&run(), "build");
    overview.log(&run(), &log);
    let bytes = b"10%\r20%\r30%\n\x1b[31m<red>\x1b[0m\n";
    log.writer().write_all(bytes).expect("written");
    let lines = "30%\n<span class=\"f1\">&lt;red&gt;</span>\n";
    assert!(text(&*page, "/").await.contains(lines));
    assert_eq!(text(&*page, &format!("{LOG}.html")).await, lines);
    assert_eq!(text(&*page, LOG).await.as_bytes(), bytes);
}

#[tokio::test]
async fn plots_have_times() {
    let page = StatusPage::new("w", &monitoring()).into_handler();
    let html = text(&*page, "/").await;
    let axes = html.matches("class=\"axis\"").count();
    assert_eq!(axes, 4);
    assert_eq!(html.matches("<time").count(), 3 * axes, "{html}");
}

#[tokio::test]
async fn probes_show_no_tasks() {
    let monitoring = monitoring();
    let overview = TaskOverview::new(&monitoring.metrics);
    overview.claimed(&run(), "build");
    let probes = StatusPage::new("w", &monitoring).tasks(overview);
    let probes = probes.to_probe_handler();
    assert!(text(&*probes, "/metrics").await.contains("worker_tasks"));
    assert_eq!(text(&*probes, "/healthz").await, "ok\n");
    let ready = get(&*probes, "/readyz").await.status();
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/", "/tasks", LOG, "/style.css"] {
        let status = get(&*probes, path).await.status();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// An increase from nothing to 1 is not an increase for a monitoring system.
#[tokio::test]
async fn counters_start_at_zero() {
    let monitoring = monitoring();
    let page = StatusPage::new("w", &monitoring).into_handler();
    let before = text(&*page, "/metrics").await;
    for series in [
        "worker_claims_failed_total 0",
        "worker_mounts_cache_misses_total 0",
        "worker_tasks_resolved_total{resolution=\"completed\"} 0",
        "worker_tasks_resolved_total{resolution=\"exception/worker-shutdown\"} 0",
    ] {
        assert!(before.contains(series), "no {series} in {before}");
    }
    let resolved = monitoring.monitor.with_tag("resolution", "completed");
    resolved.count("tasks-resolved", 2);
    let after = text(&*page, "/metrics").await;
    assert!(
        after.contains("worker_tasks_resolved_total{resolution=\"completed\"} 2"),
        "{after}"
    );
    assert_eq!(after.lines().count(), before.lines().count());
}

#[tokio::test]
async fn responses_have_content_type_and_policy() {
    let page = StatusPage::new("w", &monitoring()).into_handler();
    let metrics = get(&*page, "/metrics").await;
    assert_eq!(metrics.headers()["content-type"], OPENMETRICS_CONTENT_TYPE);
    let policy = metrics.headers()["content-security-policy"].to_str();
    assert!(policy.expect("text").starts_with("default-src 'none'"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_rejected() {
    let page = StatusPage::new("w", &monitoring()).into_handler();
    for path in [
        "/nothing",
        "/tasks/x",
        "/tasks/x/y/log",
        "/tasks/x/0/log/more",
    ] {
        assert_eq!(
            get(&*page, path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let mut post = Request::new(Body::empty());
    *post.method_mut() = http::Method::POST;
    let response = page.handle(post).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
