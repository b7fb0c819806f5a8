//! Attempts of isolated tasks to leave their walls. The targets are decoys of the test.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

use runtime_process::TaskIsolation;
use serde_json::json;

use crate::isolation::{isolated_beds, log_of, script_with};
use crate::support::{
    TestBed, is_alive, is_isolated, is_running, run_isolated_as_user, sh, unique_seconds,
    wait_until,
};

/// A process outside of all tasks. It is killed on drop.
struct Decoy(Child);

impl Decoy {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        command.arg("600").env("DECOY_SECRET", "decoy-secret");
        Self(command.spawn().expect("`sleep` exists"))
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn worker_data_is_invisible() {
    for bed in TestBed::each().await {
        let secret = bed.storage().join("secret");
        fs::write(&secret, "worker-secret\n").expect("a file of the test");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).expect("its mode");
        let script = "cat \"$SECRET\"; ls -A \"$(dirname \"$SECRET\")\"; ls -A \"$HOME/..\"; true";
        let log = log_of(&bed, script_with(script, json!({ "SECRET": secret }))).await;
        // Without walls, the attempt succeeds.
        let is_open = bed.isolation == TaskIsolation::None;
        assert_eq!(log.contains("worker-secret"), is_open, "{log}");
        assert_eq!(log.contains("\nsecret\n"), is_open, "{log}");
        assert_eq!(log.contains("\n.lock\n"), is_open, "{log}");
    }
}

#[tokio::test]
async fn other_task_is_invisible() {
    for bed in TestBed::each().await {
        let first = bed.create(sh(
            "echo $HOME >home; echo task-secret >secret; exec sleep 600",
        ));
        let running = bed.start(bed.worker().capacity(2));
        bed.wait_for_task_file("secret").await;
        let other = bed.read_task_file("home");
        let script = "cat \"$OTHER/secret\"; echo changed >\"$OTHER/secret\"; true";
        let second = bed.create(script_with(script, json!({ "OTHER": other.trim() })));
        bed.resolved(&second).await;
        let left = bed.read_task_file("secret");
        bed.cancel(&first);
        running.stop().await;
        let log = bed.log(&second).await;
        let is_open = bed.isolation == TaskIsolation::None;
        assert_eq!(log.contains("task-secret"), is_open, "{log}");
        assert_eq!(left == "changed\n", is_open, "{left}");
    }
}

#[tokio::test]
async fn environment_outside_is_unreadable() {
    for bed in TestBed::each().await {
        let decoy = Decoy::new();
        let script =
            "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep ^DECOY; ls -d /proc/$DECOY; true";
        let log = log_of(
            &bed,
            script_with(script, json!({ "DECOY": decoy.0.id().to_string() })),
        )
        .await;
        let is_open = bed.isolation == TaskIsolation::None;
        assert_eq!(log.contains("DECOY_SECRET=decoy-secret"), is_open, "{log}");
        let folder = format!("\n/proc/{}\n", decoy.0.id());
        // Inside, the number may be that of an own process.
        assert!(log.contains(&folder) || !is_open, "{log}");
    }
}

#[tokio::test]
async fn process_outside_cannot_be_killed() {
    for bed in TestBed::each().await {
        // Several, so that the number of the last one is not that of a process inside.
        let decoys = [(); 16].map(|()| Decoy::new());
        let decoy = decoys[15].0.id();
        let script = "kill -9 $DECOY || echo refused";
        let log = log_of(
            &bed,
            script_with(script, json!({ "DECOY": decoy.to_string() })),
        )
        .await;
        if bed.isolation == TaskIsolation::None {
            wait_until(|| !is_alive(decoy)).await;
        } else {
            assert!(log.contains("\nrefused\n"), "{log}");
            assert!(is_alive(decoy), "{log}");
        }
    }
}

#[tokio::test]
async fn daemon_ends_with_its_command() {
    for bed in isolated_beds().await {
        let seconds = unique_seconds();
        let daemon = format!("(env -i setsid sh -c 'sleep {seconds} & exit' >/dev/null 2>&1 &)");
        let script = format!(
            "{daemon}; i=0; until cat /proc/[0-9]*/cmdline | grep -qa {seconds}; do [ $i -lt 1000 ] || exit 1; i=$((i + 1)); done"
        );
        log_of(&bed, sh(&script)).await;
        wait_until(|| !is_running(&seconds)).await;
    }
}

#[tokio::test]
async fn privileges_are_gone() {
    for bed in isolated_beds().await {
        let script = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; id -u";
        let log = log_of(&bed, sh(script)).await;
        for expected in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(log.contains(expected), "{log}");
        }
        assert!(!log.contains("\n0\n"), "{log}");
    }
}

#[tokio::test]
async fn temporary_files_are_private() {
    for bed in isolated_beds().await {
        let name = format!("/tmp/runtime-process-{}", unique_seconds());
        let write = format!("echo mine >{name} && cat {name}");
        let read = format!("test ! -e {name}");
        let payload = json!({ "command": [["sh", "-c", write], ["sh", "-c", read]] });
        let log = log_of(&bed, payload).await;
        assert!(log.contains("\nmine\n"), "{log}");
        assert!(!Path::new(&name).exists());
    }
}

#[tokio::test]
async fn walls_hold_against_an_ordinary_user() {
    if !is_isolated() {
        run_isolated_as_user("escapes", 8).await;
    }
}
