//! Processes that try to outlive their task, under a worker that is not root and has no control groups.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{
    TestBed, is_alive, is_isolated, process_engine, run_isolated_as_user, sh, wait_until,
};

/// Runs a script that logs the pids of the processes that it leaves behind, and asserts that they are killed.
async fn assert_killed(script: &str) {
    let bed = TestBed::new().await;
    let task_id = bed.create(sh(script));
    let running = bed.start(bed.worker_with(process_engine().without_cgroups()));
    bed.resolved(&task_id).await;
    let log = bed.log(&task_id).await;
    let pids: Vec<u32> = log.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(!pids.is_empty(), "no pid in {log}");
    wait_until(|| !pids.iter().copied().any(is_alive)).await;
    running.stop().await;
}

#[tokio::test]
async fn containment_is_described_without_worker() {
    use runtime_worker::Engine as _;

    let lines = process_engine().without_cgroups().containment().await;
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    let start = "containment of tasks: no isolation, tasks run as the worker's user; ";
    let rest = line.strip_prefix(start);
    let groups = "control groups are disabled; processes are found by";
    assert!(rest.is_some_and(|it| it.starts_with(groups)), "{line}");
}

/// Each case is run by [`processes_of_a_user_are_killed`] as an ordinary user.
mod as_user {
    use super::*;

    #[tokio::test]
    async fn undumpable_agent() {
        if is_isolated() {
            assert_killed("eval $(ssh-agent) && echo $SSH_AGENT_PID").await;
        }
    }

    #[tokio::test]
    async fn overwritten_title() {
        if is_isolated() {
            let title = r#"$0 = "x" x 4000; setsid; sleep 600"#;
            let script = format!(
                "perl -e 'use POSIX; {title}' >/dev/null 2>&1 & echo $!; until grep -q xxx /proc/$!/cmdline; do :; done"
            );
            assert_killed(&script).await;
        }
    }

    #[tokio::test]
    async fn cleared_environment() {
        if is_isolated() {
            let script = "env -i setsid sleep 600 >/dev/null 2>&1 & echo $!; \
                until [ \"$(cat /proc/$!/comm)\" = sleep ]; do :; done";
            assert_killed(script).await;
        }
    }

    #[tokio::test]
    async fn lowered_limit() {
        if is_isolated() {
            let script = "prlimit --locks=7:7 env -i setsid sleep 600 >/dev/null 2>&1 & echo $!; \
                until [ \"$(cat /proc/$!/comm)\" = sleep ]; do :; done";
            assert_killed(script).await;
        }
    }
}

#[tokio::test]
async fn processes_of_a_user_are_killed() {
    run_isolated_as_user("containment::as_user", 4).await;
}

/// Forks again and again for 20 seconds, and lets each parent die. Each process has a new session and no environment.
const FORKER: &str = "use POSIX; %ENV = (); $0 = \"runtime-forker\" x 100; my $end = time + 20; while (time < $end) { fork and _exit(0); setsid; }";

#[tokio::test]
async fn forking_process_is_caught() {
    run_isolated_as_user("containment::forker", 1).await;
}

mod forker {
    use super::*;

    #[tokio::test]
    async fn does_not_escape() {
        if !is_isolated() {
            return;
        }
        let bed = TestBed::new().await;
        let script = format!("perl -e '{FORKER}' >/dev/null 2>&1 & sleep 0.2");
        let task_id = bed.create(sh(&script));
        let start = Instant::now();
        let running = bed.start(bed.worker_with(process_engine().without_cgroups()));
        bed.resolved(&task_id).await;
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the search is bounded"
        );
        let log = bed.log(&task_id).await;
        assert!(!log.contains("cannot be ended"), "{log}");
        // Each process has another pid, so one look may miss it.
        for _ in 0..20 {
            let found = Command::new("pgrep")
                .args(["-f", "^runtime-forkerruntime"])
                .output();
            let found = found.expect("`pgrep` exists").stdout;
            assert_eq!(String::from_utf8_lossy(&found), "");
        }
        running.stop().await;
    }
}

