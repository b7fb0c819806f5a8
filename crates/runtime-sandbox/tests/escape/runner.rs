//! Runs the attempts in sandboxes, and as a sandboxed command.

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use runtime_sandbox::{FileView, Isolation, Limits, SandboxCommand, StdStream, Support, Wall};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::attempts::{self, Attempt};
use crate::decoys::Decoys;
use crate::report::{Outcome, Report};
use crate::sys::{address, call};
use crate::target::Target;

/// The first argument of this program as a sandboxed command. The name of the attempt follows.
const ATTEMPT: &str = "--attempt";

/// The exit code of a sandboxed command whose attempt succeeded.
const ESCAPED: i32 = 42;

/// The user of the second pass, if the first one is root.
const ORDINARY_USER: u32 = 64_321;

/// A supplementary group of the worker, if it is root.
const WORKER_GROUP: u32 = 64_320;

/// Attempts that the filter for system calls stops, and another wall, too: they also run without the filter.
const STOPPED_TWICE: [&str; 22] = [
    "mount_memory_over_programs",
    "mount_kernel_objects",
    "bind_the_root_folder",
    "remount_a_read_only_folder",
    "clear_read_only_attribute",
    "unmount_the_root_folder",
    "unmount_a_bound_folder",
    "uncover_hidden_files",
    "change_root_and_leave",
    "pivot_to_another_root",
    "create_a_mount_namespace",
    "create_a_network_namespace",
    "join_mounts_of_init",
    "join_users_of_init",
    "write_release_agent",
    "open_file_by_handle",
    "search_a_key_of_the_worker",
    "read_a_key_of_the_worker",
    "load_a_module",
    "restart_the_machine",
    "set_the_clock",
    "set_the_host_name",
];

/// The path of this program inside.
const PROGRAM: &str = "/attempts";

const TIME_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, name] = &arguments[..]
        && first == ATTEMPT
    {
        return attempt(name);
    }
    if arguments.iter().any(|it| it == "--list") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|it| !it.starts_with('-'));
    let filter = filter.map_or("", String::as_str);
    let compare = arguments.iter().any(|it| it == "--bwrap");
    match run_all(filter, compare) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the attempts could not be prepared: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an attempt inside a sandbox.
fn attempt(name: &str) -> ExitCode {
    let target = Target::from_variables();
    let Some(attempt) = attempts::all().into_iter().find(|it| it.name == name) else {
        println!("unknown attempt");
        return ExitCode::from(2);
    };
    match (attempt.run)(&target) {
        Ok(()) => ExitCode::from(ESCAPED as u8),
        Err(error) => {
            println!("{error}");
            ExitCode::SUCCESS
        }
    }
}

