//! Low memory, with a file in place of that of the kernel.

use std::fs;
use std::io;

use super::*;

const KIB_PER_GIB: u64 = 1 << 20;

/// A machine of 4 GiB.
fn meminfo(available_kib: u64) -> String {
    let total = 4 * KIB_PER_GIB;
    format!("MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available_kib} kB\n")
}

/// A command whose memory is that of this process.
fn own() -> CommandMeter {
    CommandMeter {
        cgroup: Weak::new(),
        root: Some(rustix::process::getpid()),
    }
}

fn unknown() -> CommandMeter {
    CommandMeter {
        cgroup: Weak::new(),
        root: None,
    }
}

fn settings() -> HighMemoryPolicy {
    HighMemoryPolicy {
        // Less than ten times the memory of this process.
        min_available: 10 << 20,
        duration: Duration::from_secs(2),
        ..HighMemoryPolicy::default()
    }
}

#[tokio::test(start_paused = true)]
async fn largest_command_ends_when_memory_is_low() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("meminfo");
    fs::write(&file, meminfo(1000))?;
    let watch = MemoryWatch::new(settings(), file.clone());
    let mut small = watch.watch(unknown(), true);
    let mut large = watch.watch(own(), true);
    let start = Instant::now();
    let reason = tokio::select! {
        reason = large.must_end() => reason,
        _ = small.must_end() => panic!("it uses no memory"),
    };
    assert!(start.elapsed() >= Duration::from_secs(2));
    for part in ["of the machine's 4.0 GiB", "90%", "for 2 s", "before), "] {
        assert!(reason.contains(part), "{reason}");
    }
    let samples = large.finish();
    assert!(samples.len() >= 4 && samples.iter().all(|it| it.memory > Some(1 << 20)));
    assert_eq!(small.finish(), []);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_command_ends_without_need() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("meminfo");
    let disabled = HighMemoryPolicy {
        max_used_percent: 100,
        ..settings()
    };
    for (settings, text, is_ended) in [
        (settings(), meminfo(KIB_PER_GIB), true),
        (settings(), String::new(), true),
        (disabled, meminfo(1000), true),
        // A program of the operator.
        (settings(), meminfo(1000), false),
    ] {
        fs::write(&file, text)?;
        let watch = MemoryWatch::new(settings, file.clone());
        let mut command = watch.watch(own(), is_ended);
        let wait = tokio::time::timeout(Duration::from_secs(60), command.must_end());
        assert!(wait.await.is_err());
        assert!(!command.finish().is_empty(), "no pass was made");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn command_that_ended_by_itself_is_enough() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("meminfo");
    fs::write(&file, meminfo(4 * KIB_PER_GIB))?;
    let settings = HighMemoryPolicy {
        // Less than the memory of this process.
        min_available: 1 << 20,
        duration: Duration::ZERO,
        ..HighMemoryPolicy::default()
    };
    let watch = MemoryWatch::new(settings, file.clone());
    let (first, mut second) = (watch.watch(own(), true), watch.watch(own(), true));
    watch.0.pass();
    fs::write(&file, meminfo(1000))?;
    let machine = watch.0.read_machine();
    drop(first);
    watch
        .0
        .add_and_decide(Instant::now(), machine, BTreeMap::new());
    assert!(second.end.try_recv().is_err());
    watch.0.pass();
    assert!(second.end.try_recv().is_ok(), "memory is still low");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn passes_end_with_the_last_command() {
    let watch = MemoryWatch::new(settings(), "/proc/meminfo".into());
    let passes = || watch.0.state.lock().passes.is_some();
    let (first, second) = (watch.watch(unknown(), true), watch.watch(unknown(), true));
    drop(first);
    sleep(INTERVAL * 4).await;
    assert!(passes());
    drop(second);
    while passes() {
        sleep(INTERVAL).await;
    }
    let _third = watch.watch(unknown(), true);
    assert!(passes());
}
