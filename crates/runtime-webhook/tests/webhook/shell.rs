//! Shells, as the user interface opens them.

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

use crate::support::{get, split, status};

type Client = WebSocketStream<TcpStream>;

/// A shell without anybody's settings, and a client of it.
async fn open(script: &'static str) -> (LocalhostServer, WebHook, Client) {
    let command = move || {
        ShellCommand::new("/bin/sh")
            .args(["-c", script])
            .env("PS1", "$ ")
    };
    let shell = Shell::new(command).expect("random numbers");
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("it attaches");
    let client = connect(&format!("{}{path}", hook.url())).await;
    (server, hook, client)
}

async fn connect(url: &str) -> Client {
    let (address, _) = split(url);
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let url = url.replacen("http", "ws", 1);
    client_async(url, stream).await.expect("a WebSocket").0
}

async fn typed(client: &mut Client, text: &str) {
    let message = [b"\x01", text.as_bytes()].concat();
    client
        .send(Message::Binary(message.into()))
        .await
        .expect("it reads");
}

/// Reads what is printed up to a text.
async fn read_until(client: &mut Client, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        match client.next().await {
            Some(Ok(Message::Binary(bytes))) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    seen
}

/// Reads to the end, and returns how many bytes were printed, the close code and the reason.
async fn read_close(client: &mut Client) -> (usize, u16, String) {
    let mut count = 0;
    loop {
        match client.next().await {
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
async fn what_is_typed_runs_and_what_is_printed_comes_back() {
    let (_server, _hook, mut client) = open("exec /bin/sh -i").await;
    typed(&mut client, "echo sum-$((40 + 2)) $TERM\r").await;
    read_until(&mut client, "sum-42 xterm-256color").await;
}

#[tokio::test]
async fn the_terminal_has_the_size_that_the_client_says() {
    let (_server, _hook, mut client) = open("read x; stty size").await;
    let size = Bytes::from_static(b"\x02\x84\0\x2c\x01");
    client.send(Message::Binary(size)).await.expect("it reads");
    typed(&mut client, "\r").await;
    read_until(&mut client, "300 132").await;
}

#[tokio::test]
async fn control_c_interrupts_the_program() {
    let (_server, _hook, mut client) =
        open("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 1; done").await;
    read_until(&mut client, "ready").await;
    typed(&mut client, "\x03").await;
    read_until(&mut client, "interrupted").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 3"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_program_gets_no_file_but_its_terminal() {
    let (_server, _hook, mut client) = open("ls /proc/$$/fd; test ! -e /proc/$$/fd/7").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 0"));
}

/// What is started in the background ignores interrupts, and may have files open; so would what it starts.
#[test]
fn neither_holds_less_for_a_worker_in_the_background() {
    let tests =
        "shell::control_c_interrupts_the_program shell::the_program_gets_no_file_but_its_terminal";
    let script = format!("trap '' HUP INT QUIT; exec 7</dev/null; exec \"$0\" --exact {tests}");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().expect("this program has a path"))
        .status();
    assert!(status.expect("there is a shell").success());
}

/// A socket with something unread is reset when it is closed, and the client may lose what it has not read.
#[tokio::test]
async fn the_client_ends_the_connection_after_the_goodbye() {
    /// `x`, typed; the masking key is zero.
    const TYPED: [u8; 8] = [0x82, 0x82, 0, 0, 0, 0, 0x01, b'x'];
    let (_server, _hook, mut client) = open("exit 4").await;
    let (_, code, reason) = read_close(&mut client).await;
    assert_eq!((code, reason.as_str()), (1000, "exit status: 4"));
    for _ in 0..20 {
        let written = client.get_mut().write_all(&TYPED).await;
        written.expect("the server did not close the connection first");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.next().await.is_none(), "both have said goodbye");
}

#[tokio::test]
async fn all_output_comes_before_the_goodbye() {
    let (_server, _hook, mut client) = open("head -c 3000000 /dev/zero").await;
    let (count, code, _) = read_close(&mut client).await;
    assert_eq!((count, code), (3_000_000, 1000));
}

#[tokio::test]
async fn what_is_no_message_ends_the_session() {
    for (message, reason) in [
        (Message::Binary(Bytes::new()), "empty message"),
        (Message::Binary(Bytes::from_static(b"\x07x")), "type 7"),
        (Message::Binary(Bytes::from_static(b"\x02\0")), "4 bytes"),
        (Message::Text("ls".into()), "text"),
    ] {
        let (_server, _hook, mut client) = open("exec cat").await;
        client.send(message).await.expect("it reads");
        let (_, code, said) = read_close(&mut client).await;
        assert_eq!(code, 1008);
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_program_that_is_missing_is_told() {
    let shell = Shell::new(|| ShellCommand::new("/no/such/program")).expect("random numbers");
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("it attaches");
    let mut client = connect(&format!("{}{path}", hook.url())).await;
    assert_eq!(read_close(&mut client).await.1, 1011);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_program_ends_with_its_client() {
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
    while std::path::Path::new(&process).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_shell_that_is_dropped_ends_its_sessions() {
    let shell = Arc::new(Shell::new(|| ShellCommand::new("/bin/cat")).expect("random numbers"));
    let path = shell.path();
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(shell).await.expect("it attaches");
    let mut client = connect(&format!("{}{path}", hook.url())).await;
    typed(&mut client, "x").await;
    read_until(&mut client, "x").await;
    drop(hook);
    while let Some(Ok(_)) = client.next().await {}
}

#[tokio::test]
async fn only_the_secret_opens_a_websocket_and_nothing_else_does() {
    let shell = Shell::new(|| ShellCommand::new("/bin/cat")).expect("random numbers");
    let path = shell.path();
    assert!(!format!("{shell:?}").contains(path.rsplit('/').next().expect("a secret")));
    let server = LocalhostServer::start().await.expect("a port");
    let hook = server.attach(Arc::new(shell)).await.expect("it attaches");
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
async fn a_client_that_answers_no_ping_is_gone() {
    let (_server, _hook, mut client) = open("exec cat").await;
    // It reads, hence answers; an hour later it still has its shell.
    let hour = tokio::time::timeout(Duration::from_secs(3600), async {
        loop {
            match client.next().await {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(hour.await.is_err());
    // It stops to read, and is cut.
    tokio::time::sleep(Duration::from_secs(120)).await;
    while let Some(Ok(message)) = client.next().await {
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
}
