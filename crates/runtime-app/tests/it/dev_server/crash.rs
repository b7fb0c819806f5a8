//! The server is killed under load, and loses no acknowledged call.

use std::process::Command;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::load::LoadClient;
use super::{Server, program};

/// The number of clients, each with its own queue.
const CLIENTS: u64 = 3;
/// The time limit of one round, on a loaded machine.
const ROUND_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn killed_server_keeps_acknowledged_calls() {
    kill_repeatedly(8, 1);
}

/// `cargo xtask e2e crash` runs it.
#[test]
#[ignore = "takes minutes"]
fn crash_200_times_keeps_acknowledged_calls() {
    kill_repeatedly(200, 2);
}

#[test]
fn full_disk_is_not_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("threads");
    // A file can have at most 64 blocks. Without the trap, a signal would end the server.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(program().get_program());
    let mut server = Server::start_program(limited, folder.path());
    let (created, error) = runtime.block_on(server.target().create_until_failure());
    assert!(!created.is_empty(), "{error}");
    let text = format!("{error:?}");
    assert!(
        text.contains("could not be written to the data folder"),
        "{text}"
    );
    let (none, _) = runtime.block_on(server.target().create_until_failure());
    assert!(none.is_empty(), "{none:?}");
    server.kill();
    let server = Server::start(folder.path());
    for task_id in &created {
        runtime.block_on(server.target().expect_task(task_id));
    }
}

fn kill_repeatedly(kills: u32, seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("threads");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|n| LoadClient::new(seed * 1000 + n))
        .collect();
    let mut server = Server::start(folder.path());
    for kill in 0..kills {
        // The first calls of a new server, or many later ones.
        let delay = Duration::from_millis(random.u64(1..300));
        clients = runtime.block_on(async {
            let round = load_until_killed(&mut server, clients, delay);
            let round = tokio::time::timeout(ROUND_TIMEOUT, round).await;
            round.unwrap_or_else(|_| panic!("kill {kill} did not end the clients"))
        });
        // On another port, since this one may be taken meanwhile.
        let restarted = Server::start(folder.path());
        let token = "TASKCLUSTER_ACCESS_TOKEN";
        assert_eq!(restarted.variable(token), server.variable(token));
        server = restarted;
        let target = server.target();
        for client in &mut clients {
            let is_last = kill + 1 == kills;
            runtime.block_on(client.check(&target, is_last));
        }
    }
    let tasks: usize = clients.iter().map(|client| client.facts.len()).sum();
    assert!(tasks > 0, "the clients have created tasks");
    println!("{kills} kills, {tasks} tasks");
}

async fn load_until_killed(
    server: &mut Server,
    clients: Vec<LoadClient>,
    delay: Duration,
) -> Vec<LoadClient> {
    let target = server.target();
    let mut running = JoinSet::new();
    for mut client in clients {
        let target = target.clone();
        running.spawn(async move {
            client.run(&target).await;
            client
        });
    }
    tokio::time::sleep(delay).await;
    server.kill();
    running.join_all().await
}
