//! Proxies of tasks behind the wall `network`.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use runtime_core::TaskError;
use runtime_core::webhook::{Request, Response, from_fn};
use runtime_process::TaskNetwork;
use runtime_worker::{Capability, Engine as _, Plugin, SandboxBuilder, TaskPlugin, TaskRun};
use serde_json::json;

use crate::isolation::isolated_beds;
use crate::support::sh;

/// Requests the proxy, and prints the response.
const REQUEST: &str = r#"url=${PROXY#http://}; host=${url%%/*}; exec 3<>/dev/tcp/${host%:*}/${host##*:}; printf 'GET /%s/x HTTP/1.0\r\n\r\n' "${url#*/}" >&3; grep handled <&3"#;

/// Gives each task a proxy, and counts the requests.
#[derive(Clone, Debug, Default)]
struct Proxy(Arc<AtomicUsize>);

#[async_trait]
impl Plugin for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    fn requires(&self) -> &[Capability] {
        &[Capability::Proxies]
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl TaskPlugin for Proxy {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        let count = Arc::clone(&self.0);
        let handler = from_fn(move |_: Request| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Response::new("handled\n".into()) }
        });
        Ok(builder.attach_proxy("PROXY", handler)?)
    }
}

#[tokio::test]
async fn each_command_reaches_the_proxy() {
    for bed in isolated_beds().await {
        for network in [TaskNetwork::None, TaskNetwork::Outbound] {
            let engine = bed.engine().network(network);
            // Not every machine has `pasta`.
            if engine.prepare(&bed.environment()).await.is_err() {
                println!("skipped with the network `{network}`");
                continue;
            }
            let command = ["bash", "-c", REQUEST];
            let proxy = Proxy::default();
            let task_id = bed.create(json!({ "command": [command, command, command] }));
            let running = bed.start(bed.worker_with(engine).plugin(proxy.clone()));
            let state = bed.resolved(&task_id).await.state_and_reason();
            running.stop().await;
            assert_eq!(state, "completed", "{}", bed.log(&task_id).await);
            assert_eq!(proxy.0.load(Ordering::Relaxed), 3);
        }
        bed.assert_no_leftovers();
    }
}

#[tokio::test]
async fn machine_does_not_reach_the_proxy() {
    for bed in isolated_beds().await {
        let engine = bed.engine().network(TaskNetwork::None);
        let proxy = Proxy::default();
        let task_id = bed.create(sh("echo $PROXY > url; sleep 600"));
        let running = bed.start(bed.worker_with(engine).plugin(proxy.clone()));
        bed.wait_for_task_file("url").await;
        let url = bed.read_task_file("url");
        let (host, path) =
            (url.trim().trim_start_matches("http://").split_once('/')).expect("a host and a path");
        // Another server may have the port.
        if let Ok(mut stream) = TcpStream::connect(host) {
            let mut response = Vec::new();
            let _ = write!(stream, "GET /{path}/x HTTP/1.0\r\n\r\n");
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
            let _ = stream.read_to_end(&mut response);
        }
        bed.cancel(&task_id);
        bed.resolved(&task_id).await;
        running.stop().await;
        assert_eq!(proxy.0.load(Ordering::Relaxed), 0);
    }
}

/// Runs a program as a user who may create no network namespace, but all others.
const WITHOUT_NETWORKS: &str = "echo 0 >/proc/sys/user/max_net_namespaces && exec unshare --user --map-user=54321 --map-group=54321 \"$@\"";

#[test]
fn filter_of_sockets_refuses_proxies() {
    let this = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        WITHOUT_NETWORKS,
        "-",
    ]);
    command
        .arg(this)
        .args(["--exact", "proxies::engine_with_filter", "--nocapture"]);
    let output = command.env(INSIDE, "1").output().expect("`unshare` starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if !text.contains("1 passed") && !text.contains("FAILED") {
        println!("skipped: no user namespaces: {text}");
        return;
    }
    assert!(output.status.success(), "{text}");
    println!("{text}");
}

/// Set for the test below.
const INSIDE: &str = "RUNTIME_PROCESS_TEST_WITHOUT_NETWORKS";

/// Run by the test above. Does nothing elsewhere.
#[tokio::test]
async fn engine_with_filter() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    for bed in isolated_beds().await {
        let engine = bed.engine().network(TaskNetwork::None);
        if let Err(error) = engine.prepare(&bed.environment()).await {
            println!("skipped: {error:?}");
            continue;
        }
        assert!(!engine.capabilities().contains(&Capability::Proxies));
        let task_id = bed.create(sh("true"));
        let running = bed.start(
            bed.worker_with(bed.engine().network(TaskNetwork::None))
                .plugin(Proxy::default()),
        );
        let state = bed.resolved(&task_id).await.state_and_reason();
        running.stop().await;
        assert_eq!(state, "exception/malformed-payload");
        let log = bed.log(&task_id).await;
        assert!(log.contains("does not support proxies for a task"), "{log}");
        println!("refused with `{}`", bed.isolation);
    }
}
