//! The cases.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench_harness::{AtLeast, AtMost, Bench, rate};
use runtime_sandbox::{Isolation, SandboxCommand, StdStream};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// The number of sandboxes at a time in the concurrent case.
const CONCURRENT: usize = 8;

/// A program that only exits.
const NO_OP: &str = "/usr/bin/true";

pub(crate) fn cases(bench: &mut Bench) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads");
    if let Err(reason) = runtime.block_on(strict()) {
        return bench.skip(
            "strict walls",
            &format!("this user cannot have them: {reason}"),
        );
    }
    let count = bench.pick(100, 20);
    let ours = || strict_ms(&runtime, count);

    let spawn = || median_ms(count, || run(&mut Command::new(NO_OP)));
    let case = "no-op in strict walls, compared with a bare process";
    bench
        .case(case, "ms")
        .bar(AtMost(5.0))
        .peer("posix_spawn", spawn)
        .ours(ours);

    let case = "no-op in strict walls, compared with bubblewrap";
    let at_a_time = "no-op in strict walls, 8 at a time";
    if is_installed("bwrap") {
        let peer = || median_ms(count, || run(&mut bubblewrap(NO_OP)));
        bench
            .case(case, "ms")
            .bar(AtMost(0.6))
            .peer("bubblewrap", peer)
            .ours(ours);
        let total = count * CONCURRENT;
        let peer = || {
            rate(total as u64, || {
                concurrently(count, || run(&mut bubblewrap(NO_OP)))
            })
        };
        bench
            .case(at_a_time, "commands/s")
            .bar(AtLeast(1.5))
            .peer("bubblewrap", peer)
            .ours(|| rate(total as u64, || strict_concurrently(&runtime, count)));
    } else {
        bench.skip(case, "bubblewrap is not installed");
        bench.skip(at_a_time, "bubblewrap is not installed");
    }

    let case = "no-op in strict walls, compared with crun";
    match Container::new() {
        Ok(container) => {
            let peer = || container.run(count).unwrap_or(f64::NAN);
            bench
                .case(case, "ms")
                .bar(AtMost(0.3))
                .peer("crun", peer)
                .ours(ours);
        }
        Err(reason) => bench.skip(case, &reason),
    }

    let case = "a running sandbox without its command";
    bench
        .case(case, "MiB")
        .bar(AtMost(1.0))
        .rounds(1)
        .ours(|| runtime.block_on(memory()));

    let case = "no-op in strict walls with 1 GiB resident";
    let peer = || strict_ms(&runtime, count);
    let ballast = || {
        let ballast = vec![1_u8; 1 << 30];
        let figure = ours();
        drop(std::hint::black_box(ballast));
        figure
    };
    bench
        .case(case, "ms")
        .bar(AtMost(1.2))
        .peer("the same with 30 MiB", peer)
        .ours(ballast);
}

/// Runs the no-op in all walls.
async fn strict() -> Result<(), String> {
    let command = SandboxCommand::new(NO_OP).isolation(Isolation::strict());
    let mut child = command.spawn().await.map_err(|error| describe(&error))?;
    let exit = child.wait().await.map_err(|error| error.to_string())?;
    exit.status
        .success()
        .then_some(())
        .ok_or_else(|| exit.status.to_string())
}

fn describe(error: &dyn std::error::Error) -> String {
    let source = error
        .source()
        .map_or_else(String::new, |source| format!(": {source}"));
    format!("{error}{source}")
}

/// Returns the median duration of `count` runs in milliseconds, in a task of the runtime as in a worker.
fn strict_ms(runtime: &Runtime, count: usize) -> f64 {
    let runs = runtime.spawn(async move {
        let mut samples = Vec::new();
        for _ in 0..count {
            let start = Instant::now();
            strict().await.expect("a sandbox");
            samples.push(start.elapsed().as_secs_f64() * 1e3);
        }
        bench_harness::percentile(&mut samples, 0.5)
    });
    runtime.block_on(runs).expect("no panic")
}

fn strict_concurrently(runtime: &Runtime, count: usize) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..CONCURRENT {
            tasks.spawn(async move {
                for _ in 0..count {
                    strict().await.expect("a sandbox");
                }
            });
        }
        tasks.join_all().await;
    });
}