/// Returns whether all attempts failed.
fn run_all(filter: &str, compare: bool) -> io::Result<bool> {
    if is_root() {
        // A group that the commands must not inherit.
        let mut groups = [WORKER_GROUP];
        call(libc::SYS_setgroups, [1, address(&mut groups)])?;
    }
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    // Other users may not reach the folder of this program.
    let program = folder.path().join("attempts");
    fs::copy(env::current_exe()?, &program)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut passed = runtime.block_on(run(&program, filter, compare))?;
    if is_root() {
        let mut again = Command::new(&program);
        again
            .args((!filter.is_empty()).then_some(filter))
            .args(compare.then_some("--bwrap"));
        let status = again
            .uid(ORDINARY_USER)
            .gid(ORDINARY_USER)
            .current_dir("/")
            .status()?;
        passed &= status.success();
    }
    Ok(passed)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs the attempts as this user.
async fn run(program: &Path, filter: &str, compare: bool) -> io::Result<bool> {
    let user = if is_root() {
        "root"
    } else {
        "an ordinary user"
    };
    // Before the first thread is created, which keeps the keyring of this one.
    let mut decoys = Decoys::new()?;
    let support = Support::probe().await;
    if let Some((wall, error)) = support.missing().next() {
        println!("skipped as {user}: the wall `{wall}` is missing: {error}");
        return Ok(true);
    }
    let mut report = Report::new(user);
    for attempt in attempts::all()
        .into_iter()
        .filter(|it| it.name.contains(filter))
    {
        let isolation = strict(program, &decoys);
        let strict = sandboxed(program, attempt, &decoys, Some(isolation.clone())).await?;
        // Without walls, root could do all of them, and some would be felt on the machine.
        let open = if attempt.works_without_walls && !is_root() {
            Some(sandboxed(program, attempt, &decoys, None).await?)
        } else {
            None
        };
        let peer = compare
            .then(|| bubblewrap(program, attempt, &decoys))
            .transpose()?;
        report.add(attempt, strict, open, peer);
        if STOPPED_TWICE.contains(&attempt.name) {
            let isolation = isolation.without(Wall::SystemCalls);
            let outcome = sandboxed(program, attempt, &decoys, Some(isolation)).await?;
            report.add_without_filter(attempt, &outcome);
        }
        decoys.check()?;
    }
    Ok(report.finish(compare))
}

/// The walls of the test, and a limit of each kind.
fn strict(program: &Path, decoys: &Decoys) -> Isolation {
    let view = FileView::system()
        .read_only(program, PROGRAM)
        .read_only(&decoys.target.read_only, "/read-only")
        .read_write(&decoys.target.writable, "/writable")
        .memory_size(16 << 20);
    Isolation::strict().files(view)
}

/// Runs an attempt in a sandbox, without walls if there is no isolation.
async fn sandboxed(
    program: &Path,
    attempt: Attempt,
    decoys: &Decoys,
    isolation: Option<Isolation>,
) -> io::Result<Outcome> {
    let mut target = decoys.target.clone();
    let walls = isolation.is_some();
    let mut command = SandboxCommand::new(if walls { Path::new(PROGRAM) } else { program });
    if walls {
        target.read_only = "/read-only".into();
        target.writable = "/writable".into();
        command = command.limits(limits());
    }
    for (name, value) in target.variables() {
        command = command.env(name, value);
    }
    let mut child = command
        .args([ATTEMPT, attempt.name])
        .isolation(isolation.unwrap_or_else(Isolation::none))
        .stdout(StdStream::Pipe)
        .spawn()
        .await
        .map_err(io::Error::other)?;
    let mut output = String::new();
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let exit = timeout(TIME_LIMIT, child.wait())
        .await
        .map_err(io::Error::other)??;
    // All processes have ended, so the other end of the pipe is closed.
    timeout(TIME_LIMIT, stdout.read_to_string(&mut output))
        .await
        .map_err(io::Error::other)??;
    if decoys.is_lock_held()? {
        return Ok(Outcome::Escaped("a process stayed behind".to_owned()));
    }
    Ok(Outcome::new(exit.status, ESCAPED, &output))
}

fn limits() -> Limits {
    let limits = Limits::new().open_files(64).processes(40);
    limits.file_size(20 << 20).address_space(1 << 30)
}

/// Runs an attempt in the walls of bubblewrap that its manual recommends.
fn bubblewrap(program: &Path, attempt: Attempt, decoys: &Decoys) -> io::Result<Outcome> {
    let mut target = decoys.target.clone();
    target.read_only = PathBuf::from("/read-only");
    target.writable = PathBuf::from("/writable");
    let mut command = Command::new("bwrap");
    command.args([
        "--unshare-all",
        "--new-session",
        "--die-with-parent",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]);
    command.args([
        "--tmpfs",
        "/tmp",
        "--ro-bind",
        "/usr",
        "/usr",
        "--ro-bind",
        "/etc",
        "/etc",
    ]);
    for folder in ["/bin", "/sbin", "/lib", "/lib64"] {
        command.args(["--symlink", &format!("usr{folder}"), folder]);
    }
    command.arg("--ro-bind").arg(program).arg(PROGRAM);
    command
        .arg("--ro-bind")
        .arg(&decoys.target.read_only)
        .arg("/read-only");
    command
        .arg("--bind")
        .arg(&decoys.target.writable)
        .arg("/writable");
    command
        .args([PROGRAM, ATTEMPT, attempt.name])
        .env_clear()
        .envs(target.variables());
    command.env("PATH", "/usr/bin:/bin");
    let output = command.output()?;
    if decoys.is_lock_held()? {
        return Ok(Outcome::Escaped("a process stayed behind".to_owned()));
    }
    Ok(Outcome::new(
        output.status,
        ESCAPED,
        &String::from_utf8_lossy(&output.stdout),
    ))
}
