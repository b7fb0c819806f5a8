//! The commands of a program around an engine: the example `greeter`. And the program `taskcluster-dev`.

mod cloud;
#[cfg(unix)]
mod dev_server;
mod exports;
mod fleet;
mod stops;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Returns a command for the example, which `cargo test` builds together with the tests.
fn greeter(folder: &TempDir) -> Command {
    let tests = std::env::current_exe().expect("this program has a path");
    let target = tests
        .ancestors()
        .nth(2)
        .expect("tests are in the folder `deps` of the profile");
    let path = target.join("examples/greeter");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --example greeter`",
        path.display()
    );
    let mut command = Command::new(path);
    command.env("TMPDIR", folder.path()).stdin(Stdio::null());
    command
}

/// A running program, killed on drop: a failed assertion leaves no process behind.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    /// Kills the program, as `kill -9` does.
    fn kill_and_wait(&mut self) {
        self.kill().expect("a child can be killed");
        self.wait().expect("a killed child ends");
    }
}

impl Deref for Program {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if the program has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn file(folder: &TempDir, name: &str, content: &Value) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content.to_string()).expect("the folder is ours");
    path
}

/// Returns the output, and the text of both streams.
fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("the example starts");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).expect("text"))
}

fn config(data: &Path, engine: &Value) -> Value {
    json!({
        "worker": {
            "rootUrl": "https://tc.example.com",
            "taskQueueId": "pool/linux",
            "workerGroup": "group",
            "workerId": "id",
            "dataFolder": data,
        },
        "engine": engine,
    })
}

#[test]
fn bad_task_files_are_refused_at_once() {
    let folder = folder();
    for (text, expected) in [
        ("{".repeat(400_000), "nested"),
        (
            r#"{ "payload": {}, "extra": { "demo": { "cancelAfter": -1 } } }"#.to_owned(),
            "cancelAfter",
        ),
        ("- 1".to_owned(), "expected an object"),
    ] {
        let path = folder.path().join("task.json");
        std::fs::write(&path, text).expect("the folder is ours");
        let (output, text) = run(greeter(&folder).arg("run-task").arg(&path));
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("task.json") && text.contains(expected),
            "{text}"
        );
    }
}

#[test]
fn task_runs_in_the_engine() {
    let folder = folder();
    let task = file(
        &folder,
        "task.json",
        &json!({ "payload": { "name": "world" } }),
    );
    let (output, text) = run(greeter(&folder).args(["run-task", "--json"]).arg(&task));
    assert_eq!(output.status.code(), Some(0), "{text}");
    let results = String::from_utf8(output.stdout).expect("text");
    let first = results.lines().next().expect("a line per task");
    let result: Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(
        (&result["task"], &result["state"]),
        (&json!("task"), &json!("completed"))
    );
}

#[test]
fn log_of_a_single_task_is_printed() {
    let folder = folder();
    let payload = json!({ "payload": { "name": "world", "exitCode": 7 } });
    let task = file(&folder, "task.json", &payload);
    let (output, text) = run(greeter(&folder).arg("run-task").arg(&task));
    let printed = String::from_utf8(output.stdout).expect("text");
    let log = printed.find("Hello, world!\n").expect("the log");
    assert!(
        printed[log..].contains("failed"),
        "the result follows: {text}"
    );
    let (output, text) = run(greeter(&folder).args(["run-task", "--json"]).arg(&task));
    let results = String::from_utf8(output.stdout).expect("text");
    assert!(
        !results.contains("Hello, world!") && text.contains("Hello, world!"),
        "{text}"
    );
    let (_, text) = run(greeter(&folder).arg("run-task").args([&task, &task]));
    assert!(!text.contains("Hello, world!"), "{text}");
}

#[test]
fn exit_code_is_that_of_the_task() {
    let folder = folder();
    let payload = json!({ "payload": { "name": "world", "exitCode": 7 } });
    let task = file(&folder, "task.json", &payload);
    let (output, text) = run(greeter(&folder).arg("run-task").arg(&task));
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains("expected completed, got failed"), "{text}");
    let (output, text) = run(greeter(&folder).arg("run-task").args([&task, &task]));
    assert_eq!(output.status.code(), Some(1), "{text}");
}

#[test]
fn section_of_the_engine_is_checked_with_the_rest() {
    let folder = folder();
    let mut settings = config(folder.path(), &json!({ "greetin": "Hi" }));
    settings["worker"]["capacity"] = json!("two");
    let path = file(&folder, "worker.json", &settings);
    let (output, text) = run(greeter(&folder).args(["run", "--config"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "unknown key `engine.greetin`, did you mean `greeting`?",
        "`worker.capacity`: expected an integer, got `two`",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn printed_config_has_the_section() {
    let folder = folder();
    for (engine, expected) in [(json!({}), "Hello"), (json!({ "greeting": "Hi" }), "Hi")] {
        let path = file(&folder, "worker.json", &config(folder.path(), &engine));
        let (output, text) = run(greeter(&folder)
            .args(["print-config", "--config"])
            .arg(path));
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains(&format!("engine:\n  greeting: {expected}\n")),
            "{text}"
        );
        assert!(text.contains("taskclusterProxy: false\n"), "{text}");
    }
}

#[test]
fn schema_and_documentation_describe_the_engine() {
    let folder = folder();
    let (output, text) = run(greeter(&folder).arg("schema"));
    assert!(output.status.success(), "{text}");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let greeting = &schema["properties"]["engine"]["properties"]["greeting"];
    assert_eq!(greeting["description"], "The word before the name.");
    let (output, text) = run(greeter(&folder).arg("docs"));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("The name to greet."), "{text}");
    // This engine has neither variables nor folders.
    assert!(!text.contains("mounts"), "{text}");
}

#[test]
fn command_line_is_that_of_the_program() {
    let folder = folder();
    let (output, text) = run(greeter(&folder).arg("--help"));
    assert!(output.status.success(), "{text}");
    assert!(
        text.starts_with("Greets the author of each task."),
        "{text}"
    );
    assert!(text.contains("Usage: greeter "), "{text}");
    let (output, text) = run(&mut greeter(&folder));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("missing task definition or command"),
        "{text}"
    );
    let (output, text) = run(greeter(&folder).arg("runn"));
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "`runn` is neither a command nor a task definition; see --help";
    assert!(text.contains(expected), "{text}");
    let (output, text) = run(greeter(&folder).arg("run"));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("missing --config FILE or --connect ROOT_URL"),
        "{text}"
    );
    let (output, _) = run(greeter(&folder).args(["run", "--capacity", "0"]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn failed_engine_is_an_error() {
    let folder = folder();
    let task = file(
        &folder,
        "task.json",
        &json!({ "payload": { "name": "world" } }),
    );
    let mut command = greeter(&folder);
    // The demo refuses this word.
    let settings = config(folder.path(), &json!({ "greeting": "" }));
    let path = file(&folder, "worker.json", &settings);
    let (output, text) = run(command.args(["docs", "--config"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "cannot create the engine: `engine.greeting` is empty";
    assert!(text.contains(expected), "{text}");
    let (output, text) = run(greeter(&folder).arg("run-task").arg(task));
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
#[cfg(unix)]
fn configured_plugins_need_their_capabilities() {
    let folder = folder();
    for (key, expected) in [
        (
            "taskclusterProxy",
            "the plugin `taskcluster-proxy` requires an engine that supports proxies",
        ),
        (
            "interactive",
            "the plugin `interactive` requires an engine that supports further commands",
        ),
    ] {
        for is_on in [true, false] {
            let mut settings = config(folder.path(), &json!({}));
            settings["worker"]["plugins"] = json!({ key: is_on });
            let path = file(&folder, "worker.json", &settings);
            let (output, text) = run(greeter(&folder).args(["docs", "--config"]).arg(path));
            assert_eq!(output.status.success(), !is_on, "{text}");
            assert_eq!(text.contains(expected), is_on, "{text}");
        }
    }
}

#[test]
fn completions_name_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (output, text) = run(greeter(&folder).args(["completions", shell]));
        assert!(output.status.success(), "{text}");
        for part in ["greeter", "print-config", "max-tasks"] {
            assert!(text.contains(part), "{shell}: `{part}` is not in {text}");
        }
    }
}

#[test]
#[cfg(unix)]
fn dev_serves_other_clients_until_stopped() {
    use std::io::{BufRead as _, BufReader};

    let folder = folder();
    let mut command = greeter(&folder);
    let mut child = Program::start(command.arg("dev").stdout(Stdio::piped()));
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    assert!(lines.any(|line| line.starts_with("export TASKCLUSTER_ACCESS_TOKEN=")));
    assert!(lines.any(|line| line.contains("keep running until Ctrl-C")));
    let pid = child.id().to_string();
    let signalled = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(signalled.expect("`kill` exists").success());
    assert!(child.wait().expect("it ends").success());
}
