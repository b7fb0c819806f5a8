//! The connection between the network of a sandbox and that of the machine: the program `pasta`, which forwards
//! connections.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, geteuid};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, copy, sink};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cgroup::Cgroup;
use crate::child::SandboxChild;
use crate::command::SandboxCommand;
use crate::error::{PASTA, SpawnError, outbound_failed as failed};
use crate::isolation::Isolation;
use crate::stdio::StdStream;

/// The maximum time for the configuration of the network.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest messages of the program that are read.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

/// Stays in the foreground, configures the interface of IPv4, and forwards no port in either direction. It writes its
/// process id to its standard error when it is ready, and its namespace is its standard input.
const ARGUMENTS: [&str; 18] = [
    "--foreground",
    "--quiet",
    "--ipv4-only",
    "--config-net",
    // Otherwise the address of the gateway would lead to the loopback interface of the machine.
    "--no-map-gw",
    "--no-dhcp",
    "--tcp-ports",
    "none",
    "--udp-ports",
    "none",
    "--tcp-ns",
    "none",
    "--udp-ns",
    "none",
    "--pid",
    "/proc/self/fd/2",
    "--netns",
    "/proc/self/fd/0",
];

/// The running program. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OutboundNetwork {
    _pasta: SandboxChild,
    /// Reads its messages, so that it never waits for a reader.
    messages: JoinHandle<()>,
}

impl OutboundNetwork {
    /// Connects the network namespace of a process, which the program enters through the process's user namespace if it
    /// has one. The program joins the control group of the sandbox, because its work is that of the command.
    ///
    /// A boxed future, since the program starts as commands do, whose start this is a part of.
    pub(crate) fn connect(
        process: Pid,
        has_user_namespace: bool,
        cgroup: Option<&Arc<Cgroup>>,
    ) -> Pin<Box<dyn Future<Output = Result<Self, SpawnError>> + Send>> {
        let cgroup = cgroup.cloned();
        Box::pin(async move {
            let namespace = |kind: &str| {
                let file = File::open(format!("/proc/{}/ns/{kind}", process.as_raw_nonzero()));
                file.map(|it| StdStream::File(OwnedFd::from(it)))
            };
            let mut command = SandboxCommand::new(PASTA)
                .args(ARGUMENTS)
                .isolation(Isolation::none())
                .stdin(namespace("net").map_err(failed)?)
                .stderr(StdStream::Pipe);
            if let Some(cgroup) = &cgroup {
                command = command.join_cgroup(cgroup);
            }
            if has_user_namespace {
                let namespace = namespace("user").map_err(failed)?;
                command = command
                    .args(["--userns", "/proc/self/fd/1"])
                    .stdout(namespace);
            }
            if geteuid().is_root() {
                // Another user could not enter the namespace. It drops all capabilities, and changes its root folder.
                command = command.args(["--runas", "0"]);
            }
            let mut pasta = command.spawn().await.map_err(|error| match error {
                SpawnError::Execute { source, .. } => failed(source),
                error => error,
            })?;
            let messages = pasta.stderr.take().ok_or(io::ErrorKind::BrokenPipe);
            let messages = messages.map_err(|kind| failed(kind.into()))?;
            let started = timeout(START_TIMEOUT, wait_until_ready(messages)).await;
            let started = started.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let mut messages = started.map_err(failed)?;
            Ok(Self {
                _pasta: pasta,
                messages: tokio::spawn(async move {
                    // Fails if the program has ended.
                    let _ = copy(&mut messages, &mut sink()).await;
                }),
            })
        })
    }
}

impl Drop for OutboundNetwork {
    fn drop(&mut self) {
        self.messages.abort();
    }
}

/// Waits until the program has written its process id. An error contains its other messages.
async fn wait_until_ready(messages: pipe::Receiver) -> io::Result<BufReader<pipe::Receiver>> {
    let mut lines = BufReader::new(messages).take(MAX_MESSAGE_BYTES);
    let mut text = Vec::new();
    loop {
        let start = text.len();
        if lines.read_until(b'\n', &mut text).await? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&text[start..]);
        if line.trim().parse::<u32>().is_ok() {
            return Ok(lines.into_inner());
        }
        // Containers have no system log.
        if line.contains("to syslog") {
            text.truncate(start);
        }
    }
    let text = String::from_utf8_lossy(&text).trim().replace('\n', "; ");
    Err(io::Error::other(text))
}
