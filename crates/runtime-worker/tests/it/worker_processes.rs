//! Workers in separate processes: killed, stopped by signals, and many on one queue.

use std::collections::BTreeSet;

use runtime_mocks::taskcluster::TaskSnapshot;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    EXPIRED_CLAIM_AGE, TestBed, WorkerProcess, WorkerSettings, is_alive, run_as_worker_process, sh,
    wait_until,
};

/// The worker process of the other tests.
#[tokio::test]
async fn worker_process() {
    run_as_worker_process().await;
}

#[tokio::test]
async fn task_of_killed_worker_runs_again() {
    let bed = TestBed::new().await;
    let script = "echo $$ > $MARKER.$RUN_ID; test $RUN_ID = 1 || exec sleep 600";
    let marker = bed.marker("marker");
    let payload = json!({ "command": ["sh", "-c", script], "env": { "MARKER": marker } });
    let task_id = bed.create(payload);

    let mut worker = bed.settings().one_at_a_time().start_process();
    bed.wait_until_claimed(&task_id).await;
    bed.wait_for_file(&marker.with_extension("0")).await;
    worker.kill();
    let orphan = bed.pid(&marker.with_extension("0"));
    assert!(is_alive(orphan), "the killed worker left its task running");
    bed.taskcluster.advance(EXPIRED_CLAIM_AGE);

    let running = bed.start(bed.worker());
    let status = bed.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(status.state_and_reason(), "completed");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(status.runs.len(), 2);
    // The next worker kills the task; the kernel ends it when it gets a CPU.
    wait_until(|| !is_alive(orphan)).await;
    assert_eq!(
        bed.leftover_files(),
        [""; 0],
        "the next worker removes the files"
    );
}

#[tokio::test]
async fn processes_of_killed_worker_end_at_start() {
    let bed = TestBed::new().await;
    let marker = bed.marker("pid");
    let script = "echo $$ > $MARKER; exec sleep 600";
    let payload = json!({ "command": ["sh", "-c", script], "env": { "MARKER": marker } });
    bed.create(payload);
    let mut worker = bed.settings().one_at_a_time().start_process();
    bed.wait_for_file(&marker).await;
    worker.kill();
    let orphan = bed.pid(&marker);
    assert!(is_alive(orphan), "the killed worker left its task running");

    // The claim has not expired, so that the next worker gets no task.
    let running = bed.start(bed.worker());
    wait_until(|| !is_alive(orphan)).await;
    running.stop().await;
}

#[tokio::test]
async fn cache_in_use_by_killed_worker_is_removed() {
    let bed = TestBed::new().await;
    let started = bed.marker("started");
    let visit = |script: &str| {
        json!({
            "command": ["sh", "-c", script],
            "env": { "STARTED": started },
            "mounts": [{ "cacheName": "visits", "directory": "cache" }],
        })
    };
    let settings = bed.settings().with_mounts().one_at_a_time();
    let mut worker = settings.start_process();
    let first = bed.create(visit("echo whole > cache/visits"));
    assert_eq!(bed.resolved(&first).await.state_and_reason(), "completed");
    let half = "cat cache/visits; echo half > cache/visits; echo > $STARTED; test $RUN_ID = 1 || exec sleep 600";
    let second = bed.create(visit(half));
    bed.wait_for_file(&started).await;
    worker.kill();
    bed.taskcluster.advance(EXPIRED_CLAIM_AGE);

    let running = bed.start(bed.worker_with_mounts().await);
    assert_eq!(bed.resolved(&second).await.state_and_reason(), "completed");
    let log = bed.log(&second).await;
    assert!(log.contains("visits was not in the cache"), "{log}");
    assert!(!log.contains("half") && !log.contains("whole"), "{log}");
    let third = bed.create(visit("cat cache/visits"));
    assert_eq!(bed.resolved(&third).await.state_and_reason(), "completed");
    let log = bed.log(&third).await;
    assert!(
        log.contains("visits is in the cache") && log.contains("\nhalf\n"),
        "{log}"
    );
    running.stop().await;

    bed.collector.collect().await;
    assert_eq!(bed.entries("mounts/caches/folders").len(), 1);
    assert_eq!(bed.entries("mounts/caches/index").len(), 1);
    assert_eq!(bed.entries("mounts/caches/leases"), [""; 0]);
    assert_eq!(bed.entries("mounts/caches/trash"), [""; 0]);
    assert_eq!(bed.leftover_files(), ["mounts"]);
}

