//! Workers in processes of their own: killed, told to stop, and many on one queue.

use std::collections::BTreeSet;

use runtime_mocks::taskcluster::TaskSnapshot;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Bench, MORE_THAN_A_CLAIM, Settings, WorkerProcess, be_the_worker, is_alive, sh, state,
};

/// What the other tests start as a process.
#[tokio::test]
async fn worker_process() {
    be_the_worker().await;
}

#[tokio::test]
async fn a_task_of_a_worker_that_was_killed_runs_again_elsewhere() {
    let bench = Bench::new().await;
    let script = "echo $$ > $MARKER.$RUN_ID; test $RUN_ID = 1 || exec sleep 600";
    let marker = bench.mark("marker");
    let payload = json!({ "command": ["sh", "-c", script], "env": { "MARKER": marker } });
    let task_id = bench.create(payload);

    let mut worker = bench.settings().one_at_a_time().start_process();
    bench.running(&task_id).await;
    bench.file_appears(&marker.with_extension("0")).await;
    worker.kill();
    let orphan = bench.pid(&marker.with_extension("0"));
    assert!(is_alive(orphan), "nobody was left to end it");
    bench.taskcluster.advance(MORE_THAN_A_CLAIM);

    let running = bench.start(bench.worker());
    let status = bench.resolved(&task_id).await;
    running.stop().await;
    assert_eq!(state(&status), "completed");
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(status.runs.len(), 2);
    assert!(
        !is_alive(orphan),
        "the next worker ends what the dead one left running"
    );
    assert_eq!(
        bench.left_behind(),
        [""; 0],
        "the next worker reaps what the dead one left on disk"
    );
}

#[tokio::test]
async fn a_cache_that_a_killed_worker_had_lent_is_not_handed_out_again() {
    let bench = Bench::new().await;
    let started = bench.mark("started");
    let visit = |script: &str| {
        json!({
            "command": ["sh", "-c", script],
            "env": { "STARTED": started },
            "mounts": [{ "cacheName": "visits", "directory": "cache" }],
        })
    };
    let settings = bench.settings().with_mounts().one_at_a_time();
    let mut worker = settings.start_process();
    let first = bench.create(visit("echo whole > cache/visits"));
    assert_eq!(state(&bench.resolved(&first).await), "completed");
    let half = "cat cache/visits; echo half > cache/visits; echo > $STARTED; test $RUN_ID = 1 || exec sleep 600";
    let second = bench.create(visit(half));
    bench.file_appears(&started).await;
    worker.kill();
    bench.taskcluster.advance(MORE_THAN_A_CLAIM);

    let running = bench.start(bench.worker_with_mounts().await);
    assert_eq!(state(&bench.resolved(&second).await), "completed");
    let log = bench.log(&second).await;
    assert!(log.contains("visits was not in the cache"), "{log}");
    assert!(!log.contains("half") && !log.contains("whole"), "{log}");
    let third = bench.create(visit("cat cache/visits"));
    assert_eq!(state(&bench.resolved(&third).await), "completed");
    let log = bench.log(&third).await;
    assert!(
        log.contains("visits is in the cache") && log.contains("\nhalf\n"),
        "{log}"
    );
    running.stop().await;

    bench.collector.collect().await;
    assert_eq!(bench.entries("mounts/caches/folders").len(), 1);
    assert_eq!(bench.entries("mounts/caches/index").len(), 1);
    assert_eq!(bench.entries("mounts/caches/leases"), [""; 0]);
    assert_eq!(bench.entries("mounts/caches/trash"), [""; 0]);
    assert_eq!(bench.left_behind(), ["mounts"]);
}

#[tokio::test]
async fn the_first_sigterm_lets_the_task_finish_and_the_worker_ends_well() {
    let bench = Bench::new().await;
    let (started, go) = (bench.mark("started"), bench.mark("go"));
    let script = "echo > $STARTED; until test -e $GO; do sleep 0.01; done";
    let task_id = bench.create(json!({
        "command": ["sh", "-c", script],
        "env": { "STARTED": started, "GO": go },
    }));
    let worker = bench.settings().start_process();
    bench.file_appears(&started).await;
    worker.signal(Signal::TERM);
    std::fs::write(&go, "").expect("a file in the folder of the test");
    assert!(worker.ended().await.success());
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
}

#[tokio::test]
async fn a_second_signal_gives_the_task_back() {
    let bench = Bench::new().await;
    let started = bench.mark("started");
    let script = "echo > $STARTED.$RUN_ID; test $RUN_ID = 1 || exec sleep 600";
    let task_id = bench.create(json!({
        "command": ["sh", "-c", script],
        "env": { "STARTED": started },
    }));
    let worker = bench.settings().start_process();
    bench.file_appears(&started.with_extension("0")).await;
    // Two of a kind at once are one to a process.
    worker.signal(Signal::TERM);
    worker.signal(Signal::INT);
    assert!(worker.ended().await.success());
    let is_given_back =
        |status: &TaskSnapshot| status.runs[0].reason_resolved == Some("worker-shutdown");
    bench.until(&task_id, is_given_back).await;
    assert_eq!(bench.left_behind(), [""; 0]);
}

#[tokio::test]
async fn tasks_of_a_worker_that_ignores_signals_heed_them() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("trap 'exit 3' QUIT; kill -QUIT $$; exit 0"));
    let _worker = bench.settings().start_background_process();
    let status = bench.resolved(&task_id).await;
    assert_eq!(state(&status), "failed", "the script ends with 3");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tasks_do_not_get_the_open_files_with_which_the_worker_was_started() {
    let bench = Bench::new().await;
    let task_id = bench.create(sh("ls -l /proc/$$/fd; test ! -e /proc/$$/fd/7"));
    let _worker = bench.settings().start_background_process();
    assert_eq!(state(&bench.resolved(&task_id).await), "completed");
}

#[tokio::test]
async fn eight_workers_on_one_queue_run_each_task_once() {
    let bench = Bench::new().await;
    let ran = bench.mark("ran");
    std::fs::create_dir(&ran).expect("a folder of the test");
    // Each run leaves a file of its own, whoever ran it.
    let script = "mktemp \"$RAN/$TASK_ID.XXXXXX\"";
    let payload = json!({ "command": ["sh", "-c", script], "env": { "RAN": ran } });
    let tasks: BTreeSet<_> = (0..80).map(|_| bench.create(payload.clone())).collect();
    let workers: Vec<WorkerProcess> = (0..8)
        .map(|number| in_own_folder(&bench, number).start_process())
        .collect();
    for task_id in &tasks {
        let status = bench.resolved(task_id).await;
        assert_eq!(
            (state(&status).as_str(), status.runs.len()),
            ("completed", 1)
        );
    }
    for worker in workers {
        worker.signal(Signal::TERM);
        assert!(worker.ended().await.success());
    }
    let files = std::fs::read_dir(&ran).expect("the folder is there");
    let mut runs: Vec<String> = files
        .map(|file| file.expect("it can be listed").file_name().into_string())
        .map(|name| {
            name.expect("a name of ours")
                .split('.')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    runs.sort();
    assert!(runs.iter().eq(&tasks), "each ran once: {runs:?}");
}

/// Workers on one machine have storage of their own.
fn in_own_folder(bench: &Bench, number: usize) -> Settings {
    let folder = bench.folder.path().join(number.to_string());
    std::fs::create_dir(&folder).expect("a folder of the test");
    bench.settings().in_folder(folder)
}
