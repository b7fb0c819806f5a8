//! Resource limits.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use runtime_sandbox::{CgroupParents, CgroupUsage, Isolation, Limits, SpawnError, SpawnStep, Wall};

use crate::support::{limited, presets, read_line, run, shell};

#[tokio::test]
async fn limits_are_set() {
    for isolation in presets() {
        let limits = Limits::new()
            .open_files(77)
            .file_size(512 * 100)
            .address_space(1 << 30);
        let script = "ulimit -n; ulimit -f; ulimit -v; ulimit -c";
        let (_, output) = run(shell(script, isolation).limits(limits)).await;
        assert_eq!(output, "77\n100\n1048576\n0\n");
    }
}

#[tokio::test]
async fn large_file_ends_the_command() {
    let limits = Limits::new().file_size(4096);
    let script = "exec head -c 10000 /dev/zero >/tmp/file";
    let (exit, _) = run(shell(script, Isolation::strict()).limits(limits)).await;
    assert_eq!(exit.status.signal(), Some(libc::SIGXFSZ));
}

#[tokio::test]
async fn impossible_limit_is_an_error() {
    // Above the largest number of open files that the kernel ever allows.
    let limits = Limits::new().open_files(u64::MAX - 1);
    let error = shell("true", Isolation::strict())
        .limits(limits)
        .spawn()
        .await;
    match error {
        Err(SpawnError::Step { step, .. }) => assert_eq!(step, SpawnStep::Limit),
        other => panic!("{other:?}"),
    }
}

/// The groups below which this user may create others with limits of memory and processes.
fn parents() -> Option<Arc<CgroupParents>> {
    let parents = Arc::new(CgroupParents::below_own());
    let probe = parents.create(&Limits::new().memory(1 << 30).pids(1000));
    if let Err(error) = &probe {
        println!("skipped: {error}");
    }
    probe.is_ok().then_some(parents)
}

/// Starts 40 processes, and prints an error for each that is refused.
const FORKS: &str = "for i in $(seq 40); do sleep 5 & done 2>&1";

#[tokio::test]
async fn memory_limit_kills_and_is_reported() {
    if parents().is_none() {
        return;
    }
    for isolation in presets() {
        let limits = Limits::new().memory(32 << 20);
        let command = shell("exec tail /dev/zero", isolation).limits(limits);
        let (exit, output) = run(command).await;
        assert_eq!(exit.status.signal(), Some(libc::SIGKILL), "{output}");
        assert!(exit.cgroup.oom_killed() && !exit.cgroup.pids_exhausted());
        let peak = exit.cgroup.peak_memory.expect("it is counted");
        assert!((16 << 20..=32 << 20).contains(&peak), "{peak}");
    }
}

#[tokio::test]
async fn memory_files_count_as_memory() {
    if parents().is_none() {
        return;
    }
    let limits = Limits::new().memory(32 << 20);
    let script = "exec head -c 64M /dev/zero >/tmp/file";
    let (exit, output) = run(shell(script, Isolation::strict()).limits(limits)).await;
    assert!(exit.cgroup.oom_killed(), "{exit:?}: {output}");
}

#[tokio::test]
async fn process_limit_refuses_and_is_reported() {
    if parents().is_none() {
        return;
    }
    for isolation in presets() {
        let limits = Limits::new().pids(16);
        let (exit, output) = run(shell(FORKS, isolation).limits(limits)).await;
        // The shell ends when it cannot fork.
        assert!(
            !exit.status.success() && output.contains("fork"),
            "{output}"
        );
        assert!(exit.cgroup.pids_exhausted() && !exit.cgroup.oom_killed());
    }
}

#[tokio::test]
async fn second_command_shares_the_limits() {
    if parents().is_none() {
        return;
    }
    let limits = Limits::new().pids(16);
    let first = shell("exec sleep 600", Isolation::strict()).limits(limits);
    let mut first = first.spawn().await.expect("it starts");
    let second = first.exec(shell(FORKS, Isolation::strict())).await;
    let mut second = second.expect("it starts");
    let output = crate::support::read_all(&mut second).await;
    let exit = limited(second.wait()).await.expect("it ends");
    assert!(
        !exit.status.success() && output.contains("fork"),
        "{output}"
    );
    let exit = limited(first.kill(Duration::ZERO)).await.expect("it ends");
    assert!(exit.cgroup.pids_exhausted());
}

