//! Shells over WebSockets, as opened by Taskcluster's user interface.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use runtime_core::webhook::{WebHook, WebHookServer as _};
use runtime_webhook::{LocalhostServer, Shell, ShellCommand};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{get, split, status, wait_until, within_a_minute};

type Client = WebSocketStream<TcpStream>;

/// Starts a shell that runs a script, and connects a client.
async fn open(script: &'static str) -> (LocalhostServer, WebHook, Client) {
    let command = move || {
        ShellCommand::new("/bin/sh")
            .args(["-c", script])
            .env("PS1", "$ ")
    };
    let shell = Shell::new(command).expect("random numbers");
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("attached");
    let client = connect(&format!("{}{path}", hook.url())).await;
    (server, hook, client)
}

async fn connect(url: &str) -> Client {
    let (address, _) = split(url);
    let stream = TcpStream::connect(address).await.expect("a connection");
    let url = url.replacen("http", "ws", 1);
    client_async(url, stream).await.expect("a WebSocket").0
}

async fn type_text(client: &mut Client, text: &str) {
    let message = [b"\x01", text.as_bytes()].concat();
    client
        .send(Message::Binary(message.into()))
        .await
        .expect("a write");
}

/// Reads output up to a text.
async fn read_until(client: &mut Client, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        match within_a_minute(client.next()).await {
            Some(Ok(Message::Binary(bytes))) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    seen
}

/// Reads to the close frame, and returns the number of output bytes, the close code and the reason.
async fn read_close(client: &mut Client) -> (usize, u16, String) {
    let mut count = 0;
    loop {
        match within_a_minute(client.next()).await {
            Some(Ok(Message::Binary(bytes))) => count += bytes.len(),
            Some(Ok(Message::Close(Some(frame)))) => {
                return (count, frame.code.into(), frame.reason.to_string());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn input_runs_and_output_is_returned() {
    let (_server, _hook, mut client) = open("exec /bin/sh -i").await;
    type_text(&mut client, "echo sum-$((40 + 2)) $TERM\r").await;
    read_until(&mut client, "sum-42 xterm-256color").await;
}

#[tokio::test]
async fn resize_changes_the_terminal() {
    let (_server, _hook, mut client) = open("read x; stty size").await;
    let size = Bytes::from_static(b"\x02\x84\0\x2c\x01");
    client.send(Message::Binary(size)).await.expect("a write");
    type_text(&mut client, "\r").await;
    read_until(&mut client, "132 300").await;
}

#[tokio::test]
async fn control_c_interrupts_the_program() {
    let (_server, _hook, mut client) =
        open("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 1; done").await;
    read_until(&mut client, "ready").await;
    type_text(&mut client, "\x03").await;
    read_until(&mut client, "interrupted").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 3"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn program_inherits_only_the_terminal() {
    let (_server, _hook, mut client) = open("ls /proc/$$/fd; test ! -e /proc/$$/fd/7").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 0"));
}

#[tokio::test]
async fn program_inherits_no_variables() {
    // Cargo sets the first one for the worker of this test.
    let script = "test -z \"$CARGO_MANIFEST_DIR$HOME\" && exec test \"$PATH\" = /usr/local/bin:/usr/bin:/bin";
    let (_server, _hook, mut client) = open(script).await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 0"));
}

/// A worker started in the background ignores interrupts and may have open files, which a child inherits.
#[test]
fn background_worker_passes_on_no_state() {
    let tests = "shell::control_c_interrupts_the_program shell::program_inherits_only_the_terminal";
    let script = format!("trap '' HUP INT QUIT; exec 7</dev/null; exec \"$0\" --exact {tests}");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().expect("the path of this program"))
        .status();
    assert!(status.expect("a shell").success());
}

/// Closing a socket with unread data sends RST, and the client could lose received data.
#[tokio::test]
async fn client_closes_the_connection_first() {
    /// The input `x`, with a masking key of zero.
    const INPUT: [u8; 8] = [0x82, 0x82, 0, 0, 0, 0, 0x01, b'x'];
    let (_server, _hook, mut client) = open("exit 4").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 4"));
    for _ in 0..20 {
        let written = client.get_mut().write_all(&INPUT).await;
        written.expect("an open connection");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        client.next().await.is_none(),
        "both ends sent a close frame"
    );
}

#[tokio::test]
async fn all_output_precedes_the_close_frame() {
    let (_server, _hook, mut client) = open("head -c 3000000 /dev/zero").await;
    let (count, code, _) = read_close(&mut client).await;
    assert_eq!((count, code), (3_000_000, 1000));
}

#[tokio::test]
async fn invalid_message_closes_the_session() {
    for (message, reason) in [
        (Message::Binary(Bytes::new()), "empty message"),
        (Message::Binary(Bytes::from_static(b"\x07x")), "type 7"),
        (Message::Binary(Bytes::from_static(b"\x02\0")), "4 bytes"),
        (Message::Text("ls".into()), "text"),
    ] {
        let (_server, _hook, mut client) = open("exec cat").await;
        client.send(message).await.expect("a write");
        let (_, code, said) = read_close(&mut client).await;
        assert_eq!(code, 1008);
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn missing_program_closes_with_1011() {
    let shell = Shell::new(|| ShellCommand::new("/no/such/program")).expect("random numbers");
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("attached");
    let mut client = connect(&format!("{}{path}", hook.url())).await;
    assert_eq!(read_close(&mut client).await.1, 1011);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn program_ends_with_the_client() {
    let (_server, _hook, mut client) = open("trap '' HUP; echo pid-$$.; exec sleep 1000").await;
    let seen = read_until(&mut client, ".").await;
    let pid = seen
        .split("pid-")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .expect("a pid");
    let process = format!("/proc/{pid}");
    assert!(std::path::Path::new(&process).exists());
    drop(client);
    wait_until(|| !std::path::Path::new(&process).exists()).await;
}

#[tokio::test]
async fn shell_inherits_no_variables() {
    let (_server, _hook, mut client) = open("env; echo end-of-variables").await;
    let seen = read_until(&mut client, "end-of-variables").await;
    assert!(seen.contains("TERM=xterm-256color"), "{seen}");
    // The shell sets some itself.
    let set_by_shell = ["PATH", "TERM", "PWD", "OLDPWD", "SHLVL", "_"];
    let own = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let own: Vec<String> = own
        .filter(|name| !set_by_shell.contains(&&**name))
        .collect();
    assert!(!own.is_empty(), "cargo sets variables");
    for name in own {
        assert!(!seen.contains(&format!("\n{name}=")), "{name}");
    }
}

#[tokio::test]
async fn dropped_shell_ends_its_sessions() {
    let shell = Arc::new(Shell::new(|| ShellCommand::new("/bin/cat")).expect("random numbers"));
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(shell).await.expect("attached");
    let mut client = connect(&format!("{}{path}", hook.url())).await;
    type_text(&mut client, "x").await;
    read_until(&mut client, "x").await;
    drop(hook);
    within_a_minute(async { while let Some(Ok(_)) = client.next().await {} }).await;
}

#[tokio::test]
async fn websocket_requires_the_secret() {
    let shell = Shell::new(|| ShellCommand::new("/bin/cat")).expect("random numbers");
    let path = shell.path();
    assert!(!format!("{shell:?}").contains(path.rsplit('/').next().expect("a secret")));
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("attached");
    let base = hook.url();
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n";
    for (rest, headers, expected) in [
        ("", "", 404),
        ("shell/", upgrade, 404),
        ("shell/guess", upgrade, 404),
        (path.as_str(), "", 426),
        (
            path.as_str(),
            "Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n",
            426,
        ),
        (
            path.as_str(),
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            400,
        ),
    ] {
        assert_eq!(
            status(&get(&format!("{base}{rest}"), headers).await),
            expected,
            "{rest}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn unresponsive_client_is_disconnected() {
    let (_server, _hook, mut client) = open("exec cat").await;
    // A client that reads also answers pings, and is still connected after an hour.
    let hour = tokio::time::timeout(Duration::from_secs(3600), async {
        loop {
            match client.next().await {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(hour.await.is_err());
    // A client that stops reading is disconnected.
    tokio::time::sleep(Duration::from_secs(120)).await;
    while let Some(Ok(message)) = client.next().await {
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
}
