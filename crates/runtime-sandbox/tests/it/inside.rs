//! Further commands inside the walls of a running one.

use std::time::Duration;

use runtime_sandbox::{
    Isolation, SandboxChild, SandboxCommand, SandboxExit, SpawnError, SpawnStep,
};

use crate::support::{limited, presets, read_all, read_line, shell};

async fn exec(child: &SandboxChild, command: SandboxCommand) -> (SandboxExit, String) {
    let mut inside = child.exec(command).await.expect("it starts inside");
    let output = read_all(&mut inside).await;
    (limited(inside.wait()).await.expect("it ends"), output)
}

#[tokio::test]
async fn command_inside_sees_the_same_files() {
    let script = "echo shared >/tmp/file; echo ready; exec sleep 600";
    let child = &mut shell(script, Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    assert_eq!(read_line(child).await, "ready");
    let (exit, output) = exec(child, shell("cat /tmp/file; exit 9", Isolation::none())).await;
    assert_eq!(output, "shared\n");
    assert_eq!(exit.status.code(), Some(9));
}

#[tokio::test]
async fn command_inside_has_the_same_walls() {
    for isolation in presets() {
        let script =
            "id -u; readlink /proc/self/ns/*; grep -E 'Seccomp|NoNew|Cap' /proc/self/status; id -G";
        let child = &mut shell(&format!("{script}; echo ready; exec sleep 600"), isolation)
            .spawn()
            .await
            .expect("it starts");
        let mut expected = String::new();
        loop {
            let line = read_line(child).await;
            if line == "ready" {
                break;
            }
            expected.push_str(&line);
            expected.push('\n');
        }
        let (_, output) = exec(child, shell(script, Isolation::none())).await;
        assert_eq!(output, expected);
    }
}

/// Starts a command, and another one inside of its walls.
async fn start_both(isolation: Isolation) -> (SandboxChild, SandboxChild) {
    let command = shell("echo ready; exec sleep 600", isolation);
    let mut child = command.spawn().await.expect("it starts");
    assert_eq!(read_line(&mut child).await, "ready");
    let inside = child.exec(shell("sleep 600", Isolation::none())).await;
    (child, inside.expect("it starts"))
}

#[tokio::test]
async fn command_inside_is_killed_alone() {
    for isolation in presets() {
        let (mut child, mut inside) = start_both(isolation).await;
        let exit = inside.kill(Duration::ZERO).await.expect("it ends");
        assert!(!exit.status.success());
        assert!(child.id().is_some());
        child.kill(Duration::ZERO).await.expect("it ends");
    }
}

/// A process of a namespace whose parent was outside must be reaped before the namespace can end. This process adopts
/// it if its parent ends, and reaps it as little as the first process of most containers does.
#[tokio::test]
async fn command_inside_is_reaped() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("it may");
    for isolation in presets() {
        for is_dropped in [true, false] {
            let (mut child, mut inside) = start_both(isolation.clone()).await;
            if is_dropped {
                drop(inside);
            } else {
                inside.kill(Duration::ZERO).await.expect("it ends");
            }
            let end = child.kill(Duration::ZERO);
            let end = tokio::time::timeout(Duration::from_secs(60), end).await;
            end.expect("the namespace ends").expect("it ends");
        }
    }
}

#[tokio::test]
async fn command_inside_ends_with_the_sandbox() {
    let (mut child, mut inside) = start_both(Isolation::strict()).await;
    child.kill(Duration::ZERO).await.expect("it ends");
    assert!(
        !limited(inside.wait())
            .await
            .expect("it ends, too")
            .status
            .success()
    );
    let error = child
        .exec(shell("true", Isolation::none()))
        .await
        .expect_err("the sandbox has ended");
    assert!(
        matches!(
            error,
            SpawnError::Step {
                step: SpawnStep::Enter,
                ..
            }
        ),
        "{error:?}"
    );
}
