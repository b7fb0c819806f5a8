//! Start, streams and environment of commands.

use std::io::ErrorKind;

use runtime_sandbox::{Isolation, SandboxCommand, SpawnError, SpawnStep, StdStream};
use tokio::io::AsyncWriteExt as _;

use crate::support::{limited, presets, read_line, run, shell};

#[tokio::test]
async fn output_and_exit_code_are_returned() {
    for isolation in presets() {
        let name = format!("{isolation:?}");
        let (exit, output) = run(shell("echo out; echo err >&2; exit 7", isolation)).await;
        assert_eq!(output, "out\nerr\n", "{name}");
        assert_eq!(exit.status.code(), Some(7), "{name}");
    }
}

#[tokio::test]
async fn input_is_a_pipe() {
    let command = SandboxCommand::new("/usr/bin/cat");
    let command = command.stdin(StdStream::Pipe).stdout(StdStream::Pipe);
    let mut child = command.spawn().await.expect("it starts");
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"hello\n").await.expect("it reads");
    assert_eq!(read_line(&mut child).await, "hello");
    // `wait` closes the input, at which the command ends.
    assert!(
        limited(child.wait())
            .await
            .expect("it ends")
            .status
            .success()
    );
}

#[tokio::test]
async fn environment_is_empty() {
    for isolation in presets() {
        let command = SandboxCommand::new("/usr/bin/env").env("ONLY", "this");
        let command = command.stdout(StdStream::Pipe).stderr(StdStream::Pipe);
        let (_, output) = run(command.isolation(isolation)).await;
        assert_eq!(output, "ONLY=this\n");
    }
}

#[tokio::test]
async fn program_is_searched_in_path() {
    let script = SandboxCommand::new("env").env("PATH", "/missing:/etc/passwd:/usr/bin");
    let script = script.stdout(StdStream::Pipe).stderr(StdStream::Pipe);
    let (exit, output) = run(script).await;
    assert!(
        exit.status.success() && output.contains("PATH=/missing"),
        "{output}"
    );
}

#[tokio::test]
async fn missing_program_is_named() {
    for program in ["/usr/bin/missing", "missing", ""] {
        let error = SandboxCommand::new(program)
            .spawn()
            .await
            .expect_err("missing");
        let SpawnError::Execute {
            program: named,
            source,
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(named.as_os_str(), program);
        let expected = if program.is_empty() {
            None
        } else {
            Some(ErrorKind::NotFound)
        };
        assert!(expected.is_none_or(|it| it == source.kind()), "{source:?}");
    }
}

#[tokio::test]
async fn denied_program_wins_over_missing() {
    // The first folder has no such file, the second one a file without the right to execute it.
    let command = SandboxCommand::new("passwd").env("PATH", "/usr/share:/etc:/missing");
    let error = command.spawn().await.expect_err("no program");
    let SpawnError::Execute { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn file_without_format_is_an_error() {
    let folder = crate::support::open_folder();
    let program = folder.path().join("program");
    std::fs::write(&program, "no format").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("its mode");
    let command = SandboxCommand::new(program).isolation(Isolation::none());
    let error = command.spawn().await.expect_err("no format");
    assert!(matches!(error, SpawnError::Execute { .. }), "{error:?}");
}

#[tokio::test]
async fn working_directory_is_inside() {
    let (_, output) = run(shell("pwd", Isolation::strict()).current_dir("/tmp")).await;
    assert_eq!(output, "/tmp\n");
    let (_, output) = run(shell("pwd", Isolation::strict())).await;
    assert_eq!(output, "/\n");
    let error = shell("pwd", Isolation::strict())
        .current_dir("/home/nobody")
        .spawn()
        .await;
    match error {
        Err(SpawnError::Step { step, path, .. }) => {
            assert_eq!(step, SpawnStep::WorkingDirectory);
            assert_eq!(path.as_deref(), Some("/home/nobody".as_ref()));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nul_byte_is_an_error() {
    let commands = [
        (SandboxCommand::new("a\0b"), "program"),
        (SandboxCommand::new("true").arg("a\0b"), "argument"),
        (
            SandboxCommand::new("true").env("A", "a\0b"),
            "environment variable",
        ),
        (SandboxCommand::new("true").current_dir("a\0b"), "path"),
    ];
    for (command, kind) in commands {
        let error = command.spawn().await.expect_err("a NUL byte");
        assert_eq!(error.to_string(), format!("the {kind} contains a NUL byte"));
    }
}

#[test]
fn debug_hides_secrets() {
    let command = SandboxCommand::new("true")
        .arg("hunter2")
        .env("TOKEN", "hunter2");
    let text = format!("{command:?}");
    assert!(
        text.contains("TOKEN") && !text.contains("hunter2"),
        "{text}"
    );
}

#[tokio::test]
async fn signals_are_reset() {
    // This test program ignores SIGPIPE, and the init process blocks all signals.
    let script = "grep -E 'Sig(Blk|Ign)' /proc/self/status";
    for isolation in presets() {
        let (_, output) = run(shell(script, isolation)).await;
        assert_eq!(
            output,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
        );
    }
}

#[tokio::test]
async fn closed_output_ends_its_stream() {
    for isolation in presets() {
        let mut child = shell("exec >&- 2>&-; exec sleep 600", isolation)
            .spawn()
            .await
            .expect("it starts");
        // The init process does not keep the pipes open.
        assert_eq!(crate::support::read_all(&mut child).await, "");
        assert!(child.id().is_some());
    }
}

#[tokio::test]
async fn own_session_is_led_by_the_command() {
    for isolation in presets() {
        let (_, output) = run(shell("cut -d' ' -f 1,5,6 /proc/$$/stat", isolation)).await;
        let numbers: Vec<&str> = output.split_whitespace().collect();
        assert!(
            matches!(numbers[..], [pid, group, session] if pid == group && pid == session),
            "{output}"
        );
    }
}

#[tokio::test]
async fn check_runs_no_program() {
    for isolation in presets() {
        let command = |directory| {
            SandboxCommand::new("/no/such/program")
                .current_dir(directory)
                .isolation(isolation.clone())
        };
        command("/usr").check().await.expect("all but the program");
        let error = command("/no/such/folder").check().await;
        match error {
            Err(SpawnError::Step { step, .. }) => assert_eq!(step, SpawnStep::WorkingDirectory),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn command_has_an_id_until_its_end() {
    for isolation in presets() {
        let command = shell("echo ready; exec sleep 600", isolation);
        let mut child = command.spawn().await.expect("it starts");
        read_line(&mut child).await;
        let id = child.command_id().expect("it runs");
        let parent = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let parent = parent.lines().find_map(|it| it.strip_prefix("PPid:\t"));
        assert_eq!(parent, child.id().map(|id| id.to_string()).as_deref());
        limited(child.kill(std::time::Duration::ZERO))
            .await
            .expect("it ends");
        assert_eq!(child.command_id(), None);
    }
}
