//! Ways out of the network of a sandbox: listeners of the worker, and connections to other machines.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runtime_sandbox::{
    CgroupParents, FileView, Isolation, SandboxCommand, SpawnError, SpawnStep, StdStream, Support,
    Wall,
};
use rustix::net::{AddressFamily, SocketType};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Lock, TIME_LIMIT, eventually, is_root, limited, read_all, run, shell};
use crate::sys::bind_to_device;
use crate::walls::worker_inside;
use crate::worker;

/// The variable with addresses, separated by blanks, to which this program connects as a sandboxed command.
const TARGETS: &str = "SANDBOX_TEST_TARGETS";

/// The variable with the role of this program in a simulated network.
const ROLE: &str = "SANDBOX_TEST_NETWORK_ROLE";

/// The addresses of two simulated machines, and the port on which the second one listens.
const MACHINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const PORT: u16 = 7000;

/// Connects to the addresses of the environment, and prints the answers.
#[test]
fn connect_inside() {
    for target in env::var(TARGETS).unwrap_or_default().split_whitespace() {
        let (device, target) = target.split_once('@').unwrap_or(("", target));
        let address: SocketAddr = target.parse().expect("an address");
        let answer = answer(device, address);
        println!(
            "inside: {device} {target} {}",
            answer.unwrap_or_else(|it| it.to_string())
        );
    }
}

fn answer(device: &str, address: SocketAddr) -> std::io::Result<String> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    if !device.is_empty() {
        bind_to_device(&socket, device)?;
    }
    // Closed addresses fail at once, and those of other machines answer.
    rustix::net::connect(&socket, &address)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIME_LIMIT))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(format!("answer: {answer}"))
}

/// A command that connects to addresses, in strict walls.
fn connector(targets: &str, isolation: Isolation) -> SandboxCommand {
    let program = env::current_exe().expect("this program");
    let folder = program.parent().expect("its folder");
    let view = FileView::system().read_only(folder, folder);
    SandboxCommand::new(&program)
        .args(["network::connect_inside", "--exact", "--nocapture"])
        .env(TARGETS, targets)
        .stdout(StdStream::Pipe)
        .stderr(StdStream::Pipe)
        .isolation(isolation.files(view))
}

#[tokio::test]
async fn worker_answers_on_a_port_inside() {
    for isolation in [Isolation::strict(), Isolation::none().with(Wall::Network)] {
        let command = connector("127.0.0.1:8080 127.0.0.1:8082 127.0.0.1:8081", isolation);
        let child = command.listen(8080).listen(8081).spawn().await;
        let mut child = child.expect("it starts");
        let listeners = std::mem::take(&mut child.listeners);
        for (index, listener) in listeners.iter().enumerate() {
            let (mut stream, _) = limited(listener.accept()).await.expect("a connection");
            let answer = format!("{index}");
            limited(stream.write_all(answer.as_bytes()))
                .await
                .expect("an answer");
        }
        let output = read_all(&mut child).await;
        assert!(
            limited(child.wait())
                .await
                .expect("it ends")
                .status
                .success()
        );
        for line in ["127.0.0.1:8080 answer: 0", "127.0.0.1:8081 answer: 1"] {
            assert!(output.contains(line), "{output}");
        }
        assert!(!output.contains("127.0.0.1:8082 answer"), "{output}");
    }
}

#[tokio::test]
async fn ports_need_a_namespace() {
    let child = shell("true", Isolation::strict().without(Wall::Network));
    let error = child
        .listen(8080)
        .spawn()
        .await
        .expect_err("the machine's network");
    assert_eq!(error.wall(), Some(Wall::Network), "{error}");
    let child = shell("true", Isolation::strict()).listen(80).listen(80);
    let error = child.spawn().await.expect_err("it is in use");
    let is_listen = matches!(
        error,
        SpawnError::Step {
            step: SpawnStep::Listen,
            ..
        }
    );
    assert!(is_listen, "{error:?}");
}

#[tokio::test]
async fn outbound_network_needs_privileges_to_be_dropped() {
    let isolation = Isolation::none().outbound_network();
    let error = shell("true", isolation).spawn().await.expect_err("unsafe");
    assert!(error.to_string().contains("`privileges`"), "{error}");
}

