//! Resource limits.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use runtime_sandbox::{Isolation, Limits, SpawnError, SpawnStep, Wall};

use crate::support::{eventually, limited, presets, run, shell};

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

/// A control group of the test, removed on drop.
struct Group(PathBuf);

impl Group {
    /// Creates a group below that of this process. Returns `None` without the controller or the right.
    fn new(controller: &str, name: &str) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let find = |wanted: &str| {
            let mut lines = groups
                .lines()
                .filter_map(|line| line.split_once(':')?.1.split_once(':'));
            lines.find_map(|(controllers, path)| {
                controllers
                    .split(',')
                    .any(|it| it == wanted)
                    .then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let v1 = find(controller)
            .map(|path| PathBuf::from("/sys/fs/cgroup").join(controller).join(path));
        let v2 = find("").map(|path| PathBuf::from("/sys/fs/cgroup").join(path));
        let group = v1
            .or(v2)?
            .join(format!("sandbox-test-{name}-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        Some(Self(group))
    }

    fn write(&self, file: &str, value: &str) -> Option<()> {
        // `File::create` would create an ordinary file elsewhere.
        let file = self.0.join(file);
        file.exists().then(|| fs::write(file, value).ok())?
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn control_group_is_joined_before_the_program() {
    let group = Group::new("pids", "join");
    let Some((group, ())) =
        group.and_then(|it| it.write("pids.max", "16").map(|limit| (it, limit)))
    else {
        return println!("skipped: no right to create a control group with the controller `pids`");
    };
    for isolation in presets() {
        let members = File::options()
            .write(true)
            .open(group.0.join("cgroup.procs"))
            .expect("a group");
        let script = "cat /proc/self/cgroup; for i in $(seq 40); do sleep 5 & done 2>&1";
        let command = shell(script, isolation.clone().without(Wall::ControlGroups));
        let mut child = command
            .control_group(members.into())
            .spawn()
            .await
            .expect("it starts");
        let exit = limited(child.wait()).await.expect("it ends");
        let output = crate::support::read_all(&mut child).await;
        let name = group.0.file_name().expect("a name").to_string_lossy();
        assert!(output.contains(&*name), "{output}");
        // The shell ends when it cannot fork.
        assert!(
            !exit.status.success() && output.contains("fork"),
            "{output}"
        );
        eventually("the group is empty", || {
            fs::read_to_string(group.0.join("cgroup.procs")).is_ok_and(|it| it.is_empty())
        })
        .await;
    }
}