#[tokio::test]
async fn first_signal_lets_tasks_finish() {
    // A terminal that is closed sends SIGHUP.
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let bed = TestBed::new().await;
        let (started, go) = (bed.marker("started"), bed.marker("go"));
        let script = "echo > $STARTED; until test -e $GO; do sleep 0.01; done";
        let task_id = bed.create(json!({
            "command": ["sh", "-c", script],
            "env": { "STARTED": started, "GO": go },
        }));
        let worker = bed.settings().start_process();
        bed.wait_for_file(&started).await;
        worker.signal(signal);
        std::fs::write(&go, "").expect("write a file");
        assert!(worker.wait().await.success(), "{signal:?}");
        let status = bed.resolved(&task_id).await;
        assert_eq!(status.state_and_reason(), "completed", "{signal:?}");
        assert_eq!(bed.leftover_files(), [""; 0], "{signal:?}");
    }
}

#[tokio::test]
async fn second_signal_returns_the_task() {
    let bed = TestBed::new().await;
    let started = bed.marker("started");
    let script = "echo > $STARTED.$RUN_ID; test $RUN_ID = 1 || exec sleep 600";
    let task_id = bed.create(json!({
        "command": ["sh", "-c", script],
        "env": { "STARTED": started },
    }));
    let worker = bed.settings().start_process();
    bed.wait_for_file(&started.with_extension("0")).await;
    // Two pending signals of one kind are delivered as one.
    worker.signal(Signal::TERM);
    worker.signal(Signal::INT);
    assert!(worker.wait().await.success());
    let is_returned =
        |status: &TaskSnapshot| status.runs[0].reason_resolved == Some("worker-shutdown");
    bed.wait_for_status(&task_id, is_returned).await;
    assert_eq!(bed.leftover_files(), [""; 0]);
}

#[tokio::test]
async fn ignored_signals_are_not_inherited_by_tasks() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("trap 'exit 3' QUIT; kill -QUIT $$; exit 0"));
    let _worker = bed.settings().start_background_process();
    let status = bed.resolved(&task_id).await;
    assert_eq!(
        status.state_and_reason(),
        "failed",
        "the script exits with 3"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn open_files_are_not_inherited_by_tasks() {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh("ls -l /proc/$$/fd; test ! -e /proc/$$/fd/7"));
    let _worker = bed.settings().start_background_process();
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
}

#[tokio::test]
async fn eight_workers_run_each_task_once() {
    let bed = TestBed::new().await;
    let ran = bed.marker("ran");
    std::fs::create_dir(&ran).expect("create a folder");
    // Each run creates one file.
    let script = "mktemp \"$RAN/$TASK_ID.XXXXXX\"";
    let payload = json!({ "command": ["sh", "-c", script], "env": { "RAN": ran } });
    let tasks: BTreeSet<_> = (0..80).map(|_| bed.create(payload.clone())).collect();
    let workers: Vec<WorkerProcess> = (0..8)
        .map(|number| settings_with_folder(&bed, number).start_process())
        .collect();
    for task_id in &tasks {
        let status = bed.resolved(task_id).await;
        assert_eq!(
            (status.state_and_reason().as_str(), status.runs.len()),
            ("completed", 1)
        );
    }
    for worker in workers {
        worker.signal(Signal::TERM);
        assert!(worker.wait().await.success());
    }
    let files = std::fs::read_dir(&ran).expect("list the folder");
    let mut runs: Vec<String> = files
        .map(|file| file.expect("a readable entry").file_name().into_string())
        .map(|name| {
            name.expect("UTF-8")
                .split('.')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    runs.sort();
    assert!(runs.iter().eq(&tasks), "expected one run each: {runs:?}");
}

/// Returns settings with a separate storage folder, as for several workers on one machine.
fn settings_with_folder(bed: &TestBed, number: usize) -> WorkerSettings {
    let folder = bed.folder.path().join(number.to_string());
    std::fs::create_dir(&folder).expect("create a folder");
    bed.settings().in_folder(folder)
}
