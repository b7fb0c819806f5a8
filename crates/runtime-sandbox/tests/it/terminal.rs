//! Commands with a terminal.

use runtime_sandbox::{Isolation, SandboxCommand, TerminalSize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{PATH, limited, presets};

const SIZE: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

fn on_terminal(script: &str, isolation: Isolation) -> SandboxCommand {
    let command = SandboxCommand::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", PATH);
    command.isolation(isolation).terminal(SIZE)
}

#[tokio::test]
async fn command_controls_its_terminal() {
    for isolation in presets() {
        let script =
            "test -t 0 && test -t 1 && test -t 2 && stty size && : </dev/tty && echo controlled";
        let mut child = on_terminal(script, isolation)
            .spawn()
            .await
            .expect("it starts");
        let mut output = String::new();
        let terminal = child.terminal.as_mut().expect("a terminal");
        limited(terminal.read_to_string(&mut output))
            .await
            .expect("output");
        assert_eq!(output, "24 80\r\ncontrolled\r\n");
        assert!(
            limited(child.wait())
                .await
                .expect("it ends")
                .status
                .success()
        );
    }
}

#[tokio::test]
async fn input_and_size_reach_the_command() {
    let script = "stty -echo; trap 'stty size; exit' WINCH; read line; echo got $line; while :; do sleep 0.01; done";
    let mut child = on_terminal(script, Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    let terminal = child.terminal.as_mut().expect("a terminal");
    terminal.write_all(b"hello\n").await.expect("input");
    let mut output = Vec::new();
    while !output.ends_with(b"got hello\r\n") {
        output.push(limited(terminal.read_u8()).await.expect("output"));
    }
    let larger = TerminalSize {
        rows: 50,
        columns: 132,
    };
    terminal.resize(larger).expect("a terminal");
    let mut rest = String::new();
    limited(terminal.read_to_string(&mut rest))
        .await
        .expect("output");
    assert_eq!(rest, "50 132\r\n");
}

#[tokio::test]
async fn interrupt_key_reaches_the_command() {
    let script = "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.01; done";
    let mut child = on_terminal(script, Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    let terminal = child.terminal.as_mut().expect("a terminal");
    let mut output = Vec::new();
    while !output.ends_with(b"ready\r\n") {
        output.push(limited(terminal.read_u8()).await.expect("output"));
    }
    terminal.write_all(&[3]).await.expect("input");
    assert_eq!(
        limited(child.wait()).await.expect("it ends").status.code(),
        Some(8)
    );
}