#[tokio::test]
async fn group_is_joined_counted_and_removed() {
    let Some(parents) = parents() else {
        return;
    };
    for isolation in presets() {
        let script = "cat /proc/self/cgroup; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; setsid sleep 600 >/dev/null 2>&1 &";
        let command = shell(script, isolation.without(Wall::ControlGroups));
        let (exit, output) = run(command.cgroup_parents(&parents)).await;
        let own = output.split(['/', '\n']).find(|it| it.starts_with("task-"));
        let own = own.unwrap_or_else(|| panic!("no group in {output}"));
        assert!(exit.cgroup.peak_memory.is_some_and(|bytes| bytes > 0));
        if let Some(cpu) = exit.cgroup.cpu {
            assert!(cpu > Duration::from_millis(1), "{cpu:?}");
        }
        let found = std::process::Command::new("find")
            .args(["/sys/fs/cgroup", "-name", own])
            .output()
            .expect("`find` exists");
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    }
}

#[tokio::test]
async fn usage_shows_while_the_command_runs() {
    if parents().is_none() {
        return;
    }
    for isolation in presets() {
        let script = "text=$(head -c 30M /dev/zero | tr '\\0' a); echo full; sleep 600; echo $text";
        let command = shell(script, isolation).limits(Limits::new().memory(1 << 30));
        let mut child = command.spawn().await.expect("it starts");
        assert_eq!(read_line(&mut child).await, "full");
        let group = child.cgroup().expect("it has a limit");
        let usage = group.usage();
        let memory = usage.memory.expect("it is counted");
        assert!((30 << 20..1 << 30).contains(&memory), "{memory}");
        assert!(usage.peak_memory.is_some_and(|peak| peak >= 30 << 20));
        // Other machines do not count it.
        if let Some(pressure) = group.usage().cpu_pressure {
            let later = group.usage().cpu_pressure.expect("as before");
            assert!(pressure.full <= pressure.some && pressure.some <= later.some);
        }
        let exit = limited(child.kill(Duration::ZERO)).await.expect("it ends");
        assert_eq!(exit.cgroup.memory, None);
        assert!(child.cgroup().is_none());
    }
}

#[tokio::test]
async fn limit_without_groups_is_an_error() {
    let none = Arc::new(CgroupParents::none());
    for (limits, name) in [
        (Limits::new().memory(1 << 30), "memory"),
        (Limits::new().pids(100), "processes"),
        (Limits::new().cpus(0.5), "CPU time"),
        (Limits::new().cpu_weight(50), "CPU weight"),
    ] {
        let command = || shell("exit 3", Isolation::strict()).cgroup_parents(&none);
        let error = command().limits(limits.clone()).spawn().await;
        let error = error.expect_err("there are no groups");
        match &error {
            SpawnError::Cgroup(error) => assert_eq!(error.limit(), Some(name)),
            other => panic!("{other:?}"),
        }
        let error = error.to_string();
        let expected = format!("cannot limit {name}: ");
        assert!(
            error.starts_with(&expected) && error.contains("delegate"),
            "{error}"
        );
        let child = command().limits(limits.best_effort()).spawn().await;
        let mut child = child.expect("best effort");
        assert!(child.missing_limits().contains(&name));
        let exit = limited(child.wait()).await.expect("it ends");
        assert_eq!(exit.status.code(), Some(3));
        assert_eq!(exit.cgroup, CgroupUsage::default());
    }
}

#[tokio::test]
async fn invalid_limit_is_an_error_despite_best_effort() {
    let limits = Limits::new().cpus(0.0).best_effort();
    let error = shell("true", Isolation::none())
        .limits(limits)
        .spawn()
        .await;
    let error = error.expect_err("no time at all").to_string();
    assert!(error.contains("0.01 to 42949 CPUs"), "{error}");
}