/// Runs `work` `count` times on each of 8 threads.
fn concurrently(count: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| (0..count).for_each(|_| work()));
        }
    });
}

/// Returns the median duration of `count` runs in milliseconds.
fn median_ms(count: usize, mut work: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..count)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    bench_harness::percentile(&mut samples, 0.5)
}

/// Runs a command with `/dev/null` as its streams.
fn run(command: &mut Command) {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command
        .env_clear()
        .status()
        .expect("the program is installed");
    assert!(status.success(), "{command:?} {status}");
}

fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|it| it.status.success())
}

/// A command in the walls of bubblewrap that are closest to ours. It has no filter and no Landlock by default.
fn bubblewrap(program: &str) -> Command {
    let mut command = Command::new("bwrap");
    command.args([
        "--unshare-all",
        "--new-session",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ]);
    command.args([
        "--hostname",
        "sandbox",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
    ]);
    for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
        match fs::read_link(folder) {
            Ok(target) => command.arg("--symlink").arg(target).arg(folder),
            Err(_) => command.args(["--ro-bind-try", folder, folder]),
        };
    }
    command.args([
        "--ro-bind",
        "/etc",
        "/etc",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
    ]);
    command.arg(program);
    command
}

/// A container of crun with a read-only root folder.
struct Container {
    folder: TempDir,
}

impl Container {
    /// Prepares the container. The error is the reason to skip the case.
    fn new() -> Result<Self, String> {
        if !is_installed("crun") {
            return Err("crun is not installed".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let container = Self { folder };
        container
            .write_bundle()
            .map_err(|error| error.to_string())?;
        container.run(1)?;
        Ok(container)
    }

    fn write_bundle(&self) -> std::io::Result<()> {
        let path = self.folder.path();
        let output = Command::new("crun")
            .arg("spec")
            .current_dir(path)
            .output()?;
        if !output.status.success() {
            return Err(std::io::Error::other("`crun spec` failed"));
        }
        let spec = fs::read_to_string(path.join("config.json"))?;
        let spec = spec.replace("\"terminal\": true", "\"terminal\": false");
        let spec = spec.replace("\"sh\"", &format!("\"{NO_OP}\""));
        fs::write(path.join("config.json"), spec)?;
        let root = path.join("rootfs");
        for folder in ["usr/bin", "dev", "proc", "sys", "tmp", "etc"] {
            fs::create_dir_all(root.join(folder))?;
        }
        copy_program(&root)
    }

    /// Runs the container several times, and returns the milliseconds for each.
    ///
    /// crun 1.8 refuses machines with both versions of control groups, so it runs where the second one is not mounted.
    fn run(&self, count: usize) -> Result<f64, String> {
        let script = "umount /sys/fs/cgroup/unified 2>/dev/null; i=0; while [ $i -lt $1 ]; do \
                      crun --cgroup-manager disabled run --bundle $2 bench-$$-$i || exit 1; i=$((i+1)); done";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh", &count.to_string()]);
        let start = Instant::now();
        let output = command
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("crun does not run here: {}", error.trim()));
        }
        Ok(start.elapsed().as_secs_f64() * 1e3 / count as f64)
    }
}

/// Copies the no-op and its libraries into a root folder.
fn copy_program(root: &Path) -> std::io::Result<()> {
    fs::copy(NO_OP, root.join(&NO_OP[1..]))?;
    let output = Command::new("ldd").arg(NO_OP).output()?;
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    for library in libraries
        .split_ascii_whitespace()
        .filter(|it| it.starts_with('/'))
    {
        let target = root.join(&library[1..]);
        fs::create_dir_all(target.parent().unwrap_or(root))?;
        fs::copy(library, target)?;
    }
    Ok(())
}

/// Returns the memory of an init process that waits for its command, in MiB.
async fn memory() -> f64 {
    let command = SandboxCommand::new("/usr/bin/cat").isolation(Isolation::strict());
    let command = command.stdin(StdStream::Pipe).stdout(StdStream::Pipe);
    let mut child = command.spawn().await.expect("a sandbox");
    let mut echo = [0];
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"x").await.expect("the command reads");
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout
        .read_exact(&mut echo)
        .await
        .expect("the command writes");
    let pid = child.id().expect("it runs");
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("its memory");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    child.kill(Duration::ZERO).await.expect("it ends");
    kib.expect("a number") / 1024.0
}
