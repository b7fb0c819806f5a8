//! Walls one by one, users, and machines without some of the walls.

use std::collections::BTreeSet;

use runtime_sandbox::{
    FileView, Isolation, SandboxCommand, SpawnError, SpawnStep, StdStream, Support, Wall,
};

use crate::support::{is_root, run, shell};
use crate::worker;

#[tokio::test]
async fn each_wall_works_alone() {
    for wall in Wall::ALL {
        let mut isolation = Isolation::none().with(wall);
        if wall == Wall::Files {
            isolation = isolation.with(Wall::Processes);
        }
        let (exit, output) = run(shell("exit 3", isolation)).await;
        assert_eq!(exit.status.code(), Some(3), "{wall}: {output}");
    }
}

#[tokio::test]
async fn all_walls_but_one_work() {
    for wall in Wall::ALL {
        let mut isolation = Isolation::strict().without(wall);
        if wall == Wall::Processes {
            isolation = isolation.without(Wall::Files);
        }
        let (exit, output) = run(shell("exit 3", isolation)).await;
        assert_eq!(exit.status.code(), Some(3), "{wall}: {output}");
    }
}

#[tokio::test]
async fn files_without_processes_are_an_error() {
    let isolation = Isolation::strict().without(Wall::Processes);
    let error = shell("true", isolation)
        .spawn()
        .await
        .expect_err("impossible");
    assert!(
        matches!(
            error,
            SpawnError::Settings {
                wall: Wall::Files,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn landlock_alone_stops_signals() {
    let child = shell("exec sleep 600", Isolation::none())
        .spawn()
        .await
        .expect("it starts");
    let outside = child.id().expect("it runs");
    // Signal 0 only checks the right, which a process of the same user has.
    let script = format!("kill -0 {outside}");
    let (exit, _) = run(shell(&script, Isolation::none())).await;
    assert!(exit.status.success());
    let (exit, _) = run(shell(&script, Isolation::none().with(Wall::Landlock))).await;
    assert!(!exit.status.success());
}

#[tokio::test]
async fn landlock_is_a_second_wall() {
    // The kernel lets every user create this node, which has no driver. Landlock refuses all nodes of devices.
    let script = "mknod /tmp/node c 0 0";
    let (exit, output) = run(shell(script, Isolation::strict().without(Wall::Landlock))).await;
    assert!(exit.status.success(), "{output}");
    let (exit, _) = run(shell(script, Isolation::strict())).await;
    assert!(!exit.status.success());
}

#[tokio::test]
async fn host_name_is_its_own() {
    let (_, output) = run(shell("uname -n", Isolation::none().with(Wall::HostName))).await;
    assert_eq!(output, "sandbox\n");
}

#[tokio::test]
async fn loopback_interface_is_up() {
    let script = "grep -c '^ *lo:' /proc/net/dev; tail -n +3 /proc/net/dev | wc -l; cat /proc/net/fib_trie | grep -c 127.0.0.1";
    let (_, output) = run(shell(script, Isolation::strict())).await;
    let mut lines = output.lines();
    assert_eq!(
        (lines.next(), lines.next()),
        (Some("1"), Some("1")),
        "{output}"
    );
    assert_ne!(lines.next(), Some("0"), "{output}");
}

#[tokio::test]
async fn concurrent_commands_have_different_users() {
    if !is_root() {
        return println!("skipped: needs root");
    }
    let users = 2_100_000_000..=2_100_000_002;
    let isolation = Isolation::strict().users(users.clone());
    let mut children = Vec::new();
    for _ in users.clone() {
        let child = shell("id -u; id -g; id -G; exec sleep 600", isolation.clone());
        children.push(child.spawn().await.expect("it starts"));
    }
    let ids: BTreeSet<Option<u32>> = children.iter().map(|it| it.user()).collect();
    assert_eq!(ids, users.map(Some).collect());
    let error = shell("true", isolation.clone())
        .spawn()
        .await
        .expect_err("none is free");
    assert!(
        matches!(error, SpawnError::NoFreeUser { count: 3 }),
        "{error:?}"
    );
    let first = &mut children[0];
    let user = first.user().expect("a user").to_string();
    for _ in 0..3 {
        assert_eq!(crate::support::read_line(first).await, user);
    }
    // The end of a command frees its user.
    let last = children.last_mut().expect("a command");
    last.kill(std::time::Duration::ZERO).await.expect("it ends");
    let (exit, _) = run(shell("true", isolation)).await;
    assert!(exit.status.success());
}

#[tokio::test]
async fn certain_user_is_used() {
    let command = shell("id -u; id -g", Isolation::strict()).user(54_322, 54_323);
    let (_, output) = run(command).await;
    let expected = if is_root() {
        "54322\n54323\n".to_owned()
    } else {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        format!("{}\n{}\n", user.as_raw(), group.as_raw())
    };
    assert_eq!(output, expected);
}

#[tokio::test]
async fn support_is_a_table() {
    let support = Support::probe().await;
    let table = support.to_string();
    assert_eq!(table.lines().count(), 2 + Wall::ALL.len(), "{table}");
    for wall in Wall::ALL {
        assert!(table.contains(&wall.to_string()), "{table}");
        assert_eq!(
            support.has(wall),
            support.missing().all(|(it, _)| it != wall)
        );
    }
}

/// Runs this test program as a worker inside of a sandbox.
pub(crate) async fn worker_inside(role: &str, view: FileView, isolation: Isolation) -> String {
    let program = std::env::current_exe().expect("this program");
    let folder = program.parent().expect("its folder");
    let view = view.read_only(folder, folder);
    let command = SandboxCommand::new(&program)
        .args(worker::arguments())
        .env(worker::ROLE, role);
    let command = command.stdout(StdStream::Pipe).stderr(StdStream::Pipe);
    let (exit, output) = run(command.isolation(isolation.files(view))).await;
    assert!(exit.status.success(), "{output}");
    output
}

/// Runs this test program as a worker inside of a sandbox whose filter refuses namespaces.
async fn worker_in_strict(role: &str, view: FileView) -> String {
    worker_inside(role, view, Isolation::strict()).await
}

#[tokio::test]
async fn socket_of_the_worker_can_be_let_in() {
    let folder = crate::support::open_folder();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&socket, mode).expect("its mode");
    let view = FileView::system().read_write(&socket, "/socket");
    // The network of the sandbox has no way to it, but the path does.
    let output = worker_in_strict("connect", view).await;
    assert!(output.contains("role: connected true"), "{output}");
    let output = worker_in_strict("connect", FileView::system()).await;
    assert!(output.contains("role: connected false"), "{output}");
}

#[tokio::test]
async fn missing_wall_is_an_error() {
    let output = worker_in_strict("strict", FileView::system()).await;
    assert!(
        output.contains("role: cannot create a process with its own namespaces"),
        "{output}"
    );
    assert!(
        output.contains("user.max_user_namespaces"),
        "the remedy is named: {output}"
    );
}

#[tokio::test]
async fn best_effort_reports_missing_walls() {
    let output = worker_in_strict("best effort", FileView::system()).await;
    let expected =
        "role: missing [User, Files, Processes, Ipc, HostName, ControlGroups], exit code Some(3)";
    assert!(output.contains(expected), "{output}");
}

#[tokio::test]
async fn network_is_filtered_without_namespaces() {
    let output = worker_in_strict("no network", FileView::system()).await;
    let sockets = output.matches("role: sockets [\"local\"]\n").count();
    assert_eq!(sockets, 2, "without and with the other filter: {output}");
    let mut lines = output.lines();
    let row = lines.find(|line| line.starts_with("network "));
    assert!(
        row.is_some_and(|row| row.contains("yes") && row.contains("a filter")),
        "{output}"
    );
}

#[tokio::test]
async fn best_effort_keeps_other_errors() {
    let isolation = Isolation::strict().best_effort();
    let (exit, _) = run(shell("exit 3", isolation.clone())).await;
    assert_eq!(exit.status.code(), Some(3));
    let error = shell("true", isolation)
        .current_dir("/missing")
        .spawn()
        .await;
    let error = error.expect_err("the folder is missing");
    assert!(
        matches!(
            error,
            SpawnError::Step {
                step: SpawnStep::WorkingDirectory,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn leased_user_runs_several_commands() {
    let isolation = Isolation::strict();
    let Some(user) = isolation.lease_user().expect("a free user") else {
        return println!("skipped: needs root");
    };
    for _ in 0..2 {
        let command = shell("id -u; id -g", isolation.clone()).user(user.id(), user.id());
        let (_, output) = run(command).await;
        assert_eq!(output, format!("{0}\n{0}\n", user.id()));
    }
    let (_, other) = run(shell("id -u", isolation.clone())).await;
    assert_ne!(other.trim(), user.id().to_string());
    let none = Isolation::none().lease_user().expect("no user");
    assert!(none.is_none());
}
