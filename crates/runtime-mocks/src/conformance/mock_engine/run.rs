//! The steps of a task in memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_core::LogDrain;
use runtime_worker::Exit;
use tokio::sync::watch;

use super::memory_files::{MemoryFiles, Node, relative};
use crate::conformance::script::Step;

/// The result of a step.
enum Effect {
    /// Text for the log.
    Print(String),
    Wait,
    End(Exit),
}

/// Runs the steps of a task until it ends or is killed.
pub(super) async fn run_steps(
    steps: &[Step],
    env: &BTreeMap<String, String>,
    files: &Arc<Mutex<MemoryFiles>>,
    mut log: LogDrain,
    mut killed: watch::Receiver<bool>,
) -> io::Result<Exit> {
    for step in steps {
        if *killed.borrow() {
            return Ok(Exit::Killed);
        }
        let effect = run_step(step, env, &mut files.lock());
        match effect {
            Effect::Print(text) => log.write_all(text.as_bytes()).map_err(io::Error::other)?,
            // An error means that the sandbox was dropped, which aborts this.
            Effect::Wait => {
                let _ = killed.wait_for(|it| *it).await;
                return Ok(Exit::Killed);
            }
            Effect::End(exit) => return Ok(exit),
        }
    }
    Ok(Exit::Code(0))
}

fn run_step(step: &Step, env: &BTreeMap<String, String>, files: &mut MemoryFiles) -> Effect {
    let variable = |name: &str| env.get(name).map_or("", String::as_str);
    let mut insert = |path: &str, node: Node| match relative(path) {
        Some(path) if !path.is_empty() => {
            files.insert(path, node);
            Effect::Print(String::new())
        }
        _ => Effect::Print(format!("{path}: outside of the task's folder\n")),
    };
    match step {
        Step::Print(text) | Step::PrintError(text) => Effect::Print(format!("{text}\n")),
        Step::PrintText(text) => Effect::Print(text.clone()),
        Step::PrintEnv(name) => Effect::Print(format!("{}\n", variable(name))),
        Step::SaveEnv {
            variable: name,
            path,
        } => insert(path, Node::File(variable(name).as_bytes().into())),
        Step::PrintLines(count) => {
            let mut lines = String::new();
            for line in 1..=*count {
                // Writing to a string does not fail.
                let _ = writeln!(lines, "line {line}");
            }
            Effect::Print(lines)
        }
        Step::Write { path, text } => insert(path, Node::File(text.as_bytes().into())),
        Step::MakeFolder(path) => insert(path, Node::Folder),
        Step::Link { path, target } => insert(path, Node::Link(target.clone())),
        Step::List(path) => Effect::Print(match files.find(path) {
            Ok((path, Node::Folder)) => {
                let names = files.list(&path).into_iter();
                names.map(|name| format!("{name}\n")).collect()
            }
            Ok(_) => format!("{path}\n"),
            Err(error) => format!("{error}\n"),
        }),
        Step::Read(path) => Effect::Print(match files.find(path) {
            Ok((_, Node::File(bytes))) => String::from_utf8_lossy(bytes).into_owned(),
            Ok(_) => format!("{path} is a folder\n"),
            Err(error) => format!("{error}\n"),
        }),
        Step::PrintInputKind => Effect::Print("pipe\n".to_owned()),
        // There is no input, no network, no other process and no signal.
        Step::Echo
        | Step::Request(_)
        | Step::LeaveProcess
        | Step::UseMemory(_)
        | Step::StartProcesses(_)
        | Step::IgnoreSignals => Effect::Print(String::new()),
        Step::Wait => Effect::Wait,
        Step::Exit(code) => Effect::End(Exit::Code(*code)),
        Step::Die => Effect::End(Exit::Signal(9)),
    }
}
