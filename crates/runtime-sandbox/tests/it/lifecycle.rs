//! Ends of commands: signals, kills, drops, and processes that they leave.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use runtime_sandbox::{FileView, Isolation, SandboxCommand};
use tokio::time::timeout;

use crate::support::{
    Lock, TIME_LIMIT, eventually, limited, presets, read_all, read_line, run, shell,
};

/// A script that holds a lock with a process in the background, in its own session.
fn holding(lock: &Lock, isolation: Isolation) -> SandboxCommand {
    let path = lock.path().display().to_string();
    let script = format!("setsid flock {path} sh -c 'echo held; exec sleep 600' & wait");
    let view = FileView::system().read_write(lock.folder(), lock.folder());
    shell(&script, isolation.files(view))
}

#[tokio::test]
async fn deadly_signal_is_returned() {
    for isolation in presets() {
        let (exit, _) = run(shell("kill -9 $$", isolation)).await;
        assert_eq!(exit.status.signal(), Some(9));
    }
}

#[tokio::test]
async fn signal_reaches_the_command() {
    for isolation in presets() {
        let script = "trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done";
        let mut child = shell(script, isolation).spawn().await.expect("it starts");
        assert_eq!(read_line(&mut child).await, "ready");
        child.signal(libc::SIGUSR1).expect("a valid signal");
        let exit = limited(child.wait()).await.expect("it ends");
        assert_eq!(exit.status.code(), Some(3));
        child
            .signal(libc::SIGUSR1)
            .expect("an ended command is no error");
    }
}

#[tokio::test]
async fn invalid_signal_is_an_error() {
    let child = shell("sleep 600", Isolation::none())
        .spawn()
        .await
        .expect("it starts");
    for signal in [0, 65, -1, 256 + 9] {
        assert!(child.signal(signal).is_err(), "{signal}");
    }
}

#[tokio::test]
async fn kill_grants_its_grace() {
    for isolation in presets() {
        let script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = shell(script, isolation).spawn().await.expect("it starts");
        assert_eq!(read_line(&mut child).await, "ready");
        let exit = child.kill(TIME_LIMIT).await.expect("it ends");
        assert_eq!(exit.status.code(), Some(4));
    }
}

#[tokio::test]
async fn kill_does_not_wait_for_ever() {
    for isolation in presets() {
        let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = shell(script, isolation).spawn().await.expect("it starts");
        assert_eq!(read_line(&mut child).await, "ready");
        let exit = child
            .kill(Duration::from_millis(20))
            .await
            .expect("it ends");
        assert_eq!(exit.status.signal(), Some(9));
    }
}

#[tokio::test]
async fn wait_can_be_repeated() {
    let mut child = shell("exit 5", Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    for _ in 0..2 {
        assert_eq!(
            limited(child.wait()).await.expect("it ends").status.code(),
            Some(5)
        );
        assert_eq!(child.id(), None);
    }
    let exit = child.kill(Duration::ZERO).await.expect("it has ended");
    assert_eq!(exit.status.code(), Some(5));
}

#[tokio::test]
async fn dropped_wait_continues() {
    let script = "echo ready; sleep 0.1; exit 6";
    let mut child = shell(script, Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    assert_eq!(read_line(&mut child).await, "ready");
    assert!(
        timeout(Duration::from_millis(1), child.wait())
            .await
            .is_err()
    );
    assert_eq!(
        limited(child.wait()).await.expect("it ends").status.code(),
        Some(6)
    );
}

#[tokio::test]
async fn wait_can_be_cancelled_at_any_point() {
    for isolation in presets() {
        let command = shell("sleep 600 & sleep 600 & exit 3", isolation);
        let mut child = command.spawn().await.expect("it starts");
        let exit = limited(async {
            loop {
                // Shorter than each of the pauses inside.
                if let Ok(exit) = timeout(Duration::from_micros(100), child.wait()).await {
                    break exit;
                }
            }
        });
        assert_eq!(exit.await.expect("it ends").status.code(), Some(3));
    }
}

#[tokio::test]
async fn background_processes_end_with_the_command() {
    for isolation in presets() {
        let lock = Lock::new();
        let path = lock.path().display().to_string();
        let script = format!(
            "setsid flock {path} sh -c 'exec >&- 2>&-; exec sleep 600' & \
             while flock -n {path} true; do :; done"
        );
        let view = FileView::system().read_write(lock.folder(), lock.folder());
        let command = shell(&script, isolation.files(view));
        let mut child = command.spawn().await.expect("it starts");
        let exit = limited(child.wait()).await.expect("it ends");
        let output = read_all(&mut child).await;
        assert!(exit.status.success(), "{output}");
        assert!(!lock.is_held());
    }
}

#[tokio::test]
async fn dropped_child_leaves_nothing() {
    for isolation in presets() {
        let lock = Lock::new();
        let mut child = holding(&lock, isolation).spawn().await.expect("it starts");
        assert_eq!(read_line(&mut child).await, "held");
        assert!(lock.is_held());
        drop(child);
        eventually("the lock is free", || !lock.is_held()).await;
    }
}

#[tokio::test]
async fn dropped_start_leaves_nothing() {
    for isolation in presets() {
        for microseconds in (0..2000).step_by(100) {
            let lock = Lock::new();
            let start = holding(&lock, isolation.clone()).spawn();
            let started = timeout(Duration::from_micros(microseconds), start).await;
            drop(started);
            eventually("the lock is free", || !lock.is_held()).await;
        }
    }
}

#[tokio::test]
async fn ended_processes_are_reaped() {
    // Other tests of this process have children at the same time, so only those of this test count.
    let mut ids = Vec::new();
    for isolation in presets() {
        let child = shell("sleep 600", isolation)
            .spawn()
            .await
            .expect("it starts");
        ids.extend(child.id());
    }
    assert_eq!(ids.len(), 3);
    for id in ids {
        eventually("the process is reaped", || {
            drop(std::process::Command::new("true").status());
            // The next start or drop reaps it.
            !std::path::Path::new(&format!("/proc/{id}")).exists() || reap_by_drop()
        })
        .await;
    }
}

/// Starts and drops a command, which reaps the dropped ones. Returns `false`.
fn reap_by_drop() -> bool {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                drop(
                    shell("true", Isolation::none())
                        .spawn()
                        .await
                        .expect("it starts"),
                );
            });
        });
    });
    false
}

#[tokio::test]
async fn usage_is_counted() {
    for isolation in presets() {
        // In a child of the command, so that reaped processes count.
        let script = "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'";
        let start = Instant::now();
        let (exit, output) = run(shell(script, isolation)).await;
        assert!(exit.status.success(), "{output}");
        let used = exit.usage.user_time + exit.usage.system_time;
        assert!(
            used > Duration::from_millis(5) && used < 2 * start.elapsed(),
            "{used:?}"
        );
        let memory = exit.usage.max_process_memory;
        assert!((100 << 10..1 << 30).contains(&memory), "{memory}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_start_at_once() {
    let start = |index: usize| async move {
        let isolation = presets()[index % 3].clone();
        let (exit, output) = run(shell("echo $((6*7))", isolation)).await;
        assert!(exit.status.success());
        assert_eq!(output, "42\n");
    };
    let tasks: tokio::task::JoinSet<()> = (0..48).map(start).collect();
    tasks.join_all().await;
}