/// Two engines in one process, each with many short tasks: neither takes the exit status of the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_leave_each_others_statuses() {
    let beds = [TestBed::new().await, TestBed::new().await];
    let workers = beds.each_ref().map(|bed| {
        let engine = process_engine().without_cgroups().adopt_orphans(true);
        bed.start(bed.worker_with(engine).capacity(4))
    });
    let script = "(setsid true &) & exit 3";
    let tasks = beds
        .each_ref()
        .map(|bed| [(); 30].map(|()| bed.create(sh(script))));
    for (bed, tasks) in beds.iter().zip(tasks) {
        for task_id in tasks {
            let state = bed.resolved(&task_id).await.state_and_reason();
            assert_eq!(state, "failed", "{}", bed.log(&task_id).await);
        }
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn orphan_is_reaped_while_its_command_runs() {
    let bed = TestBed::new().await;
    // Half a minute at most.
    let script = "pid=$(sh -c 'sleep 0.1 >/dev/null & echo $!'); i=0; \
        while test -e /proc/$pid && test $i -lt 300; do sleep 0.1; i=$((i + 1)); done; test ! -e /proc/$pid";
    let task_id = bed.create(sh(script));
    let engine = process_engine().without_cgroups();
    let running = bed.start(bed.worker_with(engine));
    assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
    running.stop().await;
}

/// Two containers that share process ids have different folders at the same path.
mod same_path {
    use std::path::PathBuf;

    use runtime_worker::Engine as _;
    use rustix::process::{Pid, Signal, geteuid, kill_process};

    use super::*;
    use crate::support::ALONE;

    struct KillOnDrop(Pid);

    impl KillOnDrop {
        fn new(pid: u32) -> Self {
            Self(Pid::from_raw(pid.cast_signed()).expect("not 0"))
        }
    }

    impl Drop for KillOnDrop {
        fn drop(&mut self) {
            // Fails only if it has ended.
            let _ = kill_process(self.0, Signal::KILL);
        }
    }

    #[tokio::test]
    async fn live_task_of_another_container_is_spared() {
        if !geteuid().is_root() {
            eprintln!("skipped: this user may not mount");
            return;
        }
        let bed = TestBed::new().await;
        let pid = bed.marker("pid");
        let script = "mount -t tmpfs none \"$STORAGE\" && exec \"$0\" --exact containment::same_path::container";
        let container = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(std::env::current_exe().expect("this program has a path"))
            .env("STORAGE", bed.storage())
            .env("MARKER", &pid)
            .env(ALONE, "1")
            .spawn();
        let mut container = container.expect("`unshare` exists");
        let kill_container = KillOnDrop::new(container.id());
        bed.wait_for_file(&pid).await;
        let task = bed.pid(&pid);
        let _task = KillOnDrop::new(task);
        let engine = process_engine().without_cgroups();
        let prepared = engine.prepare(&bed.environment()).await;
        prepared.expect("the storage exists");
        assert!(is_alive(task));
        drop(kill_container);
        container.wait().expect("it is a child");
    }

    /// The worker in the other container. Runs a task until it is killed.
    #[tokio::test]
    async fn container() {
        if !is_isolated() {
            return;
        }
        let [storage, marker] = ["STORAGE", "MARKER"].map(std::env::var_os);
        let storage: PathBuf = storage.expect("the test sets it").into();
        let marker: PathBuf = marker.expect("the test sets it").into();
        let bed = TestBed::with_storage(storage).await;
        let task_id = bed.create(serde_json::json!({
            "command": ["sh", "-c", "echo $$ > $MARKER; exec sleep 600"],
            "env": { "MARKER": marker },
        }));
        let running = bed.start(bed.worker_with(process_engine().without_cgroups()));
        bed.resolved(&task_id).await;
        running.stop().await;
    }
}