#[tokio::test]
async fn missing_pasta_is_named() {
    if Support::probe().await.missing().next().is_some() {
        return println!("skipped: this machine cannot have all walls");
    }
    // A worker in a sandbox that may create another one.
    let view = FileView::system()
        .hide("/usr/bin/passt")
        .hide("/usr/local/bin/passt");
    let isolation = Isolation::strict().without(Wall::SystemCalls);
    let output = worker_inside("outbound", view, isolation).await;
    let named = "role: cannot connect the network of the sandbox with `pasta`; is the package `passt` installed";
    assert!(output.contains(named), "{output}");
}

/// Runs this test program as one of two machines, which a network connects: as root, and as an ordinary user.
#[test]
fn outbound_network_reaches_other_machines_only() {
    if !is_root() {
        return println!("skipped: needs root to simulate a network");
    }
    let script = "
        set -e
        ip link set lo up
        ip link add machine type veth peer name other
        unshare --net sleep 60 & other=$!
        until [ $(readlink /proc/$other/ns/net) != $(readlink /proc/$$/ns/net) ]; do sleep 0.01; done
        ip link set other netns $other
        ip addr add 198.51.100.1/24 dev machine
        ip link set machine up
        ip route add default via 198.51.100.2
        enter=\"nsenter --net=/proc/$other/ns/net\"
        $enter sh -c 'ip link set lo up; ip addr add 198.51.100.2/24 dev other; ip link set other up'
        SANDBOX_TEST_NETWORK_ROLE=server $enter timeout 60 \"$@\" & server=$!
        export SANDBOX_TEST_NETWORK_ROLE=worker
        \"$@\" || result=$?
        # The device of some machines is for root only.
        if mknod --mode=666 $FOLDER/tun c 10 200 && mount --bind $FOLDER/tun /dev/net/tun; then
            setpriv --reuid=64323 --regid=64323 --clear-groups \"$@\" || result=$?
        else
            echo 'role: passed by root only'
        fi
        kill $server $other
        exit ${result:-0}";
    let folder = crate::support::open_folder();
    // Other users may not reach the folder of this program.
    let program = folder.path().join("it");
    fs::copy(env::current_exe().expect("this program"), &program).expect("a copy");
    let output = Command::new("timeout")
        .args([
            "100", "unshare", "--net", "--mount", "sh", "-c", script, "sh",
        ])
        .arg(&program)
        .env("FOLDER", folder.path())
        .args(["network::simulated_machine", "--exact", "--nocapture"])
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let skips = ["role: skipped", "ip: not found", "unshare: unshare failed"];
    if skips.iter().any(|it| text.contains(it)) {
        return println!("skipped: {text}");
    }
    let passed = text.matches("role: passed").count();
    assert!(output.status.success() && passed == 2, "{text}");
}

/// Plays the role of the environment.
#[tokio::test]
async fn simulated_machine() {
    match env::var(ROLE).as_deref() {
        Ok("server") => {
            let listener = TcpListener::bind((OTHER, PORT)).expect("its address");
            for stream in listener.incoming() {
                let _ = stream.and_then(|mut stream| stream.write_all(b"other machine"));
            }
        }
        Ok("worker") => connect_from_sandboxes().await,
        _ => {}
    }
}

async fn connect_from_sandboxes() {
    let support = Support::probe().await;
    if let Err(error) = support.outbound_network() {
        return println!("role: skipped: {error}");
    }
    let wait = std::time::Instant::now();
    while TcpStream::connect((OTHER, PORT)).is_err() {
        assert!(
            wait.elapsed() < TIME_LIMIT,
            "the other machine never listens"
        );
    }
    let own = TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = own.local_addr().expect("its address").port();
    let metadata = "169.254.169.254:80 100.100.100.200:80 168.63.129.16:80";
    // A socket that is bound to an interface ignores some routes.
    let bound =
        format!("machine@127.0.0.1:{port} machine@{MACHINE}:{port} machine@169.254.169.254:80");
    // Neighbours have such addresses without any set-up.
    let neighbour = "machine@[fe80::1]:80";
    let closed =
        format!("127.0.0.1:{port} {MACHINE}:{port} 0.0.0.0:{port} {metadata} {bound} {neighbour}");
    let targets = format!("{OTHER}:{PORT} machine@{OTHER}:{PORT} {closed}");
    let isolation = Isolation::strict().outbound_network();
    let (exit, output) = run(connector(&targets, isolation)).await;
    assert!(exit.status.success(), "{output}");
    let open = format!("inside:  {OTHER}:{PORT} answer: other machine");
    assert!(output.contains(&open), "{output}");
    let bound = format!("inside: machine {OTHER}:{PORT} answer: other machine");
    assert!(output.contains(&bound), "{output}");
    assert_eq!(output.matches("answer: ").count(), 2, "{output}");
    assert_eq!(output.matches("inside: ").count(), 2 + 10, "{output}");
    // Without the way out, nothing is reached.
    let (_, output) = run(connector(&targets, Isolation::strict())).await;
    assert!(!output.contains("answer: "), "{output}");
    println!("role: passed");
}

