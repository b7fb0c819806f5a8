//! Interactive shells inside of a running task, through web hooks.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::io;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use runtime_core::webhook::{WebHook, WebHookServer as _};
use runtime_core::{BoxError, TaskError};
use runtime_webhook::{LocalhostServer, Shell, ShellControl, ShellProgram, ShellStarter};
use runtime_worker::{
    Capability, ExecCommand, ExecControl, ExecError, Plugin, PtySize, Sandbox, TaskPlugin, TaskRun,
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::TestBed;

/// Starts shells in a task.
struct TaskShell(Weak<dyn Sandbox>);

#[async_trait]
impl ShellStarter for TaskShell {
    async fn start(&self, rows: u16, columns: u16) -> Result<ShellProgram, BoxError> {
        let program = "sh".to_owned();
        let ended = || ExecError::Ended { program };
        let sandbox = self.0.upgrade().ok_or_else(ended)?;
        let process = sandbox
            .exec(ExecCommand {
                command: ["env", "TERM=xterm", "sh", "-i"].map(str::to_owned).into(),
                terminal: Some(PtySize { rows, columns }),
            })
            .await?;
        let control = TaskShellControl(process.control);
        Ok(ShellProgram::new(process.stdout, process.stdin, control))
    }
}

struct TaskShellControl(Box<dyn ExecControl>);

#[async_trait]
impl ShellControl for TaskShellControl {
    async fn wait(&self) -> io::Result<String> {
        let exit = self.0.wait().await.map_err(io::Error::other)?;
        Ok(exit.to_string())
    }

    fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        self.0.resize(PtySize { rows, columns })
    }
}

/// Serves a shell to each task. Sends the URL when the task runs.
#[derive(Debug)]
struct Interactive {
    server: Arc<LocalhostServer>,
    url: watch::Sender<String>,
}

#[async_trait]
impl Plugin for Interactive {
    fn name(&self) -> &'static str {
        "interactive"
    }

    fn requires(&self) -> &[Capability] {
        &[Capability::Exec]
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(TaskInteractive {
            server: Arc::clone(&self.server),
            url: self.url.clone(),
            hook: None,
        })))
    }
}

struct TaskInteractive {
    server: Arc<LocalhostServer>,
    url: watch::Sender<String>,
    hook: Option<WebHook>,
}

#[async_trait]
impl TaskPlugin for TaskInteractive {
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        let starter = Arc::new(TaskShell(Arc::downgrade(sandbox)));
        let shell = Arc::new(Shell::with_starter(starter).map_err(TaskError::other)?);
        let path = shell.path();
        let hook = self.server.attach(shell).await.map_err(TaskError::other)?;
        self.url.send_replace(format!("{}{path}", hook.url()));
        self.hook = Some(hook);
        Ok(())
    }
}

#[tokio::test]
async fn shell_runs_inside_of_the_task() {
    for bed in TestBed::each().await {
        let server = Arc::new(LocalhostServer::start().await.expect("a port"));
        let url = watch::Sender::new(String::new());
        let plugin = Interactive {
            server,
            url: url.clone(),
        };
        let task_id = bed.create(json!({
            "command": ["sh", "-c", "echo found-$WORD > file; while ! [ -e stop ]; do sleep 0.05; done"],
            "env": { "WORD": "it" },
        }));
        let running = bed.start(bed.worker().plugin(plugin));
        let mut urls = url.subscribe();
        let started = urls.wait_for(|url| !url.is_empty()).await;
        let url = started.expect("the plugin lives").clone();

        let address = url.trim_start_matches("http://").split('/').next();
        let stream = TcpStream::connect(address.unwrap_or_default()).await;
        let socket = url.replacen("http", "ws", 1);
        let client = client_async(socket, stream.expect("a connection")).await;
        let (mut client, _) = client.expect("a WebSocket");
        bed.wait_for_task_file("file").await;
        let typed = b"\x01stty size; cat file; echo $WORD-$WORD; touch stop\r";
        let sent = client.send(Message::Binary(typed.to_vec().into())).await;
        sent.expect("a connection");
        let mut seen = String::new();
        // The end of the task ends the shell.
        while let Some(Ok(message)) = client.next().await {
            if let Message::Binary(bytes) = message {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        for expected in ["24 80", "found-it", "it-it"] {
            assert!(seen.contains(expected), "{expected}: {seen}");
        }
        assert_eq!(bed.resolved(&task_id).await.state_and_reason(), "completed");
        running.stop().await;
        bed.assert_no_leftovers();
    }
}