/// Returns the folders in `/proc` of the processes that have this network namespace as their standard input.
fn users_of(namespace: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut folders: Vec<_> = processes.map(|it| it.path()).collect();
    folders.retain(|it| fs::read_link(it.join("fd/0")).is_ok_and(|input| input == namespace));
    folders
}

#[tokio::test]
async fn outbound_network_ends_with_its_command() {
    if Support::probe().await.outbound_network().is_err() {
        return println!("skipped: no outbound network");
    }
    let isolation = Isolation::strict().outbound_network();
    for is_dropped in [false, true] {
        let command = shell("exec sleep 600", isolation.clone());
        let mut child = command.spawn().await.expect("it starts");
        let id = child.id().expect("it runs");
        let namespace = fs::read_link(format!("/proc/{id}/ns/net"));
        if is_dropped {
            drop(child);
        } else {
            limited(child.kill(Duration::ZERO)).await.expect("it ends");
        }
        // An ordinary user may not read it.
        if let Ok(namespace) = namespace {
            eventually("`pasta` has ended", || users_of(&namespace).is_empty()).await;
        }
    }
}

#[tokio::test]
async fn outbound_network_is_in_the_group_of_its_command() {
    let parents = Arc::new(CgroupParents::below_own());
    let is_available = parents.support().is_available();
    if !is_available || !is_root() || Support::probe().await.outbound_network().is_err() {
        return println!("skipped: no control groups or no outbound network");
    }
    let command = shell("exec sleep 600", Isolation::strict().outbound_network());
    let mut child = command
        .cgroup_parents(&parents)
        .spawn()
        .await
        .expect("it starts");
    let init = PathBuf::from(format!("/proc/{}", child.id().expect("it runs")));
    let namespace = fs::read_link(init.join("ns/net")).expect("it runs");
    let group = |process: &Path| fs::read_to_string(process.join("cgroup")).expect("it runs");
    let pasta = users_of(&namespace);
    assert!(!pasta.is_empty());
    for process in pasta {
        assert_eq!(group(&process), group(&init));
    }
    assert_ne!(group(&init), group(Path::new("/proc/self")));
    limited(child.kill(Duration::ZERO)).await.expect("it ends");
}

#[tokio::test]
async fn outbound_network_ends_with_a_killed_worker() {
    if !is_root() || Support::probe().await.outbound_network().is_err() {
        return println!("skipped: no outbound network, or not root");
    }
    let lock = Lock::new();
    let mut worker = Command::new(env::current_exe().expect("this program"))
        .args(worker::arguments())
        .env(worker::ROLE, "hold outbound")
        .env(worker::FOLDER, lock.folder())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a worker");
    let output = BufReader::new(worker.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("ready")));
    let own = fs::read_link("/proc/self/ns/net").expect("readable");
    // Each thread lists the processes that it created.
    let threads = fs::read_dir(format!("/proc/{}/task", worker.id())).expect("readable");
    let lists = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("children")).ok());
    let children = lists.collect::<Vec<_>>().join(" ");
    let namespaces = children
        .split_whitespace()
        .filter_map(|child| fs::read_link(format!("/proc/{child}/ns/net")).ok());
    let namespaces: Vec<_> = namespaces.filter(|it| *it != own).collect();
    assert!(namespaces.iter().any(|it| !users_of(it).is_empty()));
    worker.kill().expect("it runs");
    worker.wait().expect("it ends");
    for namespace in namespaces {
        eventually("`pasta` has ended", || users_of(&namespace).is_empty()).await;
    }
}
